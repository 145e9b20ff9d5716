package starlib

import (
	"slices"
	"strconv"
	"strings"

	"go.starlark.net/starlark"
)

// boundText is a string just before one of its methods is taken.
type boundText struct {
	starlark.Value
	text   starlark.String // the same
	bounds *Bounds
}

// AttrNames are the string's.
func (t *boundText) AttrNames() []string { return t.text.AttrNames() }

// growing says whether a method of that name can make something much larger
// than its string.
func growing(name string) bool {
	switch name {
	case "join", "replace", "format", "split", "rsplit", "splitlines":
		return true
	}
	return false
}

// Attr gives the string's own methods, held against the bounds.
func (t *boundText) Attr(name string) (starlark.Value, error) {
	own, err := t.text.Attr(name)
	if method, ok := own.(*starlark.Builtin); ok && err == nil {
		return &boundMethod{Builtin: method, text: string(t.text), bounds: t.bounds}, nil
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
		err = c.format()
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
	case c.method == "splitlines":
		parts = strings.Count(c.s, sep) + 1
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

// format counts what every field of the format would take.
func (c *boundCall) format() error {
	size := int64(len(c.s))
	if err := c.show(); err != nil {
		return err
	}
	next := 0
	for rest := c.s; ; {
		_, after, found := strings.Cut(rest, "{")
		if !found {
			break
		}
		if strings.HasPrefix(after, "{") {
			rest = after[1:]
			continue
		}
		field, after, found := strings.Cut(after, "}")
		if !found {
			break
		}
		rest = after
		name := field[:len(field)-len(strings.TrimLeft(field, "0123456789_abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"))]
		if end := strings.IndexAny(field, "!:"); end >= 0 {
			name = field[:end]
		}
		n := textSize(c.field(name, &next))
		if strings.HasSuffix(field, "!r") {
			n *= 4 // every byte escaped
		}
		size += n
		if size > c.bounds.Most() {
			break
		}
	}
	return c.bounds.allow("string", size)
}

// field is the argument that a field of a format names; nil when there is none.
func (c *boundCall) field(name string, next *int) starlark.Value {
	i := *next
	if name == "" {
		*next++
	} else if n, err := strconv.Atoi(name); err == nil {
		i = n
	} else {
		for _, kw := range c.kwargs {
			if string(kw[0].(starlark.String)) == name {
				return kw[1]
			}
		}
		return nil
	}
	if i < 0 || i >= len(c.args) {
		return nil
	}
	return c.args[i]
}

// show writes out the arguments whose text has no bound of its own.
func (c *boundCall) show() error {
	args := append(starlark.Tuple(nil), c.args...)
	kwargs := append([]starlark.Tuple(nil), c.kwargs...)
	for i, v := range args {
		shown, err := c.bounds.shown(v)
		if err != nil {
			return err
		}
		args[i] = shown
	}
	for i, kw := range kwargs {
		shown, err := c.bounds.shown(kw[1])
		if err != nil {
			return err
		}
		kwargs[i] = starlark.Tuple{kw[0], shown}
	}
	c.args, c.kwargs = args, kwargs
	return nil
}

// shownValue is a value whose text was made already.
type shownValue struct {
	starlark.Value
	text string
}

func (s shownValue) String() string { return s.text }

// shown is v, a container with its text made within the bounds: the
// interpreter's own writing has neither a bound nor an end on what holds itself
// many times over. A float gets the text that we write everywhere.
func (b *Bounds) shown(v starlark.Value) (starlark.Value, error) {
	switch v.(type) {
	case starlark.Float, *starlark.List, starlark.Tuple, *starlark.Dict, *starlark.Set, *structure, *object:
		w := writer{most: int(b.Most())}
		if err := w.write(v); err == errFull {
			return nil, b.allow("string", b.Most()+1)
		} else if err != nil {
			return nil, err
		}
		return shownValue{v, w.out.String()}, nil
	}
	return v, nil
}

// textSize is about how many bytes v takes as text.
func textSize(v starlark.Value) int64 {
	switch v := v.(type) {
	case nil:
		return 0
	case starlark.String:
		return int64(len(v))
	case starlark.Bytes:
		return 4 * int64(len(v))
	case starlark.Int:
		return int64(v.BigInt().BitLen())/3 + 2
	case shownValue:
		return int64(len(v.text))
	}
	return 32
}

// checkFormat holds `format % y` against the bounds and writes out what of y has
// no bound of its own, or what the interpreter writes otherwise than we do.
func (b *Bounds) checkFormat(format string, y starlark.Value) (starlark.Value, error) {
	size := int64(len(format))
	quoted := int64(1)
	if strings.Contains(format, "%r") {
		quoted = 4
	}
	switch v := y.(type) {
	case starlark.Tuple:
		out := v
		var letters []byte
		for i, x := range v {
			if _, is := x.(starlark.Float); is && letters == nil {
				letters, _ = conversions(format)
			}
			shown, err := b.shownAs(x, letters, i)
			if err != nil {
				return nil, err
			}
			if _, is := shown.(shownValue); is {
				if &out[0] == &v[0] {
					out = slices.Clone(v)
				}
				out[i] = shown
			}
			size += textSize(shown) * quoted
		}
		return out, b.allow("string", size)
	case *starlark.Dict:
		plain, named := conversions(format)
		if len(named) > 0 {
			return &namedValues{v, b, named, 0}, b.allow("string", size+b.namedSize(format, v)*quoted)
		}
		if len(plain) == 0 { // as in Python, a dict need not be used
			return starlark.Tuple{}, b.allow("string", size)
		}
	case starlark.Float:
		letters, _ := conversions(format)
		return b.shownAs(v, letters, 0)
	}
	shown, err := b.shown(y)
	if err != nil {
		return nil, err
	}
	return shown, b.allow("string", size+textSize(shown)*quoted)
}

// shownAs is shown for the conversion of that index: a number is written out
// only where its text is what is wanted.
func (b *Bounds) shownAs(v starlark.Value, letters []byte, i int) (starlark.Value, error) {
	if _, is := v.(starlark.Float); is && (i >= len(letters) || letters[i] != 's' && letters[i] != 'r') {
		return v, nil
	}
	return b.shown(v)
}

// conversions are the letters of the conversions in a format, in their order:
// of `%s` in plain, of `%(name)s` in named.
func conversions(format string) (plain, named []byte) {
	for {
		_, after, found := strings.Cut(format, "%")
		if !found {
			return plain, named
		}
		if strings.HasPrefix(after, "%") {
			format = after[1:]
			continue
		}
		to := &plain
		if strings.HasPrefix(after, "(") {
			to = &named
			_, after, _ = strings.Cut(after, ")")
		}
		if after == "" { // the interpreter complains of it
			*to = append(*to, 0)
			return plain, named
		}
		*to = append(*to, after[0])
		format = after[1:]
	}
}

// namedValues is the dict of one `format % dict`. The interpreter asks it once
// for each conversion, in their order.
type namedValues struct {
	*starlark.Dict
	bounds  *Bounds
	letters []byte
	next    int
}

// Get implements starlark.Mapping.
func (n *namedValues) Get(key starlark.Value) (v starlark.Value, found bool, err error) {
	v, found, err = n.Dict.Get(key)
	if !found || err != nil {
		return v, found, err
	}
	v, err = n.bounds.shownAs(v, n.letters, n.next)
	n.next++
	return v, err == nil, err
}

// namedSize is about what the %(name)s of a format take.
func (b *Bounds) namedSize(format string, values *starlark.Dict) (size int64) {
	for size <= b.Most() {
		_, after, found := strings.Cut(format, "%(")
		if !found {
			break
		}
		name, after, found := strings.Cut(after, ")")
		if !found {
			break
		}
		format = after
		v, _, _ := values.Get(starlark.String(name)) // a missing one is the operator's to complain of
		if shown, err := b.shown(v); err == nil {
			size += textSize(shown)
		} else {
			size = b.Most() + 1
		}
	}
	return size
}
