package starlib

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"go.starlark.net/starlark"
)

// This file has the operator `%` of a string, as in Python: flags, width and
// precision, `*`, and `%(name)s` of a dict.

const percentHint = "`%d` writes an int, `%.2f` a float with two digits, `%s` any value; `%%` is a percent sign"

// conversion is one conversion of a format, "%(name)-8.2f".
type conversion struct {
	layout
	source        string // as it is written
	named         bool
	name          string
	starWidth     bool // the width is a value of its own
	starPrecision bool
}

// nextConversion cuts a format at its first conversion: what stands before it,
// the conversion (its verb is 0 when there is none), and what follows.
func nextConversion(format string) (before string, c conversion, after string, err error) {
	start := strings.IndexByte(format, '%')
	if start < 0 {
		return format, conversion{}, "", nil
	}
	at := start + 1
	more := func() bool { return at < len(format) }
	c.precision = -1
	c.align = '>'
	if more() && format[at] == '(' {
		end := strings.IndexByte(format[at:], ')')
		if end < 0 {
			return "", c, "", formatProblem("write `%(name)s`; `%%` is a percent sign", "a `%%(` of the format has no `)`")
		}
		c.named, c.name = true, format[at+1:at+end]
		at += end + 1
	}
	for ; more() && strings.IndexByte("-+ #0", format[at]) >= 0; at++ {
		switch format[at] {
		case '-':
			c.align = '<'
		case '+':
			c.sign = '+'
		case ' ':
			if c.sign == 0 {
				c.sign = ' '
			}
		case '#':
			c.alternate = true
		case '0':
			c.zeros = true
		}
	}
	if more() && format[at] == '*' {
		c.starWidth = true
		at++
	} else if c.width, at, err = formatSize(format, at); err != nil {
		return "", c, "", err
	}
	if more() && format[at] == '.' {
		at++
		if more() && format[at] == '*' {
			c.starPrecision = true
			at++
		} else if c.precision, at, err = formatSize(format, at); err != nil {
			return "", c, "", err
		}
	}
	for more() && strings.IndexByte("hlL", format[at]) >= 0 {
		at++
	}
	if !more() {
		return "", c, "", formatProblem(percentHint, "the format ends within a conversion, `%s`", brief(starlark.String(format[start:]), 20))
	}
	verb, size := utf8.DecodeRuneInString(format[at:])
	at += size
	c.source = format[start:at]
	if verb >= utf8.RuneSelf || strings.IndexByte("diouxXeEfFgGcrs%", byte(verb)) < 0 || verb == '%' && c.source != "%%" {
		return "", c, "", formatProblem(percentHint, "`%s` is no conversion", brief(starlark.String(c.source), 20))
	}
	c.verb = byte(verb)
	if verb == 'i' || verb == 'u' {
		c.verb = 'd'
	}
	if c.zeros && c.align == '>' && strings.IndexByte("crs", c.verb) < 0 {
		c.fill, c.align = '0', '='
	}
	return format[:start], c, format[at:], nil
}

// formatSize reads a width or a precision; 0 when there is none.
func formatSize(format string, at int) (size, end int, err error) {
	for ; at < len(format) && '0' <= format[at] && format[at] <= '9'; at++ {
		if size = 10*size + int(format[at]-'0'); size > maxWidth {
			return 0, at, tooWide()
		}
	}
	return size, at, nil
}

func tooWide() error {
	p := formatProblem("", "a width or precision of the format is too large")
	p.Wanted = fmt.Sprintf("at most %d", maxWidth)
	return p
}

// check says whether a conversion takes a value of that type.
func (c *conversion) check(kind string) error {
	wanted := ""
	switch c.verb {
	case 'd', 'o', 'x', 'X', 'e', 'E', 'f', 'F', 'g', 'G':
		if kind != "int" && kind != "float" {
			wanted = "a number"
		}
	case 'c':
		if kind != "int" && kind != "string" {
			wanted = "a character or its code point"
		}
	}
	if wanted == "" {
		return nil
	}
	return formatProblem("write `%s` for any value", "`%s` wants %s, and gets %s", brief(starlark.String(c.source), 20), wanted, kind)
}

// percentValues are the values of one `format % values`.
type percentValues struct {
	format string
	all    starlark.Value
	tuple  starlark.Tuple // all, or all as the one value
	used   int
}

func (p *percentValues) next() (starlark.Value, error) {
	if p.used == len(p.tuple) {
		return nil, p.miscounted()
	}
	p.used++
	return p.tuple[p.used-1], nil
}

// get is the value of a name.
func (p *percentValues) get(c *conversion) (starlark.Value, error) {
	values, ok := p.all.(starlark.Mapping)
	if !ok {
		return nil, formatProblem("give a dict: `\"%(name)s\" % {\"name\": \"x\"}`", "`%s` wants a dict, and gets %s", brief(starlark.String(c.source), 40), typeName(p.all))
	}
	p.used = len(p.tuple)
	v, found, err := values.Get(starlark.String(c.name))
	if err == nil && !found {
		err = formatProblem("", "the format names a key that the dict does not have: %s", brief(starlark.String(c.name), 40))
	}
	return v, err
}

