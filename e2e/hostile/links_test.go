//go:build linux

package hostile

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"golang.org/x/sys/unix"

	"perago/engine"
	"perago/engine/isolate"
	"perago/engine/module"
	"perago/engine/queue"
	"perago/workspace"
	"perago/workspace/attempts"
	"perago/workspace/folder"
)

// reader reads two names as often as it can, in every way there is, and returns
// all that it ever saw.
const reader = `
task(name = "reader", workspace = workspace_spec())

def look(path):
    return [path.read_text(), [line for line in path.lines()], path.open().read(), [row for row in csv.reader(path)]]

def run(workspace, params):
    seen = {}
    for i in range(300):
        for name in ["raw/a.txt", "b.txt"]:
            got = catch(look, workspace / name)
            for text in got.value or ["refused"]:
                seen[str(text)] = True
        for path in workspace.glob("**"):
            seen[str(path)] = True
    return {"seen": list(seen)}
`

// Symlinks that take the place of files and folders while a body runs lead
// nowhere: the body sees what its workspace had, or an error.
func TestLinksPlantedMeanwhile(t *testing.T) {
	for name, body := range map[string]engine.Body{"process": nil, "thread": engine.InProcess{}} {
		t.Run(name, func(t *testing.T) {
			if body == nil {
				p := isolate.New(isolate.Options{})
				defer p.Close()
				body = p
			}
			base := t.TempDir()
			dir := filepath.Join(base, "ws")
			for path, text := range map[string]string{"secret": "SECRET", "out/a.txt": "SECRET", "out/inner.txt": "SECRET", "ws/raw/a.txt": "a", "ws/b.txt": "b"} {
				plant(t, base, fmt.Sprintf("%s = %q", path, text))
			}
			plant(t, base, "folder -> out")
			plant(t, base, "file -> secret")
			swaps := [][2]string{{dir + "/raw", base + "/folder"}, {dir + "/b.txt", base + "/file"}}
			var seen []string
			was := func(text string) bool { return slices.Contains(seen, text) }
			shown := []string{"a", "b", "refused"} // or the test shows nothing
			for round := 0; round < 5 || round < 200 && !every(shown, was); round++ {
				for _, text := range swapWhile(t, swaps, func() []string { return readAll(t, dir, body) }) {
					if !slices.Contains(seen, text) {
						seen = append(seen, text)
					}
				}
			}
			slices.Sort(seen)
			t.Logf("seen: %q", seen)
			for _, text := range seen {
				if !slices.Contains([]string{"a", "b", `["a"]`, `["b"]`, `[["a"]]`, `[["b"]]`, "refused", "raw", "raw/a.txt", "b.txt"}, text) {
					t.Errorf("a body saw %q", text)
				}
			}
			if !every(shown, was) {
				t.Errorf("no body saw all of %q: the test shows nothing", shown)
			}
		})
	}
}

func every(texts []string, holds func(string) bool) bool {
	return !slices.ContainsFunc(texts, func(text string) bool { return !holds(text) })
}

// swapWhile exchanges pairs of paths for as long as do runs.
func swapWhile(t *testing.T, pairs [][2]string, do func() []string) []string {
	t.Helper()
	stop, stopped := make(chan struct{}), make(chan error, 1)
	go func() {
		var err error
		for n := 0; err == nil; n++ {
			select {
			case <-stop:
				if n%2 == 0 { // as it was
					stopped <- nil
					return
				}
			default:
			}
			for _, p := range pairs {
				if err = unix.Renameat2(unix.AT_FDCWD, p[0], unix.AT_FDCWD, p[1], unix.RENAME_EXCHANGE); err != nil {
					break
				}
			}
		}
		stopped <- err
	}()
	got := do()
	close(stop)
	if err := <-stopped; err != nil {
		t.Fatal(err)
	}
	return got
}

// readAll runs the reader on a folder once.
func readAll(t *testing.T, dir string, body engine.Body) []string {
	t.Helper()
	root, err := attempts.OpenRoot(t.TempDir(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	file := filepath.Join(t.TempDir(), "reader.star")
	if err := os.WriteFile(file, []byte(reader), 0o600); err != nil {
		t.Fatal(err)
	}
	m, problems := module.Load(file, nil)
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	store, err := folder.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	r := &engine.Runner{Store: store, Root: root, Fixed: &workspace.Ref{}, Body: body}
	res := r.Run(t.Context(), m, queue.Attempt{Task: "reader", TaskID: "id", WorkflowID: "wf", Input: []byte(`{"params": {}}`)}, engine.Hooks{})
	if res.Status != queue.Completed {
		return []string{"refused"} // a link lay there at the listing
	}
	var out struct{ Result struct{ Seen []string } }
	if err := json.Unmarshal(res.Output, &out); err != nil {
		t.Fatal(err)
	}
	return out.Result.Seen
}
