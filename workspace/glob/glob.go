// Package glob compiles patterns and matches the paths of files against them.
package glob

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	gobwas "github.com/gobwas/glob"

	"perago/workspace/paths"
)

// Pattern is a compiled glob pattern over the paths of files:
//
//   - ?  [abc]  [a-z]  [!abc]   within one segment
//     **                           a segment of its own: zero or more folders;
//     as the last segment, every file below
//
// Everything else is itself, braces included; names that start with a dot are
// like any other. Matching is case-sensitive and takes time proportional to
// the length of the pattern times that of the path.
type Pattern struct {
	text     string
	folder   string // the literal leading segments
	literal  bool   // the pattern is a plain path
	segments []segment
}

// segment matches one segment of a path; with deep set, any number of them.
type segment struct {
	deep bool
	text string          // when glob is nil
	glob *gobwas.Pattern // of this segment alone
}

// Error is a bad pattern. Its text is for the author of a task.
type Error struct {
	Pattern string
	Offset  int    // in bytes, of what is wrong
	Reason  string // "has a [ without a ]"
}

func (e *Error) Error() string { return "pattern " + paths.Quote(e.Pattern) + " " + e.Reason }

// maxPattern is the length of the longest pattern, in bytes. A path has at most paths.MaxLength.
const maxPattern = 4 * paths.MaxLength

// Compile reads a pattern; its error is an *Error.
func Compile(s string) (*Pattern, error) {
	if reason := paths.Problem(s); reason != "" {
		return nil, &Error{Pattern: s, Reason: reason}
	}
	if len(s) > maxPattern {
		return nil, &Error{Pattern: s, Reason: "is longer than 4096 bytes"}
	}
	if paths.HasDrive(s) {
		return nil, &Error{Pattern: s, Reason: "starts with a drive: it is to be relative to the workspace"}
	}
	if !utf8.ValidString(s) {
		return nil, &Error{Pattern: s, Reason: "is not valid UTF-8"}
	}
	p := &Pattern{text: s, literal: true}
	offset, budget := 0, maxClass
	for text := range strings.SplitSeq(s, "/") {
		seg, err := compileSegment(text, &budget)
		if err != nil {
			err.Pattern = s
			err.Offset += offset
			return nil, err
		}
		p.literal = p.literal && !seg.deep && seg.glob == nil
		last := offset+len(text) == len(s)
		if p.literal && !last {
			p.folder = paths.Join(p.folder, text)
		}
		// A "**" after a "**" adds nothing; as the last segment it needs a file below.
		if n := len(p.segments); !seg.deep || n == 0 || !p.segments[n-1].deep {
			p.segments = append(p.segments, seg)
		}
		offset += len(text) + 1
	}
	if p.segments[len(p.segments)-1].deep {
		p.segments = append(p.segments, segment{glob: gobwas.MustCompile("*")})
	}
	return p, nil
}

// MustCompile is Compile for a pattern of perago's own; it panics when that
// cannot be compiled.
func MustCompile(s string) *Pattern {
	p, err := Compile(s)
	if err != nil {
		panic(err)
	}
	return p
}

// Literal says whether the pattern is a plain path.
func (p *Pattern) Literal() bool { return p.literal }

// String is the pattern as it was written.
func (p *Pattern) String() string { return p.text }

// LiteralPrefix is the folder that everything matched is in, as far as it can
// be known from the pattern: "a/b" for "a/b/*.csv", "" for "*/b".
func (p *Pattern) LiteralPrefix() string { return p.folder }

// Match says whether the path of a file matches.
func (p *Pattern) Match(path string) bool {
	segs, rest, more := p.segments, path, true
	var (
		retrySegs []segment // after the last "**" passed
		retryRest string    // where its next attempt starts
		retry     bool
	)
	for {
		switch {
		case len(segs) > 0 && segs[0].deep:
			segs = segs[1:]
			retrySegs, retryRest, retry = segs, rest, more
			continue
		case len(segs) == 0 && !more:
			return true
		case len(segs) > 0 && more:
			name, after, afterMore := strings.Cut(rest, "/")
			if segs[0].match(name) {
				segs, rest, more = segs[1:], after, afterMore
				continue
			}
		}
		// A mismatch: let the last "**" take one folder more. An earlier one
		// could not do better than the last.
		if !retry {
			return false
		}
		_, retryRest, retry = strings.Cut(retryRest, "/")
		segs, rest, more = retrySegs, retryRest, retry
		if !more {
			return false
		}
	}
}

func (s *segment) match(name string) bool {
	if s.glob == nil {
		return s.text == name
	}
	return s.glob.Match(name)
}

// compileSegment rewrites one segment into the syntax of the glob library,
// where braces and backslashes mean something and a class is either one range
// or a set.
func compileSegment(text string, budget *int) (segment, *Error) {
	if text == "**" {
		return segment{deep: true}, nil
	}
	if i := strings.Index(text, "**"); i >= 0 {
		return segment{}, &Error{Offset: i, Reason: `has "**" inside a longer segment: it is to be a segment of its own`}
	}
	if !strings.ContainsAny(text, "*?[") {
		return segment{text: text}, nil
	}
	var b strings.Builder
	for i := 0; i < len(text); {
		if text[i] != '[' {
			_, size := utf8.DecodeRuneInString(text[i:])
			writeOutside(&b, text[i:i+size])
			i += size
			continue
		}
		c, size, err := parseClass(text[i:])
		if err == nil {
			err = c.write(&b, budget)
		}
		if err != nil {
			err.Offset += i
			return segment{}, err
		}
		i += size
	}
	g, err := gobwas.Compile(b.String())
	if err != nil { // compileSegment wrote what the library does not accept: a defect of ours
		return segment{}, &Error{Reason: fmt.Sprintf("cannot be read (%v)", err)}
	}
	return segment{glob: g}, nil
}

// writeOutside writes one character that is outside of a class.
func writeOutside(b *strings.Builder, c string) {
	if c == "*" || c == "?" {
		b.WriteString(c)
		return
	}
	b.WriteString(gobwas.QuoteMeta(c))
}

// maxClass bounds the characters of one pattern's classes of several ranges. These
// are written out one by one, and a compiled pattern must stay small.
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
func parseClass(s string) (c class, size int, err *Error) {
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
		return c, 0, &Error{Reason: `has a "[" without a "]"`}
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
			return c, 0, &Error{Reason: "has the range " + string(r.lo) + "-" + string(r.hi) + ", which is empty: its ends are to be swapped"}
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
func (c *class) write(b *strings.Builder, budget *int) *Error {
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
			return &Error{Reason: "has a class of several ranges with more than 65536 characters"}
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
