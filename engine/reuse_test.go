package engine_test

import (
	"context"
	"io"
	"strings"
	"testing"

	"perago/engine"
	"perago/engine/queue"
)

// again runs one attempt on the head of main, as a workflow does that is run again.
func (f *fixture) again(t *testing.T, source, id, params string) engine.Result {
	t.Helper()
	f.input, _ = f.head(t)
	a := f.attempt(params)
	a.WorkflowID, a.TaskID = id, id
	res := f.runner.Run(t.Context(), load(t, source), a, engine.Hooks{})
	if res.Status != queue.Completed {
		t.Fatalf("%s: %s %s", id, res.Status, res.Reason)
	}
	return res
}

const reusing = `
task(
    name = "t",
    params = schema(n = field(int, default = 1)),
    result = schema(n = int),
    workspace = workspace_spec(pre = [require_dir("raw")], post = [require_file("out/sum")]),
    reuse = True,
)

def run(workspace, params):
    total = 0
    for path in workspace.glob("raw/*.csv"):
        total += len(path.read_text()) * params.n
    (workspace / "out" / "sum").write_text(str(total))
    return {"n": total}
`

func TestReuse(t *testing.T) {
	f := newFixture(t, map[string]string{"raw/a.csv": "aa", "raw/b.csv": "b", "ref/r": "r"})
	seed := func(files map[string]string) {
		t.Helper()
		if _, err := f.store.Seed("songs", "main", files); err != nil {
			t.Fatal(err)
		}
	}
	first := f.again(t, reusing, "first", "{}")
	if first.Reused != "" || first.Body.Steps == 0 {
		t.Fatalf("the first attempt did not run: %+v", first)
	}

	for _, c := range []struct {
		what   string
		change func()
		source string
		params string
		reused bool
		sum    string
	}{
		{"nothing changed", func() {}, reusing, "{}", true, "3"},
		{"the default written out", func() {}, reusing, `{"n": 1}`, true, "3"},
		{"a file that nobody asked for", func() { seed(map[string]string{"ref/r": "other"}) }, reusing, "{}", true, "3"},
		{"its own output was changed", func() { seed(map[string]string{"out/sum": "forged"}) }, reusing, "{}", true, "3"},
		{"another param", func() {}, reusing, `{"n": 2}`, false, "6"},
		{"another source", func() {}, reusing + "\n# a comment\n", "{}", false, "3"},
		{"a file that was read", func() { seed(map[string]string{"raw/a.csv": "aaaa"}) }, reusing, "{}", false, "5"},
		{"a new file", func() { seed(map[string]string{"raw/c.csv": "c"}) }, reusing, "{}", false, "6"},
		{"nothing again", func() {}, reusing, "{}", true, "6"},
	} {
		c.change()
		before, _ := f.head(t)
		res := f.again(t, c.source, c.what, c.params)
		after, _ := f.head(t)
		if (res.Reused != "") != c.reused || c.reused != (res.Body.Steps == 0) {
			t.Errorf("%s: reused %q after %d steps, want reused %t\n%s", c.what, res.Reused, res.Body.Steps, c.reused, f.log)
		}
		r, err := f.store.Open(context.Background(), "songs", after, "out/sum")
		if err != nil {
			t.Fatal(err)
		}
		var got strings.Builder
		buf := make([]byte, 100)
		n, _ := r.Read(buf)
		got.Write(buf[:n])
		r.Close()
		if got.String() != c.sum || !strings.Contains(string(res.Output), `{"n":`+c.sum+`}`) {
			t.Errorf("%s: out/sum is %s, the output %s, want %s", c.what, got.String(), res.Output, c.sum)
		}
		if c.reused && c.what != "its own output was changed" && after != before {
			t.Errorf("%s: a commit was made", c.what)
		}
	}
	if !strings.Contains(f.log.String(), `"msg":"not reused","task":"t"`) || !strings.Contains(f.log.String(), "raw/*.csv was searched, and matches other files now") {
		t.Errorf("the log does not say why an attempt was not reused:\n%s", f.log)
	}
}

