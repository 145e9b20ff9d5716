//go:build cgo

package tables

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"perago/starlib/diag"
	"perago/starlib/statement"
)

// A relation is a schema of its own, r0, r1 ...: its tables are views in it under
// their names, and what it gives is the view `result`. A view looks for names in
// its own schema first, so no relation sees the tables of another one.

func schema(relation int) string { return fmt.Sprintf("r%d", relation) }

// build makes the views of all relations.
func (s *session) build() *statement.Failure {
	for i := range s.asked.Relations {
		if f := s.buildRelation(i); f != nil {
			return f
		}
	}
	return nil
}

func (s *session) buildRelation(i int) *statement.Failure {
	r := &s.asked.Relations[i]
	in, f := s.db.inspect(r.Query)
	if f == nil {
		f = known(r, in)
	}
	if f != nil {
		f.Relation = i
		return f
	}
	if err := s.db.exec("CREATE SCHEMA " + schema(i)); err != nil {
		return s.failed(err, i, nil)
	}
	for _, t := range r.Tables {
		if f := s.buildTable(i, t); f != nil {
			f.Relation = i
			return f
		}
	}
	for _, a := range r.Args {
		text := "NULL"
		if !a.None {
			text = "$1"
		}
		sql := fmt.Sprintf("SET VARIABLE %s = CAST(%s AS %s)", name(variable(i, a.Name)), text, a.Type)
		var err error
		if a.None {
			err = s.db.exec(sql)
		} else {
			err = s.db.exec(sql, a.Text)
		}
		if err != nil {
			return s.failed(err, i, nil)
		}
	}
	return s.buildResult(i, r, in)
}

// variable is what the argument of a relation is called in the engine.
func variable(relation int, arg string) string { return fmt.Sprintf("r%d:%s", relation, arg) }

// known says whether all that a query names was given.
func known(r *statement.Relation, in *inquiry) *statement.Failure {
	for _, t := range in.tables {
		if in.pivots || slices.ContainsFunc(r.Tables, func(given statement.Table) bool { return strings.EqualFold(given.Name, t) }) {
			continue
		}
		at := slices.IndexFunc(in.reads, func(m mention) bool { return m.what == t })
		f := &statement.Failure{Kind: statement.Names, Message: "the query reads `" + t + "`, and no table of that name was given", Offset: in.reads[at].at, Near: diag.Nearest(t, r.Given)}
		if f.Near == "" {
			f.Hint = fmt.Sprintf("give it by keyword: sql(..., %s = workspace / \"...\")", t)
		}
		return f
	}
	var args []string
	for _, a := range r.Args {
		args = append(args, a.Name)
	}
	for _, p := range in.parameters {
		if !slices.Contains(args, p) {
			return missingArg(r.Query, p, args)
		}
	}
	return nil
}

func missingArg(query, parameter string, args []string) *statement.Failure {
	f := &statement.Failure{Kind: statement.Names, Message: "the query has $" + parameter + ", and args has no such key", Offset: -1, Near: diag.Nearest(parameter, args)}
	for _, token := range statement.Scan(query) {
		if token.Kind == statement.Parameter && token.Text == parameter {
			f.Offset = token.Start
			break
		}
	}
	if strings.Trim(parameter, "0123456789") == "" { // $1, or ?
		f.Message, f.Hint = "an argument of a query has a name", "write $name, and give it in args = {\"name\": ...}"
	}
	return f
}

// buildResult makes the view of a query.
func (s *session) buildResult(i int, r *statement.Relation, in *inquiry) *statement.Failure {
	query, place := bindArgs(i, r.Query)
	lead, tail := "CREATE VIEW "+schema(i)+".result AS ", ""
	if in.pivots {
		// Its columns are made of the data: the tables are read now.
		if err := s.db.exec("SET search_path = " + literal(schema(i))); err != nil {
			return s.failed(err, i, nil)
		}
		lead = "CREATE TABLE " + schema(i) + ".result AS "
	}
	if shows(query) {
		lead, tail = lead+"FROM (", "\n)"
	}
	run := func(sql string) error { return s.db.exec(sql) }
	if in.pivots {
		run = s.db.script // it is several statements to DuckDB
	}
	if err := run(lead + query + tail); err != nil {
		return s.failed(err, i, func(offset int) int { return place(offset - len(lead)) })
	}
	if in.pivots {
		if err := s.db.exec("SET search_path = 'main'"); err != nil {
			return s.failed(err, i, nil)
		}
	}
	return nil
}

