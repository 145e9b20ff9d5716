package glob

import (
	"encoding/json"
	"errors"
	"os"
	"slices"
	"strings"
	"testing"

	"perago/workspace/paths"
)

func TestPatternMatch(t *testing.T) {
	cases := []struct {
		pattern string
		match   string // space-separated paths
		not     string
	}{
		{"a.csv", "a.csv", "b.csv a.csvx x/a.csv a"},
		{"*.csv", "a.csv .csv", "x/a.csv a.csv.x A.CSV"},
		{"raw/**/*.csv", "raw/a.csv raw/x/a.csv raw/x/y/.csv", "raw a.csv x/raw/a.csv raw/a.txt"},
		{"**/a", "a x/a x/y/a .x/a", "b a/b xa"},
		{"**/a/**", "a/b x/a/b x/a/y/b a/a", "a x/a"},
		{"**", "a a/b a/b/c .a", ""},
		{"raw/**", "raw/a raw/a/b", "raw a/raw rawx/a"},
		{"**/**/a", "a x/a x/y/a", "b"},
		{"a/**/b/**/c", "a/b/c a/x/b/y/c a/b/b/c a/b/x/b/c", "a/c b/c a/b"},
		{"*", "a .a {a}", "a/b"},
		{"?", "a é 文", "ab"},
		{"[a-c]x", "ax bx cx", "dx x"},
		{"[!a-c]x", "dx éx", "ax"},
		{"[abc-]", "a - c", "d"},
		{"[]x]", "] x", "a"},
		{"[!]x]", "a", "] x"},
		{"[a-z0-9_]", "k 5 _", "K -"},
		{"[!a-z0-9_]", "K -", "k 5 _"},
		{"[!-0]x", "!x ax", "-x 0x"},
		{"[\"!]x", "!x \"x", "ax"},
		{"[!!-0]x", "ax", "!x 0x"},
		{"{a,b}", "{a,b}", "a b"},
		{"a{*", "a{x a{", "ax"},
		{"[[]a]", "[a]", "a"},
		{"[^a]", "^ a", "b"},
		{"*/*", "a/b", "a a/b/c"},
	}
	for _, c := range cases {
		p, err := Compile(c.pattern)
		if err != nil {
			t.Errorf("Compile(%q): %v", c.pattern, err)
			continue
		}
		if p.String() != c.pattern {
			t.Errorf("String of %q is %q", c.pattern, p)
		}
		for _, path := range strings.Fields(c.match) {
			if !p.Match(path) {
				t.Errorf("%q does not match %q", c.pattern, path)
			}
		}
		for _, path := range strings.Fields(c.not) {
			if p.Match(path) {
				t.Errorf("%q matches %q", c.pattern, path)
			}
		}
	}
}

func TestBadPatterns(t *testing.T) {
	cases := []struct {
		pattern string
		offset  int
		word    string
	}{
		{"", 0, "empty"},
		{"/a", 0, "absolute"},
		{"a//b", 0, "empty segment"},
		{"a/", 0, "ends with a slash"},
		{"./a", 0, `"." segment`},
		{"a/../b", 0, `".." segment`},
		{`a\b`, 0, "backslash"},
		{"C:/a", 0, "drive"},
		{"c:a", 0, "drive"},
		{"a\x00", 0, "NUL"},
		{"a\xff", 0, "UTF-8"},
		{"x/[a", 2, `"[" without a "]"`},
		{"x/a[]", 3, `"[" without a "]"`},
		{"[!]", 0, `"[" without a "]"`},
		{"x/**a", 2, "inside a longer segment"},
		{"x/***", 2, "inside a longer segment"},
		{"a[z-a]", 1, "empty"},
	}
	for _, c := range cases {
		_, err := Compile(c.pattern)
		var bad *Error
		if !errors.As(err, &bad) {
			t.Errorf("Compile(%q): got %v, want an *Error", c.pattern, err)
			continue
		}
		if bad.Offset != c.offset || bad.Pattern != c.pattern || !strings.Contains(bad.Error(), c.word) {
			t.Errorf("Compile(%q): got %q at %d, want a word of %q at %d", c.pattern, bad, bad.Offset, c.word, c.offset)
		}
	}
	if _, err := Compile("[a\u4e00-\U0010FFFF]"); err == nil || !strings.Contains(err.Error(), "65536") {
		t.Errorf("a class of a million characters in two ranges: got %v", err)
	}
	if p, err := Compile("[\u4e00-\U0010FFFF]"); err != nil || !p.Match("\u5000") || p.Match("a") {
		t.Errorf("a class of a million characters in one range: %v", err)
	}
}

