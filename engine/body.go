package engine

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"strings"
	"time"

	"perago/engine/module"
	"perago/starlib"
	"perago/starlib/diag"
	"perago/starlib/schema"
)

// Body runs the body of a module once. Two implementations: InProcess, and the
// child process of engine/isolate.
type Body interface {
	// Run calls run(workspace, params), or run(params) when call.Files is nil, and
	// returns the returned value as JSON, checked against the schema of the result
	// within the limits of the call. The error is a *BodyError, or
	// context.Cause(ctx) when the body was ended from outside. Usage is filled in
	// as far as it is known, whatever the outcome.
	Run(ctx context.Context, m *module.Module, call Call) (result json.RawMessage, usage Usage, err error)
}

// BodyError is a body that ended with an error of its own.
type BodyError struct {
	Diagnostics diag.List // at least one
	Terminal    bool      // fail_terminal(...): never retried
}

func (e *BodyError) Error() string { return e.Diagnostics.Error() }

// Unwrap gives the diagnostics.
func (e *BodyError) Unwrap() error { return e.Diagnostics }

// Call is what one run of a body gets.
type Call struct {
	Params   schema.Params  // checked, defaults filled in
	Files    starlib.Files  // nil for a task without a workspace
	Tables   starlib.Tables // engines of statements; nil where the body's process finds its own, or there are none
	Limits   Limits
	Now      time.Time              // what time.now() gives, whenever it is called; zero is the clock
	Log      func(starlib.Record)   // called from one goroutine at a time
	Progress func(starlib.Progress) // the same
}

// clock is what time.now() asks.
func (c Call) clock() func() time.Time {
	if c.Now.IsZero() {
		return time.Now
	}
	return func() time.Time { return c.Now }
}

// Limits of one run of a body; 0 is no limit.
type Limits struct {
	Memory int64         // bytes of live memory
	Wall   time.Duration // from the call of run to its return
	Steps  uint64        // instructions of the interpreter
	Output int64         // bytes of the files that are published afterwards

	// Scratch bounds each file that is written, in bytes; the overlay bounds them
	// all together.
	Scratch int64
	Threads int // of one statement of SQL; 0 is 1
}

// Usage is what one run of a body took.
type Usage struct {
	Steps     uint64
	PeakBytes int64 // of live memory, as far as it was observed; 0 when it was not

	// ProcessBytes is the most memory that the process of the body had, with
	// garbage, the Go runtime and the program itself; 0 when the body had no
	// process of its own, or that is not known.
	ProcessBytes int64

	AskedTime bool // the body called time.now
	Caught    bool // catch(...) took an error back
}

// limitsOf is what holds for a task: the lowest of what the task declares and
// what the operator allows. timeout(seconds) bounds a body as well, because
// Conductor would give the attempt up at that moment.
func limitsOf(t *starlib.Task, ceiling Limits) Limits {
	seconds := func(n int) time.Duration { return time.Duration(n) * time.Second }
	return Limits{
		Memory: lowest(t.Resources.Memory, ceiling.Memory),
		Wall:   lowest(seconds(t.Resources.Seconds), seconds(t.Controls.Timeout.Seconds), ceiling.Wall),
		Steps:  lowest(t.Resources.Steps, ceiling.Steps),
		Output: t.Resources.Output, Scratch: t.Resources.Scratch, Threads: t.Resources.Threads,
	}
}

// lowest of the limits that are set; 0 when none is.
func lowest[T int64 | uint64 | time.Duration](limits ...T) T {
	var least T
	for _, l := range limits {
		if l > 0 && (least == 0 || l < least) {
			least = l
		}
	}
	return least
}

// record logs one record of the body, without secrets.
func (x *execution) record(r starlib.Record) {
	attrs := []slog.Attr{slog.String("at", diag.Printable(fmt.Sprintf("%s:%d", r.At.File, r.At.Line)))}
	message := x.redact.Line(r.Message)
	var line strings.Builder
	fmt.Fprintf(&line, "%s %s %s", r.Level, attrs[0].Value, message)
	for _, f := range r.Fields {
		key, value := x.redact.Line(f.Key), x.redact.Value(f.Value)
		attrs = append(attrs, slog.Attr{Key: "field." + key, Value: value})
		fmt.Fprintf(&line, " %s=%s", key, value)
	}
	x.log.LogAttrs(context.Background(), r.Level, message, attrs...)
	if x.hooks.Record != nil {
		x.hooks.Record(line.String())
	}
}

// progress passes a report on, without secrets: a number that is one counts as 0.
func (x *execution) progress(p starlib.Progress) {
	p.Message = x.redact.Line(p.Message)
	for _, n := range []*float64{&p.Done, &p.Total} {
		if x.redact.Float(*n) {
			*n = 0
		}
	}
	if x.hooks.Progress != nil {
		x.hooks.Progress(p)
	}
}
