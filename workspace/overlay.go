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

// This file has the view that one attempt has of a commit, and what it answers
// without content: Stat, ReadDir and Glob. Reading content is in open.go, writing
// in write.go, and the difference from the commit in changes.go.

// OverlayOptions say how a commit is seen.
type OverlayOptions struct {
	Spec        Spec
	Dir         string       // folder for the upper layer, made when it is missing; required unless Spec.ReadOnly
	Cache       *cache.Cache // nil: content is fetched each time it is opened
	Concurrency int          // transfers at once for read-ahead; 0 is 16
	Files       int          // paths that may be written, made and deleted; 0 is 1,000,000
	Scratch     int64        // bytes that may be written; 0 is 10 GiB
}

// Overlay is a commit seen as the private folder of one attempt. It is safe for
// concurrent use. Paths are relative to the workspace, "" is its root; errors
// are *fs.PathError around fs.ErrNotExist, fs.ErrExist, an error of this package
// or the store's; a name that cannot be written is a *PathError.
type Overlay struct {
	store storage.Reader
	ref   Ref
	opts  OverlayOptions
	lower *lower
	ahead readAhead
	turn  chan struct{} // holds one token: who has it changes the upper layer
	room  int           // bytes of one answer
	trace *trace.Recorder

	mu     sync.RWMutex // guards what follows; never held while a store is asked that is not on this machine
	upper  upper
	blobs  int             // files made in opts.Dir
	drafts map[*draft]bool // that are open
	reads  reads
}

// NewOverlay makes the view; nothing is read before it is asked for.
func NewOverlay(store storage.Reader, ref Ref, o OverlayOptions) *Overlay {
	if o.Concurrency <= 0 {
		o.Concurrency = 16
	}
	v := &Overlay{
		store: store, ref: ref, opts: o,
		lower: newLower(store, ref, o.Spec.Prefix, o.Cache),
		turn:  make(chan struct{}, 1),
		room:  maxAnswer,
		trace: trace.NewRecorder(o.Spec.Prefix),
	}
	v.ahead.start(v)
	return v
}

