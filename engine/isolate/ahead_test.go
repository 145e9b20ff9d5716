package isolate

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"

	"perago/engine"
	"perago/workspace"
)

// through goes through a list of files, and does to others of them what params
// say, before it reads each.
const through = `
task(name = "t", params = schema(does = field(dict, default = {}), most = field(int, default = 1000)), workspace = workspace_spec())

def do(op, p, to):
    if op == "write":
        p.write_text("new " + p.name)
    elif op == "append":
        f = p.open("a")
        f.write(" more")
        f.close()
    elif op == "unlink":
        p.unlink()
    elif op == "rename":
        p.rename(to)
    elif op == "copy":
        p.copy(to)
    elif op == "remove_tree":
        p.parent.remove_tree()
    elif op == "read":
        return p.read_text()

def run(workspace, params):
    seen = []
    for n, p in enumerate(workspace.glob("raw/**/*.txt")):
        if n == params.most:
            break
        for op, name, to in params.does.get(str(n), []):
            got = catch(do, op, workspace / name, workspace / to)
            seen.append([op, got.value, got.error])
        got = catch(p.read_text)
        seen.append([p.name, got.value, got.error])
    return {"seen": seen}
`

// numbered are n files in folders of ten.
func numbered(n int) map[string]string {
	files := map[string]string{}
	for i := range n {
		files[numberedName(i)] = fmt.Sprint("content ", i)
	}
	return files
}

func numberedName(i int) string { return fmt.Sprintf("raw/%02d/%04d.txt", i/10, i) }

// What a body reads is what it would read if nothing were asked for ahead,
// whatever it changes meanwhile; and it is counted so.
func TestFilesAheadAgree(t *testing.T) {
	g := newGround(t, numbered(40))
	m := loaded(t, through)
	p := New(Options{})
	defer p.Close()
	r := rand.New(rand.NewPCG(1, 2))
	for round := range 20 {
		does := map[string][][3]string{}
		for range r.IntN(20) {
			n := r.IntN(40)
			near := func() string { return numberedName(max(0, n-3+r.IntN(14))) }
			op := []string{"write", "append", "unlink", "rename", "copy", "read", "remove_tree"}[r.IntN(7)]
			does[fmt.Sprint(n)] = append(does[fmt.Sprint(n)], [3]string{op, near(), near()})
		}
		params, err := json.Marshal(map[string]any{"does": does, "most": 5 + r.IntN(60)})
		if err != nil {
			t.Fatal(err)
		}
		run := func(body engine.Body) (output string, changes []workspace.Change, read, bytes int64) {
			res := g.runner(body).Run(t.Context(), m, g.attempt(string(params)), engine.Hooks{})
			return string(res.Output) + res.Reason, res.Changes, int64(res.Files.ObjectsRead), res.Files.BytesRead
		}
		want, wantChanges, wantRead, wantBytes := run(engine.InProcess{})
		got, gotChanges, gotRead, gotBytes := run(p)
		if got != want || !reflect.DeepEqual(gotChanges, wantChanges) {
			t.Errorf("round %d, %s:\nin a process: %s %v\nin a thread:  %s %v", round, params, got, gotChanges, want, wantChanges)
		}
		if gotRead != wantRead || gotBytes != wantBytes {
			t.Errorf("round %d, %s: in a process %d files with %d bytes were read, in a thread %d with %d",
				round, params, gotRead, gotBytes, wantRead, wantBytes)
		}
	}
}

// asked counts how files are opened.
type asked struct {
	*workspace.Overlay
	ahead, singly atomic.Int64
}

func (a *asked) Open(ctx context.Context, path string) (*os.File, error) {
	a.singly.Add(1)
	return a.Overlay.Open(ctx, path)
}

func (a *asked) OpenAhead(ctx context.Context, path string) (*os.File, func(), error) {
	a.ahead.Add(1)
	return a.Overlay.OpenAhead(ctx, path)
}

