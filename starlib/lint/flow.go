package lint

import (
	"slices"

	"go.starlark.net/syntax"
)

// flow finds code that is never reached and lines that do nothing.
func (l *linter) flow(n syntax.Node) {
	switch n := n.(type) {
	case *syntax.File:
		l.block(n.Stmts, true)
	case *syntax.DefStmt:
		l.block(n.Body, true)
	case *syntax.ForStmt:
		l.block(n.Body, false)
	case *syntax.IfStmt:
		l.block(n.True, false)
		l.block(n.False, false)
	}
}

// block looks at the statements of one block. documented blocks may start with
// a string.
func (l *linter) block(stmts []syntax.Stmt, documented bool) {
	for i, stmt := range stmts {
		if expr, ok := stmt.(*syntax.ExprStmt); ok && !(documented && i == 0 && isString(expr.X)) {
			l.effect(expr)
		}
		if ends(stmt) && i+1 < len(stmts) {
			l.warn(syntax.Start(stmts[i+1]), "P5007", "this is never reached", "delete it, or move it before the line above")
			return
		}
	}
}

func isString(e syntax.Expr) bool {
	lit, ok := e.(*syntax.Literal)
	return ok && lit.Token == syntax.STRING
}

// ends says whether nothing behind a statement of the same block is reached.
func ends(stmt syntax.Stmt) bool {
	switch stmt := stmt.(type) {
	case *syntax.ReturnStmt:
		return true
	case *syntax.BranchStmt:
		return stmt.Token == syntax.BREAK || stmt.Token == syntax.CONTINUE
	case *syntax.ExprStmt:
		call, ok := stmt.X.(*syntax.CallExpr)
		if !ok {
			return false
		}
		id, ok := call.Fn.(*syntax.Ident)
		return ok && variable(id) == nil && (id.Name == "fail" || id.Name == "fail_terminal")
	case *syntax.IfStmt:
		return len(stmt.False) > 0 && blockEnds(stmt.True) && blockEnds(stmt.False)
	}
	return false
}

func blockEnds(stmts []syntax.Stmt) bool { return slices.ContainsFunc(stmts, ends) }

// effect complains of an expression whose value is dropped and that does nothing else.
func (l *linter) effect(stmt *syntax.ExprStmt) {
	const hint = "use its value, or delete the line"
	if call, ok := stmt.X.(*syntax.CallExpr); ok {
		if name, pure := pureCall(call); pure {
			l.warn(syntax.Start(stmt), "P5014", "the result of `"+name+"` is dropped, and it changes nothing", "write `x = ...`")
		}
		return
	}
	if isString(stmt.X) {
		return // words for the reader
	}
	calls := false
	syntax.Walk(stmt.X, func(n syntax.Node) bool {
		if _, ok := n.(*syntax.CallExpr); ok {
			calls = true
		}
		return !calls
	})
	if calls {
		return
	}
	if compare, ok := stmt.X.(*syntax.BinaryExpr); ok && compare.Op == syntax.EQL {
		l.warn(compare.OpPos, "P5014", "the comparison has no effect", "write `=` to assign")
		return
	}
	if id, ok := stmt.X.(*syntax.Ident); ok {
		l.warn(id.NamePos, "P5014", "`"+id.Name+"` alone has no effect", "write `"+id.Name+"()` to call it")
		return
	}
	l.warn(syntax.Start(stmt), "P5014", "the line has no effect", hint)
}

// pureCall says whether a call can have no effect but its result.
func pureCall(call *syntax.CallExpr) (string, bool) {
	switch fn := call.Fn.(type) {
	case *syntax.Ident:
		if variable(fn) != nil {
			return "", false
		}
		switch fn.Name {
		case "sorted", "reversed", "len", "str", "range", "enumerate", "zip", "tuple", "repr":
			return fn.Name, true
		}
	case *syntax.DotExpr:
		switch fn.Name.Name {
		case "strip", "lstrip", "rstrip", "lower", "upper", "replace", "split", "removeprefix", "removesuffix", "title", "capitalize",
			"splitlines", "joinpath":
			return "." + fn.Name.Name, true
		}
	}
	return "", false
}