// miscounted is the complaint that there are too few or too many values.
func (p *percentValues) miscounted() error {
	wants, err := PercentValues(p.format)
	if err != nil {
		return err
	}
	hint := "each `%` of the text takes one value: `\"%s %s\" % (a, b)`; a tuple needs `(t,)`; `%%` is a percent sign"
	return formatProblem(hint, "the format wants %s, and gets %d", plural(len(wants), "value"), len(p.tuple))
}

// star is the value of a `*`.
func (p *percentValues) star() (int, error) {
	v, err := p.next()
	if err != nil {
		return 0, err
	}
	n, isInt := v.(starlark.Int)
	if !isInt {
		return 0, formatProblem("", "a `*` of the format wants an int, and gets %s", typeName(v))
	}
	size, ok := n.Int64()
	if !ok || size > maxWidth || size < -maxWidth {
		return 0, tooWide()
	}
	return int(size), nil
}

// percent is format % values.
func (f *formatter) percent(format string, values starlark.Value) (starlark.Value, error) {
	return f.finish(func(f *formatter) error {
		p := &percentValues{format: format, all: values}
		if tuple, ok := values.(starlark.Tuple); ok {
			p.tuple = tuple
		} else {
			p.tuple = starlark.Tuple{values}
		}
		for rest := format; rest != ""; {
			before, c, after, err := nextConversion(rest)
			if err != nil {
				return err
			}
			if err := f.write(before); err != nil {
				return err
			}
			if c.verb != 0 {
				if err := f.convert(&c, p); err != nil {
					return err
				}
			}
			rest = after
		}
		// As in Python, a dict need not be used.
		if _, isMapping := values.(starlark.Mapping); p.used < len(p.tuple) && !isMapping {
			return p.miscounted()
		}
		return nil
	})
}

func (f *formatter) convert(c *conversion, p *percentValues) (err error) {
	if c.verb == '%' {
		return f.write("%")
	}
	var v starlark.Value
	if c.named {
		if v, err = p.get(c); err != nil {
			return err
		}
	}
	if c.starWidth {
		if c.width, err = p.star(); err != nil {
			return err
		}
		if c.width < 0 {
			c.width, c.align = -c.width, '<'
		}
	}
	if c.starPrecision {
		if c.precision, err = p.star(); err != nil {
			return err
		}
		c.precision = max(c.precision, 0)
	}
	if !c.named {
		if v, err = p.next(); err != nil {
			return err
		}
	}
	if err := c.check(typeName(v)); err != nil {
		return err
	}
	switch c.verb {
	case 's', 'r':
		return f.value(&c.layout, v, c.verb == 'r')
	case 'c':
		if s, ok := v.(starlark.String); ok {
			if utf8.RuneCountInString(string(s)) != 1 {
				return formatProblem("write `%s` for any text", "`%s` wants one character, and gets %d", brief(starlark.String(c.source), 20), utf8.RuneCountInString(string(s)))
			}
			c.precision = -1
			return f.text(&c.layout, string(s))
		}
		return f.character(&c.layout, v.(starlark.Int))
	case 'd', 'o', 'x', 'X':
		n, err := starlark.NumberToInt(v)
		if err != nil {
			return formatProblem("", "`%s` wants a number that is finite, and gets %s", brief(starlark.String(c.source), 20), brief(v, 20))
		}
		return f.int(&c.layout, n, c.precision)
	}
	x, err := floatOf(v)
	if err != nil {
		return err
	}
	return f.float(&c.layout, x)
}

// FormatValue is one value that a format wants.
type FormatValue struct {
	Name  string // of a dict's key, or of a keyword; "" where it goes by position
	Index int    // by position, from 0
	fits  func(kind string) error
}

// Fits says whether a value of a type, as type(x) names it, can be written so.
func (v FormatValue) Fits(kind string) error { return v.fits(kind) }

// PercentValues are the values that `format % values` wants, in their order.
func PercentValues(format string) (wants []FormatValue, err error) {
	add := func(name string, fits func(string) error) {
		wants = append(wants, FormatValue{Name: name, Index: len(wants), fits: fits})
	}
	star := func(kind string) error {
		if kind == "int" {
			return nil
		}
		return formatProblem("", "a `*` of the format wants an int, and gets %s", kind)
	}
	for rest := format; rest != ""; {
		_, c, after, err := nextConversion(rest)
		if err != nil {
			return nil, err
		}
		rest = after
		if c.starWidth {
			add("", star)
		}
		if c.starPrecision {
			add("", star)
		}
		if c.verb != 0 && c.verb != '%' {
			add(c.name, c.check)
		}
	}
	return wants, nil
}
