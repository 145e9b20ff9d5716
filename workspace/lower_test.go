package workspace

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"perago/workspace/glob"
	"perago/workspace/paths"
	"perago/workspace/storage"
)

// oddNames is a commit with all that the file API cannot name.
var oddNames = map[string]string{
	"ok/a.csv": "a", "ok/b": "b", "ok.txt": "t", "C:/x": "drive",
	"ok/":        "marker", // an empty segment
	"a//b":       "x",
	"/abs":       "x",
	"dot/./x":    "x",
	"dot/../x":   "x",
	`back\slash`: "x",
	"line\nfeed": "x",
	"tab\t/in":   "x",
	"del\x7f":    "x",
	"both":       "file", "both/x": "x", "both/deep/y": "y", "both.txt": "fine",
	"f/both": "file", "f/both/x": "x", "f/fine": "f",
	"_lakefs_actions/a.yaml": "hook", "_perago/results/1": "r",
}

func TestUnnameable(t *testing.T) {
	ctx := context.Background()
	// By listing, and one by one.
	for _, listed := range []bool{true, false} {
		o := openOverlay(t, &shelf{files: oddNames}, Spec{})
		if listed {
			if got, err := o.Glob(ctx, "", glob.MustCompile("f/*")); len(got) != 1 || err != nil || o.Unnameable() != 2 {
				t.Errorf("in one folder: %q, %v, %d left out", got, err, o.Unnameable())
			}
			got, err := o.Glob(ctx, "", glob.MustCompile("**")) // which has that folder again
			want := []string{"C:/x", "both.txt", "f/fine", "ok.txt", "ok/a.csv", "ok/b"}
			if err != nil || !slices.Equal(got, want) {
				t.Errorf("the view has %q, %v, want %q", got, err, want)
			}
			if n := o.Unnameable(); n != 14 {
				t.Errorf("%d objects are left out, want 14", n)
			}
		}
		for _, p := range []string{"both", "both/x", "both/deep/y", "f/both", "f/both/x", "line\nfeed", "tab\t/in", "del\x7f"} {
			_, statErr := o.Stat(ctx, p)
			_, openErr := o.Open(ctx, p)
			_, writeErr := o.Create(ctx, p, Replace)
			for _, err := range []error{statErr, openErr, o.Remove(ctx, p)} {
				if !errors.Is(err, storage.ErrUnnameable) {
					t.Errorf("listed=%t, %q: got %v, want %v", listed, p, err, storage.ErrUnnameable)
				}
			}
			if writeErr == nil {
				t.Errorf("listed=%t: %q was written", listed, p)
			}
		}
		for _, p := range []string{"_perago", "_perago/results/1", "_lakefs_actions", "_lakefs_actions/a.yaml", "dot", "none"} {
			if info, err := o.Stat(ctx, p); !errors.Is(err, fs.ErrNotExist) {
				t.Errorf("listed=%t: Stat(%q) is %+v, %v", listed, p, info, err)
			}
		}
		for _, p := range []string{"_perago", "_perago/x", "_lakefs_actions/a.yaml"} {
			if _, err := o.Create(ctx, p, Replace); !errors.Is(err, ErrReserved) {
				t.Errorf("writing %s: got %v", p, err)
			}
		}
		for p, size := range map[string]int64{"ok/a.csv": 1, "both.txt": 4, "f/fine": 1, "C:/x": 5} {
			if info, err := o.Stat(ctx, p); err != nil || info.Size != size {
				t.Errorf("listed=%t: Stat(%s) is %+v, %v", listed, p, info, err)
			}
		}
		if info, err := o.Stat(ctx, "ok"); err != nil || !info.Folder {
			t.Errorf("listed=%t: a folder with a marker is %+v, %v", listed, info, err)
		}
		if staged, err := o.Staged(ctx); len(staged) > 0 || err != nil {
			t.Errorf("nothing was written, and %+v is staged (%v)", staged, err)
		}
	}
	// A folder is listed by itself: what it is in may be a file too.
	o := openOverlay(t, &shelf{files: oddNames}, Spec{})
	if got, err := o.Glob(ctx, "", glob.MustCompile("both/*")); !errors.Is(err, storage.ErrUnnameable) {
		t.Errorf("glob in what is a file too: %q, %v", got, err)
	}
	// A prefix may be a reserved name deeper down, and names are counted below it alone.
	o = openOverlay(t, &shelf{files: map[string]string{"a/_perago/x": "1", "a/b": "2", "other//x": "3"}}, Spec{Prefix: "a"})
	if got := tree(t, o, ""); got != "_perago/ _perago/x=1 b=1" || o.Unnameable() != 0 {
		t.Errorf("below a prefix: %s, %d left out", got, o.Unnameable())
	}
}

