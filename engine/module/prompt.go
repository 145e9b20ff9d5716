package module

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"

	"go.starlark.net/resolve"
	"go.starlark.net/starlark"
	"go.starlark.net/syntax"

	"perago/starlib"
	"perago/starlib/diag"
)

// Bounds of what is typed at a prompt.
const (
	maxStatement = 64 << 10 // bytes of one statement
	maxTyped     = 1 << 20  // bytes of the statements that are kept for the places of errors
)

// Prompt runs statements one after the other, as they are typed, with the names of
// a module. It is for one goroutine at a time.
type Prompt struct {
	module  *Module
	globals starlark.StringDict // what a statement can name, and what the bounds need
	given   []string            // the names that are there at the start and are not of the language
	count   int                 // of statements
	typed   []*Typed            // that are kept, oldest first
	bytes   int                 // of these
	base    *diag.Sources       // of the module
}

// Typed is one statement that was typed.
type Typed struct {
	name string // in positions
	text string
	tree *syntax.File
}

// Empty says that there is nothing to run: an empty line, a comment.
func (s *Typed) Empty() bool { return len(s.tree.Stmts) == 0 }

// Nothing is a module without a file: the language alone.
func Nothing() *Module {
	_, m, _ := loadUnits("prompt.star", inMemory{"prompt.star": nil}, library, Options{Root: "."})
	return m
}

// Prompt has the names that the file of m defines and loads, and those of more.
func (m *Module) Prompt(more starlark.StringDict) *Prompt {
	p := &Prompt{module: m, globals: starlib.Predeclared(m.Host...), base: m.sources}
	m.bounds.Predeclare(p.globals)
	if len(m.units) > 0 {
		main := m.units[len(m.units)-1] // what is loaded stands before
		p.add(main.loaded())
		p.add(main.globals)
	}
	p.add(more)
	return p
}

// loaded are the names that a file has from others.
func (u *unit) loaded() starlark.StringDict {
	names := starlark.StringDict{}
	for _, stmt := range u.tree.Stmts {
		load, ok := stmt.(*syntax.LoadStmt)
		if !ok {
			continue
		}
		for i, to := range load.To {
			if v := u.loads[load.ModuleName()].globals[load.From[i].Name]; v != nil {
				names[to.Name] = v
			}
		}
	}
	return names
}

func (p *Prompt) add(names starlark.StringDict) {
	for name, v := range names {
		if !slices.Contains(p.given, name) {
			p.given = append(p.given, name)
		}
		p.globals[name] = v
	}
	slices.Sort(p.given)
}

// Given are the names that were there at the start and are not of the language, sorted.
func (p *Prompt) Given() []string { return p.given }

// promptDialect is the dialect of a prompt: what stands in a file only inside of a
// function can be typed, and a name can be bound again.
func promptDialect() *syntax.FileOptions {
	return &syntax.FileOptions{Set: true, TopLevelControl: true, GlobalReassign: true}
}

// Read reads one statement. line gives one line with its newline, "" at the end;
// its error ends the statement and is what Read returns, io.EOF too. The list is
// what is wrong with what was typed.
func (p *Prompt) Read(line func() (string, error)) (*Typed, diag.List, error) {
	p.count++
	s := &Typed{name: "input-" + strconv.Itoa(p.count)}
	var text strings.Builder
	var ended error
	tree, err := promptDialect().ParseCompoundStmt(s.name, func() ([]byte, error) {
		var more string
		more, ended = line()
		if ended == nil && text.Len()+len(more) > maxStatement {
			ended = &diag.Problem{Code: "P1303", Message: "the statement is too large", Wanted: "at most 64 KiB", Hint: "put it into a file, and name that"}
		}
		if ended == io.EOF && text.Len() > 0 {
			ended = nil // what was typed so far may be whole
		}
		if ended != nil {
			return nil, ended
		}
		text.WriteString(more)
		return []byte(more), nil
	})
	s.text, s.tree = text.String(), tree
	p.keep(s)
	var problem *diag.Problem
	switch {
	case errors.As(ended, &problem):
		return nil, diag.List{p.module.sources.At(syntax.MakePosition(&s.name, 1, 1), problem)}, nil
	case ended != nil:
		return nil, nil, ended
	}
	if d := p.module.sources.CheckSource(s.name); d != nil {
		return nil, diag.List{d}, nil
	}
	if err != nil {
		return nil, p.module.Diagnose(err), nil
	}
	return s, p.refused(tree), nil
}

// refused complains about what cannot be typed.
func (p *Prompt) refused(tree *syntax.File) diag.List {
	for _, stmt := range tree.Stmts {
		if load, ok := stmt.(*syntax.LoadStmt); ok {
			return diag.List{p.module.sources.At(load.Load, &diag.Problem{Code: "P1401", Message: "a prompt cannot load",
				Hint: "name a file that loads it when you start: its names are there then"})}
		}
	}
	return nil
}

