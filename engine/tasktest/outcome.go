package tasktest

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	pathpkg "path"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"go.starlark.net/starlark"
	"go.starlark.net/starlarkstruct"
	"go.starlark.net/syntax"

	"perago/engine"
	"perago/engine/module"
	"perago/engine/queue"
	"perago/starlib/diag"
	"perago/workspace"
	"perago/workspace/folder"
	"perago/workspace/glob"
	"perago/workspace/memory"
	"perago/workspace/paths"
	"perago/workspace/publish"
	"perago/workspace/storage"
)

const inOperator = syntax.IN

// maxKept bounds the contents that one t.run keeps for read, in bytes.
const maxKept = 64 << 20

// fixture is a folder that a test runs a task on. It is never written to.
type fixture string

func (f fixture) String() string        { return fmt.Sprintf("t.folder(%q)", string(f)) }
func (f fixture) Type() string          { return "folder" }
func (f fixture) Freeze()               {}
func (f fixture) Truth() starlark.Bool  { return true }
func (f fixture) Hash() (uint32, error) { return starlark.String(f).Hash() }
func (f fixture) AttrNames() []string   { return []string{"read"} }

// Attr is t.folder(...).read(path), the content of a file of the folder.
func (f fixture) Attr(name string) (starlark.Value, error) {
	if name != "read" {
		return nil, nil
	}
	return starlark.NewBuiltin("read", func(_ *starlark.Thread, _ *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
		var path string
		if err := starlark.UnpackArgs("read", args, kwargs, "path", &path); err != nil {
			return nil, misuse("read", err)
		}
		return f.read(path)
	}), nil
}

func (f fixture) read(path string) (starlark.Value, error) {
	root, err := os.OpenRoot(string(f))
	if err != nil {
		return nil, misuse("read", fmt.Errorf("the folder cannot be opened: %w", paths.Reason(err)))
	}
	defer root.Close()
	file, err := root.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0) // a FIFO must not block
	if err != nil {
		problem := &diag.Problem{Code: "P4151", Message: fmt.Sprintf("%s cannot be read: %s", path, paths.Reason(err)), Cause: err}
		if errors.Is(err, fs.ErrNotExist) {
			problem.Message = "the folder has no file " + path
			problem.Hint = nearFile(root.FS(), path)
		}
		return nil, problem
	}
	defer file.Close() // it was only read
	if info, err := file.Stat(); err != nil || !info.Mode().IsRegular() {
		return nil, misuse("read", fmt.Errorf("%s is no file", path))
	}
	data, err := io.ReadAll(io.LimitReader(file, maxKept+1))
	switch {
	case err != nil:
		return nil, misuse("read", fmt.Errorf("%s cannot be read: %w", path, paths.Reason(err)))
	case len(data) > maxKept:
		return nil, misuse("read", fmt.Errorf("%s is too large: want at most %d MiB", path, maxKept>>20))
	}
	return starlark.String(data), nil
}

// nearFile proposes a file of the same folder.
func nearFile(in fs.FS, path string) string {
	folder := pathpkg.Dir(path)
	entries, _ := fs.ReadDir(in, folder) // what can be read of it is enough for a hint
	var names []string
	for _, e := range entries[:min(len(entries), 1000)] {
		names = append(names, pathpkg.Join(folder, e.Name()))
	}
	return diag.DidYouMean(path, names, strconv.Quote)
}

// fakeWorkspace is the workspace of one t.run, and the publisher of its attempt: it
// keeps what would be published, for the test to read.
type fakeWorkspace struct {
	runner *engine.Runner
	ref    workspace.Ref
	log    []string

	files []string                     // after the attempt; nil when nothing was published
	kept  map[string][]byte            // contents of what was written, the first maxKept bytes of them
	sums  map[string][sha256.Size]byte // of all that was written
}

