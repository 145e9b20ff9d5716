package main

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/rogpeppe/go-internal/diff"

	"perago/starlib/diag"
	"perago/workspace"
	"perago/workspace/storage"
)

// This file is --diff: every changed file in the way that tells most of it. The
// ways stand in one list, comparers; a file that none of them can read is told by
// its size and checksum.

// Bounds of --diff.
const (
	maxDiffFiles = 100       // files that are compared; of the others there is the line of the change
	maxDiffLines = 200       // of one file
	maxDiffTotal = 2000      // lines of all files
	maxDiffWidth = 200       // characters of one line, before the "…" of a longer one
	maxDiffText  = 4 << 20   // bytes of one side, above which a text is not compared
	maxDiffSum   = 256 << 20 // bytes of one side, above which there is no checksum
)

// fileDiff is what --diff tells of one changed file.
type fileDiff struct {
	Op   storage.Op `json:"op"`
	Path string     `json:"path"`
	// Kind is "text", "csv", or "binary" for what is told by size and checksum.
	Kind  string    `json:"kind"`
	Lines []string  `json:"lines,omitempty"` // as they are shown, without colours
	Left  int       `json:"lines_left_out,omitempty"`
	Rows  *rowDiff  `json:"rows,omitempty"` // csv
	Old   *fileFact `json:"old,omitempty"`  // binary
	New   *fileFact `json:"new,omitempty"`  // binary
}

// fileFact is what is known of content that is not shown.
type fileFact struct {
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256,omitempty"` // "": more than maxDiffSum
}

// side is one of the two contents of a changed file; nil where there is none.
type side struct {
	fact fileFact
	text []byte // nil when it has more than maxDiffText bytes
}

// comparer fills in what it can tell of two contents, and says whether it can. A
// side may be nil, not both.
type comparer func(d *fileDiff, before, after *side) bool

// comparers are asked in this order.
func comparers() []comparer { return []comparer{compareRows, compareText, compareSums} }

// diffOf compares what an attempt wrote with what was there.
func diffOf(ctx context.Context, w written) ([]fileDiff, error) {
	diffs := make([]fileDiff, 0, min(len(w.changes), maxDiffFiles))
	lines := 0
	for i, c := range w.changes {
		if i == maxDiffFiles {
			break
		}
		d, err := w.diff(ctx, c)
		if err != nil {
			return nil, err
		}
		d.bound(min(maxDiffLines, maxDiffTotal-lines))
		lines += len(d.Lines)
		diffs = append(diffs, d)
	}
	return diffs, nil
}

func (w written) diff(ctx context.Context, c workspace.Change) (fileDiff, error) {
	d := fileDiff{Op: c.Op, Path: c.Path}
	var before, after *side
	var err error
	if c.Op != storage.Added {
		if before, err = readSide(func() (io.ReadCloser, error) { return w.before(ctx, c.Path) }); err != nil {
			return d, fmt.Errorf("compare %s: %w", c.Path, err)
		}
	}
	if c.Op != storage.Deleted {
		if after, err = readSide(func() (io.ReadCloser, error) { return w.after(ctx, c.Path) }); err != nil {
			return d, fmt.Errorf("compare %s: %w", c.Path, err)
		}
	}
	for _, compare := range comparers() {
		if compare(&d, before, after) {
			break
		}
	}
	return d, nil
}

// readSide reads one content, keeps it when it is small, and sums it up. Of a
// large one no more is read than tells its size.
func readSide(open func() (io.ReadCloser, error)) (*side, error) {
	r, err := open()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	sum := sha256.New()
	var kept bytes.Buffer
	n, err := io.Copy(io.MultiWriter(&kept, sum), io.LimitReader(r, maxDiffText+1))
	if err != nil {
		return nil, err
	}
	s := &side{}
	if n <= maxDiffText {
		s.text = kept.Bytes()
		if s.text == nil {
			s.text = []byte{}
		}
	}
	more, err := io.Copy(sum, io.LimitReader(r, maxDiffSum-n))
	if err != nil {
		return nil, err
	}
	s.fact = fileFact{Size: n + more, SHA256: hex.EncodeToString(sum.Sum(nil))}
	if s.fact.Size == maxDiffSum {
		rest, err := io.Copy(io.Discard, r)
		if err != nil {
			return nil, err
		}
		if rest > 0 {
			s.fact = fileFact{Size: s.fact.Size + rest}
		}
	}
	return s, nil
}

