package tasktest

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"

	"go.starlark.net/starlark"

	"perago/engine"
	"perago/engine/module"
	"perago/starlib"
	"perago/starlib/diag"
	"perago/workspace/attempts"
)

// Suffix is how the name of a test file ends.
const Suffix = "_test.star"

// Options of Run. The zero value runs everything, bodies in this process.
type Options struct {
	Root  string         // what // means in a load; "" as for module.Load
	Match *regexp.Regexp // run only the tests whose name it finds; nil is all
	Names []string       // run only these of them; nil is all
	Dir   string         // for the attempts' folders; "" is the folder for temporary files
	Skip  int            // leave out as many of the tests that are chosen

	Repeat bool // run each body twice, the second time later, and compare what comes out
	Cover  bool // count which statements run: Result.Covered
	Update bool // write the goldens of tests that pass: Result.Wrote

	Body   engine.Body   // runs the bodies of the tasks; nil is in this process
	Limits engine.Limits // of each test; 0 is no limit
	// Dedicated watches the memory of a test, in a process that runs nothing else.
	Dedicated *engine.Dedicated
	// Starts is told of each test before it runs, and of where it stands; nil
	// tells nobody.
	Starts func(name string, at starlib.Position)
}

// Result is the result of one test.
type Result struct {
	File    string
	Name    string // "test_counts"; "" for a file that did not load
	Took    time.Duration
	Failure diag.List // empty: it passed
	Log     []string  // what the tasks and the test itself logged
	Limit   bool      // it passed one of its limits
	Absent  bool      // Names has it, and there is no such test
	Near    string    // the test that may be meant instead; "" when none is near
	Wrote   []string  // the files of goldens that were written
	Held    int       // goldens that were not written because the test failed
	Covered []Covered // what ran since the result before
}

// Passed says whether the test did.
func (r Result) Passed() bool { return len(r.Failure) == 0 }

