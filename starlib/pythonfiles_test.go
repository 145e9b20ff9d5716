package starlib_test

import (
	"encoding/hex"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.starlark.net/starlark"

	"perago/starlib"
	"perago/starlib/starlibtest"
	"perago/workspace"
)

const pythonFiles = "testdata/python/files/"

// recordedFiles is what testdata/python/files.py wrote, and says of it.
type recordedFiles struct {
	Rows     [][3]any             // a file, arguments of csv.reader, what is in it
	Tables   map[string][]*string // by encoding, the character of each byte
	Replaced [][3]string          // an encoding, bytes in hex, their text
	Members  map[string]string    // of the archives, in hex
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
