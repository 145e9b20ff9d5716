package lint

import (
	"slices"
	"strings"

	"go.starlark.net/resolve"
	"go.starlark.net/syntax"

	"perago/starlib"
	"perago/starlib/schema"
)

// inference finds the types of expressions, as far as one can be sure. It does
// not follow the flow of a function: a variable has the types of all that is
// bound to it anywhere, so a test such as `if type(x) == "string"` can only
// leave fewer of them.
type inference struct {
	*linter
	sources  map[*syntax.Ident][]source        // what is bound to a variable, by its first binding
	under    map[*syntax.Ident]bool            // variables whose types are being found: what leads back to them is unknown
	types    map[*syntax.Ident]types           // found
	returns  map[*syntax.DefStmt]types         // what calls of a function give
	inside   map[*syntax.DefStmt]bool          // functions whose returns are being found
	defs     map[*syntax.Ident]*syntax.DefStmt // functions by the identifier that names them
	assigned map[*syntax.DotExpr]bool          // x.a of x.a = v
	grown    map[*syntax.Ident]bool            // variables whose list or set gets more items
	stored   bool                              // something is stored into a container: then what is in one is not known
}

// source is one binding of a variable: to the value of an expression, or to an
// item of it, or to a part of that.
type source struct {
	of     syntax.Expr  // nil: not known
	known  types        // instead of `of`
	item   bool         // an item of it, in a loop
	grows  syntax.Token // x += ..., by the operator; 0: it is not that
	unpack []int        // the place in a tuple, at each level
}

func newInference(l *linter) *inference {
	f := &inference{linter: l, sources: map[*syntax.Ident][]source{}, under: map[*syntax.Ident]bool{}, types: map[*syntax.Ident]types{},
		returns: map[*syntax.DefStmt]types{}, inside: map[*syntax.DefStmt]bool{}, defs: map[*syntax.Ident]*syntax.DefStmt{}, grown: map[*syntax.Ident]bool{}, assigned: map[*syntax.DotExpr]bool{}}
	syntax.Walk(l.Tree, func(n syntax.Node) bool {
		f.note(n)
		return true
	})
	return f
}

// note collects the bindings that a node makes.
func (f *inference) note(n syntax.Node) {
	switch n := n.(type) {
	case *syntax.AssignStmt:
		switch target := n.LHS.(type) {
		case *syntax.IndexExpr:
			f.stored = true
		case *syntax.DotExpr:
			f.assigned[target] = true
		}
		if n.Op == syntax.EQ {
			f.bindTo(n.LHS, source{of: n.RHS})
		} else if id, ok := n.LHS.(*syntax.Ident); ok {
			f.bindTo(id, source{grows: n.Op - syntax.PLUS_EQ + syntax.PLUS})
			f.note(&syntax.CallExpr{Fn: &syntax.DotExpr{X: id, Name: &syntax.Ident{Name: "extend"}}})
		}
	case *syntax.ForStmt:
		f.bindTo(n.Vars, source{of: n.X, item: true})
	case *syntax.ForClause:
		f.bindTo(n.Vars, source{of: n.X, item: true})
	case *syntax.DefStmt:
		f.bindTo(n.Name, source{known: types{{name: "function", def: n}}})
		f.defs[n.Name] = n
		f.parameters(n, n.Params)
	case *syntax.LambdaExpr:
		f.parameters(nil, n.Params)
	case *syntax.LoadStmt:
		for _, to := range n.To {
			f.bindTo(to, source{})
		}
	case *syntax.CallExpr:
		dot, ok := n.Fn.(*syntax.DotExpr)
		if !ok {
			return
		}
		switch dot.Name.Name {
		case "update", "setdefault":
			f.stored = true
		case "append", "extend", "insert", "add":
			if id, ok := dot.X.(*syntax.Ident); ok && variable(id) != nil {
				f.grown[variable(id)] = true
			}
		}
	}
}

