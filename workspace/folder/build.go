package folder

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"

	"golang.org/x/sys/unix"

	"perago/workspace/storage"
)

// builder builds the new target, as "new" in the staging folder.
type builder struct {
	*site
	ctx   context.Context
	root  *changes
	moves map[string]bool // deleted files of which exactly one new file is a copy
}

// moves are the files that are only renamed.
func (c *changes) moves() map[string]bool {
	copies := map[string]int{}
	c.each(func(n *changes) {
		if n.put != nil && n.put.From != "" {
			copies[n.put.From]++
		}
	})
	moves := map[string]bool{}
	for from, n := range copies {
		if at := c.find(from); n == 1 && at != nil && at.deleted && at.put == nil {
			moves[from] = true
		}
	}
	return moves
}

func (c *changes) each(visit func(*changes)) {
	visit(c)
	for _, next := range c.below {
		next.each(visit)
	}
}

// build makes "new" from the old target and the changes to it.
func (b *builder) build(target string, c *changes) error {
	if c.put != nil {
		if err := b.mustBeEmpty(c, target); err != nil {
			return err
		}
		var old *os.File
		if folder, _ := split(target); target != "" {
			var err error
			if old, err = b.folder(folder); err != nil {
				return err
			}
			defer old.Close()
		}
		_, name := split(target)
		return b.file(old, name, c.put, b.staging, "new")
	}
	old, err := b.oldFolder(target)
	if err != nil {
		return err
	}
	return b.tree(old, target, c, b.staging, "new", 0)
}

// oldFolder opens the folder at a path; nil when there is none.
func (b *builder) oldFolder(path string) (*os.File, error) {
	st, err := b.lstat(path)
	if errors.Is(err, fs.ErrNotExist) || err == nil && !isFolder(st) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return b.folder(path)
}

// mustBeEmpty fails if a file is to replace a folder in which there are things that
// the workspace did not show.
func (b *builder) mustBeEmpty(c *changes, path string) error {
	f, err := b.oldFolder(path)
	if f == nil || err != nil {
		return err
	}
	empty, err := emptyAfter(b.ctx, c, f, 0)
	if err == nil && !empty {
		err = fmt.Errorf("%s is to be a file, and is a folder that holds things which the workspace does not show", path)
	}
	return err
}

// tree makes the folder name in to, from the open folder old (nil: there is none),
// which it closes, and the changes to it (nil: there are none).
func (b *builder) tree(old *os.File, path string, c *changes, to *os.File, name string, depth int) error {
	if old != nil {
		defer old.Close()
	}
	if b.ctx.Err() != nil {
		return context.Cause(b.ctx)
	}
	if depth > maxDepth {
		return fmt.Errorf("%s is nested too deep", path)
	}
	b.step()
	if err := unix.Mkdirat(int(to.Fd()), name, 0o777); err != nil {
		return fmt.Errorf("make folder %s: %w", path, err)
	}
	fresh, err := openFolder(to, name)
	if err != nil {
		return err
	}
	defer fresh.Close()
	was := map[string]bool{} // folders of old that were kept
	if old != nil {
		if err := b.keep(old, path, c, fresh, was, depth); err != nil {
			return err
		}
	}
	if err := b.add(old, path, c, fresh, was, depth); err != nil {
		return err
	}
	if old == nil {
		return nil
	}
	return copyAttributes(old, fresh, c == nil)
}

