package starlib

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"sync"
	"syscall"

	"go.starlark.net/starlark"
	"go.starlark.net/syntax"

	"perago/starlib/diag"
	"perago/workspace"
	"perago/workspace/glob"
	"perago/workspace/paths"
	"perago/workspace/storage"
)

// path is a place in the attempt's own workspace, relative to its root; "" is
// the root. Every path was checked by paths.Check when it was made.
type path string

var (
	_ starlark.HasAttrs       = path("")
	_ starlark.HasBinary      = path("")
	_ starlark.TotallyOrdered = path("")
)

func (p path) Type() string          { return "path" }
func (p path) Freeze()               {}
func (p path) Truth() starlark.Bool  { return true }
func (p path) Hash() (uint32, error) { return starlark.String(p).Hash() }

// String is the path relative to the workspace, "." for the root.
func (p path) String() string {
	if p == "" {
		return "."
	}
	return string(p)
}

// Cmp orders paths by their bytes.
func (p path) Cmp(other starlark.Value, _ int) (int, error) {
	q, ok := other.(path)
	if !ok {
		return 0, fmt.Errorf("a path can be compared with a path only")
	}
	return strings.Compare(string(p), string(q)), nil
}

// Binary joins: path / "name", path / path and "name" / path.
func (p path) Binary(op syntax.Token, y starlark.Value, side starlark.Side) (starlark.Value, error) {
	switch {
	case op == syntax.SLASH && side == starlark.Left:
		return p.join(y)
	case op == syntax.SLASH:
		left, err := path("").join(y)
		if err != nil {
			return nil, err
		}
		return left.join(p)
	case op == syntax.PLUS:
		return nil, &diag.Problem{Code: codePath, Message: "a path cannot be added to",
			Hint: `write path / "name" for a file below it, or path.parent / (path.stem + ".new") for one beside it`}
	}
	return nil, nil
}

// join is p / v, where v is a string or a path.
func (p path) join(v starlark.Value) (path, error) {
	var tail string
	switch v := v.(type) {
	case path:
		tail = string(v)
		if tail == "" {
			return p, nil
		}
	case starlark.String:
		tail = string(v)
		if err := paths.Check(tail); err != nil {
			return "", badPath(err)
		}
	default:
		return "", &diag.Problem{Code: codePath, Message: "what is joined to a path", Found: diag.TypeName(v), Wanted: "string or path"}
	}
	if p == "" {
		return path(tail), nil
	}
	return p + "/" + path(tail), nil
}

// badPath is the complaint of a text that names no place in a workspace.
func badPath(err error) error {
	p := &diag.Problem{Code: codePath, Message: err.Error(), Cause: err}
	var bad *paths.Error
	switch {
	case !errors.As(err, &bad):
	case strings.HasPrefix(bad.Path, "/"):
		p.Hint = "paths are relative to the workspace: leave the leading slash out"
	case slices.Contains(strings.Split(bad.Path, "/"), ".."):
		p.Hint = "path.parent goes up; nothing leads out of the workspace"
	}
	return p
}

// name is the last segment, "" for the root.
func (p path) name() string { return string(p[strings.LastIndexByte(string(p), '/')+1:]) }

// suffix is the last dot of the name and what follows it, as in pathlib: a name
// that starts with its only dot, or ends with it, has none.
func (p path) suffix() string {
	name := p.name()
	if i := strings.LastIndexByte(name, '.'); i > 0 && i < len(name)-1 {
		return name[i:]
	}
	return ""
}

// parent is the folder that the path is in; the root is its own.
func (p path) parent() path {
	i := strings.LastIndexByte(string(p), '/')
	return p[:max(i, 0)]
}

func (p path) parts() starlark.Tuple {
	if p == "" {
		return starlark.Tuple{}
	}
	segments := strings.Split(string(p), "/")
	parts := make(starlark.Tuple, len(segments))
	for i, s := range segments {
		parts[i] = starlark.String(s)
	}
	return parts
}

var pathMembers = sync.OnceValue(func() members { return membersOf(pathBuiltins()) })

func (p path) Attr(name string) (starlark.Value, error) { return pathMembers().attr(p, name) }
func (p path) AttrNames() []string                      { return pathMembers().names }

// pathProperty is a row that is read from the path alone.
func pathProperty(name, returns, doc, example string, f func(path) starlark.Value) Builtin {
	return Builtin{Name: "path." + name, Phase: Pure, Method: true, Property: true, Returns: returns, Doc: doc, Example: example,
		call: func(c *call) (starlark.Value, error) { return f(c.recv.(path)), nil }}
}

