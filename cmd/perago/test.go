package main

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"encoding/xml"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"github.com/peterbourgon/ff/v3/ffcli"

	"perago/engine/tasktest"
	"perago/engine/tasktest/coverage"
	"perago/starlib/diag"
)

// testOptions are the flags of `perago test`.
type testOptions struct {
	format     string
	match      string
	first      bool // stop at the first failure
	lastFailed bool
	update     bool
	repeat     bool
	seconds    int
	loads      string // the root of load
	coverage   coverageOptions
}

func (a *app) testCommand() *ffcli.Command {
	var o testOptions
	flags := newFlagSet("test")
	format := choiceFlag(flags, "format", "how the outcome is written", []string{"text", "json", "junit"})
	flags.StringVar(&o.match, "run", "", "run only the tests whose name `REGEXP` finds")
	flags.BoolVar(&o.first, "x", false, "stop at the first failure")
	flags.BoolVar(&o.lastFailed, "last-failed", false, "run only the tests that failed when they ran last; all, when none did")
	flags.BoolVar(&o.update, "update", false, "write the goldens of the tests that pass anew, and say which files")
	flags.BoolVar(&o.repeat, "repeat", false, "run each task twice, the second time on a later clock: what comes out must be the same")
	flags.IntVar(&o.seconds, "seconds", 60, "end a test after `N` seconds, the tasks that it runs included")
	covered := coverageFlags(flags, &o.coverage)
	root := rootFlag(flags)
	return &ffcli.Command{
		Name:       "test",
		ShortUsage: "perago test [FILE|FILE::TEST|DIR...] [flags]",
		ShortHelp:  "Run the tests that stand beside task files: *_test.star.",
		LongHelp: `A folder stands for every *_test.star below it; none is the current folder. A test
is a function test_*(t); docs/testing.md tells what t can do. Needs no server.
The tasks that a test runs run as in an attempt, in processes of their own. A
test that takes longer than --seconds, or holds more than 512 MiB, has failed.
Where there is no test to run, the exit code is 5.`,
		FlagSet: flags,
		Exec: a.interruptible(func(ctx context.Context, args []string) error {
			o.format, o.loads = *format, *root
			if _, err := regexp.Compile(o.match); err != nil {
				return usageError("", "-run: %w", err)
			}
			if o.seconds < 1 || o.seconds > maxTestSeconds {
				return usageError("", "--seconds: got %d, want 1 to %d", o.seconds, maxTestSeconds)
			}
			if err := covered(); err != nil {
				return err
			}
			chosen, err := chooseTests(args)
			if err != nil {
				return err
			}
			return a.test(ctx, &testRun{app: a, testOptions: o, args: args}, chosen)
		}),
	}
}

// testRun is one `perago test` while it runs.
type testRun struct {
	*app
	testOptions
	args []string

	results []tasktest.Result
	failed  int
	absent  int // tests that were named and are not there
	wrote   int // files of goldens
	covered coverage.Coverage
}

// errFirstFailure ends the tests with -x.
var errFirstFailure = errors.New("the first failure")

// test runs the chosen tests and tells of them, of each as it ends when the form
// allows it.
func (a *app) test(ctx context.Context, r *testRun, chosen []testChoice) error {
	memory, err := openFailedTests()
	if err != nil && r.lastFailed {
		return err
	}
	if r.lastFailed {
		if chosen = memory.failedOf(chosen); len(chosen) == 0 {
			fmt.Fprintln(a.stderr, "perago: no test failed when it ran last: all are run")
			if chosen, err = chooseTests(r.args); err != nil {
				return err
			}
		}
	}
	for _, c := range chosen {
		var results []tasktest.Result
		err := r.file(ctx, c, func(result tasktest.Result) { results = append(results, result) })
		if memory != nil {
			memory.note(c.file, results, err == nil && c.names == nil && r.match == "")
		}
		if errors.Is(err, errFirstFailure) {
			break
		}
		if err != nil {
			return err
		}
	}
	if err := r.report(); err != nil {
		return err
	}
	return r.outcome()
}

// file runs the chosen tests of one file.
func (r *testRun) file(ctx context.Context, c testChoice, each func(tasktest.Result)) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	order := testOrder{File: c.file, Root: r.loads, Match: r.match, Names: c.names, Seconds: r.seconds,
		Repeat: r.repeat, Update: r.update, Cover: r.coverage.on}
	return runTests(ctx, order, func(result tasktest.Result) {
		if context.Cause(ctx) == errFirstFailure {
			return
		}
		r.covered.Add(result.Covered)
		each(result)
		if result.Absent {
			r.tellAbsent(c, result)
			return
		}
		r.results = append(r.results, result)
		r.wrote += len(result.Wrote)
		if r.format == "text" {
			r.printTest(result)
		}
		if !result.Passed() {
			if r.failed++; r.first {
				cancel(errFirstFailure)
			}
		}
	})
}

