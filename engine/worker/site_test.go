package worker_test

import (
	"bytes"
	"context"
	"encoding/json"
	"log/slog"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"perago/engine"
	"perago/engine/module"
	"perago/engine/queue"
	"perago/engine/queuetest"
	"perago/engine/worker"
	"perago/starlib"
)

// The time in these tests is that of testing/synctest: it passes only when
// every goroutine waits, so a minute costs nothing and an assertion on it is exact.

// pass lets time go by.
func pass(d time.Duration) { <-time.After(d) }

// site is a worker over a queue in memory, with what it did written down.
type site struct {
	*worker.Worker
	memory *queuetest.Memory
	queue  *spyQueue
	log    *records
	drain  context.CancelFunc
	force  context.CancelFunc
	ended  chan struct{}
	err    error
}

// body is what an attempt does, in place of (*Runner).Run.
type body func(ctx context.Context, a queue.Attempt, h engine.Hooks) engine.Result

// newSite makes a worker for tasks, each defined with two retries at once and a
// lease of 30 s. It does not run yet.
func newSite(t *testing.T, run body, tasks ...string) *site {
	t.Helper()
	s := &site{memory: queuetest.NewMemory(), log: &records{}, ended: make(chan struct{})}
	s.queue = &spyQueue{Memory: s.memory, asked: make(map[string][]time.Time)}
	s.Worker = &worker.Worker{Queue: s.queue, Leaser: s.queue, Slots: 2, Log: slog.New(slog.NewJSONHandler(s.log, nil)),
		RunAttempt: func(ctx context.Context, _ *module.Module, a queue.Attempt, h engine.Hooks) engine.Result {
			return run(ctx, a, h)
		}}
	for _, name := range tasks {
		s.Modules = append(s.Modules, &module.Module{Task: &starlib.Task{Name: name}})
		s.define(t, queuetest.Definition{Name: name, Retries: 2, ResponseTimeout: 30 * time.Second})
	}
	return s
}

func (s *site) define(t *testing.T, d queuetest.Definition) {
	t.Helper()
	if err := s.memory.Define(t.Context(), d); err != nil {
		t.Fatal(err)
	}
}

// run starts the worker; it is stopped, and waited for, at the end of the test.
func (s *site) run(t *testing.T) {
	drain, stop := context.WithCancel(context.Background())
	force, kill := context.WithCancel(context.Background())
	s.drain, s.force = stop, kill
	go func() {
		defer close(s.ended)
		s.err = s.Run(drain, force)
	}()
	t.Cleanup(func() { s.stop(t) })
}

func (s *site) stop(t *testing.T) {
	t.Helper()
	s.drain()
	s.wait(t)
	s.force()
}

// wait returns when the worker has ended.
func (s *site) wait(t *testing.T) {
	t.Helper()
	<-s.ended
	if s.err != nil {
		t.Errorf("Run: %v", s.err)
	}
}

// start starts a workflow.
func (s *site) start(t *testing.T, task string) (workflow string) {
	t.Helper()
	workflow, err := s.memory.Start(t.Context(), task, json.RawMessage(`{"params":{}}`))
	if err != nil {
		t.Fatal(err)
	}
	return workflow
}

// tries returns "STATUS reason" of each try of a workflow.
func (s *site) tries(t *testing.T, workflow string) []string {
	t.Helper()
	tasks, err := s.memory.Tasks(context.Background(), workflow)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	for _, task := range tasks {
		out = append(out, strings.TrimSpace(string(task.Status)+" "+task.Reason))
	}
	return out
}

func (s *site) wantTries(t *testing.T, workflow string, want ...string) {
	t.Helper()
	if got := s.tries(t, workflow); !reflect.DeepEqual(got, want) {
		t.Errorf("tries of %s: got %q, want %q", workflow, got, want)
	}
}

