package starlib

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"go.starlark.net/starlark"

	"perago/starlib/diag"
)

// This file writes one value as a format wants it, as Python does: what both
// `%` (formatpercent.go) and s.format (formatbraces.go) are made of.

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
