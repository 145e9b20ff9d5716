package tasktest

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

const task = `task(name = "tested.example", owner_email = "a@example.com", workspace = workspace_spec(read_only = True))

def run(workspace, params):
    return {"files": len(workspace.glob("**"))}
`

const testFile = `
def test_second(t):
    fail("why")

def test_first_in_the_file_is_second(t):
    t.equal(t.run("task.star", workspace = t.folder("fixture")).result, {"files": 2})

def test_forever(t):
    for i in range(1 << 60):
        pass

def helper(t):
    pass

test_not_a_function = 1
`

// project is a folder with a task, its tests and a fixture.
func project(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{"task.star": task, "a_test.star": testFile, "fixture/a": "1", "fixture/b": "2",
		"sub/b_test.star": "def test_b(t):\n    pass\n", ".hidden/c_test.star": "x", "sub/notes.txt": ""} {
		path := filepath.Join(dir, filepath.FromSlash(name))
		if err := errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, []byte(text), 0o644)); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

func TestFiles(t *testing.T) {
	dir := project(t)
	got, err := Files([]string{dir})
	want := []string{filepath.Join(dir, "a_test.star"), filepath.Join(dir, "sub", "b_test.star")}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("got %q, %v, want %q", got, err, want)
	}
	if _, err := Files([]string{filepath.Join(dir, "nowhere")}); err == nil {
		t.Error("a path that is not there: got no error")
	}
}

func TestRun(t *testing.T) {
	dir, attempts := project(t), t.TempDir()
	var got []string
	err := Run(t.Context(), filepath.Join(dir, "a_test.star"), Options{Dir: attempts, Match: regexp.MustCompile("second")}, func(r Result) {
		got = append(got, r.Name+": "+r.Failure.Error())
	})
	if err != nil {
		t.Fatal(err)
	}
	if len(got) != 2 || !strings.HasPrefix(got[0], "test_second: ") || !strings.HasSuffix(got[0], ":3:5: why") || got[1] != "test_first_in_the_file_is_second: " {
		t.Errorf("got %q, want the two in the order of the file, the first with its place", got)
	}
	if left, err := os.ReadDir(attempts); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// TestRunStops: a test that never ends is ended by its context, whose cause Run returns.
func TestRunStops(t *testing.T) {
	why := errors.New("enough")
	for _, match := range []string{"forever", "second|forever"} {
		ctx, cancel := context.WithCancelCause(t.Context())
		if match == "forever" {
			go cancel(why)
		}
		results := 0
		err := Run(ctx, filepath.Join(project(t), "a_test.star"), Options{Match: regexp.MustCompile(match)}, func(r Result) {
			if results++; results == 2 {
				cancel(why) // the third would never end
			}
		})
		if !errors.Is(err, why) || results > 2 {
			t.Errorf("%s: got %v and %d results, want %v and at most 2", match, err, results, why)
		}
	}
}
