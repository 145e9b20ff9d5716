package workspace

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/gobwas/glob"

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
	text string        // when glob is nil
	glob *glob.Pattern // of this segment alone
}

// PatternError is a bad pattern. Its text is for the author of a task.
type PatternError struct {
	Pattern string
	Offset  int    // in bytes, of what is wrong
	Reason  string // "has a [ without a ]"
}

func (e *PatternError) Error() string { return "pattern " + paths.Quote(e.Pattern) + " " + e.Reason }

// maxPattern is the longest pattern in bytes: no path is longer than maxName.
const maxPattern = 4 * paths.MaxLength

// CompilePattern reads a pattern; its error is a *PatternError.
func CompilePattern(s string) (*Pattern, error) {
	if reason := paths.Problem(s); reason != "" {
		return nil, &PatternError{Pattern: s, Reason: reason}
	}
	if len(s) > maxPattern {
		return nil, &PatternError{Pattern: s, Reason: "is longer than 4096 bytes"}
	}
	if paths.HasDrive(s) {
		return nil, &PatternError{Pattern: s, Reason: "starts with a drive: it is to be relative to the workspace"}
	}
	if !utf8.ValidString(s) {
		return nil, &PatternError{Pattern: s, Reason: "is not valid UTF-8"}
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
		// "**" and another "**" after it are one; as the last segment it wants a file.
		if n := len(p.segments); !seg.deep || n == 0 || !p.segments[n-1].deep {
			p.segments = append(p.segments, seg)
		}
		offset += len(text) + 1
	}
	if p.segments[len(p.segments)-1].deep {
		p.segments = append(p.segments, segment{glob: glob.MustCompile("*")})
	}
	return p, nil
}

// String is the pattern as it was written.
func (p *Pattern) String() string { return p.text }

// LiteralPrefix is the folder that everything matched is in, as far as it can
// be told from the pattern: "a/b" for "a/b/*.csv", "" for "*/b".
func (p *Pattern) LiteralPrefix() string { return p.folder }

// Match says whether the path of a file matches.
func (p *Pattern) Match(path string) bool {
	segs, rest, more := p.segments, path, true
	var (
		retrySegs []segment // after the last "**" passed
		retryRest string    // where its next try starts
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
func compileSegment(text string, budget *int) (segment, *PatternError) {
	if text == "**" {
		return segment{deep: true}, nil
	}
	if i := strings.Index(text, "**"); i >= 0 {
		return segment{}, &PatternError{Offset: i, Reason: `has "**" inside a longer segment: it is to be a segment of its own`}
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
	g, err := glob.Compile(b.String())
	if err != nil { // a rewriting that the library does not take is a defect here
		return segment{}, &PatternError{Reason: fmt.Sprintf("cannot be read (%v)", err)}
	}
	return segment{glob: g}, nil
}

// writeOutside writes one character that is outside of a class.
func writeOutside(b *strings.Builder, c string) {
	if c == "*" || c == "?" {
		b.WriteString(c)
		return
	}
	b.WriteString(glob.QuoteMeta(c))
}
