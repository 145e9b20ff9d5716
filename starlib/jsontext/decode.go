// Package jsontext reads and writes JSON (RFC 8259) within bounds: a text from
// outside may be nested without end, name a key twice, or hold a number that costs
// a machine its memory, and a value of a script may hold itself.
package jsontext

import (
	"bytes"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"

	"go.starlark.net/starlark"

	"perago/starlib/diag"
)

// MaxDepth bounds how deep arrays and objects nest, in a text and in a value.
const MaxDepth = 200

// MaxNumber bounds the characters of one number.
const MaxNumber = 1000

// Error says why a text was refused, and where. It shows at most one character
// of the text, since the text may hold a secret.
type Error struct {
	Code    diag.Code
	Path    []string // to the value that was being read, outermost step first
	Offset  int      // bytes into the text
	Reason  string   // "unexpected '}', want a key in double quotes"
	Instead string   // what JSON has at that place; "" where that is not one thing
	Cause   error    // not nil: it is that of tick, and nothing else is set
}

func (e *Error) Error() string { return fmt.Sprintf("%s at byte %d", e.Reason, e.Offset) }

// Wanted is what a text has to be that is not refused for this reason.
func (e *Error) Wanted() string {
	switch e.Code {
	case "P3102":
		return fmt.Sprintf("at most %d", MaxDepth)
	case "P3103":
		return "each key once"
	case "P3104":
		return "what a value of the language can hold"
	}
	return "JSON"
}

// Builder makes a T of every value of a text. An error is the complaint of that
// value; its Offset is filled in by the decoder.
type Builder[T any] interface {
	Word(v any) T // nil, true, false
	Text(s string) T
	Number(literal string, whole bool) (T, *Error)
	Array(items []T) T
	Object() ObjectBuilder[T]
}

// ObjectBuilder takes the members of one object in their order.
type ObjectBuilder[T any] interface {
	// Twice says whether key is refused, since it was set before.
	Twice(key string) bool
	Set(key string, item T)
	Done() T
}

// Decode reads one JSON value and nothing after it. Refused are nesting beyond
// MaxDepth, text that is not UTF-8, numbers of more than 1000 characters, keys
// that are made to collide, and what the builder refuses. tick is called for
// every value, with the byte that it begins with; its error ends the reading.
func Decode[T any](text string, build Builder[T], tick func(first byte) error) (T, *Error) {
	d := decoder[T]{text: text, build: build, tick: tick}
	v, err := d.value(0, "nothing behind the value")
	if err == nil {
		d.space()
		if d.at < len(d.text) {
			err = d.unexpected(" after the value", "nothing behind the value", false)
		}
	}
	if err != nil {
		slices.Reverse(err.Path)
	}
	return v, err
}

// decoder reads one text.
type decoder[T any] struct {
	text  string
	at    int // offset into text
	build Builder[T]
	tick  func(first byte) error // nil is none
}

func (d *decoder[T]) errorf(code diag.Code, format string, args ...any) *Error {
	return &Error{Code: code, Offset: d.at, Reason: fmt.Sprintf(format, args...)}
}

