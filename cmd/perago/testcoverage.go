package main

import (
	"bytes"
	"cmp"
	"flag"
	"fmt"
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

// coverageOptions are the flags of `perago test` that ask which statements ran.
type coverageOptions struct {
	on     bool
	format string
	out    string  // a file; "": stdout
	min    float64 // percent that each file has to reach; 0: none
}

// coverageFlags adds the flags. check reads them, once they are set.
func coverageFlags(flags *flag.FlagSet, o *coverageOptions) (check func() error) {
	flags.BoolVar(&o.on, "coverage", false, "count which statements of the tasks, and of what they load, ran")
	format := choiceFlag(flags, "coverage-format", "how --coverage is written", []string{"text", "lcov", "html"})
	flags.Float64Var(&o.min, "coverage-min", 0, "fail when less than `PERCENT` of the statements of any file ran")
	flags.StringVar(&o.out, "o", "", "write the coverage to `FILE`")
	return func() error {
		o.format = *format
		if !(o.min >= 0 && o.min <= 100) {
			return usageError("", "--coverage-min: got %v, want 0 to 100", o.min)
		}
		if o.format != "text" && o.out == "" {
			return usageError("add -o coverage."+map[string]string{"lcov": "info", "html": "html"}[o.format], "--coverage-format %s wants a file", o.format)
		}
		o.on = o.on || o.format != "text" || o.out != "" || o.min > 0
		return nil
	}
}

// coverage is what all tests together ran, by the absolute names of the files.
type coverage struct{ files map[string]*coveredFile }

type coveredFile struct {
	name       string // as it is shown
	statements []module.Statement
	counts     []uint32
}

// add counts what one test ran.
func (c *coverage) add(list []tasktest.Covered) {
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
func (c *coverage) file(name string) *coveredFile {
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

// addUnloaded adds the files below the folders of args that no test loaded:
// nothing of them ran.
func (c *coverage) addUnloaded(args []string) error {
	var folders []string
	for _, arg := range args {
		if info, err := os.Stat(arg); err == nil && info.IsDir() {
			folders = append(folders, arg)
		}
	}
	if len(args) == 0 {
		folders = []string{"."}
	}
	found, err := starFiles(folders)
	if err != nil {
		return err
	}
	for _, name := range found {
		if strings.HasSuffix(name, tasktest.Suffix) || c.files[absolute(name)] != nil {
			continue
		}
		text, err := readSource(name)
		if err != nil {
			return err
		}
		if f, ok := module.StatementsOf(name, text); ok { // else `check` has something to say
			c.add([]tasktest.Covered{{File: name, Statements: f.Statements}})
		}
	}
	return nil
}

// maxCoveredSource bounds a file that is shown, in bytes: the same as of a task file.
const maxCoveredSource = 1 << 20

func readSource(name string) ([]byte, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, fileError("cover", err)
	}
	defer f.Close() // it was only read
	text, err := io.ReadAll(io.LimitReader(f, maxCoveredSource))
	if err != nil {
		return nil, fileError("cover", err)
	}
	return text, nil
}

// sorted are the files that have statements, by their names.
func (c *coverage) sorted() []*coveredFile {
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

// coverageSummary is the coverage in the JSON report.
type coverageSummary struct {
	Statements int                   `json:"statements"`
	Run        int                   `json:"run"`
	Percent    float64               `json:"percent"`
	Files      []coverageFileSummary `json:"files"`
}

type coverageFileSummary struct {
	File       string  `json:"file"`
	Statements int     `json:"statements"`
	Run        int     `json:"run"`
	Percent    float64 `json:"percent"`
	Missing    []int   `json:"missing"` // lines
}

func (c *coverage) summary() coverageSummary {
	s := coverageSummary{Files: []coverageFileSummary{}}
	for _, f := range c.sorted() {
		ran := f.ran()
		s.Files = append(s.Files, coverageFileSummary{f.name, len(f.statements), ran, percent(ran, len(f.statements)), f.missing()})
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

// writeCoverage writes the coverage as the flags say.
func (r *testRun) writeCoverage() error {
	var b bytes.Buffer
	switch r.coverage.format {
	case "lcov":
		r.covered.writeLCOV(&b)
	case "html":
		if err := r.covered.writeHTML(&b); err != nil {
			return err
		}
	default:
		r.covered.writeTable(&b)
	}
	if r.coverage.out != "" {
		return replaceFile(r.coverage.out, b.Bytes(), 0o666&^umask())
	}
	to := io.Writer(r.stdout)
	switch r.format {
	case "json":
		return nil // it is in the report
	case "junit":
		to = r.stderr
	}
	_, err := to.Write(b.Bytes())
	return err
}

// writeTable writes one line a file, and one of all together.
func (c *coverage) writeTable(w io.Writer) {
	s := c.summary()
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

// writeLCOV writes what editors and CI servers read. Of the statements of one
// line the one counts that ran least.
func (c *coverage) writeLCOV(w io.Writer) {
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

// coverageReached complains of files below --coverage-min.
func (r *testRun) coverageReached() error {
	if r.coverage.min == 0 {
		return nil
	}
	s := r.covered.summary()
	below := len(s.Files) == 0
	if below {
		fmt.Fprintln(r.stderr, "perago: no statement was counted: the tests ran no task, and called no function of another file")
	}
	for _, f := range s.Files {
		if f.Percent < r.coverage.min {
			below = true
			fmt.Fprintf(r.stderr, "perago: %s: %.1f %% of its statements ran, want at least %v\n", diag.Printable(f.File), f.Percent, r.coverage.min)
		}
	}
	if below {
		return told(exitInvalid)
	}
	return nil
}
