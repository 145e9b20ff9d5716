package tasktest

import (
	"bytes"
	"context"
	"fmt"
	"hash/crc32"
	"math"
	"strings"
	"unicode/utf8"

	"github.com/rogpeppe/go-internal/diff"
	"go.starlark.net/starlark"
	"go.starlark.net/starlarkstruct"

	"perago/starlib/diag"
)

const (
	// compareDepth is how deep values are compared.
	compareDepth = 200

	maxDifferences = 10      // that are shown of one comparison
	maxCompared    = 1 << 20 // values that are compared to find them
	maxShown       = 300     // characters of one value in a message
	maxPath        = 300     // bytes of the path to one
	maxDiff        = 40      // lines of one diff
	maxDiffLine    = 200     // characters of each
	wholeDiff      = 1 << 20 // bytes of two texts that are compared whole; of longer ones, the part behind the first difference
	aroundDiff     = 200     // lines of that part
)

// difference is one path at which two values differ.
type difference struct {
	path          string // such as `["rows"][3].id`; "" for the values themselves
	found, wanted string
	lines         string // the lines of two texts that differ, else ""
}

// comparison looks for the differences of two values, element by element.
type comparison struct {
	ctx  context.Context
	same func(got, want starlark.Value) (bool, error) // for values without elements
	list []difference
	more int // differences that are not in the list
	seen int // values
}

// add keeps a difference, or counts it.
func (c *comparison) add(d difference) {
	if len(c.list) == maxDifferences {
		c.more++
		return
	}
	if n := len(d.path) - maxPath; n > 0 { // the end of a long path says more than its start
		d.path = "…" + strings.ToValidUTF8(d.path[n:], "")
	}
	c.list = append(c.list, d)
}

// values compares two values at a path. It fails if the values cannot be compared, or
// with the cause of a context that ended.
func (c *comparison) values(path string, got, want starlark.Value, depth int) error {
	if c.ctx.Err() != nil {
		return context.Cause(c.ctx)
	}
	if c.seen++; c.seen > maxCompared {
		return nil
	}
	if depth > compareDepth {
		return fmt.Errorf("values nest deeper than %d levels", compareDepth)
	}
	switch g := got.(type) {
	case *starlark.List:
		if w, ok := want.(*starlark.List); ok {
			return c.items(path, g, w, depth)
		}
	case starlark.Tuple:
		if w, ok := want.(starlark.Tuple); ok {
			return c.items(path, g, w, depth)
		}
	case *starlark.Dict:
		if w, ok := want.(*starlark.Dict); ok {
			return c.entries(path, g, w, depth)
		}
	case *starlark.Set:
		if w, ok := want.(*starlark.Set); ok {
			return c.members(path, g, w)
		}
	case *starlarkstruct.Struct:
		if w, ok := want.(*starlarkstruct.Struct); ok && g.Constructor() == w.Constructor() {
			return c.attributes(path, g, w, depth)
		}
	}
	same, err := c.same(got, want)
	if err == nil && !same {
		c.add(differ(path, got, want))
	}
	return err
}

// items compares two lists, or two tuples. It first skips the items that both begin
// and end with, so that one item more in the middle is one difference.
func (c *comparison) items(path string, got, want starlark.Indexable, depth int) error {
	n, m := got.Len(), want.Len()
	start, end := 0, 0
	if n != m {
		equal := func(i, j int) bool {
			c.seen++
			same, err := starlark.EqualDepth(got.Index(i), want.Index(j), compareDepth)
			return same && err == nil && c.seen < maxCompared && c.ctx.Err() == nil
		}
		for start < min(n, m) && equal(start, start) {
			start++
		}
		for end < min(n, m)-start && equal(n-1-end, m-1-end) {
			end++
		}
	}
	i := start
	for ; i < min(n, m)-end; i++ {
		if err := c.values(fmt.Sprintf("%s[%d]", path, i), got.Index(i), want.Index(i), depth+1); err != nil {
			return err
		}
	}
	for j := i; j < n-end && c.seen < maxCompared; j++ {
		c.add(difference{path: fmt.Sprintf("%s[%d]", path, j), found: fmt.Sprintf("%d items, %s here", n, brief(got.Index(j), maxShown)), wanted: fmt.Sprintf("%d items", m)})
	}
	for j := i; j < m-end && c.seen < maxCompared; j++ {
		c.add(difference{path: fmt.Sprintf("%s[%d]", path, j), found: fmt.Sprintf("%d items", n), wanted: fmt.Sprintf("%d items, %s here", m, brief(want.Index(j), maxShown))})
	}
	return nil
}

