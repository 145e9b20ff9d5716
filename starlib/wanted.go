package starlib

// What a type or a constraint wants of a JSON value, in words.

import (
	"encoding/json"
	"fmt"
	"strings"
)

func (t *Type) wanted() string {
	switch t.Kind {
	case KindString:
		return "a string"
	case KindInt:
		return "an int"
	case KindFloat:
		return "a number"
	case KindBool:
		return "a bool"
	case KindList:
		return "an array"
	case KindMap, KindSchema:
		return "an object"
	case KindDateTime:
		return "a date-time such as 2026-01-31T12:00:00Z"
	case KindDate:
		return "a date such as 2026-01-31"
	case KindUUID:
		return "a UUID such as 123e4567-e89b-12d3-a456-426614174000"
	case KindEnum:
		values := make([]string, len(t.Enum))
		for i, v := range t.Enum {
			values[i] = string(printable(string(enumJSON(v))))
		}
		if len(values) == 1 {
			return shorten(values[0])
		}
		return "one of " + shorten(strings.Join(values, ", "))
	case KindOptional:
		return t.Elem.Type.wanted() + " or null"
	case KindUnion:
		var words []string
		for _, m := range t.AnyOf {
			words = append(words, m.Type.wanted())
		}
		last := len(words) - 1 // there are two at least
		return shorten(strings.Join(words[:last], ", ") + " or " + words[last])
	}
	return "any value"
}

// enumTexts are the strings among the values of one_of.
func (t *Type) enumTexts() []string {
	var texts []string
	for _, v := range t.Enum {
		if s, ok := v.(string); ok {
			texts = append(texts, s)
		}
	}
	return texts
}

// wantedBy is what a keyword of JSON Schema wants of a field.
func (f *Field) wantedBy(keyword string) string {
	c := &f.Constraints
	number := func(words string, n json.Number) string { return words + " " + shorten(string(n)) }
	count := func(words string, n *int, thing string) string { return words + " " + plural(*n, thing) }
	switch keyword {
	case "minimum":
		return number("at least", c.GE)
	case "exclusiveMinimum":
		return number("more than", c.GT)
	case "maximum":
		return number("at most", c.LE)
	case "exclusiveMaximum":
		return number("less than", c.LT)
	case "multipleOf":
		return number("a multiple of", c.MultipleOf)
	case "minLength":
		return count("at least", c.MinLength, "character")
	case "maxLength":
		return count("at most", c.MaxLength, "character")
	case "minItems":
		return count("at least", c.MinItems, "item")
	case "maxItems":
		return count("at most", c.MaxItems, "item")
	case "pattern":
		return fmt.Sprintf("a match of `%s`", shorten(printable(c.Pattern.String())))
	case "uniqueItems":
		return "no item twice"
	case keywordFloat:
		return "a number that a float can hold"
	}
	return f.Type.wanted()
}
