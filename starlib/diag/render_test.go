package diag

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
)

func sample() *Diagnostic {
	return &Diagnostic{Code: "P4201", Severity: Error, Message: "`+` does not work", File: "tasks/a.star", Line: 12, Column: 7,
		Source: "\tx = \"日本\" + 1", Found: "int", Wanted: "string", Hint: "write `str(x)`",
		Stack: []Frame{{"tasks/a.star", 30, 5, "run"}, {"tasks/a.star", 12, 7, "helper"}}}
}

func written(t *testing.T, o TextOptions, list ...*Diagnostic) string {
	t.Helper()
	var b bytes.Buffer
	if err := WriteText(&b, list, o); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestWriteText(t *testing.T) {
	const want = "tasks/a.star:12:7: error P4201: `+` does not work: got int, want string\n" +
		"  12 | \tx = \"日本\" + 1\n" +
		"     | \t     ^\n" +
		"  hint: write `str(x)`\n" +
		"  calls, outermost first:\n" +
		"    tasks/a.star:30:5 in run\n" +
		"    tasks/a.star:12:7 in helper\n"
	if got := written(t, TextOptions{}, sample()); got != want {
		t.Errorf("got\n%s\nwant\n%s", got, want)
	}
	wide := sample()
	wide.Column = 11 // behind two characters of two columns each
	if got := written(t, TextOptions{}, wide); !strings.Contains(got, "     | \t           ^\n") {
		t.Errorf("the caret is not below a character behind wide ones:\n%s", got)
	}
}

func TestWriteTextColor(t *testing.T) {
	if got := written(t, TextOptions{}, sample()); strings.Contains(got, "\x1b") {
		t.Errorf("colour without being asked: %q", got)
	}
	got := written(t, TextOptions{Color: true}, sample())
	if !strings.Contains(got, "\x1b[1;31merror P4201:\x1b[0m") {
		t.Errorf("no colour: %q", got)
	}
	warning := sample()
	warning.Severity = Warning
	if got := written(t, TextOptions{Color: true}, warning); !strings.Contains(got, "\x1b[1;33mwarning P4201:\x1b[0m") {
		t.Errorf("a warning looks like an error: %q", got)
	}
}

func TestWriteTextPlaces(t *testing.T) {
	for _, tt := range []struct {
		d    Diagnostic
		want string
	}{
		{Diagnostic{Code: "P1301", Severity: Error, Message: "m"}, "error P1301: m\n"},
		{Diagnostic{Code: "P1301", Severity: Error, Message: "m", File: "a"}, "a: error P1301: m\n"},
		{Diagnostic{Severity: Warning, Message: "m"}, "warning: m\n"},
		{Diagnostic{Severity: Error, Message: "one\ntwo"}, "error: one\n    two\n"},
		{Diagnostic{Severity: Error, Message: "a\x1b[31mb\x07\u202ec"}, "error: a␛[31mb␇\ufffdc\n"},
		{Diagnostic{Severity: Error, Message: "m", File: "a\x1bb", Line: 1, Column: 99, Source: "x\x00y"},
			"a␛b:1:99: error: m\n  1 | x␀y\n    |    ^\n"},
		{Diagnostic{Severity: Error, Message: "m", File: "a", Line: 3, Column: 1, Source: "  \t"}, "a:3:1: error: m\n"},
	} {
		if got := written(t, TextOptions{}, &tt.d); got != tt.want {
			t.Errorf("got %q, want %q", got, tt.want)
		}
	}
}

func TestWriteTextCutsLongLines(t *testing.T) {
	d := &Diagnostic{Severity: Error, Message: "m", File: "a", Line: 1, Column: 5001, Source: strings.Repeat("x", 5000) + "!" + strings.Repeat("y", 5000)}
	lines := strings.Split(written(t, TextOptions{}, d), "\n")
	if len([]rune(lines[1])) > sourceWidth+10 {
		t.Errorf("the line has %d characters", len([]rune(lines[1])))
	}
	if i, j := strings.Index(lines[2], "^"), strings.Index(lines[1], "!")-len("…")+1; i != j {
		t.Errorf("the caret is at %d, want %d:\n%s\n%s", i, j, lines[1], lines[2])
	}
}

func TestJSONOfList(t *testing.T) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	d := sample()
	d.Message = "<a> & b"
	if err := e.Encode(List{d, {Code: "P1301", Severity: Warning, Message: "m"}}); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(b.String(), `"message":"<a> & b"`) {
		t.Errorf("the message is escaped for a web page: %s", b.String())
	}
	var got []map[string]any
	if err := json.Unmarshal(b.Bytes(), &got); err != nil {
		t.Fatal(err)
	}
	want := map[string]any{"code": "P4201", "severity": "error", "message": "<a> & b", "file": "tasks/a.star", "line": 12.0, "column": 7.0,
		"source": d.Source, "found": "int", "wanted": "string", "hint": "write `str(x)`", "stack": []any{
			map[string]any{"file": "tasks/a.star", "line": 30.0, "column": 5.0, "function": "run"},
			map[string]any{"file": "tasks/a.star", "line": 12.0, "column": 7.0, "function": "helper"}}}
	if a, b := asJSON(t, got[0]), asJSON(t, want); a != b {
		t.Errorf("got  %s\nwant %s", a, b)
	}
	if a, b := asJSON(t, got[1]), `{"code":"P1301","message":"m","severity":"warning"}`; a != b {
		t.Errorf("fields that do not apply: got %s, want %s", a, b)
	}
	b.Reset()
	if err := e.Encode(List(nil)); err != nil || b.String() != "[]\n" {
		t.Errorf("none: got %q, %v, want []", b.String(), err)
	}
}

func asJSON(t *testing.T, v any) string {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func TestWriteGitHub(t *testing.T) {
	var b bytes.Buffer
	d := sample()
	d.File = "a,b:c%.star"
	err := WriteGitHub(&b, List{d, {Severity: Warning, Message: "100%\r\nsure, yes: no"}})
	const want = "::error file=a%2Cb%3Ac%25.star,line=12,col=7,title=P4201::`+` does not work: got int, want string%0Ahint: write `str(x)`\n" +
		"::warning::100%25%0Asure, yes: no\n"
	if err != nil || b.String() != want {
		t.Errorf("got\n%s%v\nwant\n%s", b.String(), err, want)
	}
}
