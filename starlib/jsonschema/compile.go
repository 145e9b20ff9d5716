// Package jsonschema holds JSON values against schemas that are data of a task:
// JSON Schema 2020-12 and 2019-09, drafts 7 and 6. It finds all that is wrong,
// can be ended between two values, and asks nobody for other documents. The
// libraries for JSON Schema compile the schemas of all drafts when a program
// starts, which a process that runs one body would pay for whether it validates
// or not.
package jsonschema

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/big"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"perago/starlib/diag"
	"perago/starlib/jsontext"
)

// Options of Compile.
type Options struct {
	// Formats says of the formats by their names whether a text has them. One
	// that is not here is a note, as the standard has it.
	Formats map[string]func(text string) bool

	// Pattern compiles a regular expression of the schema; nil is regexp.Compile.
	Pattern func(text string) (*regexp.Regexp, error)
}

// Error says what is wrong with a schema.
type Error struct {
	Path   []string // the keys and indexes that lead to it
	Reason string
	Cause  error // of a pattern that does not compile, else nil
}

func (e *Error) Error() string { return jsontext.Pointer(e.Path) + ": " + e.Reason }
func (e *Error) Unwrap() error { return e.Cause }

// Schema is a compiled schema. It is read-only.
type Schema struct {
	root     *node
	tracking bool // something asks what was evaluated
	formats  map[string]func(string) bool
}

// resource is a schema with a base URI of its own.
type resource struct {
	uri     *url.URL
	path    []string
	draft   int
	anchors map[string]*node
	dynamic map[string]*node // those of $dynamicAnchor
}

// node is one schema: of an object, or true or false.
type node struct {
	path   []string
	in     *resource
	always *bool // true and false
	root   bool  // of its resource

	ref, dynamicRef *node
	dynamicName     string // of dynamicRef, where it leads to a $dynamicAnchor

	types         []string
	enum          []any
	enumKeys      map[string]bool
	enumIsConst   bool
	bounds        []bound
	multipleOf    *big.Rat
	sizes         []size
	pattern       *regexp.Regexp
	patternText   string
	format        string
	unique        bool
	prefix        []*node
	items         *node
	contains      *node
	minContains   int
	maxContains   int // -1: none
	required      []string
	properties    map[string]*node
	patterns      []patternNode
	additional    *node
	names         *node
	needs         map[string][]string // dependentRequired
	schemas       map[string]*node    // dependentSchemas
	allOf, anyOf  []*node
	oneOf         []*node
	not           *node
	test, yes, no *node // if, then, else
	moreItems     *node // unevaluatedItems
	moreProps     *node // unevaluatedProperties
}

type bound struct {
	keyword string
	at      *big.Rat
	text    string
}

type size struct {
	keyword string
	n       int
}

type patternNode struct {
	match *regexp.Regexp
	node  *node
}

// compiler makes nodes of one document.
type compiler struct {
	doc       any
	options   Options
	nodes     map[string]*node     // by the pointer from the document's root
	resources map[string]*resource // by URI without its fragment
	later     []func() error       // references, resolved when all is indexed
	schema    *Schema
}

// Compile makes a schema of a JSON value: bool, or map[string]any with numbers
// as json.Number. The error is an *Error.
func Compile(doc any, o Options) (*Schema, error) {
	if o.Pattern == nil {
		o.Pattern = regexp.Compile
	}
	c := &compiler{doc: doc, options: o, nodes: map[string]*node{}, resources: map[string]*resource{}, schema: &Schema{formats: o.Formats}}
	root := &resource{uri: &url.URL{Scheme: "schema", Path: "/"}, draft: 2020, anchors: map[string]*node{}, dynamic: map[string]*node{}}
	c.resources[root.uri.String()] = root
	n, err := c.node(doc, nil, root)
	if err != nil {
		return nil, err
	}
	for len(c.later) > 0 { // what a reference leads to may hold others
		resolve := c.later[0]
		c.later = c.later[1:]
		if err := resolve(); err != nil {
			return nil, err
		}
	}
	c.schema.root = n
	return c.schema, nil
}

