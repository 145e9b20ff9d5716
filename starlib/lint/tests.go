package lint

import (
	"fmt"
	"slices"
	"strings"

	"go.starlark.net/syntax"

	"perago/starlib/diag"
)

// tests looks at the functions of a test file: those that are misspelt are never
// run, and `t` has a few members only.
func (l *linter) tests() {
	for _, stmt := range l.Tree.Stmts {
		def, ok := stmt.(*syntax.DefStmt)
		if !ok || len(def.Params) != 1 {
			continue
		}
		t, ok := def.Params[0].(*syntax.Ident)
		if !ok || t.Name != "t" {
			continue
		}
		if !strings.HasPrefix(def.Name.Name, "test_") {
			if v := variable(def.Name); l.dead(def.Name) && (v == nil || l.reads[v] == 0) {
				l.warn(def.Name.NamePos, "P5027", "`"+def.Name.Name+"` is never run", "begin its name with `test_`")
			}
			continue
		}
		syntax.Walk(def, func(n syntax.Node) bool {
			if dot, ok := n.(*syntax.DotExpr); ok {
				l.harness(dot, t)
			}
			return true
		})
	}
}

// harness complains of a member that `t` does not have.
func (l *linter) harness(dot *syntax.DotExpr, t *syntax.Ident) {
	id, ok := dot.X.(*syntax.Ident)
	if !ok || variable(id) != t || len(l.binds[t]) > 1 || slices.Contains(l.Harness, dot.Name.Name) {
		return
	}
	hint := "it has " + strings.Join(l.Harness, ", ")
	if near := diag.Nearest(dot.Name.Name, l.Harness); near != "" {
		hint = "did you mean `t." + near + "`?"
	}
	l.fail(dot.Name.NamePos, "P5017", fmt.Sprintf("`t` has no member `%s`", dot.Name.Name), hint)
}
