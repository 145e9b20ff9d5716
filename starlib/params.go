package starlib

import (
	"encoding/json"
	"slices"
	"strings"

	"go.starlark.net/starlark"

	"perago/starlib/diag"
)

// Params are the checked params of one attempt, defaults filled in. The zero
// value is an object without fields.
type Params struct {
	value   *object
	secrets []string
}

// Value is what the body gets. It is frozen.
func (p Params) Value() starlark.Value {
	if p.value == nil {
		return &object{schema: &Schema{}}
	}
	return p.value
}

// JSON is the params as a JSON object, unknown keys dropped and defaults filled
// in. CheckParams takes it and gives the same value again.
func (p Params) JSON() json.RawMessage {
	e := encoder{unbounded: true}
	e.value(p.Value(), 0)
	return e.buf
}

// Secrets are the texts in secret fields, which no log, reason or diagnostic may
// show, in every form that a log may give them: as they are, and as they stand
// between quotes. Longer ones come first.
func (p Params) Secrets() []string { return p.secrets }

// CheckParams holds the params of an attempt against the task's schema and
// fills in defaults. The text may be up to 200 deep, and names no key twice. The
// diagnostics have no place; they are all that is wrong, up to 100, and show
// no value of a secret field.
func (t *Task) CheckParams(raw json.RawMessage) (Params, diag.List) {
	v := t.Params.validator(t.StrictParams)
	tree, problems := v.read(raw, "params")
	if problems != nil {
		return Params{}, problems
	}
	value, _ := v.conform(v.root, tree)
	return Params{value: value.(*object), secrets: forms(secretsOf(v.root, tree, nil))}, nil
}

// CheckResult holds what a body returned, as EncodeResult made it, against the
// task's schema: a key that it does not declare is wrong. The diagnostics are as
// those of CheckParams.
func (t *Task) CheckResult(raw json.RawMessage) diag.List {
	if t.Result == nil {
		return nil
	}
	_, problems := t.Result.validator(true).read(raw, "result")
	return problems
}

// validator is the schema as an object that values are held against.
func (s *Schema) validator(closed bool) *validator {
	s.once.Do(func() {
		root := &Field{Type: objectType(s)}
		s.open, s.closed = newValidator(root, false), newValidator(root, true)
	})
	if closed {
		return s.closed
	}
	return s.open
}

// read decodes a text and checks it; name is the first step of the pointers.
func (v *validator) read(raw []byte, name string) (jsonTree, diag.List) {
	tree, err := decodeJSON(raw)
	if err == nil {
		return tree, v.check(tree, name).diagnostics()
	}
	slices.Reverse(err.path)
	if n := secretAt(v.root, err.path); n >= 0 {
		err.path = err.path[:n]
	}
	c := complaint{code: err.code, path: append([]string{name}, err.path...), found: err.Error(), wanted: err.wanted()}
	return jsonTree{}, (&complaints{list: []complaint{c}}).diagnostics()
}

// forms are the ways in which texts may turn up in a log.
func forms(texts []string) []string {
	var all []string
	for _, s := range texts {
		if s == "" {
			continue
		}
		quoted := starlark.String(s).String()
		all = append(all, s, quoted[1:len(quoted)-1])
		escaped := appendText(nil, s)
		all = append(all, string(escaped[1:len(escaped)-1]))
	}
	slices.SortFunc(all, func(a, b string) int {
		if len(a) != len(b) {
			return len(b) - len(a)
		}
		return strings.Compare(a, b)
	})
	return slices.Compact(all)
}
