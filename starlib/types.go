package starlib

// The types of fields: what they are, which values of a task file name one, and
// the builtins that make them.

import (
	"encoding/json"
	"fmt"
	"math/big"
	"strings"

	"go.starlark.net/starlark"

	"perago/starlib/diag"
)

// TypeKind is what sort of value a Type wants, in the words of task files.
type TypeKind string

const (
	KindString   TypeKind = "str"
	KindInt      TypeKind = "int"
	KindFloat    TypeKind = "float"
	KindBool     TypeKind = "bool"
	KindList     TypeKind = "list"     // list, and list_of(T) with Elem
	KindMap      TypeKind = "dict"     // dict, and map_of(T) with Elem
	KindEnum     TypeKind = "one_of"   // with Enum
	KindUnion    TypeKind = "union"    // with AnyOf
	KindOptional TypeKind = "optional" // Elem, or null
	KindAnything TypeKind = "anything"
	KindSchema   TypeKind = "schema" // with Object
	KindDateTime TypeKind = "datetime"
	KindDate     TypeKind = "date"
	KindUUID     TypeKind = "uuid"
)

// Type is what a value must be. It is immutable.
type Type struct {
	Kind   TypeKind
	Elem   *Field      // of list_of, map_of and optional; nil: the items are free
	AnyOf  []*Field    // of union, at least two
	Enum   []any       // of one_of, at least one: string, bool or json.Number, as written
	enumAt map[any]int // where in Enum the value of an enumKey is
	shared string      // the sharedType of Enum
	Object *Schema     // of schema

	size
}

// size bounds what one declaration may be: types are shared freely, so ten short
// lines could otherwise declare a schema of a million parts.
type size struct {
	parts     int  // types, as often as they are used
	depth     int  // of types in types
	secretive bool // a secret field is somewhere inside
}

const (
	maxParts     = 10_000
	maxTypeDepth = 50
)

func (s *size) add(inner size) {
	s.parts += inner.parts
	s.depth = max(s.depth, inner.depth)
	s.secretive = s.secretive || inner.secretive
}

// newType adds up the size of a type. The error is a *diag.Problem.
func newType(t Type) (*Type, error) {
	for _, f := range t.AnyOf {
		t.size.add(f.size())
	}
	if t.Elem != nil {
		t.size.add(t.Elem.size())
	}
	if t.Object != nil {
		t.size.add(t.Object.size)
	}
	t.parts++
	t.depth++
	return &t, t.size.check()
}

// objectType is the type of the values of a schema.
func objectType(s *Schema) *Type {
	t := &Type{Kind: KindSchema, Object: s, size: s.size}
	t.depth++
	t.parts++
	return t
}

func (s size) check() error {
	p := &diag.Problem{Code: "P2116", Message: "the schema is too large"}
	switch {
	case s.depth > maxTypeDepth:
		p.Found, p.Wanted = fmt.Sprintf("types in types %d deep", s.depth), fmt.Sprintf("at most %d", maxTypeDepth)
	case s.parts > maxParts:
		p.Found, p.Wanted = fmt.Sprintf("%d types in one schema", s.parts), fmt.Sprintf("at most %d", maxParts)
	default:
		return nil
	}
	p.Hint = "write `dict`, `list` or anything() where the exact shape does not matter"
	return p
}

// declared is a value that a declaration makes and another one takes: a type, a
// field, a guard, controls. Scripts can pass it on and print it, nothing else.
type declared[T any] struct {
	kind  string // "field"
	value T
}

// String is the value as it would be written, as far as it can tell.
func (d *declared[T]) String() string {
	if s, ok := any(d.value).(fmt.Stringer); ok {
		return s.String()
	}
	return d.kind + "(...)"
}

func (d *declared[T]) Type() string          { return d.kind }
func (d *declared[T]) Freeze()               {}
func (d *declared[T]) Truth() starlark.Bool  { return true }
func (d *declared[T]) Hash() (uint32, error) { return 0, fmt.Errorf("unhashable: %s", d.kind) }

func typeValue(t *Type) *declared[*Type] {
	return &declared[*Type]{kind: "type", value: t}
}

