package starlib

import (
	"encoding/json"
)

// Schema is the shape of a JSON object, as schema(...) declares it. It is
// immutable.
type Schema struct {
	Fields []*Field // in the order of the declaration
}

// Field is one field of a Schema, or what the items of a list, the values of a
// map, or one alternative of a union must be (then it has no Name and no default).
type Field struct {
	Name        string
	Type        *Type
	Default     json.RawMessage // nil: there is none, and the field is required
	Description string
	Examples    []json.RawMessage
	Secret      bool // the value appears in no log, reason or diagnostic
}

// SchemaOptions of Schema.JSONSchema.
type SchemaOptions struct {
	Closed bool // additionalProperties is false wherever properties are declared, else true
}
