// Package statement is what a body and the engine that runs its SQL say to each
// other, over one socket: the body a Statement and the rows of its lists, the
// engine the columns, the rows and how it ended.
//
//	statement.go  the messages
//	frame.go      how they travel
//	rows.go       values as bytes, row by row
//	scan.go       the tokens of a query, as far as both ends need them
package statement

// Statement is one question: relations, the last of which is asked. Those before
// it are what its tables, or theirs, are made of.
type Statement struct {
	Relations []Relation
	Ask       Ask
	Show      int    `json:",omitempty"` // rows that AskShow draws
	Output    Output `json:",omitzero"`
}

// Ask is what is wanted of the last relation.
type Ask string

const (
	AskRows    Ask = "rows"    // columns, then rows
	AskColumns Ask = "columns" // columns only: no row is read where the format allows
	AskCount   Ask = "count"   // Done.Rows
	AskWrite   Ask = "write"   // into the output that the worker handed over; Done.Rows
	AskShow    Ask = "show"    // Done.Text
	AskParse   Ask = "parse"   // Done.Parsed, of every relation: nothing is looked at but its text
)

// Relation is one query over its tables.
type Relation struct {
	Query  string
	Args   []Arg    `json:",omitempty"`
	Tables []Table  `json:",omitempty"` // those that the query may name
	Given  []string `json:",omitempty"` // the names of all that were given with it
}

// Arg is a value that the query has as $name. SQL types it, Text is the value in
// DuckDB's own text form; None is NULL.
type Arg struct {
	Name string
	Type string
	Text string `json:",omitempty"`
	None bool   `json:",omitempty"`
}

// Table is what a query has under a name: a relation before this one, files, or
// rows that the body sends along.
type Table struct {
	Name     string
	Relation int    `json:",omitempty"` // from 1: its place in the Statement; 0 is none
	Files    []File `json:",omitempty"`
	Rows     bool   `json:",omitempty"` // sent in frames of KindInline, in the order of such tables

	Format   string   `json:",omitempty"` // "parquet", "csv", "json"
	Compress string   `json:",omitempty"` // "gzip", "zstd", "" for none
	Columns  []Column `json:",omitempty"` // types that are not to be inferred

	Delimiter string  `json:",omitempty"`
	Header    *bool   `json:",omitempty"`
	Null      *string `json:",omitempty"`
	Encoding  string  `json:",omitempty"`
	Hive      bool    `json:",omitempty"`
	ByName    bool    `json:",omitempty"`
	FileName  string  `json:",omitempty"` // the column with the path of each row's file
}

// File is one file of a table: its place among those that the worker handed to
// the engine, and its path in the workspace.
type File struct {
	Index int
	Path  string
}

// Column of a relation.
type Column struct {
	Name string
	Type string // as SQL writes it
}

// Output says how AskWrite writes.
type Output struct {
	Format    string   // "parquet", "csv", "json"
	Compress  string   `json:",omitempty"` // as COPY knows it; "" is the format's own
	RowGroup  int      `json:",omitempty"` // rows of one row group, 0 is the engine's own
	Delimiter string   `json:",omitempty"`
	Array     bool     `json:",omitempty"` // of JSON: one array, not a line a row
	NoHeader  bool     `json:",omitempty"`
	By        []string `json:",omitempty"` // columns: one folder for each of their values
}

// Done is how a statement ended that did not fail.
type Done struct {
	Rows   int64    `json:",omitempty"`
	Text   string   `json:",omitempty"`
	Parsed []Parsed `json:",omitempty"`
}

// Parsed is what the text of a query says.
type Parsed struct {
	Tables     []Mention `json:",omitempty"` // that it reads; nil with Unsure
	Unsure     bool      `json:",omitempty"` // which tables it reads cannot be told
	Parameters []string  `json:",omitempty"`
	Failure    *Failure  `json:",omitempty"`
}

// Mention is a name and where it stands in the query, in bytes.
type Mention struct {
	Name   string
	Offset int
}

// Kind says what kind of failure it was.
type Kind string

const (
	Syntax   Kind = "syntax"   // the query does not parse
	Refused  Kind = "refused"  // it is something that a body may not ask
	Names    Kind = "names"    // a table, a column, a function that is not there, or types that do not fit
	Data     Kind = "data"     // what was read does not fit, or a file is not what it should be
	Memory   Kind = "memory"   // more memory, or more disk to spill to, than the attempt has
	Stopped  Kind = "stopped"  // the worker asked for it
	Internal Kind = "internal" // a fault of the engine
)

// Failure is how a statement ended that failed.
type Failure struct {
	Kind     Kind
	Message  string // one line
	Relation int    // from 0, in the Statement
	Offset   int    // bytes into the query of that relation; -1 when the place is not known
	Near     string `json:",omitempty"` // the nearest name, when a name was not known
	Hint     string `json:",omitempty"`
}

func (f *Failure) Error() string { return f.Message }
