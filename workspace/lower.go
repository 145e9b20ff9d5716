package workspace

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"maps"
	"strings"
	"sync"
	"time"

	"perago/workspace/cache"
	"perago/workspace/listing"
	"perago/workspace/paths"
	"perago/workspace/storage"
)

// This file holds the lower layer: what the input commit has, as far as it was
// needed. The store is asked for a single path at first; a folder is listed when its
// names are needed, or when many paths in it were asked for one by one.

// How many paths are asked for one by one before a folder is listed: paths directly
// in it, and paths anywhere below it.
const (
	askedDirectly = 4
	askedBelow    = 32
)

// maxProbes bounds the single paths whose state is remembered, and the folders for
// which requests are counted.
const maxProbes = 1 << 14

type lower struct {
	store    storage.Reader
	ref      Ref
	root     string // what the paths of the workspace start with in the repository: "" or "a/b/"
	cache    *cache.Cache
	listLock chan struct{} // holds one token, for the call that makes a listing

	mu     sync.Mutex
	lists  map[string]*listing.Listing // by folder of the workspace, none of which is below another
	probes map[string]storage.Probed
	asked  map[string]asked    // paths asked for one by one, by each folder they are in
	found  map[string]struct{} // files that were found by a request for one path
	usage  Usage               // of listing
	fresh  bool                // a listing or a path was read from the store
}

func newLower(store storage.Reader, ref Ref, prefix string, cache *cache.Cache) *lower {
	return &lower{
		store: store, ref: ref, root: paths.Prefix(prefix), cache: cache,
		listLock: make(chan struct{}, 1),
		lists:    map[string]*listing.Listing{}, probes: map[string]storage.Probed{}, asked: map[string]asked{}, found: map[string]struct{}{},
	}
}

// asked counts the requests for paths directly in a folder, and anywhere below it.
type asked struct{ directly, below int }

// fact is what the input commit has at one path.
type fact struct {
	file  *listing.Object
	below bool // something is below the path
}

// unnameableError is an ErrUnnameable with its reason.
type unnameableError struct{ reason string }

func (e *unnameableError) Error() string        { return e.reason }
func (e *unnameableError) Is(target error) bool { return target == storage.ErrUnnameable }

// fact is what the commit has at one path. Its error is an ErrUnnameable or the store's.
func (l *lower) fact(ctx context.Context, path string) (fact, error) {
	if path == "" {
		return fact{below: true}, nil
	}
	if paths.Reserved(l.root + path) {
		return fact{}, nil
	}
	if ls, folder := l.covering(path); ls != nil && (folder != path || !ls.Self) {
		return l.factWithSize(ctx, ls, path)
	}
	if folder, many := l.shouldList(path); many {
		ls, err := l.list(ctx, folder)
		if err != nil {
			return fact{}, err
		}
		return l.factWithSize(ctx, ls, path)
	}
	return l.probePath(ctx, path)
}

// factWithSize is factIn, with the size of the file also where the listing has none.
func (l *lower) factWithSize(ctx context.Context, ls *listing.Listing, path string) (fact, error) {
	f, err := factIn(ls, l.root+path)
	if err == nil && f.file != nil {
		err = l.measure(ctx, f.file)
	}
	return f, err
}

// measure sets the size of an object that was listed without one. The size of a
// file that was deleted meanwhile is 0; opening it fails.
func (l *lower) measure(ctx context.Context, c *listing.Object) error {
	local, is := l.store.(storage.LocalOpener)
	if c.Size != storage.NotMeasured || !is {
		return nil
	}
	p, err := local.Probe(ctx, l.ref.Repository, l.ref.Commit, c.Path)
	if err != nil {
		return fmt.Errorf("look up %s: %w", l.pathAtCommit(c.Path), cause(ctx, err))
	}
	c.Size = max(0, p.Object.Size)
	return nil
}

