// Package coverage counts which statements of task files their tests ran, and tells
// it: as a table, as LCOV, as one HTML page.
package coverage

import (
	"cmp"
	_ "embed"
	"fmt"
	"html/template"
	"io"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"perago/engine/module"
	"perago/engine/tasktest"
	"perago/starlib/diag"
)

// Coverage is what all tests together ran, by the absolute names of the files. Its
// zero value is empty.
type Coverage struct{ files map[string]*coveredFile }

type coveredFile struct {
	name       string // as it is shown
	statements []module.Statement
	counts     []uint32
}

// Add counts what one test ran.
func (c *Coverage) Add(list []tasktest.Covered) {
	for _, f := range list {
		have := c.file(f.File)
		if !slices.Equal(have.statements, f.Statements) { // new, or changed since the test before
			have.statements, have.counts = f.Statements, make([]uint32, len(f.Statements))
		}
		for i, n := range f.Counts {
			have.counts[i] = uint32(min(uint64(have.counts[i])+uint64(n), math.MaxUint32))
		}
	}
}

// file is the entry of a file, made when it is missing.
func (c *Coverage) file(name string) *coveredFile {
	key := absolute(name)
	if c.files == nil {
		c.files = map[string]*coveredFile{}
	}
	if c.files[key] == nil {
		c.files[key] = &coveredFile{name: filepath.Clean(name)}
	}
	return c.files[key]
}

func absolute(name string) string {
	if abs, err := filepath.Abs(name); err == nil {
		return abs
	}
	return filepath.Clean(name)
}

// AddUnloaded adds those of the named files that no test loaded: nothing of them
// ran. Tests are left out. The error names the file that cannot be read.
func (c *Coverage) AddUnloaded(names []string) error {
	for _, name := range names {
		if strings.HasSuffix(name, tasktest.Suffix) || c.files[absolute(name)] != nil {
			continue
		}
		text, err := readSource(name)
		if err != nil {
			return err
		}
		if f, ok := module.StatementsOf(name, text); ok { // else `check` has something to say
			c.Add([]tasktest.Covered{{File: name, Statements: f.Statements}})
		}
	}
	return nil
}

// maxCoveredSource bounds a file that is shown, in bytes: the same as of a task file.
const maxCoveredSource = 1 << 20

func readSource(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close() // it was only read
	text, err := io.ReadAll(io.LimitReader(f, maxCoveredSource))
	if err != nil {
		return nil, err
	}
	return text, nil
}

// sorted are the files that have statements, by their names.
func (c *Coverage) sorted() []*coveredFile {
	list := slices.DeleteFunc(slices.Collect(maps.Values(c.files)), func(f *coveredFile) bool { return len(f.statements) == 0 })
	slices.SortFunc(list, func(a, b *coveredFile) int { return cmp.Compare(a.name, b.name) })
	return list
}

// ran is the number of statements that ran.
func (f *coveredFile) ran() int {
	n := 0
	for _, count := range f.counts {
		if count > 0 {
			n++
		}
	}
	return n
}

// coveredLine counts the statements that begin on a line. ran is how many of them
// were run, least is how often the one that was run least was run.
type coveredLine struct {
	statements, ran int
	least           uint32
}

// lines are the lines on which statements begin.
func (f *coveredFile) lines() map[int]coveredLine {
	lines := map[int]coveredLine{}
	for i, s := range f.statements {
		l, seen := lines[int(s.Line)]
		if !seen || f.counts[i] < l.least {
			l.least = f.counts[i]
		}
		if l.statements++; f.counts[i] > 0 {
			l.ran++
		}
		lines[int(s.Line)] = l
	}
	return lines
}

// missing are the lines with a statement that did not run, in order.
func (f *coveredFile) missing() []int {
	list := []int{}
	for line, l := range f.lines() {
		if l.least == 0 {
			list = append(list, line)
		}
	}
	slices.Sort(list)
	return list
}

// ranges writes the missing lines for people: "12-14, 20". Lines without a
// statement between two that are missing belong to them.
func (f *coveredFile) ranges() string {
	lines := f.lines()
	missing := f.missing()
	var parts []string
	for i := 0; i < len(missing); {
		first, last := missing[i], missing[i]
		for i++; i < len(missing); i++ {
			between := false
			for line := last + 1; line < missing[i]; line++ {
				between = between || lines[line].statements > 0
			}
			if between {
				break
			}
			last = missing[i]
		}
		part := fmt.Sprint(first)
		if last > first {
			part += fmt.Sprintf("-%d", last)
		}
		parts = append(parts, part)
	}
	return diag.Shorten(strings.Join(parts, ", "))
}

