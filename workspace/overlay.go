package workspace

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"sync"

	"perago/workspace/cache"
	"perago/workspace/glob"
	"perago/workspace/listing"
	"perago/workspace/paths"
	"perago/workspace/storage"
	"perago/workspace/trace"
)

// This file has the Overlay and its operations that read no content: Stat, ReadDir
// and Glob. Reading content is in open.go, writing in write.go, and the difference
// from the commit in changes.go.

// OverlayOptions say how a commit is seen.
type OverlayOptions struct {
	Spec        Spec
	Dir         string       // folder for the upper layer, made when it is missing; required unless Spec.ReadOnly
	Cache       *cache.Cache // nil: a file is fetched each time it is opened
	Concurrency int          // transfers at once for read-ahead; 0 is 16
	Files       int          // paths that may be written, made and deleted; 0 is 1,000,000
	Scratch     int64        // bytes that may be written; 0 is 10 GiB
}

// Overlay is a commit seen as the private folder of one attempt. It is safe for
// concurrent use. Paths are relative to the workspace, "" is its root; errors
// are *fs.PathError around fs.ErrNotExist, fs.ErrExist, an error of this package
// or the store's; a name that cannot be written is a *PathError.
type Overlay struct {
	store   storage.Reader
	ref     Ref
	opts    OverlayOptions
	lower   *lower
	ahead   readAhead
	writing chan struct{} // holds one token, for the operation that changes the upper layer
	room    int           // bytes of one result of ReadDir or Glob
	trace   *trace.Recorder

	mu     sync.RWMutex // guards what follows; never held during a request to a server
	upper  upper
	blobs  int             // files made in opts.Dir
	drafts map[*draft]bool // those that are open
	reads  reads
}

// NewOverlay returns an Overlay; it reads nothing from the store yet.
func NewOverlay(store storage.Reader, ref Ref, o OverlayOptions) *Overlay {
	if o.Concurrency <= 0 {
		o.Concurrency = 16
	}
	v := &Overlay{
		store: store, ref: ref, opts: o,
		lower:   newLower(store, ref, o.Spec.Prefix, o.Cache),
		writing: make(chan struct{}, 1),
		room:    maxResult,
		trace:   trace.NewRecorder(o.Spec.Prefix),
	}
	v.ahead.start(v)
	return v
}

// Verify checks that the store has the input commit; a plain folder needs no check.
// Errors: ErrUnknownRepository, ErrUnknownCommit, or the store's.
func (o *Overlay) Verify(ctx context.Context) error {
	switch s := o.store.(type) {
	case storage.LocalOpener:
		return nil
	case storage.Prober: // the cheapest request; its path may be any
		_, err := s.Probe(ctx, o.ref.Repository, o.ref.Commit, o.lower.root+paths.ReservedFolders[0])
		return err
	}
	for _, err := range o.store.List(ctx, o.ref.Repository, o.ref.Commit, o.lower.root) {
		return err
	}
	return nil
}

// Close ends read-ahead and waits for it. Files that were opened stay open.
func (o *Overlay) Close() error {
	o.ahead.stop()
	return nil
}

// Unnameable counts the objects listed so far that are not shown because the file
// API cannot name them.
func (o *Overlay) Unnameable() int { return o.lower.summary(&Usage{}) }

// Usage is what was read from the store so far.
func (o *Overlay) Usage() Usage {
	o.mu.RLock()
	u := o.reads.usage
	o.mu.RUnlock()
	o.lower.summary(&u)
	return u
}

// state is what the overlay has at one path: nothing, a file (one of entry and
// lower is set) or a folder.
type state struct {
	entry  *entry
	lower  *listing.Object // the file, if it was not written
	folder bool
}

func (s state) file() bool { return s.entry != nil || s.lower != nil }

// content is the object of the input commit whose content a file has; nil when
// there is none.
func (s state) content() *listing.Object {
	if s.entry != nil {
		return s.entry.from
	}
	return s.lower
}

// stateAt is the state of a path. Its errors are not wrapped yet.
func (o *Overlay) stateAt(ctx context.Context, path string) (state, error) {
	return o.stateFor(ctx, path, "")
}

