package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/fsnotify/fsnotify"

	"perago/engine/module"
	"perago/starlib/diag"
	"perago/workspace/paths"
)

// This file is `perago run --watch`. Folders are watched, never files: an editor
// that puts a new file in place of the old one is seen like one that writes into it.

const (
	maxWatches = 4096                   // folders
	quietFor   = 100 * time.Millisecond // after the last change, before the next run
	quietMost  = 2 * time.Second        // after the first
)

// errChanged ends an attempt whose task file changed while it ran.
var errChanged = errors.New("the task file changed")

// watchTask runs the task again each time that something it is made of changes,
// until it is interrupted.
func (a *app) watchTask(ctx context.Context, file string, o *runOptions) error {
	w, err := newWatcher(o, maxWatches)
	if err != nil {
		return err
	}
	defer w.notify.Close()
	if err := w.addFiles(file); err != nil {
		return err
	}
	for run := 1; ; run++ {
		changed, err := a.watchedRun(ctx, w, file, o)
		if ctx.Err() != nil {
			return errInterrupted
		}
		if wrongUse := (*failure)(nil); run == 1 && errors.As(err, &wrongUse) {
			return err // no change of a file mends it
		}
		a.report(err)
		if w.err != nil {
			return w.err
		}
		if changed == "" {
			fmt.Fprintf(a.stderr, "watching %s: Ctrl-C ends\n", w.watched())
			if changed, err = w.next(ctx); err != nil {
				return err
			}
		}
		if err := w.settle(ctx); err != nil {
			return err
		}
		fmt.Fprintf(a.stderr, "\n%s changed, run %d at %s\n", diag.Printable(changed), run+1, time.Now().Format(time.TimeOnly))
	}
}

// watchedRun makes one attempt, and ends it when its task file changes meanwhile.
// changed names what has changed since it began; "" is nothing.
func (a *app) watchedRun(ctx context.Context, w *watcher, file string, o *runOptions) (changed string, err error) {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	done := make(chan struct{})
	var seen sync.WaitGroup
	stale := false
	o.loaded = func(m *module.Module, complaints diag.List) { stale = w.follow(m, complaints) }
	seen.Go(func() { changed = w.collect(done, func() { cancel(errChanged) }) })
	err = a.runTask(ctx, file, o)
	close(done)
	seen.Wait()
	if changed == "" && stale {
		changed = file
	}
	return changed, err
}

// watcher sees what a task is made of.
type watcher struct {
	notify *fsnotify.Watcher
	most   int      // folders that may be watched
	given  []string // the files that flags name, as they were written
	folder string   // of --workspace, as it was written; "" is none
	tree   string   // the same, absolute, without links

	mu      sync.Mutex        // guards what follows
	err     error             // why watching has to end
	sources map[string]string // the task file and what it loads: absolute path to name
	files   map[string]string // what else is read: the same
	folders map[string]bool   // that are watched
}

func newWatcher(o *runOptions, most int) (*watcher, error) {
	notify, err := fsnotify.NewWatcher()
	if err != nil {
		return nil, watchError("this folder", err)
	}
	w := &watcher{notify: notify, most: most, sources: map[string]string{}, files: map[string]string{}, folders: map[string]bool{}}
	if name, isFile := strings.CutPrefix(o.params, "@"); isFile {
		w.given = append(w.given, name)
	}
	if o.given["input"] {
		w.given = append(w.given, o.input)
	}
	if o.given["workspace"] {
		w.folder = o.workspace
		if w.tree, err = realPath(o.workspace); err == nil {
			err = w.addTree(w.tree)
		}
		if err == nil {
			err = w.add(filepath.Dir(w.tree)) // for the day that the folder goes and comes back
		}
	}
	if err != nil {
		notify.Close()
		return nil, err
	}
	return w, nil
}

// watchError says what to do about a folder that cannot be watched.
func watchError(what string, err error) error {
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EMFILE) {
		return environmentError("raise fs.inotify.max_user_watches and fs.inotify.max_user_instances, or watch a smaller folder",
			"--watch: this system has no room for one more watch (%s)", what)
	}
	return environmentError("", "--watch: %s: %w", what, paths.Reason(err))
}

// add watches one folder; one that has gone is not missed.
func (w *watcher) add(folder string) error {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.folders[folder] {
		return nil
	}
	if len(w.folders) >= w.most {
		return environmentError("name a smaller folder with --workspace, such as a part of it", "--watch: there are more than %d folders to watch", w.most)
	}
	err := w.notify.Add(folder)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return watchError(folder, err)
	}
	w.folders[folder] = true
	return nil
}

// addTree watches a folder and all folders in it.
func (w *watcher) addTree(folder string) error {
	return filepath.WalkDir(folder, func(p string, e fs.DirEntry, err error) error {
		switch {
		case err != nil && !errors.Is(err, fs.ErrNotExist) && !errors.Is(err, fs.ErrPermission):
			return watchError(p, err)
		case err != nil || !e.IsDir():
			return nil // a folder that is not there, the run itself complains about
		}
		return w.add(p)
	})
}

// addFiles watches the task file and what the flags name.
func (w *watcher) addFiles(file string) error {
	if err := w.addFile(file, w.sources); err != nil {
		return err
	}
	for _, name := range w.given {
		if err := w.addFile(name, w.files); err != nil {
			return err
		}
	}
	return nil
}

