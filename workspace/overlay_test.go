package workspace

import (
	"context"
	"crypto/md5"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"iter"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"perago/workspace/cache"
	"perago/workspace/glob"
	"perago/workspace/storage"
)

// shelf is a Reader over a map, for one commit; it counts what it is asked for.
type shelf struct {
	files  map[string]string
	hashed bool
	broken func(path string, body string) io.Reader // changes what Open gives

	mu     sync.Mutex
	lists  []string // prefixes
	given  int      // objects listed
	opened []string
}

func (s *shelf) List(ctx context.Context, repo, commit, prefix string) iter.Seq2[storage.Object, error] {
	return func(yield func(storage.Object, error) bool) {
		s.mu.Lock()
		s.lists = append(s.lists, prefix)
		s.mu.Unlock()
		for _, p := range slices.Sorted(maps.Keys(s.files)) {
			if !strings.HasPrefix(p, prefix) {
				continue
			}
			if ctx.Err() != nil {
				yield(storage.Object{}, ctx.Err())
				return
			}
			s.mu.Lock()
			s.given++
			s.mu.Unlock()
			if !yield(s.object(p), nil) {
				return
			}
		}
	}
}

func (s *shelf) object(p string) storage.Object {
	o := storage.Object{Path: p, Size: int64(len(s.files[p])), Physical: "mem://" + p}
	sum := md5.Sum([]byte(s.files[p]))
	o.Checksum = hex.EncodeToString(sum[:])
	if o.Hashed = s.hashed; !s.hashed {
		o.Checksum = "etag-" + p
	}
	return o
}

func (s *shelf) Open(ctx context.Context, repo, commit, path string) (io.ReadCloser, error) {
	s.mu.Lock()
	s.opened = append(s.opened, path)
	s.mu.Unlock()
	body, ok := s.files[path]
	if !ok {
		return nil, fs.ErrNotExist
	}
	if s.broken != nil {
		return io.NopCloser(s.broken(path, body)), nil
	}
	return io.NopCloser(strings.NewReader(body)), nil
}

// openOverlay is a view of s with a cache and an upper layer of its own.
func openOverlay(t *testing.T, s storage.Reader, spec Spec) *Overlay {
	t.Helper()
	cache, err := cache.Open(t.TempDir(), nil)
	if err != nil {
		t.Fatal(err)
	}
	o := NewOverlay(s, Ref{Repository: "songs", Branch: "main", Commit: "c0ffee"}, OverlayOptions{
		Spec: spec, Dir: filepath.Join(t.TempDir(), "files"), Cache: cache, Concurrency: 4,
	})
	t.Cleanup(func() { o.Close() })
	return o
}

func write(t *testing.T, o *Overlay, path, text string) {
	t.Helper()
	if err := tryWrite(o, path, text, Replace); err != nil {
		t.Fatal(err)
	}
}

func tryWrite(o *Overlay, path, text string, mode WriteMode) error {
	d, err := o.Create(context.Background(), path, mode)
	if err != nil {
		return err
	}
	if _, err := io.WriteString(d.File, text); err != nil {
		return err
	}
	_, err = d.Commit(context.Background())
	return err
}

