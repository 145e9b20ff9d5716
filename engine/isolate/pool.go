package isolate

import (
	"context"
	"errors"
	"runtime"
	"slices"
	"sync"
	"time"

	"perago/engine/module"
	"perago/panics"
)

// Options of Processes; the zero value is what `perago start` and `run` use.
type Options struct {
	// Spares is how many children wait, started and confined, so that an attempt
	// does not wait for that. 0 is 1, below 0 none.
	Spares int
	// Grace is how long a body that was asked to stop may go on before its
	// process is killed; 0 is 100 ms.
	Grace time.Duration
	// Slots is how many bodies run at once: each may have its share of the
	// descriptors of this process open for writing. 0 is 1.
	Slots int
	// Required refuses to run a body in a process that lacks a layer; the error is
	// a *MissingError.
	Required bool

	command *command // tests: what to start in place of this binary
}

// command is a binary and its arguments, the name first.
type command struct {
	path string
	args []string
}

// Processes runs every body in a process of its own: an engine.Body. A process
// runs one body and ends. It is safe for concurrent use.
type Processes struct {
	spares   int
	grace    time.Duration
	drafts   int // that one body may have open
	required bool
	command  *command

	ctx    context.Context // ends with Close
	cancel context.CancelCauseFunc
	busy   sync.WaitGroup // of what is done beside the bodies

	mu      sync.Mutex
	waiting []*spare       // oldest first
	last    *module.Module // that was asked for
	starter chan func()
	closed  bool
	table   *process // an engine of statements that waits
	faults  []error  // of the work in the background; Close returns the first few
}

// spare is a child that waits.
type spare struct {
	*process
	wants *module.Module // loaded, or being loaded; nil: it takes any
}

// ErrClosed: the processes were closed.
var ErrClosed = errors.New("no more bodies: the worker is stopping")

// New makes a Processes; nothing is started before the first body. Close must
// be called at the end.
func New(o Options) *Processes {
	if o.Spares == 0 {
		o.Spares = 1
	}
	if o.Grace == 0 {
		o.Grace = 100 * time.Millisecond
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	return &Processes{spares: max(0, o.Spares), grace: o.Grace, drafts: draftShare(fileLimit(), o.Slots), required: o.Required, command: o.command, ctx: ctx, cancel: cancel}
}

// Close ends the spares and waits for them. Bodies that run are not ended: they
// end with their own context.
func (p *Processes) Close() error {
	p.mu.Lock()
	p.closed = true
	waiting := p.waiting
	p.waiting = nil
	if p.table != nil {
		waiting = append(waiting, &spare{process: p.table})
		p.table = nil
	}
	p.mu.Unlock()
	p.cancel(ErrClosed)
	for _, s := range waiting {
		s.proc.Kill()
	}
	for _, s := range waiting {
		s.reap()
		s.note.Close()
	}
	p.busy.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.starter != nil {
		close(p.starter)
		p.starter = nil
	}
	return errors.Join(p.faults...)
}

// Warm starts the spares ahead of the next body, which is expected to be one of
// m, and waits until they are ready. The error is that of the first that cannot
// be.
func (p *Processes) Warm(ctx context.Context, m *module.Module) error {
	p.mu.Lock()
	p.last = m
	p.mu.Unlock()
	p.refill(m)
	p.mu.Lock()
	waiting := slices.Clone(p.waiting)
	p.mu.Unlock()
	for _, s := range waiting {
		select {
		case <-s.prepared:
			if s.err != nil {
				return s.err
			}
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	return nil
}

// Ahead starts the child of the next body, which will be one of m, while the
// attempt does what comes before its body.
func (p *Processes) Ahead(m *module.Module) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return
	}
	if s, err := p.start(m); err == nil { // else the body tries again, and reports it
		p.waiting = append(p.waiting, s)
	}
}

// take returns a child that is ready to run m.
func (p *Processes) take(ctx context.Context, m *module.Module) (*process, error) {
	for {
		s, waited, err := p.claim(m)
		if err != nil {
			return nil, err
		}
		err = s.ready(ctx, m)
		if err == nil {
			return s.process, nil
		}
		s.drop()
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		if !waited {
			return nil, err
		}
		// A child that waited may have been killed since then: try another one.
	}
}

// ready waits until a child is prepared, with m loaded.
func (s *spare) ready(ctx context.Context, m *module.Module) error {
	select {
	case <-s.prepared:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	switch {
	case s.err != nil:
		return s.err
	case !s.alive():
		return errors.New("the body's process ended while it waited")
	case s.module == nil:
		return s.within(ctx, func() error { return s.load(m) })
	}
	return nil
}

// claim takes a spare that suits m out of those that wait, or starts a child.
func (p *Processes) claim(m *module.Module) (s *spare, waited bool, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return nil, false, ErrClosed
	}
	for _, wants := range []*module.Module{m, nil} {
		if i := slices.IndexFunc(p.waiting, func(s *spare) bool { return s.wants == wants }); i >= 0 {
			s := p.waiting[i]
			p.waiting = slices.Delete(p.waiting, i, i+1)
			return s, true, nil
		}
	}
	s, err = p.start(m)
	return s, false, err
}

// refillAfter is how long a body runs before the next spare is started beside
// it; after a shorter one the spare is started then. To start one takes longer
// than most bodies, and most of a core.
const refillAfter = 5 * time.Millisecond

// refillAfterBody starts spares for what comes after a body of m, which is over when
// over is closed.
func (p *Processes) refillAfterBody(m *module.Module, over <-chan struct{}) {
	p.inBackground(func() {
		timer := time.NewTimer(refillAfter)
		defer timer.Stop()
		select {
		case <-over:
		case <-timer.C:
		}
		p.refill(m)
	})
}

// inBackground does something that Close waits for; false when the processes are
// closed already.
func (p *Processes) inBackground(do func()) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return false
	}
	panics.Go(&p.busy, p.failed, do)
	return true
}

