package starlib

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"io"
	"math"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/pelletier/go-toml/v2"
	"go.starlark.net/starlark"
	"go.starlark.net/syntax"

	"perago/starlib/diag"
	"perago/starlib/jsontext"
	"perago/starlib/schema"
	"perago/workspace/paths"
)

// What json.decode takes is what encoding/json takes, but for the bounds that
// are documented; what it gives is written and read back the same.
func FuzzJSON(f *testing.F) {
	for _, s := range []string{`{"a":[1,2.5,-0,1e3,null,true,"é\u00e9\ud83d\ude00\ud800"]}`, `[]`, ` {} `, `"\x7f"`, `1e400`, `01`, `[1,]`, `{"a":1,"a":2}`, "\"\xff\"",
		`-`, `1.`, `1e`, `"`, `"\`, `"\u12`, `"\ud800\u0041"`, `[[[[`, "\ufeff1", `nul`, "\"\t\"", strings.Repeat("[", 300)} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		v, bad := jsontext.Decode(text, valueBuilder{}, nil)
		if bad != nil {
			if bad.Offset < 0 || bad.Offset > len(text) {
				t.Fatalf("%q: offset %d of %v", text, bad.Offset, bad)
			}
			badJSON(bad, text, "x")
			if bad.Code == "P3101" && utf8.ValidString(text) && json.Valid([]byte(text)) {
				t.Fatalf("%q: refused: %v", text, bad)
			}
			return
		}
		if !json.Valid([]byte(text)) {
			t.Fatalf("%q: accepted as %v", text, v)
		}
		e := jsontext.Encoder{Refuse: func(r *jsontext.Refusal) error { return errors.New(r.Found) }}
		out, err := e.Encode(v)
		if err != nil {
			t.Fatalf("%q: encode %v: %v", text, v, err)
		}
		again, bad := jsontext.Decode(out, valueBuilder{}, nil)
		if bad != nil || !json.Valid([]byte(out)) {
			t.Fatalf("%q: written as %q, which is not JSON: %v", text, out, bad)
		}
		if same, err := starlark.EqualDepth(v, again, jsontext.MaxDepth+1); err != nil || !same {
			t.Fatalf("%q: got %v, then %v (%v)", text, v, again, err)
		}
	})
}

// readCSV reads all records, or the complaint.
func readCSV(text, delimiter string) ([][]string, error) { return readCSVAs(text, delimiter, false) }

func readCSVAs(text, delimiter string, lenient bool) ([][]string, error) {
	r := newCSVRecords(&call{builtin: &Builtin{Name: "csv.reader"}}, path("f"), bufio.NewReader(strings.NewReader(text)), delimiter)
	r.lenient = lenient
	var all [][]string
	for {
		fields, err := r.next()
		if err == io.EOF {
			return all, nil
		}
		if err != nil {
			return all, err
		}
		all = append(all, slices.Clone(fields))
	}
}

// csv.reader gives what encoding/csv gives, for what both take; what is read is
// written and read back the same.
func FuzzCSV(f *testing.F) {
	for _, s := range []string{"a,b\n1,2\n", "\"a\"\"b\",\"c\nd\"\r\n", "\n\n,\n", "\"", "a\"b", "\"a\"b", "\ufeffx", "é,\"ü\n", "a,b\r", "\"\"", ";"} {
		f.Add(s, ",")
		f.Add(s, "é")
	}
	f.Fuzz(func(t *testing.T, text, delimiter string) {
		comma, size := utf8.DecodeRuneInString(delimiter)
		if size != len(delimiter) || comma == utf8.RuneError || strings.ContainsAny(delimiter, "\x00\"\r\n\ufeff") || delimiter == "" {
			return
		}
		records, err := readCSV(text, delimiter)
		lenient, lenientErr := readCSVAs(text, delimiter, true)
		if err == nil && (lenientErr != nil || !slices.EqualFunc(records, lenient, slices.Equal)) {
			t.Fatalf("%q: got %q, with lenient quotes %q (%v)", text, records, lenient, lenientErr)
		}
		if err != nil {
			if p, ok := err.(*diag.Problem); !ok || p.Message == "" {
				t.Fatalf("%q: error %v is no Problem", text, err)
			}
			return
		}
		for _, quoting := range []string{"minimal", "all", "nonnumeric"} {
			var out bytes.Buffer
			w := csvWriter{out: bufio.NewWriter(&out), delimiter: delimiter, newline: "\r\n", special: delimiter + "\"\r\n\ufeff", quoting: quoting}
			for _, fields := range records {
				if err := w.line(fields, make([]bool, len(fields))); err != nil {
					t.Fatal(err)
				}
			}
			w.out.Flush()
			again, err := readCSV(out.String(), delimiter)
			if err != nil || !slices.EqualFunc(records, again, slices.Equal) {
				t.Fatalf("%q: got %q, written as %q, then %q (%v)", text, records, &out, again, err)
			}
		}
		if strings.ContainsAny(text, "\r") || strings.HasPrefix(text, "\ufeff") {
			return // encoding/csv changes the newlines of fields, and keeps the mark
		}
		theirs := csv.NewReader(strings.NewReader(text))
		theirs.Comma, theirs.FieldsPerRecord = comma, -1
		want, err := theirs.ReadAll()
		if err != nil || !slices.EqualFunc(records, want, slices.Equal) {
			t.Fatalf("%q: got %q, encoding/csv gives %q (%v)", text, records, want, err)
		}
	})
}

