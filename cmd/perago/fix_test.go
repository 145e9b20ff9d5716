package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"perago/engine/module"
)

// fixable are pieces of Python and of haste, each a body; those of
// testdata/lint/wrong.star are mended too.
var fixable = []string{
	"x = 1_000\nprint(x)", "x = u'a' + R'\\d'\nprint(x)", "if params.flag is None || !params.flag:\n    pass", "x = 5\nx++\nprint(x)",
	"print(f'{params.texts[0]!r:>10} of {len(params.texts):,}')", "print(f\"{params.options['a:b']}\")", "print(f'{1, 2}', f'{x for x in []}')",
	"print(f'a' f'b')", "print(f'plain')", "print(f'{{}}')", "print(f'{(lambda: 1)()}')", "print(f'{1 if True else 2}')", "print(rf'\\d{1}')", "print(f'{1:{2}}')",
	"// a comment, isn't it\nprint(1)", "...", "if 1 <> 2&&3:\n    ...", "print(“a”, 1 – 2, 3 × 4)", "print(none, null, TRUE, nil)",
	"x = [1].apend(2)\nprint(x)", "print(params.row)", "print(params.txts, params.flg)", "x = xrange(3)\nprint(x)", "if params.maybe is not 5:\n    pass",
	"for i in range(3):\n    for j in range(3):\n        print(1)", "for _ in [1]:\n    print(_)\nfor i in [1]:\n    print(2)",
	"rows = []\nrows = rows.append(1); print(rows)", "print(json.loads('1'), json.dumps(1), log.warn('x'), csv.DictReader(workspace / 'a'))",
	"print(base64.b64encode('a'), yaml.safe_load('a: 1'))", "def f(first, second = 1):\n    return first + second\nprint(f(1, secnd = 2), f(fist = 1))",
	"if type(params.maybe) == 'str' or dict == type(1):\n    pass", "return {\"nn\": 1}", "x = '\\u00e9' + 'é'; y = 1_0; print(x, y)",
}

// fixInput is a body as a file that loads.
func fixInput(body string) string {
	return `import json
import re, csv

load("lib.star", "one", other = "two")

task(
    name = "fix",
    owner_emial = "a@b.c",
    params = schema(rows = list_of(schema(id = int, name = str)), texts = list_of(str), flag = bool, maybe = optional(str), options = dict),
    result = schema(n = field(int, default = 0), s = field(str, default = "")),
    workspace = workspace_spec(),
)

def run(workspace, params):
    ` + strings.ReplaceAll(strings.TrimRight(body, "\n"), "\n", "\n    ") + "\n"
}

// mended fixes a text in a folder of its own, and checks that nothing is left to
// fix and that what parsed still does.
func mended(t *testing.T, dir, text string) fixed {
	t.Helper()
	file := filepath.Join(dir, "task.star")
	if err := os.WriteFile(file, []byte(text), 0o666); err != nil {
		t.Fatal(err)
	}
	f, err := fixFile(file, &module.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if parses(file, f.before) && !parses(file, f.after) {
		t.Errorf("does not parse any more:\n%s\nwas\n%s", f.after, f.before)
	}
	if bytes.Equal(f.before, f.after) != (len(f.Diagnostics) == 0) {
		t.Errorf("%d fixes of\n%s\nmade\n%s", len(f.Diagnostics), f.before, f.after)
	}
	_, list := checkFile(file, &module.Options{Texts: map[string][]byte{file: f.after}})
	for _, d := range list {
		if d.File == file && len(d.Fix) > 0 {
			t.Errorf("left to fix: %s %v, in\n%s", d.Line1(), d.Fix, f.after)
		}
	}
	return f
}

func fixFolder(t testing.TB) string {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "lib.star"), []byte("def one():\n    return 1\n\ndef two():\n    return 2\n"), 0o666); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestFixLeavesNothingToFix(t *testing.T) {
	data, err := os.ReadFile("../../testdata/lint/wrong.star")
	if err != nil {
		t.Fatal(err)
	}
	dir, count := fixFolder(t), 0
	for _, body := range append(strings.Split(string(data), "\n---\n"), fixable...) {
		f := mended(t, dir, fixInput(body))
		count += len(f.Diagnostics)
		if bytes.Contains(f.after, []byte("import ")) || parses("task.star", f.after) && !bytes.Contains(f.after, []byte("owner_email")) {
			t.Errorf("not mended:\n%s", f.after)
		}
	}
	if count < 900 {
		t.Errorf("%d fixes were made, want 900 or more", count)
	}
}

// What is right is left as it is.
func TestFixLeavesTasksAlone(t *testing.T) {
	for _, pattern := range []string{"../../tasks/*.star", "../../tasks/*/*.star", "../../testdata/tasks/*.star"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			if f, err := fixFile(file, &module.Options{Root: "../.."}); err != nil || len(f.Diagnostics) > 0 {
				t.Errorf("%s: got fixes %v, %v", file, f.Diagnostics, err)
			}
		}
	}
}

func FuzzFix(f *testing.F) {
	for _, body := range fixable {
		f.Add(body)
	}
	dir := fixFolder(f)
	f.Fuzz(func(t *testing.T, body string) {
		if len(body) < 2000 && !strings.Contains(body, "load") {
			mended(t, dir, fmt.Sprintf("task(name = \"fix\")\n\ndef run(params):\n    pass\n\ndef f(x):\n    %s\n", body))
		}
	})
}
