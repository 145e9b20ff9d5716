package main

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"go.starlark.net/starlark"

	"perago/engine"
	"perago/engine/isolate"
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
	m, problems := engine.Load(file, nil)
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
	attempt := engine.Attempt{Task: "tiny", Input: []byte(`{"params": {"n": 1}}`)}
	thread := &engine.Runner{Body: engine.InProcess{}}
	whole := testing.Benchmark(func(b *testing.B) {
		for b.Loop() {
			if res := thread.Run(ctx, m, attempt, engine.Hooks{}); res.Status != engine.Completed {
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

// children measures one slot of process mode, in turn with thread mode.
func children(ctx context.Context, m *engine.Module, a engine.Attempt, thread *engine.Runner) ([]figure, error) {
	body := isolate.New(isolate.Options{})
	defer body.Close()
	process := &engine.Runner{Body: body}
	var inThread, inChild []time.Duration
	for range 200 {
		for _, turn := range []struct {
			runner *engine.Runner
			times  *[]time.Duration
		}{{thread, &inThread}, {process, &inChild}} {
			start := time.Now()
			if res := turn.runner.Run(ctx, m, a, engine.Hooks{}); res.Status != engine.Completed {
				return nil, fmt.Errorf("attempt: %s", res.Reason)
			}
			*turn.times = append(*turn.times, time.Since(start))
		}
	}
	t, c := median(inThread), median(inChild)
	spare, err := memoryOf(os.Getpid())
	if err != nil {
		return nil, err
	}
	return []figure{
		{What: "an attempt in a process of its own", Got: round(c), Beside: "thread mode " + round(t), Ratio: float64(c) / float64(t),
			Bound: "under 3ms more", Holds: c-t < 3*time.Millisecond},
		{What: "memory of one waiting child", Got: megabytes(spare.descendants), Bound: "under 15 MB", Holds: spare.descendants < 15<<20},
	}, nil
}

func median(times []time.Duration) time.Duration {
	times = slices.Sorted(slices.Values(times))
	return times[len(times)/2]
}

func round(d time.Duration) string { return d.Round(10 * time.Microsecond).String() }

func megabytes(n int64) string { return fmt.Sprintf("%.1f MB", float64(n)/(1<<20)) }
