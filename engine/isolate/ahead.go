package isolate

import (
	"context"
	"os"
	"slices"
	"strings"
	"sync"
)

// aheadWindow is how many files the worker sends before the body opens them.
const aheadWindow = 16

// firstPushed is the first ID of a file that the worker sends without being asked
// for it. The child's own requests count up from 1.
const firstPushed = 1 << 63

// Which files the body opens next is the worker's decision: it has the lists that
// the body was given, and learns which files the body opens. It announces the next
// ones with the answer to a request, and sends them after it. The child keeps them
// until the body opens them, so that a body which goes through many small files
// seldom waits for the worker.

// pushed are the files that the worker has announced to a child, in the child.
type pushed struct {
	mu    sync.Mutex
	files map[string]pushedFile // by path
	used  []uint64              // IDs of those that the body opened, of which the worker does not know yet
	ended bool                  // the worker announced none when it was asked last
	more  *moreRequest          // that is not known to be answered; nil: none
}

// pushedFile is a file that the worker has announced.
type pushedFile struct {
	id uint64
	ch chan reply
}

// moreRequest is a request for more files.
type moreRequest struct {
	id uint64
	ch chan reply
}

// announce prepares for the files that a reply announces, and closes those that it
// withdraws. It is called before any of these files can arrive.
func (p *proxy) announce(m replyMessage) {
	if len(m.Ahead) == 0 && len(m.Withdrawn) == 0 {
		return
	}
	a := &p.pushed
	a.mu.Lock()
	defer a.mu.Unlock()
	a.drop(p, func(_ string, id uint64) bool { return slices.Contains(m.Withdrawn, id) })
	if a.files == nil {
		a.files = make(map[string]pushedFile)
	}
	for _, file := range m.Ahead {
		f := pushedFile{file.ID, make(chan reply, 1)}
		a.drop(p, func(path string, _ uint64) bool { return path == string(file.Path) })
		a.files[string(file.Path)] = f
		p.mu.Lock()
		p.waiting[f.id] = f.ch
		p.mu.Unlock()
	}
	a.ended = false
}

// take is the file that was announced for path, if one was.
func (a *pushed) take(path string) (f pushedFile, is bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	f, is = a.files[path]
	delete(a.files, path)
	return f, is
}

// changed drops what was sent for a path that the body changes, and for all paths
// below it. What a request announces that is still under way could be of before the
// change, so its answer is waited for.
func (p *proxy) changed(ctx context.Context, path string) {
	p.awaitMore(ctx)
	a := &p.pushed
	a.mu.Lock()
	defer a.mu.Unlock()
	a.drop(p, func(of string, _ uint64) bool { return of == path || path == "" || strings.HasPrefix(of, path+"/") })
}

// askMore asks for more files without waiting for the answer, which announces them.
func (p *proxy) askMore() {
	r := &moreRequest{ch: make(chan reply, 1)}
	p.mu.Lock()
	p.last++
	r.id = p.last
	p.waiting[r.id] = r.ch
	p.mu.Unlock()
	p.pushed.mu.Lock()
	p.pushed.more = r
	p.pushed.mu.Unlock()
	if p.conn.send(kindCall, callMessage{ID: r.id, Op: opMore, Used: p.pushed.takeUsed()}, nil) != nil {
		p.forget(r.id, r.ch)
		r.ch <- reply{} // the worker is gone: no answer will come
	}
}

// awaitMore waits for the answer to the last request for more files.
func (p *proxy) awaitMore(ctx context.Context) {
	p.pushed.mu.Lock()
	r := p.pushed.more
	p.pushed.more = nil
	p.pushed.mu.Unlock()
	if r == nil {
		return
	}
	select {
	case a := <-r.ch:
		a.close()
	case <-ctx.Done():
		p.forget(r.id, r.ch)
	}
}

// drop drops some of the files. The caller holds the lock.
func (a *pushed) drop(p *proxy, which func(path string, id uint64) bool) {
	for path, f := range a.files {
		if which(path, f.id) {
			delete(a.files, path)
			p.forget(f.id, f.ch)
		}
	}
}

// takeUsed are the IDs that the worker is to be told of now.
func (a *pushed) takeUsed() []uint64 {
	a.mu.Lock()
	defer a.mu.Unlock()
	used := a.used
	a.used = nil
	return used
}