// keep remembers the text of a statement, which errors of later ones may have to
// show: a function that was typed is called later.
func (p *Prompt) keep(s *Typed) {
	p.typed = append(p.typed, s)
	p.bytes += len(s.text)
	for p.bytes > maxTyped {
		p.bytes -= len(p.typed[0].text)
		p.typed = p.typed[1:]
	}
	sources := &diag.Sources{Text: maps.Clone(p.base.Text), Trees: maps.Clone(p.base.Trees), Parameters: p.base.Parameters}
	for _, s := range p.typed {
		sources.Text[s.name] = []byte(s.text)
		if s.tree != nil {
			sources.Trees[s.name] = s.tree
		}
	}
	sources.Names = p.Names()
	p.module.sources = sources
}

// Names are all that a statement can name, sorted.
func (p *Prompt) Names() []string {
	var names []string
	for _, of := range []starlark.StringDict{p.globals, starlark.Universe} {
		for name := range of {
			if !strings.HasPrefix(name, "(") { // what the bounds need cannot be written
				names = append(names, name)
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// Run runs a statement on a thread. Its value is that of a statement which is one
// expression, else nil. The error is as the interpreter gives it.
func (p *Prompt) Run(thread *starlark.Thread, s *Typed) (starlark.Value, error) {
	unknown := 0
	known := func(name string) bool { // see loader.known
		if p.globals.Has(name) || unknown > maxUnknown {
			return true
		}
		if !starlark.Universe.Has(name) {
			unknown++
		}
		return false
	}
	if err := resolve.REPLChunk(s.tree, known, nobody, starlark.Universe.Has); err != nil {
		return nil, err
	}
	bounded, err := promptDialect().Parse(s.name, s.text, 0)
	if err != nil {
		return nil, err
	}
	p.module.bounds.Rewrite(bounded)
	if len(bounded.Stmts) == 1 {
		if stmt, ok := bounded.Stmts[0].(*syntax.ExprStmt); ok {
			return starlark.EvalExprOptions(bounded.Options, thread, stmt.X, p.globals)
		}
	}
	return nil, starlark.ExecREPLChunk(bounded, thread, p.globals)
}

func nobody(string) bool { return false }

// maxShow bounds the text of one value, in bytes.
const maxShow = 1 << 20

// Show is repr(v), made on a thread; of a value with a longer text than anybody
// reads, what it is.
func (p *Prompt) Show(thread *starlark.Thread, v starlark.Value) (string, error) {
	most := p.module.bounds.Most()
	p.module.bounds.SetMost(min(most, maxShow))
	defer p.module.bounds.SetMost(most)
	shown, err := starlark.Call(thread, starlib.Predeclared()["repr"], starlark.Tuple{v}, nil)
	var large *diag.Problem
	if errors.As(err, &large) && large.Code == "P4006" {
		if n := starlark.Len(v); n >= 0 {
			return fmt.Sprintf("(a %s of length %d, too long to show)", v.Type(), n), nil
		}
		return "(a " + v.Type() + ", too long to show)", nil
	}
	if err != nil {
		return "", err
	}
	text, _ := starlark.AsString(shown)
	return text, nil
}

// Complete gives what can follow the text before the cursor: the word that is
// being typed, and the names that begin with it. Of `a.b.c` the word is `c`.
func (p *Prompt) Complete(before string) (word string, names []string) {
	start := len(before)
	for start > 0 && isWord(before[start-1]) {
		start--
	}
	path := strings.Split(before[start:], ".")
	word = path[len(path)-1]
	all := p.Names()
	if len(path) > 1 {
		all = p.members(path[:len(path)-1])
	} else if start > 0 && before[start-1] == '"' {
		return word, nil
	}
	for _, name := range all {
		if strings.HasPrefix(name, word) && (word != "" || !strings.HasPrefix(name, "_")) {
			names = append(names, name)
		}
	}
	return word, names
}

func isWord(c byte) bool {
	return c == '_' || c == '.' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
}

// members are the names of the attributes of what a path of names leads to.
func (p *Prompt) members(path []string) []string {
	v := p.globals[path[0]]
	if v == nil {
		v = starlark.Universe[path[0]]
	}
	for _, name := range path[1:] {
		if at, ok := p.withMembers(v); ok {
			v, _ = at.Attr(name)
			continue
		}
		return nil
	}
	at, ok := p.withMembers(v)
	if !ok {
		return nil
	}
	names := at.AttrNames()
	slices.Sort(names)
	return names
}

// withMembers is a value with all the members that a statement finds in it.
func (p *Prompt) withMembers(v starlark.Value) (starlark.HasAttrs, bool) {
	if v == nil {
		return nil, false
	}
	if more, err := p.module.bounds.Binary(syntax.AMP, v, starlark.Left); err == nil && more != nil {
		v = more
	}
	at, ok := v.(starlark.HasAttrs)
	return at, ok
}
