package isolate

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"

	"perago/engine"
	"perago/engine/queue"
	"perago/starlib"
	"perago/workspace"
	"perago/workspace/attempts"
	"perago/workspace/cache"
	"perago/workspace/memory"
)

// ground is a store with one commit, and what an attempt on it needs.
type ground struct {
	store *memory.Store
	root  *attempts.Root
	cache *cache.Cache
	input string
}

func newGround(t testing.TB, files map[string]string) *ground {
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
	return &ground{store: store, root: root, cache: cache, input: input}
}

func (g *ground) runner(body engine.Body) *engine.Runner {
	return &engine.Runner{Body: body, Store: g.store, Root: g.root, Cache: g.cache}
}

func (g *ground) attempt(params string) queue.Attempt {
	return queue.Attempt{Task: "t", TaskID: "id", WorkflowID: "wf", Reference: "ref", Input: json.RawMessage(
		`{"workspace": {"repository": "songs", "branch": "main", "refType": "commit", "ref": "` + g.input + `"}, "params": ` + params + `}`)}
}

const everything = `
task(name = "t", params = schema(word = field(str, default = "x")), workspace = workspace_spec())

def run(workspace, params):
    seen = {}
    raw = workspace / "raw"
    seen["glob"] = [repr(str(p)) for p in workspace.glob("raw/**/*.csv")]
    seen["dir"] = [repr(str(p)) for p in raw.iterdir()]
    seen["stat"] = [(raw / "a.csv").stat().size, (raw / "none").exists(), raw.is_dir(), (raw / "a.csv").is_file()]
    seen["text"] = (raw / "a.csv").read_text()
    seen["lines"] = [line for line in (raw / "a.csv").lines()]
    seen["rows"] = [row["id"] for row in csv.dict_reader(raw / "a.csv")]
    seen["bytes"] = len((raw / "deep" / "b.csv").read_bytes())
    seen["hash"] = hash.sha256(raw / "big.bin")
    out = workspace / "out"
    seen["wrote"] = (out / "new.txt").write_text("one " + params.word)
    f = (out / "new.txt").open("a")
    f.write("\ntwo\n")
    f.close()
    left = (out / "left-open.txt").open("w")
    left.write("closed by the attempt")
    dropped = (out / "twice.txt").open("w")
    dropped.write("first")
    dropped.close()
    (out / "twice.txt").write_text("second")
    seen["appended"] = (out / "new.txt").read_text()
    (raw / "a.csv").copy(workspace / "copy.csv")
    (raw / "deep" / "b.csv").rename(workspace / "moved.csv")
    (raw / "c.csv").unlink()
    (workspace / "empty").mkdir()
    (workspace / "old").remove_tree()
    seen["caught"] = [
        catch((raw / "none").read_text).error,
        catch(lambda: workspace.glob("a[")).error,
        catch((raw / "deep" / "none").unlink).error,
        catch(lambda: (raw / "bad\nname").write_text("x")).error,
        catch(lambda: raw.read_text()).error,
        catch(lambda: (raw / "a.csv" / "below").write_text("x")).error,
    ]
    seen["after"] = sorted([repr(str(p)) for p in workspace.rglob("*")])
    log.info("seen", n = 1, f = 1.5, t = True, l = [1, {"a": None}], s = "é")
    print("done")
    progress(1, total = 2, message = "half")
    return seen
`

// A body sees and does the same in a process of its own as in the worker.
func TestModesAgree(t *testing.T) {
	g := newGround(t, map[string]string{
		"raw/a.csv": "id,n\n1,2\n3,4\n", "raw/deep/b.csv": "x\n", "raw/c.csv": "", "raw/big.bin": strings.Repeat("0123456789", 300_000),
		"raw/\xff\xfe.csv": "not UTF-8", "old/1": "1", "old/2": "2",
	})
	m := loaded(t, everything)
	p := New(Options{})
	defer p.Close()
	type outcome struct {
		Output   string
		Reason   string
		Changes  []workspace.Change
		Log      string
		Progress []starlib.Progress
	}
	run := func(body engine.Body) outcome {
		var mu sync.Mutex
		var lines []string
		var progress []starlib.Progress
		r := g.runner(body)
		res := r.Run(t.Context(), m, g.attempt(`{"word": "é\u0000"}`), engine.Hooks{
			Record:   func(line string) { mu.Lock(); lines = append(lines, line); mu.Unlock() },
			Progress: func(p starlib.Progress) { mu.Lock(); progress = append(progress, p); mu.Unlock() },
		})
		return outcome{string(res.Output), res.Reason, res.Changes, strings.Join(lines, "\n"), progress}
	}
	thread, process := run(engine.InProcess{}), run(p)
	if thread.Reason != "" {
		t.Fatalf("in thread mode: %s", thread.Reason)
	}
	if !reflect.DeepEqual(thread, process) {
		t.Errorf("in a process:\n%+v\nin a thread:\n%+v", process, thread)
	}
	if len(thread.Changes) < 6 || len(thread.Progress) != 1 || !strings.Contains(thread.Log, "s=é") {
		t.Errorf("too little happened to compare: %+v", thread)
	}
}

