package starlib

// JSON text into a tree, bounded: what comes from outside may be nested without
// end, name a key twice, or hold a number that costs a machine its memory.

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"perago/starlib/diag"
)

// maxNumberLength bounds the characters of one number.
const maxNumberLength = 1000

// jsonTree is one JSON value. plain is what the validator looks at: nil, bool,
// string, json.Number, []any or map[string]any; numbers are as they were written.
type jsonTree struct {
	plain any
	inner *jsonInner // of an array or an object, else nil
}

// jsonInner is the content of an array, or of an object in the order of its text.
type jsonInner struct {
	keys  []string // of an object, nil for an array
	items []jsonTree
}

// jsonError says why a text was refused, and where. It shows at most one byte of
// the text, since the text may hold a secret.
type jsonError struct {
	code   diag.Code
	path   []string // to the value that was being read, innermost step first
	offset int      // bytes into the text
	reason string   // "unexpected '}'"
}

func (e *jsonError) Error() string {
	return fmt.Sprintf("%s at byte %d", e.reason, e.offset)
}

// decodeJSON reads one JSON value (RFC 8259) and nothing after it. Refused are
// nesting beyond maxDepth, a key that an object has twice (readers disagree on
// which one counts), text that is not UTF-8, and a number that is longer than
// maxNumberLength or out of a float's range.
func decodeJSON(text []byte) (jsonTree, *jsonError) {
	d := decoder{text: text}
	tree, err := d.value(0)
	if err == nil {
		d.space()
		if d.at < len(d.text) {
			err = d.errorf("P3101", "unexpected %s after the value", d.here())
		}
	}
	if err != nil {
		return jsonTree{}, err
	}
	return tree, nil
}

type decoder struct {
	text []byte
	at   int
}

// wanted is what would have been read instead.
func (e *jsonError) wanted() string {
	switch e.code {
	case "P3102":
		return fmt.Sprintf("at most %d", maxDepth)
	case "P3103":
		return "each key once"
	case "P3104":
		return "a number that a float or an int can hold"
	}
	return "JSON"
}

func (d *decoder) errorf(code diag.Code, format string, args ...any) *jsonError {
	return &jsonError{code: code, offset: d.at, reason: fmt.Sprintf(format, args...)}
}

// here names the character the decoder stands before.
func (d *decoder) here() string {
	if d.at >= len(d.text) {
		return "end of text"
	}
	if r, size := utf8.DecodeRune(d.text[d.at:]); r != utf8.RuneError || size > 1 {
		return strconv.QuoteRune(r)
	}
	return fmt.Sprintf("byte 0x%02x", d.text[d.at])
}

func (d *decoder) space() {
	for d.at < len(d.text) {
		switch d.text[d.at] {
		case ' ', '\t', '\n', '\r':
			d.at++
		default:
			return
		}
	}
}

func (d *decoder) peek() byte {
	d.space()
	if d.at < len(d.text) {
		return d.text[d.at]
	}
	return 0
}

func (d *decoder) value(depth int) (jsonTree, *jsonError) {
	switch c := d.peek(); {
	case c == '{' || c == '[':
		if depth == maxDepth {
			return jsonTree{}, d.errorf("P3102", "nested deeper than %d", maxDepth)
		}
		d.at++
		if c == '{' {
			return d.object(depth + 1)
		}
		return d.array(depth + 1)
	case c == '"':
		s, err := d.string()
		return jsonTree{plain: s}, err
	case c == '-' || '0' <= c && c <= '9':
		return d.number()
	case c == 't':
		return d.word("true", true)
	case c == 'f':
		return d.word("false", false)
	case c == 'n':
		return d.word("null", nil)
	}
	return jsonTree{}, d.errorf("P3101", "unexpected %s", d.here())
}

func (d *decoder) word(word string, v any) (jsonTree, *jsonError) {
	if !strings.HasPrefix(string(d.text[d.at:min(len(d.text), d.at+len(word))]), word) {
		return jsonTree{}, d.errorf("P3101", "unexpected %s", d.here())
	}
	d.at += len(word)
	return jsonTree{plain: v}, nil
}

func (d *decoder) array(depth int) (jsonTree, *jsonError) {
	inner := &jsonInner{}
	plain := []any{}
	if d.peek() == ']' {
		d.at++
		return jsonTree{plain: plain, inner: inner}, nil
	}
	for {
		item, err := d.value(depth)
		if err != nil {
			err.path = append(err.path, strconv.Itoa(len(plain)))
			return jsonTree{}, err
		}
		inner.items = append(inner.items, item)
		plain = append(plain, item.plain)
		switch d.peek() {
		case ',':
			d.at++
		case ']':
			d.at++
			return jsonTree{plain: plain, inner: inner}, nil
		default:
			return jsonTree{}, d.errorf("P3101", "unexpected %s in an array, want `,` or `]`", d.here())
		}
	}
}

