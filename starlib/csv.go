package starlib

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.starlark.net/starlark"

	"perago/starlib/diag"
)

// csvBuiltins read and write CSV by RFC 4180.
func csvBuiltins() []Builtin {
	from := Param{Name: "path", Type: "path, entry or string", Doc: "a file, an entry of an archive, or the text of a table itself; a byte order mark is skipped"}
	delimiter := Param{Name: "delimiter", Type: "string", Default: `","`, Doc: "one character: `\"\\t\"` for tabs"}
	const rules = "The file is streamed: memory does not grow with its size. Fields are strings; a quoted one may hold delimiters, newlines and " +
		"doubled quotes. Lines end with `\\r\\n` or `\\n`; blank lines are skipped. A carriage return elsewhere outside quotes, a quote inside an unquoted field, text after a closing " +
		"quote, a quote that is never closed and a record of more than 64 MiB stop the body at the `for` line, with the file's line."
	bad := []Param{
		{Name: "quotes", Type: "string", Default: `"strict"`, Kind: KeywordOnly, Doc: "`\"lenient\"` takes quotes that are in the wrong place as Python does: as text"},
		{Name: "skip_bad", Type: "bool", Default: "False", Kind: KeywordOnly, Doc: "a row that is wrong is left out; how many there were is logged once, as a warning, when the loop ends"}}
	reading := slices.Concat(bad, []Param{compressionParam()}, encodingParams())
	return []Builtin{
		{Name: "csv.reader", Phase: Act, Returns: "csv rows, each a list of string", Params: slices.Concat([]Param{from, delimiter}, reading), call: csvReader,
			Doc: "The rows of a CSV file, to loop over, the first line included. Rows may have different counts of fields. " + rules},
		{Name: "csv.dict_reader", Phase: Act, Returns: "csv rows, each a dict of string to string", call: csvDictReader,
			Params: slices.Concat([]Param{from, delimiter, {Name: "header", Type: "list of string", Default: "None", Doc: "the names of the columns; None: the first line has them"}}, reading),
			Doc: "The rows of a CSV file, to loop over, each a dict with the names of the columns in their order. A name that the header has " +
				"twice, and a row with more or fewer fields than the header, stop the body at the `for` line. " + rules,
			Example: "for row in csv.dict_reader(workspace / \"raw/songs.csv\"):\n    print(row[\"title\"])"},
		{Name: "csv.write", Phase: Act, Returns: "int", call: csvWrite,
			Params: []Param{{Name: "path", Type: "path", Doc: "the file to replace; its folders are made"},
				{Name: "rows", Type: "iterable of list, tuple, dict or struct", Doc: "may be a stream, of the same file too"},
				{Name: "header", Type: "list of string", Default: "None", Doc: "the first line; None: the keys of the first row when it is a dict or a struct, else there is none"},
				{Name: "delimiter", Type: "string", Default: `","`, Doc: "one character"},
				{Name: "newline", Type: "string", Default: `"\r\n"`, Doc: "what ends a line, `\"\\r\\n\"` as RFC 4180 says, or `\"\\n\"`"},
				{Name: "allow_nan", Type: "bool", Default: "False", Kind: KeywordOnly, Doc: "whether NaN and infinities may be written: `nan`, `+inf`, `-inf`"},
				{Name: "quoting", Type: "string", Default: `"minimal"`, Kind: KeywordOnly, Doc: "`\"all\"` quotes every field, `\"nonnumeric\"` all but numbers and bools; with `\"none\"` a field that needs quotes is an error"},
				compressionParam(), encodingParams()[0]},
			Doc: "Writes a CSV file in one step and returns the count of rows, without the header. Values are strings, numbers, bools, None " +
				"(an empty field), paths and times; a field is quoted where it has to be, or as `quoting` says. With a header, a list has as many values as it, and " +
				"of a dict a missing key is an empty field and an unknown one an error.",
			Example: `csv.write(workspace / "out/t.csv", [[1, "a"], [2, "b"]], header = ["id", "name"])`},
	}
}

