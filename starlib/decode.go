package starlib

// JSON text, bounded: what comes from outside may be nested without end, name a
// key twice, or hold a number that costs a machine its memory. The decoder finds
// the values, a builder says what is made of them: a tree to validate
// (jsontree.go), or what json.decode gives (jsonvalue.go).

import (
	"fmt"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"perago/starlib/diag"
)

// maxNumberLength bounds the characters of one number.
const maxNumberLength = 1000

// jsonError says why a text was refused, and where. It shows at most one byte of
// the text, since the text may hold a secret.
type jsonError struct {
	code   diag.Code
	path   []string // to the value that was being read, innermost step first
	offset int      // bytes into the text
	reason string   // "unexpected '}'"
	cause  error    // not nil: tick's, and nothing else is set
}

func (e *jsonError) Error() string {
	return fmt.Sprintf("%s at byte %d", e.reason, e.offset)
}

// builder makes a T of every value of a text. An error is the complaint of that
// value.
type builder[T any] interface {
	word(v any) T // nil, true, false
	text(s string) T
	number(literal string, whole bool) (T, *jsonError)
	array(items []T) T
	object() objectBuilder[T]
}

// objectBuilder takes the members of one object in their order.
type objectBuilder[T any] interface {
	// twice says whether key is refused, since it was set before.
	twice(key string) bool
	set(key string, item T)
	done() T
}

// decoder reads one text.
type decoder[T any] struct {
	text  string
	at    int // offset into text
	build builder[T]
	tick  func() error // called for every value; nil is none
}

// whole reads one JSON value (RFC 8259) and nothing after it. Refused are
// nesting beyond maxDepth, text that is not UTF-8, and what the builder refuses.
func (d *decoder[T]) whole() (T, *jsonError) {
	v, err := d.value(0)
	if err == nil {
		d.space()
		if d.at < len(d.text) {
			err = d.errorf("P3101", "unexpected %s after the value", d.here())
		}
	}
	return v, err
}

// wanted is what would have been read instead.
func (e *jsonError) wanted() string {
	switch e.code {
	case "P3102":
		return fmt.Sprintf("at most %d", maxDepth)
	case "P3103":
		return "each key once"
	case "P3104":
		return "what a value of the language can hold"
	}
	return "JSON"
}

func (d *decoder[T]) errorf(code diag.Code, format string, args ...any) *jsonError {
	return &jsonError{code: code, offset: d.at, reason: fmt.Sprintf(format, args...)}
}

// here names the character the decoder stands before.
func (d *decoder[T]) here() string {
	if d.at >= len(d.text) {
		return "end of text"
	}
	if r, size := utf8.DecodeRuneInString(d.text[d.at:]); r != utf8.RuneError || size > 1 {
		return strconv.QuoteRune(r)
	}
	return fmt.Sprintf("byte 0x%02x", d.text[d.at])
}

func (d *decoder[T]) space() {
	for d.at < len(d.text) {
		switch d.text[d.at] {
		case ' ', '\t', '\n', '\r':
			d.at++
		default:
			return
		}
	}
}

func (d *decoder[T]) peek() byte {
	d.space()
	if d.at < len(d.text) {
		return d.text[d.at]
	}
	return 0
}

func (d *decoder[T]) value(depth int) (v T, err *jsonError) {
	c := d.peek()
	if d.tick != nil {
		if cause := d.tick(); cause != nil {
			return v, &jsonError{cause: cause}
		}
	}
	switch {
	case c == '{' || c == '[':
		if depth == maxDepth {
			return v, d.errorf("P3102", "arrays and objects nested deeper than %d", maxDepth)
		}
		d.at++
		if c == '{' {
			return d.object(depth + 1)
		}
		return d.array(depth + 1)
	case c == '"':
		s, err := d.string()
		if err != nil {
			return v, err
		}
		return d.build.text(s), nil
	case c == '-' || '0' <= c && c <= '9':
		return d.number()
	case c == 't':
		return d.word("true", true)
	case c == 'f':
		return d.word("false", false)
	case c == 'n':
		return d.word("null", nil)
	}
	return v, d.errorf("P3101", "unexpected %s", d.here())
}

func (d *decoder[T]) word(word string, is any) (v T, err *jsonError) {
	if !strings.HasPrefix(d.text[d.at:], word) {
		return v, d.errorf("P3101", "unexpected %s", d.here())
	}
	d.at += len(word)
	return d.build.word(is), nil
}

func (d *decoder[T]) array(depth int) (v T, err *jsonError) {
	var items []T
	if d.peek() == ']' {
		d.at++
		return d.build.array(items), nil
	}
	for {
		item, err := d.value(depth)
		if err != nil {
			err.path = append(err.path, strconv.Itoa(len(items)))
			return v, err
		}
		items = append(items, item)
		switch d.peek() {
		case ',':
			d.at++
		case ']':
			d.at++
			return d.build.array(items), nil
		default:
			return v, d.errorf("P3101", "unexpected %s in an array, want `,` or `]`", d.here())
		}
	}
}

