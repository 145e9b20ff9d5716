package starlib

import (
	"strings"
	"time"
	"unicode/utf8"

	"go.starlark.net/starlark"
)

// This file has s.format, with Python's format specification for strings, ints
// and floats. Any other value is laid out as its text is; a time takes what
// its own format takes.

const (
	bracesHint = "`{}` takes the arguments in their order, `{name}` the keyword of that name; `{{` is a brace"
	layoutHint = "after the colon stand, each if wanted: fill and one of < > ^ =, a sign, #, 0, a width, `,` or `_`, a precision, and one of b c d e f g o s x %"
)

// eachField walks over a format: literal gets what stands between the fields.
func eachField(format string, literal func(string) error, field func(name string, conversion byte, spec string) error) error {
	for format != "" {
		at := strings.IndexAny(format, "{}")
		if at < 0 {
			return literal(format)
		}
		if err := literal(format[:at]); err != nil {
			return err
		}
		brace := format[at]
		format = format[at+1:]
		switch {
		case format != "" && format[0] == brace:
			if err := literal(format[:1]); err != nil {
				return err
			}
			format = format[1:]
			continue
		case brace == '}':
			return formatProblem("write `}}` for a brace", "a `}` of the format has no `{`")
		}
		end := closing(format)
		if end < 0 {
			return formatProblem("write `{{` for a brace", "a `{` of the format has no `}`")
		}
		inside := format[:end]
		format = format[end+1:]
		name, conversion, spec, err := cutField(inside)
		if err != nil {
			return err
		}
		if err := field(name, conversion, spec); err != nil {
			return err
		}
	}
	return nil
}

// closing is where the field ends that s begins with, after its brace; -1: nowhere.
func closing(s string) int {
	depth := 1
	for i := range len(s) {
		switch s[i] {
		case '{':
			depth++
		case '}':
			if depth--; depth == 0 {
				return i
			}
		}
	}
	return -1
}

// cutField takes apart "name!r:spec".
func cutField(inside string) (name string, conversion byte, spec string, err error) {
	end := strings.IndexAny(inside, "!:")
	if end < 0 {
		return inside, 0, "", nil
	}
	name, rest := inside[:end], inside[end:]
	if rest[0] == '!' {
		before, after, _ := strings.Cut(rest[1:], ":")
		if before != "r" && before != "s" {
			return "", 0, "", formatProblem("`!r` writes a value as repr does, `!s` as str does", "`!%s` is no conversion", shorten(before))
		}
		return name, before[0], after, nil
	}
	return name, 0, rest[1:], nil
}

// numbering gives the fields of a format their arguments.
type numbering struct {
	next           int
	counted, given bool // there was a {}, a {0}
}

// index is the number of the argument that a field takes; -1 where it goes by name.
func (n *numbering) index(name string) (int, error) {
	index := -1
	switch i, isNumber := argumentNumber(name); {
	case name == "":
		n.counted = true
		index = n.next
		n.next++
	case isNumber:
		n.given = true
		index = i
	case strings.ContainsAny(name, ".["):
		return 0, formatProblem("give the value itself: `\"{}\".format(x.name)`", "`{%s}`: a field takes an argument, not a member or an item of it", shorten(name))
	case strings.ContainsAny(name, "{}"):
		return 0, formatProblem("a field within a field stands after its colon: `{:{width}}`", "`{%s}` is no name of an argument", shorten(name))
	}
	if n.counted && n.given {
		return 0, formatProblem(bracesHint, "the format has both `{}` and `{0}`")
	}
	return index, nil
}

func argumentNumber(s string) (n int, ok bool) {
	for i := range len(s) {
		if s[i] < '0' || s[i] > '9' || n > maxWidth {
			return 0, false
		}
		n = 10*n + int(s[i]-'0')
	}
	return n, s != ""
}

// braces is one call of s.format.
type braces struct {
	numbering
	args   starlark.Tuple
	kwargs []starlark.Tuple
}

