//go:build cgo

package tables

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"unicode"

	"perago/starlib/statement"
)

// inquiry is what the parse tree of a query says.
type inquiry struct {
	tables     []string // that it reads, CTEs apart, as written
	parameters []string
	pivots     bool // its columns depend on the data: no view can be made of it

	ctes   []string
	reads  []mention // of tables, before CTEs are known
	faults []mention // what a body may not ask, and where
}

// mention is something of a query and where it stands, in bytes.
type mention struct {
	what string
	hint string
	at   int
}

// inspect judges a query by its parse tree, without running or binding it. The
// error is a *statement.Failure.
func (d *db) inspect(query string) (*inquiry, *statement.Failure) {
	if f := unclear(query); f != nil {
		return nil, f
	}
	rows, err := d.texts("SELECT json_serialize_sql($1::VARCHAR)::VARCHAR", query)
	if err != nil {
		t := understand(err)
		return nil, &statement.Failure{Kind: statement.Syntax, Message: t.Message, Offset: -1}
	}
	var parsed struct {
		Error      bool   `json:"error"`
		Message    string `json:"error_message"`
		Type       string `json:"error_type"`
		Position   string `json:"position"`
		Statements []any  `json:"statements"`
	}
	if err := json.Unmarshal([]byte(rows[0][0]), &parsed); err != nil {
		return nil, &statement.Failure{Kind: statement.Syntax, Message: "the query nests too deep", Offset: -1}
	}
	switch {
	case parsed.Error && parsed.Type == "parser":
		f := &statement.Failure{Kind: statement.Syntax, Message: parsed.Message, Offset: -1}
		fmt.Sscan(parsed.Position, &f.Offset)
		if strings.Contains(query, "?") && strings.Contains(f.Message, `"?"`) {
			f.Hint = "write $name, and give it in args"
		}
		return nil, f
	case parsed.Error:
		return d.inspectPivot(query)
	case len(parsed.Statements) != 1:
		return nil, severalStatements(len(parsed.Statements))
	}
	in := &inquiry{}
	in.walk(parsed.Statements[0])
	return in.judge()
}

// unclear refuses what statement.Scan takes apart in another way than the engine:
// spaces of other scripts outside of texts and names in quotes, and a text that
// goes on behind an end of line.
func unclear(query string) *statement.Failure {
	tokens := statement.Scan(query)
	for i, token := range tokens {
		if token.Kind == statement.String && query[token.Start] == '\'' && i > 0 && tokens[i-1].Kind == statement.String && strings.ContainsRune("eE", rune(query[tokens[i-1].Start])) {
			// To DuckDB the second goes on with the first, backslashes and all.
			return &statement.Failure{Kind: statement.Syntax, Message: "a text follows a text like e'...'", Hint: "write them as one, or || in between", Offset: token.Start}
		}
		if token.Kind != statement.Word && token.Kind != statement.Parameter {
			continue
		}
		i := strings.IndexFunc(token.Text, func(r rune) bool {
			return unicode.IsSpace(r) || r >= 0x2000 && r <= 0x200f || r == 0x2060 || r == 0xfeff
		})
		if i >= 0 {
			return &statement.Failure{Kind: statement.Syntax, Message: "the query has a space that is not the plain one", Hint: "write it anew: it was copied out of a document", Offset: token.Start}
		}
	}
	return nil
}

// inspectPivot judges what has no parse tree: a PIVOT whose columns come out of
// the data, or no SELECT at all. Of the former its words are looked at.
func (d *db) inspectPivot(query string) (*inquiry, *statement.Failure) {
	if n := statements(query); n > 1 {
		return nil, severalStatements(n)
	}
	err := d.exec("CREATE VIEW perago_pivot AS " + query)
	if err == nil || !strings.Contains(err.Error(), "PIVOT statements with pivot elements extracted from the data") {
		return nil, &statement.Failure{Kind: statement.Refused, Message: "sql() takes a SELECT, and this is " + firstWords(query), Offset: start(query),
			Hint: "a statement reads tables; what it makes is written with .write(path)"}
	}
	in := &inquiry{pivots: true}
	in.words(query)
	if f := in.firstFault(); f != nil {
		return nil, f
	}
	for _, r := range in.reads { // more than the tables: a PIVOT does not say which they are
		in.tables = append(in.tables, r.what)
	}
	return in, nil
}