// tellAbsent tells of a test that was named and is not there. One that failed
// last and was deleted since is nobody's concern.
func (r *testRun) tellAbsent(c testChoice, result tasktest.Result) {
	if r.lastFailed {
		return
	}
	r.absent++
	fmt.Fprintf(r.stderr, "perago: %s has no test %s\n", diag.Printable(c.file), diag.Printable(diag.Shorten(result.Name)))
	if result.Near != "" {
		fmt.Fprintf(r.stderr, "hint: did you mean %s::%s?\n", diag.Printable(c.file), diag.Printable(result.Near))
	}
}

// report writes the outcome of all tests, and the coverage.
func (r *testRun) report() error {
	if r.coverage.on {
		if err := r.addUnloaded(); err != nil {
			return err
		}
	}
	switch r.format {
	case "json":
		report := testReport(r.results)
		if r.coverage.on {
			summary := r.covered.Summary()
			report.Coverage = &summary
		}
		if err := writeJSON(r.stdout, report); err != nil {
			return err
		}
	case "junit":
		if err := writeJUnit(r.stdout, r.results); err != nil {
			return err
		}
	default:
		fmt.Fprintf(r.stdout, "%d passed, %d failed\n", len(r.results)-r.failed, r.failed)
		if r.first && r.failed > 0 {
			fmt.Fprintln(r.stdout, "stopped at the first failure")
		}
		if r.update {
			fmt.Fprintf(r.stdout, "%s of goldens written\n", files(r.wrote))
		}
	}
	if !r.coverage.on {
		return nil
	}
	return r.writeCoverage()
}

func files(n int) string {
	if n == 1 {
		return "1 file"
	}
	return fmt.Sprintf("%d files", n)
}

// outcome is the exit code as an error.
func (r *testRun) outcome() error {
	switch {
	case r.failed > 0:
		return told(exitInvalid)
	case r.absent > 0:
		return told(exitNoTest)
	case len(r.results) == 0:
		fmt.Fprintln(r.stderr, "perago: there was no test to run")
		return told(exitNoTest)
	case r.coverage.on:
		return r.coverageReached()
	}
	return nil
}

// printTest writes one line a test, the story of one that failed, and what
// --update wrote.
func (r *testRun) printTest(t tasktest.Result) {
	mark := "ok  "
	if !t.Passed() {
		mark = "FAIL"
	}
	fmt.Fprintf(r.stdout, "%s  %s  %s  %s\n", mark, diag.Printable(t.File), diag.Printable(t.Name), shortTime(t.Took))
	for _, file := range t.Wrote {
		fmt.Fprintln(r.stdout, "  wrote:", diag.Printable(file))
	}
	if t.Passed() {
		return
	}
	diag.WriteText(io.Writer(r.stdout), t.Failure, diag.TextOptions{Color: r.colorful(r.stdout.w)})
	if t.Held > 0 {
		fmt.Fprintln(r.stdout, "  not written, since the test failed: its goldens")
	}
	for _, line := range t.Log {
		fmt.Fprintln(r.stdout, "  log:", diag.Printable(line))
	}
}

// testChoice are the tests of one file that are to run.
type testChoice struct {
	file  string
	names []string // nil: all
}

// chooseTests reads the arguments of `perago test`: files, folders, and tests of
// a file, as file_test.star::test_name.
func chooseTests(args []string) ([]testChoice, error) {
	if len(args) == 0 {
		args = []string{"."}
	}
	var chosen []testChoice
	for _, arg := range args {
		path, name, named := strings.Cut(arg, "::")
		found, err := tasktest.Files([]string{path})
		if err != nil {
			return nil, fileError("test", err)
		}
		if named && (name == "" || len(found) != 1 || found[0] != path) {
			return nil, usageError("", "%s: want a test file and the name of a test, as file_test.star::test_name", diag.Shorten(arg))
		}
		for _, file := range found {
			if !strings.HasSuffix(file, tasktest.Suffix) {
				return nil, usageError("its tests stand beside it: `perago test "+strings.TrimSuffix(file, ".star")+tasktest.Suffix+"`",
					"%s is no test file, whose name ends in %s", file, tasktest.Suffix)
			}
			var names []string
			if named {
				names = []string{name}
			}
			chosen = choose(chosen, testChoice{file, names})
		}
	}
	return chosen, nil
}

