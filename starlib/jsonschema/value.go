package jsonschema

import (
	"encoding/json"
	"strings"

	"perago/starlib/jsontext"
)

// isA says whether a value is of a type of JSON Schema; 5.0 is an integer.
func isA(value any, name string) bool {
	switch value := value.(type) {
	case nil:
		return name == "null"
	case bool:
		return name == "boolean"
	case string:
		return name == "string"
	case []any:
		return name == "array"
	case map[string]any:
		return name == "object"
	case json.Number:
		return name == "number" || name == "integer" && jsontext.IsInteger(value)
	}
	return false
}

func typesInWords(names []string) string {
	words := make([]string, len(names))
	for i, name := range names {
		switch name {
		case "null":
			words[i] = "null"
		case "boolean":
			words[i] = "true or false"
		case "object", "array", "integer":
			words[i] = "an " + name
		default:
			words[i] = "a " + name
		}
	}
	return strings.Join(words, ", or ")
}

// Decode reads a JSON text as Compile and Validate want it. A key that an object
// has twice is refused. tick is called for every value; its error ends the work
// and is the Cause of the error.
func Decode(text string, tick func() error) (any, *jsontext.Error) {
	return jsontext.Decode(text, builder{}, func(byte) error { return tick() })
}

type builder struct{}

func (builder) Word(v any) any    { return v }
func (builder) Text(s string) any { return s }

func (builder) Number(literal string, whole bool) (any, *jsontext.Error) {
	if reason := jsontext.CheckNumber(literal, whole); reason != "" {
		return nil, &jsontext.Error{Code: "P3104", Reason: reason}
	}
	return json.Number(strings.Clone(literal)), nil
}

func (builder) Array(items []any) any {
	if items == nil {
		return []any{}
	}
	return items
}

func (builder) Object() jsontext.ObjectBuilder[any] { return objectBuilder{} }

type objectBuilder map[string]any

func (o objectBuilder) Twice(key string) bool    { _, there := o[key]; return there }
func (o objectBuilder) Set(key string, item any) { o[key] = item }
func (o objectBuilder) Done() any                { return map[string]any(o) }
