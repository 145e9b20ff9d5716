package workspace

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"

	"perago/workspace/listing"
	"perago/workspace/localfile"
	"perago/workspace/paths"
	"perago/workspace/storage"
	"perago/workspace/trace"
)

// This file has the operations that change the upper layer. Only one runs at a time,
// so what it found out, which may take a request to the store, is still true when it
// makes its change. Readers see each change in one step.

var (
	errIntoItself = errors.New("a folder cannot be put into itself")
	errIsRoot     = errors.New("is the root of the workspace")
)

// lockWrites waits until no other operation changes the upper layer, and keeps
// others from it until done is called.
func (o *Overlay) lockWrites(ctx context.Context) (done func(), err error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	select {
	case o.writing <- struct{}{}:
		return func() { <-o.writing }, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// Create starts a new content for path, and makes the folders that it is in.
func (o *Overlay) Create(ctx context.Context, path string, mode WriteMode) (*Draft, error) {
	asked := trace.NotFolder
	if mode == Append {
		asked = "" // a missing file is another start
	}
	s, err := o.target(ctx, path, asked)
	if err == nil && s.folder {
		err = storage.ErrIsFolder
	}
	if err != nil {
		return nil, writeError("write", path, err)
	}
	var more int64
	if mode == Append && s.file() {
		more = s.info(path).Size
	}
	if err := o.checkScratch(more); err != nil {
		return nil, writeError("write", path, err)
	}
	file, err := o.newBlob()
	if err != nil {
		return nil, writeError("write", path, err)
	}
	d := &draft{overlay: o, path: path, file: file}
	d.open()
	if mode == Append && s.file() {
		if err := d.copyExisting(ctx); err != nil {
			d.discard()
			return nil, writeError("append to", path, err)
		}
	}
	return NewDraft(path, file, d.commit, d.discard), nil
}

// draft is a blob that is being written.
type draft struct {
	overlay *Overlay
	path    string
	file    *os.File
	ended   sync.Once
}

// open counts the draft as written bytes until it is closed.
func (d *draft) open() {
	o := d.overlay
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.drafts == nil {
		o.drafts = make(map[*draft]bool)
	}
	o.drafts[d] = true
}

func (d *draft) close() error {
	o := d.overlay
	o.mu.Lock()
	defer o.mu.Unlock()
	delete(o.drafts, d)
	return d.file.Close()
}

// draftBytes is how many bytes the open drafts have now. Another process may be
// writing them. The caller holds the lock.
func (o *Overlay) draftBytes() (bytes int64) {
	for d := range o.drafts {
		if info, err := d.file.Stat(); err == nil {
			bytes += info.Size()
		}
	}
	return bytes
}

// CheckScratch returns a *BoundError when the attempt has written more than it
// may, files that are still open included. It does not wait for a lock.
func (o *Overlay) CheckScratch() error {
	if !o.mu.TryRLock() {
		return nil // the next call finds out
	}
	defer o.mu.RUnlock()
	return o.upper.fitsBytes(o.draftBytes(), o.opts.Scratch)
}

// checkScratch returns a *BoundError when there is no room for so many bytes more.
func (o *Overlay) checkScratch(more int64) error {
	o.mu.RLock()
	defer o.mu.RUnlock()
	return o.upper.fitsBytes(o.draftBytes()+more, o.opts.Scratch)
}

func (d *draft) copyExisting(ctx context.Context) error {
	from, count, err := d.overlay.open(ctx, d.path, math.MaxInt64) // not counted as opened by the body
	if err != nil {
		return err
	}
	defer from.Close()
	count()
	_, err = localfile.Copy(ctx, d.file, from, localfile.CopyChunk)
	return err
}

func (d *draft) discard() {
	d.ended.Do(func() {
		d.close()
		os.Remove(d.file.Name())
	})
}

func (d *draft) commit(ctx context.Context) (size int64, err error) {
	err = errors.New("was already committed or discarded")
	d.ended.Do(func() { size, err = d.finish(ctx) })
	if err != nil {
		return 0, writeError("write", d.path, err)
	}
	return size, nil
}

// finish makes the draft the content of its path.
func (d *draft) finish(ctx context.Context) (int64, error) {
	info, err := d.file.Stat()
	if closeErr := d.close(); err == nil {
		err = closeErr
	}
	if err == nil {
		err = d.overlay.put(ctx, d.path, &entry{size: info.Size(), blob: &blob{path: d.file.Name(), uses: 1}})
	}
	if err != nil {
		os.Remove(d.file.Name())
		return 0, err
	}
	return info.Size(), nil
}

// put makes e the content of path.
func (o *Overlay) put(ctx context.Context, path string, e *entry) error {
	done, err := o.lockWrites(ctx)
	if err != nil {
		return err
	}
	defer done()
	s, err := o.target(ctx, path, trace.NotFolder)
	if err == nil && s.folder {
		err = storage.ErrIsFolder
	}
	if err != nil {
		return err
	}
	over, err := o.lowerFile(ctx, path)
	if err != nil {
		return err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if err := o.fits(path, e.size); err != nil {
		return err
	}
	o.upper.put(path, e, over)
	o.upper.stored += e.size
	return nil
}

// fits returns a *BoundError when there is no room for one more path with a new
// content of size bytes. The caller holds the lock.
func (o *Overlay) fits(path string, size int64) error {
	var g growth
	n := o.upper.find(path)
	if n == nil || n.ownLive()+n.ownGone() == 0 {
		g.add(path, entryCost+blobCost)
	} else if n.entry != nil && n.entry.blob != nil && n.entry.blob.uses == 1 {
		size -= n.entry.size // which is replaced
	}
	if err := o.upper.fits(g, o.opts.Files); err != nil {
		return err
	}
	if size <= 0 {
		return nil
	}
	return o.upper.fitsBytes(size+o.draftBytes(), o.opts.Scratch)
}

// lowerFile is the file that the input commit has at path, nil for none; it is no
// part of the trace.
func (o *Overlay) lowerFile(ctx context.Context, path string) (*listing.Object, error) {
	f, err := o.lower.fact(ctx, path)
	return f.file, err
}

// target is the state of a path that is to be written. It refuses a path that
// cannot be: a bad or reserved name, or one below a file. asked is what the
// operation depends on (see stateFor).
func (o *Overlay) target(ctx context.Context, path string, asked trace.Kind) (state, error) {
	if o.opts.Spec.ReadOnly {
		return state{}, ErrReadOnly
	}
	if path == "" {
		return state{}, errIsRoot
	}
	if err := paths.CheckNew(path); err != nil {
		return state{}, err
	}
	switch full := o.lower.root + path; {
	case paths.Reserved(full):
		return state{}, ErrReserved
	case len(full) > paths.MaxLength:
		return state{}, &paths.Error{Path: path, Reason: "is longer than 1024 bytes, the prefix of the workspace included"}
	}
	s, err := o.stateFor(ctx, path, asked)
	if err != nil || s.file() || s.folder {
		return s, err
	}
	for folder := range paths.Ancestors(path) {
		is, err := o.isFile(ctx, folder)
		if err != nil {
			return state{}, pathError("", folder, err)
		}
		if is {
			return state{}, pathError("", folder, storage.ErrNotFolder)
		}
	}
	return state{}, nil
}

// isFile says whether a path that is used as a folder is a file. All that the trace
// notes is that it is not one.
func (o *Overlay) isFile(ctx context.Context, folder string) (bool, error) {
	if folder == "" {
		return false, nil
	}
	s, err := o.stateFor(ctx, folder, trace.NotFile)
	return s.file(), err
}

// Remove deletes a file.
func (o *Overlay) Remove(ctx context.Context, path string) error {
	return writeError("unlink", path, o.remove(ctx, path))
}

func (o *Overlay) remove(ctx context.Context, path string) error {
	done, err := o.lockWrites(ctx)
	if err != nil {
		return err
	}
	defer done()
	s, err := o.existing(ctx, path)
	if err == nil && s.folder {
		err = storage.ErrIsFolder
	}
	if err != nil {
		return err
	}
	f, err := o.fact(ctx, path, "") // also where the file was written here: what is removed with it?
	if err != nil {
		return err
	}
	over := f.file
	o.mu.Lock()
	defer o.mu.Unlock()
	if over != nil && s.entry == nil {
		if err := o.fits(path, 0); err != nil {
			return err
		}
	}
	o.upper.remove(path, over)
	return nil
}

// existing is the state of a path that is to be changed; fs.ErrNotExist when there is nothing.
func (o *Overlay) existing(ctx context.Context, path string) (state, error) {
	if o.opts.Spec.ReadOnly {
		return state{}, ErrReadOnly
	}
	if paths.Reserved(o.lower.root + path) {
		return state{}, ErrReserved
	}
	s, err := o.stateAt(ctx, path)
	if err == nil && !s.file() && !s.folder {
		err = fs.ErrNotExist
	}
	return s, err
}

// RemoveTree deletes a folder and all below it; of the root only what is below it.
func (o *Overlay) RemoveTree(ctx context.Context, path string) error {
	return writeError("remove_tree", path, o.removeTree(ctx, path))
}

func (o *Overlay) removeTree(ctx context.Context, path string) error {
	done, err := o.lockWrites(ctx)
	if err != nil {
		return err
	}
	defer done()
	s, err := o.existing(ctx, path)
	if err == nil && s.file() {
		err = storage.ErrNotFolder
	}
	if err != nil {
		return err
	}
	ls, err := o.lower.list(ctx, path)
	if err != nil {
		return err
	}
	o.noteTree(path, ls) // also where there is no room for what it takes
	o.mu.Lock()
	defer o.mu.Unlock()
	files, err := o.filesBelow(ctx, ls, path)
	if err != nil {
		return err
	}
	if err := o.measureAll(ctx, files); err != nil {
		return err
	}
	for _, f := range files {
		o.upper.remove(f.path, f.over)
	}
	for _, folder := range o.madeBelow(path) {
		o.upper.update(folder, func(n *node) { n.made = false })
	}
	return nil
}

// Mkdir makes a folder and those that it is in; an existing one is no error. Only
// this attempt has a folder with nothing in it, since the store keeps only files.
func (o *Overlay) Mkdir(ctx context.Context, path string) error {
	return writeError("mkdir", path, o.mkdir(ctx, path))
}

func (o *Overlay) mkdir(ctx context.Context, path string) error {
	if path == "" && !o.opts.Spec.ReadOnly {
		return nil
	}
	done, err := o.lockWrites(ctx)
	if err != nil {
		return err
	}
	defer done()
	s, err := o.target(ctx, path, trace.NotFile)
	if err == nil && s.file() {
		err = fs.ErrExist
	}
	if err != nil {
		return err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if n := o.upper.find(path); n != nil && n.made {
		return nil
	}
	if err := o.fits(path, 0); err != nil {
		return err
	}
	o.upper.update(path, func(n *node) { n.made = true })
	return nil
}

// writeError wraps err for an operation on path. An error about a folder above
// names that folder.
func writeError(op, path string, err error) error {
	var about *fs.PathError
	if errors.As(err, &about) && about.Op == "" {
		return pathError(op, about.Path, about.Err)
	}
	var bad *paths.Error
	if errors.As(err, &bad) {
		return fmt.Errorf("%s: %w", op, err) // it names the path itself
	}
	return pathError(op, path, err)
}

// fileBelow is one file below a folder.
type fileBelow struct {
	path  string
	entry *entry          // nil: an unchanged lower file
	over  *listing.Object // the lower file of this path; nil when there is none
}

// from is the object of the input commit whose content the file has; nil when
// there is none.
func (f fileBelow) from() *listing.Object {
	if f.entry != nil {
		return f.entry.from
	}
	return f.over
}

// content is the entry of a copy of the file.
func (f fileBelow) content() *entry {
	if f.entry == nil {
		return &entry{size: f.over.Size, from: f.over}
	}
	if f.entry.blob != nil {
		f.entry.blob.uses++
	}
	return &entry{size: f.entry.size, blob: f.entry.blob, from: f.entry.from}
}

// filesBelow are the files below a folder. It fails with a *BoundError when the tree
// has no room for a node for each. The caller holds the lock.
func (o *Overlay) filesBelow(ctx context.Context, ls *listing.Listing, folder string) ([]fileBelow, error) {
	var files []fileBelow
	var g growth
	var err error
	add := func(f fileBelow) bool {
		files = append(files, f)
		cost := objectCost(f.over)
		if f.entry != nil {
			cost = entryCost
		}
		g.add(f.path, cost)
		if len(files)%checkEvery == 0 && ctx.Err() != nil {
			err = context.Cause(ctx)
		}
		if err == nil && f.entry == nil {
			err = o.upper.fits(g, o.opts.Files)
		}
		return err == nil
	}
	start, end := ls.Range(paths.TrimSlash(o.lower.root + paths.Prefix(folder)))
	hides := o.upper.find(folder) != nil
	for _, e := range ls.Entries(start, end) {
		if hides {
			if n := o.upper.find(e.Path[len(o.lower.root):]); n != nil && (n.deleted || n.live > 0) {
				continue
			}
		}
		c := e.Object(strings.Clone(e.Path))
		if !add(fileBelow{path: c.Path[len(o.lower.root):], over: &c}) {
			return nil, err
		}
	}
	o.upper.walk(folder, func(path string, n *node) bool {
		return n.entry == nil || add(fileBelow{path: path, entry: n.entry, over: n.over})
	})
	return files, err
}

// measureAll sets the sizes of files that were listed without one.
func (o *Overlay) measureAll(ctx context.Context, files []fileBelow) error {
	for _, f := range files {
		if f.over == nil {
			continue
		}
		if err := o.lower.measure(ctx, f.over); err != nil {
			return err
		}
	}
	return nil
}

// madeBelow are the folders at and below path that the body made, sorted. The
// caller holds the lock.
func (o *Overlay) madeBelow(path string) []string {
	var folders []string
	o.upper.walk(path, func(folder string, n *node) bool {
		if n.made {
			folders = append(folders, folder)
		}
		return true
	})
	slices.Sort(folders)
	return folders
}

// Copy makes to a copy of from, a file or a folder with all in it. A file at to
// is replaced. The bytes of an unchanged object are not fetched.
func (o *Overlay) Copy(ctx context.Context, from, to string) error {
	return writeError("copy", to, o.transfer(ctx, from, to, false))
}

// Rename moves a file, or a folder with all in it. A file at to is replaced, as
// is an empty folder by a folder.
func (o *Overlay) Rename(ctx context.Context, from, to string) error {
	return writeError("rename", to, o.transfer(ctx, from, to, true))
}

func (o *Overlay) transfer(ctx context.Context, from, to string, move bool) error {
	done, err := o.lockWrites(ctx)
	if err != nil {
		return err
	}
	defer done()
	source, err := o.existing(ctx, from)
	switch {
	case err != nil:
	case from == "":
		err = errIsRoot
	case source.folder && paths.Under(to, from):
		err = errIntoItself
	}
	if err != nil {
		return pathError("", from, err)
	}
	asked := trace.NotFolder
	if source.folder {
		asked = ""
	}
	target, err := o.target(ctx, to, asked)
	switch {
	case err != nil || from == to:
		return err
	case source.file() && target.folder:
		return storage.ErrIsFolder
	case source.folder && target.file():
		return storage.ErrNotFolder
	case source.folder:
		return o.transferFolder(ctx, from, to, move)
	}
	return o.transferFile(ctx, from, to, move)
}

func (o *Overlay) transferFile(ctx context.Context, from, to string, move bool) error {
	source, err := o.lowerFile(ctx, from)
	if err == nil && move { // see remove
		_, err = o.fact(ctx, from, "")
	}
	if err != nil {
		return err
	}
	over, err := o.lowerFile(ctx, to)
	if err != nil {
		return err
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if err := o.fits(to, 0); err != nil {
		return err
	}
	file := fileBelow{path: from, over: source}
	if n := o.upper.find(from); n != nil {
		file.entry = n.entry
	}
	o.noteContent(file.from())
	o.upper.put(to, file.content(), over)
	if move {
		o.upper.remove(from, source)
	}
	return nil
}

// transferFolder moves or copies all files of a folder, and the folders that
// the body made in it, in one step.
func (o *Overlay) transferFolder(ctx context.Context, from, to string, move bool) error {
	ls, err := o.lower.list(ctx, from)
	if err != nil {
		return err
	}
	there, err := o.lower.list(ctx, to)
	if err != nil {
		return err
	}
	o.noteTree(from, ls) // also where there is no room for what they take
	o.noteTree(to, there)
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.hasBelow(there, to) {
		return fs.ErrExist
	}
	files, err := o.filesBelow(ctx, ls, from)
	if err != nil {
		return err
	}
	made := o.madeBelow(from)
	if err := o.checkRoom(files, made, from, to, move); err != nil {
		return err
	}
	if err := o.measureAll(ctx, files); err != nil {
		return err
	}
	over := make([]*listing.Object, len(files))
	for i, f := range files {
		name := o.lower.root + to + f.path[len(from):]
		if err := paths.CheckNew(name); err != nil {
			return err
		}
		if c, is := there.Find(name); is {
			if err := o.lower.measure(ctx, &c); err != nil {
				return err
			}
			over[i] = &c
		}
	}
	for i, f := range files {
		o.noteContent(f.from())
		o.upper.put(to+f.path[len(from):], f.content(), over[i])
		if move {
			o.upper.remove(f.path, f.over)
		}
	}
	for _, folder := range made {
		o.upper.update(to+folder[len(from):], func(n *node) { n.made = true })
		if move {
			o.upper.update(folder, func(n *node) { n.made = false })
		}
	}
	return nil
}

// hasBelow says whether anything is below a folder. The caller holds the lock.
func (o *Overlay) hasBelow(ls *listing.Listing, folder string) bool {
	if n := o.upper.find(folder); n != nil {
		start, end := ls.Range(paths.TrimSlash(o.lower.root + paths.Prefix(folder)))
		return n.live > n.ownLive() || end-start > n.gone
	}
	start, end := ls.Range(paths.TrimSlash(o.lower.root + paths.Prefix(folder)))
	return end > start
}

// checkRoom returns a *BoundError when the tree has no room for what transferFolder makes.
func (o *Overlay) checkRoom(files []fileBelow, made []string, from, to string, move bool) error {
	var g growth
	for _, f := range files {
		if move && f.entry == nil {
			g.add(f.path, objectCost(f.over))
		}
	}
	for _, f := range files {
		cost := int64(entryCost)
		if f.entry == nil {
			cost += objectCost(f.over)
		}
		g.add(to+f.path[len(from):], cost)
	}
	for _, folder := range made {
		g.add(to+folder[len(from):], 0)
	}
	return o.upper.fits(g, o.opts.Files)
}

// newBlob makes the next file for a content, open for writing.
func (o *Overlay) newBlob() (*os.File, error) {
	if o.opts.Dir == "" {
		return nil, errors.New("there is no folder for written files")
	}
	o.mu.Lock()
	o.blobs++
	name := filepath.Join(o.opts.Dir, fmt.Sprintf("%06d", o.blobs))
	o.mu.Unlock()
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, fs.ErrNotExist) {
		if err := os.MkdirAll(o.opts.Dir, 0o700); err != nil {
			return nil, err
		}
		f, err = os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	}
	return f, err
}

// openCommitted opens the first size bytes of a blob: its content when it was
// committed. A process that still has it open for writing may have appended to it.
func openCommitted(name string, size int64) (io.ReadSeekCloser, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	return struct {
		*io.SectionReader
		io.Closer
	}{io.NewSectionReader(f, 0, size), f}, nil
}
