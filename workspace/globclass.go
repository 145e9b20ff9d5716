package workspace

import (
	"cmp"
	"slices"
	"strings"
	"unicode/utf8"
)

// maxClass bounds the characters that the classes of one pattern are spelled
// out to where several ranges stand in one class, so that a pattern stays small.
const maxClass = 1 << 16

// class is a [...] of a pattern: a set of characters as sorted ranges that do
// not touch.
type class struct {
	not    bool
	ranges []runeRange
}

type runeRange struct{ lo, hi rune }

// parseClass reads the class that s starts with, as Python's fnmatch does: a
// "]" or "-" that comes first is itself, as is a "-" after a range or at the
// end. size is its length in bytes.
func parseClass(s string) (c class, size int, err *PatternError) {
	body := 1
	if strings.HasPrefix(s[body:], "!") {
		c.not, body = true, 2
	}
	first := body
	if strings.HasPrefix(s[body:], "]") {
		first++
	}
	end := strings.IndexByte(s[first:], ']')
	if end < 0 {
		return c, 0, &PatternError{Reason: `has a "[" without a "]"`}
	}
	end += first
	chars := []rune(s[body:end])
	for i := 0; i < len(chars); i++ {
		r := runeRange{chars[i], chars[i]}
		if i+2 < len(chars) && chars[i+1] == '-' {
			r.hi = chars[i+2]
			i += 2
		}
		if r.hi < r.lo {
			return c, 0, &PatternError{Reason: "has the range " + string(r.lo) + "-" + string(r.hi) + ", which is empty: its ends are to be swapped"}
		}
		c.ranges = append(c.ranges, r)
	}
	c.merge()
	return c, end + 1, nil
}

// merge sorts the ranges and joins those that touch.
func (c *class) merge() {
	slices.SortFunc(c.ranges, func(a, b runeRange) int { return cmp.Compare(a.lo, b.lo) })
	merged := c.ranges[:1]
	for _, r := range c.ranges[1:] {
		if last := &merged[len(merged)-1]; r.lo <= last.hi+1 {
			last.hi = max(last.hi, r.hi)
		} else {
			merged = append(merged, r)
		}
	}
	c.ranges = merged
}

// write writes the class in the syntax of the glob library: one range as a
// range, several as the set of all their characters. (Alternatives would do
// too, but make the library backtrack without bound.)
func (c *class) write(b *strings.Builder, budget *int) *PatternError {
	open := "["
	if c.not {
		open = "[!"
	}
	// A range from "!" would be read as a negation.
	if r := c.ranges[0]; len(c.ranges) == 1 && r.lo != r.hi && (r.lo != '!' || c.not) {
		b.WriteString(open + string(r.lo) + "-" + string(r.hi) + "]")
		return nil
	}
	for _, r := range c.ranges {
		if *budget -= int(r.hi-r.lo) + 1; *budget < 0 {
			return &PatternError{Reason: "has a class of several ranges with more than 65536 characters"}
		}
	}
	b.WriteString(open)
	dash := false
	for _, r := range c.ranges {
		for char := r.lo; char <= r.hi; char++ {
			switch {
			case char == '-':
				dash = true
			case utf8.ValidRune(char):
				b.WriteByte('\\')
				b.WriteRune(char)
			}
		}
	}
	if dash { // last, and plain: as the first character "\-" would be read as a range
		b.WriteByte('-')
	}
	b.WriteByte(']')
	return nil
}
