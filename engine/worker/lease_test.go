package worker_test

import (
	"context"
	"errors"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"perago/engine"
	"perago/engine/queue"
	"perago/engine/queuetest"
	"perago/starlib"
)

func TestLeaseIsExtendedEveryThird(t *testing.T) {
	for name, tt := range map[string]struct {
		timeout time.Duration
		want    int // extensions in an attempt of 95 s
	}{
		"30 s": {30 * time.Second, 9},
		"2 s":  {2 * time.Second, 142},
		"1 s":  {time.Second, 0}, // not worth it
		"none": {0, 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				s := newSite(t, lasting(95*time.Second), "a")
				s.define(t, queuetest.Definition{Name: "a", ResponseTimeout: tt.timeout})
				s.start(t, "a")
				s.run(t)
				pass(100 * time.Second)
				if got := s.queue.extensions(); got != tt.want {
					t.Errorf("extensions: got %d, want %d", got, tt.want)
				}
			})
		})
	}
}

// The server's word ends an attempt, whether its lease could be extended or it
// has none.
func TestAttemptThatIsGoneIsEnded(t *testing.T) {
	for name, timeout := range map[string]time.Duration{"with a lease": 30 * time.Second, "without": 0} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var cause error
				s := newSite(t, func(ctx context.Context, a queue.Attempt, _ engine.Hooks) engine.Result {
					<-ctx.Done()
					cause = context.Cause(ctx)
					return engine.Result{Attempt: a, Status: queue.Failed, Reason: cause.Error()}
				}, "a")
				s.define(t, queuetest.Definition{Name: "a", ResponseTimeout: timeout})
				flow := s.start(t, "a")
				s.run(t)
				pass(time.Second)
				if err := s.memory.Terminate(t.Context(), flow); err != nil {
					t.Fatal(err)
				}
				pass(time.Minute)
				if !errors.Is(cause, queue.ErrLeaseLost) || !errors.Is(cause, queue.ErrGone) {
					t.Errorf("cause: got %v, want ErrLeaseLost with ErrGone", cause)
				}
				if n := len(s.queue.lasts()); n != 0 {
					t.Errorf("%d reports of an attempt that the server dropped, want 0", n)
				}
				if n := len(s.log.of(t, "lease lost")); n != 1 {
					t.Errorf("lease lost: got %d records, want 1", n)
				}
			})
		})
	}
}

func TestLeaseThatCannotBeExtendedIsLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var (
			down  atomic.Bool
			ended time.Duration
		)
		begin := time.Now()
		s := newSite(t, func(ctx context.Context, a queue.Attempt, h engine.Hooks) engine.Result {
			res := lasting(time.Hour)(ctx, a, h)
			ended = time.Since(begin)
			if cause := context.Cause(ctx); !errors.Is(cause, queue.ErrLeaseLost) {
				t.Errorf("cause: got %v, want ErrLeaseLost", cause)
			}
			return res
		}, "a")
		s.define(t, queuetest.Definition{Name: "a", ResponseTimeout: 30 * time.Second})
		s.queue.onExtend = func() error {
			if down.Load() {
				pass(time.Second)
				return errors.New("connection refused")
			}
			return nil
		}
		s.start(t, "a")
		s.run(t)
		pass(25 * time.Second) // extended at 10 and 20 s
		down.Store(true)
		pass(time.Minute)
		// Tries that take a second are still made so that the last is at the end of the lease.
		if want := 50 * time.Second; ended != want {
			t.Errorf("ended after %v, want %v", ended, want)
		}
		if n := len(s.log.of(t, "lease not extended")); n != 1 {
			t.Errorf("lease not extended: got %d records, want 1", n)
		}
	})
}

