package diag

import (
	"context"
	"errors"
	"slices"
	"strings"
	"unicode/utf8"

	"go.starlark.net/resolve"
	"go.starlark.net/starlark"
	"go.starlark.net/syntax"
)

// builtinFile is what the interpreter gives as the file of a builtin's frame.
const builtinFile = "<builtin>"

// FromError turns an error of parsing, resolving or running a file into
// Diagnostics; nil for nil. An error that already holds a List gives that one.
// s may be nil.
func FromError(err error, s *Sources) List {
	if s == nil {
		s = &Sources{}
	}
	var (
		list     List
		parse    syntax.Error
		resolved resolve.ErrorList
		single   resolve.Error
		eval     *starlark.EvalError
		problem  *Problem
	)
	switch {
	case err == nil:
		return nil
	case errors.As(err, &list):
		return s.Locate(list)
	case errors.As(err, &parse):
		return shortenAll(s.fromSyntax(parse))
	case errors.As(err, &resolved):
		return shortenAll(s.fromResolve(resolved))
	case errors.As(err, &single):
		return shortenAll(s.fromResolve(resolve.ErrorList{single}))
	case errors.As(err, &eval):
		return List{s.fromEval(err, innermost(eval))}
	case errors.As(err, &problem):
		return List{problem.Diagnostic()}
	}
	return List{{Code: "P4200", Severity: Error, Message: err.Error()}}
}

// shortenAll shortens the texts of diagnostics, in which names of any length may be.
func shortenAll(list List) List {
	for _, d := range list {
		for _, field := range []*string{&d.Message, &d.Found, &d.Wanted, &d.Hint} {
			*field = oneLine(*field, 400)
		}
	}
	return list
}

// Diagnostic is the Problem as an error, without a place.
func (p *Problem) Diagnostic() *Diagnostic {
	return &Diagnostic{Code: p.Code, Severity: Error, Message: p.Message, Found: p.Found, Wanted: p.Wanted, Hint: p.Hint, Detail: p.Detail}
}

// At is the Problem as an error at a position.
func (s *Sources) At(pos syntax.Position, p *Problem) *Diagnostic {
	d := p.Diagnostic()
	s.setPosition(d, pos)
	return d
}

// innermost is the error with the whole stack: a builtin that calls a function back
// wraps its error in one with a shorter stack.
func innermost(e *starlark.EvalError) *starlark.EvalError {
	for {
		var inner *starlark.EvalError
		if !errors.As(e.Unwrap(), &inner) {
			return e
		}
		e = inner
	}
}

// fromEval is an error of a running program, at the position where its author can
// mend it.
func (s *Sources) fromEval(err error, e *starlark.EvalError) *Diagnostic {
	stack := slices.Clone(e.CallStack)
	builtin, depth := "", 0
	for len(stack) > 0 && stack.At(0).Pos.Filename() == builtinFile {
		builtin = stack.Pop().Name
		depth++
	}
	msg := e.Msg
	callee := calledWrongly(msg)
	if callee != "" && depth == 0 && len(stack) > 1 && stack.At(0).Name == callee {
		defined := stack.Pop().Pos // of the function that could not be entered
		for len(stack) > 1 && stack.At(0).Pos.Filename() == builtinFile {
			stack.Pop()
		}
		return s.wrongCall(stack, msg, callee, defined)
	}
	var pos syntax.Position
	if len(stack) > 0 {
		pos = stack.At(0).Pos
	}
	var problem *Problem
	var d *Diagnostic
	argument := ""
	if errors.As(err, &problem) {
		d, argument = problem.Diagnostic(), problem.Argument
		s.setPosition(d, pos)
	} else {
		d = s.at(pos, "P4200", messageOf(err, e))
		if errors.Unwrap(e.Unwrap()) == nil { // an error of a server or a disk stays as it is
			argument = s.reword(d, builtin)
		}
		d.Found = oneLine(d.Found, 80)
		if d.Code != "P4200" {
			shortenAll(List{d})
		}
	}
	switch {
	case problem != nil && problem.Place.Line > 0:
		at := problem.Place
		call := syntax.MakePosition(&at.File, int32(at.Line), int32(at.Column))
		s.setPosition(d, call)
		s.pointAt(d, call, builtin, "")
	case depth == 0:
		skipSign(d)
	case depth > 1:
		s.pointAt(d, pos, builtin, "") // the call is in no file, and so is its argument
	default:
		s.pointAt(d, pos, builtin, argument)
	}
	d.Stack = frames(stack)
	if problem != nil && problem.Instead != "" && strings.HasPrefix(string([]rune(d.Source)[min(max(d.Column-1, 0), utf8.RuneCountInString(d.Source)):]), problem.Argument) {
		d.Fix = Rename(d.Line, d.Column, problem.Argument, problem.Instead)
	}
	return d
}

// messageOf is the message of an error that is no Problem: of what was kept
// beside the interpreter's own error, when there is such a thing.
func messageOf(err error, e *starlark.EvalError) string {
	if !strings.HasPrefix(e.Msg, cancelled) {
		return e.Msg
	}
	joined, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return e.Msg
	}
	for _, part := range joined.Unwrap() {
		var eval *starlark.EvalError
		if !errors.As(part, &eval) && !errors.Is(part, context.Canceled) {
			return part.Error()
		}
	}
	return e.Msg
}