// shows says whether a query is a DESCRIBE or SUMMARIZE, which is no query to a
// view unless it stands in parentheses.
func shows(query string) bool {
	for _, token := range statement.Scan(query) {
		if token.Kind != statement.Word {
			return false
		}
		return slices.Contains([]string{"describe", "desc", "summarize", "show"}, strings.ToLower(token.Text))
	}
	return false
}

// bindArgs puts the engine's variables in the place of $name, and takes a last
// semicolon off. place maps an offset back into the query; -1 is outside of it.
func bindArgs(relation int, query string) (bound string, place func(int) int) {
	type piece struct{ from, to, at int } // of the query, and where it is in bound
	var b strings.Builder
	var pieces []piece
	copied := 0
	add := func(to int) {
		pieces = append(pieces, piece{copied, to, b.Len()})
		b.WriteString(query[copied:to])
	}
	tokens := statement.Scan(query)
	end := len(query)
	for len(tokens) > 0 && tokens[len(tokens)-1].Text == ";" && tokens[len(tokens)-1].Kind == statement.Symbol {
		end = tokens[len(tokens)-1].Start
		tokens = tokens[:len(tokens)-1]
	}
	for _, token := range tokens {
		if token.Kind == statement.Parameter {
			add(token.Start)
			pieces = append(pieces, piece{token.Start, token.Start, b.Len()})
			b.WriteString("getvariable(" + literal(variable(relation, token.Text)) + ")")
			copied = token.End
		}
	}
	add(end)
	return b.String(), func(offset int) int {
		if offset < 0 || offset > b.Len() {
			return -1
		}
		i := len(pieces) - 1
		for i > 0 && pieces[i].at > offset {
			i--
		}
		return min(pieces[i].from+offset-pieces[i].at, pieces[i].to)
	}
}

// buildTable makes the view of one table.
func (s *session) buildTable(i int, t statement.Table) *statement.Failure {
	var source string
	var err error
	switch {
	case t.Relation > 0 && t.Relation <= i:
		source = "FROM " + schema(t.Relation-1) + ".result"
	case t.Rows:
		source = s.rowsSource(t)
	case len(t.Files) == 0:
		return &statement.Failure{Kind: statement.Internal, Message: "table " + t.Name + " is of nothing", Offset: -1}
	case t.Format == "parquet":
		source, err = s.parquetSource(t)
	case t.Format == "csv":
		source, err = s.csvSource(t)
	case t.Format == "json":
		source, err = s.jsonSource(t)
	default:
		return &statement.Failure{Kind: statement.Internal, Message: "table " + t.Name + " is of an unknown format", Offset: -1}
	}
	if err == nil {
		err = s.db.exec("CREATE VIEW " + schema(i) + "." + name(t.Name) + " AS " + source)
	}
	if err == nil {
		return nil
	}
	var of *dbError
	f := s.failed(err, i, nil)
	if !errors.As(err, &of) {
		f.Message = "table " + t.Name + ": " + f.Message
		return f
	}
	if f.Kind == statement.Names || f.Kind == statement.Syntax || f.Kind == statement.Refused {
		f.Kind = statement.Data // the text was perago's own
		f.Message, _ = s.words(understand(err).Message)
	}
	f.Message = "table " + t.Name + ": " + f.Message
	return f
}

// rowsSource reads the rows that the body sent. JSON has no bytes: they come as
// text that a cast makes bytes of.
func (s *session) rowsSource(t statement.Table) string {
	path := s.inline[0]
	s.inline = s.inline[1:]
	read := make([]statement.Column, len(t.Columns))
	var casts []string
	for i, c := range t.Columns {
		read[i] = statement.Column{Name: c.Name, Type: withoutBytes(c.Type)}
		if read[i] != c {
			casts = append(casts, fmt.Sprintf("CAST(%s AS %s) AS %s", name(c.Name), c.Type, name(c.Name)))
		}
	}
	source := fmt.Sprintf("FROM read_json(%s, format = 'newline_delimited', columns = %s)", literal(path), columns(read))
	if len(casts) > 0 {
		source = "SELECT * REPLACE (" + strings.Join(casts, ", ") + ") " + source
	}
	return source
}

