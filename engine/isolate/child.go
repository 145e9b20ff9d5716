package isolate

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"slices"
	"sync"
	"sync/atomic"

	"perago/engine"
	"perago/engine/module"
	"perago/panics"
	"perago/starlib"
	"perago/starlib/diag"
	"perago/starlib/schema"
)

const (
	childArgument = "__body"

	socketFD = 3
	noteFD   = 4

	// maxStack bounds the stack of one goroutine in the child, in bytes: a walk
	// that nests too deep ends the child before it takes all memory.
	maxStack = 64 << 20
)

// Role is what else a program may start itself for, beside a body.
type Role struct {
	Argument string                 // the first of the two arguments of such a process
	Live     func(order string) int // its work; order is the second argument, the result its exit code
}

// guarded is set once Main was called in this process, to the roles that it was
// told of. It is the one variable of the package: whether a process is guarded is
// a fact about the process, as os.Args is, and whoever starts a child cannot know
// it in any other way. It is written once, before there is a child.
var guarded atomic.Pointer[[]Role]

// Main has to be the first thing in main of a program that uses Processes. In a
// process that was started to run a body, or for one of the roles, it does that
// work and does not return: for a body it enters the sandbox, loads one module
// and runs one body. In any other it returns at once, and Processes may start
// children from then on.
//
// Without it a child would be the program once more, which would start children
// of its own. So no child is started before Main was called, and none for a role
// that it was not told of: a child whose main goes past it cannot start another
// one, and a process that has a role starts nothing but bodies and engines of
// statements.
func Main(roles ...Role) {
	if isChild(os.Args) {
		os.Exit(live(nil))
	}
	for _, r := range roles {
		if len(os.Args) == 3 && os.Args[1] == r.Argument {
			may := []Role{}
			if r.Argument != tableArgument {
				may = slices.DeleteFunc(slices.Clone(roles), func(r Role) bool { return r.Argument != tableArgument })
			}
			guarded.Store(&may)
			os.Exit(r.Live(os.Args[2]))
		}
	}
	guarded.Store(&roles)
}

// isChild says whether this process was started to run a body.
func isChild(args []string) bool { return len(args) == 2 && args[1] == childArgument }

// ErrUnguarded: Main was not called.
var ErrUnguarded = errors.New("bodies run in processes of their own, which are this program started again, and its main is not ready for that: call perago.Main() first in main, in tests first in TestMain")

// Guarded is nil once Main was called, else ErrUnguarded.
func Guarded() error {
	if guarded.Load() == nil {
		return ErrUnguarded
	}
	return nil
}

// Again is the command that starts this program for one of the roles of its Main,
// with an empty environment, and what it has said on standard error, as far as
// that is kept. The process dies with the thread that starts it: stay on that
// thread (runtime.LockOSThread) until it has ended.
func Again(ctx context.Context, role, order string) (c *exec.Cmd, stderr fmt.Stringer, err error) {
	if err := Guarded(); err != nil {
		return nil, nil, err
	}
	if !slices.ContainsFunc(*guarded.Load(), func(r Role) bool { return r.Argument == role }) {
		return nil, nil, fmt.Errorf("%s runs in a process of its own, which is this program started again, and its main is not ready for that: name the role in isolate.Main, first in main, in tests first in TestMain", role)
	}
	path, err := executable()
	if err != nil {
		return nil, nil, err
	}
	attributes, said := processAttributes(), &headBuffer{}
	c = exec.CommandContext(ctx, path)
	c.Args, c.Env, c.SysProcAttr, c.Stderr = []string{"perago", role, order}, attributes.Env, attributes.Sys, said
	return c, said, nil
}

