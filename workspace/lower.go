package workspace

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"sync"
	"time"

	"perago/workspace/cache"
	"perago/workspace/listing"
	"perago/workspace/paths"
	"perago/workspace/storage"
)

// This file holds the lower layer: what the input commit has, as far as anyone
// asked. A question about one path is put to the store as such; questions about
// a folder, and many about single paths, make a listing of the folder.

// How many paths are asked for one by one before their folder is listed: the
// folder they are in directly, and any folder above it.
const (
	askedDirectly = 4
	askedBelow    = 32
)

// maxProbes bounds the answers about single paths that are remembered, and the
// folders in which questions are counted.
const maxProbes = 1 << 14

type lower struct {
	store   storage.Reader
	ref     Ref
	root    string // what the paths of the workspace start with in the repository: "" or "a/b/"
	cache   *cache.Cache
	oneStep chan struct{} // holds one token: who has it makes a listing

	mu     sync.Mutex
	lists  map[string]*listing.Listing // by folder of the workspace; none of them is below another
	probes map[string]storage.Probed
	asked  map[string]asked    // paths asked for one by one, by each folder they are in
	found  map[string]struct{} // files that were found by asking for one path: no more than the store has
	usage  Usage               // of listing
	fresh  bool                // a listing came from the store
}

func newLower(store storage.Reader, ref Ref, prefix string, cache *cache.Cache) *lower {
	return &lower{
		store: store, ref: ref, root: paths.Prefix(prefix), cache: cache,
		oneStep: make(chan struct{}, 1),
		lists:   map[string]*listing.Listing{}, probes: map[string]storage.Probed{}, asked: map[string]asked{}, found: map[string]struct{}{},
	}
}

// asked counts paths of a folder: in it directly, and below it.
type asked struct{ directly, below int }

// fact is what the input commit has at one path.
type fact struct {
	file  *listing.Object
	below bool // something is below the path
}

// oddError is a name that the file API cannot give; it is an ErrUnnameable.
type oddError struct{ reason string }

func (e *oddError) Error() string        { return e.reason }
func (e *oddError) Is(target error) bool { return target == storage.ErrUnnameable }

// fact answers for one path. Its error is an ErrUnnameable or the store's.
func (l *lower) fact(ctx context.Context, path string) (fact, error) {
	if path == "" {
		return fact{below: true}, nil
	}
	if paths.Reserved(l.root + path) {
		return fact{}, nil
	}
	if ls, folder := l.covering(path); ls != nil && (folder != path || !ls.Self) {
		return l.measured(ctx, ls, path)
	}
	if folder, many := l.manyAsked(path); many {
		ls, err := l.list(ctx, folder)
		if err != nil {
			return fact{}, err
		}
		return l.measured(ctx, ls, path)
	}
	return l.probePath(ctx, path)
}

// measured answers out of a listing, and asks for a size that it does not have.
func (l *lower) measured(ctx context.Context, ls *listing.Listing, path string) (fact, error) {
	f, err := factIn(ls, l.root+path)
	if err == nil && f.file != nil {
		err = l.measure(ctx, f.file)
	}
	return f, err
}

// measure asks for the size of an object that was listed without. One that is
// gone by now is empty: opening it will tell.
func (l *lower) measure(ctx context.Context, c *listing.Object) error {
	local, is := l.store.(storage.LocalOpener)
	if c.Size != storage.NotMeasured || !is {
		return nil
	}
	p, err := local.Probe(ctx, l.ref.Repository, l.ref.Commit, c.Path)
	if err != nil {
		return fmt.Errorf("look up %s: %w", l.at(c.Path), cause(ctx, err))
	}
	c.Size = max(0, p.Object.Size)
	return nil
}

// factIn is what a listing has at a path of the repository.
func factIn(l *listing.Listing, path string) (fact, error) {
	if reason, out := l.Excluded(path); out {
		return fact{}, &oddError{reason}
	}
	start, end := l.Range(path)
	if c, is := l.Find(path); is {
		return fact{file: &c, below: end > start}, nil
	}
	return fact{below: end > start}, nil
}

