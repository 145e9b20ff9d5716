package workspace

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"sync"

	"perago/workspace/listing"
	"perago/workspace/localfile"
	"perago/workspace/paths"
	"perago/workspace/storage"
	"perago/workspace/trace"
)

// This file holds what changes the upper layer. One operation runs at a time:
// what it finds out of the lower layer, which may take the store, still holds
// when it makes its change, which readers see in one step.

var (
	errIntoItself = errors.New("a folder cannot be put into itself")
	errIsRoot     = errors.New("is the root of the workspace")
)

// alone waits until no other operation changes the upper layer, and keeps others
// out until done is called.
func (o *Overlay) alone(ctx context.Context) (done func(), err error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	select {
	case o.turn <- struct{}{}:
		return func() { <-o.turn }, nil
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// Create starts a new content for path, parents included.
func (o *Overlay) Create(ctx context.Context, path string, mode WriteMode) (*Draft, error) {
	s, err := o.target(ctx, path)
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
		if err := d.copyPresent(ctx); err != nil {
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
	over    sync.Once
}

// open counts the draft with what was written, until it is closed.
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

// drafted is how many bytes the open drafts have by now. Who writes them may be
// another process. The caller holds the lock.
func (o *Overlay) drafted() (bytes int64) {
	for d := range o.drafts {
		if info, err := d.file.Stat(); err == nil {
			bytes += info.Size()
		}
	}
	return bytes
}

// CheckScratch returns a *BoundError when the attempt has written more than it
// may, in files that are still open as well. It does not wait.
func (o *Overlay) CheckScratch() error {
	if !o.mu.TryRLock() {
		return nil // the next one will say so
	}
	defer o.mu.RUnlock()
	return o.upper.fitsBytes(o.drafted(), o.opts.Scratch)
}

// checkScratch says whether there is room for so many bytes more.
func (o *Overlay) checkScratch(more int64) error {
	o.mu.RLock()
	defer o.mu.RUnlock()
	return o.upper.fitsBytes(o.drafted()+more, o.opts.Scratch)
}

func (d *draft) copyPresent(ctx context.Context) error {
	from, err := d.overlay.Open(ctx, d.path)
	if err != nil {
		return err
	}
	defer from.Close()
	_, err = localfile.Copy(ctx, d.file, from, localfile.CopyChunk)
	return err
}

func (d *draft) discard() {
	d.over.Do(func() {
		d.close()
		os.Remove(d.file.Name())
	})
}

func (d *draft) commit(ctx context.Context) (size int64, err error) {
	err = errors.New("was already committed or discarded")
	d.over.Do(func() { size, err = d.place(ctx) })
	if err != nil {
		return 0, writeError("write", d.path, err)
	}
	return size, nil
}

// place makes the draft the content of its path.
func (d *draft) place(ctx context.Context) (int64, error) {
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
	done, err := o.alone(ctx)
	if err != nil {
		return err
	}
	defer done()
	s, err := o.target(ctx, path)
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

// fits says whether there is room for one more path, with a new content of so
// many bytes. The caller holds the lock.
func (o *Overlay) fits(path string, size int64) error {
	var g growth
	n := o.upper.find(path)
	if n == nil || n.ownLive()+n.ownGone() == 0 {
		g.add(path, entryCost+blobCost)
	} else if n.entry != nil && n.entry.blob != nil && n.entry.blob.uses == 1 {
		size -= n.entry.size // which goes
	}
	if err := o.upper.fits(g, o.opts.Files); err != nil {
		return err
	}
	if size <= 0 {
		return nil
	}
	return o.upper.fitsBytes(size+o.drafted(), o.opts.Scratch)
}

// lowerFile is the file that the input commit has at path, nil for none.
func (o *Overlay) lowerFile(ctx context.Context, path string) (*listing.Object, error) {
	f, err := o.fact(ctx, path)
	return f.file, err
}

// target says what is at a path that is to be written, and refuses one that
// cannot be: a bad or reserved name, or one below a file.
func (o *Overlay) target(ctx context.Context, path string) (state, error) {
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
	s, err := o.look(ctx, path)
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

// isFile says whether a folder that something is looked for or written in is a
// file. That it is none is all that an attempt depends on.
func (o *Overlay) isFile(ctx context.Context, folder string) (bool, error) {
	if folder == "" {
		return false, nil
	}
	if s, known := o.lookUpper(folder); known {
		return s.file(), nil
	}
	f, err := o.lower.fact(ctx, folder)
	if k, known := kindOf(f, err); known && (k == trace.Nothing || k == trace.Folder) {
		o.trace.Kind(o.inRepository(folder), trace.NotFile)
		return false, nil
	}
	s, err := o.look(ctx, folder)
	return s.file(), err
}

// Remove deletes a file.
func (o *Overlay) Remove(ctx context.Context, path string) error {
	return writeError("unlink", path, o.remove(ctx, path))
}

func (o *Overlay) remove(ctx context.Context, path string) error {
	done, err := o.alone(ctx)
	if err != nil {
		return err
	}
	defer done()
	s, err := o.present(ctx, path)
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
	if over != nil && s.entry == nil {
		if err := o.fits(path, 0); err != nil {
			return err
		}
	}
	o.upper.remove(path, over)
	return nil
}

// present is what is at a path that is to be changed.
func (o *Overlay) present(ctx context.Context, path string) (state, error) {
	if o.opts.Spec.ReadOnly {
		return state{}, ErrReadOnly
	}
	if paths.Reserved(o.lower.root + path) {
		return state{}, ErrReserved
	}
	s, err := o.look(ctx, path)
	if err == nil && !s.file() && !s.folder {
		err = fs.ErrNotExist
	}
	return s, err
}

// RemoveTree deletes a folder and all below it; of the root, all below it.
func (o *Overlay) RemoveTree(ctx context.Context, path string) error {
	return writeError("remove_tree", path, o.removeTree(ctx, path))
}

func (o *Overlay) removeTree(ctx context.Context, path string) error {
	done, err := o.alone(ctx)
	if err != nil {
		return err
	}
	defer done()
	s, err := o.present(ctx, path)
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
	o.mu.Lock()
	defer o.mu.Unlock()
	files, err := o.filesBelow(ctx, ls, path)
	if err != nil {
		return err
	}
	if err := o.measureAll(ctx, files); err != nil {
		return err
	}
	o.noteTree(path, ls)
	for _, f := range files {
		o.upper.remove(f.path, f.over)
	}
	for _, folder := range o.madeBelow(path) {
		o.upper.update(folder, func(n *node) { n.made = false })
	}
	return nil
}

// Mkdir makes a folder, parents included; one that is there is no error. A
// folder with nothing in it is seen by this attempt alone: the store keeps files.
func (o *Overlay) Mkdir(ctx context.Context, path string) error {
	return writeError("mkdir", path, o.mkdir(ctx, path))
}

func (o *Overlay) mkdir(ctx context.Context, path string) error {
	if path == "" && !o.opts.Spec.ReadOnly {
		return nil
	}
	done, err := o.alone(ctx)
	if err != nil {
		return err
	}
	defer done()
	s, err := o.target(ctx, path)
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

// writeError wraps err for an operation on path. What is wrong may be with a
// folder above: then that is named.
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
