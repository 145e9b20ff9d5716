package workspace

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"perago/workspace/glob"
	"perago/workspace/storage"
)

// TestDownloadIsChecked: what arrives is held against the listing.
func TestDownloadIsChecked(t *testing.T) {
	cut := errors.New("connection reset")
	for name, c := range map[string]struct {
		broken  func(body string) io.Reader
		hashed  bool
		tries   int
		wantErr string // "" is none
	}{
		"whole":                {func(b string) io.Reader { return strings.NewReader(b) }, true, 1, ""},
		"short":                {func(b string) io.Reader { return strings.NewReader(b[1:]) }, false, 2, "got 5 bytes, want 6 bytes"},
		"long":                 {func(b string) io.Reader { return strings.NewReader(b + "x") }, false, 2, "got more, want 6 bytes"},
		"other bytes":          {func(b string) io.Reader { return strings.NewReader("x" + b[1:]) }, true, 2, "MD5"},
		"other bytes, no hash": {func(b string) io.Reader { return strings.NewReader("x" + b[1:]) }, false, 1, ""},
		"cut":                  {func(b string) io.Reader { return io.MultiReader(strings.NewReader(b[:2]), iotest.ErrReader(cut)) }, true, 2, "connection reset"},
	} {
		for _, cached := range []bool{true, false} {
			s := &shelf{files: map[string]string{"a/b.csv": "secret"}, hashed: c.hashed}
			s.broken = func(_, body string) io.Reader { return c.broken(body) }
			o := openOverlay(t, s, Spec{})
			if !cached {
				o.opts.Cache = nil
			}
			_, err := tryRead(o, "a/b.csv")
			if (err == nil) != (c.wantErr == "") || err != nil && !strings.Contains(err.Error(), c.wantErr) {
				t.Errorf("%s: got %v, want %q", name, err, c.wantErr)
			}
			if err != nil && !strings.Contains(err.Error(), "a/b.csv@c0ffee") {
				t.Errorf("%s: %v does not say what and where", name, err)
			}
			if len(s.opened) != c.tries {
				t.Errorf("%s: asked %d times, want %d", name, len(s.opened), c.tries)
			}
		}
	}
	// Once damaged, then whole.
	s := &shelf{files: map[string]string{"a": "secret"}, hashed: true}
	first := true
	s.broken = func(_, body string) io.Reader {
		if first {
			first = false
			return strings.NewReader(body + body)
		}
		return strings.NewReader(body)
	}
	if got, err := tryRead(openOverlay(t, s, Spec{}), "a"); got != "secret" || err != nil {
		t.Errorf("after one damaged answer: %q, %v", got, err)
	}
}

func TestCacheIsShared(t *testing.T) {
	dir := t.TempDir()
	s := &shelf{files: map[string]string{"raw/a": "aa", "raw/b": "bb", "other": "o"}, hashed: true}
	view := func(repo, commit string) *Overlay {
		o := NewOverlay(s, Ref{Repository: repo, Commit: commit}, OverlayOptions{Dir: t.TempDir(), Cache: openCache(t, dir, 0)})
		t.Cleanup(func() { o.Close() })
		if _, err := o.Glob(context.Background(), "", glob.MustCompile("raw/*")); err != nil {
			t.Fatal(err)
		}
		if _, err := tryRead(o, "raw/a"); err != nil {
			t.Fatal(err)
		}
		return o
	}
	first := view("songs", "c1").Usage()
	if first.ObjectsFetched != 1 || first.BytesFetched != 2 || first.ListCached || first.ObjectsListed != 2 {
		t.Errorf("the first took %+v", first)
	}
	lists := len(s.lists)
	again := view("songs", "c1").Usage()
	if again.ObjectsFetched != 0 || again.ObjectsRead != 1 || again.BytesRead != 2 || !again.ListCached || again.ObjectsListed != 2 {
		t.Errorf("the second took %+v", again)
	}
	if len(s.lists) != lists {
		t.Errorf("the same commit was listed again: %q", s.lists[lists:])
	}
	if other := view("songs", "c2").Usage(); other.ObjectsFetched != 0 || other.ListCached {
		t.Errorf("the same content in another commit took %+v", other)
	}
	if other := view("films", "c1").Usage(); other.ObjectsFetched != 1 {
		t.Errorf("another repository took %+v", other)
	}
}

// probingStore is a store that answers for single paths.
type probingStore struct {
	shelf
	probed []string
	err    error
}

func (s *probingStore) Probe(ctx context.Context, repo, commit, path string) (storage.Probed, error) {
	s.mu.Lock()
	s.probed = append(s.probed, path)
	s.mu.Unlock()
	if s.err != nil {
		return storage.Probed{}, s.err
	}
	return probeByListing(ctx, &shelf{files: s.files}, Ref{}, path)
}

func TestVerify(t *testing.T) {
	ctx := context.Background()
	if err := openOverlay(t, &downStore{}, Spec{}).Verify(ctx); !errors.Is(err, errDown) {
		t.Errorf("a store that is down: got %v", err)
	}
	s := &probingStore{shelf: shelf{files: map[string]string{"a": ""}}}
	if err := openOverlay(t, s, Spec{}).Verify(ctx); err != nil || len(s.lists) > 0 || len(s.probed) != 1 {
		t.Errorf("a store that can be asked for one path: got %v, after %q and %q", err, s.lists, s.probed)
	}
	s.err = storage.ErrUnknownCommit
	if err := openOverlay(t, s, Spec{}).Verify(ctx); !errors.Is(err, storage.ErrUnknownCommit) {
		t.Errorf("a commit that is not there: got %v", err)
	}
}

