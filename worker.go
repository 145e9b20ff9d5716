package perago

import (
	"context"
	"errors"
	"fmt"
	"time"

	"perago/engine/isolate"
	"perago/engine/queue"
	"perago/engine/worker"
	"perago/workspace/attempts"
)

// Queue hands out attempts and takes their outcome. It is called from many
// goroutines at once.
type Queue interface {
	// Poll returns at most max attempts of one task; it may wait for so long when
	// there are none.
	Poll(ctx context.Context, task string, max int, wait time.Duration) ([]Attempt, error)
	// Report takes an outcome. After ErrGone or ErrRejected it is not told again;
	// after any other error it is, with pauses.
	Report(ctx context.Context, r Report) error
}

// Leaser is a Queue whose attempts are leased for Attempt.ResponseTimeout. Where
// a Queue is none, nobody asks whether an attempt is still wanted before it
// publishes.
type Leaser interface {
	// Extend renews the lease of an attempt. ErrGone: it is not ours any more,
	// which ends the attempt.
	Extend(ctx context.Context, a Attempt) error
	// Current is asked just before a publication, and may be asked after a report:
	// ErrGone is that the attempt is over, or not ours any more. Then nothing is
	// published.
	Current(ctx context.Context, a Attempt) error
}

// Attempt is one try of one task. The tries of one task have the same WorkflowID,
// Reference and Iteration, or the same TaskID where there is no WorkflowID: a
// later try adopts what an earlier one has published. TaskID and Retry tell the
// tries apart. Input is what Conductor hands out: {"workspace": {"repository",
// "branch", "refType": "commit", "ref"}, "params": {...}}, without the first on a
// Folder and for a task without a workspace.
type Attempt = queue.Attempt

// Report is what a queue is told when an attempt is over.
type Report = queue.Report

var (
	ErrGone     = queue.ErrGone     // the queue does not count on this attempt any more
	ErrRejected = queue.ErrRejected // the queue will never take this report
)

// Worker serves tasks from a queue, as `perago start` serves them from Conductor.
// Its fields are set before Run.
type Worker struct {
	Tasks   []*Task // at least one, of different names
	Queue   Queue
	Slots   int           // attempts at once; 0 is the number of CPUs
	Grace   time.Duration // from the end of ctx until what still runs is ended; 0 is never
	Options RunOptions    // of every attempt. A worker has Dir for itself alone
}

// Run serves until ctx ends; then it polls no more, finishes what it has, reports
// it, and returns nil. An error means that it did not begin.
func (w *Worker) Run(ctx context.Context) error {
	if w.Queue == nil {
		return errors.New("a worker needs a Queue")
	}
	if w.Options.Ref != (Ref{}) {
		return errors.New("a worker has no Ref: the input of each attempt names its commit")
	}
	s, err := w.Options.open(attempts.RootOptions{}, w.Tasks...)
	if err != nil {
		return err
	}
	defer s.close()
	processes := w.Options.processes(isolate.Options{Slots: w.Slots})
	s.runner.Body = w.Options.body(processes)
	s.closers = append(s.closers, processes.Close)
	q := adapted{w.Queue, nil}
	q.leaser, _ = w.Queue.(Leaser)
	e := worker.Worker{RunAttempt: s.run, Queue: q, Leaser: q, Slots: w.Slots, Grace: w.Grace, Sweep: s.sweep, Log: s.runner.Log}
	for _, t := range w.Tasks {
		e.Modules = append(e.Modules, t.module)
	}
	if s.lake != nil {
		e.ProbeStore = s.lake.check
	}
	return e.Run(ctx, context.Background())
}

// adapted is a Queue as the engine wants it: one that cannot tell what waits, and
// takes no lines of a log.
type adapted struct {
	Queue
	leaser Leaser // nil: there are no leases
}

// Poll implements queue.Queue. Attempts that nothing tells apart could adopt one
// another's publication.
func (q adapted) Poll(ctx context.Context, task string, max int, wait time.Duration) ([]Attempt, error) {
	attempts, err := q.Queue.Poll(ctx, task, max, wait)
	for i := range attempts {
		if attempts[i].TaskID == "" {
			return nil, fmt.Errorf("the queue handed out an attempt of %s without a TaskID", task)
		}
		attempts[i].Task = task
		if q.leaser == nil {
			attempts[i].ResponseTimeout = 0
		}
	}
	return attempts, err
}

// Waiting implements queue.Queue.
func (adapted) Waiting(context.Context, []string) ([]string, error) {
	return nil, queue.ErrUnsupported
}

// Report implements queue.Queue.
func (q adapted) Report(ctx context.Context, r Report) (next *Attempt, err error) {
	return nil, q.Queue.Report(ctx, r)
}

// Extend implements queue.Leaser.
func (q adapted) Extend(ctx context.Context, a Attempt) error {
	if q.leaser == nil {
		return nil
	}
	return q.leaser.Extend(ctx, a)
}

// Current implements queue.Leaser.
func (q adapted) Current(ctx context.Context, a Attempt) error {
	if q.leaser == nil {
		return nil
	}
	return q.leaser.Current(ctx, a)
}

// Note implements queue.Leaser: the lines are in the Report as well.
func (adapted) Note(context.Context, Attempt, []string) error { return queue.ErrUnsupported }