// delimiterOf is the delimiter argument, checked.
func (c *call) delimiterOf() (string, error) {
	s, err := c.text("delimiter", ",")
	if err != nil {
		return "", err
	}
	r, size := utf8.DecodeRuneInString(s)
	if size == 0 || size != len(s) || r == utf8.RuneError || r == 0 || r == '"' || r == '\r' || r == '\n' || r == bom {
		return "", c.refuse("delimiter", starlark.String(diag.Shorten(s)).String(), "one character, no quote and no newline")
	}
	return s, nil
}

// headerOf is the header argument, nil when there is none.
func (c *call) headerOf() ([]string, error) {
	v := c.arg("header")
	if v == nil || v == starlark.None {
		return nil, nil
	}
	it, err := c.iterable("header")
	if err != nil {
		return nil, err
	}
	names := []string{}
	err = c.each(it, func(x starlark.Value) error {
		s, ok := x.(starlark.String)
		if !ok {
			return c.refuse("header", diag.TypeName(x)+" among the names", "list of string")
		}
		names = append(names, string(s))
		return nil
	})
	if err != nil {
		return nil, err
	}
	if twice, found := repeatedName(names); found {
		return nil, c.refuse("header", fmt.Sprintf("%q twice", diag.Shorten(twice)), "names that differ")
	}
	if len(names) == 0 {
		return nil, c.refuse("header", "an empty list", "at least one name")
	}
	return names, nil
}

// repeatedName is the first name that is there twice.
func repeatedName(names []string) (name string, found bool) {
	seen := make(map[string]bool, len(names))
	for _, name := range names {
		if seen[name] {
			return name, true
		}
		seen[name] = true
	}
	return "", false
}

// table is where a call reads a table from, and how it is written there.
type table struct {
	call      *call
	from      origin
	delimiter string
	lenient   bool // about quotes
	skipBad   bool
	at        Position // of the call
}

func (c *call) tableOf() (*table, error) {
	t := &table{call: c, at: callerPosition(c.thread)}
	var err error
	if text, ok := c.arg("path").(starlark.String); ok && !namesFile(string(text)) {
		t.from = tableText(text)
	} else if t.from, err = c.origin("path"); err != nil {
		return nil, err
	}
	if t.delimiter, err = c.delimiterOf(); err != nil {
		return nil, err
	}
	quotes, err := c.word("quotes", "strict")
	if err != nil {
		return nil, err
	}
	t.lenient = quotes == "lenient"
	t.skipBad, err = c.boolean("skip_bad", false)
	return t, err
}

// namesFile says whether a text is the name of a file rather than a table.
func namesFile(text string) bool {
	if strings.ContainsAny(text, "\r\n") {
		return false
	}
	for _, suffix := range []string{".csv", ".tsv", ".txt", ".gz", ".zst"} {
		if strings.HasSuffix(text, suffix) {
			return true
		}
	}
	return false
}

// CheckTable complains of a text that csv.reader would take for the name of a file.
func CheckTable(text string) error {
	if !namesFile(text) {
		return nil
	}
	return &diag.Problem{Code: codeType, Message: "argument `path`: got string", Wanted: "path",
		Hint: "write workspace / " + diag.Shorten(starlark.String(text).String())}
}

// tableText is a table that is a text of the body.
type tableText string

func (t tableText) String() string { return "text" }

func (t tableText) ready(c *call) error {
	for _, name := range []string{"compression", "encoding", "errors"} {
		if c.arg(name) != nil && c.arg(name) != starlark.None {
			return c.refuse(name, "a text to read", "nothing, since a text has neither compression nor encoding")
		}
	}
	return nil
}

func (t tableText) open(*call) (*opened, error) {
	return &opened{Reader: strings.NewReader(string(t))}, nil
}

func (t tableText) failed(_ *call, err error) error { return err } // a text cannot fail

// records reads the table.
func (t *table) records(in *opened) *csvRecords {
	r := newCSVRecords(t.call, t.from, bufio.NewReaderSize(in, 1<<16), t.delimiter)
	r.lenient = t.lenient
	return r
}