// A file may start with any number of blank lines: they are no part of a record.
func TestBlankLinesBelongToNoRecord(t *testing.T) {
	r := newCSVRecords(&call{builtin: &Builtin{Name: "csv.reader"}}, path("f"), bufio.NewReader(strings.NewReader("\n\na,b\n")), ",")
	r.size = maxRecord // as if that many had come before
	fields, err := r.next()
	if err != nil || !slices.Equal(fields, []string{"a", "b"}) {
		t.Errorf("got %q, %v", fields, err)
	}
}

// No text that is joined to a path leads out of the workspace.
func FuzzPath(f *testing.F) {
	for _, s := range []string{"a", "a/b", "..", ".", "/", "a//b", "a/../b", "a\\b", "\x00", "a/", "é", "C:/x", " "} {
		f.Add("raw", s)
	}
	f.Fuzz(func(t *testing.T, base, tail string) {
		p, err := path("").join(starlark.String(base))
		if err != nil {
			return
		}
		v, err := p.Binary(syntax.SLASH, starlark.String(tail), starlark.Left)
		if err != nil {
			return
		}
		q := v.(path)
		if err := paths.Check(string(q)); err != nil || !strings.HasPrefix(string(q), base+"/") {
			t.Fatalf("%q / %q is %q: %v", base, tail, q, err)
		}
		if q.parent() == q || !strings.HasSuffix(string(q), q.name()) || q.name() == "" {
			t.Fatalf("%q: parent %q, name %q", q, q.parent(), q.name())
		}
		if got := paths.Join(string(q.parent()), q.name()); got != string(q) {
			t.Fatalf("%q: parent and name give %q", q, got)
		}
		if !strings.HasSuffix(q.name(), q.suffix()) || q.suffix() == q.name() {
			t.Fatalf("%q: suffix %q", q, q.suffix())
		}
	})
}

