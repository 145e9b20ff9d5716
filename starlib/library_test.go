package starlib_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/klauspost/compress/zstd"
	"go.starlark.net/starlark"
	"go.starlark.net/syntax"

	"perago/starlib"
	"perago/starlib/diag"
	"perago/starlib/starlibtest"
	"perago/workspace"
	"perago/workspace/memory"
)

// fixture is the workspace that every chunk of the .star tests sees.
func fixture() map[string]string {
	return map[string]string{
		"raw/a.csv":            "id,name\n1,\"Ann, A.\"\r\n\r\n2,\"says \"\"hi\"\"\nhere\"\n",
		"raw/b.csv":            "\ufeffid;name\n3;Bob\n",
		"raw/ragged.csv":       "id,name\n1,x\n2\n",
		"raw/twice.csv":        "id,id\n1,2\n",
		"raw/open.csv":         "a,b\n1,\"x\ny\nz",
		"raw/quote.csv":        "a,b\né,x\"y\n",
		"raw/after.csv":        "a,b\n\"x\" y,2\n",
		"raw/latin.csv":        "a,b\n1,x\n2,caf\xe9\n",
		"raw/deep/c.csv":       "",
		"raw/deep/.hidden.csv": "h\n",
		"text/lines.txt":       "one\ntwo\r\n\nl'été",
		"text/latin.txt":       "one\ncaf\xe9\n",
		"text/bytes.bin":       "\x00\xff\n\x01",
		"events.jsonl":         "\ufeff{\"a\": 1}\n\n[2]\r\n\"x\"",
		"bad.jsonl":            "{\"a\": 1}\n{\"a\": 1,}\n",
		"twice.jsonl":          "{\"a\": 1, \"a\": 2}\n",
	}
}

// overlay is the fixture as the workspace of one attempt.
func overlay(t testing.TB, spec workspace.Spec, files map[string]string) *workspace.Overlay {
	t.Helper()
	store := memory.New(nil)
	store.CreateRepository("songs")
	commit, err := store.Seed("songs", "main", files)
	if err != nil {
		t.Fatal(err)
	}
	o := workspace.NewOverlay(store, workspace.Ref{Repository: "songs", Branch: "main", Commit: commit},
		workspace.OverlayOptions{Spec: spec, Dir: t.TempDir()})
	t.Cleanup(func() { o.Close() })
	return o
}

// chunkRun is what the chunks run with: logged() is the list of records so far,
// each as JSON, and tell() makes a second pass on the clock.
func chunkRun(spec workspace.Spec) starlibtest.Setup {
	return func(t *testing.T) (*starlib.Run, starlark.StringDict) {
		var records []string
		now := time.Date(2026, 3, 1, 12, 30, 0, 0, time.UTC)
		run := &starlib.Run{
			Context: t.Context(),
			Files:   overlay(t, spec, fixture()),
			Now:     func() time.Time { return now },
			Log: func(r starlib.Record) {
				var fields strings.Builder
				for _, f := range r.Fields {
					value, err := json.Marshal(f.Value.Any())
					if err != nil {
						t.Errorf("field %s: %v", f.Key, err)
					}
					fmt.Fprintf(&fields, " %s=%s", f.Key, value)
				}
				records = append(records, fmt.Sprintf("%s %s%s", r.Level, r.Message, &fields))
				if r.At.Line == 0 || r.At.File == "" {
					t.Errorf("record %q has no place", r.Message)
				}
			},
			Progress: func(p starlib.Progress) {
				records = append(records, fmt.Sprintf("progress %v of %v %s", p.Done, p.Total, p.Message))
			},
		}
		return run, starlark.StringDict{
			"logged": starlark.NewBuiltin("logged", func(*starlark.Thread, *starlark.Builtin, starlark.Tuple, []starlark.Tuple) (starlark.Value, error) {
				var list []starlark.Value
				for _, r := range records {
					list = append(list, starlark.String(r))
				}
				return starlark.NewList(list), nil
			}),
			"tick": starlark.NewBuiltin("tick", func(*starlark.Thread, *starlark.Builtin, starlark.Tuple, []starlark.Tuple) (starlark.Value, error) {
				now = now.Add(time.Second)
				return starlark.None, nil
			}),
		}
	}
}

func TestChunks(t *testing.T) {
	files, err := filepath.Glob("testdata/*.star")
	if err != nil || len(files) == 0 {
		t.Fatalf("no .star files: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".star"), func(t *testing.T) {
			spec := workspace.Spec{ReadOnly: strings.Contains(file, "readonly")}
			starlibtest.Run(t, file, chunkRun(spec))
		})
	}
}

// Every row that the library binds must be used by some chunk.
func TestEveryRowHasAChunk(t *testing.T) {
	files, err := filepath.Glob("testdata/*.star")
	if err != nil {
		t.Fatal(err)
	}
	var all strings.Builder
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		all.Write(text)
	}
	for _, row := range starlib.Table() {
		used := row.Name
		if row.Method {
			used = row.Name[strings.LastIndexByte(row.Name, '.'):]
		}
		if !row.Property {
			used += "("
		}
		if row.Phase != starlib.Declare && !row.NeedsEngine() && !strings.Contains(all.String(), used) {
			t.Errorf("%s is in no chunk", row.Name)
		}
	}
}