// Files replaces the folders of args by the test files below them, sorted.
// Hidden folders are skipped. No args means the current folder.
func Files(args []string) ([]string, error) {
	if len(args) == 0 {
		args = []string{"."}
	}
	var files []string
	for _, arg := range args {
		info, err := os.Stat(arg)
		if err != nil {
			return nil, err
		}
		if !info.IsDir() {
			files = append(files, arg)
			continue
		}
		err = filepath.WalkDir(arg, func(path string, d fs.DirEntry, err error) error {
			switch {
			case err != nil:
				return err
			case d.IsDir() && path != arg && strings.HasPrefix(d.Name(), "."):
				return filepath.SkipDir
			case d.Type().IsRegular() && strings.HasSuffix(path, Suffix):
				files = append(files, path)
			}
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return files, nil
}

// Run runs the tests of one file, in the order of the file, and calls each with the
// Result of each test. A file that does not load gives one failed Result. Run fails
// only if it cannot make the folder of the attempts, or is cancelled.
func Run(ctx context.Context, file string, o Options, each func(Result)) error {
	start := time.Now()
	m, globals, complaints := module.LoadTest(file, &module.Options{Root: o.Root, Cover: o.Cover})
	if m == nil {
		each(Result{File: file, Took: time.Since(start), Failure: complaints})
		return nil
	}
	dir, err := os.MkdirTemp(o.Dir, "perago-test-")
	if err != nil {
		return fmt.Errorf("folder for the tests: %w", err)
	}
	defer os.RemoveAll(dir)
	root, err := attempts.OpenRoot(dir, &attempts.RootOptions{Shared: true})
	if err != nil {
		return err
	}
	defer root.Close()

	s := &suite{file: file, module: m, root: root, o: o, tasks: map[string]*module.Module{}, known: map[string]bool{}, goldens: map[string]map[string][]byte{}}
	found, absent := s.chosen(tests(globals))
	if o.Skip == 0 {
		for _, r := range absent {
			each(r)
		}
	}
	for _, fn := range found[min(o.Skip, len(found)):] {
		if ctx.Err() != nil {
			break
		}
		if o.Starts != nil {
			pos := fn.Position()
			o.Starts(fn.Name(), starlib.Position{File: pos.Filename(), Line: int(pos.Line), Column: int(pos.Col)})
		}
		r := s.one(ctx, fn)
		if ctx.Err() != nil {
			break // the test was cancelled, and has no result
		}
		each(r)
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	return nil
}

// suite is what the tests of one file share.
type suite struct {
	file   string
	module *module.Module
	root   *attempts.Root
	o      Options
	tasks  map[string]*module.Module // loaded task files, by path
	known  map[string]bool           // files that were returned by covered

	goldens map[string]map[string][]byte // that --update has seen, by path: their files
}

// chosen are the tests to run, and Results for those of Names that do not exist.
func (s *suite) chosen(all []*starlark.Function) (found []*starlark.Function, absent []Result) {
	var names []string
	for _, fn := range all {
		names = append(names, fn.Name())
		if (s.o.Match == nil || s.o.Match.MatchString(fn.Name())) && (s.o.Names == nil || slices.Contains(s.o.Names, fn.Name())) {
			found = append(found, fn)
		}
	}
	for _, name := range s.o.Names {
		if !slices.Contains(names, name) {
			absent = append(absent, Result{File: s.file, Name: name, Absent: true, Near: diag.Nearest(name, names)})
		}
	}
	return found, absent
}

// tests are the functions test_*, in the order of the file.
func tests(globals starlark.StringDict) []*starlark.Function {
	var found []*starlark.Function
	for name, value := range globals {
		fn, ok := value.(*starlark.Function)
		if ok && strings.HasPrefix(name, "test_") {
			found = append(found, fn)
		}
	}
	slices.SortFunc(found, func(a, b *starlark.Function) int { return int(a.Position().Line) - int(b.Position().Line) })
	return found
}

// one runs one test.
func (s *suite) one(ctx context.Context, fn *starlark.Function) Result {
	start := time.Now()
	x := &test{suite: s}
	call := engine.Call{Limits: s.o.Limits, Log: x.record, Progress: func(starlib.Progress) {}}
	err := engine.CallTest(ctx, s.module, fn, call, s.o.Dedicated, func(ctx context.Context) starlark.Value {
		x.ctx = ctx
		return x.value()
	})
	for _, closeFolder := range x.closers {
		closeFolder()
	}
	r := Result{File: s.file, Name: fn.Name(), Took: time.Since(start), Log: x.log}
	if err != nil {
		r.Failure = x.because(s.module.Diagnose(err))
		if passed := (*engine.LimitError)(nil); errors.As(err, &passed) {
			r.Limit, r.Failure = true, Passed(fn.Name(), passed, r.Failure)
		}
	}
	r.Failure = append(x.failed, r.Failure...)
	switch {
	case !r.Passed():
		r.Held = len(x.pending)
	case len(x.pending) > 0:
		if r.Wrote, err = x.writeGoldens(ctx); err != nil {
			r.Failure = diag.List{(&diag.Problem{Code: "P4154", Message: "a golden cannot be written: " + err.Error()}).Diagnostic()}
		}
	}
	r.Covered = s.covered()
	return r
}

// Passed is the failure of a test that passed one of its limits, with its position at
// that moment if that is known.
func Passed(name string, e *engine.LimitError, at diag.List) diag.List {
	d := &diag.Diagnostic{}
	if len(at) > 0 {
		*d = *at[0]
	}
	d.Code, d.Severity, d.Message = e.Code, diag.Error, name+" passed its limit of "+e.Limit
	d.Found, d.Wanted, d.Hint = e.Found, e.Wanted, ""
	switch e.Limit {
	case "seconds":
		d.Hint = "give each test more with --seconds, or do less in it"
	case "memory":
		d.Hint = "hold less in one test"
	}
	return diag.List{d}
}
