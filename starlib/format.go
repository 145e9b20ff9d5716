package starlib

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"go.starlark.net/starlark"

	"perago/starlib/diag"
)

// Formats as Python has them: the operator `%` of a string, s.format, and the
// layout of one value, which both are made of.

const (
	codeFormat diag.Code = "P4216" // a format that is none, or does not fit its values

	// maxWidth bounds the width and the precision of a format.
	maxWidth = 1_000_000
)

// layout is how one value is to be written: Python's format specification.
type layout struct {
	fill      rune // pads up to width; 0 is a space
	align     byte // '<', '>', '^', '=' (between sign and digits); 0 is that of the type
	zeros     bool // 0 before the width: '=' is the alignment of a number
	sign      byte // '+', '-' or ' '; 0 is '-'
	noMinus   bool // z: no minus before what is rounded to zero
	alternate bool // #
	width     int  // in characters
	precision int  // -1 is none
	group     byte // between groups of digits: ',', '_' or 0
	verb      byte // 0 is none
}

// uncounted is the size, in bytes, up to which a text is written as it comes. A
// larger one is counted first and written once more at its full size, so that
// it is refused before it is made, and never held twice while it grows.
const uncounted = 256 << 10

// formatter makes one text.
type formatter struct {
	bounds   *Bounds
	tick     func() error // called for every item of what is shown; nil is none
	ints     intBits
	out      strings.Builder
	size     int64 // of what was written or counted, in bytes
	counting bool  // nothing is written any more
	counted  bool  // the size is known to be allowed, and there is room for it
}

// finish makes the text that write writes.
func (f *formatter) finish(write func(*formatter) error) (starlark.Value, error) {
	if err := write(f); err != nil {
		return nil, err
	}
	if err := f.bounds.allow("string", f.size); err != nil {
		return nil, err
	}
	if f.counting {
		again := &formatter{bounds: f.bounds, tick: f.tick, counted: true}
		again.out.Grow(int(f.size))
		if err := write(again); err != nil {
			return nil, err
		}
		f = again
	}
	return starlark.String(f.out.String()), nil
}

// formatProblem is a complaint of a format.
func formatProblem(hint, format string, args ...any) *diag.Problem {
	return &diag.Problem{Code: codeFormat, Message: fmt.Sprintf(format, args...), Hint: hint}
}

// room says whether that many bytes more may be written.
func (f *formatter) room(bytes int) error {
	size := f.size + int64(bytes)
	if size <= f.bounds.Most()/2 {
		return nil
	}
	return f.bounds.allow("string", size)
}

// add counts that many bytes more, and says whether they are to be written.
func (f *formatter) add(bytes int) (write bool, err error) {
	if err := f.room(bytes); err != nil {
		return false, err
	}
	f.size += int64(bytes)
	if f.size > uncounted && !f.counted && !f.counting {
		f.counting = true
		f.out.Reset()
	}
	return !f.counting, nil
}

func (f *formatter) write(s string) error {
	write, err := f.add(len(s))
	if write {
		f.out.WriteString(s)
	}
	return err
}

// pad writes the fill of a layout n times.
func (f *formatter) pad(l *layout, n int) error {
	if n <= 0 {
		return nil
	}
	fill := l.fill
	if fill == 0 {
		fill = ' '
	}
	write, err := f.add(n * utf8.RuneLen(fill))
	for range n {
		if !write {
			break
		}
		f.out.WriteRune(fill)
	}
	return err
}

// padded writes text, which is that many characters, with its fill on one side
// or on both.
func (f *formatter) padded(l *layout, align byte, text string, characters int) error {
	before, after := 0, 0
	switch missing := max(l.width-characters, 0); align {
	case '<':
		after = missing
	case '^':
		before = missing / 2
		after = missing - before
	default:
		before = missing
	}
	if err := f.pad(l, before); err != nil {
		return err
	}
	if err := f.write(text); err != nil {
		return err
	}
	return f.pad(l, after)
}

// text writes a text, cut to the precision.
func (f *formatter) text(l *layout, text string) error {
	if l.precision >= 0 {
		text = text[:byteIndex(text, l.precision)]
	}
	if l.width == 0 {
		return f.write(text)
	}
	align := l.align
	if align == 0 {
		align = '<'
	}
	return f.padded(l, align, text, utf8.RuneCountInString(text))
}

