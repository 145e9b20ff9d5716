package starlib

import (
	"fmt"
	"strings"
	"sync/atomic"
	"unsafe"

	"go.starlark.net/starlark"
	"go.starlark.net/syntax"

	"perago/starlib/diag"
)

// The operators and string methods of the interpreter have no bound: one `*`
// makes 16 GiB, one replace() a product, and nothing looks at memory or at a
// cancel in between. Such an operation is refused before it starts, with its
// line, so that a body does not die in the middle of it. To get there, the
// loader rewrites what it compiles:
//
//	a + b          (bounds + a) + b
//	a * b          (bounds * a) * (bounds * b)
//	a % b          (bounds % a) % b
//	a += b         a += ((in place + a) + b)
//	a %= b         a = (bounds % a) % b
//	f()[g()] += b  x = f(); y = g(); x[y] += ((in place + x[y]) + b)
//	a.join(b)      (bounds & a).join(b)
//
// bounds is a value with operators of its own. For a number, and for any type
// that cannot become large in one step, `bounds + a` is a itself, so arithmetic
// costs a few nanoseconds more. For a string, a list and the like it is an operand,
// which checks both sides before the interpreter's operator runs. The operator % of
// a string is implemented here in full (format.go).

const (
	codeTooLarge diag.Code = "P4006" // one value would be larger than one may be

	// boundsName and inPlaceName are names that cannot be written in a task file.
	boundsName  = "(bounds)"
	inPlaceName = "(bounds in place)"

	// maxValue bounds one value, in bytes, where nothing closer is set.
	maxValue = 256 << 20

	// maxBits bounds an int that * makes: multiplying takes more than linear time.
	maxBits = 1 << 20
)

// Bounds limits the size of what one operation may make. Each module has its own.
type Bounds struct {
	most    atomic.Int64 // bytes; 0 is maxValue
	largest atomic.Int64
}

// SetMost bounds one value, in bytes. It is for a process that runs one body:
// the bound holds for all bodies of the module.
func (b *Bounds) SetMost(bytes int64) { b.most.Store(bytes) }

// Most is the bound of one value, in bytes.
func (b *Bounds) Most() int64 {
	if most := b.most.Load(); most > 0 {
		return most
	}
	return maxValue
}

// Largest is the size of the largest value that was made, in bytes; sizes below
// half of the bound are not noted.
func (b *Bounds) Largest() int64 { return b.largest.Load() }

// Predeclare adds the names that rewritten trees use.
func (b *Bounds) Predeclare(names starlark.StringDict) {
	names[boundsName] = b
	names[inPlaceName] = inPlace{b}
	names[returnName] = starlark.NewBuiltin(returnName, returned)
}

func (b *Bounds) String() string        { return boundsName }
func (b *Bounds) Type() string          { return boundsName }
func (b *Bounds) Freeze()               {}
func (b *Bounds) Truth() starlark.Bool  { return true }
func (b *Bounds) Hash() (uint32, error) { return 0, fmt.Errorf("unhashable: %s", boundsName) }

// Binary is called first in every rewritten expression.
func (b *Bounds) Binary(op syntax.Token, y starlark.Value, _ starlark.Side) (starlark.Value, error) {
	if op == syntax.AMP {
		return withMethods(y, b), nil
	}
	switch v := y.(type) {
	case starlark.String:
		return &operand{y, b}, nil
	case starlark.Bytes, *starlark.List, starlark.Tuple:
		if op == syntax.PERCENT {
			return y, nil
		}
		return &operand{y, b}, nil
	case starlark.Int:
		if op == syntax.STAR {
			if _, small := v.Int64(); !small {
				return &operand{y, b}, nil
			}
		}
	}
	return y, nil
}

// allow says whether a value of that many bytes may be made.
func (b *Bounds) allow(what string, bytes int64) error {
	most := b.Most()
	if bytes > most {
		return &diag.Problem{Code: codeTooLarge, Message: "the " + what + " would be too large", Found: diag.Size(bytes),
			Wanted: "at most " + diag.Size(most), Hint: "work on one part at a time; a higher resources(memory = ...) raises this bound too"}
	}
	if bytes > most/2 && bytes > b.largest.Load() {
		b.largest.Store(bytes)
	}
	return nil
}

