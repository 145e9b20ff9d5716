package starlib

// A valid JSON value as the value of a script: defaults filled in, unknown keys
// dropped, everything frozen.

import (
	"encoding/json"
	"math"
	"math/big"
	"slices"
	"strconv"
	"strings"

	"go.starlark.net/starlark"
)

// conform makes the value that a body gets of a JSON value that f takes.
// dropped counts the keys that no schema knows.
func (v *inspection) conform(f *Field, tree jsonTree) (value starlark.Value, dropped int) {
	switch t := f.Type; t.Kind {
	case KindInt:
		return integer(tree.plain.(json.Number)), 0
	case KindFloat:
		x, _ := tree.plain.(json.Number).Float64() // the validator has seen that it fits
		return starlark.Float(x), 0
	case KindEnum:
		if n, isNumber := tree.plain.(json.Number); isNumber {
			return integer(n), 0
		}
	case KindOptional:
		if tree.plain == nil {
			return starlark.None, 0
		}
		return v.conform(t.Elem, tree)
	case KindUnion:
		return v.choose(t, tree)
	case KindList, KindMap:
		if t.Elem == nil {
			break
		}
		items := make([]starlark.Value, len(tree.inner.items))
		for i, item := range tree.inner.items {
			var n int
			items[i], n = v.conform(t.Elem, item)
			dropped += n
		}
		return container(tree.inner.keys, items, t.Kind == KindMap), dropped
	case KindSchema:
		return v.object(t.Object, tree)
	}
	return tree.free(), 0
}

// choose conforms to the member of a union that knows most of the keys; of
// several, to the first.
func (v *inspection) choose(t *Type, tree jsonTree) (value starlark.Value, dropped int) {
	for _, member := range t.AnyOf {
		if !v.holds(member, tree.plain) {
			continue
		}
		if x, n := v.conform(member, tree); value == nil || n < dropped {
			value, dropped = x, n
		}
		if dropped == 0 {
			break
		}
	}
	if value == nil { // a bound was passed, and nobody looks at it
		value = starlark.None
	}
	return value, dropped
}

func (v *inspection) object(s *Schema, tree jsonTree) (value starlark.Value, dropped int) {
	o := &object{schema: s, values: make([]starlark.Value, len(s.Fields))}
	for i, key := range tree.inner.keys {
		at, known := s.index[key]
		if !known {
			dropped++
			continue
		}
		x, n := v.conform(s.Fields[at], tree.inner.items[i])
		o.values[at] = x
		dropped += n
	}
	for i, f := range s.Fields {
		if o.values[i] == nil {
			o.values[i] = f.filled
		}
	}
	return o, dropped
}

// free is a value that no schema describes.
func (t jsonTree) free() starlark.Value {
	switch v := t.plain.(type) {
	case bool:
		return starlark.Bool(v)
	case string:
		return starlark.String(v)
	case json.Number:
		if !strings.ContainsAny(string(v), ".eE") {
			return integer(v)
		}
		x, _ := v.Float64() // decodeJSON has refused what does not fit
		return starlark.Float(x)
	case nil:
		return starlark.None
	}
	items := make([]starlark.Value, len(t.inner.items))
	for i, item := range t.inner.items {
		items[i] = item.free()
	}
	_, isObject := t.plain.(map[string]any)
	return container(t.inner.keys, items, isObject)
}

func container(keys []string, items []starlark.Value, isObject bool) starlark.Value {
	if !isObject {
		list := starlark.NewList(items)
		list.Freeze()
		return list
	}
	dict := starlark.NewDict(len(items))
	for i, item := range items {
		if err := dict.SetKey(starlark.String(keys[i]), item); err != nil {
			panic("starlib: " + err.Error()) // a new dict takes every string
		}
	}
	dict.Freeze()
	return dict
}

// integer is a JSON number without a fraction, however it is written.
func integer(n json.Number) starlark.Int {
	if i, err := n.Int64(); err == nil {
		return starlark.MakeInt64(i)
	}
	if i, ok := new(big.Int).SetString(string(n), 10); ok {
		return starlark.MakeBigInt(i)
	}
	return starlark.MakeBigInt(rational(n).Num())
}

// mostSecrets bounds the texts in secret fields together, in bytes, and
// secretBytes is what each counts beside its length: every one is hidden in
// dozens of forms.
const (
	mostSecrets = 1 << 20
	secretBytes = 16
)

// secretTexts are what is secret in one value.
type secretTexts struct {
	list  []string
	bytes int
}

func (s *secretTexts) tooMany() bool { return s.bytes > mostSecrets }

// secretsOf adds the texts that are in secret fields, wherever f lets one be: of
// a union every member counts, since a value may fit several.
func (v *inspection) secretsOf(f *Field, tree jsonTree, into *secretTexts) {
	switch {
	case v.tick() != nil || into.tooMany():
		return
	case f.Secret:
		v.texts(tree, into)
		return
	case !f.size().secretive:
		return
	}
	switch f.Type.Kind {
	case KindOptional:
		v.secretsOf(f.Type.Elem, tree, into)
	case KindUnion:
		for _, m := range f.Type.AnyOf {
			v.secretsOf(m, tree, into)
		}
	case KindList, KindMap:
		if tree.inner == nil {
			break
		}
		for _, item := range tree.inner.items {
			v.secretsOf(f.Type.Elem, item, into)
		}
	case KindSchema:
		if _, isObject := tree.plain.(map[string]any); !isObject {
			break
		}
		s := f.Type.Object
		values := make([]jsonTree, len(s.Fields))
		for i, inner := range s.Fields {
			values[i] = inner.fallback
		}
		for i, key := range tree.inner.keys {
			if at, known := s.index[key]; known {
				values[at] = tree.inner.items[i]
			}
		}
		for i, inner := range s.Fields {
			v.secretsOf(inner, values[i], into)
		}
	}
}

// texts adds every key, string and number in a value.
func (v *inspection) texts(tree jsonTree, into *secretTexts) {
	if v.tick() != nil || into.tooMany() {
		return
	}
	switch plain := tree.plain.(type) {
	case string:
		into.add(plain)
	case json.Number:
		into.add(tree.printed(plain)...)
	}
	if tree.inner == nil {
		return
	}
	for i, item := range tree.inner.items {
		if tree.inner.keys != nil {
			into.add(tree.inner.keys[i])
		}
		v.texts(item, into)
	}
}

// add takes one text in all its forms.
func (s *secretTexts) add(forms ...string) {
	s.list = append(s.list, forms...)
	s.bytes += secretBytes + len(forms[0])
}

// printed are the forms in which a number is printed: by a body, in a log, in a
// progress.
func (t jsonTree) printed(n json.Number) []string {
	all := []string{string(n), t.free().String()}
	if x, err := n.Float64(); err == nil {
		for _, format := range []byte{'g', 'f', 'e', 'G'} {
			all = append(all, strconv.FormatFloat(x, format, -1, 64))
		}
		all = append(all, starlark.Float(x).String())
		if raw, err := json.Marshal(x); err == nil {
			all = append(all, string(raw))
		}
		if strings.ContainsAny(string(n), ".eE") && x == math.Trunc(x) {
			all = append(all, integer(n).String())
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}
