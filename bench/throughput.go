package main

import (
	"context"
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"perago/e2e/servers"
	"strconv"
	"time"
)

const (
	trivial = `task(name = "%s", owner_email = "bench@example.com")

def run(params):
    return {}
`
	throughputTasks = 300
	throughputSlots = 16
)

// throughput measures how fast a worker gets through tasks that do nothing,
// beside the SDK's runner. Nothing is promised of it: each body costs a process
// of its own, and on two cores the servers want them as well.
func (s *site) throughput(ctx context.Context) ([]figure, error) {
	slots := strconv.Itoa(throughputSlots)
	file := filepath.Join(s.dir, "trivial.star")
	var ours, theirs []time.Duration
	for range 3 {
		sdk, err := s.drain(ctx, "bench.none", s.sdkworker, s.conductor.API(), "bench.none", slots)
		if err != nil {
			return nil, err
		}
		perago, err := s.drain(ctx, "bench.trivial", s.perago, "start", file, "-j", slots)
		if err != nil {
			return nil, err
		}
		ours, theirs = append(ours, perago), append(theirs, sdk)
	}
	o, t := median(ours), median(theirs)
	speed := float64(t) / float64(o)
	return []figure{{What: fmt.Sprintf("%d trivial tasks at %d slots", throughputTasks, throughputSlots), Got: round(o),
		Beside: "the SDK's runner " + round(t) + ", its time over ours", Ratio: speed}}, nil
}

// drain queues tasks, starts a worker, and says how long it took with them.
func (s *site) drain(ctx context.Context, task, worker string, args ...string) (time.Duration, error) {
	file := filepath.Join(s.dir, map[string]string{"bench.none": "none.star", "bench.trivial": "trivial.star"}[task])
	if err := os.WriteFile(file, fmt.Appendf(nil, trivial, task), 0o600); err != nil {
		return 0, err
	}
	if _, err := s.timed(ctx, s.dir, s.perago, "register", file); err != nil {
		return 0, err
	}
	if err := s.conductor.DefineWorkflow(ctx, task, []servers.WorkflowTask{{Name: task, Reference: "only", Type: "SIMPLE",
		Input: map[string]any{"params": map[string]any{}}}}); err != nil {
		return 0, err
	}
	for range throughputTasks {
		if _, err := s.conductor.StartWorkflow(ctx, task, map[string]any{}); err != nil {
			return 0, err
		}
	}
	cmd := exec.CommandContext(ctx, worker, args...)
	cmd.Env = s.env(s.dir)
	begun := time.Now()
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	defer (&running{cmd: cmd}).stop()
	for range 600 {
		var left []string
		if err := s.conductor.Call(ctx, "GET /workflow/running/"+url.PathEscape(task)+"?version=1", nil, &left); err != nil {
			return 0, err
		}
		if len(left) == 0 {
			return time.Since(begun), nil
		}
		if err := settle(ctx, 100*time.Millisecond); err != nil {
			return 0, err
		}
	}
	return 0, fmt.Errorf("%s: not done after a minute", task)
}
