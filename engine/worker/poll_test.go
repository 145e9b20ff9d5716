package worker_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"perago/engine"
	"perago/engine/queue"
	"perago/workspace"
	"perago/workspace/storage"
)

// Fifty idle tasks: what comes in does not wait long, and the server is not asked
// much, also where it answers in 20 ms, cannot tell of its queues, or says of
// every queue that there is something.
func TestFiftyIdleTasks(t *testing.T) {
	for name, tt := range map[string]struct {
		look         error
		delayed      bool // each task has a retry on its queue that nobody may have yet
		median, most time.Duration
	}{
		"looks":   {nil, false, 150 * time.Millisecond, 400 * time.Millisecond},
		"delayed": {nil, true, time.Second, 5 * time.Second},
		"blind":   {queue.ErrUnsupported, false, 2500 * time.Millisecond, 3500 * time.Millisecond},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var names []string
				for i := range 50 {
					names = append(names, fmt.Sprint("t", i))
				}
				var waits []time.Duration
				var queued time.Time
				s := newSite(t, func(ctx context.Context, a queue.Attempt, h engine.Hooks) engine.Result {
					waits = append(waits, time.Since(queued))
					return done(ctx, a, h)
				}, names...)
				s.queue.onPoll = func() error { pass(20 * time.Millisecond); return nil }
				s.queue.onLook = func() error { pass(20 * time.Millisecond); return tt.look }
				if tt.delayed {
					s.delayAll(t, names)
				}
				s.run(t)
				pass(time.Minute)
				before := s.queue.requests()
				pass(10 * time.Second)
				if n := s.queue.requests() - before; n > 250 {
					t.Errorf("%d requests in 10 idle seconds, want at most 250", n)
				}
				for i := range 100 {
					pass(time.Duration(997*i%1500) * time.Millisecond)
					queued = time.Now()
					flow := s.start(t, names[7*i%50])
					for s.tries(t, flow)[0] != "COMPLETED" {
						pass(5 * time.Millisecond)
					}
				}
				slices.Sort(waits)
				if median, most := waits[50], waits[99]; median > tt.median || most > tt.most {
					t.Errorf("waited %v at the median, %v at most, want %v and %v", median, most, tt.median, tt.most)
				} else {
					t.Logf("waited %v at the median, %v at most", median, most)
				}
			})
		})
	}
}

// delayAll gives every task a retry that is due in an hour.
func (s *site) delayAll(t *testing.T, names []string) {
	for _, name := range names {
		s.memory.Delay(name, time.Hour)
	}
}

// requests counts the polls and looks.
func (q *spyQueue) requests() (n int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for _, asked := range q.asked {
		n += len(asked)
	}
	return n
}

// A look that fails is told once, and the polls go on without it.
func TestLooksThatFail(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, done, "a", "b", "c", "d", "e", "f")
		s.queue.onLook = func() error { return errors.New("403: forbidden") }
		s.run(t)
		pass(time.Minute)
		flow := s.start(t, "e")
		pass(time.Second)
		s.wantTries(t, flow, "COMPLETED")
		if n := len(s.log.of(t, "poll failed")); n != 1 {
			t.Errorf("poll failed: got %d records, want 1", n)
		}
	})
}

// A worker that cannot reach lakeFS leaves the tasks that need it to others: it
// takes no more than the attempts that tell it so.
func TestStoreAwayPausesItsTasks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var down atomic.Bool
		var failed, probes atomic.Int32
		s := newSite(t, func(ctx context.Context, a queue.Attempt, h engine.Hooks) engine.Result {
			if a.Task == "lake" && down.Load() {
				failed.Add(1)
				pass(3 * time.Second)
				return engine.Result{Attempt: a, Status: queue.Failed, Reason: "read ***", Err: fmt.Errorf("read hunter2: %w", storage.ErrUnreachable)}
			}
			return done(ctx, a, h)
		}, "lake", "free")
		s.Modules[0].Task.Workspace = &workspace.Spec{}
		s.ProbeStore = func(context.Context) error {
			probes.Add(1)
			if down.Load() {
				return storage.ErrUnreachable
			}
			return nil
		}
		down.Store(true)
		var flows []string
		for range 20 {
			flows = append(flows, s.start(t, "lake"))
		}
		s.run(t)
		pass(time.Minute)
		flows = append(flows, s.start(t, "free"))
		pass(time.Second)
		s.wantTries(t, flows[20], "COMPLETED")
		if n := failed.Load(); n > 3 { // a slot may have taken one while the other told

			t.Errorf("%d attempts were taken while lakeFS was away, want the 2 that told, and one beside them at most", n)
		}
		if n := probes.Load(); n < 4 || n > 10 {
			t.Errorf("%d probes in a minute, want 4 to 10", n)
		}
		told := s.log.of(t, "tasks with a workspace are not polled until lakeFS answers again")
		if text := fmt.Sprint(told); len(told) != 1 || !strings.Contains(text, "read ***") || strings.Contains(text, "hunter2") {
			t.Errorf("not polled: got %s, want 1 record, with the reason as it is without secrets", text)
		}
		down.Store(false)
		pass(20 * time.Second)
		for _, flow := range flows {
			if tries := s.tries(t, flow); tries[len(tries)-1] != "COMPLETED" {
				t.Errorf("%s: got %q", flow, tries)
			}
		}
		if n := len(s.log.of(t, "tasks with a workspace are polled again")); n != 1 {
			t.Errorf("polled again: got %d records, want 1", n)
		}
	})
}
