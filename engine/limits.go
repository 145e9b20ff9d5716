package engine

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"go.starlark.net/starlark"

	"perago/engine/module"
	"perago/panics"
	"perago/starlib"
	"perago/starlib/diag"
)

// What one run of a body may log and return, whatever its own limits are.
const (
	MaxRecords     = 100_000  // log records of one run
	MaxRecordBytes = 64 << 10 // of one record, message and fields; the rest is cut
	MaxLogBytes    = 16 << 20 // of all records of one run
	MaxResultBytes = 3e6      // of the returned value, as JSON: Conductor takes 3 MiB of output, unless it is set up otherwise
)

// LimitError is the cause of a context that a limit of the body ended.
type LimitError struct {
	Code   diag.Code `json:"code"`
	Limit  string    `json:"limit"` // "steps", "seconds", "memory", "log records", "log bytes", "result bytes"
	Found  string    `json:"found"` // the figure, with its unit
	Wanted string    `json:"wanted"`
	Hint   string    `json:"hint"`
}

func (e *LimitError) Error() string {
	return fmt.Sprintf("the body passed its limit of %s: got %s, want %s", e.Limit, e.Found, e.Wanted)
}

// StepsError is a body that has taken all its steps, and has not ended.
func StepsError(most uint64) *LimitError {
	return &LimitError{Code: "P4001", Limit: "steps", Found: fmt.Sprintf("more than %d", most), Wanted: fmt.Sprintf("at most %d", most),
		Hint: "raise resources(steps = ...), or do less in one attempt"}
}

// WallError is a body that ran too long.
func WallError(most time.Duration) *LimitError {
	return &LimitError{Code: "P4002", Limit: "seconds", Found: "more than " + most.String(), Wanted: "at most " + most.String(),
		Hint: "raise resources(seconds = ...), or do less in one attempt"}
}

// MemoryError is a body that held too much memory; found is in bytes.
func MemoryError(found, most int64) *LimitError {
	return &LimitError{Code: "P4003", Limit: "memory", Found: diag.Size(found), Wanted: "at most " + diag.Size(most),
		Hint: "raise resources(memory = ...), or hold less at a time: lines(), csv.reader and json.lines stream"}
}

// limiter holds one run of a body to its limits. The first limit that is passed
// ends the body; at half of one a warning is logged.
type limiter struct {
	thread    *starlark.Thread
	limits    Limits
	dedicated *Dedicated       // nil: the heap is not this body's alone
	bounds    *starlib.Bounds  // of one value; the module's
	at        starlib.Position // of the body, for warnings
	cancel    context.CancelCauseFunc
	passed    atomic.Pointer[LimitError]
	peak      atomic.Int64 // bytes of live memory

	mu      sync.Mutex // one caller of log at a time, and what follows
	log     func(starlib.Record)
	records int
	bytes   int64
}

// placeOf is where a function is defined.
func placeOf(fn *starlark.Function) starlib.Position {
	pos := fn.Position()
	return starlib.Position{File: pos.Filename(), Line: int(pos.Line), Column: int(pos.Col)}
}

// limit puts the limits of a call on the thread that will run its body, which is
// defined at a place. The
// context it returns ends, with the *LimitError or the cause of ctx, when the
// body has to stop; release must be called when the body has returned, and
// waits for what limit started.
func limit(ctx context.Context, thread *starlark.Thread, m *module.Module, at starlib.Position, call Call, dedicated *Dedicated) (*limiter, context.Context, func()) {
	inner, cancel := context.WithCancelCause(ctx)
	lim := &limiter{thread: thread, limits: call.Limits, dedicated: dedicated, bounds: m.Bounds(), cancel: cancel, log: call.Log, at: at}
	lim.boundSteps()
	done := make(chan struct{})
	var watching sync.WaitGroup
	if wall := call.Limits.Wall; wall > 0 {
		panics.Go(&watching, cancel, func() { lim.boundWall(done, wall) })
	}
	if dedicated != nil {
		lim.prepareHeap()
		panics.Go(&watching, cancel, func() { lim.boundHeap(done, call.Limits.Memory) })
		panics.Go(&watching, cancel, func() { lim.noteStuck(inner, done) })
	}
	unwatch := context.AfterFunc(inner, func() { thread.Cancel(context.Cause(inner).Error()) })
	return lim, inner, func() {
		unwatch()
		close(done)
		watching.Wait()
		cancel(nil)
	}
}

