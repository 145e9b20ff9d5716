package schema

// Whether a JSON value is what a field wants: the rules of JSON Schema for what
// a field can say. A test holds them against a library that knows all of JSON
// Schema. That library is not used here: to load it takes longer than most
// bodies run, and each body runs in a process of its own.

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math"
	"math/big"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"
	"unicode/utf8"
)

// Limits bounds one check of a value, which can be made to cost far more than
// its text; the zero value is no bound.
type Limits struct {
	Context context.Context // whose cause ends the check; nil is none
	Memory  int64           // bytes that the decoded value may take, as far as that can be told ahead
}

// TooLargeError is a value that would take more memory than Limits allows.
type TooLargeError struct{ Most int64 }

func (e *TooLargeError) Error() string {
	return fmt.Sprintf("the decoded value takes more than %d MiB of memory", e.Most>>20)
}

// checker is one check of one value.
type checker struct {
	*validator
	limits Limits
	err    error // the bound that was passed: then nothing else counts
	ticks  int
	bytes  int64 // that the decoded value takes so far
	found  int   // complaints
}

// What one value takes once it is decoded, in bytes, and what more an object
// takes with its first members.
const (
	valueBytes  = 100
	objectBytes = 350
)

// decoded counts a value whose text begins with c.
func (v *checker) decoded(c byte) error {
	v.bytes += valueBytes
	if c == '{' {
		v.bytes += objectBytes
	}
	if most := v.limits.Memory; most > 0 && v.bytes > most && v.err == nil {
		v.err = &TooLargeError{most}
	}
	return v.tick()
}

// tickEvery is how many values are gone through between two looks at the context.
const tickEvery = 256

// tick is called for every value, and for every alternative of it: its error
// ends the check.
func (v *checker) tick() error {
	if v.ticks++; v.ticks%tickEvery == 0 && v.err == nil && v.limits.Context != nil && v.limits.Context.Err() != nil {
		v.err = context.Cause(v.limits.Context)
	}
	return v.err
}

// over says that enough was found.
func (v *checker) over() bool { return v.err != nil || v.found >= maxKept }

// shortText is how long a text is, in bytes, that a pattern is held against in
// one go.
const shortText = 1 << 10

// matches says whether there is a match in a text. A pattern may have ten
// thousands of states, and to bring a long text past them takes hours.
func (v *checker) matches(pattern *regexp.Regexp, text string) bool {
	if len(text) <= shortText || v.limits.Context == nil {
		return pattern.MatchString(text)
	}
	return pattern.MatchReader(&tickingReader{strings.NewReader(text), v.tick})
}

// tickingReader ends a text where tick says so.
type tickingReader struct {
	*strings.Reader
	tick func() error
}

// ReadRune implements io.RuneReader.
func (r *tickingReader) ReadRune() (rune, int, error) {
	if r.tick() != nil {
		return 0, 0, io.EOF
	}
	return r.Reader.ReadRune()
}

// formatOf is the JSON Schema format of a type that is a text of one form.
func formatOf(kind Kind) string {
	switch kind {
	case KindDateTime:
		return "date-time"
	case KindDate:
		return "date"
	case KindUUID:
		return "uuid"
	}
	return ""
}

// validator holds values against one field and all that is in it. It is
// read-only once built.
type validator struct {
	root   *Field
	closed bool               // unknown keys of objects are refused, else let through
	bounds map[*Field][]bound // of the numbers that fields want
}

// bound is one condition on a number.
type bound struct {
	word  string // the keyword of JSON Schema
	holds func(n *big.Rat) bool
}

func newValidator(root *Field, closed bool) *validator {
	v := &validator{root: root, closed: closed, bounds: make(map[*Field][]bound)}
	v.collect(root)
	return v
}

// collect notes the bounds of f and of all that is in it.
func (v *validator) collect(f *Field) {
	if f == nil {
		return
	}
	c := &f.Constraints
	for _, b := range []struct {
		word  string
		text  json.Number
		holds func(n, at *big.Rat) bool
	}{
		{"minimum", c.GE, func(n, at *big.Rat) bool { return n.Cmp(at) >= 0 }},
		{"exclusiveMinimum", c.GT, func(n, at *big.Rat) bool { return n.Cmp(at) > 0 }},
		{"maximum", c.LE, func(n, at *big.Rat) bool { return n.Cmp(at) <= 0 }},
		{"exclusiveMaximum", c.LT, func(n, at *big.Rat) bool { return n.Cmp(at) < 0 }},
		{"multipleOf", c.MultipleOf, func(n, at *big.Rat) bool { return new(big.Rat).Quo(n, at).IsInt() }},
	} {
		if b.text != "" {
			at := rational(b.text)
			v.bounds[f] = append(v.bounds[f], bound{b.word, func(n *big.Rat) bool { return b.holds(n, at) }})
		}
	}
	v.collect(f.Type.Elem)
	for _, member := range f.Type.AnyOf {
		v.collect(member)
	}
	if f.Type.Kind == KindSchema {
		for _, inner := range f.Type.Object.Fields {
			v.collect(inner)
		}
	}
}

