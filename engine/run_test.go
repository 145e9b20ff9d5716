package engine_test

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"perago/engine"
	"perago/engine/module"
	"perago/engine/queue"
	"perago/workspace/attempts"
	"perago/workspace/cache"
	"perago/workspace/memory"
	"perago/workspace/publish"
	"perago/workspace/storage"
)

// fixture is a Runner over a memory store with one repository, one branch, one commit.
type fixture struct {
	store  *memory.Store
	runner *engine.Runner
	input  string // the commit that holds files
	log    *strings.Builder
}

func newFixture(t *testing.T, files map[string]string) *fixture {
	t.Helper()
	dir := t.TempDir()
	store := memory.New(nil)
	store.CreateRepository("songs")
	input, err := store.Seed("songs", "main", files)
	if err != nil {
		t.Fatal(err)
	}
	root, err := attempts.OpenRoot(filepath.Join(dir, "root"), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	cache, err := cache.Open(filepath.Join(dir, "cache"), nil)
	if err != nil {
		t.Fatal(err)
	}
	var log strings.Builder
	return &fixture{store: store, input: input, log: &log, runner: &engine.Runner{
		Body: engine.InProcess{}, Store: store, Root: root, Cache: cache,
		Publisher: &publish.Publisher{Store: store},
		Log:       slog.New(slog.NewJSONHandler(&log, nil)),
	}}
}

func load(t *testing.T, source string) *module.Module {
	t.Helper()
	file := filepath.Join(t.TempDir(), "x.star")
	if err := os.WriteFile(file, []byte(source), 0o600); err != nil {
		t.Fatal(err)
	}
	m, problems := module.Load(file, nil)
	if m == nil {
		t.Fatal(problems)
	}
	return m
}

func (f *fixture) attempt(params string) queue.Attempt {
	input := `{"workspace": {"repository": "songs", "branch": "main", "refType": "commit", "ref": "` + f.input + `"}, "params": ` + params + `}`
	return queue.Attempt{Task: "t", TaskID: "id", WorkflowID: "wf", Reference: "ref", Input: json.RawMessage(input)}
}

// head is what main holds now.
func (f *fixture) head(t *testing.T) (string, map[string]int64) {
	t.Helper()
	head, err := f.store.Head(t.Context(), "songs", "main")
	if err != nil {
		t.Fatal(err)
	}
	tree := map[string]int64{}
	for o, err := range f.store.List(t.Context(), "songs", head, "") {
		if err != nil {
			t.Fatal(err)
		}
		if !strings.HasPrefix(o.Path, "_lakefs_actions/") {
			tree[o.Path] = o.Size
		}
	}
	return head, tree
}

const header = `
task(
    name = "t",
    params = schema(n = field(int, default = 1), key = field(str, default = "", secret = True)),
    result = schema(n = int),
    workspace = workspace_spec(pre = [require_dir("raw")], post = [forbid_glob("**/*.tmp")]),
)
`

// TestOutcomes is the table of docs/architecture.md on what an error means,
// seen through a whole attempt.
func TestOutcomes(t *testing.T) {
	for _, tt := range []struct {
		name   string
		body   string // of run(workspace, params)
		params string
		files  map[string]string // nil: raw/a.csv
		want   queue.Status
		reason string           // a part of it
		tree   map[string]int64 // nil: as it was
	}{
		{name: "published", body: `(workspace / "out.txt").write_text("abc"); return {"n": params.n}`,
			want: queue.Completed, tree: map[string]int64{"raw/a.csv": 2, "out.txt": 3}},
		{name: "nothing written", body: `return {"n": 2}`, want: queue.Completed},
		{name: "deleted", body: `(workspace / "raw" / "a.csv").unlink(); return {"n": 2}`,
			want: queue.Completed, tree: map[string]int64{}},
		{name: "pre guard", body: `return {"n": 2}`, files: map[string]string{"b": "1"},
			want: queue.FailedTerminal, reason: `x.star:6:50: pre guard require_dir("raw") does not hold`},
		{name: "post guard", body: `(workspace / "x.tmp").write_text(""); return {"n": 2}`,
			want: queue.Failed, reason: `x.star:6:79: post guard forbid_glob("**/*.tmp") does not hold`},
		{name: "fail", body: `fail("not today")`, want: queue.Failed, reason: "x.star:10:5: not today"},
		{name: "fail_terminal", body: `fail_terminal("never")`, want: queue.FailedTerminal, reason: "x.star:10:5: never"},
		{name: "error of the body", body: `return {"n": 1 // 0}`, want: queue.Failed, reason: "x.star:10:20: "},
		{name: "result not valid", body: `return {"n": "2", "m": 1}`, want: queue.Failed, reason: "/result/n"},
		{name: "params not valid", body: `return {"n": 2}`, params: `{"n": "5"}`, want: queue.FailedTerminal, reason: "/params/n"},
		{name: "file is not there", body: `(workspace / "raw" / "b.csv").read_text(); return {"n": 2}`, want: queue.Failed, reason: "raw/b.csv"},
		{name: "secret in a reason", body: `fail("key is " + params.key)`, params: `{"key": "hunter2"}`, want: queue.Failed, reason: "key is ***"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			if tt.files == nil {
				tt.files = map[string]string{"raw/a.csv": "a\n"}
			}
			if tt.params == "" {
				tt.params = "{}"
			}
			f := newFixture(t, tt.files)
			before, treeBefore := f.head(t)
			if tt.tree == nil {
				tt.tree = treeBefore
			}
			res := f.runner.Run(t.Context(), load(t, header+"\ndef run(workspace, params):\n    "+tt.body+"\n"), f.attempt(tt.params), engine.Hooks{})
			if res.Status != tt.want || !strings.Contains(res.Reason, tt.reason) {
				t.Errorf("got %s %q, want %s …%q…", res.Status, res.Reason, tt.want, tt.reason)
			}
			after, tree := f.head(t)
			if !maps.Equal(tree, tt.tree) {
				t.Errorf("main holds %v, want %v", tree, tt.tree)
			}
			if moved := before != after; moved != !maps.Equal(tree, treeBefore) {
				t.Errorf("main moved: %v", moved)
			}
			if res.Status == queue.Completed {
				want := `"ref":"` + after + `"`
				if !strings.Contains(string(res.Output), want) {
					t.Errorf("output %s, want it to have %s", res.Output, want)
				}
			}
			if got, _ := os.ReadDir(filepath.Join(f.runner.Root.Path, "attempts")); len(got) != 0 {
				t.Errorf("%d attempt folders are left", len(got))
			}
			if tt.params != "{}" && strings.Contains(f.log.String()+res.Reason+res.Story, "hunter2") {
				t.Error("the secret is in the log, the reason or the story")
			}
		})
	}
}

