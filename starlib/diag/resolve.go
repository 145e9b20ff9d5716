package diag

import (
	"strings"

	"go.starlark.net/resolve"
	"go.starlark.net/syntax"
)

// fromResolveOne turns one error of the resolver.
func (s *Sources) fromResolveOne(e resolve.Error) *Diagnostic {
	d := s.at(e.Pos, "P1200", e.Msg)
	msg := e.Msg
	rest := func(prefix string) (string, bool) { return strings.CutPrefix(msg, prefix) }
	if r, ok := rest("undefined: "); ok {
		s.undefined(d, r)
		return d
	}
	if r, ok := rest("cannot reassign "); ok {
		reassigned(d, r)
		return d
	}
	if r, ok := rest("can't assign to "); ok {
		d.Code, d.Message = "P1207", "cannot assign to "+treeWord(r)
		d.Hint = "a name, an element `x[i]` or a tuple of names stands on the left of `=`; `==` compares"
		return d
	}
	switch {
	case strings.Contains(msg, "support while loops"), strings.HasPrefix(msg, "while loop not"):
		d.Code, d.Message = "P1106", "there is no `while`"
		d.Hint = "write `for _ in range(n):` with a bound n, and `break` when it is done"
	case strings.HasPrefix(msg, "if statement not"), strings.HasPrefix(msg, "for loop not"):
		word := msg[:strings.IndexByte(msg, ' ')]
		d.Code, d.Message = "P1203", "`"+word+"` cannot stand at the top level"
		d.Hint = "the top level only declares: put it into a function, or write `[f(x) for x in xs]`"
		if word == "if" {
			d.Hint = "the top level only declares: put it into a function, or write `a if condition else b`"
		}
		if strings.Contains(d.Source, "__name__") {
			d.Hint = "delete it: `run` is called for you"
		}
	case strings.HasPrefix(msg, "return statement not"):
		d.Code, d.Message, d.Hint = "P1204", "`return` outside of a function", "the body is `def run`"
	case strings.HasSuffix(msg, "not in a loop"):
		d.Code, d.Message = "P1204", "`"+strings.TrimSuffix(msg, " not in a loop")+"` outside of a loop"
	case strings.HasPrefix(msg, "load statement within"):
		d.Code, d.Message, d.Hint = "P1406", "`load` can stand only at the top level", "load the name at the top of the file"
	case strings.HasPrefix(msg, "load: names with leading underscores"):
		name := msg[strings.LastIndexByte(msg, ' ')+1:]
		d.Code, d.Message = "P1404", "`"+name+"` is private to its file"
		d.Hint = "a name that starts with `_` cannot be loaded: rename it there to `" + strings.TrimLeft(name, "_") + "`"
	case strings.HasPrefix(msg, "load: empty"):
		d.Code, d.Message, d.Hint = "P1405", "a loaded name is empty", "write `load(\"lib/names.star\", \"name\")`"
	case strings.HasPrefix(msg, "can't use"):
		d.Code, d.Message, d.Hint = "P1207", "`+=` and its like take one name or element", "assign each on a line of its own"
	case strings.Contains(msg, "parameter"):
		d.Code, d.Hint = "P1206", "the order is `def f(a, b = 1, *args, c, d = 2, **kwargs)`"
	default:
		d.Code, d.Hint = "P1205", "the order is `f(a, b, name = value, *args, **kwargs)`"
		if strings.Contains(msg, "is repeated") {
			d.Hint = "give it once"
		} else if strings.Contains(msg, "limit is 255") {
			d.Hint = "pass a list or a dict"
		}
		d.Message = strings.ReplaceAll(msg, `"`, "`")
	}
	return d
}

// undefined explains a name that nothing defines.
func (s *Sources) undefined(d *Diagnostic, rest string) {
	name, guess, _ := strings.Cut(rest, " (did you mean ")
	guess = strings.TrimSuffix(guess, "?)")
	d.Code, d.Message = "P1201", "`"+name+"` is not defined"
	if hint := scopeHint(name); hint != "" {
		d.Hint = hint
		return
	}
	var candidates []string
	if guess != "" {
		candidates = append(candidates, guess)
	}
	candidates = append(candidates, s.defined(d.File)...)
	near := Nearest(name, append(candidates, s.Names...))
	if hint := nameHint(name); hint != "" && (near == "" || !strings.EqualFold(near, name)) {
		d.Hint = writeHint(hint)
		switch word := strings.Trim(hint, "`"); word {
		case "None", "True", "False", "str", "bool", "range":
			d.Fix = Rename(d.Line, d.Column, name, word)
		}
		return
	}
	if constant := near == "None" || near == "True" || near == "False"; near != "" && (!constant || strings.EqualFold(near, name)) {
		d.Hint = "did you mean `" + near + "`?"
		if constant {
			d.Fix = Rename(d.Line, d.Column, name, near)
		}
	}
}

// defined are the names of a file's top level.
func (s *Sources) defined(file string) []string {
	tree := s.Trees[file]
	if tree == nil {
		return nil
	}
	var names []string
	for _, stmt := range tree.Stmts {
		switch stmt := stmt.(type) {
		case *syntax.DefStmt:
			names = append(names, stmt.Name.Name)
		case *syntax.LoadStmt:
			for _, id := range stmt.To {
				names = append(names, id.Name)
			}
		case *syntax.AssignStmt:
			if id, ok := stmt.LHS.(*syntax.Ident); ok {
				names = append(names, id.Name)
			}
		}
	}
	return names
}

// reassigned explains a second binding of a top-level name.
func reassigned(d *Diagnostic, rest string) {
	d.Code = "P1202"
	words := strings.Fields(rest) // "global x declared at FILE:L:C", "top-level x"
	if len(words) < 2 {
		return
	}
	d.Message = "`" + words[1] + "` is already bound at the top level"
	if _, where, ok := strings.Cut(rest, " declared at "); ok {
		d.Message += ", at " + where
	}
	d.Hint = "a top-level name is bound once: choose another name, or do the work in a function"
}

// treeWord is the word for a kind of node.
func treeWord(node string) string {
	switch node {
	case "callexpr":
		return "a call"
	case "literal":
		return "a literal"
	case "comprehension":
		return "a comprehension"
	case "condexpr":
		return "a conditional expression"
	case "dictexpr":
		return "a dict"
	case "sliceexpr":
		return "a slice"
	case "lambdaexpr":
		return "a lambda"
	}
	return "an expression"
}
