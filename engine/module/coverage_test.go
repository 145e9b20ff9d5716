package module_test

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"perago/engine"
	"perago/engine/module"
	"perago/starlib"
)

// coveredTask has every kind of statement; those that run with n = 3 count as
// the comments beside them say.
const coveredTask = `load("lib.star", "twice")
task(name = "a", params = schema(n = int))

LIMIT = 2 # the top level is not counted

def run(params):
    """Counted are statements, not what a function says of itself."""
    total = 0 #1
    for i in range(params.n): #1
        if i == LIMIT: #3
            total += twice(i) #1
        elif i > LIMIT: #2
            total = -1 #0
        else:
            total += 1 #2
            continue #2
        total += 1 #1
    def inner(x): #1
        return x #1
    if total: return {"total": inner(total)} #1
    return {} #0
`

// coveredPlaces are the lines and counts of coveredTask, by its comments.
func coveredPlaces() (lines []int32, counts []uint32) {
	for n, line := range strings.Split(coveredTask, "\n") {
		if _, count, ok := strings.Cut(line, " #"); ok && len(count) == 1 {
			lines, counts = append(lines, int32(n+1)), append(counts, uint32(count[0]-'0'))
			if strings.Contains(line, ": return") { // two statements
				lines, counts = append(lines, int32(n+1)), append(counts, uint32(count[0]-'0'))
			}
		}
	}
	return lines, counts
}

func TestCoverage(t *testing.T) {
	writeFiles(t, map[string]string{"task.star": coveredTask, "lib.star": "def twice(x):\n    return 2 * x\n\ndef never():\n    pass\n"})
	plain, list := module.Load("task.star", nil)
	if plain == nil {
		t.Fatal(list)
	}
	m, list := module.Load("task.star", &module.Options{Cover: true})
	if m == nil {
		t.Fatal(list)
	}
	run := func(m *module.Module, steps uint64) (string, engine.Usage, error) {
		params, _ := m.Task.CheckParams(json.RawMessage(`{"n": 3}`))
		out, usage, err := engine.InProcess{}.Run(t.Context(), m, engine.Call{Params: params, Limits: engine.Limits{Steps: steps}})
		return string(out), usage, err
	}
	want, used, err := run(plain, 0)
	if err != nil || want != `{"total":7}` {
		t.Fatalf("got %s, %v", want, err)
	}
	got, usage, err := run(m, 0)
	if err != nil || got != want || usage.Steps > used.Steps || usage.Steps+8 < used.Steps { // the jumps of an elif are placed otherwise
		t.Errorf("got %s, %v in %d steps, want %s in %d", got, err, usage.Steps, want, used.Steps)
	}

	files := m.Coverage().Files
	if len(files) != 2 || files[0].Name != "task.star" || files[1].Name != "lib.star" {
		t.Fatalf("got %v, want the statements of both files", files)
	}
	var lines []int32
	for _, s := range files[0].Statements {
		lines = append(lines, s.Line)
	}
	wantLines, wantCounts := coveredPlaces()
	if !slices.Equal(lines, wantLines) {
		t.Errorf("got statements at %v, want %v", lines, wantLines)
	}
	counts := m.Coverage().Take()
	if !slices.Equal(counts, append(wantCounts, 1, 0)) {
		t.Errorf("got counts %v, want %v", counts, append(wantCounts, 1, 0))
	}
	if err := m.Coverage().Add(counts); err != nil || !slices.Equal(m.Coverage().Take(), counts) {
		t.Errorf("counts that were added are not there: %v", err)
	}
	if err := m.Coverage().Add(counts[1:]); err == nil {
		t.Error("counts of fewer statements: got no error")
	}
	if f, ok := module.StatementsOf("task.star", []byte(coveredTask)); !ok || !slices.Equal(f.Statements, files[0].Statements) {
		t.Errorf("got %v, %t, want the same statements", f, ok)
	}
	if _, ok := module.StatementsOf("task.star", []byte("def (")); ok {
		t.Error("what is no Starlark has statements")
	}
}

