package starlib_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.starlark.net/starlark"
	"go.starlark.net/syntax"

	"perago/starlib"
	"perago/starlib/starlibtest"
	"perago/workspace"
	"perago/workspace/memory"
)

// fixture is the workspace that every chunk of the .star tests sees.
func fixture() map[string]string {
	return map[string]string{
		"raw/a.csv":            "id,name\n1,\"Ann, A.\"\r\n\r\n2,\"says \"\"hi\"\"\nhere\"\n",
		"raw/b.csv":            "\ufeffid;name\n3;Bob\n",
		"raw/ragged.csv":       "id,name\n1,x\n2\n",
		"raw/twice.csv":        "id,id\n1,2\n",
		"raw/open.csv":         "a,b\n1,\"x\ny\nz",
		"raw/quote.csv":        "a,b\né,x\"y\n",
		"raw/after.csv":        "a,b\n\"x\" y,2\n",
		"raw/latin.csv":        "a,b\n1,x\n2,caf\xe9\n",
		"raw/deep/c.csv":       "",
		"raw/deep/.hidden.csv": "h\n",
		"text/lines.txt":       "one\ntwo\r\n\nl'été",
		"text/latin.txt":       "one\ncaf\xe9\n",
		"text/bytes.bin":       "\x00\xff\n\x01",
		"events.jsonl":         "\ufeff{\"a\": 1}\n\n[2]\r\n\"x\"",
		"bad.jsonl":            "{\"a\": 1}\n{\"a\": 1,}\n",
		"twice.jsonl":          "{\"a\": 1, \"a\": 2}\n",
	}
}

// overlay is the fixture as the workspace of one attempt.
func overlay(t testing.TB, spec workspace.Spec, files map[string]string) *workspace.Overlay {
	t.Helper()
	store := memory.New(nil)
	store.CreateRepository("songs")
	commit, err := store.Seed("songs", "main", files)
	if err != nil {
		t.Fatal(err)
	}
	o := workspace.NewOverlay(store, workspace.Ref{Repository: "songs", Branch: "main", Commit: commit},
		workspace.OverlayOptions{Spec: spec, Dir: t.TempDir()})
	t.Cleanup(func() { o.Close() })
	return o
}

// chunkRun is what the chunks run with: logged() is the list of records so far,
// each as JSON, and tell() makes a second pass on the clock.
func chunkRun(spec workspace.Spec) starlibtest.Setup {
	return func(t *testing.T) (*starlib.Run, starlark.StringDict) {
		var records []string
		now := time.Date(2026, 3, 1, 12, 30, 0, 0, time.UTC)
		run := &starlib.Run{
			Context: t.Context(),
			Files:   overlay(t, spec, fixture()),
			Now:     func() time.Time { return now },
			Log: func(r starlib.Record) {
				var fields strings.Builder
				for _, f := range r.Fields {
					value, err := json.Marshal(f.Value.Any())
					if err != nil {
						t.Errorf("field %s: %v", f.Key, err)
					}
					fmt.Fprintf(&fields, " %s=%s", f.Key, value)
				}
				records = append(records, fmt.Sprintf("%s %s%s", r.Level, r.Message, &fields))
				if r.At.Line == 0 || r.At.File == "" {
					t.Errorf("record %q has no place", r.Message)
				}
			},
			Progress: func(p starlib.Progress) {
				records = append(records, fmt.Sprintf("progress %v of %v %s", p.Done, p.Total, p.Message))
			},
		}
		return run, starlark.StringDict{
			"logged": starlark.NewBuiltin("logged", func(*starlark.Thread, *starlark.Builtin, starlark.Tuple, []starlark.Tuple) (starlark.Value, error) {
				var list []starlark.Value
				for _, r := range records {
					list = append(list, starlark.String(r))
				}
				return starlark.NewList(list), nil
			}),
			"tick": starlark.NewBuiltin("tick", func(*starlark.Thread, *starlark.Builtin, starlark.Tuple, []starlark.Tuple) (starlark.Value, error) {
				now = now.Add(time.Second)
				return starlark.None, nil
			}),
		}
	}
}

func TestChunks(t *testing.T) {
	files, err := filepath.Glob("testdata/*.star")
	if err != nil || len(files) == 0 {
		t.Fatalf("no .star files: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".star"), func(t *testing.T) {
			spec := workspace.Spec{ReadOnly: strings.Contains(file, "readonly")}
			starlibtest.Run(t, file, chunkRun(spec))
		})
	}
}

// Every row that the library binds must be used by some chunk.
func TestEveryRowHasAChunk(t *testing.T) {
	files, err := filepath.Glob("testdata/*.star")
	if err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		all.Write(text)
	}
	for _, row := range starlib.Table() {
		used := row.Name
		if row.Method {
			used = row.Name[strings.LastIndexByte(row.Name, '.'):]
		}
		if !row.Property {
			used += "("
		}
		if row.Phase != starlib.Declare && !strings.Contains(all.String(), used) {
			t.Errorf("%s is in no chunk", row.Name)
		}
	}
}

// Err and End are for who runs the body.
func TestEndCommitsInTheOrderOfOpening(t *testing.T) {
	files := overlay(t, workspace.Spec{}, fixture())
	run := &starlib.Run{Context: t.Context(), Files: files}
	mustRun(t, run, `
first = (workspace / "out.txt").open("w")
second = (workspace / "out.txt").open("w")
second.write("second")
first.write("first")
`)
	if err := run.End(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got, want := content(t, files, "out.txt"), "second"; got != want {
		t.Errorf("out.txt is %q, want %q: the last one opened is closed last", got, want)
	}
}

func TestEndDropsWhatACancelledRunWrote(t *testing.T) {
	files := overlay(t, workspace.Spec{}, fixture())
	run := &starlib.Run{Context: t.Context(), Files: files}
	mustRun(t, run, `(workspace / "out.txt").open("w").write("half")`)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := run.End(ctx); err == nil {
		t.Error("End of a cancelled run: no error")
	}
	if _, err := files.Stat(t.Context(), "out.txt"); err == nil {
		t.Error("out.txt was committed by a cancelled run")
	}
}

// body runs src as a body would run.
func body(t testing.TB, run *starlib.Run, src string) error {
	t.Helper()
	names := starlib.Predeclared()
	names["workspace"] = run.Workspace()
	thread := new(starlark.Thread)
	run.Attach(thread)
	_, err := starlark.ExecFileOptions(&syntax.FileOptions{Set: true, TopLevelControl: true, GlobalReassign: true}, thread, "body.star", src, names)
	return err
}

func mustRun(t testing.TB, run *starlib.Run, src string) {
	t.Helper()
	if err := body(t, run, src); err != nil {
		t.Fatalf("%v\n%s", err, src)
	}
}

func content(t testing.TB, files starlib.Files, path string) string {
	t.Helper()
	f, err := files.Open(context.Background(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	data, err := io.ReadAll(f)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}