func (c *comparison) entries(path string, got, want *starlark.Dict, depth int) error {
	for _, item := range want.Items() {
		at := path + "[" + brief(item[0], 80) + "]"
		value, found, err := got.Get(item[0])
		switch {
		case err != nil:
			return err
		case !found:
			c.add(difference{path: at, found: "no such key", wanted: brief(item[1], maxShown)})
			continue
		}
		if err := c.values(at, value, item[1], depth+1); err != nil {
			return err
		}
	}
	for _, item := range got.Items() {
		if _, found, err := want.Get(item[0]); err != nil {
			return err
		} else if !found {
			c.add(difference{path: path + "[" + brief(item[0], 80) + "]", found: brief(item[1], maxShown), wanted: "no such key"})
		}
	}
	return nil
}

func (c *comparison) members(path string, got, want *starlark.Set) error {
	for _, side := range []struct {
		of, in *starlark.Set
		got    bool
	}{{got, want, true}, {want, got, false}} {
		iter := side.of.Iterate()
		defer iter.Done()
		var item starlark.Value
		for iter.Next(&item) {
			has, err := side.in.Has(item)
			switch {
			case err != nil:
				return err
			case !has && side.got:
				c.add(difference{path: path, found: brief(item, maxShown) + " in the set", wanted: "a set without it"})
			case !has:
				c.add(difference{path: path, found: "a set without it", wanted: brief(item, maxShown) + " in the set"})
			}
		}
	}
	return nil
}

func (c *comparison) attributes(path string, got, want *starlarkstruct.Struct, depth int) error {
	for _, name := range want.AttrNames() {
		value, _ := got.Attr(name) // the error says that there is none
		wanted, err := want.Attr(name)
		switch {
		case err != nil:
			return err
		case value == nil:
			c.add(difference{path: path + "." + name, found: "no such field", wanted: brief(wanted, maxShown)})
			continue
		}
		if err := c.values(path+"."+name, value, wanted, depth+1); err != nil {
			return err
		}
	}
	for _, name := range got.AttrNames() {
		if wanted, _ := want.Attr(name); wanted == nil {
			value, err := got.Attr(name)
			if err != nil {
				return err
			}
			c.add(difference{path: path + "." + name, found: brief(value, maxShown), wanted: "no such field"})
		}
	}
	return nil
}

// problem is the failure with the differences; what says what did not hold, as in
// "not equal".
func (c *comparison) problem(what string) *diag.Problem {
	p := &diag.Problem{Code: "P4151", Message: what}
	if len(c.list) == 0 { // it was not found in maxCompared values
		p.Message += fmt.Sprintf(", and what differs is not among the first %d values", maxCompared)
		return p
	}
	first := c.list[0]
	if first.path != "" {
		p.Message += " at " + first.path
	}
	p.Found, p.Wanted = first.found, first.wanted
	var lines strings.Builder
	for _, d := range c.list[1:] {
		at := ""
		if d.path != "" {
			at = "at " + d.path + ": "
		}
		fmt.Fprintf(&lines, "%sgot %s, want %s\n", at, d.found, d.wanted)
	}
	switch {
	case c.seen > maxCompared:
		fmt.Fprintf(&lines, "and perhaps more: only %d values were compared\n", maxCompared)
	case c.more > 0:
		fmt.Fprintf(&lines, "and %d more differences\n", c.more)
	}
	lines.WriteString(first.lines)
	p.Detail = lines.String()
	return p
}

