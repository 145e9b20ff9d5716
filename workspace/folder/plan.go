package folder

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"perago/workspace/localfile"
	"perago/workspace/paths"
	"perago/workspace/storage"
)

// changes is one name of the tree of what changes.
type changes struct {
	below   map[string]*changes
	put     *storage.Staged // a file is to be here
	deleted bool            // the file that is here goes
	made    bool            // a folder is to be here, even with nothing in it
	gone    bool            // a folder of which nothing is left: it goes, with the empty folders in it
}

// newChanges makes the tree; the root is dir itself.
func newChanges(staged []storage.Staged, made []string) (*changes, error) {
	root := &changes{}
	for i, s := range staged {
		if err := paths.Check(s.Path); err != nil {
			return nil, err
		}
		if s.Op == storage.Deleted {
			root.at(s.Path).deleted = true
		} else {
			root.at(s.Path).put = &staged[i]
		}
	}
	for _, folder := range made {
		root.at(folder).made = true
	}
	return root, nil
}

// at is the node of a path, made when it is missing.
func (c *changes) at(path string) *changes {
	for path != "" {
		var name string
		name, path, _ = strings.Cut(path, "/")
		next := c.below[name]
		if next == nil {
			next = &changes{}
			if c.below == nil {
				c.below = map[string]*changes{}
			}
			c.below[name] = next
		}
		c = next
	}
	return c
}

// find is the node of a path, nil when nothing changes at or below it.
func (c *changes) find(path string) *changes {
	for path != "" && c != nil {
		var name string
		name, path, _ = strings.Cut(path, "/")
		c = c.below[name]
	}
	return c
}

// adds says whether something is to be at or below the node that changes say of.
func (c *changes) adds() bool {
	if c == nil {
		return false
	}
	if c.put != nil || c.made {
		return true
	}
	for _, next := range c.below {
		if next.adds() {
			return true
		}
	}
	return false
}

// plan is what is put in place, in one step.
type plan struct {
	target string // a path below dir; "" is dir itself
	before bool   // something is there now
	folder bool   // and it is a folder
	after  bool   // something is to be there
}

// plan marks the folders of which nothing is left, and finds the target. It is
// nil when nothing is to be done.
func (s *site) plan(ctx context.Context, c *changes) (*plan, error) {
	if err := s.markGone(ctx, c, ""); err != nil {
		return nil, err
	}
	target, any := c.target()
	if !any {
		return nil, nil
	}
	// Where folders above the target are missing, or are files that go, the
	// topmost of them is the target.
	for i := range len(target) {
		if target[i] != '/' {
			continue
		}
		if st, err := s.lstat(target[:i]); errors.Is(err, fs.ErrNotExist) || err == nil && !isFolder(st) {
			target = target[:i]
			break
		} else if err != nil {
			return nil, err
		}
	}
	p := &plan{target: target}
	st, err := s.lstat(target)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	at := c.find(target)
	p.before, p.folder = err == nil, err == nil && isFolder(st)
	goes := at.gone || at.deleted && len(at.below) == 0 && at.put == nil
	p.after = at.adds() || p.before && !goes
	if !p.after && !p.before {
		return nil, nil // what was to go is gone already
	}
	return p, nil
}

// target is the deepest path that everything which changes is at or below.
func (c *changes) target() (path string, any bool) {
	if c.put != nil || c.deleted || c.made || c.gone {
		return "", true
	}
	count := 0
	for name, next := range c.below {
		below, is := next.target()
		if !is {
			continue
		}
		any = true
		if count++; count > 1 {
			return "", true
		}
		path = name
		if below != "" {
			path += "/" + below
		}
	}
	return path, any
}

// markGone finds the outermost folders of which files are deleted and nothing is
// left but empty folders.
func (s *site) markGone(ctx context.Context, c *changes, path string) error {
	for name, next := range c.below {
		child := name
		if path != "" {
			child = path + "/" + name
		}
		if len(next.below) == 0 || next.put != nil {
			continue
		}
		st, err := s.lstat(child)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			continue
		case err != nil:
			return err
		case !isFolder(st):
			continue
		}
		empty := false
		if !next.adds() {
			if empty, err = s.leavesNothing(ctx, next, child); err != nil {
				return err
			}
		}
		if empty {
			next.gone = true
			continue
		}
		if err := s.markGone(ctx, next, child); err != nil {
			return err
		}
	}
	return nil
}

// leavesNothing says whether the folder at path has nothing but empty folders
// once the changes are made. c is nil where nothing changes.
func (s *site) leavesNothing(ctx context.Context, c *changes, path string) (bool, error) {
	f, err := s.folder(path)
	if err != nil {
		return false, err
	}
	return nothingLeft(ctx, c, f, 0)
}

// nothingLeft is leavesNothing for a folder that is open; it closes it.
func nothingLeft(ctx context.Context, c *changes, f *os.File, depth int) (bool, error) {
	defer f.Close()
	var folders []string
	for {
		entries, err := f.ReadDir(256)
		for _, e := range entries {
			next := c.find(e.Name())
			if e.IsDir() {
				folders = append(folders, e.Name())
			} else if next == nil || !next.deleted {
				return false, nil
			}
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			return false, err
		}
	}
	for _, name := range folders {
		if ctx.Err() != nil {
			return false, context.Cause(ctx)
		}
		if depth == maxDepth {
			return false, fmt.Errorf("%s is nested too deep", name)
		}
		sub, err := openFolder(f, name)
		if err != nil {
			return false, err
		}
		if empty, err := nothingLeft(ctx, c.find(name), sub, depth+1); !empty || err != nil {
			return false, err
		}
	}
	return true, nil
}

// carryOut builds what is to be at the target and puts it there.
func (s *site) carryOut(ctx context.Context, c *changes, p *plan) error {
	folder, name := split(p.target)
	parent, err := s.parent, error(nil)
	if p.target == "" {
		name = s.base()
	} else if parent, err = s.folder(folder); err != nil {
		return err
	} else {
		defer parent.Close()
	}
	if !p.after {
		s.step()
		if err := unix.Renameat(int(parent.Fd()), name, int(s.staging.Fd()), "old"); err != nil {
			return placeError(err)
		}
		return s.sync(parent, localfile.Sync)
	}
	b := builder{site: s, ctx: ctx, root: c, moves: c.moves()}
	if err := b.build(p.target, c.find(p.target)); err != nil {
		return err
	}
	if err := s.sync(s.staging, syncAll); err != nil {
		return err
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	s.step()
	if newIsFile := c.find(p.target).put != nil; p.before && (p.folder || !newIsFile) {
		err = exchange(s.staging, "new", parent, name)
	} else {
		err = unix.Renameat(int(s.staging.Fd()), "new", int(parent.Fd()), name)
	}
	if err != nil {
		return placeError(err)
	}
	s.step()
	return s.sync(parent, localfile.Sync)
}

// placeError words what may be wrong with the one step.
func placeError(err error) error {
	switch {
	case errors.Is(err, unix.EXDEV), errors.Is(err, unix.EBUSY):
		return fmt.Errorf("the folder and what is beside it are not on one file system: %w", err)
	case errors.Is(err, unix.EINVAL), errors.Is(err, unix.ENOSYS), errors.Is(err, errors.ErrUnsupported):
		return fmt.Errorf("this file system cannot put one folder in place of another in one step: %w", err)
	}
	return err
}
