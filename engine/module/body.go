package module

import (
	"go.starlark.net/starlark"
	"go.starlark.net/syntax"
	"perago/starlib/diag"
	"strings"
)

// body finds run and holds it against what the task declares.
func (l *loader) body(main *unit) diag.List {
	var list diag.List
	complain := func(pos syntax.Position, p *diag.Problem) { list = append(list, l.sources.At(pos, p)) }
	task := l.module.Task
	if task == nil {
		complain(l.end(main), &diag.Problem{Code: codeNoTask, Message: "the file declares no task",
			Hint: "call task(name = ..., ...) once, at the top level"})
	}
	def := definition(main.tree)
	fn, _ := main.globals["run"].(*starlark.Function)
	switch {
	case def == nil && task != nil:
		complain(l.noBody(main))
	case def != nil && task != nil:
		if p, at := signature(def, task.Workspace != nil); p != nil {
			complain(at, p)
		}
	}
	l.module.Body = fn
	return list
}

// end is the position behind the last line of a file that is not blank.
func (l *loader) end(u *unit) syntax.Position {
	text := strings.TrimRight(string(l.sources.Text[u.name]), " \t\r\n")
	text = strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(text)
	line := strings.Count(text, "\n")
	column := len([]rune(text[strings.LastIndexByte(text, '\n')+1:]))
	return syntax.MakePosition(&u.name, int32(line+1), int32(column+1))
}

// definition is the `def run` of a file, nil when there is none.
func definition(tree *syntax.File) *syntax.DefStmt {
	for _, stmt := range tree.Stmts {
		if def, ok := stmt.(*syntax.DefStmt); ok && def.Name.Name == "run" {
			return def
		}
	}
	return nil
}

// noBody explains why a file has no body.
func (l *loader) noBody(main *unit) (syntax.Position, *diag.Problem) {
	wanted := wantedSignature(l.module.Task.Workspace != nil)
	var names []string
	at := map[string]syntax.Position{}
	for _, stmt := range main.tree.Stmts {
		switch stmt := stmt.(type) {
		case *syntax.DefStmt:
			names = append(names, stmt.Name.Name)
			at[stmt.Name.Name] = stmt.Name.NamePos
		case *syntax.AssignStmt:
			if id, ok := stmt.LHS.(*syntax.Ident); ok && id.Name == "run" {
				return id.NamePos, &diag.Problem{Code: "P1504", Message: "the body must be a `def`", Wanted: "`" + wanted + "`",
					Hint: "write the function out; it may call others"}
			}
		case *syntax.LoadStmt:
			for i, to := range stmt.To {
				if to.Name == "run" {
					return stmt.To[i].NamePos, &diag.Problem{Code: "P1504", Message: "the body must be defined in this file, not loaded",
						Wanted: "`" + wanted + "`", Hint: "load it under another name, and call it from `def run`"}
				}
			}
		}
	}
	p := &diag.Problem{Code: "P1503", Message: "the file has no body", Wanted: "`" + wanted + "`"}
	near := diag.Nearest("run", names)
	for _, other := range [...]string{"main", "body", "execute", "process", "handler", "task_main"} {
		if _, ok := at[other]; ok && near == "" {
			near = other
		}
	}
	if near != "" {
		p.Hint = "rename `" + near + "` to `run`"
		return at[near], p
	}
	return l.end(main), p
}

func wantedSignature(workspace bool) string {
	if workspace {
		return "def run(workspace, params):"
	}
	return "def run(params):"
}

// signature holds the parameters of run against the declaration.
func signature(def *syntax.DefStmt, workspace bool) (*diag.Problem, syntax.Position) {
	wanted := []string{"params"}
	if workspace {
		wanted = []string{"workspace", "params"}
	}
	p := &diag.Problem{Code: "P1505", Message: "the signature of the body", Found: "`def run(" + parameterList(def) + "):`",
		Wanted: "`" + wantedSignature(workspace) + "`"}
	if !workspace && parameterList(def) == "workspace, params" {
		p.Hint = "declare `workspace = workspace_spec(...)` in task(...), or leave the parameter out"
	} else if workspace && parameterList(def) == "params" {
		p.Hint = "the task declares a workspace, so the body gets it"
	}
	for i, param := range def.Params {
		id, plain := param.(*syntax.Ident)
		if !plain || i >= len(wanted) || id.Name != wanted[i] {
			return p, syntax.Start(param)
		}
	}
	if len(def.Params) < len(wanted) {
		return p, def.Name.NamePos
	}
	return nil, syntax.Position{}
}

func parameterList(def *syntax.DefStmt) string {
	var parts []string
	for _, param := range def.Params {
		switch param := param.(type) {
		case *syntax.Ident:
			parts = append(parts, param.Name)
		case *syntax.BinaryExpr:
			parts = append(parts, param.X.(*syntax.Ident).Name+" = ...")
		case *syntax.UnaryExpr:
			name := ""
			if id, ok := param.X.(*syntax.Ident); ok {
				name = id.Name
			}
			parts = append(parts, param.Op.String()+name)
		}
	}
	return strings.Join(parts, ", ")
}
