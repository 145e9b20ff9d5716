package schema

// Complaints about a JSON value: where, what was found, what was wanted.

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"perago/starlib/diag"
	"perago/starlib/jsontext"
)

const (
	maxComplaints = 100  // about one value that are shown
	maxKept       = 1000 // of them before they are put in order: then the check ends
)

// complaint is one thing that is wrong with a value.
type complaint struct {
	code   diag.Code
	path   []string // keys and indexes from the root, which is the first step: "params"
	found  string
	wanted string
	hint   string
}

// complaints are all that is wrong with one value, within bounds: a million bad
// rows must not cost the memory of a million complaints.
type complaints struct {
	list []complaint
	more int  // that were counted
	left bool // the check ended at these: there may be others
}

func (cs *complaints) add(c complaint) {
	if cs.full() {
		cs.more++
		return
	}
	cs.list = append(cs.list, c)
}

// full says that further complaints are only counted: they need no words.
func (cs *complaints) full() bool { return len(cs.list) >= maxKept }

// sort orders by the paths, so that the same value gives the same list always.
func (cs *complaints) sort() {
	slices.SortStableFunc(cs.list, func(a, b complaint) int {
		return cmp.Or(slices.CompareFunc(a.path, b.path, compareSteps), cmp.Compare(a.code, b.code), cmp.Compare(a.wanted, b.wanted))
	})
}

// compareSteps puts indexes first, by number, then keys by bytes.
func compareSteps(a, b string) int {
	m, errM := strconv.ParseUint(a, 10, 31)
	n, errN := strconv.ParseUint(b, 10, 31)
	switch {
	case errM == nil && errN == nil && m != n:
		return cmp.Compare(m, n)
	case errM == nil && errN != nil:
		return -1
	case errM != nil && errN == nil:
		return 1
	}
	return cmp.Compare(a, b)
}

// diagnostics are the complaints as people read them; nil when there are none.
func (cs *complaints) diagnostics() diag.List {
	shown := cs.list[:min(len(cs.list), maxComplaints)]
	more := cs.more + len(cs.list) - len(shown)
	var list diag.List
	for _, c := range shown {
		list = append(list, &diag.Diagnostic{Code: c.code, Severity: diag.Error, Message: jsontext.Pointer(c.path),
			Found: c.found, Wanted: c.wanted, Hint: c.hint})
	}
	atLeast := ""
	if cs.left {
		atLeast = "at least "
	}
	if more > 0 {
		list = append(list, &diag.Diagnostic{Code: "P3109", Severity: diag.Error,
			Message: fmt.Sprintf("%s: and %s%d more like these", jsontext.Pointer(shown[0].path[:1]), atLeast, more)})
	}
	return list
}

// kindOfJSON names the type of a value without showing it.
func kindOfJSON(v any) string {
	switch v.(type) {
	case nil:
		return "null"
	case string:
		return "a string"
	case json.Number:
		return "a number"
	case bool:
		return "a bool"
	case []any:
		return "an array"
	}
	return "an object"
}

// explainer turns what is wrong with one value into complaints.
type explainer struct {
	*checker
	tree       jsonValue
	path       []string // of the value that was validated
	complaints complaints
}

// explain goes down to what is really wrong. nullAt is the place of a value
// that could be null as well; nil when there is none.
func (x *explainer) explain(w *fault, nullAt *location) {
	switch {
	case x.tick() != nil:
	case w.word == "":
		for _, cause := range w.causes {
			x.explain(cause, nullAt)
		}
	case w.word != "anyOf":
		x.leaf(w.field, w.word, w.at, w.at == nullAt)
	case w.field.Type.Kind == KindOptional:
		x.explain(w.causes[0], w.at)
	default:
		x.union(w, nullAt)
	}
}

// union complains of the member that comes nearest.
func (x *explainer) union(w *fault, nullAt *location) {
	inner := explainer{checker: x.checker, tree: x.tree, path: x.path}
	inner.explain(w.causes[0], nullAt)
	for _, c := range inner.complaints.list {
		if c.hint == "" {
			c.hint = "the whole choice here is " + diag.Shorten(w.field.Type.String())
		}
		x.complaints.add(c)
	}
	x.complaints.more += inner.complaints.more
}

// otherType says whether a member of a union wants another JSON type altogether.
func (w *fault) otherType(at *location) bool {
	if w.at != at || w.word != "anyOf" {
		return w.word == "type" && w.at == at
	}
	for _, cause := range w.causes {
		if !cause.otherType(at) {
			return false
		}
	}
	return true
}

// leaf complains of one keyword of one field.
func (x *explainer) leaf(f *Field, word string, at *location, orNull bool) {
	steps := at.steps()
	value := x.tree.at(steps)
	c := complaint{code: "P3108", path: append(append([]string(nil), x.path...), steps...), found: jsontext.Describe(value)}
	depth := secretAt(x.root, steps)
	hidden := depth >= 0
	switch {
	case hidden:
		c.path = c.path[:len(x.path)+depth]
		c.found = "a secret"
		if value == nil {
			c.found = "null"
		}
	case f.size().secretive: // it may be the secret, one level too high
		c.found = kindOfJSON(value)
	}
	switch word {
	case "required":
		x.missing(f.Type.Object, value, c, hidden)
		return
	case "additionalProperties":
		x.unknown(f.Type.Object, value, c, hidden)
		return
	case "type":
		c.code = "P3105"
		c.wanted = f.Type.describe()
		if !hidden && len(steps) > 0 {
			c.hint = hintForType(f.Type, value)
		}
	case "enum":
		c.wanted = f.Type.describe()
		if s, ok := value.(string); ok && !hidden {
			c.hint = diag.DidYouMean(s, f.Type.enumTexts(), diag.Quote)
		}
	default:
		c.wanted = f.describeKeyword(word)
		if text, ok := value.(string); ok && !hidden && strings.HasSuffix(word, "Length") {
			c.found += " of " + diag.Plural(utf8.RuneCountInString(text), "character")
		}
		if items, ok := value.([]any); ok && !hidden && word == "uniqueItems" {
			c.found = repeated(items)
		}
	}
	if orNull {
		c.wanted += " or null"
	}
	x.complaints.add(c)
}

