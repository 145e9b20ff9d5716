package starlib

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"math/big"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"go.starlark.net/starlark"

	"perago/starlib/diag"
	"perago/starlib/statement"
)

// question is a statement as it is put together, and what it needs.
type question struct {
	call   *call
	asked  statement.Statement
	need   TableNeed
	whose  []*relation       // the relations of asked, in its order
	places map[*relation]int // where they are in it, from 1
	files  map[path]int      // places in need.Files
	inline [][]starlark.Value
	types  [][]statement.Column // of inline
}

// put puts a relation into the statement, after those it is made of, and says
// where it is, from 1.
func (q *question) put(r *relation) (int, error) {
	if at := q.places[r]; at > 0 {
		return at, nil
	}
	if len(q.whose) >= maxRelations {
		return 0, q.tooMany()
	}
	out := statement.Relation{Query: r.query, Args: r.args}
	names := make([]string, len(r.tables))
	for i, t := range r.tables {
		names[i] = t.name
	}
	out.Given = names
	mentioned := statement.Mentions(r.query, names)
	for _, t := range r.tables {
		if !mentioned[t.name] {
			continue
		}
		table := t.source.table
		table.Name = t.name
		switch {
		case t.source.relation != nil:
			at, err := q.put(t.source.relation)
			if err != nil {
				return 0, err
			}
			table.Relation = at
		case t.source.rows != nil:
			columns, err := q.call.rowColumns(t.source.rows, table.Columns)
			if err != nil {
				p := q.call.problem(codeTable, "the table `%s`: %v", diag.Shorten(t.name), err)
				p.Place = r.frame()
				return 0, p
			}
			table.Rows, table.Columns = true, columns
		default:
			q.putFiles(&table, t.source.files)
		}
		out.Tables = append(out.Tables, table)
	}
	if len(q.whose) >= maxRelations {
		return 0, q.tooMany()
	}
	for _, t := range out.Tables { // after those of the relations that it is made of
		if t.Rows {
			i := slices.IndexFunc(r.tables, func(n namedTable) bool { return n.name == t.Name })
			q.inline = append(q.inline, r.tables[i].source.rows)
		}
	}
	q.whose = append(q.whose, r)
	q.asked.Relations = append(q.asked.Relations, out)
	q.places[r] = len(q.whose)
	return len(q.whose), nil
}

func (q *question) tooMany() error {
	p := q.call.problem(codeTooMuch, "a relation is made of too many others")
	p.Wanted, p.Hint = fmt.Sprintf("at most %d", maxRelations), "write() one in between, and read it back"
	return p
}

// putFiles adds the files of a table to those that the statement needs.
func (q *question) putFiles(t *statement.Table, files []path) {
	if t.Format == "jsonl" {
		t.Format = "json"
	}
	q.need.Named = q.need.Named || t.Hive || t.FileName != ""
	for _, f := range files {
		at, there := q.files[f]
		if !there {
			at = len(q.need.Files)
			q.files[f] = at
			q.need.Files = append(q.need.Files, string(f))
		}
		t.Files = append(t.Files, statement.File{Index: at, Path: string(f)})
	}
}

// frame is where a relation was made.
func (r *relation) frame() diag.Frame {
	return diag.Frame{File: r.at.File, Line: r.at.Line, Column: r.at.Column}
}

// answering is a statement whose answer is on its way.
type answering struct {
	question  *question
	session   TableSession
	in        *bufio.Reader
	unwatch   func() bool
	columns   []statement.Column
	keys      []starlark.Value // their names
	described bool             // the columns came: they come once
	over      bool
}

// ask starts a statement about the receiver. The caller ends it: with done, or
// with drop.
func (c *call) ask(what statement.Ask, set func(*question)) (*answering, error) {
	r := c.recv.(*relation)
	if c.run.Tables == nil {
		return nil, noTables(c)
	}
	q := &question{call: c, places: make(map[*relation]int), files: make(map[path]int)}
	q.asked.Ask = what
	if set != nil {
		set(q)
	}
	if _, err := q.put(r); err != nil {
		return nil, err
	}
	session, err := c.run.Tables.Ready(c.run.Context, q.need)
	if err != nil {
		return nil, q.notReady(err)
	}
	a := &answering{question: q, session: session, in: bufio.NewReaderSize(session, 64<<10)}
	a.unwatch = context.AfterFunc(c.run.Context, func() { session.Close() })
	if err := q.send(session); err != nil {
		return nil, a.failed(err)
	}
	return a, nil
}