// TestCoverageCostsNoSteps: the calls that count are not counted themselves.
func TestCoverageCostsNoSteps(t *testing.T) {
	writeFiles(t, map[string]string{"task.star": "task(name = \"a\")\n\ndef run(params):\n    n = 0\n    for i in range(1000):\n        if i % 2:\n            n += i\n    return {\"n\": n}\n"})
	var steps []uint64
	for _, cover := range []bool{false, true} {
		m, list := module.Load("task.star", &module.Options{Cover: cover})
		if m == nil {
			t.Fatal(list)
		}
		params, _ := m.Task.CheckParams(json.RawMessage(`{}`))
		_, usage, err := engine.InProcess{}.Run(t.Context(), m, engine.Call{Params: params, Limits: engine.Limits{Steps: 20_000}, Log: func(starlib.Record) {}})
		if err != nil {
			t.Fatal(err)
		}
		steps = append(steps, usage.Steps)
	}
	if steps[0] != steps[1] || steps[0] < 5000 {
		t.Errorf("got %d steps without and %d with coverage, want the same", steps[0], steps[1])
	}
}

// TestCoverageTellsPlaces: what goes wrong is told where it stands, counted or not.
func TestCoverageTellsPlaces(t *testing.T) {
	writeFiles(t, map[string]string{"task.star": "task(name = \"a\")\n\ndef run(params):\n    x = [1]\n    return {\"x\": x[1]}\n"})
	for _, cover := range []bool{false, true} {
		m, list := module.Load("task.star", &module.Options{Cover: cover})
		if m == nil {
			t.Fatal(list)
		}
		params, _ := m.Task.CheckParams(json.RawMessage(`{}`))
		_, _, err := engine.InProcess{}.Run(t.Context(), m, engine.Call{Params: params})
		if err == nil || !strings.HasPrefix(err.Error(), "task.star:5:20: ") {
			t.Errorf("covered %t: got %v", cover, err)
		}
	}
}

func TestCoverageIsBounded(t *testing.T) {
	var text strings.Builder
	text.WriteString("task(name = \"a\")\n\ndef run(params):\n")
	for range module.MaxStatements + 1 {
		text.WriteString("    x=1\n")
	}
	writeFiles(t, map[string]string{"task.star": text.String()})
	if _, list := module.Load("task.star", &module.Options{Cover: true}); len(list) != 1 || list[0].Code != "P1409" || list[0].File != "task.star" {
		t.Errorf("got %v, want P1409 of task.star", list)
	}
}

// TestTestLoadsTaskFile: a test gets the functions of a task file, nobody else does.
func TestTestLoadsTaskFile(t *testing.T) {
	writeFiles(t, map[string]string{
		"clean.star":      "task(name = \"a\")\n\ndef helper(x):\n    return x + 1\n\ndef run(params):\n    return {}\n",
		"between.star":    "load(\"clean.star\", \"helper\")\ny = helper(1)\n",
		"clean_test.star": "load(\"clean.star\", \"helper\")\ny = helper(1)\n",
		"more_test.star":  "load(\"between.star\", \"y\")\nz = y\n",
		"task_test.star":  "task(name = \"b\")\n",
		"other.star":      "load(\"clean.star\", \"helper\")\ntask(name = \"b\")\n\ndef run(params):\n    return {}\n",
	})
	m, globals, list := module.LoadTest("clean_test.star", nil)
	if m == nil || globals["y"].String() != "2" || m.Task != nil {
		t.Errorf("got %v, %v, want the function of the task file", globals, list)
	}
	for _, file := range []string{"more_test.star", "task_test.star"} {
		if m, _, list := module.LoadTest(file, nil); m != nil || len(list) != 1 {
			t.Errorf("%s: got %v, want one complaint", file, list)
		}
	}
	for _, file := range []string{"other.star", "between.star"} {
		if m, list := module.LoadAny(file, nil); m != nil || len(list) != 1 {
			t.Errorf("%s: got %v, want one complaint", file, list)
		}
	}
}
