package isolate

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"perago/engine"
	"perago/engine/module"
	"perago/panics"
	"perago/starlib"
	"perago/starlib/diag"
	"perago/starlib/jsontext"
	"perago/workspace"
)

// session is one run of one body in one child.
type session struct {
	child  *process
	module *module.Module
	call   engine.Call
	grace  time.Duration
	drafts int // files that may be open for writing; 0 is maxDrafts
	files  *server
	tables starlib.Tables // nil: this program has no engine of statements

	records  int
	logBytes int
	progress int
	started  time.Time

	threads atomic.Int64 // that the child had when it was killed for having too many; else 0

	mu     sync.Mutex
	passed *engine.LimitError // the first limit that ended the body, as far as it is known
	fault  error              // of perago's own, in a goroutine that worked for this run
	limit  chan struct{}      // closed when passed is set
}

// Run implements engine.Body.
func (p *Processes) Run(ctx context.Context, m *module.Module, call engine.Call) (json.RawMessage, engine.Usage, error) {
	child, err := p.take(ctx, m)
	if err != nil {
		return nil, engine.Usage{}, err
	}
	defer p.release(child, call.Files != nil)
	over := make(chan struct{})
	defer close(over)
	p.refillAfterBody(m, over)
	if err := child.bound(call.Limits); err != nil {
		return nil, engine.Usage{}, err
	}
	s := &session{child: child, module: m, call: call, grace: p.grace, drafts: p.drafts, limit: make(chan struct{}), tables: p.Tables(call)}
	if s.tables != nil && asksTables(m) {
		p.inBackground(p.readyTable)
	}
	done, err := s.run(ctx)
	if err != nil {
		child.reap() // explain needs the state that the system gives it
		err = s.explain(ctx, err)
		usage := done.Usage
		usage.PeakBytes = readNote(child.note).Peak
		usage.ProcessBytes = residentOf(child.proc.Pid, child.state)
		return nil, usage, err
	}
	return s.outcome(ctx, done)
}

// release ends the child of a run. A child that was handed files is gone when
// release returns, so that nothing writes to what is published next. Any other
// child is reaped in the background, and only Close waits for it.
func (p *Processes) release(child *process, files bool) {
	child.proc.Kill()
	end := func() {
		child.reap()
		child.note.Close()
	}
	if files || !p.inBackground(end) {
		end()
	}
}

// run talks to the child until it is done or gone. When it returns, nothing that
// it started runs any more, but for the process.
func (s *session) run(ctx context.Context) (done doneMessage, err error) {
	inner, cancel := context.WithCancel(ctx)
	defer cancel()
	s.files = newServer(inner, s.call.Files, s.child.conn)
	s.files.most = cmp.Or(s.drafts, maxDrafts)
	s.files.fault = s.failed
	s.files.host = s.module.Host
	s.files.tables = s.tables
	var watching sync.WaitGroup
	defer func() {
		cancel()
		s.child.proc.Kill()
		watching.Wait()
		s.files.close()
	}()
	s.started = time.Now()
	over := make(chan struct{})
	defer close(over)
	// Watch before anything is sent: a child that does not read must not hold up
	// the worker.
	panics.Go(&watching, s.failed, func() { s.watch(ctx, over) })
	panics.Go(&watching, s.failed, func() { s.watchGrowth(over) })
	start, err := runMessage{Workspace: s.call.Files != nil, Tables: s.files.tables != nil, Limits: s.call.Limits, Now: s.call.Now}.frame(s.call.Params.JSON())
	if err != nil {
		return done, err
	}
	if err := s.child.conn.send(kindRun, start, nil); err != nil {
		return done, err
	}
	done, err = s.listen()
	done.Usage.ProcessBytes = residentOf(s.child.proc.Pid, nil) // while it lives
	if err == nil {
		err = s.faulted()
	}
	return done, err
}

// failed ends the run because of a fault of perago's own.
func (s *session) failed(err error) {
	s.mu.Lock()
	if s.fault == nil {
		s.fault = err
	}
	s.mu.Unlock()
	s.child.proc.Kill()
}

