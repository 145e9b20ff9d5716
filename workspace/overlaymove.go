package workspace

import (
	"context"
	"io/fs"
	"slices"
	"strings"

	"perago/workspace/listing"
	"perago/workspace/paths"
	"perago/workspace/storage"
)

// fileBelow is one file of the view.
type fileBelow struct {
	path  string
	entry *entry          // nil: an unchanged lower file
	over  *listing.Object // the lower file of this path; nil when there is none
}

// from is the object of the input commit that the file has its content of; nil
// when there is none.
func (f fileBelow) from() *listing.Object {
	if f.entry != nil {
		return f.entry.from
	}
	return f.over
}

// content is what a copy of the file is made of.
func (f fileBelow) content() *entry {
	if f.entry == nil {
		return &entry{size: f.over.Size, from: f.over}
	}
	if f.entry.blob != nil {
		f.entry.blob.uses++
	}
	return &entry{size: f.entry.size, blob: f.entry.blob, from: f.entry.from}
}

// filesBelow are the files below a folder, when there is room in the tree for as
// many once more. The caller holds the lock.
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
		if len(files)%lookEvery == 0 && ctx.Err() != nil {
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

// measureAll asks for the sizes that a listing did not have.
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
	done, err := o.alone(ctx)
	if err != nil {
		return err
	}
	defer done()
	source, err := o.present(ctx, from)
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
	target, err := o.target(ctx, to)
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
	f := fileBelow{path: from, over: source}
	if n := o.upper.find(from); n != nil {
		f.entry = n.entry
	}
	o.noteContent(f.from())
	o.upper.put(to, f.content(), over)
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
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.hasBelow(there, to) {
		o.noteTree(to, there)
		return fs.ErrExist
	}
	files, err := o.filesBelow(ctx, ls, from)
	if err != nil {
		return err
	}
	made := o.madeBelow(from)
	if err := o.roomFor(files, made, from, to, move); err != nil {
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
	o.noteTree(from, ls)
	o.noteTree(to, there)
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

// roomFor says whether the tree has room for what transferFolder makes.
func (o *Overlay) roomFor(files []fileBelow, made []string, from, to string, move bool) error {
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
