package starlib

import (
	"errors"
	"math"
	"slices"
	"strings"

	"go.starlark.net/starlark"
	"go.starlark.net/syntax"

	"perago/starlib/diag"
	"perago/starlib/jsontext"
)

// errFull ends the writing of a value whose text has reached its bound.
var errFull = errors.New("full")

// displayDepth bounds the nesting of what is shown as text. The interpreter
// recurses in Go and compares with every level above, so one deep value could
// take minutes, or the whole process.
const displayDepth = 1000

// writer writes values as text, as they would be written in a task file. It does
// not use the String of containers, so that a list in a struct in that same list
// ends.
type writer struct {
	out   strings.Builder
	most  int              // bytes after which it stops with errFull; 0 is no bound
	tick  func() error     // called for every item; nil is none
	above []starlark.Value // the containers that the present value is in
	ints  intBits
}

// display is repr of v.
func (c *call) display(v starlark.Value) (string, error) {
	m := itemCounter{call: c}
	w := writer{tick: m.tick}
	if err := w.write(v); err != nil {
		return "", err
	}
	return w.out.String(), nil
}

// intBits counts the bits of the large ints of one text. A million bits take
// some 30 ms, in which nothing looks at a cancel.
type intBits int64

const maxIntBits = 1 << 24

func (b *intBits) add(v starlark.Int) error {
	if _, small := v.Int64(); small {
		return nil
	}
	if *b += intBits(v.BigInt().BitLen()); *b > maxIntBits {
		return &diag.Problem{Code: codeTooLarge, Message: "the ints to be written have too many bits", Wanted: "at most 16777216 in all"}
	}
	return nil
}

// brief is v as text of at most that many bytes, "…" at its end where it was cut.
func brief(v starlark.Value, most int) string {
	if s, ok := v.(starlark.String); ok {
		return diag.ShortenBytes(string(s), most)
	}
	w := writer{most: most}
	if err := w.write(v); err != nil && err != errFull {
		return v.Type()
	}
	return diag.ShortenBytes(w.out.String(), most)
}

func (w *writer) write(v starlark.Value) error {
	open, shut := "", ""
	switch v := v.(type) {
	case starlark.String:
		s := string(v)
		if w.most > 0 {
			s = diag.ShortenBytes(s, w.most)
		}
		return w.text(syntax.Quote(s, false))
	case starlark.Bytes:
		s := string(v)
		if w.most > 0 {
			s = s[:min(len(s), w.most)]
		}
		return w.text(syntax.Quote(s, true))
	case starlark.Int:
		if err := w.ints.add(v); err != nil {
			return err
		}
		return w.text(v.String())
	case starlark.Float:
		return w.text(floatText(v))
	case *starlark.List:
		open, shut = "[", "]"
	case starlark.Tuple:
		open, shut = "(", ")"
		if len(v) == 1 {
			shut = ",)"
		}
	case *starlark.Dict:
		open, shut = "{", "}"
	case *starlark.Set:
		open, shut = "set([", "])"
	case *structure:
		open, shut = "struct(", ")"
	default:
		return w.text(v.String())
	}
	if err := w.text(open); err != nil {
		return err
	}
	if err := w.container(v); err != nil {
		return err
	}
	return w.text(shut)
}

// floatText is a float as it is written everywhere (jsontext.AppendFloat), or nan,
// +inf, -inf.
func floatText(v starlark.Float) string {
	if f := float64(v); !math.IsNaN(f) && !math.IsInf(f, 0) {
		return string(jsontext.AppendFloat(nil, f))
	}
	return v.String()
}

func (w *writer) text(s string) error {
	w.out.WriteString(s)
	if w.most > 0 && w.out.Len() > w.most {
		return errFull
	}
	return nil
}

// container writes what v holds, and "..." when v holds itself.
func (w *writer) container(v starlark.Value) error {
	if _, isTuple := v.(starlark.Tuple); !isTuple && slices.Contains(w.above, v) {
		return w.text("...")
	}
	if len(w.above) >= displayDepth {
		return &diag.Problem{Code: codeTooMuch, Message: "the value is nested too deep to be shown", Wanted: "at most 1000 levels"}
	}
	w.above = append(w.above, v)
	defer func() { w.above = w.above[:len(w.above)-1] }()
	first := true
	item := func(label string, x starlark.Value) error {
		if !first {
			label = ", " + label
		}
		first = false
		if w.tick != nil {
			if err := w.tick(); err != nil {
				return err
			}
		}
		if err := w.text(label); err != nil {
			return err
		}
		return w.write(x)
	}
	switch v := v.(type) {
	case *structure:
		for i, name := range v.names {
			if err := item(name+" = ", v.values[i]); err != nil {
				return err
			}
		}
	case *starlark.Dict:
		for k, x := range v.Entries() {
			if err := item("", k); err != nil {
				return err
			}
			if err := w.text(": "); err != nil {
				return err
			}
			if err := w.write(x); err != nil {
				return err
			}
		}
	case starlark.Iterable:
		for x := range starlark.Elements(v) {
			if err := item("", x); err != nil {
				return err
			}
		}
	}
	return nil
}
