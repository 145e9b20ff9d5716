package workspace

import (
	"context"
	"slices"
	"sync"

	"perago/panics"
	"perago/workspace/listing"
	"perago/workspace/storage"
)

// readAhead predicts what a body opens next. When the body has opened two
// consecutive files of one list that it was given (a glob, a folder), it is
// expected to open the files that follow. They are fetched into the cache, twice as
// many with each file that the body opens in turn, until as many transfers are
// under way as there may be.
type readAhead struct {
	o       *Overlay
	fetches bool // there is a server to fetch from, and a cache to keep it
	ctx     context.Context
	cancel  context.CancelFunc
	slots   chan struct{}
	done    sync.WaitGroup

	mu      sync.Mutex
	stopped bool
	lists   [4]sequence      // the newest first
	current *sequence        // the one that the body opened a file of last
	bytes   int64            // fetched ahead and not yet opened
	waiting map[string]int64 // sizes of the files fetched ahead and not yet opened
}

// sequence is one list, and how far the body has come in it.
type sequence struct {
	files    []string // sorted
	at       int      // the index of the last file opened
	run      int      // how many were opened in a row, up to it
	expected int      // the index of the last file that Expected gave
	fetched  int      // the index up to which files were fetched ahead
}

// aheadBytes bounds what is fetched ahead and not yet opened.
const aheadBytes = 64 << 20

// The files of one list that are remembered are bounded: their number, and the
// bytes of their names.
const (
	aheadFiles = 1 << 15
	aheadNames = 2 << 20
)

func (r *readAhead) start(o *Overlay) {
	_, local := o.store.(storage.LocalOpener)
	r.o, r.fetches = o, !local && o.opts.Cache != nil
	r.ctx, r.cancel = context.WithCancel(context.Background())
	r.slots = make(chan struct{}, o.opts.Concurrency)
	r.waiting = map[string]int64{}
}

// stop ends what is under way, and waits for it.
func (r *readAhead) stop() {
	r.mu.Lock()
	r.stopped = true
	r.mu.Unlock()
	r.cancel()
	r.done.Wait()
}

// listed notes a list of files that the body was given.
func (r *readAhead) listed(files []string) {
	if len(files) < 2 {
		return
	}
	files = files[:min(len(files), aheadFiles)]
	names := 0
	for i, path := range files {
		if names += len(path); names > aheadNames {
			files = files[:i]
			break
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	copy(r.lists[1:], r.lists[:])
	r.lists[0] = sequence{files: slices.Clone(files), at: -2}
	r.current = nil
}

// opened notes that the body opens a file.
func (r *readAhead) opened(path string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.release(path)
	for i := range r.lists {
		s := &r.lists[i]
		if !s.open(path) {
			continue
		}
		if s.run == 1 { // the files fetched for another list may never be opened, so they no longer count
			r.bytes = 0
			clear(r.waiting)
		}
		r.current = s
		r.fetchNext(s)
		return
	}
}

// openedAhead notes that a file is opened before the body opens it.
func (r *readAhead) openedAhead(path string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.release(path)
	if r.current != nil {
		r.fetchNext(r.current)
	}
}

// release no longer counts a file as fetched and not opened.
func (r *readAhead) release(path string) {
	r.bytes -= r.waiting[path]
	delete(r.waiting, path)
}

// open moves the sequence to path; it says whether path is in its list.
func (s *sequence) open(path string) bool {
	if next := s.at + 1; next > 0 && next < len(s.files) && s.files[next] == path {
		s.at, s.run = next, s.run+1
		return true
	}
	at, is := slices.BinarySearch(s.files, path)
	if !is {
		return false
	}
	if at != s.at { // opening the same file again does not end the sequence
		s.at, s.run, s.expected, s.fetched = at, 1, at, at
	}
	return true
}

// Expected are the files that the body is expected to open next, at most n of
// them, in their order; none when it has not opened files in the order of a list.
func (o *Overlay) Expected(n int) []string {
	r := &o.ahead
	r.mu.Lock()
	defer r.mu.Unlock()
	s := r.current
	if s == nil || s.run < 2 || s.at+1 >= len(s.files) {
		return nil
	}
	next := s.files[s.at+1 : min(s.at+1+n, len(s.files))]
	s.expected = s.at + len(next)
	r.fetchNext(s)
	return slices.Clone(next)
}

// fetchNext fetches ahead as many files as the sequence is long, beyond those that
// Expected gave. The caller holds the lock.
func (r *readAhead) fetchNext(s *sequence) {
	if !r.fetches || s.run < 2 || r.stopped {
		return
	}
	window := min(cap(r.slots), 1<<min(s.run-1, 30))
	limit := min(aheadBytes, r.o.opts.Cache.MaxSize()/4)
	s.fetched = max(s.fetched, s.at)
	for s.fetched < max(s.at, s.expected)+window && s.fetched+1 < len(s.files) {
		path := s.files[s.fetched+1]
		c, ok := r.o.unread(path)
		if ok {
			if r.bytes+c.Size > limit {
				return
			}
			select {
			case r.slots <- struct{}{}:
			default:
				return
			}
			r.bytes += c.Size
			r.waiting[path] = c.Size
			panics.Go(&r.done, func(error) {}, func() { r.fetch(c) }) // a panic is treated as an error of fetch
		}
		s.fetched++
	}
}

// fetch brings one object into the cache. Its error can be ignored: whoever opens
// the object fetches it again, and gets the error.
func (r *readAhead) fetch(c listing.Object) {
	defer func() { <-r.slots }()
	f, hit, err := r.o.fetchAhead(r.ctx, c)
	if err != nil {
		return
	}
	f.Close()
	r.o.mu.Lock()
	defer r.o.mu.Unlock()
	r.o.reads.count(c, hit)
}

// unread is the unchanged object at a path that a listing knows of.
func (o *Overlay) unread(path string) (listing.Object, bool) {
	ls, _ := o.lower.covering(path)
	if ls == nil {
		return listing.Object{}, false
	}
	o.mu.RLock()
	defer o.mu.RUnlock()
	if n := o.upper.find(path); n != nil && (n.entry != nil || n.deleted) {
		return listing.Object{}, false
	}
	return ls.Find(o.lower.root + path)
}
