// Package worker is the loop around attempts: it polls a queue, keeps the lease of
// what it got, has it run, and reports what became of it.
package worker

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"perago/engine"
	"perago/engine/logs"
	"perago/engine/module"
	"perago/engine/queue"
	"perago/starlib"
)

// This file holds the Worker, its run from the first poll to the last report, and
// one attempt on one slot. The poll loop is in poll.go, the delivery of results
// in report.go, the lease in lease.go.

// Worker polls a queue for the tasks of its modules and runs what it gets, on
// slots that all modules share. Its fields are set before Run and not changed.
type Worker struct {
	RunAttempt func(context.Context, *module.Module, queue.Attempt, engine.Hooks) engine.Result // (*Runner).Run
	Queue      queue.Queue
	Leaser     queue.Leaser
	Modules    []*module.Module // at least one; the names of their tasks are distinct

	Slots           int           // attempts at once; 0 is the number of CPUs
	PollIntervalMax time.Duration // between two turns of polls while there is nothing to do; 0 is 200 ms
	Grace           time.Duration // from the signal until the attempts are ended with ErrForced; 0 is never

	// Sweep, when set, is called before the first poll and then every
	// SweepInterval (0 is 1 h) until the worker drains. It logs for itself.
	Sweep         func(context.Context)
	SweepInterval time.Duration

	// ProbeStore, when set, is asked whether the store can be reached, after
	// attempts that failed because it could not; see storeWatch.
	ProbeStore func(context.Context) error

	Log *slog.Logger // nil: nothing is logged

	mu       sync.Mutex
	running  map[*running]struct{}
	counts   Counts
	draining time.Time // since when; zero: it does not
}

// Counts of a worker since its start.
type Counts struct {
	Completed, Failed, FailedTerminal int
	Undelivered                       int // results that no server took, of any status
}

// Snapshot is what a worker is doing now.
type Snapshot struct {
	Slots    int
	Counts   Counts
	Running  []Running // oldest first
	Draining time.Time // since when; zero: it does not drain
}

// Running is an attempt on its slot.
type Running struct {
	Attempt  queue.Attempt
	Since    time.Time
	Progress starlib.Progress // the last that the body reported; zero when it reported none
}

// running is a Running in the set of the worker, whose lock guards it.
type running struct{ Running }

// Snapshot says what the worker is doing. It may be called at any time.
func (w *Worker) Snapshot() Snapshot {
	w.mu.Lock()
	defer w.mu.Unlock()
	s := Snapshot{Slots: w.slotCount(), Counts: w.counts, Draining: w.draining}
	for r := range w.running {
		s.Running = append(s.Running, r.Running)
	}
	slices.SortFunc(s.Running, func(a, b Running) int { return a.Since.Compare(b.Since) })
	return s
}

func (w *Worker) enter(r *running) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.running == nil {
		w.running = make(map[*running]struct{})
	}
	w.running[r] = struct{}{}
}

func (w *Worker) leave(r *running) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.running, r)
}

func (w *Worker) setProgress(r *running, p starlib.Progress) {
	w.mu.Lock()
	defer w.mu.Unlock()
	r.Progress = p
}

func (w *Worker) setDraining() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.draining = time.Now()
}

func (w *Worker) count(s queue.Status) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch s {
	case queue.Completed:
		w.counts.Completed++
	case queue.FailedTerminal:
		w.counts.FailedTerminal++
	default:
		w.counts.Failed++
	}
}

func (w *Worker) countUndelivered() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.counts.Undelivered++
}

// loop is what one call of Run shares with the goroutines it starts.
type loop struct {
	*Worker
	log     *slog.Logger
	modules map[string]*module.Module
	slots   *slots
	store   storeWatch
	poll    context.Context // ended: no new poll
	work    context.Context // ended: no attempt goes on
	report  context.Context // ended: no result is offered again
	group   sync.WaitGroup  // one for each slot in use
}

// forcedReport is how long results are offered once the worker was forced.
const forcedReport = 10 * time.Second

