package logs_test

import (
	"encoding/json"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"perago/engine/logs"
)

func openLogs(t *testing.T, dir string, o *logs.Options) *logs.Files {
	t.Helper()
	l, err := logs.Open(dir, "w-host-1", o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := l.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return l
}

// files returns the log files under dir with their messages, "a b c".
func files(t *testing.T, dir string) map[string]string {
	t.Helper()
	out := make(map[string]string)
	err := fs.WalkDir(os.DirFS(dir), ".", func(name string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			return err
		}
		var messages []string
		for line := range strings.Lines(string(data)) {
			var record struct{ Msg string }
			if err := json.Unmarshal([]byte(line), &record); err != nil {
				t.Errorf("%s: %v in %q", name, err, line)
			}
			messages = append(messages, record.Msg)
		}
		out[name] = strings.Join(messages, " ")
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func wantFiles(t *testing.T, dir string, want map[string]string) {
	t.Helper()
	if got := files(t, dir); !reflect.DeepEqual(got, want) {
		t.Errorf("log files: got %v, want %v", got, want)
	}
}

func TestLogGoesToTheFileOfItsTask(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "made", "when missing")
	log := slog.New(openLogs(t, dir, nil).Handler())
	log.Info("own")
	log.Info("record", "task", "songs.count")
	attempt := log.With("task", "songs.count", "retry", 1)
	attempt.Info("with")
	attempt.With("x", 1).WithGroup("g").Info("deeper", "task", "other")
	log.WithGroup("g").Info("grouped", "task", "songs.count")
	log.With("a", 1).Info("late", "task", "b")
	log.Debug("not at this level")
	wantFiles(t, dir, map[string]string{
		"w-host-1.jsonl":             "own grouped",
		"songs.count/w-host-1.jsonl": "record with deeper",
		"b/w-host-1.jsonl":           "late",
	})
	data, err := os.ReadFile(filepath.Join(dir, "b", "w-host-1.jsonl"))
	if err != nil {
		t.Fatal(err)
	}
	var record map[string]any
	if err := json.Unmarshal(data, &record); err != nil {
		t.Fatal(err)
	}
	if record["a"] != 1.0 || record["task"] != "b" || record["level"] != "INFO" {
		t.Errorf("record: got %v, want a, task and level", record)
	}
	if info, err := os.Stat(dir); err != nil || info.Mode().Perm() != 0o700 {
		t.Errorf("mode of the log folder: got %v, %v, want 0700", info.Mode(), err)
	}
}

// A task cannot name a file outside of the log folder.
func TestLogStaysUnderItsRoot(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "logs")
	l, err := logs.Open(dir, "w", nil)
	if err != nil {
		t.Fatal(err)
	}
	slog.New(l.Handler()).Info("escaped", "task", "../..")
	if err := l.Close(); err == nil {
		t.Error("a record outside of the root: Close returned no error")
	}
	if got := files(t, filepath.Dir(dir)); len(got) != 0 {
		t.Errorf("files: got %v, want none", got)
	}
}

func TestLogTimeIsAtPlus8(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		slog.New(openLogs(t, dir, nil).Handler()).Info("x")
		data, err := os.ReadFile(filepath.Join(dir, "w-host-1.jsonl"))
		if err != nil {
			t.Fatal(err)
		}
		// The clock of the test begins at midnight UTC.
		if want := `{"time":"2000-01-01T08:00:00.000+08:00",`; !strings.HasPrefix(string(data), want) {
			t.Errorf("got %s, want it to begin with %s", data, want)
		}
	})
}

func TestLogIsSetAsideWhenFull(t *testing.T) {
	dir := t.TempDir()
	l := openLogs(t, dir, &logs.Options{MaxSize: 250})
	log := slog.New(l.Handler())
	for i := range 7 { // of some 75 bytes each
		log.Info(fmt.Sprint("n", i), "task", "a")
	}
	wantFiles(t, dir, map[string]string{"a/w-host-1.1.jsonl": "n0 n1 n2", "a/w-host-1.2.jsonl": "n3 n4 n5", "a/w-host-1.jsonl": "n6"})
	log.Info(strings.Repeat("long", 100), "task", "b") // alone longer than a file may be
	if got := files(t, dir)["b/w-host-1.jsonl"]; len(got) != 400 {
		t.Errorf("a long record: got %d characters of its message, want 400", len(got))
	}
}

// A worker that has the id of an earlier one goes on in its files.
func TestLogContinuesAFile(t *testing.T) {
	dir := t.TempDir()
	for i := range 3 {
		l, err := logs.Open(dir, "w", &logs.Options{MaxSize: 150})
		if err != nil {
			t.Fatal(err)
		}
		slog.New(l.Handler()).Info(fmt.Sprint("n", i))
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	}
	wantFiles(t, dir, map[string]string{"w.1.jsonl": "n0 n1", "w.jsonl": "n2"})
}

