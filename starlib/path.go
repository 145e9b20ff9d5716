package starlib

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"

	"go.starlark.net/starlark"
	"go.starlark.net/syntax"

	"perago/starlib/diag"
	"perago/workspace"
)

// path is a place in the attempt's own workspace, relative to its root; "" is
// the root. Every path was checked by workspace.CheckPath when it was made.
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
		if err := workspace.CheckPath(tail); err != nil {
			return "", badPath(err)
		}
	default:
		return "", &diag.Problem{Code: codePath, Message: "what is joined to a path", Found: typeName(v), Wanted: "string or path"}
	}
	if p == "" {
		return path(tail), nil
	}
	return p + "/" + path(tail), nil
}

// badPath is the complaint of a text that names no place in a workspace.
func badPath(err error) error {
	p := &diag.Problem{Code: codePath, Message: err.Error(), Cause: err}
	var bad *workspace.PathError
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