// stateFor is stateAt for a caller that only needs to know whether the path is a file
// (trace.NotFile) or a folder (trace.NotFolder); "" needs to know which it is.
func (o *Overlay) stateFor(ctx context.Context, path string, asked trace.Kind) (state, error) {
	if path == "" {
		return state{folder: true}, nil
	}
	if err := paths.Check(path); err != nil {
		return state{}, err
	}
	if s, known := o.upperState(path); known {
		return s, nil
	}
	f, err := o.fact(ctx, path, asked)
	if err != nil {
		return state{}, err
	}
	s, partly := o.combine(path, f)
	if partly {
		ls, err := o.lower.list(ctx, path)
		if err != nil {
			return state{}, err
		}
		o.noteTree(path, ls)
		s = o.remainingState(path, ls)
	}
	return s, nil
}

// combine combines the upper layer with what the commit has at a path. partly says
// that files of a folder were deleted: then the folder exists if any are left.
func (o *Overlay) combine(path string, f fact) (s state, partly bool) {
	o.mu.RLock()
	defer o.mu.RUnlock()
	n := o.upper.find(path)
	switch {
	case n == nil:
		return state{lower: f.file, folder: f.below}, false
	case n.entry != nil || n.live > 0:
		return state{entry: n.entry, folder: n.entry == nil}, false
	case n.deleted:
		return state{}, false
	}
	return state{lower: f.file, folder: f.below}, f.below && n.gone > 0
}

// remainingState is the state of a folder in which files were deleted.
func (o *Overlay) remainingState(path string, ls *listing.Listing) state {
	o.mu.RLock()
	defer o.mu.RUnlock()
	start, end := ls.Range(o.lower.root + path)
	n := o.upper.find(path)
	return state{folder: n == nil || n.live > 0 || end-start > n.gone}
}

// upperState is the state of a path, if the upper layer alone determines it.
func (o *Overlay) upperState(path string) (state, bool) {
	o.mu.RLock()
	defer o.mu.RUnlock()
	switch n := o.upper.find(path); {
	case n == nil:
		return state{}, false
	case n.entry != nil:
		return state{entry: n.entry}, true
	default:
		return state{folder: n.live > 0}, n.live > 0
	}
}

func (s state) info(path string) Info {
	switch {
	case s.entry != nil:
		return Info{Path: path, Size: s.entry.size}
	case s.lower != nil:
		return Info{Path: path, Size: s.lower.Size, Checksum: s.lower.Checksum}
	}
	return Info{Path: path, Folder: true}
}

// Stat describes a file or a folder; fs.ErrNotExist when there is neither, as below a file.
func (o *Overlay) Stat(ctx context.Context, path string) (Info, error) {
	s, err := o.stateAt(ctx, path)
	if err == nil && !s.file() && !s.folder {
		err = fs.ErrNotExist
	}
	if err != nil {
		return Info{}, pathError("stat", path, err)
	}
	o.noteContent(s.content())
	return s.info(path), nil
}

// Find is Stat without the size and the checksum of a file: an attempt that only
// asks whether a path exists does not depend on these (see Trace).
func (o *Overlay) Find(ctx context.Context, path string) (Info, error) {
	s, err := o.stateAt(ctx, path)
	if err == nil && !s.file() && !s.folder {
		err = fs.ErrNotExist
	}
	if err != nil {
		return Info{}, pathError("look for", path, err)
	}
	return Info{Path: path, Folder: s.folder}, nil
}

// ReadDir lists the files and folders directly in a folder, sorted by bytes.
func (o *Overlay) ReadDir(ctx context.Context, path string) ([]Info, error) {
	s, err := o.stateAt(ctx, path)
	switch {
	case err != nil:
	case s.file():
		err = storage.ErrNotFolder
	case !s.folder:
		err = fs.ErrNotExist
	}
	if err != nil {
		return nil, pathError("list", path, err)
	}
	ls, err := o.lower.list(ctx, path)
	if err != nil {
		return nil, pathError("list", path, err)
	}
	infos, err := o.children(ctx, ls, path)
	if err != nil {
		return nil, pathError("list", path, err)
	}
	files := make([]string, 0, len(infos))
	for i, info := range infos {
		if info.Folder {
			continue
		}
		files = append(files, info.Path)
		c := listing.Object{Path: o.lower.root + info.Path, Size: info.Size}
		if err := o.lower.measure(ctx, &c); err != nil {
			return nil, pathError("list", path, err)
		}
		infos[i].Size = c.Size
	}
	o.ahead.listed(files)
	return infos, nil
}