func (b *braces) argument(name string) (starlark.Value, error) {
	i, err := b.index(name)
	if err != nil {
		return nil, err
	}
	if i >= 0 {
		if i >= len(b.args) {
			return nil, formatProblem(bracesHint, "the format wants value %d, and there are %d", i+1, len(b.args))
		}
		return b.args[i], nil
	}
	for _, kw := range b.kwargs {
		if string(kw[0].(starlark.String)) == name {
			return kw[1], nil
		}
	}
	return nil, formatProblem(bracesHint, "the text has `{%s}`, and no argument has that name", shorten(name))
}

// format is the text of a format with its arguments.
func (f *formatter) format(format string, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	return f.finish(func(f *formatter) error {
		return (&braces{args: args, kwargs: kwargs}).write(f, format, 0)
	})
}

// write writes a format; deep is 1 within the specification of another.
func (b *braces) write(f *formatter, format string, deep int) error {
	return eachField(format, f.write, func(name string, conversion byte, spec string) error {
		if deep > 1 {
			return formatProblem(bracesHint, "the fields of a format are nested too deep")
		}
		if f.tick != nil {
			if err := f.tick(); err != nil {
				return err
			}
		}
		v, err := b.argument(name)
		if err != nil {
			return err
		}
		if strings.ContainsAny(spec, "{}") {
			inner := &formatter{bounds: f.bounds, tick: f.tick}
			if err := b.write(inner, spec, deep+1); err != nil {
				return err
			}
			if inner.counting {
				return formatProblem(layoutHint, "the format of a field is too long")
			}
			spec = inner.out.String()
		}
		return f.field(v, conversion, spec)
	})
}

// field writes the value of one field.
func (f *formatter) field(v starlark.Value, conversion byte, spec string) error {
	if conversion == 'r' || conversion == 's' && v.Type() != "string" {
		text, err := f.show(v)
		if err != nil {
			return err
		}
		v = starlark.String(text)
	}
	if t, ok := v.(instant); ok && strings.Contains(spec, "%") {
		text, err := formatTime(time.Time(t), spec)
		if bad, ok := err.(formatError); ok {
			p := formatProblem("", "a time format")
			p.Found, p.Wanted = bad.found, bad.wanted
			return p
		}
		return f.write(text)
	}
	l := layout{precision: -1}
	if spec != "" {
		var err error
		if l, err = readLayout(spec); err != nil {
			return err
		}
		if err := l.check(spec, typeName(v)); err != nil {
			return err
		}
	}
	switch x := v.(type) {
	case starlark.Int:
		switch {
		case l.verb == 'c':
			if l.align == 0 {
				l.align = '>'
			}
			return f.character(&l, x)
		case l.verb == 0 || strings.IndexByte("bdnoxX", l.verb) >= 0:
			return f.int(&l, x, 0)
		}
		n, err := floatOf(x)
		if err != nil {
			return err
		}
		return f.float(&l, n)
	case starlark.Float:
		if spec != "" {
			return f.float(&l, float64(x))
		}
	}
	return f.value(&l, v, false)
}

