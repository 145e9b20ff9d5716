package engine

import (
	"context"
	"encoding/json"
	"errors"
	"runtime/debug"

	"go.starlark.net/starlark"

	"perago/engine/module"
	"perago/starlib"
	"perago/starlib/diag"
	"perago/starlib/schema"
)

// InProcess runs a body in this process: for trusted tasks with very many tiny
// attempts. Steps, wall time, log and result are bounded; memory only where the
// body is alone, in the child of engine/isolate.
type InProcess struct {
	Dedicated *Dedicated // nil: other bodies share this process

	// Tables gives a body its engines of statements, when not nil.
	Tables func(Call) starlib.Tables
}

// TablesFor are the engines of statements for what is done around a body.
func (b InProcess) TablesFor(call Call) starlib.Tables {
	if b.Tables == nil {
		return nil
	}
	return b.Tables(call)
}

// Run implements Body.
func (b InProcess) Run(ctx context.Context, m *module.Module, call Call) (json.RawMessage, Usage, error) {
	thread := &starlark.Thread{Name: m.Task.Name}
	lim, ctx, release := limit(ctx, thread, m, placeOf(m.Body), call, b.Dedicated)
	defer release()
	if b.Tables != nil {
		call.Tables = b.Tables(call)
	}
	run := &starlib.Run{Context: ctx, Files: call.Files, Tables: call.Tables, Log: lim.record, Progress: call.Progress, Now: call.clock(), Bounds: m.Bounds()}
	if b.Dedicated != nil {
		run.Enter = b.Dedicated.Enter
	}
	run.Attach(thread)

	value, err := callBody(ctx, thread, m, run, call.Params)
	if err == nil {
		var raw json.RawMessage
		raw, err = schema.EncodeResult(value)
		if large, ok := err.(diag.List); ok && raw != nil { // only ints are too large
			var list diag.List
			if wrong := checkResult(ctx, m, raw); errors.As(wrong, &list) {
				err = append(large, list...)
			} else if wrong != nil {
				err = wrong
			}
		}
		if err == nil {
			err = lim.result(raw)
		}
		if err == nil {
			err = checkResult(ctx, m, raw)
		}
		if err == nil {
			usage := lim.usage()
			usage.AskedTime, usage.Caught = run.AskedTime, run.Caught
			return raw, usage, nil
		}
		err = &BodyError{Diagnostics: atReturn(m, run, m.Diagnose(err))}
	}
	return nil, lim.usage(), bodyError(ctx, m, run, err)
}

// checkResult holds a result against the schema of its task: it may cost as much
// as the body, so the limits of the body hold for it too.
func checkResult(ctx context.Context, m *module.Module, raw json.RawMessage) error {
	list, err := m.Task.CheckResult(schema.Limits{Context: ctx}, raw)
	if err == nil && len(list) > 0 {
		err = list
	}
	return err
}

// callBody calls run and closes what it left open. A panic inside a builtin is
// an error of the body, with the Starlark stack.
func callBody(ctx context.Context, thread *starlark.Thread, m *module.Module, run *starlib.Run, params schema.Params) (value starlark.Value, err error) {
	defer func() {
		if v := recover(); v != nil {
			err = &PanicError{Value: v, Stack: thread.CallStack().String() + "\n" + string(debug.Stack())}
		}
		err = errors.Join(err, run.End(ctx))
	}()
	args := starlark.Tuple{params.Value()}
	if run.Files != nil {
		args = starlark.Tuple{run.Workspace(), params.Value()}
	}
	return starlark.Call(thread, m.Body, args, nil)
}

// bodyError says what ended a body. What stopped it from outside comes first: a
// cancelled thread's own error has only the text of it. Then the error that an
// iterator kept, then what the interpreter returned.
func bodyError(ctx context.Context, m *module.Module, run *starlib.Run, err error) error {
	if cause := context.Cause(ctx); cause != nil {
		var passed *LimitError
		if !errors.As(cause, &passed) {
			return cause
		}
		list := m.Diagnose(err) // for its place and its stack
		return &BodyError{Diagnostics: diag.List{limitDiagnostic(passed, list)}}
	}
	if kept := run.Err(); kept != nil {
		err = errors.Join(kept, err) // what went wrong, and where
	}
	var body *BodyError
	var fault *PanicError
	if errors.As(err, &body) || errors.As(err, &fault) {
		return err
	}
	var fail *starlib.FailError
	return &BodyError{Diagnostics: m.Diagnose(err), Terminal: errors.As(err, &fail) && fail.Terminal}
}

// limitDiagnostic puts a passed limit where the body was at that moment.
func limitDiagnostic(e *LimitError, at diag.List) *diag.Diagnostic {
	d := &diag.Diagnostic{}
	if len(at) > 0 {
		*d = *at[0]
	}
	d.Code, d.Severity, d.Message = e.Code, diag.Error, "the body passed its limit of "+e.Limit
	d.Found, d.Wanted, d.Hint = e.Found, e.Wanted, e.Hint
	return d
}

// atReturn gives diagnostics of a result the place of its return statement.
func atReturn(m *module.Module, run *starlib.Run, list diag.List) diag.List {
	at := run.Returned
	for _, d := range list {
		if d.File == "" {
			d.File, d.Line, d.Column = at.File, at.Line, at.Column
		}
	}
	return atBody(m, list)
}

// atBody gives diagnostics without a place that of `def run`.
func atBody(m *module.Module, list diag.List) diag.List {
	pos := m.Body.Position()
	for _, d := range list {
		if d.File == "" {
			d.File, d.Line, d.Column = pos.Filename(), int(pos.Line), int(pos.Col)
		}
	}
	return m.Locate(list)
}
