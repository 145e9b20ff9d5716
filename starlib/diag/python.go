package diag

import (
	"slices"
	"strings"
)

// What is Python and not this language, found among the tokens of a source. Each
// rule speaks only of what cannot be right, so that all of a pasted file can be
// reported at once, not only the first line, at which the parser gave up.

// finding is one construct of Python: where it is, and what to write instead.
// Without a code it is only tokens that need no further look.
type finding struct {
	token   int // index of the token at fault
	code    Code
	message string
	hint    string
	last    int // index of the last token that it explains
}

// findPython returns the findings in a source in their order.
func findPython(tokens []token) []finding {
	p := &pythonFinder{tokens: tokens}
	for i := 0; i < len(tokens) && len(p.found) <= mostPerFile; i++ {
		if found, ok := p.at(i); ok {
			if found.code != "" {
				p.found = append(p.found, found)
			}
			i = max(i, found.last)
		}
	}
	return p.found
}

type pythonFinder struct {
	tokens []token
	found  []finding
	tries  int // how many `try` there were: their except and finally need no word of their own
}

// peek is the token n behind i, one without text beyond the source.
func (p *pythonFinder) peek(i, n int) token {
	if i+n < 0 || i+n >= len(p.tokens) {
		return token{kind: end}
	}
	return p.tokens[i+n]
}

func (p *pythonFinder) at(i int) (finding, bool) {
	t := p.tokens[i]
	switch t.kind {
	case name:
		if p.starts(i) {
			if f, ok := p.statement(i); ok {
				return f, true
			}
		}
		return p.word(i)
	case numeral:
		return p.number(i)
	case text:
		return p.literal(i)
	case op:
		return p.operator(i)
	}
	return finding{}, false
}

// starts says whether a statement starts at i.
func (p *pythonFinder) starts(i int) bool {
	if p.tokens[i].first {
		return true
	}
	if p.tokens[i].open >= 0 {
		return false
	}
	before := p.peek(i, -1).text
	return before == ";" || before == ":" && p.opensSuite(i-1)
}

// farthest bounds how many tokens of one line are examined for one finding, since a
// line may have a million of them.
const farthest = 500

// opensSuite says whether the colon at i ends the head of a compound statement.
func (p *pythonFinder) opensSuite(i int) bool {
	for j := i; j >= max(0, i-farthest); j-- {
		if p.tokens[j].first {
			switch p.tokens[j].text {
			case "if", "elif", "else", "for", "while", "def", "try", "except", "finally", "with", "class":
				return true
			}
			return false
		}
	}
	return false
}

// lineEnd is the index of the last token of the logical line of i.
func (p *pythonFinder) lineEnd(i int) int {
	most := i + farthest
	for i+1 < len(p.tokens) && i < most && p.tokens[i+1].kind != newline && p.tokens[i+1].kind != end {
		i++
	}
	return i
}

const catchHint = "`got = catch(fn, arg)`: it calls fn(arg) and gives `got.ok`, `got.value` and `got.error`"

