package starlib

import (
	"fmt"
	"slices"
	"strings"
	"sync"

	"go.starlark.net/starlark"

	"perago/starlib/diag"
	"perago/starlib/statement"
)

// Codes of sql(...) and table(...).
const (
	codeNoTables  diag.Code = "P4180" // this perago has no engine of statements
	codeQuery     diag.Code = "P4181" // a query that is none, or asks for what it may not
	codeNames     diag.Code = "P4182" // a query with a name or a type that does not fit its tables
	codeTableData diag.Code = "P4183" // data that does not fit its table
	codeTableMost diag.Code = "P4184" // more memory or disk than an attempt has
	codeEngine    diag.Code = "P4185" // the engine ended without an answer
	codeTable     diag.Code = "P4186" // a table that is none
	codeRows      diag.Code = "P4187" // another number of rows than the one that was asked for
)

const (
	// maxRelations bounds the relations that one statement is made of.
	maxRelations = 200
	// maxQuery bounds the text of one query, in bytes.
	maxQuery = 1 << 20
	// maxNamedTables bounds the tables of one query.
	maxNamedTables = 200
)

// relation is what sql gives: a query and its tables. It has no rows; each time
// that something is asked of it, an engine makes them.
type relation struct {
	call   *call // that made it
	at     Position
	query  string
	args   []statement.Arg
	tables []namedTable // in the order of the call
}

// namedTable is a table under the name that a query knows.
type namedTable struct {
	name   string
	source *tableSource
}

var _ starlark.HasAttrs = (*relation)(nil)

func (r *relation) String() string {
	return fmt.Sprintf("<relation %s>", diag.Quote(strings.Join(strings.Fields(r.query), " ")))
}
func (r *relation) Type() string          { return "relation" }
func (r *relation) Freeze()               {}
func (r *relation) Truth() starlark.Bool  { return true }
func (r *relation) Hash() (uint32, error) { return 0, fmt.Errorf("unhashable: relation") }

var relationMembers = sync.OnceValue(func() members { return membersOf(relationBuiltins()) })

func (r *relation) Attr(name string) (starlark.Value, error) {
	if name == "columns" { // a property that does work: its errors are those of a call
		return relationMembers().rows[name].property(r)
	}
	return relationMembers().attr(r, name)
}

func (r *relation) AttrNames() []string { return relationMembers().names }

// property reads a property that acts.
func (b *Builtin) property(r *relation) (starlark.Value, error) {
	return b.call(&call{builtin: b, recv: r, run: r.call.run, thread: r.call.thread})
}

