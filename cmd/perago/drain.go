package main

import (
	"context"
	"os"
	"sync"
	"syscall"

	"perago/engine/queue"
)

// stopping is what the signals mean to a worker: the first ends polling, the
// second ends what runs.
type stopping struct {
	drain context.Context // ends at the first signal
	force context.Context // ends at the second

	mu      sync.Mutex
	second  os.Signal // nil: there was none
	release func()    // stops listening
}

func (a *app) stopping(ctx context.Context) *stopping {
	s := &stopping{}
	var endDrain, endForce context.CancelCauseFunc
	s.drain, endDrain = context.WithCancelCause(ctx)
	s.force, endForce = context.WithCancelCause(ctx)
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for count := 0; ; count++ {
			var sig os.Signal
			select {
			case <-done:
				return
			case sig = <-a.signals:
			}
			switch count {
			case 0:
				endDrain(errInterrupted)
			case 1:
				s.mu.Lock()
				s.second = sig
				s.mu.Unlock()
				endForce(queue.ErrForced)
			}
		}
	}()
	s.release = func() {
		close(done)
		<-ended
		endDrain(nil)
		endForce(nil)
	}
	return s
}

// outcome is nil for a worker that was drained, or ended by a second SIGTERM:
// that is what an operator asked for. A second Ctrl-C is an interruption.
func (s *stopping) outcome() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.second == syscall.SIGINT {
		return told(exitInterrupted)
	}
	return nil
}
