package module_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"perago/engine/module"
	"perago/starlib/diag"
)

// lintHead declares what the bodies of testdata/lint have.
const lintHead = `task(
    name = "lint",
    owner_email = "a@b.c",
    params = schema(rows = list_of(schema(id = int, name = str)), texts = list_of(str), numbers = list_of(float),
        options = dict, flag = bool, maybe = optional(str)),
    result = schema(n = field(int, default = 0), s = field(str, default = "")),
    workspace = workspace_spec(),
)

def run(workspace, params):
`

// lintBodies are the bodies of a file of testdata/lint, each with the line
// before its first one.
func lintBodies(t *testing.T, file string) (bodies []string, lines []int) {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	line := 0
	for _, body := range strings.Split(string(data), "\n---\n") {
		bodies, lines = append(bodies, body), append(lines, line)
		line += strings.Count(body, "\n") + 2
	}
	return bodies, lines
}

// linted is what check says of a body, but for params that it does not read and
// for how it ends.
func linted(t *testing.T, body string) diag.List {
	t.Helper()
	source := lintHead + "    " + strings.ReplaceAll(strings.TrimRight(body, "\n"), "\n", "\n    ") + "\n"
	m, list := module.Again("task.star", map[string][]byte{"task.star": []byte(source)}, module.Options{Root: "."})
	if m == nil {
		t.Errorf("%s\ndoes not load: %s", body, list[0].Line1())
		return nil
	}
	var said diag.List
	for _, d := range module.Lint(m) {
		if d.Code != "P5001" && d.Code != "P5005" {
			said = append(said, d)
		}
	}
	return said
}

// Where nothing is wrong nothing is said: a false alarm costs the trust in all others.
func TestLintOfValidBodies(t *testing.T) {
	bodies, lines := lintBodies(t, "../../testdata/lint/valid.star")
	if len(bodies) < 100 {
		t.Errorf("got %d bodies, want 100 or more", len(bodies))
	}
	for i, body := range bodies {
		for _, d := range linted(t, body) {
			t.Errorf("valid.star:%d: %s %s", lines[i]+1, d.Code, d.Line1())
		}
	}
}

// Every mistake is found, at its line, under its code, and nothing else is said.
func TestLintOfWrongBodies(t *testing.T) {
	bodies, lines := lintBodies(t, "../../testdata/lint/wrong.star")
	if len(bodies) < 150 {
		t.Errorf("got %d bodies, want 150 or more", len(bodies))
	}
	head := strings.Count(lintHead, "\n")
	for i, body := range bodies {
		var want string
		for n, line := range strings.Split(body, "\n") {
			if _, code, ok := strings.Cut(line, " ### "); ok {
				want = fmt.Sprintf("%s at line %d", code, n+1)
			}
		}
		said := false
		for _, d := range linted(t, body) {
			got := fmt.Sprintf("%s at line %d", d.Code, d.Line-head)
			if got != want && d.Severity == diag.Error {
				t.Errorf("wrong.star:%d: also %s: %s", lines[i]+1, got, d.Line1())
			}
			said = said || got == want
		}
		if !said {
			t.Errorf("wrong.star:%d: want %s", lines[i]+1, want)
		}
	}
}
