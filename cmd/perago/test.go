package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"regexp"

	"github.com/peterbourgon/ff/v3/ffcli"

	"perago/engine/tasktest"
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
	covered coverage
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
		r.covered.add(result.Covered)
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
		if err := r.covered.addUnloaded(r.args); err != nil {
			return err
		}
	}
	switch r.format {
	case "json":
		report := testReport(r.results)
		if r.coverage.on {
			summary := r.covered.summary()
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