func TestNamesThatCannotBeWritten(t *testing.T) {
	o := openOverlay(t, &shelf{}, Spec{Prefix: "pre"})
	for path, word := range map[string]string{
		`a\b`: "backslash", "a\nb": "control character", "a\x1b": "control character", "a/\u0085": "control character", "a\xffb": "UTF-8",
		"a//b": "empty segment", "../x": `".." segment`, "/x": "absolute", "a/": "slash", "a\x00b": "NUL",
		strings.Repeat("x", 1025): "1024 bytes", strings.Repeat("x", 1021): "1024 bytes",
	} {
		err := tryWrite(o, path, "", Replace)
		var bad *paths.Error
		if !errors.As(err, &bad) || !strings.Contains(err.Error(), word) || len(err.Error()) > 250 {
			t.Errorf("writing %q: got %v, want a word of %q", path, err, word)
		}
		if err := o.Mkdir(context.Background(), path); !errors.As(err, &bad) {
			t.Errorf("mkdir %q: got %v", path, err)
		}
	}
	write(t, o, strings.Repeat("x", 1020), "")
	if got, err := o.Staged(context.Background()); err != nil || len(got) != 1 || !strings.HasPrefix(got[0].Path, "pre/xxx") {
		t.Errorf("staged is %v, %v", got, err)
	}
	// A folder that is moved may not carry a name over the limit.
	if err := errors.Join(tryWrite(o, "d/"+strings.Repeat("y", 1000), "", Replace), o.Rename(context.Background(), "d", strings.Repeat("z", 100))); err == nil {
		t.Error("a name over the limit came by a rename")
	}
}

func TestReadOnly(t *testing.T) {
	ctx := context.Background()
	o := openOverlay(t, &shelf{files: map[string]string{"a": "1", "d/b": "2"}}, Spec{ReadOnly: true})
	_, createErr := o.Create(ctx, "x", Replace)
	for name, err := range map[string]error{
		"create": createErr, "remove": o.Remove(ctx, "a"), "remove_tree": o.RemoveTree(ctx, "d"),
		"mkdir": o.Mkdir(ctx, "m"), "mkdir root": o.Mkdir(ctx, ""), "copy": o.Copy(ctx, "a", "c"), "rename": o.Rename(ctx, "a", "c"),
	} {
		if !errors.Is(err, ErrReadOnly) {
			t.Errorf("%s: got %v, want %v", name, err, ErrReadOnly)
		}
	}
	if got := tree(t, o, ""); got != "a=1 d/ d/b=1" {
		t.Errorf("the view is %s", got)
	}
}