// number writes a number: its digits before the point, which are grouped, and
// the rest as it is.
func (f *formatter) number(l *layout, negative bool, prefix, digits, rest string) error {
	sign := ""
	switch {
	case negative:
		sign = "-"
	case l.sign == '+' || l.sign == ' ':
		sign = string(l.sign)
	}
	align := l.align
	if align == 0 && l.zeros {
		align = '='
	}
	around := len(sign) + len(prefix) + len(rest)
	if l.group != 0 && digits != "" {
		fill := 0
		if l.fill == '0' && align == '=' {
			fill = l.width - around
		}
		if err := f.room(2 * max(len(digits), fill)); err != nil {
			return err
		}
		size := 3
		if strings.IndexByte("boxX", l.verb) >= 0 {
			size = 4
		}
		digits = groupDigits(digits, string(l.group), size, fill)
	}
	if align != '=' {
		return f.padded(l, align, sign+prefix+digits+rest, around+len(digits))
	}
	if err := f.write(sign + prefix); err != nil {
		return err
	}
	return f.padded(l, '>', digits+rest, around+len(digits))
}

// groupDigits is digits with sep between groups of that size, and with zeros before
// them up to a width.
func groupDigits(digits, sep string, size, width int) string {
	count := len(digits) // of the digits with their zeros
	for count+(count-1)/size < width {
		count++
	}
	var out strings.Builder
	out.Grow(count + (count-1)/size*len(sep))
	zeros := count - len(digits)
	for i := range count {
		if i > 0 && (count-i)%size == 0 {
			out.WriteString(sep)
		}
		if i < zeros {
			out.WriteByte('0')
		} else {
			out.WriteByte(digits[i-zeros])
		}
	}
	return out.String()
}

// int writes an int under d, b, o, x or X, with at least that many digits.
func (f *formatter) int(l *layout, v starlark.Int, least int) error {
	base, prefix := 10, ""
	switch l.verb {
	case 'b':
		base, prefix = 2, "0b"
	case 'o':
		base, prefix = 8, "0o"
	case 'x':
		base, prefix = 16, "0x"
	case 'X':
		base, prefix = 16, "0X"
	}
	if !l.alternate {
		prefix = ""
	}
	if err := f.ints.add(v); err != nil {
		return err
	}
	digits := intText(v, base)
	negative := digits[0] == '-'
	if negative {
		digits = digits[1:]
	}
	if l.verb == 'X' {
		digits = strings.ToUpper(digits)
	}
	if missing := least - len(digits); missing > 0 {
		if err := f.room(missing); err != nil {
			return err
		}
		digits = strings.Repeat("0", missing) + digits
	}
	return f.number(l, negative, prefix, digits, "")
}

// character writes the character of a code point.
func (f *formatter) character(l *layout, v starlark.Int) error {
	point, err := starlark.AsInt32(v)
	if err != nil || point < 0 || point > utf8.MaxRune {
		p := formatProblem("", "the character of a number")
		p.Found, p.Wanted = brief(v, 20), "a code point from 0 to 0x10ffff"
		return p
	}
	return f.text(&layout{fill: l.fill, align: l.align, width: l.width, precision: -1}, string(rune(point)))
}

// value writes v as text, a string as it is or, quoted, as repr.
func (f *formatter) value(l *layout, v starlark.Value, quoted bool) error {
	if s, ok := v.(starlark.String); ok && !quoted {
		return f.text(l, string(s))
	}
	shown, err := f.show(v)
	if err != nil {
		return err
	}
	return f.text(l, shown)
}

// show is repr(v), made within the bounds: the interpreter's own writing has
// neither a bound nor an end on what holds itself many times over.
func (f *formatter) show(v starlark.Value) (string, error) {
	w := writer{most: int(f.bounds.Most()), tick: f.tick, ints: f.ints}
	err := w.write(v)
	f.ints = w.ints
	if err == errFull {
		err = f.bounds.allow("string", f.bounds.Most()+1)
	}
	return w.out.String(), err
}

// floatOf is a number as a float.
func floatOf(v starlark.Value) (float64, error) {
	x, ok := starlark.AsFloat(v)
	if _, isInt := v.(starlark.Int); ok && isInt && (x-x != 0) {
		return 0, formatProblem("`%d` and `{:d}` write an int of any size", "the int is too large for a float")
	}
	return x, nil
}

// The operator `%` of a string: flags, width and precision, `*`, and `%(name)s`
// of a dict.

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
		return nil, formatProblem("give a dict: `\"%(name)s\" % {\"name\": \"x\"}`", "`%s` wants a dict, and gets %s", brief(starlark.String(c.source), 40), diag.TypeName(p.all))
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
	return formatProblem(hint, "the format wants %s, and gets %d", diag.Plural(len(wants), "value"), len(p.tuple))
}

