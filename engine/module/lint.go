package module

import (
	"strings"

	"go.starlark.net/starlark"

	"perago/starlib"
	"perago/starlib/diag"
	"perago/starlib/lint"
)

// Lint returns what is wrong with the files of a module that loading them does
// not show: what fails when it runs, and what is most likely not meant. harness
// describe what `t` has in a test file; there are none for any other.
func Lint(m *Module, harness ...starlib.Builtin) diag.List {
	builtins, members := map[string]bool{}, map[string][]string{}
	for _, name := range starlark.Universe.Keys() {
		builtins[name] = true
	}
	for _, b := range starlib.Table(m.Host...) {
		if !b.Method && b.Phase != starlib.Declare {
			name, member, _ := strings.Cut(b.Name, ".")
			builtins[name] = true
			if member != "" {
				members[name] = append(members[name], member)
			}
		}
	}
	var list diag.List
	for i := len(m.units) - 1; i >= 0; i-- { // the task file first
		f := lint.File{Tree: m.units[i].tree, Builtins: builtins, Members: members, Host: m.Host}
		var extra diag.List
		if m.units[i].name == m.File {
			f.Harness = harness
		}
		if m.units[i].name == m.File && m.Task != nil {
			f.Task = m.Task
			extra = starlib.Warnings(m.Task)
			for _, d := range extra {
				d.Line, d.Column = m.sources.Called(d.File, d.Line, d.Column)
			}
		}
		list = append(list, lint.Check(f, extra)...)
	}
	return m.sources.Locate(list)
}

// Queries are the queries of SQL that the files of a module have written out.
func Queries(m *Module) []lint.Query {
	var all []lint.Query
	for i := len(m.units) - 1; i >= 0; i-- { // the task file first
		all = append(all, lint.Queries(m.units[i].tree)...)
	}
	return all
}
