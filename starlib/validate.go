package starlib

// Whether a JSON value is what a field wants: the jsonschema library decides,
// over a schema that is built here as its compiler would.
//
// The compiler itself is passed by: it holds every schema against the metaschema
// first, which costs a millisecond each, and what is built of a Field cannot be
// malformed. A test holds the two against each other.

import (
	"encoding/json"
	"errors"
	"math"
	"strconv"

	"github.com/santhosh-tekuri/jsonschema/v5"
)

// formatOf is the JSON Schema format of a type that is a text of one form.
func formatOf(kind TypeKind) string {
	switch kind {
	case KindDateTime:
		return "date-time"
	case KindDate:
		return "date"
	case KindUUID:
		return "uuid"
	}
	return ""
}

// validator holds values against one field and all that is in it. It is
// read-only once built.
type validator struct {
	root     *Field
	closed   bool // unknown keys of objects are refused, else let through
	compiled map[*Field]*jsonschema.Schema
	fields   []*Field // the Location of a compiled schema is an index
}

func newValidator(root *Field, closed bool) *validator {
	v := &validator{root: root, closed: closed, compiled: make(map[*Field]*jsonschema.Schema)}
	v.compile(root)
	return v
}

// holds says whether a value is what f wants; f is in the validator.
func (v *validator) holds(f *Field, plain any) bool {
	return v.plainly(f, plain) || v.compiled[f].Validate(plain) == nil
}

func (v *validator) compile(f *Field) *jsonschema.Schema {
	if s := v.compiled[f]; s != nil {
		return s
	}
	s := blank()
	s.Location = strconv.Itoa(len(v.fields))
	v.fields = append(v.fields, f)
	v.compiled[f] = s
	v.compileType(s, f.Type)
	c := &f.Constraints
	if c.GE != "" {
		s.Minimum = exact(c.GE)
	}
	if c.GT != "" {
		s.ExclusiveMinimum = exact(c.GT)
	}
	if c.LE != "" {
		s.Maximum = exact(c.LE)
	}
	if c.LT != "" {
		s.ExclusiveMaximum = exact(c.LT)
	}
	if c.MultipleOf != "" {
		s.MultipleOf = exact(c.MultipleOf)
	}
	for to, from := range map[*int]*int{&s.MinLength: c.MinLength, &s.MaxLength: c.MaxLength, &s.MinItems: c.MinItems, &s.MaxItems: c.MaxItems} {
		if from != nil {
			*to = *from
		}
	}
	s.Pattern = c.Pattern
	s.UniqueItems = c.UniqueItems
	return s
}

func (v *validator) compileType(s *jsonschema.Schema, t *Type) {
	switch t.Kind {
	case KindString:
		s.Types = []string{"string"}
	case KindInt:
		s.Types = []string{"integer"}
	case KindFloat:
		s.Types = []string{"number"}
		s.Extensions = map[string]jsonschema.ExtSchema{keywordFloat: keyword{keywordFloat, fitsFloat}}
	case KindBool:
		s.Types = []string{"boolean"}
	case KindDateTime, KindDate, KindUUID:
		s.Types = []string{"string"}
		s.Extensions = map[string]jsonschema.ExtSchema{"format": keyword{"format", jsonschema.Formats[formatOf(t.Kind)]}}
	case KindEnum:
		if name := t.enumType(); name != "" {
			s.Types = []string{name}
		}
		s.Extensions = map[string]jsonschema.ExtSchema{"enum": keyword{"enum", t.admits}}
	case KindList:
		s.Types = []string{"array"}
		if t.Elem != nil {
			s.Items2020 = v.compile(t.Elem)
		}
	case KindMap:
		s.Types = []string{"object"}
		if t.Elem != nil {
			s.AdditionalProperties = v.compile(t.Elem)
		}
	case KindOptional:
		null := blank()
		null.Location = s.Location
		null.Types = []string{"null"}
		s.AnyOf = []*jsonschema.Schema{v.compile(t.Elem), null}
	case KindUnion:
		for _, member := range t.AnyOf {
			s.AnyOf = append(s.AnyOf, v.compile(member))
		}
	case KindSchema:
		s.Types = []string{"object"}
		s.Required = t.Object.required()
		s.AdditionalProperties = !v.closed
		s.Properties = make(map[string]*jsonschema.Schema, len(t.Object.Fields))
		for _, f := range t.Object.Fields {
			s.Properties[f.Name] = v.compile(f)
		}
	}
}

// blank is a schema that lets everything through.
func blank() *jsonschema.Schema {
	return &jsonschema.Schema{Draft: jsonschema.Draft2020, MinProperties: -1, MaxProperties: -1, MinItems: -1, MaxItems: -1,
		MinContains: -1, MaxContains: -1, MinLength: -1, MaxLength: -1}
}

// keyword is a condition that is checked beside those the library knows.
type keyword struct {
	name  string
	holds func(any) bool
}

// Validate implements jsonschema.ExtSchema.
func (k keyword) Validate(ctx jsonschema.ValidationContext, plain any) error {
	if k.holds(plain) {
		return nil
	}
	return ctx.Error(k.name, "does not hold")
}

// keywordFloat is not of JSON Schema, which has no bound on numbers: a body gets
// a float, and there is none beyond ±1.8e308.
const keywordFloat = "float"

func fitsFloat(plain any) bool {
	n, isNumber := plain.(json.Number)
	if !isNumber || len(n) <= 300 { // of integers only those with more digits can be too large
		return true
	}
	f, err := n.Float64()
	return err == nil && !math.IsInf(f, 0)
}

// admits says whether a value is one of those of one_of; 5.0 is 5.
func (t *Type) admits(plain any) bool {
	_, ok := t.admitted(plain)
	return ok
}

func (t *Type) admitted(plain any) (declared any, ok bool) {
	n, isNumber := plain.(json.Number)
	for _, v := range t.Enum {
		if v == plain {
			return v, true
		}
		if m, ok := v.(json.Number); ok && isNumber && exact(m).Cmp(exact(n)) == 0 {
			return v, true
		}
	}
	return nil, false
}

// check returns what is wrong with a value; path is the value's own.
func (v *validator) check(tree jsonTree, path ...string) *complaints {
	if v.plainly(v.root, tree.plain) {
		return &complaints{}
	}
	err := v.compiled[v.root].Validate(tree.plain)
	if err == nil {
		return &complaints{}
	}
	x := explainer{validator: v, tree: tree, path: path}
	var invalid *jsonschema.ValidationError
	if errors.As(err, &invalid) {
		x.explain(invalid, nowhere)
	}
	if len(x.complaints.list) == 0 { // whatever was found, an invalid value is refused
		x.complaints.add(complaint{code: "P3108", path: path, found: kindOfJSON(tree.plain), wanted: v.root.Type.wanted()})
	}
	x.complaints.sort()
	return &x.complaints
}
