package lint

import (
	"fmt"
	"slices"
	"strings"

	"go.starlark.net/syntax"

	"perago/starlib/schema"
	"perago/workspace"
	"perago/workspace/paths"
)

// body is the def run of the file, nil when there is none.
func (l *linter) body() *syntax.DefStmt {
	for _, stmt := range l.Tree.Stmts {
		if def, ok := stmt.(*syntax.DefStmt); ok && def.Name.Name == "run" {
			return def
		}
	}
	return nil
}

// params holds what the body reads of params against their schema.
func (l *linter) params() {
	def := l.body()
	if def == nil || len(def.Params) == 0 || l.Task.Params == nil {
		return
	}
	param, ok := def.Params[len(def.Params)-1].(*syntax.Ident)
	if !ok || len(l.binds[param]) > 1 {
		return // it is assigned anew somewhere: what it is there is not known
	}
	u := &usage{linter: l, param: param, used: map[string]bool{}, seen: map[*syntax.Ident]bool{}}
	syntax.Walk(def, func(n syntax.Node) bool {
		u.read(n)
		return true
	})
	if u.whole {
		return
	}
	for _, f := range l.Task.Params.Fields {
		if !u.used[f.Name] {
			l.warn(l.declared("params", f.Name), "P5001", "the body never reads params."+f.Name, "delete the field, or read it")
		}
	}
}

// usage is what is read of params.
type usage struct {
	*linter
	param *syntax.Ident
	used  map[string]bool
	seen  map[*syntax.Ident]bool // as part of a member access
	whole bool                   // params is used as a whole: then everything may be read
}

// read takes one node into account. The walk comes to an access before it comes
// to the name inside it.
func (u *usage) read(n syntax.Node) {
	switch n := n.(type) {
	case *syntax.DotExpr, *syntax.IndexExpr:
		u.member(n.(syntax.Expr))
	case *syntax.Ident:
		if n != u.param && variable(n) == u.param && !u.seen[n] {
			u.whole = true
		}
	}
}

// member resolves params.a.b as far as its schemas tell. It returns the schema
// of the value, nil when it is not known.
func (u *usage) member(e syntax.Expr) *schema.Schema {
	switch e := e.(type) {
	case *syntax.ParenExpr:
		return u.member(e.X)
	case *syntax.Ident:
		if variable(e) != u.param {
			return nil
		}
		u.seen[e] = true
		return u.Task.Params
	case *syntax.DotExpr:
		return u.field(e.X, e.Name.Name, e.Name.NamePos, true)
	case *syntax.IndexExpr:
		lit, ok := e.Y.(*syntax.Literal)
		if !ok || lit.Token != syntax.STRING {
			return nil
		}
		return u.field(e.X, lit.Value.(string), lit.TokenPos, false)
	}
	return nil
}

func (u *usage) field(of syntax.Expr, name string, at syntax.Position, dotted bool) *schema.Schema {
	s := u.member(of)
	if s == nil {
		return nil
	}
	if s == u.Task.Params {
		u.used[name] = true
	}
	for _, f := range s.Fields {
		if f.Name == name {
			return f.Type.Object // nil for everything but a schema
		}
	}
	for _, d := range u.list {
		if d.Code == "P5002" && d.Line == int(at.Line) && d.Column == int(at.Col) {
			return nil // said already: the access is part of a longer one
		}
	}
	d := u.fail(at, "P5002", "the schema of params has no field `"+name+"`", didYouMean(name, fieldNames(s), ""))
	if dotted {
		rename(d, at, name, fieldNames(s))
	}
	return nil
}

func fieldNames(s *schema.Schema) []string {
	names := make([]string, len(s.Fields))
	for i, f := range s.Fields {
		names[i] = f.Name
	}
	return names
}

// taskAt is where the task is declared.
func (l *linter) taskAt() syntax.Position {
	at := l.Task.At
	return syntax.MakePosition(&at.File, int32(at.Line), int32(at.Column))
}

// declared is where a field stands in the schema(...) that task gets as an
// argument; the call of task when that cannot be seen.
func (l *linter) declared(argument, field string) syntax.Position {
	for _, stmt := range l.Tree.Stmts {
		call := calling(stmt, "task")
		if call == nil {
			continue
		}
		if schema, ok := l.value(keyword(call, argument)).(*syntax.CallExpr); ok {
			for _, arg := range schema.Args {
				if kw, ok := arg.(*syntax.BinaryExpr); ok && kw.Op == syntax.EQ && kw.X.(*syntax.Ident).Name == field {
					return syntax.Start(kw)
				}
			}
		}
	}
	return l.taskAt()
}

