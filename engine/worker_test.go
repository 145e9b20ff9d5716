package engine_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"reflect"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"perago/engine"
	"perago/engine/queuetest"
	"perago/starlib"
)

// The time in these tests is that of testing/synctest: it passes only when
// every goroutine waits, so a minute costs nothing and an assertion on it is exact.

// pass lets time go by.
func pass(d time.Duration) { <-time.After(d) }

// site is a worker over a queue in memory, with what it did written down.
type site struct {
	*engine.Worker
	memory *queuetest.Memory
	queue  *spyQueue
	log    *records
	drain  context.CancelFunc
	force  context.CancelFunc
	ended  chan struct{}
	err    error
}

// body is what an attempt does, in place of (*Runner).Run.
type body func(ctx context.Context, a engine.Attempt, h engine.Hooks) engine.Result

// newSite makes a worker for tasks, each defined with two retries at once and a
// lease of 30 s. It does not run yet.
func newSite(t *testing.T, run body, tasks ...string) *site {
	t.Helper()
	s := &site{memory: queuetest.NewMemory(), log: &records{}, ended: make(chan struct{})}
	s.queue = &spyQueue{Memory: s.memory, asked: make(map[string][]time.Time)}
	s.Worker = &engine.Worker{Queue: s.queue, Leaser: s.queue, Slots: 2, Log: slog.New(slog.NewJSONHandler(s.log, nil)),
		RunAttempt: func(ctx context.Context, _ *engine.Module, a engine.Attempt, h engine.Hooks) engine.Result {
			return run(ctx, a, h)
		}}
	for _, name := range tasks {
		s.Modules = append(s.Modules, &engine.Module{Task: &starlib.Task{Name: name}})
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
	onReport func(r engine.Report) error      // the same
	onExtend func() error                     // the same
	onNote   func() error                     // the same
	held     func(ctx context.Context, n int) // holds back the answer of a poll that brings n attempts
	asks     func(task string, max int)       // told of each poll
}

func (q *spyQueue) Poll(ctx context.Context, task string, max int, wait time.Duration) ([]engine.Attempt, error) {
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

func (q *spyQueue) Report(ctx context.Context, r engine.Report) (*engine.Attempt, error) {
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

func (q *spyQueue) Extend(ctx context.Context, a engine.Attempt) error {
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

func (q *spyQueue) Note(ctx context.Context, a engine.Attempt, lines []string) error {
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
func done(_ context.Context, a engine.Attempt, _ engine.Hooks) engine.Result {
	return engine.Result{Attempt: a, Status: engine.Completed, Output: json.RawMessage(`{"result":{}}`)}
}

// lasting is an attempt that takes d, and fails with the cause when it is ended.
func lasting(d time.Duration) body {
	return func(ctx context.Context, a engine.Attempt, h engine.Hooks) engine.Result {
		timer := time.NewTimer(d)
		defer timer.Stop()
		select {
		case <-timer.C:
			return done(ctx, a, h)
		case <-ctx.Done():
			return engine.Result{Attempt: a, Status: engine.Failed, Reason: context.Cause(ctx).Error()}
		}
	}
}

func TestWorkerRunsWhatIsQueued(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var most, now atomic.Int32
		s := newSite(t, func(ctx context.Context, a engine.Attempt, h engine.Hooks) engine.Result {
			most.Store(max(most.Load(), now.Add(1)))
			defer now.Add(-1)
			return lasting(time.Second)(ctx, a, h)
		}, "a", "b")
		var flows []string
		for range 5 {
			flows = append(flows, s.start(t, "a"), s.start(t, "b"))
		}
		begin := time.Now()
		s.run(t)
		for s.Snapshot().Counts.Completed < len(flows) {
			pass(time.Millisecond)
		}
		if got, want := time.Since(begin), 5*time.Second; got < want || got > want+100*time.Millisecond {
			t.Errorf("10 attempts of 1 s on 2 slots took %v, want %v", got, want)
		}
		if got := most.Load(); got != 2 {
			t.Errorf("attempts at once: got %d, want 2", got)
		}
		s.stop(t)
		for _, flow := range flows {
			s.wantTries(t, flow, "COMPLETED")
		}
	})
}

func TestWorkerRefusesTwoFilesOfOneTask(t *testing.T) {
	s := newSite(t, done, "a", "a")
	err := s.Run(t.Context(), t.Context())
	if err == nil || !strings.Contains(err.Error(), "task a: two of the files declare it") {
		t.Errorf("got %v", err)
	}
}

func TestWorkerRefusesToServeNothing(t *testing.T) {
	if err := newSite(t, done).Run(t.Context(), t.Context()); err == nil {
		t.Error("a worker without a task: got no error")
	}
}

func TestIdlePollsBackOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, done, "a")
		s.PollIntervalMax = 2 * time.Second
		s.run(t)
		pass(time.Minute)
		polls := s.queue.polls("a")
		if last := polls[len(polls)-1].Sub(polls[len(polls)-2]); last != 2*time.Second {
			t.Errorf("idle for a minute, polls come every %v, want 2s", last)
		}
		if n := len(polls); n > 40 {
			t.Errorf("%d polls in an idle minute, want at most 40", n)
		}
		flow := s.start(t, "a")
		pass(2 * time.Second)
		s.wantTries(t, flow, "COMPLETED")
	})
}

