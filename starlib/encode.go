package starlib

// Values of a script as JSON text: what a body returns, and the defaults and
// examples of a declaration.

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.starlark.net/starlark"

	"perago/starlib/diag"
)

const (
	maxResultBytes = 16 << 20 // of the JSON of one value
	maxSafeInt     = 1 << 53  // beyond it, a reader that knows only floats loses digits
)

// EncodeResult is what a body returned, as JSON. It wants a dict or a struct of
// what JSON can hold: None, bools, strings, finite numbers, ints within ±2^53,
// lists, tuples, dicts with string keys, structs; at most 200 deep and 16 MiB
// long. The error is a diag.List of all that is wrong, without places; the
// pointers in it start with /result. When nothing but the size of ints is wrong,
// the JSON is there too, so that a schema can say what else is.
func EncodeResult(v starlark.Value) (json.RawMessage, error) {
	e := encoder{path: []string{"result"}, safe: true}
	if _, ok := membersOfValue(v); !ok {
		e.refuse("P3201", describe(v), "a dict or a struct", hintForResult(v))
	} else {
		e.value(v, 0)
	}
	list := e.problems.diagnostics()
	switch {
	case list == nil:
		return e.buf, nil
	case e.broken:
		return nil, list
	}
	return e.buf, list
}

func hintForResult(v starlark.Value) string {
	switch v.(type) {
	case starlark.NoneType:
		return "end `run` with `return {...}`"
	case *starlark.List, starlark.Tuple:
		return `give it a name: return {"items": [...]}`
	}
	return ""
}

// declaredJSON is a value of a declaration as JSON; ints may be of any size. It
// leaves room above it: wherever a default is filled in, the whole is not deeper
// than maxDepth.
func declaredJSON(v starlark.Value) (json.RawMessage, error) {
	e := encoder{}
	e.value(v, maxTypeDepth)
	if len(e.problems.list) == 0 {
		return e.buf, nil
	}
	c := e.problems.list[0]
	p := diag.Problem{Message: pointer(c.path), Found: c.found, Wanted: c.wanted}
	return nil, errors.New(strings.TrimPrefix(p.Error(), ": "))
}

// encoder writes one value. It goes on after a problem, to find them all; what
// it wrote is then of no use, but every value writes something, so that the
// bound on the length bounds the work: a list that holds itself twice has 2^200
// items.
type encoder struct {
	buf       []byte
	path      []string // to the value being written
	safe      bool     // ints must be within ±2^53
	unbounded bool     // no bound on the length
	full      bool     // the bound is reached, and nothing more is looked at
	broken    bool     // something was left out: buf is not the value
	problems  complaints
}

func (e *encoder) refuse(code diag.Code, found, wanted, hint string) {
	e.buf = append(e.buf, "null"...)
	e.broken = true
	e.complain(code, found, wanted, hint)
}

func (e *encoder) complain(code diag.Code, found, wanted, hint string) {
	e.problems.add(complaint{code: code, path: append([]string(nil), e.path...), found: found, wanted: wanted, hint: hint})
}

// room says whether n more bytes fit.
func (e *encoder) room(n int) bool {
	if !e.unbounded && !e.full && len(e.buf)+n > maxResultBytes {
		e.full = true
		e.path = e.path[:min(1, len(e.path))]
		e.refuse("P3205", "more than 16 MiB of JSON", "at most 16 MiB", "write large results to files of the workspace")
	}
	return !e.full
}

func (e *encoder) value(v starlark.Value, depth int) {
	switch v := v.(type) {
	case starlark.NoneType:
		e.buf = append(e.buf, "null"...)
	case starlark.Bool:
		e.buf = strconv.AppendBool(e.buf, bool(v))
	case starlark.Int:
		e.int(v)
	case starlark.Float:
		if math.IsNaN(float64(v)) || math.IsInf(float64(v), 0) {
			e.refuse("P3203", v.String(), "a finite number", "JSON has no such number: return None, or leave it out")
			return
		}
		e.buf = appendFloat(e.buf, float64(v))
	case starlark.String:
		e.text(string(v))
	case *starlark.List, starlark.Tuple:
		e.array(v.(starlark.Sequence), depth)
	default:
		if members, ok := membersOfValue(v); ok {
			e.object(members, depth)
			return
		}
		if list, ok := v.(starlark.Sequence); ok && v.Type() == "range" {
			e.array(list, depth)
			return
		}
		e.refuse("P3202", describe(v), "a value that JSON can hold", hintForValue(v))
	}
}