func (d *decoder[T]) object(depth int) (v T, err *jsonError) {
	object := d.build.object()
	if d.peek() == '}' {
		d.at++
		return object.done(), nil
	}
	var keys crowd
	for {
		if d.peek() != '"' {
			return v, d.errorf("P3101", "unexpected %s, want a key in double quotes", d.here())
		}
		start := d.at
		key, err := d.string()
		if err != nil {
			return v, err
		}
		if object.twice(key) {
			d.at = start
			err := d.errorf("P3103", "the same key twice")
			err.path = append(err.path, key)
			return v, err
		}
		if keys.collide(key) {
			return v, d.errorf("P3104", "keys that are made to collide")
		}
		if d.peek() != ':' {
			return v, d.errorf("P3101", "unexpected %s after a key, want `:`", d.here())
		}
		d.at++
		item, err := d.value(depth)
		if err != nil {
			err.path = append(err.path, key)
			return v, err
		}
		object.set(key, item)
		switch d.peek() {
		case ',':
			d.at++
		case '}':
			d.at++
			return object.done(), nil
		default:
			return v, d.errorf("P3101", "unexpected %s in an object, want `,` or `}`", d.here())
		}
	}
}

func (d *decoder[T]) number() (v T, err *jsonError) {
	start := d.at
	if d.next() == '-' {
		d.at++
	}
	leading := d.at
	if n := d.digits(); n == 0 || n > 1 && d.text[leading] == '0' {
		d.at = leading
		return v, d.errorf("P3101", "a number that starts with %s", d.here())
	}
	whole := true
	if d.next() == '.' {
		whole = false
		d.at++
		if d.digits() == 0 {
			return v, d.errorf("P3101", "unexpected %s in a number, want a digit", d.here())
		}
	}
	if c := d.next(); c == 'e' || c == 'E' {
		whole = false
		d.at++
		if c := d.next(); c == '+' || c == '-' {
			d.at++
		}
		if d.digits() == 0 {
			return v, d.errorf("P3101", "unexpected %s in a number, want a digit", d.here())
		}
	}
	literal := d.text[start:d.at]
	if len(literal) > maxNumberLength {
		d.at = start
		return v, d.errorf("P3104", "a number of more than %d characters", maxNumberLength)
	}
	v, err = d.build.number(literal, whole)
	if err != nil {
		err.offset = start
	}
	return v, err
}

// digits skips digits, and says how many.
func (d *decoder[T]) digits() int {
	from := d.at
	for d.at < len(d.text) && '0' <= d.text[d.at] && d.text[d.at] <= '9' {
		d.at++
	}
	return d.at - from
}

// next is the next byte, 0 at the end.
func (d *decoder[T]) next() byte {
	if d.at < len(d.text) {
		return d.text[d.at]
	}
	return 0
}

// string reads a string; d stands before its opening quote.
func (d *decoder[T]) string() (string, *jsonError) {
	d.at++
	start := d.at
	for d.at < len(d.text) {
		switch c := d.text[d.at]; {
		case c == '"':
			s := strings.Clone(d.text[start:d.at]) // not to keep the whole text for it
			if !utf8.ValidString(s) {
				d.at = start
				return "", d.errorf("P3101", "a string that is not UTF-8")
			}
			d.at++
			return s, nil
		case c == '\\':
			return d.escaped(start)
		case c < ' ':
			return "", d.errorf("P3101", "unexpected %s in a string", d.here())
		}
		d.at++
	}
	return "", d.errorf("P3101", "a string without its end")
}

// escaped reads the rest of a string that has a backslash in it.
func (d *decoder[T]) escaped(start int) (string, *jsonError) {
	out := append([]byte(nil), d.text[start:d.at]...)
	for d.at < len(d.text) {
		switch c := d.text[d.at]; {
		case c == '"':
			if !utf8.Valid(out) {
				d.at = start
				return "", d.errorf("P3101", "a string that is not UTF-8")
			}
			d.at++
			return string(out), nil
		case c == '\\':
			r, ok := d.escape()
			if !ok {
				return "", d.errorf("P3101", "a bad escape in a string")
			}
			out = utf8.AppendRune(out, r)
			continue
		case c < ' ':
			return "", d.errorf("P3101", "unexpected %s in a string", d.here())
		default:
			out = append(out, c)
		}
		d.at++
	}
	return "", d.errorf("P3101", "a string without its end")
}

// escape reads one escape. Half of a surrogate pair becomes U+FFFD.
func (d *decoder[T]) escape() (rune, bool) {
	if d.at+1 >= len(d.text) {
		return 0, false
	}
	c := d.text[d.at+1]
	if i := strings.IndexByte(`"\/bfnrt`, c); i >= 0 {
		d.at += 2
		return rune("\"\\/\b\f\n\r\t"[i]), true
	}
	r, ok := d.unit(d.at)
	if !ok {
		return 0, false
	}
	d.at += 6
	if utf16.IsSurrogate(r) {
		if low, ok := d.unit(d.at); ok {
			if both := utf16.DecodeRune(r, low); both != utf8.RuneError {
				d.at += 6
				return both, true
			}
		}
		return utf8.RuneError, true
	}
	return r, true
}

// unit reads the \uXXXX at an offset, without moving.
func (d *decoder[T]) unit(at int) (rune, bool) {
	if at+6 > len(d.text) || d.text[at] != '\\' || d.text[at+1] != 'u' {
		return 0, false
	}
	n, err := strconv.ParseUint(d.text[at+2:at+6], 16, 16)
	return rune(n), err == nil
}