// failed keeps an error of the work in the background. No attempt suffers from
// it: a body that finds no child starts one.
func (p *Processes) failed(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.faults) < 3 {
		p.faults = append(p.faults, err)
	}
}

// refill starts spares after a body of m was asked for. When the request before
// it was for m too, they load m; else they wait without a module. The oldest
// spare is dropped when all of them have loaded other modules.
func (p *Processes) refill(m *module.Module) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var wants *module.Module
	if p.last == m {
		wants = m
	}
	p.last = m
	suits := func(s *spare) bool { return s.wants == m || s.wants == nil }
	if len(p.waiting) == p.spares && p.spares > 0 && !slices.ContainsFunc(p.waiting, suits) {
		oldest := p.waiting[0]
		p.waiting = slices.Delete(p.waiting, 0, 1)
		panics.Go(&p.busy, p.failed, oldest.drop)
	}
	for !p.closed && len(p.waiting) < p.spares {
		s, err := p.start(wants)
		if err != nil {
			return // the next body tries again, and reports it
		}
		p.waiting = append(p.waiting, s)
	}
}

// start starts a child and prepares it in the background. p.mu is held.
func (p *Processes) start(m *module.Module) (*spare, error) {
	child, err := p.spawn(childArgument)
	if err != nil {
		return nil, err
	}
	child.required = p.required
	panics.Go(&p.busy, p.failed, func() { child.prepare(p.ctx, m) })
	return &spare{process: child, wants: m}, nil
}

// spawn starts a child from the one thread that starts them all: a child dies
// with the thread that started it. p.mu is held.
func (p *Processes) spawn(args ...string) (child *process, err error) {
	if p.starter == nil {
		p.starter = make(chan func())
		go serveStarts(p.starter)
	}
	done := make(chan struct{})
	p.starter <- func() {
		defer close(done)
		err = panics.ToError(func() (err error) {
			c := p.command
			if c == nil {
				if err := Guarded(); err != nil {
					return err
				}
				path, err := executable()
				if err != nil {
					return err
				}
				c = &command{path: path, args: append([]string{"perago"}, args...)}
			}
			child, err = startProcess(c.path, c.args)
			return err
		})()
	}
	<-done
	return child, err
}

// serveStarts runs what it is sent on a thread of its own. Close ends it.
func serveStarts(starts <-chan func()) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	for start := range starts {
		start()
	}
}

// drop ends a spare that nobody will use.
func (s *spare) drop() {
	s.reap()
	s.note.Close()
}

// alive says whether the process has not ended by itself.
func (p *process) alive() bool {
	select {
	case <-p.gone:
		return false
	default:
		return true
	}
}

// Layers starts one child and reports which layers of isolation this machine has.
func Layers(ctx context.Context) ([]Layer, error) {
	p := New(Options{Spares: -1})
	defer p.Close()
	p.mu.Lock()
	s, err := p.start(nil)
	p.mu.Unlock()
	if err != nil {
		return nil, err
	}
	defer s.drop()
	select {
	case <-s.prepared:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	return append([]Layer{
		{Name: "own process", Active: true, Why: "what a body does to its memory, its stack or its threads ends with it"},
		{Name: "empty environment", Active: true, Why: "no credential is in it"},
	}, s.layers...), s.err
}