// addFile watches the folder that a file is in, and the one it really is in.
func (w *watcher) addFile(name string, to map[string]string) error {
	abs, err := filepath.Abs(name)
	if err != nil {
		return watchError(name, err)
	}
	paths := []string{abs}
	if real, err := filepath.EvalSymlinks(abs); err == nil {
		paths = append(paths, real)
	}
	for _, p := range paths {
		// What is reported is reported below the folder that is watched.
		dir, err := filepath.EvalSymlinks(filepath.Dir(p))
		if err != nil {
			continue // the run complains about it
		}
		w.mu.Lock()
		to[filepath.Join(dir, filepath.Base(p))] = name
		w.mu.Unlock()
		if err := w.add(dir); err != nil {
			return err
		}
	}
	return nil
}

// follow watches what the task file turned out to load; where it did not load,
// what the complaints name. stale: one of the files is not as it was read.
func (w *watcher) follow(m *module.Module, complaints diag.List) (stale bool) {
	var names []string
	if m != nil {
		for name, text := range m.Sources {
			names = append(names, name)
			now, err := os.ReadFile(name)
			stale = stale || err != nil || strings.TrimPrefix(string(now), "\ufeff") != string(text)
		}
	}
	for _, d := range complaints {
		names = append(names, d.File)
		for _, frame := range d.Stack {
			names = append(names, frame.File)
		}
	}
	for _, name := range names {
		if name == "" {
			continue
		}
		if err := w.addFile(name, w.sources); err != nil {
			w.fail(err)
		}
	}
	return stale
}

// watched names what is watched, for a person.
func (w *watcher) watched() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	var names []string
	for _, of := range []map[string]string{w.sources, w.files} {
		for _, name := range of {
			if !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
	}
	slices.Sort(names)
	if len(names) > 4 {
		names = append(names[:3], counted(len(names)-3, "more file"))
	}
	if w.folder != "" {
		names = append(names, "the folder "+filepath.Clean(w.folder))
	}
	if len(names) == 1 {
		return names[0]
	}
	return strings.Join(names[:len(names)-1], ", ") + " and " + names[len(names)-1]
}

// judge says what an event means: the name of what changed, "" when it is
// nothing of the task's, and whether that is a source.
func (w *watcher) judge(e fsnotify.Event) (name string, source bool) {
	if e.Op == fsnotify.Chmod {
		return "", false
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	path := filepath.Clean(e.Name)
	if name, ok := w.sources[path]; ok {
		return name, true
	}
	if name, ok := w.files[path]; ok {
		return name, false
	}
	if w.tree == "" || !within(w.tree, path) || ofEditor(filepath.Base(path)) {
		return "", false
	}
	if e.Has(fsnotify.Remove) || e.Has(fsnotify.Rename) {
		delete(w.folders, path) // it watches no more, where it was one
	}
	rel, err := filepath.Rel(w.tree, path)
	if err != nil {
		return "", false
	}
	return filepath.Join(w.folder, rel), false
}

// ofEditor: a file that an editor makes beside the one that is edited.
func ofEditor(name string) bool {
	return name == "4913" || strings.HasSuffix(name, "~") || strings.HasPrefix(name, ".#") ||
		strings.HasPrefix(name, ".") && strings.Contains(name, ".sw")
}

// grow watches a folder that has come into the tree.
func (w *watcher) grow(e fsnotify.Event) error {
	if w.tree == "" || !e.Has(fsnotify.Create) || !within(w.tree, e.Name) {
		return nil
	}
	if info, err := os.Lstat(e.Name); err != nil || !info.IsDir() {
		return nil
	}
	return w.addTree(e.Name)
}

// fail notes why watching has to end.
func (w *watcher) fail(err error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.err == nil {
		w.err = err
	}
}

// one waits for one event that means something. Without an event it ends with done.
func (w *watcher) one(done <-chan struct{}) (changed string, source bool, err error) {
	for {
		select {
		case <-done:
			return "", false, nil
		case e := <-w.notify.Events:
			if err := w.grow(e); err != nil {
				return "", false, err
			}
			if name, source := w.judge(e); name != "" {
				return name, source, nil
			}
		case err := <-w.notify.Errors:
			if errors.Is(err, fsnotify.ErrEventOverflow) { // so many that some are lost
				return "much", false, nil
			}
			return "", false, watchError("the folders", err)
		}
	}
}

// collect notes what changes during an attempt, until done.
func (w *watcher) collect(done <-chan struct{}, endAttempt func()) (changed string) {
	for {
		name, source, err := w.one(done)
		switch {
		case err != nil:
			w.fail(err)
			return changed
		case name == "":
			return changed
		}
		if changed == "" || source {
			changed = name
		}
		if source {
			endAttempt()
		}
	}
}

// next waits for a change.
func (w *watcher) next(ctx context.Context) (string, error) {
	name, _, err := w.one(ctx.Done())
	if ctx.Err() != nil {
		return "", errInterrupted
	}
	return name, err
}

// settle waits until nothing has changed for a while: who saves many files, or
// one in several steps, wants one run.
func (w *watcher) settle(ctx context.Context) error {
	most, cancel := context.WithTimeout(ctx, quietMost)
	defer cancel()
	for most.Err() == nil {
		quiet, cancel := context.WithTimeout(most, quietFor)
		name, _, err := w.one(quiet.Done())
		cancel()
		if err != nil {
			return err
		}
		if name == "" {
			break
		}
	}
	if ctx.Err() != nil {
		return errInterrupted
	}
	return nil
}
