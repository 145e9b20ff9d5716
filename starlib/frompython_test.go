package starlib_test

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"strings"
	"testing"

	"go.starlark.net/starlark"
	"go.starlark.net/syntax"

	"perago/starlib"
	"perago/starlib/diag"
	"perago/starlib/starlibtest"
)

// answer is what lines of a task file give: those before the last one are the top
// level, which is frozen, and the last one is what a body does.
func answer(lines []string) string {
	names := starlib.Predeclared()
	told := func(err error, source string) string {
		d := diag.FromError(err, &diag.Sources{Text: map[string][]byte{"row": []byte(source)}, Names: append(names.Keys(), starlark.Universe.Keys()...)})[0]
		return fmt.Sprintf("error %s: %s", d.Code, (&diag.Problem{Message: d.Message, Found: d.Found, Wanted: d.Wanted}).Error())
	}
	source := strings.Join(lines[:len(lines)-1], "\n") + "\n"
	globals, err := starlark.ExecFileOptions(&syntax.FileOptions{Set: true}, new(starlark.Thread), "row", source, names)
	if err != nil {
		return told(err, source)
	}
	maps.Copy(names, globals)
	thread := new(starlark.Thread)
	(&starlib.Run{Context: context.Background()}).Attach(thread)
	source = "x = " + lines[len(lines)-1] + "\n"
	if globals, err = starlibtest.Exec(thread, "row", source, names); err != nil {
		return told(err, source)
	}
	return globals["x"].String()
}

// code is a line of a program in a cell of a table.
func code(lines ...string) string {
	var cells []string
	for _, line := range lines {
		indent := len(line) - len(strings.TrimLeft(line, " "))
		fence := "`"
		if strings.Contains(line, "`") {
			fence = "``"
		}
		cells = append(cells, strings.Repeat("&nbsp;", indent)+fence+strings.ReplaceAll(line[indent:], "|", "\\|")+fence)
	}
	return strings.Join(cells, "<br>")
}

// The table of docs/python.md is what Python and the language say, and nothing
// in it is from memory.
func TestComingFromPython(t *testing.T) {
	data, err := os.ReadFile("testdata/python/differences.json")
	if err != nil {
		t.Fatal(err)
	}
	var recorded struct {
		Python string
		Rows   [][5]json.RawMessage // topic, lines in Python, its result, lines here, a note
	}
	if err := json.Unmarshal(data, &recorded); err != nil {
		t.Fatal(err)
	}
	if len(recorded.Rows) < 50 {
		t.Errorf("got %d rows, want 50 or more", len(recorded.Rows))
	}
	var silent, loud strings.Builder
	for _, row := range recorded.Rows {
		var topic, result, note string
		var python, here []string
		for i, into := range []any{&topic, &python, &result, &here, &note} {
			if err := json.Unmarshal(row[i], into); err != nil {
				t.Fatal(err)
			}
		}
		got := answer(here)
		if got == result && note == "" {
			t.Errorf("%s: both give %s, and nothing is said of it", here, got)
		}
		other := ""
		if fmt.Sprint(python) != fmt.Sprint(here) {
			other = code(here...) + ": "
		}
		table := &silent
		if strings.HasPrefix(got, "error ") {
			table = &loud
			got = strings.ReplaceAll(got, "|", "\\|")
		} else {
			got = code(got)
		}
		fmt.Fprintf(table, "| %s | %s | %s | %s%s | %s |\n", topic, code(python...), code(result), other, got, strings.ReplaceAll(note, "|", "\\|"))
	}
	const head = "| of | lines | Python " + "%s" + " | here | instead |\n| --- | --- | --- | --- | --- |\n"
	const page = "../docs/python.md"
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	intro, _, ok := strings.Cut(string(text), "\n## Silent: both run\n")
	if !ok {
		t.Fatalf("%s has no heading `## Silent: both run`", page)
	}
	want := intro + "\n## Silent: both run\n\n" + fmt.Sprintf(head, recorded.Python) + silent.String() +
		"\n## Loud: an error here\n\n" + fmt.Sprintf(head, recorded.Python) + loud.String()
	if *update {
		if err := os.WriteFile(page, []byte(want), 0o666); err != nil {
			t.Fatal(err)
		}
		return
	}
	if want != string(text) {
		t.Errorf("%s is not what Python and the language say; renew it with `go test ./starlib -run TestComingFromPython -update`", page)
	}
}
