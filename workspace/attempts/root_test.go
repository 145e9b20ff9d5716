package attempts

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"perago/workspace/localfile"
	"perago/workspace/storage"
)

// TestMain lets this test binary be the other process that some tests need.
func TestMain(m *testing.M) {
	if dir := os.Getenv("PERAGO_TEST_ROOT"); dir != "" {
		os.Exit(otherProcess(dir))
	}
	os.Exit(m.Run())
}

// otherProcess opens a root, makes an attempt that records a branch, says so,
// and then waits to be killed.
func otherProcess(dir string) int {
	root, err := OpenRoot(dir, nil)
	if err != nil {
		os.Stdout.WriteString(err.Error() + "\n")
		return 1
	}
	d, err := root.NewAttempt(Record{Task: TaskKey{Name: "t", TaskID: "other"}})
	if err == nil {
		err = d.RecordBranch("songs", leftBranch())
	}
	if err != nil {
		os.Stdout.WriteString(err.Error() + "\n")
		return 1
	}
	os.Stdout.WriteString(d.Path + "\n")
	os.Stdin.Read(make([]byte, 1))
	return 0
}

// leftBranch is a branch of otherProcess's attempt.
func leftBranch() string {
	return TaskKey{Name: "t", TaskID: "other"}.BranchPrefix() + "0-0123456789abcdef"
}

// process starts otherProcess and returns what it said.
func process(t *testing.T, dir string) (said string, kill func()) {
	t.Helper()
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), "PERAGO_TEST_ROOT="+dir)
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	kill = sync.OnceFunc(func() {
		cmd.Process.Kill()
		cmd.Wait()
		in.Close()
	})
	t.Cleanup(kill)
	said, err = bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(said), kill
}

func openRoot(t *testing.T, dir string) *Root {
	t.Helper()
	root, err := OpenRoot(dir, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	return root
}

func newAttempt(t *testing.T, root *Root, id string) *Dir {
	t.Helper()
	d, err := root.NewAttempt(Record{Task: TaskKey{Name: "t", TaskID: id, Retry: 2}})
	if err != nil {
		t.Fatal(err)
	}
	return d
}

func exists(t *testing.T, path string) bool {
	t.Helper()
	_, err := os.Stat(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		t.Fatal(err)
	}
	return err == nil
}

func TestRootIsHeldByOneWorker(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "made", "when missing")
	root := openRoot(t, dir)
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("the root has mode %v, %v, want 0700", info.Mode(), err)
	}
	if _, err := OpenRoot(dir, nil); !errors.Is(err, ErrLocked) {
		t.Errorf("a second worker: error %v, want %q", err, ErrLocked)
	}
	shared, err := OpenRoot(dir, &RootOptions{Shared: true})
	if err != nil {
		t.Fatalf("a single run beside the worker: %v", err)
	}
	newAttempt(t, shared, "run").Close(Drop)
	if err := root.Close(); err != nil {
		t.Fatal(err)
	}
	openRoot(t, dir)
}

func TestRootIsFreeWhenItsProcessIsKilled(t *testing.T) {
	dir := t.TempDir()
	path, kill := process(t, dir)
	if !exists(t, path) {
		t.Fatalf("the other process made no attempt: %s", path)
	}
	_, err := OpenRoot(dir, nil)
	if !errors.Is(err, ErrLocked) || !strings.Contains(err.Error(), "process ") {
		t.Fatalf("error %v, want %q and the process", err, ErrLocked)
	}
	// A single run beside it must not take a living attempt for a dead one.
	shared, err := OpenRoot(dir, &RootOptions{Shared: true})
	if err != nil {
		t.Fatal(err)
	}
	if swept, err := shared.Sweep(t.Context(), SweepOptions{}); err != nil || swept != (Swept{}) || !exists(t, path) {
		t.Fatalf("a sweep beside a living attempt = %+v, %v, want nothing", swept, err)
	}
	kill()
	root := openRoot(t, dir)
	var dropped []string
	swept, err := root.Sweep(t.Context(), SweepOptions{DropBranch: func(_ context.Context, repo, branch string) error {
		dropped = append(dropped, repo+"/"+branch)
		return nil
	}})
	if err != nil || swept != (Swept{Attempts: 1, Branches: 1}) {
		t.Errorf("sweep = %+v, %v, want one attempt and one branch", swept, err)
	}
	if want := []string{"songs/" + leftBranch()}; !slices.Equal(dropped, want) {
		t.Errorf("dropped %q, want %q", dropped, want)
	}
	if exists(t, path) {
		t.Error("the dead attempt's folder is left")
	}
}