// Verify asks the store whether the input commit is there, unless that is known
// or goes without saying. ErrUnknownRepository, ErrUnknownCommit, or the store's
// error.
func (o *Overlay) Verify(ctx context.Context) error {
	switch s := o.store.(type) {
	case storage.LocalOpener:
		return nil
	case storage.Prober: // the cheapest question: what it is about is no matter
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

// Unnameable counts the objects seen so far that are left out of the view,
// because the file API cannot name them.
func (o *Overlay) Unnameable() int { return o.lower.summary(&Usage{}) }

// Usage is what was taken from the store so far.
func (o *Overlay) Usage() Usage {
	o.mu.RLock()
	u := o.reads.usage
	o.mu.RUnlock()
	o.lower.summary(&u)
	return u
}

// state is what the view has at one path: nothing, a file (one of entry and
// lower) or a folder.
type state struct {
	entry  *entry
	lower  *listing.Object // of a file that was not written
	folder bool
}

func (s state) file() bool { return s.entry != nil || s.lower != nil }

// content is the object of the input commit that a file has its content of; nil
// when there is none.
func (s state) content() *listing.Object {
	if s.entry != nil {
		return s.entry.from
	}
	return s.lower
}

// look says what is at a path. Its errors are not wrapped yet.
func (o *Overlay) look(ctx context.Context, path string) (state, error) {
	return o.lookFor(ctx, path, "")
}

// lookFor is look for who only asks whether the path is a file (trace.NotFile) or a
// folder (trace.NotFolder); "" asks which it is.
func (o *Overlay) lookFor(ctx context.Context, path string, asked trace.Kind) (state, error) {
	if path == "" {
		return state{folder: true}, nil
	}
	if err := paths.Check(path); err != nil {
		return state{}, err
	}
	if s, known := o.lookUpper(path); known {
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
		s = o.whatIsLeft(path, ls)
	}
	return s, nil
}

// combine lays the upper layer over what the commit has at a path. partly says
// that some of a folder was deleted: it is there if something is left of it.
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

// whatIsLeft is the state of a folder of which files were deleted.
func (o *Overlay) whatIsLeft(path string, ls *listing.Listing) state {
	o.mu.RLock()
	defer o.mu.RUnlock()
	start, end := ls.Range(o.lower.root + path)
	n := o.upper.find(path)
	return state{folder: n == nil || n.live > 0 || end-start > n.gone}
}

// lookUpper answers where the upper layer alone can.
func (o *Overlay) lookUpper(path string) (state, bool) {
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

// Stat of a file or a folder. Below a file there is nothing.
func (o *Overlay) Stat(ctx context.Context, path string) (Info, error) {
	s, err := o.look(ctx, path)
	if err == nil && !s.file() && !s.folder {
		err = fs.ErrNotExist
	}
	if err != nil {
		return Info{}, pathError("stat", path, err)
	}
	o.noteContent(s.content())
	return s.info(path), nil
}

// Find says what is at a path, as Stat does, without the size and the checksum of
// a file: an attempt that only asks whether something is there does not depend on these.
func (o *Overlay) Find(ctx context.Context, path string) (Info, error) {
	s, err := o.look(ctx, path)
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
	s, err := o.look(ctx, path)
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

// children merges what both layers have directly in a folder.
func (o *Overlay) children(ctx context.Context, ls *listing.Listing, path string) ([]Info, error) {
	o.mu.RLock()
	defer o.mu.RUnlock()
	dir := o.upper.find(path)
	if dir == nil {
		dir = &node{}
	}
	var infos []Info
	var text texts
	a := matched{room: o.room}
	var err error
	look := stride{ctx: ctx}
	add := func(i Info) bool {
		if err = look.at(i.Path); err == nil && !a.holds(infoCost+len(i.Path)+len(i.Checksum)) {
			err = a.tooLarge()
		}
		infos = append(infos, i)
		return err == nil
	}
	prefix := o.lower.root + paths.Prefix(path)
	start, end := ls.Range(paths.TrimSlash(prefix))
	var names trace.Digest
	for next := start; next < end && err == nil; {
		for i, e := range ls.Entries(next, end) {
			next = i + 1
			name, _, deeper := strings.Cut(e.Path[len(prefix):], "/")
			names.Add(e.Path[len(prefix) : len(prefix)+len(name)+slash(deeper)])
			n := dir.children[name]
			if n == nil {
				n = &node{}
			}
			if deeper { // go on behind the folder
				folder := e.Path[:len(prefix)+len(name)]
				if n.gone > 0 && n.live == 0 { // it is there if something is left of it
					o.noteTree(folder[len(o.lower.root):], ls)
				}
				if next = ls.Index(folder + "0"); n.live == 0 && next-i > n.gone {
					add(Info{Path: text.keep(folder[len(o.lower.root):]), Folder: true})
				}
				break
			}
			if n.live > 0 || n.deleted {
				continue
			}
			c := e.Object(text.keep(e.Path))
			if !add(Info{Path: c.Path[len(o.lower.root):], Size: c.Size, Checksum: c.Checksum}) {
				break
			}
		}
	}
	if err == nil {
		o.trace.Folder(o.inRepository(path), names.Names())
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

// slash is the length of the slash behind a name of a folder.
func slash(folder bool) int {
	if folder {
		return 1
	}
	return 0
}

// texts keeps the paths of an answer, many in one piece of memory. What a listing
// gives is cut from a text that has all those around a path as well.
type texts struct{ piece strings.Builder }

func (t *texts) keep(s string) string {
	if t.piece.Cap()-t.piece.Len() < len(s) {
		t.piece = strings.Builder{}
		t.piece.Grow(max(4096, len(s)))
	}
	t.piece.WriteString(s)
	return t.piece.String()[t.piece.Len()-len(s):]
}

// maxAnswer bounds what one listing of a folder, or one glob, gives an attempt,
// in bytes: the worker has it whole. It is enough for 900,000 ordinary names.
const maxAnswer = 48 << 20

// What one thing of an answer takes beside its text, in bytes.
const (
	infoCost = 56
	nameCost = 24
)

// matched counts what was found.
type matched struct{ found, size, room int }

// holds counts one thing more of so many bytes, and says whether there is room for it.
func (m *matched) holds(size int) bool {
	m.found++
	m.size += size
	return m.size <= m.room
}

func (m *matched) tooLarge() error {
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

// glob is Glob that counts all files that match, and returns those that an answer
// has room for.
func (o *Overlay) glob(ctx context.Context, dir string, p *glob.Pattern) (found []string, of matched, err error) {
	of.room = o.room
	if dir != "" {
		if err := paths.Check(dir); err != nil {
			return nil, of, pathError("glob", dir, err)
		}
	}
	if p.Literal() {
		path := paths.Join(dir, p.String())
		s, err := o.look(ctx, path)
		if err != nil || !s.file() {
			return nil, of, pathError("glob", path, err)
		}
		of.holds(len(path))
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
		return nil, of, pathError("glob", paths.Join(dir, p.LiteralPrefix()), &oddError{reason})
	}
	if found, of, err = o.matches(ctx, ls, dir, p); err != nil {
		return nil, of, pathError("glob", paths.Join(dir, p.String()), err)
	}
	return found, of, nil
}

// matches merges what both layers have under dir that matches.
func (o *Overlay) matches(ctx context.Context, ls *listing.Listing, dir string, p *glob.Pattern) (found []string, of matched, err error) {
	folder := paths.Join(dir, p.LiteralPrefix())
	o.mu.RLock()
	defer o.mu.RUnlock()
	of.room = o.room
	var text texts
	add := func(path string) {
		if of.holds(nameCost + len(path)) {
			found = append(found, text.keep(path))
		}
	}
	start, end := ls.Range(paths.TrimSlash(o.lower.root + paths.Prefix(folder)))
	hides := o.upper.find(folder) != nil
	look := stride{ctx: ctx, work: len(p.String())}
	var names trace.Digest
	for _, e := range ls.Entries(start, end) {
		path := e.Path[len(o.lower.root):]
		if err := look.at(path); err != nil {
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
		err = look.at(path)
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

// unseen are the objects left out of the view that a pattern matches; all says
// that every one of them was looked at. A marker of a folder is no file.
func (o *Overlay) unseen(ctx context.Context, p *glob.Pattern) (found []string, all bool, err error) {
	if p.Literal() { // looking for it tells
		return nil, true, nil
	}
	ls, err := o.lower.list(ctx, p.LiteralPrefix())
	if err != nil {
		return nil, false, err
	}
	look := stride{ctx: ctx, work: len(p.String())}
	for _, full := range ls.HiddenPaths {
		if err := look.at(full); err != nil {
			return nil, false, err
		}
		if path, ours := strings.CutPrefix(full, o.lower.root); ours && !strings.HasSuffix(path, "/") && p.Match(path) {
			found = append(found, path)
		}
	}
	return found, ls.Hidden == len(ls.HiddenPaths), nil
}

// lookEvery is after how many files a loop over files looks at the context.
const lookEvery = 4096

// stride looks at a context as often as a matching loop has done some work,
// about once a millisecond.
type stride struct {
	ctx  context.Context
	work int // that a byte of a path takes
	done int
}

func (s *stride) at(path string) error {
	if s.done += (1 + s.work) * (8 + len(path)); s.done < 1<<20 {
		return nil
	}
	s.done = 0
	if s.ctx.Err() != nil {
		return context.Cause(s.ctx)
	}
	return nil
}