// words judges a PIVOT without IN by its words alone: what they might mean is
// refused, and IN, or another name, is the way around.
func (in *inquiry) words(query string) {
	const around = "name the columns of the PIVOT: ON column IN (...); then it may stand there"
	tokens := statement.Scan(query)
	for len(tokens) > 0 && isSymbol(tokens[len(tokens)-1], ";") {
		tokens = tokens[:len(tokens)-1]
	}
	sources := []bool{false} // whether tables are named here, one for each open parenthesis
	named := true            // whether a table could be named at this very token
	for i, token := range tokens {
		next := statement.Token{Kind: statement.Symbol}
		if i+1 < len(tokens) {
			next = tokens[i+1]
		}
		top := len(sources) - 1
		here := named && sources[top]
		named = false
		isName := token.Kind == statement.Word || token.Kind == statement.Quoted
		switch {
		case isSymbol(token, ";"):
			in.fault(token.Start, "a PIVOT without IN is one statement, without `;` in it", around)
		case isSymbol(token, "("):
			sources, named = append(sources, here), true
		case isSymbol(token, ")") && top > 0:
			sources = sources[:top]
		case isSymbol(token, ","):
			named = true
		case token.Kind == statement.Parameter:
			in.parameters = append(in.parameters, token.Text)
		case token.Kind == statement.String && (query[token.Start] == 'e' || query[token.Start] == 'E'):
			in.fault(token.Start, "a PIVOT without IN cannot have a text like e'...'", around)
		case here && (token.Kind == statement.String || token.Kind == statement.Quoted && strings.ContainsAny(token.Text, "./*")):
			in.file(token.Text, token.Start)
		case here && isName && isSymbol(next, "."):
			in.fault(token.Start, fmt.Sprintf("no table is called %.60s.…", token.Text), "tables have the names of their keywords, without anything before them")
		case token.Kind == statement.Word && token.Text[0] >= '0' && token.Text[0] <= '9':
			if next.Start == token.End && (next.Kind != statement.Symbol || next.Text == "$") {
				in.fault(token.Start, "a space is missing behind a number", around)
			}
		case isName && isSymbol(next, "("):
			in.pivotCall(token)
		case isName && isCatalog(token.Text):
			in.catalogName(token.Text, token.Start)
		case isName:
			in.reads = append(in.reads, mention{what: token.Text, at: token.Start})
			in.column(token.Text, token.Start)
		}
		if token.Kind != statement.Word {
			continue
		}
		switch strings.ToLower(token.Text) {
		case "sample", "tablesample":
			in.fault(token.Start, "a sample in a PIVOT without IN may be another one in every run", around+"; a column of that name is written in quotes")
		case "from", "join", "pivot", "pivot_wider", "pivot_longer", "unpivot":
			sources[len(sources)-1], named = true, true
		case "on", "where", "group", "using", "order", "select", "having", "qualify", "window", "limit":
			sources[len(sources)-1] = false
		}
	}
	for i := range len(query) {
		if query[i] == '\r' && !strings.HasPrefix(query[i:], "\r\n") {
			in.fault(i, "a PIVOT without IN cannot have a carriage return but at the end of a line", "end lines with \\n")
		}
	}
}

func isSymbol(token statement.Token, text string) bool {
	return token.Kind == statement.Symbol && token.Text == text
}

// pivotCall judges a call of which the name alone is known.
func (in *inquiry) pivotCall(name statement.Token) {
	function := strings.ToLower(name.Text)
	for _, prefix := range []string{"duckdb_", "pragma_", "pg_", "json_execute", "json_serialize", "has_", "current_"} {
		if strings.HasPrefix(function, prefix) {
			in.fault(name.Start, name.Text+"() asks what the engine has, not the tables", "")
			return
		}
	}
	in.function(name.Text, name.Start, -1)
}

func severalStatements(n int) *statement.Failure {
	return &statement.Failure{Kind: statement.Refused, Message: fmt.Sprintf("sql() takes one SELECT, and here are %d statements", n), Offset: -1,
		Hint: "one sql() each: a relation can be a table of another one"}
}

// statements is how many statements a text has, by its semicolons.
func statements(query string) int {
	n, within := 0, false
	for _, token := range statement.Scan(query) {
		ends := token.Kind == statement.Symbol && token.Text == ";"
		if !ends && !within {
			n++
		}
		within = !ends
	}
	return n
}

// firstWords are those that a statement begins with, in capitals.
func firstWords(query string) string {
	for _, token := range statement.Scan(query) {
		if token.Kind == statement.Word {
			return "`" + strings.ToUpper(token.Text) + "`"
		}
	}
	return "none"
}