func TestLogSweep(t *testing.T) {
	dir := t.TempDir()
	age := func(name string, days int) {
		t.Helper()
		name = filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte("{}\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		at := time.Now().AddDate(0, 0, -days)
		if err := os.Chtimes(name, at, at); err != nil {
			t.Fatal(err)
		}
	}
	age("a/old-host-1.jsonl", 31)
	age("a/old-host-1.1.jsonl", 40)
	age("b/old-host-1.jsonl", 31)
	age("b/new-host-2.jsonl", 29)
	age("old-host-1.jsonl", 31)
	age("a person's notes.txt", 99)
	age("deep/er/old.jsonl", 99)
	removed, err := openLogs(t, dir, nil).Sweep()
	if err != nil || removed != 4 {
		t.Errorf("Sweep: got %d, %v, want 4", removed, err)
	}
	want := []string{"a person's notes.txt", "b/new-host-2.jsonl", "deep/er/old.jsonl"}
	var got []string
	for name := range files(t, dir) {
		got = append(got, name)
	}
	if slices.Sort(got); !slices.Equal(got, want) {
		t.Errorf("left: got %q, want %q", got, want)
	}
	if _, err := os.Stat(filepath.Join(dir, "a")); !os.IsNotExist(err) {
		t.Errorf("the folder that was emptied: got %v, want it gone", err)
	}
}

// The sweep of another worker may take a file that was not written to for long.
func TestLogComesBackAfterASweep(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		dir := t.TempDir()
		log := slog.New(openLogs(t, dir, nil).Handler()).With("task", "a")
		log.Info("before")
		if err := os.RemoveAll(filepath.Join(dir, "a")); err != nil {
			t.Fatal(err)
		}
		<-time.After(2 * time.Minute)
		log.Info("after")
		wantFiles(t, dir, map[string]string{"a/w-host-1.jsonl": "after"})
	})
}

func TestLogFromManyGoroutines(t *testing.T) {
	dir := t.TempDir()
	log := slog.New(openLogs(t, dir, &logs.Options{MaxSize: 2000}).Handler())
	var group sync.WaitGroup
	for range 8 {
		group.Go(func() {
			for range 50 {
				log.Info("x", "task", "a")
			}
		})
	}
	group.Wait()
	n := 0
	for _, messages := range files(t, dir) {
		n += len(strings.Fields(messages))
	}
	if n != 400 {
		t.Errorf("records: got %d, want 400", n)
	}
}

func TestLogThatCannotBeOpened(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := logs.Open(file, "w", nil); err == nil || !strings.HasPrefix(err.Error(), "log folder: ") {
		t.Errorf("got %v, want an error of the log folder", err)
	}
}

// All files together stay within their bound, whatever is written, and what goes
// is the oldest.
func TestLogsHaveATotalBound(t *testing.T) {
	dir := t.TempDir()
	foreign := filepath.Join(dir, "old-worker.jsonl")
	if err := os.WriteFile(foreign, make([]byte, 1<<20), 0o600); err != nil {
		t.Fatal(err)
	}
	long := time.Now().Add(-time.Hour)
	if err := os.Chtimes(foreign, long, long); err != nil {
		t.Fatal(err)
	}
	const bound = 1 << 20
	log := slog.New(openLogs(t, dir, &logs.Options{TotalMax: bound}).Handler())
	text := strings.Repeat("x", 4000)
	for i := range 600 {
		log.Info(text, "task", fmt.Sprint("t", i%3), "i", i)
		if i%20 > 0 {
			continue
		}
		if size := sizeOf(t, dir); size > bound {
			t.Fatalf("after %d records: %d bytes, want at most %d", i, size, bound)
		}
	}
	if size := sizeOf(t, dir); size < bound*3/4 {
		t.Errorf("%d bytes are left, want most of %d", size, bound)
	}
	data, err := os.ReadFile(filepath.Join(dir, "t2", "w-host-1.jsonl"))
	if _, gone := os.Stat(foreign); err != nil || gone == nil || !strings.Contains(string(data), `"i":599`) {
		t.Errorf("the oldest file: %v; the newest record: %v", gone, err)
	}
}

func sizeOf(t *testing.T, dir string) (total int64) {
	t.Helper()
	err := filepath.WalkDir(dir, func(_ string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			if info, statErr := e.Info(); statErr == nil {
				total += info.Size()
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return total
}

// Records that cannot be written are counted, and it is told once that they are
// lost, and once that they are not any more.
func TestLostRecordsAreTold(t *testing.T) {
	dir := t.TempDir()
	blocked := filepath.Join(dir, "w-host-1.jsonl") // as a full disk, to a file that is to be opened
	if err := os.Mkdir(blocked, 0o700); err != nil {
		t.Fatal(err)
	}
	var told []logs.Loss
	l, err := logs.Open(dir, "w-host-1", &logs.Options{OnLoss: func(l logs.Loss) { told = append(told, l) }})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	log := slog.New(l.Handler())
	for range 3 {
		log.Info("lost")
	}
	if loss := l.Loss(); loss.Records != 3 || loss.Err == nil {
		t.Errorf("Loss: got %+v, want 3 records and why", loss)
	}
	if err := os.Remove(blocked); err != nil {
		t.Fatal(err)
	}
	log.Info("written")
	log.Info("written")
	if loss := l.Loss(); loss.Records != 3 || loss.Err != nil {
		t.Errorf("Loss after it works again: got %+v, want 3 records and no error", loss)
	}
	if len(told) != 2 || told[0].Records != 1 || told[0].Err == nil || told[1].Records != 3 || told[1].Err != nil {
		t.Errorf("told %+v, want the first loss, and the end with 3 records", told)
	}
	if got := files(t, dir)["w-host-1.jsonl"]; got != "written written" {
		t.Errorf("log: got %q", got)
	}
}