// probePath asks the store for one path, and for the folders it is in: where
// one of them is a file too, neither can be named.
func (l *lower) probePath(ctx context.Context, path string) (fact, error) {
	var file string                           // a folder of path that is a file
	_, local := l.store.(storage.LocalOpener) // may have below a folder what is no object, and in the way
	for folder := range paths.Ancestors(path) {
		p, err := l.probe(ctx, folder)
		switch {
		case err != nil:
			return fact{}, err
		case p.File && p.Object.Odd != "":
			return fact{}, &oddError{p.Object.Odd}
		case p.File && p.Below != "" && l.shown(p.Below): // as a listing says it, whether path is there or not
			return fact{}, &oddError{listing.ReasonBoth}
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
	case p.File && p.Object.Odd != "":
		return fact{}, &oddError{p.Object.Odd}
	}
	below := p.Below != ""
	if below && !l.shown(p.Below) {
		// There may be others that are shown: only a listing can tell.
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
		return fact{}, &oddError{listing.ReasonBoth}
	case p.File && !paths.Nameable(path):
		return fact{}, &oddError{"has a control character in its name"}
	case p.File:
		c := listing.NewObject(p.Object, l.ref.Commit)
		return fact{file: &c}, nil
	}
	return fact{below: below}, nil
}

// shown says whether the name of an object is one that the file API can give.
func (l *lower) shown(path string) bool {
	return paths.Nameable(path[len(l.root):]) && !paths.Reserved(path)
}

// probe asks the store for one path, once.
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
		return storage.Probed{}, fmt.Errorf("look up %s: %w", l.at(l.root+path), cause(ctx, err))
	}
	if p.File {
		l.found[path] = struct{}{}
	}
	// What is asked of a store on this machine is not bounded (manyAsked), and
	// its files are asked for again as fast as they are found here.
	if _, local := l.store.(storage.LocalOpener); !local || !p.File {
		if len(l.probes) >= maxProbes {
			clear(l.probes)
		}
		l.probes[path] = p
	}
	return p, nil
}

// probeByListing is Probe for a store that has none. Names that only start like
// path, "a.csv" for "a", may stand between it and what is below it; after a
// page of them the listing starts again behind.
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

// manyAsked counts a question about one path that is not answered by what is
// known, and says which folder is better listed. A store on this machine
// answers faster than it lists.
func (l *lower) manyAsked(path string) (folder string, many bool) {
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

// covering is the listing that has what is below a folder of the workspace, nil
// when there is none yet; folder is the one that was listed.
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

// listingCodec keeps listings in a cache.
var listingCodec = cache.Codec[listing.Listing]{Encode: (*listing.Listing).Write, Decode: listing.Read}

// list makes sure that there is a listing of what is below folder, and returns
// it (or one of a folder above).
func (l *lower) list(ctx context.Context, folder string) (*listing.Listing, error) {
	if ls, _ := l.covering(folder); ls != nil {
		return ls, nil
	}
	select {
	case l.oneStep <- struct{}{}:
		defer func() { <-l.oneStep }()
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
	if ls, _ := l.covering(folder); ls != nil {
		return ls, nil
	}
	start := time.Now()
	ls, fresh, err := cache.Value(ctx, l.cache, l.listingKey(folder), listingCodec, func() (*listing.Listing, error) { return l.read(ctx, folder) })
	if err != nil {
		return nil, fmt.Errorf("list %s: %w", l.at(l.root+folder), cause(ctx, err))
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
		case p.File && p.Object.Odd != "":
			b.Exclude(l.root+f, p.Object.Odd)
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
		if n++; err == nil && n%lookEvery == 0 && ctx.Err() != nil {
			err = context.Cause(ctx) // a page that is here already may be long
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

// listingKey names a listing for all attempts on the same commit; "" is one
// that is good for this attempt only.
func (l *lower) listingKey(folder string) string {
	if _, local := l.store.(storage.LocalOpener); local || l.ref.Commit == "" {
		return ""
	}
	return l.cache.Key("listing", l.ref.Repository, l.ref.Commit, l.root, folder)
}

// at names a place of the commit for an error: "raw/a.csv@3f2c5a7b".
func (l *lower) at(path string) string {
	if path == "" {
		path = "/"
	}
	if l.ref.Commit == "" {
		return path
	}
	return path + "@" + l.ref.Commit[:min(8, len(l.ref.Commit))]
}

// cause prefers why a context ended over what a call said because of it.
func cause(ctx context.Context, err error) error {
	if ctx.Err() != nil && !errors.Is(err, context.Cause(ctx)) {
		return context.Cause(ctx)
	}
	return err
}

// summary fills in what listing took, and counts the objects not shown. A file
// that was found by itself and is in a listing too counts once.
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
