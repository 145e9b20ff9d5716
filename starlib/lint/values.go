package lint

import (
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strings"
	"sync"

	"go.starlark.net/resolve"
	"go.starlark.net/starlark"
	"go.starlark.net/syntax"

	"perago/starlib"
	"perago/starlib/diag"
	"perago/starlib/schema"
)

// names are the language's, for calls that are tried out.
var names = sync.OnceValue(func() starlark.StringDict { return starlib.Predeclared() })

// checkValue tries out a call of a function without effects whose arguments are
// all written out: int("twelve"), time.parse("yesterday").
func (f *inference) checkValue(row *starlib.Builtin, e *syntax.CallExpr) {
	if row.Phase != starlib.Pure || row.Method || len(e.Args) == 0 || strings.HasPrefix(row.Name, "fail") || row.Name == "catch" {
		return
	}
	for _, d := range f.list {
		if d.Severity == diag.Error && d.Line == int(e.Lparen.Line) {
			return // said in other words already
		}
	}
	var args starlark.Tuple
	for _, arg := range e.Args {
		lit, ok := arg.(*syntax.Literal)
		if !ok {
			return
		}
		switch value := lit.Value.(type) {
		case string:
			if lit.Token == syntax.BYTES {
				args = append(args, starlark.Bytes(value))
			} else {
				args = append(args, starlark.String(value))
			}
		case int64:
			args = append(args, starlark.MakeInt64(value))
		case *big.Int:
			args = append(args, starlark.MakeBigInt(value))
		case float64:
			args = append(args, starlark.Float(value))
		}
	}
	module, member, isMember := strings.Cut(row.Name, ".")
	fn := names()[module]
	if fn == nil {
		fn = starlark.Universe[module]
	}
	if holder, ok := fn.(starlark.HasAttrs); ok && isMember {
		fn, _ = holder.Attr(member)
	}
	if fn == nil || len(args) != len(e.Args) {
		return
	}
	thread := new(starlark.Thread)
	thread.SetMaxExecutionSteps(10_000)
	_, err := starlark.Call(thread, fn, args, nil)
	if err == nil {
		return
	}
	said := diag.Reworded(err.Error())
	if p := (*diag.Problem)(nil); errors.As(err, &p) {
		said = p.Diagnostic()
	} else if said.Code == "" {
		return
	}
	d := f.fail(syntax.Start(e.Args[0]), "P5021", said.Message, said.Hint)
	d.Found, d.Wanted = said.Found, said.Wanted
}

// writing are the methods of a path that change the workspace.
var writing = []string{"path.write_text", "path.write_bytes", "path.copy", "path.rename", "path.unlink", "path.remove_tree", "path.mkdir"}

// checkWrite complains of a write in a task that only reads.
func (f *inference) checkWrite(row *starlib.Builtin, e *syntax.CallExpr) {
	if f.Task == nil || f.Task.Workspace == nil || !f.Task.Workspace.ReadOnly {
		return
	}
	mode, _ := literal(argument(row, e, "mode"))
	if slices.Contains(writing, row.Name) || row.Name == "csv.write" || row.Name == "archive.write" || row.Name == "path.open" && strings.ContainsAny(mode, "wa") {
		f.fail(syntax.Start(e), "P5025", row.Name+" writes, and the workspace is read-only", "leave read_only out of workspace_spec, or the write out of the body")
	}
}

func (f *inference) checkZero(n syntax.Node, op syntax.Token, at syntax.Position, divisor syntax.Expr) {
	lit, ok := divisor.(*syntax.Literal)
	if !ok || lit.Value != int64(0) || op != syntax.SLASH && op != syntax.SLASHSLASH && op != syntax.PERCENT {
		return
	}
	if bin, ok := n.(*syntax.BinaryExpr); ok && !f.of(bin.X).named("int", "float") {
		return // a format, or a path
	}
	what := "division by zero"
	if op == syntax.PERCENT {
		what = "modulo by zero"
	}
	f.says(at, "P5019", "%s", what)
}

