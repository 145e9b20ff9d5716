package starlib

// What the validator found, in the words of complaints.

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"perago/starlib/diag"
)

// explainer turns what is wrong with one value into complaints.
type explainer struct {
	*inspection
	tree       jsonTree
	path       []string // of the value that was validated
	complaints complaints
}

// explain goes down to what is really wrong. nullAt is the place of a value
// that could be null as well; nil when there is none.
func (x *explainer) explain(w *fault, nullAt *place) {
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
func (x *explainer) union(w *fault, nullAt *place) {
	inner := explainer{inspection: x.inspection, tree: x.tree, path: x.path}
	inner.explain(w.causes[0], nullAt)
	for _, c := range inner.complaints.list {
		if c.hint == "" {
			c.hint = "the whole choice here is " + shorten(w.field.Type.String())
		}
		x.complaints.add(c)
	}
	x.complaints.more += inner.complaints.more
}

// otherType says whether a member of a union wants another JSON type altogether.
func (w *fault) otherType(at *place) bool {
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
func (x *explainer) leaf(f *Field, word string, at *place, orNull bool) {
	steps := at.steps()
	value := x.tree.at(steps)
	c := complaint{code: "P3108", path: append(append([]string(nil), x.path...), steps...), found: found(value)}
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
		c.wanted = f.Type.wanted()
		if !hidden && len(steps) > 0 {
			c.hint = hintForType(f.Type, value)
		}
	case "enum":
		c.wanted = f.Type.wanted()
		if s, ok := value.(string); ok && !hidden {
			c.hint = didYouMean(diag.Nearest(s, f.Type.enumTexts()), quoted)
		}
	default:
		c.wanted = f.wantedBy(word)
		if text, ok := value.(string); ok && !hidden && strings.HasSuffix(word, "Length") {
			c.found += " of " + plural(utf8.RuneCountInString(text), "character")
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
		c := complaint{code: "P3106", path: append(append([]string(nil), at.path...), name), found: "nothing", wanted: s.field(name).Type.wanted()}
		if near := diag.Nearest(name, strangers); near != "" && !hidden {
			c.hint = fmt.Sprintf("is it what is called `%s`?", printable(shorten(near)))
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
			wanted: "no field here", hint: didYouMean(diag.Nearest(key, s.names()), backquoted)}
		if hidden {
			c.path = at.path
		}
		if names := s.names(); len(names) > 0 {
			c.wanted = "one of " + shorten(printable(strings.Join(names, ", ")))
		}
		x.complaints.add(c)
	}
}

func backquoted(s string) string { return "`" + printable(s) + "`" }

func didYouMean(near string, quote func(string) string) string {
	if near == "" {
		return ""
	}
	return "did you mean " + quote(near) + "?"
}

func hintForType(t *Type, value any) string {
	text, ok := value.(string)
	switch {
	case !ok && value == nil && t.Kind != KindUnion:
		return fmt.Sprintf("only a field of optional(%s) takes null", shorten(t.String()))
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
func (t jsonTree) at(steps []string) any {
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
		text := canonical(item)
		if j, ok := first[text]; ok {
			return fmt.Sprintf("the same in items %d and %d", j, i)
		}
		first[text] = i
	}
	return found(items)
}

// canonical is the same text for equal JSON values.
func canonical(plain any) string {
	switch v := plain.(type) {
	case json.Number:
		return rational(v).RatString()
	case []any:
		texts := make([]string, len(v))
		for i, item := range v {
			texts[i] = canonical(item)
		}
		return "[" + strings.Join(texts, ",") + "]"
	case map[string]any:
		texts := make([]string, 0, len(v))
		for _, key := range slices.Sorted(maps.Keys(v)) {
			texts = append(texts, strconv.Quote(key)+":"+canonical(v[key]))
		}
		return "{" + strings.Join(texts, ",") + "}"
	case string:
		return strconv.Quote(v)
	}
	return fmt.Sprint(plain)
}
