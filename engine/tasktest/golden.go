package tasktest

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	pathpkg "path"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"go.starlark.net/starlark"

	"perago/engine/queue"
	"perago/starlib/diag"
	"perago/workspace"
	"perago/workspace/folder"
	"perago/workspace/localfile"
	"perago/workspace/paths"
	"perago/workspace/storage"
)

// A golden has the expected output. That of a run is a folder:
//
//	result.json      the result
//	files/...        what the run wrote, by the path in the workspace
//	deleted.txt      the paths that it deleted, one a line, if there are any
//
// Anything else in the folder is ignored. That of a text or bytes is a file
// with it; that of another value is a file with it as JSON. Results and values
// are compared as values, however their JSON is laid out.

const (
	goldenResult  = "result.json"
	goldenDeleted = "deleted.txt"
	goldenFiles   = "files/"

	maxGoldenFiles = 10_000
	maxGoldenShown = 10 // files that a failure names
)

// golden is one golden that a test wants to change.
type golden struct {
	path   string            // relative to the folder of the test file
	put    map[string][]byte // new contents by the path relative to that folder
	remove []string
}

// golden is t.golden(got, path, message = "").
func (x *test) golden(thread *starlark.Thread, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	var got starlark.Value
	var path, message string
	if err := starlark.UnpackArgs("t.golden", args, kwargs, "got", &got, "path", &path, "message?", &message); err != nil {
		return nil, misuse("t.golden", err)
	}
	if err := checkGoldenPath(path); err != nil {
		return nil, misuse("t.golden", err)
	}
	if run, ok := got.(*outcome); ok {
		x.used = run
		if run.result.Status != queue.Completed {
			return nil, &diag.Problem{Code: "P4151", Message: said("the run did not complete, so it left nothing to compare", message)}
		}
	}
	fresh, err := x.goldenOf(thread, got, path)
	if err != nil {
		return nil, err
	}
	root, err := os.OpenRoot(filepath.Dir(x.file))
	if err != nil {
		return nil, misuse("t.golden", fmt.Errorf("the folder of the test cannot be opened: %w", paths.Reason(err)))
	}
	defer root.Close()
	old, err := readGolden(root, path, got)
	if err != nil {
		return nil, misuse("t.golden", err)
	}
	differences, err := x.goldenDifferences(thread, path, fresh, old)
	if err != nil {
		return nil, err
	}
	if x.o.Update {
		if err := x.keepGolden(path, fresh, differences); err != nil {
			return nil, err
		}
		return x.holds()
	}
	if len(differences) == 0 {
		return x.holds()
	}
	if len(old) == 0 {
		return nil, &diag.Problem{Code: "P4151", Message: said("there is no golden "+path, message),
			Hint: "`perago test --update` writes it; look at it before you keep it"}
	}
	return nil, goldenProblem(said("not the golden "+path, message), differences)
}

// checkGoldenPath checks that a golden is below the folder of the test, and cannot be
// a hidden file or code.
func checkGoldenPath(path string) error {
	if err := paths.CheckNew(path); err != nil || path == "" {
		return fmt.Errorf("got %s, want a path below the folder of the test file, as \"golden/report\"", quoted(path))
	}
	for part := range strings.SplitSeq(path, "/") {
		if strings.HasPrefix(part, ".") {
			return fmt.Errorf("got %s, want a path without hidden names", quoted(path))
		}
	}
	if strings.HasSuffix(path, ".star") {
		return fmt.Errorf("got %s, want a path that is no code", quoted(path))
	}
	return nil
}

// goldenOf are the expected files of a golden, by their paths relative
// to the folder of the test.
func (x *test) goldenOf(thread *starlark.Thread, got starlark.Value, path string) (map[string][]byte, error) {
	switch got := got.(type) {
	case starlark.String:
		return map[string][]byte{path: []byte(got)}, nil
	case starlark.Bytes:
		return map[string][]byte{path: []byte(got)}, nil
	case *outcome:
		return x.goldenOfRun(got, path)
	}
	text, err := x.json(thread, "encode", got)
	if err != nil {
		return nil, misuse("t.golden", fmt.Errorf("got: %w", err))
	}
	data, err := laidOut([]byte(text.(starlark.String)))
	return map[string][]byte{path: data}, err
}

