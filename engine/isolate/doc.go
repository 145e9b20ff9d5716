// Package isolate runs one body in a process of its own: perago re-executes
// itself with the argument __body, an empty environment and one socket.
//
// The worker's side (Processes, an engine.Body):
//
//	pool.go     warm spares, taken by module
//	process.go  one child: start, stderr, kill, wait
//	session.go  one run of a body: its messages, checked and carried out
//	files.go    the child's file requests, answered from the attempt's Files
//
// The child's side (Main):
//
//	child.go    the sandbox, then load, then run
//	proxy.go    starlib.Files over the socket; content comes as open files
//	note.go     the page that tells the worker where the body was when it died
//	sandbox_*.go, layers.go   the layers of isolation
//
// Beside them, engines of statements, which are children too:
//
//	table.go       the worker's side: one engine, its files and its output
//	tablecall.go   how a body in a child asks for one
//	tablechild.go  the engine's side: the sandbox with its files, then one statement
//
// Between them: frame.go and message.go. The worker trusts nothing the child
// says: frames are bounded in size and number, names are checked, and whatever
// breaks the protocol is an ordinary failed attempt.
package isolate
