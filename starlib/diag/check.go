package diag

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"go.starlark.net/syntax"
)

const (
	// longChain bounds the operators, calls and subscripts that follow each other
	// without a comma or a new line, and the elifs of one if: the interpreter
	// walks them by recursion, a level each.
	longChain = 5000

	// deepBytes is the size below which a source is too small for such a chain to matter.
	deepBytes = 16 << 10
)

// CheckSource refuses a text that the parser would misread, or that would overflow
// its stack: bytes that are not UTF-8, a NUL, which the parser takes for the end of
// the file, very long chains and very long names. It is nil for any other text.
// The text must be in s under the name of the file.
func (s *Sources) CheckSource(file string) *Diagnostic {
	src := string(s.Text[file])
	if i := InvalidUTF8(src); i >= 0 {
		d := s.atOffset(file, i, "P1304", "the file is not UTF-8")
		d.Found = fmt.Sprintf("the byte 0x%02x at offset %d", src[i], i)
		d.Hint = "save the file as UTF-8"
		return d
	}
	if i := strings.IndexByte(src, 0); i >= 0 {
		d := s.atOffset(file, i, "P1305", "the file holds a NUL byte")
		d.Found = fmt.Sprintf("0x00 at offset %d", i)
		d.Hint = "is it a text? Write `\\x00` for one in a string"
		return d
	}
	if len(src) < deepBytes {
		return nil
	}
	tokens := scan(src)
	for _, t := range tokens {
		if t.kind == name && len(t.text) > longestName {
			d := s.at(syntax.MakePosition(&file, int32(t.at.line), int32(t.at.column)), "P1009", "the name is too long")
			d.Found, d.Wanted = fmt.Sprintf("%d bytes", len(t.text)), fmt.Sprintf("at most %d", longestName)
			d.Hint = "choose a shorter one"
			return d
		}
	}
	if t, ok := tooLongChain(tokens); ok {
		d := s.at(syntax.MakePosition(&file, int32(t.line), int32(t.column)), "P1006", "one expression goes on for too long")
		d.Wanted = fmt.Sprintf("at most %d operators, calls or branches in a row", longChain)
		d.Hint = "data belongs in a file of the workspace; name parts of an expression by assigning them first"
		return d
	}
	return nil
}

// atOffset makes a Diagnostic at a byte offset.
func (s *Sources) atOffset(name string, offset int, code Code, message string) *Diagnostic {
	before := splitLines(string(s.Text[name][:offset]))
	line := len(before)
	column := utf8.RuneCountInString(before[line-1]) + 1
	d := s.at(syntax.MakePosition(&name, int32(line), int32(column)), code, message)
	d.Source = strings.ToValidUTF8(d.Source, "�")
	return d
}

// branch counts the elifs of one column.
type branch struct{ column, count int }

// tooLongChain is the position at which a chain becomes too long.
func tooLongChain(tokens []token) (position, bool) {
	counts := []int{0} // tokens since the last separator, by bracket depth
	var branches []branch
	for _, t := range tokens {
		top := len(counts) - 1
		switch {
		case t.kind == newline, t.text == "," || t.text == ";":
			counts[top] = 0
		case t.text == "(" || t.text == "[" || t.text == "{":
			counts[top]++
			counts = append(counts, 0)
		case (t.text == ")" || t.text == "]" || t.text == "}") && top > 0:
			counts = counts[:top]
		default:
			counts[top]++
		}
		if counts[len(counts)-1] > 2*longChain {
			return t.at, true
		}
		if t.first && t.open < 0 && t.kind == name {
			var long bool
			if branches, long = branching(branches, t); long {
				return t.at, true
			}
		}
	}
	return position{}, false
}

// branching counts the elifs of each column, given the first word of a line.
func branching(branches []branch, t token) ([]branch, bool) {
	for len(branches) > 0 && branches[len(branches)-1].column > t.at.column {
		branches = branches[:len(branches)-1]
	}
	last := len(branches) - 1
	same := last >= 0 && branches[last].column == t.at.column
	switch {
	case t.text != "elif" && same:
		return branches[:last], false
	case t.text != "elif":
		return branches, false
	case !same:
		return append(branches, branch{t.at.column, 1}), false
	}
	branches[last].count++
	return branches, branches[last].count > longChain/5
}
