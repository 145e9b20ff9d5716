package storetest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"testing"

	"perago/workspace/storage"
)

// Place is one commit of a store.
type Place struct {
	Store  storage.Reader
	Repo   string
	Commit string
}

// Files are the files of a commit: content by path.
type Files map[string]string

// readerFiles are files that stores tend to get wrong: names that sort differently
// by segment and by byte, names that start like a folder, empty and larger files,
// names that need escaping in a URL or are not ASCII.
func readerFiles() Files {
	files := Files{
		"a": "plain", "a.csv": "1,2\n", "a-b/c": "dash", "b/c": "slash", "b/c.d/e": "deep", "b!c": "before the slash", "b0": "after it",
		"empty": "", "deep/er/and/deep/er/x": "x", ".hidden/.file": "dot",
		"space name/ü 文.txt": "unicode", "percent%2Fname": "no slash", "plus+&?#=": "query", "[x]{y}*": "pattern",
		"large": strings.Repeat("0123456789abcdef", 1<<16),
	}
	for i := range 1100 { // more than a page of a server
		files[fmt.Sprintf("many/%04d.csv", i)] = fmt.Sprint(i)
	}
	return files
}

// testReader is TestReader for a store that can be published to.
func testReader(t *testing.T, r repo) {
	TestReader(t, func(t *testing.T, files Files) Place {
		r := repo{Subject: r.Subject, t: t, name: r.NewRepository(t)}
		commit := r.head("main")
		if len(files) > 0 {
			commit = r.seed("main", files).ID
		}
		return Place{r.Store, r.name, commit}
	})
}

// TestReader tests what package workspace relies on in a storage.Reader, and in a
// Prober and a LocalOpener if the store is one. put makes a commit of the files.
func TestReader(t *testing.T, put func(*testing.T, Files) Place) {
	files := readerFiles()
	p := put(t, files)
	t.Run("List", func(t *testing.T) { testList(t, p, files) })
	t.Run("List stops", func(t *testing.T) { testListStops(t, p) })
	t.Run("Open", func(t *testing.T) { testOpen(t, p, files) })
	t.Run("Probe", func(t *testing.T) { testProbe(t, p, files) })
	t.Run("empty", func(t *testing.T) {
		empty := put(t, Files{})
		if got := list(t, empty, ""); len(got) > 0 {
			t.Errorf("an empty commit lists %v", got)
		}
	})
	if p.Commit == "" {
		return // a folder has no commits to be wrong about
	}
	t.Run("unknown", func(t *testing.T) {
		id := strings.Repeat("0", len(p.Commit))
		for name, c := range map[string]struct {
			place Place
			want  error
		}{
			"repository": {Place{p.Store, p.Repo + "-none", p.Commit}, storage.ErrUnknownRepository},
			"commit":     {Place{p.Store, p.Repo, id}, storage.ErrUnknownCommit},
		} {
			if _, err := listErr(c.place, ""); !errors.Is(err, c.want) {
				t.Errorf("List of an unknown %s: got %v, want %v", name, err, c.want)
			}
			if _, err := c.place.Store.Open(context.Background(), c.place.Repo, c.place.Commit, "a"); !errors.Is(err, c.want) {
				t.Errorf("Open in an unknown %s: got %v, want %v", name, err, c.want)
			}
			if s, ok := c.place.Store.(storage.Prober); ok {
				if _, err := s.Probe(context.Background(), c.place.Repo, c.place.Commit, "a"); !errors.Is(err, c.want) {
					t.Errorf("Probe in an unknown %s: got %v, want %v", name, err, c.want)
				}
			}
		}
	})
}

func listErr(p Place, prefix string) (objects []storage.Object, err error) {
	for o, err := range p.Store.List(context.Background(), p.Repo, p.Commit, prefix) {
		if err != nil {
			return objects, err
		}
		objects = append(objects, o)
	}
	return objects, nil
}

func list(t *testing.T, p Place, prefix string) []storage.Object {
	t.Helper()
	objects, err := listErr(p, prefix)
	if err != nil {
		t.Fatalf("List(%q): %v", prefix, err)
	}
	return objects
}

