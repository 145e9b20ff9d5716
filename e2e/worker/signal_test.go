//go:build linux

package worker

import (
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"perago/engine/queue"
)

// A worker with nothing to do is gone within a second.
func TestIdleWorkerStops(t *testing.T) {
	s := newScene(t, quick)
	for _, sig := range []syscall.Signal{syscall.SIGTERM, syscall.SIGINT} {
		p := s.worker(s.root())
		p.logs("worker started")
		began := time.Now()
		p.signal(sig)
		p.exits(0)
		took := time.Since(began)
		if took > time.Second {
			t.Errorf("%v: the worker took %s to end, want at most 1 s", sig, took)
		}
		t.Logf("%v: %d ms", sig, took.Milliseconds())
	}
}

// A worker that is told to stop takes nothing more, keeps the lease of what it
// runs for as long as that takes, and reports it.
func TestWorkerDrains(t *testing.T) {
	t.Parallel()
	s := newScene(t, strings.ReplaceAll(quick, "response_seconds = 3", "response_seconds = 5"))
	root := s.root()
	env, held := s.fault("step ran", "hold")
	p := s.worker(root, env...)
	first := s.start()
	eventually(t, "the attempt runs", func() bool { return exists(held) })
	p.signal(syscall.SIGTERM)
	p.logs("worker draining")
	<-time.After(4 * time.Second) // a poll that was open at the signal has ended
	second := s.start()
	<-time.After(7 * time.Second) // more than two leases, in all
	if w, err := site.conductor.Workflow(t.Context(), first); err != nil || len(w.Tasks) != 1 || w.Tasks[0].Status != "IN_PROGRESS" {
		t.Errorf("after two leases: got %+v, %v, want the first attempt to be in progress", w, err)
	}
	must(t, os.Remove(held))
	p.exits(0)
	w, err := site.conductor.Workflow(t.Context(), first)
	must(t, err)
	s.publishedOnce(first, w)
	if len(w.Tasks) != 1 {
		t.Errorf("attempts: got %+v, want one", w.Tasks)
	}
	if w, err = site.conductor.Workflow(t.Context(), second); err != nil || len(w.Tasks) != 1 || w.Tasks[0].Status != "SCHEDULED" {
		t.Errorf("the task that came after the signal: got %+v, %v, want it to be left to others", w, err)
	}
	s.nothingLeft(root)
}

// What ends the attempts of a worker: they are FAILED at Conductor, with the
// reason, and nothing is published.
func TestWorkerIsForced(t *testing.T) {
	tests := []struct {
		name    string
		signals []syscall.Signal
		env     string
		code    int
	}{
		{"second SIGTERM", []syscall.Signal{syscall.SIGTERM, syscall.SIGTERM}, "", 0},
		{"second SIGINT", []syscall.Signal{syscall.SIGINT, syscall.SIGINT}, "", 130},
		{"grace", []syscall.Signal{syscall.SIGTERM}, "PERAGO_SHUTDOWN_FORCE_KILL_AFTER=2s", 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := newScene(t, endless)
			root := s.root()
			p := s.worker(root, tt.env)
			id := s.start()
			p.logs("under way")
			began := time.Now()
			for i, sig := range tt.signals {
				if i > 0 {
					p.logs("worker draining")
				}
				p.signal(sig)
			}
			p.exits(tt.code)
			took := time.Since(began)
			if tt.env != "" && took < 2*time.Second {
				t.Errorf("the worker ended after %s, want it to wait 2 s for the attempt", took)
			}
			w := s.ends(id)
			if got := w.Tasks[0]; len(w.Tasks) != 1 || got.Status != "FAILED" || !strings.Contains(got.Reason, queue.ErrForced.Error()) {
				t.Errorf("got %+v, want it FAILED: %v", w.Tasks, queue.ErrForced)
			}
			if made := s.history(); len(made) > 0 {
				t.Errorf("history: got %+v, want nothing published", made)
			}
			s.nothingLeft(root)
			t.Logf("%d ms", took.Milliseconds())
		})
	}
}