// fits says whether a value is what f wants; f is in the validator.
func (v *checker) fits(f *Field, plain any) bool {
	before := v.found
	defer func() { v.found = before }()
	v.found = 0
	return v.quickly(f, plain) || v.fault(f, plain, &location{}) == nil && v.err == nil
}

// location is where a value is in the one that is checked.
type location struct {
	in   *location // nil: it is the whole
	step string    // its key or index there
}

// steps are the keys and indexes that lead to a place.
func (p *location) steps() []string {
	var steps []string
	for ; p.in != nil; p = p.in {
		steps = append(steps, p.step)
	}
	slices.Reverse(steps)
	return steps
}

// fault is what is wrong with one value.
type fault struct {
	field  *Field
	word   string // the keyword of JSON Schema that does not hold; "": several do not
	at     *location
	causes []*fault // the several; of anyOf, that of the member that comes nearest
	size   int      // how many complaints it makes
}

// fault is what is wrong with a value that f wants; nil when nothing is, or when
// enough was found or a bound was passed before this value.
func (v *checker) fault(f *Field, plain any, at *location) *fault {
	if v.over() || v.tick() != nil {
		return nil
	}
	t, c := f.Type, &f.Constraints
	if !t.takes(plain) {
		v.found++
		return &fault{field: f, word: "type", at: at, size: 1}
	}
	var all []*fault
	several := func(word string, n int) {
		if n > 0 {
			v.found += n
			all = append(all, &fault{field: f, word: word, at: at, size: n})
		}
	}
	want := func(word string, holds bool) {
		if !holds {
			several(word, 1)
		}
	}
	inner := func(f *Field, plain any, step string) {
		if x := v.fault(f, plain, &location{at, step}); x != nil {
			all = append(all, x)
		}
	}
	switch value := plain.(type) {
	case map[string]any:
		switch {
		case t.Kind == KindSchema:
			known := 0
			missing := 0
			for _, field := range t.Object.Fields {
				item, ok := value[field.Name]
				if ok {
					known++
					inner(field, item, field.Name)
				} else if field.Default == nil {
					missing++
				}
			}
			several("required", missing)
			if v.closed {
				several("additionalProperties", len(value)-known)
			}
		case t.Kind == KindMap && t.Elem != nil:
			for _, key := range slices.Sorted(maps.Keys(value)) {
				if v.over() {
					break
				}
				inner(t.Elem, value[key], key)
			}
		}
	case []any:
		want("minItems", inRange(len(value), c.MinItems, nil))
		want("maxItems", inRange(len(value), nil, c.MaxItems))
		want("uniqueItems", !c.UniqueItems || v.distinct(value))
		if t.Kind == KindList && t.Elem != nil {
			for i, item := range value {
				if v.over() {
					break
				}
				inner(t.Elem, item, strconv.Itoa(i))
			}
		}
	case string:
		if c.MinLength != nil || c.MaxLength != nil {
			n := utf8.RuneCountInString(value)
			want("minLength", inRange(n, c.MinLength, nil))
			want("maxLength", inRange(n, nil, c.MaxLength))
		}
		want("pattern", c.Pattern == nil || v.matches(c.Pattern, value))
		want("format", t.formed(value))
	case json.Number:
		if bounds := v.bounds[f]; len(bounds) > 0 {
			n := rational(value)
			for _, b := range bounds {
				want(b.word, b.holds(n))
			}
		}
		want(keywordFloat, t.Kind != KindFloat || fitsFloat(value))
	}
	switch t.Kind {
	case KindEnum:
		want("enum", t.admits(plain))
	case KindOptional:
		if plain != nil {
			if x := v.fault(t.Elem, plain, at); x != nil {
				all = append(all, &fault{f, "anyOf", at, []*fault{x}, x.size})
			}
		}
	case KindUnion:
		if x := v.nearest(f, plain, at); x != nil {
			all = append(all, x)
		}
	}
	switch len(all) {
	case 0:
		return nil
	case 1:
		return all[0]
	}
	size := 0
	for _, x := range all {
		size += x.size
	}
	return &fault{field: f, at: at, causes: all, size: size}
}

