package lint

import (
	"fmt"
	"slices"
	"strconv"

	"go.starlark.net/syntax"
)

// binary is what an operation gives, as far as it is known.
func (f *inference) binary(e *syntax.BinaryExpr) types {
	switch e.Op {
	case syntax.EQL, syntax.NEQ, syntax.LT, syntax.LE, syntax.GT, syntax.GE, syntax.IN, syntax.NOT_IN:
		return one("bool")
	case syntax.AND, syntax.OR:
		return join(f.of(e.X), f.of(e.Y))
	}
	x, y := f.of(e.X), f.of(e.Y)
	if e.Op == syntax.PERCENT && x.named("string") {
		return one("string")
	}
	if len(x) == 0 || len(y) == 0 {
		return nil
	}
	var all types
	for _, a := range x {
		for _, b := range y {
			result, _ := operation(e.Op, a.name, b.name)
			if result == "" {
				return nil
			}
			k := kind{name: result}
			if result == "list" || result == "tuple" {
				k.item = join(a.item, b.item)
			}
			if len(all) == 0 {
				all = types{k}
			} else {
				all = join(all, types{k})
			}
		}
	}
	return all
}

// operation says what x op y is, "" when that is not known, and whether the
// language refuses it.
func operation(op syntax.Token, x, y string) (result string, refused bool) {
	if !slices.Contains(fixed, x) || !slices.Contains(fixed, y) {
		return "", false
	}
	number := func(s string) bool { return s == "int" || s == "float" }
	sequence := func(s string) bool { return s == "string" || s == "bytes" || s == "list" || s == "tuple" }
	switch {
	case x == "int" && y == "int" && op != syntax.SLASH:
		result = "int"
	case number(x) && number(y):
		result = "float"
	}
	switch op {
	case syntax.PLUS:
		if sequence(x) && x == y {
			result = x
		}
	case syntax.MINUS:
		if x == "set" && y == "set" {
			result = "set"
		}
	case syntax.STAR:
		switch {
		case sequence(x) && y == "int":
			result = x
		case x == "int" && sequence(y):
			result = y
		}
	case syntax.SLASH:
		if x == "path" && (y == "string" || y == "path") {
			result = "path"
		}
	case syntax.SLASHSLASH:
	case syntax.PERCENT:
		if x == "string" {
			result = "string"
		}
	case syntax.LT, syntax.LE, syntax.GT, syntax.GE:
		if result != "" || x == y && x != "NoneType" && x != "dict" && x != "range" {
			result = "bool"
		}
	case syntax.IN, syntax.NOT_IN:
		switch y {
		case "string":
			return "bool", x != "string"
		case "int", "float", "bool", "NoneType", "path":
			return "", true
		}
		return "bool", false
	default:
		return "", false
	}
	return result, result == ""
}

// checkBinary complains of an operation that no combination of what its sides
// may be allows.
func (f *inference) checkBinary(e *syntax.BinaryExpr, op syntax.Token, at syntax.Position) {
	if op == syntax.EQL || op == syntax.NEQ {
		f.checkTypeTest(e)
		return
	}
	x, y := f.of(e.X), f.of(e.Y)
	if len(x) == 0 || len(y) == 0 {
		return
	}
	for _, a := range x {
		for _, b := range y {
			if _, refused := operation(op, a.name, b.name); !refused {
				return
			}
		}
	}
	switch {
	case op == syntax.IN || op == syntax.NOT_IN:
		if y.named("string") {
			f.says(at, "P5019", "'in <string>' requires string as left operand, not %s", x.typeOf())
			return
		}
	case op == syntax.LT || op == syntax.LE || op == syntax.GT || op == syntax.GE:
		d := f.says(at, "P5019", "%s %s %s not implemented", x.typeOf(), op, y.typeOf())
		if x.named("string") && y.named("int", "float") || y.named("string") && x.named("int", "float") {
			d.Hint = "a text is no number: write int(s) or float(s)"
		}
		return
	}
	f.says(at, "P5019", "unknown binary op: %s %s %s", x.typeOf(), op, y.typeOf())
}

// checkTypeTest complains of type(x) == something that it never is.
func (f *inference) checkTypeTest(e *syntax.BinaryExpr) {
	for _, sides := range [][2]syntax.Expr{{e.X, e.Y}, {e.Y, e.X}} {
		call, ok := sides[0].(*syntax.CallExpr)
		if !ok {
			continue
		}
		id, ok := call.Fn.(*syntax.Ident)
		if !ok || id.Name != "type" || !predeclared(id) {
			continue
		}
		at := syntax.Start(sides[1])
		if other := f.of(sides[1]); len(other) > 0 && !slices.ContainsFunc(other, func(k kind) bool { return k.name == "string" }) {
			d := f.warn(at, "P5023", "type(x) is a text, so it never equals this", "compare with the name of the type, as text")
			if id, ok := sides[1].(*syntax.Ident); ok {
				if name := typeNames[id.Name]; name != "" {
					d.Hint = fmt.Sprintf("write type(x) == %q", name)
					if predeclared(id) && id.Name != "None" {
						replace(d, at, id.Name, strconv.Quote(name))
					}
				}
			}
		}
		if lit, ok := sides[1].(*syntax.Literal); ok && lit.Token == syntax.STRING {
			if name := typeNames[lit.Value.(string)]; name != "" && name != lit.Value {
				d := f.warn(at, "P5023", fmt.Sprintf("no type is called %q", lit.Value), fmt.Sprintf("write %q", name))
				if len(lit.Raw) == len(lit.Value.(string))+2 {
					replace(d, at, lit.Raw, strconv.Quote(name))
				}
			}
		}
	}
}

// typeNames are what type(x) gives for the types that Python calls so.
var typeNames = map[string]string{"str": "string", "int": "int", "float": "float", "bool": "bool", "list": "list", "dict": "dict", "tuple": "tuple",
	"set": "set", "bytes": "bytes", "None": "NoneType", "NoneType": "NoneType", "function": "function", "datetime": "time.time", "Path": "path"}
