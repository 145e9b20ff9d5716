package starlib_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"
	"testing"
	"time"

	"go.starlark.net/starlark"
	"go.starlark.net/syntax"

	"perago/starlib"
	"perago/starlib/diag"
	"perago/workspace"
)

var errStopped = errors.New("stopped by the test")

// Each of these would go on for years. All must look at the cancel.
func TestEveryLoopLooksAtTheCancel(t *testing.T) {
	for _, src := range []string{
		`max(range(1 << 62))`,
		`min(range(1 << 62), key = lambda x: 0)`,
		`all(range(1, 1 << 62))`,
		`[any([x]) for x in range(1 << 62) if x < 0]`,
		`set([1]).difference(range(1 << 62))`,
		`set([1]).issubset(range(2, 1 << 62))`,
		`[x for x in range(1 << 62) if x < 0]`,
		`for x in range(1 << 62): pass`,
		`dict([(i << 32, i) for i in range(200000)])`,
		`sorted(range(1 << 29), key = lambda x: -x)`,
		`json.encode(tree)`,
		`str(tree)`,
		`catch(max, range(1 << 62))`,
		`re.sub("a", lambda m: str(max(range(1 << 62))), "aaa")`,
		`list(zip(range(1 << 62), range(1 << 62)))`,
		`csv.write(workspace / "x", [[1]] * (1 << 19))`,
	} {
		t.Run(src, func(t *testing.T) {
			if strings.HasPrefix(src, "for ") {
				src = "def f():\n    " + src + "\nf()"
			}
			ctx, cancel := context.WithTimeoutCause(t.Context(), 20*time.Millisecond, errStopped)
			defer cancel()
			run := &starlib.Run{Context: ctx, Files: overlay(t, workspace.Spec{}, nil)}
			thread := new(starlark.Thread)
			run.Attach(thread)
			unwatch := context.AfterFunc(ctx, func() { thread.Cancel("stopped") })
			defer unwatch()
			names := starlib.Predeclared()
			names["workspace"] = run.Workspace()
			const tree = "tree = [1]\nfor i in range(150): tree = [tree, tree]\n"
			_, err := starlark.ExecFileOptions(&syntax.FileOptions{Set: true, TopLevelControl: true, GlobalReassign: true}, thread, "x.star", tree+src, names)
			stop, _ := ctx.Deadline()
			t.Logf("ended %v after the cancel", time.Since(stop).Round(time.Millisecond/10))
			if err == nil || ctx.Err() == nil {
				t.Errorf("got error %v, context %v; want both", err, ctx.Err())
			}
		})
	}
}

// pipeFiles has one file, whose content comes as it is read.
type pipeFiles struct {
	starlib.Files
	write func(io.Writer) error
	done  chan struct{}
}

func (f *pipeFiles) Stat(context.Context, string) (workspace.Info, error) {
	return workspace.Info{Path: "big"}, nil
}

func (f *pipeFiles) Open(context.Context, string) (*os.File, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	f.done = make(chan struct{})
	go func() {
		defer close(f.done)
		defer w.Close()
		f.write(w) // ends with an error when the reader goes
	}()
	return r, nil
}

// repeat writes a text until that many bytes are out.
func repeat(text string, size int) func(io.Writer) error {
	block := strings.Repeat(text, 1+(64<<10)/len(text))
	return func(w io.Writer) error {
		for n := 0; n < size; n += len(block) {
			if _, err := io.WriteString(w, block); err != nil {
				return err
			}
		}
		return nil
	}
}

