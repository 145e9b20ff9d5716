package workspace

import (
	"context"
	"errors"
	"io/fs"
	"strings"

	"perago/workspace/glob"
	"perago/workspace/listing"
	"perago/workspace/paths"
	"perago/workspace/storage"
	"perago/workspace/trace"
)

// This file holds what the attempt asked of its input commit, and the same
// questions put to another commit.

// Trace is what was asked so far, and what was written; where a content was neither
// copied nor compared it has no checksum yet. It may be called again later.
func (o *Overlay) Trace(ctx context.Context) (*trace.Trace, error) {
	var all trace.Names
	if o.trace.Full() {
		var err error
		if all, err = o.lower.all(ctx); err != nil {
			return nil, err
		}
	}
	return o.questions(all), nil
}

// Questions is Trace without the names of all files, where those stand for more
// questions than a trace holds: enough to hold changes against it.
func (o *Overlay) Questions() *trace.Trace { return o.questions(trace.Names{}) }

func (o *Overlay) questions(all trace.Names) *trace.Trace {
	t := o.trace.Trace(all)
	t.Wrote, t.Removed = map[string]trace.Content{}, map[string]bool{}
	o.mu.RLock()
	defer o.mu.RUnlock()
	o.upper.walk("", func(path string, n *node) bool {
		switch {
		case n.entry != nil:
			t.Wrote[o.inRepository(path)] = n.written()
		case n.deleted:
			t.Removed[o.inRepository(path)] = true
		}
		return true
	})
	return t
}

// written is the content of a written file, as far as it is known without reading
// it: one that was copied, or compared with what was there (Changes, Staged).
func (n *node) written() trace.Content {
	c := trace.Content{Size: n.entry.size}
	switch {
	case n.entry.from != nil:
		c.Checksum = n.entry.from.Checksum
	case n.over != nil && n.entry.same.Load() == isSame:
		c.Checksum = n.over.Checksum
	}
	return c
}

// Unrepeatable notes why the attempt may come to something else the next time.
func (o *Overlay) Unrepeatable(why string) { o.trace.Unrepeatable(why) }

// Reuse writes and removes what an earlier attempt did, whose trace holds at the
// input commit. What lies there as that attempt left it stays; the rest is taken
// from commit, which has it. fs.ErrNotExist: it does not, and nothing was changed.
func (o *Overlay) Reuse(ctx context.Context, earlier *trace.Trace, commit string) error {
	done, err := o.lockWrites(ctx)
	if err != nil {
		return err
	}
	defer done()
	there := newLower(o.store, Ref{Repository: o.ref.Repository, Commit: commit}, o.opts.Spec.Prefix, nil)
	type write struct {
		path       string
		from, over *listing.Object
	}
	var writes []write
	for full, want := range earlier.Wrote {
		path, err := o.outputPath(full)
		if err != nil {
			return err
		}
		over, err := o.lowerFile(ctx, path)
		if err != nil {
			return pathError("reuse", path, err)
		}
		if over != nil && over.Size == want.Size && over.Checksum == want.Checksum {
			o.noteContent(over) // a fresh run would have written over another one
			continue
		}
		f, err := there.fact(ctx, path)
		if err == nil && (f.file == nil || f.file.Size != want.Size || f.file.Checksum != want.Checksum) {
			err = fs.ErrNotExist
		}
		if err != nil {
			return pathError("reuse", path, err)
		}
		f.file.Commit = commit
		writes = append(writes, write{path, f.file, over})
	}
	for full := range earlier.Removed {
		path, err := o.outputPath(full)
		if err != nil {
			return err
		}
		over, err := o.lowerFile(ctx, path)
		if err != nil {
			return pathError("reuse", path, err)
		}
		if over != nil {
			writes = append(writes, write{path: path, over: over})
		}
	}
	o.trace.Add(earlier)
	o.mu.Lock()
	defer o.mu.Unlock()
	for _, w := range writes {
		if err := o.fits(w.path, 0); err != nil {
			return pathError("reuse", w.path, err)
		}
		if w.from == nil {
			o.upper.remove(w.path, w.over)
		} else {
			o.upper.put(w.path, &entry{size: w.from.Size, from: w.from}, w.over)
		}
	}
	return nil
}

// outputPath is a path of a record, which anyone may have made, as one that this
// attempt may write.
func (o *Overlay) outputPath(full string) (string, error) {
	path, below := strings.CutPrefix(full, o.lower.root)
	err := paths.CheckNew(path)
	switch {
	case !below, paths.Reserved(full):
		err = ErrReserved
	case err == nil && o.opts.Spec.ReadOnly:
		err = ErrReadOnly
	}
	return path, pathError("reuse", full, err)
}

// At answers the questions of a trace of this attempt at another commit of its
// repository.
func (o *Overlay) At(commit string) trace.View {
	ref := o.ref
	ref.Commit = commit
	if commit == o.ref.Commit {
		return view{o.lower}
	}
	return view{newLower(o.store, ref, o.opts.Spec.Prefix, o.opts.Cache)}
}

// inRepository is a path of the workspace as one of the repository.
func (o *Overlay) inRepository(path string) string { return paths.TrimSlash(o.lower.root + path) }