// checkUnpack counts both sides of a, b = ....
func (f *inference) checkUnpack(n *syntax.AssignStmt) {
	var names, values []syntax.Expr
	switch target := n.LHS.(type) {
	case *syntax.TupleExpr:
		names = target.List
	case *syntax.ListExpr:
		names = target.List
	default:
		return
	}
	switch value := n.RHS.(type) {
	case *syntax.TupleExpr:
		values = value.List
	case *syntax.ListExpr:
		values = value.List
	default:
		if t := f.of(n.RHS); t.named("int", "float", "bool", "string", "NoneType", "path") {
			f.says(n.OpPos, "P5019", "got %s in sequence assignment", t.typeOf())
		}
		return
	}
	if len(values) != len(names) {
		many := map[bool]string{true: "few", false: "many"}[len(values) < len(names)]
		f.says(n.OpPos, "P5019", "too %s values to unpack (got %d, want %d)", many, len(values), len(names))
	}
}

// checkFrozen complains of a function that changes what the top level made.
func (f *inference) checkFrozen(n syntax.Node, inFunction bool) {
	if !inFunction {
		return
	}
	frozen := func(e syntax.Expr) (types, bool) {
		id, ok := e.(*syntax.Ident)
		if !ok {
			return nil, false
		}
		b, ok := id.Binding.(*resolve.Binding)
		if !ok || b.Scope != resolve.Global {
			return nil, false
		}
		t := f.of(id)
		return t, t.named("list") || t.named("dict") || t.named("set")
	}
	switch n := n.(type) {
	case *syntax.AssignStmt:
		if index, ok := n.LHS.(*syntax.IndexExpr); ok {
			if t, ok := frozen(index.X); ok {
				f.says(index.Lbrack, "P5019", "cannot insert into frozen %s", t.typeOf())
			}
		}
	case *syntax.CallExpr:
		dot, ok := n.Fn.(*syntax.DotExpr)
		if !ok {
			return
		}
		if t, ok := frozen(dot.X); ok && slices.Contains([]string{"append", "extend", "insert", "clear", "update", "setdefault", "add", "discard", "remove", "pop", "popitem"}, dot.Name.Name) {
			f.says(dot.Name.NamePos, "P5019", "cannot insert into frozen %s", t.typeOf())
		}
	}
}

// checkRecursion complains of a function that calls itself.
func (f *inference) checkRecursion(def *syntax.DefStmt) {
	walkOwn(def, func(n syntax.Node) bool {
		if n, ok := n.(*syntax.CallExpr); ok {
			if id, ok := n.Fn.(*syntax.Ident); ok {
				if t := f.of(id); len(t) == 1 && t[0].def == def {
					f.says(id.NamePos, "P5026", "function %s called recursively", def.Name.Name)
					return false
				}
			}
		}
		return true
	})
}

// checkParts complains of texts joined that are none.
func (f *inference) checkParts(row *starlib.Builtin, e *syntax.CallExpr) {
	if row.Name != "string.join" || len(e.Args) != 1 {
		return
	}
	t := f.itemsOf(f.of(e.Args[0]))
	if t.named("int", "float", "bool", "NoneType", "path", "list", "tuple", "dict") {
		f.says(syntax.Start(e.Args[0]), "P5019", "join: in list, want string, got %s", t.typeOf())
	}
}

// checkResult holds a value of the result against the type of its field.
func (f *inference) checkResult(k *keyAt, want *schema.Type) {
	got := f.of(k.value)
	if len(got) == 0 || !got.named(append([]string{"params", "function", "match", "time.time", "time.duration"}, fixed...)...) {
		return
	}
	var takes []string
	switch want.Kind {
	case schema.KindString, schema.KindDateTime, schema.KindDate, schema.KindUUID:
		takes = []string{"string"}
	case schema.KindInt, schema.KindFloat:
		takes = []string{"int", "float"}
	case schema.KindBool:
		takes = []string{"bool"}
	case schema.KindList:
		takes = []string{"list", "tuple", "range", "set"}
	case schema.KindMap, schema.KindSchema:
		takes = []string{"dict", "struct", "params"}
	default:
		return
	}
	if slices.ContainsFunc(got, func(k kind) bool { return slices.Contains(takes, k.name) }) {
		return
	}
	d := f.fail(syntax.Start(k.value), "P5019", "the field `"+k.name+"` of the result", "")
	d.Found, d.Wanted = got.String(), fmt.Sprint(want.Kind)
	if got.named("int", "float") && takes[0] == "string" {
		d.Hint = "str(x) makes a text of it"
	}
	if got.named("string") && takes[0] == "int" {
		d.Hint = "int(s) or float(s) makes a number of it"
	}
}
