// Package folder is a plain folder of this machine as a store: what `perago run
// --workspace` and tests read, and what --apply writes to (apply.go).
//
// It never gives access to anything outside of the folder. The folder is opened
// through os.Root, and everything below it from a folder that is open already, one
// name at a time and without following symbolic links. A link to a file inside
// the folder is that file; any other link, and what is neither file nor folder,
// is an object that cannot be read (storage.Object.Unusable).
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

	"perago/workspace/paths"
	"perago/workspace/storage"
)

// Store is a plain folder as a storage.Reader. It has only its present state, so
// arguments for a repository and a commit are ignored. It is safe for concurrent use.
type Store struct {
	dir  string
	root *os.Root
}

var (
	_ storage.Reader      = (*Store)(nil)
	_ storage.Prober      = (*Store)(nil)
	_ storage.LocalOpener = (*Store)(nil)
)

// Open opens a folder, and reads nothing in it yet.
func Open(dir string) (*Store, error) {
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, folderError(dir, err)
	}
	return &Store{dir: dir, root: root}, nil
}

// Close closes the folder; files that were opened stay open.
func (s *Store) Close() error { return s.root.Close() }

// folderError is the error for a folder that was named by a person.
func folderError(dir string, err error) error {
	switch {
	case errors.Is(err, fs.ErrNotExist):
		err = fmt.Errorf("there is no such folder: %w", fs.ErrNotExist)
	case isFile(dir):
		err = storage.ErrNotFolder
	}
	return fmt.Errorf("workspace %s: %w", dir, paths.Reason(err))
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && !info.IsDir()
}

// unusableError is a path that has something which cannot be a file of a workspace.
type unusableError struct{ reason string }

func (e *unusableError) Error() string        { return e.reason }
func (e *unusableError) Is(target error) bool { return target == storage.ErrUnnameable }

// Probe looks up one path.
func (s *Store) Probe(ctx context.Context, _, _, path string) (storage.Probed, error) {
	if paths.Check(path) != nil || !s.inRealFolders(path) {
		return storage.Probed{}, nil
	}
	info, err := s.root.Lstat(path)
	switch {
	case missing(err):
		return storage.Probed{}, nil
	case err != nil:
		return storage.Probed{}, err
	case !info.IsDir():
		o := storage.Object{Path: path}
		o.Size, o.Unusable = s.sizeOf(path, info.Mode(), info.Size())
		return storage.Probed{File: true, Object: o}, nil
	}
	dir, err := s.openFolder(path)
	if err != nil {
		if missing(err) {
			err = nil
		}
		return storage.Probed{}, err
	}
	below, err := s.anyBelow(ctx, dir, path, 0)
	return storage.Probed{Below: below}, err
}

// inRealFolders says whether everything above path is a folder, and not a link to one.
func (s *Store) inRealFolders(path string) bool {
	for i := range len(path) {
		if path[i] != '/' {
			continue
		}
		if info, err := s.root.Lstat(path[:i]); err != nil || !info.IsDir() {
			return false
		}
	}
	return true
}

func missing(err error) bool {
	return errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENOTDIR) || errors.Is(err, unix.ENAMETOOLONG)
}

// sizeOf is the size of something that is not a folder, or why it cannot be a file.
// mode and size are those of the name itself; a link is followed inside of the folder.
func (s *Store) sizeOf(path string, mode fs.FileMode, size int64) (_ int64, unusable string) {
	if mode&fs.ModeSymlink != 0 {
		target, err := s.root.Stat(path)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			return 0, "is a symbolic link that leads nowhere"
		case err != nil:
			return 0, "is a symbolic link that leads out of the workspace"
		case target.IsDir():
			return 0, "is a symbolic link to a folder, which a workspace does not follow"
		}
		mode, size = target.Mode(), target.Size()
	}
	if unusable = unusableMode(mode); unusable != "" {
		size = 0
	}
	return size, unusable
}

