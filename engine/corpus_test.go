package engine_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"perago/engine"
	"perago/engine/module"
	"perago/starlib"
	"perago/starlib/diag"
	"perago/workspace"
	"perago/workspace/memory"
	"perago/workspace/storage"
)

var update = flag.Bool("update", false, "write the golden files anew")

// TestWrongModules holds every wrong task file of testdata/module against its
// golden diagnostics. A file that loads is linted, and its body is run on
// testdata/module/workspace with the params of its first line.
func TestWrongModules(t *testing.T) {
	t.Chdir("../testdata/module")
	files, err := filepath.Glob("*.star")
	if err != nil || len(files) < 120 {
		t.Fatalf("got %d wrong task files (%v), want at least 120", len(files), err)
	}
	store, commit := corpusStore(t, "workspace")
	for _, file := range files {
		t.Run(strings.TrimSuffix(file, ".star"), func(t *testing.T) {
			list := wrong(t, file, store, commit)
			if len(list) == 0 {
				t.Fatal("nothing is wrong with it")
			}
			checkShape(t, list)
			golden(t, strings.TrimSuffix(file, ".star")+".golden", list)
		})
	}
}

// corpusStore puts the files of a folder into a store.
func corpusStore(t *testing.T, dir string) (*memory.Store, string) {
	t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir(dir, func(p string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		data, err := os.ReadFile(p)
		rel, _ := filepath.Rel(dir, p)
		files[filepath.ToSlash(rel)] = string(data)
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	store := memory.New(nil)
	store.CreateRepository("songs")
	commit, err := store.Seed("songs", "main", files)
	if err != nil {
		t.Fatal(err)
	}
	return store, commit
}

// wrong is all that perago has to say of a task file.
func wrong(t *testing.T, file string, store storage.Reader, commit string) diag.List {
	t.Helper()
	m, list := module.Load(file, nil)
	if m == nil {
		return list
	}
	list = append(list, module.Lint(m)...)
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	raw := json.RawMessage("{}")
	if given, ok := bytes.CutPrefix(text, []byte("# params: ")); ok {
		raw, _, _ = bytes.Cut(given, []byte("\n"))
	}
	params, problems := m.Task.CheckParams(raw)
	if len(problems) > 0 {
		return append(list, problems...)
	}
	call := engine.Call{Params: params, Log: func(starlib.Record) {}}
	if m.Task.Workspace != nil {
		overlay := workspace.NewOverlay(store, workspace.Ref{Repository: "songs", Branch: "main", Commit: commit},
			workspace.OverlayOptions{Spec: *m.Task.Workspace, Dir: t.TempDir()})
		defer overlay.Close()
		call.Files = overlay
	}
	_, _, err = engine.InProcess{}.Run(context.Background(), m, call)
	if err == nil {
		return list
	}
	var body diag.List
	if !errors.As(err, &body) {
		t.Fatalf("the body's error is no list of diagnostics: %v", err)
	}
	return append(list, body...)
}

// leak matches what must never reach an author: names of Go's types and
// packages, and the words of Go's own failures.
var leak = regexp.MustCompile(`starlark\.|starlib\.|syntax\.|resolve\.|diag\.|\*[a-z]+\.[A-Z]|\binterface \{\}|\bmap\[|\bgoroutine\b|\bpanic\b|\bnil\b|runtime error|%!|int64|uint|float64|0xc0`)

// hinted are the codes whose rule always knows what to do: every Python habit,
// what is wrong with brackets, strings, loads and the task itself, and the
// errors of a body that have one usual cause.
var hinted = regexp.MustCompile(`^P(11..|100[2367]|120[23567]|130[2345]|140[1456]|1407|150[12]|200[23]|42(06|07|08|12|13|14|15|16|19|21|23|25|26)|501[0-5]|510.)$`)

// checkShape holds every diagnostic against what all must have.
func checkShape(t *testing.T, list diag.List) {
	t.Helper()
	for _, d := range list {
		for _, text := range []string{d.Message, d.Found, d.Wanted, d.Hint} {
			if found := leak.FindString(text); found != "" {
				t.Errorf("%s: %q holds %q, which is Go's", d.Code, text, found)
			}
		}
		if _, ok := diag.Explain(d.Code); !ok {
			t.Errorf("%s: the code has no story", d.Code)
		}
		if d.Code == "P4200" || d.Code == "P1200" {
			t.Errorf("%s: %q is not explained", d.Code, d.Message)
		}
		if hinted.MatchString(string(d.Code)) && d.Hint == "" {
			t.Errorf("%s: no hint: %q", d.Code, d.Message)
		}
		if d.Line > 0 && d.Source == "" && d.Code != "P1501" {
			t.Errorf("%s: no source line", d.Code)
		}
		if d.Line > 0 && (d.Column < 1 || d.Column > len([]rune(d.Source))+1) {
			t.Errorf("%s: column %d is not in %q", d.Code, d.Column, d.Source)
		}
	}
}

// golden compares what is printed of a list with a file.
func golden(t *testing.T, file string, list diag.List) {
	t.Helper()
	var b bytes.Buffer
	if err := diag.WriteText(&b, list, diag.TextOptions{}); err != nil {
		t.Fatal(err)
	}
	if *update {
		if err := os.WriteFile(file, b.Bytes(), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if got := b.String(); got != string(want) {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
}
