package starlib

import (
	"encoding/json"
	"strconv"
	"strings"
)

// jsonTree is one JSON value. plain is what the validator looks at: nil, bool,
// string, json.Number, []any or map[string]any; numbers are as they were written.
type jsonTree struct {
	plain any
	inner *jsonInner // of an array or an object, else nil
}

// jsonInner is the content of an array, or of an object in the order of its text.
type jsonInner struct {
	keys  []string // of an object, nil for an array
	items []jsonTree
}

// decodeJSON reads one JSON value (RFC 8259) and nothing after it. Refused are
// nesting beyond maxDepth, a key that an object has twice (readers disagree on
// which one counts), text that is not UTF-8, and a number that is longer than
// maxNumberLength or out of a float's range.
func decodeJSON(text []byte) (jsonTree, *jsonError) {
	d := decoder[jsonTree]{text: string(text), build: treeBuilder{}}
	return d.whole()
}

// treeBuilder makes a jsonTree.
type treeBuilder struct{}

func (treeBuilder) word(v any) jsonTree    { return jsonTree{plain: v} }
func (treeBuilder) text(s string) jsonTree { return jsonTree{plain: s} }

func (treeBuilder) number(literal string, whole bool) (jsonTree, *jsonError) {
	if reason := unfitNumber(literal, whole); reason != "" {
		return jsonTree{}, &jsonError{code: "P3104", reason: reason}
	}
	return jsonTree{plain: json.Number(strings.Clone(literal))}, nil
}

func (treeBuilder) array(items []jsonTree) jsonTree {
	plain := make([]any, len(items))
	for i, item := range items {
		plain[i] = item.plain
	}
	return jsonTree{plain: plain, inner: &jsonInner{items: items}}
}

func (treeBuilder) object() objectBuilder[jsonTree] {
	return &treeObject{plain: map[string]any{}, inner: &jsonInner{}}
}

type treeObject struct {
	plain map[string]any
	inner *jsonInner
}

// twice refuses: readers disagree on which of the two counts.
func (o *treeObject) twice(key string) bool {
	_, there := o.plain[key]
	return there
}

func (o *treeObject) set(key string, item jsonTree) {
	o.inner.keys = append(o.inner.keys, key)
	o.inner.items = append(o.inner.items, item)
	o.plain[key] = item.plain
}

func (o *treeObject) done() jsonTree { return jsonTree{plain: o.plain, inner: o.inner} }

// unfitNumber says why a literal is not read, "" when it is. Exact arithmetic on
// 1e-1000000000 alone would take all memory, so the range is looked at first.
func unfitNumber(literal string, whole bool) string {
	if whole {
		return ""
	}
	f, err := strconv.ParseFloat(literal, 64)
	if err != nil {
		return "a number beyond the range of a float"
	}
	mantissa, _, _ := strings.Cut(strings.ToLower(literal), "e")
	if f == 0 && strings.ContainsAny(mantissa, "123456789") {
		return "a number closer to zero than a float can be"
	}
	return ""
}