func TestStreamsInConstantMemory(t *testing.T) {
	const size = 32 << 20
	wide := strings.Repeat("x", 500)
	for _, test := range []struct{ name, text, src string }{
		{"lines", wide + "\n", `(workspace / "big").lines()`},
		{"file", wide + "\n", `(workspace / "big").open()`},
		{"csv.reader", "1,\"two\"," + wide + ",5\n", `csv.reader(workspace / "big")`},
		{"csv.dict_reader", "1,\"two\"," + wide + ",5\n", `csv.dict_reader(workspace / "big")`},
		{"enumerate and zip", wide + "\n", `enumerate(zip((workspace / "big").lines(), range(1 << 40)))`},
		{"json.lines", `{"a": [1, 2.5, "` + wide + `"], "b": null}` + "\n", `json.lines(workspace / "big")`},
	} {
		t.Run(test.name, func(t *testing.T) {
			files := &pipeFiles{write: repeat(test.text, size)}
			run := &starlib.Run{Context: t.Context(), Files: files}
			runtime.GC() // what earlier tests left is not the stream's
			var peak uint64
			run.Log = func(starlib.Record) {
				var m runtime.MemStats
				runtime.ReadMemStats(&m)
				peak = max(peak, m.HeapAlloc)
			}
			mustRun(t, run, "def f():\n    n = 0\n    for x in "+test.src+":\n        n += 1\n        if n % 500 == 0:\n            print(n)\nf()")
			<-files.done
			if err := run.End(t.Context()); err != nil {
				t.Error(err)
			}
			if limit := uint64(12 << 20); peak == 0 || peak > limit {
				t.Errorf("the heap grew to %d bytes over a file of %d; want at most %d", peak, size, limit)
			}
		})
	}
}

// One line or record is the most that a stream holds; it has a bound of 64 MiB.
func TestOneRecordIsBounded(t *testing.T) {
	for _, test := range []struct{ src, start, want string }{
		{`list((workspace / "big").lines())`, "", "path.lines big:1: the line is too long: got more than 64 MiB without a newline, want lines"},
		{`(workspace / "big").open().readline()`, "", "path.open big:1: the line is too long: got more than 64 MiB without a newline, want lines"},
		{`list(csv.reader(workspace / "big"))`, "1,\"", "csv.reader big:1: the record is too long: got more than 64 MiB"},
	} {
		filler := strings.Repeat("x", 64<<10)
		if test.start != "" {
			filler += "\n" // in a quote that is never closed
		}
		files := &pipeFiles{write: func(w io.Writer) error {
			if _, err := io.WriteString(w, test.start); err != nil {
				return err
			}
			return repeat(filler, 66<<20)(w)
		}}
		run := &starlib.Run{Context: t.Context(), Files: files}
		err := body(t, run, test.src)
		if kept := run.Err(); kept != nil {
			err = kept
		}
		var p *diag.Problem
		if !errors.As(err, &p) || p.Error() != test.want || p.Code != "P4106" {
			t.Errorf("%s: got %v, want %s", test.src, err, test.want)
		}
		if err := run.End(t.Context()); err != nil {
			t.Error(err)
		}
		<-files.done
	}
}

// A file that fails while it is read stops the body at the loop, with the cause.
func TestReadErrorStopsTheLoop(t *testing.T) {
	broken := errors.New("the disk is on fire")
	run := &starlib.Run{Context: t.Context(), Files: failingFiles{err: broken}}
	err := body(t, run, "def f():\n    for line in (workspace / \"big\").lines():\n        pass\nf()")
	if err == nil || !errors.Is(run.Err(), broken) {
		t.Fatalf("got %v and %v, want one that wraps %v", err, run.Err(), broken)
	}
	if got, want := run.Err().Error(), "path.lines big: the disk is on fire"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
	list := diag.FromError(errors.Join(run.Err(), err), nil)
	if len(list) != 1 || list[0].Line != 2 || list[0].Code != "P4108" {
		t.Errorf("got %v, want P4108 at line 2", list)
	}
}

type failingFiles struct {
	pipeFiles
	err error
}

func (f failingFiles) Stat(context.Context, string) (workspace.Info, error) {
	return workspace.Info{Path: "big"}, nil
}

func (f failingFiles) Open(context.Context, string) (*os.File, error) {
	return nil, fmt.Errorf("open: %w", &os.PathError{Op: "open", Path: "/secret/machine/path", Err: f.err})
}