// parameters binds those of a function: of run, what the task says they are.
func (f *inference) parameters(def *syntax.DefStmt, params []syntax.Expr) {
	isTest := def != nil && f.Harness != nil && strings.HasPrefix(def.Name.Name, "test_") && harnessed(def) != nil
	isRun := def != nil && f.Task != nil && def == f.body()
	for i, p := range params {
		known := types(nil)
		switch {
		case isRun && i == len(params)-1 && f.Task.Params != nil:
			known = types{{name: "params", schema: f.Task.Params}}
		case isRun && i == 0 && len(params) == 2:
			known = one("path")
		case isTest:
			known = one(testType)
		}
		switch p := p.(type) {
		case *syntax.Ident:
			f.bindTo(p, source{known: known})
		case *syntax.BinaryExpr:
			f.bindTo(p.X, source{})
		case *syntax.UnaryExpr:
			if p.X != nil {
				f.bindTo(p.X, source{})
			}
		}
	}
}

func (f *inference) bindTo(target syntax.Expr, s source) {
	switch target := target.(type) {
	case *syntax.Ident:
		v := variable(target)
		if v == nil {
			v = target
		}
		f.sources[v] = append(f.sources[v], s)
	case *syntax.ParenExpr:
		f.bindTo(target.X, s)
	case *syntax.TupleExpr:
		f.bindParts(target.List, s)
	case *syntax.ListExpr:
		f.bindParts(target.List, s)
	}
}

func (f *inference) bindParts(list []syntax.Expr, s source) {
	for i, x := range list {
		part := s
		part.unpack = append(append([]int{}, s.unpack...), i)
		f.bindTo(x, part)
	}
}

// variable is what a variable may be.
func (f *inference) variable(v *syntax.Ident) types {
	if t, ok := f.types[v]; ok {
		return t
	}
	if f.under[v] {
		return nil
	}
	f.under[v] = true
	defer delete(f.under, v)
	var all types
	first := true
	for _, s := range f.sources[v] {
		if s.grows == 0 {
			t := f.source(s)
			if !first {
				t = join(all, t)
			}
			if all, first = t, false; len(all) == 0 {
				break
			}
		}
	}
	for _, s := range f.sources[v] {
		if s.grows != 0 {
			all = join(all, all.grownBy(s.grows))
		}
	}
	if f.grown[v] {
		all = all.withoutItems()
	}
	f.types[v] = all
	return all
}

// grownBy is what x is after x op= something, when that does not fail.
func (t types) grownBy(op syntax.Token) types {
	switch {
	case t.named("int", "float") && op != syntax.STAR && op != syntax.PIPE && op != syntax.AMP && op != syntax.CIRCUMFLEX:
		return types{{name: "int"}, {name: "float"}}
	case t.named("string") && (op == syntax.PLUS || op == syntax.PERCENT), t.named("path") && op == syntax.SLASH,
		t.named("list") && op == syntax.PLUS:
		return t
	}
	return nil
}

func (f *inference) source(s source) types {
	t := s.known
	if s.of != nil {
		t = f.of(s.of)
	}
	if s.item {
		t = f.itemsOf(t)
	}
	of := s.of
	if s.item {
		of = nil
	}
	for _, i := range s.unpack {
		tuple, ok := of.(*syntax.TupleExpr)
		if of = nil; ok && i < len(tuple.List) {
			of = tuple.List[i]
			t = f.of(of)
		} else {
			t = t.items()
		}
	}
	return t
}

// withoutItems forgets what is in lists and dicts.
func (t types) withoutItems() types {
	t = append(types{}, t...)
	for i := range t {
		if t[i].name == "list" || t[i].name == "dict" || t[i].name == "set" {
			t[i].item = nil
		}
	}
	return t
}

// itemsOf are what a loop over a value of these types gives.
func (f *inference) itemsOf(t types) types {
	if f.stored {
		return t.withoutContents().items()
	}
	return t.items()
}

// withoutContents forgets what is in containers: something is stored into one
// somewhere in the file, and it may be this one. Names of files stay: a glob's
// result is hardly ever written to.
func (t types) withoutContents() types {
	t = append(types{}, t...)
	for i := range t {
		if t[i].name != "tuple" && !t[i].item.named("path") {
			inner := types(nil)
			if t[i].name == "csv rows" {
				inner = append(types{}, t[i].item...)
				for j := range inner {
					inner[j].item = nil
				}
			}
			t[i].item = inner
		}
	}
	return t
}

