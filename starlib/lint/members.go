package lint

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"go.starlark.net/resolve"
	"go.starlark.net/syntax"

	"perago/starlib"
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
	if len(members) == 0 || slices.Contains(members, dot.Name.Name) {
		return
	}
	hint := cmp.Or(starlib.InsteadOf(id.Name+"."+dot.Name.Name), didYouMean(dot.Name.Name, members, id.Name+"."))
	d := l.fail(dot.Name.NamePos, "P5016", fmt.Sprintf("there is no `%s.%s`", id.Name, dot.Name.Name), hint)
	if instead := starlib.RenameOf(id.Name + "." + dot.Name.Name); instead != "" {
		replace(d, dot.Name.NamePos, dot.Name.Name, instead)
	} else if hint == "" || strings.HasPrefix(hint, "did you mean") {
		rename(d, dot.Name.NamePos, dot.Name.Name, members)
	}
}
