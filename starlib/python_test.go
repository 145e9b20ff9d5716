package starlib_test

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.starlark.net/starlark"
	"go.starlark.net/syntax"

	"perago/starlib"
	"perago/starlib/diag"
	"perago/starlib/starlibtest"
	"perago/workspace"
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

const pythonFiles = "testdata/python/files/"

// recordedFiles is what testdata/python/files.py wrote, and says of it.
type recordedFiles struct {
	Rows     [][3]any             // a file, arguments of csv.reader, what is in it
	Tables   map[string][]*string // by encoding, the character of each byte
	Replaced [][3]string          // an encoding, bytes in hex, their text
	Members  map[string]string    // of the archives, in hex
	Odd      [][2]any             // a table with quotes in wrong places, and its rows
}

func recorded(t *testing.T) (r recordedFiles, files map[string]string) {
	t.Helper()
	text, err := os.ReadFile(pythonFiles + "files.json")
	if err != nil {
		t.Fatal(err)
	}
	if err := json.Unmarshal(text, &r); err != nil {
		t.Fatal(err)
	}
	names, err := filepath.Glob(pythonFiles + "*")
	if err != nil {
		t.Fatal(err)
	}
	files = map[string]string{}
	for _, name := range names {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		files[filepath.Base(name)] = string(data)
	}
	return r, files
}

// inBody evaluates an expression in a body whose workspace has files.
func inBody(t *testing.T, files map[string]string, expression string) (starlark.Value, error) {
	t.Helper()
	run := &starlib.Run{Context: t.Context(), Files: overlay(t, workspace.Spec{}, files)}
	thread := new(starlark.Thread)
	run.Attach(thread)
	names := starlib.Predeclared()
	names["workspace"] = run.Workspace()
	globals, err := starlibtest.Exec(thread, "x", "x = "+expression, names)
	if kept := run.Err(); kept != nil {
		err = kept
	}
	return globals["x"], err
}

// What Python wrote is read as Python reads it.
func TestReadsWhatPythonWrote(t *testing.T) {
	r, files := recorded(t)
	if len(r.Rows) < 8 {
		t.Fatalf("%d files", len(r.Rows))
	}
	for _, row := range r.Rows {
		want, err := json.Marshal(row[2])
		if err != nil {
			t.Fatal(err)
		}
		got, err := inBody(t, files, fmt.Sprintf("json.encode(list(csv.reader(workspace / %q, %s)))", row[0], row[1]))
		if err != nil || got != starlark.Value(starlark.String(want)) {
			t.Errorf("%s: got %v, %v\nwant %s", row[0], got, err, want)
		}
	}
}

// The encodings of one byte are Python's, and so is what stands for bad bytes.
func TestEncodingsArePythons(t *testing.T) {
	r, _ := recorded(t)
	if len(r.Tables) < 14 || len(r.Replaced) < 5 {
		t.Fatalf("%d tables, %d texts", len(r.Tables), len(r.Replaced))
	}
	for name, table := range r.Tables {
		var data, want strings.Builder
		for b, c := range table {
			control := strings.HasPrefix(name, "iso-") && 0x80 <= b && b < 0xa0 // of no use, and a sign of windows-1252
			if c != nil && !control {
				data.WriteByte(byte(b))
				want.WriteString(*c)
				continue
			}
			_, err := inBody(t, map[string]string{"t": string([]byte{'a', byte(b)})}, fmt.Sprintf("(workspace / 't').read_text(encoding = %q)", name))
			if err == nil || !strings.Contains(err.Error(), fmt.Sprintf("the byte 0x%02x at offset 1", b)) {
				t.Errorf("%s: the byte 0x%02x: got error %v", name, b, err)
			}
		}
		got, err := inBody(t, map[string]string{"t": data.String()}, fmt.Sprintf("(workspace / 't').read_text(encoding = %q)", name))
		if err != nil || got != starlark.Value(starlark.String(want.String())) {
			t.Errorf("%s: got %v, %v\nwant %q", name, got, err, want.String())
		}
	}
	for _, row := range r.Replaced {
		data, err := hex.DecodeString(row[1])
		if err != nil {
			t.Fatal(err)
		}
		got, err := inBody(t, map[string]string{"t": string(data)}, fmt.Sprintf("(workspace / 't').read_text(encoding = %q, errors = 'replace')", row[0]))
		if err != nil || got != starlark.Value(starlark.String(row[2])) {
			t.Errorf("%s %s: got %v, %v; want %q", row[0], row[1], got, err, row[2])
		}
	}
}