// notReady is the error of a statement that could not begin.
func (q *question) notReady(err error) error {
	var at *fs.PathError
	if errors.As(err, &at) {
		return q.call.fileError(path(at.Path), err)
	}
	return q.call.gone(err)
}

// gone is the error of an engine that does not answer.
func (c *call) gone(err error) error {
	if err := c.run.cancelled(); err != nil {
		return err
	}
	var already *diag.Problem
	var death *TableDeath
	switch {
	case errors.As(err, &already):
		return already
	case errors.As(err, &death) && death.Memory:
		p := c.problem(codeTableMost, "the statement takes more memory than the attempt has")
		p.Hint = "raise resources(memory = ...); what is over it spills to disk as far as it can"
		return p
	case errors.As(err, &death):
		p := c.problem(codeEngine, "the engine of the statement died")
		p.Found = diag.Shorten(death.How)
		return p
	}
	return &diag.Problem{Code: codeEngine, Message: c.builtin.Name + ": " + diag.ShortenTo(err.Error(), 400), Cause: err}
}

// send sends the statement and the rows of its lists.
func (q *question) send(w io.Writer) error {
	if err := statement.WriteJSON(w, statement.KindStatement, q.asked); err != nil {
		return err
	}
	m := itemCounter{call: q.call}
	var b []byte
	for _, rows := range q.inline {
		for i, row := range rows {
			if err := m.tick(); err != nil {
				return err
			}
			var err error
			if b, err = appendSQLJSON(b, row); err != nil {
				return q.call.problem(codeTable, "row %d: %v", i+1, err)
			}
			b = append(b, '\n')
			if len(b) >= statement.RowsFrame {
				if err := statement.Write(w, statement.KindInline, b); err != nil {
					return err
				}
				b = b[:0]
			}
		}
		if len(b) > 0 {
			if err := statement.Write(w, statement.KindInline, b); err != nil {
				return err
			}
			b = b[:0]
		}
		if err := statement.Write(w, statement.KindNext, nil); err != nil {
			return err
		}
	}
	return nil
}

// next is the next frame of the answer: rows, or nil when it is done.
func (a *answering) next() (rows *statement.Rows, done *statement.Done, err error) {
	for {
		kind, payload, err := statement.Read(a.in)
		if err != nil {
			return nil, nil, a.failed(err)
		}
		switch kind {
		case statement.KindColumns:
			if a.described || len(payload) > statement.MaxColumns {
				return nil, nil, a.failed(statement.ErrBroken)
			}
			a.described = true
			if err := statement.ReadJSON(payload, &a.columns); err != nil {
				return nil, nil, a.failed(err)
			}
			a.keys = nil
			for _, column := range a.columns {
				a.keys = append(a.keys, starlark.String(column.Name))
			}
		case statement.KindRows:
			return statement.ReadRows(payload), nil, nil
		case statement.KindDone:
			done = &statement.Done{}
			if err := statement.ReadJSON(payload, done); err != nil {
				return nil, nil, a.failed(err)
			}
			return nil, done, nil
		case statement.KindFailed:
			f := &statement.Failure{}
			if err := statement.ReadJSON(payload, f); err != nil {
				return nil, nil, a.failed(err)
			}
			a.drop()
			return nil, nil, a.question.problem(f)
		default:
			return nil, nil, a.failed(statement.ErrBroken)
		}
	}
}

// failed ends an answer that does not come.
func (a *answering) failed(err error) error {
	c := a.question.call
	if a.over {
		return c.gone(err)
	}
	a.over = true
	a.unwatch()
	if why := a.session.Died(c.run.Context); why != nil && !errors.Is(err, statement.ErrBroken) {
		err = why
	}
	return c.gone(err)
}

