package starlib

// schema(...), field(...) and the types of fields: the calls that declare what the
// package schema describes.

import (
	"encoding/json"
	"errors"
	"fmt"
	"math"
	"regexp"
	"regexp/syntax"
	"strings"
	"unicode/utf8"

	"go.starlark.net/starlark"

	"perago/starlib/diag"
	"perago/starlib/jsontext"
	"perago/starlib/schema"
)

// maxFieldName bounds the name of a field, in bytes.
const maxFieldName = 255

func makeSchema(c *call) (starlark.Value, error) {
	var fields []*schema.Field
	for _, kw := range c.kwrest {
		name := string(kw[0].(starlark.String))
		if name == "" || len(name) > maxFieldName || !utf8.ValidString(name) {
			return nil, &diag.Problem{Code: "P2117", Message: "schema: a field cannot have this name", Found: diag.Quote(name),
				Wanted: fmt.Sprintf("1 to %d bytes of text", maxFieldName), Argument: name}
		}
		f, hint := fieldOf(kw[1])
		if f == nil {
			return nil, &diag.Problem{Code: "P2110", Message: fmt.Sprintf("schema: field `%s` is not a type", diag.Escape(diag.Shorten(name))),
				Found: diag.Describe(kw[1]), Wanted: typeWords, Hint: hint, Argument: name}
		}
		named := *f
		named.Name = name
		fields = append(fields, &named)
	}
	s, err := schema.New(fields)
	if p := (*diag.Problem)(nil); errors.As(err, &p) {
		return nil, p
	}
	return &declared[*schema.Schema]{kind: "schema", value: s}, nil
}
func makeField(c *call) (starlark.Value, error) {
	if _, nested := c.arg("type").(*declared[*schema.Field]); nested {
		return nil, &diag.Problem{Code: "P2110", Message: "field: `type` is itself a field(...)", Argument: c.argument("type"),
			Hint: "write all of it in one field(type, ...)"}
	}
	base, err := c.typeArg("type", c.arg("type"), c.argument("type"))
	if err != nil {
		return nil, err
	}
	f := &schema.Field{Type: base.Type}
	if f.Description, err = c.words("description"); err != nil {
		return nil, err
	}
	if f.Secret, err = c.boolean("secret", false); err != nil {
		return nil, err
	}
	if err := c.narrow(f); err != nil {
		return nil, err
	}
	if err := c.examples(f); err != nil {
		return nil, err
	}
	if err := c.defaultOf(f); err != nil {
		return nil, err
	}
	return &declared[*schema.Field]{kind: "field", value: f}, nil
}

// narrow puts the constraints of the call on a field; on an optional one, on
// what is inside it.
func (c *call) narrow(f *schema.Field) error {
	if f.Type.Kind != schema.KindOptional {
		return c.constraints(f)
	}
	inner := *f.Type.Elem
	if err := c.narrow(&inner); err != nil {
		return err
	}
	narrowed := *f.Type
	narrowed.Elem = &inner
	f.Type = &narrowed
	return nil
}

// constraints reads the arguments that narrow a type, and refuses those that do
// not fit it or leave no value at all.
func (c *call) constraints(f *schema.Field) error {
	k := &f.Constraints
	for _, n := range []struct {
		name  string
		value *json.Number
	}{{"ge", &k.GE}, {"gt", &k.GT}, {"le", &k.LE}, {"lt", &k.LT}, {"multiple_of", &k.MultipleOf}} {
		if err := c.bound(f, n.name, n.value); err != nil {
			return err
		}
	}
	for _, n := range []struct {
		name  string
		value **int
	}{{"min_length", &k.MinLength}, {"max_length", &k.MaxLength}, {"min_items", &k.MinItems}, {"max_items", &k.MaxItems}} {
		if err := c.count(f, n.name, n.value); err != nil {
			return err
		}
	}
	var err error
	if k.UniqueItems, err = c.boolean("unique_items", k.UniqueItems); err != nil {
		return err
	}
	if k.UniqueItems {
		if err := c.fits(f, "unique_items"); err != nil {
			return err
		}
	}
	if err := c.pattern(f); err != nil {
		return err
	}
	if low, high, found := k.Contradiction(); found {
		return &diag.Problem{Code: "P2109", Message: fmt.Sprintf("field: `%s` and `%s` leave no value", low.Name, high.Name),
			Found:  fmt.Sprintf("%s = %s and %s = %s", low.Name, low.Value, high.Name, high.Value),
			Wanted: fmt.Sprintf("%s below %s", low.Name, high.Name), Argument: low.Name}
	}
	return nil
}

