package workspace

import (
	"context"
	"slices"
	"sync"

	"perago/panics"
	"perago/workspace/listing"
	"perago/workspace/storage"
)

// readAhead guesses what a body reads next. Two reads of consecutive files of
// one list that it was given (a glob, a folder) make the guess; the files that
// follow are then fetched into the cache, twice as many with each read that
// keeps to the list, until as many as there may be transfers are under way.
type readAhead struct {
	o      *Overlay // nil: there is nothing to fetch, or nowhere to keep it
	ctx    context.Context
	cancel context.CancelFunc
	slots  chan struct{}
	done   sync.WaitGroup

	mu      sync.Mutex
	stopped bool
	lists   [4]guess // the newest first
	bytes   int64    // fetched ahead and not yet read
	waiting map[string]int64
	due     map[string]struct{} // were passed in their turn, and will be read
}

// guess is one list, and how far the body is in it.
type guess struct {
	files []string // sorted
	at    int      // the index of the last one read
	run   int      // how many in a row, up to it
	ahead int      // the index up to which was fetched ahead
}

// aheadBytes bounds what is fetched ahead and not yet read.
const aheadBytes = 64 << 20

// What bounds the files of one list that are remembered: their number, and the
// bytes of their names.
const (
	aheadFiles = 1 << 15
	aheadNames = 2 << 20
)

func (r *readAhead) start(o *Overlay) {
	if _, local := o.store.(storage.LocalOpener); local || o.opts.Cache == nil {
		return
	}
	r.o = o
	r.ctx, r.cancel = context.WithCancel(context.Background())
	r.slots = make(chan struct{}, o.opts.Concurrency)
	r.waiting, r.due = map[string]int64{}, map[string]struct{}{}
}

// stop ends what is under way, and waits for it.
func (r *readAhead) stop() {
	if r.o == nil {
		return
	}
	r.mu.Lock()
	r.stopped = true
	r.mu.Unlock()
	r.cancel()
	r.done.Wait()
}

// listed tells of a list of files that the body was given.
func (r *readAhead) listed(files []string) {
	if r.o == nil || len(files) < 2 {
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
	r.lists[0] = guess{files: slices.Clone(files), at: -2}
}

// opened tells of a file that is being read.
func (r *readAhead) opened(path string) {
	if r.o == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.bytes -= r.waiting[path]
	delete(r.waiting, path)
	if _, is := r.due[path]; is {
		delete(r.due, path)
		return
	}
	for i := range r.lists {
		g := &r.lists[i]
		if !g.read(path) {
			continue
		}
		if g.run == 1 { // a new start: what was fetched for another is no matter any more
			r.bytes = 0
			clear(r.waiting)
			clear(r.due)
		}
		r.fetchNext(g)
		return
	}
}

// passed tells of a file that the body is expected to read, and that is only
// opened when it does: the others go on without it.
func (r *readAhead) passed(path string) {
	if r.o == nil {
		return
	}
	r.opened(path)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.due[path] = struct{}{}
}

// read moves the guess to path; it says whether path is in its list.
func (g *guess) read(path string) bool {
	if next := g.at + 1; next > 0 && next < len(g.files) && g.files[next] == path {
		g.at, g.run = next, g.run+1
		return true
	}
	at, is := slices.BinarySearch(g.files, path)
	if !is {
		return false
	}
	if at != g.at { // the same one again breaks nothing
		g.at, g.run, g.ahead = at, 1, at
	}
	return true
}

// fetchNext fetches ahead as far as the guess is trusted. The caller holds the lock.
func (r *readAhead) fetchNext(g *guess) {
	if g.run < 2 || r.stopped {
		return
	}
	window := min(cap(r.slots), 1<<min(g.run-1, 30))
	limit := min(aheadBytes, r.o.opts.Cache.MaxSize()/4)
	g.ahead = max(g.ahead, g.at)
	for g.ahead < g.at+window && g.ahead+1 < len(g.files) {
		path := g.files[g.ahead+1]
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
			panics.Go(&r.done, func(error) {}, func() { r.fetch(c) }) // as an error of fetch
		}
		g.ahead++
	}
}

// fetch brings one object into the cache. An error is no matter: who reads the
// object meets it again, and is told.
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