func (s *session) faulted() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.fault
}

// listen handles the messages of the child until it reports that it is done.
func (s *session) listen() (done doneMessage, err error) {
	var result json.RawMessage
	counted := s.module.Coverage() == nil
	for {
		k, payload, _, err := s.child.conn.receive(kind.fromChild)
		if err != nil {
			return done, err
		}
		if k == kindDone {
			err = decode(payload, &done)
			done.result = result
			return done, err
		}
		if k == kindResult && result == nil {
			result = payload
			continue
		}
		if k == kindCounts && !counted {
			if err := addCounts(s.module.Coverage(), payload); err != nil {
				return done, err
			}
			counted = true
			continue
		}
		if err := s.handle(k, payload); err != nil {
			return done, err
		}
	}
}

// watch kills a child that goes on after it was asked to stop: by the worker, or
// by its own limits.
func (s *session) watch(ctx context.Context, over <-chan struct{}) {
	var overdue <-chan time.Time
	if wall := s.call.Limits.Wall; wall > 0 {
		timer := time.NewTimer(wall + s.grace)
		defer timer.Stop()
		overdue = timer.C
	}
	select {
	case <-over:
		return
	case <-ctx.Done():
		// A child that does not read is killed all the same.
		s.child.conn.sock.SetWriteDeadline(time.Now().Add(s.grace))
		s.child.conn.send(kindCancel, cancelMessage{}, nil)
	case <-s.limit:
	case <-overdue:
		s.pass(engine.WallError(s.call.Limits.Wall))
	}
	timer := time.NewTimer(s.grace)
	defer timer.Stop()
	select {
	case <-over:
	case <-timer.C:
		s.child.proc.Kill()
	}
}

const (
	// maxThreads is how many threads a child may have. The Go runtime makes some
	// ten of them.
	maxThreads = 64
	// countEvery is how often they are counted: in less time a child cannot make
	// so many that others cannot make theirs.
	countEvery = 10 * time.Millisecond
	// measureEvery is how many counts of threads come between two looks at how
	// much was written.
	measureEvery = 25
)

// scratched is starlib.Files that can say whether too much was written to files
// that are still open.
type scratched interface{ CheckScratch() error }

// watchGrowth kills a child that makes too many threads, and ends a body that
// fills the disk. No limit of the system counts the threads of one process, or
// the bytes of all its files.
func (s *session) watchGrowth(over <-chan struct{}) {
	tick := time.NewTicker(countEvery)
	defer tick.Stop()
	files, _ := s.call.Files.(scratched)
	for n := 0; ; n++ {
		select {
		case <-over:
			return
		case <-s.child.gone:
			return
		case <-tick.C:
			var full *workspace.BoundError
			if files != nil && n%measureEvery == 0 && errors.As(files.CheckScratch(), &full) {
				s.pass(&engine.LimitError{Code: "P4101", Limit: full.Bound, Found: full.Found, Wanted: full.Wanted, Hint: full.Hint})
			}
			if n := threadsOf(s.child.proc.Pid); n > maxThreads {
				s.threads.Store(int64(n))
				s.child.proc.Kill()
				return
			}
		}
	}
}

// pass keeps the first limit that was passed.
func (s *session) pass(e *engine.LimitError) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.passed == nil {
		s.passed = e
		close(s.limit)
	}
}

// handle takes one message of a running body.
func (s *session) handle(k kind, payload []byte) error {
	switch k {
	case kindCall, kindHost, kindFiles:
		return s.files.handle(k, payload)
	case kindRecord:
		return s.record(payload)
	case kindProgress:
		return s.progressed(payload)
	case kindPassed:
		var e engine.LimitError
		if err := decode(payload, &e); err != nil {
			return err
		}
		if !isCode(e.Code) {
			return fmt.Errorf("%w: code %.20q", errProtocol, e.Code)
		}
		s.pass(&e)
		return nil
	}
	return fmt.Errorf("%w: frame of kind %d while a body runs", errProtocol, k)
}

