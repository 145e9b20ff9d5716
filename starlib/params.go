package starlib

import (
	"encoding/json"
	"iter"
	"slices"
	"strconv"
	"strings"

	"go.starlark.net/starlark"
	"go.starlark.net/syntax"

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

// Secrets are the texts in secret fields, keys of objects included, which no log,
// reason or diagnostic may show, in every form in which they may be printed: as
// they are, on one line, and between quotes of every kind. They are made anew
// each time.
func (p Params) Secrets() iter.Seq[string] {
	return func(yield func(string) bool) {
		for _, s := range p.secrets {
			for _, form := range forms(s) {
				if form != "" && !yield(form) {
					return
				}
			}
		}
	}
}

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
	return Params{value: value.(*object), secrets: secretsOf(v.root, tree, nil)}, nil
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

// forms are the ways in which a text may be printed. What quotes a text may
// quote it twice, as a message in a message.
func forms(s string) []string {
	if !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r > '~' || r == '"' || r == '\\' }) {
		return []string{s}
	}
	quotings := [...]func(string) string{
		func(s string) string { return syntax.Quote(s, false) },
		func(s string) string { return syntax.Quote(s, true)[1:] }, // without the b of bytes
		func(s string) string { return string(appendText(nil, s)) },
		strconv.Quote,
		strconv.QuoteToASCII,
	}
	all := []string{s}
	add := func(form string) {
		if !slices.Contains(all, form) {
			all = append(all, form)
		}
	}
	add(strings.NewReplacer("\r\n", "⏎", "\n", "⏎", "\r", "⏎").Replace(s)) // as diag does
	done := 0
	for range 2 {
		level := all[done:]
		done = len(all)
		for _, form := range level {
			for _, quote := range quotings {
				quoted := quote(form)
				add(quoted[1 : len(quoted)-1])
			}
		}
	}
	return all
}