// choose adds to what is chosen: a file that comes again runs once.
func choose(chosen []testChoice, more testChoice) []testChoice {
	i := slices.IndexFunc(chosen, func(c testChoice) bool { return filepath.Clean(c.file) == filepath.Clean(more.file) })
	switch {
	case i < 0:
		return append(chosen, more)
	case chosen[i].names == nil || more.names == nil:
		chosen[i].names = nil
	case !slices.Contains(chosen[i].names, more.names[0]):
		chosen[i].names = append(chosen[i].names, more.names...)
	}
	return chosen
}

const (
	maxRemembered      = 1000 // test files of which failed tests are remembered
	maxRememberedNames = 1000 // of one file
)

// failedTests remembers which tests failed when they ran last: a file for each
// test file, in the user's cache folder.
type failedTests struct{ dir string }

// remembered is one such file.
type remembered struct {
	File   string   `json:"file"`   // absolute
	Failed []string `json:"failed"` // "": the file did not load
}

func openFailedTests() (*failedTests, error) {
	base, err := os.UserCacheDir()
	if err != nil {
		return nil, environmentError("set XDG_CACHE_HOME", "which tests failed last is not known: %w", err)
	}
	return &failedTests{filepath.Join(base, "perago", "last-failed")}, nil
}

// path is where the failed tests of a file are remembered.
func (m *failedTests) path(file string) (path, abs string, err error) {
	if abs, err = filepath.Abs(file); err != nil {
		return "", "", err
	}
	sum := sha256.Sum256([]byte(abs))
	return filepath.Join(m.dir, hex.EncodeToString(sum[:16])+".json"), abs, nil
}

// failed are the tests of a file that failed last. What cannot be read counts as
// none: it is a cache.
func (m *failedTests) failed(file string) []string {
	path, abs, err := m.path(file)
	if err != nil {
		return nil
	}
	text, err := os.ReadFile(path)
	var r remembered
	if err != nil || json.Unmarshal(text, &r) != nil || r.File != abs {
		return nil
	}
	return r.Failed
}

// failedOf are those of the chosen tests that failed last.
func (m *failedTests) failedOf(chosen []testChoice) []testChoice {
	var failed []testChoice
	for _, c := range chosen {
		names := m.failed(c.file)
		if slices.Contains(names, "") {
			failed = append(failed, c) // it did not load: whatever is in it
			continue
		}
		names = slices.DeleteFunc(names, func(name string) bool { return c.names != nil && !slices.Contains(c.names, name) })
		if len(names) > 0 {
			failed = append(failed, testChoice{c.file, names})
		}
	}
	return failed
}

// note remembers what became of the tests of a file; all says that it ran whole.
// Else a test that did not run stays what it was. Where nothing can be written,
// nothing is remembered.
func (m *failedTests) note(file string, results []tasktest.Result, all bool) {
	path, abs, err := m.path(file)
	if err != nil {
		return
	}
	failed := m.failed(file)
	before := slices.Clone(failed)
	failed = slices.DeleteFunc(failed, func(name string) bool { return all || name == "" && len(results) > 0 })
	for _, r := range results {
		failed = slices.DeleteFunc(failed, func(name string) bool { return name == r.Name })
		if !r.Passed() && len(failed) < maxRememberedNames {
			failed = append(failed, r.Name)
		}
	}
	switch {
	case slices.Equal(before, failed):
	case len(failed) == 0:
		os.Remove(path)
	default:
		text, err := json.Marshal(remembered{abs, failed})
		if err == nil && os.MkdirAll(m.dir, 0o700) == nil && replaceFile(path, text, 0o600) == nil {
			m.forget()
		}
	}
}

// forget keeps the memory within its bound: the oldest files go.
func (m *failedTests) forget() {
	entries, err := os.ReadDir(m.dir)
	if err != nil || len(entries) <= maxRemembered {
		return
	}
	age := func(e os.DirEntry) int64 {
		info, err := e.Info()
		if err != nil {
			return 0
		}
		return info.ModTime().UnixNano()
	}
	slices.SortFunc(entries, func(a, b os.DirEntry) int { return cmp.Compare(age(a), age(b)) })
	for _, e := range entries[:len(entries)-maxRemembered] {
		os.Remove(filepath.Join(m.dir, e.Name()))
	}
}