// drop ends an answer of which no more is wanted.
func (a *answering) drop() {
	if !a.over {
		a.over = true
		a.unwatch()
		a.session.Drop()
	}
}

// commit ends an answer that is done, and keeps what was written.
func (a *answering) commit() ([]string, error) {
	a.over = true
	a.unwatch()
	paths, err := a.session.Commit(a.question.call.run.Context)
	if err != nil {
		return nil, a.question.notReady(err)
	}
	return paths, nil
}

// codeOf is the code of a kind of failure.
func codeOf(kind statement.Kind) diag.Code {
	switch kind {
	case statement.Syntax, statement.Refused:
		return codeQuery
	case statement.Names:
		return codeNames
	case statement.Data:
		return codeTableData
	case statement.Memory:
		return codeTableMost
	}
	return codeEngine
}

// problem is a failure of the engine as a complaint, at the sql(...) whose query
// it is of.
func (q *question) problem(f *statement.Failure) error {
	if err := q.call.run.cancelled(); err != nil {
		return err
	}
	p := &diag.Problem{Code: codeOf(f.Kind), Message: "sql: " + diag.ShortenTo(strings.ToValidUTF8(f.Message, "\ufffd"), 600), Hint: f.Hint}
	if f.Near != "" {
		p.Hint = "did you mean `" + diag.Shorten(f.Near) + "`?"
	}
	if f.Kind == statement.Memory && p.Hint == "" {
		p.Hint = "raise resources(memory = ...), or resources(scratch = ...) where it spills"
	}
	if f.Relation >= 0 && f.Relation < len(q.whose) {
		r := q.whose[f.Relation]
		p.Place = r.frame()
		p.Detail = pointAt(r.query, f.Offset)
	}
	return p
}

// pointAt is the line of a query that an offset is in, with a caret below it; ""
// when there is no such place.
func pointAt(query string, offset int) string {
	if offset < 0 || offset > len(query) {
		return ""
	}
	start := strings.LastIndexByte(query[:offset], '\n') + 1
	line, _, _ := strings.Cut(query[start:], "\n")
	at := offset - start
	trimmed := strings.TrimLeft(line, " \t")
	at = max(0, at-(len(line)-len(trimmed)))
	line = strings.TrimRight(trimmed, " \t\r")
	const most = 100
	if len(line) > most {
		from := max(0, min(at-most/2, len(line)-most))
		line, at = strings.ToValidUTF8(line[from:from+most], "\ufffd"), at-from
	}
	before := line[:min(at, len(line))]
	return fmt.Sprintf("line %d of the query:\n  %s\n  %s^", strings.Count(query[:offset], "\n")+1, line, strings.Repeat(" ", utf8.RuneCountInString(before)))
}

// rowDict reads one row.
func (a *answering) rowDict(rows *statement.Rows) (*starlark.Dict, error) {
	row := starlark.NewDict(len(a.columns))
	for _, key := range a.keys {
		v, err := a.value(rows, 0)
		if err != nil {
			return nil, err
		}
		if err := row.SetKey(key, v); err != nil {
			return nil, err
		}
	}
	return row, rows.Err()
}

