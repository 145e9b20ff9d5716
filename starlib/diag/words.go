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

// longestName bounds the names that are guessed at, in bytes: they may come from
// a hostile input.
const longestName = 200

// Nearest returns the candidate that name was most likely meant to be, or "".
// The distance is Damerau-Levenshtein's (restricted), ignoring case and
// underscores; at most a third of the name may differ, and never all of it.
func Nearest(name string, candidates []string) string {
	fold := func(s string) []rune { return []rune(strings.ToLower(strings.ReplaceAll(s, "_", ""))) }
	if len(name) > longestName {
		return ""
	}
	want := fold(name)
	limit := max(1, len(want)/3)
	best := ""
	for _, c := range candidates {
		if len(c) > longestName {
			continue
		}
		have := fold(c)
		if len(have) > len(want)+limit || len(want) > len(have)+limit {
			continue // the distance is at least the difference in length
		}
		if d := distance(want, have); d <= limit && d < len(want) && c != name {
			if d < limit || best == "" {
				best, limit = c, d
			}
		}
	}
	return best
}

func distance(a, b []rune) int {
	rows := make([][]int, len(a)+1)
	for i := range rows {
		rows[i] = make([]int, len(b)+1)
		rows[i][0] = i
	}
	for j := range rows[0] {
		rows[0][j] = j
	}
	for i := 1; i <= len(a); i++ {
		for j := 1; j <= len(b); j++ {
			cost := 1
			if a[i-1] == b[j-1] {
				cost = 0
			}
			rows[i][j] = min(rows[i-1][j]+1, rows[i][j-1]+1, rows[i-1][j-1]+cost)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				rows[i][j] = min(rows[i][j], rows[i-2][j-2]+1)
			}
		}
	}
	return rows[len(a)][len(b)]
}