// Errors of a body keep their code, place, stack and weight on their way.
func TestErrorsAgree(t *testing.T) {
	g := newGround(t, map[string]string{"raw/a.csv": "id\n\"open\n"})
	p := New(Options{})
	defer p.Close()
	for _, body := range []string{
		`fail("no " + params.word)`,
		`fail_terminal("never")`,
		`1 // 0`,
		`[][1]`,
		`workspace.read()`,
		`(workspace / "none").read_text()`,
		`(workspace / "..").exists()`,
		`[row for row in csv.reader(workspace / "raw" / "a.csv")]`,
		`json.decode("[" * 300)`,
		`"a" * (1 << 40)`,
		`helper(3)`,
		`catch(fail_terminal, "through")`,
		`return 3`,
		`return {"x": 1 << 60}`,
		`return {1: 2} if len(params.word) > 1 else {1: 3}`,
		`return {"x": "a" * (5 << 20)}`,
		`x = [0]; x[0] = x; return {"x": x}`,
	} {
		source := "task(name = \"t\", params = schema(word = field(str, default = \"x\")), workspace = workspace_spec())\n\n" +
			"def helper(n):\n    return n + \"a\"\n\ndef run(workspace, params):\n    " + body + "\n    return {}\n"
		m := loaded(t, source)
		say := func(b engine.Body) string {
			res := g.runner(b).Run(t.Context(), m, g.attempt(`{"word": "luck"}`), engine.Hooks{})
			return fmt.Sprintf("%s: %s\n%s", res.Status, res.Reason, res.Story)
		}
		thread, process := say(engine.InProcess{}), say(p)
		if thread != process || strings.HasPrefix(thread, string(queue.Completed)) {
			t.Errorf("%s\nin a process: %s\nin a thread: %s", body, process, thread)
		}
	}
}

// A limit is warned of at its half and named at its end, in both modes.
func TestLimitsAgree(t *testing.T) {
	p := New(Options{})
	t.Cleanup(func() { p.Close() })
	for _, tt := range []struct {
		resources, body, code, warning string
	}{
		{"steps = 10000", "for i in range(1 << 40):\n        pass", "P4001", "half of the limit of steps is used"},
		{"seconds = 1", "for i in range(1 << 60):\n        pass", "P4002", "half of the limit of seconds is used"},
		{"", "for i in range(1 << 40):\n        log.info(\"x\")", "P4004", "half of the limit of log records is used"},
		{"", "for i in range(1 << 40):\n        log.info(\"x\" * 60000)", "P4004", "half of the limit of log bytes is used"},
		{"", "return {\"x\": \"a\" * (5 << 20)}", "P4005", ""},
	} {
		m := loaded(t, "task(name = \"t\", resources = resources("+tt.resources+"))\n\ndef run(params):\n    "+tt.body+"\n    return {}\n")
		for _, body := range []engine.Body{engine.InProcess{}, p} {
			t.Run(fmt.Sprintf("%T %s", body, tt.body), func(t *testing.T) {
				t.Parallel()
				var mu sync.Mutex
				var warnings []string
				r := &engine.Runner{Body: body, Log: slog.New(slog.DiscardHandler)}
				res := r.Run(t.Context(), m, queue.Attempt{Input: []byte(`{"params": {}}`)}, engine.Hooks{Record: func(line string) {
					if strings.HasPrefix(line, "WARN") {
						mu.Lock()
						warnings = append(warnings, line)
						mu.Unlock()
					}
				}})
				if res.Status != queue.Failed || string(res.Diagnostics[0].Code) != tt.code || res.Diagnostics[0].Line < 4 && tt.code != "P4005" {
					t.Errorf("%T, %s: got %s %s:%d %s; want %s from line 4 on", body, tt.body, res.Status, res.Diagnostics[0].Code,
						res.Diagnostics[0].Line, res.Reason, tt.code)
				}
				if tt.warning != "" && !slices.ContainsFunc(warnings, func(w string) bool { return strings.Contains(w, tt.warning) }) {
					t.Errorf("%T, %s: got warnings %q, want %q", body, tt.body, warnings, tt.warning)
				}
			})
		}
	}
}