// value reads one value.
func (a *answering) value(rows *statement.Rows, depth int) (starlark.Value, error) {
	if depth > statement.MaxDepth {
		return nil, statement.ErrBroken
	}
	switch tag := rows.Tag(); tag {
	case statement.TagNull:
		return starlark.None, rows.Err()
	case statement.TagFalse, statement.TagTrue:
		return starlark.Bool(tag == statement.TagTrue), nil
	case statement.TagInt:
		return starlark.MakeInt64(rows.Int()), rows.Err()
	case statement.TagBig:
		digits := rows.Text()
		if len(digits) > statement.MaxDigits {
			return nil, statement.ErrBroken
		}
		n, ok := new(big.Int).SetString(string(digits), 10)
		if !ok {
			return nil, statement.ErrBroken
		}
		return starlark.MakeBigInt(n), nil
	case statement.TagFloat:
		return starlark.Float(rows.Float()), rows.Err()
	case statement.TagText:
		text := rows.Text()
		if !utf8.Valid(text) {
			return starlark.Bytes(text), rows.Err()
		}
		return starlark.String(text), rows.Err()
	case statement.TagBytes:
		return starlark.Bytes(rows.Text()), rows.Err()
	case statement.TagTime:
		seconds, nanos := rows.Int(), rows.Uint()
		if rows.Err() != nil {
			return nil, rows.Err()
		}
		return a.question.call.instant(time.Unix(seconds, int64(nanos%1e9)).UTC())
	case statement.TagList:
		n := rows.Length()
		items := make([]starlark.Value, 0, min(n, 1024))
		for range n {
			v, err := a.value(rows, depth+1)
			if err != nil {
				return nil, err
			}
			items = append(items, v)
		}
		return starlark.NewList(items), rows.Err()
	case statement.TagStruct, statement.TagMap:
		return a.valueDict(rows, tag, depth)
	}
	return nil, statement.ErrBroken
}

// valueDict reads a struct or a map.
func (a *answering) valueDict(rows *statement.Rows, tag byte, depth int) (starlark.Value, error) {
	n := rows.Length()
	d := starlark.NewDict(min(n, 1024))
	for range n {
		key, err := a.value(rows, depth+1)
		if err != nil {
			return nil, err
		}
		v, err := a.value(rows, depth+1)
		if err != nil {
			return nil, err
		}
		if err := d.SetKey(key, v); err != nil {
			p := a.question.call.problem(codeTableData, "a MAP whose keys are lists or structs is no dict")
			p.Hint = "take map_entries(column) in the query"
			return nil, p
		}
	}
	return d, rows.Err()
}

// eachRow calls do with each row, until do returns more as false or an error.
func (c *call) eachRow(do func(*starlark.Dict) (more bool, err error)) (columns []statement.Column, err error) {
	a, err := c.ask(statement.AskRows, nil)
	if err != nil {
		return nil, err
	}
	defer a.drop()
	m := itemCounter{call: c}
	for {
		rows, done, err := a.next()
		if err != nil || done != nil {
			return a.columns, err
		}
		for rows.More() {
			if err := m.tick(); err != nil {
				return nil, err
			}
			row, err := a.rowDict(rows)
			if err != nil {
				return nil, c.gone(err)
			}
			if more, err := do(row); err != nil || !more {
				return a.columns, err
			}
		}
	}
}

func relationList(c *call) (starlark.Value, error) {
	var rows []starlark.Value
	_, err := c.eachRow(func(row *starlark.Dict) (bool, error) {
		rows = append(rows, row)
		return true, nil
	})
	if err != nil {
		return nil, err
	}
	return starlark.NewList(rows), nil
}

// onlyRow is the only row of the receiver.
func (c *call) onlyRow() (*starlark.Dict, error) {
	var only *starlark.Dict
	n := 0
	_, err := c.eachRow(func(row *starlark.Dict) (bool, error) {
		only = row
		n++
		return n < 2, nil
	})
	if err != nil {
		return nil, err
	}
	if n == 1 {
		return only, nil
	}
	p := c.problem(codeRows, "the relation has not exactly one row")
	p.Found, p.Wanted = "no row", "one row"
	if n > 1 {
		p.Found, p.Hint = "more than one", "LIMIT 1 with an ORDER BY takes the first; list() takes all"
	}
	p.Place = c.recv.(*relation).frame()
	return nil, p
}

func relationRow(c *call) (starlark.Value, error) {
	row, err := c.onlyRow()
	if err != nil {
		return nil, err
	}
	return row, nil
}

func relationValue(c *call) (starlark.Value, error) {
	row, err := c.onlyRow()
	if err != nil {
		return nil, err
	}
	if row.Len() != 1 {
		p := c.problem(codeRows, "the relation has not exactly one column")
		p.Found, p.Wanted, p.Hint = fmt.Sprintf("%d columns", row.Len()), "one column", "row() gives a dict of all"
		p.Place = c.recv.(*relation).frame()
		return nil, p
	}
	return row.Items()[0][1], nil
}