// fits refuses a constraint that has no meaning for the type. An optional type takes
// the constraints of the type inside it.
func (c *call) fits(f *schema.Field, name string) error {
	kind := f.Type.Kind
	var want string
	switch name {
	case "ge", "gt", "le", "lt", "multiple_of":
		if kind == schema.KindInt || kind == schema.KindFloat {
			return nil
		}
		want = "int or float"
	case "min_length", "max_length", "pattern":
		if kind == schema.KindString {
			return nil
		}
		want = "str"
	default:
		if kind == schema.KindList {
			return nil
		}
		want = "list or list_of(T)"
	}
	p := &diag.Problem{Code: "P2111", Message: fmt.Sprintf("field: `%s` does not fit the type", name),
		Found: diag.Shorten(f.Type.String()), Wanted: want, Argument: name}
	switch {
	case kind == schema.KindUnion:
		p.Hint = fmt.Sprintf("put it on the member it is for: union(field(%s, %s = ...), ...)", want, name)
	case kind == schema.KindList && want == "str":
		p.Hint = fmt.Sprintf("write %s for the number of items, or list_of(field(str, %s = ...)) for each item",
			strings.Replace(name, "length", "items", 1), name)
		if name == "pattern" {
			p.Hint = "write list_of(field(str, pattern = ...)) for a pattern of each item"
		}
	case kind == schema.KindString && (name == "min_items" || name == "max_items"):
		p.Hint = "write " + strings.Replace(name, "items", "length", 1) + " for the number of characters"
	}
	return p
}

func (c *call) bound(f *schema.Field, name string, to *json.Number) error {
	if c.absent(name) {
		return nil
	}
	switch n := c.arg(name).(type) {
	case starlark.Int:
		*to = json.Number(n.String())
	case starlark.Float:
		if math.IsInf(float64(n), 0) || math.IsNaN(float64(n)) {
			return &diag.Problem{Code: "P2106", Message: fmt.Sprintf("field: `%s`", name), Found: n.String(), Wanted: "a finite number", Argument: name}
		}
		*to = json.Number(jsontext.AppendFloat(nil, float64(n)))
	default:
		return c.wrongType(name, n)
	}
	if x, _ := starlark.AsFloat(c.arg(name)); name == "multiple_of" && x <= 0 {
		return &diag.Problem{Code: "P2106", Message: "field: `multiple_of`", Found: string(*to), Wanted: "more than 0", Argument: name}
	}
	return c.fits(f, name)
}

func (c *call) count(f *schema.Field, name string, to **int) error {
	if c.absent(name) {
		return nil
	}
	n, err := c.integer(name, 0)
	if err != nil {
		return err
	}
	if n < 0 {
		return &diag.Problem{Code: "P2106", Message: fmt.Sprintf("field: `%s`", name), Found: fmt.Sprint(n), Wanted: "at least 0", Argument: name}
	}
	*to = &n
	return c.fits(f, name)
}

func (c *call) pattern(f *schema.Field) error {
	if c.absent("pattern") {
		return nil
	}
	text, err := c.text("pattern", "")
	if err != nil {
		return err
	}
	if err := c.fits(f, "pattern"); err != nil {
		return err
	}
	f.Constraints.Pattern, err = regexp.Compile(text)
	if err == nil {
		return nil
	}
	p := &diag.Problem{Code: "P2112", Message: "field: `pattern` is not a regular expression", Found: diag.Shorten(starlark.String(text).String()), Argument: "pattern"}
	if bad, ok := err.(*syntax.Error); ok {
		p.Wanted = fmt.Sprintf("a pattern without %s: %s", diag.Shorten(starlark.String(bad.Expr).String()), bad.Code)
		if bad.Code == syntax.ErrInvalidPerlOp {
			p.Hint = "look-around and back-references are not supported: matching takes linear time, whatever the text"
		}
	}
	return p
}

func (c *call) examples(f *schema.Field) error {
	if c.absent("examples") {
		return nil
	}
	v := c.arg("examples")
	list, ok := v.(starlark.Sequence)
	if _, isList := v.(starlark.Indexable); !ok || !isList {
		return c.wrongType("examples", v)
	}
	iter := list.Iterate()
	defer iter.Done()
	var x starlark.Value
	for iter.Next(&x) {
		raw, err := schema.EncodeDeclared(x)
		if err != nil {
			return &diag.Problem{Code: "P2114", Message: fmt.Sprintf("field: example %d is not JSON: %v", len(f.Examples)+1, err), Argument: "examples"}
		}
		f.Examples = append(f.Examples, raw)
	}
	return nil
}

