package engine

import (
	"context"
	"fmt"
	"sync/atomic"

	"go.starlark.net/starlark"

	"perago/starlib/diag"
)

// LimitError is the cause of a context that a limit of the body ended.
type LimitError struct {
	Code   diag.Code
	Limit  string // "steps", "seconds", "memory"
	Found  string // the figure, with its unit
	Wanted string
	Hint   string
}

func (e *LimitError) Error() string {
	return fmt.Sprintf("the body passed its limit of %s: got %s, want %s", e.Limit, e.Found, e.Wanted)
}

// limiter ends a body that passes one of its limits. The first limit wins.
type limiter struct {
	thread *starlark.Thread
	cancel context.CancelCauseFunc
	passed atomic.Pointer[LimitError]
}

// limit puts a body's limits on its thread. The context it returns ends, with
// the *LimitError or the cause of ctx, when the body has to stop; release must
// be called when the body has returned.
func limit(ctx context.Context, thread *starlark.Thread, l Limits) (context.Context, func()) {
	inner, cancel := context.WithCancelCause(ctx)
	lim := &limiter{thread: thread, cancel: cancel}
	if l.Steps > 0 {
		thread.SetMaxExecutionSteps(l.Steps)
		thread.OnMaxSteps = func(*starlark.Thread) {
			lim.pass(&LimitError{Code: "P4001", Limit: "steps", Found: fmt.Sprint(thread.ExecutionSteps()),
				Wanted: fmt.Sprintf("at most %d", l.Steps), Hint: "raise resources(steps = ...), or do less in one attempt"})
		}
	}
	var stopWall context.CancelFunc = func() {}
	if l.Wall > 0 {
		inner, stopWall = context.WithTimeoutCause(inner, l.Wall, &LimitError{Code: "P4002", Limit: "seconds",
			Found: l.Wall.String(), Wanted: "less", Hint: "raise resources(seconds = ...), or do less in one attempt"})
	}
	unwatch := context.AfterFunc(inner, func() { thread.Cancel(context.Cause(inner).Error()) })
	return inner, func() { unwatch(); stopWall(); cancel(nil) }
}

// pass ends the body because of e.
func (l *limiter) pass(e *LimitError) {
	if l.passed.CompareAndSwap(nil, e) {
		l.thread.Cancel(e.Error())
		l.cancel(e)
	}
}
