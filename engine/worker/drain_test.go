package worker_test

import (
	"context"
	"errors"
	"reflect"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"perago/engine"
	"perago/engine/queue"
	"perago/engine/queuetest"
)

func TestIdleWorkerEndsWithinASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, done, "a", "b", "c")
		s.PollIntervalMax = time.Minute
		s.run(t)
		pass(10*time.Minute + 123*time.Millisecond)
		begin := time.Now()
		s.stop(t)
		if took := time.Since(begin); took >= time.Second {
			t.Errorf("an idle worker ended after %v, want less than 1s", took)
		}
	})
}

func TestDrainFinishesWhatRuns(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, lasting(10*time.Minute), "a")
		s.Slots = 1
		first, second := s.start(t, "a"), s.start(t, "a")
		s.run(t)
		pass(time.Minute)
		s.drain()
		synctest.Wait()
		if got := s.Snapshot(); got.Draining.IsZero() || len(got.Running) != 1 {
			t.Errorf("while draining: got %+v, want one attempt running", got)
		}
		polls := len(s.queue.polls("a"))
		s.wait(t)
		// The lease is 30 s and the attempt took 9 minutes more: it was kept. The
		// second one was not handed out with the answer to the report.
		s.wantTries(t, first, "COMPLETED")
		s.wantTries(t, second, "SCHEDULED")
		if got := s.queue.lasts(); !reflect.DeepEqual(got, []bool{true}) {
			t.Errorf("Last of the reports: got %v, want true", got)
		}
		if n := len(s.queue.polls("a")); n != polls {
			t.Errorf("%d polls after the signal, want none", n-polls)
		}
		for _, event := range []string{"worker started", "worker draining", "worker stopped"} {
			if n := len(s.log.of(t, event)); n != 1 {
				t.Errorf("%s: got %d records, want 1", event, n)
			}
		}
	})
}

// An attempt that the server hands out while the signal comes is run, not lost.
func TestAnswerOfAnOpenPollIsRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, lasting(time.Minute), "a")
		s.queue.held = func(_ context.Context, n int) {
			if n > 0 {
				pass(2 * time.Second)
			}
		}
		flow := s.start(t, "a")
		s.run(t)
		pass(time.Second)
		s.drain()
		s.wait(t)
		s.wantTries(t, flow, "COMPLETED")
	})
}

// A server that never answers an open poll does not hold the worker for ever.
func TestHungPollIsGivenUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, done, "a")
		s.queue.held = func(ctx context.Context, _ int) { <-ctx.Done() }
		s.run(t)
		pass(time.Minute)
		begin := time.Now()
		s.drain()
		s.wait(t)
		if took := time.Since(begin); took > 5*time.Second {
			t.Errorf("ended after %v, want at most 5s", took)
		}
		if n := len(s.log.of(t, "poll failed")); n != 0 {
			t.Errorf("poll failed: got %d records for the poll that the drain ended, want 0", n)
		}
	})
}

// The answer to a report that was under way when the signal came may carry an
// attempt: it is run as well.
func TestAttemptOfALateAnswerIsRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, done, "a")
		s.Slots = 1
		first, second := s.start(t, "a"), s.start(t, "a")
		s.queue.onReport = func(r queue.Report) error {
			if !r.Last {
				s.drain()
				pass(time.Second)
			}
			return nil
		}
		s.run(t)
		s.wait(t)
		s.wantTries(t, first, "COMPLETED")
		s.wantTries(t, second, "COMPLETED")
	})
}

func TestSecondSignalEndsTheAttempts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, lasting(time.Hour), "a")
		one, two := s.start(t, "a"), s.start(t, "a")
		s.run(t)
		pass(time.Minute)
		s.drain()
		pass(time.Minute)
		begin := time.Now()
		s.force()
		s.wait(t)
		if took := time.Since(begin); took != 0 {
			t.Errorf("ended %v after the second signal, want at once", took)
		}
		reason := "FAILED " + queue.ErrForced.Error()
		s.wantTries(t, one, reason, "SCHEDULED")
		s.wantTries(t, two, reason, "SCHEDULED")
		if n := len(s.log.of(t, "worker forced")); n != 1 {
			t.Errorf("worker forced: got %d records, want 1", n)
		}
	})
}

func TestForceAloneIsEnough(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, lasting(time.Hour), "a")
		s.Slots = 1 // no poll is open, which would bring the retry
		flow := s.start(t, "a")
		s.run(t)
		pass(time.Minute)
		s.force()
		s.wait(t)
		s.wantTries(t, flow, "FAILED "+queue.ErrForced.Error(), "SCHEDULED")
	})
}