// of is what the value of an expression may be.
func (f *inference) of(e syntax.Expr) types {
	switch e := e.(type) {
	case *syntax.ParenExpr:
		return f.of(e.X)
	case *syntax.Literal:
		switch e.Token {
		case syntax.STRING:
			return one("string")
		case syntax.BYTES:
			return one("bytes")
		case syntax.INT:
			return one("int")
		case syntax.FLOAT:
			return one("float")
		}
	case *syntax.Ident:
		return f.name(e)
	case *syntax.ListExpr:
		return types{{name: "list", item: f.each(e.List)}}
	case *syntax.TupleExpr:
		return types{{name: "tuple", item: f.each(e.List)}}
	case *syntax.DictExpr:
		return one("dict")
	case *syntax.Comprehension:
		if e.Curly {
			return one("dict")
		}
		return types{{name: "list", item: f.of(e.Body)}}
	case *syntax.LambdaExpr:
		return one("function")
	case *syntax.CondExpr:
		return join(f.of(e.True), f.of(e.False))
	case *syntax.UnaryExpr:
		if e.Op == syntax.NOT {
			return one("bool")
		}
		if t := f.of(e.X); t.named("int", "float") {
			return t
		}
	case *syntax.BinaryExpr:
		return f.binary(e)
	case *syntax.SliceExpr:
		if t := f.of(e.X); t.named("string", "list", "tuple", "bytes", "range") {
			return t
		}
	case *syntax.IndexExpr:
		return f.index(e)
	case *syntax.DotExpr:
		return f.dot(e)
	case *syntax.CallExpr:
		return f.call(e)
	}
	return nil
}

// each is what all of some expressions may be.
func (f *inference) each(list []syntax.Expr) types {
	return joinEach(len(list), func(i int) types { return f.of(list[i]) })
}

func (f *inference) name(id *syntax.Ident) types {
	if v := variable(id); v != nil && !predeclared(id) {
		return f.variable(v)
	}
	switch id.Name {
	case "True", "False":
		return one("bool")
	case "None":
		return one("NoneType")
	}
	if row := f.function(id.Name); row != nil {
		return types{{name: "function", row: row}}
	}
	return nil
}

// predeclared says whether an identifier is a name of the language.
func predeclared(id *syntax.Ident) bool {
	b, ok := id.Binding.(*resolve.Binding)
	return ok && (b.Scope == resolve.Predeclared || b.Scope == resolve.Universal)
}

// module is the name of the module that an expression is, "" when it is none.
func (l *linter) module(e syntax.Expr) string {
	if id, ok := e.(*syntax.Ident); ok && predeclared(id) && l.function(id.Name) == nil {
		return id.Name
	}
	return ""
}

func (f *inference) dot(e *syntax.DotExpr) types {
	name := e.Name.Name
	if m := f.module(e.X); m != "" {
		return valueOf(f.function(m + "." + name))
	}
	t := f.of(e.X)
	return joinEach(len(t), func(i int) types { return f.member(t[i], name) })
}

// valueOf is a function of the table as a value, or what its property is.
func valueOf(row *starlib.Builtin) types {
	switch {
	case row == nil:
		return nil
	case row.Property:
		return reading(row.Returns)
	}
	return types{{name: "function", row: row}}
}

// member is what k.name is.
func (f *inference) member(k kind, name string) types {
	if k.schema != nil {
		for _, field := range k.schema.Fields {
			if field.Name == name {
				return f.declaredAs(field.Type)
			}
		}
		return nil
	}
	if rows := f.tests[k.name]; rows != nil {
		return valueOf(rows[name])
	}
	return valueOf(theLanguage().methods[k.name][name])
}