// operand stands for one side of an operator that is about to run.
type operand struct {
	starlark.Value
	bounds *Bounds
}

// Binary checks the operation against the bounds, then lets the interpreter run it.
func (o *operand) Binary(op syntax.Token, y starlark.Value, side starlark.Side) (starlark.Value, error) {
	x := o.Value
	if other, ok := y.(*operand); ok {
		y = other.Value
	}
	if side == starlark.Right {
		x, y = y, x
	}
	if format, ok := x.(starlark.String); ok && op == syntax.PERCENT {
		return (&formatter{bounds: o.bounds}).percent(string(format), y)
	}
	if err := o.bounds.check(op, x, y); err != nil {
		return nil, err
	}
	return starlark.Binary(op, x, y)
}

// check refuses an operation that would make too large a value.
func (b *Bounds) check(op syntax.Token, x, y starlark.Value) error {
	switch op {
	case syntax.PLUS:
		if what, unit := sequence(x); unit > 0 && sameKind(x, y) {
			return b.allow(what, (int64(starlark.Len(x))+int64(starlark.Len(y)))*unit)
		}
	case syntax.STAR:
		return b.checkTimes(x, y)
	}
	return nil
}

func (b *Bounds) checkTimes(x, y starlark.Value) error {
	n, ok := x.(starlark.Int)
	if !ok {
		x, y = y, x
		if n, ok = x.(starlark.Int); !ok {
			return nil
		}
	}
	if m, ok := y.(starlark.Int); ok {
		if bits := n.BigInt().BitLen() + m.BigInt().BitLen(); bits > maxBits {
			return &diag.Problem{Code: codeTooLarge, Message: "the int would be too large", Found: fmt.Sprintf("about %d bits", bits),
				Wanted: fmt.Sprintf("at most %d", maxBits)}
		}
		return nil
	}
	what, unit := sequence(y)
	times, fits := n.Int64()
	switch {
	case unit == 0 || n.Sign() <= 0 || starlark.Len(y) == 0:
		return nil
	case !fits || times > (1<<62)/(int64(starlark.Len(y))*unit):
		times = (1 << 62) / (int64(starlark.Len(y)) * unit)
	}
	return b.allow(what, int64(starlark.Len(y))*unit*times)
}

// sequence names a value that operators can make large, and says how many bytes
// an item of it takes; 0 for any other value.
func sequence(v starlark.Value) (what string, unit int64) {
	switch v.(type) {
	case starlark.String:
		return "string", 1
	case starlark.Bytes:
		return "bytes", 1
	case *starlark.List:
		return "list", 16
	case starlark.Tuple:
		return "tuple", 16
	}
	return "", 0
}

func sameKind(x, y starlark.Value) bool {
	a, _ := sequence(x)
	b, _ := sequence(y)
	return a == b
}

// precheck is the value of `in place + x` in `x += ((in place + x) + y)`. Added to
// y, it checks `x + y` against the bounds and gives y.
type precheck struct {
	starlark.Value
	bounds *Bounds
}

// Binary is never called with a precheck on the right side.
func (p *precheck) Binary(op syntax.Token, y starlark.Value, _ starlark.Side) (starlark.Value, error) {
	return y, p.bounds.check(op, p.Value, y)
}

// inPlace is the first operand in a rewritten augmented assignment.
type inPlace struct{ *Bounds }

// Binary is a precheck where x may become large in one step.
func (b inPlace) Binary(op syntax.Token, x starlark.Value, _ starlark.Side) (starlark.Value, error) {
	switch x.(type) {
	case starlark.String, starlark.Bytes, *starlark.List, starlark.Tuple:
		return &precheck{x, b.Bounds}, nil
	case starlark.Int:
		if op == syntax.STAR {
			return &precheck{x, b.Bounds}, nil
		}
	}
	return noCheck{}, nil
}

// noCheck takes the place of a precheck for a value that cannot become large.
type noCheck struct{}

func (noCheck) String() string        { return boundsName }
func (noCheck) Type() string          { return boundsName }
func (noCheck) Freeze()               {}
func (noCheck) Truth() starlark.Bool  { return true }
func (noCheck) Hash() (uint32, error) { return 0, fmt.Errorf("unhashable: %s", boundsName) }