// missing complains of each field that an object lacks.
func (x *explainer) missing(s *Schema, value any, at complaint, hidden bool) {
	object, _ := value.(map[string]any)
	var strangers []string
	for key := range object {
		if s.field(key) == nil {
			strangers = append(strangers, key)
		}
	}
	slices.Sort(strangers)
	strangers = strangers[:min(len(strangers), maxComplaints)]
	for _, name := range s.required() {
		if _, ok := object[name]; ok {
			continue
		}
		if x.complaints.full() {
			x.complaints.more++
			continue
		}
		c := complaint{code: "P3106", path: append(append([]string(nil), at.path...), name), found: "nothing", wanted: s.field(name).Type.describe()}
		if near := diag.Nearest(name, strangers); near != "" && !hidden {
			c.hint = fmt.Sprintf("is it what is called `%s`?", diag.Escape(diag.Shorten(near)))
		}
		x.complaints.add(c)
	}
}

// unknown complains of each key of an object that is no field.
func (x *explainer) unknown(s *Schema, value any, at complaint, hidden bool) {
	object, _ := value.(map[string]any)
	for key := range object {
		if s.field(key) != nil {
			continue
		}
		if x.complaints.full() {
			x.complaints.more++
			continue
		}
		c := complaint{code: "P3107", path: append(append([]string(nil), at.path...), key), found: "a field that is not declared",
			wanted: "no field here", hint: diag.DidYouMean(key, s.names(), diag.Backquote)}
		if hidden {
			c.path = at.path
		}
		if names := s.names(); len(names) > 0 {
			c.wanted = "one of " + diag.Shorten(diag.Escape(strings.Join(names, ", ")))
		}
		x.complaints.add(c)
	}
}

func hintForType(t *Type, value any) string {
	text, ok := value.(string)
	switch {
	case !ok && value == nil && t.Kind != KindUnion:
		return fmt.Sprintf("only a field of optional(%s) takes null", diag.Shorten(t.String()))
	case !ok:
		return ""
	case t.Kind == KindInt || t.Kind == KindFloat:
		if _, err := strconv.ParseFloat(text, 64); err == nil {
			return "a number is written without quotes"
		}
	case t.Kind == KindBool:
		if text := strings.ToLower(text); text == "true" || text == "false" {
			return "true and false are written without quotes"
		}
	}
	return ""
}

// at is the plain value at the end of a path.
func (t jsonValue) at(steps []string) any {
	value := t.plain
	for _, s := range steps {
		switch inner := value.(type) {
		case map[string]any:
			value = inner[s]
		case []any:
			i, err := strconv.Atoi(s)
			if err != nil || i >= len(inner) {
				return nil
			}
			value = inner[i]
		}
	}
	return value
}

// secretAt is how many steps lead from f to the first secret field on the path,
// -1 when there is none. Of a union every member counts.
func secretAt(f *Field, steps []string) int {
	switch {
	case f == nil || !f.size().secretive:
		return -1
	case f.Secret:
		return 0
	case f.Type.Kind == KindOptional:
		return secretAt(f.Type.Elem, steps)
	}
	for _, m := range f.Type.AnyOf {
		if n := secretAt(m, steps); n >= 0 {
			return n
		}
	}
	if len(steps) == 0 {
		return -1
	}
	inner := f.Type.Elem
	if f.Type.Kind == KindSchema {
		inner = f.Type.Object.field(steps[0])
	}
	if n := secretAt(inner, steps[1:]); n >= 0 {
		return n + 1
	}
	return -1
}

// repeated says which two items are equal.
func repeated(items []any) string {
	first := make(map[string]int)
	for i, item := range items {
		text := jsontext.Canonical(item)
		if j, ok := first[text]; ok {
			return fmt.Sprintf("the same in items %d and %d", j, i)
		}
		first[text] = i
	}
	return jsontext.Describe(items)
}

func (t *Type) describe() string {
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
			values[i] = string(diag.Escape(string(enumJSON(v))))
		}
		if len(values) == 1 {
			return diag.Shorten(values[0])
		}
		return "one of " + diag.Shorten(strings.Join(values, ", "))
	case KindOptional:
		return t.Elem.Type.describe() + " or null"
	case KindUnion:
		var words []string
		for _, m := range t.AnyOf {
			words = append(words, m.Type.describe())
		}
		last := len(words) - 1 // there are two at least
		return diag.Shorten(strings.Join(words[:last], ", ") + " or " + words[last])
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

// describeKeyword is what a keyword of JSON Schema wants of a field.
func (f *Field) describeKeyword(keyword string) string {
	c := &f.Constraints
	number := func(words string, n json.Number) string { return words + " " + diag.Shorten(string(n)) }
	count := func(words string, n *int, thing string) string { return words + " " + diag.Plural(*n, thing) }
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
		return fmt.Sprintf("a match of `%s`", diag.Shorten(diag.Escape(c.Pattern.String())))
	case "uniqueItems":
		return "no item twice"
	case keywordFloat:
		return "a number that a float can hold"
	}
	return f.Type.describe()
}
