package starlib

import (
	"fmt"
	"math"
	"math/big"
	"slices"
	"strconv"
	"strings"

	"go.starlark.net/starlark"
)

// valueBuilder makes of a JSON text what json.decode gives.
type valueBuilder struct {
	unique bool // a key that is there twice is refused
}

func (valueBuilder) word(v any) starlark.Value {
	if b, ok := v.(bool); ok {
		return starlark.Bool(b)
	}
	return starlark.None
}

func (valueBuilder) text(s string) starlark.Value { return starlark.String(s) }

func (valueBuilder) number(literal string, whole bool) (starlark.Value, *jsonError) {
	if !whole {
		f, err := strconv.ParseFloat(literal, 64)
		if err != nil {
			return nil, &jsonError{code: "P3104", reason: "a number beyond the range of a float"}
		}
		return starlark.Float(f), nil
	}
	if i, err := strconv.ParseInt(literal, 10, 64); err == nil {
		return starlark.MakeInt64(i), nil
	}
	i, _ := new(big.Int).SetString(literal, 10)
	return starlark.MakeBigInt(i), nil
}

func (valueBuilder) array(items []starlark.Value) starlark.Value { return starlark.NewList(items) }

func (b valueBuilder) object() objectBuilder[starlark.Value] {
	return &dictBuilder{dict: new(starlark.Dict), unique: b.unique}
}

type dictBuilder struct {
	dict   *starlark.Dict
	unique bool
}

func (b *dictBuilder) twice(key string) bool {
	if !b.unique {
		return false
	}
	_, found, _ := b.dict.Get(starlark.String(key)) // a string can be looked up
	return found
}

func (b *dictBuilder) set(key string, item starlark.Value) {
	if err := b.dict.SetKey(starlark.String(key), item); err != nil {
		panic("starlib: " + err.Error()) // a new dict takes every string
	}
}

func (b *dictBuilder) done() starlark.Value { return b.dict }

// jsonWriter writes one value as JSON.
type jsonWriter struct {
	out     strings.Builder
	scratch []byte
	call    *call
	meter   meter
	indent  string
	oneLine bool
	sorted  bool
}

func jsonEncode(c *call) (starlark.Value, error) {
	w := jsonWriter{call: c, meter: meter{call: c}}
	var err error
	if w.indent, w.oneLine, err = c.indentOf(-1); err != nil {
		return nil, err
	}
	if w.sorted, err = c.boolean("sort_keys", false); err != nil {
		return nil, err
	}
	err = w.value(c.arg("value"), 0)
	if bad, ok := err.(*unfit); ok {
		slices.Reverse(bad.path)
		p := c.problem(codeEncode, "%s", pointer(bad.path))
		if len(bad.path) == 0 {
			p.Message = c.builtin.Name
		}
		p.Found, p.Wanted, p.Hint, p.Argument = bad.found, bad.wanted, bad.hint, c.place("value")
		return nil, p
	}
	if err != nil {
		return nil, err
	}
	return starlark.String(w.out.String()), nil
}

// unfit is a value that JSON cannot hold.
type unfit struct {
	path                []string // to the value, innermost step first
	found, wanted, hint string
}

func (e *unfit) Error() string { return e.found }

// below adds the step that err came up through.
func below(err error, step string) error {
	if e, ok := err.(*unfit); ok {
		e.path = append(e.path, step)
	}
	return err
}

func (w *jsonWriter) value(v starlark.Value, depth int) error {
	if err := w.meter.tick(); err != nil {
		return err
	}
	if w.out.Len() > maxItems {
		p := w.call.problem(codeTooMuch, "the text is too long")
		p.Wanted, p.Hint = "at most 1 GiB", "does a list or a dict hold itself?"
		return p
	}
	switch v := v.(type) {
	case starlark.NoneType:
		w.out.WriteString("null")
	case starlark.Bool:
		w.out.WriteString(strconv.FormatBool(bool(v)))
	case starlark.Int:
		w.out.WriteString(v.String())
	case starlark.Float:
		if f := float64(v); math.IsNaN(f) || math.IsInf(f, 0) {
			return &unfit{found: v.String(), wanted: "a finite number", hint: "JSON has no such number: write None in its place"}
		}
		w.scratch = appendFloat(w.scratch[:0], float64(v))
		w.out.Write(w.scratch)
	case starlark.String:
		w.text(string(v))
	case *structure:
		return w.object(v.names, depth, v.field)
	case starlark.IterableMapping:
		return w.mapping(v, depth)
	case *starlark.List, starlark.Tuple, span:
		return w.array(v.(starlark.Sequence), depth)
	default:
		return &unfit{found: typeName(v), wanted: "a value that JSON can hold", hint: jsonInstead(v)}
	}
	return nil
}

// jsonInstead says what to write for a value that JSON cannot hold.
func jsonInstead(v starlark.Value) string {
	switch v.(type) {
	case starlark.Bytes:
		return "write base64.encode(b)"
	case *starlark.Set:
		return "write sorted(s), or list(s)"
	case path, instant:
		return "write str(x)"
	case duration:
		return "write d.seconds"
	case starlark.Callable:
		return "is a call's `()` missing?"
	case starlark.Iterable:
		return "write list(x)"
	}
	return ""
}

func (w *jsonWriter) text(s string) {
	w.scratch = appendText(w.scratch[:0], validUTF8(s))
	w.out.Write(w.scratch)
}

// items writes the items of an array or an object.
func (w *jsonWriter) items(brackets string, depth int, each func(next func()) error) error {
	if depth == maxDepth {
		return &unfit{found: "a value nested too deep", wanted: fmt.Sprintf("at most %d levels", maxDepth), hint: "does a list or a dict hold itself?"}
	}
	w.out.WriteByte(brackets[0])
	n := 0
	err := each(func() {
		if n > 0 {
			w.out.WriteByte(',')
		}
		n++
		w.newline(depth + 1)
	})
	if err != nil {
		return err
	}
	if n > 0 {
		w.newline(depth)
	}
	w.out.WriteByte(brackets[1])
	return nil
}

func (w *jsonWriter) newline(depth int) {
	if w.oneLine {
		return
	}
	w.out.WriteByte('\n')
	for range depth {
		w.out.WriteString(w.indent)
	}
}

func (w *jsonWriter) array(list starlark.Sequence, depth int) error {
	return w.items("[]", depth, func(next func()) error {
		i := 0
		for x := range starlark.Elements(list) {
			next()
			if err := w.value(x, depth+1); err != nil {
				return below(err, strconv.Itoa(i))
			}
			i++
		}
		return nil
	})
}

func (w *jsonWriter) mapping(m starlark.IterableMapping, depth int) error {
	var keys []string
	for k := range starlark.Elements(m) {
		s, ok := k.(starlark.String)
		if !ok {
			return &unfit{found: "the key " + shorten(k.String()), wanted: "strings as keys", hint: "write str(key)"}
		}
		keys = append(keys, string(s))
	}
	return w.object(keys, depth, func(key string) starlark.Value {
		v, _, _ := m.Get(starlark.String(key)) // a string can be looked up
		return v
	})
}

func (w *jsonWriter) object(keys []string, depth int, value func(string) starlark.Value) error {
	if w.sorted {
		keys = slices.Sorted(slices.Values(keys))
	}
	return w.items("{}", depth, func(next func()) error {
		for _, key := range keys {
			next()
			w.text(key)
			w.out.WriteByte(':')
			if !w.oneLine {
				w.out.WriteByte(' ')
			}
			if err := w.value(value(key), depth+1); err != nil {
				return below(err, key)
			}
		}
		return nil
	})
}