func wrong(path []string, format string, args ...any) error {
	return &Error{Path: slices.Clone(path), Reason: fmt.Sprintf(format, args...)}
}

// keyOf is a text that no other path has.
func keyOf(path []string) string {
	var b strings.Builder
	for _, step := range path {
		fmt.Fprintf(&b, "%d:%s", len(step), step)
	}
	return b.String()
}

func below(path []string, steps ...string) []string { return slices.Concat(path, steps) }

// node compiles the schema at a path, once.
func (c *compiler) node(doc any, path []string, in *resource) (*node, error) {
	key := keyOf(path)
	if n := c.nodes[key]; n != nil {
		return n, nil
	}
	n := &node{path: path, in: in, root: len(path) == 0, minContains: 1, maxContains: -1}
	c.nodes[key] = n
	switch doc := doc.(type) {
	case bool:
		n.always = &doc
		return n, nil
	case map[string]any:
		return n, c.object(n, doc)
	}
	return nil, wrong(path, "got %s, want a schema: an object, true or false", jsontext.Describe(doc))
}

func (c *compiler) object(n *node, doc map[string]any) error {
	if err := c.identity(n, doc); err != nil {
		return err
	}
	k := &keywords{compiler: c, node: n, doc: doc}
	if _, ok := doc["$ref"]; ok && n.in.draft <= 7 {
		k.reference("$ref", func(to *node, _ string) { n.ref = to })
		k.definitions()
		return k.err // beside it nothing counts
	}
	k.references()
	k.values()
	k.arrays()
	k.objects()
	k.applied()
	k.definitions()
	return k.err
}

// identity reads $schema, $id and the anchors.
func (c *compiler) identity(n *node, doc map[string]any) error {
	draft := n.in.draft
	if s, ok := doc["$schema"].(string); ok {
		if draft = draftOf(s); draft == 0 {
			return wrong(below(n.path, "$schema"), "got %s, want JSON Schema 2020-12, 2019-09, draft 7 or 6", diag.Quote(s))
		}
		if n.root {
			n.in.draft = draft
		}
	}
	id, hasID := doc["$id"].(string)
	if _, refers := doc["$ref"]; hasID && refers && draft <= 7 {
		hasID = false
	}
	if hasID && strings.HasPrefix(id, "#") {
		if draft <= 7 && len(id) > 1 {
			n.in.anchors[id[1:]] = n
		}
		hasID = false
	}
	if hasID {
		uri, err := url.Parse(id)
		if err != nil {
			return wrong(below(n.path, "$id"), "got %s, want a URI", diag.Quote(id))
		}
		uri = n.in.uri.ResolveReference(uri)
		uri.Fragment, uri.RawFragment = "", ""
		n.in = &resource{uri: uri, path: n.path, draft: draft, anchors: map[string]*node{}, dynamic: map[string]*node{}}
		n.root = true
		if c.resources[uri.String()] != nil {
			return wrong(below(n.path, "$id"), "two schemas are %s", diag.Quote(id))
		}
		c.resources[uri.String()] = n.in
	}
	for _, keyword := range []string{"$anchor", "$dynamicAnchor"} {
		if name, ok := doc[keyword].(string); ok && draft > 7 {
			n.in.anchors[name] = n
			if keyword == "$dynamicAnchor" {
				n.in.dynamic[name] = n
			}
		}
	}
	if doc["$recursiveAnchor"] == true {
		return wrong(below(n.path, "$recursiveAnchor"), "it is not supported, want $dynamicAnchor of JSON Schema 2020-12")
	}
	return nil
}

func draftOf(uri string) int {
	switch strings.TrimSuffix(strings.TrimPrefix(strings.TrimPrefix(uri, "https://"), "http://"), "#") {
	case "json-schema.org/draft/2020-12/schema", "json-schema.org/schema":
		return 2020
	case "json-schema.org/draft/2019-09/schema":
		return 2019
	case "json-schema.org/draft-07/schema":
		return 7
	case "json-schema.org/draft-06/schema":
		return 6
	}
	return 0
}

