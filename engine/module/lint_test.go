package module_test

import (
	"path/filepath"
	"strings"
	"testing"

	"perago/engine/module"
)

// TestLintIsQuiet: what is right is not complained of.
func TestLintIsQuiet(t *testing.T) {
	const src = `"""Words about the file."""

load("lib.star", "half", twice = "double")

_PRIVATE = 1
LIMIT = 3
FIELDS = schema(n = int, deep = schema(size = int), maybe = field(optional(str), default = None))

task(
    name = "a.b",
    owner_email = "data@example.com",
    params = FIELDS,
    result = schema(n = int, note = field(str, default = "")),
    workspace = workspace_spec(
        pre = [require_glob("raw/**/*.csv", max_count = 9), forbid_glob("raw/*.tmp")],
        post = [require_file("out/table.csv")],
    ),
)

def helper(items, *, key = None, **rest):
    """Words about the function."""
    total, _ = 0, rest
    for item, _count in items:
        total += half(item) + twice(item)
        if key and item == key:
            continue
        elif item == None:
            break
    def inner(x):
        return x + total
    return [inner(i) for i, _ in items if i]

def run(workspace, params):
    "Words about the body."
    table = workspace / "out" / "table.csv"
    table.write_text("a")
    [print(x) for x in range(3)]
    catch(int, "x")
    if params.deep.size > LIMIT or params["maybe"]:
        return {"n": params.n}
    "a word in between"
    ns = helper([(params.n, 1)], key = 3)
    def later():
        return ns
    if len(later()) > 3:
        fail("too many")
    else:
        log.info("fine", n = len(ns))
    out = {}
    out["n"] = len(ns)
    return out
`
	files := map[string][]byte{"task.star": []byte(src), "lib.star": []byte("def half(n):\n    return n // 2\n\ndef double(n):\n    return n * 2\n\nUNUSED = 1\n")}
	m, list := module.Again("task.star", files, module.Options{Root: "."})
	if m == nil {
		t.Fatal(list)
	}
	for _, d := range module.Lint(m) {
		t.Errorf("%s %s", d.Code, d.Line1())
	}
}

// TestTasksAreClean: the worked tasks are examples to follow.
func TestTasksAreClean(t *testing.T) {
	t.Chdir("../..")
	files, err := filepath.Glob("tasks/*.star")
	if err != nil || len(files) == 0 {
		t.Fatal("no tasks", err)
	}
	for _, file := range files {
		if strings.HasSuffix(file, "_test.star") {
			continue
		}
		m, list := module.Load(file, nil)
		if m == nil {
			t.Errorf("%s: %v", file, list)
			continue
		}
		for _, d := range module.Lint(m) {
			t.Errorf("%s %s", d.Code, d.Line1())
		}
	}
}

// TestParamsAreFollowed: the lint of params goes as far as it can be sure.
func TestParamsAreFollowed(t *testing.T) {
	const head = "task(name = \"a\", owner_email = \"a@b.c\", params = schema(n = int, s = schema(x = int), o = field(optional(schema(x = int)), default = None)))\n"
	for _, tt := range []struct {
		body string
		want []string
	}{
		{"    return {\"n\": params.n, \"s\": params.s.x, \"o\": params.o}\n", nil},
		{"    return {\"n\": params}\n", nil},
		{"    p = params\n    return {\"n\": p.nn}\n", []string{"P5002 task.star:5:20: the schema of params has no field `nn`"}},
		{"    params = {}\n    return {\"n\": params.nn}\n", nil},
		{"    return {\"n\": [params.nn for _ in [1]], \"o\": params.o.y, \"s\": params.s}\n", []string{"P5001 task.star:1:57: the body never reads params.n",
			"P5002 task.star:4:26: the schema of params has no field `nn`"}},
		{"    f = lambda: params.s.y\n    return {\"n\": f() + params[\"n\"], \"o\": params.o}\n", []string{"P5002 task.star:4:26: the schema of params has no field `y`"}},
		{"    def f():\n        return params.m\n    return {\"n\": f() + params.n, \"s\": params.s, \"o\": params.o}\n",
			[]string{"P5002 task.star:5:23: the schema of params has no field `m`"}},
	} {
		m, list := module.Again("task.star", map[string][]byte{"task.star": []byte(head + "\ndef run(params):\n" + tt.body)}, module.Options{Root: "."})
		if m == nil {
			t.Fatal(list)
		}
		var got []string
		for _, d := range module.Lint(m) {
			got = append(got, string(d.Code)+" "+d.Line1())
		}
		if len(got) != len(tt.want) {
			t.Errorf("%s: got %q, want %q", tt.body, got, tt.want)
			continue
		}
		for i := range got {
			if got[i] != tt.want[i] {
				t.Errorf("%s: got %q, want %q", tt.body, got[i], tt.want[i])
			}
		}
	}
}