// tableBuiltins are what makes relations.
func tableBuiltins() []Builtin {
	return []Builtin{
		{Name: "sql", Phase: Act, Returns: "relation", call: makeRelation, Params: []Param{
			{Name: "query", Type: "string", Doc: "one SELECT in DuckDB's SQL; WITH, VALUES, FROM-first, PIVOT, UNPIVOT, DESCRIBE and SUMMARIZE are fine"},
			{Name: "args", Type: "dict", Default: "{}", Doc: "values that the query has as `$name`: bound, never pasted into its text"},
			{Name: "tables", Type: "path, list of paths, table, relation, or list of dicts", Kind: KeywordRest, Doc: "the tables, under the names that the query has for them"},
		}, Doc: "A query over tables: files of the workspace, other relations, lists of dicts. Nothing runs until something is asked of the relation; " +
			"then an engine (DuckDB) does the work in a process of its own, which reaches the files of its tables and nothing else. Only the files of tables that the " +
			"query names are fetched. Functions that give another answer in every run (`random()`, `now()`) are refused. A text of the query stands in single quotes.",
			Example: "sql(\"SELECT song, count(*) AS plays FROM plays GROUP BY song ORDER BY song\", plays = workspace.glob(\"raw/**/*.parquet\"))"},
		{Name: "table", Phase: Act, Returns: "table", call: makeTable, Params: []Param{
			{Name: "source", Type: "path, list of paths, or list of dicts", Doc: "files of one format, or rows"},
			{Name: "format", Type: "string", Default: "None", Kind: KeywordOnly, Doc: "`\"parquet\"`, `\"csv\"`, `\"tsv\"`, `\"json\"` or `\"jsonl\"`; None: what the suffix says"},
			{Name: "columns", Type: "dict", Default: "None", Kind: KeywordOnly, Doc: "types of columns that are not to be inferred: `{\"id\": \"BIGINT\"}`"},
			{Name: "delimiter", Type: "string", Default: "None", Kind: KeywordOnly, Doc: "of CSV; None: what the file has"},
			{Name: "header", Type: "bool", Default: "None", Kind: KeywordOnly, Doc: "whether the first line of CSV has the names; None: what it looks like"},
			{Name: "null", Type: "string", Default: "None", Kind: KeywordOnly, Doc: "the field of CSV that means NULL, beside the empty one"},
			{Name: "encoding", Type: "string", Default: "None", Kind: KeywordOnly, Doc: "of CSV: `\"utf-8\"`, `\"utf-16\"` or `\"latin-1\"`"},
			{Name: "hive", Type: "bool", Default: "False", Kind: KeywordOnly, Doc: "whether folders `year=2026/` are columns"},
			{Name: "by_name", Type: "bool", Default: "False", Kind: KeywordOnly, Doc: "whether files with different columns are united by the names of these"},
			{Name: "file_name", Type: "string", Default: "None", Kind: KeywordOnly, Doc: "a column with the path of each row's file"},
		}, Doc: "A table for `sql`, where it has to be said how files are read, or of what types rows are. Without it, the format is that of the suffix: `.parquet`, `.csv`, `.tsv`, " +
			"`.json`, `.jsonl`, `.ndjson`, the text forms also with `.gz` or `.zst` behind it; the types of CSV and JSON are inferred over all of every file.",
			Example: "sql(\"SELECT * FROM t\", t = table(workspace / \"raw/t.csv\", delimiter = \";\", columns = {\"id\": \"BIGINT\"}))"},
	}
}

// relationBuiltins are the members of a relation.
func relationBuiltins() []Builtin {
	method := func(name, returns, doc, example string, do func(*call) (starlark.Value, error), params ...Param) Builtin {
		return Builtin{Name: "relation." + name, Phase: Act, Method: true, Params: params, Returns: returns, Doc: doc, Example: example, call: do}
	}
	target := func(doc string) Param { return Param{Name: "path", Type: "path", Doc: doc} }
	return []Builtin{
		{Name: "relation.columns", Phase: Act, Method: true, Property: true, Returns: "list of struct", call: relationColumns,
			Doc: "The columns, each a struct with `name` and `type` as SQL writes it. Of Parquet no row is read."},
		method("rows", "rows", "The rows, to loop over, each a dict, in constant memory. Each loop asks the engine anew; a `break` ends it.",
			"for row in sql(\"SELECT * FROM t\", t = workspace / \"raw/t.parquet\").rows():\n    print(row[\"id\"])", relationLoop),
		method("row", "dict", "The only row. None, or more than one, is an error.", "", relationRow),
		method("value", "any", "The only value of the only row.", "sql(\"SELECT count(*) FROM t\", t = workspace / \"raw/t.parquet\").value()", relationValue),
		method("list", "list of dict", "All rows, in the memory of the body.", "", relationList),
		method("count", "int", "How many rows there are.", "", relationCount),
		method("write", "int", "Writes all rows into one file, in one step, and returns how many they are. The engine writes: the rows do not pass through the body.",
			"sql(\"SELECT * FROM t\", t = workspace / \"raw/t.csv\").write(workspace / \"out/t.parquet\")", relationWrite, target("the file to replace; its folders are made"),
			Param{Name: "format", Type: "string", Default: "None", Kind: KeywordOnly, Doc: "`\"parquet\"`, `\"csv\"`, `\"tsv\"`, `\"json\"` (one array) or `\"jsonl\"`; None: what the suffix says"},
			Param{Name: "compression", Type: "string", Default: "None", Kind: KeywordOnly, Doc: "of Parquet `\"zstd\"` (what None is), `\"snappy\"`, `\"gzip\"`, `\"lz4\"` or `\"none\"`; of text `\"gzip\"`, `\"zstd\"` or `\"none\"`, where None is what the suffix says"},
			Param{Name: "row_group_rows", Type: "int", Default: "122880", Kind: KeywordOnly, Doc: "of Parquet: rows in one group"},
			Param{Name: "delimiter", Type: "string", Default: `","`, Kind: KeywordOnly, Doc: "of CSV: one character"},
			Param{Name: "header", Type: "bool", Default: "True", Kind: KeywordOnly, Doc: "of CSV: whether the first line has the names"}),
		method("write_parts", "list of path", "Writes one folder `key=value/` for each group of values, all at once: what was in the folder before is gone. Returns the paths.",
			"sql(\"SELECT * FROM t\", t = workspace / \"raw/t.csv\").write_parts(workspace / \"out\", by = [\"year\"])", relationParts,
			Param{Name: "folder", Type: "path", Doc: "the folder to replace"},
			Param{Name: "by", Type: "list of string", Kind: KeywordOnly, Doc: "columns whose values make the folders"},
			Param{Name: "format", Type: "string", Default: `"parquet"`, Kind: KeywordOnly, Doc: "`\"parquet\"`, `\"csv\"` or `\"jsonl\"`"}),
		method("show", "None", "Logs the first rows as a small table.", "", relationShow, Param{Name: "rows", Type: "int", Default: "10", Doc: "how many, 1000 at most"}),
	}
}