// TestInputRefused: every complaint is listed, and no store is asked.
func TestInputRefused(t *testing.T) {
	f := newFixture(t, map[string]string{"raw/a.csv": "a\n"})
	f.runner.Store = nil // any question would panic, and PanicError is not terminal
	m := load(t, header+"\ndef run(workspace, params):\n    return {\"n\": 1}\n")
	id := strings.Repeat("a", 64)
	for _, tt := range []struct {
		input string
		want  []string
	}{
		{``, []string{"the input: got nothing, want a JSON object"}},
		{`{`, []string{"the input is not JSON"}},
		{`[]`, []string{"the input: got an array, want a JSON object"}},
		{`{}`, []string{"/workspace: got nothing", "/params: got nothing"}},
		{`{"workspace": 1, "params": {}}`, []string{"/workspace: got a number, want a JSON object"}},
		{`{"workspace": {"repository": " r", "branch": "", "refType": "branch", "ref": "main"}, "params": {"n": "x"}}`,
			[]string{`/workspace/repository: got " r"`, `/workspace/branch: got ""`, `/workspace/refType: got "branch", want "commit"`,
				`/workspace/ref: got "main", want a full commit id`, "/params/n: "}},
		{`{"workspace": {"repository": "r", "branch": "b", "refType": "commit", "ref": "` + id + `", "reff": 1}, "params": {}}`,
			[]string{"/workspace/reff: got an unknown key"}},
		{`{"params": ` + strings.Repeat("[", 20000) + strings.Repeat("]", 20000) + `}`, []string{"nested"}},
	} {
		res := f.runner.Run(t.Context(), m, queue.Attempt{Input: json.RawMessage(tt.input)}, engine.Hooks{})
		for _, want := range tt.want {
			if res.Status != queue.FailedTerminal || !strings.Contains(res.Diagnostics.Error(), want) {
				t.Errorf("%.60s: got %s %q, want %s …%q…", tt.input, res.Status, res.Diagnostics.Error(), queue.FailedTerminal, want)
			}
		}
	}
}