// A body that goes through a list asks for the files ahead; one that does not,
// for none.
func TestFilesAheadAreAskedFor(t *testing.T) {
	g := newGround(t, numbered(100))
	for _, tt := range []struct {
		body          string
		ahead, singly int64
	}{
		{`[p.read_text() for p in workspace.glob("raw/**/*.txt")]`, 98, 2},
		{`[p.read_text() for p in (workspace / "raw" / "03").iterdir()]`, 8, 2},
		{`[p.read_text() for p in reversed(workspace.glob("raw/**/*.txt"))]`, 0, 100},
		{`[(workspace / "raw" / "00" / ("000%d.txt" % n)).read_text() for n in range(10)]`, 0, 10},
	} {
		m := loaded(t, "task(name = \"t\", workspace = workspace_spec())\n\ndef run(workspace, params):\n    "+tt.body+"\n    return {}\n")
		dir := t.TempDir()
		ref := workspace.Ref{Repository: "songs", Branch: "main", Commit: g.input}
		files := &asked{Overlay: workspace.NewOverlay(g.store, ref, workspace.OverlayOptions{Dir: dir, Cache: g.cache})}
		p := New(Options{Spares: -1})
		call := silent(t, m, engine.Limits{})
		call.Files = files
		_, _, err := p.Run(t.Context(), m, call)
		p.Close()
		if err != nil {
			t.Fatalf("%s: %v", tt.body, err)
		}
		if ahead, singly := files.ahead.Load(), files.singly.Load(); ahead != tt.ahead || singly != tt.singly {
			t.Errorf("%s: %d files were asked for ahead and %d singly, want %d and %d", tt.body, ahead, singly, tt.ahead, tt.singly)
		}
		if err := files.Close(); err != nil {
			t.Error(err)
		}
	}
}

// What was asked for ahead, and is not what the body goes on with, is let go: a
// body may have its 256 files open however many lists it began.
func TestFilesAheadAreLetGo(t *testing.T) {
	files := map[string]string{}
	for i := range 800 {
		files[fmt.Sprintf("raw/%02d/%02d.txt", i/20, i%20)] = "x"
	}
	g := newGround(t, files)
	m := loaded(t, `
task(name = "t", workspace = workspace_spec())

def run(workspace, params):
    n = 0
    for d in (workspace / "raw").iterdir():
        for p in d.iterdir()[:2]:
            n += len(p.read_text())
    every = workspace.glob("raw/**/*.txt")
    for i in range(0, 800, 20):
        for p in every[i:i + 2]:
            n += len(p.read_text())
    opened = [every[i].open() for i in range(256)]
    return {"n": n, "opened": len(opened)}
`)
	p := New(Options{})
	defer p.Close()
	res := g.runner(p).Run(t.Context(), m, g.attempt(`{}`), engine.Hooks{})
	if want := `"result":{"n":160,"opened":256}`; !strings.Contains(string(res.Output), want) {
		t.Errorf("got %s %s, want %s", res.Output, res.Reason, want)
	}
}

// Names that do not fit one request together are asked for singly.
func TestFilesAheadThatDoNotFit(t *testing.T) {
	files := map[string]string{}
	for i := range 40 {
		files[fmt.Sprintf("%s/%02d", strings.Repeat("<", 1000), i)] = "x"
	}
	g := newGround(t, files)
	m := loaded(t, `
task(name = "t", workspace = workspace_spec())

def run(workspace, params):
    return {"n": len([p.read_text() for p in workspace.glob("**")])}
`)
	p := New(Options{})
	defer p.Close()
	res := g.runner(p).Run(t.Context(), m, g.attempt(`{}`), engine.Hooks{})
	if want := `"result":{"n":40}`; !strings.Contains(string(res.Output), want) {
		t.Errorf("got %s %s, want %s", res.Output, res.Reason, want)
	}
	if res.Files.ObjectsRead != 40 {
		t.Errorf("%d files were read, want 40", res.Files.ObjectsRead)
	}
}