// isText: what people read line by line.
func (s *side) isText() bool {
	return s == nil || s.text != nil && utf8.Valid(s.text) && !bytes.ContainsRune(s.text, 0)
}

// endsInCRLF: every line does.
func (s *side) endsInCRLF() bool {
	return s == nil || bytes.Count(s.text, []byte("\n")) == bytes.Count(s.text, []byte("\r\n"))
}

func (s *side) bytes() []byte {
	if s == nil {
		return nil
	}
	return s.text
}

// compareText is the unified diff of two texts.
func compareText(d *fileDiff, before, after *side) bool {
	if !before.isText() || !after.isText() {
		return false
	}
	d.Kind = "text"
	from, to := "a/"+d.Path, "b/"+d.Path
	if before == nil {
		from = "/dev/null"
	}
	if after == nil {
		to = "/dev/null"
	}
	old, now := before.bytes(), after.bytes()
	if before.endsInCRLF() && after.endsInCRLF() { // as CSV has it: nothing to show of each line
		old, now = bytes.ReplaceAll(old, []byte("\r\n"), []byte("\n")), bytes.ReplaceAll(now, []byte("\r\n"), []byte("\n"))
	}
	text := diff.Diff(diag.Printable(from), old, diag.Printable(to), now)
	_, text, _ = bytes.Cut(text, []byte("\n")) // the line "diff a b"
	d.Lines = printableLines(string(text))
	return true
}

// compareSums tells sizes and checksums, which is possible of everything.
func compareSums(d *fileDiff, before, after *side) bool {
	d.Kind = "binary"
	line := func(sign string, s *side) *fileFact {
		if s == nil {
			return nil
		}
		sum := s.fact.SHA256
		if sum == "" {
			sum = "not summed up: more than " + shortSize(maxDiffSum)
		}
		d.Lines = append(d.Lines, fmt.Sprintf("%s %s, sha256 %s", sign, counted(int(s.fact.Size), "byte"), sum))
		return &s.fact
	}
	d.Old, d.New = line("-", before), line("+", after)
	return true
}

func printableLines(text string) []string {
	var lines []string
	for line := range strings.Lines(text) {
		lines = append(lines, diag.ShortenTo(diag.Printable(strings.TrimSuffix(line, "\n")), maxDiffWidth))
	}
	return lines
}

// bound keeps so many lines at most.
func (d *fileDiff) bound(most int) {
	if len(d.Lines) > most {
		d.Left = len(d.Lines) - most
		d.Lines = d.Lines[:most]
	}
}

// tellDiffs writes changes with what was compared of them.
func (a *app) tellDiffs(changes []workspace.Change, diffs []fileDiff) {
	colour := a.colorful(a.stderr)
	for i, c := range changes {
		if i == len(diffs) {
			fmt.Fprintf(a.stderr, "(%s more not compared: --diff shows the first %d)\n", counted(len(changes)-i, "file"), maxDiffFiles)
			tellChanges(a.stderr, changes[i:])
			return
		}
		tellChanges(a.stderr, changes[i:i+1])
		d := diffs[i]
		for _, line := range d.Lines {
			fmt.Fprintln(a.stderr, inColour(line, colour))
		}
		if d.Left > 0 {
			fmt.Fprintf(a.stderr, "(%s more of %s)\n", counted(d.Left, "line"), diag.Printable(c.Path))
		}
	}
}

// inColour is a line of a diff as a terminal shows it.
func inColour(line string, colour bool) string {
	code := ""
	switch {
	case !colour || line == "":
	case line[0] == '+':
		code = "32"
	case line[0] == '-':
		code = "31"
	case line[0] == '~':
		code = "33"
	case line[0] == '@':
		code = "36"
	}
	if code == "" {
		return line
	}
	return "\x1b[" + code + "m" + line + "\x1b[0m"
}