// pathBuiltins are the members of a path.
func pathBuiltins() []Builtin {
	own := []Builtin{
		pathProperty("name", "string", "The last segment. The root's is empty.", `(workspace / "raw/a.tar.gz").name == "a.tar.gz"`,
			func(p path) starlark.Value { return starlark.String(p.name()) }),
		pathProperty("stem", "string", "The name without its suffix.", `(workspace / "raw/a.tar.gz").stem == "a.tar"`,
			func(p path) starlark.Value { return starlark.String(strings.TrimSuffix(p.name(), p.suffix())) }),
		pathProperty("suffix", "string", "The last dot of the name and what follows it; empty when there is none, as in `.hidden`.",
			`(workspace / "raw/a.tar.gz").suffix == ".gz"`,
			func(p path) starlark.Value { return starlark.String(p.suffix()) }),
		pathProperty("parent", "path", "The folder that the path is in. The root is its own parent.", `str((workspace / "raw/a.csv").parent) == "raw"`,
			func(p path) starlark.Value { return p.parent() }),
		pathProperty("parts", "tuple of string", "The segments. The root has none.", `(workspace / "raw/a.csv").parts == ("raw", "a.csv")`,
			func(p path) starlark.Value { return p.parts() }),
		{Name: "path.joinpath", Phase: Pure, Method: true, Returns: "path", call: pathJoin,
			Params: []Param{{Name: "parts", Type: "string or path", Kind: Rest, Doc: "what to go down by, each one or more segments"}},
			Doc: "The path below this one, the same as `path / a / b`. An empty part, an absolute one, and a segment that is " +
				"empty, `.` or `..`, or has a backslash or a NUL, is an error: no path leads out of the workspace.",
			Example: `workspace.joinpath("features", params.name + ".csv")`},
	}
	return append(append(own, treeBuiltins()...), contentBuiltins()...)
}

func pathJoin(c *call) (starlark.Value, error) {
	p := c.recv.(path)
	for _, part := range c.rest {
		var err error
		if p, err = p.join(part); err != nil {
			return nil, err
		}
	}
	return p, nil
}

// treeBuiltins are the members of a path that ask about the tree or change it
// without looking into a file.
func treeBuiltins() []Builtin {
	target := Param{Name: "target", Type: "path", Doc: "where to; its folders are made"}
	pattern := Param{Name: "pattern", Type: "string",
		Doc: "`*`, `?`, `[abc]`, `[!abc]`, `[a-z]` within a segment; a segment `**` is zero or more folders, and as the last one every file below"}
	return []Builtin{
		{Name: "path.exists", Phase: Act, Method: true, Returns: "bool", call: pathExists,
			Doc: "Whether a file or a folder is there. Nothing is downloaded."},
		{Name: "path.is_file", Phase: Act, Method: true, Returns: "bool", call: pathIsFile, Doc: "Whether a file is there."},
		{Name: "path.is_dir", Phase: Act, Method: true, Returns: "bool", call: pathIsDir,
			Doc: "Whether a folder is there: something is below the path, or the body made it."},
		{Name: "path.stat", Phase: Act, Method: true, Returns: "struct(size, checksum)", call: pathStat,
			Doc: "`size` in bytes, 0 for a folder; `checksum` as the store gives it, None for a folder, for a file that was " +
				"written in this attempt, and where the store has none. Nothing is downloaded. An error when nothing is there.",
			Example: `(workspace / "raw/a.csv").stat().size`},
		{Name: "path.iterdir", Phase: Act, Method: true, Returns: "list of path", call: pathIterdir,
			Doc: "The files and folders directly in a folder, sorted by bytes. An error when the path is no folder."},
		{Name: "path.glob", Phase: Act, Method: true, Returns: "list of path", call: pathGlob, Params: []Param{pattern},
			Doc: "The files below the path that match, sorted by bytes; an empty list when none does. Folders never match, names " +
				"that start with a dot are like any other, braces are plain text, and case matters. Nothing is downloaded.",
			Example: `workspace.glob("raw/**/*.csv")`},
		{Name: "path.rglob", Phase: Act, Method: true, Returns: "list of path", call: pathGlob, Params: []Param{pattern},
			Doc: "The same as `path.glob(\"**/\" + pattern)`.", Example: `workspace.rglob("*.csv")`},
		{Name: "path.copy", Phase: Act, Method: true, Returns: "path", call: pathCopy, Params: []Param{target},
			Doc: "Copies a file, or a folder with all in it, and returns the target. A file at the target is replaced; a folder that is not " +
				"empty is an error. What this attempt has not changed is copied without downloading it.",
			Example: `(workspace / "raw/a.csv").copy(workspace / "out/a.csv")`},
		{Name: "path.rename", Phase: Act, Method: true, Returns: "path", call: pathRename, Params: []Param{target},
			Doc: "Moves a file, or a folder with all in it, and returns the target. A file at the target is replaced; a folder that is not " +
				"empty is an error. What this attempt has not changed is moved without downloading it."},
		{Name: "path.unlink", Phase: Act, Method: true, Returns: "None", call: pathUnlink,
			Params: []Param{{Name: "missing_ok", Type: "bool", Default: "False", Doc: "a file that is not there is no error"}},
			Doc:    "Removes a file."},
		{Name: "path.remove_tree", Phase: Act, Method: true, Returns: "None", call: pathRemoveTree,
			Doc: "Removes a folder and all that is below it. The root itself stays, empty. An error when nothing is there."},
		{Name: "path.mkdir", Phase: Act, Method: true, Returns: "None", call: pathMkdir,
			Doc: "Makes a folder, parents included; one that is there already is no error. Writing a file makes its folders anyway, " +
				"and a published commit holds files only: this is for a `require_dir` guard."},
	}
}

