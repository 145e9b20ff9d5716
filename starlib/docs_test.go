package starlib_test

import (
	"archive/zip"
	"flag"
	"fmt"
	"maps"
	"os"
	"strings"
	"testing"

	"go.starlark.net/starlark"

	"perago/starlib"
	"perago/starlib/starlibtest"
	"perago/workspace"
)

var update = flag.Bool("update", false, "write the golden files anew")

// The names, parameters and results of the language change on purpose only.
func TestAPIGolden(t *testing.T) {
	const golden = "testdata/api.golden"
	got := api()
	if *update {
		if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	had := map[string]bool{}
	for line := range strings.Lines(string(want)) {
		had[line] = true
	}
	for line := range strings.Lines(got) {
		if !had[line] {
			t.Errorf("new or changed: %s", line)
		}
		delete(had, line)
	}
	for line := range maps.Keys(had) {
		t.Errorf("gone or changed: %s", line)
	}
	if t.Failed() {
		t.Log("when that is meant: go test ./starlib -run TestAPIGolden -update, and a line in CHANGELOG.md")
	}
}

// api is one line for every row, with the types of its parameters: what may not
// change by accident.
func api() string {
	var b strings.Builder
	for _, row := range starlib.Table() {
		parts := make([]string, len(row.Params))
		for i, p := range row.Params {
			star := map[starlib.Kind]string{starlib.Rest: "*", starlib.KeywordRest: "**"}[p.Kind]
			parts[i] = star + p.Name + ": " + p.Type
			if p.Default != "" {
				parts[i] += " = " + p.Default
			}
			if how := map[starlib.Kind]string{starlib.KeywordOnly: "keyword", starlib.Positional: "position"}[p.Kind]; how != "" {
				parts[i] += " [" + how + "]"
			}
		}
		call := "(" + strings.Join(parts, ", ") + ")"
		if row.Property {
			call = ""
		}
		fmt.Fprintf(&b, "%s%s -> %s [%s]\n", row.Name, call, row.Returns, row.Phase)
	}
	return b.String()
}

func TestEveryRowIsDocumented(t *testing.T) {
	reference := starlib.Markdown()
	seen := map[string]bool{}
	for _, row := range starlib.Table() {
		if seen[row.Name] {
			t.Errorf("%s is in the table twice", row.Name)
		}
		seen[row.Name] = true
		if !strings.HasSuffix(row.Doc, ".") || row.Returns == "" || row.Phase == "" {
			t.Errorf("%s: got doc %q, returns %q, phase %q; want all three, the doc in sentences", row.Name, row.Doc, row.Returns, row.Phase)
		}
		for _, p := range row.Params {
			if p.Type == "" {
				t.Errorf("%s: parameter %s has no type", row.Name, p.Name)
			}
		}
		if !strings.Contains(reference, "\n### `"+row.Signature()+"`\n") {
			t.Errorf("%s is not in the reference", row.Name)
		}
	}
}

// What is documented is what is bound, and nothing else is.
func TestPredeclaredIsTheTable(t *testing.T) {
	bound := map[string]bool{}
	for name, v := range starlib.Predeclared() {
		bound[name] = true
		if v.Type() != "module" {
			continue
		}
		delete(bound, name)
		for _, member := range v.(starlark.HasAttrs).AttrNames() {
			bound[name+"."+member] = true
		}
	}
	for _, row := range starlib.Table() {
		if row.Method {
			continue
		}
		if !bound[row.Name] && !starlark.Universe.Has(row.Name) {
			t.Errorf("%s is in the table and not bound", row.Name)
		}
		delete(bound, row.Name)
	}
	for name := range bound {
		t.Errorf("%s is bound and not in the table", name)
	}
	for name := range starlark.Universe {
		documented := false
		for _, row := range starlib.Table() {
			documented = documented || row.Name == name || strings.HasPrefix(row.Name, name+".")
		}
		if !documented {
			t.Errorf("%s comes from the interpreter and is not in the table", name)
		}
	}
}

// Every snippet of the section "Formats" of the guide runs.
func TestFormatsOfTheGuide(t *testing.T) {
	guide, err := os.ReadFile("../docs/language.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, _ := strings.Cut(string(guide), "\n## Formats\n")
	section, _, _ = strings.Cut(section, "\n## ")
	files := fixture()
	files["conf/job.yaml"] = "retries: 3\n"
	snippets := strings.Split(section, "```python\n")[1:]
	if len(snippets) == 0 {
		t.Fatal("the guide has no section of formats")
	}
	for _, snippet := range snippets {
		snippet, _, _ = strings.Cut(snippet, "```")
		run := &starlib.Run{Context: t.Context(), Files: overlay(t, workspace.Spec{}, files), Log: func(starlib.Record) {}}
		thread := new(starlark.Thread)
		run.Attach(thread)
		names := starlib.Predeclared()
		names["workspace"] = run.Workspace()
		if _, err := starlibtest.Exec(thread, "guide", snippet, names); err != nil {
			t.Errorf("%s\nerror %v", snippet, err)
		}
		if err := run.End(t.Context()); err != nil {
			t.Errorf("%s\nEnd: %v", snippet, err)
		}
	}
}

// Every example runs; one that compares holds.
func TestExamples(t *testing.T) {
	files := fixture()
	files["raw/songs.csv"] = "title\nA\n"
	files["raw/a.zip"] = zipOf(t, "id\n1\n", zip.FileHeader{Name: "a.csv"})
	files["raw/events.jsonl"] = "{\"kind\": 1}\n"
	files["raw/log.txt"] = "one\n"
	files["settings.json"] = "{}"
	for _, row := range starlib.Table() {
		if row.Example == "" || row.Phase == starlib.Declare || row.NeedsEngine() { // engine/tables runs the last
			continue
		}
		t.Run(row.Name, func(t *testing.T) {
			run := &starlib.Run{Context: t.Context(), Files: overlay(t, workspace.Spec{}, files)}
			thread := new(starlark.Thread)
			run.Attach(thread)
			names := starlib.Predeclared()
			names["workspace"] = run.Workspace()
			const given = "rows = [{\"id\": 1}]\nparams = struct(name = \"x\", min_rows = 3)\npath = workspace / \"raw/a.csv\"\npaths = [path]\ni = 1\nn = 2\nsource = \"{\"\n"
			for _, line := range strings.Split(row.Example, "\n") {
				if !strings.Contains(line, " == ") {
					continue
				}
				globals, err := starlibtest.Exec(thread, "example", "holds = "+line, names)
				if err != nil || globals["holds"] != starlark.True {
					t.Errorf("%s: got %v, %v", line, globals["holds"], err)
				}
			}
			_, err := starlibtest.Exec(thread, "example", given+row.Example, names)
			ends := strings.HasPrefix(row.Name, "fail")
			if (err != nil) != ends {
				t.Errorf("%s\nerror %v", row.Example, err)
			}
			if err := run.End(t.Context()); err != nil {
				t.Errorf("End: %v", err)
			}
		})
	}
}