// children are the files and folders that both layers together have directly in a folder.
func (o *Overlay) children(ctx context.Context, ls *listing.Listing, path string) ([]Info, error) {
	o.mu.RLock()
	defer o.mu.RUnlock()
	dir := o.upper.find(path)
	if dir == nil {
		dir = &node{}
	}
	var infos []Info
	var text arena
	a := tally{room: o.room}
	var err error
	check := contextCheck{ctx: ctx}
	add := func(i Info) bool {
		if err = check.after(i.Path); err == nil && !a.add(infoCost+len(i.Path)+len(i.Checksum)) {
			err = a.tooLarge()
		}
		infos = append(infos, i)
		return err == nil
	}
	inside := paths.Prefix(path)
	var names trace.Digest
	for c := range o.lower.direct(ls, path) {
		names.Add(c.name)
		n := dir.children[strings.TrimSuffix(c.name, "/")]
		if n == nil {
			n = &node{}
		}
		if n.live > 0 || n.deleted && !c.folder {
			continue
		}
		if !c.folder {
			file := c.first.Object(text.keep(c.first.Path))
			add(Info{Path: file.Path[len(o.lower.root):], Size: file.Size, Checksum: file.Checksum})
		} else {
			folder := c.first.Path[len(o.lower.root) : len(o.lower.root)+len(inside)+len(c.name)-1]
			if n.gone > 0 { // it exists if any of its files are left
				o.noteTree(folder, ls)
			}
			if c.files > n.gone {
				add(Info{Path: text.keep(folder), Folder: true})
			}
		}
		if err != nil {
			break
		}
	}
	if err == nil {
		o.trace.Folder(o.inRepository(path), names.Names())
	} else {
		o.noteTree(path, ls) // too much for an answer
	}
	for name, n := range dir.children {
		if err == nil && n.live > 0 {
			add(state{entry: n.entry}.info(paths.Join(path, name)))
		}
	}
	if err != nil {
		return nil, err
	}
	slices.SortFunc(infos, func(a, b Info) int { return strings.Compare(a.Path, b.Path) })
	return infos, nil
}

// arena copies the paths of a result, many into one piece of memory. A path of a
// listing is a slice of a string with all paths around it, and would keep that alive.
type arena struct{ piece strings.Builder }

func (t *arena) keep(s string) string {
	if t.piece.Cap()-t.piece.Len() < len(s) {
		t.piece = strings.Builder{}
		t.piece.Grow(max(4096, len(s)))
	}
	t.piece.WriteString(s)
	return t.piece.String()[t.piece.Len()-len(s):]
}

// maxResult bounds the result of one ReadDir or Glob, in bytes, since the worker
// holds it whole. It is enough for 900,000 ordinary names.
const maxResult = 48 << 20

// What an Info, and a name, of a result take in addition to their strings, in bytes.
const (
	infoCost = 56
	nameCost = 24
)

// tally counts the entries of a result, and their bytes.
type tally struct{ found, size, room int }

// add counts one more entry of size bytes, and says whether there is room for it.
func (m *tally) add(size int) bool {
	m.found++
	m.size += size
	return m.size <= m.room
}

func (m *tally) tooLarge() error {
	return &BoundError{Bound: "memory for one list of names", Found: fmt.Sprintf("%d bytes for %s", m.size, plural(m.found, "name")),
		Wanted: fmt.Sprintf("at most %d", m.room), Hint: "ask for fewer at a time: folder by folder, or by a narrower pattern"}
}

// Glob returns the files under dir that match pattern, which is relative to dir,
// sorted by bytes. Only the folder that all matches are in is listed. A
// *BoundError says that too many match.
func (o *Overlay) Glob(ctx context.Context, dir string, pattern *glob.Pattern) ([]string, error) {
	found, of, err := o.glob(ctx, dir, pattern)
	if err == nil && of.found > len(found) {
		err = pathError("glob", paths.Join(dir, pattern.String()), of.tooLarge())
	}
	if err != nil {
		return nil, err
	}
	o.ahead.listed(found)
	return found, nil
}