// start is where a query begins, comments apart.
func start(query string) int {
	for _, token := range statement.Scan(query) {
		return token.Start
	}
	return -1
}

// walk collects what a parse tree says.
func (in *inquiry) walk(node any) {
	switch n := node.(type) {
	case []any:
		for _, item := range n {
			in.walk(item)
		}
	case map[string]any:
		in.look(n)
		for _, key := range slices.Sorted(maps.Keys(n)) { // what is said of a query is the same in every run
			in.walk(n[key])
		}
	}
}

// look is walk of one node.
func (in *inquiry) look(n map[string]any) {
	field := func(key string) string { s, _ := n[key].(string); return s }
	at := location(n)
	if sample, ok := n["sample"].(map[string]any); ok {
		if seed, ok := sample["seed"].(float64); !ok || seed < 0 {
			in.fault(at, "a sample without a seed is another one in every run", "write REPEATABLE (1) behind it, with a number of your own")
		}
	}
	if ctes, ok := n["cte_map"].(map[string]any); ok {
		entries, _ := ctes["map"].([]any)
		for _, e := range entries {
			if e, ok := e.(map[string]any); ok {
				key, _ := e["key"].(string)
				in.ctes = append(in.ctes, strings.ToLower(key))
			}
		}
	}
	switch {
	case field("type") == "BASE_TABLE":
		in.baseTable(n, at)
	case field("type") == "TABLE_FUNCTION":
		in.tableFunction(n, at)
	case field("type") == "SHOW_REF" && n["query"] == nil:
		in.fault(at, "SHOW asks what the engine has", "DESCRIBE and SUMMARIZE ask of a table")
	case field("type") == "RECURSIVE_CTE_NODE":
		in.ctes = append(in.ctes, strings.ToLower(field("cte_name")))
	case field("class") == "FUNCTION", field("class") == "WINDOW":
		arguments, _ := n["children"].([]any)
		in.function(field("function_name"), at, len(arguments))
	case field("class") == "COLUMN_REF":
		if names, ok := n["column_names"].([]any); ok && len(names) == 1 {
			column, _ := names[0].(string)
			in.column(column, at)
		}
	case field("class") == "PARAMETER":
		in.parameters = append(in.parameters, field("identifier"))
	}
}

// location is where a node stands in the query, -1 where that is not known.
func location(n map[string]any) int {
	at, ok := n["query_location"].(float64)
	if !ok || at > math.MaxInt32 {
		return -1
	}
	return int(at)
}

func (in *inquiry) fault(at int, what, hint string) {
	in.faults = append(in.faults, mention{what, hint, at})
}

func (in *inquiry) baseTable(n map[string]any, at int) {
	table, _ := n["table_name"].(string)
	schema, _ := n["schema_name"].(string)
	catalog, _ := n["catalog_name"].(string)
	if schema+catalog != "" {
		in.fault(at, fmt.Sprintf("no table is called %s", strings.TrimPrefix(catalog+"."+schema+"."+table, ".")), "tables have the names of their keywords, without anything before them")
		return
	}
	in.reads = append(in.reads, mention{what: table, at: at})
}

// tableFunction: those that make rows out of their arguments may be called.
func (in *inquiry) tableFunction(n map[string]any, at int) {
	call, _ := n["function"].(map[string]any)
	function, _ := call["function_name"].(string)
	switch strings.ToLower(function) {
	case "unnest", "range", "generate_series", "repeat", "repeat_row", "json_each", "json_tree":
		return
	}
	if isFileFunction(function) {
		in.fault(at, function+"() opens files by name, and the engine has none but those it was given", "give the file by keyword: sql(\"... FROM t\", t = path), or t = table(path, ...) to say how it is read")
		return
	}
	in.fault(at, function+"() asks what the engine has, not the tables", "")
}

// isFileFunction says whether a table function reads files that it names.
func isFileFunction(function string) bool {
	f := strings.ToLower(function)
	return strings.HasPrefix(f, "read_") || strings.HasPrefix(f, "parquet_") || slices.Contains([]string{"glob", "sniff_csv", "query", "query_table"}, f)
}