// TestListsOnlyWhatIsAsked counts what the store is asked for.
func TestListsOnlyWhatIsAsked(t *testing.T) {
	ctx := context.Background()
	files := map[string]string{"top": "t"}
	for i := range 50 {
		files[fmt.Sprintf("raw/%02d/x.csv", i)] = "x"
		files[fmt.Sprintf("other/%02d.csv", i)] = "x"
	}
	for name, c := range map[string]struct {
		do    func(o *Overlay)
		lists []string // prefixes asked for
	}{
		"nothing":            {func(o *Overlay) {}, nil},
		"a glob in a folder": {func(o *Overlay) { o.Glob(ctx, "", glob.MustCompile("raw/07/*.csv")) }, []string{"raw", "raw/07", "raw/07/"}},
		"the same again": {func(o *Overlay) {
			o.Glob(ctx, "", glob.MustCompile("raw/**"))
			o.Glob(ctx, "", glob.MustCompile("raw/*/x*"))
			o.Stat(ctx, "raw/03/x.csv")
			o.ReadDir(ctx, "raw/04")
		},
			[]string{"raw", "raw/"}},
		"a plain path":           {func(o *Overlay) { o.Stat(ctx, "other/03.csv") }, []string{"other", "other/03.csv"}},
		"a plain path as a glob": {func(o *Overlay) { o.Glob(ctx, "", glob.MustCompile("other/03.csv")) }, []string{"other", "other/03.csv"}},
		"a plain path twice":     {func(o *Overlay) { o.Stat(ctx, "top"); o.Open(ctx, "top") }, []string{"top"}},
		"a write":                {func(o *Overlay) { tryWrite(o, "new/deep/x", "", Replace) }, []string{"new"}},
		"many of one folder": {func(o *Overlay) {
			for i := range 20 {
				o.Stat(ctx, fmt.Sprintf("other/%02d.csv", i))
			}
		}, []string{"other", "other/00.csv", "other/01.csv", "other/02.csv", "other/03.csv", "other/"}},
	} {
		s := &shelf{files: files}
		o := openOverlay(t, s, Spec{})
		c.do(o)
		if !slices.Equal(s.lists, c.lists) {
			t.Errorf("%s: asked for %q, want %q", name, s.lists, c.lists)
		}
		if len(s.opened) > 1 {
			t.Errorf("%s: fetched %q", name, s.opened)
		}
	}
	// Many of many folders: their common folder is listed once.
	s := &shelf{files: files}
	o := openOverlay(t, s, Spec{})
	for i := range 50 {
		if _, err := o.Stat(ctx, fmt.Sprintf("raw/%02d/x.csv", i)); err != nil {
			t.Fatal(err)
		}
	}
	if last := s.lists[len(s.lists)-1]; last != "raw/" || len(s.lists) > 80 {
		t.Errorf("asked %d times, at last for %q", len(s.lists), last)
	}
}

func TestProbeByListing(t *testing.T) {
	files := map[string]string{"b": "1", "c/x": "2", "d": "4"}
	for i := range 2500 { // all between "c" and "c/"
		files[fmt.Sprintf("c!%04d", i)] = ""
		files[fmt.Sprintf("d!%04d", i)] = ""
	}
	s := &shelf{files: files}
	for path, want := range map[string]storage.Probed{
		"b": {File: true}, "c": {Below: "c/x"}, "c/x": {File: true}, "d": {File: true}, "none": {}, "c!": {},
	} {
		got, err := probeByListing(context.Background(), s, Ref{}, path)
		if err != nil || got.File != want.File || got.Below != want.Below || got.File && got.Object.Path != path {
			t.Errorf("probe of %s is %+v, %v, want %+v", path, got, err, want)
		}
	}
	if s.given > 5000 {
		t.Errorf("the store gave %d objects", s.given)
	}
}

func TestDamagedListingIsReadAnew(t *testing.T) {
	dir := t.TempDir()
	s := &shelf{files: map[string]string{"raw/a": "a"}}
	for range 3 {
		o := NewOverlay(s, Ref{Repository: "r", Commit: "c"}, OverlayOptions{Cache: openCache(t, dir, 0)})
		if got, err := o.Glob(context.Background(), "", glob.MustCompile("raw/*")); len(got) != 1 || err != nil {
			t.Fatalf("got %q, %v", got, err)
		}
		kept, err := filepath.Glob(filepath.Join(dir, "objects", "*", "*"))
		if err != nil || len(kept) != 1 {
			t.Fatalf("kept is %q, %v", kept, err)
		}
		os.Chmod(kept[0], 0o600)
		if err := os.WriteFile(kept[0], []byte("not what it was"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}