// finished asks something whose answer is in the end of the statement.
func (c *call) finished(what statement.Ask, set func(*question)) (*answering, *statement.Done, error) {
	a, err := c.ask(what, set)
	if err != nil {
		return nil, nil, err
	}
	rows, done, err := a.next()
	if err == nil && rows != nil {
		err = a.failed(statement.ErrBroken)
	}
	if err != nil {
		a.drop()
		return nil, nil, err
	}
	return a, done, nil
}

func relationCount(c *call) (starlark.Value, error) {
	a, done, err := c.finished(statement.AskCount, nil)
	if err != nil {
		return nil, err
	}
	a.drop()
	return starlark.MakeInt64(done.Rows), nil
}

func relationColumns(c *call) (starlark.Value, error) {
	if err := c.admit(); err != nil {
		return nil, err
	}
	a, _, err := c.finished(statement.AskColumns, nil)
	if err != nil {
		return nil, err
	}
	a.drop()
	out := make([]starlark.Value, len(a.columns))
	for i, column := range a.columns {
		out[i] = newStruct("name", starlark.String(column.Name), "type", starlark.String(column.Type))
	}
	return starlark.NewList(out), nil
}

func relationShow(c *call) (starlark.Value, error) {
	n, err := c.integer("rows", 10)
	if err != nil {
		return nil, err
	}
	if n < 1 || n > 1000 {
		return nil, c.refuse("rows", fmt.Sprint(n), "1 to 1000")
	}
	a, done, err := c.finished(statement.AskShow, func(q *question) { q.asked.Show = n })
	if err != nil {
		return nil, err
	}
	a.drop()
	for line := range strings.Lines(done.Text) {
		c.run.Log(Record{Level: slog.LevelInfo, Message: strings.ToValidUTF8(strings.TrimSuffix(line, "\n"), "\ufffd"), At: callerPosition(c.thread)})
	}
	return starlark.None, nil
}

// outputOf is how a file is written: by its suffix, unless it is said.
func (c *call) outputOf(p path, format, compression *string) (out statement.Output, err error) {
	var t statement.Table
	said := ""
	if format != nil {
		said = strings.ToLower(*format)
	}
	if problem := c.formatOf(p, said, &t); problem != nil {
		problem.Hint = "say it: format = \"csv\""
		return out, problem
	}
	out.Format, out.Delimiter, out.Compress = t.Format, t.Delimiter, t.Compress
	switch t.Format {
	case "parquet":
		out.Compress = "zstd"
	case "json":
		out.Array = true
	case "jsonl":
		out.Format = "json"
	}
	if compression == nil {
		return out, nil
	}
	known := []string{"gzip", "zstd", "none"}
	if out.Format == "parquet" {
		known = []string{"zstd", "snappy", "gzip", "lz4", "none"}
	}
	out.Compress = strings.ToLower(*compression)
	if !slices.Contains(known, out.Compress) {
		return out, c.refuse("compression", diag.Quote(*compression), "one of "+strings.Join(known, ", "))
	}
	if out.Compress == "none" {
		out.Compress = "uncompressed"
		if out.Format != "parquet" {
			out.Compress = "none"
		}
	}
	return out, nil
}

func relationWrite(c *call) (starlark.Value, error) {
	p, err := c.file("path")
	if err != nil {
		return nil, err
	}
	format, err := c.optionalText("format")
	if err != nil {
		return nil, err
	}
	compression, err := c.optionalText("compression")
	if err != nil {
		return nil, err
	}
	out, err := c.outputOf(p, format, compression)
	if err != nil {
		return nil, err
	}
	if c.arg("delimiter") != nil {
		if out.Delimiter, err = c.delimiterOf(); err != nil {
			return nil, err
		}
	}
	header, err := c.boolean("header", true)
	if err != nil {
		return nil, err
	}
	out.NoHeader = !header
	if out.RowGroup, err = c.integer("row_group_rows", 0); err != nil {
		return nil, err
	}
	if c.arg("row_group_rows") != nil && (out.RowGroup < 1 || out.RowGroup > 1<<30) {
		return nil, c.refuse("row_group_rows", fmt.Sprint(out.RowGroup), "1 to 1073741824")
	}
	a, done, err := c.finished(statement.AskWrite, func(q *question) {
		q.asked.Output = out
		q.need.Output = string(p)
	})
	if err != nil {
		return nil, err
	}
	if _, err := a.commit(); err != nil {
		return nil, err
	}
	return starlark.MakeInt64(done.Rows), nil
}

