package schema

// A Schema as JSON Schema 2020-12: what goes into a TaskDef.

import (
	"encoding/json"
	"strconv"
	"strings"

	"perago/starlib/jsontext"
)

// JSONSchema is the schema as JSON Schema 2020-12, compact, its keys in a fixed
// order and its properties in that of the declaration. Where it is closed, keys
// that are not declared are refused: additionalProperties is false wherever
// properties are declared, else true.
func (s *Schema) JSONSchema(closed bool) json.RawMessage {
	return json.RawMessage(s.wire(closed))
}

func (s *Schema) wire(closed bool) string {
	var properties, w objectText
	for _, f := range s.Fields {
		properties.set(f.Name, f.wire(closed))
	}
	w.set("type", `"object"`)
	w.set("properties", properties.done())
	if required := s.required(); len(required) > 0 {
		texts := make([]string, len(required))
		for i, name := range required {
			texts[i] = jsontext.Quote(name)
		}
		w.set("required", arrayText(texts))
	}
	w.set("additionalProperties", strconv.FormatBool(!closed))
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

func (f *Field) wire(closed bool) string {
	var w objectText
	f.Type.wire(&w, &f.Constraints, closed)
	if f.Description != "" {
		w.set("description", jsontext.Quote(f.Description))
	}
	if f.Default != nil {
		w.set("default", string(f.Default))
	}
	if f.Examples != nil {
		examples := make([]string, len(f.Examples))
		for i, e := range f.Examples {
			examples[i] = string(e)
		}
		w.set("examples", arrayText(examples))
	}
	return w.done()
}

func (t *Type) wire(w *objectText, c *Constraints, closed bool) {
	named := func(name string) { w.set("type", jsontext.Quote(name)) }
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
		name, _ := formatOf(t.Kind)
		w.set("format", jsontext.Quote(name))
	case KindList:
		named("array")
		w.set("items", wireOf(t.Elem, "{}", closed))
	case KindMap:
		named("object")
		w.set("additionalProperties", wireOf(t.Elem, "true", closed))
	case KindSchema:
		w.inline(t.Object.wire(closed))
	case KindEnum:
		t.wireEnum(w)
	case KindOptional:
		w.set("anyOf", arrayText([]string{t.Elem.wire(closed), `{"type":"null"}`}))
	case KindUnion:
		members := make([]string, len(t.AnyOf))
		for i, m := range t.AnyOf {
			members[i] = m.wire(closed)
		}
		w.set("anyOf", arrayText(members))
	}
	c.wire(w)
}

func (t *Type) wireEnum(w *objectText) {
	values := make([]string, len(t.Enum))
	for i, v := range t.Enum {
		values[i] = enumJSON(v)
	}
	if name := t.shared; name != "" {
		w.set("type", jsontext.Quote(name))
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

func enumJSON(v any) string {
	switch v := v.(type) {
	case string:
		return jsontext.Quote(v)
	case bool:
		return strconv.FormatBool(v)
	}
	return string(v.(json.Number))
}

func wireOf(f *Field, free string, closed bool) string {
	if f == nil {
		return free
	}
	return f.wire(closed)
}

func (c *Constraints) wire(w *objectText) {
	keywords := [...]string{"minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum", "multipleOf"}
	for i, n := range [...]json.Number{c.GE, c.GT, c.LE, c.LT, c.MultipleOf} {
		if n != "" {
			w.set(keywords[i], string(n))
		}
	}
	count := func(keyword string, n *int) {
		if n != nil {
			w.set(keyword, strconv.Itoa(*n))
		}
	}
	count("minLength", c.MinLength)
	count("maxLength", c.MaxLength)
	if c.Pattern != nil {
		w.set("pattern", jsontext.Quote(c.Pattern.String()))
	}
	count("minItems", c.MinItems)
	count("maxItems", c.MaxItems)
	if c.UniqueItems {
		w.set("uniqueItems", "true")
	}
}

// objectText writes a JSON object key by key.
type objectText struct{ members []string }

func (w *objectText) set(key, value string) {
	w.members = append(w.members, jsontext.Quote(key)+":"+value)
}

// inline takes over the keys of an object that is not empty.
func (w *objectText) inline(object string) {
	w.members = append(w.members, object[1:len(object)-1])
}

func (w *objectText) done() string { return "{" + strings.Join(w.members, ",") + "}" }

func arrayText(items []string) string { return "[" + strings.Join(items, ",") + "]" }