// Quotes in wrong places are what Python takes them for, when that is wanted.
func TestLenientQuotesArePythons(t *testing.T) {
	r, _ := recorded(t)
	if len(r.Odd) < 8 {
		t.Fatalf("%d texts", len(r.Odd))
	}
	for _, row := range r.Odd {
		want, err := json.Marshal(row[1])
		if err != nil {
			t.Fatal(err)
		}
		got, err := inBody(t, nil, fmt.Sprintf(`json.encode(list(csv.reader(%q, quotes = "lenient")))`, row[0]))
		if err != nil || got != starlark.Value(starlark.String(want)) {
			t.Errorf("%q: got %v, %v; want %s", row[0], got, err, want)
		}
		if _, err := inBody(t, nil, fmt.Sprintf(`list(csv.reader(%q))`, row[0])); err == nil {
			t.Errorf("%q: no error without", row[0])
		}
	}
}

// What a task writes is recorded in files/task.*, and read by Python there: see
// testdata/python/files.py.
func TestWhatPythonReads(t *testing.T) {
	r, files := recorded(t)
	rows, err := json.Marshal(r.Rows[0][2])
	if err != nil {
		t.Fatal(err)
	}
	members := "{"
	for _, name := range []string{"a.csv", "deep/é.txt", "deep/zeros.bin"} {
		data, err := hex.DecodeString(r.Members[name])
		if err != nil {
			t.Fatal(err)
		}
		files["members/"+name] = string(data)
		members += fmt.Sprintf("%q: workspace / %q, ", name, "members/"+name)
	}
	o := overlay(t, workspace.Spec{}, files)
	run := &starlib.Run{Context: t.Context(), Files: o}
	mustRun(t, run, fmt.Sprintf(`
rows = json.decode(%q)
for name in ["csv.gz", "csv.zst", "minimal.csv"]:
    csv.write(workspace / ("task." + name), rows)
csv.write(workspace / "task.cp1252.csv", rows, delimiter = ";", encoding = "cp1252")
csv.write(workspace / "task.utf16.csv", rows, encoding = "utf-16")
csv.write(workspace / "task.all.csv", rows, quoting = "all")
values = [rows[0]] + [[int(a), b, None if c == "" else float(c)] for a, b, c in rows[1:]]
csv.write(workspace / "task.nonnumeric.csv", values, quoting = "nonnumeric")
csv.write(workspace / "task.none.csv", [["a", "b"], [1, "x y"]], quoting = "none", newline = "\n")
for name in ["zip", "tar", "tar.gz", "tar.zst"]:
    archive.write(workspace / ("task." + name), %s})
`, rows, members))
	names := []string{"csv.gz", "csv.zst", "minimal.csv", "cp1252.csv", "utf16.csv", "all.csv", "nonnumeric.csv", "none.csv", "zip", "tar", "tar.gz", "tar.zst"}
	for _, name := range names {
		got := content(t, o, "task."+name)
		if *update {
			if err := os.WriteFile(pythonFiles+"task."+name, []byte(got), 0o644); err != nil {
				t.Fatal(err)
			}
		} else if got != files["task."+name] {
			t.Errorf("task.%s is not what Python was asked about: run the test with -update, then testdata/python/files.py", name)
		}
	}
}