func TestReuseRefused(t *testing.T) {
	body := func(first, rest string) string {
		return strings.Replace(strings.Replace(reusing, "    total = 0\n", "    total = 0\n    "+first+"\n", 1), "    reuse = True,\n", "    reuse = True,\n"+rest, 1)
	}
	secret := strings.Replace(reusing, "n = field(int, default = 1)", `n = field(int, default = 1), key = field(str, default = "k", secret = True)`, 1)
	for what, source := range map[string]string{
		"asks the time":   body("total += 0 * time.now().year", ""),
		"caught an error": body("catch((workspace / 'no').read_text)", ""),
		"a secret bool":   strings.Replace(reusing, "n = field(int, default = 1)", "n = field(int, default = 1), key = field(bool, default = True, secret = True)", 1),
		"a secret param":  secret,
		"off":             strings.Replace(reusing, "reuse = True", "reuse = False", 1),
	} {
		f := newFixture(t, map[string]string{"raw/a.csv": "aa"})
		f.again(t, source, "one", "{}")
		if res := f.again(t, source, "two", "{}"); res.Reused != "" {
			t.Errorf("%s: reused %s", what, res.Reused)
		}
	}
	// What someone else put where the record is is no record.
	f := newFixture(t, map[string]string{"raw/a.csv": "aa"})
	f.again(t, reusing, "one", "{}")
	_, tree := f.head(t)
	for path := range tree {
		if strings.HasPrefix(path, "_perago/traces/") {
			for _, forged := range []string{"", "{}", `{"task":"t","trace":{"version":1}}`, "[",
				forge(t, f, path, `"patterns":[["","[",0,"x"]]`), forge(t, f, path, `"wrote":{"_lakefs_actions/x":[1,"x"]}`),
				forge(t, f, path, `"wrote":{"../x":[1,"x"]}`), forge(t, f, path, `"wrote":{"gone":[1,"x"]}`)} {
				if _, err := f.store.Seed("songs", "main", map[string]string{path: forged}); err != nil {
					t.Fatal(err)
				}
				if res := f.again(t, reusing, "forged"+forged, "{}"); res.Reused != "" {
					t.Errorf("record %q: reused %s", forged, res.Reused)
				}
			}
		}
	}
}

// forge is the record at a path with another trace.
func forge(t *testing.T, f *fixture, path, trace string) string {
	t.Helper()
	head, _ := f.head(t)
	r, err := f.store.Open(context.Background(), "songs", head, path)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	data, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	record := string(data)
	return record[:strings.Index(record, `"trace":`)] + `"trace":{"version":1,` + trace + "}}"
}

// A report of progress is no question of the time.
func TestReuseAfterProgress(t *testing.T) {
	f := newFixture(t, map[string]string{"raw/a.csv": "aa"})
	source := strings.Replace(reusing, "    total = 0\n", "    total = 0\n    progress(done = 1, total = 2)\n", 1)
	f.again(t, source, "one", "{}")
	if res := f.again(t, source, "two", "{}"); res.Reused == "" {
		t.Errorf("not reused:\n%s", f.log)
	}
}

// With on_moved = "rebase" a branch that moved elsewhere is no reason to fail, one
// that moved where the body looked is.
func TestRebase(t *testing.T) {
	f := newFixture(t, map[string]string{"raw/a.csv": "aa"})
	source := strings.Replace(reusing, `post = [`, `on_moved = "rebase", post = [`, 1)
	a := f.attempt("{}")
	head := func(files map[string]string) string {
		id, err := f.store.Seed("songs", "main", files)
		if err != nil {
			t.Fatal(err)
		}
		return id
	}
	theirs := head(map[string]string{"ref/x": "1"})
	res := f.runner.Run(t.Context(), load(t, source), a, engine.Hooks{})
	after, tree := f.head(t)
	if res.Status != queue.Completed || !strings.Contains(string(res.Output), after) || tree["ref/x"] == 0 || tree["out/sum"] == 0 || after == theirs {
		t.Errorf("%s %s %s, head %s with %v", res.Status, res.Reason, res.Output, after, tree)
	}
	b := f.attempt("{}")
	b.WorkflowID = "other"
	head(map[string]string{"raw/b.csv": "b"})
	res = f.runner.Run(t.Context(), load(t, source), b, engine.Hooks{})
	if res.Status != queue.FailedTerminal || !strings.Contains(res.Reason, "raw/b.csv is new, and raw/*.csv was searched") || !strings.Contains(res.Reason, f.input) {
		t.Errorf("got %s %q, want what clashes", res.Status, res.Reason)
	}
}
