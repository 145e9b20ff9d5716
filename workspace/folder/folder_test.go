package folder

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"perago/workspace"
	"perago/workspace/glob"
	"perago/workspace/storetest"
)

func TestReader(t *testing.T) {
	storetest.TestReader(t, func(t *testing.T, files storetest.Files) storetest.Place {
		return storetest.Place{Store: open(t, fill(t, t.TempDir(), files))}
	})
}

func fill(t *testing.T, dir string, files map[string]string) string {
	t.Helper()
	for path, text := range files {
		full := filepath.Join(dir, path)
		if err := os.MkdirAll(filepath.Dir(full), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(full, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func open(t *testing.T, dir string) *Store {
	t.Helper()
	s, err := Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func overlay(t *testing.T, dir string, spec workspace.Spec) *workspace.Overlay {
	t.Helper()
	o := workspace.NewOverlay(open(t, dir), workspace.Ref{}, workspace.OverlayOptions{
		Spec: spec, Dir: filepath.Join(t.TempDir(), "files"),
	})
	t.Cleanup(func() { o.Close() })
	return o
}

func readAll(o *workspace.Overlay, path string) (string, error) {
	f, err := o.Open(context.Background(), path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	data, err := io.ReadAll(f)
	return string(data), err
}

// oddFolder is a workspace with all that leads out of it or is no file, and a
// secret beside it.
func oddFolder(t *testing.T) (dir string) {
	t.Helper()
	base := t.TempDir()
	fill(t, base, map[string]string{"secret.txt": "SECRET", "out/secret.txt": "SECRET", "ws/raw/a.csv": "a", "ws/raw/b.csv": "b"})
	dir = filepath.Join(base, "ws")
	for name, target := range map[string]string{
		"raw/file-out":    "../../secret.txt",
		"raw/absolute":    filepath.Join(base, "secret.txt"),
		"folder-out":      "../out",
		"chain-1":         "chain-2",
		"chain-2":         "raw/chain-3",
		"raw/chain-3":     "../../secret.txt",
		"chain-folder":    "raw/up/../../..",
		"raw/up":          "..",
		"nowhere":         "raw/none",
		"loop":            "loop",
		"device":          "/dev/null",
		"raw/inside":      "a.csv",
		"raw/inside-deep": "../raw/b.csv",
		"proc":            "/proc/self/environ",
	} {
		if err := os.Symlink(target, filepath.Join(dir, name)); err != nil {
			t.Fatal(err)
		}
	}
	for _, err := range []error{
		unix.Mkfifo(filepath.Join(dir, "fifo"), 0o600),
		os.WriteFile(filepath.Join(dir, "line\nbreak.csv"), []byte("x"), 0o600),
		os.WriteFile(filepath.Join(dir, `back\slash.csv`), []byte("x"), 0o600),
		os.MkdirAll(filepath.Join(dir, "hollow/fifo only"), 0o700),
		unix.Mkfifo(filepath.Join(dir, "hollow/fifo only/fifo"), 0o600),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// unusable are the names of oddFolder that cannot be read, with a part of the reason.
var unusable = map[string]string{
	"raw/file-out":          "out of the workspace",
	"raw/absolute":          "out of the workspace",
	"folder-out":            "out of the workspace",
	"chain-1":               "out of the workspace",
	"chain-2":               "out of the workspace",
	"raw/chain-3":           "out of the workspace",
	"chain-folder":          "out of the workspace",
	"raw/up":                "a folder",
	"nowhere":               "nowhere",
	"loop":                  "out of the workspace",
	"device":                "out of the workspace",
	"proc":                  "out of the workspace",
	"fifo":                  "named pipe",
	"line\nbreak.csv":       "control character",
	"hollow/fifo only/fifo": "named pipe",
}

func TestEscapes(t *testing.T) {
	ctx := context.Background()
	dir := oddFolder(t)
	// Asked for one by one, and out of a listing.
	for _, listed := range []bool{false, true} {
		o := overlay(t, dir, workspace.Spec{})
		got, err := func() ([]string, error) {
			if !listed {
				return []string{"raw/a.csv", "raw/b.csv", "raw/inside", "raw/inside-deep"}, nil
			}
			return o.Glob(ctx, "", glob.MustCompile("**"))
		}()
		if want := "raw/a.csv raw/b.csv raw/inside raw/inside-deep"; err != nil || strings.Join(got, " ") != want {
			t.Errorf("the view has %q, %v, want %s", got, err, want)
		}
		for path, word := range unusable {
			for what, try := range map[string]func() error{
				"Stat":   func() error { _, err := o.Stat(ctx, path); return err },
				"Open":   func() error { _, err := readAll(o, path); return err },
				"Create": func() error { _, err := o.Create(ctx, path, workspace.Replace); return err },
				"Copy":   func() error { return o.Copy(ctx, path, "x") },
				"Remove": func() error { return o.Remove(ctx, path) },
			} {
				err := try()
				if what == "Create" && strings.Contains(path, "\n") {
					word = "control character"
				}
				if err == nil || !strings.Contains(err.Error(), word) {
					t.Errorf("listed=%t: %s(%q): got %v, want an error with %q", listed, what, path, err, word)
				}
			}
		}
		for _, path := range []string{"folder-out/secret.txt", "raw/up/raw/a.csv", "chain-folder/secret.txt", "../secret.txt", "/etc/passwd", "raw/../../secret.txt"} {
			if text, err := readAll(o, path); err == nil {
				t.Errorf("listed=%t: %s was read: %q", listed, path, text)
			}
		}
		if _, err := o.Stat(ctx, "hollow"); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("listed=%t: a folder that holds nothing to be shown: %v", listed, err)
		}
		if infos, err := o.Glob(ctx, "raw/up", glob.MustCompile("*")); len(infos) > 0 || err == nil {
			t.Errorf("listed=%t: glob below a link: %q, %v", listed, infos, err)
		}
		if n := o.Unnameable(); listed && n != len(unusable)+1 { // and the backslash
			t.Errorf("%d objects are left out, want %d", n, len(unusable)+1)
		}
	}
}

// TestLinkedFolders: nothing is below a link, whoever asks.
func TestLinkedFolders(t *testing.T) {
	ctx := context.Background()
	s := open(t, oddFolder(t))
	for _, path := range []string{"raw/up/raw/a.csv", "folder-out/secret.txt", "chain-folder/secret.txt"} {
		if p, err := s.Probe(ctx, "", "", path); p.File || p.Below != "" || err != nil {
			t.Errorf("Probe(%s) is %+v, %v", path, p, err)
		}
		if f, err := s.Open(ctx, "", "", path); !errors.Is(err, fs.ErrNotExist) {
			t.Errorf("Open(%s) is %v, %v", path, f, err)
		}
	}
	for o, err := range s.List(ctx, "", "", "raw/up/") {
		t.Errorf("List below a link has %+v, %v", o, err)
	}
	dir, err := s.openFolder("")
	if err != nil {
		t.Fatal(err)
	}
	defer dir.Close()
	for _, name := range []string{"folder-out", "chain-folder", "chain-1"} {
		if f, err := openFolder(dir, name); !missing(err) {
			t.Errorf("openFolder(%s) is %v, %v", name, f, err)
		}
	}
}

// TestChangedBetweenCheckAndUse swaps what was listed for what leads out.
func TestChangedBetweenCheckAndUse(t *testing.T) {
	ctx := context.Background()
	for name, swap := range map[string]func(t *testing.T, dir string){
		"file for link": func(t *testing.T, dir string) {
			os.Remove(filepath.Join(dir, "raw/a.csv"))
			os.Symlink("../../secret.txt", filepath.Join(dir, "raw/a.csv"))
		},
		"folder for link": func(t *testing.T, dir string) {
			os.Rename(filepath.Join(dir, "raw"), filepath.Join(dir, "was"))
			os.Symlink("../out", filepath.Join(dir, "raw"))
		},
		"link for link": func(t *testing.T, dir string) {
			os.Remove(filepath.Join(dir, "raw/link"))
			os.Symlink("../../secret.txt", filepath.Join(dir, "raw/link"))
		},
		"file for pipe": func(t *testing.T, dir string) {
			os.Remove(filepath.Join(dir, "raw/a.csv"))
			if err := unix.Mkfifo(filepath.Join(dir, "raw/a.csv"), 0o600); err != nil {
				t.Fatal(err)
			}
		},
		"file for folder": func(t *testing.T, dir string) {
			os.Remove(filepath.Join(dir, "raw/a.csv"))
			os.Mkdir(filepath.Join(dir, "raw/a.csv"), 0o700)
		},
	} {
		t.Run(name, func(t *testing.T) {
			base := t.TempDir()
			fill(t, base, map[string]string{"secret.txt": "SECRET", "out/a.csv": "SECRET", "out/link": "SECRET", "ws/raw/a.csv": "a"})
			dir := filepath.Join(base, "ws")
			if err := os.Symlink("a.csv", filepath.Join(dir, "raw/link")); err != nil {
				t.Fatal(err)
			}
			s := open(t, dir)
			o := overlay(t, dir, workspace.Spec{})
			if got, err := o.Glob(ctx, "", glob.MustCompile("raw/*")); len(got) != 2 || err != nil {
				t.Fatalf("the view has %q, %v", got, err)
			}
			path := "raw/a.csv"
			if name == "link for link" {
				path = "raw/link"
			}
			swap(t, dir)
			done := make(chan struct{})
			go func() {
				defer close(done)
				if text, err := readAll(o, path); err == nil {
					t.Errorf("%s was read: %q", path, text)
				}
				if f, err := s.Open(ctx, "", "", path); err == nil {
					f.Close()
					t.Errorf("%s was opened", path)
				}
			}()
			select {
			case <-done:
			case <-time.After(10 * time.Second):
				t.Fatal("opening it hangs")
			}
		})
	}
}

func TestOddModes(t *testing.T) {
	for mode, word := range map[fs.FileMode]string{
		0:                                 "",
		fs.ModeNamedPipe:                  "named pipe",
		fs.ModeSocket:                     "socket",
		fs.ModeDevice:                     "device",
		fs.ModeDevice | fs.ModeCharDevice: "device",
		fs.ModeIrregular:                  "no regular file",
	} {
		if got := unusableMode(mode); (got == "") != (word == "") || !strings.Contains(got, word) {
			t.Errorf("unusableMode(%v) is %q, want a word of %q", mode, got, word)
		}
	}
}

func TestOpenRefusesWhatIsNoFolder(t *testing.T) {
	dir := fill(t, t.TempDir(), map[string]string{"plain": "x"})
	for path, word := range map[string]string{"none": "there is no such folder", "plain": "is a file, not a folder"} {
		_, err := Open(filepath.Join(dir, path))
		if err == nil || !strings.Contains(err.Error(), word) || strings.Count(err.Error(), path) != 1 {
			t.Errorf("Open(%s): got %v, want %q", path, err, word)
		}
	}
}

// TestListedCountsFiles: what is asked for by its path again and again counts
// once, before its folder is listed and after.
func TestListedCountsFiles(t *testing.T) {
	ctx := context.Background()
	o := overlay(t, fill(t, t.TempDir(), map[string]string{"raw/a.csv": "a", "raw/b.csv": "b", "other/c": "c"}), workspace.Spec{})
	look := func(want int) {
		t.Helper()
		for range 3 {
			if _, err := readAll(o, "raw/a.csv"); err != nil {
				t.Fatal(err)
			}
			if _, err := o.Stat(ctx, "other/none"); err == nil {
				t.Fatal("other/none is there")
			}
		}
		if u := o.Usage(); u.ObjectsListed != want || u.ObjectsRead != 1 {
			t.Errorf("read %d of %d files, want 1 of %d", u.ObjectsRead, u.ObjectsListed, want)
		}
	}
	look(1)
	if _, err := o.ReadDir(ctx, "raw"); err != nil {
		t.Fatal(err)
	}
	look(2)
}

// TestListsOnlyWhatIsAsked: a folder that the prefix excludes is not read, which
// is seen by one that cannot be listed without an error.
func TestListsOnlyWhatIsAsked(t *testing.T) {
	dir := fill(t, t.TempDir(), map[string]string{"raw/a.csv": "a", "other/b": "b"})
	deep := filepath.Join(dir, "other")
	for range maxDepth + 2 {
		deep = filepath.Join(deep, "d")
	}
	if err := os.MkdirAll(deep, 0o700); err != nil {
		t.Fatal(err)
	}
	// Beside the folder that is too deep, and before what is in it.
	if err := os.WriteFile(filepath.Join(deep, "../../../d!x"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	o := overlay(t, dir, workspace.Spec{})
	if got, err := o.Glob(context.Background(), "", glob.MustCompile("raw/*.csv")); len(got) != 1 || err != nil {
		t.Errorf("got %q, %v", got, err)
	}
	if u := o.Usage(); u.ObjectsListed != 1 {
		t.Errorf("%d objects were listed, want 1", u.ObjectsListed)
	}
	if got, err := o.Glob(context.Background(), "", glob.MustCompile("**")); len(got) != 3 || err != nil || o.Unnameable() != 1 {
		t.Errorf("got %q, %v and %d left out, want 3 files, and the folder that is too deep left out", got, err, o.Unnameable())
	}
}
