package lint

import (
	"fmt"
	"strings"

	"go.starlark.net/resolve"
	"go.starlark.net/syntax"

	"perago/starlib"
	"perago/starlib/diag"
)

// member complains of `csv.dict_raeder`: a name that a module of the language does
// not have, so that the line fails when it runs.
func (l *linter) member(n syntax.Node) {
	dot, ok := n.(*syntax.DotExpr)
	if !ok {
		return
	}
	id, ok := dot.X.(*syntax.Ident)
	if !ok {
		return
	}
	if b, ok := id.Binding.(*resolve.Binding); !ok || b.Scope != resolve.Predeclared {
		return
	}
	members := l.Members[id.Name]
	if len(members) == 0 {
		return
	}
	for _, name := range members {
		if name == dot.Name.Name {
			return
		}
	}
	hint := starlib.InsteadOf(id.Name + "." + dot.Name.Name)
	if near := diag.Nearest(dot.Name.Name, members); hint == "" && near != "" {
		hint = fmt.Sprintf("did you mean `%s.%s`?", id.Name, near)
	}
	d := l.fail(dot.Name.NamePos, "P5016", fmt.Sprintf("there is no `%s.%s`", id.Name, dot.Name.Name), hint)
	if instead := starlib.RenameOf(id.Name + "." + dot.Name.Name); instead != "" {
		replace(d, dot.Name.NamePos, dot.Name.Name, instead)
	} else if hint == "" || strings.HasPrefix(hint, "did you mean") {
		rename(d, dot.Name.NamePos, dot.Name.Name, members)
	}
}