// newWorkspace makes the workspace that a test describes.
func (x *test) newWorkspace(m *module.Module, described starlark.Value) (*fakeWorkspace, error) {
	p := &fakeWorkspace{kept: map[string][]byte{}, sums: map[string][sha256.Size]byte{}}
	body := x.o.Body
	if body == nil {
		body = engine.InProcess{}
	}
	p.runner = &engine.Runner{Body: body, Root: x.root, Fixed: &p.ref, Publisher: p}
	if m.Task.Workspace == nil {
		if described != starlark.None {
			return nil, misuse("t.run", errors.New("the task has no workspace"))
		}
		p.runner.Publisher = nil
		return p, nil
	}
	switch d := described.(type) {
	case fixture:
		store, err := folder.Open(string(d))
		if err != nil {
			return nil, misuse("t.run", err)
		}
		p.runner.Store = store
		x.closers = append(x.closers, func() { store.Close() })
		return p, nil
	case *starlark.Dict, starlark.NoneType:
		files, err := literalFiles(d)
		if err != nil {
			return nil, err
		}
		store := memory.New(nil)
		store.CreateRepository("test")
		p.ref = workspace.Ref{Repository: "test", Branch: "main"}
		p.ref.Commit, err = store.Seed("test", "main", files)
		if err != nil {
			return nil, misuse("t.run", err)
		}
		p.runner.Store = store
		return p, nil
	}
	return nil, misuse("t.run", fmt.Errorf("workspace: got %s, want a dict of path to text, or t.folder(path)", described.Type()))
}

// literalFiles reads {"raw/a.csv": "id\n1\n"}.
func literalFiles(v starlark.Value) (map[string]string, error) {
	files := map[string]string{}
	dict, ok := v.(*starlark.Dict)
	if !ok {
		return files, nil
	}
	for _, item := range dict.Items() {
		path, isText := starlark.AsString(item[0])
		if !isText {
			return nil, misuse("t.run", fmt.Errorf("workspace: got the key %s, want a path", item[0]))
		}
		if err := paths.CheckNew(path); err != nil {
			return nil, misuse("t.run", fmt.Errorf("workspace: %w", err))
		}
		switch content := item[1].(type) {
		case starlark.String:
			files[path] = string(content)
		case starlark.Bytes:
			files[path] = string(content)
		default:
			return nil, misuse("t.run", fmt.Errorf("workspace: %s: got %s, want a string or bytes", path, item[1].Type()))
		}
	}
	return files, nil
}

// Prepare implements engine.Publisher.
func (p *fakeWorkspace) Prepare(context.Context, publish.Publication) (*publish.Published, error) {
	return nil, nil
}

// Publish implements engine.Publisher: it keeps what was written.
func (p *fakeWorkspace) Publish(ctx context.Context, pub publish.Publication) (publish.Published, error) {
	var err error
	if p.files, err = pub.Overlay.Glob(ctx, "", glob.MustCompile("**")); err != nil {
		return publish.Published{}, err
	}
	changes, err := pub.Overlay.Changes(ctx)
	if err != nil {
		return publish.Published{}, err
	}
	left := int64(maxKept)
	for _, c := range changes {
		if c.Op == storage.Deleted {
			continue
		}
		keep := left >= c.Size
		if left -= c.Size; !keep {
			left = 0
		}
		if err := p.keep(ctx, pub.Overlay, c, keep); err != nil {
			return publish.Published{}, err
		}
	}
	return publish.Published{Commit: pub.Ref.Commit}, nil
}

// keep keeps the hash of a written file, and its content if there is room.
func (p *fakeWorkspace) keep(ctx context.Context, o *workspace.Overlay, c workspace.Change, content bool) error {
	f, err := o.Open(ctx, c.Path)
	if err != nil {
		return err
	}
	defer f.Close() // it was only read
	sum := sha256.New()
	var data bytes.Buffer
	var to io.Writer = sum
	if content {
		to = io.MultiWriter(sum, &data)
	}
	if _, err := io.Copy(to, f); err != nil {
		return err
	}
	if content {
		p.kept[c.Path] = data.Bytes()
	}
	p.sums[c.Path] = [sha256.Size]byte(sum.Sum(nil))
	return nil
}