// setPosition puts a Diagnostic at a position.
func (s *Sources) setPosition(d *Diagnostic, pos syntax.Position) {
	if !pos.IsValid() || pos.Line == 0 {
		return
	}
	d.File, d.Line, d.Column = pos.Filename(), int(pos.Line), int(pos.Col)
	d.Source = s.source(d.File, d.Line, d.Column)
}

// pointAt moves a Diagnostic from the parenthesis of a call to the argument at
// fault, or to the name of what was called.
func (s *Sources) pointAt(d *Diagnostic, pos syntax.Position, builtin, argument string) {
	call := s.call(pos)
	if call == nil {
		return
	}
	if argument != "" {
		if at, ok := s.argument(call, builtin, argument); ok {
			s.setPosition(d, at)
			return
		}
	}
	s.setPosition(d, calleePosition(call))
}

// skipSign moves a Diagnostic from the dot or bracket of a selection, which is
// all that the interpreter knows of it, to what is selected.
func skipSign(d *Diagnostic) {
	sign := runeAt(d.Source, d.Column)
	if next := runeAt(d.Source, d.Column+1); (sign == '.' || sign == '[') && next != 0 && next != ' ' && next != '\t' {
		d.Column++
	}
}

func calleePosition(call *syntax.CallExpr) syntax.Position {
	if dot, ok := call.Fn.(*syntax.DotExpr); ok {
		return dot.Name.NamePos
	}
	return syntax.Start(call.Fn)
}

// frames are the calls of a stack that have a position in a file. They are empty
// when there is only the top level of a module.
func frames(stack starlark.CallStack) []Frame {
	var out []Frame
	for _, f := range stack {
		if f.Pos.Filename() == builtinFile {
			continue
		}
		out = append(out, Frame{File: f.Pos.Filename(), Line: int(f.Pos.Line), Column: int(f.Pos.Col), Function: f.Name})
	}
	if len(out) == 1 && out[0].Function == "<toplevel>" {
		return nil
	}
	return out
}

// calledWrongly is the function that could not be entered for its arguments.
func calledWrongly(msg string) string {
	rest, ok := strings.CutPrefix(msg, "function ")
	if !ok {
		return ""
	}
	name, rest, _ := strings.Cut(rest, " ")
	for _, verb := range [...]string{"missing ", "accepts ", "got multiple values ", "got an unexpected keyword "} {
		if strings.HasPrefix(rest, verb) {
			return name
		}
	}
	return ""
}

// wrongCall explains a call of the author's own function, at the call.
func (s *Sources) wrongCall(stack starlark.CallStack, msg, callee string, defined syntax.Position) *Diagnostic {
	var pos syntax.Position
	if len(stack) > 0 {
		pos = stack.At(0).Pos
	}
	d := s.at(pos, "P4211", strings.TrimPrefix(msg, "function "))
	d.Stack = frames(stack)
	call := s.call(pos)
	if call != nil {
		s.setPosition(d, calleePosition(call))
	}
	params, signature := s.signature(callee, defined)
	if signature != "" {
		d.Wanted = "`" + signature + "`"
	}
	d.Message = "`" + callee + "` " + strings.TrimPrefix(d.Message, callee+" ")
	name, ok := strings.CutPrefix(d.Message, "`"+callee+"` got an unexpected keyword argument ")
	if !ok {
		return d
	}
	name = strings.Trim(name, `"`)
	d.Message = "`" + callee + "` has no argument `" + name + "`"
	d.Hint = DidYouMean(name, params, Backquote)
	if call != nil {
		if at, ok := s.argument(call, "", name); ok {
			s.setPosition(d, at)
		}
	}
	return d
}

// signature finds a function of the file by its place.
func (s *Sources) signature(callee string, at syntax.Position) (params []string, text string) {
	tree := s.Trees[at.Filename()]
	if tree == nil {
		return nil, ""
	}
	syntax.Walk(tree, func(n syntax.Node) bool {
		if def, ok := n.(*syntax.DefStmt); ok && def.Name.Name == callee {
			start, end := def.Span() // functions inside others may have one name
			if inside := start.Line <= at.Line && at.Line <= end.Line; inside || text == "" {
				params, text = parametersOf(def)
			}
		}
		return true
	})
	return params, text
}

func parametersOf(def *syntax.DefStmt) (names []string, text string) {
	var parts []string
	for _, p := range def.Params {
		switch p := p.(type) {
		case *syntax.Ident:
			names = append(names, p.Name)
			parts = append(parts, p.Name)
		case *syntax.BinaryExpr:
			id := p.X.(*syntax.Ident)
			names = append(names, id.Name)
			parts = append(parts, id.Name+" = ...")
		case *syntax.UnaryExpr:
			star := p.Op.String()
			if id, ok := p.X.(*syntax.Ident); ok {
				star += id.Name
			}
			parts = append(parts, star)
		}
	}
	return names, def.Name.Name + "(" + strings.Join(parts, ", ") + ")"
}