func (x *test) goldenOfRun(run *outcome, path string) (map[string][]byte, error) {
	var output struct{ Result json.RawMessage }
	if err := json.Unmarshal(run.result.Output, &output); err != nil {
		return nil, fmt.Errorf("the result: %w", err)
	}
	result, err := laidOut(output.Result)
	if err != nil {
		return nil, err
	}
	files := map[string][]byte{path + "/" + goldenResult: result}
	var deleted strings.Builder
	for _, c := range run.result.Changes {
		data, kept := run.workspace.kept[c.Path]
		switch {
		case c.Op == storage.Deleted:
			deleted.WriteString(c.Path + "\n")
		case !kept:
			return nil, misuse("t.golden", fmt.Errorf("the run wrote too much for a golden: want at most %d MiB", maxKept>>20))
		default:
			files[path+"/"+goldenFiles+c.Path] = data
		}
	}
	if deleted.Len() > 0 {
		files[path+"/"+goldenDeleted] = []byte(deleted.String())
	}
	if len(files) > maxGoldenFiles {
		return nil, misuse("t.golden", fmt.Errorf("the run wrote too many files for a golden: got %d, want at most %d", len(files), maxGoldenFiles))
	}
	return files, nil
}

// laidOut is a JSON text for people, with an end of line.
func laidOut(text []byte) ([]byte, error) {
	var b bytes.Buffer
	if err := json.Indent(&b, text, "", "  "); err != nil {
		return nil, err
	}
	b.WriteByte('\n')
	return b.Bytes(), nil
}

// readGolden reads a golden; one that does not exist has no files.
func readGolden(root *os.Root, path string, got starlark.Value) (map[string][]byte, error) {
	files, left := map[string][]byte{}, int64(maxKept)
	info, err := root.Lstat(path)
	_, isRun := got.(*outcome)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return files, nil
	case err != nil:
		return nil, fmt.Errorf("%s cannot be read: %w", path, paths.Reason(err))
	case !isRun:
		if !info.Mode().IsRegular() {
			return nil, fmt.Errorf("%s is no file, and the golden of a value is one", path)
		}
		return files, readGoldenFile(root, path, files, &left)
	case !info.IsDir():
		return nil, fmt.Errorf("%s is no folder, and the golden of a run is one", path)
	}
	err = fs.WalkDir(root.FS(), path, func(name string, d fs.DirEntry, err error) error {
		below := strings.TrimPrefix(name, path+"/")
		switch {
		case err != nil:
			return fmt.Errorf("%s cannot be read: %w", name, paths.Reason(err))
		case d.IsDir() && name != path && below+"/" != goldenFiles && !strings.HasPrefix(below, goldenFiles):
			return fs.SkipDir
		case d.IsDir() || below != goldenResult && below != goldenDeleted && !strings.HasPrefix(below, goldenFiles):
			return nil
		case !d.Type().IsRegular():
			return fmt.Errorf("%s is no file", name)
		case len(files) == maxGoldenFiles:
			return fmt.Errorf("%s has too many files: want at most %d", path, maxGoldenFiles)
		}
		return readGoldenFile(root, name, files, &left)
	})
	return files, err
}

func readGoldenFile(root *os.Root, name string, to map[string][]byte, left *int64) error {
	f, err := root.OpenFile(name, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return fmt.Errorf("%s cannot be read: %w", name, paths.Reason(err))
	}
	defer f.Close() // it was only read
	data, err := io.ReadAll(io.LimitReader(f, *left+1))
	if err != nil {
		return fmt.Errorf("%s cannot be read: %w", name, paths.Reason(err))
	}
	if *left -= int64(len(data)); *left < 0 {
		return fmt.Errorf("the golden is too large: want at most %d MiB", maxKept>>20)
	}
	to[name] = data
	return nil
}

