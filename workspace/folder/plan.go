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

// changes is a node of the tree of changes.
type changes struct {
	below   map[string]*changes
	put     *storage.Staged // a file to write here
	deleted bool            // the file here is to be deleted
	made    bool            // a folder to make here, even with nothing in it
	gone    bool            // a folder in which nothing would be left: it is deleted with the empty folders in it
}

// newChanges makes the tree; its root is dir itself.
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

// at is the node of a path; it makes missing nodes.
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

// adds says whether a file is to be written, or a folder made, at or below the node.
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

// plan is what is to be replaced, in one step.
type plan struct {
	target   string // a path below dir; "" is dir itself
	exists   bool   // the target exists
	isFolder bool   // it is a folder
	remains  bool   // it will exist
}

// plan marks the folders in which nothing would be left, and finds the target. It is
// nil when there is nothing to do.
func (s *site) plan(ctx context.Context, c *changes) (*plan, error) {
	if err := s.markGone(ctx, c, ""); err != nil {
		return nil, err
	}
	target, any := c.target()
	if !any {
		return nil, nil
	}
	// If folders above the target do not exist, or are files that are to be deleted,
	// the topmost of them is the target.
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
	p.exists, p.isFolder = err == nil, err == nil && isFolder(st)
	goes := at.gone || at.deleted && len(at.below) == 0 && at.put == nil
	p.remains = at.adds() || p.exists && !goes
	if !p.remains && !p.exists {
		return nil, nil // what was to be deleted does not exist any more
	}
	return p, nil
}

// target is the deepest path with all changes at or below it.
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

// markGone marks the outermost folders in which files are deleted and only empty
// folders are left.
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
			if empty, err = s.willBeEmpty(ctx, next, child); err != nil {
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

// willBeEmpty says whether the folder at path will have nothing but empty folders
// after the changes. c is nil where nothing changes.
func (s *site) willBeEmpty(ctx context.Context, c *changes, path string) (bool, error) {
	f, err := s.folder(path)
	if err != nil {
		return false, err
	}
	return emptyAfter(ctx, c, f, 0)
}

// emptyAfter is willBeEmpty for a folder that is open; it closes it.
func emptyAfter(ctx context.Context, c *changes, f *os.File, depth int) (bool, error) {
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
		if empty, err := emptyAfter(ctx, c.find(name), sub, depth+1); !empty || err != nil {
			return false, err
		}
	}
	return true, nil
}

// execute builds the new target, and puts it in place.
func (s *site) execute(ctx context.Context, c *changes, p *plan) error {
	folder, name := split(p.target)
	parent, err := s.parent, error(nil)
	if p.target == "" {
		name = s.base()
	} else if parent, err = s.folder(folder); err != nil {
		return err
	} else {
		defer parent.Close()
	}
	if !p.remains {
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
	if newIsFile := c.find(p.target).put != nil; p.exists && (p.isFolder || !newIsFile) {
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

// placeError explains why the one step may have failed.
func placeError(err error) error {
	switch {
	case errors.Is(err, unix.EXDEV), errors.Is(err, unix.EBUSY):
		return fmt.Errorf("the folder and what is beside it are not on one file system: %w", err)
	case errors.Is(err, unix.EINVAL), errors.Is(err, unix.ENOSYS), errors.Is(err, errors.ErrUnsupported):
		return fmt.Errorf("this file system cannot put one folder in place of another in one step: %w", err)
	}
	return err
}
