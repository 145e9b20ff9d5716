//go:build linux

package hostile

import (
	"os"
	"path/filepath"
	"testing"

	"perago/engine"
	"perago/engine/isolate"
	"perago/engine/queue"
	"perago/workspace/attempts"
)

// bombs are bodies that make much of little, in bytes of the task.
var bombs = map[string]struct {
	body   string
	data   string
	status queue.Status
}{
	"string doubling": {body: `
    s = "a"
    for i in range(40):
        s = s + s
`},
	"list doubling": {body: `
    l = [0]
    for i in range(40):
        l = l + l
`},
	"strings that are kept": {body: `
    l = []
    for i in range(1 << 40):
        l.append("x" * 10000000 + str(i))
`},
	"dict growth": {body: `
    d = {}
    for i in range(1 << 40):
        d[i] = str(i)
`},
	"join": {body: `
    s = "a" * 40000
    s.join([s] * 40000)
`},
	"join by another name": {body: `
    s = "a" * 40000
    getattr(s, "join")([s] * 40000)
`},
	"replace": {body: `
    s = "a" * 40000
    s.replace("a", s)
`},
	"json.encode": {body: `
    json.encode(["x" * 1000000] * 100000)
`},
	"regex, all matches": {body: `
    re.findall("", "a" * 100000000)
`},
	"regex, replaced": {body: `
    re.sub("a", "b" * 10000, "a" * 1000000)
`},
	"CSV, one line of 1 GB": {data: "raw/x.csv = zeros 1000000000", body: `
    [row for row in csv.reader(workspace / "raw/x.csv")]
`},
	"CSV, a row of 60 million fields": {data: `raw/x.csv = "," * 60000000`, body: `
    [row for row in csv.reader(workspace / "raw/x.csv")]
`},
	"CSV, all rows": {data: `raw/x.csv = "a,b,c\n" * 20000000`, body: `
    [row for row in csv.reader(workspace / "raw/x.csv")]
`},
	"20 GB of garbage": {status: queue.Completed, body: `
    for i in range(20 * 1024):
        s = "x" * (1 << 20)
`},
}

// With a limit of 256 MiB no body's process takes 512 MiB of the machine; and
// garbage, which costs nobody anything, does not count.
func TestMemoryOfBombs(t *testing.T) {
	const limit, most = 256 << 20, 512 << 20
	// The system counts what its starter had at most into what a process had.
	if err := os.WriteFile("/proc/self/clear_refs", []byte("5"), 0); err != nil {
		t.Fatal(err)
	}
	root, err := attempts.OpenRoot(t.TempDir(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	p := isolate.New(isolate.Options{})
	defer p.Close()
	for name, b := range bombs {
		t.Run(name, func(t *testing.T) {
			h := &task{file: filepath.Join(t.TempDir(), "bomb.star")}
			if b.data != "" {
				h.data = []string{b.data}
			}
			source := "task(name = \"bomb\", workspace = workspace_spec(), resources = resources(memory = \"256MiB\", seconds = 120))\n\n" +
				"def run(workspace, params):" + b.body + "    return {}\n"
			if err := os.WriteFile(h.file, []byte(source), 0o600); err != nil {
				t.Fatal(err)
			}
			h.prepare(t, root, p)
			if h.module == nil {
				t.Fatal(h.refused)
			}
			res := h.runner.Run(t.Context(), h.module, queue.Attempt{Task: "bomb", TaskID: "id", WorkflowID: "wf", Input: []byte(`{"params": {}}`)}, engine.Hooks{})
			t.Logf("%s: held %d MiB, its process at most %d MiB", outcome(res), res.Body.PeakBytes>>20, res.Body.ProcessBytes>>20)
			want := b.status
			if want == "" {
				want = queue.Failed
			}
			if res.Status != want || res.Limits.Memory != limit {
				t.Errorf("got %s %s with a limit of %d MiB, want %s", res.Status, res.Reason, res.Limits.Memory>>20, want)
			}
			if had := res.Body.ProcessBytes; had == 0 || had > most {
				t.Errorf("its process had %d MiB, want some and at most %d", had>>20, most>>20)
			}
		})
	}
}