// declaredAs is what a value of a declared type is in the body.
func (f *inference) declaredAs(t *schema.Type) types {
	switch t.Kind {
	case schema.KindString, schema.KindDateTime, schema.KindDate, schema.KindUUID:
		return one("string")
	case schema.KindInt:
		return one("int")
	case schema.KindFloat:
		return types{{name: "float"}, {name: "int"}}
	case schema.KindBool:
		return one("bool")
	case schema.KindList:
		k := kind{name: "list"}
		if t.Elem != nil {
			k.item = f.declaredAs(t.Elem.Type)
		}
		return types{k}
	case schema.KindMap:
		k := kind{name: "dict"}
		if t.Elem != nil {
			k.item = f.declaredAs(t.Elem.Type)
		}
		return types{k}
	case schema.KindSchema:
		return types{{name: "params", schema: t.Object}}
	case schema.KindOptional:
		if t.Elem == nil {
			return nil
		}
		return join(f.declaredAs(t.Elem.Type), one("NoneType"))
	}
	return nil
}

func (f *inference) index(e *syntax.IndexExpr) types {
	t := f.of(e.X)
	if f.stored {
		t = t.withoutContents()
	}
	return joinEach(len(t), func(i int) types {
		switch k := t[i]; {
		case k.name == "string":
			return one("string")
		case k.name == "bytes" || k.name == "range":
			return one("int")
		case k.schema != nil:
			if name, ok := literal(e.Y); ok {
				return f.member(k, name)
			}
			return nil
		default:
			return k.item
		}
	})
}

func (f *inference) call(e *syntax.CallExpr) types {
	t := f.of(e.Fn)
	return joinEach(len(t), func(i int) types {
		switch k := t[i]; {
		case k.def != nil:
			return f.returned(k.def)
		case k.row != nil:
			return f.given(k.row, e)
		}
		return nil
	})
}

// given is what a call of a function of the table gives.
func (f *inference) given(row *starlib.Builtin, e *syntax.CallExpr) types {
	if row.Name == "struct" {
		fields := []string{}
		for _, arg := range e.Args {
			kw, ok := arg.(*syntax.BinaryExpr)
			if !ok || kw.Op != syntax.EQ {
				return one("struct")
			}
			fields = append(fields, kw.X.(*syntax.Ident).Name)
		}
		return types{{name: "struct", fields: fields}}
	}
	if row.Name == "enumerate" || row.Name == "zip" {
		for _, arg := range e.Args { // of a stream it is a stream, which is no list
			if kw, ok := arg.(*syntax.BinaryExpr); ok && kw.Op == syntax.EQ {
				continue
			}
			if t := f.of(arg); len(t) == 0 || slices.ContainsFunc(t, func(k kind) bool { return slices.Contains(streamed, k.name) }) {
				return nil
			}
		}
	}
	if len(e.Args) > 0 {
		switch row.Name {
		case "list", "sorted", "reversed":
			return types{{name: "list", item: f.itemsOf(f.of(e.Args[0]))}}
		case "abs":
			return f.of(e.Args[0])
		}
	}
	return reading(row.Returns)
}

// walkOwn visits the nodes of a function, without those of functions in it.
func walkOwn(def *syntax.DefStmt, visit func(n syntax.Node) bool) {
	syntax.Walk(def, func(n syntax.Node) bool {
		switch n := n.(type) {
		case *syntax.DefStmt:
			return n == def
		case *syntax.LambdaExpr:
			return false
		}
		return visit(n)
	})
}

// returned is what a function of the file gives: all that its returns are, and
// None when it may come to its end.
func (f *inference) returned(def *syntax.DefStmt) types {
	if t, ok := f.returns[def]; ok {
		return t
	}
	if f.inside[def] {
		return nil
	}
	f.inside[def] = true
	defer delete(f.inside, def)
	var all types
	first, unknown := true, false
	add := func(t types) {
		if !first {
			t = join(all, t)
		}
		first, all, unknown = false, t, unknown || len(t) == 0
	}
	walkOwn(def, func(n syntax.Node) bool {
		if n, ok := n.(*syntax.ReturnStmt); ok {
			if n.Result == nil {
				add(one("NoneType"))
			} else {
				add(f.of(n.Result))
			}
		}
		return true
	})
	if !blockEnds(def.Body) {
		add(one("NoneType"))
	}
	if unknown {
		all = nil
	}
	f.returns[def] = all
	return all
}