// outcome is what t.run returns. It remembers when a test reads it, so that a check
// that fails next can report why the run failed.
type outcome struct {
	test      *test
	file      string // of the task, as the test names it
	result    engine.Result
	workspace *fakeWorkspace
	fields    *starlarkstruct.Struct
}

func (o *outcome) String() string {
	return fmt.Sprintf("outcome(file = %q, status = %q)", o.file, o.result.Status)
}
func (o *outcome) Type() string          { return "outcome" }
func (o *outcome) Freeze()               { o.fields.Freeze() }
func (o *outcome) Truth() starlark.Bool  { return true }
func (o *outcome) Hash() (uint32, error) { return 0, errors.New("unhashable: outcome") }
func (o *outcome) AttrNames() []string   { return o.fields.AttrNames() }

// Attr is one of the fields.
func (o *outcome) Attr(name string) (starlark.Value, error) {
	o.test.used = o
	return o.fields.Attr(name)
}

// maxReport bounds what a failed test reports of a run, in bytes.
const maxReport = 4 << 10

// failure says why the run did not complete; "" when it did.
func (o *outcome) failure() string {
	if o == nil || o.result.Status == queue.Completed {
		return ""
	}
	return fmt.Sprintf("the run of %s ended with %s:\n%s", o.file, o.result.Status, formatted(o.result.Diagnostics))
}

// formatted are diagnostics as indented lines, as far as there is room.
func formatted(list diag.List) string {
	var b strings.Builder
	for _, d := range list {
		var one strings.Builder
		diag.WriteText(&one, diag.List{d}, diag.TextOptions{})
		if b.Len()+one.Len() > maxReport {
			b.WriteString("  …\n")
			break
		}
		for line := range strings.Lines(one.String()) {
			b.WriteString("  " + line)
		}
	}
	return b.String()
}

// outcome makes what t.run returns.
func (x *test) outcome(thread *starlark.Thread, file string, r engine.Result, p *fakeWorkspace) (starlark.Value, error) {
	result, err := x.resultOf(thread, r)
	if err != nil {
		return nil, err
	}
	var changes []starlark.Value
	for _, c := range r.Changes {
		changes = append(changes, starlarkstruct.FromStringDict(starlark.String("change"), starlark.StringDict{
			"op": starlark.String(c.Op), "path": starlark.String(c.Path), "size": starlark.MakeInt64(c.Size)}))
	}
	fields := starlarkstruct.FromStringDict(starlark.String("outcome"), starlark.StringDict{
		"status":  starlark.String(r.Status),
		"reason":  starlark.String(r.Reason),
		"result":  result,
		"changes": starlark.NewList(changes),
		"files":   texts(p.files),
		"log":     texts(p.log),
		"read": starlark.NewBuiltin("read", func(_ *starlark.Thread, _ *starlark.Builtin, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
			var path string
			if err := starlark.UnpackArgs("read", args, kwargs, "path", &path); err != nil {
				return nil, misuse("read", err)
			}
			return p.read(x.ctx, path)
		}),
	})
	return &outcome{test: x, file: file, result: r, workspace: p, fields: fields}, nil
}

// read is the content of a file after the attempt.
func (p *fakeWorkspace) read(ctx context.Context, path string) (starlark.Value, error) {
	if data, ok := p.kept[path]; ok {
		return starlark.String(data), nil
	}
	if !slices.Contains(p.files, path) {
		return nil, &diag.Problem{Code: "P4151", Message: "the attempt left no file " + path, Cause: fs.ErrNotExist,
			Hint: diag.DidYouMean(path, p.files, strconv.Quote)}
	}
	r, err := p.runner.Store.Open(ctx, p.ref.Repository, p.ref.Commit, path)
	if err != nil {
		return nil, misuse("read", err)
	}
	defer r.Close()
	data, err := io.ReadAll(io.LimitReader(r, maxKept))
	if err != nil {
		return nil, misuse("read", err)
	}
	return starlark.String(data), nil
}

func texts(list []string) *starlark.List {
	values := make([]starlark.Value, len(list))
	for i, s := range list {
		values[i] = starlark.String(s)
	}
	return starlark.NewList(values)
}