// skipping leaves out the rows that next says are wrong, when that is wanted, and
// logs once how many there were.
func (t *table) skipping(in *opened, r *csvRecords, next records) records {
	if !t.skipBad {
		return next
	}
	skipped, first := 0, ""
	in.closers = append(in.closers, func() error {
		if skipped > 0 && t.call.run.Log != nil {
			t.call.run.Log(Record{Level: slog.LevelWarn, Message: fmt.Sprintf("%s %s: %s skipped", t.call.builtin.Name, diag.Shorten(t.from.String()), diag.Plural(skipped, "bad row")),
				Fields: []slog.Attr{slog.Int("skipped", skipped), slog.String("first", first)}, At: t.at})
		}
		return nil
	})
	return func() (starlark.Value, error) {
		for {
			r.lines.wrong = false
			v, err := next()
			var p *diag.Problem
			if err == nil || r.headerless || !errors.As(err, &p) || p.Code != codeCSV && !r.lines.wrong {
				return v, err
			}
			if skipped++; skipped == 1 {
				first = p.Error()
			}
		}
	}
}

func csvReader(c *call) (starlark.Value, error) {
	t, err := c.tableOf()
	if err != nil {
		return nil, err
	}
	return c.streamOf("csv rows", t.from, func(in *opened) records {
		r := t.records(in)
		return t.skipping(in, r, func() (starlark.Value, error) {
			fields, err := r.next()
			if err != nil {
				return nil, err
			}
			row := make([]starlark.Value, len(fields))
			for i, f := range fields {
				row[i] = starlark.String(f)
			}
			return starlark.NewList(row), nil
		})
	})
}

func csvDictReader(c *call) (starlark.Value, error) {
	t, err := c.tableOf()
	if err != nil {
		return nil, err
	}
	given, err := c.headerOf()
	if err != nil {
		return nil, err
	}
	return c.streamOf("csv rows", t.from, func(in *opened) records {
		d := csvDicts{rows: t.records(in)}
		d.name(given)
		return t.skipping(in, d.rows, d.next)
	})
}

// csvDicts makes dicts of the records of one file.
type csvDicts struct {
	rows *csvRecords
	keys []starlark.Value // nil before the header is known
}

func (d *csvDicts) name(header []string) {
	for _, name := range header {
		d.keys = append(d.keys, starlark.String(name))
	}
}

// header takes the names from the first record.
func (d *csvDicts) header() error {
	d.rows.headerless = true
	names, err := d.rows.next()
	if err != nil {
		return err
	}
	if twice, found := repeatedName(names); found {
		p := d.rows.problem(codeCSV, d.rows.line, "the header names a column twice")
		p.Found, p.Hint = fmt.Sprintf("%q", diag.Shorten(twice)), "name the columns yourself: csv.dict_reader(path, header = [...]), and skip the first row"
		return p
	}
	d.name(slices.Clone(names))
	d.rows.headerless = false
	return nil
}

func (d *csvDicts) next() (starlark.Value, error) {
	if d.keys == nil {
		if err := d.header(); err != nil {
			return nil, err
		}
	}
	fields, err := d.rows.next()
	if err != nil {
		return nil, err
	}
	if len(fields) != len(d.keys) {
		p := d.rows.problem(codeCSV, d.rows.line, "the row does not fit the header")
		p.Found, p.Wanted = diag.Plural(len(fields), "field"), fmt.Sprint(len(d.keys))
		p.Hint = "csv.reader(path) takes rows of any length"
		return nil, p
	}
	row := starlark.NewDict(len(d.keys))
	for i, f := range fields {
		if err := row.SetKey(d.keys[i], starlark.String(f)); err != nil {
			return nil, err
		}
	}
	return row, nil
}

// bom is the byte order mark that some programs put before UTF-8.
const bom = '\uFEFF'

// csvRecords reads the records of one CSV file (RFC 4180).
type csvRecords struct {
	lines     *lineReader
	delimiter string
	lenient   bool // about quotes
	line      int  // where the last record started, from 1

	headerless bool // the first record names the columns, and could not be read

	fields []string // of the present record
	text   string   // its present line, without the newline
	end    string   // that newline
	at     int      // offset into text
	size   int      // of the present record, in bytes
}

