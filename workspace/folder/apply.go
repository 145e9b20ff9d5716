package folder

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/sys/unix"

	"perago/workspace"
	"perago/workspace/publish"
	"perago/workspace/storage"
)

// This file applies the changes of an overlay to a folder, all or nothing: if the
// process is killed at any moment, the folder has none of them or all of them.
//
// All changes are at or below one path, the target: the deepest folder that has
// every change in it, or the only file that changes. The new target is built beside
// the folder, in its parent, from hard links to the files that stay and from the new
// files; then one system call puts it in place of the old one. Nothing inside of the
// folder is ever unfinished. plan.go finds the target, build.go builds,
// exchange_*.go has the one system call.

// Applier publishes attempts into a plain folder. It implements engine.Publisher.
type Applier struct {
	Dir string

	step func()                                                   // for tests: called before each change to the disk
	sync func(f *os.File, how func(*os.File) error) (lasts error) // for tests: called in place of each how(f)
}

// Prepare never finds an earlier publication, since a folder has no history.
func (a *Applier) Prepare(context.Context, publish.Publication) (*publish.Published, error) {
	return nil, nil
}

// Publish applies the changes of the overlay to the folder. The commit that it
// returns is the input commit, since a plain folder has no other.
func (a *Applier) Publish(ctx context.Context, p publish.Publication) (publish.Published, error) {
	if p.ReadOnly {
		return publish.Published{Commit: p.Ref.Commit}, nil
	}
	if err := a.apply(ctx, p.Overlay); err != nil {
		return publish.Published{}, err
	}
	return publish.Published{Commit: p.Ref.Commit}, nil
}

// Apply applies the changes of an overlay to the folder dir, all or nothing. Nobody
// else may change the folder meanwhile: what another process writes below a changed
// folder while Apply runs can be lost. A second Apply at the same time fails.
func Apply(ctx context.Context, dir string, o *workspace.Overlay) error {
	return (&Applier{Dir: dir}).apply(ctx, o)
}

func (a *Applier) apply(ctx context.Context, o *workspace.Overlay) error {
	staged, err := o.Staged(ctx)
	if err != nil {
		return err
	}
	made := o.Folders()
	if len(staged) == 0 && len(made) == 0 {
		return nil
	}
	if err := a.replace(ctx, staged, made); err != nil {
		return fmt.Errorf("apply to %s: %w", a.Dir, err)
	}
	return nil
}

// site is the folder that is changed, and its parent.
type site struct {
	dir     string   // without links
	root    *os.File // dir, locked
	parent  *os.File
	files   *os.Root // dir, for reading what is copied
	staging *os.File // beside dir, locked
	stage   string   // its name in parent
	step    func()
	sync    func(f *os.File, how func(*os.File) error) error
}

func (a *Applier) replace(ctx context.Context, staged []storage.Staged, made []string) error {
	s, err := a.openSite()
	if err != nil {
		return err
	}
	defer s.close()
	changes, err := newChanges(staged, made)
	if err != nil {
		return err
	}
	p, err := s.plan(ctx, changes)
	if err != nil || p == nil {
		return err
	}
	if err := s.makeStaging(); err != nil {
		return err
	}
	defer s.removeStaging()
	return s.execute(ctx, changes, p)
}

// openSite opens and locks the folder, and removes what a run that was killed
// left beside it.
func (a *Applier) openSite() (s *site, err error) {
	s = &site{step: a.step, sync: a.sync}
	if s.step == nil {
		s.step = func() {}
	}
	if s.sync == nil {
		s.sync = func(f *os.File, how func(*os.File) error) error { return how(f) }
	}
	defer func() {
		if err != nil {
			s.close()
		}
	}()
	if s.dir, err = filepath.EvalSymlinks(a.Dir); err == nil {
		s.dir, err = filepath.Abs(s.dir)
	}
	if err != nil {
		return s, err
	}
	if s.dir == filepath.Dir(s.dir) {
		return s, errors.New("is the root of the file system, and has nothing beside it to build in")
	}
	if s.root, err = os.OpenFile(s.dir, os.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW, 0); err != nil {
		return s, err
	}
	// Some file systems have no locks on folders; then there is none.
	if err := unix.Flock(int(s.root.Fd()), unix.LOCK_EX|unix.LOCK_NB); errors.Is(err, unix.EWOULDBLOCK) {
		return s, errors.New("another process is changing this folder")
	}
	if s.parent, err = os.OpenFile(filepath.Dir(s.dir), os.O_RDONLY|unix.O_DIRECTORY, 0); err != nil {
		return s, err
	}
	// The process that held the lock before may have put another folder here.
	var locked, named unix.Stat_t
	if err := errors.Join(unix.Fstat(int(s.root.Fd()), &locked), unix.Fstatat(int(s.parent.Fd()), s.base(), &named, unix.AT_SYMLINK_NOFOLLOW)); err != nil {
		return s, err
	}
	if locked.Ino != named.Ino || locked.Dev != named.Dev {
		return s, errors.New("another process has just changed this folder")
	}
	if s.files, err = os.OpenRoot(s.dir); err != nil {
		return s, err
	}
	s.sweep()
	return s, nil
}