func TestAttemptRecord(t *testing.T) {
	root := openRoot(t, t.TempDir())
	d := newAttempt(t, root, "a/../b ü")
	if name := d.Name(); !strings.HasPrefix(name, "a____b") || strings.ContainsAny(name, "/ ü.") || !strings.Contains(name, "-2-") {
		t.Errorf("folder %q, want the task id with nothing odd in it, and the retry", name)
	}
	if filepath.Dir(d.Files()) != d.Path || !exists(t, d.Files()) {
		t.Errorf("Files = %s, want a folder in %s", d.Files(), d.Path)
	}
	read := func() Record {
		t.Helper()
		var rec Record
		data, err := os.ReadFile(filepath.Join(d.Path, "attempt.json"))
		if err == nil {
			err = json.Unmarshal(data, &rec)
		}
		if err != nil {
			t.Fatal(err)
		}
		return rec
	}
	if rec := read(); rec.PID != os.Getpid() || rec.Task.TaskID != "a/../b ü" || rec.Started.IsZero() {
		t.Errorf("record = %+v, want this process, the task and the time", rec)
	}
	for _, branch := range []string{"one", "two"} {
		if err := d.RecordBranch("songs", branch); err != nil {
			t.Fatal(err)
		}
	}
	if err := d.ForgetBranch("songs", "one"); err != nil {
		t.Fatal(err)
	}
	if rec, want := read(), []Branch{{"songs", "two"}}; !slices.Equal(rec.Branches, want) {
		t.Errorf("branches = %v, want %v", rec.Branches, want)
	}
}

func TestCloseLeavesWhatTheSweepNeeds(t *testing.T) {
	root := openRoot(t, t.TempDir())
	clean := newAttempt(t, root, "clean")
	if err := clean.Close(Drop); err != nil || exists(t, clean.Path) {
		t.Errorf("Close(Drop) = %v, folder there: %t, want it gone", err, exists(t, clean.Path))
	}

	owing := newAttempt(t, root, "owing")
	if err := owing.RecordBranch("songs", owing.record.Task.NewBranch()); err != nil {
		t.Fatal(err)
	}
	if err := owing.Close(Drop); err != nil {
		t.Fatal(err)
	}
	if exists(t, owing.Files()) || !exists(t, filepath.Join(owing.Path, "attempt.json")) {
		t.Error("an attempt that owes a branch: want its files gone and its record kept")
	}
	down := errors.New("connection refused")
	for _, o := range []SweepOptions{
		{}, // no server is configured
		{DropBranch: func(context.Context, string, string) error { return down }},
	} {
		swept, err := root.Sweep(t.Context(), o)
		if err != nil || swept.Left != 1 || swept.Err == nil || !exists(t, owing.Path) {
			t.Errorf("sweep without the server = %+v, %v, want the record left and why", swept, err)
		}
	}
	swept, err := root.Sweep(t.Context(), SweepOptions{DropBranch: func(context.Context, string, string) error { return storage.ErrUnknownRepository }})
	if err != nil || swept.Attempts != 1 || swept.Err != nil || exists(t, owing.Path) {
		t.Errorf("sweep of a branch whose repository is gone = %+v, %v, want it done", swept, err)
	}
}