func hintForValue(v starlark.Value) string {
	switch v.(type) {
	case starlark.Bytes:
		return "return base64.encode(b), a string"
	case *starlark.Set:
		return "return sorted(s), a list"
	case starlark.Callable:
		return "is a call's `()` missing?"
	case starlark.Iterable:
		return "return list(...) of it"
	}
	switch v.Type() {
	case "path", "time.time", "time.duration":
		return "return str(...) of it"
	}
	return ""
}

func (e *encoder) int(v starlark.Int) {
	if n, ok := v.Int64(); e.safe && (!ok || n > maxSafeInt || n < -maxSafeInt) {
		// The number itself may be the value of a secret field.
		e.complain("P3204", "an int of "+plural(len(strings.TrimPrefix(v.String(), "-")), "digit"), "one within ±2^53", "many readers of JSON know floats only: return str(n) in a `str` field")
	}
	if text := v.String(); e.room(len(text)) {
		e.buf = append(e.buf, text...)
	}
}

// appendFloat writes a finite float as Python does: the fewest digits that are
// read back as it, and always as a float; 1.0, 1000000.0, 1e+16, 1e-05.
func appendFloat(dst []byte, f float64) []byte {
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

func (e *encoder) text(s string) {
	if !utf8.ValidString(s) {
		e.refuse("P3202", "a string that is not UTF-8", "text", "return base64.encode(bytes(s))")
		return
	}
	if e.room(len(s)) {
		e.buf = appendText(e.buf, s)
	}
}

// appendText writes a string as JSON, nothing escaped that need not be.
func appendText(dst []byte, s string) []byte {
	dst = append(dst, '"')
	start := 0
	for i := 0; i < len(s); i++ {
		c := s[i]
		if c >= ' ' && c != '"' && c != '\\' && c != 0x7f {
			continue
		}
		dst = append(dst, s[start:i]...)
		start = i + 1
		switch c {
		case '"', '\\':
			dst = append(dst, '\\', c)
		case '\n':
			dst = append(dst, `\n`...)
		case '\t':
			dst = append(dst, `\t`...)
		case '\r':
			dst = append(dst, `\r`...)
		default:
			dst = fmt.Appendf(dst, `\u%04x`, c)
		}
	}
	return append(append(dst, s[start:]...), '"')
}

func (e *encoder) deep(depth int) bool {
	if depth < maxDepth {
		return false
	}
	e.path = e.path[:min(1, len(e.path))]
	e.refuse("P3205", "lists and dicts nested too deep", fmt.Sprintf("at most %d", maxDepth), "does a list or a dict hold itself?")
	e.full = true
	return true
}

func (e *encoder) array(list starlark.Sequence, depth int) {
	if e.deep(depth) {
		return
	}
	iter := list.Iterate()
	defer iter.Done()
	e.buf = append(e.buf, '[')
	var x starlark.Value
	here := e.path
	for i := 0; iter.Next(&x) && e.room(1); i++ {
		if i > 0 {
			e.buf = append(e.buf, ',')
		}
		e.path = append(here, strconv.Itoa(i))
		e.value(x, depth+1)
	}
	e.path = here
	e.buf = append(e.buf, ']')
}

func (e *encoder) object(members []starlark.Tuple, depth int) {
	if e.deep(depth) {
		return
	}
	e.buf = append(e.buf, '{')
	here := e.path
	for i, m := range members {
		if !e.room(1) {
			break
		}
		if i > 0 {
			e.buf = append(e.buf, ',')
		}
		key, ok := m[0].(starlark.String)
		if !ok {
			e.refuse("P3202", "the key "+describe(m[0]), "a string as the key", "write str(key)")
			continue
		}
		e.path = append(here, string(key))
		e.text(string(key))
		e.buf = append(e.buf, ':')
		e.value(m[1], depth+1)
	}
	e.path = here
	e.buf = append(e.buf, '}')
}

// membersOfValue are the keys and values of what becomes a JSON object: a dict,
// a struct, an object of params.
func membersOfValue(v starlark.Value) (members []starlark.Tuple, ok bool) {
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
