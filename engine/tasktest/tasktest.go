package tasktest

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"runtime/debug"
	"slices"
	"strings"
	"time"

	"go.starlark.net/starlark"

	"perago/engine"
	"perago/starlib"
	"perago/starlib/diag"
	"perago/workspace"
)

// Suffix is how the name of a test file ends.
const Suffix = "_test.star"

// Options of Run. The zero value runs everything, bodies in this process.
type Options struct {
	Root  string         // what // means in a load; "" as for engine.Load
	Match *regexp.Regexp // run only the tests whose name it finds; nil is all
	Dir   string         // for the attempts' folders; "" is the folder for temporary files
}

// Result is what became of one test.
type Result struct {
	File    string
	Name    string // "test_counts"; "" for a file that did not load
	Took    time.Duration
	Failure diag.List // empty: it passed
	Log     []string  // what the tasks and the test itself logged
}

// Passed says whether the test did.
func (r Result) Passed() bool { return len(r.Failure) == 0 }

// Files replaces the folders of args by the test files below them, sorted.
// Hidden folders are passed over. No args is the current folder.
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

// Run runs the tests of one file, in the order in which they stand, and tells
// each as it ends. A file that does not load is one failed Result. The error is
// for what surrounds the tests: the folder of the attempts, or a cancel.
func Run(ctx context.Context, file string, o Options, each func(Result)) error {
	start := time.Now()
	m, globals, complaints := engine.LoadTest(file, &engine.LoadOptions{Root: o.Root})
	if m == nil {
		each(Result{File: file, Took: time.Since(start), Failure: complaints})
		return nil
	}
	dir, err := os.MkdirTemp(o.Dir, "perago-test-")
	if err != nil {
		return fmt.Errorf("folder for the tests: %w", err)
	}
	defer os.RemoveAll(dir)
	root, err := workspace.OpenRoot(dir, &workspace.RootOptions{Shared: true})
	if err != nil {
		return err
	}
	defer root.Close()

	s := &suite{file: file, module: m, root: root, loadRoot: o.Root, tasks: map[string]*engine.Module{}}
	for _, fn := range tests(globals, o.Match) {
		if ctx.Err() != nil {
			break
		}
		r := s.one(ctx, fn)
		if ctx.Err() != nil {
			break // it was ended, not tried
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
	file     string
	module   *engine.Module
	root     *workspace.Root
	loadRoot string
	tasks    map[string]*engine.Module // loaded task files, by path
}

// tests are the functions test_*, in the order in which they stand.
func tests(globals starlark.StringDict, match *regexp.Regexp) []*starlark.Function {
	var found []*starlark.Function
	for name, value := range globals {
		fn, ok := value.(*starlark.Function)
		if ok && strings.HasPrefix(name, "test_") && (match == nil || match.MatchString(name)) {
			found = append(found, fn)
		}
	}
	slices.SortFunc(found, func(a, b *starlark.Function) int { return int(a.Position().Line) - int(b.Position().Line) })
	return found
}

// one runs one test.
func (s *suite) one(ctx context.Context, fn *starlark.Function) Result {
	start := time.Now()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	x := &test{suite: s, ctx: ctx}
	thread := &starlark.Thread{Name: fn.Name()}
	stop := context.AfterFunc(ctx, func() { thread.Cancel(context.Cause(ctx).Error()) })
	defer stop()
	run := &starlib.Run{Context: ctx, Now: time.Now, Log: x.record, Progress: func(starlib.Progress) {}}
	run.Attach(thread)
	err := call(thread, fn, x)
	err = errors.Join(err, run.End(ctx))
	for _, closeFolder := range x.closers {
		closeFolder()
	}
	r := Result{File: s.file, Name: fn.Name(), Took: time.Since(start), Log: x.log}
	if err != nil {
		r.Failure = s.module.Diagnose(err)
	}
	return r
}

// call calls a test; a panic of perago's own is the test's failure.
func call(thread *starlark.Thread, fn *starlark.Function, x *test) (err error) {
	defer func() {
		if v := recover(); v != nil {
			err = &engine.PanicError{Value: v, Stack: string(debug.Stack())}
		}
	}()
	_, err = starlark.Call(thread, fn, starlark.Tuple{x.value()}, nil)
	return err
}
