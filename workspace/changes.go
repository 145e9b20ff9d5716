package workspace

import (
	"bytes"
	"context"
	"crypto/md5"
	"fmt"
	"io"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"perago/panics"
	"perago/workspace/listing"
	"perago/workspace/localfile"
	"perago/workspace/storage"
)

// This file has what the attempt changed: the upper layer, without files that were
// written with the content they had before.

// difference is one path of the upper layer.
type difference struct {
	path  string
	entry *entry // nil: deleted
	over  *listing.Object
	same  bool // written with the content that it had before
}

// comparisons is how many files are compared with their old content at once.
const comparisons = 4

// Changes are the differences from the input commit, sorted by path.
func (o *Overlay) Changes(ctx context.Context) ([]Change, error) {
	diffs, err := o.differences(ctx)
	if err != nil {
		return nil, err
	}
	changes := make([]Change, 0, len(diffs))
	for _, d := range diffs {
		changes = append(changes, Change{Op: d.op(), Path: d.path, Size: d.size()})
	}
	return changes, nil
}

// Staged are the changes with what is needed to publish them; the paths are those
// of the repository. The contents must be read before the attempt writes again, and
// before its folder is removed.
func (o *Overlay) Staged(ctx context.Context) ([]storage.Staged, error) {
	diffs, err := o.differences(ctx)
	if err != nil {
		return nil, err
	}
	staged := make([]storage.Staged, 0, len(diffs))
	for _, d := range diffs {
		s := storage.Staged{Path: o.lower.root + d.path, Op: d.op()}
		switch {
		case d.entry == nil:
		case d.entry.from != nil:
			s.Size, s.From, s.FromCommit = d.entry.size, d.entry.from.Path, d.entry.from.Commit
		default:
			name, size := d.entry.blob.path, d.entry.size
			s.Size = size
			s.Open = func() (io.ReadSeekCloser, error) { return openCommitted(name, size) }
		}
		staged = append(staged, s)
	}
	return staged, nil
}

// Folders are the folders that the body made and that have nothing in them,
// sorted, as paths of the repository. A versioned store cannot hold them.
func (o *Overlay) Folders() []string {
	o.mu.RLock()
	defer o.mu.RUnlock()
	var empty []string
	for _, folder := range o.madeBelow("") {
		if o.upper.find(folder).live == 1 {
			empty = append(empty, o.lower.root+folder)
		}
	}
	return empty
}

func (d difference) op() storage.Op {
	switch {
	case d.entry == nil:
		return storage.Deleted
	case d.over == nil:
		return storage.Added
	}
	return storage.Modified
}

func (d difference) size() int64 {
	if d.entry == nil {
		return d.over.Size
	}
	return d.entry.size
}

// differences are the changes of the upper layer. A written file is compared with
// the one that it replaced if both have the same size.
func (o *Overlay) differences(ctx context.Context) ([]difference, error) {
	o.mu.RLock()
	var diffs []difference
	o.upper.walk("", func(path string, n *node) bool {
		if n.entry != nil || n.deleted {
			diffs = append(diffs, difference{path: path, entry: n.entry, over: n.over})
		}
		return true
	})
	o.mu.RUnlock()
	group, groupCtx := errgroup.WithContext(ctx)
	group.SetLimit(comparisons)
	for i := range diffs {
		d := &diffs[i]
		if d.entry == nil || d.over == nil || d.entry.size != d.over.Size {
			continue
		}
		group.Go(panics.ToError(func() error {
			if d.entry.same.Load() == 0 {
				same, err := o.sameContent(groupCtx, d.entry, *d.over)
				if err != nil {
					return pathError("compare", d.path, err)
				}
				d.entry.same.Store(isOther)
				if same {
					d.entry.same.Store(isSame)
				}
			}
			d.same = d.entry.same.Load() == isSame
			return nil
		}))
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	diffs = slices.DeleteFunc(diffs, func(d difference) bool { return d.same })
	slices.SortFunc(diffs, func(a, b difference) int { return strings.Compare(a.path, b.path) })
	return diffs, nil
}

// sameContent compares a written file with an object of the same size. The bytes
// are compared only if the MD5 is the same.
func (o *Overlay) sameContent(ctx context.Context, e *entry, old listing.Object) (bool, error) {
	if e.from != nil && e.from.Location == old.Location {
		return true, nil
	}
	if e.from != nil && e.from.Hashed && old.Hashed && e.from.MD5 != old.MD5 {
		return false, nil
	}
	written, err := o.openEntry(ctx, e)
	if err != nil {
		return false, err
	}
	defer written.Close()
	if e.from == nil && old.Hashed {
		sum := md5.New()
		if _, err := localfile.Copy(ctx, sum, written, localfile.CopyChunk); err != nil {
			return false, err
		}
		if listing.MD5(sum.Sum(nil)) != old.MD5 {
			return false, nil
		}
		if _, err := written.Seek(0, io.SeekStart); err != nil {
			return false, err
		}
	}
	before, _, err := o.fetch(ctx, old)
	if err != nil {
		return false, err
	}
	defer before.Close()
	return sameBytes(ctx, written, before)
}

func (o *Overlay) openEntry(ctx context.Context, e *entry) (io.ReadSeekCloser, error) {
	if e.blob != nil {
		return openCommitted(e.blob.path, e.size)
	}
	f, _, err := o.fetch(ctx, *e.from)
	return f, err
}

func sameBytes(ctx context.Context, a, b io.Reader) (bool, error) {
	left, right := make([]byte, 1<<18), make([]byte, 1<<18)
	for {
		if ctx.Err() != nil {
			return false, context.Cause(ctx)
		}
		n, errA := io.ReadFull(a, left)
		m, errB := io.ReadFull(b, right)
		if !bytes.Equal(left[:n], right[:m]) {
			return false, nil
		}
		for _, err := range []error{errA, errB} {
			if err != nil && err != io.EOF && err != io.ErrUnexpectedEOF {
				return false, fmt.Errorf("read: %w", err)
			}
		}
		if errA != nil || errB != nil {
			return (errA != nil) == (errB != nil), nil
		}
	}
}
