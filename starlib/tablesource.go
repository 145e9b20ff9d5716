package starlib

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"go.starlark.net/starlark"

	"perago/starlib/diag"
	"perago/starlib/jsontext"
	"perago/starlib/statement"
)

// Tables readies engines for statements of SQL, each a process of its own.
type Tables interface {
	// Ready starts an engine that reaches the files of need and nothing else. The
	// error about a file is that of Files.Open or Files.Create.
	Ready(ctx context.Context, need TableNeed) (TableSession, error)
}

// TableNeed is what one statement reads and writes.
type TableNeed struct {
	Files  []string // paths in the workspace
	Named  bool     // the engine needs their names: of folders key=value, or as a column
	Output string   // the file that it writes, "" for none
	Folder bool     // Output is a folder, whose files it makes
}

// TableSession is one statement in its engine: what the package statement says,
// is said over it. Exactly one of Commit, Drop and Died ends it.
type TableSession interface {
	io.ReadWriteCloser
	// Commit makes what was written the content of the output, in one step a file,
	// and returns its paths; those of a folder take the place of all that was in it.
	Commit(ctx context.Context) ([]string, error)
	// Drop forgets what was written.
	Drop()
	// Died is Drop of an engine that hung up: a *TableDeath, or the cause of ctx.
	Died(ctx context.Context) error
}

// TableDeath is an engine that ended without an answer.
type TableDeath struct {
	Memory bool   // it asked for more memory than it may have
	How    string // what the system says of it
}

// TableDeathPrefix is how the text of a TableDeath begins; what follows is How.
const TableDeathPrefix = "the engine of statements died: "

func (e *TableDeath) Error() string { return TableDeathPrefix + e.How }

// tableSource is what a table is made of.
type tableSource struct {
	relation *relation
	files    []path
	rows     []starlark.Value // dicts or structs
	table    statement.Table  // format and options
}

// given is what table(...) makes.
type given struct{ *tableSource }

var _ starlark.Value = (*given)(nil)

func (g *given) String() string {
	if g.rows != nil {
		return fmt.Sprintf("<table of %d rows>", len(g.rows))
	}
	return fmt.Sprintf("<table of %d files>", len(g.files))
}
func (g *given) Type() string          { return "table" }
func (g *given) Freeze()               {}
func (g *given) Truth() starlark.Bool  { return true }
func (g *given) Hash() (uint32, error) { return 0, fmt.Errorf("unhashable: table") }

// sourceOf is the source of the table that a keyword of sql gives.
func (c *call) sourceOf(name string, v starlark.Value) (*tableSource, error) {
	switch v := v.(type) {
	case *relation:
		return &tableSource{relation: v}, nil
	case *given:
		return v.tableSource, nil
	}
	s, p := c.plainSource(name, v, "")
	if p == nil {
		return s, nil
	}
	p.Argument = name
	return nil, p
}

// plainSource is a source of paths or of rows.
func (c *call) plainSource(name string, v starlark.Value, format string) (*tableSource, *diag.Problem) {
	wanted := "a path, a list of paths, a table, a relation, or a list of dicts"
	if p, ok := v.(path); ok {
		return c.fileSource(name, []path{p}, format)
	}
	refuse := func(found string) *diag.Problem {
		p := c.problem(codeTable, "`%s` is no table", diag.Shorten(name))
		p.Found, p.Wanted = found, wanted
		return p
	}
	if s, ok := v.(starlark.String); ok {
		p := refuse("the string " + diag.Quote(string(s)))
		p.Hint = "a file is a path: workspace / " + diag.Quote(string(s))
		return nil, p
	}
	it, ok := v.(starlark.Iterable)
	if _, dict := v.(starlark.IterableMapping); !ok || dict || streams(v) {
		p := refuse(diag.TypeName(v))
		if ok && !dict {
			p.Hint = "write list(...) around it, or give the file itself"
		}
		return nil, p
	}
	var files []path
	rows := []starlark.Value{}
	err := c.each(it, func(x starlark.Value) error {
		switch x := x.(type) {
		case path:
			files = append(files, x)
		case *starlark.Dict, *structure:
			rows = append(rows, x)
		default:
			return refuse(diag.TypeName(x) + " in a list")
		}
		if len(files) > 0 && len(rows) > 0 {
			return refuse("paths and rows in one list")
		}
		return nil
	})
	var p *diag.Problem
	switch {
	case errors.As(err, &p):
		return nil, p
	case err != nil:
		return nil, &diag.Problem{Code: codeTable, Message: err.Error(), Cause: err}
	case len(rows) > 0:
		return &tableSource{rows: rows}, nil
	}
	return c.fileSource(name, files, format)
}

