package starlib_test

import (
	"sync"
	"testing"

	"go.starlark.net/starlark"
	"go.starlark.net/syntax"

	"perago/starlib"
	"perago/workspace"
)

// What the top level makes is shared by all attempts at once; freezing it costs
// no more than there is.
func TestFrozenValuesAreShared(t *testing.T) {
	const src = `
track = re.compile(r"(\d+)-(\d+)")
half = time.hour / 2
names = struct(first = struct(deep = [1, 2]), table = {"a": 1})
many = struct(a = 1)
def grow(s):
    for i in range(100):
        s = struct(a = s, b = s)
    return s
many = grow(many)
def body(workspace):
    for i in range(50):
        eq = track.fullmatch("1-22").group(2) + re.sub("x", lambda m: m.group(), "axb") + str(names) + str(half)
    p = workspace / "out.txt"
    p.write_text(eq)
    return p.read_text() + json.encode(names)
`
	names := starlib.Predeclared()
	globals, err := starlark.ExecFileOptions(&syntax.FileOptions{Set: true, GlobalReassign: true}, new(starlark.Thread), "m.star", src, names)
	if err != nil {
		t.Fatal(err)
	}
	globals.Freeze()
	var wg sync.WaitGroup
	results := make([]string, 8)
	for i := range results {
		files := overlay(t, workspace.Spec{}, nil)
		wg.Go(func() {
			run := &starlib.Run{Context: t.Context(), Files: files}
			thread := new(starlark.Thread)
			run.Attach(thread)
			v, err := starlark.Call(thread, globals["body"], starlark.Tuple{run.Workspace()}, nil)
			if err != nil {
				t.Error(err)
				return
			}
			results[i] = v.String()
		})
	}
	wg.Wait()
	for _, r := range results {
		if r != results[0] || r == "" {
			t.Errorf("got %s and %s, want the same", r, results[0])
		}
	}
}

// Attempts share no mutable value, a module's members included.
func TestPredeclaredIsFresh(t *testing.T) {
	a, b := starlib.Predeclared(), starlib.Predeclared()
	for name := range a {
		if a[name].Type() == "module" && a[name] == b[name] {
			t.Errorf("%s is the same value in two modules", name)
		}
	}
}
