package starlib

// workspace_spec(...) and its guards.

import (
	"errors"
	"fmt"
	"unicode/utf8"

	"go.starlark.net/starlark"

	"perago/starlib/diag"
	"perago/workspace"
)

// placedGuard is a guard and where it was declared.
type placedGuard struct {
	workspace.Guard
	at Position
}

// placedSpec is a workspace_spec and where its guards were declared.
type placedSpec struct {
	workspace.Spec
	preAt, postAt []Position
}

func makeSpec(c *call) (starlark.Value, error) {
	spec := &placedSpec{}
	prefix, err := c.text("prefix", "/")
	if err != nil {
		return nil, err
	}
	if spec.Prefix, err = workspace.CleanPrefix(prefix); err != nil {
		return nil, c.badPath("P2118", "prefix", prefix, err)
	}
	if spec.Pre, spec.preAt, err = c.guards("pre"); err != nil {
		return nil, err
	}
	if spec.Post, spec.postAt, err = c.guards("post"); err != nil {
		return nil, err
	}
	spec.ReadOnly, err = c.boolean("read_only", false)
	return &declared[*placedSpec]{kind: "workspace_spec", value: spec}, err
}

// guards is an argument that is a list of guards.
func (c *call) guards(name string) ([]workspace.Guard, []Position, error) {
	v := c.arg(name)
	if v == nil {
		return nil, nil, nil
	}
	list, ok := v.(starlark.Indexable)
	if _, isText := v.(starlark.String); !ok || isText {
		p := c.wrongType(name, v)
		if _, one := v.(*declared[placedGuard]); one {
			p.Hint = fmt.Sprintf("write %s = [%s]", name, v)
		}
		return nil, nil, p
	}
	var guards []workspace.Guard
	var at []Position
	for i := range list.Len() {
		g, ok := list.Index(i).(*declared[placedGuard])
		if !ok {
			return nil, nil, &diag.Problem{Code: codeType, Message: fmt.Sprintf("workspace_spec: item %d of `%s`", i, name), Found: describe(list.Index(i)),
				Wanted: "a guard: require_file, require_dir, require_glob or forbid_glob", Argument: c.place(name)}
		}
		guards, at = append(guards, g.value.Guard), append(at, g.value.at)
	}
	return guards, at, nil
}

// badPath complains of an argument that is a path, with the reason of the
// workspace package.
func (c *call) badPath(code diag.Code, name, got string, err error) error {
	p := &diag.Problem{Code: code, Message: fmt.Sprintf("%s: bad `%s`", c.builtin.Name, name), Found: quoted(got), Argument: c.place(name)}
	var path *workspace.PathError
	var pattern *workspace.PatternError
	switch {
	case errors.As(err, &path):
		p.Message += ": it " + path.Reason
	case errors.As(err, &pattern):
		p.Message += ": it " + pattern.Reason
		if pattern.Offset > 0 {
			p.Message += fmt.Sprintf(", from character %d", utf8.RuneCountInString(got[:pattern.Offset])+1)
		}
	default:
		p.Message += ": " + err.Error()
	}
	return p
}

func (c *call) guardValue(g workspace.Guard) starlark.Value {
	return &declared[placedGuard]{kind: "guard", value: placedGuard{g, callerPosition(c.thread)}}
}

func makePathGuard(guard func(string) (workspace.Guard, error)) func(*call) (starlark.Value, error) {
	return func(c *call) (starlark.Value, error) {
		path, err := c.text("path", "")
		if err != nil {
			return nil, err
		}
		g, err := guard(path)
		if err != nil {
			return nil, c.badPath("P2119", "path", path, err)
		}
		return c.guardValue(g), nil
	}
}

func makeRequireGlob(c *call) (starlark.Value, error) {
	pattern, err := c.text("pattern", "")
	if err != nil {
		return nil, err
	}
	least, err := c.amount("min_count", 1, 0, maxAmount)
	if err != nil {
		return nil, err
	}
	most := workspace.Unbounded
	if !c.absent("max_count") {
		if most, err = c.amount("max_count", 0, 0, maxAmount); err != nil {
			return nil, err
		}
		if most < least {
			return nil, &diag.Problem{Code: "P2109", Message: "require_glob: `max_count` is below `min_count`",
				Found: fmt.Sprint(most), Wanted: fmt.Sprintf("at least %d", least), Argument: c.place("max_count")}
		}
	}
	g, err := workspace.RequireGlob(pattern, least, most)
	if err != nil {
		return nil, c.badPath("P2120", "pattern", pattern, err)
	}
	return c.guardValue(g), nil
}

func makeForbidGlob(c *call) (starlark.Value, error) {
	pattern, err := c.text("pattern", "")
	if err != nil {
		return nil, err
	}
	g, err := workspace.ForbidGlob(pattern)
	if err != nil {
		return nil, c.badPath("P2120", "pattern", pattern, err)
	}
	return c.guardValue(g), nil
}
