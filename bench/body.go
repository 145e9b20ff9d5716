package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"go.starlark.net/starlark"

	"perago/engine"
	"perago/engine/isolate"
	"perago/engine/module"
	"perago/engine/queue"
)

const tiny = `
task(name = "tiny", params = schema(n = int), result = schema(n = int))

def run(params):
    return {"n": params.n + 1}
`

// bodies measures what the engine adds to a call of a Starlark function, and
// what a process of its own adds to that.
func bodies(ctx context.Context, dir string) ([]figure, error) {
	file := filepath.Join(dir, "tiny.star")
	if err := os.WriteFile(file, []byte(tiny), 0o600); err != nil {
		return nil, err
	}
	m, problems := module.Load(file, nil)
	if m == nil {
		return nil, problems
	}
	params, problems := m.Task.CheckParams([]byte(`{"n": 1}`))
	if len(problems) > 0 {
		return nil, problems
	}
	bare := testing.Benchmark(func(b *testing.B) {
		for b.Loop() {
			if _, err := starlark.Call(&starlark.Thread{}, m.Body, starlark.Tuple{params.Value()}, nil); err != nil {
				b.Fatal(err)
			}
		}
	})
	attempt := queue.Attempt{Task: "tiny", Input: []byte(`{"params": {"n": 1}}`)}
	thread := &engine.Runner{Body: engine.InProcess{}}
	whole := testing.Benchmark(func(b *testing.B) {
		for b.Loop() {
			if res := thread.Run(ctx, m, attempt, engine.Hooks{}); res.Status != queue.Completed {
				b.Fatal(res.Reason)
			}
		}
	})
	over := time.Duration(whole.NsPerOp() - bare.NsPerOp())
	figures := []figure{{
		What: "a body through the whole engine, in thread mode, over starlark.Call", Got: time.Duration(whole.NsPerOp()).String(),
		Beside: "starlark.Call " + time.Duration(bare.NsPerOp()).String(), Ratio: float64(whole.NsPerOp()) / float64(bare.NsPerOp()),
		Bound: "under 20µs more", Holds: over < 20*time.Microsecond,
	}}
	child, err := children(ctx, m, attempt, thread)
	return append(figures, child...), err
}

// children measures one slot of process mode: with a child that waits, as a
// worker has it that comes from a poll, in turn with thread mode; and one attempt
// right after another, each of which waits for the start of its child.
func children(ctx context.Context, m *module.Module, a queue.Attempt, thread *engine.Runner) ([]figure, error) {
	body := isolate.New(isolate.Options{})
	defer body.Close()
	process := &engine.Runner{Body: body}
	var inThread, inChild, backToBack []time.Duration
	one := func(runner *engine.Runner, times *[]time.Duration) error {
		start := time.Now()
		if res := runner.Run(ctx, m, a, engine.Hooks{}); res.Status != queue.Completed {
			return fmt.Errorf("attempt: %s", res.Reason)
		}
		*times = append(*times, time.Since(start))
		return nil
	}
	for range 200 {
		if err := body.Warm(ctx, m); err != nil {
			return nil, err
		}
		if err := errors.Join(one(thread, &inThread), one(process, &inChild)); err != nil {
			return nil, err
		}
	}
	for range 200 {
		if err := one(process, &backToBack); err != nil {
			return nil, err
		}
	}
	if err := body.Warm(ctx, m); err != nil {
		return nil, err
	}
	spare, err := memoryOf(os.Getpid())
	if err != nil {
		return nil, err
	}
	t, c, b := median(inThread), median(inChild), median(backToBack)
	return []figure{
		{What: "an attempt in a process of its own that waited for it", Got: round(c), Beside: "thread mode " + round(t), Ratio: float64(c) / float64(t),
			Bound: "under 3ms more", Holds: c-t < 3*time.Millisecond},
		{What: "the same right after another attempt, so that it waits for its process", Got: round(b), Beside: "thread mode " + round(t), Ratio: float64(b) / float64(t)},
		{What: "memory of one waiting child", Got: megabytes(spare.descendants), Bound: "under 15 MB", Holds: spare.descendants < 15<<20},
	}, nil
}

func median(times []time.Duration) time.Duration {
	times = slices.Sorted(slices.Values(times))
	return times[len(times)/2]
}

func round(d time.Duration) string { return d.Round(10 * time.Microsecond).String() }

func megabytes(n int64) string { return fmt.Sprintf("%.1f MB", float64(n)/(1<<20)) }
