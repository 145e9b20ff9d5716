package compare

import (
	"bytes"
	"encoding/csv"
	"fmt"
	"io"
	"path"
	"slices"
	"strings"

	"perago/starlib/diag"
)

// Rows sums up what changed in a table.
type Rows struct {
	Before         int      `json:"before"` // rows, the header not counted
	After          int      `json:"after"`
	Added          int      `json:"added"`
	Removed        int      `json:"removed"`
	Changed        int      `json:"changed"`       // rows with the same key and other values; 0 without a key
	Key            []string `json:"key,omitempty"` // the leading columns that tell the rows apart, on both sides
	ColumnsAdded   []string `json:"columns_added,omitempty"`
	ColumnsRemoved []string `json:"columns_removed,omitempty"`
}

// Bounds of what is told of a table.
const (
	maxDiffRows    = 100_000 // of one side, above which it is told as a text
	maxDiffColumns = 1000
	maxRowsShown   = 10 // of each kind
	maxKey         = 3  // columns
)

// csvTable is a CSV with a header.
type csvTable struct {
	columns []string
	rows    [][]string
}

// compareRows tells of a CSV file that was changed what became of its rows. A
// file that is new or gone is told as a text.
func compareRows(d *File, before, after *side) bool {
	if before == nil || after == nil || !before.isText() || !after.isText() {
		return false
	}
	comma := map[string]rune{".csv": ',', ".tsv": '\t'}[strings.ToLower(path.Ext(d.Path))]
	if comma == 0 {
		return false
	}
	old, okOld := readTable(before.text, comma)
	now, okNow := readTable(after.text, comma)
	if !okOld || !okNow {
		return false
	}
	r := &Rows{Before: len(old.rows), After: len(now.rows),
		ColumnsAdded: without(now.columns, old.columns), ColumnsRemoved: without(old.columns, now.columns)}
	var details []string
	if key := sharedKey(old, now); key > 0 {
		r.Key = old.columns[:key]
		details = r.byKey(old, now, key)
	} else if len(r.ColumnsAdded)+len(r.ColumnsRemoved) == 0 && slices.Equal(old.columns, now.columns) {
		details = r.wholeRows(old, now)
	} else {
		return false // nothing tells which row became which
	}
	if r.Added+r.Removed+r.Changed+len(r.ColumnsAdded)+len(r.ColumnsRemoved) == 0 {
		return false // another order, or another way to write it: the text shows which
	}
	d.Kind, d.Rows = "csv", r
	d.Lines = append(r.summary(), details...)
	return true
}

// readTable reads a CSV whose first record names its columns, each once.
func readTable(text []byte, comma rune) (csvTable, bool) {
	reader := csv.NewReader(bytes.NewReader(bytes.TrimPrefix(text, []byte("\ufeff"))))
	reader.Comma = comma
	var t csvTable
	for {
		record, err := reader.Read()
		switch {
		case err != nil:
			return t, err == io.EOF && t.columns != nil
		case t.columns == nil:
			t.columns = record
			sorted := slices.Sorted(slices.Values(record))
			if len(record) > maxDiffColumns || len(slices.Compact(sorted)) < len(record) {
				return t, false
			}
		case len(t.rows) == maxDiffRows:
			return t, false
		default:
			t.rows = append(t.rows, record)
		}
	}
}

// without are the names that others do not have.
func without(names, others []string) []string {
	var left []string
	for _, name := range names {
		if !slices.Contains(others, name) {
			left = append(left, name)
		}
	}
	return left
}

// sharedKey is the smallest number of leading columns, the same on both sides,
// whose values tell all rows of each side apart; 0 when there is none.
func sharedKey(old, now csvTable) int {
	for n := 1; n <= min(maxKey, len(old.columns), len(now.columns)); n++ {
		if old.columns[n-1] != now.columns[n-1] {
			return 0
		}
		if n == len(old.columns) && n == len(now.columns) {
			return 0 // a row is its key: none can change
		}
		if distinct(old.rows, n) && distinct(now.rows, n) {
			return n
		}
	}
	return 0
}

func distinct(rows [][]string, n int) bool {
	seen := make(map[string]bool, len(rows))
	for _, row := range rows {
		k := joined(row[:n])
		if seen[k] {
			return false
		}
		seen[k] = true
	}
	return true
}

// joined is some values as one, which no other values give.
func joined(values []string) string {
	var b strings.Builder
	for _, v := range values {
		fmt.Fprintf(&b, "%d:%s", len(v), v)
	}
	return b.String()
}

