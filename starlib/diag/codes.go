package diag

import (
	"slices"
	"strings"
)

// Story is what `perago explain` tells of a code. The tables are in
// codes_syntax.go (P1xxx), codes_declaration.go (P2xxx), codes_input.go (P3xxx),
// codes_run.go (P4xxx) and codes_lint.go (P5xxx).
type Story struct {
	Code    Code
	Title   string // a few words, lower case
	Text    string // why it is so, and what to do
	Example string // code that brings it about, and behind a blank line what to write instead; may be ""
}

// Stories are all codes, in order.
func Stories() []Story {
	return slices.Concat(syntaxStories(), declarationStories(), inputStories(), runStories(), lintStories())
}

// Explain returns the story of a code; false when there is no such code.
func Explain(code Code) (Story, bool) {
	for _, s := range Stories() {
		if s.Code == code {
			return s, true
		}
	}
	return Story{}, false
}

// String is the story as `perago explain` prints it, a newline at its end.
func (s Story) String() string {
	var b strings.Builder
	b.WriteString(string(s.Code) + ": " + s.Title + "\n\n" + fold(s.Text, 78) + "\n")
	if s.Example != "" {
		b.WriteString("\n")
		for _, line := range strings.Split(s.Example, "\n") {
			if line != "" {
				line = "    " + line
			}
			b.WriteString(line + "\n")
		}
	}
	return b.String()
}

// fold breaks a text between words into lines of at most width runes.
func fold(text string, width int) string {
	var b strings.Builder
	column := 0
	for i, word := range strings.Fields(text) {
		n := len([]rune(word))
		switch {
		case i == 0:
		case column+1+n > width:
			b.WriteByte('\n')
			column = 0
		default:
			b.WriteByte(' ')
			column++
		}
		b.WriteString(word)
		column += n
	}
	return b.String()
}
