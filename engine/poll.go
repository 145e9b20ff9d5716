package engine

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"perago/workspace"
)

const (
	longPoll      = 100 * time.Millisecond // that a turn over all tasks may wait at the server, in all
	openPollGrace = 5 * time.Second        // that an open poll has left once the worker drains
	troubleMin    = 250 * time.Millisecond // first pause after a poll that failed
	troubleMax    = 30 * time.Second       // longest pause after polls that failed
	restMin       = 10 * time.Millisecond  // first pause after a turn that brought nothing
)

// source is a task as the poll loop sees it.
type source struct {
	task      string
	trouble   string        // the error of the last poll; "" when it had an answer
	pause     time.Duration // until the next poll, when the last one failed
	notBefore time.Time     // of the next poll
}

// pollUntilDrain asks for the attempts of each task in turn, as many as there
// are free slots, so that a task with a long queue takes the slots once a turn
// and no oftener. It starts a goroutine in l.group for each attempt.
//
// While anything comes in, no poll waits at the server: one task's empty queue
// would hold up the others. After a turn that brought nothing the polls wait
// there, for longPoll a turn, and between the turns is a pause that doubles up
// to PollIntervalMax. A slot that gets free ends the pause, because what follows
// the finished task in its workflow may be ours as well.
func (l *life) pollUntilDrain() {
	sources := make([]*source, len(l.Modules))
	for i, m := range l.Modules {
		sources[i] = &source{task: m.Task.Name}
	}
	most := l.PollIntervalMax
	if most <= 0 {
		most = time.Second
	}
	var (
		wait  time.Duration // at the server, of one poll
		rest  time.Duration // after the next empty turn
		empty int           // sources in a row that had nothing
	)
	for turn := 0; l.slots.await(l.poll); turn = (turn + 1) % len(sources) {
		if l.ask(sources[turn], wait) {
			wait, rest, empty = 0, 0, 0
			continue
		}
		if empty++; empty < len(sources) {
			continue
		}
		if l.pause(min(rest, most-min(longPoll, most))) {
			rest = 0
		}
		empty = 0
		wait = min(longPoll, most) / time.Duration(len(sources))
		rest = max(restMin, min(2*rest, most))
	}
}

// ask polls for one task and starts what came. It reports whether anything did.
func (l *life) ask(s *source, wait time.Duration) bool {
	if time.Now().Before(s.notBefore) {
		return false
	}
	ctx, cancel := outlasting(l.poll, openPollGrace)
	attempts, err := l.Queue.Poll(ctx, s.task, l.slots.count(), wait)
	cancel()
	for _, a := range attempts {
		l.log.Info("task polled", a.LogAttrs()...)
		l.slots.take()
		workspace.Go(&l.group, l.givenUp(a), func() {
			defer l.slots.give()
			l.serve(a)
		})
	}
	l.note(s, err)
	return len(attempts) > 0
}

// givenUp tells of a fault of perago's own around an attempt. What is left of
// the attempt is its lease, which runs out.
func (l *life) givenUp(a Attempt) func(error) {
	return func(err error) { l.log.Error("attempt given up", append(a.LogAttrs(), "error", err.Error())...) }
}

// note keeps what is to be known of the last poll, and logs it when it is news.
func (l *life) note(s *source, err error) {
	if err == nil {
		if s.trouble != "" {
			l.log.Info("poll recovered", "task", s.task)
		}
		s.trouble, s.pause, s.notBefore = "", 0, time.Time{}
		return
	}
	if l.poll.Err() != nil {
		return // an open poll that the drain ended
	}
	if text := err.Error(); text != s.trouble {
		l.log.Warn("poll failed", "task", s.task, "error", text)
		s.trouble = text
	}
	s.pause = min(max(troubleMin, 2*s.pause), troubleMax)
	// Not all workers at the same moment, when the server is back.
	s.notBefore = time.Now().Add(s.pause - rand.N(s.pause/4))
}

// pause waits for d, or until a slot gets free, which it reports, or the drain.
// It is never shorter than restMin, whatever is wrong with every task.
func (l *life) pause(d time.Duration) (freed bool) {
	timer := time.NewTimer(max(d, restMin))
	defer timer.Stop()
	select {
	case <-l.poll.Done():
	case <-timer.C:
	case <-l.slots.freed:
		return true
	}
	return false
}

// outlasting returns a context that ends d after ctx does.
func outlasting(ctx context.Context, d time.Duration) (context.Context, context.CancelFunc) {
	longer, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() {
		timer := time.NewTimer(d)
		defer timer.Stop()
		select {
		case <-timer.C:
			cancel()
		case <-longer.Done():
		}
	})
	return longer, func() { stop(); cancel() }
}

// slots counts the free slots. Only the poll loop takes one. The count goes
// below zero when a server hands out more than it was asked for: that is run as
// well, since the server now counts on it.
type slots struct {
	mu    sync.Mutex
	free  int
	freed chan struct{} // has an element after a slot got free
}

func newSlots(n int) *slots { return &slots{free: n, freed: make(chan struct{}, 1)} }

// await returns true as soon as a slot is free, false as soon as ctx has ended.
func (s *slots) await(ctx context.Context) bool {
	for ctx.Err() == nil {
		if s.count() > 0 {
			return true
		}
		select {
		case <-ctx.Done():
		case <-s.freed:
		}
	}
	return false
}

func (s *slots) count() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.free
}

func (s *slots) take() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.free--
}

func (s *slots) give() {
	s.mu.Lock()
	s.free++
	s.mu.Unlock()
	select {
	case s.freed <- struct{}{}:
	default:
	}
}