// statement finds what is Python by the word that a statement begins with.
func (p *pythonFinder) statement(i int) (finding, bool) {
	t, next := p.tokens[i], p.peek(i, 1)
	line := func(code Code, message, hint string) (finding, bool) {
		return finding{i, code, message, hint, p.lineEnd(i)}, true
	}
	head := func(code Code, message, hint string) (finding, bool) {
		return finding{i, code, message, hint, i}, true
	}
	if next.kind == op && (next.text == "=" || next.text == "." && t.text != "from") {
		return p.word(i)
	}
	switch t.text {
	case "import", "from":
		return line("P1103", "there is no `import`", importHint(p.tokens[i:p.lineEnd(i)+1]))
	case "class":
		return head("P1104", "there are no classes", "return a struct: `point = struct(x = 1, y = 2)`, and write functions that take it")
	case "try":
		p.tries++
		return head("P1102", "there is no `try`", catchHint)
	case "except", "finally":
		if p.tries > 0 {
			return line("", "", "")
		}
		return head("P1102", "there is no `"+t.text+"`", catchHint)
	case "with":
		return line("P1105", "there is no `with`", "`f = (workspace / \"name\").open(\"r\")`; a file is closed by f.close(), or when the body ends")
	case "raise":
		return line("P1110", "there is no `raise`", "`fail(\"why\")`, which Conductor retries, or `fail_terminal(\"why\")`, which it does not")
	case "assert":
		if next.kind == op && next.text == "(" && !p.commaBehind(i) {
			return finding{}, false // may be a function of that name
		}
		return line("P1114", "there is no `assert`", "`if not ok: fail(\"why\")`")
	case "del":
		return line("P1115", "there is no `del`", "`d.pop(key)` for a dict, `l.pop(i)` for a list")
	case "global", "nonlocal":
		return line("P1116", "there is no `"+t.text+"`", "a function cannot rebind an outer name; return the new value, or keep it in a dict or a list")
	case "async":
		if next.text == "def" {
			return head("P1117", "there is no `async`", "write a plain `def`; files are read ahead without it")
		}
		return line("P1117", "there is no `async`", "write the line plainly; files are read ahead without it")
	case "while":
		return head("P1106", "there is no `while`", "`for _ in range(n):` with a bound n, and `break` when it is done")
	case "print", "exec":
		if next.kind == text || next.kind == numeral || next.kind == name && !isKeyword(next.text) {
			return line("P1119", "`"+t.text+"` is a function", "`"+t.text+"(...)` with parentheses")
		}
	case "match", "case", "switch":
		if p.isBlockHead(i) {
			return line("P1118", "there is no `"+t.text+"`", "`if x == 1:` … `elif x == 2:` … `else:`")
		}
	case "else":
		if next.text == "if" {
			return finding{i, "P1122", "there is no `else if`", "`elif`", i + 1}, true
		}
	case "def":
		return p.header(i)
	case "type":
		if next.kind == name && p.peek(i, 2).text == "=" {
			return line("P1107", "there are no types to declare", "leave the line out")
		}
	}
	return p.annotation(i)
}

// commaBehind says whether the parenthesis behind i is followed by a comma at its own level.
func (p *pythonFinder) commaBehind(i int) bool {
	for j := i + 1; j <= p.lineEnd(i); j++ {
		if p.tokens[j].text == "," && p.tokens[j].open < 0 {
			return true
		}
	}
	return false
}

// isBlockHead says whether a name at i, which is no keyword, heads a block: a
// word, an operand, and a colon at the end of the line.
func (p *pythonFinder) isBlockHead(i int) bool {
	last, next := p.lineEnd(i), p.peek(i, 1)
	operand := next.kind == text || next.kind == numeral || next.kind == name && !isKeyword(next.text)
	return operand && last > i+1 && p.tokens[last].text == ":"
}

// header finds annotations in the head of a def.
func (p *pythonFinder) header(i int) (finding, bool) {
	last := p.lineEnd(i)
	paren := -1
	for j := i + 1; j <= last; j++ {
		t := p.tokens[j]
		switch {
		case t.text == "(" && paren < 0:
			paren = j
		case t.text == ":" && paren >= 0 && t.open == paren && p.tokens[j-1].kind == name && !p.inLambda(paren, j):
			return finding{j, "P1107", "there are no annotations", "leave the type out: the params of a task have theirs in schema(...)", last}, true
		case t.text == "->":
			return finding{j, "P1107", "there are no annotations", "leave the type out: the result of a task has its own in `result = schema(...)`", last}, true
		case t.text == ":" && t.open < 0:
			return finding{}, false
		}
	}
	return finding{}, false
}

func (p *pythonFinder) inLambda(from, to int) bool {
	for j := to - 1; j > from; j-- {
		if p.tokens[j].text == "lambda" {
			return true
		}
		if p.tokens[j].text == "," && p.tokens[j].open == from {
			return false
		}
	}
	return false
}