// nearest is what is wrong with a value that a union wants: of the members that
// take values of its JSON type, what is wrong for the one with the fewest
// complaints.
func (v *checker) nearest(f *Field, plain any, at *location) *fault {
	var nearest *fault
	before := v.found
	for _, member := range f.Type.AnyOf {
		v.found = 0
		x := v.fault(member, plain, at)
		if x == nil {
			v.found = before
			return nil
		}
		if !x.otherType(at) && (nearest == nil || x.size < nearest.size) {
			nearest = x
		}
	}
	if nearest == nil {
		v.found = before + 1
		return &fault{field: f, word: "type", at: at, size: 1}
	}
	v.found = before + nearest.size
	return &fault{f, "anyOf", at, []*fault{nearest}, nearest.size}
}

// takes says whether a value is of the JSON type that t wants.
func (t *Type) takes(plain any) bool {
	is := false
	switch t.Kind {
	case KindString, KindDateTime, KindDate, KindUUID:
		_, is = plain.(string)
	case KindInt:
		return isInteger(plain)
	case KindFloat:
		_, is = plain.(json.Number)
	case KindBool:
		_, is = plain.(bool)
	case KindList:
		_, is = plain.([]any)
	case KindMap, KindSchema:
		_, is = plain.(map[string]any)
	case KindEnum:
		switch t.shared {
		case "string":
			_, is = plain.(string)
		case "boolean":
			_, is = plain.(bool)
		case "integer":
			return isInteger(plain)
		default:
			return true
		}
	default:
		return true
	}
	return is
}

// isInteger says whether a value is a whole number, as 5.0 is.
func isInteger(plain any) bool {
	n, is := plain.(json.Number)
	return is && rational(n).IsInt()
}

// formed says whether a text has the form that t wants.
func (t *Type) formed(text string) bool {
	switch t.Kind {
	case KindDateTime:
		return IsDateTime(text)
	case KindDate:
		return IsDate(text)
	case KindUUID:
		return IsUUID(text)
	}
	return true
}

var (
	uuidForm = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`^(?i)[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$`)
	})
	// clockForm is the part of an RFC 3339 time after its T.
	clockForm = sync.OnceValue(func() *regexp.Regexp {
		return regexp.MustCompile(`^([01][0-9]|2[0-3]):[0-5][0-9]:([0-5][0-9]|60)([.][0-9]+)?([Zz]|[-+]([01][0-9]|2[0-3]):[0-5][0-9])$`)
	})
)

// IsDate says whether a text is a date as 2026-03-01.
func IsDate(text string) bool {
	_, err := time.Parse(time.DateOnly, text)
	return err == nil
}

// IsUUID says whether a text is a UUID, in any case.
func IsUUID(text string) bool { return uuidForm().MatchString(text) }

// IsDateTime says whether a text is a time of RFC 3339, leap seconds included, which are the last of a day of UTC.
func IsDateTime(text string) bool {
	if len(text) < 20 || text[10]|0x20 != 't' || !IsDate(text[:10]) || !clockForm().MatchString(text[11:]) {
		return false
	}
	if text[17:19] != "60" {
		return true
	}
	before := []byte(text)
	copy(before[17:], "59")
	before[10] = 'T'
	if last := &before[len(before)-1]; *last == 'z' {
		*last = 'Z'
	}
	at, err := time.Parse(time.RFC3339, string(before))
	at = at.UTC()
	return err == nil && at.Hour() == 23 && at.Minute() == 59
}

// distinct says whether no two items are equal.
func (v *checker) distinct(items []any) bool {
	seen := make(map[string]struct{}, len(items))
	for _, item := range items {
		text := canonical(item)
		if _, again := seen[text]; again {
			return false
		}
		if v.tick() != nil {
			return true
		}
		seen[text] = struct{}{}
	}
	return true
}

// keywordFloat is not of JSON Schema, which has no bound on numbers: a body gets
// a float, and there is none beyond ±1.8e308.
const keywordFloat = "float"

func fitsFloat(n json.Number) bool {
	if len(n) <= 300 { // of integers only those with more digits can be too large
		return true
	}
	f, err := n.Float64()
	return err == nil && !math.IsInf(f, 0)
}

// admits says whether a value is one of those of one_of; 5.0 is 5.
func (t *Type) admits(plain any) bool {
	_, ok := t.admitted(plain)
	return ok
}