// One failed extension is made up for before the lease is over.
func TestLeaseSurvivesTrouble(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, lasting(2*time.Minute), "a")
		begin := time.Now()
		s.queue.onExtend = func() error {
			if at := time.Since(begin) % time.Minute; at > 15*time.Second && at < 35*time.Second {
				return errors.New("connection refused")
			}
			return nil
		}
		flow := s.start(t, "a")
		s.run(t)
		pass(3 * time.Minute)
		s.wantTries(t, flow, "COMPLETED")
		if n := len(s.log.of(t, "lease extended again")); n != 2 {
			t.Errorf("lease extended again: got %d records, want 2", n)
		}
	})
}

// A call that hangs must not keep a lost lease from being noticed.
func TestHungExtensionLosesTheLease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var ended time.Duration
		begin := time.Now()
		s := newSite(t, func(ctx context.Context, a queue.Attempt, h engine.Hooks) engine.Result {
			res := lasting(time.Hour)(ctx, a, h)
			ended = time.Since(begin)
			return res
		}, "a")
		s.define(t, queuetest.Definition{Name: "a", ResponseTimeout: 30 * time.Second})
		s.Leaser = hung{s.queue}
		s.start(t, "a")
		s.run(t)
		pass(2 * time.Minute)
		if want := 40 * time.Second; ended == 0 || ended > want {
			t.Errorf("ended after %v, want at most %v", ended, want)
		}
	})
}

// What the server does not say about an attempt does not count: the lease is kept
// for as long as it can be extended, and is over on time when that fails too.
func TestLeaseWhileCurrentFails(t *testing.T) {
	for name, tt := range map[string]struct {
		current, extend error         // of each call
		want            time.Duration // of the attempt, which takes 2 min
	}{
		"extended": {errDown, nil, 2 * time.Minute},
		"neither":  {errDown, errDown, 30 * time.Second},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var ended time.Duration
				begin := time.Now()
				s := newSite(t, func(ctx context.Context, a queue.Attempt, h engine.Hooks) engine.Result {
					res := lasting(2*time.Minute)(ctx, a, h)
					ended = time.Since(begin)
					return res
				}, "a")
				s.define(t, queuetest.Definition{Name: "a", ResponseTimeout: 30 * time.Second})
				s.Leaser = &scripted{Leaser: s.Leaser, answers: []error{tt.current}}
				s.queue.onExtend = func() error { return tt.extend }
				s.start(t, "a")
				s.run(t)
				pass(3 * time.Minute)
				if ended != tt.want {
					t.Errorf("ended after %v, want %v", ended, tt.want)
				}
			})
		})
	}
}

// A lease counts from when its extension was asked for: the server may have
// counted from then, however late its answer was.
func TestLeaseCountsFromTheRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var ended time.Duration
		begin := time.Now()
		s := newSite(t, func(ctx context.Context, a queue.Attempt, h engine.Hooks) engine.Result {
			res := lasting(time.Hour)(ctx, a, h)
			ended = time.Since(begin)
			return res
		}, "a")
		s.define(t, queuetest.Definition{Name: "a", ResponseTimeout: 30 * time.Second})
		asked := 0
		s.queue.onExtend = func() error {
			if asked++; asked > 1 {
				return errDown
			}
			pass(5 * time.Second) // of the extension that was asked for at 10 s
			return nil
		}
		s.start(t, "a")
		s.run(t)
		pass(2 * time.Minute)
		if want := 40 * time.Second; ended != want {
			t.Errorf("ended after %v, want %v", ended, want)
		}
	})
}

// A publication asks again when the server does not answer, and believes it when
// it does.
func TestCurrentIsAskedAgain(t *testing.T) {
	for name, tt := range map[string]struct {
		answers []error // the last stays
		want    error
		asked   int
	}{
		"lost twice": {[]error{errDown, errDown, nil}, nil, 3},
		"down":       {[]error{errDown}, errDown, 4},
		"gone":       {[]error{queue.ErrGone}, queue.ErrGone, 1},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				l := &scripted{answers: tt.answers}
				var got error
				s := newSite(t, func(ctx context.Context, a queue.Attempt, h engine.Hooks) engine.Result {
					got = h.Current(ctx)
					return done(ctx, a, h)
				}, "a")
				l.Leaser = s.Leaser
				s.Leaser = l
				s.start(t, "a")
				s.run(t)
				pass(9 * time.Second) // the lease asks for itself at 10 s
				s.stop(t)
				if got != tt.want || l.asked != tt.asked {
					t.Errorf("got %v after asking %d times, want %v after %d", got, l.asked, tt.want, tt.asked)
				}
			})
		})
	}
}