func TestGraceEndsTheAttempts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, lasting(time.Hour), "a")
		s.Grace = 5 * time.Minute
		flow := s.start(t, "a")
		s.run(t)
		pass(time.Minute)
		begin := time.Now()
		s.drain()
		s.wait(t)
		if took := time.Since(begin); took != s.Grace {
			t.Errorf("ended %v after the signal, want %v", took, s.Grace)
		}
		s.wantTries(t, flow, "FAILED "+queue.ErrForced.Error(), "SCHEDULED")
	})
}

// A server that is gone cannot hold a worker that was told to stop at once.
func TestForcedWorkerGivesUpItsReports(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, lasting(time.Hour), "a")
		s.queue.onReport = func(queue.Report) error { return errors.New("connection refused") }
		s.start(t, "a")
		s.run(t)
		pass(time.Minute)
		s.drain()
		begin := time.Now()
		s.force()
		s.wait(t)
		if took := time.Since(begin); took != 10*time.Second {
			t.Errorf("ended after %v, want 10s", took)
		}
		if n := s.Snapshot().Counts.Undelivered; n != 1 {
			t.Errorf("undelivered: got %d, want 1", n)
		}
	})
}

func TestReportIsRepeated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, done, "a")
		back := time.Now().Add(50 * time.Second)
		s.queue.onReport = func(queue.Report) error {
			if time.Now().Before(back) {
				return errors.New("connection refused")
			}
			return nil
		}
		s.define(t, queuetest.Definition{Name: "a", ResponseTimeout: 10 * time.Minute})
		flow := s.start(t, "a")
		s.run(t)
		pass(time.Minute + time.Second)
		s.wantTries(t, flow, "COMPLETED")
		if n := len(s.log.of(t, "report retried")); n < 5 || n > 20 {
			t.Errorf("report retried: got %d records in 50 s, want 5 to 20", n)
		}
		if n := s.Snapshot().Counts.Undelivered; n != 0 {
			t.Errorf("undelivered: got %d, want 0", n)
		}
	})
}

func TestResultThatNobodyTakesIsLoggedWhole(t *testing.T) {
	for name, tt := range map[string]struct {
		err  error
		want int // reports
	}{
		"gone":     {queue.ErrGone, 1},
		"rejected": {queue.ErrRejected, 1},
		"down":     {errors.New("connection refused"), 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSite(t, done, "a")
				s.queue.onReport = func(queue.Report) error { return tt.err }
				s.define(t, queuetest.Definition{Name: "a", ResponseTimeout: 2 * time.Minute})
				s.start(t, "a")
				s.run(t)
				pass(3 * time.Minute)
				lost := s.log.of(t, "result not delivered")
				if len(lost) != 1 {
					t.Fatalf("result not delivered: got %d records, want 1", len(lost))
				}
				for key, want := range map[string]string{"level": "ERROR", "status": "COMPLETED",
					"output": `{"result":{}}`, "task": "a", "error": tt.err.Error()} {
					if got := lost[0][key]; got != want {
						t.Errorf("%s: got %v, want %s", key, got, want)
					}
				}
				if n := len(s.queue.lasts()); tt.want > 0 && n != tt.want {
					t.Errorf("reports: got %d, want %d", n, tt.want)
				}
			})
		})
	}
}

func TestSweepRunsBeforeThePollsAndThenAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, done, "a")
		var swept []time.Time
		s.SweepInterval = time.Minute
		s.Sweep = func(context.Context) {
			if len(swept) == 0 && len(s.queue.polls("a")) > 0 {
				t.Error("polled before the first sweep")
			}
			swept = append(swept, time.Now())
		}
		s.run(t)
		pass(3*time.Minute + time.Second)
		s.stop(t)
		if len(swept) != 4 {
			t.Errorf("swept %d times in 3 minutes, want 4", len(swept))
		}
	})
}

func TestFailureReachesTheLogAtTheServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, func(_ context.Context, a queue.Attempt, h engine.Hooks) engine.Result {
			h.Record("INFO tasks/a.star:3 begun")
			return engine.Result{Attempt: a, Status: queue.FailedTerminal, Reason: "no", Story: "tasks/a.star:4:1: no\n  at run"}
		}, "a")
		flow := s.start(t, "a")
		s.run(t)
		pass(time.Second)
		tasks, err := s.memory.Tasks(t.Context(), flow)
		if err != nil {
			t.Fatal(err)
		}
		want := []string{"INFO tasks/a.star:3 begun", "tasks/a.star:4:1: no\n  at run"}
		if !reflect.DeepEqual(tasks[0].Log, want) {
			t.Errorf("log: got %q, want %q", tasks[0].Log, want)
		}
		if s.wantTries(t, flow, "FAILED_WITH_TERMINAL_ERROR no"); strings.Contains(tasks[0].Reason, "run") {
			t.Errorf("reason: %s", tasks[0].Reason)
		}
	})
}