// unexpected is the complaint of the character that the decoder stands before.
// where is the part of the text it is in; said tells whether the reason says too
// what JSON has there instead.
func (d *decoder[T]) unexpected(where, instead string, said bool) *Error {
	err := d.errorf("P3101", "unexpected %s%s", d.here(), where)
	if said {
		err.Reason += ", want " + instead
	}
	if d.at < len(d.text) {
		err.Instead = instead
	}
	return err
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

// value reads one value; follow is what may stand behind it.
func (d *decoder[T]) value(depth int, follow string) (v T, err *Error) {
	c := d.peek()
	if d.tick != nil {
		if cause := d.tick(c); cause != nil {
			return v, &Error{Cause: cause}
		}
	}
	switch {
	case c == '{' || c == '[':
		if depth == MaxDepth {
			return v, d.errorf("P3102", "arrays and objects nested deeper than %d", MaxDepth)
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
		return d.build.Text(s), nil
	case c == '-' || '0' <= c && c <= '9':
		return d.number(follow)
	case c == 't':
		return d.word("true", true)
	case c == 'f':
		return d.word("false", false)
	case c == 'n':
		return d.word("null", nil)
	}
	return v, d.unexpected("", "a value", false)
}

func (d *decoder[T]) word(word string, is any) (v T, err *Error) {
	if !strings.HasPrefix(d.text[d.at:], word) {
		return v, d.unexpected("", "a value", false)
	}
	d.at += len(word)
	return d.build.Word(is), nil
}

func (d *decoder[T]) array(depth int) (v T, err *Error) {
	const follow = "`,` or `]`"
	var items []T
	if d.peek() == ']' {
		d.at++
		return d.build.Array(items), nil
	}
	for {
		item, err := d.value(depth, follow)
		if err != nil {
			err.Path = append(err.Path, strconv.Itoa(len(items)))
			return v, err
		}
		items = append(items, item)
		switch d.peek() {
		case ',':
			d.at++
		case ']':
			d.at++
			return d.build.Array(items), nil
		default:
			return v, d.unexpected(" in an array", follow, true)
		}
	}
}

func (d *decoder[T]) object(depth int) (v T, err *Error) {
	const follow = "`,` or `}`"
	object := d.build.Object()
	if d.peek() == '}' {
		d.at++
		return object.Done(), nil
	}
	var keys Collisions
	for {
		if d.peek() != '"' {
			return v, d.unexpected("", "a key in double quotes", true)
		}
		start := d.at
		key, err := d.string()
		if err != nil {
			return v, err
		}
		if object.Twice(key) {
			d.at = start
			err := d.errorf("P3103", "the same key twice")
			err.Path = append(err.Path, key)
			return v, err
		}
		if keys.TooMany(key) {
			return v, d.errorf("P3104", "keys that are made to collide")
		}
		if d.peek() != ':' {
			return v, d.unexpected(" after a key", "`:`", true)
		}
		d.at++
		item, err := d.value(depth, follow)
		if err != nil {
			err.Path = append(err.Path, key)
			return v, err
		}
		object.Set(key, item)
		switch d.peek() {
		case ',':
			d.at++
		case '}':
			d.at++
			return object.Done(), nil
		default:
			return v, d.unexpected(" in an object", follow, true)
		}
	}
}

func (d *decoder[T]) number(follow string) (v T, err *Error) {
	start := d.at
	if d.next() == '-' {
		d.at++
	}
	leading := d.at
	if n := d.digits(); n == 0 || n > 1 && d.text[leading] == '0' {
		d.at = leading
		err := d.errorf("P3101", "a number that starts with %s", d.here())
		if n > 1 { // the number is the 0, and what is wrong is what follows it
			err.Instead = follow
		}
		return v, err
	}
	whole := true
	if d.next() == '.' {
		whole = false
		d.at++
		if d.digits() == 0 {
			return v, d.unexpected(" in a number", "a digit", true)
		}
	}
	if c := d.next(); c == 'e' || c == 'E' {
		whole = false
		d.at++
		if c := d.next(); c == '+' || c == '-' {
			d.at++
		}
		if d.digits() == 0 {
			return v, d.unexpected(" in a number", "a digit", true)
		}
	}
	literal := d.text[start:d.at]
	if len(literal) > MaxNumber {
		d.at = start
		return v, d.errorf("P3104", "a number of more than %d characters", MaxNumber)
	}
	v, err = d.build.Number(literal, whole)
	if err != nil {
		err.Offset = start
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
func (d *decoder[T]) string() (string, *Error) {
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
			return "", d.unexpected(" in a string", "control characters written as escapes", false)
		}
		d.at++
	}
	return "", d.errorf("P3101", "a string without its end")
}

// escaped reads the rest of a string that has a backslash in it.
func (d *decoder[T]) escaped(start int) (string, *Error) {
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
				d.at = min(d.at+1, len(d.text))
				err := d.errorf("P3101", "a bad escape in a string")
				err.Instead = `one of the escapes \" \\ \/ \b \f \n \r \t \uhhhh`
				return "", err
			}
			out = utf8.AppendRune(out, r)
			continue
		case c < ' ':
			return "", d.unexpected(" in a string", "control characters written as escapes", false)
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

// CheckNumber says why a literal is not read, "" when it is. Exact arithmetic on
// 1e-1000000000 alone would take all memory, so the range is looked at first.
func CheckNumber(literal string, whole bool) string {
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

// Check says whether a text is one JSON value that any reader can take: at most
// 200 deep, valid UTF-8, its numbers in the range of a float. It takes time as the
// text is long, and no memory beside it. Keys may be there twice: to know that
// takes memory.
func Check(text string) *Error {
	_, err := Decode(text, nothing{}, nil)
	return err
}

// NotJSON is the complaint of a text that is not JSON, at the place where it stops
// being. hint says what to do where the place does not.
func NotJSON(what, text, hint string) *diag.Diagnostic {
	d := &diag.Diagnostic{Code: "P3101", Severity: diag.Error, Message: what + " is not JSON", Hint: hint}
	err := Check(text)
	if err == nil {
		return d
	}
	at := err.Offset
	if strings.HasPrefix(text[at:], "0") {
		at++ // the 0 is a number, and what follows it is wrong
	}
	line, column := diag.Position(text, at)
	place := fmt.Sprintf(" at line %d, column %d", line, column)
	switch {
	case err.Code != "P3101":
		d.Found, d.Wanted = err.Reason+place, err.Wanted()
		return d
	case at == len(text):
		d.Found = "the end of the text" + place
		return d
	}
	r, _ := utf8.DecodeRuneInString(text[at:])
	d.Found, d.Wanted = strconv.QuoteRune(r)+place, err.Instead
	if hint := writtenInstead(text, at, r); hint != "" {
		d.Hint = hint
	}
	return d
}

// writtenInstead is what JSON has in the place of what is often written at that
// offset of a text.
func writtenInstead(text string, at int, r rune) string {
	rest, before := text[at:], strings.TrimRight(text[:at], " \t\r\n")
	word := func(w string) bool { return strings.HasPrefix(rest, w) }
	switch {
	case r == '\'':
		return "strings and keys are written in double quotes"
	case r == '\ufeff':
		return "leave the byte order mark out"
	case (r == '}' || r == ']') && strings.HasSuffix(before, ","):
		return "JSON has no comma behind the last item"
	case word("True"), word("False"):
		return "JSON writes true and false"
	case word("None"), word("undefined"):
		return "JSON writes null"
	case word("NaN"), word("Infinity"), word("-Infinity"):
		return "JSON has no such number: send null, or leave it out"
	case word("//"), word("/*"), word("#"):
		return "JSON has no comments"
	case r >= '0' && r <= '9' && strings.HasSuffix(before, "0"):
		return "a number does not start with 0"
	}
	return ""
}

// CheckObject is Check for a text that has to be an object: for what a process
// says that is not trusted.
func CheckObject(text []byte) error {
	if !bytes.HasPrefix(text, []byte("{")) {
		return fmt.Errorf("not an object")
	}
	if err := Check(string(text)); err != nil {
		return err
	}
	return nil
}

// nothing is what Check makes of every value.
type nothing struct{}

func (nothing) Word(any) nothing               { return nothing{} }
func (nothing) Text(string) nothing            { return nothing{} }
func (nothing) Array([]nothing) nothing        { return nothing{} }
func (nothing) Object() ObjectBuilder[nothing] { return nothing{} }
func (nothing) Twice(string) bool              { return false }
func (nothing) Set(string, nothing)            {}
func (nothing) Done() nothing                  { return nothing{} }

func (nothing) Number(literal string, whole bool) (nothing, *Error) {
	if reason := CheckNumber(literal, whole); reason != "" {
		return nothing{}, &Error{Code: "P3104", Reason: reason}
	}
	return nothing{}, nil
}

// Collisions counts the keys of one object that share a slot of a hash table. The
// interpreter hashes short strings without a secret, so that somebody can choose
// thousands for one slot, each of which is then compared with all: 20,000 keys
// take seconds that no limit on steps sees.
type Collisions struct {
	keys  int
	slots []uint32 // keys by the low bits of their hashes
}

const (
	hashSlots = 1 << 12
	fewKeys   = 64  // of which nobody can make too many in one slot
	fullSlot  = 200 // keys in one slot, beyond four times the average
)

// TooMany counts one key. It says whether more keys share its slot than chance
// would bring there.
func (c *Collisions) TooMany(key string) bool {
	if c.keys++; c.keys <= fewKeys {
		return false
	}
	if c.slots == nil {
		c.slots = make([]uint32, hashSlots)
	}
	h, _ := starlark.String(key).Hash() // strings have one
	slot := &c.slots[h%hashSlots]
	*slot++
	return int(*slot) > fullSlot+4*c.keys/hashSlots
}
