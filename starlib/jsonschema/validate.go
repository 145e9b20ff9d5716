package jsonschema

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/big"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"perago/starlib/diag"
	"perago/starlib/jsontext"
)

// Problem is one thing that is wrong with a value.
type Problem struct {
	Path    []string // the keys and indexes that lead to what is wrong
	Keyword string   // of the schema: "minimum"
	Found   string
	Wanted  string
}

// ErrEndless is a schema that refers to itself and comes to no end.
var ErrEndless = errors.New("the schema refers to itself without an end")

// deepest bounds how many schemas are open at once; values are at most 200 deep.
const deepest = 5000

// Validate returns what is wrong with a JSON value, in the order of the keywords
// and of the names in it, at most that many; none when it is valid. tick is
// called for each value that is held against a schema, and its error ends the
// work, as ErrEndless does.
func (s *Schema) Validate(value any, most int, tick func() error) ([]Problem, error) {
	v := &validation{schema: s, tick: tick}
	found := &problems{most: most}
	v.holds(s.root, value, &place{}, found)
	return found.list, v.err
}

// place is where a value is in the one that is validated.
type place struct {
	in   *place // nil: it is the whole
	step string
}

func (p *place) path() []string {
	var steps []string
	for ; p.in != nil; p = p.in {
		steps = append(steps, p.step)
	}
	slices.Reverse(steps)
	return steps
}

// problems are collected, or only counted: nil ends at the first.
type problems struct {
	list []Problem
	most int
}

func (p *problems) full() bool { return p == nil || len(p.list) >= p.most }

type validation struct {
	schema *Schema
	tick   func() error
	err    error
	depth  int
	scope  []*resource // those that were entered, outermost first
}

// seen is which parts of a value schemas have looked at, for unevaluatedItems
// and unevaluatedProperties.
type seen struct {
	allItems bool
	prefix   int // so many items from the front
	items    map[int]bool
	names    map[string]bool
	allNames bool
}

func (s *seen) add(other *seen) {
	if s == nil || other == nil {
		return
	}
	s.allItems, s.allNames, s.prefix = s.allItems || other.allItems, s.allNames || other.allNames, max(s.prefix, other.prefix)
	if s.items == nil {
		s.items = other.items
	} else {
		maps.Copy(s.items, other.items)
	}
	if s.names == nil {
		s.names = other.names
	} else {
		maps.Copy(s.names, other.names)
	}
}

func (s *seen) name(key string) {
	if s != nil {
		if s.names == nil {
			s.names = map[string]bool{}
		}
		s.names[key] = true
	}
}

func (s *seen) item(i int) {
	if s != nil {
		if s.items == nil {
			s.items = map[int]bool{}
		}
		s.items[i] = true
	}
}

// holds says whether a value is what a schema wants.
func (v *validation) holds(n *node, value any, at *place, found *problems) bool {
	ok, _ := v.apply(n, value, at, found)
	return ok
}

// apply is holds, and what was looked at.
func (v *validation) apply(n *node, value any, at *place, found *problems) (bool, *seen) {
	if v.err == nil {
		v.err = v.tick()
	}
	if v.depth++; v.depth > deepest && v.err == nil {
		v.err = ErrEndless
	}
	defer func() { v.depth-- }()
	if v.err != nil {
		return false, nil
	}
	c := &checking{validation: v, node: n, value: value, at: at, found: found, ok: true}
	if v.schema.tracking {
		c.seen = &seen{}
	}
	if n.always != nil {
		if !*n.always {
			c.fail("false", jsontext.Describe(value), "nothing: the schema takes no value here")
		}
		return c.ok, c.seen
	}
	if len(v.scope) == 0 || v.scope[len(v.scope)-1] != n.in {
		v.scope = append(v.scope, n.in)
		defer func() { v.scope = v.scope[:len(v.scope)-1] }()
	}
	for _, step := range []func(){c.itself, c.references, c.branches, c.array, c.object} {
		if step(); v.err != nil || !c.ok && found.full() {
			return false, nil
		}
	}
	return c.ok, c.seen
}