// fileSource is a source of files of one format.
func (c *call) fileSource(name string, files []path, format string) (*tableSource, *diag.Problem) {
	if len(files) == 0 {
		p := c.problem(codeTable, "the table `%s` is of no files and no rows", diag.Shorten(name))
		p.Hint = "the pattern of its glob matches nothing; ask with `if not files:` before, or declare pre = [require_glob(...)]"
		return nil, p
	}
	if c.run.Files == nil {
		return nil, c.problem(codeWorkspace, "the task has no workspace")
	}
	s := &tableSource{files: files}
	for i, f := range files {
		var t statement.Table
		if p := c.formatOf(f, format, &t); p != nil {
			return nil, p
		}
		if i > 0 && (t.Format != s.table.Format || t.Compress != s.table.Compress || t.Delimiter != s.table.Delimiter) {
			p := c.problem(codeTable, "the table `%s` is of files of several formats", diag.Shorten(name))
			p.Found = fmt.Sprintf("%s and %s", diag.Shorten(files[0].String()), diag.Shorten(f.String()))
			p.Hint = "give each format as a table of its own, and join them with UNION ALL BY NAME"
			return nil, p
		}
		s.table = t
	}
	return s, nil
}

// formatOf says how a file is read, by its suffix or by the format that was given.
func (c *call) formatOf(f path, format string, t *statement.Table) *diag.Problem {
	name := strings.ToLower(f.name())
	if base, ok := strings.CutSuffix(name, ".gz"); ok {
		name, t.Compress = base, "gzip"
	} else if base, ok := strings.CutSuffix(name, ".zst"); ok {
		name, t.Compress = base, "zstd"
	}
	said := format
	if said == "" {
		said = name[strings.LastIndexByte(name, '.')+1:]
	}
	switch said {
	case "parquet":
		t.Format = "parquet"
		if t.Compress == "" {
			return nil
		}
	case "csv":
		t.Format = "csv"
		return nil
	case "tsv":
		t.Format, t.Delimiter = "csv", "\t"
		return nil
	case "json":
		t.Format = "json"
		return nil
	case "jsonl", "ndjson":
		t.Format = "jsonl"
		return nil
	}
	p := c.problem(codeTable, "%s: the format is not known", diag.Shorten(f.String()))
	p.Wanted = ".parquet, .csv, .tsv, .json, .jsonl or .ndjson, the text forms also with .gz or .zst behind it"
	p.Hint = "say it: table(path, format = \"csv\")"
	if format != "" {
		p.Message, p.Found = "table: the format is not known", diag.Quote(format)
		p.Wanted, p.Hint = `"parquet", "csv", "tsv", "json" or "jsonl"`, ""
	}
	return p
}

func makeTable(c *call) (starlark.Value, error) {
	if c.run.Tables == nil {
		return nil, noTables(c)
	}
	format, err := c.optionalText("format")
	if err != nil {
		return nil, err
	}
	var said string
	if format != nil {
		said = strings.ToLower(*format)
	}
	s, p := c.plainSource("source", c.arg("source"), said)
	if p != nil {
		p.Argument = c.argument("source")
		if p.Found != "" && strings.HasPrefix(p.Found, `"`) {
			p.Argument = "format"
		}
		return nil, p
	}
	if err := c.tableOptions(s); err != nil {
		return nil, err
	}
	return &given{s}, nil
}

