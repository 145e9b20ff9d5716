package schema

import (
	"fmt"
	"slices"
	"strings"

	"go.starlark.net/starlark"
	"go.starlark.net/syntax"

	"perago/starlib/diag"
)

// object is a value of a schema in a body, params itself above all. Its fields
// are attributes, and items by their names. It cannot be changed.
type object struct {
	schema *Schema
	values []starlark.Value // by the index in schema.Fields, frozen
}

var (
	_ starlark.HasAttrs        = (*object)(nil)
	_ starlark.IterableMapping = (*object)(nil)
	_ starlark.Sequence        = (*object)(nil)
	_ starlark.Comparable      = (*object)(nil)
)

func (o *object) Type() string          { return "object" }
func (o *object) Freeze()               {}
func (o *object) Truth() starlark.Bool  { return len(o.values) > 0 }
func (o *object) Hash() (uint32, error) { return 0, fmt.Errorf("unhashable: object") }
func (o *object) Len() int              { return len(o.values) }
func (o *object) AttrNames() []string   { return o.schema.names() }

// String is object(name = value, ...), without what is secret.
func (o *object) String() string {
	parts := make([]string, len(o.values))
	for i, f := range o.schema.Fields {
		text := "***"
		if !f.hides() {
			text = o.values[i].String()
		}
		parts[i] = f.Name + " = " + text
	}
	return "object(" + strings.Join(parts, ", ") + ")"
}

// hides says whether the value of a field is not to be printed. A value of a
// schema hides what is secret in it by itself.
func (f *Field) hides() bool {
	return f.Secret || f.Type.Elem != nil && f.Type.Elem.hides() || slices.ContainsFunc(f.Type.AnyOf, (*Field).hides)
}

// Attr returns a field. Its error names the nearest one.
func (o *object) Attr(name string) (starlark.Value, error) {
	if i, ok := o.schema.index[name]; ok {
		return o.values[i], nil
	}
	return nil, o.unknown(name)
}

// Get is o[key]. Its error names the nearest field; `in` takes it for a no.
func (o *object) Get(key starlark.Value) (starlark.Value, bool, error) {
	name, ok := key.(starlark.String)
	if !ok {
		return nil, false, &diag.Problem{Code: "P4140", Message: "the fields of an object have names", Found: diag.Describe(key), Wanted: "a string"}
	}
	if i, ok := o.schema.index[string(name)]; ok {
		return o.values[i], true, nil
	}
	return nil, false, o.unknown(string(name))
}

func (o *object) unknown(name string) error {
	p := &diag.Problem{Code: "P4140", Message: fmt.Sprintf("there is no field `%s` here", diag.Escape(diag.Shorten(name)))}
	names := o.schema.names()
	switch near := diag.Nearest(name, names); {
	case near != "":
		p.Hint = "did you mean " + diag.Backquote(near) + "?"
	case name == "get" || name == "items" || name == "keys" || name == "values":
		p.Hint = fmt.Sprintf("an object has no methods: write dict(...).%s of it, or loop over it for the names of its fields", name)
	case len(names) == 0:
		p.Wanted = "nothing: the schema has no fields"
	default:
		p.Wanted = "one of " + diag.Shorten(diag.Escape(strings.Join(names, ", ")))
	}
	return p
}

// Items are the names and values, in the order of the schema.
func (o *object) Items() []starlark.Tuple {
	items := make([]starlark.Tuple, len(o.values))
	for i, f := range o.schema.Fields {
		items[i] = starlark.Tuple{starlark.String(f.Name), o.values[i]}
	}
	return items
}

// Iterate goes over the names of the fields.
func (o *object) Iterate() starlark.Iterator { return &nameIterator{fields: o.schema.Fields} }

type nameIterator struct{ fields []*Field }

func (it *nameIterator) Next(p *starlark.Value) bool {
	if len(it.fields) == 0 {
		return false
	}
	*p = starlark.String(it.fields[0].Name)
	it.fields = it.fields[1:]
	return true
}

func (it *nameIterator) Done() {}

// CompareSameType compares with another object by names and values; objects
// have no order.
func (o *object) CompareSameType(op syntax.Token, y starlark.Value, depth int) (bool, error) {
	other := y.(*object)
	if op != syntax.EQL && op != syntax.NEQ {
		return false, fmt.Errorf("objects have no order: %s is not for them", op)
	}
	same := len(o.values) == len(other.values)
	for i, f := range o.schema.Fields {
		if !same {
			break
		}
		at, known := other.schema.index[f.Name]
		if !known {
			same = false
			break
		}
		equal, err := starlark.EqualDepth(o.values[i], other.values[at], depth-1)
		if err != nil {
			return false, err
		}
		same = equal
	}
	return same == (op == syntax.EQL), nil
}