func read(t *testing.T, o *Overlay, path string) string {
	t.Helper()
	text, err := tryRead(o, path)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func tryRead(o *Overlay, path string) (string, error) {
	f, err := o.Open(context.Background(), path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	data, err := io.ReadAll(f)
	return string(data), err
}

// tree shows the whole view: "path=size", folders as "path/".
func tree(t *testing.T, o *Overlay, folder string) string {
	t.Helper()
	infos, err := o.ReadDir(context.Background(), folder)
	if err != nil {
		t.Fatal(err)
	}
	var parts []string
	for _, i := range infos {
		if i.Folder {
			parts = append(parts, i.Path+"/")
			if below := tree(t, o, i.Path); below != "" {
				parts = append(parts, below)
			}
			continue
		}
		parts = append(parts, fmt.Sprintf("%s=%d", i.Path, i.Size))
	}
	return strings.Join(parts, " ")
}

func changes(t *testing.T, o *Overlay) string {
	t.Helper()
	list, err := o.Changes(context.Background())
	if err != nil {
		t.Fatal(err)
	}
	var parts []string
	for _, c := range list {
		parts = append(parts, fmt.Sprintf("%s %s %d", c.Op, c.Path, c.Size))
	}
	return strings.Join(parts, ", ")
}

func TestOverlayOperations(t *testing.T) {
	ctx := context.Background()
	lower := map[string]string{
		"raw/a.csv": "aaa", "raw/b.csv": "bb", "raw/deep/c.csv": "c",
		"raw.txt": "sibling", "top": "t",
	}
	cases := []struct {
		name    string
		do      func(o *Overlay) error
		wantErr error // wrapped
		tree    string
		changes string
	}{
		{"nothing", func(o *Overlay) error { return nil }, nil,
			"raw/ raw/a.csv=3 raw/b.csv=2 raw/deep/ raw/deep/c.csv=1 raw.txt=7 top=1", ""},
		{"add", func(o *Overlay) error { return tryWrite(o, "new/x", "12345", Replace) }, nil,
			"new/ new/x=5 raw/ raw/a.csv=3 raw/b.csv=2 raw/deep/ raw/deep/c.csv=1 raw.txt=7 top=1", "A new/x 5"},
		{"replace", func(o *Overlay) error { return tryWrite(o, "top", "new", Replace) }, nil,
			"raw/ raw/a.csv=3 raw/b.csv=2 raw/deep/ raw/deep/c.csv=1 raw.txt=7 top=3", "M top 3"},
		{"same bytes", func(o *Overlay) error { return tryWrite(o, "raw/a.csv", "aaa", Replace) }, nil,
			"raw/ raw/a.csv=3 raw/b.csv=2 raw/deep/ raw/deep/c.csv=1 raw.txt=7 top=1", ""},
		{"same size", func(o *Overlay) error { return tryWrite(o, "raw/a.csv", "aab", Replace) }, nil,
			"raw/ raw/a.csv=3 raw/b.csv=2 raw/deep/ raw/deep/c.csv=1 raw.txt=7 top=1", "M raw/a.csv 3"},
		{"append", func(o *Overlay) error { return tryWrite(o, "top", "more", Append) }, nil,
			"raw/ raw/a.csv=3 raw/b.csv=2 raw/deep/ raw/deep/c.csv=1 raw.txt=7 top=5", "M top 5"},
		{"append to nothing", func(o *Overlay) error { return tryWrite(o, "log", "one", Append) }, nil,
			"log=3 raw/ raw/a.csv=3 raw/b.csv=2 raw/deep/ raw/deep/c.csv=1 raw.txt=7 top=1", "A log 3"},
		{"remove", func(o *Overlay) error { return o.Remove(ctx, "raw/deep/c.csv") }, nil,
			"raw/ raw/a.csv=3 raw/b.csv=2 raw.txt=7 top=1", "D raw/deep/c.csv 1"},
		{"remove what was written", func(o *Overlay) error {
			return errors.Join(tryWrite(o, "new/x", "1", Replace), o.Remove(ctx, "new/x"))
		}, nil, "raw/ raw/a.csv=3 raw/b.csv=2 raw/deep/ raw/deep/c.csv=1 raw.txt=7 top=1", ""},
		{"remove and write again", func(o *Overlay) error {
			return errors.Join(o.Remove(ctx, "top"), tryWrite(o, "top", "t", Replace))
		}, nil, "raw/ raw/a.csv=3 raw/b.csv=2 raw/deep/ raw/deep/c.csv=1 raw.txt=7 top=1", ""},
		{"remove tree", func(o *Overlay) error { return o.RemoveTree(ctx, "raw") }, nil,
			"raw.txt=7 top=1", "D raw/a.csv 3, D raw/b.csv 2, D raw/deep/c.csv 1"},
		{"remove all", func(o *Overlay) error { return o.RemoveTree(ctx, "") }, nil,
			"", "D raw.txt 7, D raw/a.csv 3, D raw/b.csv 2, D raw/deep/c.csv 1, D top 1"},
		{"a file where a folder was", func(o *Overlay) error {
			return errors.Join(o.RemoveTree(ctx, "raw"), tryWrite(o, "raw", "file", Replace))
		}, nil, "raw=4 raw.txt=7 top=1", "A raw 4, D raw/a.csv 3, D raw/b.csv 2, D raw/deep/c.csv 1"},
		{"a folder where a file was", func(o *Overlay) error {
			return errors.Join(o.Remove(ctx, "top"), tryWrite(o, "top/x", "1", Replace))
		}, nil, "raw/ raw/a.csv=3 raw/b.csv=2 raw/deep/ raw/deep/c.csv=1 raw.txt=7 top/ top/x=1", "D top 1, A top/x 1"},
		{"mkdir", func(o *Overlay) error {
			return errors.Join(o.Mkdir(ctx, "m/n"), o.Mkdir(ctx, "m/n"), o.Mkdir(ctx, "raw"))
		}, nil,
			"m/ m/n/ raw/ raw/a.csv=3 raw/b.csv=2 raw/deep/ raw/deep/c.csv=1 raw.txt=7 top=1", ""},
		{"copy", func(o *Overlay) error { return o.Copy(ctx, "raw/a.csv", "copy.csv") }, nil,
			"copy.csv=3 raw/ raw/a.csv=3 raw/b.csv=2 raw/deep/ raw/deep/c.csv=1 raw.txt=7 top=1", "A copy.csv 3"},
		{"copy folder", func(o *Overlay) error { return o.Copy(ctx, "raw", "copy") }, nil,
			"copy/ copy/a.csv=3 copy/b.csv=2 copy/deep/ copy/deep/c.csv=1 raw/ raw/a.csv=3 raw/b.csv=2 raw/deep/ raw/deep/c.csv=1 raw.txt=7 top=1",
			"A copy/a.csv 3, A copy/b.csv 2, A copy/deep/c.csv 1"},
		{"rename", func(o *Overlay) error { return o.Rename(ctx, "raw/a.csv", "raw/b.csv") }, nil,
			"raw/ raw/b.csv=3 raw/deep/ raw/deep/c.csv=1 raw.txt=7 top=1", "D raw/a.csv 3, M raw/b.csv 3"},
		{"rename and back", func(o *Overlay) error {
			return errors.Join(o.Rename(ctx, "raw/a.csv", "x"), o.Rename(ctx, "x", "raw/a.csv"))
		}, nil, "raw/ raw/a.csv=3 raw/b.csv=2 raw/deep/ raw/deep/c.csv=1 raw.txt=7 top=1", ""},
		{"rename folder", func(o *Overlay) error {
			return errors.Join(tryWrite(o, "raw/deep/new", "22", Replace), o.Mkdir(ctx, "raw/deep/made"), o.Rename(ctx, "raw/deep", "raw/shallow"))
		}, nil, "raw/ raw/a.csv=3 raw/b.csv=2 raw/shallow/ raw/shallow/c.csv=1 raw/shallow/made/ raw/shallow/new=2 raw.txt=7 top=1",
			"D raw/deep/c.csv 1, A raw/shallow/c.csv 1, A raw/shallow/new 2"},
		{"rename folder and back", func(o *Overlay) error {
			return errors.Join(o.Rename(ctx, "raw", "x"), o.Rename(ctx, "x", "raw"))
		}, nil, "raw/ raw/a.csv=3 raw/b.csv=2 raw/deep/ raw/deep/c.csv=1 raw.txt=7 top=1", ""},
		{"rename folder onto an empty one", func(o *Overlay) error {
			return errors.Join(o.Mkdir(ctx, "x"), o.Rename(ctx, "raw", "x"), o.RemoveTree(ctx, "x/deep"))
		}, nil, "raw.txt=7 top=1 x/ x/a.csv=3 x/b.csv=2",
			"D raw/a.csv 3, D raw/b.csv 2, D raw/deep/c.csv 1, A x/a.csv 3, A x/b.csv 2"},
		{"rename to itself", func(o *Overlay) error { return o.Rename(ctx, "raw", "raw") }, nil,
			"raw/ raw/a.csv=3 raw/b.csv=2 raw/deep/ raw/deep/c.csv=1 raw.txt=7 top=1", ""},

		{"write below a file", func(o *Overlay) error { return tryWrite(o, "top/x", "", Replace) }, storage.ErrNotFolder, "", ""},
		{"write on a folder", func(o *Overlay) error { return tryWrite(o, "raw", "", Replace) }, storage.ErrIsFolder, "", ""},
		{"write on the root", func(o *Overlay) error { return tryWrite(o, "", "", Replace) }, errIsRoot, "", ""},
		{"remove nothing", func(o *Overlay) error { return o.Remove(ctx, "none") }, fs.ErrNotExist, "", ""},
		{"remove twice", func(o *Overlay) error { o.Remove(ctx, "top"); return o.Remove(ctx, "top") }, fs.ErrNotExist, "", ""},
		{"remove a folder", func(o *Overlay) error { return o.Remove(ctx, "raw") }, storage.ErrIsFolder, "", ""},
		{"remove the tree of a file", func(o *Overlay) error { return o.RemoveTree(ctx, "top") }, storage.ErrNotFolder, "", ""},
		{"remove the tree of nothing", func(o *Overlay) error { return o.RemoveTree(ctx, "none") }, fs.ErrNotExist, "", ""},
		{"mkdir on a file", func(o *Overlay) error { return o.Mkdir(ctx, "top") }, fs.ErrExist, "", ""},
		{"mkdir below a file", func(o *Overlay) error { return o.Mkdir(ctx, "top/x") }, storage.ErrNotFolder, "", ""},
		{"copy nothing", func(o *Overlay) error { return o.Copy(ctx, "none", "x") }, fs.ErrNotExist, "", ""},
		{"copy on a folder", func(o *Overlay) error { return o.Copy(ctx, "top", "raw") }, storage.ErrIsFolder, "", ""},
		{"rename a folder on a file", func(o *Overlay) error { return o.Rename(ctx, "raw", "top") }, storage.ErrNotFolder, "", ""},
		{"rename a folder on a full one", func(o *Overlay) error { return errors.Join(tryWrite(o, "x/y", "", Replace), o.Rename(ctx, "raw", "x")) }, fs.ErrExist, "", ""},
		{"rename a folder into itself", func(o *Overlay) error { return o.Rename(ctx, "raw", "raw/deep/x") }, errIntoItself, "", ""},
		{"rename the root", func(o *Overlay) error { return o.Rename(ctx, "", "x") }, errIsRoot, "", ""},
		{"write a reserved name", func(o *Overlay) error { return tryWrite(o, "_perago/x", "", Replace) }, ErrReserved, "", ""},
		{"write the actions", func(o *Overlay) error { return tryWrite(o, "_lakefs_actions/x.yaml", "", Replace) }, ErrReserved, "", ""},
		{"rename to a reserved name", func(o *Overlay) error { return o.Rename(ctx, "raw", "_perago") }, ErrReserved, "", ""},
		{"list a file", func(o *Overlay) error { _, err := o.ReadDir(ctx, "top"); return err }, storage.ErrNotFolder, "", ""},
		{"list nothing", func(o *Overlay) error { _, err := o.ReadDir(ctx, "none"); return err }, fs.ErrNotExist, "", ""},
		{"open a folder", func(o *Overlay) error { _, err := o.Open(ctx, "raw"); return err }, storage.ErrIsFolder, "", ""},
		{"stat below a file", func(o *Overlay) error { _, err := o.Stat(ctx, "top/x"); return err }, fs.ErrNotExist, "", ""},
	}
	for _, c := range cases {
		for _, hashed := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s/hashed=%t", c.name, hashed), func(t *testing.T) {
				o := openOverlay(t, &shelf{files: lower, hashed: hashed}, Spec{})
				err := c.do(o)
				if !errors.Is(err, c.wantErr) {
					t.Fatalf("got error %v, want %v", err, c.wantErr)
				}
				if c.wantErr != nil {
					return
				}
				if got := tree(t, o, ""); got != c.tree {
					t.Errorf("the view is\n got %s\nwant %s", got, c.tree)
				}
				if got := changes(t, o); got != c.changes {
					t.Errorf("the changes are\n got %s\nwant %s", got, c.changes)
				}
				checkAgreement(t, o)
			})
		}
	}
}