func newCSVRecords(c *call, from origin, in *bufio.Reader, delimiter string) *csvRecords {
	return &csvRecords{lines: &lineReader{call: c, from: from, in: in}, delimiter: delimiter}
}

// next is the next record, valid until the next call; io.EOF after the last.
// An error is a *diag.Problem unless reading the file failed.
func (r *csvRecords) next() ([]string, error) {
	r.text = ""
	for r.text == "" {
		r.size = 0 // blank lines belong to no record
		if err := r.readLine(); err != nil {
			return nil, err
		}
	}
	r.line = r.lines.line
	r.fields = r.fields[:0]
	for {
		field, last, err := r.field()
		if err != nil {
			return nil, err
		}
		r.fields = append(r.fields, strings.Clone(field)) // a field that is kept must not keep its record
		if last {
			return r.fields, nil
		}
	}
}

// readLine reads the next line of the file.
func (r *csvRecords) readLine() error {
	line, err := r.lines.next()
	if err != nil {
		return err
	}
	if r.lines.line == 1 {
		line = bytes.TrimPrefix(line, []byte(string(bom)))
	}
	n := len(trimNewline(line))
	text := string(line)
	r.text, r.end = text[:n], text[n:]
	r.at = 0
	r.size += len(text)
	if r.size > maxRecord {
		p := r.problem(codeTooLong, r.line, "the record is too long")
		p.Found = fmt.Sprintf("more than %d MiB", maxRecord>>20)
		p.Hint = "is there a quote that is never closed?"
		return p
	}
	return nil
}

// field reads one field and the delimiter behind it; last is true when the
// record ends with it.
func (r *csvRecords) field() (field string, last bool, err error) {
	rest := r.text[r.at:]
	if strings.HasPrefix(rest, `"`) {
		return r.quoted()
	}
	field, rest, more := strings.Cut(rest, r.delimiter)
	if i := strings.IndexByte(field, '"'); i >= 0 && !r.lenient {
		p := r.here(r.at+i, "a quote inside a field that is not quoted")
		p.Hint = `such a field is written "in ""quotes"""`
		return "", false, p
	}
	if i := strings.IndexByte(field, '\r'); i >= 0 {
		p := r.here(r.at+i, "a carriage return that no newline follows")
		p.Hint = "lines end with \\n or \\r\\n; a field that has one is written in quotes"
		return "", false, p
	}
	r.at = len(r.text) - len(rest)
	return field, !more, nil
}

// quoted reads a field that starts with a quote.
func (r *csvRecords) quoted() (field string, last bool, err error) {
	text, line, at := r.text, r.lines.line, r.at
	var b strings.Builder // of what comes before the last part, when there are several
	r.at++
	for {
		part, rest, closed := strings.Cut(r.text[r.at:], `"`)
		if !closed { // the field goes on in the next line
			b.WriteString(part)
			b.WriteString(r.end)
			err := r.readLine()
			if err == io.EOF && r.lenient {
				r.at = len(r.text)
				return b.String(), true, nil
			}
			if err == io.EOF {
				return "", false, r.there(text, line, at, "a quote that is never closed")
			}
			if err != nil {
				return "", false, err
			}
			continue
		}
		r.at = len(r.text) - len(rest)
		switch {
		case strings.HasPrefix(rest, `"`):
			b.WriteString(part)
			b.WriteByte('"')
			r.at++
			continue
		case rest == "":
			last = true
		case strings.HasPrefix(rest, r.delimiter):
			r.at += len(r.delimiter)
		case r.lenient: // it belongs to the field, up to the delimiter
			b.WriteString(part)
			tail, rest, more := strings.Cut(rest, r.delimiter)
			b.WriteString(tail)
			r.at = len(r.text) - len(rest)
			return b.String(), !more, nil
		default:
			p := r.here(r.at, "text after a closing quote")
			p.Hint = "a quote in a quoted field is written twice"
			return "", false, p
		}
		if b.Len() == 0 {
			return part, last, nil
		}
		b.WriteString(part)
		return b.String(), last, nil
	}
}

