package starlib

import (
	"encoding/json"
	"iter"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

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
// in. Task.CheckedParams takes it and gives the same value again.
func (p Params) JSON() json.RawMessage {
	e := encoder{unbounded: true}
	e.value(p.Value(), 0)
	return e.buf
}

// Secrets are the texts in secret fields, keys of objects included, which no log,
// reason or diagnostic may show, in every form in which they may be printed: as
// they are, on one line, and between quotes of every kind; of a long text those
// of its pieces. They are made anew each time.
func (p Params) Secrets() iter.Seq[string] {
	return func(yield func(string) bool) {
		for _, s := range p.secrets {
			for piece := range pieces(s) {
				for _, form := range forms(piece) {
					if form != "" && !yield(form) {
						return
					}
				}
			}
		}
	}
}

// pieces cuts a long secret, all of whose forms would take a hundred times its
// memory. Pieces overlap, so that whatever 8 bytes stand in a form of the secret
// stand in that form of a piece.
func pieces(s string) iter.Seq[string] {
	const most, overlap = 4 << 10, 64
	return func(yield func(string) bool) {
		for len(s) > most {
			if !yield(s[:runeStart(s, most)]) {
				return
			}
			s = s[runeStart(s, most-overlap):]
		}
		yield(s)
	}
}

// runeStart is at, or where the character begins that s[at] is in the middle of.
func runeStart(s string, at int) int {
	for i := at; i > at-utf8.UTFMax; i-- {
		if utf8.RuneStart(s[i]) {
			return i
		}
	}
	return at
}

// CheckParams is CheckParamsWithin without any bound.
func (t *Task) CheckParams(raw json.RawMessage) (Params, diag.List) {
	params, problems, _ := t.CheckParamsWithin(Within{}, raw)
	return params, problems
}

// CheckParamsWithin holds the params of an attempt against the task's schema and
// fills in defaults. The text may be up to 200 deep, and names no key twice. The
// diagnostics have no place; they are what is wrong, up to 100, and show no value
// of a secret field. The error is the bound that was passed: then there are
// neither params nor diagnostics.
func (t *Task) CheckParamsWithin(w Within, raw json.RawMessage) (Params, diag.List, error) {
	x := &inspection{validator: t.Params.validator(t.StrictParams), within: w}
	tree, problems := x.read(raw, "params")
	if problems != nil || x.err != nil {
		return Params{}, problems, x.err
	}
	value, _ := x.conform(x.root, tree)
	if x.err != nil {
		return Params{}, nil, x.err
	}
	var secrets secretTexts
	x.secretsOf(x.root, tree, &secrets)
	switch {
	case x.err != nil:
		return Params{}, nil, x.err
	case secrets.tooMany():
		return Params{}, diag.List{{Code: "P3110", Severity: diag.Error, Message: "/params: too much is secret",
			Found: "more than 1 MiB in secret fields", Wanted: "at most 1 MiB", Hint: "mark only credentials with secret = True"}}, nil
	}
	return Params{value: value.(*object), secrets: secrets.list}, nil, nil
}

// CheckedParams are the params whose JSON raw is, of the same task: they were
// checked before, and are only decoded. They know of no secrets. It panics over
// what Params.JSON of this task cannot have written.
func (t *Task) CheckedParams(raw json.RawMessage) (Params, error) {
	d := decoder[jsonTree]{text: string(raw), build: treeBuilder{}}
	tree, err := d.whole()
	if err != nil {
		return Params{}, err
	}
	x := &inspection{validator: t.Params.validator(t.StrictParams)}
	value, _ := x.conform(x.root, tree)
	return Params{value: value.(*object)}, nil
}

// CheckResult holds what a body returned, as EncodeResult made it, against the
// task's schema: a key that it does not declare is wrong. The diagnostics and the
// error are as those of CheckParamsWithin.
func (t *Task) CheckResult(w Within, raw json.RawMessage) (diag.List, error) {
	if t.Result == nil {
		return nil, nil
	}
	x := &inspection{validator: t.Result.validator(true), within: w}
	_, problems := x.read(raw, "result")
	return problems, x.err
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
func (v *inspection) read(raw []byte, name string) (jsonTree, diag.List) {
	d := decoder[jsonTree]{text: string(raw), build: treeBuilder{}}
	d.tick = func() error { return v.decoded(d.next()) }
	tree, err := d.whole()
	switch {
	case err == nil:
		list := v.check(tree, name).diagnostics()
		if v.err != nil {
			return jsonTree{}, nil
		}
		return tree, list
	case err.cause != nil:
		return jsonTree{}, nil
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
	if !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r >= '~' || r == '"' || r == '\\' || r == '/' }) {
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
	add(pointerToken(s))
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
