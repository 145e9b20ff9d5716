package schema

// Whether a JSON value is what a field wants: the rules of JSON Schema for what
// a field can say. A test holds them against a library that knows all of JSON
// Schema. That library is not used here: to load it takes longer than most
// bodies run, and each body runs in a process of its own.

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math"
	"math/big"
	"perago/starlib/jsontext"
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

// checker checks one value.
type checker struct {
	root   *Field // what the value must be
	closed bool   // unknown keys of objects are refused, else let through
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

// tickEvery is how many values are checked between two looks at the context.
const tickEvery = 256

// tick is called for every value, and for every alternative of it: its error
// ends the check.
func (v *checker) tick() error {
	if v.ticks++; v.ticks%tickEvery == 0 && v.err == nil && v.limits.Context != nil && v.limits.Context.Err() != nil {
		v.err = context.Cause(v.limits.Context)
	}
	return v.err
}

// over says whether the check can end: enough was found, or a limit was passed.
func (v *checker) over() bool { return v.err != nil || v.found >= maxKept }

// shortText is how long a text is, in bytes, that a pattern is held against in
// one go.
const shortText = 1 << 10

// matches says whether there is a match in a text. A pattern may have tens of
// thousands of states, and matching a long text against them may take hours.
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

// formatOf is the JSON Schema format of a type that is a text of one form, and
// whether a text has it.
func formatOf(kind Kind) (name string, has func(text string) bool) {
	switch kind {
	case KindDateTime:
		return "date-time", IsDateTime
	case KindDate:
		return "date", IsDate
	case KindUUID:
		return "uuid", IsUUID
	}
	return "", nil
}

// fits says whether a value is what f wants.
func (v *checker) fits(f *Field, plain any) bool {
	before := v.found
	defer func() { v.found = before }()
	v.found = 0
	return v.fault(f, plain, &location{}) == nil && v.err == nil
}

// location is where a value is in the one that is checked.
type location struct {
	in    *location // nil: it is the whole
	key   string    // its key there
	index int       // of an item of an array, else -1
}

// steps are the keys and indexes that lead to a location.
func (p *location) steps() []string {
	var steps []string
	for ; p.in != nil; p = p.in {
		step := p.key
		if p.index >= 0 {
			step = strconv.Itoa(p.index)
		}
		steps = append(steps, step)
	}
	slices.Reverse(steps)
	return steps
}

// fault describes what is wrong with one value.
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
	inner := func(f *Field, plain any, key string, index int) {
		if x := v.fault(f, plain, &location{at, key, index}); x != nil {
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
					inner(field, item, field.Name, -1)
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
				inner(t.Elem, value[key], key, -1)
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
				inner(t.Elem, item, "", i)
			}
		}
	case string:
		if c.MinLength != nil || c.MaxLength != nil {
			n := utf8.RuneCountInString(value)
			want("minLength", inRange(n, c.MinLength, nil))
			want("maxLength", inRange(n, nil, c.MaxLength))
		}
		want("pattern", c.Pattern == nil || v.matches(c.Pattern, value))
		if _, has := formatOf(t.Kind); has != nil {
			want("format", has(value))
		}
	case json.Number:
		want("minimum", c.GE == "" || compare(value, c.GE) >= 0)
		want("exclusiveMinimum", c.GT == "" || compare(value, c.GT) > 0)
		want("maximum", c.LE == "" || compare(value, c.LE) <= 0)
		want("exclusiveMaximum", c.LT == "" || compare(value, c.LT) < 0)
		want("multipleOf", c.MultipleOf == "" || isMultiple(value, c.MultipleOf))
		want(keywordFloat, t.Kind != KindFloat || fitsFloat(value))
	}
	switch t.Kind {
	case KindEnum:
		_, ok := t.admitted(plain)
		want("enum", ok)
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
	return is && jsontext.IsInteger(n)
}

// smallInt is a number that is an int of at most 18 characters: of most, so that
// exact arithmetic is for the others.
func smallInt(n json.Number) (i int64, ok bool) {
	if len(n) > 18 || strings.ContainsAny(string(n), ".eE") {
		return 0, false
	}
	i, err := strconv.ParseInt(string(n), 10, 64)
	return i, err == nil
}

// compare is negative when a is below b, and positive when it is above.
func compare(a, b json.Number) int {
	x, small := smallInt(a)
	if y, ok := smallInt(b); ok && small {
		return cmp.Compare(x, y)
	}
	return jsontext.Rational(a).Cmp(jsontext.Rational(b))
}

func isMultiple(n, of json.Number) bool {
	x, small := smallInt(n)
	if y, ok := smallInt(of); ok && small {
		return x%y == 0
	}
	return new(big.Rat).Quo(jsontext.Rational(n), jsontext.Rational(of)).IsInt()
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
		text := jsontext.Canonical(item)
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

// admitted is the value of one_of that a value is; 5.0 is 5.
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
		return json.Number(jsontext.Rational(v).RatString()), true
	}
	return nil, false
}

// check returns what is wrong with a value; path is the value's own.
func (v *checker) check(tree jsonValue, path ...string) *complaints {
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

func inRange(n int, least, most *int) bool {
	return (least == nil || n >= *least) && (most == nil || n <= *most)
}