// Err and End are for who runs the body.
func TestEndCommitsInTheOrderOfOpening(t *testing.T) {
	files := overlay(t, workspace.Spec{}, fixture())
	run := &starlib.Run{Context: t.Context(), Files: files}
	mustRun(t, run, `
first = (workspace / "out.txt").open("w")
second = (workspace / "out.txt").open("w")
second.write("second")
first.write("first")
`)
	if err := run.End(t.Context()); err != nil {
		t.Fatal(err)
	}
	if got, want := content(t, files, "out.txt"), "second"; got != want {
		t.Errorf("out.txt is %q, want %q: the last one opened is closed last", got, want)
	}
}

func TestEndDropsWhatACancelledRunWrote(t *testing.T) {
	files := overlay(t, workspace.Spec{}, fixture())
	run := &starlib.Run{Context: t.Context(), Files: files}
	mustRun(t, run, `(workspace / "out.txt").open("w").write("half")`)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := run.End(ctx); err == nil {
		t.Error("End of a cancelled run: no error")
	}
	if _, err := files.Stat(t.Context(), "out.txt"); err == nil {
		t.Error("out.txt was committed by a cancelled run")
	}
}

// body runs src as a body would run.
func body(t testing.TB, run *starlib.Run, src string) error {
	t.Helper()
	names := starlib.Predeclared()
	names["workspace"] = run.Workspace()
	thread := new(starlark.Thread)
	run.Attach(thread)
	_, err := starlark.ExecFileOptions(&syntax.FileOptions{Set: true, TopLevelControl: true, GlobalReassign: true}, thread, "body.star", src, names)
	return err
}

func mustRun(t testing.TB, run *starlib.Run, src string) {
	t.Helper()
	if err := body(t, run, src); err != nil {
		t.Fatalf("%v\n%s", err, src)
	}
}