// tableOptions reads the options of table(...).
func (c *call) tableOptions(s *tableSource) error {
	t := &s.table
	var err error
	if t.Columns, err = c.columnTypes("columns"); err != nil {
		return err
	}
	delimiter, err := c.optionalText("delimiter")
	if err == nil && delimiter != nil {
		t.Delimiter, err = c.delimiterOf()
	}
	if err == nil {
		t.Null, err = c.optionalText("null")
	}
	encoding, err2 := c.optionalText("encoding")
	if err == nil {
		err = err2
	}
	name, err2 := c.optionalText("file_name")
	if err == nil {
		err = err2
	}
	if err != nil {
		return err
	}
	if h := c.arg("header"); h != nil && h != starlark.None {
		header, err := c.boolean("header", true)
		if err != nil {
			return err
		}
		t.Header = &header
	}
	if encoding != nil {
		t.Encoding = strings.ToLower(*encoding)
		if !slices.Contains([]string{"utf-8", "utf-16", "latin-1"}, t.Encoding) {
			return c.refuse("encoding", diag.Quote(*encoding), `"utf-8", "utf-16" or "latin-1"`)
		}
	}
	if name != nil {
		t.FileName = *name
		if t.FileName == "" || len(t.FileName) > 255 {
			return c.refuse("file_name", diag.Quote(*name), "the name of a column")
		}
	}
	if t.Hive, err = c.boolean("hive", false); err != nil {
		return err
	}
	if t.ByName, err = c.boolean("by_name", false); err != nil {
		return err
	}
	return c.optionsFit(s)
}

// optionsFit refuses options that the source does not know.
func (c *call) optionsFit(s *tableSource) error {
	t := s.table
	csvOnly := map[string]bool{"delimiter": t.Delimiter != "" && c.arg("delimiter") != nil, "header": t.Header != nil, "null": t.Null != nil, "encoding": t.Encoding != ""}
	for _, name := range []string{"delimiter", "header", "null", "encoding"} {
		if csvOnly[name] && t.Format != "csv" {
			return c.refuse(name, "given", "only for CSV")
		}
	}
	if s.rows != nil && (t.Hive || t.ByName || t.FileName != "" || c.arg("format") != nil && c.arg("format") != starlark.None) {
		return c.problem(codeTable, "rows have no files: of the options only columns is for them")
	}
	if t.Format == "parquet" && len(t.Columns) > 0 {
		p := c.refuse("columns", "given", "only for CSV, JSON and rows")
		p.Hint = "Parquet has its types; CAST in the query"
		return p
	}
	return nil
}

// optionalText is a string argument, nil when it is None or was left out.
func (c *call) optionalText(name string) (*string, error) {
	if v := c.arg(name); v == nil || v == starlark.None {
		return nil, nil
	}
	s, err := c.text(name, "")
	return &s, err
}

// columnTypes is a dict of types by column.
func (c *call) columnTypes(name string) ([]statement.Column, error) {
	v := c.arg(name)
	if v == nil || v == starlark.None {
		return nil, nil
	}
	dict, ok := v.(starlark.IterableMapping)
	if !ok {
		return nil, c.wrongType(name, v)
	}
	var out []statement.Column
	for _, item := range dict.Items() {
		column, ok := item[0].(starlark.String)
		t, ok2 := item[1].(starlark.String)
		if !ok || !ok2 || t == "" || len(t) > 1000 {
			return nil, c.refuse(name, diag.Shorten(item[0].String())+": "+diag.Shorten(item[1].String()), `names and types, such as {"id": "BIGINT"}`)
		}
		out = append(out, statement.Column{Name: string(column), Type: string(t)})
	}
	return out, nil
}

// sqlText is a value as SQL knows it: its type, and its text, which CAST makes
// the value of. The error says what to do instead.
func sqlText(v starlark.Value, depth int) (sqlType, text string, err error) {
	if list, ok := v.(starlark.Iterable); ok {
		if _, dict := v.(starlark.IterableMapping); !dict && !streams(v) {
			return sqlList(list, depth)
		}
	}
	switch v := v.(type) {
	case starlark.NoneType:
		return "INTEGER", "", nil
	case starlark.Bool:
		return "BOOLEAN", strings.ToLower(v.String()), nil
	case starlark.Int:
		return intType(v)
	case starlark.Float:
		return "DOUBLE", strconv.FormatFloat(float64(v), 'g', -1, 64), nil
	case starlark.String:
		if !utf8.ValidString(string(v)) {
			return "", "", errors.New("the string is not UTF-8: give bytes(...)")
		}
		return "VARCHAR", string(v), nil
	case path:
		return "VARCHAR", string(v), nil
	case starlark.Bytes:
		return "BLOB", blobText(string(v)), nil
	case instant:
		return "TIMESTAMPTZ", timeText(v), nil
	}
	return "", "", errors.New("take it apart, or json.encode(...) it and read it with the JSON functions of SQL")
}