// unusableMode says why something of this mode cannot be a file, "" when it can.
func unusableMode(mode fs.FileMode) string {
	switch {
	case mode.IsRegular():
		return ""
	case mode&fs.ModeNamedPipe != 0:
		return "is a named pipe, not a file"
	case mode&fs.ModeSocket != 0:
		return "is a socket, not a file"
	case mode&fs.ModeDevice != 0:
		return "is a device, not a file"
	}
	return "is no regular file"
}

// Open streams one file.
func (s *Store) Open(ctx context.Context, repo, commit, path string) (io.ReadCloser, error) {
	f, err := s.OpenLocal(ctx, repo, commit, path)
	if err != nil {
		return nil, err
	}
	return f, nil
}

// OpenLocal opens one file in place. It checks what the path has now, and once more
// after opening it, since that may have changed since it was listed.
func (s *Store) OpenLocal(_ context.Context, _, _, path string) (*os.File, error) {
	if paths.Check(path) != nil || !s.inRealFolders(path) {
		return nil, &fs.PathError{Op: "open", Path: path, Err: fs.ErrNotExist}
	}
	return openFile(s.root, path)
}

// openFile opens a regular file, or a link to one inside of root. A named pipe
// does not block it.
func openFile(root *os.Root, path string) (*os.File, error) {
	info, err := root.Stat(path)
	if err == nil && !info.IsDir() {
		if reason := unusableMode(info.Mode()); reason != "" {
			err = &unusableError{reason}
		}
	}
	var f *os.File
	if err == nil {
		f, err = root.OpenFile(path, os.O_RDONLY|unix.O_NONBLOCK|unix.O_NOCTTY, 0)
	}
	if err == nil {
		info, err = f.Stat()
		if err == nil && info.IsDir() {
			err = storage.ErrIsFolder
		} else if err == nil && unusableMode(info.Mode()) != "" {
			err = &unusableError{unusableMode(info.Mode())}
		}
		if err == nil {
			return f, nil
		}
		f.Close()
	}
	if l, lerr := root.Lstat(path); lerr == nil && l.Mode()&fs.ModeSymlink != 0 {
		if errors.Is(err, fs.ErrNotExist) {
			err = &unusableError{"is a symbolic link that leads nowhere"}
		} else if !errors.Is(err, fs.ErrPermission) {
			err = &unusableError{"is a symbolic link that leads out of the workspace, or to no file"}
		}
	}
	err = paths.Reason(err)
	if errors.Is(err, unix.ENOTDIR) {
		err = fs.ErrNotExist
	}
	return nil, &fs.PathError{Op: "open", Path: path, Err: err}
}

// anyBelow finds any file below a folder that is open, and closes the folder.
func (s *Store) anyBelow(ctx context.Context, dir *os.File, path string, depth int) (string, error) {
	defer dir.Close()
	var folders []string
	for {
		entries, err := dir.ReadDir(64)
		for _, e := range entries {
			name := path + "/" + e.Name()
			if e.IsDir() {
				folders = append(folders, e.Name())
				continue
			}
			if info, err := s.root.Lstat(name); err == nil && !info.IsDir() {
				if _, unusable := s.sizeOf(name, info.Mode(), info.Size()); unusable == "" && shown(e.Name()) {
					return name, nil
				}
			}
		}
		if err == io.EOF {
			break
		}
		if err != nil {
			return "", err
		}
	}
	for _, name := range folders {
		if ctx.Err() != nil {
			return "", context.Cause(ctx)
		}
		if depth == maxDepth || !shown(name) {
			continue
		}
		sub, err := openFolder(dir, name)
		if missing(err) {
			continue
		}
		if err != nil {
			return "", err
		}
		if found, err := s.anyBelow(ctx, sub, path+"/"+name, depth+1); found != "" || err != nil {
			return found, err
		}
	}
	return "", nil
}

// shown says whether a workspace can show a name. A folder with nothing that it can
// show does not exist for it.
func shown(name string) bool {
	return paths.Check(name) == nil && !strings.ContainsFunc(name, isControl)
}