func makeRelation(c *call) (starlark.Value, error) {
	query, err := c.text("query", "")
	if err != nil {
		return nil, err
	}
	if c.run.Tables == nil {
		return nil, noTables(c)
	}
	if len(query) > maxQuery || len(c.kwrest) > maxNamedTables {
		p := c.problem(codeTooMuch, "the query is too large")
		p.Found, p.Wanted = fmt.Sprintf("%d bytes, %d tables", len(query), len(c.kwrest)), fmt.Sprintf("at most %d bytes, %d tables", maxQuery, maxNamedTables)
		return nil, p
	}
	r := &relation{call: c, at: callerPosition(c.thread), query: query}
	if r.args, err = c.sqlArgs(); err != nil {
		return nil, err
	}
	for _, kw := range c.kwrest {
		name := string(kw[0].(starlark.String))
		if slices.ContainsFunc(r.tables, func(t namedTable) bool { return strings.EqualFold(t.name, name) }) {
			p := c.problem(codeTable, "the table `%s` is given twice: SQL does not tell capitals apart", diag.Shorten(name))
			p.Argument = name
			return nil, p
		}
		s, err := c.sourceOf(name, kw[1])
		if err != nil {
			return nil, err
		}
		r.tables = append(r.tables, namedTable{name, s})
	}
	return r, nil
}

// noTables is the error of a perago without an engine.
func noTables(c *call) error {
	p := c.problem(codeNoTables, "this perago was built without tables")
	p.Hint = "build it with cgo (CGO_ENABLED=1 and a C compiler); `perago version` says whether tables are there"
	return p
}

// sqlArgs are the values of args, typed.
func (c *call) sqlArgs() ([]statement.Arg, error) {
	given := c.arg("args")
	if given == nil || given == starlark.None {
		return nil, nil
	}
	dict, ok := given.(starlark.IterableMapping)
	if !ok {
		return nil, c.wrongType("args", given)
	}
	var out []statement.Arg
	for _, item := range dict.Items() {
		key, ok := item[0].(starlark.String)
		if !ok || !isSQLName(string(key)) {
			return nil, c.refuse("args", "the key "+diag.Shorten(item[0].String()), "names of letters, digits and `_`, as the query has them behind `$`")
		}
		t, text, err := sqlText(item[1], 0)
		if err != nil {
			p := c.refuse("args", diag.TypeName(item[1])+" for $"+diag.Shorten(string(key)), "None, a bool, a number, a string, bytes, a time, or a list of such")
			p.Hint = err.Error()
			return nil, p
		}
		out = append(out, statement.Arg{Name: string(key), Type: t, Text: text, None: item[1] == starlark.None})
	}
	return out, nil
}

// isSQLName says whether s may stand behind a $.
func isSQLName(s string) bool {
	tokens := statement.Scan("$" + s)
	return len(tokens) == 1 && tokens[0].Kind == statement.Parameter && tokens[0].Text == s && (s[0] < '0' || s[0] > '9')
}