// calling is the call of a function that a statement is, nil when it is none.
func calling(stmt syntax.Stmt, name string) *syntax.CallExpr {
	if expr, ok := stmt.(*syntax.ExprStmt); ok {
		if call, ok := expr.X.(*syntax.CallExpr); ok {
			if id, ok := call.Fn.(*syntax.Ident); ok && id.Name == name {
				return call
			}
		}
	}
	return nil
}

func keyword(call *syntax.CallExpr, name string) syntax.Expr {
	for _, arg := range call.Args {
		if kw, ok := arg.(*syntax.BinaryExpr); ok && kw.Op == syntax.EQ && kw.X.(*syntax.Ident).Name == name {
			return kw.Y
		}
	}
	return nil
}

// value follows a name to what the top level assigns to it.
func (l *linter) value(e syntax.Expr) syntax.Expr {
	id, ok := e.(*syntax.Ident)
	if !ok {
		return e
	}
	for _, stmt := range l.Tree.Stmts {
		if assign, ok := stmt.(*syntax.AssignStmt); ok && assign.LHS == syntax.Expr(variable(id)) {
			return assign.RHS
		}
	}
	return e
}

// results holds what the body returns against the schema of the result.
func (l *linter) results() {
	def := l.body()
	if def == nil {
		return
	}
	returns := 0
	walkOwn(def, func(n syntax.Node) bool {
		if n, ok := n.(*syntax.ReturnStmt); ok {
			returns++
			l.result(n)
		}
		return true
	})
	if returns == 0 && !blockEnds(def.Body) {
		l.warn(def.Name.NamePos, "P5005", "run ends without a return", "return a dict: `return {}` when there is nothing to tell")
	}
}

func (l *linter) result(ret *syntax.ReturnStmt) {
	const hint = "return a dict or a struct"
	var keys []*keyAt
	switch e := ret.Result.(type) {
	case nil:
		l.warn(ret.Return, "P5005", "run returns nothing", hint)
		return
	case *syntax.Literal, *syntax.ListExpr, *syntax.TupleExpr, *syntax.LambdaExpr:
		l.warn(syntax.Start(e), "P5005", "run returns no object", hint)
		return
	case *syntax.Ident:
		if variable(e) == nil && (e.Name == "None" || e.Name == "True" || e.Name == "False") {
			l.warn(e.NamePos, "P5005", "run returns no object", hint)
		}
		return
	case *syntax.DictExpr:
		keys = dictKeys(e)
	case *syntax.CallExpr:
		keys = structKeys(e)
	}
	if keys == nil || l.Task.Result == nil {
		return
	}
	l.keys(ret, keys)
}

// keyAt is a key of a returned object, and where it stands.
type keyAt struct {
	name   string
	pos    syntax.Position
	value  syntax.Expr
	quoted bool // pos is that of a quote, and the name stands behind it as it is
}

// keys holds the keys of a returned object, all of them known, against the schema.
func (l *linter) keys(ret *syntax.ReturnStmt, keys []*keyAt) {
	has := map[string]bool{}
	fields := map[string]bool{}
	for _, f := range l.Task.Result.Fields {
		fields[f.Name] = true
	}
	for _, k := range keys {
		has[k.name] = true
		if !fields[k.name] {
			d := l.fail(k.pos, "P5003", "the schema of the result has no field `"+k.name+"`", didYouMean(k.name, fieldNames(l.Task.Result), ""))
			if at := k.pos; k.quoted {
				at.Col++
				rename(d, at, k.name, slices.DeleteFunc(fieldNames(l.Task.Result), func(name string) bool {
					return slices.ContainsFunc(keys, func(other *keyAt) bool { return other.name == name })
				}))
			}
		}
	}
	var missing []string
	for _, f := range l.Task.Result.Fields {
		for _, k := range keys {
			if k.name == f.Name {
				l.known.checkResult(k, f.Type)
			}
		}
		if f.Default == nil && !has[f.Name] {
			missing = append(missing, "`"+f.Name+"`")
		}
	}
	if len(missing) > 0 {
		l.fail(syntax.Start(ret.Result), "P5004", "the result lacks "+strings.Join(missing, ", "), "")
	}
}