// A replacement for matches never fails but with a Problem, whatever it is.
func FuzzTemplate(f *testing.F) {
	for _, s := range []string{`\1`, `\g<a>`, `\g<1>`, `\\`, `\`, `\g`, `\g<`, `\9`, `\n`, `\12`} {
		f.Add(s)
	}
	p, err := compilePattern(`(?P<a>x)(y)?`, 0)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, repl string) {
		c := &call{builtin: &Builtin{Name: "re.sub", Params: []Param{{Name: "repl"}}}}
		parts, err := c.template(p, repl)
		if err != nil {
			return
		}
		for _, part := range parts {
			if part.group > 2 {
				t.Fatalf("%q: group %d", repl, part.group)
			}
		}
	})
}

// A format is taken or refused with a complaint of formats or of size, never
// more than the bound is made, and what the linter says is wrong cannot be used.
func FuzzFormat(f *testing.F) {
	for _, s := range []string{"%s %5d|%-8.2f", "%(a)s %%", "%*.*f", "%é", "{} {:>10,} {:.2%}", "{0!r:é^9} {2:+08.3e}", "{:{}}", "{a:{b}.{c}}", "{{}} {", "}", "{:_x}", "{:%Y}", "{1:c}"} {
		f.Add(s, "é", int64(-7), 2.5)
	}
	f.Fuzz(func(t *testing.T, format, text string, n int64, x float64) {
		bounds := new(Bounds)
		bounds.SetMost(1 << 20)
		values := starlark.Tuple{starlark.String(text), starlark.MakeInt64(n), starlark.Float(x)}
		made := func(what string, v starlark.Value, err error, refused error) {
			var p *diag.Problem
			switch {
			case err != nil && (!errors.As(err, &p) || p.Code != codeFormat && p.Code != codeTooLarge):
				t.Fatalf("%s %q: %v", what, format, err)
			case err == nil && refused != nil:
				t.Fatalf("%s %q: made %v, and the linter says %v", what, format, v, refused)
			case err == nil && (starlark.Len(v) > 1<<20 || utf8.ValidString(format) && utf8.ValidString(text) && !utf8.ValidString(string(v.(starlark.String)))):
				t.Fatalf("%s %q: made %v", what, format, v)
			}
		}
		_, refused := PercentValues(format)
		v, err := (&formatter{bounds: bounds}).percent(format, values)
		made("%", v, err, refused)
		_, refused = BraceValues(format)
		v, err = (&formatter{bounds: bounds}).format(format, values, []starlark.Tuple{{starlark.String("a"), values[0]}, {starlark.String("b"), values[1]}})
		made("format", v, err, refused)
	})
}

// What datetime() takes time.parse takes, and what is no RFC 3339 datetime()
// refuses.
func TestDateTimeForms(t *testing.T) {
	for text, want := range map[string]bool{
		"2026-01-31T12:00:00Z": true, "2026-01-31t12:00:00z": true, "2026-01-31T12:00:00.123456789+05:30": true,
		"2026-01-31T12:00:00-00:00": true, "2026-12-31T23:59:60Z": true, "2027-01-01T01:59:60.5+02:00": true, "0001-01-01T00:00:00+23:59": true,
		"2026-01-31T12:00:00+2:00": false, "2026-01-31T12:00:00+02:-0Z": false, "2026-01-31T12:00:-0Z": false, "2026-01-31T12:00:00+0": false,
		"2026-01-31T12:00:00+02": false, "2026-01-31T12:00:00+0200": false, "2026-01-31T12:00:00+24:00": false, "2026-01-31T12:00:00": false,
		"2026-01-31T12:00Z": false, "2026-01-31 12:00:00Z": false, "2026-01-31T1:00:00Z": false, "2026-01-31T24:00:00Z": false,
		"2026-01-31T12:00:00.Z": false, "2026-01-31T12:00:00,5Z": false, "2026-02-30T12:00:00Z": false, "2026-01-31T12:00:60Z": false,
		"2026-01-31T12:00:+0Z": false, " 2026-01-31T12:00:00Z": false, "2026-01-31T12:00:00Z\n": false,
	} {
		if took := schema.IsDateTime(text); took != want {
			t.Errorf("datetime() takes %q: %t, want %t", text, took, want)
		}
		if _, err := parseISO(text, time.UTC); want && err != nil {
			t.Errorf("time.parse(%q): %v", text, err)
		}
	}
}

// TestKeptFieldOfCSV: a field that is kept does not keep the record it was in.
func TestKeptFieldOfCSV(t *testing.T) {
	const records = 500
	line := "1234567890," + strings.Repeat("x", 20_000) + "\n"
	quoted := "\"12345\"\"6789\"," + strings.Repeat("x", 20_000) + "\n"
	heap := func() int64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	in := strings.NewReader(strings.Repeat(line, records) + strings.Repeat(quoted, records))
	r := newCSVRecords(nil, path("a.csv"), bufio.NewReader(in), ",")
	before := heap()
	kept := make([]string, 0, 2*records)
	for range 2 * records {
		fields, err := r.next()
		if err != nil {
			t.Fatal(err)
		}
		kept = append(kept, fields[0])
	}
	if grown := heap() - before; grown > 2<<20 { // the records are 20 MB
		t.Errorf("%d fields of 10 bytes take %d KiB", len(kept), grown>>10)
	}
	runtime.KeepAlive(kept)
	runtime.KeepAlive(in)
}

// decoded calls a decoder such as yaml.decode with a text.
func decoded(t testing.TB, name, text string) (starlark.Value, error) {
	t.Helper()
	module, member, _ := strings.Cut(name, ".")
	fn, err := Predeclared()[module].(starlark.HasAttrs).Attr(member)
	if err != nil {
		t.Fatal(err)
	}
	v, err := starlark.Call(new(starlark.Thread), fn, starlark.Tuple{starlark.String(text)}, nil)
	if err == nil {
		return v, nil
	}
	var p *diag.Problem
	if !errors.As(err, &p) || strings.Contains(p.Message, "\n") {
		t.Fatalf("%q: the error %q is no Problem of one line", text, err)
	}
	return nil, p
}

// Whatever is JSON is the same value in YAML, and no text breaks the decoder.
func FuzzYAML(f *testing.F) {
	for _, s := range []string{"a: &x [1, {b: ~}]\nc: *x\n", "{<<: {a: 1}, b: 2}", "- |\n  x\n- >-\n  y\n", "? [a]\n: b", "!!int 3", "%YAML 1.2\n---\na\n...", "a: b: c", "\t", "'", "&a [*a]",
		`{"a":[1,2.5,-0,1e3,null,true,"é\n\u00e9"]}`, "[[[[", "---\n---\n", "a: 0x1F\n? b\n", "- - - a", "#", "\ufeffa: 1", "x: 2026-01-01 10:00:00"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		v, err := decoded(t, "yaml.decode", text)
		if err != nil {
			return
		}
		e := jsontext.Encoder{Refuse: func(r *jsontext.Refusal) error { return errors.New(r.Found) }}
		out, err := e.Encode(v)
		if err != nil {
			return // NaN, an infinity, or a key that is no string
		}
		again, err := decoded(t, "yaml.decode", out)
		if err != nil {
			t.Fatalf("%q is %q as JSON: %v", text, out, err)
		}
		if same, err := starlark.EqualDepth(v, again, jsontext.MaxDepth+1); err != nil || !same {
			t.Fatalf("%q: got %v, then %v (%v)", text, v, again, err)
		}
	})
}

// toml.decode takes what the library's own decoder takes, and gives the same.
func FuzzTOML(f *testing.F) {
	for _, s := range []string{"a = 1\nb.c = [1.5, 'x', {d = true}]\n[t.u]\nv = 2026-01-31T12:00:00Z\n[[w]]\n[[w]]\nx = inf", "a.b = 1\n[a]\n", "[a.b]\n[a]\n", "[[a]]\n[a.b]\n[[a]]\n[a.b]",
		"a = 2026-01-31\nb = 12:30\nc = 2026-01-31 12:30:00.5", "a = \"\\u00e9\"\n\"b\" = '''\nx'''", "a = 0xff_ff", "a = {b.c = 1, b.d = 2}", "a", "[", "a = [\n1, # x\n2,\n]"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, err := decoded(t, "toml.decode", text)
		var want map[string]any
		theirs := toml.Unmarshal([]byte(strings.TrimPrefix(text, string(bom))), &want)
		if err != nil {
			code := err.(*diag.Problem).Code
			if theirs == nil && code == codeTOML && !strings.Contains(err.Error(), "deeper than") {
				t.Fatalf("%q: refused with %v, the library gives %v", text, err, want)
			}
			return
		}
		if theirs != nil {
			t.Fatalf("%q: got %v, the library says %v", text, got, theirs)
		}
		if !sameTOML(got, want) {
			t.Fatalf("%q: got %v, the library gives %v", text, got, want)
		}
	})
}

// sameTOML holds a value against what the library gives; times are text here.
func sameTOML(got starlark.Value, want any) bool {
	switch want := want.(type) {
	case map[string]any:
		d, ok := got.(*starlark.Dict)
		if !ok || d.Len() != len(want) {
			return false
		}
		for k, w := range want {
			if v, found, _ := d.Get(starlark.String(k)); !found || !sameTOML(v, w) {
				return false
			}
		}
		return true
	case []any:
		l, ok := got.(*starlark.List)
		if !ok || l.Len() != len(want) {
			return false
		}
		for i, w := range want {
			if !sameTOML(l.Index(i), w) {
				return false
			}
		}
		return true
	case int64:
		return got == starlark.Value(starlark.MakeInt64(want)) || got.String() == starlark.MakeInt64(want).String()
	case float64:
		f, ok := got.(starlark.Float)
		return ok && (float64(f) == want || math.IsNaN(want) && math.IsNaN(float64(f)))
	case string:
		return got == starlark.Value(starlark.String(want))
	case bool:
		return got == starlark.Value(starlark.Bool(want))
	}
	_, isText := got.(starlark.String) // a date or a time
	return isText
}
