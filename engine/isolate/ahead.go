package isolate

import (
	"context"
	"os"
	"slices"
	"strings"
	"sync"
)

// aheadWindow is how many files are asked for before the body opens them.
const aheadWindow = 16

// ahead guesses which files the body opens next, in the child: after two in a
// row of the last list that it was given, the ones that follow. They are asked
// for in one request, and the answers wait here, so that a body which goes
// through many small files seldom waits for the worker.
type ahead struct {
	mu     sync.Mutex
	files  []string         // the last list, sorted
	at     int              // in it: the last one that was opened
	run    int              // how many in a row, up to it
	asked  int              // in it: how far was asked
	latest string           // the last path of the last request
	answer map[string]early // by path
	used   []uint64         // opened by the body, and the worker does not know yet
}

// early is a request for a file that the body has not opened yet.
type early struct {
	id uint64
	ch chan reply
}

// listed tells of a list of files that the body was given, sorted.
func (a *ahead) listed(files []string) {
	if len(files) < 3 {
		return
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.files, a.at, a.run, a.asked = slices.Clone(files), -2, 0, 0
}

// take is the early request for path, if there is one.
func (a *ahead) take(path string) (e early, is bool) {
	a.mu.Lock()
	defer a.mu.Unlock()
	e, is = a.answer[path]
	delete(a.answer, path)
	return e, is
}

// opened tells that the body opened path, and says what to ask for now. What
// waits and is not of these any more is let go: it would hold files open.
func (a *ahead) opened(p *proxy, path string) (next []string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if i := a.at + 1; i > 0 && i < len(a.files) && a.files[i] == path {
		a.at, a.run = i, a.run+1
	} else if i, is := slices.BinarySearch(a.files, path); is && i != a.at {
		a.at, a.run, a.asked = i, 1, i
	}
	// One request at a time, and when half of the last one is used up.
	a.asked = max(a.asked, a.at)
	latest, waits := a.answer[a.latest]
	if a.run < 2 || a.asked-a.at > aheadWindow/2 || waits && len(latest.ch) == 0 {
		return nil
	}
	for a.asked < a.at+aheadWindow && a.asked+1 < len(a.files) {
		a.asked++
		if path := a.files[a.asked]; a.answer[path].ch == nil {
			next = append(next, path)
		}
	}
	if len(next) > 0 {
		a.drop(p, func(path string) bool {
			i, is := slices.BinarySearch(a.files, path)
			return !is || i <= a.at || i > a.asked
		})
	}
	return next
}

// changed drops the answers for what is, or is below, a path that the body
// changes.
func (a *ahead) changed(p *proxy, path string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.drop(p, func(of string) bool { return of == path || path == "" || strings.HasPrefix(of, path+"/") })
}

// drop drops the answers for some paths. The caller holds the lock.
func (a *ahead) drop(p *proxy, of func(path string) bool) {
	for path, e := range a.answer {
		if of(path) {
			delete(a.answer, path)
			p.forget(e.id, e.ch)
		}
	}
}

// askAhead asks for files that the body will open next, and tells which of those
// before it did open. Without a wait: what does not arrive is asked for again.
func (p *proxy) askAhead(paths []string) {
	if len(paths) == 0 {
		return
	}
	m := callMessage{Op: opAhead}
	for _, path := range paths {
		m.Paths = append(m.Paths, text(path))
	}
	p.mu.Lock()
	m.ID = p.last + 1
	p.last += uint64(len(paths))
	requests := make([]early, len(paths))
	for i := range paths {
		requests[i] = early{m.ID + uint64(i), make(chan reply, 1)}
		p.waiting[requests[i].id] = requests[i].ch
	}
	p.mu.Unlock()

	a := &p.ahead
	a.mu.Lock()
	m.Used, a.used = a.used, nil
	if a.answer == nil {
		a.answer = make(map[string]early)
	}
	for i, path := range paths {
		a.answer[path] = requests[i]
	}
	a.latest = paths[len(paths)-1]
	a.mu.Unlock()
	if p.conn.send(kindCall, m, nil) != nil { // too long, or the worker is gone: no answer will come
		a.mu.Lock()
		defer a.mu.Unlock()
		a.drop(p, func(path string) bool { return slices.Contains(paths, path) })
		a.used = append(a.used, m.Used...)
	}
}

// await is the answer to an early request, nil when the file must be asked for
// as any other.
func (p *proxy) await(ctx context.Context, e early) *os.File {
	select {
	case r := <-e.ch:
		if r.Error != nil || r.file == nil {
			r.close()
			return nil
		}
		p.ahead.mu.Lock()
		defer p.ahead.mu.Unlock()
		p.ahead.used = append(p.ahead.used, e.id)
		return r.file
	case <-ctx.Done():
		p.forget(e.id, e.ch)
		return nil
	}
}

// tell tells the worker what it does not know yet, at the end of the body.
func (p *proxy) tell() {
	p.ahead.mu.Lock()
	used := p.ahead.used
	p.ahead.used = nil
	p.ahead.mu.Unlock()
	if len(used) > 0 {
		p.conn.send(kindCall, callMessage{Op: opAhead, Used: used}, nil)
	}
}