// Run polls until drain ends, finishes what it has, and returns when every
// attempt is over and reported, or given up on. force ends the attempts that
// still run; it may end first, and then drain ends with it.
//
// Three contexts are made here, because three things end at three times:
//
//   - poll ends with drain, at the first signal. No poll begins after that. One
//     that is open goes on, for the server may be handing an attempt out just
//     now: what it brings is run.
//   - work ends with force, at the second signal or after Grace, its cause is
//     ErrForced. Each attempt runs on a child of it that a lost lease ends as
//     well, with ErrLeaseLost. The lease is kept on the same child, so it is
//     kept while draining.
//   - report is independent of both, since the outcome of an attempt has to be
//     reported even when the attempt was ended. After ErrForced it has
//     forcedReport left, so that a server that is gone cannot hold the process.
func (w *Worker) Run(drain, force context.Context) error {
	if len(w.Modules) == 0 {
		return errors.New("there is no task to serve")
	}
	modules := make(map[string]*module.Module, len(w.Modules))
	for _, m := range w.Modules {
		if modules[m.Task.Name] != nil {
			return fmt.Errorf("task %s: two of the files declare it", m.Task.Name)
		}
		modules[m.Task.Name] = m
	}
	poll, stopPolling := context.WithCancel(drain)
	defer stopPolling()
	defer context.AfterFunc(force, stopPolling)()
	work, endWork := context.WithCancelCause(context.WithoutCancel(force))
	defer endWork(nil)
	report, endReports := context.WithCancel(context.WithoutCancel(force))
	defer endReports()

	l := &loop{Worker: w, log: w.logger(), modules: modules, slots: newSlots(w.slotCount()), store: storeWatch{probe: w.ProbeStore},
		poll: poll, work: work, report: report}
	l.log.Info("worker started", "tasks", len(modules), "slots", w.slotCount())
	if w.Sweep != nil {
		w.Sweep(poll)
	}
	over := make(chan struct{})
	go func() {
		defer close(over)
		l.pollUntilDrain()
		l.group.Wait()
	}()
	swept := make(chan struct{})
	go func() {
		defer close(swept)
		l.sweepUntilDrain()
	}()

	<-poll.Done()
	w.setDraining()
	l.log.Info("worker draining", "running", len(w.Snapshot().Running))
	l.finish(over, force, endWork, endReports)
	<-swept
	c := w.Snapshot().Counts
	l.log.Info("worker stopped", "completed", c.Completed, "failed", c.Failed,
		"failed_terminal", c.FailedTerminal, "undelivered", c.Undelivered)
	return nil
}

// finish waits for the last attempt, and ends those that still run when it is
// forced to.
func (l *loop) finish(over <-chan struct{}, force context.Context, endWork context.CancelCauseFunc, endReports func()) {
	var grace <-chan time.Time
	if l.Grace > 0 {
		timer := time.NewTimer(l.Grace)
		defer timer.Stop()
		grace = timer.C
	}
	select {
	case <-over:
		return
	case <-force.Done():
	case <-grace:
	}
	l.log.Warn("worker forced", "running", len(l.Snapshot().Running))
	endWork(queue.ErrForced)
	timer := time.AfterFunc(forcedReport, endReports)
	defer timer.Stop()
	<-over
}

// sweepUntilDrain calls Sweep every SweepInterval.
func (l *loop) sweepUntilDrain() {
	if l.Sweep == nil {
		return
	}
	interval := l.SweepInterval
	if interval <= 0 {
		interval = time.Hour
	}
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for {
		select {
		case <-l.poll.Done():
			return
		case <-ticker.C:
			l.Sweep(l.poll)
		}
	}
}

// serve runs an attempt on a slot, and then those that the answers to its
// reports carry, until there is none. The slot was taken by the poll loop.
func (l *loop) serve(a queue.Attempt) {
	since := time.Now()
	for next := &a; next != nil; {
		m := l.modules[next.Task]
		if m == nil { // only a server that answers with what was not asked for
			l.log.Error("attempt of a task that is not served here", next.LogAttrs()...)
			return
		}
		next = l.runOne(m, *next, since)
	}
}

// runOne runs one attempt and reports it.
func (l *loop) runOne(m *module.Module, a queue.Attempt, since time.Time) (next *queue.Attempt) {
	r := &running{Running: Running{Attempt: a, Since: time.Now()}}
	l.enter(r)
	defer l.leave(r)

	ctx, end := context.WithCancelCause(l.work)
	defer end(nil)
	lines := new(logs.ServerLog)
	lease := l.keepLease(ctx, a, lines, end)
	res := l.RunAttempt(ctx, m, a, engine.Hooks{
		Current: func(ctx context.Context) error { return l.current(ctx, a) },
		Record:  lines.Add,
		Progress: func(p starlib.Progress) {
			lines.SetProgress(p)
			l.setProgress(r, p)
		},
	})
	lease.stop()
	if m.Task.Workspace != nil {
		l.noteStore(res)
	}
	l.count(res.Status)
	if res.Story != "" {
		lines.AddStory(res.Story)
	}
	return l.deliver(res, lease, lines, since)
}

// currentTries is how often the server is asked before a publication is given up
// because it does not answer.
const currentTries = 4

// current asks whether the server still counts on an attempt. To ask again is
// safe, and a publication should not fail for one lost answer.
func (l *loop) current(ctx context.Context, a queue.Attempt) error {
	for try, pause := 1, reportPause; ; try, pause = try+1, 4*pause {
		err := l.Leaser.Current(ctx, a)
		if err == nil || errors.Is(err, queue.ErrGone) || try == currentTries || !pauseFor(ctx, pause) {
			return err
		}
	}
}

// NewID is what a worker is called at the server and in the log:
// <prefix>-<host>-<pid>-<random>, since in containers all hosts and pids may be
// the same. It is another one at each call.
func NewID(prefix string) string {
	host, err := os.Hostname()
	if err != nil || host == "" {
		host = "host"
	}
	host = strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '-', r == '_', r == '.':
			return r
		}
		return '_'
	}, host)
	return fmt.Sprintf("%s-%s-%d-%s", prefix, host, os.Getpid(), strings.ToLower(rand.Text()[:8]))
}

func (w *Worker) logger() *slog.Logger {
	if w.Log == nil {
		return slog.New(slog.DiscardHandler)
	}
	return w.Log
}

func (w *Worker) slotCount() int {
	if w.Slots > 0 {
		return w.Slots
	}
	return runtime.NumCPU()
}