// openPushed is the file that was announced for path, nil when it must be asked for as
// any other. When half of the announced files are used up it asks for more.
func (p *proxy) openPushed(ctx context.Context, path string) *os.File {
	f, is := p.pushed.take(path)
	if !is {
		p.awaitMore(ctx)
		f, is = p.pushed.take(path)
	}
	if !is {
		return nil
	}
	var file *os.File
	select {
	case r := <-f.ch:
		if file = r.file; r.Error != nil || file == nil {
			r.close()
			return nil
		}
	case <-ctx.Done():
		p.forget(f.id, f.ch)
		return nil
	}
	a := &p.pushed
	a.mu.Lock()
	a.used = append(a.used, f.id)
	more := !a.ended && len(a.files) <= aheadWindow/2
	a.ended = a.ended || more // until more are announced
	a.mu.Unlock()
	if more {
		p.awaitMore(ctx) // one at a time
		p.askMore()
	}
	return file
}

// tell tells the worker at the end of the body what it does not know yet.
func (p *proxy) tell() {
	if used := p.pushed.takeUsed(); len(used) > 0 {
		p.conn.send(kindCall, callMessage{Op: opUsed, Used: used}, nil)
	}
}

// aheadOpener is starlib.Files that knows what a body opens next, and can open a
// file before the body does.
type aheadOpener interface {
	// Expected are the files that the body is expected to open next, at most n.
	Expected(n int) []string
	// OpenAhead is Open; the body has opened the file when used is called.
	OpenAhead(ctx context.Context, path string) (file *os.File, used func(), err error)
}

// ahead is what the worker has announced to one child.
type ahead struct {
	mu   sync.Mutex
	last uint64
	sent map[string]*sentAhead // neither opened by the body nor withdrawn; by path
	late map[uint64]func()     // withdrawn last, by ID: the body may have opened them before it heard of that
}

// sentAhead is one announced file.
type sentAhead struct {
	id   uint64
	used func() // to be called when the body opens it; nil before it is sent
}

// opened notes which of the announced files the body has opened.
func (s *server) opened(ids []uint64) {
	a := &s.ahead
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, id := range ids {
		if used := a.late[id]; used != nil {
			delete(a.late, id)
			used()
		}
		for path, f := range a.sent {
			if f.id == id && f.used != nil {
				delete(a.sent, path)
				f.used()
			}
		}
	}
}

// next adds to a reply which files are announced with it, and which that were
// announced before are withdrawn: the body is no longer expected to open them.
func (s *server) next(m *replyMessage) {
	files, can := s.files.(aheadOpener)
	if !can {
		return
	}
	a := &s.ahead
	a.mu.Lock()
	defer a.mu.Unlock()
	expected := files.Expected(aheadWindow)
	if len(expected) == 0 {
		return
	}
	clear(a.late)
	for path, f := range a.sent {
		if !slices.Contains(expected, path) {
			m.Withdrawn = append(m.Withdrawn, f.id)
			a.late[f.id] = f.used
			delete(a.sent, path)
		}
	}
	for _, path := range expected {
		if _, is := a.sent[path]; is {
			continue
		}
		if a.sent == nil {
			a.sent, a.late = make(map[string]*sentAhead), make(map[uint64]func())
		}
		f := &sentAhead{id: firstPushed + a.last}
		a.last++
		a.sent[path] = f
		m.Ahead = append(m.Ahead, aheadMessage{ID: f.id, Path: text(path)})
	}
}

// push sends the files that were announced, one after another as the body will
// open them. One that was withdrawn meanwhile is left out.
func (s *server) push(announced []aheadMessage) error {
	for _, m := range announced {
		file, used, err := s.files.(aheadOpener).OpenAhead(s.ctx, string(m.Path))
		s.ahead.mu.Lock()
		f := s.ahead.sent[string(m.Path)]
		wanted := f != nil && f.id == m.ID
		if wanted && err == nil {
			f.used = used
		}
		s.ahead.mu.Unlock()
		if !wanted {
			file.Close() // an error when there is none
			continue
		}
		if err := s.sendFile(replyMessage{ID: m.ID}, file, err); err != nil {
			return err
		}
	}
	return nil
}

// open sends a file that can only be read, and after it those that the body is
// expected to open next.
func (s *server) open(m callMessage) error {
	file, err := s.files.Open(s.ctx, string(m.Path))
	r := replyMessage{ID: m.ID}
	if err == nil {
		s.next(&r)
	}
	if err := s.sendFile(r, file, err); err != nil {
		return err
	}
	return s.push(r.Ahead)
}

// more sends the files that the body is expected to open next.
func (s *server) more(m callMessage) error {
	r := replyMessage{ID: m.ID}
	s.next(&r)
	if err := s.reply(r, nil); err != nil {
		return err
	}
	return s.push(r.Ahead)
}
