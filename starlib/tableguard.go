package starlib

import (
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"

	"go.starlark.net/starlark"

	"perago/starlib/diag"
	"perago/workspace"
)

func makeRequireTable(c *call) (starlark.Value, error) {
	pattern, err := c.text("pattern", "")
	if err != nil {
		return nil, err
	}
	var rule workspace.TableRule
	columns, err := c.columnTypes("columns")
	if err != nil {
		return nil, err
	}
	for _, column := range columns {
		rule.Columns = append(rule.Columns, workspace.TableColumn{Name: column.Name, Type: column.Type})
	}
	least, err := c.amount("min_rows", 0, 0, maxAmount)
	if err != nil {
		return nil, err
	}
	rule.MinRows = int64(least)
	for name, to := range map[string]*[]string{"not_null": &rule.NotNull, "unique": &rule.Unique, "check": &rule.Check} {
		if *to, err = c.textList(name); err != nil {
			return nil, err
		}
	}
	g, err := workspace.RequireTable(pattern, rule)
	if err != nil {
		return nil, c.badPath("P2120", "pattern", pattern, err)
	}
	return c.guardValue(g), nil
}

// textList is a list of strings, 100 at most.
func (c *call) textList(name string) ([]string, error) {
	if c.absent(name) {
		return nil, nil
	}
	it, err := c.iterable(name)
	if err != nil {
		return nil, err
	}
	var out []string
	err = c.each(it, func(x starlark.Value) error {
		s, ok := x.(starlark.String)
		if !ok || s == "" || len(out) == 100 {
			return c.refuse(name, diag.Describe(x)+" in it", "strings, 100 at most")
		}
		out = append(out, string(s))
		return nil
	})
	return out, err
}

// condition is one thing that a guard asks of every row.
type condition struct {
	offends string // SQL: the row does not hold to it
	what    string // "b is NULL"
	wanted  string
	window  bool // it looks at other rows too
}

// sqlIdent writes a name as SQL.
func sqlIdent(s string) string { return `"` + strings.ReplaceAll(s, `"`, `""`) + `"` }

// conditions are those of a rule, unique last.
func conditions(rule *workspace.TableRule) []condition {
	var out []condition
	for _, column := range rule.NotNull {
		out = append(out, condition{offends: sqlIdent(column) + " IS NULL", what: column + " is NULL", wanted: "no NULL in " + column})
	}
	for _, check := range rule.Check {
		out = append(out, condition{offends: "NOT (" + check + "\n)", what: "`" + check + "` does not hold", wanted: "`" + check + "`"})
	}
	if len(rule.Unique) > 0 {
		columns := make([]string, len(rule.Unique))
		for i, column := range rule.Unique {
			columns[i] = sqlIdent(column)
		}
		names := strings.Join(rule.Unique, ", ")
		out = append(out, condition{offends: "count(*) OVER (PARTITION BY " + strings.Join(columns, ", ") + ") > 1",
			what: names + " comes more than once", wanted: names + " once each", window: true})
	}
	return out
}

// CheckTableGuard holds the files of a require_table guard against its rule, when at
// least one matches. found is "" when it holds; else up to five rows that offend
// are logged. What is wrong with a file, or with the guard's own SQL, is found as
// well; an error is of the surroundings.
func CheckTableGuard(run *Run, g workspace.Guard, at Position) (found, wanted string, err error) {
	thread := new(starlark.Thread)
	run.Attach(thread)
	row := &Builtin{Name: "require_table"}
	c := &call{thread: thread, builtin: row, run: run}
	if run.Tables == nil {
		return "", "", noTables(c)
	}
	names, err := run.Files.Glob(run.Context, "", g.Pattern)
	if err != nil {
		return "", "", err
	}
	files := make([]path, len(names))
	for i, name := range names {
		files[i] = path(name)
	}
	source, p := c.fileSource("files", files, "")
	if p != nil {
		return p.Error(), "", nil
	}
	if found, wanted, err = c.checkTable(source, g.Table, at); err != nil {
		var of *diag.Problem
		if errors.As(err, &of) && slices.Contains([]diag.Code{codeQuery, codeNames, codeTableData}, of.Code) {
			return strings.TrimPrefix(of.Error(), "sql: "), wanted, nil
		}
	}
	return found, wanted, err
}

