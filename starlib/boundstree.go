package starlib

import "go.starlark.net/syntax"

// Rewrite puts the bounds into a tree that was parsed and not yet resolved, and
// has run note where it returns. Positions stay those of the source.
func (b *Bounds) Rewrite(tree *syntax.File) {
	rewriteAll(tree.Stmts)
	for _, stmt := range tree.Stmts {
		if def, ok := stmt.(*syntax.DefStmt); ok && def.Name.Name == "run" {
			noteReturns(def.Body)
		}
	}
}

func rewriteAll(stmts []syntax.Stmt) {
	for _, stmt := range stmts {
		switch stmt := stmt.(type) {
		case *syntax.AssignStmt:
			rewriteAssign(stmt)
		case *syntax.DefStmt:
			rewriteParams(stmt.Params)
			rewriteAll(stmt.Body)
		case *syntax.ExprStmt:
			stmt.X = rewrite(stmt.X)
		case *syntax.ForStmt:
			rewriteTarget(stmt.Vars)
			stmt.X = rewrite(stmt.X)
			rewriteAll(stmt.Body)
		case *syntax.WhileStmt:
			stmt.Cond = rewrite(stmt.Cond)
			rewriteAll(stmt.Body)
		case *syntax.IfStmt:
			stmt.Cond = rewrite(stmt.Cond)
			rewriteAll(stmt.True)
			rewriteAll(stmt.False)
		case *syntax.ReturnStmt:
			stmt.Result = rewrite(stmt.Result)
		}
	}
}

// rewriteParams rewrites the defaults of parameters.
func rewriteParams(params []syntax.Expr) {
	for _, p := range params {
		if p, ok := p.(*syntax.BinaryExpr); ok {
			p.Y = rewrite(p.Y)
		}
	}
}

// rewriteTarget rewrites what is computed on the left of an assignment.
func rewriteTarget(target syntax.Expr) {
	switch t := target.(type) {
	case *syntax.ParenExpr:
		rewriteTarget(t.X)
	case *syntax.IndexExpr:
		t.X, t.Y = rewrite(t.X), rewrite(t.Y)
	case *syntax.DotExpr:
		t.X = rewrite(t.X)
	case *syntax.TupleExpr:
		for _, x := range t.List {
			rewriteTarget(x)
		}
	case *syntax.ListExpr:
		for _, x := range t.List {
			rewriteTarget(x)
		}
	}
}

func rewriteAssign(stmt *syntax.AssignStmt) {
	var op syntax.Token
	switch stmt.Op {
	case syntax.PLUS_EQ:
		op = syntax.PLUS
	case syntax.STAR_EQ:
		op = syntax.STAR
	case syntax.PERCENT_EQ:
		op = syntax.PERCENT
	}
	again := same(stmt.LHS)
	rewriteTarget(stmt.LHS)
	stmt.RHS = rewrite(stmt.RHS)
	switch {
	case op == 0 || again == nil || op == syntax.PLUS && number(stmt.RHS) || op == syntax.STAR && float(stmt.RHS):
		return
	case op == syntax.PERCENT: // nothing is changed in place
		stmt.Op = syntax.EQ
		stmt.RHS = &syntax.BinaryExpr{X: bounded(op, again, stmt.OpPos), OpPos: stmt.OpPos, Op: op, Y: stmt.RHS}
		return
	}
	stmt.RHS = &syntax.BinaryExpr{X: &syntax.BinaryExpr{X: name(inPlaceName, stmt.OpPos), OpPos: stmt.OpPos, Op: op, Y: again},
		OpPos: stmt.OpPos, Op: op, Y: stmt.RHS}
}

// same is an expression that is evaluated once more without anybody noticing:
// a name, or an item or field of one. nil for any other.
func same(e syntax.Expr) syntax.Expr {
	switch e := e.(type) {
	case *syntax.Ident:
		return name(e.Name, e.NamePos)
	case *syntax.Literal:
		return e
	case *syntax.IndexExpr:
		x, y := same(e.X), same(e.Y)
		if x != nil && y != nil {
			return &syntax.IndexExpr{X: x, Lbrack: e.Lbrack, Y: y, Rbrack: e.Rbrack}
		}
	case *syntax.DotExpr:
		if x := same(e.X); x != nil {
			return &syntax.DotExpr{X: x, Dot: e.Dot, NamePos: e.NamePos, Name: name(e.Name.Name, e.NamePos)}
		}
	}
	return nil
}

