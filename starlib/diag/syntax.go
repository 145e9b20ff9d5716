package diag

import (
	"cmp"
	"fmt"
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

// explain makes the parser's own error more exact by the tokens around token i.
func explain(d *Diagnostic, tokens []token, i int, msg string) {
	t := tokens[i]
	got, want, _ := gotWant(msg)
	switch {
	case strings.Contains(msg, "does not associate with"):
		d.Code, d.Message = "P1113", "comparisons cannot be chained"
		d.Hint = "write `a < b and b < c`"
	case strings.HasPrefix(msg, "unexpected newline in string"), strings.HasPrefix(msg, "unexpected EOF in string"):
		d.Code, d.Message = "P1002", "the string has no end"
		d.Hint = "close the quote on this line, or use three quotes for a text of several lines"
	case strings.HasPrefix(msg, "unindent does not match"):
		d.Code, d.Message = "P1003", "the indentation matches no block that is open"
		d.Hint = "indent like the line that starts the block; do not mix tabs and spaces"
	case msg == "excessive nesting":
		d.Code, d.Message, d.Hint = "P1006", "nested too deeply", "name the inner parts by assigning them first"
	case strings.HasPrefix(msg, "unexpected input character"):
		d.Code, d.Message = "P1005", "`"+t.text+"` means nothing here"
	case strings.HasPrefix(msg, "stray backslash"):
		d.Code, d.Message, d.Hint = "P1005", "a backslash may stand only at the very end of a line", "inside brackets a line goes on by itself"
	case strings.HasPrefix(msg, "obsolete form of octal"):
		d.Code, d.Message, d.Hint = "P1004", "a number does not start with 0", "write "+octal(t.text)
	case strings.HasPrefix(msg, "invalid ") && strings.Contains(msg, "literal"):
		d.Code, d.Message = "P1004", msg+" `"+oneLine(t.text, 40)+"`"
	case strings.Contains(msg, "escape sequence"), strings.Contains(msg, "nescaped"):
		d.Code, d.Message, d.Hint = "P1007", msg, "write `\\\\` for a backslash, or a raw string r\"...\""
	case strings.HasPrefix(msg, "unexpected "):
		d.Code, d.Message, d.Hint = "P1008", "`"+t.text+"` closes nothing", "delete it, or open the bracket"
	case msg == "not an identifier":
		identifier(d, tokens, i)
	case msg == "conditional expression without else clause":
		d.Message, d.Hint = "a conditional expression needs its `else`", "write `a if condition else b`"
	case msg == "unparenthesized tuple with trailing comma":
		d.Message, d.Hint = "a comma at the end makes a tuple, which needs parentheses", "write `(x,)`, or delete the comma"
	case strings.HasPrefix(msg, "keyword argument must have form"):
		d.Message, d.Hint = "the name of a keyword argument must be a plain name", "write `f(name = value)`; `==` compares"
	case strings.HasPrefix(msg, "first operand of load"), strings.HasPrefix(msg, "load operand"), strings.HasPrefix(msg, "original name of loaded"),
		strings.HasPrefix(msg, "load statement must"):
		d.Code, d.Message = "P1405", "load takes a file and the names to take from it, all in quotes"
		d.Hint = "write `load(\"lib/names.star\", \"name\", other = \"their_name\")`"
	case want == "indent":
		d.Code, d.Message, d.Hint = "P1003", "the block has no body", "indent it below its `:`; `pass` where nothing is to be done"
	case got == "indent":
		d.Code, d.Message, d.Hint, d.Found, d.Wanted = "P1003", "the line is indented deeper than the one above", "only a line behind a `:` starts a deeper block", "", ""
	case t.open >= 0 && (t.kind == end || isFresh(tokens, i) && want != "primary expression"):
		unclosed(d, tokens, i)
	case t.open >= 0 && isClosing(t.text) && isClosing(strings.Trim(want, "'")):
		open := tokens[t.open]
		d.Code, d.Message, d.Found, d.Wanted = "P1008", fmt.Sprintf("`%s` does not close the `%s` of line %d", t.text, open.text, open.at.line), "", ""
		d.Hint = fmt.Sprintf("write `%s`", strings.Trim(want, "'"))
	default:
		misread(d, tokens, i, want)
	}
}

// isFresh says whether a token is the first of its line of text.
func isFresh(tokens []token, i int) bool { return i > 0 && tokens[i-1].after.line < tokens[i].at.line }

func isClosing(s string) bool { return s == ")" || s == "]" || s == "}" }

func octal(s string) string {
	return "`0o" + strings.TrimLeft(s, "0") + "` for an octal one, `" + strings.TrimLeft(s, "0") + "` for a decimal one"
}

// identifier explains a missing name.
func identifier(d *Diagnostic, tokens []token, i int) {
	t := tokens[i]
	d.Message, d.Wanted = "syntax error", "a name"
	d.Found = describe("", t)
	if isKeyword(t.text) {
		d.Code, d.Message, d.Found, d.Wanted = "P1130", "`"+t.text+"` is a reserved word", "", ""
		d.Hint = "choose another name"
	}
}

// unclosed points at the bracket that is open where the parser gave up.
func unclosed(d *Diagnostic, tokens []token, i int) {
	open := tokens[i].open
	if open < 0 {
		return
	}
	t := tokens[open]
	closing := map[string]string{"(": ")", "[": "]", "{": "}"}[t.text]
	if tokens[i].kind == end {
		d.Code, d.Message, d.Found, d.Wanted = "P1008", fmt.Sprintf("`%s` is never closed", t.text), "", ""
		d.Line, d.Column = t.at.line, t.at.column
		d.Hint = fmt.Sprintf("put the `%s` that belongs to it", closing)
		return
	}
	d.Code = "P1008"
	d.Hint = fmt.Sprintf("`%s` of line %d is still open: close it with `%s`, or put a comma", t.text, t.at.line, closing)
}

// hasEntries says whether a colon stands between an open brace and token i.
func hasEntries(tokens []token, open, i int) bool {
	for _, t := range tokens[open+1 : i] {
		if t.text == ":" && t.open == open {
			return true
		}
	}
	return false
}

// misread explains by what stands around the token.
func misread(d *Diagnostic, tokens []token, i int, want string) {
	t := tokens[i]
	enclosing := ""
	if t.open >= 0 {
		enclosing = tokens[t.open].text
	}
	switch {
	case enclosing == "{" && want == "':'" && (t.text == "," || t.text == "}") && hasEntries(tokens, t.open, i):
		d.Hint = "an entry of a dict is `key: value`"
	case enclosing == "{" && want == "':'" && (t.text == "," || t.text == "}"):
		d.Code, d.Message, d.Hint = "P1120", "there are no set literals", "write `set([1, 2])`; a dict needs `key: value`"
	case enclosing == "{" && want == "':'" && t.text == "for":
		d.Code, d.Message, d.Hint = "P1120", "there are no set comprehensions", "write `set([x for x in xs])`"
	case t.text == "for" && enclosing == "(":
		d.Code, d.Message, d.Hint = "P1121", "there are no generator expressions", "write a list: `[x for x in xs]`"
	case t.text == "=" && want == "':'":
		d.Hint = "write `==` to compare"
	case t.text == "=":
		d.Hint = "`=` assigns and stands once in a line; write `==` to compare"
	case want == "':'" && t.kind == newline:
		d.Hint = "end the line with `:`"
	case t.text == "else" || t.text == "elif":
		d.Hint = "`" + t.text + "` belongs to an `if` of the same indentation; a `for` has no `else`"
	case t.text == "**" && enclosing == "{":
		d.Code, d.Message, d.Hint = "P1132", "`**` cannot stand in a dict", "write `a | b` to join two dicts"
	case t.text == "*" && (enclosing == "" || want == "primary expression"):
		d.Code, d.Message, d.Hint = "P1132", "`*` cannot take the rest of a list here", "write `first, rest = xs[0], xs[1:]`; join lists with `+`"
	case isReserved(t.text):
		d.Code, d.Message, d.Hint = "P1130", "`"+t.text+"` is a reserved word", "choose another name"
	case isKeyword(t.text) && want == "primary expression":
		d.Hint = "`" + t.text + "` cannot start an expression"
	case want == "newline" && (t.kind == name || t.kind == numeral || t.kind == text):
		d.Hint = "one statement a line; is an operator or a comma missing before it?"
	}
	if d.Code != "P1001" && d.Code != "P1008" {
		d.Found, d.Wanted = "", ""
	}
}