// readLayout reads a format specification.
func readLayout(spec string) (layout, error) {
	l := layout{precision: -1}
	wrong := func() (layout, error) {
		return l, formatProblem(layoutHint, "`{:%s}` is no format", shorten(spec))
	}
	at := 0
	is := func(chars string) bool { return at < len(spec) && strings.IndexByte(chars, spec[at]) >= 0 }
	if fill, size := utf8.DecodeRuneInString(spec); size < len(spec) && strings.IndexByte("<>^=", spec[size]) >= 0 {
		l.fill, l.align = fill, spec[size]
		at = size + 1
	} else if is("<>^=") {
		l.align = spec[0]
		at = 1
	}
	if is("+- ") {
		l.sign = spec[at]
		at++
	}
	if is("z") {
		l.noMinus = true
		at++
	}
	if is("#") {
		l.alternate = true
		at++
	}
	if is("0") && l.fill == 0 {
		l.zeros, l.fill = true, '0'
		at++
	}
	var err error
	if l.width, at, err = formatSize(spec, at); err != nil {
		return l, err
	}
	if is(",_") {
		l.group = spec[at]
		at++
	}
	if is(".") {
		if at++; !is("0123456789") {
			return wrong()
		}
		if l.precision, at, err = formatSize(spec, at); err != nil {
			return l, err
		}
	}
	if is("bcdeEfFgGnosxX%") {
		l.verb = spec[at]
		at++
	}
	if at < len(spec) {
		return wrong()
	}
	return l, nil
}

// check says whether a value of a type can be laid out so.
func (l *layout) check(spec, kind string) error {
	isInt := kind == "int" && (l.verb == 0 || strings.IndexByte("bcdnoxX", l.verb) >= 0)
	verb := func(verbs string) bool { return l.verb != 0 && strings.IndexByte(verbs, l.verb) >= 0 }
	wrong := func(hint, what string) error {
		return formatProblem(hint, "`{:%s}`: %s, and the value is %s", shorten(spec), what, kind)
	}
	if kind != "int" && kind != "float" {
		switch {
		case l.verb != 0 && l.verb != 's':
			return wrong("", "`"+string(l.verb)+"` is for numbers")
		case l.sign != 0, l.noMinus, l.alternate, l.group != 0, l.align == '=':
			return wrong("", "a sign, `z`, `#`, `,`, `_` and `=` are for numbers")
		}
		return nil
	}
	switch {
	case verb("s"):
		return wrong("leave the `s` out, or write `{!s:...}`", "`s` is for texts")
	case kind == "float" && verb("bcdoxX"):
		return wrong("`{:.0f}` writes a float without digits after the point; int(x) cuts them off", "`"+string(l.verb)+"` is for ints")
	case isInt && l.precision >= 0:
		return wrong("write `f` for digits after the point: `{:.2f}`", "a precision is for floats and texts")
	case isInt && l.noMinus:
		return wrong("", "`z` is for floats")
	case verb("c") && (l.sign != 0 || l.alternate):
		return wrong("", "a sign and `#` do not go with `c`")
	case l.group == ',' && verb("bcnoxX"), l.group == '_' && verb("cn"):
		return wrong("", "`"+string(l.group)+"` does not go with `"+string(l.verb)+"`")
	}
	return nil
}

// BraceValues are the values that s.format wants, in the order of the fields.
func BraceValues(format string) (wants []FormatValue, err error) {
	var n numbering
	var walk func(format string, deep int) error
	walk = func(format string, deep int) error {
		return eachField(format, func(string) error { return nil }, func(name string, conversion byte, spec string) error {
			i, err := n.index(name)
			if err != nil {
				return err
			}
			want := FormatValue{Index: i, fits: func(string) error { return nil }}
			if i < 0 {
				want.Name = name
			}
			at := len(wants)
			wants = append(wants, want)
			switch nested := strings.ContainsAny(spec, "{}"); {
			case nested && deep > 0:
				return formatProblem(bracesHint, "the fields of a format are nested too deep")
			case nested:
				return walk(spec, deep+1)
			case spec == "":
				return nil
			}
			l, err := readLayout(spec)
			if err != nil && strings.Contains(spec, "%") {
				wrong := err
				wants[at].fits = func(kind string) error { // it may be a time's
					if kind == "time.time" && conversion == 0 {
						return CheckTimeFormat(spec)
					}
					return wrong
				}
				return nil
			}
			wants[at].fits = func(kind string) error {
				if conversion != 0 {
					kind = "string"
				}
				return l.check(spec, kind)
			}
			return err
		})
	}
	err = walk(format, 0)
	return wants, err
}