// filesAndPath is the files of the run and the path that a method was called on.
func (c *call) filesAndPath() (Files, path, error) {
	if c.run.Files == nil {
		return nil, "", c.problem(codeWorkspace, "the task has no workspace")
	}
	return c.run.Files, c.recv.(path), nil
}

// find says what is at a path; found is false when nothing is there.
func (c *call) find() (info workspace.Info, found bool, err error) {
	files, p, err := c.filesAndPath()
	if err != nil {
		return info, false, err
	}
	info, err = files.Find(c.run.Context, string(p))
	switch {
	case err == nil:
		return info, true, nil
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, storage.ErrNotFolder):
		return info, false, nil
	}
	return info, false, c.fileError(p, err)
}

func pathExists(c *call) (starlark.Value, error) {
	_, found, err := c.find()
	return starlark.Bool(found), err
}

func pathIsFile(c *call) (starlark.Value, error) {
	info, found, err := c.find()
	return starlark.Bool(found && !info.Folder), err
}

func pathIsDir(c *call) (starlark.Value, error) {
	info, found, err := c.find()
	return starlark.Bool(found && info.Folder), err
}

func pathStat(c *call) (starlark.Value, error) {
	files, p, err := c.filesAndPath()
	if err != nil {
		return nil, err
	}
	info, err := files.Stat(c.run.Context, string(p))
	if err != nil {
		return nil, c.fileError(p, err)
	}
	var checksum starlark.Value = starlark.None
	if info.Checksum != "" {
		checksum = starlark.String(info.Checksum)
	}
	return newStruct("size", starlark.MakeInt64(info.Size), "checksum", checksum), nil
}

func pathIterdir(c *call) (starlark.Value, error) {
	files, p, err := c.filesAndPath()
	if err != nil {
		return nil, err
	}
	infos, err := files.ReadDir(c.run.Context, string(p))
	if err != nil {
		return nil, c.fileError(p, err)
	}
	found := make([]starlark.Value, len(infos))
	for i, info := range infos {
		found[i] = path(info.Path)
	}
	return starlark.NewList(found), nil
}

// pathGlob is glob, and rglob too.
func pathGlob(c *call) (starlark.Value, error) {
	files, p, err := c.filesAndPath()
	if err != nil {
		return nil, err
	}
	text, err := c.text("pattern", "")
	if err != nil {
		return nil, err
	}
	pattern, err := glob.Compile(text)
	if err == nil && c.builtin.Name == "path.rglob" {
		pattern, err = glob.Compile("**/" + text)
	}
	if err != nil {
		return nil, &diag.Problem{Code: codePattern, Message: err.Error(), Argument: c.argument("pattern"), Cause: err}
	}
	names, err := files.Glob(c.run.Context, string(p), pattern)
	if err != nil {
		return nil, c.fileError(p, err)
	}
	found := make([]starlark.Value, len(names))
	for i, name := range names {
		found[i] = path(name)
	}
	return starlark.NewList(found), nil
}

