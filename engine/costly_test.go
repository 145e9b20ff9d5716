package engine_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"perago/engine"
	"perago/engine/queue"
	"perago/starlib"
)

// An input that would take the worker's memory is refused for good, before the
// body and before a server is asked.
func TestCostlyInputIsTerminal(t *testing.T) {
	f := newFixture(t, map[string]string{"raw/a.csv": "x"})
	m := load(t, "task(name = \"t\", params = schema(xs = list_of(anything())))\n\ndef run(params):\n    return {}\n")
	res := f.runner.Run(t.Context(), m, queue.Attempt{Input: []byte(`{"params": {"xs": [` + strings.Repeat(`{},`, 300_000) + `0]}}`)}, engine.Hooks{})
	want := "/params: the check takes too much: got more than 128 MiB of memory, want at most 128 MiB"
	if res.Status != queue.FailedTerminal || !strings.HasPrefix(res.Reason, want) {
		t.Errorf("got %s %q, want a terminal %q", res.Status, res.Reason, want)
	}
}

// Force gets through to the check of an input.
func TestCheckOfTheInputIsCancelled(t *testing.T) {
	f := newFixture(t, map[string]string{"raw/a.csv": "x"})
	m := load(t, "task(name = \"t\", params = schema(xs = list_of(union(*[list_of(one_of(i)) for i in range(1000)]))))\n\ndef run(params):\n    return {}\n")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(queue.ErrForced)
	res := f.runner.Run(ctx, m, queue.Attempt{Input: []byte(`{"params": {"xs": [` + strings.Repeat(`[""],`, 300_000) + `0]}}`)}, engine.Hooks{})
	if res.Status != queue.Failed || !errors.Is(res.Err, queue.ErrForced) {
		t.Errorf("got %s %v, want the cause of the cancel", res.Status, res.Err)
	}
}

// The check of a result is part of its body: it ends at the body's limits.
func TestCheckOfAResultIsBounded(t *testing.T) {
	m := load(t, `
task(name = "t", result = schema(s = field(str, pattern = "^(" + "|".join(["[ab]*a[ab]{%d}c" % (900 + i) for i in range(20)]) + ")$")))

def run(params):
    return {"s": "ab" * 1400000}
`)
	params, _ := m.Task.CheckParams([]byte(`{}`))
	call := engine.Call{Params: params, Limits: engine.Limits{Wall: 100 * time.Millisecond}, Log: func(starlib.Record) {}}
	_, _, err := engine.InProcess{}.Run(t.Context(), m, call)
	var body *engine.BodyError
	if !errors.As(err, &body) || body.Diagnostics[0].Code != "P4002" {
		t.Errorf("got %v, want the limit of seconds", err)
	}
}
