package engine

import (
	"context"
	"errors"
	"runtime/debug"

	"go.starlark.net/starlark"

	"perago/engine/heap"
	"perago/engine/module"
	"perago/starlib"
	"perago/starlib/diag"
)

// Prompt is a session in which statements are typed: each of them runs as a body
// does, within the limits of one, and the values that it binds stay for the next.
// It is for one goroutine at a time, in a process that runs nothing else.
type Prompt struct {
	*module.Prompt

	module    *module.Module
	call      Call
	run       *starlib.Run
	dedicated *Dedicated
}

// promptMemory is the limit where no file declares a task: that of a task which
// declares none.
const promptMemory = 512 << 20

// NewPrompt starts a session with the names of m, `params`, and `workspace` when
// call has files. The limits are those of the task of m, if it has one, below the
// ceiling. noParams leaves `params` out.
func NewPrompt(m *module.Module, call Call, ceiling Limits, noParams bool) *Prompt {
	call.Limits = ceiling
	call.Limits.Memory = lowest(promptMemory, ceiling.Memory)
	if m.Task != nil {
		call.Limits = limitsOf(m.Task, ceiling)
	}
	since := heap.NewReader().Read()
	p := &Prompt{module: m, call: call, run: &starlib.Run{Files: call.Files, Progress: call.Progress, Now: call.clock(), Bounds: m.Bounds()}}
	p.dedicated = &Dedicated{Since: &since, Passed: func(*LimitError) {}, Stuck: func(starlib.Position) {}, Peak: func(int64) {},
		Enter: func(string, starlib.Position) {}}
	p.Reset(noParams)
	return p
}

// Reset forgets all that was bound.
func (p *Prompt) Reset(noParams bool) {
	names := starlark.StringDict{}
	if !noParams {
		names["params"] = p.call.Params.Value()
	}
	if p.call.Files != nil {
		names["workspace"] = p.run.Workspace()
	}
	p.Prompt = p.module.Prompt(names)
}

// Eval runs a statement. shown is the value of an expression as it is written,
// "" for none and for None. The error is a *BodyError or the cause of ctx.
func (p *Prompt) Eval(ctx context.Context, s *module.Typed) (shown string, err error) {
	thread := &starlark.Thread{Name: "prompt"}
	lim, inner, release := limit(ctx, thread, p.module, starlib.Position{}, p.call, p.dedicated)
	defer release()
	p.run.Log = lim.record
	p.run.Again(inner, thread)
	shown, err = p.eval(thread, s)
	if err == nil {
		err = context.Cause(inner)
	}
	if err != nil {
		return "", bodyError(inner, p.module, p.run, err)
	}
	return shown, nil
}

func (p *Prompt) eval(thread *starlark.Thread, s *module.Typed) (shown string, err error) {
	defer func() {
		if v := recover(); v != nil {
			err = &PanicError{Value: v, Stack: thread.CallStack().String() + "\n" + string(debug.Stack())}
		}
	}()
	v, err := p.Run(thread, s)
	if err != nil || v == nil || v == starlark.None {
		return "", err
	}
	return p.Show(thread, v)
}

// Close closes the files that the statements left open.
func (p *Prompt) Close(ctx context.Context) error {
	return p.run.End(ctx)
}

// Complaints are what is wrong, of an error of Eval; nil when it was ended from outside.
func Complaints(err error) diag.List {
	var body *BodyError
	if errors.As(err, &body) {
		return body.Diagnostics
	}
	return nil
}
