package isolate

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"perago/engine"
	"perago/engine/module"
	"perago/panics"
)

const (
	// readyWithin is how long a child may take until its sandbox is on and its
	// module is loaded. The worker has loaded the same module before.
	readyWithin = 30 * time.Second

	// loadMemory is what a child may hold while it loads its module, in bytes:
	// limits of the task count from the start of its body.
	loadMemory = 1 << 30

	// maxStderr is how much of what a child says on standard error is kept.
	maxStderr = 16 << 10
)

// LimitMemory bounds the memory of this process, where the system can: the
// process dies when it asks for more than it has now and 1.5 times memory, in
// bytes. The processes that it starts for bodies have limits of their own.
func LimitMemory(memory int64) error { return limitMemory(os.Getpid(), memory, adjustable) }

// limitMode says whether a limit may be raised again.
type limitMode bool

const (
	adjustable limitMode = false
	final      limitMode = true
)

// process is one child, from its start to its end.
type process struct {
	proc   *os.Process
	conn   *conn
	note   *os.File
	module *module.Module // loaded; nil until then

	required bool          // a layer that is missing is an error
	prepared chan struct{} // closed when prepare is through
	err      error         // of prepare; read after prepared
	layers   []Layer       // the same

	gone   chan struct{}    // closed when the process has ended and was waited for
	state  *os.ProcessState // read after gone
	stderr *headBuffer
	reader sync.WaitGroup // of stderr
	reaped sync.Once
}

// startProcess starts a child of the binary at path.
func startProcess(path string, args []string) (*process, error) {
	ours, theirs, err := socketPair()
	if err != nil {
		return nil, err
	}
	defer theirs.Close()
	c, err := newConn(ours, noFiles)
	if err != nil {
		return nil, err
	}
	p := &process{conn: c, prepared: make(chan struct{}), gone: make(chan struct{}), stderr: &headBuffer{}}
	if p.note, err = newNoteFile(); err != nil {
		c.sock.Close()
		return nil, err
	}
	if err := p.spawn(path, args, theirs); err != nil {
		c.sock.Close()
		p.note.Close()
		return nil, err
	}
	return p, nil
}

// socketPair makes both ends of a Unix stream socket.
func socketPair() (ours, theirs *os.File, err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM, 0)
	if err != nil {
		return nil, nil, os.NewSyscallError("socketpair", err)
	}
	for _, fd := range fds {
		unix.CloseOnExec(fd)
	}
	return os.NewFile(uintptr(fds[0]), "child"), os.NewFile(uintptr(fds[1]), "worker"), nil
}

// spawn executes the binary with the other end of the socket, and starts to
// read its standard error and to wait for it.
func (p *process) spawn(path string, args []string, socket *os.File) error {
	null, err := os.OpenFile(os.DevNull, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	defer null.Close()
	r, w, err := os.Pipe()
	if err != nil {
		return err
	}
	defer w.Close()
	attr := processAttributes()
	attr.Files = []*os.File{null, null, w, socket, p.note}
	if p.proc, err = os.StartProcess(path, args, attr); err != nil {
		r.Close()
		return fmt.Errorf("start the body's process: %w", err)
	}
	end := func(error) { p.proc.Kill() }
	panics.Go(&p.reader, end, func() {
		defer r.Close()
		io.Copy(p.stderr, r)
	})
	panics.Go(&p.reader, end, func() {
		defer close(p.gone)
		p.state, _ = p.proc.Wait()
	})
	return nil
}

// prepare waits for the sandbox and loads m, unless it is nil. It is called
// once; the outcome is in err.
func (p *process) prepare(ctx context.Context, m *module.Module) {
	defer close(p.prepared)
	p.err = p.within(ctx, func() error {
		if err := p.greet(); err != nil || m == nil {
			return err
		}
		return p.load(m)
	})
}

// within does something that waits for the child, which is killed when ctx ends
// or when it takes too long.
func (p *process) within(ctx context.Context, do func() error) error {
	ctx, cancel := context.WithTimeoutCause(ctx, readyWithin, errors.New("the body's process was not ready in time"))
	defer cancel()
	stop := context.AfterFunc(ctx, func() { p.proc.Kill() })
	defer stop()
	err := panics.ToError(do)()
	if err != nil && ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return err
}

// errUnanswered: a child ended before its first message. Where main goes past
// Main in a child, it does so whatever that main does next.
var errUnanswered = errors.New("the body's process ended before it answered: call perago.Main() first in main, whatever the arguments are")

// greet takes the child's first message.
func (p *process) greet() error {
	var m readyMessage
	if err := p.expect(kindReady, &m); errors.Is(err, io.EOF) {
		return errUnanswered
	} else if err != nil {
		return err
	}
	if m.Version != protocolVersion {
		return fmt.Errorf("%w: version %d, want %d; was the program replaced while it ran?", errProtocol, m.Version, protocolVersion)
	}
	if len(m.Layers) > 100 {
		return fmt.Errorf("%w: %d layers", errProtocol, len(m.Layers))
	}
	p.layers = m.Layers
	if missing := Missing(p.layers); p.required && len(missing) > 0 {
		return &MissingError{missing}
	}
	return nil
}

// load has the child load the module that this process has loaded before.
func (p *process) load(m *module.Module) error {
	if err := limitMemory(p.proc.Pid, loadMemory, adjustable); err != nil {
		return err
	}
	if err := p.conn.send(kindLoad, loadMessage{File: m.File, Root: m.Root, Sources: m.Sources, Host: m.Host, Cover: m.Coverage() != nil}, nil); err != nil {
		return err
	}
	var loaded loadedMessage
	if err := p.expect(kindLoaded, &loaded); err != nil {
		return err
	}
	if len(loaded.Problems) > 0 {
		return fmt.Errorf("the body's process could not load the module: %w", bounded(loaded.Problems))
	}
	p.module = m
	return nil
}

// bound holds the process to the limits of one body, before it runs.
func (p *process) bound(l engine.Limits) error {
	if err := limitMemory(p.proc.Pid, l.Memory, final); err != nil {
		return fmt.Errorf("bound the body's memory: %w", err)
	}
	if l.Scratch == 0 {
		return nil
	}
	if err := boundFiles(p.proc.Pid, uint64(l.Scratch)); err != nil {
		return fmt.Errorf("bound the body's files: %w", err)
	}
	return nil
}

// expect receives the one message that may come now.
func (p *process) expect(want kind, v any) error {
	_, payload, _, err := p.conn.receive(func(k kind) bool { return k == want })
	if err != nil {
		return err
	}
	return decode(payload, v)
}

// reap ends the process, if it has not ended, and waits until it is gone:
// afterwards nothing writes to any file that it was handed.
func (p *process) reap() {
	p.reaped.Do(func() {
		p.proc.Kill()
		p.reader.Wait()
		p.conn.sock.Close()
	})
}

// headBuffer keeps the first maxStderr bytes that are written to it.
type headBuffer struct {
	mu   sync.Mutex
	kept []byte
}

func (k *headBuffer) Write(b []byte) (int, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.kept = append(k.kept, b[:min(len(b), maxStderr-len(k.kept))]...)
	return len(b), nil
}

func (k *headBuffer) String() string {
	k.mu.Lock()
	defer k.mu.Unlock()
	return string(k.kept)
}
