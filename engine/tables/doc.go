// Package tables is the engine of statements: DuckDB, in a process of its own
// that engine/isolate starts, confines and ends. It is the only importer of
// DuckDB, which is C++ behind cgo; where cgo is off, New gives nil and perago has
// no tables.
//
//	engine.go   the process: what is set before anything of a task is seen, and its one statement
//	db.go       DuckDB's C interface, as far as it is used
//	check.go    what a query may be, judged by its parse tree
//	views.go    the relations and their tables, as perago's own SQL
//	answer.go   what is asked of the last relation
//	values.go   rows on their way to the body
//	failure.go  DuckDB's errors in perago's words
package tables
