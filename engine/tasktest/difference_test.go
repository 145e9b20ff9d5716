package tasktest

import (
	"strings"
	"testing"
	"unicode/utf8"

	"go.starlark.net/starlark"
)

// compared is the problem of two values that are written in Starlark.
func compared(t *testing.T, got, want string) (found, wanted, message, detail string) {
	t.Helper()
	var values [2]starlark.Value
	for i, text := range []string{got, want} {
		v, err := starlark.Eval(&starlark.Thread{}, "value.star", text, nil)
		if err != nil {
			t.Fatal(err)
		}
		values[i] = v
	}
	c := &comparison{ctx: t.Context(), same: equalValues}
	if err := c.values("", values[0], values[1], 0); err != nil {
		t.Fatal(err)
	}
	p := c.problem("not equal")
	return p.Found, p.Wanted, p.Message, p.Detail
}

func TestDifferences(t *testing.T) {
	for _, tt := range []struct{ got, want, message, found, wanted string }{
		{`1`, `2`, "not equal", "1", "2"},
		{`[1]`, `(1,)`, "not equal", "[1]", "(1,)"},
		{`"1"`, `1`, "not equal", `"1"`, "1"},
		{`[1, [2, {"a": (3, 4)}]]`, `[1, [2, {"a": (3, 5)}]]`, `not equal at [1][1]["a"][1]`, "4", "5"},
		{`{"a": 1}`, `{"b": 1}`, `not equal at ["b"]`, "no such key", "1"},
		{`[1, 2]`, `[1, 2, 3]`, "not equal at [2]", "2 items", "3 items, 3 here"},
		{`[0, 1, 2]`, `[1, 2]`, "not equal at [0]", "3 items, 0 here", "2 items"},
		{`[]`, `[[]]`, "not equal at [0]", "0 items", "1 items, [] here"},
		{`"é" * 400 + "a"`, `"é" * 400 + "b"`, "not equal", "", ""},
		{`b"x" * 400 + b"a"`, `b"x" * 400 + b"b"`, "not equal", "", ""},
		{`(1 << 500) * (1 << 500) * (1 << 500)`, `(1 << 500) * (1 << 500) * (1 << 500) + 1`, "not equal", "", ""},
		{`"a" * 1000`, `"a" * 1001`, "not equal", "", ""},
		{`"a\n" + "b" * 1000 + "c\n"`, `"a\n" + "b" * 1000 + "d\n"`, "not equal", "", ""},
		{`[["x" * 5000] * 5] * 5`, `[["x" * 5000] * 5] * 4 + [["x" * 5000] * 4 + ["x" * 4999 + "y"]]`, "not equal at [4][4]", "", ""},
	} {
		found, wanted, message, detail := compared(t, tt.got, tt.want)
		if message != tt.message || tt.found != "" && (found != tt.found || wanted != tt.wanted) {
			t.Errorf("%s and %s: got %s: %s, %s", tt.got, tt.want, message, found, wanted)
		}
		if strings.TrimPrefix(found, "line 2 ") == wanted || len(found)+len(wanted)+len(detail) > 8000 {
			t.Errorf("%s and %s: got %q and %q, which are the same or too long", tt.got, tt.want, found, wanted)
		}
	}
}

// TestDifferencesAreBounded: what is told of large values is small, and what
// nests in itself a million times ends.
func TestDifferencesAreBounded(t *testing.T) {
	deep := `{"` + strings.Repeat("k", 2000) + `": 1}`
	for range 50 {
		deep = `{"` + strings.Repeat("k", 200) + `": ` + deep + `}`
	}
	for _, pair := range [][2]string{
		{`["%d" % i * 1000 for i in range(1000)]`, `["%d." % i * 1000 for i in range(1000)]`},
		{`"".join(["%d\n" % i for i in range(300000)])`, `"".join(["%d\n" % (i + i // 1000) for i in range(300000)])`},
		{`"x\n" * 300000`, `"y" * 2000000`},
		{deep, strings.Replace(deep, ": 1}", ": 2}", 1)},
	} {
		found, wanted, message, detail := compared(t, pair[0], pair[1])
		if n := len(found) + len(wanted) + len(message) + len(detail); n > 20_000 || found == wanted {
			t.Errorf("%.50s: got %d bytes", pair[0], n)
		}
	}
	list, other := starlark.NewList(nil), starlark.NewList([]starlark.Value{starlark.None})
	for range 40 {
		list, other = starlark.NewList([]starlark.Value{list, list}), starlark.NewList([]starlark.Value{other, other})
	}
	c := &comparison{ctx: t.Context(), same: equalValues}
	if err := c.values("", list, other, 0); err != nil || len(c.list) != maxDifferences {
		t.Errorf("got %d differences, %v", len(c.list), err)
	}
	if p := c.problem("not equal"); !strings.Contains(p.Detail, "only 1048576 values were compared") {
		t.Errorf("got %s", p.Detail)
	}
}

// FuzzWindows: two texts that differ are never shown as the same, and not cut
// within a character.
func FuzzWindows(f *testing.F) {
	f.Add("a", "b", 0)
	f.Add("é", "è", 400)
	f.Add("", "\xff\xfe", 1000)
	f.Add("é", "", 299)
	f.Fuzz(func(t *testing.T, got, want string, shared int) {
		before := strings.Repeat("日", min(max(shared, 0), 2000))
		got, want = before+got, before+want
		if got == want {
			return
		}
		found, wanted := windows(got, want, quoted)
		found, _, _ = strings.Cut(found, " (from byte ")
		if found == wanted {
			t.Errorf("%q and %q are both shown as %s", got, want, found)
		}
		if utf8.ValidString(got) && !utf8.ValidString(found) {
			t.Errorf("%q is shown as %q", got, found)
		}
	})
}