// fact is what the input commit has at a path, with a note of what was asked (see stateFor).
func (o *Overlay) fact(ctx context.Context, path string, asked trace.Kind) (fact, error) {
	f, err := o.lower.fact(ctx, path)
	if k, known := kindOf(f, err); known && path != "" && !paths.Reserved(o.inRepository(path)) {
		o.trace.KindAs(o.inRepository(path), k, asked)
	}
	return f, err
}

// kindOf is a fact as a trace has it; known is false for an error of the store.
func kindOf(f fact, err error) (k trace.Kind, known bool) {
	switch {
	case errors.Is(err, storage.ErrUnnameable):
		return trace.Unnameable, true
	case err != nil:
		return "", false
	case f.file != nil && f.below:
		return trace.Unnameable, true
	case f.file != nil:
		return trace.File, true
	case f.below:
		return trace.Folder, true
	}
	return trace.Nothing, true
}

// noteContent notes that the content or the size of an object was asked for; nil
// is none.
func (o *Overlay) noteContent(c *listing.Object) {
	if c == nil || c.Commit != "" {
		return
	}
	if c.Checksum == "" {
		o.trace.Unrepeatable("the store gives no checksums")
	}
	o.trace.Content(c.Path, trace.Content{Size: c.Size, Checksum: c.Checksum})
}

// noteTree notes that all that the input commit has below a folder was asked for.
func (o *Overlay) noteTree(folder string, ls *listing.Listing) {
	o.trace.Pattern(trace.Pattern{Folder: o.inRepository(folder), Glob: "**"}, o.lower.tree(folder, ls))
}

// tree are the names of all files below a folder, relative to it.
func (l *lower) tree(folder string, ls *listing.Listing) trace.Names {
	var names trace.Digest
	prefix := l.root + paths.Prefix(folder)
	start, end := ls.Range(paths.TrimSlash(prefix))
	for _, e := range ls.Entries(start, end) {
		names.Add(e.Path[len(prefix):])
	}
	return names.Names()
}

// all are the names and contents of all files of the workspace.
func (l *lower) all(ctx context.Context) (trace.Names, error) {
	ls, err := l.list(ctx, "")
	if err != nil {
		return trace.Names{}, err
	}
	var names trace.Digest
	start, end := ls.Range(paths.TrimSlash(l.root))
	for _, e := range ls.Entries(start, end) {
		c := e.Object(e.Path)
		names.Add(e.Path + "\x00" + c.Checksum)
	}
	return names.Names(), nil
}

// view answers the questions of a trace; its paths are those of the repository.
type view struct{ lower *lower }

// own is a path of the repository as one of the workspace.
func (v view) own(path string) string {
	return strings.TrimPrefix(strings.TrimPrefix(path, paths.TrimSlash(v.lower.root)), "/")
}

func (v view) Kind(ctx context.Context, path string) (trace.Kind, error) {
	f, err := v.lower.fact(ctx, v.own(path))
	if k, known := kindOf(f, err); known {
		return k, nil
	}
	return "", err
}

func (v view) Content(ctx context.Context, path string) (c trace.Content, is bool, err error) {
	f, err := v.lower.fact(ctx, v.own(path))
	if k, known := kindOf(f, err); !known || k != trace.File {
		if known {
			err = nil
		}
		return trace.Content{}, false, err
	}
	return trace.Content{Size: f.file.Size, Checksum: f.file.Checksum}, true, nil
}

func (v view) Folder(ctx context.Context, path string) (trace.Names, error) {
	folder := v.own(path)
	ls, err := v.lower.list(ctx, folder)
	if err != nil {
		return trace.Names{}, err
	}
	var names trace.Digest
	for c := range v.lower.direct(ls, folder) {
		names.Add(c.name)
	}
	return names.Names(), nil
}

func (v view) Pattern(ctx context.Context, p trace.Pattern) (trace.Names, error) {
	g, err := glob.Compile(p.Glob)
	if err != nil {
		return trace.Names{}, err
	}
	dir := v.own(p.Folder)
	ls, err := v.lower.list(ctx, paths.Join(dir, g.LiteralPrefix()))
	if err != nil {
		return trace.Names{}, err
	}
	var names trace.Digest
	check := contextCheck{ctx: ctx, work: len(p.Glob)}
	prefix := v.lower.root + paths.Prefix(dir)
	start, end := ls.Range(paths.TrimSlash(v.lower.root + paths.Prefix(paths.Join(dir, g.LiteralPrefix()))))
	for _, e := range ls.Entries(start, end) {
		if err := check.after(e.Path); err != nil {
			return trace.Names{}, err
		}
		if g.Match(e.Path[len(prefix):]) {
			names.Add(e.Path[len(prefix):])
		}
	}
	return names.Names(), nil
}

func (v view) All(ctx context.Context, _ string) (trace.Names, error) { return v.lower.all(ctx) }

func (v view) Below(ctx context.Context, path string) (bool, error) {
	f, err := v.lower.fact(ctx, v.own(path))
	if k, known := kindOf(f, err); known {
		return k == trace.Folder || k == trace.Unnameable, nil
	}
	return false, err
}