// testedFile is one test in the JSON report.
type testedFile struct {
	File        string    `json:"file"`
	Name        string    `json:"name"`
	Passed      bool      `json:"passed"`
	MS          float64   `json:"ms"`
	Diagnostics diag.List `json:"diagnostics"`
	Log         []string  `json:"log"`
	Wrote       []string  `json:"wrote,omitempty"` // files of goldens
}

type testSummary struct {
	Passed   int               `json:"passed"`
	Failed   int               `json:"failed"`
	Tests    []testedFile      `json:"tests"`
	Coverage *coverage.Summary `json:"coverage,omitempty"`
}

func testReport(results []tasktest.Result) testSummary {
	s := testSummary{Tests: []testedFile{}}
	for _, r := range results {
		if r.Passed() {
			s.Passed++
		} else {
			s.Failed++
		}
		t := testedFile{r.File, r.Name, r.Passed(), milliseconds(r.Took), r.Failure, r.Log, r.Wrote}
		if t.Log == nil {
			t.Log = []string{}
		}
		s.Tests = append(s.Tests, t)
	}
	return s
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// junitSuites is the root of a report in the format of JUnit, which CI servers read.
type junitSuites struct {
	XMLName xml.Name     `xml:"testsuites"`
	Suites  []junitSuite `xml:"testsuite"`
}

type junitSuite struct {
	Name     string      `xml:"name,attr"`
	Tests    int         `xml:"tests,attr"`
	Failures int         `xml:"failures,attr"`
	Time     float64     `xml:"time,attr"` // seconds
	Cases    []junitCase `xml:"testcase"`
}

type junitCase struct {
	Name    string        `xml:"name,attr"`
	Class   string        `xml:"classname,attr"`
	File    string        `xml:"file,attr"`
	Time    float64       `xml:"time,attr"`
	Failure *junitFailure `xml:"failure"`
	Out     string        `xml:"system-out,omitempty"`
}

type junitFailure struct {
	Message string `xml:"message,attr"`
	Type    string `xml:"type,attr"`
	Text    string `xml:",chardata"`
}

func writeJUnit(w io.Writer, results []tasktest.Result) error {
	var all junitSuites
	for _, r := range results {
		if n := len(all.Suites); n == 0 || all.Suites[n-1].Name != r.File {
			all.Suites = append(all.Suites, junitSuite{Name: r.File})
		}
		s := &all.Suites[len(all.Suites)-1]
		c := junitCase{Name: r.Name, Class: r.File, File: r.File, Time: r.Took.Seconds(), Out: strings.Join(r.Log, "\n")}
		if c.Name == "" {
			c.Name = "load"
		}
		if !r.Passed() {
			var text strings.Builder
			diag.WriteText(&text, r.Failure, diag.TextOptions{})
			c.Failure = &junitFailure{Message: r.Failure[0].Line1(), Type: string(r.Failure[0].Code), Text: text.String()}
			s.Failures++
		}
		s.Tests++
		s.Time += r.Took.Seconds()
		s.Cases = append(s.Cases, c)
	}
	if _, err := io.WriteString(w, xml.Header); err != nil {
		return err
	}
	enc := xml.NewEncoder(w)
	enc.Indent("", "  ")
	if err := enc.Encode(all); err != nil {
		return err
	}
	_, err := io.WriteString(w, "\n")
	return err
}

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

// addUnloaded adds the files below the folders of the arguments that no test loaded.
func (r *testRun) addUnloaded() error {
	var folders []string
	for _, arg := range r.args {
		if info, err := os.Stat(arg); err == nil && info.IsDir() {
			folders = append(folders, arg)
		}
	}
	if len(r.args) == 0 {
		folders = []string{"."}
	}
	found, err := starFiles(folders)
	if err != nil {
		return err
	}
	if err := r.covered.AddUnloaded(found); err != nil {
		return fileError("cover", err)
	}
	return nil
}

// writeCoverage writes the coverage as the flags say.
func (r *testRun) writeCoverage() error {
	var b bytes.Buffer
	switch r.coverage.format {
	case "lcov":
		r.covered.WriteLCOV(&b)
	case "html":
		if err := r.covered.WriteHTML(&b); err != nil {
			return fileError("cover", err)
		}
	default:
		r.covered.WriteTable(&b)
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

// coverageReached complains of files below --coverage-min.
func (r *testRun) coverageReached() error {
	if r.coverage.min == 0 {
		return nil
	}
	s := r.covered.Summary()
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