// checking holds one value against one schema.
type checking struct {
	*validation
	node  *node
	value any
	at    *place
	found *problems
	seen  *seen
	ok    bool
}

func (c *checking) fail(keyword, found, wanted string) {
	c.ok = false
	if !c.found.full() {
		c.found.list = append(c.found.list, Problem{c.at.path(), keyword, found, wanted})
	}
}

// part holds a part of the value against a schema.
func (c *checking) part(n *node, value any, step string) {
	c.ok = c.holds(n, value, &place{c.at, step}, c.found) && c.ok
}

// same holds the value itself against another schema.
func (c *checking) same(n *node) {
	ok, looked := c.apply(n, c.value, c.at, c.found)
	if c.ok = c.ok && ok; ok {
		c.seen.add(looked)
	}
}

// over says whether nothing more needs to be looked at.
func (c *checking) over() bool { return c.err != nil || !c.ok && c.found.full() }

func (c *checking) references() {
	if c.node.ref != nil {
		c.same(c.node.ref)
	}
	if to := c.node.dynamicRef; to != nil {
		if c.node.dynamicName != "" { // the outermost schema that has the anchor is meant
			for _, in := range c.scope {
				if outer := in.dynamic[c.node.dynamicName]; outer != nil {
					to = outer
					break
				}
			}
		}
		c.same(to)
	}
}

// itself is what is said of the value without its parts.
func (c *checking) itself() {
	n := c.node
	if n.types != nil && !slices.ContainsFunc(n.types, func(name string) bool { return isA(c.value, name) }) {
		c.fail("type", jsontext.Describe(c.value), typesInWords(n.types))
	}
	if n.enum != nil && !n.enumKeys[jsontext.Canonical(c.value)] {
		texts := make([]string, 0, len(n.enum))
		for _, e := range n.enum {
			texts = append(texts, jsontext.Describe(e))
		}
		if n.enumIsConst {
			c.fail("const", jsontext.Describe(c.value), texts[0])
		} else {
			c.fail("enum", jsontext.Describe(c.value), "one of "+diag.Shorten(strings.Join(texts, ", ")))
		}
	}
	switch value := c.value.(type) {
	case json.Number:
		c.number(value)
	case string:
		c.sized("Length", utf8.RuneCountInString(value), "character")
		if n.pattern != nil && !n.pattern.MatchString(value) {
			c.fail("pattern", jsontext.Describe(value), "a text that matches "+diag.Shorten(n.patternText))
		}
		if formed := c.schema.formats[n.format]; formed != nil && !formed(value) {
			c.fail("format", jsontext.Describe(value), "a text of the form "+n.format)
		}
	case []any:
		c.sized("Items", len(value), "item")
		if n.unique {
			c.distinct(value)
		}
	case map[string]any:
		c.sized("Properties", len(value), "key")
	}
}

func (c *checking) number(value json.Number) {
	n := c.node
	if n.bounds == nil && n.multipleOf == nil {
		return
	}
	x := jsontext.Rational(value)
	for _, b := range n.bounds {
		order := x.Cmp(b.at)
		switch {
		case b.keyword == "minimum" && order < 0:
			c.fail(b.keyword, jsontext.Describe(value), "at least "+diag.Shorten(b.text))
		case b.keyword == "exclusiveMinimum" && order <= 0:
			c.fail(b.keyword, jsontext.Describe(value), "more than "+diag.Shorten(b.text))
		case b.keyword == "maximum" && order > 0:
			c.fail(b.keyword, jsontext.Describe(value), "at most "+diag.Shorten(b.text))
		case b.keyword == "exclusiveMaximum" && order >= 0:
			c.fail(b.keyword, jsontext.Describe(value), "less than "+diag.Shorten(b.text))
		}
	}
	if n.multipleOf != nil && !new(big.Rat).Quo(x, n.multipleOf).IsInt() {
		f, _ := n.multipleOf.Float64()
		c.fail("multipleOf", jsontext.Describe(value), "a multiple of "+strconv.FormatFloat(f, 'g', -1, 64))
	}
}