func (d *decoder) object(depth int) (jsonTree, *jsonError) {
	inner := &jsonInner{}
	plain := map[string]any{}
	if d.peek() == '}' {
		d.at++
		return jsonTree{plain: plain, inner: inner}, nil
	}
	for {
		if d.peek() != '"' {
			return jsonTree{}, d.errorf("P3101", "unexpected %s, want a key in double quotes", d.here())
		}
		start := d.at
		key, err := d.string()
		if err != nil {
			return jsonTree{}, err
		}
		if _, twice := plain[key]; twice {
			d.at = start
			err := d.errorf("P3103", "the key is there twice")
			err.path = append(err.path, key)
			return jsonTree{}, err
		}
		if d.peek() != ':' {
			return jsonTree{}, d.errorf("P3101", "unexpected %s after a key, want `:`", d.here())
		}
		d.at++
		item, err := d.value(depth)
		if err != nil {
			err.path = append(err.path, key)
			return jsonTree{}, err
		}
		inner.keys = append(inner.keys, key)
		inner.items = append(inner.items, item)
		plain[key] = item.plain
		switch d.peek() {
		case ',':
			d.at++
		case '}':
			d.at++
			return jsonTree{plain: plain, inner: inner}, nil
		default:
			return jsonTree{}, d.errorf("P3101", "unexpected %s in an object, want `,` or `}`", d.here())
		}
	}
}

func (d *decoder) number() (jsonTree, *jsonError) {
	start := d.at
	digits := func() int {
		from := d.at
		for d.at < len(d.text) && '0' <= d.text[d.at] && d.text[d.at] <= '9' {
			d.at++
		}
		return d.at - from
	}
	next := func() byte {
		if d.at < len(d.text) {
			return d.text[d.at]
		}
		return 0
	}
	if next() == '-' {
		d.at++
	}
	leading := d.at
	if n := digits(); n == 0 || n > 1 && d.text[leading] == '0' {
		d.at = leading
		return jsonTree{}, d.errorf("P3101", "a number that starts with %s", d.here())
	}
	whole := true
	if next() == '.' {
		whole = false
		d.at++
		if digits() == 0 {
			return jsonTree{}, d.errorf("P3101", "unexpected %s in a number, want a digit", d.here())
		}
	}
	if c := next(); c == 'e' || c == 'E' {
		whole = false
		d.at++
		if c := next(); c == '+' || c == '-' {
			d.at++
		}
		if digits() == 0 {
			return jsonTree{}, d.errorf("P3101", "unexpected %s in a number, want a digit", d.here())
		}
	}
	literal := string(d.text[start:d.at])
	if reason := unfitNumber(literal, whole); reason != "" {
		d.at = start
		return jsonTree{}, d.errorf("P3104", "%s", reason)
	}
	return jsonTree{plain: json.Number(literal)}, nil
}

// unfitNumber says why a literal is not read, "" when it is. Exact arithmetic on
// 1e-1000000000 alone would take all memory, so the range is looked at first.
func unfitNumber(literal string, whole bool) string {
	if len(literal) > maxNumberLength {
		return fmt.Sprintf("a number of more than %d characters", maxNumberLength)
	}
	if whole {
		return ""
	}
	f, err := strconv.ParseFloat(literal, 64)
	if err != nil {
		return "a number beyond the range of a float"
	}
	mantissa, _, _ := strings.Cut(strings.ToLower(literal), "e")
	if f == 0 && strings.ContainsAny(mantissa, "123456789") {
		return "a number closer to zero than a float can be"
	}
	return ""
}

// string reads a string; d stands before its opening quote.
func (d *decoder) string() (string, *jsonError) {
	d.at++
	start := d.at
	for d.at < len(d.text) {
		switch c := d.text[d.at]; {
		case c == '"':
			s := string(d.text[start:d.at])
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
func (d *decoder) escaped(start int) (string, *jsonError) {
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
func (d *decoder) escape() (rune, bool) {
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
func (d *decoder) unit(at int) (rune, bool) {
	if at+6 > len(d.text) || d.text[at] != '\\' || d.text[at+1] != 'u' {
		return 0, false
	}
	n, err := strconv.ParseUint(string(d.text[at+2:at+6]), 16, 16)
	return rune(n), err == nil
}
