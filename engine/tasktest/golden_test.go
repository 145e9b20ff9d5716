package tasktest

import (
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// TestGoldenAllOrNothing: a golden that cannot be written whole stays as it was,
// and the test has failed.
func TestGoldenAllOrNothing(t *testing.T) {
	dir := t.TempDir()
	for name, text := range map[string]string{
		"write.star":        "task(name = \"a\", workspace = workspace_spec())\n\ndef run(workspace, params):\n    (workspace / \"a\").write_text(\"1\")\n    (workspace / \"b\").write_text(\"2\")\n    return {}\n",
		"write_test.star":   "def test_write(t):\n    t.golden(t.run(\"write.star\"), \"golden\")\n",
		"golden/files/a":    "old",
		"golden/notes.txt":  "kept",
		"golden/files/c/d":  "gone",
		"golden/other/file": "kept",
	} {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	before := contents(t, dir)
	update := func() (r Result) {
		t.Helper()
		if err := Run(t.Context(), filepath.Join(dir, "write_test.star"), Options{Dir: t.TempDir(), Update: true}, func(one Result) { r = one }); err != nil {
			t.Fatal(err)
		}
		return r
	}
	held, err := os.Open(filepath.Join(dir, "golden"))
	if err != nil {
		t.Fatal(err)
	}
	if err := syscall.Flock(int(held.Fd()), syscall.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	if r := update(); len(r.Failure) != 1 || r.Failure[0].Code != "P4154" || len(r.Wrote) != 0 {
		t.Errorf("got %v, wrote %q, want P4154 and nothing written", r.Failure, r.Wrote)
	}
	if after := contents(t, dir); after != before {
		t.Errorf("got\n%s\nwant\n%s", after, before)
	}
	held.Close()
	if r := update(); !r.Passed() || len(r.Wrote) != 4 {
		t.Errorf("got %v, wrote %q, want four files", r.Failure, r.Wrote)
	}
	after := contents(t, filepath.Join(dir, "golden"))
	if want := "files/a=1 files/b=2 notes.txt=kept other/file=kept result.json={}\n"; after != want {
		t.Errorf("got  %s\nwant %s", after, want)
	}
}

// contents are the files below a folder, in one line.
func contents(t *testing.T, dir string) string {
	t.Helper()
	var list []string
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		data, err := os.ReadFile(path)
		rel, relErr := filepath.Rel(dir, path)
		list = append(list, filepath.ToSlash(rel)+"="+string(data))
		if relErr != nil {
			return relErr
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(list, " ")
}