func TestUnknownCommitIsTerminal(t *testing.T) {
	f := newFixture(t, map[string]string{"raw/a.csv": "a\n"})
	f.input = strings.Repeat("0", 64)
	m := load(t, header+"\ndef run(workspace, params):\n    return {\"n\": 1}\n")
	res := f.runner.Run(t.Context(), m, f.attempt("{}"), engine.Hooks{})
	if res.Status != queue.FailedTerminal || !errors.Is(res.Err, storage.ErrUnknownCommit) {
		t.Errorf("got %s %q, want %s for an unknown commit", res.Status, res.Reason, queue.FailedTerminal)
	}
}

// TestBranchMoved: the body does not run for nothing, and nobody's commit is undone.
func TestBranchMoved(t *testing.T) {
	f := newFixture(t, map[string]string{"raw/a.csv": "a\n"})
	if _, err := f.store.Seed("songs", "main", map[string]string{"theirs": "1"}); err != nil {
		t.Fatal(err)
	}
	head, _ := f.head(t)
	m := load(t, header+"\ndef run(workspace, params):\n    (workspace / \"x\").write_text(\"1\")\n    return {\"n\": 1}\n")
	var steps []string
	res := f.runner.Run(t.Context(), m, f.attempt("{}"), engine.Hooks{Step: func(s string) { steps = append(steps, s) }})
	after, _ := f.head(t)
	if res.Status != queue.FailedTerminal || !strings.Contains(res.Reason, "has to pass a newer ref") || !strings.Contains(res.Reason, f.input) || !strings.Contains(res.Reason, head) || after != head {
		t.Errorf("got %s %q, head %s, want FAILED_WITH_TERMINAL_ERROR naming %s and %s, head unchanged", res.Status, res.Reason, after, f.input, head)
	}
	if slices.Contains(steps, "ran") {
		t.Errorf("the body ran: %v", steps)
	}
}

// TestReadOnlyNeverLooksAtTheBranch: a read-only task completes with its input
// though the branch has moved.
func TestReadOnlyNeverLooksAtTheBranch(t *testing.T) {
	f := newFixture(t, map[string]string{"raw/a.csv": "a\n"})
	if _, err := f.store.Seed("songs", "main", map[string]string{"theirs": "1"}); err != nil {
		t.Fatal(err)
	}
	m := load(t, `
task(name = "t", workspace = workspace_spec(read_only = True))
def run(workspace, params):
    got = catch((workspace / "x").write_text, "1")
    return {"written": got.ok, "n": len((workspace / "raw" / "a.csv").read_text())}
`)
	res := f.runner.Run(t.Context(), m, f.attempt("{}"), engine.Hooks{})
	want := `"ref":"` + f.input + `"},"result":{"written":false,"n":2}}`
	if res.Status != queue.Completed || !strings.HasSuffix(string(res.Output), want) {
		t.Errorf("got %s %q %s, want output ending in %s", res.Status, res.Reason, res.Output, want)
	}
}

// TestAdoptedResultIsChecked: what an earlier publication has as its result is
// held to the schema and to the bound of a result, like that of a body.
func TestAdoptedResultIsChecked(t *testing.T) {
	write := "\ndef run(workspace, params):\n    (workspace / \"x\").write_text(\"1\")\n    return "
	for name, first := range map[string]string{
		"another schema": strings.Replace(header, "result = schema(n = int)", "result = schema(n = str)", 1) + write + `{"n": "7"}`,
		"no schema":      strings.Replace(header, "    result = schema(n = int),\n", "", 1) + write + `{"n": [1] * 100000}`,
	} {
		f := newFixture(t, map[string]string{"raw/a.csv": "a\n"})
		if res := f.runner.Run(t.Context(), load(t, first), f.attempt("{}"), engine.Hooks{}); res.Status != queue.Completed {
			t.Fatal(res.Reason)
		}
		head, _ := f.head(t)
		again := f.attempt("{}")
		again.TaskID, again.Retry = "id2", 1
		res := f.runner.Run(t.Context(), load(t, header+write+`{"n": 7}`), again, engine.Hooks{})
		if res.Status != queue.FailedTerminal || res.Output != nil || !strings.HasPrefix(res.Reason, "the result that commit "+head) || !strings.Contains(res.Reason, "/result/n") {
			t.Errorf("%s: got %s %q %s, want FAILED_WITH_TERMINAL_ERROR that names the commit and the field", name, res.Status, res.Reason, res.Output)
		}
	}
	f := newFixture(t, map[string]string{"raw/a.csv": "a\n"})
	f.runner.Publisher = earlier(strings.Repeat(" ", engine.MaxResultBytes) + "{}")
	m := load(t, strings.Replace(header, "    result = schema(n = int),\n", "", 1)+write+"{}")
	if res := f.runner.Run(t.Context(), m, f.attempt("{}"), engine.Hooks{}); res.Status != queue.FailedTerminal || !strings.Contains(res.Reason, "too large") {
		t.Errorf("got %s %.200q, want that the result is too large", res.Status, res.Reason)
	}
}

