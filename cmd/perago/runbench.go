package main

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"

	"perago/engine"
	"perago/engine/module"
	"perago/workspace"
	"perago/workspace/attempts"
	"perago/workspace/folder"
	"perago/workspace/lakefs"
	"perago/workspace/storage"
)

// bench is what one attempt of `perago run` needs around it.
type bench struct {
	runner  *engine.Runner
	closers []func() error
}

func (b *bench) close() {
	for i := len(b.closers) - 1; i >= 0; i-- {
		b.closers[i]() // what is left of a temporary folder, the next sweep removes
	}
}

// openBench opens what the task and the flags ask for, and nothing else.
func (a *app) openBench(ctx context.Context, m *module.Module, cfg *config, o *runOptions, shown *progressView) (*bench, error) {
	body, closeBody := cfg.body(m)
	b := &bench{closers: []func() error{closeBody}, runner: &engine.Runner{Body: body, Ceiling: cfg.ceiling(),
		ReasonMax: cfg.ReasonMax, Transfers: cfg.TransferConcurrency}}
	if m.Task.Workspace == nil {
		return b, nil
	}
	root, err := cfg.openRoot(attempts.RootOptions{Shared: true})
	if err != nil {
		b.close()
		return nil, err
	}
	b.runner.Root = root
	b.closers = append(b.closers, root.Close)
	if o.given["input"] {
		err = b.openLake(cfg, o, shown)
	} else {
		err = b.openFolder(o, shown)
	}
	if err != nil {
		b.close()
		return nil, err
	}
	b.sweep(ctx, root, cfg)
	return b, nil
}

// leave has l see what the attempt leaves behind, where a flag asks for it.
func (b *bench) leave(l *leftovers, hooks *engine.Hooks) {
	if !l.diff && l.out == nil && l.keep == nil {
		return
	}
	l.next, l.store = b.runner.Publisher, b.runner.Store
	b.runner.Publisher, hooks.Failed = l, l.failed
	b.closers = append(b.closers, l.close)
}

// sweep removes what runs that were killed have left. Where something stays, the
// next run or worker on this root tries again.
func (b *bench) sweep(ctx context.Context, root *attempts.Root, cfg *config) {
	o := attempts.SweepOptions{KeepFor: cfg.GCTTL}
	if lake, ok := b.runner.Store.(meteredLake); ok {
		o.DropBranch = lake.DeleteBranch
	}
	root.Sweep(ctx, o)
}

// openWorkspaceFolder opens the folder of --workspace.
func openWorkspaceFolder(dir string) (*folder.Store, error) {
	store, err := folder.Open(dir)
	if err == nil {
		return store, nil
	}
	hint := ""
	if errors.Is(err, fs.ErrNotExist) {
		hint = "make it first: `mkdir -p " + dir + "`"
	}
	return nil, environmentError(hint, "%w", err)
}

// openFolder makes a plain folder the workspace.
func (b *bench) openFolder(o *runOptions, shown *progressView) error {
	store, err := openWorkspaceFolder(o.workspace)
	if err != nil {
		return err
	}
	b.closers = append(b.closers, store.Close)
	b.runner.Store = meteredFolder{store, shown}
	b.runner.Fixed = &workspace.Ref{}
	if o.apply {
		b.runner.Publisher = &folder.Applier{Dir: o.workspace}
	}
	return nil
}

// openLake makes the configured lakeFS the store of the workspace.
func (b *bench) openLake(cfg *config, o *runOptions, shown *progressView) error {
	store, err := cfg.lakeStore()
	if err != nil {
		return err
	}
	cache, err := cfg.openCache()
	if err != nil {
		return err
	}
	metered := meteredLake{store, shown}
	b.runner.Store, b.runner.Cache = metered, cache
	if o.publish {
		b.runner.Publisher = cfg.publisher(metered, nil)
	}
	return nil
}

// meteredFolder counts what is opened of a folder.
type meteredFolder struct {
	*folder.Store
	shown *progressView
}

// OpenLocal implements storage.LocalOpener.
func (m meteredFolder) OpenLocal(ctx context.Context, repo, commit, path string) (*os.File, error) {
	f, err := m.Store.OpenLocal(ctx, repo, commit, path)
	if err == nil {
		if info, err := f.Stat(); err == nil {
			m.shown.moved(info.Size())
		}
	}
	return f, err
}

// meteredLake counts what comes from lakeFS and what goes to it.
type meteredLake struct {
	*lakefs.Store
	shown *progressView
}

// Open implements storage.Reader.
func (m meteredLake) Open(ctx context.Context, repo, commit, path string) (io.ReadCloser, error) {
	r, err := m.Store.Open(ctx, repo, commit, path)
	if err != nil {
		return nil, err
	}
	return meteredReader{r, m.shown}, nil
}

// Put implements storage.Writer.
func (m meteredLake) Put(ctx context.Context, repo, branch, path string, body storage.Content) (storage.Object, error) {
	object, err := m.Store.Put(ctx, repo, branch, path, body)
	if err == nil {
		m.shown.moved(body.Size)
	}
	return object, err
}

type meteredReader struct {
	io.ReadCloser
	shown *progressView
}

func (r meteredReader) Read(p []byte) (int, error) {
	n, err := r.ReadCloser.Read(p)
	r.shown.moved(int64(n))
	return n, err
}