func relationParts(c *call) (starlark.Value, error) {
	p, err := c.file("folder")
	if err != nil {
		return nil, err
	}
	it, err := c.iterable("by")
	if err != nil {
		return nil, err
	}
	out := statement.Output{}
	err = c.each(it, func(x starlark.Value) error {
		name, ok := x.(starlark.String)
		if !ok || name == "" || len(out.By) == 20 {
			return c.refuse("by", diag.Shorten(x.String())+" in it", "names of columns, 20 at most")
		}
		out.By = append(out.By, string(name))
		return nil
	})
	if err != nil {
		return nil, err
	}
	if len(out.By) == 0 {
		return nil, c.refuse("by", "an empty list", "at least one column")
	}
	format, err := c.text("format", "parquet")
	if err != nil {
		return nil, err
	}
	switch format {
	case "parquet":
		out.Format, out.Compress = "parquet", "zstd"
	case "csv":
		out.Format = "csv"
	case "jsonl":
		out.Format = "json"
	default:
		return nil, c.refuse("format", diag.Quote(format), `"parquet", "csv" or "jsonl"`)
	}
	a, _, err := c.finished(statement.AskWrite, func(q *question) {
		q.asked.Output = out
		q.need.Output, q.need.Folder = string(p), true
	})
	if err != nil {
		return nil, err
	}
	paths, err := a.commit()
	if err != nil {
		return nil, err
	}
	values := make([]starlark.Value, len(paths))
	for i, name := range paths {
		values[i] = path(name)
	}
	return starlark.NewList(values), nil
}

// relationRows is what relation.rows() gives: every loop over it asks the engine
// anew.
type relationRows struct{ call *call }

var _ starlark.Iterable = (*relationRows)(nil)

func (s *relationRows) String() string        { return fmt.Sprintf("<rows of %s>", s.call.recv) }
func (s *relationRows) Type() string          { return "rows" }
func (s *relationRows) Freeze()               {}
func (s *relationRows) Truth() starlark.Bool  { return true }
func (s *relationRows) Hash() (uint32, error) { return 0, fmt.Errorf("unhashable: rows") }

func relationLoop(c *call) (starlark.Value, error) { return &relationRows{c}, nil }

// Iterate starts the statement. Its Done ends it: at the end, at a break, a
// return or an error.
func (s *relationRows) Iterate() starlark.Iterator {
	a, err := s.call.ask(statement.AskRows, nil)
	if err == nil {
		err = s.call.run.track(a)
		if err != nil {
			a.drop()
		}
	}
	if err != nil {
		s.call.run.stop(err)
		return &rowIterator{}
	}
	return &rowIterator{call: s.call, answer: a}
}

// closeAtEnd ends a loop that the body left open.
func (a *answering) closeAtEnd(context.Context) error {
	a.drop()
	return nil
}

type rowIterator struct {
	call   *call
	answer *answering // nil when there is nothing left
	rows   *statement.Rows
}

func (it *rowIterator) Next(x *starlark.Value) bool {
	if it.answer == nil {
		return false
	}
	for it.rows == nil || !it.rows.More() {
		rows, done, err := it.answer.next()
		if err != nil {
			it.call.run.stop(err)
		}
		if err != nil || done != nil {
			it.Done()
			return false
		}
		it.rows = rows
	}
	row, err := it.answer.rowDict(it.rows)
	if err != nil {
		it.Done()
		it.call.run.stop(it.call.gone(err))
		return false
	}
	*x = row
	return true
}

func (it *rowIterator) Done() {
	if it.answer != nil {
		it.answer.drop()
		it.call.run.untrack(it.answer)
		it.answer = nil
	}
}