var errDown = errors.New("connection refused")

// scripted answers Current from a list.
type scripted struct {
	queue.Leaser
	answers []error
	asked   int
}

func (s *scripted) Current(context.Context, queue.Attempt) error {
	s.asked++
	return s.answers[min(s.asked, len(s.answers))-1]
}

// hung answers no extension.
type hung struct{ queue.Leaser }

func (hung) Extend(ctx context.Context, _ queue.Attempt) error {
	<-ctx.Done()
	return context.Cause(ctx)
}

// Nothing of a lease is under way when the report goes out, nor after it.
func TestLeaseEndsBeforeTheReport(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, lasting(25*time.Second), "a")
		s.queue.onReport = func(queue.Report) error {
			before := s.queue.extensions()
			pass(20 * time.Second)
			if after := s.queue.extensions(); after != before {
				t.Errorf("%d extensions during the report, want none", after-before)
			}
			return nil
		}
		s.start(t, "a")
		s.run(t)
		pass(2 * time.Minute)
		if n := len(s.queue.lasts()); n != 1 {
			t.Errorf("reports: got %d, want 1", n)
		}
	})
}

// An extension that is under way when the attempt ends is waited for.
func TestReportWaitsForTheLastExtension(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, lasting(12*time.Second), "a")
		var underWay atomic.Bool
		s.queue.onExtend = func() error {
			underWay.Store(true)
			defer underWay.Store(false)
			pass(5 * time.Second) // and does not heed its context
			return nil
		}
		s.queue.onReport = func(queue.Report) error {
			if underWay.Load() {
				t.Error("reported while an extension was under way")
			}
			return nil
		}
		flow := s.start(t, "a")
		s.run(t)
		pass(time.Minute)
		s.wantTries(t, flow, "COMPLETED")
	})
}

// A server that is busy with an extension writes the attempt back as running
// when it is done, whether somebody still waits for its answer or not. The result
// is there in the end, and the attempt is not tried again.
func TestResultSurvivesALateExtension(t *testing.T) {
	for name, tt := range map[string]struct {
		busy     time.Duration // with the extension that begins at 10 s; the attempt ends at 12 s
		cut      time.Duration // after which the connection breaks; 0 is never
		forced   bool          // the worker is told to stop at once, at 11 s
		status   string
		reported time.Duration // the first time
		reports  int
	}{
		"answered soon":      {5 * time.Second, 0, false, "COMPLETED", 15 * time.Second, 1},
		"answered late":      {18 * time.Second, 0, false, "COMPLETED", 21 * time.Second, 2},
		"never answered":     {18 * time.Second, 1500 * time.Millisecond, false, "COMPLETED", 12 * time.Second, 2},
		"answered and force": {5 * time.Second, 0, true, "FAILED " + queue.ErrForced.Error(), 11 * time.Second, 2},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				begin := time.Now()
				s := newSite(t, lasting(12*time.Second), "a")
				s.define(t, queuetest.Definition{Name: "a", ResponseTimeout: 30 * time.Second})
				var reported []time.Duration
				s.queue.onReport = func(queue.Report) error {
					reported = append(reported, time.Since(begin))
					return nil
				}
				s.Leaser = busy{s.queue, tt.busy, tt.cut}
				flow := s.start(t, "a")
				s.run(t)
				pass(11 * time.Second)
				if tt.forced {
					s.force()
				}
				pass(49 * time.Second)
				s.wantTries(t, flow, tt.status)
				if len(reported) != tt.reports || reported[0] != tt.reported {
					t.Errorf("reported at %v, want %d reports, the first at %v", reported, tt.reports, tt.reported)
				}
				if n := len(s.log.of(t, "report repeated: the server shows the attempt as running again")); n != tt.reports-1 {
					t.Errorf("report repeated: got %d records, want %d", n, tt.reports-1)
				}
			})
		})
	}
}