// resolve finds what a reference leads to.
func (c *compiler) resolve(ref string, from *resource, path []string) (*node, string, error) {
	uri, err := url.Parse(ref)
	if err != nil {
		return nil, "", wrong(path, "got %s, want a reference such as \"#/$defs/name\"", diag.Quote(ref))
	}
	uri = from.uri.ResolveReference(uri)
	fragment := uri.Fragment
	uri.Fragment, uri.RawFragment = "", ""
	in := c.resources[uri.String()]
	if in == nil {
		return nil, "", wrong(path, "%s is another document, which is not fetched: copy what is needed under $defs", diag.Quote(ref))
	}
	switch {
	case fragment == "":
		return c.nodes[keyOf(in.path)], "", nil
	case !strings.HasPrefix(fragment, "/"):
		if n := in.anchors[fragment]; n != nil {
			return n, fragment, nil
		}
		return nil, "", wrong(path, "there is no anchor %s", diag.Quote(fragment))
	}
	steps := slices.Clone(in.path)
	for _, step := range strings.Split(fragment[1:], "/") {
		steps = append(steps, strings.NewReplacer("~1", "/", "~0", "~").Replace(step))
	}
	at := c.doc
	for i, step := range steps {
		next, ok := child(at, step)
		if !ok {
			return nil, "", wrong(path, "%s leads nowhere: there is no %s", diag.Quote(ref), jsontext.Pointer(steps[:i+1]))
		}
		if n := c.nodes[keyOf(steps[:i])]; n != nil && i >= len(in.path) {
			in = n.in // a schema with a URI of its own on the way
		}
		at = next
	}
	n, err := c.node(at, steps, in)
	return n, "", err
}

func child(at any, step string) (any, bool) {
	switch at := at.(type) {
	case map[string]any:
		v, ok := at[step]
		return v, ok
	case []any:
		i, err := strconv.Atoi(step)
		if err == nil && 0 <= i && i < len(at) && strconv.Itoa(i) == step {
			return at[i], true
		}
	}
	return nil, false
}

// keywords reads those of one schema. After an error it reads no more.
type keywords struct {
	*compiler
	node *node
	doc  map[string]any
	err  error
}

// has looks a keyword up.
func (k *keywords) has(keyword string) (v any, path []string, ok bool) {
	if k.err != nil {
		return nil, nil, false
	}
	v, ok = k.doc[keyword]
	return v, below(k.node.path, keyword), ok
}

func (k *keywords) want(path []string, v any, wanted string) {
	if k.err == nil {
		k.err = wrong(path, "got %s, want %s", jsontext.Describe(v), wanted)
	}
}

// read looks a keyword up whose value is a T; wanted says what that is.
func read[T any](k *keywords, keyword, wanted string) (value T, path []string, ok bool) {
	v, path, ok := k.has(keyword)
	if !ok {
		return value, nil, false
	}
	if value, ok = v.(T); !ok {
		k.want(path, v, wanted)
	}
	return value, path, ok
}

func (k *keywords) schema(keyword string) *node {
	v, path, ok := k.has(keyword)
	if !ok {
		return nil
	}
	n, err := k.compiler.node(v, path, k.node.in)
	k.err = err
	return n
}

func (k *keywords) schemaList(keyword string) []*node {
	v, path, ok := k.has(keyword)
	if !ok {
		return nil
	}
	list, ok := v.([]any)
	if !ok || len(list) == 0 {
		k.want(path, v, "a list of schemas that is not empty")
		return nil
	}
	nodes := make([]*node, len(list))
	for i, item := range list {
		if nodes[i], k.err = k.compiler.node(item, below(path, strconv.Itoa(i)), k.node.in); k.err != nil {
			return nil
		}
	}
	return nodes
}

