package folder

import (
	"context"
	"io/fs"
	"iter"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode"

	"golang.org/x/sys/unix"

	"perago/workspace/paths"
	"perago/workspace/storage"
)

// maxDepth is how deep folders may be nested: each level of a walk keeps one
// folder open.
const maxDepth = 256

func isControl(r rune) bool { return unicode.IsControl(r) }

// List yields the files whose path starts with prefix, sorted by bytes. Folders
// are read when the walk reaches them, unless no path with the prefix can be in them.
func (s *Store) List(ctx context.Context, _, _, prefix string) iter.Seq2[storage.Object, error] {
	return func(yield func(storage.Object, error) bool) {
		folder, start := "", prefix
		if i := strings.LastIndexByte(prefix, '/'); i >= 0 {
			folder, start = prefix[:i], prefix[i+1:]
			if paths.Check(folder) != nil || !s.inRealFolders(prefix) {
				return
			}
		}
		dir, err := s.openFolder(folder)
		if err != nil {
			if !missing(err) {
				yield(storage.Object{}, listError(folder, err))
			}
			return
		}
		w := walk{store: s, ctx: ctx, yield: yield}
		w.folder(dir, folder, start, 0)
	}
}

// openFolder opens a folder by its path. It opens it a second time, because reading
// a folder that was opened through os.Root takes a stat for each entry.
func (s *Store) openFolder(path string) (*os.File, error) {
	rooted, err := s.root.Open(filepath.Clean("./" + path))
	if err != nil {
		return nil, err
	}
	defer rooted.Close()
	return openFolder(rooted, ".")
}

func listError(folder string, err error) error {
	if folder == "" {
		folder = "."
	}
	return &fs.PathError{Op: "list", Path: folder, Err: paths.Reason(err)}
}

type walk struct {
	store *Store
	ctx   context.Context
	yield func(storage.Object, error) bool
}

// folder yields what is below an open folder and has a name that starts with
// start, and closes the folder. It returns false when the walk is to end.
func (w *walk) folder(dir *os.File, path, start string, depth int) bool {
	defer dir.Close()
	read, err := dir.ReadDir(-1)
	if err != nil {
		return w.yield(storage.Object{}, listError(path, err))
	}
	entries := make([]entry, 0, len(read))
	for _, e := range read {
		if !strings.HasPrefix(e.Name(), start) {
			continue
		}
		key := e.Name()
		if e.IsDir() {
			key += "/"
		}
		entries = append(entries, entry{key, e.Type()})
	}
	slices.SortFunc(entries, func(a, b entry) int { return strings.Compare(a.key, b.key) })
	for i, e := range entries {
		if i%1024 == 0 && w.ctx.Err() != nil {
			w.yield(storage.Object{}, context.Cause(w.ctx))
			return false
		}
		full := e.key
		if path != "" {
			full = path + "/" + full
		}
		if !w.entry(dir, full, e, depth) {
			return false
		}
	}
	return true
}

// entry is one name of a folder; the key of a folder ends with a slash, which
// sorts as the paths below it do: "a.b" is before "a/b".
type entry struct {
	key  string
	mode fs.FileMode // the type alone
}

func (w *walk) entry(dir *os.File, path string, e entry, depth int) bool {
	if e.mode.IsRegular() {
		return w.yield(storage.Object{Path: path, Size: storage.NotMeasured}, nil)
	}
	if !e.mode.IsDir() {
		o := storage.Object{Path: path}
		o.Size, o.Unusable = w.store.sizeOf(path, e.mode, 0)
		return w.yield(o, nil)
	}
	path = strings.TrimSuffix(path, "/")
	if depth == maxDepth {
		return w.yield(storage.Object{Path: path, Unusable: "is nested too deep"}, nil)
	}
	sub, err := openFolder(dir, strings.TrimSuffix(e.key, "/"))
	switch {
	case missing(err): // it was removed meanwhile
		return true
	case err != nil:
		return w.yield(storage.Object{}, listError(path, err))
	}
	return w.folder(sub, path, "", depth+1)
}

// openFolder opens a folder in one that is open, without following a link.
func openFolder(dir *os.File, name string) (*os.File, error) {
	for {
		fd, err := unix.Openat(int(dir.Fd()), name, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
		switch {
		case err == unix.EINTR:
			continue
		case err == unix.ELOOP:
			err = unix.ENOTDIR // it is a link now
		}
		if err != nil {
			return nil, &fs.PathError{Op: "open", Path: name, Err: err}
		}
		return os.NewFile(uintptr(fd), filepath.Join(dir.Name(), name)), nil
	}
}