// fieldOf is what a value means where a type is wanted. The functions str, int,
// float, bool, dict and list are known by their names: some of them are the
// interpreter's, some ours. A nil Field comes with a hint.
func fieldOf(v starlark.Value) (f *Field, hint string) {
	switch v := v.(type) {
	case *declared[*Field]:
		return v.value, ""
	case *declared[*Type]:
		return &Field{Type: v.value}, ""
	case *declared[*Schema]:
		return &Field{Type: objectType(v.value)}, ""
	case *starlark.Builtin:
		if v.Receiver() != nil {
			break
		}
		switch kind := TypeKind(v.Name()); kind {
		case KindString, KindInt, KindFloat, KindBool, KindMap, KindList:
			return &Field{Type: &Type{Kind: kind, size: size{parts: 1, depth: 1}}}, ""
		}
		return nil, hintForFunction(v.Name())
	case *starlark.List:
		return nil, "write list_of(T) for a list of T"
	case *starlark.Dict:
		return nil, "write map_of(T) for any keys with values of T, or schema(...) for named fields"
	case starlark.NoneType:
		return nil, "write optional(T) for a value that may be null"
	case starlark.String:
		switch TypeKind(v) {
		case KindString, KindInt, KindFloat, KindBool, KindMap, KindList:
			return nil, fmt.Sprintf("write %s without quotes", string(v))
		}
		return nil, fmt.Sprintf("write one_of(%s) for a fixed value, or field(str, default = %[1]s) for a default", shorten(v.String()))
	case starlark.Bool, starlark.Int:
		return nil, fmt.Sprintf("write one_of(%s) for a fixed value, or field(%s, default = %[1]s) for a default", v, v.Type())
	case starlark.Float:
		return nil, fmt.Sprintf("write field(float, default = %s) for a default", v)
	}
	return nil, ""
}

func hintForFunction(name string) string {
	switch name {
	case "any":
		return "write anything() for any value"
	case "tuple", "set":
		return "JSON has lists only: write list_of(T)"
	case "bytes":
		return "JSON has no bytes: write str, with base64 in it"
	case "type":
		return "write the type itself, such as str"
	case "anything", "datetime", "date", "uuid":
		return fmt.Sprintf("write %s()", name)
	case "list_of", "map_of", "optional":
		return fmt.Sprintf("write %s(T), such as %s(str)", name, name)
	case "one_of":
		return `write one_of("a", "b")`
	case "union":
		return "write union(A, B), such as union(int, str)"
	case "schema":
		return "write schema(name = type, ...)"
	case "field":
		return "write field(type, ...)"
	}
	return ""
}

const typeWords = "a type: str, int, float, bool, dict, list, list_of(T), map_of(T), one_of(...), optional(T), union(...), anything(), schema(...), datetime(), date(), uuid() or field(type, ...)"

// typeArg is an argument that is a type, or a field(...) without a default.
func (c *call) typeArg(name string, v starlark.Value, place string) (*Field, error) {
	f, hint := fieldOf(v)
	if f == nil {
		return nil, &diag.Problem{Code: "P2110", Message: fmt.Sprintf("%s: `%s` is not a type", c.builtin.Name, name),
			Found: describe(v), Wanted: typeWords, Hint: hint, Argument: place}
	}
	if f.Default != nil {
		return nil, &diag.Problem{Code: "P2122", Message: fmt.Sprintf("%s: a default has no meaning here", c.builtin.Name),
			Hint: "only a field of schema(...) can be left out; take `default` away", Argument: place}
	}
	return f, nil
}

// describe is a value of a task file in a complaint about it.
func describe(v starlark.Value) string {
	switch v := v.(type) {
	case starlark.String, starlark.Int, starlark.Float, starlark.Bool:
		return shorten(v.String())
	}
	return typeName(v)
}

