package starlib

// field(type, ...): a type with constraints, a default and words about it.

import (
	"encoding/json"
	"fmt"
	"math"
	"math/big"
	"regexp"
	"regexp/syntax"
	"strings"

	"go.starlark.net/starlark"

	"perago/starlib/diag"
)

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

	fallback jsonTree       // Default
	filled   starlark.Value // what the body gets of it; frozen
}

// Constraints on the value of a Field; what is not given is "" or nil. An
// optional type has them on its Elem: null satisfies all.
type Constraints struct {
	GE, GT, LE, LT, MultipleOf json.Number
	MinLength, MaxLength       *int // in characters
	MinItems, MaxItems         *int
	Pattern                    *regexp.Regexp // a match anywhere in the text will do
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
	for _, n := range c.numbers() {
		add(*n.value != "", n.name, string(*n.value))
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

type namedNumber struct {
	name  string
	value *json.Number
}

func (c *Constraints) numbers() []namedNumber {
	return []namedNumber{{"ge", &c.GE}, {"gt", &c.GT}, {"le", &c.LE}, {"lt", &c.LT}, {"multiple_of", &c.MultipleOf}}
}

func makeField(c *call) (starlark.Value, error) {
	if _, nested := c.arg("type").(*declared[*Field]); nested {
		return nil, &diag.Problem{Code: "P2110", Message: "field: `type` is itself a field(...)", Argument: c.place("type"),
			Hint: "write all of it in one field(type, ...)"}
	}
	base, err := c.typeArg("type", c.arg("type"), c.place("type"))
	if err != nil {
		return nil, err
	}
	f := &Field{Type: base.Type}
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
	return &declared[*Field]{kind: "field", value: f}, nil
}

// narrow puts the constraints of the call on a field; on an optional one, on
// what is inside it.
func (c *call) narrow(f *Field) error {
	if f.Type.Kind != KindOptional {
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
func (c *call) constraints(f *Field) error {
	k := &f.Constraints
	for _, n := range k.numbers() {
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
	return c.contradiction(f)
}

// fits refuses a constraint that means nothing for the type. An optional type
// takes those of what is inside it.
func (c *call) fits(f *Field, name string) error {
	kind := f.Type.Kind
	var want string
	switch name {
	case "ge", "gt", "le", "lt", "multiple_of":
		if kind == KindInt || kind == KindFloat {
			return nil
		}
		want = "int or float"
	case "min_length", "max_length", "pattern":
		if kind == KindString {
			return nil
		}
		want = "str"
	default:
		if kind == KindList {
			return nil
		}
		want = "list or list_of(T)"
	}
	p := &diag.Problem{Code: "P2111", Message: fmt.Sprintf("field: `%s` does not fit the type", name),
		Found: shorten(f.Type.String()), Wanted: want, Argument: name}
	switch {
	case kind == KindUnion:
		p.Hint = fmt.Sprintf("put it on the member it is for: union(field(%s, %s = ...), ...)", want, name)
	case kind == KindList && want == "str":
		p.Hint = fmt.Sprintf("write %s for the number of items, or list_of(field(str, %s = ...)) for each item",
			strings.Replace(name, "length", "items", 1), name)
		if name == "pattern" {
			p.Hint = "write list_of(field(str, pattern = ...)) for a pattern of each item"
		}
	case kind == KindString && (name == "min_items" || name == "max_items"):
		p.Hint = "write " + strings.Replace(name, "items", "length", 1) + " for the number of characters"
	}
	return p
}

func (c *call) bound(f *Field, name string, to *json.Number) error {
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
		*to = json.Number(appendFloat(nil, float64(n)))
	default:
		return c.wrongType(name, n)
	}
	if name == "multiple_of" && rational(*to).Sign() <= 0 {
		return &diag.Problem{Code: "P2106", Message: "field: `multiple_of`", Found: string(*to), Wanted: "more than 0", Argument: name}
	}
	return c.fits(f, name)
}

func (c *call) count(f *Field, name string, to **int) error {
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

func (c *call) pattern(f *Field) error {
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
	p := &diag.Problem{Code: "P2112", Message: "field: `pattern` is not a regular expression", Found: shorten(starlark.String(text).String()), Argument: "pattern"}
	if bad, ok := err.(*syntax.Error); ok {
		p.Wanted = fmt.Sprintf("a pattern without %s: %s", shorten(starlark.String(bad.Expr).String()), bad.Code)
		if bad.Code == syntax.ErrInvalidPerlOp {
			p.Hint = "look-around and back-references are not supported: matching takes linear time, whatever the text"
		}
	}
	return p
}

// contradiction refuses bounds that no value can satisfy.
func (c *call) contradiction(f *Field) error {
	k := &f.Constraints
	refuse := func(low, high, found string) error {
		return &diag.Problem{Code: "P2109", Message: fmt.Sprintf("field: `%s` and `%s` leave no value", low, high), Found: found,
			Wanted: fmt.Sprintf("%s below %s", low, high), Argument: low}
	}
	for _, low := range []namedNumber{{"ge", &k.GE}, {"gt", &k.GT}} {
		for _, high := range []namedNumber{{"le", &k.LE}, {"lt", &k.LT}} {
			if *low.value == "" || *high.value == "" {
				continue
			}
			strict := low.name == "gt" || high.name == "lt"
			if empty(rational(*low.value), rational(*high.value), strict) {
				return refuse(low.name, high.name, fmt.Sprintf("%s = %s and %s = %s", low.name, *low.value, high.name, *high.value))
			}
		}
	}
	if k.MinLength != nil && k.MaxLength != nil && *k.MinLength > *k.MaxLength {
		return refuse("min_length", "max_length", fmt.Sprintf("min_length = %d and max_length = %d", *k.MinLength, *k.MaxLength))
	}
	if k.MinItems != nil && k.MaxItems != nil && *k.MinItems > *k.MaxItems {
		return refuse("min_items", "max_items", fmt.Sprintf("min_items = %d and max_items = %d", *k.MinItems, *k.MaxItems))
	}
	return nil
}

func empty(low, high *big.Rat, strict bool) bool {
	order := low.Cmp(high)
	return order > 0 || order == 0 && strict
}

func (c *call) examples(f *Field) error {
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
		raw, err := declaredJSON(x)
		if err != nil {
			return &diag.Problem{Code: "P2114", Message: fmt.Sprintf("field: example %d is not JSON: %v", len(f.Examples)+1, err), Argument: "examples"}
		}
		f.Examples = append(f.Examples, raw)
	}
	return nil
}

// defaultOf reads the default, and refuses one that the field itself would refuse.
func (c *call) defaultOf(f *Field) error {
	given := c.arg("default")
	if given == nil {
		return nil
	}
	raw, err := declaredJSON(given)
	if err != nil {
		return &diag.Problem{Code: "P2114", Message: "field: `default` is not JSON: " + err.Error(), Argument: "default"}
	}
	v := &inspection{validator: newValidator(f, true)}
	tree, problems := v.read(raw, "default")
	if problems == nil {
		f.Default, f.fallback = raw, tree
		f.filled, _ = v.conform(f, tree)
		return nil
	}
	first := problems[0]
	p := &diag.Problem{Code: "P2113", Message: "field: the default would be refused", Found: first.Found, Wanted: first.Wanted, Hint: first.Hint, Argument: "default"}
	if at := strings.TrimPrefix(first.Message, "/default"); at != "" {
		p.Message += " at " + at
	}
	if string(raw) == "null" {
		p.Hint = fmt.Sprintf("write field(optional(%s), default = None)", shorten(f.Type.String()))
	}
	return p
}