// differ is the difference of two values without elements.
func differ(path string, got, want starlark.Value) difference {
	d := difference{path: path}
	g, gotText := starlark.AsString(got)
	w, wantText := starlark.AsString(want)
	if !gotText || !wantText {
		d.found, d.wanted = brief(got, maxShown), brief(want, maxShown)
		switch {
		case got.Type() != want.Type():
			d.found, d.wanted = d.found+typed(got), d.wanted+typed(want)
		case d.found == d.wanted:
			d.found, d.wanted = windows(got.String(), want.String(), func(s string) string { return s })
		}
		return d
	}
	if !strings.Contains(g, "\n") && !strings.Contains(w, "\n") {
		d.found, d.wanted = windows(g, w, quoted)
		return d
	}
	line, a, b := firstLines(g, w)
	d.found, d.wanted = windows(a, b, quoted)
	d.found = fmt.Sprintf("line %d %s", line, d.found)
	d.lines = unified(g, w)
	return d
}

// typed is the type of a value if its text does not show it.
func typed(v starlark.Value) string {
	switch v.(type) {
	case starlark.NoneType, starlark.Bool, starlark.Int, starlark.Float, starlark.String, starlark.Bytes, *starlark.List, starlark.Tuple, *starlark.Dict:
		return ""
	}
	return " (" + v.Type() + ")"
}

// firstLines is the first line that differs of two texts, with its end.
func firstLines(g, w string) (n int, got, want string) {
	for n = 1; ; n++ {
		gotLine, gotRest := cutLine(g)
		wantLine, wantRest := cutLine(w)
		if gotLine != wantLine || gotLine == "" {
			return n, gotLine, wantLine
		}
		g, w = gotRest, wantRest
	}
}

func cutLine(s string) (line, rest string) {
	if i := strings.IndexByte(s, '\n'); i >= 0 {
		return s[:i+1], s[i+1:]
	}
	return s, ""
}

// windows shows two texts that differ. Of long ones it shows the part around the first
// difference, so that the two are never cut to the same text.
func windows(got, want string, as func(string) string) (found, wanted string) {
	if utf8.RuneCountInString(got) <= maxShown && utf8.RuneCountInString(want) <= maxShown {
		return as(got), as(want)
	}
	at := 0
	for at < min(len(got), len(want)) && got[at] == want[at] {
		at++
	}
	for at > 0 && !(at < len(got) && utf8.RuneStart(got[at]) || at < len(want) && utf8.RuneStart(want[at])) {
		at--
	}
	from := at
	for n := 0; n < maxShown/4 && from > 0; n++ {
		_, size := utf8.DecodeLastRuneInString(got[:from])
		from -= size
	}
	place := fmt.Sprintf(" (from byte %d)", from)
	if from == 0 {
		place = ""
	}
	return window(got, from, as) + place, window(want, from, as)
}

func quoted(s string) string { return starlark.String(s).String() }

// window is the part of a text that begins at a byte, as far as there is room.
func window(s string, from int, as func(string) string) string {
	before, after := "", ""
	if from > 0 {
		before = "…"
	}
	if s = s[from:]; utf8.RuneCountInString(s) > maxShown/2 {
		n := 0
		for i := range s {
			if n++; n > maxShown/2 {
				s, after = s[:i], "…"
				break
			}
		}
	}
	return before + as(s) + after
}

// unified is the difference of two texts as a diff of their lines: those with a
// minus were wanted, those with a plus are there instead.
func unified(got, want string) string {
	var b strings.Builder
	if len(got)+len(want) > wholeDiff {
		line, _, _ := firstLines(got, want)
		from := max(line-4, 0)
		got, want = someLines(got, from), someLines(want, from)
		fmt.Fprintf(&b, "lines %d to %d:\n", from+1, from+aroundDiff)
	}
	out := diff.Diff("want", []byte(cutLong(want)), "got", []byte(cutLong(got)))
	n := 0
	for line := range bytes.Lines(out) {
		if n++; n == 1 { // "diff want got"
			continue
		}
		if n > maxDiff+3 {
			fmt.Fprintf(&b, "… %d more lines\n", bytes.Count(out, []byte("\n"))-n+1)
			break
		}
		b.Write(line)
	}
	return b.String()
}