// String is the type as it would be written.
func (t *Type) String() string {
	switch t.Kind {
	case KindString, KindInt, KindFloat, KindBool:
		return string(t.Kind)
	case KindList, KindMap:
		if t.Elem == nil {
			return string(t.Kind)
		}
		name := "list_of"
		if t.Kind == KindMap {
			name = "map_of"
		}
		return name + "(" + t.Elem.String() + ")"
	case KindEnum:
		values := make([]string, len(t.Enum))
		for i, v := range t.Enum {
			values[i] = enumText(v)
		}
		return "one_of(" + strings.Join(values, ", ") + ")"
	case KindOptional:
		return "optional(" + t.Elem.String() + ")"
	case KindUnion:
		members := make([]string, len(t.AnyOf))
		for i, m := range t.AnyOf {
			members[i] = m.String()
		}
		return "union(" + strings.Join(members, ", ") + ")"
	case KindSchema:
		return t.Object.String()
	}
	return string(t.Kind) + "()"
}

func enumText(v any) string {
	switch v := v.(type) {
	case string:
		return starlark.String(v).String()
	case bool:
		return starlark.Bool(v).String()
	}
	return fmt.Sprint(v)
}

func makeElemType(kind TypeKind) func(*call) (starlark.Value, error) {
	return func(c *call) (starlark.Value, error) {
		elem, err := c.typeArg("type", c.arg("type"), c.place("type"))
		if err != nil {
			return nil, err
		}
		t, err := newType(Type{Kind: kind, Elem: elem})
		if err != nil {
			return nil, err
		}
		return typeValue(t), nil
	}
}

func makePlainType(kind TypeKind) func(*call) (starlark.Value, error) {
	return func(*call) (starlark.Value, error) {
		t, err := newType(Type{Kind: kind})
		return typeValue(t), err
	}
}

func makeUnion(c *call) (starlark.Value, error) {
	if len(c.rest) < 2 {
		return nil, &diag.Problem{Code: "P2115", Message: "union: too few types", Found: fmt.Sprint(len(c.rest)), Wanted: "at least 2",
			Hint: "write optional(T) for a value that may be null"}
	}
	t := Type{Kind: KindUnion}
	for i, v := range c.rest {
		member, err := c.typeArg("types", v, fmt.Sprint(i))
		if err != nil {
			return nil, err
		}
		t.AnyOf = append(t.AnyOf, member)
	}
	made, err := newType(t)
	if err != nil {
		return nil, err
	}
	return typeValue(made), nil
}

func makeOneOf(c *call) (starlark.Value, error) {
	if len(c.rest) == 0 {
		return nil, &diag.Problem{Code: "P2115", Message: "one_of: no values", Wanted: "at least one string, int or bool"}
	}
	t := Type{Kind: KindEnum, enumAt: make(map[any]int, len(c.rest))}
	for i, v := range c.rest {
		value, ok := enumValue(v)
		p := &diag.Problem{Code: "P2115", Found: describe(v), Argument: fmt.Sprint(i)}
		if !ok {
			p.Message, p.Wanted = fmt.Sprintf("one_of: value %d", i+1), "a string, an int or a bool"
			switch v.(type) {
			case *starlark.List, starlark.Tuple:
				p.Hint = "write the values as arguments: one_of(\"a\", \"b\"), or one_of(*values)"
			case starlark.NoneType:
				p.Hint = "write optional(one_of(...)) for a value that may be null"
			}
			return nil, p
		}
		key, _ := enumKey(value)
		if _, twice := t.enumAt[key]; twice {
			p.Message, p.Wanted = "one_of: the same value twice", "each value once"
			return nil, p
		}
		t.enumAt[key] = len(t.Enum)
		t.Enum = append(t.Enum, value)
	}
	t.shared = t.sharedType()
	made, err := newType(t)
	if err != nil {
		return nil, err
	}
	return typeValue(made), nil
}

func enumValue(v starlark.Value) (value any, ok bool) {
	switch v := v.(type) {
	case starlark.String:
		return string(v), true
	case starlark.Bool:
		return bool(v), true
	case starlark.Int:
		return json.Number(v.String()), true
	}
	return nil, false
}

// rational is a JSON number as it was written. decodeJSON bounds its cost.
func rational(n json.Number) *big.Rat {
	r, _ := new(big.Rat).SetString(string(n))
	return r
}