// Binary gives the right side unchanged.
func (noCheck) Binary(_ syntax.Token, y starlark.Value, _ starlark.Side) (starlark.Value, error) {
	return y, nil
}

// boundValue stands for a string, list, dict or set while a method of it is looked
// up.
type boundValue struct {
	starlark.HasAttrs
	bounds *Bounds
}

// AttrNames are the methods of the interpreter and those of this package.
func (v *boundValue) AttrNames() []string { return methodNames(v.HasAttrs) }

// canGrow says whether a method of that name can make something much larger
// than its string.
func canGrow(name string) bool {
	switch name {
	case "join", "replace", "format", "split", "rsplit":
		return true
	}
	return false
}

// Attr gives the methods of this package, and those of the interpreter; those that
// can make something large check the bounds first.
func (v *boundValue) Attr(name string) (starlark.Value, error) {
	if row := ownMethods()[v.Type()].rows[name]; row != nil {
		return row.value(v.HasAttrs), nil
	}
	own, err := v.HasAttrs.Attr(name)
	s, isText := v.HasAttrs.(starlark.String)
	if method, ok := own.(*starlark.Builtin); ok && err == nil && isText && canGrow(name) {
		return &boundMethod{Builtin: method, text: string(s), bounds: v.bounds}, nil
	}
	return own, err
}

// boundMethod is a method of a string that checks the size of its result first.
type boundMethod struct {
	*starlark.Builtin
	text   string
	bounds *Bounds
}

// CallInternal implements starlark.Callable.
func (m *boundMethod) CallInternal(thread *starlark.Thread, args starlark.Tuple, kwargs []starlark.Tuple) (starlark.Value, error) {
	c := boundCall{thread: thread, bounds: m.bounds, method: m.Name(), s: m.text, args: args, kwargs: kwargs}
	var err error
	switch c.method {
	case "join":
		err = c.join()
	case "replace":
		err = c.replace()
	case "format":
		return c.format()
	default:
		err = c.split()
	}
	if err != nil {
		return nil, err
	}
	return m.Builtin.CallInternal(thread, c.args, c.kwargs)
}

// boundCall is one call of such a method. It does not report wrong arguments: the
// method itself does.
type boundCall struct {
	thread *starlark.Thread
	bounds *Bounds
	method string
	s      string
	args   starlark.Tuple
	kwargs []starlark.Tuple
}

// join collects the items of a stream, so that it is read only once.
func (c *boundCall) join() error {
	if len(c.args) != 1 || len(c.kwargs) > 0 {
		return nil
	}
	size := -int64(len(c.s)) // there is one separator less than items
	switch items := c.args[0].(type) {
	case *starlark.List:
		for i := range items.Len() {
			s, _ := items.Index(i).(starlark.String)
			size += int64(len(s)) + int64(len(c.s))
		}
	case starlark.Tuple:
		for _, x := range items {
			s, _ := x.(starlark.String)
			size += int64(len(s)) + int64(len(c.s))
		}
	case starlark.Iterable:
		taken, err := c.take(items, &size)
		if err != nil {
			return err
		}
		c.args = starlark.Tuple{taken}
	}
	return c.bounds.allow("string", size)
}

// take reads the items to be joined, until they are too large.
func (c *boundCall) take(items starlark.Iterable, size *int64) (starlark.Tuple, error) {
	var taken starlark.Tuple
	m := itemCounter{call: &call{thread: c.thread, builtin: &Builtin{Name: "join"}, run: runOf(c.thread)}}
	for x := range starlark.Elements(items) {
		if err := m.tick(); err != nil {
			return nil, err
		}
		s, ok := x.(starlark.String)
		*size += int64(len(s)) + int64(len(c.s))
		taken = append(taken, x)
		if !ok || *size+16*int64(len(taken)) > c.bounds.Most() {
			break
		}
	}
	*size = max(*size, 16*int64(len(taken)))
	return taken, nil
}

func (c *boundCall) replace() error {
	var from, to string
	count := -1
	if err := starlark.UnpackPositionalArgs("replace", c.args, c.kwargs, 2, &from, &to, &count); err != nil {
		return nil
	}
	found := strings.Count(c.s, from)
	if count >= 0 {
		found = min(found, count)
	}
	return c.bounds.allow("string", int64(len(c.s))+int64(found)*int64(len(to)-len(from)))
}

