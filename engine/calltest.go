package engine

import (
	"context"
	"errors"
	"runtime/debug"

	"go.starlark.net/starlark"

	"perago/engine/module"
	"perago/starlib"
)

// CallTest calls a function of the test file m with the value that t makes, within
// the limits of call, which hold it as they hold a body. t gets the context that
// ends with the test. The error joins the *LimitError that ended the test to
// where it was; a panic of perago's own is an error, too.
func CallTest(ctx context.Context, m *module.Module, fn *starlark.Function, call Call, dedicated *Dedicated, t func(context.Context) starlark.Value) error {
	thread := &starlark.Thread{Name: fn.Name()}
	lim, ctx, release := limit(ctx, thread, m, placeOf(fn), call, dedicated)
	defer release()
	run := &starlib.Run{Context: ctx, Now: call.clock(), Log: lim.record, Progress: call.Progress, Bounds: m.Bounds()}
	run.Attach(thread)
	err := calledTest(thread, fn, t(ctx))
	err = errors.Join(err, run.End(ctx))
	if passed := lim.passed.Load(); passed != nil {
		err = errors.Join(err, passed)
	}
	return err
}

// calledTest is the call itself.
func calledTest(thread *starlark.Thread, fn *starlark.Function, t starlark.Value) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = &PanicError{Value: v, Stack: string(debug.Stack())}
		}
	}()
	_, err = starlark.Call(thread, fn, starlark.Tuple{t}, nil)
	return err
}
