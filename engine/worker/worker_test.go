package worker_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"perago/engine"
	"perago/engine/queue"
	"perago/engine/worker"
)

func TestWorkerRunsWhatIsQueued(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var most, now atomic.Int32
		s := newSite(t, func(ctx context.Context, a queue.Attempt, h engine.Hooks) engine.Result {
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
		s.queue.onReport = func(r queue.Report) error {
			if r.Attempt.Task == "a" {
				s.start(t, "b")
			}
			return nil
		}
		s.start(t, "a")
		s.run(t)
		pass(61 * time.Second)
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

func TestWorkerID(t *testing.T) {
	got, other := worker.NewID("songs_count"), worker.NewID("songs_count")
	if !strings.HasPrefix(got, "songs_count-") || !strings.Contains(got, fmt.Sprintf("-%d-", os.Getpid())) || strings.ContainsAny(got, "/\\ ") {
		t.Errorf("got %q, want songs_count-<host>-<pid>-<random>", got)
	}
	if got == other { // of two containers with the same host and pid
		t.Errorf("got %q twice", got)
	}
}
