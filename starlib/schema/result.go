package schema

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"go.starlark.net/starlark"

	"perago/starlib/diag"
	"perago/starlib/jsontext"
)

const maxResultBytes = 16 << 20 // of the JSON of one value

// EncodeResult is what a body returned, as JSON. It wants a dict or a struct of
// what JSON can hold: None, bools, strings, finite numbers, ints within ±2^53,
// lists, tuples, dicts with string keys, structs; at most 200 deep and 16 MiB
// long. The error is a diag.List of all that is wrong, without places; the
// pointers in it start with /result. When nothing but the size of ints is wrong,
// the JSON is there too, so that a schema can say what else is.
func EncodeResult(v starlark.Value) (json.RawMessage, error) {
	if _, ok := jsontext.Members(v); !ok {
		return nil, (&complaints{list: []complaint{{code: "P3201", path: []string{"result"}, found: diag.Describe(v), wanted: "a dict or a struct", hint: hintForResult(v)}}}).diagnostics()
	}
	text, problems := encode(v, "result", jsontext.Encoder{SafeInts: true})
	list := problems.diagnostics()
	switch {
	case list == nil:
		return json.RawMessage(text), nil
	case text == "":
		return nil, list
	}
	return json.RawMessage(text), list
}

func hintForResult(v starlark.Value) string {
	switch v.(type) {
	case starlark.NoneType:
		return "end `run` with `return {...}`"
	case *starlark.List, starlark.Tuple:
		return `give it a name: return {"items": [...]}`
	}
	return ""
}

// EncodeDeclared is a value of a declaration as JSON; ints may be of any size. It
// leaves room above it: wherever a default is filled in, the whole is not too deep.
func EncodeDeclared(v starlark.Value) (json.RawMessage, error) {
	text, problems := encode(v, "", jsontext.Encoder{Depth: maxTypeDepth})
	if len(problems.list) == 0 {
		return json.RawMessage(text), nil
	}
	c := problems.list[0]
	p := diag.Problem{Message: jsontext.Pointer(c.path), Found: c.found, Wanted: c.wanted}
	return nil, errors.New(strings.TrimPrefix(p.Error(), ": "))
}

// encode is a value as JSON with all that is wrong with it; "" when something had
// to be left out. name is the first step of the pointers, where it is not "".
func encode(v starlark.Value, name string, e jsontext.Encoder) (text string, problems *complaints) {
	problems = &complaints{}
	broken := false
	e.Most, e.Verb = maxResultBytes, "return"
	e.Refuse = func(r *jsontext.Refusal) error {
		c := complaint{code: "P3202", path: r.Path, found: r.Found, wanted: r.Wanted, hint: r.Hint}
		switch r.Kind {
		case jsontext.BadKey:
			c.wanted = "a string as the key"
		case jsontext.BadFloat:
			c.code = "P3203"
		case jsontext.LargeInt:
			c.code = "P3204"
		case jsontext.TooDeep:
			c.code, c.path = "P3205", nil
			c.found, c.wanted = "lists and dicts nested too deep", fmt.Sprintf("at most %d", jsontext.MaxDepth)
		case jsontext.TooLong:
			c.code, c.path = "P3205", nil
			c.found, c.wanted, c.hint = "more than 16 MiB of JSON", "at most 16 MiB", "write large results to files of the workspace"
		}
		if name != "" {
			c.path = append([]string{name}, c.path...)
		}
		problems.add(c)
		broken = broken || r.Kind != jsontext.LargeInt
		return nil
	}
	text, _ = e.Encode(v) // its error is that of Refuse
	if broken {
		text = ""
	}
	return text, problems
}