// factIn is what a listing has at a path of the repository.
func factIn(l *listing.Listing, path string) (fact, error) {
	if reason, out := l.Excluded(path); out {
		return fact{}, &unnameableError{reason}
	}
	start, end := l.Range(path)
	if c, is := l.Find(path); is {
		return fact{file: &c, below: end > start}, nil
	}
	return fact{below: end > start}, nil
}

// probePath asks the store for one path and for the folders it is in: a folder
// that is a file as well cannot be named, nor can what is in it.
func (l *lower) probePath(ctx context.Context, path string) (fact, error) {
	var file string                           // the outermost folder of path that is a file
	_, local := l.store.(storage.LocalOpener) // even a folder without objects may have something in the way
	for folder := range paths.Ancestors(path) {
		p, err := l.probe(ctx, folder)
		switch {
		case err != nil:
			return fact{}, err
		case p.File && p.Object.Unusable != "":
			return fact{}, &unnameableError{p.Object.Unusable}
		case p.File && p.Below != "" && l.shown(p.Below): // as with a listing, whether path exists or not
			return fact{}, &unnameableError{listing.ReasonBoth}
		case p.File && file == "":
			file = folder
		case !p.File && p.Below == "" && !local:
			return fact{}, nil
		}
	}
	p, err := l.probe(ctx, path)
	switch {
	case err != nil || !p.File && p.Below == "":
		return fact{}, err
	case p.File && p.Object.Unusable != "":
		return fact{}, &unnameableError{p.Object.Unusable}
	}
	below := p.Below != ""
	if below && !l.shown(p.Below) {
		// There may be others that are shown, which takes a listing to find out.
		ls, err := l.list(ctx, path)
		if err != nil {
			return fact{}, err
		}
		f, err := factIn(ls, l.root+path)
		if err != nil {
			return fact{}, err
		}
		below = f.below
	}
	switch {
	case file != "" && (p.File || below), p.File && below:
		return fact{}, &unnameableError{listing.ReasonBoth}
	case p.File && !paths.Nameable(path):
		return fact{}, &unnameableError{"has a control character in its name"}
	case p.File:
		c := listing.NewObject(p.Object, l.ref.Commit)
		return fact{file: &c}, nil
	}
	return fact{below: below}, nil
}

// shown says whether the file API shows the object at a path of the repository.
func (l *lower) shown(path string) bool {
	return paths.Nameable(path[len(l.root):]) && !paths.Reserved(path)
}