// sized holds a length against minX and maxX.
func (c *checking) sized(of string, length int, what string) {
	for _, s := range c.node.sizes {
		switch {
		case s.keyword == "min"+of && length < s.n:
			c.fail(s.keyword, diag.Plural(length, what), "at least "+strconv.Itoa(s.n))
		case s.keyword == "max"+of && length > s.n:
			c.fail(s.keyword, diag.Plural(length, what), "at most "+strconv.Itoa(s.n))
		}
	}
}

func (c *checking) distinct(items []any) {
	at := make(map[string]int, len(items))
	for i, item := range items {
		if c.err = c.tick(); c.err != nil {
			return
		}
		key := jsontext.Canonical(item)
		if first, again := at[key]; again {
			c.fail("uniqueItems", fmt.Sprintf("%s at %d and at %d", jsontext.Describe(item), first, i), "items that differ")
			return
		}
		at[key] = i
	}
}

// branches is what combines other schemas.
func (c *checking) branches() {
	n := c.node
	for _, all := range n.allOf {
		if c.same(all); c.over() {
			return
		}
	}
	if n.anyOf != nil {
		c.some("anyOf", n.anyOf)
	}
	if n.oneOf != nil && !c.over() {
		c.some("oneOf", n.oneOf)
	}
	if n.not != nil && !c.over() && c.holds(n.not, c.value, c.at, nil) && c.err == nil {
		c.fail("not", jsontext.Describe(c.value), "a value that the schema under `not` refuses")
	}
	if n.test != nil && !c.over() {
		then := n.no
		if ok, looked := c.apply(n.test, c.value, c.at, nil); ok {
			c.seen.add(looked)
			then = n.yes
		}
		if then != nil && c.err == nil {
			c.same(then)
		}
	}
}

// some is anyOf, and oneOf. When none holds, what is wrong is what is wrong for
// the schema with the fewest complaints, of those that take such a type.
func (c *checking) some(keyword string, nodes []*node) {
	var holding []int
	var nearest []Problem
	var types []string
	for i, n := range nodes {
		var found *problems
		if !c.found.full() && len(holding) == 0 {
			found = &problems{most: min(c.found.most, 50)}
		}
		ok, looked := c.apply(n, c.value, c.at, found)
		if c.err != nil {
			return
		}
		switch {
		case ok:
			holding = append(holding, i)
			c.seen.add(looked)
			if keyword == "anyOf" && c.seen == nil {
				return
			}
		case found == nil || len(found.list) == 0:
		case found.list[0].Keyword == "type" && len(found.list[0].Path) == len(c.at.path()):
			types = append(types, found.list[0].Wanted)
		case nearest == nil || len(found.list) < len(nearest):
			nearest = found.list
		}
	}
	switch {
	case len(holding) > 1 && keyword == "oneOf":
		c.fail(keyword, fmt.Sprintf("%s, which schemas %d and %d take", jsontext.Describe(c.value), holding[0], holding[1]), "a value that one of them takes alone")
	case len(holding) > 0:
	case nearest == nil && types != nil:
		slices.Sort(types)
		c.fail(keyword, jsontext.Describe(c.value), diag.Shorten(strings.Join(slices.Compact(types), ", or ")))
	default:
		c.ok = false
		for _, p := range nearest {
			if !c.found.full() {
				c.found.list = append(c.found.list, p)
			}
		}
	}
}