// What a child may send beyond what its own code lets through: the warnings.
const (
	maxRecords  = engine.MaxRecords + 100
	maxLogBytes = 8 * engine.MaxLogBytes // escaped
)

func (s *session) record(payload []byte) error {
	s.records++
	s.logBytes += len(payload)
	if s.records > maxRecords || s.logBytes > maxLogBytes {
		return fmt.Errorf("%w: too many log records", errProtocol)
	}
	var m recordMessage
	if err := decode(payload, &m); err != nil {
		return err
	}
	if s.call.Log != nil {
		s.call.Log(m.record())
	}
	return nil
}

// progressed passes on a report of progress. The builtin is limited to a few a
// second; a child that sends many more was taken over.
func (s *session) progressed(payload []byte) error {
	s.progress++
	if float64(s.progress) > 1000+100*time.Since(s.started).Seconds() {
		return fmt.Errorf("%w: too many reports of progress", errProtocol)
	}
	var p starlib.Progress
	if err := decode(payload, &p); err != nil {
		return err
	}
	if s.call.Progress != nil {
		s.call.Progress(p)
	}
	return nil
}

// outcome checks what the child has reported of a body that ended.
func (s *session) outcome(ctx context.Context, done doneMessage) (json.RawMessage, engine.Usage, error) {
	usage := done.Usage
	usage.PeakBytes = max(0, usage.PeakBytes)
	switch {
	case done.Cancelled && ctx.Err() != nil:
		return nil, usage, context.Cause(ctx)
	case done.Panic != "":
		return nil, usage, &engine.PanicError{Value: diag.ShortenBytes(done.Panic, maxText), Stack: diag.ShortenBytes(done.PanicStack, maxStackText)}
	case len(done.Diagnostics) > 0:
		list := bounded(done.Diagnostics)
		for _, d := range list {
			if !isCode(d.Code) || d.Severity != diag.Error && d.Severity != diag.Warning {
				return nil, usage, s.protocolBroken("a diagnostic that is not one")
			}
		}
		if len(list) == 0 {
			return nil, usage, s.protocolBroken("an empty diagnostic")
		}
		for _, d := range list {
			s.restrict(d)
		}
		return nil, usage, &engine.BodyError{Diagnostics: list, Terminal: done.Terminal}
	}
	if err := jsontext.CheckObject(done.result); err != nil {
		return nil, usage, s.protocolBroken("a result that is none: " + diag.ShortenBytes(err.Error(), maxText))
	}
	return done.result, usage, nil
}

func isCode(c diag.Code) bool {
	return len(c) == 5 && c[0] == 'P' && strings.Trim(string(c[1:]), "0123456789") == ""
}

func (s *session) protocolBroken(what string) error {
	return s.failure("P4012", "the body's process broke the protocol", what, readNote(s.child.note))
}

// explain is the error of a body whose process ended before the body did. The
// process is gone.
func (s *session) explain(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if fault := s.faulted(); fault != nil {
		return fault
	}
	last := readNote(s.child.note)
	s.mu.Lock()
	passed := s.passed
	s.mu.Unlock()
	stderr := s.child.stderr.String()
	limits := s.call.Limits
	switch {
	case passed != nil:
		return s.limitFailure(passed, last)
	case s.threads.Load() > 0:
		return s.failure("P4012", "the body's process broke the protocol", fmt.Sprintf("%d threads, at most %d are allowed", s.threads.Load(), maxThreads), last)
	case strings.Contains(stderr, "goroutine stack exceeds"):
		return s.failure("P4011", "a value nests too deep, and the body's process died of it", "", last)
	case limits.Memory > 0 && OutOfMemory(stderr, last.Peak >= limits.Memory/2):
		e := engine.MemoryError(max(last.Peak, limits.Memory), limits.Memory)
		e.Found = "more than " + e.Found
		return s.limitFailure(e, last)
	case errors.Is(err, errProtocol) && !errors.Is(err, io.ErrUnexpectedEOF):
		return s.failure("P4012", "the body's process broke the protocol", strings.TrimPrefix(err.Error(), errProtocol.Error()+": "), last)
	}
	return s.failure("P4010", "the body's process died", s.exitReason(stderr), last)
}