// split bounds the list that a split makes: a string takes two words of memory, and
// two more in the list.
func (c *boundCall) split() error {
	const item = 32
	if int64(len(c.s)+1)*item <= c.bounds.Most()/2 {
		return nil
	}
	parts := 0
	sep, most := "\n", -1
	switch {
	case len(c.args) > 0 && c.args[0] != starlark.None:
		if starlark.UnpackPositionalArgs(c.method, c.args, c.kwargs, 1, &sep, &most) != nil || sep == "" {
			return nil
		}
		parts = strings.Count(c.s, sep) + 1
	default:
		for range strings.FieldsSeq(c.s) {
			parts++
		}
		if len(c.args) > 1 {
			most, _ = starlark.AsInt32(c.args[1])
		}
	}
	if most >= 0 {
		parts = min(parts, most+1)
	}
	return c.bounds.allow("list", int64(parts)*item)
}

func (c *boundCall) format() (starlark.Value, error) {
	m := itemCounter{call: &call{thread: c.thread, builtin: &Builtin{Name: "format"}, run: runOf(c.thread)}}
	return (&formatter{bounds: c.bounds, tick: m.tick}).format(c.s, c.args, c.kwargs)
}

// Rewrite adds the checks to a tree that was parsed and is not yet resolved, and
// makes run note where it returns. Positions stay those of the source.
func (b *Bounds) Rewrite(tree *syntax.File) {
	tree.Stmts = rewriteAll(tree.Stmts)
	for _, stmt := range tree.Stmts {
		if def, ok := stmt.(*syntax.DefStmt); ok && def.Name.Name == "run" {
			noteReturns(def.Body)
		}
	}
}