// busy takes its time for an extension, and goes on when nobody waits for it.
type busy struct {
	*spyQueue
	d, cut time.Duration
}

func (b busy) Extend(ctx context.Context, a queue.Attempt) error {
	write, done := b.Memory.Stale(a), make(chan struct{})
	go func() {
		pass(b.d)
		write()
		close(done)
	}()
	var cut <-chan time.Time
	if b.cut > 0 {
		cut = time.After(b.cut)
	}
	select {
	case <-done:
		return nil
	case <-cut:
		return errors.New("connection reset")
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func TestLinesThatCouldNotBeSentComeLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, func(ctx context.Context, a queue.Attempt, h engine.Hooks) engine.Result {
			h.Record("one")
			pass(15 * time.Second)
			h.Record("two")
			h.Progress(starlib.Progress{Done: 5})
			return engine.Result{Attempt: a, Status: queue.FailedTerminal, Story: "story"}
		}, "a")
		s.queue.onNote = func() error { return errors.New("connection refused") }
		flow := s.start(t, "a")
		s.run(t)
		pass(20 * time.Second)
		s.wantLog(t, flow, "one", "two", "progress 5", "story")
	})
}

func TestLogOfALongAttemptIsSentOnTheWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newSite(t, func(ctx context.Context, a queue.Attempt, h engine.Hooks) engine.Result {
			h.Record("one")
			h.Record("two")
			pass(time.Second / 2)
			for i := range 20 {
				h.Progress(starlib.Progress{Done: float64(i), Total: 20, Message: "rows"})
				pass(time.Second)
			}
			h.Record("three")
			return done(ctx, a, h)
		}, "a")
		flow := s.start(t, "a")
		s.run(t)
		pass(15 * time.Second)
		if got := s.Snapshot().Running[0].Progress; got.Done != 14 {
			t.Errorf("progress in the snapshot: got %+v, want 14", got)
		}
		s.wantLog(t, flow, "one\ntwo\nprogress 9/20 rows")
		pass(15 * time.Second)
		s.wantLog(t, flow, "one\ntwo\nprogress 9/20 rows", "progress 19/20 rows", "three")
	})
}

func (s *site) wantLog(t *testing.T, flow string, want ...string) {
	t.Helper()
	tasks, err := s.memory.Tasks(t.Context(), flow)
	if err != nil {
		t.Fatal(err)
	}
	if !reflect.DeepEqual(tasks[0].Log, want) {
		t.Errorf("log at the server: got %q, want %q", tasks[0].Log, want)
	}
}

func TestLogAtTheServerIsBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		line := strings.Repeat("x", 99)
		s := newSite(t, func(_ context.Context, a queue.Attempt, h engine.Hooks) engine.Result {
			for range 1000 {
				h.Record(line)
			}
			pass(time.Minute)
			for range 1000 {
				h.Record(line)
			}
			return engine.Result{Attempt: a, Status: queue.Failed, Reason: "no", Story: "story " + strings.Repeat("é", 20<<10)}
		}, "a")
		flow := s.start(t, "a")
		s.run(t)
		pass(2 * time.Minute)
		tasks, err := s.memory.Tasks(t.Context(), flow)
		if err != nil {
			t.Fatal(err)
		}
		all := strings.Join(tasks[0].Log, "\n")
		if len(all) > 32<<10 || len(all) < 30<<10 {
			t.Errorf("log at the server: got %d bytes, want nearly 32 KiB and no more", len(all))
		}
		for _, want := range []string{"xxx\n… 1837 more lines are in the worker's log\nstory éé", "é…"} {
			if !strings.Contains(all, want) {
				t.Errorf("the log lacks %q", want)
			}
		}
	})
}