// OutOfMemory says whether the Go runtime gave up because the kernel refused it
// memory. It has several ways to die of that, and not all name it: they count
// when the heap was large at the time.
func OutOfMemory(stderr string, large bool) bool {
	for _, sign := range []string{"out of memory", "cannot allocate memory"} {
		if strings.Contains(stderr, sign) {
			return true
		}
	}
	for _, sign := range []string{"pthread_create failed", "failed to create new OS thread", "fatal error: ", "SIGSEGV: "} {
		if large && strings.Contains(stderr, sign) {
			return true
		}
	}
	return false
}

// howEnded is what the system says of the end of the process.
func (p *process) howEnded() string {
	if p.state == nil {
		return "it hung up"
	}
	how := p.state.String()
	if status, ok := p.state.Sys().(syscall.WaitStatus); ok && status.Signaled() && status.Signal() == syscall.SIGKILL {
		how += " (by the system when it is out of memory, or by someone)"
	}
	return how
}

// exitReason is howEnded, and what the process said.
func (s *session) exitReason(stderr string) string {
	how := s.child.howEnded()
	if line, _, _ := strings.Cut(strings.TrimSpace(stderr), "\n"); line != "" {
		how += "; it said " + diag.ShortenBytes(line, 200)
	}
	return how
}

func (s *session) limitFailure(e *engine.LimitError, last lastState) error {
	err := s.failure(e.Code, "the body passed its limit of "+e.Limit, e.Found, last)
	d := err.Diagnostics[0]
	d.Wanted, d.Hint = e.Wanted, e.Hint
	return err
}

// failure is an error with what is known of the end of a body, at the place where
// the body was last seen.
func (s *session) failure(code diag.Code, message, found string, last lastState) *engine.BodyError {
	d := &diag.Diagnostic{Code: code, Severity: diag.Error, Message: message, Found: found}
	at := last.Stuck
	if at.Line == 0 || at.Line == int(s.module.Body.Position().Line) { // not inside of it any more
		at = last.At
	}
	if !s.locate(d, at) {
		pos := s.module.Body.Position()
		d.File, d.Line, d.Column = pos.Filename(), int(pos.Line), int(pos.Col)
	}
	var known []string
	switch {
	case last.Builtin != "" && last.At != at:
		known = append(known, fmt.Sprintf("last builtin %s at line %d", last.Builtin, last.At.Line))
	case last.Builtin != "":
		known = append(known, "last builtin "+last.Builtin)
	}
	if last.Peak >= 1<<20 {
		known = append(known, fmt.Sprintf("most live memory seen %d MiB", last.Peak>>20))
	}
	if len(known) > 0 {
		d.Message += " (" + strings.Join(known, ", ") + ")"
	}
	return &engine.BodyError{Diagnostics: diag.List{d}}
}

// locate gives d a place in the module; false when the module has no such place.
func (s *session) locate(d *diag.Diagnostic, at starlib.Position) bool {
	source, known := s.module.Sources[at.File]
	if !known || at.Line <= 0 || at.Line > bytes.Count(source, []byte("\n"))+1 {
		return false
	}
	d.File, d.Line, d.Column = at.File, at.Line, at.Column
	d.Source = ""
	s.module.Locate(diag.List{d})
	return true
}

// restrict lets a diagnostic of the child name no file but those of the module,
// and shows the line that stands there.
func (s *session) restrict(d *diag.Diagnostic) {
	at := starlib.Position{File: d.File, Line: d.Line, Column: d.Column}
	d.File, d.Line, d.Column, d.Source = "", 0, 0, ""
	s.locate(d, at)
	d.Stack = slices.DeleteFunc(d.Stack, func(f diag.Frame) bool { _, known := s.module.Sources[f.File]; return !known })
	for i := range d.Stack {
		d.Stack[i].Function = diag.ShortenBytes(d.Stack[i].Function, maxText)
	}
}