// checkAgreement holds Glob, Stat and Open against ReadDir, and the content of
// Staged against the view.
func checkAgreement(t *testing.T, o *Overlay) {
	t.Helper()
	ctx := context.Background()
	var walk func(folder string) []string
	walk = func(folder string) (files []string) {
		infos, err := o.ReadDir(ctx, folder)
		if err != nil {
			t.Fatal(err)
		}
		for _, i := range infos {
			if stat, err := o.Stat(ctx, i.Path); err != nil || stat != i {
				t.Errorf("Stat(%q) is %+v, %v; ReadDir has %+v", i.Path, stat, err, i)
			}
			if i.Folder {
				files = append(files, walk(i.Path)...)
				continue
			}
			files = append(files, i.Path)
			if text := read(t, o, i.Path); int64(len(text)) != i.Size {
				t.Errorf("%s has %d bytes, Stat says %d", i.Path, len(text), i.Size)
			}
		}
		return files
	}
	want := walk("")
	slices.Sort(want)
	got, err := o.Glob(ctx, "", glob.MustCompile("**"))
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("Glob(**) is %q, %v; ReadDir has %q", got, err, want)
	}
	staged, err := o.Staged(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range staged {
		if s.Open == nil {
			continue
		}
		body, err := s.Open()
		if err != nil {
			t.Fatal(err)
		}
		data, _ := io.ReadAll(body)
		body.Close()
		if view := read(t, o, strings.TrimPrefix(s.Path, o.lower.root)); string(data) != view {
			t.Errorf("staged %s is %q, the view has %q", s.Path, data, view)
		}
	}
}

