package main

import (
	"context"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"perago/e2e/servers"
	"strings"
	"sync"
	"time"
)

// gate stands before Conductor and tells when the first poll came.
type gate struct {
	*httptest.Server
	once   sync.Once
	polled chan time.Time
}

func newGate(conductor string) (*gate, error) {
	target, err := url.Parse(conductor)
	if err != nil {
		return nil, err
	}
	g := &gate{polled: make(chan time.Time, 1)}
	proxy := httputil.NewSingleHostReverseProxy(target)
	proxy.ErrorLog = log.New(io.Discard, "", 0) // a worker that stops leaves its last poll unanswered
	g.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.Contains(r.URL.Path, "/tasks/poll/batch/") {
			g.once.Do(func() { g.polled <- time.Now() })
		}
		proxy.ServeHTTP(w, r)
	}))
	return g, nil
}

// running is a worker that polls, and how long its start took.
type running struct {
	cmd   *exec.Cmd
	start time.Duration
}

// startWorker starts a worker behind a gate and waits for its first poll.
func (s *site) startWorker(ctx context.Context, cache string, name string, args ...string) (*running, error) {
	g, err := newGate(s.conductor.URL)
	if err != nil {
		return nil, err
	}
	for i := range args {
		args[i] = strings.ReplaceAll(args[i], "CONDUCTOR", g.URL+"/api")
	}
	cmd := exec.CommandContext(ctx, name, args...)
	cmd.Env = append(s.env(cache), "CONDUCTOR_SERVER_URL="+g.URL+"/api")
	stderr, err := os.Create(filepath.Join(cache, filepath.Base(name)+".log"))
	if err != nil {
		return nil, err
	}
	cmd.Stderr = stderr
	begun := time.Now()
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	select {
	case at := <-g.polled:
		return &running{cmd: cmd, start: at.Sub(begun)}, nil
	case <-time.After(30 * time.Second):
		text, _ := os.ReadFile(stderr.Name())
		cmd.Process.Kill()
		return nil, fmt.Errorf("%s did not poll within 30 s: %s", filepath.Base(name), text)
	}
}

func (r *running) stop() {
	r.cmd.Process.Signal(os.Interrupt)
	r.cmd.Wait()
}

// worker measures start and memory of `perago start -j 4`, beside the SDK's runner.
func (s *site) worker(ctx context.Context) ([]figure, error) {
	file := filepath.Join(s.dir, "all.star")
	if _, err := s.timed(ctx, s.dir, s.perago, "register", file); err != nil {
		return nil, err
	}
	var ours, theirs []time.Duration
	for range 5 {
		sdk, err := s.startWorker(ctx, s.dir, s.sdkworker, "CONDUCTOR", "bench.none", "4")
		if err != nil {
			return nil, err
		}
		sdk.cmd.Process.Kill()
		sdk.cmd.Wait()
		w, err := s.startWorker(ctx, s.dir, s.perago, "start", file, "-j", "4")
		if err != nil {
			return nil, err
		}
		w.stop()
		ours, theirs = append(ours, w.start), append(theirs, sdk.start)
	}
	o, t := median(ours), median(theirs)
	figures := []figure{{What: "perago start until the first poll", Got: round(o), Beside: "the SDK's runner " + round(t), Ratio: float64(o) / float64(t),
		Bound: "under 0.1s", Holds: o < 100*time.Millisecond}}
	memory, err := s.workerMemory(ctx, file)
	return append(figures, memory...), err
}

func (s *site) workerMemory(ctx context.Context, file string) ([]figure, error) {
	sdk, err := s.startWorker(ctx, s.dir, s.sdkworker, "CONDUCTOR", "bench.none", "4")
	if err != nil {
		return nil, err
	}
	defer func() { sdk.cmd.Process.Kill(); sdk.cmd.Wait() }()
	w, err := s.startWorker(ctx, s.dir, s.perago, "start", file, "-j", "4")
	if err != nil {
		return nil, err
	}
	defer w.stop()
	if err := settle(ctx, 2*time.Second); err != nil {
		return nil, err
	}
	peer, err := memoryOf(sdk.cmd.Process.Pid)
	if err != nil {
		return nil, err
	}
	idle, err := memoryOf(w.cmd.Process.Pid)
	if err != nil {
		return nil, err
	}
	if err := s.workflows(ctx, 8); err != nil {
		return nil, err
	}
	after, err := memoryOf(w.cmd.Process.Pid)
	if err != nil {
		return nil, err
	}
	return []figure{
		{What: "memory of perago start -j 4, idle", Got: megabytes(idle.sum()), Beside: "the SDK's runner " + megabytes(peer.sum()),
			Ratio: float64(idle.sum()) / float64(peer.sum()), Bound: "under 40 MB", Holds: idle.sum() < 40<<20},
		{What: "the same after attempts that read all of 1,000 files, children included", Got: megabytes(after.sum()),
			Bound: "under 120 MB", Holds: after.sum() < 120<<20},
	}, nil
}

// workflows runs n workflows of the task that reads all, one after another, and
// waits for each.
func (s *site) workflows(ctx context.Context, n int) error {
	if err := s.conductor.DefineWorkflow(ctx, "bench", []servers.WorkflowTask{{Name: "bench.all", Reference: "all", Type: "SIMPLE",
		Input: map[string]any{"workspace": "${workflow.input.workspace}", "params": "${workflow.input.params}"}}}); err != nil {
		return err
	}
	for range n {
		in, err := s.input(ctx)
		if err != nil {
			return err
		}
		id, err := s.conductor.StartWorkflow(ctx, "bench", in)
		if err != nil {
			return err
		}
		within, cancel := context.WithTimeout(ctx, time.Minute)
		w, err := s.conductor.Await(within, id)
		cancel()
		if err == nil && w.Status != "COMPLETED" {
			err = fmt.Errorf("workflow %s: %s: %s", id, w.Status, w.Reason)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// settle waits, or ends with ctx.
func settle(ctx context.Context, d time.Duration) error {
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-time.After(d):
		return nil
	}
}
