package lint

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"

	"go.starlark.net/syntax"

	"perago/starlib/diag"
)

// testType is the type of `t`.
const testType = "t"

// harnessed is the `t` of a function of a test file, nil when it takes anything else.
func harnessed(def *syntax.DefStmt) *syntax.Ident {
	if len(def.Params) != 1 {
		return nil
	}
	if t, ok := def.Params[0].(*syntax.Ident); ok && t.Name == testType {
		return t
	}
	return nil
}

// testFunctions looks at the functions of a test file: those that are misspelt
// are never run, and `t` has a few members only.
func (l *linter) testFunctions() {
	members := slices.Sorted(maps.Keys(l.tests[testType]))
	for _, stmt := range l.Tree.Stmts {
		def, ok := stmt.(*syntax.DefStmt)
		if !ok {
			continue
		}
		t := harnessed(def)
		if t == nil {
			continue
		}
		if !strings.HasPrefix(def.Name.Name, "test_") {
			if v := variable(def.Name); l.dead(def.Name) && (v == nil || l.reads[v] == 0) {
				d := l.warn(def.Name.NamePos, "P5027", "`"+def.Name.Name+"` is never run", "begin its name with `test_`")
				l.renameTest(d, def.Name)
			}
			continue
		}
		syntax.Walk(def, func(n syntax.Node) bool {
			if dot, ok := n.(*syntax.DotExpr); ok {
				l.harness(dot, t, members)
			}
			return true
		})
	}
}

// harness complains of a member that `t` does not have.
func (l *linter) harness(dot *syntax.DotExpr, t *syntax.Ident, members []string) {
	id, ok := dot.X.(*syntax.Ident)
	if !ok || variable(id) != t || len(l.binds[t]) > 1 || slices.Contains(members, dot.Name.Name) {
		return
	}
	hint := cmp.Or(didYouMean(dot.Name.Name, members, "t."), "it has "+strings.Join(members, ", "))
	d := l.fail(dot.Name.NamePos, "P5017", fmt.Sprintf("`t` has no member `%s`", dot.Name.Name), hint)
	rename(d, dot.Name.NamePos, dot.Name.Name, members)
}

// renameTest mends `tset_rows`, unless there is a `test_rows`.
func (l *linter) renameTest(d *diag.Diagnostic, id *syntax.Ident) {
	head, rest, ok := strings.Cut(id.Name, "_")
	if !ok || diag.Certain(head, []string{"test"}) == "" {
		return
	}
	for _, stmt := range l.Tree.Stmts {
		if def, ok := stmt.(*syntax.DefStmt); ok && def.Name.Name == "test_"+rest {
			return
		}
	}
	replace(d, id.NamePos, id.Name, "test_"+rest)
}
