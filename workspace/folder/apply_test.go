package folder

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"

	"perago/workspace"
	"perago/workspace/publish"
)

// snapshot is a folder as lines: "path mode content".
func snapshot(t *testing.T, dir string) string {
	t.Helper()
	var lines []string
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || path == dir {
			return err
		}
		name, _ := filepath.Rel(dir, path)
		info, err := d.Info()
		if err != nil {
			return err
		}
		line := name + " " + info.Mode().String()
		switch info.Mode().Type() {
		case 0:
			data, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			line += " " + string(data)
		case fs.ModeSymlink:
			target, err := os.Readlink(path)
			if err != nil {
				return err
			}
			line += " -> " + target
		}
		lines = append(lines, line)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(lines, "\n")
}

func write(o *workspace.Overlay, path, text string) error {
	d, err := o.Create(context.Background(), path, workspace.Replace)
	if err != nil {
		return err
	}
	if _, err := d.File.WriteString(text); err != nil {
		return err
	}
	_, err = d.Commit(context.Background())
	return err
}

func TestApply(t *testing.T) {
	ctx := context.Background()
	for name, c := range map[string]struct {
		do   func(o *workspace.Overlay, dir string) error
		want string // lines that differ from before: "-" went, "+" came
	}{
		"nothing":        {func(o *workspace.Overlay, dir string) error { return nil }, ""},
		"the same bytes": {func(o *workspace.Overlay, dir string) error { return write(o, "top", "t") }, ""},
		"one file": {func(o *workspace.Overlay, dir string) error { return write(o, "raw/a.csv", "new") },
			"-raw/a.csv -rw-r----- a\n+raw/a.csv -rw-r----- new"},
		"one new file": {func(o *workspace.Overlay, dir string) error { return write(o, "raw/new", "n") }, "+raw/new -rw-r--r-- n"},
		"one new file, folders above": {func(o *workspace.Overlay, dir string) error { return write(o, "x/y/z", "n") },
			"+x drwxr-xr-x\n+x/y drwxr-xr-x\n+x/y/z -rw-r--r-- n"},
		"several in one folder": {func(o *workspace.Overlay, dir string) error {
			return errors.Join(write(o, "raw/a.csv", "new"), write(o, "raw/d/e", "e"), o.Remove(ctx, "raw/b.csv"))
		}, "-raw/a.csv -rw-r----- a\n+raw/a.csv -rw-r----- new\n-raw/b.csv -rwxr-xr-x b\n+raw/d drwxr-xr-x\n+raw/d/e -rw-r--r-- e"},
		"several at the root": {func(o *workspace.Overlay, dir string) error {
			return errors.Join(write(o, "top", "T"), write(o, "raw/a.csv", "A"), write(o, "out/x", "x"))
		}, "+out drwxr-xr-x\n+out/x -rw-r--r-- x\n-raw/a.csv -rw-r----- a\n+raw/a.csv -rw-r----- A\n-top -rw-r--r-- t\n+top -rw-r--r-- T"},
		"remove one": {func(o *workspace.Overlay, dir string) error { return o.Remove(ctx, "raw/a.csv") }, "-raw/a.csv -rw-r----- a"},
		"remove a folder": {func(o *workspace.Overlay, dir string) error { return o.RemoveTree(ctx, "old") },
			"-old drwxr-xr-x\n-old/deep drwxr-xr-x\n-old/deep/empty drwxr-xr-x\n-old/deep/f -rw-r--r-- f"},
		"remove what makes folders empty": {func(o *workspace.Overlay, dir string) error { return o.Remove(ctx, "old/deep/f") },
			"-old drwxr-xr-x\n-old/deep drwxr-xr-x\n-old/deep/empty drwxr-xr-x\n-old/deep/f -rw-r--r-- f"},
		"remove beside what is not shown": {func(o *workspace.Overlay, dir string) error { return o.RemoveTree(ctx, "mixed") }, "-mixed/f -rw-r--r-- f"},
		"remove all": {func(o *workspace.Overlay, dir string) error { return o.RemoveTree(ctx, "") },
			"-link Lrwxrwxrwx -> top\n-mixed/f -rw-r--r-- f\n-old drwxr-xr-x\n-old/deep drwxr-xr-x\n-old/deep/empty drwxr-xr-x\n-old/deep/f -rw-r--r-- f\n" +
				"-raw drwxrwxr-x\n-raw/a.csv -rw-r----- a\n-raw/b.csv -rwxr-xr-x b\n-top -rw-r--r-- t"},
		"a file for a folder": {func(o *workspace.Overlay, dir string) error {
			return errors.Join(o.RemoveTree(ctx, "old"), write(o, "old", "file"))
		}, "-old drwxr-xr-x\n+old -rw-r--r-- file\n-old/deep drwxr-xr-x\n-old/deep/empty drwxr-xr-x\n-old/deep/f -rw-r--r-- f"},
		"a folder for a file": {func(o *workspace.Overlay, dir string) error {
			return errors.Join(o.Remove(ctx, "top"), write(o, "top/x", "x"))
		}, "-top -rw-r--r-- t\n+top drwxr-xr-x\n+top/x -rw-r--r-- x"},
		"a file for an empty folder": {func(o *workspace.Overlay, dir string) error { return write(o, "empty", "file") },
			"-empty drwxr-xr-x\n+empty -rw-r--r-- file"},
		"mkdir": {func(o *workspace.Overlay, dir string) error { return o.Mkdir(ctx, "made/deep") },
			"+made drwxr-xr-x\n+made/deep drwxr-xr-x"},
		"mkdir of what is there": {func(o *workspace.Overlay, dir string) error { return o.Mkdir(ctx, "empty") }, ""},
		"rename": {func(o *workspace.Overlay, dir string) error { return o.Rename(ctx, "raw/a.csv", "moved/a.csv") },
			"+moved drwxr-xr-x\n+moved/a.csv -rw-r----- a\n-raw/a.csv -rw-r----- a"},
		"rename a folder": {func(o *workspace.Overlay, dir string) error { return o.Rename(ctx, "old", "new") },
			"+new drwxr-xr-x\n+new/deep drwxr-xr-x\n+new/deep/f -rw-r--r-- f\n-old drwxr-xr-x\n-old/deep drwxr-xr-x\n-old/deep/empty drwxr-xr-x\n-old/deep/f -rw-r--r-- f"},
		"swap": {func(o *workspace.Overlay, dir string) error {
			return errors.Join(o.Rename(ctx, "raw/a.csv", "x"), o.Rename(ctx, "raw/b.csv", "raw/a.csv"), o.Rename(ctx, "x", "raw/b.csv"))
		}, "-raw/a.csv -rw-r----- a\n+raw/a.csv -rw-r----- b\n-raw/b.csv -rwxr-xr-x b\n+raw/b.csv -rwxr-xr-x a"},
		"copy": {func(o *workspace.Overlay, dir string) error { return o.Copy(ctx, "raw/a.csv", "copy") }, "+copy -rw-r--r-- a"},
		"the target of a link": {func(o *workspace.Overlay, dir string) error { return write(o, "link", "new") },
			"-link Lrwxrwxrwx -> top\n+link -rw-r--r-- new"},
		"gone meanwhile": {func(o *workspace.Overlay, dir string) error {
			return errors.Join(o.Remove(ctx, "raw/a.csv"), os.Remove(filepath.Join(dir, "raw/a.csv")))
		}, "-raw/a.csv -rw-r----- a"},
		"the folder gone meanwhile": {func(o *workspace.Overlay, dir string) error {
			return errors.Join(o.Remove(ctx, "old/deep/f"), os.RemoveAll(filepath.Join(dir, "old")))
		}, "-old drwxr-xr-x\n-old/deep drwxr-xr-x\n-old/deep/empty drwxr-xr-x\n-old/deep/f -rw-r--r-- f"},
	} {
		t.Run(name, func(t *testing.T) {
			base := t.TempDir()
			dir := site1(t, filepath.Join(base, "ws"))
			before := snapshot(t, dir)
			o := overlay(t, dir, workspace.Spec{})
			if err := c.do(o, dir); err != nil {
				t.Fatal(err)
			}
			if err := Apply(ctx, dir, o); err != nil {
				t.Fatal(err)
			}
			if got := difference(before, snapshot(t, dir)); got != c.want {
				t.Errorf("the folder differs by\n%s\nwant\n%s", got, c.want)
			}
			if left, _ := os.ReadDir(base); len(left) != 1 {
				t.Errorf("beside the folder is left %v", left)
			}
		})
	}
}