// defaultOf reads the default, and refuses one that the field itself would refuse.
func (c *call) defaultOf(f *schema.Field) error {
	given := c.arg("default")
	if given == nil {
		return nil
	}
	raw, err := schema.EncodeDeclared(given)
	if err != nil {
		return &diag.Problem{Code: "P2114", Message: "field: `default` is not JSON: " + err.Error(), Argument: "default"}
	}
	problems := f.SetDefault(raw)
	if problems == nil {
		return nil
	}
	first := problems[0]
	p := &diag.Problem{Code: "P2113", Message: "field: the default would be refused", Found: first.Found, Wanted: first.Wanted, Hint: first.Hint, Argument: "default"}
	if at := strings.TrimPrefix(first.Message, "/default"); at != "" {
		p.Message += " at " + at
	}
	if string(raw) == "null" {
		p.Hint = fmt.Sprintf("write field(optional(%s), default = None)", diag.Shorten(f.Type.String()))
	}
	return p
}
func makeElemType(kind schema.Kind) func(*call) (starlark.Value, error) {
	return func(c *call) (starlark.Value, error) {
		elem, err := c.typeArg("type", c.arg("type"), c.argument("type"))
		if err != nil {
			return nil, err
		}
		t, err := schema.NewType(schema.Type{Kind: kind, Elem: elem})
		if err != nil {
			return nil, err
		}
		return typeValue(t), nil
	}
}

func makePlainType(kind schema.Kind) func(*call) (starlark.Value, error) {
	return func(*call) (starlark.Value, error) {
		t, err := schema.NewType(schema.Type{Kind: kind})
		return typeValue(t), err
	}
}

func makeUnion(c *call) (starlark.Value, error) {
	if len(c.rest) < 2 {
		return nil, &diag.Problem{Code: "P2115", Message: "union: too few types", Found: fmt.Sprint(len(c.rest)), Wanted: "at least 2",
			Hint: "write optional(T) for a value that may be null"}
	}
	t := schema.Type{Kind: schema.KindUnion}
	for i, v := range c.rest {
		member, err := c.typeArg("types", v, fmt.Sprint(i))
		if err != nil {
			return nil, err
		}
		t.AnyOf = append(t.AnyOf, member)
	}
	made, err := schema.NewType(t)
	if err != nil {
		return nil, err
	}
	return typeValue(made), nil
}

func makeOneOf(c *call) (starlark.Value, error) {
	if len(c.rest) == 0 {
		return nil, &diag.Problem{Code: "P2115", Message: "one_of: no values", Wanted: "at least one string, int or bool"}
	}
	t := schema.Type{Kind: schema.KindEnum}
	seen := make(map[any]bool, len(c.rest))
	for i, v := range c.rest {
		value, ok := enumValue(v)
		p := &diag.Problem{Code: "P2115", Found: diag.Describe(v), Argument: fmt.Sprint(i)}
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
		if seen[value] {
			p.Message, p.Wanted = "one_of: the same value twice", "each value once"
			return nil, p
		}
		seen[value] = true
		t.Enum = append(t.Enum, value)
	}
	made, err := schema.NewType(t)
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

func typeValue(t *schema.Type) *declared[*schema.Type] {
	return &declared[*schema.Type]{kind: "type", value: t}
}

// fieldOf is what a value means where a type is wanted. The functions str, int,
// float, bool, dict and list are known by their names: some of them are the
// interpreter's, some ours. A nil Field comes with a hint.
func fieldOf(v starlark.Value) (f *schema.Field, hint string) {
	switch v := v.(type) {
	case *declared[*schema.Field]:
		return v.value, ""
	case *declared[*schema.Type]:
		return &schema.Field{Type: v.value}, ""
	case *declared[*schema.Schema]:
		return &schema.Field{Type: v.value.Type()}, ""
	case *starlark.Builtin:
		if v.Receiver() != nil {
			break
		}
		switch kind := schema.Kind(v.Name()); kind {
		case schema.KindString, schema.KindInt, schema.KindFloat, schema.KindBool, schema.KindMap, schema.KindList:
			return &schema.Field{Type: schema.Plain(kind)}, ""
		}
		return nil, hintForFunction(v.Name())
	case *starlark.List:
		return nil, "write list_of(T) for a list of T"
	case *starlark.Dict:
		return nil, "write map_of(T) for any keys with values of T, or schema(...) for named fields"
	case starlark.NoneType:
		return nil, "write optional(T) for a value that may be null"
	case starlark.String:
		switch schema.Kind(v) {
		case schema.KindString, schema.KindInt, schema.KindFloat, schema.KindBool, schema.KindMap, schema.KindList:
			return nil, fmt.Sprintf("write %s without quotes", string(v))
		}
		return nil, fmt.Sprintf("write one_of(%s) for a fixed value, or field(str, default = %[1]s) for a default", diag.Shorten(v.String()))
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
func (c *call) typeArg(name string, v starlark.Value, place string) (*schema.Field, error) {
	f, hint := fieldOf(v)
	if f == nil {
		return nil, &diag.Problem{Code: "P2110", Message: fmt.Sprintf("%s: `%s` is not a type", c.builtin.Name, name),
			Found: diag.Describe(v), Wanted: typeWords, Hint: hint, Argument: place}
	}
	if f.Default != nil {
		return nil, &diag.Problem{Code: "P2122", Message: fmt.Sprintf("%s: a default has no meaning here", c.builtin.Name),
			Hint: "only a field of schema(...) can be left out; take `default` away", Argument: place}
	}
	return f, nil
}