// goldenDifference is one file that differs from the golden.
type goldenDifference struct {
	path string
	diag.Problem
}

// goldenDifferences compares the files of a golden, sorted by path.
func (x *test) goldenDifferences(thread *starlark.Thread, path string, fresh, old map[string][]byte) ([]goldenDifference, error) {
	all := maps.Clone(fresh)
	maps.Copy(all, old)
	var list []goldenDifference
	for _, name := range slices.Sorted(maps.Keys(all)) {
		got, written := fresh[name]
		want, there := old[name]
		d := goldenDifference{path: name}
		switch {
		case written && there && bytes.Equal(got, want):
			continue
		case !there:
			d.Message = "is not in the golden"
		case !written:
			d.Message = "is in the golden only"
		default:
			d.Message = "differs"
			same, err := x.fileDiffers(thread, name == path+"/"+goldenResult || len(fresh) == 1 && name == path, &d.Problem, got, want)
			if err != nil {
				return nil, err
			}
			if same {
				continue
			}
		}
		list = append(list, d)
	}
	return list, nil
}

// fileDiffers describes how two contents differ, as values if both are JSON.
func (x *test) fileDiffers(thread *starlark.Thread, values bool, p *diag.Problem, got, want []byte) (same bool, err error) {
	if values && json.Valid(got) && json.Valid(want) {
		var decoded [2]starlark.Value
		for i, text := range [][]byte{got, want} {
			if decoded[i], err = x.json(thread, "decode", starlark.String(text)); err != nil {
				values = false
			}
		}
		if values {
			c := &comparison{ctx: x.ctx, same: equalValues}
			if err := c.values("", decoded[0], decoded[1], 0); err != nil {
				return false, err
			}
			if len(c.list) == 0 && c.seen <= maxCompared {
				return true, nil
			}
			told := c.problem(p.Message)
			p.Message, p.Found, p.Wanted, p.Detail = told.Message, told.Found, told.Wanted, told.Detail
			return false, nil
		}
	}
	fileDifference(p, got, want)
	return false, nil
}

// goldenProblem tells the files that differ, and of the first one how.
func goldenProblem(what string, list []goldenDifference) error {
	first := list[0]
	p := &diag.Problem{Code: "P4151", Message: what + ": " + first.path + " " + first.Message, Found: first.Found, Wanted: first.Wanted,
		Hint: "`perago test --update` makes it what came out, if that is right"}
	var lines strings.Builder
	for _, d := range list[1:min(len(list), maxGoldenShown)] {
		fmt.Fprintf(&lines, "%s %s\n", d.path, d.Message)
	}
	if more := len(list) - maxGoldenShown; more > 0 {
		fmt.Fprintf(&lines, "and %d more files\n", more)
	}
	p.Detail = lines.String() + first.Detail
	return p
}

// keepGolden remembers what --update has to write when the test has passed.
func (x *test) keepGolden(path string, fresh map[string][]byte, differences []goldenDifference) error {
	if before, ok := x.goldens[path]; ok && !maps.EqualFunc(before, fresh, bytes.Equal) {
		return &diag.Problem{Code: "P4151", Message: "the golden " + path + " is that of another check, too, and is not the same there",
			Hint: "give each its own"}
	}
	x.goldens[path] = fresh
	g := golden{path: path, put: map[string][]byte{}}
	for _, d := range differences {
		if data, ok := fresh[d.path]; ok {
			g.put[d.path] = data
		} else {
			g.remove = append(g.remove, d.path)
		}
	}
	if len(differences) > 0 {
		x.pending = append(x.pending, g)
	}
	return nil
}

