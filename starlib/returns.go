package starlib

import (
	"go.starlark.net/starlark"
	"go.starlark.net/syntax"
)

// What is wrong with a result is found when run has returned, and by then the
// interpreter no longer knows where. So the tree that is compiled notes it:
// `return x` of run is `return (return)(x)`, a call at the place of the
// statement, which costs a quarter of a microsecond.

const returnName = "(return)" // cannot be written in a task file

// noteReturns rewrites the return statements of a function; those of functions
// inside are their own.
func noteReturns(stmts []syntax.Stmt) {
	for _, stmt := range stmts {
		switch stmt := stmt.(type) {
		case *syntax.ForStmt:
			noteReturns(stmt.Body)
		case *syntax.IfStmt:
			noteReturns(stmt.True)
			noteReturns(stmt.False)
		case *syntax.ReturnStmt:
			call := &syntax.CallExpr{Fn: name(returnName, stmt.Return), Lparen: stmt.Return, Rparen: stmt.Return}
			if stmt.Result != nil {
				call.Args = []syntax.Expr{stmt.Result}
			}
			stmt.Result = call
		}
	}
}

// returned notes where the body returns, and gives what it returns. A run that
// another function called is not the body.
func returned(thread *starlark.Thread, _ *starlark.Builtin, args starlark.Tuple, _ []starlark.Tuple) (starlark.Value, error) {
	if run := runOf(thread); run != nil && thread.CallStackDepth() == 2 {
		run.Returned = callerPosition(thread)
	}
	if len(args) == 0 {
		return starlark.None, nil
	}
	return args[0], nil
}