// earlier is a publisher that finds this result published already.
type earlier string

func (e earlier) Prepare(context.Context, publish.Publication) (*publish.Published, error) {
	return &publish.Published{Commit: "M", Result: json.RawMessage(e), Adopted: true}, nil
}

func (e earlier) Publish(context.Context, publish.Publication) (publish.Published, error) {
	return publish.Published{}, errors.New("it was published already")
}

// TestOutputIsBounded: what an attempt would publish is counted before anything
// is sent; a copy of a stored object costs the store what an upload does.
func TestOutputIsBounded(t *testing.T) {
	for name, tt := range map[string]struct {
		body string
		want queue.Status
		warn bool
	}{
		"within":         {`(workspace / "x").write_text("1" * 500)`, queue.Completed, false},
		"all of it":      {`(workspace / "x").write_text("1" * 1024)`, queue.Completed, true},
		"one byte more":  {`(workspace / "x").write_text("1" * 1025)`, queue.Failed, false},
		"copies":         {`[(workspace / "raw" / "a.csv").copy(workspace / ("c%d" % i)) for i in range(3)]`, queue.Failed, false},
		"a rename":       {`(workspace / "raw").rename(workspace / "new")`, queue.Completed, false},
		"own copies":     {`(workspace / "x").write_text("1" * 500); (workspace / "x").copy(workspace / "y"); (workspace / "x").copy(workspace / "z")`, queue.Failed, false},
		"the same bytes": {`(workspace / "raw" / "big.csv").write_text("b" * 5000)`, queue.Completed, false},
		"deleted":        {`(workspace / "raw" / "big.csv").unlink()`, queue.Completed, false},
	} {
		files := map[string]string{"raw/a.csv": strings.Repeat("a", 400), "raw/big.csv": strings.Repeat("b", 5000)}
		if name == "a rename" {
			delete(files, "raw/big.csv")
		}
		f := newFixture(t, files)
		m := load(t, `
task(name = "t", workspace = workspace_spec(), resources = resources(output = "1KB"))
def run(workspace, params):
    `+tt.body+`
    return {}
`)
		before, _ := f.head(t)
		res := f.runner.Run(t.Context(), m, f.attempt("{}"), engine.Hooks{})
		after, _ := f.head(t)
		if res.Status != tt.want || (res.Status == queue.Completed) != (before != after || name == "the same bytes") {
			t.Errorf("%s: got %s %q, published %v, want %s", name, res.Status, res.Reason, before != after, tt.want)
		}
		if tt.want == queue.Failed && (!strings.Contains(res.Reason, "x.star:3:1: the attempt passed its limit of output: got ") || !strings.Contains(res.Reason, " files, want at most 1024 bytes")) {
			t.Errorf("%s: reason %q, want the limit and both figures", name, res.Reason)
		}
		if strings.Contains(f.log.String(), "half of the limit of output is used") != tt.warn {
			t.Errorf("%s: warned: %v, want %v", name, !tt.warn, tt.warn)
		}
	}
}