// writeGoldens writes what a test that passed wants to change: each golden as a
// whole or not at all. It says which files were written.
func (x *test) writeGoldens(ctx context.Context) (wrote []string, err error) {
	for _, g := range x.pending {
		if err := x.writeGolden(ctx, g); err != nil {
			return wrote, err
		}
		for _, name := range slices.Sorted(maps.Keys(g.put)) {
			wrote = append(wrote, filepath.Join(filepath.Dir(x.file), filepath.FromSlash(name)))
		}
		for _, name := range g.remove {
			wrote = append(wrote, filepath.Join(filepath.Dir(x.file), filepath.FromSlash(name))+" (removed)")
		}
	}
	return wrote, nil
}

// writeGolden writes the one file of a value, or makes the folder of a run as it
// should be, the way `perago run --apply` does it.
func (x *test) writeGolden(ctx context.Context, g golden) (err error) {
	within := g.path
	data, single := g.put[g.path]
	if single {
		within = pathpkg.Dir(g.path)
	}
	dir := filepath.Join(filepath.Dir(x.file), filepath.FromSlash(within))
	made, err := makeFolders(filepath.Dir(x.file), within)
	defer func() {
		if err != nil {
			for _, dir := range made {
				os.Remove(dir) // what is empty goes; the error tells of the rest
			}
		}
	}()
	if err != nil {
		return err
	}
	if single {
		return replaceFile(filepath.Join(dir, pathpkg.Base(g.path)), data)
	}
	store, err := folder.Open(dir)
	if err != nil {
		return err
	}
	defer store.Close()
	scratch, err := os.MkdirTemp(x.o.Dir, "perago-golden-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(scratch)
	o := workspace.NewOverlay(store, workspace.Ref{}, workspace.OverlayOptions{Dir: scratch})
	defer o.Close()
	for name, data := range g.put {
		if err := writeFile(ctx, o, strings.TrimPrefix(name, within+"/"), data); err != nil {
			return err
		}
	}
	for _, name := range g.remove {
		if err := o.Remove(ctx, strings.TrimPrefix(name, within+"/")); err != nil {
			return err
		}
	}
	return folder.Apply(ctx, dir, o)
}

// replaceFile puts data in place of a file, in one step.
func replaceFile(path string, data []byte) error {
	f, err := os.CreateTemp(filepath.Dir(path), ".perago-golden-*")
	if err != nil {
		return err
	}
	defer os.Remove(f.Name()) // it has another name by then, when all went well
	mode := fs.FileMode(0o644)
	if info, err := os.Lstat(path); err == nil {
		mode = info.Mode().Perm()
	}
	_, err = f.Write(data)
	if err = errors.Join(err, f.Chmod(mode), localfile.Sync(f), f.Close()); err != nil {
		return err
	}
	return os.Rename(f.Name(), path)
}

func writeFile(ctx context.Context, o *workspace.Overlay, path string, data []byte) error {
	d, err := o.Create(ctx, path, workspace.Replace)
	if err != nil {
		return err
	}
	if _, err := d.File.Write(data); err != nil {
		d.Discard()
		return err
	}
	_, err = d.Commit(ctx)
	return err
}

// makeFolders makes the folders of a path below base that are missing, and says
// which, the innermost first. None of them may be a link.
func makeFolders(base, path string) (made []string, err error) {
	root, err := os.OpenRoot(base)
	if err != nil {
		return nil, err
	}
	defer root.Close()
	at := ""
	for part := range strings.SplitSeq(path, "/") {
		at = pathpkg.Join(at, part)
		info, err := root.Lstat(at)
		switch {
		case errors.Is(err, fs.ErrNotExist):
			if err := root.Mkdir(at, 0o777); err != nil {
				return made, err
			}
			made = append([]string{filepath.Join(base, filepath.FromSlash(at))}, made...)
		case err != nil:
			return made, err
		case !info.IsDir():
			return made, fmt.Errorf("%s is no folder", at)
		}
	}
	return made, nil
}