func name(s string, at syntax.Position) *syntax.Ident { return &syntax.Ident{NamePos: at, Name: s} }

// bounded is an operand with the bounds before it.
func bounded(op syntax.Token, e syntax.Expr, at syntax.Position) syntax.Expr {
	return &syntax.BinaryExpr{X: name(boundsName, at), OpPos: at, Op: op, Y: e}
}

// number says whether e is a number as it stands.
func number(e syntax.Expr) bool {
	l, ok := e.(*syntax.Literal)
	return ok && (l.Token == syntax.INT || l.Token == syntax.FLOAT)
}

// written says whether e stands in the source whole. The compiler adds up two
// such sides by itself, before the bounds could see the first.
func written(e syntax.Expr) bool {
	switch e := e.(type) {
	case *syntax.ParenExpr:
		return written(e.X)
	case *syntax.Literal, *syntax.ListExpr, *syntax.TupleExpr:
		return true
	}
	return false
}

func float(e syntax.Expr) bool {
	l, ok := e.(*syntax.Literal)
	return ok && l.Token == syntax.FLOAT
}

// rewrite is e with the bounds in it.
func rewrite(e syntax.Expr) syntax.Expr {
	switch e := e.(type) {
	case nil:
		return nil
	case *syntax.BinaryExpr:
		return rewriteBinary(e)
	case *syntax.CallExpr:
		e.Fn = rewrite(e.Fn)
		rewriteArguments(e.Args)
	case *syntax.Comprehension:
		e.Body = rewrite(e.Body)
		for _, clause := range e.Clauses {
			switch c := clause.(type) {
			case *syntax.ForClause:
				rewriteTarget(c.Vars)
				c.X = rewrite(c.X)
			case *syntax.IfClause:
				c.Cond = rewrite(c.Cond)
			}
		}
	case *syntax.CondExpr:
		e.Cond, e.True, e.False = rewrite(e.Cond), rewrite(e.True), rewrite(e.False)
	case *syntax.DictEntry:
		e.Key, e.Value = rewrite(e.Key), rewrite(e.Value)
	case *syntax.DictExpr:
		rewriteList(e.List)
	case *syntax.DotExpr:
		e.X = rewrite(e.X)
		if growing(e.Name.Name) || isOwnMethod(e.Name.Name) {
			e.X = bounded(syntax.AMP, e.X, e.Dot)
		}
	case *syntax.IndexExpr:
		e.X, e.Y = rewrite(e.X), rewrite(e.Y)
	case *syntax.LambdaExpr:
		rewriteParams(e.Params)
		e.Body = rewrite(e.Body)
	case *syntax.ListExpr:
		rewriteList(e.List)
	case *syntax.ParenExpr:
		e.X = rewrite(e.X)
	case *syntax.SliceExpr:
		e.X, e.Lo, e.Hi, e.Step = rewrite(e.X), rewrite(e.Lo), rewrite(e.Hi), rewrite(e.Step)
	case *syntax.TupleExpr:
		rewriteList(e.List)
	case *syntax.UnaryExpr:
		e.X = rewrite(e.X)
	}
	return e
}

func rewriteList(list []syntax.Expr) {
	for i, x := range list {
		list[i] = rewrite(x)
	}
}

// rewriteArguments leaves the names of keywords alone.
func rewriteArguments(args []syntax.Expr) {
	for i, a := range args {
		if kw, ok := a.(*syntax.BinaryExpr); ok && kw.Op == syntax.EQ {
			kw.Y = rewrite(kw.Y)
			continue
		}
		args[i] = rewrite(a)
	}
}

// rewriteBinary puts the bounds before the sides that may grow. Beside a number
// the other side of + is one too, or the interpreter complains.
func rewriteBinary(e *syntax.BinaryExpr) syntax.Expr {
	x, y := e.X, e.Y
	e.X, e.Y = rewrite(x), rewrite(y)
	bound := func(side syntax.Expr) syntax.Expr { return bounded(e.Op, side, e.OpPos) }
	switch e.Op {
	case syntax.PLUS:
		if !number(x) && !number(y) && !(written(x) && written(y)) {
			e.X = bound(e.X)
		}
	case syntax.PERCENT: // of a string and a number too: the formats are ours
		if !number(x) {
			e.X = bound(e.X)
		}
	case syntax.STAR:
		if float(x) || float(y) {
			break
		}
		if !number(x) {
			e.X = bound(e.X)
		}
		if !number(y) {
			e.Y = bound(e.Y)
		}
	}
	return e
}