func (s *site) base() string { return filepath.Base(s.dir) }

func (s *site) close() {
	for _, f := range []*os.File{s.root, s.parent, s.staging} {
		if f != nil {
			f.Close()
		}
	}
	if s.files != nil {
		s.files.Close()
	}
}

// stagePrefix is what the names of all staging folders of dir start with.
func (s *site) stagePrefix() string { return "." + s.base() + ".perago-apply-" }

func (s *site) makeStaging() error {
	random := make([]byte, 8)
	rand.Read(random) // never fails
	s.stage = fmt.Sprintf("%s%d-%s", s.stagePrefix(), os.Getpid(), hex.EncodeToString(random))
	s.step()
	err := unix.Mkdirat(int(s.parent.Fd()), s.stage, 0o700)
	if err == nil {
		s.staging, err = openFolder(s.parent, s.stage)
	}
	if err == nil {
		err = unix.Flock(int(s.staging.Fd()), unix.LOCK_EX|unix.LOCK_NB)
	}
	if err != nil {
		return fmt.Errorf("make a folder beside it, in %s: %w", filepath.Dir(s.dir), err)
	}
	return nil
}

// removeStaging removes the staging folder, with what was replaced, or with what was
// built and not used. What it cannot remove, the sweep of the next run does.
func (s *site) removeStaging() {
	s.step()
	removeAll(filepath.Join(filepath.Dir(s.dir), s.stage))
}

// removeAll removes a tree, also where folders in it are read-only.
func removeAll(path string) {
	if os.RemoveAll(path) == nil {
		return
	}
	filepath.WalkDir(path, func(p string, d fs.DirEntry, err error) error {
		if err == nil && d.IsDir() {
			os.Chmod(p, 0o700)
		}
		return nil
	})
	os.RemoveAll(path)
}

// sweep removes the staging folders of processes that have ended: the lock is free,
// and no process has the id.
func (s *site) sweep() {
	entries, err := os.ReadDir(filepath.Dir(s.dir))
	if err != nil {
		return // the folder may be writable and not readable; then nothing is swept
	}
	for _, e := range entries {
		rest, ours := strings.CutPrefix(e.Name(), s.stagePrefix())
		var pid int
		if _, err := fmt.Sscanf(rest, "%d-", &pid); !ours || err != nil || !e.IsDir() {
			continue
		}
		if unix.Kill(pid, 0) != unix.ESRCH {
			continue
		}
		f, err := openFolder(s.parent, e.Name())
		if err != nil {
			continue
		}
		if unix.Flock(int(f.Fd()), unix.LOCK_EX|unix.LOCK_NB) == nil {
			removeAll(filepath.Join(filepath.Dir(s.dir), e.Name()))
		}
		f.Close()
	}
}

// folder opens a folder below dir by its path, "" for dir itself, without
// following a link.
func (s *site) folder(path string) (*os.File, error) {
	f, err := openFolder(s.root, ".")
	for rest := path; err == nil && rest != ""; {
		var name string
		name, rest, _ = strings.Cut(rest, "/")
		var next *os.File
		next, err = openFolder(f, name)
		f.Close()
		f = next
	}
	if err != nil {
		return nil, err
	}
	return f, nil
}

// lstat is the status of a path below dir; fs.ErrNotExist also below a file or a link.
func (s *site) lstat(path string) (unix.Stat_t, error) {
	var st unix.Stat_t
	if path == "" {
		return st, unix.Fstat(int(s.root.Fd()), &st)
	}
	folder, name := split(path)
	f, err := s.folder(folder)
	if err == nil {
		defer f.Close()
		err = unix.Fstatat(int(f.Fd()), name, &st, unix.AT_SYMLINK_NOFOLLOW)
	}
	if missing(err) {
		err = fs.ErrNotExist
	}
	return st, err
}

func split(path string) (folder, name string) {
	i := strings.LastIndexByte(path, '/')
	return path[:max(0, i)], path[i+1:]
}

func isFolder(st unix.Stat_t) bool { return uint32(st.Mode)&unix.S_IFMT == unix.S_IFDIR }