// here is a complaint of an offset in the line that is being read.
func (r *csvRecords) here(offset int, what string) *diag.Problem {
	return r.there(r.text, r.lines.line, offset, what)
}

// there is a complaint of an offset in a line that was read before.
func (r *csvRecords) there(text string, line, offset int, what string) *diag.Problem {
	column := utf8.RuneCountInString(text[:offset]) + 1
	return r.problem(codeCSV, line, fmt.Sprintf("column %d: %s", column, what))
}

// problem is a complaint of a line of the file.
func (r *csvRecords) problem(code diag.Code, line int, what string) *diag.Problem {
	return &diag.Problem{Code: code, Message: fmt.Sprintf("%s %s:%d: %s", r.lines.call.builtin.Name, diag.Shorten(r.lines.from.String()), line, what)}
}

// csvWriter writes the rows of one csv.write.
type csvWriter struct {
	call      *call
	out       *bufio.Writer
	header    []string // nil: there is none, and rows are lists of any length
	delimiter string
	newline   string
	special   string // characters that make quotes necessary
	nonFinite bool   // NaN and the infinities may be written
	quoting   string // "minimal", "all", "nonnumeric" or "none"
	rows      int    // written
	texts     []string
	numbers   []bool // which of texts are numbers
}

func csvWrite(c *call) (starlark.Value, error) {
	p, err := c.file("path")
	if err != nil {
		return nil, err
	}
	delimiter, err := c.delimiterOf()
	if err != nil {
		return nil, err
	}
	rows, err := c.iterable("rows")
	if err != nil {
		return nil, err
	}
	w := &csvWriter{call: c, delimiter: delimiter}
	if w.header, err = c.headerOf(); err != nil {
		return nil, err
	}
	if w.newline, err = c.text("newline", "\r\n"); err != nil {
		return nil, err
	}
	if w.newline != "\r\n" && w.newline != "\n" {
		return nil, c.refuse("newline", starlark.String(diag.Shorten(w.newline)).String(), `"\r\n" or "\n"`)
	}
	if w.nonFinite, err = c.boolean("allow_nan", false); err != nil {
		return nil, err
	}
	if w.quoting, err = c.word("quoting", "minimal"); err != nil {
		return nil, err
	}
	w.special = w.delimiter + "\"\r\n" + string(bom)
	f, err := c.formOf(string(p))
	if err != nil {
		return nil, err
	}
	_, err = c.replace(p, f, func(out *bufio.Writer) error {
		w.out = out
		if w.header != nil {
			if err := w.line(w.header, nil); err != nil {
				return err
			}
		}
		return c.iterate(rows, w.row)
	})
	if err != nil {
		return nil, err
	}
	return starlark.MakeInt(w.rows), nil
}

// row writes one row.
func (w *csvWriter) row(v starlark.Value) error {
	w.texts, w.numbers = w.texts[:0], w.numbers[:0]
	var err error
	switch v := v.(type) {
	case *structure:
		err = w.named(v.names, v.field)
	case *starlark.Dict:
		err = w.dict(v)
	case starlark.Sequence: // list, tuple, set, range
		err = w.list(v)
	default:
		p := w.problem("the row is no list and no dict")
		p.Found, p.Wanted = diag.TypeName(v), "list, tuple, dict or struct"
		return p
	}
	if err == nil && len(w.texts) == 0 {
		err = w.problem("the row has no values")
	}
	if err != nil {
		return err
	}
	if err := w.line(w.texts, w.numbers); err != nil {
		return err
	}
	w.rows++
	return nil
}

func (w *csvWriter) list(v starlark.Sequence) error {
	if w.header != nil && v.Len() != len(w.header) {
		p := w.problem("the row does not fit the header")
		p.Found, p.Wanted = diag.Plural(v.Len(), "value"), fmt.Sprint(len(w.header))
		return p
	}
	for x := range starlark.Elements(v) {
		if err := w.value(x); err != nil {
			return err
		}
	}
	return nil
}

