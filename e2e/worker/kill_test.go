//go:build linux

package worker

import (
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"syscall"
	"testing"
	"time"

	"perago/e2e/wire"
)

// A worker that dies at any point of an attempt, and is started again, needs no
// repair: the workflow completes, its result is on the branch once, nothing of
// the dead attempt is left, and nobody else's attempt was touched.
func TestKilled(t *testing.T) {
	tests := []string{ // points of the lives of one worker, then one more without a fault
		"attempt started", "step decoded", "step opened", "step prepared", "step guarded", "step ran", "step checked",
		"branched", "staged", "fenced", "merging", "published", "step published", "attempt finished",
		"staged, revoked", "published, adopted", "branched, branched", "merging, step prepared, merging",
	}
	for _, tt := range tests {
		t.Run(tt, func(t *testing.T) {
			t.Parallel()
			s := newScene(t, quick)
			root := s.root()
			beside := s.besides(root)
			id := s.start()
			began := time.Now()
			for point := range strings.SplitSeq(tt, ", ") {
				env, _ := s.fault(point, "kill")
				w := s.worker(root, env...)
				if got := w.wait(); !got.Signaled() || got.Signal() != syscall.SIGKILL {
					t.Fatalf("the worker ended with %v, want its death at %q", w.cmd.ProcessState, point)
				}
			}
			again := s.worker(root)
			w := s.ends(id)
			took := time.Since(began)
			again.signal(syscall.SIGTERM)
			again.exits(0)
			s.publishedOnce(id, w)
			beside.untouched()
			beside.finish()
			s.nothingLeft(root)
			t.Logf("%d attempts, %d ms", len(w.Tasks), took.Milliseconds())
		})
	}
}

// neighbour is an attempt of another process in the same root.
type neighbour struct {
	*process
	dir    string
	before map[string]string
}

// besides starts an attempt that sleeps in the middle of its body.
func (s *scene) besides(root string) neighbour {
	s.t.Helper()
	file := filepath.Join(s.t.TempDir(), "slow.star")
	must(s.t, os.WriteFile(file, []byte(`
task(name = "slow", workspace = workspace_spec(), result = schema(text = str))

def run(workspace, params):
    (workspace / "slow.txt").write_text("slow")
    for _ in range(5000000):
        pass
    return {"text": (workspace / "slow.txt").read_text()}
`), 0o600))
	input := filepath.Join(s.t.TempDir(), "input.json")
	must(s.t, os.WriteFile(input, fmt.Appendf(nil,
		`{"workspace": {"repository": %q, "branch": "main", "refType": "commit", "ref": %q}, "params": {}}`, s.name, s.input), 0o600))
	p := launch(s.t, onRoot(root, "PERAGO_EXECUTION_MODE=thread"), "run", file, "--input", input)
	eventually(s.t, "the neighbour has written its file", func() bool {
		written, err := filepath.Glob(filepath.Join(root, "w", "attempts", "*", "files", "*"))
		must(s.t, err)
		return len(written) > 0
	})
	p.signal(syscall.SIGSTOP)
	dir := filepath.Join(root, "w", "attempts", s.attempts(root)[0])
	return neighbour{p, dir, list(s.t, dir)}
}

// untouched compares its folder with what it was.
func (n neighbour) untouched() {
	n.t.Helper()
	if now := list(n.t, n.dir); !reflect.DeepEqual(now, n.before) {
		n.t.Errorf("the neighbour's folder: got %v, want %v", now, n.before)
	}
}

// finish lets it come to its end.
func (n neighbour) finish() {
	n.t.Helper()
	n.signal(syscall.SIGCONT)
	n.exits(0)
	out, err := os.ReadFile(n.out)
	if err != nil || !strings.Contains(string(out), `"slow"`) {
		n.t.Errorf("the neighbour's output: got %q, %v", out, err)
	}
}

// list is every file under a folder, with its inode, size and time.
func list(t *testing.T, dir string) map[string]string {
	t.Helper()
	found := map[string]string{}
	err := filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := e.Info()
		if err != nil {
			return err
		}
		found[path] = fmt.Sprint(info.Sys().(*syscall.Stat_t).Ino, info.Size(), info.ModTime().UnixNano())
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// A doctor that dies in the middle of the fence's self-test leaves nothing that
// the next worker on its root does not remove.
func TestDoctorKilled(t *testing.T) {
	t.Parallel()
	s := newScene(t, quick)
	root := s.root()
	merging, killed := make(chan struct{}), make(chan struct{})
	lake := httptest.NewServer(&wire.Proxy{Target: site.lakefs.URL, Plan: func(_ int, req *http.Request) wire.Fate {
		if !strings.Contains(req.URL.Path, "/merge/") {
			return wire.Pass
		}
		close(merging)
		<-killed
		return wire.Dropped
	}})
	defer lake.Close()
	doctor := launch(t, onRoot(root, "LAKECTL_SERVER_ENDPOINT_URL="+lake.URL), "doctor", "--repository", s.name)
	<-merging
	doctor.signal(syscall.SIGKILL)
	doctor.wait()
	close(killed)
	left, err := site.lakefs.Branches(t.Context(), s.name)
	must(t, err)
	if len(left) != 3 || len(s.attempts(root)) != 1 {
		t.Fatalf("branches %q, attempts %q, want the two of the self-test on record", left, s.attempts(root))
	}
	w := s.worker(root, "LAKECTL_SERVER_ENDPOINT_URL="+lake.URL) // the server that the record names
	w.logs("msg=swept")
	w.signal(syscall.SIGTERM)
	w.exits(0)
	s.nothingLeft(root)
}
