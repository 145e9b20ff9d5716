package jsontext

import (
	"errors"
	"fmt"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.starlark.net/starlark"

	"perago/starlib/diag"
)

// Encoder writes values of a script as JSON: None, bools, ints, finite floats,
// strings, lists, tuples, ranges, and what Members takes, at most MaxDepth deep.
// The zero value writes on one line, without a bound on the length.
type Encoder struct {
	Indent   string // of one level, where Lines is set
	Lines    bool   // a line for each item and member; else all on one
	SortKeys bool   // by their bytes; else in the order of the value
	SafeInts bool   // ints beyond ±2^53 are complained of, and written all the same
	FixText  bool   // bytes that are not UTF-8 become U+FFFD; else such a string is refused
	Most     int    // bytes of the text; 0 is no bound
	Depth    int    // how deep the text will stand in another one
	Verb     string // what the hints say: "return" or "write" another value

	// Members are the keys and values of what becomes an object; nil is Members.
	Members func(starlark.Value) ([]starlark.Tuple, bool)
	// Tick is called for every value; its error ends the encoding. nil is none.
	Tick func() error
	// Refuse is told of what JSON cannot hold. Its error ends the encoding; with
	// nil the encoder writes null in its place and goes on, to find all there is.
	// After a value that is too deep or too long it ends in any case.
	Refuse func(*Refusal) error

	out  strings.Builder
	path []step
}

// step leads from a container to what is in it.
type step struct {
	key   string
	index int // of an item; -1: it is the value of key
}

// Refusal is a value that JSON cannot hold.
type Refusal struct {
	Kind                RefusalKind
	Path                []string // keys and indexes from the whole value to this one
	Found, Wanted, Hint string
}

// RefusalKind says why a value is refused.
type RefusalKind int

const (
	BadType  RefusalKind = iota // JSON has no such type, or the string is no text
	BadKey                      // the key of an object is no string
	BadFloat                    // NaN or an infinity
	LargeInt                    // beyond ±2^53
	TooDeep                     // nested beyond MaxDepth
	TooLong                     // the text would be longer than Most
)

// errEnded ends an encoding of which enough was said.
var errEnded = errors.New("ended")

// Encode is a value as JSON; where something was refused, the text is not the value.
// The error is that of Tick or Refuse.
func (e *Encoder) Encode(v starlark.Value) (text string, err error) {
	if e.Members == nil {
		e.Members = Members
	}
	if err := e.value(v, e.Depth); err != nil && err != errEnded {
		return "", err
	}
	return e.out.String(), nil
}

// refuse reports a value and writes null for it.
func (e *Encoder) refuse(kind RefusalKind, found, wanted, hint string) error {
	if err := e.report(kind, found, wanted, hint); err != nil {
		return err
	}
	e.out.WriteString("null")
	if kind >= TooDeep {
		return errEnded
	}
	return nil
}

func (e *Encoder) report(kind RefusalKind, found, wanted, hint string) error {
	path := make([]string, len(e.path))
	for i, s := range e.path {
		if path[i] = s.key; s.index >= 0 {
			path[i] = strconv.Itoa(s.index)
		}
	}
	return e.Refuse(&Refusal{kind, path, found, wanted, hint})
}

// room refuses a text that n more bytes would make too long.
func (e *Encoder) room(n int) error {
	if e.Most > 0 && e.out.Len()+n > e.Most {
		return e.refuse(TooLong, "more than the text may hold", fmt.Sprintf("at most %d bytes", e.Most), "does a list or a dict hold itself?")
	}
	return nil
}

func (e *Encoder) value(v starlark.Value, depth int) error {
	if e.Tick != nil {
		if err := e.Tick(); err != nil {
			return err
		}
	}
	if err := e.room(1); err != nil {
		return err
	}
	var number [32]byte
	switch v := v.(type) {
	case starlark.NoneType:
		e.out.WriteString("null")
	case starlark.Bool:
		e.out.WriteString(strconv.FormatBool(bool(v)))
	case starlark.Int:
		return e.int(v)
	case starlark.Float:
		if math.IsNaN(float64(v)) || math.IsInf(float64(v), 0) {
			return e.refuse(BadFloat, v.String(), "a finite number", "JSON has no such number: "+e.Verb+" None, or leave it out")
		}
		e.out.Write(AppendFloat(number[:0], float64(v)))
	case starlark.String:
		return e.text(string(v))
	case *starlark.List, starlark.Tuple:
		return e.array(v.(starlark.Sequence), depth)
	default:
		if members, ok := e.Members(v); ok {
			return e.object(members, depth)
		}
		if list, ok := v.(starlark.Sequence); ok && v.Type() == "range" {
			return e.array(list, depth)
		}
		hint := insteadOf(v)
		if hint != "" {
			hint = e.Verb + " " + hint
		} else if _, is := v.(starlark.Callable); is {
			hint = "is a call's `()` missing?"
		}
		return e.refuse(BadType, diag.Describe(v), "a value that JSON can hold", hint)
	}
	return nil
}

// insteadOf is what JSON can hold of a value that it cannot.
func insteadOf(v starlark.Value) string {
	switch v.(type) {
	case starlark.Bytes:
		return "base64.encode(b)"
	case *starlark.Set:
		return "sorted(s), or list(s)"
	case starlark.Callable:
		return ""
	case starlark.Iterable:
		return "list(x)"
	}
	switch v.Type() {
	case "path", "time.time":
		return "str(x)"
	case "time.duration":
		return "d.seconds"
	}
	return ""
}

