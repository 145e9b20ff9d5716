package starlib

// Complaints about a JSON value: where, what was found, what was wanted.

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"

	"perago/starlib/diag"
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
		list = append(list, &diag.Diagnostic{Code: c.code, Severity: diag.Error, Message: pointer(c.path),
			Found: c.found, Wanted: c.wanted, Hint: c.hint})
	}
	atLeast := ""
	if cs.left {
		atLeast = "at least "
	}
	if more > 0 {
		list = append(list, &diag.Diagnostic{Code: "P3109", Severity: diag.Error,
			Message: fmt.Sprintf("%s: and %s%d more like these", pointer(shown[0].path[:1]), atLeast, more)})
	}
	return list
}

// pointer is a path as a JSON pointer that is safe to print.
func pointer(path []string) string {
	var b strings.Builder
	for _, step := range path {
		b.WriteByte('/')
		b.WriteString(pointerToken(printable(shorten(step))))
	}
	return b.String()
}

// printable escapes what a terminal would not show as it is.
func printable(s string) string {
	if strings.IndexFunc(s, func(r rune) bool { return !unicode.IsPrint(r) }) < 0 && utf8.ValidString(s) {
		return s
	}
	quoted := strconv.Quote(s)
	return quoted[1 : len(quoted)-1]
}

// pointerToken is one step of a JSON pointer (RFC 6901).
func pointerToken(key string) string {
	return strings.ReplaceAll(strings.ReplaceAll(key, "~", "~0"), "/", "~1")
}

// found is a JSON value in a complaint. Of arrays and objects only the size is
// shown: what is in them may be secret, or is complained of by itself.
func found(v any) string {
	switch v := v.(type) {
	case nil:
		return "null"
	case string:
		return quoted(v)
	case json.Number:
		return shorten(string(v))
	case []any:
		return "an array of " + plural(len(v), "item")
	case map[string]any:
		return "an object of " + plural(len(v), "key")
	}
	return fmt.Sprint(v)
}

// quoted is a text in double quotes, cut, without anything unprintable.
func quoted(s string) string {
	if short := shorten(s); short != s {
		return strconv.Quote(strings.TrimSuffix(short, "…")) + "…"
	}
	return strconv.Quote(s)
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

func plural(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}
