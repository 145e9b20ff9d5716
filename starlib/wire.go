package starlib

// A Schema as JSON Schema 2020-12: what goes into a TaskDef.

import (
	"bytes"
	"encoding/json"
	"strconv"
)

// SchemaOptions of Schema.JSONSchema.
type SchemaOptions struct {
	Closed bool // additionalProperties is false wherever properties are declared, else true
}

// JSONSchema is the schema as JSON Schema 2020-12, compact, its keys in a fixed
// order and its properties in that of the declaration.
func (s *Schema) JSONSchema(o SchemaOptions) json.RawMessage {
	var properties, w objectText
	for _, f := range s.Fields {
		properties.set(f.Name, f.wire(o))
	}
	w.set("type", []byte(`"object"`))
	w.set("properties", properties.done())
	if required := s.required(); len(required) > 0 {
		texts := make([][]byte, len(required))
		for i, name := range required {
			texts[i] = appendText(nil, name)
		}
		w.set("required", arrayText(texts))
	}
	w.set("additionalProperties", strconv.AppendBool(nil, !o.Closed))
	return w.done()
}

// required are the names of the fields that have no default.
func (s *Schema) required() []string {
	var names []string
	for _, f := range s.Fields {
		if f.Default == nil {
			names = append(names, f.Name)
		}
	}
	return names
}

func (f *Field) wire(o SchemaOptions) []byte {
	var w objectText
	f.Type.wire(&w, &f.Constraints, o)
	if f.Description != "" {
		w.set("description", appendText(nil, f.Description))
	}
	if f.Default != nil {
		w.set("default", f.Default)
	}
	if f.Examples != nil {
		examples := make([][]byte, len(f.Examples))
		for i, e := range f.Examples {
			examples[i] = e
		}
		w.set("examples", arrayText(examples))
	}
	return w.done()
}

func (t *Type) wire(w *objectText, c *Constraints, o SchemaOptions) {
	named := func(name string) { w.set("type", appendText(nil, name)) }
	switch t.Kind {
	case KindString:
		named("string")
	case KindInt:
		named("integer")
	case KindFloat:
		named("number")
	case KindBool:
		named("boolean")
	case KindDateTime, KindDate, KindUUID:
		named("string")
		w.set("format", appendText(nil, formatOf(t.Kind)))
	case KindList:
		named("array")
		w.set("items", wireOf(t.Elem, []byte("{}"), o))
	case KindMap:
		named("object")
		w.set("additionalProperties", wireOf(t.Elem, []byte("true"), o))
	case KindSchema:
		w.inline(t.Object.JSONSchema(o))
	case KindEnum:
		t.wireEnum(w)
	case KindOptional:
		w.set("anyOf", arrayText([][]byte{t.Elem.wire(o), []byte(`{"type":"null"}`)}))
	case KindUnion:
		members := make([][]byte, len(t.AnyOf))
		for i, m := range t.AnyOf {
			members[i] = m.wire(o)
		}
		w.set("anyOf", arrayText(members))
	}
	c.wire(w)
}

func (t *Type) wireEnum(w *objectText) {
	values := make([][]byte, len(t.Enum))
	for i, v := range t.Enum {
		values[i] = enumJSON(v)
	}
	if name := t.shared; name != "" {
		w.set("type", appendText(nil, name))
	}
	if len(values) == 1 {
		w.set("const", values[0])
	} else {
		w.set("enum", arrayText(values))
	}
}

// sharedType is the JSON type that all values of one_of share, "" when they differ.
func (t *Type) sharedType() string {
	name := func(v any) string {
		switch v.(type) {
		case string:
			return "string"
		case bool:
			return "boolean"
		}
		return "integer"
	}
	shared := name(t.Enum[0])
	for _, v := range t.Enum {
		if name(v) != shared {
			return ""
		}
	}
	return shared
}

func enumJSON(v any) []byte {
	switch v := v.(type) {
	case string:
		return appendText(nil, v)
	case bool:
		return strconv.AppendBool(nil, v)
	}
	return []byte(v.(json.Number))
}

func wireOf(f *Field, free []byte, o SchemaOptions) []byte {
	if f == nil {
		return free
	}
	return f.wire(o)
}

func (c *Constraints) wire(w *objectText) {
	keywords := [...]string{"minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum", "multipleOf"}
	for i, n := range c.numbers() {
		if *n.value != "" {
			w.set(keywords[i], []byte(*n.value))
		}
	}
	count := func(keyword string, n *int) {
		if n != nil {
			w.set(keyword, strconv.AppendInt(nil, int64(*n), 10))
		}
	}
	count("minLength", c.MinLength)
	count("maxLength", c.MaxLength)
	if c.Pattern != nil {
		w.set("pattern", appendText(nil, c.Pattern.String()))
	}
	count("minItems", c.MinItems)
	count("maxItems", c.MaxItems)
	if c.UniqueItems {
		w.set("uniqueItems", []byte("true"))
	}
}

// objectText writes a JSON object key by key.
type objectText struct{ buf []byte }

func (w *objectText) set(key string, value []byte) {
	if w.buf == nil {
		w.buf = append(w.buf, '{')
	} else {
		w.buf = append(w.buf, ',')
	}
	w.buf = append(append(appendText(w.buf, key), ':'), value...)
}

// inline takes over the keys of an object that is not empty.
func (w *objectText) inline(object []byte) {
	if w.buf == nil {
		w.buf = append(w.buf, '{')
	} else {
		w.buf = append(w.buf, ',')
	}
	w.buf = append(w.buf, object[1:len(object)-1]...)
}

func (w *objectText) done() []byte {
	if w.buf == nil {
		return []byte("{}")
	}
	return append(w.buf, '}')
}

func arrayText(items [][]byte) []byte {
	return append(append([]byte{'['}, bytes.Join(items, []byte{','})...), ']')
}
