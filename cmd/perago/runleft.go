package main

import (
	"context"
	"fmt"
	"io"

	"perago/engine"
	"perago/engine/module"
	"perago/workspace"
	"perago/workspace/paths"
	"perago/workspace/publish"
	"perago/workspace/storage"
)

// written is what an attempt has written, while its folder is there.
type written struct {
	changes []workspace.Change // sorted by path
	staged  map[string]storage.Staged
	store   storage.Reader
	ref     workspace.Ref
	prefix  string // of the workspace in the repository: "" or "in/"
}

func writtenBy(ctx context.Context, store storage.Reader, ref workspace.Ref, spec *workspace.Spec, o *workspace.Overlay) (written, error) {
	w := written{store: store, ref: ref, staged: map[string]storage.Staged{}}
	if prefix := paths.Join(spec.Prefix, "x"); len(prefix) > 1 {
		w.prefix = prefix[:len(prefix)-1]
	}
	staged, err := o.Staged(ctx)
	if err != nil {
		return w, err
	}
	for _, s := range staged {
		w.staged[s.Path[len(w.prefix):]] = s
	}
	w.changes, err = o.Changes(ctx)
	return w, err
}

// before opens what the input has at a path.
func (w written) before(ctx context.Context, path string) (io.ReadCloser, error) {
	return w.store.Open(ctx, w.ref.Repository, w.ref.Commit, w.prefix+path)
}

// after opens what the attempt wrote to a path.
func (w written) after(ctx context.Context, path string) (io.ReadCloser, error) {
	s, ok := w.staged[path]
	switch {
	case ok && s.Open != nil:
		return s.Open()
	case ok && s.From != "":
		return w.store.Open(ctx, w.ref.Repository, w.ref.Commit, s.From)
	}
	return nil, fmt.Errorf("%s was not written", path)
}

// leftovers takes from an attempt what --diff, --out and --keep are to show of
// it. It is the publisher of the attempt, before the one that there would be
// without it: --apply changes the folder that is compared with.
type leftovers struct {
	next   engine.Publisher // nil: nothing is published
	store  storage.Reader
	module *module.Module
	most   int64 // bytes that are copied; 0 is no bound

	diff      bool
	out, keep *resultFolder // nil: not asked for

	changes []workspace.Change // that diffs, out or keep are of
	diffs   []fileDiff
	err     error // what went wrong after a failure
}

// Prepare implements engine.Publisher.
func (l *leftovers) Prepare(ctx context.Context, p publish.Publication) (*publish.Published, error) {
	if l.next == nil {
		return nil, nil
	}
	return l.next.Prepare(ctx, p)
}

// Publish implements engine.Publisher.
func (l *leftovers) Publish(ctx context.Context, p publish.Publication) (publish.Published, error) {
	if err := l.take(ctx, p.Ref, p.Overlay, l.out); err != nil {
		return publish.Published{}, err
	}
	if l.next == nil {
		return publish.Published{Commit: p.Ref.Commit}, nil
	}
	return l.next.Publish(ctx, p)
}

// failed is the hook of a failed attempt.
func (l *leftovers) failed(ctx context.Context, ref workspace.Ref, o *workspace.Overlay) {
	if l.out != nil {
		l.out.drop()
	}
	l.err = l.take(ctx, ref, o, l.keep)
}

func (l *leftovers) take(ctx context.Context, ref workspace.Ref, o *workspace.Overlay, into *resultFolder) error {
	w, err := writtenBy(ctx, l.store, ref, l.module.Task.Workspace, o)
	if err != nil {
		return err
	}
	l.changes, l.diffs = w.changes, nil
	if l.diff {
		if l.diffs, err = diffOf(ctx, w); err != nil {
			return err
		}
	}
	if into == nil {
		return nil
	}
	return into.fill(ctx, w, l.most)
}

// place puts the folders where the flags say, once it is known what the attempt
// came to.
func (l *leftovers) place(r engine.Result) error {
	err := l.err
	for _, f := range []*resultFolder{l.out, l.keep} {
		if f != nil && err == nil {
			err = f.place(l.module, r, l.changes)
		}
	}
	return err
}

// close drops what was not put in place.
func (l *leftovers) close() error {
	for _, f := range []*resultFolder{l.out, l.keep} {
		if f != nil {
			f.drop()
		}
	}
	return nil
}

// openLeftovers looks at the folders that the flags name.
func (o *runOptions) openLeftovers(m *module.Module) (*leftovers, error) {
	l := &leftovers{module: m, diff: o.diff}
	var err error
	if o.given["out"] {
		if l.out, err = openResultFolder("--out", o.out, o.workspace); err != nil {
			return nil, err
		}
	}
	if o.given["keep"] {
		if l.keep, err = openResultFolder("--keep", o.keep, o.workspace); err != nil {
			return nil, err
		}
	}
	if l.out != nil && l.keep != nil && (within(l.out.dir, l.keep.dir) || within(l.keep.dir, l.out.dir)) {
		return nil, usageError("name two folders beside each other", "--out %s and --keep %s are not apart", o.out, o.keep)
	}
	return l, nil
}
