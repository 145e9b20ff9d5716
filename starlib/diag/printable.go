package diag

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// Printable is s as one line that is safe on a terminal: what would move its
// cursor, change its state, forge a line or turn text around comes out as a
// visible sign. Tabs stay. Everything that people read and others wrote goes
// through it: log records and their fields, progress, reasons, names of files.
func Printable(s string) string {
	if !strings.ContainsFunc(s, unsafe) && utf8.ValidString(s) {
		return s
	}
	return strings.Map(func(r rune) rune {
		switch {
		case !unsafe(r): // and bytes that are no UTF-8, which are unicode.ReplacementChar here
			return r
		case r < 0x20:
			return 0x2400 + r // the picture of it
		case r == 0x7f:
			return 0x2421
		}
		return unicode.ReplacementChar
	}, s)
}

// Escape is s with what cannot be printed written as in a string literal: for a
// name or a pattern in a message, of which every character counts.
func Escape(s string) string {
	if !strings.ContainsFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) && utf8.ValidString(s) {
		return s
	}
	quoted := strconv.Quote(s)
	return quoted[1 : len(quoted)-1]
}

// PrintableLines is Printable of every line of s.
func PrintableLines(s string) string {
	lines := splitLines(s)
	for i, line := range lines {
		lines[i] = Printable(line)
	}
	return strings.Join(lines, "\n")
}

// PrintableJSON is a JSON text with what Printable replaces escaped: it means the
// same, and is safe on a terminal.
func PrintableJSON(text []byte) []byte {
	s := string(text)
	if strings.IndexFunc(s, escaped) < 0 {
		return text
	}
	var b strings.Builder
	for _, r := range s {
		if !escaped(r) {
			b.WriteRune(r)
			continue
		}
		for _, unit := range utf16.AppendRune(nil, r) {
			fmt.Fprintf(&b, "\\u%04x", unit)
		}
	}
	return []byte(b.String())
}

// escaped is what is unsafe and may stand in a string of JSON as it is.
func escaped(r rune) bool { return r >= 0x7f && unsafe(r) }

// unsafe are control characters, the marks that turn text around or that nobody
// sees, and the ends of lines. The joiners of some scripts and of emoji stay.
func unsafe(r rune) bool {
	switch {
	case r == '\t':
		return false
	case r < 0x20, r >= 0x7f && r <= 0x9f: // C0, DEL and C1
		return true
	case r < 0x061c:
		return false
	}
	return r == 0x061c || r == 0x200b || r == 0x200e || r == 0x200f || r >= 0x2028 && r <= 0x202e || r >= 0x2060 && r <= 0x206f || r == 0xfeff
}