// site1 is a folder with modes, links, a pipe and empty folders.
func site1(t *testing.T, dir string) string {
	fill(t, dir, map[string]string{"raw/a.csv": "a", "raw/b.csv": "b", "top": "t", "old/deep/f": "f", "mixed/f": "f"})
	for _, err := range []error{
		os.Chmod(filepath.Join(dir, "raw"), 0o775),
		os.Chmod(filepath.Join(dir, "raw/a.csv"), 0o640),
		os.Chmod(filepath.Join(dir, "raw/b.csv"), 0o755),
		os.MkdirAll(filepath.Join(dir, "empty"), 0o755),
		os.MkdirAll(filepath.Join(dir, "old/deep/empty"), 0o755),
		os.Symlink("top", filepath.Join(dir, "link")),
		os.Symlink("/etc", filepath.Join(dir, "out")+"side"),
		unix.Mkfifo(filepath.Join(dir, "mixed/fifo"), 0o600),
		os.WriteFile(filepath.Join(dir, "mixed", "new\nline"), []byte("x"), 0o644),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func difference(before, after string) string {
	old, now := map[string]bool{}, map[string]bool{}
	for _, l := range strings.Split(before, "\n") {
		old[l] = true
	}
	for _, l := range strings.Split(after, "\n") {
		now[l] = true
	}
	var lines []string
	for l := range old {
		if !now[l] {
			lines = append(lines, "-"+l)
		}
	}
	for l := range now {
		if !old[l] {
			lines = append(lines, "+"+l)
		}
	}
	path := func(l string) string { return strings.SplitN(l[1:], " ", 2)[0] }
	slices.SortFunc(lines, func(a, b string) int {
		if c := strings.Compare(path(a), path(b)); c != 0 {
			return c
		}
		return strings.Compare(b, a) // what went first
	})
	return strings.Join(lines, "\n")
}

func TestApplyKeepsWhatIsSameFile(t *testing.T) {
	ctx := context.Background()
	dir := site1(t, filepath.Join(t.TempDir(), "ws"))
	inode := func(path string) uint64 {
		t.Helper()
		info, err := os.Lstat(filepath.Join(dir, path))
		if err != nil {
			t.Fatal(err)
		}
		return info.Sys().(*syscall.Stat_t).Ino
	}
	a, b := inode("raw/a.csv"), inode("raw/b.csv")
	o := overlay(t, dir, workspace.Spec{})
	if err := errors.Join(o.Rename(ctx, "raw/a.csv", "moved"), o.Copy(ctx, "raw/b.csv", "copy"), write(o, "top", "new")); err != nil {
		t.Fatal(err)
	}
	if err := Apply(ctx, dir, o); err != nil {
		t.Fatal(err)
	}
	if inode("moved") != a || inode("raw/b.csv") != b {
		t.Errorf("files that stay or move are not the same files")
	}
	if inode("copy") == b {
		t.Errorf("a copy is the same file: writing to one would change both")
	}
}

func TestApplyRefuses(t *testing.T) {
	ctx := context.Background()
	dir := site1(t, filepath.Join(t.TempDir(), "ws"))
	change := func(path string) *workspace.Overlay {
		o := overlay(t, dir, workspace.Spec{})
		if err := errors.Join(o.RemoveTree(ctx, "mixed"), write(o, path, "file")); err != nil {
			t.Fatal(err)
		}
		return o
	}
	before := snapshot(t, dir)
	if err := Apply(ctx, dir, change("mixed")); err == nil || !strings.Contains(err.Error(), "does not show") {
		t.Errorf("a file for a folder with a pipe in it: got %v", err)
	}
	held, err := os.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := unix.Flock(int(held.Fd()), unix.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	if err := Apply(ctx, dir, change("x")); err == nil || !strings.Contains(err.Error(), "another process") {
		t.Errorf("a folder that another one changes: got %v", err)
	}
	held.Close()
	cancelled, cancel := context.WithCancelCause(ctx)
	why := errors.New("told to stop")
	o := change("x")
	(&Applier{Dir: dir, step: func() { cancel(why) }}).apply(cancelled, o)
	if err := (&Applier{Dir: dir}).apply(cancelled, o); !errors.Is(err, why) {
		t.Errorf("after a cancel: got %v, want %v", err, why)
	}
	if got := snapshot(t, dir); got != before {
		t.Errorf("a refused change left\n%s", difference(before, got))
	}
	if left, _ := os.ReadDir(filepath.Dir(dir)); len(left) != 1 {
		t.Errorf("beside the folder is left %v", left)
	}
}

func TestPublishReadOnly(t *testing.T) {
	a := &Applier{Dir: "/does/not/exist"}
	p, err := a.Publish(context.Background(), publish.Publication{ReadOnly: true, Ref: workspace.Ref{Commit: "c"}})
	if err != nil || p.Commit != "c" {
		t.Errorf("got %+v, %v", p, err)
	}
	if p, err := a.Prepare(context.Background(), publish.Publication{}); p != nil || err != nil {
		t.Errorf("Prepare gives %+v, %v", p, err)
	}
}

// The environment of the child of TestKilled.
const (
	envDir  = "PERAGO_TEST_APPLY_DIR"
	envStep = "PERAGO_TEST_APPLY_STEP"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(envDir); dir != "" {
		if err := killedChild(dir, os.Getenv(envStep)); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// killedChild changes dir, and is killed just before a step.
func killedChild(dir, step string) error {
	at, err := strconv.Atoi(step)
	if err != nil {
		return err
	}
	s, err := Open(filepath.Join(dir, "ws"))
	if err != nil {
		return err
	}
	o := workspace.NewOverlay(s, workspace.Ref{}, workspace.OverlayOptions{Dir: filepath.Join(dir, "upper", step)})
	if err := bigChange(o); err != nil {
		return err
	}
	count := 0
	a := Applier{Dir: filepath.Join(dir, "ws"), step: func() {
		if count++; count == at {
			syscall.Kill(os.Getpid(), syscall.SIGKILL)
			select {}
		}
	}}
	_, err = a.Publish(context.Background(), publish.Publication{Overlay: o})
	return err
}

// bigChange touches files and folders of all kinds in several places.
func bigChange(o *workspace.Overlay) error {
	ctx := context.Background()
	err := errors.Join(o.RemoveTree(ctx, "old"), o.Rename(ctx, "raw/a.csv", "raw/moved.csv"), write(o, "top", "new"), o.Mkdir(ctx, "made"))
	for i := range 12 {
		err = errors.Join(err, write(o, fmt.Sprintf("out/%d/x", i), strings.Repeat("x", i)), write(o, fmt.Sprintf("many/%d", i), "changed"))
	}
	return err
}

// TestKilled kills a process at every step of a change, and looks at the folder
// with the eyes of the next one.
func TestKilled(t *testing.T) {
	base := t.TempDir()
	ws := filepath.Join(base, "ws")
	fresh := func() {
		os.RemoveAll(ws)
		site1(t, ws)
		for i := range 20 {
			fill(t, ws, map[string]string{fmt.Sprintf("many/%d", i): "before"})
		}
	}
	run := func(step int) error {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), envDir+"="+base, envStep+"="+strconv.Itoa(step))
		out, err := cmd.CombinedOutput()
		if err != nil && len(out) > 0 {
			t.Fatalf("step %d: %v: %s", step, err, out)
		}
		return err
	}
	fresh()
	before := snapshot(t, ws)
	if err := run(-1); err != nil {
		t.Fatal(err)
	}
	after := snapshot(t, ws)
	if before == after || strings.Count(difference(before, after), "\n") < 30 {
		t.Fatalf("the change is too small:\n%s", difference(before, after))
	}
	seen := map[string]int{}
	moments := 0
	for step := 1; ; step++ {
		fresh()
		err := run(step)
		if err == nil {
			break // the change has fewer steps
		}
		moments++
		switch snapshot(t, ws) {
		case before:
			seen["before"]++
		case after:
			seen["after"]++
		default:
			t.Fatalf("killed at step %d, the folder is\n%s", step, difference(before, snapshot(t, ws)))
		}
	}
	if moments < 50 || seen["before"] == 0 || seen["after"] == 0 {
		t.Errorf("killed at %d moments, seen %v: want 50, and both", moments, seen)
	}
	// The last run came to its end, and took away what those that were killed left.
	entries, err := os.ReadDir(base)
	if err != nil {
		t.Fatal(err)
	}
	names := map[string]bool{}
	for _, e := range entries {
		names[e.Name()] = true
	}
	if want := map[string]bool{"ws": true, "upper": true}; !maps.Equal(names, want) {
		t.Errorf("beside the folder is left %v", names)
	}
}

// What is put in place has its content on the disk before it has its name, and
// its name on the disk before the change counts as made.
func TestSyncsAroundTheOneStep(t *testing.T) {
	for name, c := range map[string]struct {
		do   func(o *workspace.Overlay) error
		want []string // a sync of which folder, and what is at top and raw/a.csv then
	}{
		"replaced": {func(o *workspace.Overlay) error { return errors.Join(write(o, "top", "T"), write(o, "raw/a.csv", "A")) },
			[]string{"staging: t a", ".: T A"}},
		"one file": {func(o *workspace.Overlay) error { return write(o, "raw/a.csv", "A") }, []string{"staging: t a", "ws/raw: t A"}},
		"removed":  {func(o *workspace.Overlay) error { return o.Remove(context.Background(), "top") }, []string{"ws: - a"}},
	} {
		t.Run(name, func(t *testing.T) {
			base := t.TempDir()
			dir := site1(t, filepath.Join(base, "ws"))
			o := overlay(t, dir, workspace.Spec{})
			if err := c.do(o); err != nil {
				t.Fatal(err)
			}
			content := func(path string) string {
				data, err := os.ReadFile(filepath.Join(dir, path))
				if err != nil {
					return "-"
				}
				return string(data)
			}
			var got []string
			a := &Applier{Dir: dir, sync: func(f *os.File, how func(*os.File) error) error {
				synced, err := f.Stat()
				if err != nil {
					return err
				}
				folder := "staging"
				for _, name := range []string{".", "ws", "ws/raw"} {
					if at, err := os.Stat(filepath.Join(base, name)); err == nil && os.SameFile(at, synced) {
						folder = name
					}
				}
				got = append(got, fmt.Sprintf("%s: %s %s", folder, content("top"), content("raw/a.csv")))
				return how(f)
			}}
			if err := a.apply(context.Background(), o); err != nil {
				t.Fatal(err)
			}
			if !slices.Equal(got, c.want) {
				t.Errorf("synced %q, want %q", got, c.want)
			}
		})
	}
}

// A change that could not be made to last is an error.
func TestSyncThatFails(t *testing.T) {
	full := errors.New("no space left")
	for fails := 1; fails <= 2; fails++ {
		dir := site1(t, filepath.Join(t.TempDir(), "ws"))
		o := overlay(t, dir, workspace.Spec{})
		if err := write(o, "top", "T"); err != nil {
			t.Fatal(err)
		}
		syncs := 0
		a := &Applier{Dir: dir, sync: func(*os.File, func(*os.File) error) error {
			if syncs++; syncs == fails {
				return full
			}
			return nil
		}}
		if err := a.apply(context.Background(), o); !errors.Is(err, full) {
			t.Errorf("sync %d fails: got %v, want %v", fails, err, full)
		}
	}
}