func (c *checking) array() {
	items, ok := c.value.([]any)
	if !ok {
		return
	}
	n := c.node
	for i, item := range items {
		if i >= len(n.prefix) {
			break
		}
		if c.part(n.prefix[i], item, strconv.Itoa(i)); c.over() {
			return
		}
	}
	if c.seen != nil {
		c.seen.prefix = max(c.seen.prefix, min(len(n.prefix), len(items)))
	}
	if n.items != nil {
		for i := len(n.prefix); i < len(items); i++ {
			if c.part(n.items, items[i], strconv.Itoa(i)); c.over() {
				return
			}
		}
		if c.seen != nil {
			c.seen.allItems = true
		}
	}
	if n.contains != nil {
		count := 0
		for i, item := range items {
			if c.holds(n.contains, item, &place{c.at, strconv.Itoa(i)}, nil) {
				count++
				if n.in.draft >= 2020 {
					c.seen.item(i)
				}
			}
			if c.err != nil {
				return
			}
		}
		if count < n.minContains {
			c.fail("contains", diag.Plural(count, "item")+" of the wanted kind", "at least "+strconv.Itoa(n.minContains))
		}
		if n.maxContains >= 0 && count > n.maxContains {
			c.fail("maxContains", diag.Plural(count, "item")+" of the wanted kind", "at most "+strconv.Itoa(n.maxContains))
		}
	}
	if n.moreItems != nil && !c.seen.allItems {
		for i := c.seen.prefix; i < len(items) && !c.over(); i++ {
			if !c.seen.items[i] {
				c.part(n.moreItems, items[i], strconv.Itoa(i))
			}
		}
		c.seen.allItems = true
	}
}

func (c *checking) object() {
	object, ok := c.value.(map[string]any)
	if !ok {
		return
	}
	n := c.node
	c.needed("required", n.required, object)
	for _, key := range slices.Sorted(maps.Keys(n.needs)) {
		if _, there := object[key]; there {
			c.needed("dependentRequired", n.needs[key], object)
		}
	}
	for _, key := range slices.Sorted(maps.Keys(n.schemas)) {
		if _, there := object[key]; there && !c.over() {
			c.same(n.schemas[key])
		}
	}
	var keys []string
	if n.properties != nil || n.patterns != nil || n.additional != nil || n.names != nil || n.moreProps != nil {
		keys = slices.Sorted(maps.Keys(object))
	}
	for _, key := range keys {
		if c.member(key, object[key]); c.over() {
			return
		}
	}
	if n.moreProps != nil && !c.seen.allNames {
		for _, key := range keys {
			if !c.seen.names[key] && !c.over() {
				c.extra("unevaluatedProperties", n.moreProps, key, object[key])
			}
		}
		c.seen.allNames = true
	}
}

func (c *checking) needed(keyword string, names []string, object map[string]any) {
	for _, name := range names {
		if _, there := object[name]; !there {
			c.fail(keyword, "no key "+diag.Quote(name), "the key "+diag.Quote(name))
		}
	}
}

// member holds one key and its value against what is said of it.
func (c *checking) member(key string, value any) {
	n := c.node
	if n.names != nil && !c.holds(n.names, key, &place{c.at, key}, nil) && c.err == nil {
		c.fail("propertyNames", "the key "+diag.Quote(key), "keys that the schema under `propertyNames` takes")
	}
	known := false
	if inner := n.properties[key]; inner != nil {
		known = true
		c.part(inner, value, key)
	}
	for _, p := range n.patterns {
		if p.match.MatchString(key) && !c.over() {
			known = true
			c.part(p.node, value, key)
		}
	}
	if n.additional != nil && !known && !c.over() {
		known = true
		c.extra("additionalProperties", n.additional, key, value)
	}
	if known {
		c.seen.name(key)
	}
}

// extra holds a key that nothing else speaks of against a schema, which most
// often is false.
func (c *checking) extra(keyword string, n *node, key string, value any) {
	if n.always != nil && !*n.always {
		c.fail(keyword, "the key "+diag.Quote(key), "only keys that the schema names")
		return
	}
	c.part(n, value, key)
}