func (e *Encoder) int(v starlark.Int) error {
	const most = 1 << 53 // beyond it, a reader that knows only floats loses digits
	text := v.String()
	if n, ok := v.Int64(); e.SafeInts && (!ok || n > most || n < -most) {
		// The number itself may be the value of a secret field.
		if err := e.report(LargeInt, "an int of "+diag.Plural(len(strings.TrimPrefix(text, "-")), "digit"), "one within ±2^53",
			"many readers of JSON know floats only: "+e.Verb+" str(n) in a `str` field"); err != nil {
			return err
		}
	}
	if err := e.room(len(text)); err != nil {
		return err
	}
	e.out.WriteString(text)
	return nil
}

func (e *Encoder) text(s string) error {
	if !utf8.ValidString(s) {
		if !e.FixText {
			return e.refuse(BadType, "a string that is not UTF-8", "text", e.Verb+" base64.encode(bytes(s))")
		}
		s = string([]rune(s))
	}
	if err := e.room(len(s)); err != nil {
		return err
	}
	writeString(&e.out, s)
	return nil
}

// container writes n items between brackets, on lines of their own where they
// are wanted; item writes one of them.
func (e *Encoder) container(brackets string, n, depth int, item func(i int) error) error {
	if depth >= MaxDepth {
		return e.refuse(TooDeep, "a value nested too deep", fmt.Sprintf("at most %d levels", MaxDepth), "does a list or a dict hold itself?")
	}
	e.out.WriteByte(brackets[0])
	for i := range n {
		if i > 0 {
			e.out.WriteByte(',')
		}
		e.newline(depth + 1)
		if err := item(i); err != nil {
			return err
		}
	}
	if n > 0 {
		e.newline(depth)
	}
	e.out.WriteByte(brackets[1])
	return nil
}

func (e *Encoder) newline(depth int) {
	if !e.Lines {
		return
	}
	e.out.WriteByte('\n')
	for range depth {
		e.out.WriteString(e.Indent)
	}
}

// below writes a value that is one step below the present one.
func (e *Encoder) below(s step, v starlark.Value, depth int) error {
	e.path = append(e.path, s)
	err := e.value(v, depth+1)
	e.path = e.path[:len(e.path)-1]
	return err
}

func (e *Encoder) array(list starlark.Sequence, depth int) error {
	iter := list.Iterate()
	defer iter.Done()
	var x starlark.Value
	return e.container("[]", list.Len(), depth, func(i int) error {
		iter.Next(&x)
		return e.below(step{index: i}, x, depth)
	})
}

func (e *Encoder) object(members []starlark.Tuple, depth int) error {
	if e.SortKeys {
		members = slices.Clone(members)
		slices.SortStableFunc(members, func(a, b starlark.Tuple) int {
			x, _ := a[0].(starlark.String)
			y, _ := b[0].(starlark.String)
			return strings.Compare(string(x), string(y))
		})
	}
	return e.container("{}", len(members), depth, func(i int) error {
		key, ok := members[i][0].(starlark.String)
		if !ok {
			return e.refuse(BadKey, "the key "+diag.Describe(members[i][0]), "strings as keys", "write str(key)")
		}
		if err := e.text(string(key)); err != nil {
			return err
		}
		e.out.WriteByte(':')
		if e.Lines {
			e.out.WriteByte(' ')
		}
		return e.below(step{string(key), -1}, members[i][1], depth)
	})
}

// Members are the keys and values of what becomes a JSON object: a dict, the
// params of a task, a struct with its names sorted. ok is false for other values.
func Members(v starlark.Value) (members []starlark.Tuple, ok bool) {
	if m, ok := v.(starlark.IterableMapping); ok {
		return m.Items(), true
	}
	s, ok := v.(starlark.HasAttrs)
	if !ok || v.Type() != "struct" {
		return nil, false
	}
	for _, name := range s.AttrNames() {
		if value, err := s.Attr(name); err == nil && value != nil {
			members = append(members, starlark.Tuple{starlark.String(name), value})
		}
	}
	return members, true
}

// AppendFloat writes a finite float as Python does: the fewest digits that are
// read back as it, and always as a float; 1.0, 1000000.0, 1e+16, 1e-05.
func AppendFloat(dst []byte, f float64) []byte {
	from := len(dst)
	form := byte('f')
	if size := math.Abs(f); size != 0 && (size < 1e-4 || size >= 1e16) {
		form = 'e'
	}
	dst = strconv.AppendFloat(dst, f, form, -1, 64)
	if !strings.ContainsAny(string(dst[from:]), ".e") {
		dst = append(dst, ".0"...)
	}
	return dst
}

// Quote is a string as JSON, nothing escaped that need not be.
func Quote(s string) string {
	var b strings.Builder
	writeString(&b, s)
	return b.String()
}

func writeString(b *strings.Builder, s string) {
	b.WriteByte('"')
	start := 0
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c >= ' ' && c != '"' && c != '\\' && c != 0x7f {
			continue
		}
		b.WriteString(s[start:i])
		start = i + 1
		switch c {
		case '"', '\\':
			b.WriteByte('\\')
			b.WriteByte(c)
		case '\n':
			b.WriteString(`\n`)
		case '\t':
			b.WriteString(`\t`)
		case '\r':
			b.WriteString(`\r`)
		default:
			fmt.Fprintf(b, `\u%04x`, c)
		}
	}
	b.WriteString(s[start:])
	b.WriteByte('"')
}

// Pointer is a path as a JSON pointer (RFC 6901) that is safe to print, its steps
// shortened.
func Pointer(path []string) string {
	var b strings.Builder
	for _, step := range path {
		b.WriteByte('/')
		b.WriteString(PointerToken(diag.Escape(diag.Shorten(step))))
	}
	return b.String()
}

// PointerToken is one step of a JSON pointer.
func PointerToken(key string) string {
	return strings.ReplaceAll(strings.ReplaceAll(key, "~", "~0"), "/", "~1")
}
