package isolate

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"sync"

	"perago/starlib"
	"perago/workspace"
	"perago/workspace/glob"
)

// proxy is starlib.Files in the child: every method is a request to the worker.
type proxy struct {
	conn   *conn
	pushed pushed

	mu      sync.Mutex
	last    uint64
	waiting map[uint64]chan reply
}

// reply is one answer of the worker, with the file that came along.
type reply struct {
	replyMessage
	file *os.File
}

func newProxy(c *conn) *proxy { return &proxy{conn: c, waiting: make(map[uint64]chan reply)} }

// deliver hands a reply to the call that waits for it. A file that nobody waits
// for is closed.
func (p *proxy) deliver(payload []byte, file *os.File) error {
	a := reply{file: file}
	if err := decodeTrusted(payload, &a.replyMessage); err != nil {
		return err
	}
	p.announce(a.replyMessage)
	p.mu.Lock()
	ch := p.waiting[a.ID]
	if !a.More {
		delete(p.waiting, a.ID)
	}
	p.mu.Unlock()
	if ch == nil {
		a.close()
		return nil
	}
	ch <- a
	return nil
}

func (a reply) close() {
	if a.file != nil {
		a.file.Close()
	}
}

// call asks the worker, and hands every part of the answer to each.
func (p *proxy) call(ctx context.Context, m callMessage, each func(reply)) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	ch := make(chan reply, 4)
	p.mu.Lock()
	p.last++
	m.ID = p.last
	p.waiting[m.ID] = ch
	p.mu.Unlock()
	if err := p.ask(m); err != nil {
		p.forget(m.ID, ch)
		return fmt.Errorf("ask the worker: %w", err)
	}
	for {
		select {
		case a := <-ch:
			if a.Error != nil {
				a.close()
				return a.Error.err()
			}
			each(a)
			if !a.More {
				return nil
			}
		case <-ctx.Done():
			p.forget(m.ID, ch)
			return context.Cause(ctx)
		}
	}
}

// ask sends a request. Arguments of a function of the program go as they are,
// nothing in them escaped, so that their bound is that of the frame.
func (p *proxy) ask(m callMessage) error {
	switch m.Op {
	case opHost:
	case opTable:
		return p.conn.send(kindFiles, m, nil)
	default:
		return p.conn.send(kindCall, m, nil)
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(m); err != nil {
		return err
	}
	return p.conn.send(kindHost, json.RawMessage(b.Bytes()), nil)
}

// forget drops what may still come for a call that was given up.
func (p *proxy) forget(id uint64, ch chan reply) {
	p.mu.Lock()
	delete(p.waiting, id)
	p.mu.Unlock()
	for {
		select {
		case a := <-ch:
			a.close()
		default:
			return
		}
	}
}

// do requests a change of the tree, which is answered by an error or nothing.
// Files that were sent before for its paths are stale from then on.
func (p *proxy) do(ctx context.Context, m callMessage) error {
	p.changed(ctx, string(m.Path))
	if m.Other != "" {
		p.changed(ctx, string(m.Other))
	}
	return p.call(ctx, m, reply.close)
}

// host is a function of the program, which runs in the worker.
func (p *proxy) host(name string) starlib.HostFunc {
	return func(ctx context.Context, args json.RawMessage) (value json.RawMessage, err error) {
		err = p.call(ctx, callMessage{Op: opHost, Path: text(name), Args: args}, func(a reply) {
			a.close()
			value = a.Value
		})
		return value, err
	}
}

// Stat implements starlib.Files.
func (p *proxy) Stat(ctx context.Context, path string) (workspace.Info, error) {
	return p.info(ctx, opStat, path)
}

// Find implements starlib.Files.
func (p *proxy) Find(ctx context.Context, path string) (workspace.Info, error) {
	return p.info(ctx, opFind, path)
}

func (p *proxy) info(ctx context.Context, op, path string) (info workspace.Info, err error) {
	err = p.call(ctx, callMessage{Op: op, Path: text(path)}, func(a reply) {
		a.close()
		for _, i := range a.Infos {
			info = i.info()
		}
	})
	return info, err
}

// ReadDir implements starlib.Files.
func (p *proxy) ReadDir(ctx context.Context, path string) (infos []workspace.Info, err error) {
	err = p.call(ctx, callMessage{Op: opReadDir, Path: text(path)}, func(a reply) {
		a.close()
		for _, i := range a.Infos {
			infos = append(infos, i.info())
		}
	})
	return infos, err
}

// Glob implements starlib.Files.
func (p *proxy) Glob(ctx context.Context, dir string, pattern *glob.Pattern) (paths []string, err error) {
	err = p.call(ctx, callMessage{Op: opGlob, Path: text(dir), Other: text(pattern.String())}, func(a reply) {
		a.close()
		for _, s := range a.Paths {
			paths = append(paths, string(s))
		}
	})
	return paths, err
}

// Open implements starlib.Files.
func (p *proxy) Open(ctx context.Context, path string) (*os.File, error) {
	if file := p.openPushed(ctx, path); file != nil {
		return file, nil
	}
	p.awaitMore(ctx) // the worker answers both at once, and announces no file twice
	return p.file(ctx, &callMessage{Op: opOpen, Path: text(path), Used: p.pushed.takeUsed()})
}

// file is a call that answers with an open file. m gets its ID.
func (p *proxy) file(ctx context.Context, m *callMessage) (file *os.File, err error) {
	err = p.call(ctx, *m, func(a reply) { file, m.ID = a.file, a.ID })
	if err == nil && file == nil {
		err = errors.New("too many open files in the body's process")
	}
	return file, err
}

// Create implements starlib.Files.
func (p *proxy) Create(ctx context.Context, path string, mode workspace.WriteMode) (*workspace.Draft, error) {
	p.changed(ctx, path)
	m := callMessage{Op: opCreate, Path: text(path), Mode: mode}
	file, err := p.file(ctx, &m)
	if err != nil {
		return nil, err
	}
	commit := func(ctx context.Context) (size int64, err error) {
		if err := file.Close(); err != nil {
			return 0, err
		}
		p.changed(ctx, path)
		err = p.call(ctx, callMessage{Op: opCommit, Path: text(path), Draft: m.ID}, func(a reply) { a.close(); size = a.Size })
		return size, err
	}
	discard := func() {
		file.Close()
		// Without a wait: the worker drops what is left when the body has ended.
		p.mu.Lock()
		p.last++
		id := p.last
		p.mu.Unlock()
		p.conn.send(kindCall, callMessage{ID: id, Op: opDiscard, Path: text(path), Draft: m.ID}, nil)
	}
	return workspace.NewDraft(path, file, commit, discard), nil
}

// Copy implements starlib.Files.
func (p *proxy) Copy(ctx context.Context, from, to string) error {
	return p.do(ctx, callMessage{Op: opCopy, Path: text(from), Other: text(to)})
}

// Rename implements starlib.Files.
func (p *proxy) Rename(ctx context.Context, from, to string) error {
	return p.do(ctx, callMessage{Op: opRename, Path: text(from), Other: text(to)})
}

// Remove implements starlib.Files.
func (p *proxy) Remove(ctx context.Context, path string) error {
	return p.do(ctx, callMessage{Op: opRemove, Path: text(path)})
}

// RemoveTree implements starlib.Files.
func (p *proxy) RemoveTree(ctx context.Context, path string) error {
	return p.do(ctx, callMessage{Op: opRemoveTree, Path: text(path)})
}

// Mkdir implements starlib.Files.
func (p *proxy) Mkdir(ctx context.Context, path string) error {
	return p.do(ctx, callMessage{Op: opMkdir, Path: text(path)})
}