// byKey matches rows by their key, and names the cells that changed.
func (r *Rows) byKey(old, now csvTable, key int) []string {
	index := make(map[string][]string, len(old.rows))
	for _, row := range old.rows {
		index[joined(row[:key])] = row
	}
	type column struct {
		name     string
		old, now int
	}
	var common []column
	for i, name := range old.columns {
		if j := slices.Index(now.columns, name); j >= 0 && i >= key {
			common = append(common, column{name, i, j})
		}
	}
	var shown rowsShown
	for _, row := range now.rows {
		k := joined(row[:key])
		was, ok := index[k]
		if !ok {
			r.Added++
			shown.add("+", row, now.columns)
			continue
		}
		delete(index, k)
		var cells []string
		for _, c := range common {
			if was[c.old] != row[c.now] {
				cells = append(cells, c.name+": "+shownCell(was[c.old])+" -> "+shownCell(row[c.now]))
			}
		}
		if len(cells) > 0 {
			r.Changed++
			shown.line("~", named(old.columns[:key], row[:key])+"  "+strings.Join(cells, ", "))
		}
	}
	for _, row := range old.rows {
		if _, gone := index[joined(row[:key])]; gone {
			r.Removed++
			shown.add("-", row, old.columns)
		}
	}
	return shown.lines()
}

// wholeRows counts rows that only one side has.
func (r *Rows) wholeRows(old, now csvTable) []string {
	count := make(map[string]int, len(old.rows))
	for _, row := range old.rows {
		count[joined(row)]++
	}
	var shown rowsShown
	for _, row := range now.rows {
		k := joined(row)
		if count[k] > 0 {
			count[k]--
			continue
		}
		r.Added++
		shown.add("+", row, now.columns)
	}
	for _, row := range old.rows {
		k := joined(row)
		if count[k] > 0 {
			count[k]--
			r.Removed++
			shown.add("-", row, old.columns)
		}
	}
	return shown.lines()
}

// summary is the first lines of what is told.
func (r *Rows) summary() []string {
	parts := []string{fmt.Sprintf("%d added", r.Added), fmt.Sprintf("%d removed", r.Removed)}
	if len(r.Key) > 0 {
		parts = append(parts, fmt.Sprintf("%d changed, told apart by %s", r.Changed, printableCut(strings.Join(r.Key, ", "))))
	}
	lines := []string{fmt.Sprintf("@ %s, was %d: %s", diag.Plural(r.After, "row"), r.Before, strings.Join(parts, ", "))}
	if len(r.ColumnsAdded) > 0 {
		lines = append(lines, "+ "+columnsNamed(r.ColumnsAdded))
	}
	if len(r.ColumnsRemoved) > 0 {
		lines = append(lines, "- "+columnsNamed(r.ColumnsRemoved))
	}
	return lines
}

func columnsNamed(names []string) string {
	return "column " + printableCut(strings.Join(names, ", "))
}

// rowsShown holds the first rows of each kind as lines.
type rowsShown struct {
	kept map[string][]string
	left map[string]int
}

func (s *rowsShown) add(sign string, row, columns []string) {
	if len(s.kept[sign]) >= maxRowsShown { // not even made
		s.left[sign]++
		return
	}
	s.line(sign, named(columns, row))
}

func (s *rowsShown) line(sign, text string) {
	if s.kept == nil {
		s.kept, s.left = map[string][]string{}, map[string]int{}
	}
	if len(s.kept[sign]) >= maxRowsShown {
		s.left[sign]++
		return
	}
	s.kept[sign] = append(s.kept[sign], diag.ShortenTo(diag.Printable(sign+" "+text), maxDiffWidth))
}

func (s *rowsShown) lines() []string {
	var all []string
	for _, sign := range []string{"~", "+", "-"} {
		all = append(all, s.kept[sign]...)
		if n := s.left[sign]; n > 0 {
			all = append(all, fmt.Sprintf("%s … %s more", sign, diag.Plural(n, "row")))
		}
	}
	return all
}

// named are values with the names of their columns: "id=7, price=3.5".
func named(columns, values []string) string {
	var b strings.Builder
	for i, v := range values {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString(columns[i] + "=" + shownCell(v))
		if b.Len() > 4*maxDiffWidth { // the line is cut before that
			break
		}
	}
	return b.String()
}

// shownCell is a value as it is shown: one that is empty or has spaces at its ends is
// quoted, so that it can be seen.
func shownCell(v string) string {
	v = diag.ShortenTo(v, 60)
	if v == "" || strings.TrimSpace(v) != v {
		return fmt.Sprintf("%q", v)
	}
	return v
}

func printableCut(s string) string { return diag.ShortenTo(diag.Printable(s), maxDiffWidth/2) }
