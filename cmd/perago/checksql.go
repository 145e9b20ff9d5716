package main

import (
	"context"
	"slices"
	"strings"

	"go.starlark.net/syntax"

	"perago/engine/isolate"
	"perago/engine/module"
	"perago/starlib/diag"
	"perago/starlib/lint"
	"perago/starlib/statement"
)

// checkQueries has an engine look at the queries that a module has written out,
// and holds them against the tables and arguments of their calls.
func checkQueries(ctx context.Context, m *module.Module) diag.List {
	queries := module.Queries(m)
	if len(queries) == 0 {
		return nil
	}
	if !isolate.HasTables() {
		d := at(queries[0].Call, &diag.Diagnostic{Code: "P5029", Severity: diag.Warning, Message: "this perago was built without tables: sql fails when it runs",
			Hint: "build it with cgo (CGO_ENABLED=1 and a C compiler)"})
		return m.Locate(diag.List{d})
	}
	texts := make([]string, len(queries))
	for i, q := range queries {
		texts[i] = q.Text
	}
	parsed, err := isolate.ParseQueries(ctx, texts)
	if err != nil {
		d := at(queries[0].Call, &diag.Diagnostic{Code: "P4185", Severity: diag.Warning, Message: "the queries could not be looked at: " + diag.Shorten(err.Error())})
		return m.Locate(diag.List{d})
	}
	var list diag.List
	for i, q := range queries {
		list = append(list, checkQuery(q, parsed[i])...)
	}
	return m.Locate(list)
}

// at gives a diagnostic its place.
func at(pos syntax.Position, d *diag.Diagnostic) *diag.Diagnostic {
	d.File, d.Line, d.Column = pos.Filename(), int(pos.Line), int(pos.Col)
	return d
}

// checkQuery holds one query against its call.
func checkQuery(q lint.Query, p statement.Parsed) (list diag.List) {
	wrong := func(code diag.Code, severity diag.Severity, pos syntax.Position, message, hint string) {
		list = append(list, at(pos, &diag.Diagnostic{Code: code, Severity: severity, Message: "sql: " + message, Hint: hint}))
	}
	near := func(name string, names []string) string { return diag.DidYouMean(name, names, diag.Backquote) }
	if f := p.Failure; f != nil {
		wrong("P4181", diag.Error, q.Position(f.Offset), f.Message, f.Hint)
		return list
	}
	for _, t := range p.Tables {
		given := slices.ContainsFunc(q.Tables, func(name string) bool { return strings.EqualFold(name, t.Name) })
		if !given && !q.Open && !p.Unsure {
			wrong("P4182", diag.Error, q.Position(t.Offset), "the query reads `"+diag.Shorten(t.Name)+"`, and no table of that name is given", near(t.Name, q.Tables))
		}
	}
	for _, name := range q.Tables {
		if named := statement.Mentions(q.Text, []string{name}); !named[name] {
			var read []string
			for _, t := range p.Tables {
				read = append(read, t.Name)
			}
			wrong("P5028", diag.Warning, q.Call, "the query does not name the table `"+name+"`", near(name, read))
		}
	}
	for _, name := range p.Parameters {
		if !q.Free && !slices.Contains(q.Args, name) {
			offset := strings.Index(q.Text, "$"+name)
			wrong("P4182", diag.Error, q.Position(offset), "the query has $"+diag.Shorten(name)+", and args has no such key", near(name, q.Args))
		}
	}
	return list
}