func (k *keywords) schemaMap(keyword string) map[string]*node {
	doc, path, ok := read[map[string]any](k, keyword, "an object of schemas")
	if !ok {
		return nil
	}
	nodes := make(map[string]*node, len(doc))
	for _, key := range slices.Sorted(maps.Keys(doc)) {
		if nodes[key], k.err = k.compiler.node(doc[key], below(path, key), k.node.in); k.err != nil {
			return nil
		}
	}
	return nodes
}

func (k *keywords) count(keyword string) (int, bool) {
	v, path, ok := k.has(keyword)
	if !ok {
		return 0, false
	}
	if n, is := v.(json.Number); is {
		if r := jsontext.Rational(n); r.IsInt() && r.Sign() >= 0 {
			if !r.Num().IsInt64() || r.Num().Int64() > 1<<40 {
				return 1 << 40, true // more than anything has
			}
			return int(r.Num().Int64()), true
		}
	}
	k.want(path, v, "a whole number that is not negative")
	return 0, false
}

func (k *keywords) texts(keyword string) []string {
	v, path, ok := k.has(keyword)
	if !ok {
		return nil
	}
	return k.textsOf(v, path)
}

func (k *keywords) textsOf(v any, path []string) []string {
	list, ok := v.([]any)
	texts := make([]string, len(list))
	for i, item := range list {
		var is bool
		texts[i], is = item.(string)
		ok = ok && is
	}
	if !ok {
		k.want(path, v, "a list of texts")
	}
	return texts
}

func (k *keywords) regexp(text string, path []string) *regexp.Regexp {
	re, err := k.options.Pattern(text)
	if err != nil && k.err == nil {
		k.err = &Error{Path: path, Reason: err.Error(), Cause: err}
	}
	return re
}

func (k *keywords) reference(keyword string, set func(to *node, anchor string)) {
	ref, path, ok := read[string](k, keyword, "a text")
	if !ok {
		return
	}
	in := k.node.in
	k.later = append(k.later, func() error {
		to, anchor, err := k.resolve(ref, in, path)
		if err == nil {
			set(to, anchor)
		}
		return err
	})
}

func (k *keywords) references() {
	n := k.node
	k.reference("$ref", func(to *node, _ string) { n.ref = to })
	if n.in.draft == 2019 {
		k.reference("$recursiveRef", func(to *node, _ string) { n.ref = to })
	}
	if n.in.draft >= 2020 {
		k.reference("$dynamicRef", func(to *node, anchor string) {
			n.dynamicRef = to
			if to.in.dynamic[anchor] == to {
				n.dynamicName = anchor
			}
		})
	}
}

// values reads what is said of single values.
func (k *keywords) values() {
	n := k.node
	if v, path, ok := k.has("type"); ok {
		switch v := v.(type) {
		case string:
			n.types = []string{v}
		default:
			n.types = k.textsOf(v, path)
		}
		for _, name := range n.types {
			if !slices.Contains([]string{"null", "boolean", "object", "array", "number", "string", "integer"}, name) {
				k.want(path, name, "one of null, boolean, object, array, number, string, integer")
			}
		}
	}
	n.enum, _, _ = read[[]any](k, "enum", "a list of values")
	if v, _, ok := k.has("const"); ok {
		if n.enum != nil { // both hold: two schemas in one
			n.allOf = append(n.allOf, constant(n, []any{v}))
		} else {
			n.enum, n.enumIsConst = []any{v}, true
		}
	}
	if n.enum != nil {
		n.enumKeys = keysOf(n.enum)
	}
	for _, keyword := range []string{"minimum", "exclusiveMinimum", "maximum", "exclusiveMaximum", "multipleOf"} {
		number, path, ok := read[json.Number](k, keyword, "a number")
		switch {
		case !ok:
		case keyword != "multipleOf":
			n.bounds = append(n.bounds, bound{keyword, jsontext.Rational(number), number.String()})
		case jsontext.Rational(number).Sign() <= 0:
			k.want(path, number, "a number above 0")
		default:
			n.multipleOf = jsontext.Rational(number)
		}
	}
	for _, keyword := range []string{"minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties"} {
		if size_, ok := k.count(keyword); ok {
			n.sizes = append(n.sizes, size{keyword, size_})
		}
	}
	if text, path, ok := read[string](k, "pattern", "a text"); ok {
		n.pattern, n.patternText = k.regexp(text, path), text
	}
	n.format, _, _ = read[string](k, "format", "a text")
	n.unique, _, _ = read[bool](k, "uniqueItems", "true or false")
}