func TestLiteralPrefix(t *testing.T) {
	for pattern, want := range map[string]string{
		"a": "", "a/b": "a", "a/b/*.csv": "a/b", "a/*/c": "a", "**/a": "", "*": "", "a/b/**": "a/b", "[a]/b": "",
	} {
		p, err := Compile(pattern)
		if err != nil || p.LiteralPrefix() != want {
			t.Errorf("LiteralPrefix of %q is %q (%v), want %q", pattern, p.LiteralPrefix(), err, want)
		}
	}
}

// TestPathlib holds patterns against what Python's pathlib finds, on data that
// testdata/glob/generate.py made. Patterns that the language refuses are passed by.
func TestPathlib(t *testing.T) {
	data, err := os.ReadFile("../../testdata/glob/pairs.json")
	if err != nil {
		t.Fatal(err)
	}
	var trees []struct {
		Files []string            `json:"files"`
		Globs map[string][]string `json:"globs"`
	}
	if err := json.Unmarshal(data, &trees); err != nil {
		t.Fatal(err)
	}
	pairs, refused, found := 0, 0, 0
	for _, tree := range trees {
		for pattern, want := range tree.Globs {
			p, err := Compile(pattern)
			if err != nil {
				refused++
				continue
			}
			pairs++
			got := []string{}
			for _, f := range tree.Files {
				if p.Match(f) {
					got = append(got, f)
				}
			}
			found += len(got)
			if !slices.Equal(got, want) {
				t.Errorf("%q in %q\n got %q\nwant %q", pattern, tree.Files, got, want)
			}
		}
	}
	if pairs < 2000 || found < 1000 {
		t.Errorf("%d pairs with %d files found (%d refused), want 2000 and 1000 at least", pairs, found, refused)
	}
}

// TestPatternTime: no pattern takes more than the product of the lengths.
func TestPatternTime(t *testing.T) {
	name := strings.Repeat("a", 250)
	path := strings.TrimSuffix(strings.Repeat("a/", 500), "/")
	for pattern, subject := range map[string]string{
		strings.Repeat("*a", 100) + "b":          name,
		strings.Repeat("*[ab0-9]", 100) + "!":    name,
		strings.Repeat("*?", 120) + "b":          name,
		strings.Repeat("**/a/", 200) + "b":       path,
		strings.Repeat("**/*a*/", 200) + "*b*":   path,
		strings.Repeat("**/[a-c0]/", 200) + "!x": path,
	} {
		p, err := Compile(pattern)
		if err != nil {
			t.Fatal(err)
		}
		if p.Match(subject) {
			t.Errorf("%.20q… matches", pattern)
		}
	}
}

func FuzzPattern(f *testing.F) {
	for _, s := range []string{"a/**/*.csv", "[!a-c0-9]x", "[]-a]", "{a,b}", "*[*]*", "[\\", "[!]-", "[--0]"} {
		f.Add(s, "a/b.csv")
	}
	f.Fuzz(func(t *testing.T, pattern, path string) {
		p, err := Compile(pattern)
		if err != nil {
			var bad *Error
			if !errors.As(err, &bad) || bad.Offset < 0 || bad.Offset > len(pattern) {
				t.Fatalf("Compile(%q): %v", pattern, err)
			}
			return
		}
		if paths.Check(path) != nil {
			return
		}
		got := p.Match(path)
		if got && !paths.Under(path, p.LiteralPrefix()) {
			t.Errorf("%q matches %q, which is not below %q", pattern, path, p.LiteralPrefix())
		}
		if !strings.ContainsAny(pattern, "*?[") && got != (pattern == path) {
			t.Errorf("the plain %q matches %q: %t", pattern, path, got)
		}
	})
}
