package starlib

import (
	"errors"
	"math"
	"strings"
	"testing"

	"github.com/pelletier/go-toml/v2"
	"go.starlark.net/starlark"

	"perago/starlib/diag"
	"perago/starlib/jsontext"
)

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