// spyQueue is the queue in memory, with trouble on demand.
type spyQueue struct {
	*queuetest.Memory
	mu       sync.Mutex
	asked    map[string][]time.Time // polls, by task
	last     []bool                 // of the reports
	extended int

	onPoll   func() error                     // nil, or before each
	onLook   func() error                     // the same, of the looks at all queues, which are asked[""]
	onReport func(r queue.Report) error       // the same
	onExtend func() error                     // the same
	onNote   func() error                     // the same
	held     func(ctx context.Context, n int) // holds back the answer of a poll that brings n attempts
	asks     func(task string, max int)       // told of each poll
}

func (q *spyQueue) Poll(ctx context.Context, task string, max int, wait time.Duration) ([]queue.Attempt, error) {
	q.mu.Lock()
	q.asked[task] = append(q.asked[task], time.Now())
	q.mu.Unlock()
	if q.asks != nil {
		q.asks(task, max)
	}
	if q.onPoll != nil {
		if err := q.onPoll(); err != nil {
			return nil, err
		}
	}
	got, err := q.Memory.Poll(ctx, task, max, wait)
	if q.held != nil {
		q.held(ctx, len(got))
	}
	if ctx.Err() != nil { // the answer comes to nobody
		return nil, context.Cause(ctx)
	}
	return got, err
}

func (q *spyQueue) Waiting(ctx context.Context, tasks []string) ([]string, error) {
	q.mu.Lock()
	q.asked[""] = append(q.asked[""], time.Now())
	q.mu.Unlock()
	if q.onLook != nil {
		if err := q.onLook(); err != nil {
			return nil, err
		}
	}
	return q.Memory.Waiting(ctx, tasks)
}

func (q *spyQueue) Report(ctx context.Context, r queue.Report) (*queue.Attempt, error) {
	q.mu.Lock()
	q.last = append(q.last, r.Last)
	q.mu.Unlock()
	if q.onReport != nil {
		if err := q.onReport(r); err != nil {
			return nil, err
		}
	}
	return q.Memory.Report(ctx, r)
}

func (q *spyQueue) Extend(ctx context.Context, a queue.Attempt) error {
	q.mu.Lock()
	q.extended++
	q.mu.Unlock()
	if q.onExtend != nil {
		if err := q.onExtend(); err != nil {
			return err
		}
	}
	return q.Memory.Extend(ctx, a)
}

func (q *spyQueue) Note(ctx context.Context, a queue.Attempt, lines []string) error {
	if q.onNote != nil {
		if err := q.onNote(); err != nil {
			return err
		}
	}
	return q.Memory.Note(ctx, a, lines)
}

func (q *spyQueue) polls(task string) []time.Time {
	q.mu.Lock()
	defer q.mu.Unlock()
	return append([]time.Time(nil), q.asked[task]...)
}

func (q *spyQueue) extensions() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return q.extended
}

func (q *spyQueue) lasts() []bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	return append([]bool(nil), q.last...)
}

// records is a log in memory.
type records struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (r *records) Write(p []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.buf.Write(p)
}

// of returns the records with that message, oldest first.
func (r *records) of(t *testing.T, message string) (out []map[string]any) {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	for line := range strings.Lines(r.buf.String()) {
		var record map[string]any
		if err := json.Unmarshal([]byte(line), &record); err != nil {
			t.Fatalf("log: %v in %s", err, line)
		}
		if record["msg"] == message {
			out = append(out, record)
		}
	}
	return out
}

// done is an attempt that completes at once.
func done(_ context.Context, a queue.Attempt, _ engine.Hooks) engine.Result {
	return engine.Result{Attempt: a, Status: queue.Completed, Output: json.RawMessage(`{"result":{}}`)}
}

// lasting is an attempt that takes d, and fails with the cause when it is ended.
func lasting(d time.Duration) body {
	return func(ctx context.Context, a queue.Attempt, h engine.Hooks) engine.Result {
		timer := time.NewTimer(d)
		defer timer.Stop()
		select {
		case <-timer.C:
			return done(ctx, a, h)
		case <-ctx.Done():
			return engine.Result{Attempt: a, Status: queue.Failed, Reason: context.Cause(ctx).Error()}
		}
	}
}
