package diag

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.starlark.net/starlark"
)

// Shorten is a text as a complaint shows it: at most 80 characters of it, and "…"
// where it was cut.
func Shorten(s string) string { return ShortenTo(s, 80) }

// ShortenTo is Shorten for that many characters.
func ShortenTo(s string, most int) string {
	if len(s) <= most {
		return s
	}
	n := 0
	for i := range s {
		if n++; n > most {
			return s[:i] + "…"
		}
	}
	return s
}

// ShortenBytes is s in at most that many bytes, the last character "…" where it
// was cut, never in the middle of a character.
func ShortenBytes(s string, most int) string {
	if len(s) <= most {
		return s
	}
	end := max(most-len("…"), 0)
	for end > 0 && !utf8.RuneStart(s[end]) {
		end--
	}
	return s[:end] + "…"
}

// Quote is a shortened text in double quotes, with nothing in it that cannot be
// printed.
func Quote(s string) string {
	if short := Shorten(s); short != s {
		return strconv.Quote(strings.TrimSuffix(short, "…")) + "…"
	}
	return strconv.Quote(s)
}

// Plural is "1 file", "2 files".
func Plural(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}

// Size is a number of bytes: "500 bytes", "1.5 MiB".
func Size(n int64) string {
	switch {
	case n >= 10<<30:
		return fmt.Sprintf("%d GiB", n>>30)
	case n >= 10<<20:
		return strings.TrimSuffix(fmt.Sprintf("%.1f", float64(n)/(1<<20)), ".0") + " MiB"
	case n >= 10<<10:
		return fmt.Sprintf("%d KiB", n>>10)
	}
	return fmt.Sprintf("%d bytes", n)
}

// DidYouMean is a hint: the nearest candidate, as quote writes it; "" when none
// is near.
func DidYouMean(name string, candidates []string, quote func(string) string) string {
	near := Nearest(name, candidates)
	if near == "" {
		return ""
	}
	return "did you mean " + quote(near) + "?"
}

// Backquote is a name of the language in a message.
func Backquote(s string) string { return "`" + Escape(s) + "`" }

// TypeName is the type of a value in the words of the docs.
func TypeName(v starlark.Value) string {
	switch v := v.(type) {
	case nil:
		return "nothing"
	case starlark.NoneType:
		return "None"
	case *starlark.Builtin:
		return "the function " + v.Name()
	case *starlark.Function:
		return "the function " + v.Name()
	}
	return v.Type()
}

// Describe is a value of a task file in a complaint about it: a text, a number or
// a bool itself, of any other value the type.
func Describe(v starlark.Value) string {
	switch v := v.(type) {
	case starlark.String, starlark.Int, starlark.Float, starlark.Bool:
		return Shorten(v.String())
	}
	return TypeName(v)
}

// InvalidUTF8 is the offset of the first byte that is not UTF-8, -1 when all is.
func InvalidUTF8(s string) int {
	if utf8.ValidString(s) {
		return -1
	}
	for i, r := range s {
		if r == utf8.RuneError {
			if _, size := utf8.DecodeRuneInString(s[i:]); size == 1 {
				return i
			}
		}
	}
	return -1
}

// Position is the line and the column of an offset in a text, both from 1,
// columns in characters.
func Position(text string, offset int) (line, column int) {
	before := text[:offset]
	return strings.Count(before, "\n") + 1, utf8.RuneCountInString(before[strings.LastIndexByte(before, '\n')+1:]) + 1
}