// someLines are aroundDiff lines of a text, behind the first from ones.
func someLines(s string, from int) string {
	for range from {
		_, s = cutLine(s)
	}
	end := 0
	for range aroundDiff {
		line, _ := cutLine(s[end:])
		end += len(line)
	}
	return s[:end]
}

// cutLong shortens long lines. Each gets a checksum, so that two different lines
// still differ.
func cutLong(s string) string {
	if len(s) <= maxDiffLine {
		return s
	}
	var b strings.Builder
	for line := range strings.Lines(s) {
		text := strings.TrimSuffix(line, "\n")
		if utf8.RuneCountInString(text) > maxDiffLine {
			runes := []rune(text)
			line = fmt.Sprintf("%s…%s (%d characters, crc32 %08x)%s", string(runes[:maxDiffLine/2]), string(runes[len(runes)-maxDiffLine/4:]),
				len(runes), crc32.ChecksumIEEE([]byte(text)), line[len(text):])
		}
		b.WriteString(line)
	}
	return b.String()
}

// brief is a value in a message: at most that many characters of it.
func brief(v starlark.Value, most int) string {
	b := &bounded{left: most}
	b.value(v, 0)
	if b.left < 0 {
		return b.text.String() + "…"
	}
	return b.text.String()
}

// bounded writes a value until there is no more room, since values may be far larger
// than what is shown of them.
type bounded struct {
	text strings.Builder
	left int // characters; below 0 when something was left out
}

func (b *bounded) write(s string) {
	if b.left < 0 {
		return
	}
	for i := range s {
		if b.left == 0 {
			b.text.WriteString(s[:i])
			b.left = -1
			return
		}
		b.left--
	}
	b.text.WriteString(s)
}

func (b *bounded) value(v starlark.Value, depth int) {
	if b.left < 0 {
		return
	}
	if depth > 20 {
		b.write("…")
		return
	}
	switch v := v.(type) {
	case starlark.String:
		b.write(v[:min(len(v), 8*max(b.left, 1))].String())
	case *starlark.List:
		b.series("[", "]", v, depth)
	case starlark.Tuple:
		end := ")"
		if len(v) == 1 {
			end = ",)"
		}
		b.series("(", end, v, depth)
	case *starlark.Dict:
		b.write("{")
		for i, item := range v.Items() {
			if b.left < 0 {
				return
			}
			if i > 0 {
				b.write(", ")
			}
			b.value(item[0], depth+1)
			b.write(": ")
			b.value(item[1], depth+1)
		}
		b.write("}")
	default:
		b.write(v.String())
	}
}

func (b *bounded) series(open, end string, v starlark.Indexable, depth int) {
	b.write(open)
	for i := range v.Len() {
		if b.left < 0 {
			return
		}
		if i > 0 {
			b.write(", ")
		}
		b.value(v.Index(i), depth+1)
	}
	b.write(end)
}

// equalValues says whether two values are equal, as == does.
func equalValues(got, want starlark.Value) (bool, error) {
	return starlark.EqualDepth(got, want, compareDepth)
}

// closeValues says whether two values are equal, or numbers that are close
// enough to each other, as in math.isclose.
func closeValues(rel, abs float64) func(got, want starlark.Value) (bool, error) {
	return func(got, want starlark.Value) (bool, error) {
		g, gotNumber := number(got)
		w, wantNumber := number(want)
		if !gotNumber || !wantNumber {
			return equalValues(got, want)
		}
		same, err := equalValues(got, want)
		if same || err != nil || math.IsInf(g, 0) || math.IsInf(w, 0) { // so are ints larger than a float
			return same, err
		}
		return math.Abs(g-w) <= max(rel*max(math.Abs(g), math.Abs(w)), abs), nil
	}
}

// number is the value of an int or a float.
func number(v starlark.Value) (float64, bool) {
	switch v := v.(type) {
	case starlark.Int:
		return float64(v.Float()), true
	case starlark.Float:
		return float64(v), true
	}
	return 0, false
}
