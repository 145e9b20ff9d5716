// Package schema holds the shapes that a task declares for its params and its result:
// types and fields, the same as JSON Schema, the check of a JSON value against them,
// and the value that a body gets of it.
package schema

import (
	"encoding/json"
	"fmt"
	"regexp"
	"strings"

	"go.starlark.net/starlark"

	"perago/starlib/diag"
	"perago/starlib/jsontext"
)

// Schema is the shape of a JSON object, as schema(...) declares it. It is
// immutable, and safe for concurrent use.
type Schema struct {
	Fields []*Field // in the order of the declaration

	size
	index map[string]int // of Fields, by name
}

// HasSecrets says whether a secret field is somewhere inside.
func (s *Schema) HasSecrets() bool { return s != nil && s.secretive }

// field returns the field of a name, nil when there is none.
func (s *Schema) field(name string) *Field {
	if i, ok := s.index[name]; ok {
		return s.Fields[i]
	}
	return nil
}

// names are those of the fields, in the order of the declaration.
func (s *Schema) names() []string {
	names := make([]string, len(s.Fields))
	for i, f := range s.Fields {
		names[i] = f.Name
	}
	return names
}

// String is the schema as it would be written, without the details of fields.
func (s *Schema) String() string {
	parts := make([]string, len(s.Fields))
	for i, f := range s.Fields {
		parts[i] = f.Name + " = " + f.String()
	}
	return "schema(" + strings.Join(parts, ", ") + ")"
}

// New makes a Schema of its fields. The error is a *diag.Problem.
func New(fields []*Field) (*Schema, error) {
	s := &Schema{Fields: fields, index: make(map[string]int, len(fields))}
	for i, f := range fields {
		s.size.add(f.size())
		s.index[f.Name] = i
	}
	return s, s.size.check()
}

// Kind is what sort of value a Type wants, in the words of task files.
type Kind string

const (
	KindString   Kind = "str"
	KindInt      Kind = "int"
	KindFloat    Kind = "float"
	KindBool     Kind = "bool"
	KindList     Kind = "list"     // list, and list_of(T) with Elem
	KindMap      Kind = "dict"     // dict, and map_of(T) with Elem
	KindEnum     Kind = "one_of"   // with Enum
	KindUnion    Kind = "union"    // with AnyOf
	KindOptional Kind = "optional" // Elem, or null
	KindAnything Kind = "anything"
	KindSchema   Kind = "schema" // with Object
	KindDateTime Kind = "datetime"
	KindDate     Kind = "date"
	KindUUID     Kind = "uuid"
)

// Type is what a value must be. It is immutable.
type Type struct {
	Kind   Kind
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

// NewType makes a type of its Kind and of what belongs to that. It is refused when
// it is too large; the error is a *diag.Problem.
func NewType(t Type) (*Type, error) {
	if t.Kind == KindEnum {
		t.enumAt = make(map[any]int, len(t.Enum))
		for i, v := range t.Enum {
			key, _ := enumKey(v)
			t.enumAt[key] = i
		}
		t.shared = t.sharedType()
	}
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

// Plain is the type of a kind that has no parts.
func Plain(kind Kind) *Type { return &Type{Kind: kind, size: size{parts: 1, depth: 1}} }

// asField is the schema as what a value must be.
func (s *Schema) asField() *Field { return &Field{Type: s.Type()} }

// Type is the type of the values of a schema.
func (s *Schema) Type() *Type {
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

// Field is one field of a Schema, or what the items of a list, the values of a
// map, or one alternative of a union must be (then it has no Name and no
// default). It is immutable.
type Field struct {
	Name        string
	Type        *Type
	Constraints Constraints
	Default     json.RawMessage // nil: there is none, and the field is required
	Description string
	Examples    []json.RawMessage
	Secret      bool // the value appears in no log, reason or diagnostic

	fallback jsonValue      // Default
	filled   starlark.Value // what the body gets of it; frozen
}

// Constraints on the value of a Field; what is not given is "" or nil. An
// optional type has them on its Elem: null satisfies all.
type Constraints struct {
	GE, GT, LE, LT, MultipleOf json.Number
	MinLength, MaxLength       *int // in characters
	MinItems, MaxItems         *int
	Pattern                    *regexp.Regexp // it may match anywhere in the text
	UniqueItems                bool
}

func (f *Field) size() size {
	s := f.Type.size
	s.secretive = s.secretive || f.Secret
	return s
}

// String is the field as it would be written, without default and description.
func (f *Field) String() string {
	parts := []string{f.Type.String()}
	for _, c := range f.Constraints.Words() {
		parts = append(parts, c.Name+" = "+c.Value)
	}
	if f.Secret {
		parts = append(parts, "secret = True")
	}
	if len(parts) == 1 {
		return parts[0]
	}
	return "field(" + strings.Join(parts, ", ") + ")"
}

// Constraint is one of Constraints as it would be written: ge, 1.
type Constraint struct{ Name, Value string }

// Words lists what is given, in the order of the reference.
func (c *Constraints) Words() []Constraint {
	var words []Constraint
	add := func(given bool, name, value string) {
		if given {
			words = append(words, Constraint{name, value})
		}
	}
	count := func(name string, n *int) {
		if n != nil {
			add(true, name, fmt.Sprint(*n))
		}
	}
	for _, n := range []Constraint{{"ge", string(c.GE)}, {"gt", string(c.GT)}, {"le", string(c.LE)}, {"lt", string(c.LT)}, {"multiple_of", string(c.MultipleOf)}} {
		add(n.Value != "", n.Name, n.Value)
	}
	count("min_length", c.MinLength)
	count("max_length", c.MaxLength)
	if c.Pattern != nil {
		add(true, "pattern", starlark.String(c.Pattern.String()).String())
	}
	count("min_items", c.MinItems)
	count("max_items", c.MaxItems)
	add(c.UniqueItems, "unique_items", "True")
	return words
}

// Contradiction finds two bounds between which there is no value; found is false
// when there are none such.
func (c *Constraints) Contradiction() (low, high Constraint, found bool) {
	for _, low := range []Constraint{{"ge", string(c.GE)}, {"gt", string(c.GT)}} {
		for _, high := range []Constraint{{"le", string(c.LE)}, {"lt", string(c.LT)}} {
			if low.Value == "" || high.Value == "" {
				continue
			}
			order := jsontext.Rational(json.Number(low.Value)).Cmp(jsontext.Rational(json.Number(high.Value)))
			if order > 0 || order == 0 && (low.Name == "gt" || high.Name == "lt") {
				return low, high, true
			}
		}
	}
	above := func(least, most *int) bool { return least != nil && most != nil && *least > *most }
	switch {
	case above(c.MinLength, c.MaxLength):
		return Constraint{"min_length", fmt.Sprint(*c.MinLength)}, Constraint{"max_length", fmt.Sprint(*c.MaxLength)}, true
	case above(c.MinItems, c.MaxItems):
		return Constraint{"min_items", fmt.Sprint(*c.MinItems)}, Constraint{"max_items", fmt.Sprint(*c.MaxItems)}, true
	}
	return Constraint{}, Constraint{}, false
}

// SetDefault makes a field optional: raw is its value when it is left out. The
// diagnostics say what the field itself would refuse of it; then it is not set.
func (f *Field) SetDefault(raw json.RawMessage) diag.List {
	v := &checker{root: f, closed: true}
	tree, problems := v.read(raw, "default")
	if problems == nil {
		f.Default, f.fallback = raw, tree
		f.filled, _ = v.conform(f, tree)
	}
	return problems
}