// over is a relation over the files of a guard.
func (c *call) over(source *tableSource, query string) *call {
	r := &relation{call: c, query: query, tables: []namedTable{{"files", source}}}
	return &call{thread: c.thread, builtin: c.builtin, run: c.run, recv: r}
}

func (c *call) checkTable(source *tableSource, rule *workspace.TableRule, at Position) (found, wanted string, err error) {
	if len(rule.Columns) > 0 {
		got, err := relationColumns(c.over(source, "FROM files"))
		if err != nil {
			return "", "", err
		}
		if found, wanted = columnsDiffer(got.(*starlark.List), rule.Columns); found != "" {
			return found, wanted, nil
		}
	}
	all := conditions(rule)
	if len(all) == 0 && rule.MinRows == 0 {
		return "", "", nil
	}
	items := []string{"count(*) AS c"}
	marks := make([]string, len(all))
	for i, one := range all {
		items = append(items, fmt.Sprintf("count(*) FILTER (c%d) AS c%d", i, i))
		marks[i] = fmt.Sprintf("%s AS c%d", one.offends, i)
	}
	inner := "FROM files"
	if len(marks) > 0 {
		inner = "SELECT " + strings.Join(marks, ", ") + " FROM files"
	}
	counts, err := c.over(source, "SELECT "+strings.Join(items, ", ")+" FROM ("+inner+")").onlyRow()
	if err != nil {
		return "", "", err
	}
	count := func(name string) int64 {
		v, _, _ := counts.Get(starlark.String(name))
		n, _ := v.(starlark.Int)
		out, _ := n.Int64()
		return out
	}
	if n := count("c"); n < rule.MinRows {
		return diag.Plural(int(n), "row"), fmt.Sprintf("at least %d", rule.MinRows), nil
	}
	for i, one := range all {
		n := count(fmt.Sprintf("c%d", i))
		if n == 0 {
			continue
		}
		if err := c.logOffenders(source, one, at); err != nil {
			return "", "", err
		}
		return fmt.Sprintf("%s where %s", diag.Plural(int(n), "row"), diag.Shorten(one.what)), diag.Shorten(one.wanted), nil
	}
	return "", "", nil
}

// logOffenders logs the first rows that do not hold to a condition.
func (c *call) logOffenders(source *tableSource, one condition, at Position) error {
	clause := "WHERE "
	if one.window {
		clause = "QUALIFY "
	}
	_, err := c.over(source, "FROM files "+clause+one.offends+" LIMIT 5").eachRow(func(row *starlark.Dict) (bool, error) {
		c.run.Log(Record{Level: slog.LevelWarn, Message: "a row that the guard does not allow", At: at, Fields: []slog.Attr{slog.String("row", brief(row, 1000))}})
		return true, nil
	})
	return err
}

// columnsDiffer says what is wrong with the columns of a table, "" when nothing is.
func columnsDiffer(got *starlark.List, wanted []workspace.TableColumn) (found, want string) {
	types := make(map[string]string)
	var names []string
	for i := range got.Len() {
		s := got.Index(i).(*structure)
		name, _ := starlark.AsString(s.field("name"))
		types[name], _ = starlark.AsString(s.field("type"))
		names = append(names, name)
	}
	for _, column := range wanted {
		t, there := types[column.Name]
		want := "a column " + column.Name + " " + column.Type
		if !there {
			return "no column " + column.Name + ", but " + diag.Shorten(strings.Join(names, ", ")), want
		}
		if !strings.EqualFold(t, column.Type) {
			return column.Name + " " + t, want
		}
	}
	return "", ""
}
