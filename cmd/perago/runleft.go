package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"perago/cmd/perago/compare"
	"perago/engine"
	"perago/engine/module"
	"perago/starlib/diag"
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
	diffs   []compare.File
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
		if l.diffs, err = compare.Files(ctx, w.changes, w.before, w.after); err != nil {
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

// This file makes the folders of --out and --keep: what an attempt wrote, each
// file under the name that the task gave it. A folder is filled beside its place,
// while the attempt's own files are there, and put in place when the attempt is
// over. What the run came to stands beside it, in DIR.perago.json, never inside;
// that file is also what tells a folder that a run made from one of somebody's own.

// resultFolder is the folder that one flag names.
type resultFolder struct {
	flag string // "--out"
	name string // as it was written, for messages
	dir  string // absolute, links followed

	staged string   // what was filled, beside dir; "" is nothing
	lock   *os.File // staged, locked
	placed bool     // what was filled is in its place
}

// openResultFolder finds the folder of a flag and refuses one that a run may not
// replace. fixture is the folder that the task works on; "" is none.
func openResultFolder(flag, name, fixture string) (*resultFolder, error) {
	f := &resultFolder{flag: flag, name: name}
	dir, err := realPath(name)
	if err != nil {
		return nil, environmentError("", "%s: %w", flag, err)
	}
	f.dir = dir
	if dir == filepath.Dir(dir) {
		return nil, usageError("name a folder of its own: `"+flag+" out`", "%s: %s is the root of the file system", flag, name)
	}
	if fixture != "" {
		real, err := realPath(fixture)
		if err == nil && (within(real, dir) || within(dir, real)) {
			return nil, usageError("name a folder beside it: `"+flag+" out`", "%s: %s and the folder of --workspace, %s, are not apart", flag, name, fixture)
		}
	}
	if err := f.replaceable(); err != nil {
		return nil, err
	}
	f.sweep()
	return f, nil
}

// realPath is an absolute path without links, of something that need not be there yet.
func realPath(name string) (string, error) {
	abs, err := filepath.Abs(name)
	if err != nil {
		return "", err
	}
	rest := ""
	for at := abs; ; at = filepath.Dir(at) {
		real, err := filepath.EvalSymlinks(at)
		if err == nil {
			return filepath.Join(real, rest), nil
		}
		if !errors.Is(err, fs.ErrNotExist) || at == filepath.Dir(at) {
			return "", err
		}
		rest = filepath.Join(filepath.Base(at), rest)
	}
}

// within: dir is folder, or below it.
func within(folder, dir string) bool {
	rel, err := filepath.Rel(folder, dir)
	return err == nil && rel != ".." && !strings.HasPrefix(rel, ".."+string(filepath.Separator))
}

// reportFile is where the report of the run stands.
func (f *resultFolder) reportFile() string { return f.dir + ".perago.json" }

// folderReport is what stands in DIR.perago.json.
type folderReport struct {
	MadeBy string    `json:"made_by"` // "perago run --out"
	Task   string    `json:"task"`
	Ended  time.Time `json:"ended"`
	Story  string    `json:"story,omitempty"` // of a failure: the reason, the stack
	outcome
}

// replaceable refuses a folder with something in it that no run wrote.
func (f *resultFolder) replaceable() error {
	info, err := os.Stat(f.dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return environmentError("", "%s: %w", f.flag, err)
	case !info.IsDir():
		return usageError("name a folder", "%s: %s is a file", f.flag, f.name)
	}
	written := f.written()
	foreign, err := f.foreign(written)
	switch {
	case err != nil:
		return environmentError("", "%s: %w", f.flag, err)
	case foreign == "":
		return nil
	}
	hint := "name another folder, or one that is empty: a folder is replaced only when a run made it"
	if written != nil {
		hint = "move it away, or name another folder: " + f.name + " would be replaced as a whole"
	}
	return usageError(hint, "%s: %s holds %s, which no run wrote", f.flag, f.name, diag.Printable(foreign))
}

// written are the files that an earlier run put into the folder; nil when none did.
func (f *resultFolder) written() map[string]bool {
	file, err := os.Open(f.reportFile())
	if err != nil {
		return nil
	}
	defer file.Close()
	var report folderReport
	if json.NewDecoder(io.LimitReader(file, maxInput)).Decode(&report) != nil || !strings.HasPrefix(report.MadeBy, "perago run --") {
		return nil
	}
	files := map[string]bool{}
	for _, c := range report.Changes {
		if c.Op != storage.Deleted {
			files[c.Path] = true
		}
	}
	return files
}

// foreign names a file in the folder that is not one of those written; "" when
// there is none.
func (f *resultFolder) foreign(written map[string]bool) (string, error) {
	found := ""
	err := filepath.WalkDir(f.dir, func(p string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		rel, err := filepath.Rel(f.dir, p)
		if err != nil || written[filepath.ToSlash(rel)] {
			return err
		}
		found = rel
		return fs.SkipAll
	})
	return found, err
}

// stagePrefix is what the names of folders start with that are being filled.
func (f *resultFolder) stagePrefix() string { return "." + filepath.Base(f.dir) + ".perago-run-" }

// sweep removes what a run that was killed has left beside the folder. What a
// run that still goes on is filling is locked, and stays.
func (f *resultFolder) sweep() {
	left, _ := filepath.Glob(filepath.Join(globSafe(filepath.Dir(f.dir)), globSafe(f.stagePrefix())+"*"))
	for _, dir := range left {
		lock, err := os.Open(dir)
		if err != nil {
			continue
		}
		if unix.Flock(int(lock.Fd()), unix.LOCK_EX|unix.LOCK_NB) == nil {
			os.RemoveAll(dir)
		}
		lock.Close()
	}
}

// globSafe is a path as a pattern of package filepath that matches only it.
func globSafe(p string) string {
	return strings.NewReplacer(`\`, `\\`, `*`, `\*`, `?`, `\?`, `[`, `\[`).Replace(p)
}

// fill copies what the overlay has changed beside the folder's place. most bounds
// the bytes; 0 is no bound.
func (f *resultFolder) fill(ctx context.Context, what written, most int64) (err error) {
	parent := filepath.Dir(f.dir)
	if err := os.MkdirAll(parent, 0o777); err != nil {
		return fmt.Errorf("%s: %w", f.flag, err)
	}
	defer func() {
		if err != nil {
			f.drop()
			err = fmt.Errorf("%s: %w", f.flag, err)
		}
	}()
	if f.staged, err = os.MkdirTemp(parent, f.stagePrefix()); err != nil {
		return err
	}
	if f.lock, err = os.Open(f.staged); err != nil {
		return err
	}
	// A file system without locks on folders has to do without.
	unix.Flock(int(f.lock.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	root, err := os.OpenRoot(f.staged)
	if err != nil {
		return err
	}
	defer root.Close()
	if err := os.Chmod(f.staged, 0o777&^umask()); err != nil {
		return err
	}
	left := most
	for _, c := range what.changes {
		if c.Op == storage.Deleted {
			continue
		}
		if left -= c.Size; most > 0 && left < 0 {
			return fmt.Errorf("what was written has more than %s, the bound of resources(output = ...)", shortSize(most))
		}
		if err := f.copy(ctx, root, what, c.Path); err != nil {
			return err
		}
	}
	return nil
}

func (f *resultFolder) copy(ctx context.Context, root *os.Root, what written, name string) error {
	from, err := what.after(ctx, name)
	if err != nil {
		return err
	}
	defer from.Close()
	if err := root.MkdirAll(path.Dir(name), 0o777); err != nil {
		return err
	}
	to, err := root.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o666)
	if err != nil {
		return err
	}
	_, err = io.Copy(to, from)
	return errors.Join(err, to.Close())
}

// place puts what was filled where the flag says, with its report beside it.
func (f *resultFolder) place(m *module.Module, r engine.Result, changes []workspace.Change) (err error) {
	if f.staged == "" {
		return nil
	}
	defer func() {
		if refused := (*failure)(nil); err != nil && !errors.As(err, &refused) {
			err = environmentError("", "%s: %w", f.flag, err)
		}
		f.drop()
	}()
	if err := f.replaceable(); err != nil { // again: the attempt may have taken its time
		return err
	}
	report := folderReport{MadeBy: "perago run " + f.flag, Task: m.Task.Name, Ended: time.Now().UTC().Truncate(time.Second), Story: r.Story, outcome: outcomeOf(r)}
	report.Changes = changes
	if report.Changes == nil {
		report.Changes = []workspace.Change{}
	}
	if report.Diagnostics == nil {
		report.Diagnostics = diag.List{}
	}
	var text strings.Builder
	if err := writeJSON(&text, report); err != nil {
		return err
	}
	// The report first: a folder without one would be refused by the next run.
	if err := replaceFile(f.reportFile(), []byte(text.String()), 0o666&^umask()); err != nil {
		return err
	}
	old := f.staged + "-old"
	switch err := os.Rename(f.dir, old); {
	case err == nil:
		defer os.RemoveAll(old)
	case !errors.Is(err, fs.ErrNotExist):
		return err
	}
	if err := os.Rename(f.staged, f.dir); err != nil {
		return errors.Join(err, os.Rename(old, f.dir))
	}
	f.staged, f.placed = "", true
	return nil
}

// sentence says what is in the folder now.
func (f *resultFolder) sentence(changes []workspace.Change) string {
	files := 0
	for _, c := range changes {
		if c.Op != storage.Deleted {
			files++
		}
	}
	report := filepath.Clean(f.name) + ".perago.json"
	text := fmt.Sprintf("(%s holds what it wrote, %s; the report is %s", f.name, counted(files, "file"), report)
	if gone := len(changes) - files; gone > 0 {
		text += fmt.Sprintf(", which names the %s that it removed", counted(gone, "file"))
	}
	return text + ")"
}

// drop removes what was filled and is not in place.
func (f *resultFolder) drop() {
	if f.staged != "" {
		os.RemoveAll(f.staged)
		f.staged = ""
	}
	if f.lock != nil {
		f.lock.Close()
		f.lock = nil
	}
}
