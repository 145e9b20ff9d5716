package worker

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	"perago/engine/queue"
	"perago/panics"
)

const (
	longPoll      = 100 * time.Millisecond // that the poll of a lone task may wait at the server
	openPollGrace = 5 * time.Second        // that an open poll has left once the worker drains
	troubleMin    = 250 * time.Millisecond // first pause after a poll that failed
	troubleMax    = 30 * time.Second       // longest pause after polls that failed
	restMin       = 10 * time.Millisecond  // first pause after a turn that brought nothing
	restMax       = 200 * time.Millisecond // longest, unless PollIntervalMax says otherwise
	fewTasks      = 4                      // up to which each is polled in each turn; of more, the queues are asked for their sizes
)

// source is a task as the poll loop sees it, or the look at all queues.
type source struct {
	task      string        // "" for the look
	workspace bool          // attempts of it need the store
	fruitful  bool          // the last poll brought something
	held      bool          // the last poll brought nothing, and the queue is not empty
	trouble   string        // the error of the last poll; "" when it had an answer
	pause     time.Duration // until the next poll, when the last one failed
	notBefore time.Time     // of the next poll
}

// poller is the poll loop: what it asks, and in which order.
type poller struct {
	*loop
	sources []*source
	look    source
	blind   bool // the server cannot tell of its queues
	turn    int  // the source that comes first in the next turn
}

// pollUntilDrain asks for the attempts of each task in turn, as many as there are
// free slots, so that a task with a long queue takes the slots at most once a
// turn. It starts a goroutine in l.group for each attempt.
//
// To poll fifty tasks one after another takes long, and most of that time goes to
// empty queues. So with more than fewTasks tasks one request asks which queues
// have something, and these are polled. A queue may hold tasks that are not due
// yet, and the answer may be out of date: so of the tasks whose queue has
// something and whose last poll brought nothing, at most fewTasks are polled in a
// turn; and one task at least is polled whatever the answer is.
//
// After a turn that brought nothing is a pause that doubles up to
// PollIntervalMax. A slot that gets free ends it, because the task that follows
// the finished one in its workflow may be one of this worker. Only the poll of a
// lone task waits at the server: one task's empty queue would hold up the others.
func (l *loop) pollUntilDrain() {
	p := &poller{loop: l}
	for _, m := range l.Modules {
		p.sources = append(p.sources, &source{task: m.Task.Name, workspace: m.Task.Workspace != nil})
	}
	most := l.PollIntervalMax
	if most <= 0 {
		most = restMax
	}
	var wait, rest time.Duration // of a poll at the server; after the next empty turn
	for l.slots.await(l.poll) {
		if p.round(wait) {
			wait, rest = 0, 0
			continue
		}
		if l.pause(min(rest, most-wait)) {
			rest = 0
		}
		if len(p.sources) == 1 {
			wait = min(longPoll, most)
		}
		rest = max(restMin, min(2*rest, most))
	}
}

// round polls the tasks that are worth a poll now, and reports whether anything
// came.
func (p *poller) round(wait time.Duration) (any bool) {
	for _, s := range p.choose() {
		if !p.slots.await(p.poll) {
			return any
		}
		came := p.ask(s, wait)
		s.held = !came
		any = any || came
	}
	return any
}

// choose returns the sources of the next turn, in their order.
func (p *poller) choose() (chosen []*source) {
	n := len(p.sources)
	waiting, told := p.waiting()
	first, unsure := p.turn, 0
	next := first + 1
	for i := range n {
		s := p.sources[(first+i)%n]
		s.held = s.held && waiting[s.task]
		switch {
		case s.workspace && p.store.away():
			s.fruitful = false
		case s.fruitful, waiting[s.task] && !s.held:
			chosen = append(chosen, s)
		case unsure < fewTasks && (!told || waiting[s.task] || i == 0):
			unsure++
			chosen = append(chosen, s)
			if !told {
				next = first + i + 1
			}
		}
	}
	p.turn = next % n
	return chosen
}

// waiting looks which tasks have something on their queue. It tells nothing where
// that is not worth it, or the server does not say.
func (p *poller) waiting() (tasks map[string]bool, told bool) {
	if len(p.sources) <= fewTasks || p.blind || time.Now().Before(p.look.notBefore) {
		return nil, false
	}
	names := make([]string, len(p.sources))
	for i, s := range p.sources {
		names[i] = s.task
	}
	ctx, cancel := outlasting(p.poll, openPollGrace)
	defer cancel()
	found, err := p.Queue.Waiting(ctx, names)
	if p.blind = errors.Is(err, queue.ErrUnsupported); p.blind {
		return nil, false
	}
	p.note(&p.look, err)
	if err != nil {
		return nil, false
	}
	tasks = make(map[string]bool, len(found))
	for _, name := range found {
		tasks[name] = true
	}
	return tasks, true
}

// ask polls for one task and starts what came. It reports whether anything did.
func (l *loop) ask(s *source, wait time.Duration) bool {
	if time.Now().Before(s.notBefore) {
		return false
	}
	ctx, cancel := outlasting(l.poll, openPollGrace)
	attempts, err := l.Queue.Poll(ctx, s.task, l.slots.count(), wait)
	cancel()
	for _, a := range attempts {
		l.log.Info("task polled", a.LogAttrs()...)
		l.slots.take()
		panics.Go(&l.group, l.givenUp(a), func() {
			defer l.slots.give()
			l.serve(a)
		})
	}
	l.note(s, err)
	s.fruitful = len(attempts) > 0
	return s.fruitful
}

// givenUp logs a fault of perago's own outside of the attempt itself, whose lease
// then runs out.
func (l *loop) givenUp(a queue.Attempt) func(error) {
	return func(err error) { l.log.Error("attempt given up", append(a.LogAttrs(), "error", err.Error())...) }
}

// note remembers the outcome of a poll, and logs it when it differs from the last
// one.
func (l *loop) note(s *source, err error) {
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
func (l *loop) pause(d time.Duration) (freed bool) {
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