// dictKeys are the keys of a dict literal; nil when one of them is no literal.
func dictKeys(e *syntax.DictExpr) []*keyAt {
	keys := []*keyAt{}
	for _, entry := range e.List {
		lit, ok := entry.(*syntax.DictEntry).Key.(*syntax.Literal)
		if !ok || lit.Token != syntax.STRING {
			return nil
		}
		name := lit.Value.(string)
		keys = append(keys, &keyAt{name, lit.TokenPos, entry.(*syntax.DictEntry).Value, len(lit.Raw) == len(name)+2 && lit.Raw[1:len(name)+1] == name})
	}
	return keys
}

// structKeys are the keywords of struct(...) or dict(...); nil for another call,
// or when there are other arguments.
func structKeys(e *syntax.CallExpr) []*keyAt {
	id, ok := e.Fn.(*syntax.Ident)
	if !ok || variable(id) != nil || id.Name != "struct" && id.Name != "dict" {
		return nil
	}
	keys := []*keyAt{}
	for _, arg := range e.Args {
		kw, ok := arg.(*syntax.BinaryExpr)
		if !ok || kw.Op != syntax.EQ {
			return nil
		}
		keys = append(keys, &keyAt{kw.X.(*syntax.Ident).Name, syntax.Start(kw), kw.Y, false})
	}
	return keys
}

// guards finds guards that cannot hold, and guards that cannot fail.
func (l *linter) guards() {
	if l.Task.Workspace == nil {
		return
	}
	for _, list := range [][]workspace.Guard{l.Task.Workspace.Pre, l.Task.Workspace.Post} {
		for _, g := range list {
			switch {
			case g.Kind == workspace.GuardGlob && g.Min == 0 && g.Max == workspace.Unbounded:
				l.warn(l.guardAt(g), "P5011", "the guard "+g.String()+" always holds", "leave min_count out for at least one file")
			case g.Kind != workspace.GuardForbid && unnameable(g) != nil:
				l.warn(l.guardAt(g), "P5010", "the guard "+g.String()+" can never hold", fmt.Sprint(unnameable(g)))
			}
			if f, ok := forbidding(g, list); ok {
				l.warn(l.guardAt(g), "P5010", fmt.Sprintf("the guards %s and %s contradict each other", g, f), "delete one of them")
			}
		}
	}
}

// unnameable says why no file can have the name that a guard wants.
func unnameable(g workspace.Guard) error {
	if g.Path != "" {
		return paths.CheckNew(g.Path)
	}
	if g.Pattern != nil && g.Min > 0 && g.Pattern.LiteralPrefix() != "" {
		return paths.CheckNew(g.Pattern.LiteralPrefix())
	}
	return nil
}

// forbidding finds the guard of a list that forbids what g wants.
func forbidding(g workspace.Guard, list []workspace.Guard) (workspace.Guard, bool) {
	for _, f := range list {
		if f.Kind != workspace.GuardForbid {
			continue
		}
		switch g.Kind {
		case workspace.GuardFile:
			if f.Pattern.Match(g.Path) {
				return f, true
			}
		case workspace.GuardDir:
			if f.Pattern.String() == g.Path+"/**" || f.Pattern.String() == "**" {
				return f, true
			}
		case workspace.GuardGlob:
			if g.Min > 0 && (f.Pattern.String() == g.Pattern.String() || f.Pattern.String() == "**") {
				return f, true
			}
		}
	}
	return workspace.Guard{}, false
}

// guardAt is where a guard is written, as far as its text tells; else the task.
func (l *linter) guardAt(g workspace.Guard) syntax.Position {
	want := g.Path
	if g.Pattern != nil {
		want = g.Pattern.String()
	}
	pos := l.taskAt()
	found := false
	syntax.Walk(l.Tree, func(n syntax.Node) bool {
		call, ok := n.(*syntax.CallExpr)
		if !ok || found {
			return !found
		}
		if id, ok := call.Fn.(*syntax.Ident); ok && id.Name == string(g.Kind) && len(call.Args) > 0 {
			if lit, ok := call.Args[0].(*syntax.Literal); ok && lit.Value == want {
				pos, found = lit.TokenPos, true
			}
		}
		return !found
	})
	return pos
}
