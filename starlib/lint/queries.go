package lint

import (
	"strings"
	"unicode/utf8"

	"go.starlark.net/syntax"
)

// Query is the query of a call of sql that is written out: as a text in the call,
// or as the name of one of the top level.
type Query struct {
	Call   syntax.Position // of `sql`
	Text   string
	Tables []string // its keywords; nil with Open
	Open   bool     // there are keywords that are not written out, or the name sql is not the language's
	Args   []string // the keys of args; nil with Free
	Free   bool     // args are not written out

	literal *syntax.Literal
}

// Queries are the queries of a file that are written out, in its order.
func Queries(tree *syntax.File) []Query {
	texts := constants(tree)
	var out []Query
	syntax.Walk(tree, func(n syntax.Node) bool {
		call, ok := n.(*syntax.CallExpr)
		if !ok {
			return true
		}
		if name, ok := call.Fn.(*syntax.Ident); ok && name.Name == "sql" {
			if q, ok := queryOf(call, texts); ok {
				q.Call = name.NamePos
				out = append(out, q)
			}
		}
		return true
	})
	return out
}

// constants are the texts of the top level that are bound once, by their names.
func constants(tree *syntax.File) map[string]*syntax.Literal {
	texts, bound := map[string]*syntax.Literal{}, map[string]int{}
	for _, stmt := range tree.Stmts {
		assign, ok := stmt.(*syntax.AssignStmt)
		if !ok {
			continue
		}
		if name, ok := assign.LHS.(*syntax.Ident); ok {
			bound[name.Name]++
			if literal, ok := assign.RHS.(*syntax.Literal); ok && literal.Token == syntax.STRING && bound[name.Name] == 1 {
				texts[name.Name] = literal
			} else {
				delete(texts, name.Name)
			}
		}
	}
	return texts
}

// queryOf takes a call of sql apart.
func queryOf(call *syntax.CallExpr, texts map[string]*syntax.Literal) (q Query, ok bool) {
	q.Free = false
	text := func(e syntax.Expr) {
		switch e := e.(type) {
		case *syntax.Literal:
			if e.Token == syntax.STRING {
				q.literal = e
			}
		case *syntax.Ident:
			q.literal = texts[e.Name]
		}
	}
	args := func(e syntax.Expr) {
		dict, written := e.(*syntax.DictExpr)
		if !written {
			q.Free = true
			return
		}
		for _, entry := range dict.List {
			key, written := entry.(*syntax.DictEntry).Key.(*syntax.Literal)
			if !written || key.Token != syntax.STRING {
				q.Free = true
				return
			}
			q.Args = append(q.Args, key.Value.(string))
		}
	}
	for i, arg := range call.Args {
		switch arg := arg.(type) {
		case *syntax.UnaryExpr: // *args, **kwargs
			if arg.Op == syntax.STAR || arg.Op == syntax.STARSTAR {
				q.Open, q.Free = true, true
				continue
			}
		case *syntax.BinaryExpr:
			if name, ok := arg.X.(*syntax.Ident); ok && arg.Op == syntax.EQ {
				switch name.Name {
				case "query":
					text(arg.Y)
				case "args":
					args(arg.Y)
				default:
					q.Tables = append(q.Tables, name.Name)
				}
				continue
			}
		}
		switch i {
		case 0:
			text(arg)
		case 1:
			args(arg)
		}
	}
	if q.literal == nil {
		return q, false
	}
	q.Text, ok = q.literal.Value.(string)
	return q, ok
}

// Position is where a byte of the query stands in the file; where that cannot be
// told, since something in the text is escaped, where the text begins.
func (q Query) Position(offset int) syntax.Position {
	pos := q.literal.TokenPos
	raw := q.literal.Raw
	i := strings.IndexAny(raw, `"'`)
	if i < 0 || offset < 0 || offset > len(q.Text) {
		return pos
	}
	quotes := 1
	if strings.HasPrefix(raw[i:], `"""`) || strings.HasPrefix(raw[i:], `'''`) {
		quotes = 3
	}
	start := i + quotes
	if start+len(q.Text) > len(raw) || raw[start:start+len(q.Text)] != q.Text {
		return pos
	}
	before := raw[:start+offset]
	if n := strings.Count(before, "\n"); n > 0 {
		pos.Line += int32(n)
		pos.Col = 1
		before = before[strings.LastIndexByte(before, '\n')+1:]
	}
	pos.Col += int32(utf8.RuneCountInString(before))
	return pos
}