// withoutBytes is a type with VARCHAR in the place of BLOB.
func withoutBytes(t string) string {
	var b strings.Builder
	copied := 0
	for _, token := range statement.Scan(t) {
		if token.Kind == statement.Word && strings.EqualFold(token.Text, "BLOB") {
			b.WriteString(t[copied:token.Start] + "VARCHAR")
			copied = token.End
		}
	}
	return b.String() + t[copied:]
}

// columns writes types of columns as SQL: {'id': 'BIGINT'}.
func columns(all []statement.Column) string {
	parts := make([]string, len(all))
	for i, c := range all {
		parts[i] = literal(c.Name) + ": " + literal(c.Type)
	}
	return "{" + strings.Join(parts, ", ") + "}"
}

// opened are the names under which the engine opens the files of a table.
func (s *session) opened(t statement.Table) ([]string, error) {
	out := make([]string, len(t.Files))
	for i, f := range t.Files {
		if f.Index < 0 || f.Index >= len(s.job.Files) {
			return nil, fmt.Errorf("file %d of %d", f.Index, len(s.job.Files))
		}
		out[i] = s.job.Files[f.Index]
	}
	return out, nil
}

// options are the arguments of a reader beside the files.
type options []string

func (o *options) add(key, value string) { *o = append(*o, key+" = "+value) }

// shared are the options that every reader knows.
func shared(t statement.Table) (o options) {
	if t.Hive {
		o.add("hive_partitioning", "true")
	} else {
		o.add("hive_partitioning", "false")
	}
	if t.ByName {
		o.add("union_by_name", "true")
	}
	if t.FileName != "" {
		o.add("filename", literal(t.FileName))
	}
	return o
}

// read calls a reader. The name of the file, where it is a column, is its path in
// the workspace again.
func (s *session) read(reader string, files []string, o options, t statement.Table) string {
	source := fmt.Sprintf("FROM %s(%s)", reader, strings.Join(append([]string{list(files)}, o...), ", "))
	if t.FileName == "" {
		return source
	}
	column := name(t.FileName)
	return fmt.Sprintf("SELECT * REPLACE (url_decode(substr(%s, %d)) AS %s) %s", column, len(s.job.Links)+2, column, source)
}

func (s *session) parquetSource(t statement.Table) (string, error) {
	files, err := s.opened(t)
	return s.read("read_parquet", files, shared(t), t), err
}

// jsonSource infers the types once, over all of every file, and pins them.
func (s *session) jsonSource(t statement.Table) (string, error) {
	files, err := s.opened(t)
	if err != nil {
		return "", err
	}
	var o options
	format := "auto"
	if len(t.Files) > 0 && !strings.Contains(strings.ToLower(lastPart(t.Files[0].Path)), ".json.") && !strings.HasSuffix(strings.ToLower(t.Files[0].Path), ".json") {
		format = "newline_delimited"
	}
	o.add("format", literal(format))
	o.add("compression", literal(compression(t)))
	inferred, err := s.db.texts(fmt.Sprintf("SELECT column_name, column_type FROM (DESCRIBE FROM read_json(%s, %s, hive_partitioning = false, sample_size = -1, maximum_sample_files = %d, union_by_name = true))",
		list(files), strings.Join(o, ", "), len(files)))
	if err != nil {
		return "", err
	}
	pinned := make([]statement.Column, len(inferred))
	for i, row := range inferred {
		pinned[i] = statement.Column{Name: row[0], Type: row[1]}
	}
	if pinned, err = overridden(pinned, t.Columns); err != nil {
		return "", err
	}
	o.add("columns", columns(pinned))
	return s.read("read_json", files, append(o, shared(t)...), t), nil
}

func lastPart(path string) string { return path[strings.LastIndexByte(path, '/')+1:] }

// compression is that of a table's files, as DuckDB calls it.
func compression(t statement.Table) string {
	switch {
	case t.Compress != "":
		return t.Compress
	case t.Format == "json":
		return "uncompressed"
	}
	return "none"
}

// overridden are columns with the types that the table says.
func overridden(inferred, said []statement.Column) ([]statement.Column, error) {
	var names []string
	for _, c := range inferred {
		names = append(names, c.Name)
	}
	for _, c := range said {
		i := slices.IndexFunc(inferred, func(have statement.Column) bool { return strings.EqualFold(have.Name, c.Name) })
		if i < 0 {
			return nil, &statement.Failure{Kind: statement.Names, Message: fmt.Sprintf("columns names %q, and the file has no such column", c.Name), Offset: -1, Near: diag.Nearest(c.Name, names)}
		}
		inferred[i].Type = c.Type
	}
	return inferred, nil
}