// keep links what stays of a folder.
func (b *builder) keep(old *os.File, path string, c *changes, fresh *os.File, was map[string]bool, depth int) error {
	for {
		entries, err := old.ReadDir(1024)
		for _, e := range entries {
			if err := b.keepOne(old, path, e, c.find(e.Name()), fresh, was, depth); err != nil {
				return err
			}
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
		if b.ctx.Err() != nil {
			return context.Cause(b.ctx)
		}
	}
}

func (b *builder) keepOne(old *os.File, path string, e fs.DirEntry, c *changes, fresh *os.File, was map[string]bool, depth int) error {
	full := below(path, e.Name())
	if !e.IsDir() {
		switch {
		case c == nil:
			return b.keepFile(old, e.Name(), full, fresh)
		case c.deleted || c.put != nil:
			return nil // add makes what is to be here
		case c.adds():
			return fmt.Errorf("%s is to be a folder, and is something that the workspace does not show", full)
		}
		return b.keepFile(old, e.Name(), full, fresh)
	}
	switch {
	case c != nil && c.gone:
		return nil
	case c != nil && c.put != nil:
		return b.mustBeEmpty(c, full)
	}
	sub, err := openFolder(old, e.Name())
	if err != nil {
		return err
	}
	was[e.Name()] = true
	return b.tree(sub, full, c, fresh, e.Name(), depth+1)
}

// add makes what is new in a folder.
func (b *builder) add(old *os.File, path string, c *changes, fresh *os.File, was map[string]bool, depth int) error {
	if c == nil {
		return nil
	}
	for name, next := range c.below {
		var err error
		switch {
		case next.put != nil:
			err = b.file(old, name, next.put, fresh, name)
		case !was[name] && next.adds():
			err = b.tree(nil, below(path, name), next, fresh, name, depth+1)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func below(path, name string) string {
	if path == "" {
		return name
	}
	return path + "/" + name
}

// keepFile links one name as it is, unless it was removed meanwhile.
func (b *builder) keepFile(old *os.File, name, path string, fresh *os.File) error {
	if err := b.link(old, name, path, fresh, name); !errors.Is(err, unix.ENOENT) {
		return err
	}
	return nil
}

// link makes a hard link to a name of any kind. Where that is not possible, it copies.
func (b *builder) link(old *os.File, name, path string, fresh *os.File, as string) error {
	b.step()
	err := unix.Linkat(int(old.Fd()), name, int(fresh.Fd()), as, 0)
	switch err {
	case nil:
		return nil
	case unix.EPERM, unix.EMLINK, unix.EOPNOTSUPP, unix.ENOSYS:
		return b.copyOver(old, name, path, fresh, as)
	}
	return fmt.Errorf("keep %s: %w", path, placeError(err))
}

// copyOver copies a file with its mode and its time, or a symbolic link.
func (b *builder) copyOver(old *os.File, name, path string, fresh *os.File, as string) error {
	var st unix.Stat_t
	if err := unix.Fstatat(int(old.Fd()), name, &st, unix.AT_SYMLINK_NOFOLLOW); err != nil {
		return err
	}
	switch uint32(st.Mode) & unix.S_IFMT {
	case unix.S_IFLNK:
		target := make([]byte, unix.PathMax)
		n, err := unix.Readlinkat(int(old.Fd()), name, target)
		if err != nil {
			return err
		}
		return unix.Symlinkat(string(target[:n]), int(fresh.Fd()), as)
	case unix.S_IFREG:
	default:
		return fmt.Errorf("keep %s: it is no regular file, and this file system has no hard links", path)
	}
	fd, err := unix.Openat(int(old.Fd()), name, unix.O_RDONLY|unix.O_NOFOLLOW|unix.O_NONBLOCK|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	from := os.NewFile(uintptr(fd), path)
	defer from.Close()
	to, err := b.create(fresh, as)
	if err != nil {
		return err
	}
	defer to.Close()
	if _, err := copyAll(b.ctx, to, from); err != nil {
		return fmt.Errorf("copy %s: %w", path, err)
	}
	if err := unix.Fchmod(int(to.Fd()), uint32(st.Mode)&0o7777); err != nil {
		return err
	}
	return unix.UtimesNanoAt(int(fresh.Fd()), as, []unix.Timespec{st.Atim, st.Mtim}, unix.AT_SYMLINK_NOFOLLOW)
}

func (b *builder) create(folder *os.File, name string) (*os.File, error) {
	b.step()
	fd, err := unix.Openat(int(folder.Fd()), name, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0o666)
	if err != nil {
		return nil, &fs.PathError{Op: "create", Path: name, Err: err}
	}
	return os.NewFile(uintptr(fd), name), nil
}

// file writes a file that is new or changed. One that replaces a file keeps its
// mode; old is the folder that it is in now, nil when there is none.
func (b *builder) file(old *os.File, name string, s *storage.Staged, fresh *os.File, as string) error {
	if s.From != "" && b.moves[s.From] {
		folder, fromName := split(s.From)
		from, err := b.folder(folder)
		if err != nil {
			return err
		}
		defer from.Close()
		var st unix.Stat_t
		if err := unix.Fstatat(int(from.Fd()), fromName, &st, unix.AT_SYMLINK_NOFOLLOW); err == nil && uint32(st.Mode)&unix.S_IFMT == unix.S_IFREG {
			return b.link(from, fromName, s.From, fresh, as)
		}
	}
	from, err := b.open(s)
	if err != nil {
		return err
	}
	defer from.Close()
	to, err := b.create(fresh, as)
	if err != nil {
		return err
	}
	n, err := copyAll(b.ctx, to, from)
	if err == nil && s.From == "" && n != s.Size {
		err = fmt.Errorf("got %d bytes, want %d", n, s.Size)
	}
	if err == nil && old != nil {
		var st unix.Stat_t
		if unix.Fstatat(int(old.Fd()), name, &st, unix.AT_SYMLINK_NOFOLLOW) == nil && uint32(st.Mode)&unix.S_IFMT == unix.S_IFREG {
			unix.Fchown(int(to.Fd()), int(st.Uid), int(st.Gid)) // only root may give files away
			err = unix.Fchmod(int(to.Fd()), uint32(st.Mode)&0o777)
		}
	}
	if closeErr := to.Close(); err == nil {
		err = closeErr
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", s.Path, err)
	}
	return nil
}

func (b *builder) open(s *storage.Staged) (io.ReadCloser, error) {
	if s.From != "" {
		return openFile(b.files, s.From)
	}
	return s.Open()
}

// copyAll copies until the end of from, and checks the context now and then.
func copyAll(ctx context.Context, to io.Writer, from io.Reader) (total int64, err error) {
	for err == nil {
		if ctx.Err() != nil {
			return total, context.Cause(ctx)
		}
		var n int64
		n, err = io.CopyN(to, from, 8<<20)
		total += n
	}
	if err == io.EOF {
		err = nil
	}
	return total, err
}

// copyAttributes gives a folder the mode and owner of the one that it replaces, and
// its times too if nothing in it changed.
func copyAttributes(old, fresh *os.File, unchanged bool) error {
	var st unix.Stat_t
	if err := unix.Fstat(int(old.Fd()), &st); err != nil {
		return err
	}
	unix.Fchown(int(fresh.Fd()), int(st.Uid), int(st.Gid)) // only root may give folders away
	if err := unix.Fchmod(int(fresh.Fd()), uint32(st.Mode)&0o7777); err != nil {
		return err
	}
	if !unchanged {
		return nil
	}
	return unix.UtimesNanoAt(int(fresh.Fd()), ".", []unix.Timespec{st.Atim, st.Mtim}, 0)
}