// Summary is the coverage as the JSON report has it.
type Summary struct {
	Statements int           `json:"statements"`
	Run        int           `json:"run"`
	Percent    float64       `json:"percent"`
	Files      []FileSummary `json:"files"`
}

// FileSummary is that of one file.
type FileSummary struct {
	File       string  `json:"file"`
	Statements int     `json:"statements"`
	Run        int     `json:"run"`
	Percent    float64 `json:"percent"`
	Missing    []int   `json:"missing"` // lines
}

// Summary sums up each file, by name, and all.
func (c *Coverage) Summary() Summary {
	s := Summary{Files: []FileSummary{}}
	for _, f := range c.sorted() {
		ran := f.ran()
		s.Files = append(s.Files, FileSummary{f.name, len(f.statements), ran, percent(ran, len(f.statements)), f.missing()})
		s.Statements, s.Run = s.Statements+len(f.statements), s.Run+ran
	}
	s.Percent = percent(s.Run, s.Statements)
	return s
}

// percent is rounded down: only what is whole is 100.
func percent(n, of int) float64 {
	if of == 0 {
		return 100
	}
	return math.Floor(1000*float64(n)/float64(of)) / 10
}

// WriteTable writes one line a file, and one of all together.
func (c *Coverage) WriteTable(w io.Writer) {
	s := c.Summary()
	width := len("total")
	for _, f := range s.Files {
		width = max(width, len([]rune(diag.Printable(f.File))))
	}
	fmt.Fprintf(w, "%-*s  statements    run  percent  missing lines\n", width, "file")
	row := func(name string, statements, run int, percent float64, missing string) {
		fmt.Fprintln(w, strings.TrimRight(fmt.Sprintf("%-*s  %10d  %5d  %7.1f  %s", width, name, statements, run, percent, missing), " "))
	}
	for i, f := range c.sorted() {
		row(diag.Printable(f.name), s.Files[i].Statements, s.Files[i].Run, s.Files[i].Percent, f.ranges())
	}
	row("total", s.Statements, s.Run, s.Percent, "")
}

// WriteLCOV writes what editors and CI servers read. Of the statements of one
// line the one counts that ran least.
func (c *Coverage) WriteLCOV(w io.Writer) {
	for _, f := range c.sorted() {
		lines, hit := f.lines(), 0
		fmt.Fprintf(w, "TN:\nSF:%s\n", strings.ReplaceAll(f.name, "\n", " "))
		for _, line := range slices.Sorted(maps.Keys(lines)) {
			fmt.Fprintf(w, "DA:%d,%d\n", line, lines[line].least)
			if lines[line].least > 0 {
				hit++
			}
		}
		fmt.Fprintf(w, "LF:%d\nLH:%d\nend_of_record\n", len(lines), hit)
	}
}

//go:embed page.html
var coveragePage string

// pageFile is one file of the page.
type pageFile struct {
	FileSummary
	ID    int
	Below bool // something is missing
	Lines []pageLine
}

// pageLine is one line of a file. State is "hit", "part" or "miss" where a
// statement begins, else "".
type pageLine struct {
	Number int
	State  string
	Sign   string // for those who do not see colours
	Count  uint32
	Text   string
}

// WriteHTML writes one page that needs nothing else. It reads the files again, for their lines.
func (c *Coverage) WriteHTML(w io.Writer) error {
	page := struct {
		Summary
		Pages []pageFile
	}{Summary: c.Summary()}
	for i, f := range c.sorted() {
		p, err := f.page(page.Files[i])
		if err != nil {
			return err
		}
		p.ID = i + 1
		page.Pages = append(page.Pages, p)
	}
	t, err := template.New("coverage").Parse(coveragePage)
	if err != nil {
		return err
	}
	return t.Execute(w, page)
}

// page shows the source of a file beside its counts.
func (f *coveredFile) page(s FileSummary) (pageFile, error) {
	p := pageFile{FileSummary: s, Below: s.Run < s.Statements}
	text, err := readSource(f.name)
	if err != nil {
		return p, err
	}
	lines := f.lines()
	source := strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(strings.TrimSuffix(string(text), "\n"))
	for i, line := range strings.Split(source, "\n") {
		l := pageLine{Number: i + 1, Text: strings.ToValidUTF8(line, "�")}
		if at, ok := lines[i+1]; ok {
			l.Count = at.least
			switch at.ran {
			case at.statements:
				l.State, l.Sign = "hit", "✓"
			case 0:
				l.State, l.Sign = "miss", "✗"
			default:
				l.State, l.Sign = "part", "◐"
			}
		}
		p.Lines = append(p.Lines, l)
	}
	return p, nil
}