// TestCauseOutranksTheError: whatever the cancel led to, the reason is the cause.
func TestCauseOutranksTheError(t *testing.T) {
	f := newFixture(t, map[string]string{"raw/a.csv": "a\n"})
	ctx, cancel := context.WithCancelCause(t.Context())
	m := load(t, header+"\ndef run(workspace, params):\n    (workspace / \"x\").write_text(\"1\")\n    return {\"n\": 1}\n")
	before, _ := f.head(t)
	res := f.runner.Run(ctx, m, f.attempt("{}"), engine.Hooks{Step: func(s string) {
		if s == "ran" {
			cancel(queue.ErrLeaseLost)
		}
	}})
	after, _ := f.head(t)
	if res.Status != queue.Failed || !errors.Is(res.Err, queue.ErrLeaseLost) || before != after {
		t.Errorf("got %s %q, moved %v, want FAILED for a lost lease, nothing published", res.Status, res.Reason, before != after)
	}
}

// away is a store whose server goes away while it merges into main.
type away struct {
	*memory.Store
	gone func() // called at the merge
	out  bool
}

var errAway = errors.New("the server is away")

func (s *away) Merge(ctx context.Context, repo string, m storage.Merge) (string, error) {
	if m.Target != "main" {
		return s.Store.Merge(ctx, repo, m)
	}
	s.out = true
	s.gone()
	return "", errAway
}

func (s *away) DeleteBranch(ctx context.Context, repo, branch string) error {
	if s.out {
		return errAway
	}
	return s.Store.DeleteBranch(ctx, repo, branch)
}

// TestDoubtOutlivesACancel: that nobody knows whether the merge landed is said,
// whatever ended the attempt, and the retry is there to find out.
func TestDoubtOutlivesACancel(t *testing.T) {
	for name, cause := range map[string]error{"the lease was lost": queue.ErrLeaseLost, "forced": queue.ErrForced} {
		f := newFixture(t, map[string]string{"raw/a.csv": "a\n"})
		ctx, cancel := context.WithCancelCause(t.Context())
		f.runner.Publisher = &publish.Publisher{Store: &away{Store: f.store, gone: func() { cancel(cause) }}}
		m := load(t, header+"\ndef run(workspace, params):\n    (workspace / \"x\").write_text(\"1\")\n    return {\"n\": 1}\n")
		res := f.runner.Run(ctx, m, f.attempt("{}"), engine.Hooks{})
		if res.Status != queue.Failed || !errors.Is(res.Err, cause) || !strings.Contains(res.Reason, "it is not known whether the merge of") ||
			!strings.Contains(res.Reason, cause.Error()) || !strings.Contains(res.Story, "P4905") {
			t.Errorf("%s: got %s %q, want FAILED that says that the merge may have landed, and why it ended", name, res.Status, res.Reason)
		}
	}
}

// TestPanicIsAnOutcome: a fault of perago costs its own attempt only.
func TestPanicIsAnOutcome(t *testing.T) {
	f := newFixture(t, map[string]string{"raw/a.csv": "a\n"})
	m := load(t, header+"\ndef run(workspace, params):\n    return {\"n\": 1}\n")
	res := f.runner.Run(t.Context(), m, f.attempt("{}"), engine.Hooks{Step: func(string) { panic("a fault") }})
	var fault *engine.PanicError
	if res.Status != queue.Failed || !errors.As(res.Err, &fault) {
		t.Errorf("got %s %q, want FAILED with what panicked", res.Status, res.Reason)
	}
}

// TestSecondAttemptAdopts: the report of the first attempt was lost; the second
// agrees with it and does not run the body.
func TestSecondAttemptAdopts(t *testing.T) {
	f := newFixture(t, map[string]string{"raw/a.csv": "a\n"})
	m := load(t, header+"\ndef run(workspace, params):\n    (workspace / \"x\").write_text(\"1\")\n    return {\"n\": 7}\n")
	first := f.runner.Run(t.Context(), m, f.attempt("{}"), engine.Hooks{})
	again := f.attempt("{}")
	again.TaskID, again.Retry = "id2", 1
	var steps []string
	second := f.runner.Run(t.Context(), m, again, engine.Hooks{Step: func(s string) { steps = append(steps, s) }})
	if first.Status != queue.Completed || string(first.Output) != string(second.Output) || !second.Adopted || slices.Contains(steps, "ran") {
		t.Errorf("first %s %s, second %s %s adopted %v after %v", first.Status, first.Output, second.Status, second.Output, second.Adopted, steps)
	}
}