func pathCopy(c *call) (starlark.Value, error) {
	return c.transfer(func(ctx context.Context, files Files, from, to string) error { return files.Copy(ctx, from, to) })
}

func pathRename(c *call) (starlark.Value, error) {
	return c.transfer(func(ctx context.Context, files Files, from, to string) error { return files.Rename(ctx, from, to) })
}

// transfer is what copy and rename share: both ends, and whose fault an error is.
func (c *call) transfer(do func(ctx context.Context, files Files, from, to string) error) (starlark.Value, error) {
	files, p, err := c.filesAndPath()
	if err != nil {
		return nil, err
	}
	target, err := c.file("target")
	if err != nil {
		return nil, err
	}
	if err := do(c.run.Context, files, string(p), string(target)); err != nil {
		_, at := causeOf(err)
		if at == string(target) {
			p = target
		}
		return nil, c.fileError(p, err)
	}
	return target, nil
}

func pathUnlink(c *call) (starlark.Value, error) {
	files, p, err := c.filesAndPath()
	if err != nil {
		return nil, err
	}
	missingOK, err := c.boolean("missing_ok", false)
	if err != nil {
		return nil, err
	}
	err = files.Remove(c.run.Context, string(p))
	if err != nil && !(missingOK && errors.Is(err, fs.ErrNotExist)) {
		return nil, c.fileError(p, err)
	}
	return starlark.None, nil
}

func pathRemoveTree(c *call) (starlark.Value, error) {
	files, p, err := c.filesAndPath()
	if err != nil {
		return nil, err
	}
	if err := files.RemoveTree(c.run.Context, string(p)); err != nil {
		return nil, c.fileError(p, err)
	}
	return starlark.None, nil
}

func pathMkdir(c *call) (starlark.Value, error) {
	files, p, err := c.filesAndPath()
	if err != nil {
		return nil, err
	}
	if err := files.Mkdir(c.run.Context, string(p)); err != nil {
		return nil, c.fileError(p, err)
	}
	return starlark.None, nil
}

// fileError is the complaint of what Files answered about p.
func (c *call) fileError(p path, err error) error {
	var already *diag.Problem
	if errors.As(err, &already) {
		return already
	}
	if err := c.run.cancelled(); err != nil {
		return err
	}
	cause, _ := causeOf(err)
	problem := &diag.Problem{Code: codeFile, Cause: err,
		Message: fmt.Sprintf("%s %s: %s", c.builtin.Name, diag.Shorten(p.String()), cause)}
	switch {
	case errors.Is(err, fs.ErrNotExist):
		problem.Message = fmt.Sprintf("%s %s: there is no such file or folder", c.builtin.Name, diag.Shorten(p.String()))
		problem.Hint = c.nearestFile(p)
	case errors.Is(err, workspace.ErrReadOnly):
		problem.Code = codeReadOnly
		problem.Hint = "the task declares workspace_spec(read_only = True): leave that out, or do not write"
	case errors.Is(err, syscall.EFBIG):
		problem.Hint = "raise resources(scratch = ...), or write less in one attempt"
	case errors.Is(err, storage.ErrIsFolder):
		problem.Hint = "iterdir(), glob() and remove_tree() are for folders"
	case !workspace.Repeats(err):
		problem.Code = codeTransfer
	}
	return problem
}

// causeOf is what is inside all *fs.PathErrors, whose paths may be those of the
// machine, and the path of the innermost.
func causeOf(err error) (cause error, path string) {
	for at := (*fs.PathError)(nil); errors.As(err, &at); {
		err, path = at.Err, at.Path
	}
	return err, path
}

// nearestFile says what the author may have meant by a path where nothing is.
func (c *call) nearestFile(p path) string {
	if p == "" {
		return ""
	}
	infos, err := c.run.Files.ReadDir(c.run.Context, string(p.parent()))
	if err != nil {
		return fmt.Sprintf("there is no folder `%s` either", diag.Shorten(p.parent().String()))
	}
	if len(infos) > 5000 {
		return "" // a guess is not worth the time
	}
	names := make([]string, len(infos))
	for i, info := range infos {
		names[i] = path(info.Path).name()
	}
	near := diag.Nearest(p.name(), names)
	if near == "" {
		return ""
	}
	meant, err := p.parent().join(starlark.String(near))
	if err != nil {
		return ""
	}
	return fmt.Sprintf("did you mean `%s`?", diag.Shorten(string(meant)))
}