func content(t testing.TB, files starlib.Files, path string) string {
	t.Helper()
	f, err := files.Open(context.Background(), path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	data, err := io.ReadAll(f)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

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

// packedBy writes what write does, packed beforehand.
func packedBy(t *testing.T, packer func(io.Writer) (io.WriteCloser, error), write func(io.Writer) error) func(io.Writer) error {
	t.Helper()
	var b bytes.Buffer
	packed, err := packer(&b)
	if err == nil {
		err = errors.Join(write(packed), packed.Close())
	}
	if err != nil {
		t.Fatal(err)
	}
	return func(w io.Writer) error {
		_, err := w.Write(b.Bytes())
		return err
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
		{"lines of gzip", wide + "\n", `(workspace / "big").lines(compression = "gzip")`},
		{"lines of zstd", wide + "\n", `(workspace / "big").lines(compression = "zstd")`},
		{"latin-1", "1,\"two\"," + wide + ",5\n", `csv.reader(workspace / "big", encoding = "latin-1", quotes = "lenient", skip_bad = True)`},
		{"json.lines", `{"a": [1, 2.5, "` + wide + `"], "b": null}` + "\n", `json.lines(workspace / "big")`},
	} {
		t.Run(test.name, func(t *testing.T) {
			write := repeat(test.text, size)
			if strings.HasSuffix(test.name, "gzip") {
				write = packedBy(t, func(w io.Writer) (io.WriteCloser, error) { return gzip.NewWriterLevel(w, 1) }, write)
			}
			if strings.HasSuffix(test.name, "zstd") {
				write = packedBy(t, func(w io.Writer) (io.WriteCloser, error) {
					return zstd.NewWriter(w, zstd.WithEncoderConcurrency(1), zstd.WithWindowSize(1<<20))
				}, write)
			}
			files := &pipeFiles{write: write}
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

// What the top level makes is shared by all attempts at once; freezing it costs
// no more than there is.
func TestFrozenValuesAreShared(t *testing.T) {
	const src = `
track = re.compile(r"(\d+)-(\d+)")
half = time.hour / 2
names = struct(first = struct(deep = [1, 2]), table = {"a": 1})
many = struct(a = 1)
def grow(s):
    for i in range(100):
        s = struct(a = s, b = s)
    return s
many = grow(many)
def body(workspace):
    for i in range(50):
        eq = track.fullmatch("1-22").group(2) + re.sub("x", lambda m: m.group(), "axb") + str(names) + str(half)
    p = workspace / "out.txt"
    p.write_text(eq)
    return p.read_text() + json.encode(names)
`
	names := starlib.Predeclared()
	globals, err := starlark.ExecFileOptions(&syntax.FileOptions{Set: true, GlobalReassign: true}, new(starlark.Thread), "m.star", src, names)
	if err != nil {
		t.Fatal(err)
	}
	globals.Freeze()
	var wg sync.WaitGroup
	results := make([]string, 8)
	for i := range results {
		files := overlay(t, workspace.Spec{}, nil)
		wg.Go(func() {
			run := &starlib.Run{Context: t.Context(), Files: files}
			thread := new(starlark.Thread)
			run.Attach(thread)
			v, err := starlark.Call(thread, globals["body"], starlark.Tuple{run.Workspace()}, nil)
			if err != nil {
				t.Error(err)
				return
			}
			results[i] = v.String()
		})
	}
	wg.Wait()
	for _, r := range results {
		if r != results[0] || r == "" {
			t.Errorf("got %s and %s, want the same", r, results[0])
		}
	}
}

// Attempts share no mutable value, a module's members included.
func TestPredeclaredIsFresh(t *testing.T) {
	a, b := starlib.Predeclared(), starlib.Predeclared()
	for name := range a {
		if a[name].Type() == "module" && a[name] == b[name] {
			t.Errorf("%s is the same value in two modules", name)
		}
	}
}

// What Python, NumPy and mpmath gave for the same calls is recorded in
// testdata/python, with the scripts that asked them. Only the edges of a
// histogram may differ in the last place: NumPy rounds them otherwise.
func TestAgreesWithPython(t *testing.T) {
	names := starlib.Predeclared()
	for file, least := range map[string]int{"recorded.json": 600, "formats.json": 2000, "math.json": 2000, "time.json": 1000} {
		data, err := os.ReadFile("testdata/python/" + file)
		if err != nil {
			t.Fatal(err)
		}
		var recorded struct{ Rows [][2]*string } // an expression and its value; null is an error
		if err := json.Unmarshal(data, &recorded); err != nil {
			t.Fatal(err)
		}
		if len(recorded.Rows) < least {
			t.Fatalf("%s: got %d rows, want %d or more", file, len(recorded.Rows), least)
		}
		for _, row := range recorded.Rows {
			got, err := evaluateRow(names, *row[0])
			if row[1] == nil {
				if err == nil {
					t.Errorf("%s\ngot  %v\nwant an error", *row[0], got)
				}
				continue
			}
			want, wantErr := evaluateRow(names, *row[1])
			if err != nil || wantErr != nil {
				t.Errorf("%s\ngot  error %v\nwant %s %v", *row[0], err, *row[1], wantErr)
			} else if !sameValue(got, want) {
				t.Errorf("%s\ngot  %v\nwant %v", *row[0], got, want)
			}
		}
	}
}

// evaluateRow is the value of an expression of a task file.
func evaluateRow(names starlark.StringDict, expression string) (starlark.Value, error) {
	globals, err := starlibtest.Exec(new(starlark.Thread), "row", "x = "+expression, names)
	return globals["x"], err
}

// sameValue says whether two values are equal and of one type, floats within
// one unit in the last place.
func sameValue(x, y starlark.Value) bool {
	switch x := x.(type) {
	case *starlark.List:
		y, ok := y.(*starlark.List)
		if !ok || x.Len() != y.Len() {
			return false
		}
		for i := range x.Len() {
			if !sameValue(x.Index(i), y.Index(i)) {
				return false
			}
		}
		return true
	case starlark.Float:
		y, ok := y.(starlark.Float)
		a, b := float64(x), float64(y)
		return ok && (a != a && b != b || a == b && math.Signbit(a) == math.Signbit(b) || math.Nextafter(a, b) == b && a != b)
	}
	equal, err := starlark.Equal(x, y)
	return err == nil && equal && x.Type() == y.Type()
}

// The rates of reading, in MB/s of the file.
func BenchmarkRead(b *testing.B) {
	row := "1234,\"two words\",3.5,four,,5\n"
	text := strings.Repeat(row, 200_000)
	object := strings.Repeat(`{"a": [1, 2.5, "three"], "b": null}`+"\n", 100_000)
	files := overlay(b, workspace.Spec{}, map[string]string{"t.csv": text, "t.jsonl": object})
	for name, src := range map[string]string{
		"lines":           `[0 for x in (workspace / "t.csv").lines()]`,
		"csv.reader":      `[0 for x in csv.reader(workspace / "t.csv")]`,
		"csv.dict_reader": `[0 for x in csv.dict_reader(workspace / "t.csv", header = ["a", "b", "c", "d", "e", "f"])]`,
		"json.lines":      `[0 for x in json.lines(workspace / "t.jsonl")]`,
		"json.decode":     `json.decode("[" + ",".join((workspace / "t.jsonl").read_text().splitlines()) + "]")`,
		"hash.sha256":     `hash.sha256(workspace / "t.csv")`,
	} {
		b.Run(name, func(b *testing.B) {
			size := len(text)
			if strings.HasPrefix(name, "json") {
				size = len(object)
			}
			b.SetBytes(int64(size))
			for b.Loop() {
				run := &starlib.Run{Context: b.Context(), Files: files}
				mustRun(b, run, src)
			}
		})
	}
}