// annotation finds `name: type = value`.
func (p *pythonFinder) annotation(i int) (finding, bool) {
	if isKeyword(p.tokens[i].text) {
		return finding{}, false
	}
	j := i + 1
	for p.peek(j, 0).text == "." && p.peek(j, 1).kind == name {
		j += 2
	}
	if t := p.peek(j, 0); t.kind == op && t.text == ":" && t.open < 0 {
		return finding{j, "P1107", "there are no annotations", "leave the type out: `" + p.tokens[i].text + " = ...`", p.lineEnd(i)}, true
	}
	return finding{}, false
}

// word finds what is Python by a word inside a statement.
func (p *pythonFinder) word(i int) (finding, bool) {
	t, next := p.tokens[i], p.peek(i, 1)
	one := func(code Code, message, hint string) (finding, bool) {
		return finding{i, code, message, hint, i}, true
	}
	before := p.peek(i, -1).text
	if isReserved(t.text) && (next.text == "=" || before == "." || before == "def") {
		hint := "choose another name"
		if before == "." {
			hint = "a field of that name is reached by `x[\"" + t.text + "\"]`"
		} else if t.open >= 0 {
			hint = "choose another name, or pass it as `**{\"" + t.text + "\": ...}`"
		}
		return one("P1130", "`"+t.text+"` is a reserved word", hint)
	}
	switch t.text {
	case "is":
		if next.text == "not" {
			return finding{i, "P1108", "there is no `is not`", "`!=`, as in `x != None`", i + 1}, true
		}
		return one("P1108", "there is no `is`", "`==`, as in `x == None`; for a type, `type(x) == \"string\"`")
	case "yield":
		return finding{i, "P1111", "there is no `yield`", "append to a list and return it; csv.reader, json.lines and lines() stream by themselves", p.lineEnd(i)}, true
	case "await", "async":
		return one("P1117", "there is no `"+t.text+"`", "call the function plainly; files are read ahead without it")
	case "as", "class", "del", "except", "finally", "from", "global", "import", "nonlocal", "raise", "try", "with":
		return one("P1130", "`"+t.text+"` is a reserved word", "choose another name")
	}
	return finding{}, false
}

func (p *pythonFinder) number(i int) (finding, bool) {
	t := p.tokens[i].text
	if strings.Contains(t, "_") && !strings.HasSuffix(t, "_") && t[0] >= '0' && t[0] <= '9' {
		return finding{i, "P1124", "a number has no `_` in it", "`" + strings.ReplaceAll(t, "_", "") + "`", i}, true
	}
	switch last := t[len(t)-1]; {
	case (last == 'j' || last == 'J') && !strings.HasPrefix(t, "0x"):
		return finding{i, "P1124", "there are no complex numbers", "numbers are ints and floats; keep the two parts in a struct", i}, true
	case (last == 'L' || last == 'l') && len(t) > 1:
		return finding{i, "P1124", "a number has no suffix", "`" + t[:len(t)-1] + "`: ints have no bound", i}, true
	}
	return finding{}, false
}

func (p *pythonFinder) literal(i int) (finding, bool) {
	t := p.tokens[i]
	prefix := t.text[:strings.IndexAny(t.text, "\"'")]
	lower := strings.ToLower(prefix)
	switch {
	case strings.ContainsAny(lower, "ft"):
		return finding{i, "P1101", "there are no f-strings", formatHint(t), i}, true
	case strings.Contains(lower, "u"):
		return finding{i, "P1123", "a string has no prefix `" + prefix + "`", "leave the prefix out: every string is Unicode", i}, true
	case prefix != lower || lower == "br":
		return finding{i, "P1123", "a string has no prefix `" + prefix + "`", "`" + strings.Replace(lower, "br", "rb", 1) + "`", i}, true
	}
	if before := p.peek(i, -1); before.kind == text && !p.tokens[i].first && before.closed {
		hint := "put a `+` between them"
		if t.open >= 0 {
			hint += ", or a comma"
		}
		return finding{i, "P1125", "strings side by side are not joined", hint, i}, true
	}
	return finding{}, false
}

