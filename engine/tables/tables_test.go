//go:build cgo

package tables_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.starlark.net/starlark"

	"perago/engine"
	"perago/engine/isolate"
	"perago/engine/tables"
	"perago/starlib"
	"perago/starlib/starlibtest"
	"perago/workspace"
	"perago/workspace/memory"
)

// TestMain is the engine as well: the tests start themselves again.
func TestMain(m *testing.M) {
	isolate.Main(isolate.TableRole(tables.New())...)
	os.Exit(m.Run())
}

// fixture is the workspace of the tests.
func fixture() map[string]string {
	return map[string]string{
		"raw/songs.csv":              "id,title,seconds\n1,Ä song,30.5\n2,\"b, c\",12\n3,,7\n",
		"raw/semi.csv":               "id;title\n001;a\n002;NA\n",
		"raw/more.csv":               "id,title,seconds\n4,d,1\n",
		"raw/titled.csv":             "# of May\nid,title,seconds\n5,e,1\n",
		"raw/inches.csv":             "id,title,seconds\n6,\"f,1\n7,\"g,1\n8,h,1\n",
		"raw/dates.csv":              "id,day\n1,2026-01-31\n",
		"raw/nodate.csv":             "id,day\n2,\n",
		"raw/dates2.csv":             "id,day\n1,31/01/2026\n",
		"raw/other.csv":              "id,name\n5,e\n",
		"raw/bad.csv":                "id,n\n1,2\n2,x\n",
		"raw/late.csv":               "n\n" + strings.Repeat("1\n", 30_000) + "x\n",
		"raw/a.jsonl":                "{\"id\": 1, \"tags\": [\"x\", \"y\"], \"at\": {\"n\": 1}}\n{\"id\": 2}\n",
		"raw/a.json":                 "[{\"id\": 1}, {\"id\": 2}]",
		"raw/broken.json":            "{\"id\": ",
		"raw/broken.parquet":         "PAR1" + strings.Repeat("\x00\xff", 200) + "PAR1",
		"raw/empty.parquet":          "",
		"raw/t.csv":                  "id;year\n1;2025\n2;2026\n",
		"raw/plays.csv":              "song,n\na,1\nb,2\na,3\n",
		"parts/year=2025/a.csv":      "n\n1\n",
		"parts/year=2026/[b] 1%.csv": "n\n2\n",
		"settings.json":              "{}",
	}
}

func overlay(t testing.TB, files map[string]string) *workspace.Overlay {
	t.Helper()
	store := memory.New(nil)
	store.CreateRepository("songs")
	commit, err := store.Seed("songs", "main", files)
	if err != nil {
		t.Fatal(err)
	}
	o := workspace.NewOverlay(store, workspace.Ref{Repository: "songs", Branch: "main", Commit: commit},
		workspace.OverlayOptions{Dir: filepath.Join(t.TempDir(), "written")})
	t.Cleanup(func() { o.Close() })
	return o
}

// processes are the engines of a test.
func processes(t testing.TB) *isolate.Processes {
	p := isolate.New(isolate.Options{})
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error(err)
		}
	})
	return p
}

// run is a body in this process, whose statements have engines.
func run(t testing.TB, p *isolate.Processes, files map[string]string, l engine.Limits) *starlib.Run {
	o := overlay(t, files)
	return &starlib.Run{Context: t.Context(), Files: o, Now: time.Now, Tables: p.Tables(engine.Call{Files: o, Limits: l}),
		Log: func(r starlib.Record) { t.Log(r.Message) }}
}

func TestChunks(t *testing.T) {
	p := processes(t)
	for _, file := range []string{"testdata/tables.star", "testdata/refused.star"} {
		starlibtest.Run(t, file, func(t *testing.T) (*starlib.Run, starlark.StringDict) {
			var logged []starlark.Value
			r := run(t, p, fixture(), engine.Limits{Memory: 256 << 20, Scratch: 1 << 30})
			r.Log = func(r starlib.Record) { logged = append(logged, starlark.String(r.Message)) }
			return r, starlark.StringDict{"logged": starlark.NewBuiltin("logged", func(*starlark.Thread, *starlark.Builtin, starlark.Tuple, []starlark.Tuple) (starlark.Value, error) {
				return starlark.NewList(logged), nil
			})}
		})
	}
}

// Every example of a row that needs an engine runs, and every such row is in a chunk.
func TestExamples(t *testing.T) {
	text, err := os.ReadFile("testdata/tables.star")
	if err != nil {
		t.Fatal(err)
	}
	p := processes(t)
	files := fixture()
	for _, row := range starlib.Table() {
		if !row.NeedsEngine() {
			continue
		}
		if used := row.Name[strings.LastIndexByte(row.Name, '.')+1:]; !strings.Contains(string(text), used) {
			t.Errorf("%s is in no chunk", row.Name)
		}
		if row.Example == "" {
			continue
		}
		r := run(t, p, files, engine.Limits{})
		thread := new(starlark.Thread)
		r.Attach(thread)
		names := starlib.Predeclared()
		names["workspace"] = r.Workspace()
		given := "sql(\"VALUES (1, 'a')\").write(workspace / \"raw/t.parquet\")\nsql(\"SELECT 1 AS id, 'a' AS song\").write(workspace / \"raw/t.parquet\")\n"
		if _, err := starlibtest.Exec(thread, "example", given+row.Example, names); err != nil {
			t.Errorf("%s\nerror %v", row.Example, err)
		}
	}
}

// Every snippet of the guide runs.
func TestGuide(t *testing.T) {
	page, err := os.ReadFile("../../docs/tables.md")
	if err != nil {
		t.Fatal(err)
	}
	snippets := strings.Split(string(page), "\n```python\n")[1:]
	if len(snippets) < 6 {
		t.Fatalf("got %d snippets, want at least 6", len(snippets))
	}
	p := processes(t)
	files := map[string]string{"ref/songs.csv": "song_id,title\n0,a\n1,b\n2,c\n"}
	const given = "sql(\"SELECT range % 3 AS song_id, (range * 7 % 300)::DOUBLE AS seconds FROM range(60)\").write(workspace / \"raw/plays.parquet\")\n" +
		"params = struct(min_seconds = 10)\n"
	for _, snippet := range snippets {
		snippet, _, _ = strings.Cut(snippet, "```")
		names := starlib.Predeclared()
		thread := new(starlark.Thread)
		if strings.HasPrefix(snippet, "task(") { // a declaration: the top level of a file
			declared := new(starlib.Declaration)
			declared.Attach(thread)
			if _, err := starlibtest.Exec(thread, "guide", snippet, names); err != nil {
				t.Errorf("%s\nerror %v", snippet, err)
			}
			continue
		}
		r := run(t, p, files, engine.Limits{})
		r.Attach(thread)
		names["workspace"] = r.Workspace()
		if strings.HasPrefix(snippet, "def run(") {
			snippet += "out = run(workspace, params)\n"
		} else {
			snippet = "def snippet():\n    " + strings.ReplaceAll(strings.TrimSpace(snippet), "\n", "\n    ") + "\nsnippet()\n"
		}
		if _, err := starlibtest.Exec(thread, "guide", given+snippet, names); err != nil {
			t.Errorf("%s\nerror %v", snippet, err)
		}
	}
}
