package main

import (
	"bytes"
	"errors"
	"flag"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the golden files anew")

// TestTasks runs every worked task of tasks/ on its fixture, through the whole
// of perago, and holds the envelope and the folder it leaves against
// testdata/tasks/<task>/: envelope.json and want/, the workspace after --apply.
func TestTasks(t *testing.T) {
	files, err := filepath.Glob("../../tasks/*.star")
	if err != nil {
		t.Fatal(err)
	}
	ran := 0
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".star")
		if strings.HasSuffix(name, "_test") {
			continue
		}
		ran++
		t.Run(name, func(t *testing.T) { runWorkedTask(t, file, filepath.Join("../../testdata/tasks", name)) })
	}
	if ran < 5 {
		t.Errorf("got %d worked tasks, want at least 5", ran)
	}
}

// TestTaskTests: the tests beside the worked tasks pass.
func TestTaskTests(t *testing.T) {
	if out := string(perago(t, "test", "../../tasks")); !strings.HasSuffix(out, " passed, 0 failed\n") {
		t.Errorf("got\n%s", out)
	}
}

func runWorkedTask(t *testing.T, file, fixture string) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	args := []string{"run", file, "--params", "@" + filepath.Join(fixture, "params.json")}
	before, err := readTree(filepath.Join(fixture, "workspace"))
	if errors.Is(err, fs.ErrNotExist) {
		checkEnvelope(t, fixture, perago(t, args...))
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	dir := filepath.Join(t.TempDir(), "workspace")
	if err := os.CopyFS(dir, os.DirFS(filepath.Join(fixture, "workspace"))); err != nil {
		t.Fatal(err)
	}
	checkEnvelope(t, fixture, perago(t, append(args, "--workspace", dir)...))
	checkTree(t, "without --apply", dir, before)

	checkEnvelope(t, fixture, perago(t, append(args, "--workspace", dir, "--apply")...))
	if *update {
		if err := errors.Join(os.RemoveAll(filepath.Join(fixture, "want")), os.CopyFS(filepath.Join(fixture, "want"), os.DirFS(dir))); err != nil {
			t.Fatal(err)
		}
	}
	want, err := readTree(filepath.Join(fixture, "want"))
	if err != nil {
		t.Fatal(err)
	}
	checkTree(t, "with --apply", dir, want)
}

// perago runs a command in this process, wants exit 0, and returns its stdout.
func perago(t *testing.T, args ...string) []byte {
	t.Helper()
	var stdout, stderr bytes.Buffer
	a := &app{stdin: strings.NewReader(""), stdout: &results{w: &stdout}, stderr: &stderr}
	if code := a.run(t.Context(), args); code != exitDone {
		t.Fatalf("perago %s: exit %d\n%s", strings.Join(args, " "), code, &stderr)
	}
	return stdout.Bytes()
}

func checkEnvelope(t *testing.T, fixture string, got []byte) {
	t.Helper()
	golden := filepath.Join(fixture, "envelope.json")
	if *update {
		if err := os.WriteFile(golden, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("envelope: got\n%s\nwant\n%s", got, want)
	}
}

// checkTree holds the files of a folder against what they should be.
func checkTree(t *testing.T, when, dir string, want map[string]string) {
	t.Helper()
	got, err := readTree(dir)
	if err != nil {
		t.Fatal(err)
	}
	if g, w := slices.Sorted(maps.Keys(got)), slices.Sorted(maps.Keys(want)); !slices.Equal(g, w) {
		t.Fatalf("%s: got files %q, want %q", when, g, w)
	}
	for path := range want {
		if got[path] != want[path] {
			t.Errorf("%s: %s: got\n%s\nwant\n%s", when, path, got[path], want[path])
		}
	}
}

// readTree reads every file below dir.
func readTree(dir string) (map[string]string, error) {
	files := map[string]string{}
	err := fs.WalkDir(os.DirFS(dir), ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(filepath.Join(dir, path))
		files[path] = string(data)
		return err
	})
	return files, err
}