func rewriteAll(stmts []syntax.Stmt) []syntax.Stmt {
	var out []syntax.Stmt
	for _, stmt := range stmts {
		switch stmt := stmt.(type) {
		case *syntax.AssignStmt:
			out = append(out, rewriteAssign(stmt)...)
		case *syntax.DefStmt:
			rewriteParams(stmt.Params)
			stmt.Body = rewriteAll(stmt.Body)
		case *syntax.ExprStmt:
			stmt.X = rewrite(stmt.X)
		case *syntax.ForStmt:
			rewriteTarget(stmt.Vars)
			stmt.X = rewrite(stmt.X)
			stmt.Body = rewriteAll(stmt.Body)
		case *syntax.WhileStmt:
			stmt.Cond = rewrite(stmt.Cond)
			stmt.Body = rewriteAll(stmt.Body)
		case *syntax.IfStmt:
			stmt.Cond = rewrite(stmt.Cond)
			stmt.True, stmt.False = rewriteAll(stmt.True), rewriteAll(stmt.False)
		case *syntax.ReturnStmt:
			stmt.Result = rewrite(stmt.Result)
		}
		out = append(out, stmt)
	}
	return out
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

// rewriteAssign rewrites stmt, and returns what has to run before it.
func rewriteAssign(stmt *syntax.AssignStmt) (before []syntax.Stmt) {
	var op syntax.Token
	switch stmt.Op {
	case syntax.PLUS_EQ:
		op = syntax.PLUS
	case syntax.STAR_EQ:
		op = syntax.STAR
	case syntax.PERCENT_EQ:
		op = syntax.PERCENT
	}
	stmt.RHS = rewrite(stmt.RHS)
	if op == 0 || op == syntax.PLUS && isNumber(stmt.RHS) || op == syntax.STAR && isFloat(stmt.RHS) {
		rewriteTarget(stmt.LHS)
		return nil
	}
	for {
		paren, ok := stmt.LHS.(*syntax.ParenExpr)
		if !ok {
			break
		}
		stmt.LHS = paren.X
	}
	if copyOf(stmt.LHS) == nil {
		before = evaluatedBefore(stmt.LHS)
	}
	again := copyOf(stmt.LHS)
	rewriteTarget(stmt.LHS)
	switch {
	case again == nil: // no target, which the resolver says
	case op == syntax.PERCENT: // nothing is changed in place
		stmt.Op = syntax.EQ
		stmt.RHS = &syntax.BinaryExpr{X: bounded(op, again, stmt.OpPos), OpPos: stmt.OpPos, Op: op, Y: stmt.RHS}
	default:
		stmt.RHS = &syntax.BinaryExpr{X: &syntax.BinaryExpr{X: ident(inPlaceName, stmt.OpPos), OpPos: stmt.OpPos, Op: op, Y: again},
			OpPos: stmt.OpPos, Op: op, Y: stmt.RHS}
	}
	return before
}

// evaluatedBefore moves what a target computes into assignments before it, to names
// that cannot be written in a task file.
func evaluatedBefore(target syntax.Expr) (before []syntax.Stmt) {
	take := func(e syntax.Expr) syntax.Expr {
		switch e.(type) {
		case *syntax.Ident, *syntax.Literal:
			return e
		}
		at := syntax.Start(e)
		taken := fmt.Sprintf("(target %d:%d %d)", at.Line, at.Col, len(before))
		before = append(before, &syntax.AssignStmt{OpPos: at, Op: syntax.EQ, LHS: ident(taken, at), RHS: rewrite(e)})
		return ident(taken, at)
	}
	switch t := target.(type) {
	case *syntax.IndexExpr:
		t.X = take(t.X)
		t.Y = take(t.Y)
	case *syntax.DotExpr:
		t.X = take(t.X)
	}
	return before
}

// copyOf copies an expression that has no effect, so that it can be evaluated
// twice: a name, or an item or a field of one. It is nil for any other.
func copyOf(e syntax.Expr) syntax.Expr {
	switch e := e.(type) {
	case *syntax.Ident:
		return ident(e.Name, e.NamePos)
	case *syntax.Literal:
		return e
	case *syntax.IndexExpr:
		x, y := copyOf(e.X), copyOf(e.Y)
		if x != nil && y != nil {
			return &syntax.IndexExpr{X: x, Lbrack: e.Lbrack, Y: y, Rbrack: e.Rbrack}
		}
	case *syntax.DotExpr:
		if x := copyOf(e.X); x != nil {
			return &syntax.DotExpr{X: x, Dot: e.Dot, NamePos: e.NamePos, Name: ident(e.Name.Name, e.NamePos)}
		}
	}
	return nil
}

func ident(s string, at syntax.Position) *syntax.Ident { return &syntax.Ident{NamePos: at, Name: s} }

// bounded is `bounds op e`.
func bounded(op syntax.Token, e syntax.Expr, at syntax.Position) syntax.Expr {
	return &syntax.BinaryExpr{X: ident(boundsName, at), OpPos: at, Op: op, Y: e}
}

// isNumber says whether e is the literal of a number.
func isNumber(e syntax.Expr) bool {
	l, ok := e.(*syntax.Literal)
	return ok && (l.Token == syntax.INT || l.Token == syntax.FLOAT)
}

// isLiteral says whether e is a literal. The compiler adds two of them itself, so
// no check could come between.
func isLiteral(e syntax.Expr) bool {
	switch e := e.(type) {
	case *syntax.ParenExpr:
		return isLiteral(e.X)
	case *syntax.Literal, *syntax.ListExpr, *syntax.TupleExpr:
		return true
	}
	return false
}

func isFloat(e syntax.Expr) bool {
	l, ok := e.(*syntax.Literal)
	return ok && l.Token == syntax.FLOAT
}

// rewrite is e with the checks in it.
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
		if canGrow(e.Name.Name) || isOwnMethod(e.Name.Name) {
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

// rewriteBinary adds the checks to the sides that may be large. Where one side of +
// is a number, so is the other, or the interpreter reports it.
func rewriteBinary(e *syntax.BinaryExpr) syntax.Expr {
	x, y := e.X, e.Y
	e.X, e.Y = rewrite(x), rewrite(y)
	bound := func(side syntax.Expr) syntax.Expr { return bounded(e.Op, side, e.OpPos) }
	switch e.Op {
	case syntax.PLUS:
		if !isNumber(x) && !isNumber(y) && !(isLiteral(x) && isLiteral(y)) {
			e.X = bound(e.X)
		}
	case syntax.PERCENT: // of a string and a number too: the formats are ours
		if !isNumber(x) {
			e.X = bound(e.X)
		}
	case syntax.STAR:
		if isFloat(x) || isFloat(y) {
			break
		}
		if !isNumber(x) {
			e.X = bound(e.X)
		}
		if !isNumber(y) {
			e.Y = bound(e.Y)
		}
	}
	return e
}

// A result is checked when run has returned, and by then the interpreter no longer
// knows where. So `return x` of run is compiled as `return (return)(x)`: the call has
// the position of the statement, and costs a quarter of a microsecond.

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
			call := &syntax.CallExpr{Fn: ident(returnName, stmt.Return), Lparen: stmt.Return, Rparen: stmt.Return}
			if stmt.Result != nil {
				call.Args = []syntax.Expr{stmt.Result}
			}
			stmt.Result = call
		}
	}
}

