package lint

import (
	"fmt"
	"slices"
	"strings"
	"unicode/utf8"

	"go.starlark.net/resolve"
	"go.starlark.net/syntax"

	"perago/starlib/diag"
)

// unused finds variables, loaded names and top-level names that nothing reads.
func (l *linter) unused() {
	for _, stmt := range l.Tree.Stmts {
		switch stmt := stmt.(type) {
		case *syntax.LoadStmt:
			l.unusedLoads(stmt)
		case *syntax.DefStmt:
			l.unusedGlobal(stmt.Name, "function")
		case *syntax.AssignStmt:
			if id, ok := stmt.LHS.(*syntax.Ident); ok {
				l.unusedGlobal(id, "value")
			}
		}
	}
	syntax.Walk(l.Tree, func(n syntax.Node) bool {
		if def, ok := n.(*syntax.DefStmt); ok {
			for _, stmt := range def.Body {
				l.unusedLocals(stmt)
			}
			return true
		}
		return true
	})
}

// unusedLoads finds the names of a load statement that nothing reads. When it is
// all of them, the statement goes.
func (l *linter) unusedLoads(stmt *syntax.LoadStmt) {
	var unused []int
	var list diag.List
	for i, to := range stmt.To {
		if l.dead(to) {
			unused = append(unused, i)
			list = append(list, l.warn(to.NamePos, "P5006", "`"+to.Name+"` is loaded and not used", "delete it"))
		}
	}
	switch start, end := stmt.Span(); {
	case len(unused) == 0:
	case len(unused) == len(stmt.To):
		if start.Col == 1 && !l.commented(start, end) && !l.followed(stmt, end) {
			cut(list[0], start, end)
			list[0].Fix[0].EndLine, list[0].Fix[0].EndColumn = int(end.Line)+1, 1
		}
	default:
		for n, i := range unused { // from the end of what stands before it, so that its comma goes too
			before := stmt.Module.TokenPos
			before.Col += int32(utf8.RuneCountInString(stmt.Module.Raw))
			if i > 0 {
				before = endOfLoaded(stmt.From[i-1])
			}
			if at := endOfLoaded(stmt.From[i]); !l.commented(before, at) {
				cut(list[n], before, at)
			}
		}
	}
}

// endOfLoaded is behind the text of an argument of load; the position of the name
// is behind its opening quote.
func endOfLoaded(id *syntax.Ident) syntax.Position {
	at := id.NamePos
	at.Col += int32(utf8.RuneCountInString(id.Name)) + 1
	return at
}

// commented says whether a comment stands on the lines from one place to another.
func (l *linter) commented(from, to syntax.Position) bool {
	return slices.ContainsFunc(l.comments(), func(c comment) bool { return from.Line <= c.pos.Line && c.pos.Line <= to.Line })
}

// followed says whether another statement starts on the line where one ends.
func (l *linter) followed(stmt syntax.Stmt, end syntax.Position) bool {
	return slices.ContainsFunc(l.Tree.Stmts, func(other syntax.Stmt) bool {
		return other != stmt && syntax.Start(other).Line == end.Line
	})
}

// dead says whether nothing reads what an identifier binds.
func (l *linter) dead(id *syntax.Ident) bool {
	v := variable(id)
	if v == nil {
		v = id
	}
	return l.reads[v] == 0
}

func (l *linter) unusedGlobal(id *syntax.Ident, what string) {
	if l.Task == nil || id.Name == "run" || strings.HasPrefix(id.Name, "_") || !l.dead(id) {
		return // what a loaded file defines is for others
	}
	l.warn(id.NamePos, "P5008", fmt.Sprintf("the %s `%s` is not used", what, id.Name), "delete it, or start its name with `_`")
}