// TestListedCountsFiles: a file counts once, however often and in whatever way
// it was found.
func TestListedCountsFiles(t *testing.T) {
	ctx := context.Background()
	o := openOverlay(t, &probingStore{shelf: shelf{files: map[string]string{"top": "t", "raw/a": "1", "raw/b": "2", "raw/deep/c": "3", "other/d": "4"}}}, Spec{})
	glob := func(pattern string) func() {
		return func() {
			if _, err := o.Glob(ctx, "", glob.MustCompile(pattern)); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, step := range []struct {
		name string
		do   func()
		want int
	}{
		{"a look-up of nothing", func() { o.Stat(ctx, "raw/none") }, 0},
		{"a file", func() { read(t, o, "raw/a") }, 1},
		{"it again", func() { read(t, o, "raw/a") }, 1},
		{"a file elsewhere", func() { o.Stat(ctx, "top") }, 2},
		{"a folder below", glob("raw/deep/*"), 3},
		{"the folder of the first", glob("raw/*"), 4},
		{"one of its files", func() { read(t, o, "raw/b") }, 4},
		{"all", glob("**"), 5},
	} {
		step.do()
		if u := o.Usage(); u.ObjectsListed != step.want {
			t.Errorf("after %s: %d files, want %d", step.name, u.ObjectsListed, step.want)
		}
	}
}

// TestProberIsUsed: a store that can answer for one path is not listed for it.
func TestProberIsUsed(t *testing.T) {
	s := &probingStore{shelf: shelf{files: map[string]string{"raw/a": "1", "raw/b": "2"}}}
	o := openOverlay(t, s, Spec{})
	if got := read(t, o, "raw/a"); got != "1" {
		t.Errorf("got %q", got)
	}
	if want := []string{"raw", "raw/a"}; !slices.Equal(s.probed, want) || len(s.lists) > 0 {
		t.Errorf("asked for %q and listed %q, want %q alone", s.probed, s.lists, want)
	}
	s.err = errDown
	if _, err := o.Stat(context.Background(), "raw/b"); !errors.Is(err, errDown) || !strings.Contains(err.Error(), "raw/b@c0ffee") {
		t.Errorf("a store that is down: got %v", err)
	}
}

// An attempt that keeps its files open ends with an error, not with a disk full
// of them; and what is opened ahead of it takes none of its room.
func TestOpenFilesAreBounded(t *testing.T) {
	files := map[string]string{}
	for i := range 40 {
		files[fmt.Sprintf("f%02d", i)] = strings.Repeat("x", 128<<10) // an eighth of the cache
	}
	files["small"] = "x"
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		o := NewOverlay(&shelf{files: files}, Ref{Repository: "r", Commit: "c"},
			OverlayOptions{Dir: t.TempDir(), Cache: openCache(t, dir, 1<<20)})
		defer o.Close()
		ctx := context.Background()
		names, err := o.Glob(ctx, "", glob.MustCompile("*"))
		if err != nil {
			t.Fatal(err)
		}
		if _, _, err := o.OpenAhead(ctx, names[0]); !errors.Is(err, errors.ErrUnsupported) {
			t.Errorf("an eighth of the cache is opened ahead: %v", err)
		}
		open := 0
		for _, path := range names {
			var f *os.File
			if f, err = o.Open(ctx, path); err != nil {
				break
			}
			defer f.Close()
			open++
		}
		if err == nil || !strings.Contains(err.Error(), "close files") || !strings.Contains(err.Error(), "waited") || open != 8 {
			t.Errorf("%d files of 128 KiB are open in 1 MiB: %v", open, err)
		}
		start := time.Now()
		if _, _, err := o.OpenAhead(ctx, "small"); err == nil || time.Since(start) > 0 {
			t.Errorf("what nobody asked for yet waits %v for room: %v", time.Since(start), err)
		}
		var total int64
		kept, err := filepath.Glob(filepath.Join(dir, "*", "*", "*"))
		for _, name := range kept {
			info, statErr := os.Stat(name)
			err = errors.Join(err, statErr)
			total += info.Size()
		}
		if total > 1<<20 || len(kept) == 0 || err != nil {
			t.Errorf("%d files with %d bytes are on disk, %v", len(kept), total, err)
		}
	})
}

// What arrived damaged and then whole has the sum of what is whole.
func TestCacheSumIsOfTheLastTry(t *testing.T) {
	s := &shelf{files: map[string]string{"a": "secret"}, hashed: true}
	tries := 0
	s.broken = func(_, body string) io.Reader {
		if tries++; tries == 1 {
			return strings.NewReader("x" + body[1:])
		}
		return strings.NewReader(body)
	}
	dir := t.TempDir()
	for range 2 {
		o := NewOverlay(s, Ref{Repository: "r", Commit: "c"}, OverlayOptions{Dir: t.TempDir(), Cache: openCache(t, dir, 0)})
		if got, err := tryRead(o, "a"); got != "secret" || err != nil {
			t.Errorf("got %q, %v", got, err)
		}
		o.Close()
	}
	if tries != 2 {
		t.Errorf("fetched %d times, want one that is damaged and one that is whole", tries)
	}
}