// What follows a finished task in its workflow must not wait for the next poll of
// an idle worker.
func TestFinishedAttemptEndsTheRest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, lasting(time.Minute), "a", "b")
		s.PollIntervalMax = time.Hour
		s.start(t, "a")
		s.run(t)
		pass(30 * time.Second)
		s.queue.onReport = func(r engine.Report) error {
			if r.Attempt.Task == "a" {
				s.start(t, "b")
			}
			return nil
		}
		pass(31 * time.Second)
		if got := s.Snapshot().Running; len(got) != 1 || got[0].Attempt.Task != "b" {
			t.Errorf("running a second after a ended: got %v, want b", got)
		}
		s.drain()
	})
}

func TestPollErrorsBackOffAndAreLoggedOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, done, "a")
		var trouble atomic.Pointer[string]
		text := func(s string) *string { return &s }
		trouble.Store(text("connection refused"))
		s.queue.onPoll = func() error {
			if e := trouble.Load(); e != nil {
				return errors.New(*e)
			}
			return nil
		}
		s.run(t)
		pass(5 * time.Minute)
		polls := s.queue.polls("a")
		if n := len(polls); n > 25 {
			t.Errorf("%d polls in 5 minutes of trouble, want at most 25", n)
		}
		if gap := polls[len(polls)-1].Sub(polls[len(polls)-2]); gap > 31*time.Second || gap < 20*time.Second {
			t.Errorf("polls in trouble come every %v, want about 30s", gap)
		}
		trouble.Store(text("503: busy"))
		pass(5 * time.Minute)
		flow := s.start(t, "a")
		trouble.Store(nil)
		pass(32 * time.Second)
		s.wantTries(t, flow, "COMPLETED")
		failed := s.log.of(t, "poll failed")
		if len(failed) != 2 || failed[0]["error"] != "connection refused" || failed[1]["error"] != "503: busy" {
			t.Errorf("poll failed: got %v, want one record for each trouble", failed)
		}
		if n := len(s.log.of(t, "poll recovered")); n != 1 {
			t.Errorf("poll recovered: got %d records, want 1", n)
		}
	})
}

// A task with an endless queue must not keep the slots from the others, neither
// by its polls nor by the attempts that the answers to its reports carry.
func TestNoTaskStarves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, lasting(100*time.Millisecond), "busy", "b", "c", "d")
		for range 1000 {
			s.start(t, "busy")
		}
		s.run(t)
		pass(5 * time.Second)
		flows := []string{s.start(t, "b"), s.start(t, "c"), s.start(t, "d")}
		pass(3 * time.Second)
		for _, flow := range flows {
			s.wantTries(t, flow, "COMPLETED")
		}
		if n := s.Snapshot().Counts.Completed; n < 150 {
			t.Errorf("%d attempts of 0.1 s completed in 8 s on 2 slots, want at least 150", n)
		}
	})
}

// While there is work, a poll of an empty queue does not wait at the server: it
// would hold up the free slots.
func TestEmptyQueuesDoNotHoldUpAFullOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, lasting(1500*time.Millisecond), "busy", "b", "c", "d", "e", "f", "g", "h")
		s.run(t)
		pass(5 * time.Second)
		for range 40 {
			s.start(t, "busy")
		}
		begin := time.Now()
		for s.Snapshot().Counts.Completed < 40 {
			pass(time.Millisecond)
		}
		if took, want := time.Since(begin), 30*time.Second; took > want+1100*time.Millisecond {
			t.Errorf("40 attempts of 1.5 s on 2 slots took %v, want %v and the pause before the first", took, want)
		}
	})
}

// The server is never asked for more than there are free slots.
func TestPollAsksForTheFreeSlots(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, lasting(time.Minute), "a")
		s.Slots = 5
		var asked []string
		s.queue.asks = func(_ string, max int) {
			if entry := fmt.Sprint(max); len(asked) == 0 || asked[len(asked)-1] != entry {
				asked = append(asked, entry)
			}
		}
		s.start(t, "a")
		s.run(t)
		pass(5 * time.Second)
		for range 9 {
			s.start(t, "a")
		}
		pass(5 * time.Second)
		s.stop(t)
		if got := strings.Join(asked, " "); !strings.HasPrefix(got, "5 4") || strings.Contains(got, "0") {
			t.Errorf("asked for %s, want 5, then 4, never 0", got)
		}
	})
}