// A sweep deletes what perago made on the server that the record names, and
// nothing else, whatever the record says.
func TestSweepDeletesOnlyItsOwnBranches(t *testing.T) {
	const here, there = "https://lakefs.example.com", "https://other.example.com"
	task := TaskKey{Name: "t", WorkflowID: "wf", TaskID: "id", Retry: 1}
	other := TaskKey{Name: "t", WorkflowID: "wf2", TaskID: "id", Retry: 1}
	from, into := SelfTestBranches()
	mine := task.NewBranch()
	for _, c := range []struct {
		made, swept, branch string
		want                bool
	}{
		{here, here, mine, true},
		{here, here, from, true},
		{here, here, into, true},
		{there, here, mine, false},
		{"", here, mine, false}, // of a version that did not say
		{here, "", mine, false},
		{here, here, "main", false},
		{here, here, "somebodys-work", false},
		{here, here, "perago-", false},
		{here, here, "perago-work", false},
		{here, here, "perago-selftest-of-mine", false},
		{here, here, from + "-else", false},
		{here, here, other.NewBranch(), false},
		{here, here, task.BranchPrefix() + "2-0123456789abcdef", false}, // of another attempt
		{here, here, task.BranchPrefix() + "1-0123456789ABCDEF", false},
		{here, here, task.BranchPrefix() + "1-0123", false},
		{here, here, mine + "-else", false},
	} {
		dir := t.TempDir()
		root, err := OpenRoot(dir, &RootOptions{Server: c.made})
		if err != nil {
			t.Fatal(err)
		}
		d, err := root.NewAttempt(Record{Task: task})
		if err != nil {
			t.Fatal(err)
		}
		if err := errors.Join(d.RecordBranch("songs", c.branch), d.Close(Drop), root.Close()); err != nil {
			t.Fatal(err)
		}
		root, err = OpenRoot(dir, &RootOptions{Server: c.swept})
		if err != nil {
			t.Fatal(err)
		}
		var dropped []string
		swept, err := root.Sweep(t.Context(), SweepOptions{DropBranch: func(_ context.Context, _, branch string) error {
			dropped = append(dropped, branch)
			return nil
		}})
		if err != nil || slices.Equal(dropped, []string{c.branch}) != c.want || len(dropped) == 0 == c.want || exists(t, d.Path) == c.want {
			t.Errorf("%s of %q swept at %q: dropped %q, %+v, want it gone: %t", c.branch, c.made, c.swept, dropped, swept, c.want)
		}
		if !c.want && (swept.Left != 1 || swept.Err == nil || !strings.Contains(swept.Err.Error(), "remove "+d.Path)) {
			t.Errorf("%s of %q swept at %q: %+v, want it left, and what to do", c.branch, c.made, c.swept, swept)
		}
		root.Close()
	}
}