// usage is what the body took; only once it has returned.
func (l *limiter) usage() Usage {
	return Usage{Steps: l.thread.ExecutionSteps(), PeakBytes: l.peak.Load()}
}

// pass ends the body because of e.
func (l *limiter) pass(e *LimitError) {
	if l.passed.CompareAndSwap(nil, e) {
		l.cancel(e) // before the thread: catch(...) looks at the context
		l.thread.Cancel(e.Error())
		if l.dedicated != nil {
			l.dedicated.Passed(e)
		}
	}
}

// boundSteps warns at half of the steps and ends the body after all of them.
func (l *limiter) boundSteps() {
	most := l.limits.Steps
	if most == 0 {
		return
	}
	half := most / 2
	l.thread.SetMaxExecutionSteps(max(half, 1))
	l.thread.OnMaxSteps = func(thread *starlark.Thread) {
		if thread.ExecutionSteps() >= most {
			l.pass(StepsError(most))
			return
		}
		l.thread.SetMaxExecutionSteps(most)
		l.warn("steps", fmt.Sprint(thread.ExecutionSteps()), fmt.Sprint(most))
	}
}

// boundWall warns at half of the time and ends the body after all of it.
func (l *limiter) boundWall(done <-chan struct{}, most time.Duration) {
	half, full := time.NewTimer(most/2), time.NewTimer(most)
	defer half.Stop()
	defer full.Stop()
	for {
		select {
		case <-done:
			return
		case <-half.C:
			l.warn("seconds", (most / 2).String(), most.String())
		case <-full.C:
			l.pass(WallError(most))
			return
		}
	}
}

// warn logs that half of a limit is used.
func (l *limiter) warn(limit, used, most string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.log(starlib.Record{Level: slog.LevelWarn, Message: "half of the limit of " + limit + " is used", At: l.at,
		Fields: []slog.Attr{slog.String("used", used), slog.String("limit", most)}})
}

// record passes on one log record of the body, within the bounds of a run.
func (l *limiter) record(r starlib.Record) {
	r, n := clip(r)
	l.mu.Lock()
	l.records++
	l.bytes += int64(n)
	records, bytes := l.records, l.bytes
	if records <= MaxRecords && bytes <= MaxLogBytes {
		l.log(r)
	}
	l.mu.Unlock()
	const hint = "log a summary instead of every item"
	switch {
	case records > MaxRecords:
		l.pass(&LimitError{Code: "P4004", Limit: "log records", Found: fmt.Sprint(records), Wanted: fmt.Sprintf("at most %d", MaxRecords), Hint: hint})
	case bytes > MaxLogBytes:
		l.pass(&LimitError{Code: "P4004", Limit: "log bytes", Found: diag.Size(bytes), Wanted: "at most " + diag.Size(MaxLogBytes), Hint: hint})
	case records == MaxRecords/2:
		l.warn("log records", fmt.Sprint(records), fmt.Sprint(MaxRecords))
	case bytes > MaxLogBytes/2 && bytes-int64(n) <= MaxLogBytes/2:
		l.warn("log bytes", diag.Size(bytes), diag.Size(MaxLogBytes))
	}
}

// clip cuts a record to MaxRecordBytes and says how many bytes are left.
func clip(r starlib.Record) (starlib.Record, int) {
	left := MaxRecordBytes
	take := func(s string) string {
		switch {
		case left < len("…"):
			return ""
		case len(s) > left:
			s = diag.ShortenBytes(s, left)
		}
		left -= len(s)
		return s
	}
	r.Message = take(r.Message)
	for i, f := range r.Fields {
		if text := f.Value.String(); len(f.Key)+len(text) > left {
			r.Fields = append(r.Fields[:i:i], slog.String(take(f.Key), take(text)))
			break
		} else {
			left -= len(f.Key) + len(text)
		}
	}
	return r, MaxRecordBytes - left
}

// result bounds the size of what a body returns.
func (l *limiter) result(raw json.RawMessage) error {
	switch n := int64(len(raw)); {
	case n > MaxResultBytes:
		return &diag.Problem{Code: "P4005", Message: "the body passed its limit of result bytes", Found: diag.Size(n), Wanted: "at most " + diag.Size(MaxResultBytes),
			Hint: "write large results to a file of the workspace and return its name"}
	case n > MaxResultBytes/2:
		l.warn("result bytes", diag.Size(n), diag.Size(MaxResultBytes))
	}
	return nil
}
