package layout

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.starlark.net/syntax"

	"perago/engine/module"
	"perago/starlib/diag"
)

// TestFormatKeepsTheDialect formats every task file of this project, wrong ones
// included: what loads is never refused, no comment is lost, and what is
// formatted stays as it is.
func TestFormatKeepsTheDialect(t *testing.T) {
	formatted := 0
	for _, pattern := range []string{"../../../tasks/*.star", "../../../tasks/lib/*.star", "../../../testdata/*/*.star", "../project/*.star"} {
		files, err := filepath.Glob(pattern)
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			source, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if checkFormat(t, file, source) {
				formatted++
			}
		}
	}
	if formatted < 100 {
		t.Errorf("got %d files that parse, want at least 100", formatted)
	}
}

// checkFormat formats a source that parses, and says whether it did.
func checkFormat(t *testing.T, name string, source []byte) bool {
	t.Helper()
	once, err := Format(name, source)
	var complaints diag.List
	if errors.As(err, &complaints) {
		return false // it does not parse
	}
	if err != nil {
		if m, _ := module.Load(name, nil); m != nil {
			t.Errorf("%s loads: %v", name, err)
		}
		return false
	}
	twice, err := Format(name, once)
	if err != nil {
		t.Errorf("%s: formatted, it does not parse: %v", name, err)
		return false
	}
	if !bytes.Equal(once, twice) {
		t.Errorf("%s: the second pass changes it again: got\n%s\nwant\n%s", name, twice, once)
	}
	if got, want := comments(t, name, once), comments(t, name, source); got != want {
		t.Errorf("%s: got %d comments, want %d:\n%s", name, got, want, once)
	}
	return true
}

func comments(t *testing.T, name string, source []byte) (n int) {
	t.Helper()
	f, err := dialect().Parse(name, bytes.TrimPrefix(source, []byte("\ufeff")), syntax.RetainComments)
	if err != nil {
		t.Fatal(err)
	}
	count := func(c *syntax.Comments) {
		if c != nil {
			n += len(c.Before) + len(c.Suffix) + len(c.After)
		}
	}
	count(f.Comments())
	syntax.Walk(f, func(node syntax.Node) bool {
		if node != nil && node != f {
			count(node.Comments())
		}
		return true
	})
	return n
}

// TestFormatRefusesAnotherMeaning: sameMeaning sees what a layout must not do.
func TestFormatRefusesAnotherMeaning(t *testing.T) {
	parse := func(s string) *syntax.File {
		f, err := dialect().Parse("x.star", s, 0)
		if err != nil {
			t.Fatal(err)
		}
		return f
	}
	same := [][2]string{
		{"x = 'a'", `x = "a"`}, {"x = (1)", "x = 1"}, {"f(a=1)", "f(\n    a = 1,\n)"}, {"x = 0x10", "x = 16"}, {`b = b"\x41"`, `b = b"A"`},
	}
	for _, s := range same {
		if !sameMeaning(parse(s[0]), parse(s[1])) {
			t.Errorf("%q and %q mean the same", s[0], s[1])
		}
	}
	other := [][2]string{
		{"x = 'a'", `x = "b"`}, {"x = 1", "y = 1"}, {"x = 1 + 2", "x = 1 - 2"}, {"f(a, b)", "f(b, a)"}, {"f(a)", "f(*a)"},
		{"x = [1]", "x = (1,)"}, {"x = 1", "x = 1\ny = 2"}, {`x = b"a"`, `x = "a"`}, {"x = 99999999999999999999", "x = 99999999999999999998"},
		{"def f(a):\n    pass", "def f(b):\n    pass"}, {"x = a.b", "x = a.c"}, {"x = [i for i in y]", "x = {i: i for i in y}"}, {"x = -1", "x = +1"},
	}
	for _, s := range other {
		if sameMeaning(parse(s[0]), parse(s[1])) {
			t.Errorf("%q and %q do not mean the same", s[0], s[1])
		}
	}
}

func FuzzFormat(f *testing.F) {
	for _, s := range []string{"x = [1,2]\n", "def f(a, b = 1, *c, **d):\n  # why\n  return b\"\\xff\" # end\n", "load('a.star', 'b')\n", "x = (\n\n1\n)\n", "\"\"\"doc\"\"\"\nx = 1;y = 2\n"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, source []byte) {
		if strings.ContainsAny(string(source), "\r") {
			return // a lone carriage return inside a comment is the scanner's to drop
		}
		once, err := Format("fuzz.star", source)
		if err != nil {
			return
		}
		if twice, err := Format("fuzz.star", once); err != nil {
			t.Errorf("formatted, it is refused: %v\n%q\n%q", err, source, once)
		} else if !bytes.Equal(once, twice) && !bytes.Equal(twice, must(Format("fuzz.star", twice))) {
			t.Errorf("it never settles: %q", source)
		}
	})
}

func must(b []byte, err error) []byte {
	if err != nil {
		return nil
	}
	return b
}