// probe asks the store for one path, and remembers what it says.
func (l *lower) probe(ctx context.Context, path string) (storage.Probed, error) {
	l.mu.Lock()
	p, known := l.probes[path]
	l.mu.Unlock()
	if known {
		return p, nil
	}
	var err error
	start := time.Now()
	if s, ok := l.store.(storage.Prober); ok {
		p, err = s.Probe(ctx, l.ref.Repository, l.ref.Commit, l.root+path)
	} else {
		p, err = probeByListing(ctx, l.store, l.ref, l.root+path)
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.usage.ListTime += time.Since(start)
	l.fresh = true
	if err != nil {
		return storage.Probed{}, fmt.Errorf("look up %s: %w", l.pathAtCommit(l.root+path), cause(ctx, err))
	}
	if p.File {
		l.found[path] = struct{}{}
	}
	// The paths asked of a local store are not bounded (see shouldList). Its files
	// are not remembered: asking for one again is as fast as looking it up here.
	if _, local := l.store.(storage.LocalOpener); !local || !p.File {
		if len(l.probes) >= maxProbes {
			clear(l.probes)
		}
		l.probes[path] = p
	}
	return p, nil
}

// probeByListing is Probe for a store that has none. Between path and what is below
// it there may be names that only start like path, "a.csv" for "a"; after a page of
// them, a second listing starts after these.
func probeByListing(ctx context.Context, store storage.Reader, ref Ref, path string) (storage.Probed, error) {
	var p storage.Probed
	below := path + "/"
	seen := 0
	for o, err := range store.List(ctx, ref.Repository, ref.Commit, path) {
		switch {
		case err != nil:
			return storage.Probed{}, err
		case o.Path == path:
			p.File, p.Object = true, o
		case strings.HasPrefix(o.Path, below):
			p.Below = o.Path
			return p, nil
		case o.Path > below:
			return p, nil
		}
		if seen++; seen == 1000 {
			break
		}
	}
	if seen < 1000 {
		return p, nil
	}
	for o, err := range store.List(ctx, ref.Repository, ref.Commit, below) {
		if err != nil {
			return storage.Probed{}, err
		}
		p.Below = o.Path
		break
	}
	return p, nil
}

// shouldList counts a request for a path that is not known yet, and says whether,
// and which, folder should be listed instead. For a local store it is false, since
// single requests are faster there.
func (l *lower) shouldList(path string) (folder string, many bool) {
	if _, local := l.store.(storage.LocalOpener); local {
		return "", false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if _, known := l.probes[path]; known {
		return "", false
	}
	if len(l.asked) >= maxProbes {
		clear(l.asked)
	}
	direct := paths.Parent(path)
	for f := direct; ; f = paths.Parent(f) {
		n := l.asked[f]
		n.below++
		if f == direct {
			n.directly++
		}
		l.asked[f] = n
		if !many && (n.below > askedBelow || n.directly > askedDirectly) {
			folder, many = f, true
		}
		if f == "" {
			return folder, many
		}
	}
}

// covering is the listing that contains everything below a path of the workspace,
// nil when there is none yet; folder is the one that was listed.
func (l *lower) covering(path string) (ls *listing.Listing, folder string) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.coveringLocked(path)
}

func (l *lower) coveringLocked(path string) (ls *listing.Listing, folder string) {
	for f := path; ; f = paths.Parent(f) {
		if ls := l.lists[f]; ls != nil {
			return ls, f
		}
		if f == "" {
			return nil, ""
		}
	}
}

// listingCodec writes listings to a cache, and reads them.
var listingCodec = cache.Codec[listing.Listing]{Encode: (*listing.Listing).Write, Decode: listing.Read}

// list makes sure that there is a listing of what is below folder, and returns
// it (or one of a folder above).
func (l *lower) list(ctx context.Context, folder string) (*listing.Listing, error) {
	if ls, _ := l.covering(folder); ls != nil {
		return ls, nil
	}
	select {
	case l.listLock <- struct{}{}:
		defer func() { <-l.listLock }()
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	if ls, _ := l.covering(folder); ls != nil {
		return ls, nil
	}
	start := time.Now()
	ls, fresh, err := cache.Value(ctx, l.cache, l.listingKey(folder), listingCodec, func() (*listing.Listing, error) { return l.read(ctx, folder) })
	if err != nil {
		return nil, fmt.Errorf("list %s: %w", l.pathAtCommit(l.root+folder), cause(ctx, err))
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	maps.DeleteFunc(l.lists, func(f string, _ *listing.Listing) bool { return paths.Under(f, folder) })
	l.lists[folder] = ls
	l.fresh = l.fresh || fresh
	l.usage.ListTime += time.Since(start)
	return ls, nil
}

// read lists what is below folder at the store.
func (l *lower) read(ctx context.Context, folder string) (*listing.Listing, error) {
	b := listing.Builder{Root: l.root, Commit: l.ref.Commit}
	var over []string
	self, n := false, 0
	for f := range paths.Ancestors(paths.Prefix(folder)) {
		p, err := l.probe(ctx, f)
		switch {
		case err != nil:
			return nil, err
		case p.File && p.Object.Unusable != "":
			b.Exclude(l.root+f, p.Object.Unusable)
		case p.File && f != folder && p.Below != "" && l.shown(p.Below):
			b.Exclude(l.root+f, listing.ReasonBoth)
		case p.File:
			over = append(over, l.root+f)
			self = f == folder
		}
	}
	for o, err := range l.store.List(ctx, l.ref.Repository, l.ref.Commit, l.root+paths.Prefix(folder)) {
		if err == nil {
			err = boundOf(b.Add(o))
		}
		if n++; err == nil && n%checkEvery == 0 && ctx.Err() != nil {
			err = context.Cause(ctx) // a page is long, and no request in it would fail
		}
		if err != nil {
			return nil, err
		}
	}
	ls, err := b.Finish(ctx, over)
	if err != nil {
		return nil, err
	}
	ls.Self = self && ls.Empty()
	return ls, nil
}

// boundOf is err, as a *BoundError where a listing became too large.
func boundOf(err error) error {
	var large *listing.TooLargeError
	if !errors.As(err, &large) {
		return err
	}
	return &BoundError{Bound: "memory for a listing", Found: fmt.Sprintf("%d bytes for the first %s", large.Bytes, plural(large.Objects, "object")),
		Wanted: fmt.Sprintf("at most %d", large.Most), Hint: "look at a smaller folder, or let the workspace have a prefix"}
}

// listingKey is the key of a listing, the same for all attempts on a commit; "" is one
// that only this attempt may use.
func (l *lower) listingKey(folder string) string {
	if _, local := l.store.(storage.LocalOpener); local || l.ref.Commit == "" {
		return ""
	}
	return l.cache.Key("listing", l.ref.Repository, l.ref.Commit, l.root, folder)
}

// pathAtCommit is a path as errors show it: "raw/a.csv@3f2c5a7b".
func (l *lower) pathAtCommit(path string) string {
	if path == "" {
		path = "/"
	}
	if l.ref.Commit == "" {
		return path
	}
	return path + "@" + l.ref.Commit[:min(8, len(l.ref.Commit))]
}

// cause is the cause of a context that ended, else err, which then is a consequence of it.
func cause(ctx context.Context, err error) error {
	if ctx.Err() != nil && !errors.Is(err, context.Cause(ctx)) {
		return context.Cause(ctx)
	}
	return err
}

// summary fills in the usage of listing, and counts the objects not shown. A file
// that was found by a request of its own and is in a listing too counts once.
func (l *lower) summary(u *Usage) (unnameable int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	u.ObjectsListed, u.ListTime = 0, l.usage.ListTime
	u.ListCached = !l.fresh && len(l.lists) > 0
	for _, ls := range l.lists {
		unnameable += ls.Hidden
		u.ObjectsListed += ls.Total
	}
	for file := range l.found {
		if ls, _ := l.coveringLocked(paths.Parent(file)); ls == nil {
			u.ObjectsListed++
		}
	}
	return unnameable
}

// child is a file or a folder directly in a folder of a listing.
type child struct {
	name   string        // of a folder: with a slash at its end
	first  listing.Entry // the file, or the first one below the folder
	folder bool
	files  int // below the folder; 1 for a file
}

// direct yields what a listing has directly in a folder, sorted by bytes. It goes on
// behind a folder without a look at what is below it.
func (l *lower) direct(ls *listing.Listing, folder string) iter.Seq[child] {
	return func(yield func(child) bool) {
		prefix := l.root + paths.Prefix(folder)
		start, end := ls.Range(paths.TrimSlash(prefix))
		for next := start; next < end; {
			for i, e := range ls.Entries(next, end) {
				c := child{name: e.Path[len(prefix):], first: e, files: 1}
				next = i + 1
				if at := strings.IndexByte(c.name, '/'); at >= 0 {
					c.name, c.folder = c.name[:at+1], true
					next = ls.Index(e.Path[:len(prefix)+at] + "0") // "0" is the byte after "/"
					c.files = next - i
				}
				if !yield(c) {
					return
				}
				if c.folder {
					break
				}
			}
		}
	}
}
