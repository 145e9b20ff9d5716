package paths

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestCheckPath(t *testing.T) {
	for path, want := range map[string]string{ // a word of the reason; "" is none
		"a": "", "a/b": "", ".a": "", "a.": "", "...": "", "a b": "", "é/文": "", "~": "", "a\nb": "", "\xff": "", "C:": "",
		"": "empty", "/": "absolute", "/a": "absolute", "a/": "ends with a slash", "a//b": "empty segment", "a//": "empty segment",
		".": `"." segment`, "..": `".." segment`, "a/.": `"." segment`, "a/../b": `".." segment`, "./a": `"." segment`,
		`a\b`: "backslash", `\`: "backslash", "a\x00": "NUL",
	} {
		err := Check(path)
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("Check(%q): got %v, want a word of %q", path, err, want)
		}
	}
	long := Check("/" + strings.Repeat("é\n", 500))
	if text := long.Error(); utf8.RuneCountInString(text) > 250 || strings.Contains(text, "\n") || !strings.Contains(text, "…") {
		t.Errorf("a long path is shown as %q", text)
	}
}

func TestCleanPrefix(t *testing.T) {
	for in, want := range map[string]string{
		"/": "", " / ": "", "//": "", "a": "a", "/a": "a", "//a/b": "a/b", "  /a b/c \n": "a b/c", "a/_perago": "a/_perago",
	} {
		if got, err := CleanPrefix(in); got != want || err != nil {
			t.Errorf("CleanPrefix(%q) is %q, %v, want %q", in, got, err, want)
		}
	}
	for in, word := range map[string]string{
		"": "empty", "  ": "empty", "a/": "slash", "/a/": "slash", "a//b": "empty segment", ".": "segment", "/..": "segment",
		"a/./b": "segment", `a\b`: "backslash", "a\nb": "control", "_perago": "reserved", "/_lakefs_actions/x": "reserved",
	} {
		if got, err := CleanPrefix(in); err == nil || !strings.Contains(err.Error(), word) {
			t.Errorf("CleanPrefix(%q) is %q, %v, want a word of %q", in, got, err, word)
		}
	}
}

func TestJoin(t *testing.T) {
	for want, parts := range map[string][]string{"": {"", ""}, "a": {"", "a"}, "a/b": {"a", "", "b"}, "a/b/c": {"a/b", "c"}} {
		if got := Join(parts...); got != want {
			t.Errorf("Join(%q) is %q, want %q", parts, got, want)
		}
	}
}

func FuzzPath(f *testing.F) {
	for _, s := range []string{"a/b", "../a", "a//b", "/", "a\x00", "\xff/é", ".", `\`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, p string) {
		err := Check(p)
		if newErr := CheckNew(p); err != nil && newErr == nil {
			t.Errorf("%q may be written and not be read", p)
		}
		if err != nil {
			if text := err.Error(); strings.ContainsAny(text, "\n\r\x00") {
				t.Errorf("the error of %q is %q", p, text)
			}
			return
		}
		for segment := range strings.SplitSeq(p, "/") {
			if segment == "" || segment == "." || segment == ".." {
				t.Errorf("%q was let by", p)
			}
		}
		count := 0
		for a := range Ancestors(p) {
			if count++; !Under(p, a) || Check(a) != nil {
				t.Errorf("%q is an ancestor of %q", a, p)
			}
		}
		if count != strings.Count(p, "/") || Join(Parent(p), p[len(Prefix(Parent(p))):]) != p {
			t.Errorf("%q does not come apart", p)
		}
	})
}