// dialect is how a CSV file is written, as far as it was found out, and what is in it.
type dialect struct {
	form    []formOption
	given   options // that the table says, beside its form
	columns []statement.Column
}

// formOption is an option of read_csv that was found out. Of some it is only
// known where the file has what they are about: "" is not known.
type formOption struct{ key, value string }

// options are those of read_csv that say the form.
func (d *dialect) options() (o options) {
	for _, f := range d.form {
		switch {
		case f.key == "skip" || f.key == "header":
			o.add(f.key, f.value)
		case f.value != "" || !strings.HasSuffix(f.key, "format"):
			o.add(f.key, literal(f.value))
		}
	}
	return append(o, d.given...)
}

// withFrom is the form of all, with the formats of times of the file itself.
func (d *dialect) withFrom(all *dialect) []formOption {
	form := slices.Clone(all.form)
	for i := range form {
		if strings.HasSuffix(form[i].key, "format") {
			form[i] = d.form[i]
		}
	}
	return form
}

// has says whether a column is of a type.
func (d *dialect) has(kind string) bool {
	return slices.ContainsFunc(d.columns, func(c statement.Column) bool { return c.Type == kind })
}

// agree makes one form of those of two files, or says why there is none: read in
// the form of another file, rows go missing without an error.
func (d *dialect) agree(other *dialect, t statement.Table, file int) error {
	for i, have := range d.form {
		next := other.form[i]
		unknown, unknownNext := have.value == "", next.value == ""
		if kind, is := map[string]string{"dateformat": "DATE", "timestampformat": "TIMESTAMP"}[have.key]; is {
			unknown, unknownNext = !d.has(kind), !other.has(kind)
		}
		switch {
		case have.value == next.value || unknownNext:
		case unknown:
			d.form[i] = next
		default:
			return twoForms(t, 0, file, fmt.Sprintf("%s is %q in the one and %q in the other", have.key, have.value, next.value))
		}
	}
	return nil
}

// twoForms is the error of files that cannot be read as one table.
func twoForms(t statement.Table, one, other int, how string) error {
	return &statement.Failure{Kind: statement.Data, Offset: -1,
		Message: fmt.Sprintf("%s and %s are CSV of two forms: %s", t.Files[one].Path, t.Files[other].Path, how),
		Hint:    "say the form, table(paths, delimiter = \",\", header = True), or read each as a table of its own"}
}

// sameRows says whether a file has the same rows in a form as in its own.
func (s *session) sameRows(file string, own, form *dialect) (bool, error) {
	sum := func(d *dialect) (string, error) {
		o := append(d.options(), "auto_detect = false", "columns = "+columns(own.columns))
		rows, err := s.db.texts(fmt.Sprintf("SELECT concat(count(*), ' ', sum(hash(c))) FROM read_csv(%s, %s) AS c", literal(file), strings.Join(o, ", ")))
		if err != nil {
			return "", err
		}
		return rows[0][0], nil
	}
	mine, err := sum(own)
	if err != nil {
		return false, err
	}
	theirs, err := sum(form)
	return err == nil && mine == theirs, nil
}

// csvSource finds out the form and the types once, over all of every file, and
// pins both: to find out is most of the work, and a query is bound three times.
func (s *session) csvSource(t statement.Table) (string, error) {
	files, err := s.opened(t)
	if err != nil {
		return "", err
	}
	var first *dialect
	own := make([]*dialect, len(files))
	for i, file := range files {
		d, err := s.sniff(t, file)
		if err != nil {
			return "", err
		}
		own[i] = d
		if i == 0 {
			first = &dialect{slices.Clone(d.form), d.given, slices.Clone(d.columns)}
			continue
		}
		all, err := united(slices.Clone(first.columns), d.columns, t, i)
		if err == nil {
			err = first.agree(d, t, i)
		}
		if err != nil {
			return "", err
		}
		first.columns = all
	}
	for i, d := range own {
		// What is not known of a file, such as its quote, may still mean something in it.
		at := slices.IndexFunc(d.form, func(f formOption) bool {
			return f.value == "" && !strings.HasSuffix(f.key, "format") && !slices.Contains(first.form, f)
		})
		if at < 0 {
			continue
		}
		same, err := s.sameRows(files[i], d, &dialect{form: d.withFrom(first), given: d.given})
		if err != nil {
			return "", err
		}
		if !same {
			other := slices.IndexFunc(own, func(o *dialect) bool { return o.form[at].value != "" })
			return "", twoForms(t, other, i, fmt.Sprintf("%s is %q in the one and means something else in the other", d.form[at].key, own[other].form[at].value))
		}
	}
	pinned, err := overridden(first.columns, t.Columns)
	if err != nil {
		return "", err
	}
	o := first.options()
	if t.ByName {
		// Each file has its own columns: their types are pinned, not their places.
		o.add("types", columns(pinned))
		o.add("sample_size", "-1")
	} else {
		o.add("auto_detect", "false")
		o.add("columns", columns(pinned))
	}
	return s.read("read_csv", files, append(o, shared(t)...), t), nil
}