// One folder whose lock cannot be taken, as another user's, does not keep the
// rest from being swept.
func TestSweepGoesOnPastAForeignFolder(t *testing.T) {
	root := openRoot(t, t.TempDir())
	const foreign = 30
	for i := range foreign {
		// A folder where the lock file should be: no user can open that to write.
		if err := os.MkdirAll(filepath.Join(root.Path, "attempts", fmt.Sprintf("foreign-%02d", i), lockFile), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	for _, name := range []string{"dead", "zdead"} {
		if err := os.Mkdir(filepath.Join(root.Path, "attempts", name), 0o700); err != nil {
			t.Fatal(err)
		}
	}
	swept, err := root.Sweep(t.Context(), SweepOptions{})
	if err != nil || swept.Attempts != 2 || swept.Left != foreign || swept.Err == nil {
		t.Fatalf("sweep = %+v, %v, want 2 gone and %d left", swept, err, foreign)
	}
	if text := swept.Err.Error(); !strings.Contains(text, "foreign-00") || !strings.Contains(text, "and 10 more") {
		t.Errorf("error %q, want the first 20 folders, and how many more", text)
	}
}

func TestKeptAttemptsStayForAWhile(t *testing.T) {
	root := openRoot(t, t.TempDir())
	kept := newAttempt(t, root, "kept")
	if err := os.WriteFile(filepath.Join(kept.Files(), "x"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := kept.RecordBranch("songs", kept.record.Task.NewBranch()); err != nil {
		t.Fatal(err)
	}
	if err := kept.Close(KeepFiles); err != nil {
		t.Fatal(err)
	}
	drops := 0
	o := SweepOptions{KeepFor: time.Hour, DropBranch: func(context.Context, string, string) error { drops++; return nil }}
	for range 2 {
		swept, err := root.Sweep(t.Context(), o)
		if err != nil || swept.Err != nil || swept.Attempts != 0 || !exists(t, filepath.Join(kept.Files(), "x")) {
			t.Errorf("sweep = %+v, %v, want the folder kept", swept, err)
		}
	}
	if drops != 1 {
		t.Errorf("its branch was dropped %d times, want once", drops)
	}
	o.KeepFor = 0
	if swept, err := root.Sweep(t.Context(), o); err != nil || swept.Attempts != 1 || exists(t, kept.Path) {
		t.Errorf("sweep after its time = %+v, %v, want it gone", swept, err)
	}
}

func TestSweepTakesHalfMadeFolders(t *testing.T) {
	root := openRoot(t, t.TempDir())
	for name, record := range map[string]string{"empty": "", "torn": `{"task": {"na`} {
		dir := filepath.Join(root.Path, "attempts", name)
		if err := os.MkdirAll(filepath.Join(dir, "files"), 0o700); err != nil {
			t.Fatal(err)
		}
		if record != "" {
			if err := os.WriteFile(filepath.Join(dir, "attempt.json"), []byte(record), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	if swept, err := root.Sweep(t.Context(), SweepOptions{}); err != nil || swept.Attempts != 2 || swept.Err != nil {
		t.Errorf("sweep = %+v, %v, want both gone", swept, err)
	}
}

// TestSweepAmongAttempts makes and closes attempts while sweeps run.
func TestSweepAmongAttempts(t *testing.T) {
	root := openRoot(t, t.TempDir())
	done := make(chan struct{})
	var sweeps sync.WaitGroup
	sweeps.Go(func() {
		for {
			select {
			case <-done:
				return
			default:
			}
			if swept, err := root.Sweep(t.Context(), SweepOptions{}); err != nil || swept != (Swept{}) {
				t.Errorf("sweep among living attempts = %+v, %v, want nothing", swept, err)
				return
			}
		}
	})
	var attempts sync.WaitGroup
	for range 4 {
		attempts.Go(func() {
			for range 25 {
				d, err := root.NewAttempt(Record{Task: TaskKey{TaskID: "x"}})
				if err != nil {
					t.Error(err)
					return
				}
				if !exists(t, d.Files()) {
					t.Error("a sweep took a living attempt")
				}
				if err := d.Close(Drop); err != nil {
					t.Error(err)
				}
			}
		})
	}
	attempts.Wait()
	close(done)
	sweeps.Wait()
}

func TestOpenRootSaysWhyNot(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err := OpenRoot(filepath.Join(file, "root"), nil)
	if err == nil || !strings.Contains(err.Error(), file) {
		t.Errorf("error %v, want one that names %s", err, file)
	}
}

// A branch is on record for good before it is made: the content of the record is
// on the disk before its name is, and then the names of the file and its folder.
func TestRecordedBranchLasts(t *testing.T) {
	root := openRoot(t, t.TempDir())
	d := newAttempt(t, root, "id")
	var got []string
	root.sync = func(f *os.File) error {
		rec, err := readRecord(d.Path)
		if err != nil {
			return err
		}
		name, _ := filepath.Rel(root.Path, f.Name())
		got = append(got, fmt.Sprintf("%s: %d on record", strings.ReplaceAll(name, d.Name(), "A"), len(rec.Branches)))
		return localfile.Sync(f)
	}
	if err := d.RecordBranch("songs", "one"); err != nil {
		t.Fatal(err)
	}
	if want := []string{"attempts/A/attempt.json.new: 0 on record", "attempts/A: 1 on record", "attempts: 1 on record"}; !slices.Equal(got, want) {
		t.Errorf("synced %q, want %q", got, want)
	}
	full := errors.New("no space left")
	for fails := 1; fails <= 3; fails++ {
		syncs := 0
		root.sync = func(*os.File) error {
			if syncs++; syncs == fails {
				return full
			}
			return nil
		}
		if err := d.RecordBranch("songs", "two"); !errors.Is(err, full) {
			t.Errorf("sync %d fails: got %v, want %v", fails, err, full)
		}
	}
}
