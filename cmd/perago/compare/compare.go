// Package compare tells what changed in files, each in the way that tells most of
// it. The ways stand in one list, comparers; a file that none of them can read is
// told by its size and checksum.
package compare

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

// MaxFiles is how many files are compared; of the others there is the line of the
// change.
const MaxFiles = 100

// Bounds of what is told.
const (
	maxDiffLines = 200       // of one file
	maxDiffTotal = 2000      // lines of all files
	maxDiffWidth = 200       // characters of one line, before the "…" of a longer one
	maxDiffText  = 4 << 20   // bytes of one side, above which a text is not compared
	maxDiffSum   = 256 << 20 // bytes of one side, above which there is no checksum
)

// File is what is told of one changed file.
type File struct {
	Op   storage.Op `json:"op"`
	Path string     `json:"path"`
	// Kind is "text", "csv", or "binary" for what is told by size and checksum.
	Kind  string   `json:"kind"`
	Lines []string `json:"lines,omitempty"` // as they are shown, without colours
	Left  int      `json:"lines_left_out,omitempty"`
	Rows  *Rows    `json:"rows,omitempty"` // csv
	Old   *Fact    `json:"old,omitempty"`  // binary
	New   *Fact    `json:"new,omitempty"`  // binary
}

// Fact is what is known of content that is not shown.
type Fact struct {
	Size   int64  `json:"size"`
	SHA256 string `json:"sha256,omitempty"` // "": more than maxDiffSum
}

// side is one of the two contents of a changed file; nil where there is none.
type side struct {
	fact Fact
	text []byte // nil when it has more than maxDiffText bytes
}

// comparer fills in what it can tell of two contents, and says whether it can. A
// side may be nil, not both.
type comparer func(d *File, before, after *side) bool

// comparers are asked in this order.
func comparers() []comparer { return []comparer{compareRows, compareText, compareSums} }

// Source opens one side of a changed file.
type Source func(ctx context.Context, path string) (io.ReadCloser, error)

// Files compares the first MaxFiles of some changes: before opens what was there,
// unless it was added, after what is there now, unless it was deleted.
func Files(ctx context.Context, changes []workspace.Change, before, after Source) ([]File, error) {
	diffs := make([]File, 0, min(len(changes), MaxFiles))
	lines := 0
	for i, c := range changes {
		if i == MaxFiles {
			break
		}
		d, err := compareFile(ctx, c, before, after)
		if err != nil {
			return nil, err
		}
		d.bound(min(maxDiffLines, maxDiffTotal-lines))
		lines += len(d.Lines)
		diffs = append(diffs, d)
	}
	return diffs, nil
}

func compareFile(ctx context.Context, c workspace.Change, openBefore, openAfter Source) (File, error) {
	d := File{Op: c.Op, Path: c.Path}
	var before, after *side
	var err error
	if c.Op != storage.Added {
		if before, err = readSide(func() (io.ReadCloser, error) { return openBefore(ctx, c.Path) }); err != nil {
			return d, fmt.Errorf("compare %s: %w", c.Path, err)
		}
	}
	if c.Op != storage.Deleted {
		if after, err = readSide(func() (io.ReadCloser, error) { return openAfter(ctx, c.Path) }); err != nil {
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
	s.fact = Fact{Size: n + more, SHA256: hex.EncodeToString(sum.Sum(nil))}
	if s.fact.Size == maxDiffSum {
		rest, err := io.Copy(io.Discard, r)
		if err != nil {
			return nil, err
		}
		if rest > 0 {
			s.fact = Fact{Size: s.fact.Size + rest}
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
func compareText(d *File, before, after *side) bool {
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
func compareSums(d *File, before, after *side) bool {
	d.Kind = "binary"
	line := func(sign string, s *side) *Fact {
		if s == nil {
			return nil
		}
		sum := s.fact.SHA256
		if sum == "" {
			sum = fmt.Sprintf("not summed up: more than %.1f MB", float64(maxDiffSum)/(1<<20))
		}
		d.Lines = append(d.Lines, fmt.Sprintf("%s %s, sha256 %s", sign, diag.Plural(int(s.fact.Size), "byte"), sum))
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
func (d *File) bound(most int) {
	if len(d.Lines) > most {
		d.Left = len(d.Lines) - most
		d.Lines = d.Lines[:most]
	}
}
