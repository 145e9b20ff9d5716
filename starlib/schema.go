package starlib

// schema(...): the shape of a JSON object.

import (
	"errors"
	"fmt"
	"strings"
	"sync"
	"unicode/utf8"

	"go.starlark.net/starlark"

	"perago/starlib/diag"
)

// Schema is the shape of a JSON object, as schema(...) declares it. It is
// immutable, and safe for concurrent use.
type Schema struct {
	Fields []*Field // in the order of the declaration

	size
	index map[string]int // of Fields, by name

	// How values are held against it is worked out when the first one comes:
	// `perago check` of a file has none.
	once         sync.Once
	open, closed *validator
}

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

// newSchema makes a Schema of its fields. The error is a *diag.Problem.
func newSchema(fields []*Field) (*Schema, error) {
	s := &Schema{Fields: fields, index: make(map[string]int, len(fields))}
	for i, f := range fields {
		s.size.add(f.size())
		s.index[f.Name] = i
	}
	return s, s.size.check()
}

// maxFieldName bounds the name of a field, in bytes.
const maxFieldName = 255

func makeSchema(c *call) (starlark.Value, error) {
	var fields []*Field
	for _, kw := range c.kwrest {
		name := string(kw[0].(starlark.String))
		if name == "" || len(name) > maxFieldName || !utf8.ValidString(name) {
			return nil, &diag.Problem{Code: "P2117", Message: "schema: a field cannot have this name", Found: quoted(name),
				Wanted: fmt.Sprintf("1 to %d bytes of text", maxFieldName), Argument: name}
		}
		f, hint := fieldOf(kw[1])
		if f == nil {
			return nil, &diag.Problem{Code: "P2110", Message: fmt.Sprintf("schema: field `%s` is not a type", printable(shorten(name))),
				Found: describe(kw[1]), Wanted: typeWords, Hint: hint, Argument: name}
		}
		named := *f
		named.Name = name
		fields = append(fields, &named)
	}
	s, err := newSchema(fields)
	if p := (*diag.Problem)(nil); errors.As(err, &p) {
		return nil, p
	}
	return &declared[*Schema]{kind: "schema", value: s}, nil
}