// unusedLocals finds the variables of one function that are only bound. Those
// of a tuple are left alone: there is no other way to drop a part of it.
func (l *linter) unusedLocals(stmt syntax.Stmt) {
	complain := func(id *syntax.Ident, hint string) *diag.Diagnostic {
		if v := variable(id); v == id && l.dead(id) && !strings.HasPrefix(id.Name, "_") {
			return l.warn(id.NamePos, "P5012", "`"+id.Name+"` is never read", hint)
		}
		return nil
	}
	syntax.Walk(stmt, func(n syntax.Node) bool {
		switch n := n.(type) {
		case *syntax.DefStmt:
			if v := variable(n.Name); v == n.Name && l.dead(n.Name) && !strings.HasPrefix(n.Name.Name, "_") {
				l.warn(n.Name.NamePos, "P5012", "the function `"+n.Name.Name+"` is never used", "delete it")
			}
			return false // it is walked for itself
		case *syntax.AssignStmt:
			if id, ok := n.LHS.(*syntax.Ident); ok && n.Op == syntax.EQ {
				complain(id, "delete the line, or read `"+id.Name+"`")
			}
		case *syntax.ForStmt:
			if id, ok := n.Vars.(*syntax.Ident); ok {
				if d := complain(id, "write `for _ in ...`"); d != nil && !l.readsBlank() {
					replace(d, id.NamePos, id.Name, "_")
				}
			}
		}
		return true
	})
}

// readsBlank says whether something reads a variable that is called `_`.
func (l *linter) readsBlank() bool {
	for v, n := range l.reads {
		if v.Name == "_" && n > 0 {
			return true
		}
	}
	return false
}

// ordinary are names of the language that are as good a name for a variable of a
// function: hiding one there surprises nobody.
var ordinary = map[string]bool{"bin": true, "counter": true, "random": true, "round": true, "stats": true, "sum": true, "table": true, "text": true}

// isLocal says whether an identifier is a variable of a function.
func isLocal(id *syntax.Ident) bool {
	b, ok := id.Binding.(*resolve.Binding)
	return ok && (b.Scope == resolve.Local || b.Scope == resolve.Cell)
}

// names finds names that hide one of the language's, and names that look like
// others. A word that is wholly of another alphabet is what it looks like.
func (l *linter) names() {
	said := map[string]bool{}
	for first, all := range l.binds {
		if l.Builtins[first.Name] && !(ordinary[first.Name] && isLocal(first)) {
			l.warn(all[0].NamePos, "P5009", "`"+first.Name+"` hides the language's own", "choose another name")
		}
	}
	syntax.Walk(l.Tree, func(n syntax.Node) bool {
		id, ok := n.(*syntax.Ident)
		if !ok || said[id.Name] {
			return true
		}
		if plain, letter := skeleton(id.Name); letter != 0 && (isASCII(plain) || strings.ContainsFunc(id.Name, isLatin)) {
			said[id.Name] = true
			l.warn(id.NamePos, "P5013", fmt.Sprintf("`%s` holds the letter %q (U+%04X), which looks like another", id.Name, letter, letter),
				"write `"+plain+"`")
		}
		return true
	})
}

func isASCII(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r >= 0x80 })
}

func isLatin(r rune) bool { return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' }

// skeleton replaces letters that look like ones of the Latin alphabet. letter is
// the first of them, 0 when there is none.
func skeleton(name string) (plain string, letter rune) {
	const like = "аaеeоoрpсcхxуyіiјjѕsһhԁdԛqԝwАAВBЕEКKМMНHОOРPСCТTХXУYІIЈJЅSɑaοoνvρpαaιiκkτtυuΑAΒBΕEΗHΙIΚKΜMΝNΟOΡPΤTΥYΧXΖZ"
	runes := []rune(like)
	plain = strings.Map(func(r rune) rune {
		if r < 0x80 {
			return r
		}
		to := r
		if 0xff21 <= r && r <= 0xff5a {
			to = r - 0xfee0 // full width
		}
		for i := 0; i < len(runes); i += 2 {
			if runes[i] == r {
				to = runes[i+1]
			}
		}
		if to != r && letter == 0 {
			letter = r
		}
		return to
	}, name)
	return plain, letter
}