// star is the value of a `*`.
func (p *percentValues) star() (int, error) {
	v, err := p.next()
	if err != nil {
		return 0, err
	}
	n, isInt := v.(starlark.Int)
	if !isInt {
		return 0, formatProblem("", "a `*` of the format wants an int, and gets %s", diag.TypeName(v))
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
	if err := c.check(diag.TypeName(v)); err != nil {
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

// The method s.format, with Python's format specification for strings, ints
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
			return "", 0, "", formatProblem("`!r` writes a value as repr does, `!s` as str does", "`!%s` is no conversion", diag.Shorten(before))
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
		return 0, formatProblem("give the value itself: `\"{}\".format(x.name)`", "`{%s}`: a field takes an argument, not a member or an item of it", diag.Shorten(name))
	case strings.ContainsAny(name, "{}"):
		return 0, formatProblem("a field within a field stands after its colon: `{:{width}}`", "`{%s}` is no name of an argument", diag.Shorten(name))
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
	return nil, formatProblem(bracesHint, "the text has `{%s}`, and no argument has that name", diag.Shorten(name))
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
		if err := l.check(spec, diag.TypeName(v)); err != nil {
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
		return l, formatProblem(layoutHint, "`{:%s}` is no format", diag.Shorten(spec))
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
		return formatProblem(hint, "`{:%s}`: %s, and the value is %s", diag.Shorten(spec), what, kind)
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

// intText writes an int in a base.
func intText(v starlark.Int, base int) string {
	if n, ok := v.Int64(); ok {
		return strconv.FormatInt(n, base)
	}
	return v.BigInt().Text(base)
}

// float writes a float under e, f, g or %, or under no verb: as many digits as
// are read back as the same float, and always as a float.
func (f *formatter) float(l *layout, x float64) error {
	verb, precision := l.verb|0x20, l.precision
	percent := l.verb == '%'
	dotZero := false
	switch {
	case l.verb == 0 && precision < 0:
		verb, dotZero = 'r', true
	case l.verb == 0:
		verb, dotZero = 'g', true
	case percent:
		verb = 'f'
		x *= 100
	case l.verb == 'n':
		verb = 'g'
	}
	if precision < 0 {
		precision = 6
	}
	if err := f.room(2 * precision); err != nil {
		return err
	}
	negative := math.Signbit(x) && !math.IsNaN(x)
	digits, rest := floatParts(math.Abs(x), verb, precision, l.alternate, dotZero)
	if negative && l.noMinus && strings.Trim(digits, "0") == "" && !strings.ContainsAny(mantissa(rest), "123456789in") {
		negative = false
	}
	if 'A' <= l.verb && l.verb <= 'Z' {
		rest = strings.ToUpper(rest)
	}
	if percent {
		rest += "%"
	}
	return f.number(l, negative, "", digits, rest)
}

// mantissa is what stands before the exponent.
func mantissa(s string) string {
	before, _, _ := strings.Cut(s, "e")
	return before
}

// floatParts writes a float that is not negative: its digits before the point,
// and what follows. Verbs are e, f, g and r (the shortest that is read back as
// the same). dotZero makes a float of what would look like an int.
func floatParts(x float64, verb byte, precision int, alternate, dotZero bool) (digits, rest string) {
	switch {
	case math.IsNaN(x):
		return "", "nan"
	case math.IsInf(x, 0):
		return "", "inf"
	}
	var all string // all digits, without leading zeros
	var point int  // where the point stands in them
	switch verb {
	case 'f':
		s := strconv.FormatFloat(x, 'f', precision, 64)
		whole, part, _ := strings.Cut(s, ".")
		if part != "" || alternate {
			part = "." + part
		}
		return whole, part
	case 'e':
		all, point = scientific(x, precision)
	case 'g':
		precision = max(precision, 1)
		all, point = scientific(x, precision-1)
		if !alternate {
			all = strings.TrimRight(all, "0")
		}
	case 'r':
		all, point = scientific(x, -1)
	}
	if all == "" {
		all = "0"
	}
	most := 16
	if verb == 'g' {
		most = precision
		if dotZero {
			most--
		}
	}
	exponent := ""
	if verb == 'e' || point <= -4 || point > most {
		exponent = exponentText(point - 1)
		point = 1
	}
	switch {
	case point <= 0:
		all = strings.Repeat("0", 1-point) + all
		point = 1
	case point > len(all):
		all += strings.Repeat("0", point-len(all))
	}
	digits, rest = all[:point], all[point:]
	switch {
	case rest == "" && dotZero && exponent == "":
		rest = ".0"
	case rest != "" || alternate:
		rest = "." + rest
	}
	return digits, rest + exponent
}

// scientific is the digits of a float, one and that many more, and where the
// point stands in them.
func scientific(x float64, more int) (digits string, point int) {
	s := strconv.FormatFloat(x, 'e', more, 64)
	mantissa, exponent, _ := strings.Cut(s, "e")
	point, _ = strconv.Atoi(exponent) // it is a number, as FormatFloat writes it
	return strings.Replace(mantissa, ".", "", 1), point + 1
}

func exponentText(n int) string {
	sign := "+"
	if n < 0 {
		sign, n = "-", -n
	}
	if n < 10 {
		sign += "0"
	}
	return "e" + sign + strconv.Itoa(n)
}
