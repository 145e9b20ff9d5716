package starlib

import (
	"context"
	"log/slog"
	"time"

	"go.starlark.net/starlark"
)

// Run is what one run of a body has in its hands. It exists from just before
// the body is called until just after; builtins that act find it on their
// thread and refuse to act where there is none (at load time).
type Run struct {
	Context  context.Context // its cause (context.Cause) outranks the error of a cancelled thread
	Files    Files           // nil for a task without a workspace
	Log      func(Record)
	Progress func(Progress)
	Now      func() time.Time

	// Enter, when set, is told of every builtin just before it does its work, so
	// that the death of a child can name the last one. It must be cheap.
	Enter func(builtin string, at Position)

	open map[closer]struct{} // files that the body has opened and not closed
}

// Record is one log record of a body: log.*, print.
type Record struct {
	Level   slog.Level
	Message string
	Fields  []slog.Attr // in the order of the call, values are JSON-like
	At      Position
}

// Progress is one call of progress(done, total, message).
type Progress struct {
	Done    float64
	Total   float64 // 0 when the body does not know
	Message string
}

// Position is a place in a task file. Line and Column count from 1, columns in runes.
type Position struct {
	File   string
	Line   int
	Column int
}

type closer interface{ closeAtEnd() error }

const runKey = "perago.run"

// Attach binds r to the thread that will call the body.
func (r *Run) Attach(thread *starlark.Thread) { thread.SetLocal(runKey, r) }

// runOf is the Run of a thread, nil at load time.
func runOf(thread *starlark.Thread) *Run {
	r, _ := thread.Local(runKey).(*Run)
	return r
}

// FailError is a body that gave up: fail(...) and fail_terminal(...).
type FailError struct {
	Message  string
	Terminal bool // never retried
}

func (e *FailError) Error() string { return e.Message }