func constant(n *node, values []any) *node {
	return &node{path: n.path, in: n.in, enum: values, enumKeys: keysOf(values), enumIsConst: true, minContains: 1, maxContains: -1}
}

func keysOf(values []any) map[string]bool {
	keys := make(map[string]bool, len(values))
	for _, v := range values {
		keys[jsontext.Canonical(v)] = true
	}
	return keys
}

func (k *keywords) arrays() {
	n := k.node
	n.prefix = nil
	if n.in.draft >= 2020 {
		n.prefix = k.schemaList("prefixItems")
		if v, path, ok := k.has("items"); ok {
			if _, is := v.([]any); is {
				k.want(path, v, "one schema; a list of them is prefixItems")
			}
		}
		n.items = k.schema("items")
	} else if v, path, ok := k.has("items"); ok {
		if list, is := v.([]any); is {
			if len(list) > 0 {
				n.prefix = k.schemaList("items")
			}
			n.items = k.schema("additionalItems")
		} else {
			n.items, k.err = k.compiler.node(v, path, n.in)
		}
	}
	n.contains = k.schema("contains")
	if n.in.draft > 7 {
		if count, ok := k.count("minContains"); ok {
			n.minContains = count
		}
		if count, ok := k.count("maxContains"); ok {
			n.maxContains = count
		}
		n.moreItems = k.schema("unevaluatedItems")
	}
}

func (k *keywords) objects() {
	n := k.node
	n.required = k.texts("required")
	n.properties = k.schemaMap("properties")
	patterns := k.schemaMap("patternProperties")
	for _, text := range slices.Sorted(maps.Keys(patterns)) {
		n.patterns = append(n.patterns, patternNode{k.regexp(text, below(n.path, "patternProperties", text)), patterns[text]})
	}
	n.additional = k.schema("additionalProperties")
	n.names = k.schema("propertyNames")
	n.needs, n.schemas = map[string][]string{}, map[string]*node{}
	doc, path, _ := read[map[string]any](k, "dependentRequired", "an object of lists of texts")
	for key, list := range doc {
		n.needs[key] = k.textsOf(list, below(path, key))
	}
	if schemas := k.schemaMap("dependentSchemas"); schemas != nil {
		n.schemas = schemas
	}
	doc, path, _ = read[map[string]any](k, "dependencies", "an object of lists of texts, or of schemas")
	for key, need := range doc {
		if list, is := need.([]any); is {
			n.needs[key] = k.textsOf(list, below(path, key))
		} else if k.err == nil {
			n.schemas[key], k.err = k.compiler.node(need, below(path, key), n.in)
		}
	}
	if n.in.draft > 7 {
		n.moreProps = k.schema("unevaluatedProperties")
	}
	if n.moreItems != nil || n.moreProps != nil {
		k.compiler.schema.tracking = true
	}
}

// applied reads what holds the same value against other schemas.
func (k *keywords) applied() {
	n := k.node
	n.allOf = append(n.allOf, k.schemaList("allOf")...)
	n.anyOf, n.oneOf, n.not = k.schemaList("anyOf"), k.schemaList("oneOf"), k.schema("not")
	n.test, n.yes, n.no = k.schema("if"), k.schema("then"), k.schema("else")
}

// definitions are schemas that hold nothing by themselves.
func (k *keywords) definitions() {
	k.schemaMap("definitions")
	if k.node.in.draft > 7 {
		k.schemaMap("$defs")
		k.schema("contentSchema")
	}
}