func intType(v starlark.Int) (sqlType, text string, err error) {
	if _, ok := v.Int64(); ok {
		return "BIGINT", v.String(), nil
	}
	if v.BigInt().BitLen() > 127 {
		return "", "", errors.New("SQL has integers of 128 bits at most: give str(n), or float(n)")
	}
	return "HUGEINT", v.String(), nil
}

// blobText is bytes as the engine reads them out of a text.
func blobText(s string) string {
	var b strings.Builder
	for i := range len(s) {
		b.WriteString(`\x` + strings.ToUpper(hex.EncodeToString([]byte{s[i]})))
	}
	return b.String()
}

func timeText(t instant) string { return time.Time(t).UTC().Format("2006-01-02 15:04:05.999999999+00") }

// sqlList is a list as one argument: for `x IN $list` as list_contains($list, x).
func sqlList(it starlark.Iterable, depth int) (sqlType, text string, err error) {
	const most = 100_000
	if depth > 0 {
		return "", "", errors.New("a list of lists: give it as a table")
	}
	iter := it.Iterate()
	defer iter.Done()
	element := ""
	var parts []string
	var x starlark.Value
	for iter.Next(&x) {
		if len(parts) == most {
			return "", "", fmt.Errorf("a list of more than %d: give it as a table", most)
		}
		if x == starlark.None {
			parts = append(parts, "NULL")
			continue
		}
		t, s, err := sqlText(x, depth+1)
		if err != nil {
			return "", "", err
		}
		if element, err = widerSQL(element, t); err != nil {
			return "", "", err
		}
		parts = append(parts, `"`+strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s)+`"`)
	}
	if element == "" {
		element = "VARCHAR"
	}
	return element + "[]", "[" + strings.Join(parts, ", ") + "]", nil
}

// widerSQL is a type that holds the values of both; "" is none yet.
func widerSQL(a, b string) (string, error) {
	numbers := []string{"BIGINT", "HUGEINT", "DOUBLE"}
	switch {
	case a == "" || a == b:
		return b, nil
	case b == "":
		return a, nil
	case slices.Contains(numbers, a) && slices.Contains(numbers, b):
		return numbers[max(slices.Index(numbers, a), slices.Index(numbers, b))], nil
	}
	return "", fmt.Errorf("%s beside %s: make them one type", a, b)
}

// shapeSQL is the type of a column of rows, as it is found out value by value.
type shapeSQL struct {
	plain  string               // "" for NULL only, "list", "struct"
	item   *shapeSQL            // of a list
	names  []string             // of a struct, in the order in which they came
	fields map[string]*shapeSQL // the same
}

// see widens the shape by a value.
func (s *shapeSQL) see(v starlark.Value, depth int) error {
	if depth > 20 {
		return errors.New("the rows nest deeper than 20")
	}
	kind := ""
	switch v := v.(type) {
	case starlark.NoneType:
		return nil
	case *starlark.Dict, *structure:
		kind = "struct"
	case *starlark.List, starlark.Tuple:
		kind = "list"
	default:
		t, _, err := sqlText(v, 1)
		if err != nil {
			return err
		}
		kind = t
	}
	if kind != "struct" && kind != "list" && s.plain != "struct" && s.plain != "list" {
		wide, err := widerSQL(s.plain, kind)
		s.plain = wide
		return err
	}
	if s.plain != "" && s.plain != kind {
		return fmt.Errorf("%s beside %s: make them one type", s.plain, kind)
	}
	s.plain = kind
	if kind == "list" {
		if s.item == nil {
			s.item = &shapeSQL{}
		}
		return eachOf(v.(starlark.Iterable), func(x starlark.Value) error { return s.item.see(x, depth+1) })
	}
	if s.fields == nil {
		s.fields = make(map[string]*shapeSQL)
	}
	pairs, _ := jsontext.Members(v)
	for _, pair := range pairs {
		name, ok := starlark.AsString(pair[0])
		if !ok || name == "" {
			return errors.New("a key that is no text")
		}
		if s.fields[name] == nil {
			if len(s.names) == 1000 && depth == 0 || len(s.names) == 10_000 {
				return errors.New("more than 1000 columns")
			}
			s.fields[name] = &shapeSQL{}
			s.names = append(s.names, name)
		}
		if err := s.fields[name].see(pair[1], depth+1); err != nil {
			return fmt.Errorf("%s: %w", diag.Shorten(name), err)
		}
	}
	return nil
}

