package starlib

import (
	"bufio"
	"fmt"
	"slices"
	"unicode/utf8"

	"go.starlark.net/starlark"

	"perago/starlib/diag"
)

// csvBuiltins read and write CSV by RFC 4180.
func csvBuiltins() []Builtin {
	from := Param{Name: "path", Type: "path", Doc: "a file, in UTF-8; a byte order mark is skipped"}
	delimiter := Param{Name: "delimiter", Type: "string", Default: `","`, Doc: "one character: `\"\\t\"` for tabs"}
	const rules = "The file is streamed: memory does not grow with its size. Fields are strings; a quoted one may hold delimiters, newlines and " +
		"doubled quotes. Lines end with `\\r\\n` or `\\n`; blank lines are skipped. A carriage return elsewhere outside quotes, a quote inside an unquoted field, text after a closing " +
		"quote, a quote that is never closed and a record of more than 64 MiB stop the body at the `for` line, with the file's line."
	return []Builtin{
		{Name: "csv.reader", Phase: Act, Returns: "csv rows, each a list of string", Params: []Param{from, delimiter}, call: csvReader,
			Doc: "The rows of a CSV file, to loop over, the first line included. Rows may have different counts of fields. " + rules},
		{Name: "csv.dict_reader", Phase: Act, Returns: "csv rows, each a dict of string to string", call: csvDictReader,
			Params: []Param{from, delimiter, {Name: "header", Type: "list of string", Default: "None", Doc: "the names of the columns; None: the first line has them"}},
			Doc: "The rows of a CSV file, to loop over, each a dict with the names of the columns in their order. A name that the header has " +
				"twice, and a row with more or fewer fields than the header, stop the body at the `for` line. " + rules,
			Example: "for row in csv.dict_reader(workspace / \"raw/songs.csv\"):\n    print(row[\"title\"])"},
		{Name: "csv.write", Phase: Act, Returns: "int", call: csvWrite,
			Params: []Param{{Name: "path", Type: "path", Doc: "the file to replace; its folders are made"},
				{Name: "rows", Type: "iterable of list, tuple, dict or struct", Doc: "may be a stream, of the same file too"},
				{Name: "header", Type: "list of string", Default: "None", Doc: "the first line; None: the keys of the first row when it is a dict or a struct, else there is none"},
				{Name: "delimiter", Type: "string", Default: `","`, Doc: "one character"},
				{Name: "newline", Type: "string", Default: `"\r\n"`, Doc: "what ends a line, `\"\\r\\n\"` as RFC 4180 says, or `\"\\n\"`"},
				{Name: "allow_nan", Type: "bool", Default: "False", Kind: KeywordOnly, Doc: "whether NaN and infinities may be written: `nan`, `+inf`, `-inf`"}},
			Doc: "Writes a CSV file in one step and returns the count of rows, without the header. Values are strings, numbers, bools, None " +
				"(an empty field), paths and times; a field is quoted where it has to be. With a header, a list has as many values as it, and " +
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
		return "", c.refuse("delimiter", starlark.String(shorten(s)).String(), "one character, no quote and no newline")
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
			return c.refuse("header", typeName(x)+" among the names", "list of string")
		}
		names = append(names, string(s))
		return nil
	})
	if err != nil {
		return nil, err
	}
	if twice, found := repeatedName(names); found {
		return nil, c.refuse("header", fmt.Sprintf("%q twice", shorten(twice)), "names that differ")
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

// tableOf is the path argument and the delimiter of the table there.
func (c *call) tableOf() (p path, delimiter string, err error) {
	if p, err = c.file("path"); err != nil {
		return "", "", err
	}
	delimiter, err = c.delimiterOf()
	return p, delimiter, err
}

func csvReader(c *call) (starlark.Value, error) {
	p, delimiter, err := c.tableOf()
	if err != nil {
		return nil, err
	}
	return c.streamOf("csv rows", p, func(in *bufio.Reader) records {
		r := newCSVRecords(c, p, in, delimiter)
		return func() (starlark.Value, error) {
			fields, err := r.next()
			if err != nil {
				return nil, err
			}
			row := make([]starlark.Value, len(fields))
			for i, f := range fields {
				row[i] = starlark.String(f)
			}
			return starlark.NewList(row), nil
		}
	})
}

func csvDictReader(c *call) (starlark.Value, error) {
	p, delimiter, err := c.tableOf()
	if err != nil {
		return nil, err
	}
	given, err := c.headerOf()
	if err != nil {
		return nil, err
	}
	return c.streamOf("csv rows", p, func(in *bufio.Reader) records {
		d := csvDicts{rows: newCSVRecords(c, p, in, delimiter)}
		d.name(given)
		return d.next
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
	names, err := d.rows.next()
	if err != nil {
		return err
	}
	if twice, found := repeatedName(names); found {
		p := d.rows.problem(codeCSV, d.rows.line, "the header names a column twice")
		p.Found, p.Hint = fmt.Sprintf("%q", shorten(twice)), "name the columns yourself: csv.dict_reader(path, header = [...]), and skip the first row"
		return p
	}
	d.name(slices.Clone(names))
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
		p.Found, p.Wanted = plural(len(fields), "field"), fmt.Sprint(len(d.keys))
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

// problem is a complaint of a line of the file.
func (r *csvRecords) problem(code diag.Code, line int, what string) *diag.Problem {
	return &diag.Problem{Code: code, Message: fmt.Sprintf("%s %s:%d: %s", r.lines.call.builtin.Name, shorten(r.lines.path.String()), line, what)}
}