// unstable functions give another answer in another run, and what to write
// instead of them.
func unstable(function string) (hint string, is bool) {
	const clock = "give the time in args: args = {\"now\": time.now()}, and write $now"
	switch strings.ToLower(function) {
	case "now", "today", "get_current_time", "get_current_timestamp", "transaction_timestamp", "current_date", "current_time", "current_timestamp",
		"localtime", "localtimestamp", "current_localtime", "current_localtimestamp":
		return clock, true
	case "random", "setseed", "reservoir_quantile":
		return "make the numbers in the body, with random.generator(seed), or take hash(column)", true
	case "uuid", "gen_random_uuid", "uuidv4", "uuidv7":
		return "make the key of the row itself: md5(column)", true
	case "nextval", "currval":
		return "number the rows: row_number() OVER (ORDER BY ...)", true
	case "sleep_ms":
		return "there is nothing to wait for", true
	case "getvariable", "current_setting", "getenv", "current_user", "user", "session_user", "current_role", "current_database", "current_catalog", "current_schema", "current_schemas",
		"current_query", "current_query_id", "current_connection_id", "current_transaction_id", "txid_current", "in_search_path", "version", "pg_typeof_setting", "stats", "write_log":
		return "", true
	}
	return "", false
}

// ofCatalog says whether a function tells of the engine's own catalog.
func ofCatalog(function string) bool {
	f := strings.ToLower(function)
	return strings.HasPrefix(f, "pg_") || strings.HasPrefix(f, "duckdb_") || strings.HasPrefix(f, "has_") && strings.HasSuffix(f, "_privilege") ||
		slices.Contains([]string{"col_description", "obj_description", "shobj_description"}, f)
}

// isCatalog says whether a name may be one of the engine's own views. A CTE of
// the same name hides it in a part of the query only.
func isCatalog(table string) bool {
	t := strings.ToLower(table)
	return t == "information_schema" || slices.ContainsFunc([]string{"duckdb_", "sqlite_", "pragma_", "pg_"}, func(prefix string) bool { return strings.HasPrefix(t, prefix) })
}

// catalogName refuses a name that isCatalog.
func (in *inquiry) catalogName(table string, at int) {
	in.fault(at, fmt.Sprintf("`%.60s` is a name of the engine's own", table), "call the table something else: names that begin with duckdb_, sqlite_, pragma_ or pg_ are taken")
}

// function notes a call of one that a body may not ask for. arguments is -1 when
// their number is not known.
func (in *inquiry) function(function string, at, arguments int) {
	if strings.EqualFold(function, "age") && (arguments == 1 || arguments < 0) {
		in.fault(at, "age() of one time counts from today", "give both: age($now, column), with args = {\"now\": time.now()}")
		return
	}
	hint, is := unstable(function)
	switch {
	case ofCatalog(function):
		hint := ""
		if strings.EqualFold(function, "pg_typeof") {
			hint = "typeof(column) is the type of a value"
		}
		in.fault(at, function+"() asks what the engine has, not the tables", hint)
	case is && hint == "":
		in.fault(at, function+"() asks what the engine has, not the tables", "")
	case is:
		in.fault(at, function+"() gives another answer in every run, and the same commit has to give the same bytes", hint)
	case isFileFunction(function):
		in.fault(at, function+"() opens files by name, and the engine has none but those it was given", "give the file by keyword: sql(\"... FROM t\", t = path)")
	}
}

// column notes one of the names that mean a function when they stand alone.
func (in *inquiry) column(column string, at int) {
	switch strings.ToLower(column) {
	case "current_date", "current_time", "current_timestamp", "localtime", "localtimestamp":
		in.function(column, at, 0)
	}
}

// firstFault is the fault that stands first.
func (in *inquiry) firstFault() *statement.Failure {
	if len(in.faults) == 0 {
		return nil
	}
	slices.SortStableFunc(in.faults, func(a, b mention) int { return a.at - b.at })
	first := in.faults[0]
	return &statement.Failure{Kind: statement.Refused, Message: first.what, Hint: first.hint, Offset: first.at}
}

// file refuses a file that the query names itself.
func (in *inquiry) file(path string, at int) {
	in.fault(at, fmt.Sprintf("%.60q is a file, and the engine has none but those it was given", path), "give it by keyword: sql(\"... FROM t\", t = path)")
}

// judge is the end of an inspection.
func (in *inquiry) judge() (*inquiry, *statement.Failure) {
	for _, r := range in.reads {
		if isCatalog(r.what) {
			in.catalogName(r.what, r.at)
			continue
		}
		if strings.ContainsAny(r.what, "./*") {
			in.file(r.what, r.at)
			continue
		}
		if slices.Contains(in.ctes, strings.ToLower(r.what)) {
			continue
		}
		if !slices.Contains(in.tables, r.what) {
			in.tables = append(in.tables, r.what)
		}
	}
	if f := in.firstFault(); f != nil {
		return nil, f
	}
	slices.Sort(in.tables)
	return in, nil
}