// returned notes where the body returns, and gives its argument back. It notes
// nothing when another function has called run.
func returned(thread *starlark.Thread, _ *starlark.Builtin, args starlark.Tuple, _ []starlark.Tuple) (starlark.Value, error) {
	if run := runOf(thread); run != nil && thread.CallStackDepth() == 2 {
		run.Returned = callerPosition(thread)
	}
	if len(args) == 0 {
		return starlark.None, nil
	}
	return args[0], nil
}

const (
	freezeDepth = 10_000     // levels; the interpreter freezes by recursion in Go
	freezeParts = 10_000_000 // visits
)

// CheckFreezable says whether the interpreter can freeze the globals of a file.
// It marks what it has frozen in lists, dicts and sets, and not in tuples and
// functions: a tuple that holds another one twice, and so on for sixty levels,
// would take for ever to freeze. It returns the name of the global at fault.
func CheckFreezable(globals starlark.StringDict) (name string, problem *diag.Problem) {
	f := freezing{known: map[any]int64{}}
	for _, name := range globals.Keys() {
		if f.cost(globals[name], 0) > freezeParts {
			f.failed = &diag.Problem{Code: codeTooMuch, Message: "a value of the top level holds the same parts too many times over", Wanted: "at most 10,000,000 parts"}
		}
		if f.failed != nil {
			return name, f.failed
		}
	}
	return "", nil
}

// freezing counts what one freeze of a value visits.
type freezing struct {
	known  map[any]int64 // by identity; 0 is being counted
	failed *diag.Problem
}

// tupleID is the identity of a tuple.
type tupleID struct {
	first *starlark.Value
	size  int
}

func (f *freezing) cost(v starlark.Value, depth int) int64 {
	var id any
	once := true // frozen once, however often it is met
	switch v := v.(type) {
	case *starlark.List, *starlark.Dict, *starlark.Set, *structure:
		id = v
	case starlark.Tuple:
		if len(v) == 0 {
			return 1
		}
		id, once = tupleID{unsafe.SliceData(v), len(v)}, false
	case *starlark.Function:
		id, once = v, false
	case *starlark.Builtin:
		if v.Receiver() == nil {
			return 1
		}
		id, once = v, false
	default:
		return 1
	}
	if cost, ok := f.known[id]; ok {
		if once {
			return 1
		}
		return max(cost, 1)
	}
	if depth > freezeDepth {
		f.failed = &diag.Problem{Code: codeTooMuch, Message: "a value of the top level nests too deep", Wanted: "at most 10,000 levels"}
	}
	if f.failed != nil {
		return 1
	}
	f.known[id] = 0
	sum := int64(1)
	for part := range partsOf(v) {
		sum = min(sum+f.cost(part, depth+1), freezeParts+1)
	}
	f.known[id] = sum
	return sum
}

// partsOf yields what is frozen along with v.
func partsOf(v starlark.Value) func(func(starlark.Value) bool) {
	return func(yield func(starlark.Value) bool) {
		switch v := v.(type) {
		case *starlark.Dict:
			for key, value := range v.Entries() {
				if !yield(key) || !yield(value) {
					return
				}
			}
		case *structure:
			for _, x := range v.values {
				if !yield(x) {
					return
				}
			}
		case *starlark.Function:
			for i := range v.NumParams() {
				if x := v.ParamDefault(i); x != nil && !yield(x) {
					return
				}
			}
			for i := range v.NumFreeVars() {
				if _, x := v.FreeVar(i); x != nil && !yield(x) {
					return
				}
			}
		case *starlark.Builtin:
			yield(v.Receiver())
		case starlark.Iterable:
			for x := range starlark.Elements(v) {
				if !yield(x) {
					return
				}
			}
		}
	}
}