// glob is Glob, except that it counts all files that match and returns as many of
// them as a result has room for.
func (o *Overlay) glob(ctx context.Context, dir string, p *glob.Pattern) (found []string, of tally, err error) {
	of.room = o.room
	if dir != "" {
		if err := paths.Check(dir); err != nil {
			return nil, of, pathError("glob", dir, err)
		}
	}
	if p.Literal() {
		path := paths.Join(dir, p.String())
		s, err := o.stateAt(ctx, path)
		if err != nil || !s.file() {
			return nil, of, pathError("glob", path, err)
		}
		of.add(len(path))
		return []string{path}, of, nil
	}
	ls, err := o.lower.list(ctx, paths.Join(dir, p.LiteralPrefix()))
	if err != nil {
		return nil, of, pathError("glob", paths.Join(dir, p.String()), err)
	}
	if _, err := o.isFile(ctx, paths.Join(dir, p.LiteralPrefix())); err != nil && !errors.Is(err, storage.ErrUnnameable) {
		return nil, of, pathError("glob", paths.Join(dir, p.String()), err)
	}
	if reason, out := ls.Excluded(o.lower.root + paths.Join(dir, p.LiteralPrefix())); out {
		return nil, of, pathError("glob", paths.Join(dir, p.LiteralPrefix()), &unnameableError{reason})
	}
	if found, of, err = o.matches(ctx, ls, dir, p); err != nil {
		return nil, of, pathError("glob", paths.Join(dir, p.String()), err)
	}
	return found, of, nil
}

// matches are the files under dir of both layers together that match.
func (o *Overlay) matches(ctx context.Context, ls *listing.Listing, dir string, p *glob.Pattern) (found []string, of tally, err error) {
	folder := paths.Join(dir, p.LiteralPrefix())
	o.mu.RLock()
	defer o.mu.RUnlock()
	of.room = o.room
	var text arena
	add := func(path string) {
		if of.add(nameCost + len(path)) {
			found = append(found, text.keep(path))
		}
	}
	start, end := ls.Range(paths.TrimSlash(o.lower.root + paths.Prefix(folder)))
	hides := o.upper.find(folder) != nil
	check := contextCheck{ctx: ctx, work: len(p.String())}
	var names trace.Digest
	for _, e := range ls.Entries(start, end) {
		path := e.Path[len(o.lower.root):]
		if err := check.after(path); err != nil {
			return nil, of, err
		}
		relative := path[len(paths.Prefix(dir)):]
		if !p.Match(relative) {
			continue
		}
		names.Add(relative)
		if hides {
			if n := o.upper.find(path); n != nil && (n.deleted || n.live > 0) {
				continue
			}
		}
		add(path)
	}
	o.trace.Pattern(trace.Pattern{Folder: o.inRepository(dir), Glob: p.String()}, names.Names())
	lower := len(found)
	o.upper.walk(folder, func(path string, n *node) bool {
		if n.entry != nil && paths.Under(path, folder) && p.Match(path[len(paths.Prefix(dir)):]) {
			add(path)
		}
		err = check.after(path)
		return err == nil
	})
	if err != nil {
		return nil, of, err
	}
	if len(found) > lower {
		slices.Sort(found)
	}
	return found, of, nil
}

// hidden are the objects that are not shown and that a pattern matches; all says
// that every such object was checked. An object that marks a folder is not a file.
func (o *Overlay) hidden(ctx context.Context, p *glob.Pattern) (found []string, all bool, err error) {
	if p.Literal() { // glob fails with ErrUnnameable there
		return nil, true, nil
	}
	ls, err := o.lower.list(ctx, p.LiteralPrefix())
	if err != nil {
		return nil, false, err
	}
	check := contextCheck{ctx: ctx, work: len(p.String())}
	for _, full := range ls.HiddenPaths {
		if err := check.after(full); err != nil {
			return nil, false, err
		}
		if path, ours := strings.CutPrefix(full, o.lower.root); ours && !strings.HasSuffix(path, "/") && p.Match(path) {
			found = append(found, path)
		}
	}
	return found, ls.Hidden == len(ls.HiddenPaths), nil
}

// checkEvery is after how many files a loop over files checks the context.
const checkEvery = 4096

// contextCheck checks a context in a loop that matches paths, about once a
// millisecond.
type contextCheck struct {
	ctx  context.Context
	work int // for each byte of a path
	done int
}

// after counts the work done for one path.
func (s *contextCheck) after(path string) error {
	if s.done += (1 + s.work) * (8 + len(path)); s.done < 1<<20 {
		return nil
	}
	s.done = 0
	if s.ctx.Err() != nil {
		return context.Cause(s.ctx)
	}
	return nil
}