// live does all that a child does, and returns the exit code of its process.
// heard, when it is not nil, is called in the child with every record of the
// body, on the body's thread: what tests do inside the sandbox.
func live(heard func(*child, starlib.Record)) int {
	inherited := closeInherited()
	c, n, err := inherit()
	if err != nil {
		fmt.Fprintln(os.Stderr, "perago __body is started by perago itself:", err)
		return 2
	}
	runtime.GOMAXPROCS(min(2, runtime.GOMAXPROCS(0)))
	debug.SetMaxStack(maxStack)
	layers := confine(inherited)
	if err := c.send(kindReady, readyMessage{Version: protocolVersion, Layers: layers}, nil); err != nil {
		return 1
	}
	if err := (&child{conn: c, note: n, files: newProxy(c), heard: heard}).listen(); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// inherit takes over what the worker passed on.
func inherit() (*conn, *note, error) {
	c, err := newConn(os.NewFile(socketFD, "worker"), takeFiles)
	if err != nil {
		return nil, nil, err
	}
	n, err := mapNote(os.NewFile(noteFD, "note"))
	if err != nil {
		return nil, nil, err
	}
	return c, n, nil
}

// child is the state of one child process.
type child struct {
	conn   *conn
	note   *note
	files  *proxy
	heard  func(*child, starlib.Record)
	module *module.Module
	cancel context.CancelCauseFunc // of the body, once it runs
	body   sync.WaitGroup          // runs it
}

// errAsked is the cause of a body that the worker asked to stop.
var errAsked = errors.New("the worker asked the body to stop")

// listen carries out the messages of the worker until it closes the socket. The
// body runs in a goroutine beside it.
func (c *child) listen() error {
	for {
		k, payload, file, err := c.conn.receive(kind.fromWorker)
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
		switch k {
		case kindLoad:
			err = c.load(payload)
		case kindRun:
			err = c.start(payload)
		case kindReply:
			err = c.files.deliver(payload, file)
		case kindCancel:
			if c.cancel != nil {
				c.cancel(errAsked)
			}
		}
		if err != nil {
			return err
		}
	}
}

// load loads the module, and reports that it is there or what is wrong with it.
func (c *child) load(payload []byte) error {
	var m loadMessage
	if err := decode(payload, &m); err != nil {
		return err
	}
	if c.module != nil {
		return fmt.Errorf("%w: a second module", errProtocol)
	}
	for i, row := range m.Host {
		var err error
		if m.Host[i], err = starlib.HostBuiltin(row, c.files.host(row.Name)); err != nil {
			return err
		}
	}
	module, problems := module.Again(m.File, m.Sources, module.Options{Root: m.Root, Host: m.Host, Cover: m.Cover})
	if module == nil {
		return c.conn.send(kindLoaded, loadedMessage{Problems: bounded(problems)}, nil)
	}
	if counts := module.Coverage(); counts != nil {
		counts.Take() // the worker has counted what ran while it loaded
	}
	c.module = module
	return c.conn.send(kindLoaded, loadedMessage{}, nil)
}

// start runs the body in a goroutine of its own, which ends the process.
func (c *child) start(payload []byte) error {
	var m runMessage
	raw, err := m.read(payload)
	if err != nil {
		return err
	}
	if c.module == nil || c.cancel != nil {
		return fmt.Errorf("%w: run out of order", errProtocol)
	}
	var params schema.Params
	err = panics.ToError(func() (err error) {
		params, err = c.module.Task.CheckedParams(raw)
		return err
	})()
	if err != nil {
		return fmt.Errorf("%w: params that no worker has checked: %v", errProtocol, err)
	}
	call := engine.Call{Params: params, Limits: m.Limits, Now: m.Now, Log: c.log, Progress: c.progress}
	if m.Workspace {
		call.Files = c.files
	}
	if m.Tables {
		call.Tables = c.files
	}
	ctx, cancel := context.WithCancelCause(context.Background())
	c.cancel = cancel
	c.body.Go(func() {
		done := c.run(ctx, call)
		c.files.tell()
		var err error
		if counts := c.module.Coverage(); counts != nil {
			err = c.conn.sendBytes(kindCounts, encodeCounts(counts.Take()), nil)
		}
		if done.result != nil {
			err = errors.Join(err, c.conn.send(kindResult, done.result, nil))
		}
		if err = errors.Join(err, c.conn.send(kindDone, done, nil)); err != nil {
			fmt.Fprintln(os.Stderr, "send the outcome:", err)
			c.conn.sock.Close() // which ends listen, and with it the process
		}
	})
	return nil
}

// run runs the body, and returns what to report of it.
func (c *child) run(ctx context.Context, call engine.Call) doneMessage {
	dedicated := &engine.Dedicated{Enter: c.note.enter, Peak: c.note.peak, Stuck: c.note.stuck,
		Passed: func(e *engine.LimitError) { c.conn.send(kindPassed, e, nil) }}
	result, usage, err := engine.InProcess{Dedicated: dedicated}.Run(ctx, c.module, call)
	done := doneMessage{Usage: usage}
	if err == nil {
		done.result = result
		return done
	}
	var body *engine.BodyError
	var fault *engine.PanicError
	switch {
	case errors.As(err, &body):
		done.Diagnostics, done.Terminal = bounded(body.Diagnostics), body.Terminal
	case errors.As(err, &fault):
		done.Panic, done.PanicStack = diag.ShortenBytes(fmt.Sprint(fault.Value), maxText), diag.ShortenBytes(fault.Stack, maxStackText)
	case errors.Is(err, errAsked):
		done.Cancelled = true
	default:
		done.Diagnostics = diag.List{{Code: "P4901", Severity: diag.Error, Message: diag.ShortenBytes(err.Error(), maxText)}}
	}
	return done
}

func (c *child) log(r starlib.Record) {
	if c.heard != nil {
		c.heard(c, r)
	}
	c.conn.send(kindRecord, encodeRecord(r), nil)
}

func (c *child) progress(p starlib.Progress) {
	p.Message = diag.ShortenBytes(p.Message, maxText)
	if finite(p.Done) && finite(p.Total) {
		c.conn.send(kindProgress, p, nil)
	}
}

func finite(f float64) bool { return !math.IsNaN(f) && !math.IsInf(f, 0) }

const (
	maxText        = 4 << 10  // bytes of one text of a diagnostic
	maxStackText   = 64 << 10 // bytes of a Go stack
	maxDiagnostics = 100
	maxFrames      = 100  // of one diagnostic
	maxAllFrames   = 1000 // of all: further ones go without
)

// bounded cuts diagnostics to what fits a message.
func bounded(list diag.List) diag.List {
	out := make(diag.List, 0, min(len(list), maxDiagnostics))
	frames := maxAllFrames
	for _, d := range list[:cap(out)] {
		if d == nil {
			continue
		}
		clean := *d
		for _, s := range []*string{&clean.Message, &clean.Source, &clean.Found, &clean.Wanted, &clean.Hint, &clean.Detail, &clean.File} {
			*s = diag.ShortenBytes(*s, maxText)
		}
		if n := len(clean.Stack); n > maxFrames {
			clean.Stack = append(clean.Stack[:maxFrames/2:maxFrames/2], clean.Stack[n-maxFrames/2:]...)
		}
		if frames -= len(clean.Stack); frames < 0 {
			clean.Stack = nil
		}
		out = append(out, &clean)
	}
	return out
}