func eachOf(it starlark.Iterable, do func(starlark.Value) error) error {
	iter := it.Iterate()
	defer iter.Done()
	var x starlark.Value
	for iter.Next(&x) {
		if err := do(x); err != nil {
			return err
		}
	}
	return nil
}

// sql is the type as SQL writes it.
func (s *shapeSQL) sql() string {
	switch s.plain {
	case "":
		return "VARCHAR"
	case "list":
		return s.item.sql() + "[]"
	case "struct":
		fields := make([]string, len(s.names))
		for i, name := range s.names {
			fields[i] = `"` + strings.ReplaceAll(name, `"`, `""`) + `" ` + s.fields[name].sql()
		}
		if len(fields) == 0 {
			return "VARCHAR"
		}
		return "STRUCT(" + strings.Join(fields, ", ") + ")"
	}
	return s.plain
}

// rowColumns are the columns of a table of rows; said are those whose type is not
// inferred.
func (c *call) rowColumns(rows []starlark.Value, said []statement.Column) ([]statement.Column, error) {
	all := &shapeSQL{}
	m := itemCounter{call: c}
	for i, row := range rows {
		if err := m.tick(); err != nil {
			return nil, err
		}
		if err := all.see(row, 0); err != nil {
			return nil, fmt.Errorf("row %d: %w", i+1, err)
		}
	}
	var out []statement.Column
	for _, name := range all.names {
		column := statement.Column{Name: name, Type: all.fields[name].sql()}
		if i := slices.IndexFunc(said, func(s statement.Column) bool { return strings.EqualFold(s.Name, name) }); i >= 0 {
			column.Type = said[i].Type
		}
		out = append(out, column)
	}
	for _, s := range said {
		if !slices.ContainsFunc(out, func(c statement.Column) bool { return strings.EqualFold(c.Name, s.Name) }) {
			out = append(out, s)
		}
	}
	if len(out) == 0 {
		return nil, errors.New("rows without columns")
	}
	return out, nil
}

// appendSQLJSON writes a value as the engine's JSON reader takes it: what JSON
// does not have stands as the text that CAST makes it of.
func appendSQLJSON(b []byte, v starlark.Value) ([]byte, error) {
	var err error
	switch v := v.(type) {
	case starlark.NoneType:
		return append(b, "null"...), nil
	case starlark.Bool:
		return strconv.AppendBool(b, bool(v)), nil
	case starlark.Float:
		if f := float64(v); !math.IsInf(f, 0) && !math.IsNaN(f) {
			return strconv.AppendFloat(b, f, 'g', -1, 64), nil
		}
	case *starlark.List, starlark.Tuple:
		b = append(b, '[')
		first := true
		err = eachOf(v.(starlark.Iterable), func(x starlark.Value) error {
			if !first {
				b = append(b, ',')
			}
			first = false
			b, err = appendSQLJSON(b, x)
			return err
		})
		return append(b, ']'), err
	case *starlark.Dict, *structure:
		b = append(b, '{')
		pairs, _ := jsontext.Members(v)
		for i, pair := range pairs {
			if i > 0 {
				b = append(b, ',')
			}
			name, _ := starlark.AsString(pair[0])
			b = append(appendJSONText(b, name), ':')
			if b, err = appendSQLJSON(b, pair[1]); err != nil {
				return b, err
			}
		}
		return append(b, '}'), nil
	}
	_, text, err := sqlText(v, 1)
	return appendJSONText(b, text), err
}

func appendJSONText(b []byte, s string) []byte { return append(b, jsontext.Quote(s)...) }
