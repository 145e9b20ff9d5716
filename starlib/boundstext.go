package starlib

import (
	"strings"

	"go.starlark.net/starlark"
)

// boundValue is a value of the language itself just before one of its methods
// is taken.
type boundValue struct {
	starlark.HasAttrs
	bounds *Bounds
}

// AttrNames are the value's own, and those that it has of us.
func (v *boundValue) AttrNames() []string { return methodNames(v.HasAttrs) }

// growing says whether a method of that name can make something much larger
// than its string.
func growing(name string) bool {
	switch name {
	case "join", "replace", "format", "split", "rsplit":
		return true
	}
	return false
}

// Attr gives our methods, and the value's own, held against the bounds.
func (v *boundValue) Attr(name string) (starlark.Value, error) {
	if row := ownMethods()[v.Type()].rows[name]; row != nil {
		return row.value(v.HasAttrs), nil
	}
	own, err := v.HasAttrs.Attr(name)
	s, isText := v.HasAttrs.(starlark.String)
	if method, ok := own.(*starlark.Builtin); ok && err == nil && isText && growing(name) {
		return &boundMethod{Builtin: method, text: string(s), bounds: v.bounds}, nil
	}
	return own, err
}

// boundMethod is a method of a string that looks at what it would make first.
type boundMethod struct {
	*starlark.Builtin
	text   string
	bounds *Bounds
}

// CallInternal implements starlark.Callable.
func (m *boundMethod) CallInternal(thread *starlark.Thread, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	c := boundCall{thread: thread, bounds: m.bounds, method: m.Name(), s: m.text, args: args, kwargs: kwargs}
	var err error
	switch c.method {
	case "join":
		err = c.join()
	case "replace":
		err = c.replace()
	case "format":
		return c.format()
	default:
		err = c.split()
	}
	if err != nil {
		return nil, err
	}
	return m.Builtin.CallInternal(thread, c.args, c.kwargs)
}

// boundCall is one call of such a method. Where its arguments are wrong it looks
// away: the method itself complains.
type boundCall struct {
	thread *starlark.Thread
	bounds *Bounds
	method string
	s      string
	args   starlark.Tuple
	kwargs []starlark.Tuple
}

// join collects what it is to join, so that a stream is read only once.
func (c *boundCall) join() error {
	if len(c.args) != 1 || len(c.kwargs) > 0 {
		return nil
	}
	size := -int64(len(c.s)) // there is one separator less than items
	switch items := c.args[0].(type) {
	case *starlark.List:
		for i := range items.Len() {
			s, _ := items.Index(i).(starlark.String)
			size += int64(len(s)) + int64(len(c.s))
		}
	case starlark.Tuple:
		for _, x := range items {
			s, _ := x.(starlark.String)
			size += int64(len(s)) + int64(len(c.s))
		}
	case starlark.Iterable:
		taken, err := c.take(items, &size)
		if err != nil {
			return err
		}
		c.args = starlark.Tuple{taken}
	}
	return c.bounds.allow("string", size)
}

// take reads what is to be joined until it is too much.
func (c *boundCall) take(items starlark.Iterable, size *int64) (starlark.Tuple, error) {
	var taken starlark.Tuple
	m := meter{call: &call{thread: c.thread, builtin: &Builtin{Name: "join"}, run: runOf(c.thread)}}
	for x := range starlark.Elements(items) {
		if err := m.tick(); err != nil {
			return nil, err
		}
		s, ok := x.(starlark.String)
		*size += int64(len(s)) + int64(len(c.s))
		taken = append(taken, x)
		if !ok || *size+16*int64(len(taken)) > c.bounds.Most() {
			break
		}
	}
	*size = max(*size, 16*int64(len(taken)))
	return taken, nil
}

func (c *boundCall) replace() error {
	var from, to string
	count := -1
	if err := starlark.UnpackPositionalArgs("replace", c.args, c.kwargs, 2, &from, &to, &count); err != nil {
		return nil
	}
	found := strings.Count(c.s, from)
	if count >= 0 {
		found = min(found, count)
	}
	return c.bounds.allow("string", int64(len(c.s))+int64(found)*int64(len(to)-len(from)))
}

// split makes a list of strings: each takes two words of its own and two in the list.
func (c *boundCall) split() error {
	const item = 32
	if int64(len(c.s)+1)*item <= c.bounds.Most()/2 {
		return nil
	}
	parts := 0
	sep, most := "\n", -1
	switch {
	case len(c.args) > 0 && c.args[0] != starlark.None:
		if starlark.UnpackPositionalArgs(c.method, c.args, c.kwargs, 1, &sep, &most) != nil || sep == "" {
			return nil
		}
		parts = strings.Count(c.s, sep) + 1
	default:
		for range strings.FieldsSeq(c.s) {
			parts++
		}
		if len(c.args) > 1 {
			most, _ = starlark.AsInt32(c.args[1])
		}
	}
	if most >= 0 {
		parts = min(parts, most+1)
	}
	return c.bounds.allow("list", int64(parts)*item)
}

func (c *boundCall) format() (starlark.Value, error) {
	m := meter{call: &call{thread: c.thread, builtin: &Builtin{Name: "format"}, run: runOf(c.thread)}}
	return (&formatter{bounds: c.bounds, tick: m.tick}).format(c.s, c.args, c.kwargs)
}