func testList(t *testing.T, p Place, files Files) {
	_, local := p.Store.(storage.LocalOpener)
	for _, prefix := range []string{"", "a", "a/", "b", "b/", "b/c", "b/c.", "b/c/", "many/", "many/01", "none", "none/x", "space name/", ".h", "deep/er/and", "plus+&"} {
		var want []string
		for _, path := range slices.Sorted(maps.Keys(files)) {
			if strings.HasPrefix(path, prefix) {
				want = append(want, path)
			}
		}
		var got []string
		for _, o := range list(t, p, prefix) {
			got = append(got, o.Path)
			if size := int64(len(files[o.Path])); o.Size != size && !(local && o.Size == storage.NotMeasured) {
				t.Errorf("%s has size %d, want %d", o.Path, o.Size, size)
			}
			if o.Unusable != "" {
				t.Errorf("%s cannot be read: it %s", o.Path, o.Unusable)
			}
			if o.Hashed && len(o.Checksum) != 32 {
				t.Errorf("%s has MD5 %q", o.Path, o.Checksum)
			}
		}
		if !slices.Equal(got, want) {
			t.Errorf("List(%q)\n got %q\nwant %q", prefix, got, want)
		}
	}
}

func testListStops(t *testing.T, p Place) {
	count := 0
	for range p.Store.List(context.Background(), p.Repo, p.Commit, "") {
		if count++; count == 3 {
			break
		}
	}
	if count != 3 {
		t.Errorf("a loop that stops at 3 saw %d", count)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	err := error(nil)
	for _, e := range p.Store.List(ctx, p.Repo, p.Commit, "") {
		err = e
	}
	if !errors.Is(err, context.Canceled) {
		t.Errorf("List after a cancel ends with %v, want %v", err, context.Canceled)
	}
}

func testOpen(t *testing.T, p Place, files Files) {
	ctx := context.Background()
	for path, want := range files {
		if strings.HasPrefix(path, "many/") && path != "many/1099.csv" {
			continue
		}
		body, err := p.Store.Open(ctx, p.Repo, p.Commit, path)
		if err != nil {
			t.Errorf("Open(%q): %v", path, err)
			continue
		}
		got, err := io.ReadAll(body)
		if closeErr := body.Close(); err != nil || closeErr != nil || string(got) != want {
			t.Errorf("Open(%q) has %d bytes (%v, %v), want %d", path, len(got), err, closeErr, len(want))
		}
	}
	for _, path := range []string{"none", "none/x", "a/x", "b/", "B/C"} {
		body, err := p.Store.Open(ctx, p.Repo, p.Commit, path)
		if err == nil {
			body.Close()
		}
		if !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("Open(%q): got %v, want %v", path, err, fs.ErrNotExist)
		}
	}
	if local, ok := p.Store.(storage.LocalOpener); ok {
		f, err := local.OpenLocal(ctx, p.Repo, p.Commit, "b/c")
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if info, err := f.Stat(); err != nil || !info.Mode().IsRegular() || info.Size() != int64(len(files["b/c"])) {
			t.Errorf("OpenLocal gives %v, %v", info, err)
		}
	}
}

// testProbe compares Probe with List, on every path and every folder.
func testProbe(t *testing.T, p Place, files Files) {
	prober, ok := p.Store.(storage.Prober)
	if !ok {
		return // it is optional
	}
	paths := map[string]bool{"none": true, "none/x": true, "a/x": true, "b/c.d/e/f": true, "many/01": true, "A": true}
	for path := range files {
		if strings.HasPrefix(path, "many/") && path != "many/0000.csv" {
			continue
		}
		for i := range path {
			if path[i] == '/' {
				paths[path[:i]] = true
			}
		}
		paths[path] = true
	}
	for path := range paths {
		got, err := prober.Probe(context.Background(), p.Repo, p.Commit, path)
		if err != nil {
			t.Errorf("Probe(%q): %v", path, err)
			continue
		}
		content, file := files[path]
		if got.File != file || file && (got.Object.Path != path || got.Object.Size != int64(len(content))) {
			t.Errorf("Probe(%q) is %+v, want a file: %t, of %d bytes", path, got, file, len(content))
		}
		below := false
		for other := range files {
			below = below || strings.HasPrefix(other, path+"/")
		}
		if _, is := files[got.Below]; below != (got.Below != "") || below && (!is || !strings.HasPrefix(got.Below, path+"/")) {
			t.Errorf("Probe(%q) has %q below, want some: %t", path, got.Below, below)
		}
	}
}
