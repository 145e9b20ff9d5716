// Package lint finds mistakes in a task file without running its body. It looks
// at the resolved syntax tree, infers types as far as it can be sure (infer.go),
// and holds the body against the table of builtins and the task's own schemas
// and guards. What cannot but fail when it is reached is an error; what is
// allowed and most likely not meant is a warning.
package lint

import (
	"cmp"
	"slices"
	"strings"

	"go.starlark.net/resolve"
	"go.starlark.net/syntax"

	"perago/starlib"
	"perago/starlib/diag"
)

// File is one file of a module.
type File struct {
	Tree *syntax.File  // resolved, parsed with its comments
	Task *starlib.Task // nil for a file that is loaded

	// Builtins are the names of the language that a file would hide by binding
	// them: functions that only declare are not among them, since a body cannot
	// call them anyway.
	Builtins map[string]bool

	// Harness are rows of what the functions of a test file get: the members of
	// `t`, and of what these return. nil for a file that is no test.
	Harness []starlib.Builtin

	// Members are the names in each module of the language.
	Members map[string][]string

	// Host are the functions that the program adds to the language.
	Host []starlib.Builtin
}

// Check returns the warnings about a file, those silenced by a directive left
// out, sorted by place. extra are warnings that were found elsewhere, and that
// directives silence too.
func Check(f File, extra diag.List) diag.List {
	l := &linter{File: f, reads: map[*syntax.Ident]int{}, binds: map[*syntax.Ident][]*syntax.Ident{}, list: slices.Clone(extra), rows: map[string]*starlib.Builtin{}, tests: map[string]map[string]*starlib.Builtin{}}
	for i := range f.Host {
		l.rows[f.Host[i].Name] = &f.Host[i]
	}
	for i := range f.Harness {
		kind, member, _ := strings.Cut(f.Harness[i].Name, ".")
		if l.tests[kind] == nil {
			l.tests[kind] = map[string]*starlib.Builtin{}
		}
		l.tests[kind][member] = &f.Harness[i]
	}
	l.collect()
	l.unused()
	l.names()
	l.known = newInference(l)
	var above []bool // for each node that the walk is in: whether it is inside a function
	syntax.Walk(f.Tree, func(n syntax.Node) bool {
		if n == nil {
			above = above[:len(above)-1]
			return true
		}
		inFunction := len(above) > 0 && above[len(above)-1]
		_, isDef := n.(*syntax.DefStmt)
		_, isLambda := n.(*syntax.LambdaExpr)
		above = append(above, inFunction || isDef || isLambda)
		l.flow(n)
		l.member(n)
		l.known.sure(n)
		l.known.checkFrozen(n, inFunction)
		return true
	})
	if f.Harness != nil {
		l.testFunctions()
	}
	if f.Task != nil {
		l.params()
		l.results()
		l.guards()
	}
	list := l.heeded(l.list)
	slices.SortStableFunc(list, func(a, b *diag.Diagnostic) int {
		return cmp.Or(cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	return list
}

type linter struct {
	File
	reads map[*syntax.Ident]int             // how often a variable is read, by its first binding
	binds map[*syntax.Ident][]*syntax.Ident // where it is bound, by the same
	list  diag.List
	known *inference
	rows  map[string]*starlib.Builtin            // the functions of Host by their names
	tests map[string]map[string]*starlib.Builtin // the rows of Harness, by the type and the member
}

// function is the row of a function of the language or the program, nil when
// there is none.
func (l *linter) function(name string) *starlib.Builtin {
	if row := l.rows[name]; row != nil {
		return row
	}
	return theLanguage().functions[name]
}

// warn adds a warning.
func (l *linter) warn(pos syntax.Position, code diag.Code, message, hint string) *diag.Diagnostic {
	d := &diag.Diagnostic{Code: code, Severity: diag.Warning, Message: message, Hint: hint,
		File: pos.Filename(), Line: int(pos.Line), Column: int(pos.Col)}
	l.list = append(l.list, d)
	return d
}

// rename says how to mend a word, when it is sure which of some candidates was meant.
func rename(d *diag.Diagnostic, pos syntax.Position, word string, candidates []string) {
	if instead := diag.Certain(word, candidates); instead != "" {
		d.Fix = diag.Rename(int(pos.Line), int(pos.Col), word, instead)
	}
}

// didYouMean is a hint: the nearest candidate behind a prefix, "" when none is near.
func didYouMean(word string, candidates []string, prefix string) string {
	return diag.DidYouMean(word, candidates, func(near string) string { return "`" + prefix + near + "`" })
}

// replace says what to write instead of a word.
func replace(d *diag.Diagnostic, pos syntax.Position, word, instead string) {
	d.Fix = diag.Rename(int(pos.Line), int(pos.Col), word, instead)
}

// cut says what to delete.
func cut(d *diag.Diagnostic, from, to syntax.Position) {
	d.Fix = []diag.Edit{{Line: int(from.Line), Column: int(from.Col), EndLine: int(to.Line), EndColumn: int(to.Col)}}
}

// variable is what stands for the variable of an identifier: its first binding,
// nil for a name of the language.
func variable(id *syntax.Ident) *syntax.Ident {
	if b, ok := id.Binding.(*resolve.Binding); ok {
		return b.First
	}
	return nil
}

// collector sorts the identifiers of a file.
type collector struct {
	*linter
	binding map[*syntax.Ident]bool // those that bind a variable
	skip    map[*syntax.Ident]bool // those that are no variables: keywords of calls, attributes
}

// collect tells reads from bindings. The walk comes to a statement before it
// comes to the identifiers in it.
func (l *linter) collect() {
	c := &collector{linter: l, binding: map[*syntax.Ident]bool{}, skip: map[*syntax.Ident]bool{}}
	syntax.Walk(l.Tree, func(n syntax.Node) bool {
		c.sort(n)
		if id, ok := n.(*syntax.Ident); ok {
			c.count(id)
		}
		return true
	})
}

// sort notes which identifiers of a node bind, and which are no variables.
func (c *collector) sort(n syntax.Node) {
	switch n := n.(type) {
	case *syntax.AssignStmt:
		if n.Op == syntax.EQ {
			c.bind(n.LHS)
		}
	case *syntax.ForStmt:
		c.bind(n.Vars)
	case *syntax.ForClause:
		c.bind(n.Vars)
	case *syntax.DefStmt:
		c.binding[n.Name] = true
		c.parameters(n.Params)
	case *syntax.LambdaExpr:
		c.parameters(n.Params)
	case *syntax.LoadStmt:
		for i, to := range n.To {
			c.binding[to] = true
			if n.From[i] != to {
				c.skip[n.From[i]] = true
			}
		}
	case *syntax.DotExpr:
		c.skip[n.Name] = true
	case *syntax.CallExpr:
		for _, arg := range n.Args {
			if kw, ok := arg.(*syntax.BinaryExpr); ok && kw.Op == syntax.EQ {
				if id, ok := kw.X.(*syntax.Ident); ok {
					c.skip[id] = true
				}
			}
		}
	}
}

// count counts one identifier for its variable.
func (c *collector) count(id *syntax.Ident) {
	v := variable(id)
	if c.binding[id] && v == nil {
		v = id // a parameter or a loaded name may be left unresolved when nothing reads it
	}
	switch {
	case c.skip[id] || v == nil:
	case c.binding[id]:
		c.binds[v] = append(c.binds[v], id)
	default:
		c.reads[v]++
	}
}

// bind notes the names that stand where an assignment binds.
func (c *collector) bind(e syntax.Expr) {
	switch e := e.(type) {
	case *syntax.Ident:
		c.binding[e] = true
	case *syntax.ParenExpr:
		c.bind(e.X)
	case *syntax.TupleExpr:
		for _, x := range e.List {
			c.bind(x)
		}
	case *syntax.ListExpr:
		for _, x := range e.List {
			c.bind(x)
		}
	}
}

func (c *collector) parameters(params []syntax.Expr) {
	for _, p := range params {
		switch p := p.(type) {
		case *syntax.BinaryExpr:
			c.bind(p.X)
		case *syntax.UnaryExpr:
			if p.X != nil {
				c.bind(p.X)
			}
		default:
			c.bind(p)
		}
	}
}

// heeded leaves out what a directive silences, and complains of directives that
// mean nothing.
func (l *linter) heeded(list diag.List) diag.List {
	silent := map[int][]string{} // codes by line
	for _, c := range l.comments() {
		rest, ok := strings.CutPrefix(strings.TrimSpace(strings.TrimPrefix(c.text, "#")), "perago:")
		if !ok {
			continue
		}
		codes, ok := strings.CutPrefix(strings.TrimSpace(rest), "ignore=")
		if !ok {
			list = append(list, l.misdirected(c, "`"+strings.TrimSpace(c.text)+"` is no directive"))
			continue
		}
		for _, code := range strings.Split(codes, ",") {
			code = strings.TrimSpace(code)
			if _, known := diag.Explain(diag.Code(code)); !known || !strings.HasPrefix(code, "P5") {
				list = append(list, l.misdirected(c, "`"+code+"` is no warning that can be silenced"))
				continue
			}
			silent[c.line] = append(silent[c.line], code)
		}
	}
	return slices.DeleteFunc(list, func(d *diag.Diagnostic) bool { return slices.Contains(silent[d.Line], string(d.Code)) })
}

func (l *linter) misdirected(c comment, message string) *diag.Diagnostic {
	return &diag.Diagnostic{Code: "P5015", Severity: diag.Warning, Message: message, Hint: "write `# perago: ignore=P5012`",
		File: c.pos.Filename(), Line: int(c.pos.Line), Column: int(c.pos.Col)}
}

// comment is a comment, and the line that it is about.
type comment struct {
	text string
	pos  syntax.Position
	line int
}

// comments are all comments of the file. One that stands alone is about the
// next line that is more than a comment.
func (l *linter) comments() []comment {
	var all []comment
	seen := map[syntax.Position]bool{}
	add := func(list []syntax.Comment, line int) {
		for _, c := range list {
			if !seen[c.Start] {
				seen[c.Start] = true
				at := line
				if at == 0 {
					at = int(c.Start.Line)
				}
				all = append(all, comment{c.Text, c.Start, at})
			}
		}
	}
	syntax.Walk(l.Tree, func(n syntax.Node) bool {
		if n == nil {
			return true
		}
		if c := n.Comments(); c != nil {
			start, _ := n.Span()
			add(c.Before, int(start.Line))
			add(c.Suffix, 0)
			add(c.After, 0)
		}
		return true
	})
	return all
}