func (p *pythonFinder) operator(i int) (finding, bool) {
	t, before, next := p.tokens[i], p.peek(i, -1), p.peek(i, 1)
	one := func(code Code, message, hint string) (finding, bool) {
		return finding{i, code, message, hint, i}, true
	}
	switch t.text {
	case "**":
		if before.isOperand() && !t.first {
			return one("P1109", "there is no operator `**`", "`x * x`, or `math.pow(x, y)`; `1 << n` is two to the n")
		}
	case "**=":
		return one("P1109", "there is no operator `**=`", "`x = x * x`, or `x = math.pow(x, y)`")
	case ":=":
		return one("P1112", "there is no `:=`", "assign on a line of its own, before the line that uses it")
	case "@":
		if t.first && next.kind == name {
			return finding{i, "P1126", "there are no decorators", "wrap the function by hand: `def f(x): ...` and then `g = wrapper(f)`", p.lineEnd(i)}, true
		}
		return one("P1126", "there is no operator `@`", "numbers are multiplied by `*`")
	case "&&", "||", "!", "<>", "===", "?":
		return one("P1127", "there is no `"+t.text+"`", HintFor(t.text, [][2]string{
			{"&&", "`and`"}, {"||", "`or`"}, {"!", "`not`"}, {"<>", "`!=`"}, {"===", "`==`"}, {"?", "`a if condition else b`"}}))
	case "...":
		return one("P1128", "there is no `...`", "`pass` where nothing is to be done")
	case "//":
		if t.first {
			return finding{i, "P1129", "a comment starts with `#`", "`#`", p.lineEnd(i)}, true
		}
	case "/":
		if t.first && next.text == "*" {
			return finding{i, "P1129", "a comment starts with `#`", "`#` on each line", p.lineEnd(i)}, true
		}
	case "+", "-":
		if next.text == t.text && before.isOperand() && next.at == t.after && p.endsOperand(i+2) {
			return finding{i, "P1131", "there is no `" + t.text + t.text + "`", "`x " + t.text + "= 1`", i + 2}, true
		}
	case "*":
		if before.text == "[" && next.isOperand() && p.peek(i, -2).isOperand() == false {
			return one("P1132", "`*` cannot stand in a list", "join lists with `+`: `list(a) + list(b)`")
		}
	}
	return p.foreign(i)
}

func (p *pythonFinder) endsOperand(i int) bool {
	t := p.peek(i, 0)
	return t.kind == newline || t.kind == end || slices.Contains([]string{")", "]", "}", ",", ";", ":"}, t.text)
}

// foreign finds characters that only look like those of the language.
func (p *pythonFinder) foreign(i int) (finding, bool) {
	t := p.tokens[i]
	one := func(message, hint string) (finding, bool) { return finding{i, "P1005", message, hint, i}, true }
	switch t.text {
	case "“", "”", "„", "«", "»":
		return one("`"+t.text+"` is no quotation mark of the language", "`\"`")
	case "‘", "’", "‚", "`":
		return one("`"+t.text+"` is no quotation mark of the language", "`'`")
	case "\u00a0", "\u202f", "\u2007", "\u3000":
		return one("a space that is not the plain one", "replace it by a plain space")
	case "\u200b", "\u200c", "\u200d", "\ufeff", "\u2060":
		return one("an invisible character", "delete it")
	case "–", "—", "−", "‐":
		return one("`"+t.text+"` is no minus sign of the language", "`-`")
	case "×":
		return one("`×` is no operator", "`*`")
	case "÷":
		return one("`÷` is no operator", "`/`")
	case "≤", "≥", "≠":
		return one("`"+t.text+"` is no operator", map[string]string{"≤": "`<=`", "≥": "`>=`", "≠": "`!=`"}[t.text])
	case "（", "）", "，", "：", "；", "【", "】", "。":
		return one("`"+t.text+"` is a full-width character", "use the ASCII one")
	}
	return finding{}, false
}