func TestOverlayDropsReplacedContent(t *testing.T) {
	o := openOverlay(t, &shelf{}, Spec{})
	for i := range 5 {
		write(t, o, "x", strings.Repeat("x", i))
	}
	o.Copy(context.Background(), "x", "y")
	o.Remove(context.Background(), "x")
	if got := read(t, o, "y"); got != "xxxx" {
		t.Errorf("the copy is %q", got)
	}
	entries, err := os.ReadDir(o.opts.Dir)
	if err != nil || len(entries) != 1 {
		t.Errorf("the upper layer holds %d files (%v), want 1", len(entries), err)
	}
}

// TestBackWhereItWas: what is moved away and back is the object it was.
func TestBackWhereItWas(t *testing.T) {
	ctx := context.Background()
	o := openOverlay(t, &shelf{files: map[string]string{"d/a": "a"}}, Spec{})
	before, err := o.Stat(ctx, "d/a")
	if err != nil || before.Checksum == "" {
		t.Fatalf("got %+v, %v", before, err)
	}
	if err := errors.Join(o.Rename(ctx, "d", "e"), o.Copy(ctx, "e/a", "x")); err != nil {
		t.Fatal(err)
	}
	if moved, err := o.Stat(ctx, "e/a"); err != nil || moved.Checksum != "" {
		t.Errorf("what this attempt wrote is %+v, %v, want no checksum", moved, err)
	}
	staged, err := o.Staged(ctx)
	if err != nil || len(staged) != 3 || staged[1].From != "d/a" || staged[2].From != "d/a" || staged[1].Open != nil {
		t.Errorf("staged is %+v, %v, want two copies of d/a", staged, err)
	}
	if err := o.Rename(ctx, "e", "d"); err != nil {
		t.Fatal(err)
	}
	if after, err := o.Stat(ctx, "d/a"); after != before || err != nil {
		t.Errorf("got %+v, %v, want %+v", after, err, before)
	}
	if u := o.Usage(); u.ObjectsFetched != 0 {
		t.Errorf("copies and moves fetched: %+v", u)
	}
}

func openCache(t testing.TB, dir string, max int64) *cache.Cache {
	t.Helper()
	c, err := cache.Open(dir, &cache.Options{MaxSize: max})
	if err != nil {
		t.Fatal(err)
	}
	return c
}