// sniff finds out how one CSV file is written, and its types, over all of it.
func (s *session) sniff(t statement.Table, file string) (*dialect, error) {
	var given options
	given.add("compression", literal(compression(t)))
	if t.Delimiter != "" {
		given.add("delim", literal(t.Delimiter))
	}
	if t.Header != nil {
		given.add("header", fmt.Sprint(*t.Header))
	}
	if t.Null != nil {
		given.add("nullstr", literal(*t.Null))
	}
	if t.Encoding != "" {
		given.add("encoding", literal(t.Encoding))
	}
	rows, err := s.db.texts(fmt.Sprintf(`SELECT Delimiter, Quote, Escape, "Comment", SkipRows::VARCHAR, HasHeader::VARCHAR, to_json(Columns)::VARCHAR, coalesce(DateFormat, ''), coalesce(TimestampFormat, '')
		FROM sniff_csv(%s, sample_size = -1, %s)`, literal(file), strings.Join(given, ", ")))
	if err != nil {
		return nil, err
	}
	row := rows[0]
	none := func(s string) string { // how the sniffer writes that there is none
		if s == "(empty)" {
			return ""
		}
		return s
	}
	d := &dialect{form: []formOption{{"compression", compression(t)}, {"delim", row[0]}, {"quote", none(row[1])}, {"escape", none(row[2])}, {"comment", none(row[3])},
		{"skip", row[4]}, {"header", row[5]}, {"dateformat", row[7]}, {"timestampformat", row[8]}}}
	if t.Null != nil {
		d.given.add("nullstr", literal(*t.Null))
	}
	if t.Encoding != "" {
		d.given.add("encoding", literal(t.Encoding))
	}
	var found []struct{ Name, Type string }
	if err := json.Unmarshal([]byte(row[6]), &found); err != nil {
		return nil, err
	}
	for _, c := range found {
		d.columns = append(d.columns, statement.Column{Name: c.Name, Type: c.Type})
	}
	return d, nil
}

// united are the columns of one CSV table whose files so far have the first ones
// and whose next has the second ones.
func united(first, second []statement.Column, t statement.Table, file int) ([]statement.Column, error) {
	place := func(c statement.Column) func(statement.Column) bool {
		return func(have statement.Column) bool { return have.Name == c.Name }
	}
	if !t.ByName {
		same := len(first) == len(second)
		for i := range min(len(first), len(second)) {
			same = same && first[i].Name == second[i].Name
		}
		if !same {
			return nil, &statement.Failure{Kind: statement.Data, Offset: -1, Message: fmt.Sprintf("%s has other columns than %s", t.Files[file].Path, t.Files[0].Path),
				Hint: "table(paths, by_name = True) unites them by their names"}
		}
	}
	for _, c := range second {
		i := slices.IndexFunc(first, place(c))
		if i < 0 {
			first = append(first, c)
			continue
		}
		first[i].Type = wider(first[i].Type, c.Type)
	}
	return first, nil
}

// wider is a type that holds the values of both.
func wider(a, b string) string {
	numbers := []string{"BIGINT", "DOUBLE"}
	switch {
	case a == b:
		return a
	case slices.Contains(numbers, a) && slices.Contains(numbers, b):
		return "DOUBLE"
	case a == "DATE" && b == "TIMESTAMP", a == "TIMESTAMP" && b == "DATE":
		return "TIMESTAMP"
	}
	return "VARCHAR"
}
