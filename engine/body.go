package engine

import (
	"context"
	"encoding/json"
	"time"

	"perago/starlib"
)

// Body runs the body of a module once. Two implementations: InProcess, and the
// child process of engine/isolate.
type Body interface {
	// Run calls run(workspace, params), or run(params) when call.Files is nil.
	// The error is a diag.List, a *starlib.FailError inside one included; or what
	// ended the body from outside (context.Cause(ctx)). Usage is filled in as far
	// as it is known, whatever the outcome.
	Run(ctx context.Context, m *Module, call Call) (result json.RawMessage, usage Usage, err error)
}

// Call is what one run of a body gets.
type Call struct {
	Params   starlib.Params // checked, defaults filled in
	Files    starlib.Files  // nil for a task without a workspace
	Limits   Limits
	Log      func(starlib.Record)   // may be called from one goroutine at a time
	Progress func(starlib.Progress) // the same
}

// Limits of one run of a body; 0 is no limit.
type Limits struct {
	Memory int64         // bytes of live memory
	Wall   time.Duration // from the call of run to its return
	Steps  uint64        // instructions of the interpreter
}

// Usage is what one run of a body took.
type Usage struct {
	Steps     uint64
	PeakBytes int64 // of live memory, as far as it was observed; 0 when it was not
}
