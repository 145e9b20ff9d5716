package schema

import (
	"encoding/json"
	"iter"

	"go.starlark.net/starlark"

	"perago/starlib/jsontext"
)

const MaxComplaints = maxComplaints

// TickEvery is how many values are checked between two looks at the context.
const TickEvery = tickEvery

func Pieces(s string) iter.Seq[string] { return pieces(s) }
func Forms(s string) []string          { return forms(s) }

// Tree is a decoded text.
type Tree struct{ value jsonValue }

func Decode(text []byte) (Tree, error) {
	v, err := jsontext.Decode(string(text), treeBuilder{}, nil)
	if err != nil {
		return Tree{}, err
	}
	return Tree{v}, nil
}

func (t Tree) Plain() any              { return t.value.plain }
func (t Tree) Untyped() starlark.Value { return t.value.untyped() }

// Check holds a tree against s and returns how many diagnostics there are, and
// the limit that was passed.
func (t Tree) Check(s *Schema, limits Limits) (complaints int, err error) {
	x := &checker{root: s.asField(), limits: limits}
	return len(x.check(t.value, "params").diagnostics()), x.err
}

// Secrets collects what is secret in a tree, and returns the limit that was passed.
func (t Tree) Secrets(s *Schema, limits Limits) error {
	x := &checker{root: s.asField(), limits: limits}
	x.secretsOf(x.root, t.value, new(secretTexts))
	return x.err
}

// Encode is a value as JSON without a bound, and whether something was refused.
func Encode(v starlark.Value) (text json.RawMessage, refused bool) {
	e := jsontext.Encoder{Refuse: func(*jsontext.Refusal) error { refused = true; return nil }}
	s, _ := e.Encode(v)
	return json.RawMessage(s), refused
}