func (t *Type) admitted(plain any) (declared any, ok bool) {
	key, ok := enumKey(plain)
	if !ok {
		return nil, false
	}
	i, ok := t.enumAt[key]
	if !ok {
		return nil, false
	}
	return t.Enum[i], true
}

// enumKey is the same for values of one_of that are equal; false for a value that
// is none.
func enumKey(plain any) (key any, ok bool) {
	switch v := plain.(type) {
	case string, bool:
		return v, true
	case json.Number:
		return json.Number(rational(v).RatString()), true
	}
	return nil, false
}

// check returns what is wrong with a value; path is the value's own.
func (v *checker) check(tree jsonValue, path ...string) *complaints {
	if v.quickly(v.root, tree.plain) {
		return &complaints{}
	}
	wrong := v.fault(v.root, tree.plain, &location{})
	if wrong == nil {
		return &complaints{}
	}
	x := explainer{checker: v, tree: tree, path: path}
	x.complaints.left = v.over()
	x.explain(wrong, nil)
	if len(x.complaints.list) == 0 { // whatever was found, an invalid value is refused
		x.complaints.add(complaint{code: "P3108", path: path, found: kindOfJSON(tree.plain), wanted: v.root.Type.describe()})
	}
	x.complaints.sort()
	return &x.complaints
}

// plainly says that f takes a value, and is sure of it: then the validator need
// not be asked, which costs a microsecond a value and is the larger part of a
// small attempt. False means nothing: whatever is not simple is the validator's
// to decide. A test holds the two against each other.
func (v *checker) quickly(f *Field, plain any) bool {
	if v.tick() != nil {
		return false
	}
	c := &f.Constraints
	switch t := f.Type; t.Kind {
	case KindAnything:
		return true
	case KindBool:
		_, ok := plain.(bool)
		return ok
	case KindString:
		s, ok := plain.(string)
		return ok && c.Pattern == nil && (c.MinLength == nil && c.MaxLength == nil || inRange(utf8.RuneCountInString(s), c.MinLength, c.MaxLength))
	case KindInt:
		n, ok := plain.(json.Number)
		return ok && c.quickInt(n)
	case KindFloat:
		n, ok := plain.(json.Number)
		return ok && len(n) < 300 && c.GE == "" && c.GT == "" && c.LE == "" && c.LT == "" && c.MultipleOf == ""
	case KindEnum:
		_, isNumber := plain.(json.Number)
		return !isNumber && t.admits(plain)
	case KindOptional:
		return plain == nil || v.quickly(t.Elem, plain)
	case KindUnion:
		return slices.ContainsFunc(t.AnyOf, func(m *Field) bool { return v.quickly(m, plain) })
	case KindList:
		list, ok := plain.([]any)
		if !ok || c.UniqueItems || !inRange(len(list), c.MinItems, c.MaxItems) {
			return false
		}
		for _, item := range list {
			if t.Elem != nil && !v.quickly(t.Elem, item) {
				return false
			}
		}
		return true
	case KindMap:
		object, ok := plain.(map[string]any)
		if !ok {
			return false
		}
		for _, item := range object {
			if t.Elem != nil && !v.quickly(t.Elem, item) {
				return false
			}
		}
		return true
	case KindSchema:
		object, ok := plain.(map[string]any)
		return ok && v.quickObject(t.Object, object)
	}
	return false
}

func (v *checker) quickObject(s *Schema, object map[string]any) bool {
	known := 0
	for _, f := range s.Fields {
		value, ok := object[f.Name]
		switch {
		case ok && !v.quickly(f, value), !ok && f.Default == nil:
			return false
		case ok:
			known++
		}
	}
	return !v.closed || known == len(object)
}

// plainInt says that an int of the usual size is within bounds of that size.
func (c *Constraints) quickInt(n json.Number) bool {
	if len(n) > 18 || c.MultipleOf != "" || strings.ContainsAny(string(n), ".eE") {
		return false
	}
	i, err := n.Int64()
	if err != nil {
		return false
	}
	for _, bound := range [...]struct {
		text json.Number
		sign int64 // of what is too far
		open bool
	}{{c.GE, -1, false}, {c.GT, -1, true}, {c.LE, 1, false}, {c.LT, 1, true}} {
		if bound.text == "" {
			continue
		}
		b, err := strconv.ParseInt(string(bound.text), 10, 60)
		if err != nil || (i-b)*bound.sign > 0 || bound.open && i == b {
			return false
		}
	}
	return true
}

func inRange(n int, least, most *int) bool {
	return (least == nil || n >= *least) && (most == nil || n <= *most)
}
