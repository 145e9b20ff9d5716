package starlib

import (
	"context"
	"io"
)

// Tables readies engines for statements of SQL, each a process of its own.
type Tables interface {
	// Ready starts an engine that reaches the files of need and nothing else. The
	// error about a file is that of Files.Open or Files.Create.
	Ready(ctx context.Context, need TableNeed) (TableSession, error)
}

// TableNeed is what one statement reads and writes.
type TableNeed struct {
	Files  []string // paths in the workspace
	Named  bool     // the engine needs their names: of folders key=value, or as a column
	Output string   // the file that it writes, "" for none
	Folder bool     // Output is a folder, whose files it makes
}

// TableSession is one statement in its engine: what the package statement says,
// is said over it. Exactly one of Commit, Drop and Died ends it.
type TableSession interface {
	io.ReadWriteCloser
	// Commit makes what was written the content of the output, in one step a file,
	// and returns its paths; those of a folder take the place of all that was in it.
	Commit(ctx context.Context) ([]string, error)
	// Drop forgets what was written.
	Drop()
	// Died is Drop of an engine that hung up: a *TableDeath, or the cause of ctx.
	Died(ctx context.Context) error
}

// TableDeath is an engine that ended without an answer.
type TableDeath struct {
	Memory bool   // it asked for more memory than it may have
	How    string // what the system says of it
}

// TableDeathPrefix is how the text of a TableDeath begins; what follows is How.
const TableDeathPrefix = "the engine of statements died: "

func (e *TableDeath) Error() string { return TableDeathPrefix + e.How }
