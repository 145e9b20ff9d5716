package schema

import (
	"encoding/json"
	"iter"
	"math"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.starlark.net/starlark"
	"go.starlark.net/syntax"

	"perago/starlib/diag"
	"perago/starlib/jsontext"
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
// in. Schema.CheckedParams takes it and gives the same value again.
func (p Params) JSON() json.RawMessage {
	e := jsontext.Encoder{Refuse: func(*jsontext.Refusal) error { return nil }} // what came from JSON can be written as such
	text, _ := e.Encode(p.Value())
	return json.RawMessage(text)
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

// runeStart is the start of the character that s[at] belongs to.
func runeStart(s string, at int) int {
	for i := at; i > at-utf8.UTFMax; i-- {
		if utf8.RuneStart(s[i]) {
			return i
		}
	}
	return at
}

// CheckParams holds the params of an attempt against the schema and fills in
// defaults; where it is strict, a key that is not declared is wrong, else it is
// dropped. The text may be up to 200 deep, and names no key twice. The diagnostics
// have no place; they are what is wrong, up to 100, and show no value of a secret
// field. The error is the limit that was passed: then there are neither params nor
// diagnostics.
func (s *Schema) CheckParams(limits Limits, strict bool, raw json.RawMessage) (Params, diag.List, error) {
	x := &checker{root: s.asField(), closed: strict, limits: limits}
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

// CheckedParams are the params whose JSON raw is, of the same schema and as strict:
// they were checked before, and are only decoded. They know of no secrets. It
// panics over what Params.JSON cannot have written.
func (s *Schema) CheckedParams(strict bool, raw json.RawMessage) (Params, error) {
	tree, err := jsontext.Decode(string(raw), treeBuilder{}, nil)
	if err != nil {
		return Params{}, err
	}
	x := &checker{root: s.asField(), closed: strict}
	value, _ := x.conform(x.root, tree)
	return Params{value: value.(*object)}, nil
}

// CheckResult holds what a body returned, as EncodeResult made it, against the
// schema: a key that it does not declare is wrong. The diagnostics and the error
// are as those of CheckParams.
func (s *Schema) CheckResult(limits Limits, raw json.RawMessage) (diag.List, error) {
	x := &checker{root: s.asField(), closed: true, limits: limits}
	_, problems := x.read(raw, "result")
	return problems, x.err
}

// read decodes a text and checks it; name is the first step of the pointers.
func (v *checker) read(raw []byte, name string) (jsonValue, diag.List) {
	tree, err := jsontext.Decode(string(raw), treeBuilder{}, v.decoded)
	switch {
	case err == nil:
		list := v.check(tree, name).diagnostics()
		if v.err != nil {
			return jsonValue{}, nil
		}
		return tree, list
	case err.Cause != nil:
		return jsonValue{}, nil
	}
	if n := secretAt(v.root, err.Path); n >= 0 {
		err.Path = err.Path[:n]
	}
	c := complaint{code: err.Code, path: append([]string{name}, err.Path...), found: err.Error(), wanted: err.Wanted()}
	return jsonValue{}, (&complaints{list: []complaint{c}}).diagnostics()
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
		func(s string) string { return string(jsontext.Quote(s)) },
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
	add(jsontext.PointerToken(s))
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

// A valid JSON value as the value of a script: defaults filled in, unknown keys
// dropped, everything frozen.

// conform makes the value that a body gets of a JSON value that f takes.
// dropped counts the keys that no schema knows.
func (v *checker) conform(f *Field, tree jsonValue) (value starlark.Value, dropped int) {
	switch t := f.Type; t.Kind {
	case KindInt:
		return integer(tree.plain.(json.Number)), 0
	case KindFloat:
		x, _ := tree.plain.(json.Number).Float64() // the check has seen that it fits
		return starlark.Float(x), 0
	case KindEnum:
		if n, isNumber := tree.plain.(json.Number); isNumber {
			return integer(n), 0
		}
	case KindOptional:
		if tree.plain == nil {
			return starlark.None, 0
		}
		return v.conform(t.Elem, tree)
	case KindUnion:
		return v.choose(t, tree)
	case KindList, KindMap:
		if t.Elem == nil {
			break
		}
		items := make([]starlark.Value, len(tree.inner.items))
		for i, item := range tree.inner.items {
			var n int
			items[i], n = v.conform(t.Elem, item)
			dropped += n
		}
		return container(tree.inner.keys, items, t.Kind == KindMap), dropped
	case KindSchema:
		return v.object(t.Object, tree)
	}
	return tree.untyped(), 0
}

// choose conforms to the member of a union that knows most of the keys; of
// several, to the first.
func (v *checker) choose(t *Type, tree jsonValue) (value starlark.Value, dropped int) {
	for _, member := range t.AnyOf {
		if !v.fits(member, tree.plain) {
			continue
		}
		if x, n := v.conform(member, tree); value == nil || n < dropped {
			value, dropped = x, n
		}
		if dropped == 0 {
			break
		}
	}
	if value == nil { // a limit was passed: the value is not used
		value = starlark.None
	}
	return value, dropped
}

func (v *checker) object(s *Schema, tree jsonValue) (value starlark.Value, dropped int) {
	o := &object{schema: s, values: make([]starlark.Value, len(s.Fields))}
	for i, key := range tree.inner.keys {
		at, known := s.index[key]
		if !known {
			dropped++
			continue
		}
		x, n := v.conform(s.Fields[at], tree.inner.items[i])
		o.values[at] = x
		dropped += n
	}
	for i, f := range s.Fields {
		if o.values[i] == nil {
			o.values[i] = f.filled
		}
	}
	return o, dropped
}

// untyped is a value that no schema describes.
func (t jsonValue) untyped() starlark.Value {
	switch v := t.plain.(type) {
	case bool:
		return starlark.Bool(v)
	case string:
		return starlark.String(v)
	case json.Number:
		if !strings.ContainsAny(string(v), ".eE") {
			return integer(v)
		}
		x, _ := v.Float64() // the decoder has refused what does not fit
		return starlark.Float(x)
	case nil:
		return starlark.None
	}
	items := make([]starlark.Value, len(t.inner.items))
	for i, item := range t.inner.items {
		items[i] = item.untyped()
	}
	_, isObject := t.plain.(map[string]any)
	return container(t.inner.keys, items, isObject)
}

func container(keys []string, items []starlark.Value, isObject bool) starlark.Value {
	if !isObject {
		list := starlark.NewList(items)
		list.Freeze()
		return list
	}
	dict := starlark.NewDict(len(items))
	for i, item := range items {
		if err := dict.SetKey(starlark.String(keys[i]), item); err != nil {
			panic("starlib: " + err.Error()) // a new dict takes every string
		}
	}
	dict.Freeze()
	return dict
}

// integer is a JSON number without a fraction, however it is written.
func integer(n json.Number) starlark.Int {
	if i, err := n.Int64(); err == nil {
		return starlark.MakeInt64(i)
	}
	if i, ok := new(big.Int).SetString(string(n), 10); ok {
		return starlark.MakeBigInt(i)
	}
	return starlark.MakeBigInt(jsontext.Rational(n).Num())
}

// mostSecrets bounds the texts in secret fields together, in bytes, and
// secretBytes is what each counts beside its length: every one is hidden in
// dozens of forms.
const (
	mostSecrets = 1 << 20
	secretBytes = 16
)

// secretTexts are what is secret in one value.
type secretTexts struct {
	list  []string
	bytes int
}

func (s *secretTexts) tooMany() bool { return s.bytes > mostSecrets }

// secretsOf adds the texts that are in secret fields, wherever f lets one be: of
// a union every member counts, since a value may fit several.
func (v *checker) secretsOf(f *Field, tree jsonValue, into *secretTexts) {
	switch {
	case v.tick() != nil || into.tooMany():
		return
	case f.Secret:
		v.texts(tree, into)
		return
	case !f.size().secretive:
		return
	}
	switch f.Type.Kind {
	case KindOptional:
		v.secretsOf(f.Type.Elem, tree, into)
	case KindUnion:
		for _, m := range f.Type.AnyOf {
			v.secretsOf(m, tree, into)
		}
	case KindList, KindMap:
		if tree.inner == nil {
			break
		}
		for _, item := range tree.inner.items {
			v.secretsOf(f.Type.Elem, item, into)
		}
	case KindSchema:
		if _, isObject := tree.plain.(map[string]any); !isObject {
			break
		}
		s := f.Type.Object
		values := make([]jsonValue, len(s.Fields))
		for i, inner := range s.Fields {
			values[i] = inner.fallback
		}
		for i, key := range tree.inner.keys {
			if at, known := s.index[key]; known {
				values[at] = tree.inner.items[i]
			}
		}
		for i, inner := range s.Fields {
			v.secretsOf(inner, values[i], into)
		}
	}
}

// texts adds every key, string and number in a value.
func (v *checker) texts(tree jsonValue, into *secretTexts) {
	if v.tick() != nil || into.tooMany() {
		return
	}
	switch plain := tree.plain.(type) {
	case string:
		into.add(plain)
	case json.Number:
		into.add(tree.printed(plain)...)
	}
	if tree.inner == nil {
		return
	}
	for i, item := range tree.inner.items {
		if tree.inner.keys != nil {
			into.add(tree.inner.keys[i])
		}
		v.texts(item, into)
	}
}

// add takes one text in all its forms.
func (s *secretTexts) add(forms ...string) {
	s.list = append(s.list, forms...)
	s.bytes += secretBytes + len(forms[0])
}

// printed are the forms in which a number is printed: by a body, in a log, in a
// progress.
func (t jsonValue) printed(n json.Number) []string {
	all := []string{string(n), t.untyped().String()}
	if x, err := n.Float64(); err == nil {
		for _, format := range []byte{'g', 'f', 'e', 'G'} {
			all = append(all, strconv.FormatFloat(x, format, -1, 64))
		}
		all = append(all, starlark.Float(x).String())
		if raw, err := json.Marshal(x); err == nil {
			all = append(all, string(raw))
		}
		if strings.ContainsAny(string(n), ".eE") && x == math.Trunc(x) {
			all = append(all, integer(n).String())
		}
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// jsonValue is one JSON value. plain is what the check looks at: nil, bool,
// string, json.Number, []any or map[string]any; numbers are as they were written.
type jsonValue struct {
	plain any
	inner *treeItems // of an array or an object, else nil
}

// treeItems is the content of an array, or of an object in the order of its text.
type treeItems struct {
	keys  []string // of an object, nil for an array
	items []jsonValue
}

// treeBuilder makes a jsonValue.
type treeBuilder struct{}

func (treeBuilder) Word(v any) jsonValue    { return jsonValue{plain: v} }
func (treeBuilder) Text(s string) jsonValue { return jsonValue{plain: s} }

func (treeBuilder) Number(literal string, whole bool) (jsonValue, *jsontext.Error) {
	if reason := jsontext.CheckNumber(literal, whole); reason != "" {
		return jsonValue{}, &jsontext.Error{Code: "P3104", Reason: reason}
	}
	return jsonValue{plain: json.Number(strings.Clone(literal))}, nil
}

func (treeBuilder) Array(items []jsonValue) jsonValue {
	plain := make([]any, len(items))
	for i, item := range items {
		plain[i] = item.plain
	}
	return jsonValue{plain: plain, inner: &treeItems{items: items}}
}

func (treeBuilder) Object() jsontext.ObjectBuilder[jsonValue] {
	return &treeObject{plain: map[string]any{}, inner: &treeItems{}}
}

type treeObject struct {
	plain map[string]any
	inner *treeItems
}

// Twice refuses: readers disagree on which of the two counts.
func (o *treeObject) Twice(key string) bool {
	_, there := o.plain[key]
	return there
}

func (o *treeObject) Set(key string, item jsonValue) {
	o.inner.keys = append(o.inner.keys, key)
	o.inner.items = append(o.inner.items, item)
	o.plain[key] = item.plain
}

func (o *treeObject) Done() jsonValue { return jsonValue{plain: o.plain, inner: o.inner} }
