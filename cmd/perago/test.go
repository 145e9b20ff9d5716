package main

import (
	"context"
	"encoding/xml"
	"fmt"
	"io"
	"regexp"
	"strings"
	"time"

	"github.com/peterbourgon/ff/v3/ffcli"

	"perago/engine/tasktest"
	"perago/starlib/diag"
)

func (a *app) testCommand() *ffcli.Command {
	flags := newFlagSet("test")
	format := choiceFlag(flags, "format", "how the outcome is written", []string{"text", "json", "junit"})
	match := flags.String("run", "", "run only the tests whose name `REGEXP` finds")
	repeat := flags.Bool("repeat", false, "run each task twice, the second time on a later clock: what comes out must be the same")
	seconds := flags.Int("seconds", 60, "end a test after `N` seconds, the tasks that it runs included")
	root := rootFlag(flags)
	return &ffcli.Command{
		Name:       "test",
		ShortUsage: "perago test [FILE|DIR...] [flags]",
		ShortHelp:  "Run the tests that stand beside task files: *_test.star.",
		LongHelp: `A folder stands for every *_test.star below it; none is the current folder. A test
is a function test_*(t); docs/language.md tells what t can do. Needs no server.
The tasks that a test runs run as in an attempt, in processes of their own. A
test that takes longer than --seconds, or holds more than 512 MiB, has failed.`,
		FlagSet: flags,
		Exec: a.interruptible(func(ctx context.Context, args []string) error {
			if _, err := regexp.Compile(*match); err != nil {
				return usageError("", "-run: %w", err)
			}
			if *seconds < 1 || *seconds > maxTestSeconds {
				return usageError("", "--seconds: got %d, want 1 to %d", *seconds, maxTestSeconds)
			}
			files, err := tasktest.Files(args)
			if err != nil {
				return fileError("test", err)
			}
			for _, file := range files {
				if !strings.HasSuffix(file, tasktest.Suffix) {
					return usageError("its tests stand beside it: `perago test "+strings.TrimSuffix(file, ".star")+tasktest.Suffix+"`",
						"%s is no test file, whose name ends in %s", file, tasktest.Suffix)
				}
			}
			return a.test(ctx, files, *format, testOrder{Root: *root, Match: *match, Seconds: *seconds, Repeat: *repeat})
		}),
	}
}

// test runs the tests of some files and tells of them, of each as it ends when
// the form allows it.
func (a *app) test(ctx context.Context, files []string, format string, order testOrder) error {
	var results []tasktest.Result
	failed := 0
	for _, file := range files {
		order.File = file
		err := runTests(ctx, order, func(r tasktest.Result) {
			results = append(results, r)
			if !r.Passed() {
				failed++
			}
			if format == "text" {
				a.printTest(r)
			}
		})
		if err != nil {
			return err
		}
	}
	switch format {
	case "json":
		if err := writeJSON(a.stdout, testReport(results)); err != nil {
			return err
		}
	case "junit":
		if err := writeJUnit(a.stdout, results); err != nil {
			return err
		}
	default:
		fmt.Fprintf(a.stdout, "%d passed, %d failed\n", len(results)-failed, failed)
	}
	if failed > 0 {
		return told(exitInvalid)
	}
	if len(results) == 0 {
		fmt.Fprintln(a.stderr, "perago: there was no test to run")
	}
	return nil
}

// printTest writes one line a test, and the story of one that failed.
func (a *app) printTest(r tasktest.Result) {
	mark := "ok  "
	if !r.Passed() {
		mark = "FAIL"
	}
	fmt.Fprintf(a.stdout, "%s  %s  %s  %s\n", mark, diag.Printable(r.File), diag.Printable(r.Name), shortTime(r.Took))
	if r.Passed() {
		return
	}
	diag.WriteText(a.stdout, r.Failure, diag.TextOptions{Color: a.colorful(a.stdout.w)})
	for _, line := range r.Log {
		fmt.Fprintln(a.stdout, "  log:", diag.Printable(line))
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
}

type testSummary struct {
	Passed int          `json:"passed"`
	Failed int          `json:"failed"`
	Tests  []testedFile `json:"tests"`
}

func testReport(results []tasktest.Result) testSummary {
	s := testSummary{Tests: []testedFile{}}
	for _, r := range results {
		if r.Passed() {
			s.Passed++
		} else {
			s.Failed++
		}
		t := testedFile{r.File, r.Name, r.Passed(), milliseconds(r.Took), r.Failure, r.Log}
		if t.Log == nil {
			t.Log = []string{}
		}
		s.Tests = append(s.Tests, t)
	}
	return s
}

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

// The shape that CI servers read as JUnit's.
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
