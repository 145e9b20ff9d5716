package diag

import (
	"cmp"
	"slices"
	"strings"

	"go.starlark.net/resolve"
	"go.starlark.net/syntax"
)

// mostPerFile bounds the diagnostics of one file.
const mostPerFile = 100

// fromSyntax explains the parser's one error, and adds everything behind it that is
// certainly wrong.
func (s *Sources) fromSyntax(e syntax.Error) List {
	file := e.Pos.Filename()
	source, ok := s.Text[file]
	if !ok {
		return List{s.at(e.Pos, "P1001", e.Msg)}
	}
	tokens := scan(string(source))
	fault := s.fault(tokens, e)
	var list List
	first := true // the parser's own error is still to be placed
	for _, f := range findPython(tokens) {
		t := tokens[f.token]
		if first && fault.token <= f.last && fault.token >= f.token-1 {
			first = false // it is this that the parser stopped at
		}
		if first && fault.token < f.token {
			list, first = append(list, fault.diagnostic), false
		}
		d := s.at(syntax.MakePosition(&file, int32(t.at.line), int32(t.at.column)), f.code, f.message)
		d.Hint = writeHint(f.hint)
		d.Fix = (&pythonFinder{tokens: tokens}).fix(f, func(n int) string { return s.line(file, n) })
		list = append(list, d)
	}
	if first {
		list = append(list, fault.diagnostic)
	}
	return s.bound(list)
}

// bound cuts the complaints of one file.
func (s *Sources) bound(list List) List {
	if len(list) <= mostPerFile {
		return list
	}
	rest := *list[mostPerFile]
	rest.Code, rest.Message = "P1000", "and more errors from here on"
	rest.Found, rest.Wanted, rest.Hint = "", "", ""
	return append(list[:mostPerFile:mostPerFile], &rest)
}

func writeHint(hint string) string {
	if strings.HasPrefix(hint, "`") {
		return "write " + hint
	}
	return hint
}

// fault is the parser's own error, on the token that it is about.
type fault struct {
	token      int
	diagnostic *Diagnostic
}

// fault finds the token: the parser names the place behind it for most messages
// and its start for some.
func (s *Sources) fault(tokens []token, e syntax.Error) fault {
	pos := positionOf(e.Pos)
	i := tokenAt(tokens, pos, e.Msg)
	if strings.HasPrefix(e.Msg, "load operand must be") && strings.Contains(e.Msg, "(want '=' after") && i > 0 {
		i-- // it is about the name before, which should have been quoted
	}
	t := tokens[i]
	file := e.Pos.Filename()
	d := s.at(syntax.MakePosition(&file, int32(t.at.line), int32(t.at.column)), "P1001", e.Msg)
	if got, want, ok := gotWant(e.Msg); ok {
		d.Message, d.Found, d.Wanted = "syntax error", describe(got, t), wantedWords(want)
	}
	explain(d, tokens, i, e.Msg)
	d.Source = s.source(file, d.Line, d.Column) // it may point at another line now
	return fault{i, d}
}

// tokenAt is the index of the token that an error of the parser is about.
func tokenAt(tokens []token, pos position, msg string) int {
	starts := strings.HasSuffix(msg, "want primary expression") || !strings.HasPrefix(msg, "got ") &&
		msg != "not an identifier" && !strings.HasPrefix(msg, "first operand of load") &&
		!strings.HasPrefix(msg, "load operand") && !strings.HasPrefix(msg, "original name") && !strings.HasPrefix(msg, "keyword argument must") &&
		!strings.Contains(msg, "does not associate")
	if strings.HasPrefix(msg, "obsolete ") || strings.HasPrefix(msg, "invalid ") && strings.HasSuffix(msg, " literal") {
		return numeralAt(tokens, pos)
	}
	inside := len(tokens) - 1
	for i, t := range tokens {
		if starts && t.at == pos || !starts && t.after == pos && t.kind != end {
			return i
		}
		if inside == len(tokens)-1 && (isBefore(pos, t.after) || t.kind == end) {
			inside = i
		}
	}
	return inside
}

// numeralAt is the number at a position, or the last one before it.
func numeralAt(tokens []token, pos position) int {
	found := 0
	for i, t := range tokens {
		if t.kind == numeral && !isBefore(pos, t.at) {
			found = i
		}
	}
	return found
}

func isBefore(a, b position) bool {
	return a.line < b.line || a.line == b.line && a.column < b.column
}

// gotWant splits "got X, want Y".
func gotWant(msg string) (got, want string, ok bool) {
	rest, ok := strings.CutPrefix(msg, "got ")
	if !ok {
		return "", "", false
	}
	got, want, ok = strings.Cut(rest, ", want ")
	return got, want, ok
}

func describe(got string, t token) string {
	switch {
	case got == "newline" || t.kind == newline:
		return "the end of the line"
	case got == "end of file" || t.kind == end:
		return "the end of the file"
	case got == "indent":
		return "a deeper indentation"
	case got == "outdent":
		return "the end of the block"
	}
	return "`" + oneLine(t.text, 40) + "`"
}

func wantedWords(want string) string {
	switch want {
	case "newline":
		return "the end of the line"
	case "end of file", "EOF":
		return "the end of the file"
	case "indent":
		return "an indented block"
	case "outdent":
		return "the end of the block"
	case "primary expression":
		return "an expression"
	}
	return strings.ReplaceAll(want, "'", "`")
}

// oneLine is a text of a source in a message, at most that many characters.
func oneLine(s string, most int) string {
	if strings.ContainsAny(s, "\r\n") {
		s = strings.NewReplacer("\r\n", "⏎", "\n", "⏎", "\r", "⏎").Replace(s)
	}
	return ShortenTo(s, most)
}

// resolveKey folds the messages of one position that mean the same.
type resolveKey struct {
	at   position
	code Code
}

// fromResolve turns all errors of the resolver, in the order of their places.
func (s *Sources) fromResolve(errs resolve.ErrorList) List {
	errs = slices.Clone(errs)
	slices.SortStableFunc(errs, func(a, b resolve.Error) int {
		return cmp.Or(cmp.Compare(a.Pos.Line, b.Pos.Line), cmp.Compare(a.Pos.Col, b.Pos.Col))
	})
	var list List
	seen := map[resolveKey]bool{}
	headless := map[int]bool{} // lines with a top-level if or for, which is reported already
	for _, e := range errs {
		if len(list) == mostPerFile {
			return append(list, s.at(e.Pos, "P1000", "and more errors from here on"))
		}
		d := s.fromResolveOne(e)
		key := resolveKey{positionOf(e.Pos), d.Code}
		if seen[key] || headless[d.Line] && strings.HasPrefix(e.Msg, "undefined: __name__") {
			continue
		}
		seen[key] = true
		headless[d.Line] = headless[d.Line] || d.Code == "P1203"
		list = append(list, d)
	}
	return list
}
