package starlib

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"
)

// plainly says that f takes a value, and is sure of it: then the validator need
// not be asked, which costs a microsecond a value and is the larger part of a
// small attempt. False means nothing: whatever is not simple is the validator's
// to decide. A test holds the two against each other.
func (v *inspection) plainly(f *Field, plain any) bool {
	if v.tick() != nil {
		return false
	}
	c := &f.Constraints
	switch t := f.Type; t.Kind {
	case KindAnything:
		return true
	case KindBool:
		_, ok := plain.(bool)
		return ok
	case KindString:
		s, ok := plain.(string)
		return ok && c.Pattern == nil && (c.MinLength == nil && c.MaxLength == nil || within(utf8.RuneCountInString(s), c.MinLength, c.MaxLength))
	case KindInt:
		n, ok := plain.(json.Number)
		return ok && c.plainInt(n)
	case KindFloat:
		n, ok := plain.(json.Number)
		return ok && len(n) < 300 && c.GE == "" && c.GT == "" && c.LE == "" && c.LT == "" && c.MultipleOf == ""
	case KindEnum:
		_, isNumber := plain.(json.Number)
		return !isNumber && t.admits(plain)
	case KindOptional:
		return plain == nil || v.plainly(t.Elem, plain)
	case KindUnion:
		return slices.ContainsFunc(t.AnyOf, func(m *Field) bool { return v.plainly(m, plain) })
	case KindList:
		list, ok := plain.([]any)
		if !ok || c.UniqueItems || !within(len(list), c.MinItems, c.MaxItems) {
			return false
		}
		for _, item := range list {
			if t.Elem != nil && !v.plainly(t.Elem, item) {
				return false
			}
		}
		return true
	case KindMap:
		object, ok := plain.(map[string]any)
		if !ok {
			return false
		}
		for _, item := range object {
			if t.Elem != nil && !v.plainly(t.Elem, item) {
				return false
			}
		}
		return true
	case KindSchema:
		object, ok := plain.(map[string]any)
		return ok && v.plainObject(t.Object, object)
	}
	return false
}

func (v *inspection) plainObject(s *Schema, object map[string]any) bool {
	known := 0
	for _, f := range s.Fields {
		value, ok := object[f.Name]
		switch {
		case ok && !v.plainly(f, value), !ok && f.Default == nil:
			return false
		case ok:
			known++
		}
	}
	return !v.closed || known == len(object)
}

// plainInt says that an int of the usual size is within bounds of that size.
func (c *Constraints) plainInt(n json.Number) bool {
	if len(n) > 18 || c.MultipleOf != "" || strings.ContainsAny(string(n), ".eE") {
		return false
	}
	i, err := n.Int64()
	if err != nil {
		return false
	}
	for _, bound := range [...]struct {
		text json.Number
		sign int64 // of what is too far
		open bool
	}{{c.GE, -1, false}, {c.GT, -1, true}, {c.LE, 1, false}, {c.LT, 1, true}} {
		if bound.text == "" {
			continue
		}
		b, err := strconv.ParseInt(string(bound.text), 10, 60)
		if err != nil || (i-b)*bound.sign > 0 || bound.open && i == b {
			return false
		}
	}
	return true
}

func within(n int, least, most *int) bool {
	return (least == nil || n >= *least) && (most == nil || n <= *most)
}