func (w *csvWriter) dict(d *starlark.Dict) error {
	keys := make([]string, 0, d.Len())
	for k := range d.Entries() {
		s, ok := k.(starlark.String)
		if !ok {
			p := w.problem("the row has a key that is no string")
			p.Found = diag.TypeName(k)
			return p
		}
		keys = append(keys, string(s))
	}
	return w.named(keys, func(name string) starlark.Value {
		if v, found, _ := d.Get(starlark.String(name)); found { // a string can be looked up
			return v
		}
		return nil
	})
}

// named writes a row whose values have names; the first one makes the header
// when there is none.
func (w *csvWriter) named(names []string, value func(string) starlark.Value) error {
	if w.header == nil {
		if w.rows > 0 {
			p := w.problem("a row with names after rows without")
			p.Hint = "give the names: csv.write(path, rows, header = [...])"
			return p
		}
		w.header = slices.Clone(names)
		if err := w.line(w.header, nil); err != nil {
			return err
		}
	}
	known := 0
	for _, name := range w.header {
		v := value(name)
		if v == nil {
			w.texts, w.numbers = append(w.texts, ""), append(w.numbers, false)
			continue
		}
		known++
		if err := w.value(v); err != nil {
			return err
		}
	}
	if known == len(names) {
		return nil
	}
	for _, name := range names {
		if !slices.Contains(w.header, name) {
			p := w.problem(fmt.Sprintf("the header has no column %q", diag.Shorten(name)))
			p.Hint = diag.DidYouMean(name, w.header, strconv.Quote)
			return p
		}
	}
	return nil
}

// value adds the text of one value to the row.
func (w *csvWriter) value(v starlark.Value) error {
	var s string
	number := false
	switch v := v.(type) {
	case starlark.String:
		s = string(v)
		if i := diag.InvalidUTF8(s); i >= 0 {
			p := w.problem("a string that is not UTF-8")
			p.Found, p.Hint = fmt.Sprintf("the byte 0x%02x at offset %d", s[i], i), "write base64.encode(bytes(s))"
			return p
		}
	case starlark.NoneType:
	case starlark.Float:
		if f := float64(v); !w.nonFinite && (math.IsNaN(f) || math.IsInf(f, 0)) {
			p := w.problem("a number that few readers of CSV know")
			p.Found, p.Wanted, p.Hint = v.String(), "a finite number", "write None for an empty field, or csv.write(path, rows, allow_nan = True)"
			return p
		}
		s, number = floatText(v), true
	case starlark.Int, starlark.Bool:
		s, number = v.String(), true
	case path, instant, duration:
		s = v.String()
	default:
		p := w.problem("a value that a CSV field cannot hold")
		p.Found, p.Hint = diag.TypeName(v), "write json.encode(x), or str(x)"
		return p
	}
	w.texts, w.numbers = append(w.texts, s), append(w.numbers, number)
	return nil
}

// line writes the fields of one line, quoted where they have to be; numbers says
// which of them are numbers, nil that none is.
func (w *csvWriter) line(fields []string, numbers []bool) error {
	for i, f := range fields {
		if i > 0 {
			w.out.WriteString(w.delimiter)
		}
		must := strings.ContainsAny(f, w.special) || f == "" && len(fields) == 1 // a blank line would be no row
		if must && w.quoting == "none" {
			p := w.problem("a field that has to be quoted")
			p.Found, p.Hint = diag.Quote(f), `leave out quoting = "none", or choose a delimiter that is in no field`
			return p
		}
		if must || w.quoting == "all" || w.quoting == "nonnumeric" && (numbers == nil || !numbers[i]) {
			f = `"` + strings.ReplaceAll(f, `"`, `""`) + `"`
		}
		w.out.WriteString(f)
	}
	_, err := w.out.WriteString(w.newline) // an error of any write above is still there
	return err
}

// problem is a complaint of the row that is being written.
func (w *csvWriter) problem(what string) *diag.Problem {
	return &diag.Problem{Code: codeRow, Message: fmt.Sprintf("csv.write: row %d: %s", w.rows+1, what), Argument: w.call.argument("rows")}
}
