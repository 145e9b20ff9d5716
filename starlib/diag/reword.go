package diag

import (
	"strings"

	"go.starlark.net/syntax"
)

// reword.go says in the author's words what the interpreter says in its own,
// and what to do about it. The interpreter's errors are text only, so this is
// the one place that reads text; what it does not know it leaves as it is.

const cancelled = "Starlark computation cancelled: "

// wording is one message of the interpreter: how it is recognised and said anew.
type wording struct {
	match func(msg string) bool
	say   func(s *Sources, d *Diagnostic, msg string)
}

func starts(prefix string) func(string) bool {
	return func(msg string) bool { return strings.HasPrefix(msg, prefix) }
}

func contains(part string) func(string) bool {
	return func(msg string) bool { return strings.Contains(msg, part) }
}

func ends(suffix string) func(string) bool {
	return func(msg string) bool { return strings.HasSuffix(msg, suffix) }
}

// as gives a message a code and a hint and leaves its text.
func as(code Code, hint string) func(*Sources, *Diagnostic, string) {
	return func(_ *Sources, d *Diagnostic, _ string) { d.Code, d.Hint = code, hint }
}

// reword applies the first wording that fits. builtin is what was called, ""
// when an operator or a statement failed. It returns the argument at fault, as
// Problem.Argument has it, where the message tells.
func (s *Sources) reword(d *Diagnostic, builtin string) (argument string) {
	defer func() {
		d.Message = strings.ReplaceAll(d.Message, "NoneType", "None")
		d.Found = strings.ReplaceAll(d.Found, "NoneType", "None")
	}()
	msg := d.Message
	for _, w := range wordings() {
		if w.match(msg) {
			w.say(s, d, msg)
			return ""
		}
	}
	if rest, ok := strings.CutPrefix(msg, builtin+": "); ok && builtin != "" {
		return sayBuiltin(d, builtin, rest)
	}
	return ""
}

func wordings() []wording {
	return []wording{
		{starts(cancelled), func(_ *Sources, d *Diagnostic, msg string) {
			d.Code, d.Message = "P4224", "stopped: "+strings.TrimPrefix(msg, cancelled)
		}},
		{starts("unknown binary op: "), sayBinary},
		{starts("unknown unary op: "), sayUnary},
		{ends(" not implemented"), sayOrder},
		{contains(" field or method"), sayAttribute},
		{starts("key "), sayKey},
		{contains(" out of range"), sayRange},
		{contains("values to unpack"), sayUnpack},
		{ends("in sequence assignment"), sayUnpack},
		{contains(" frozen "), sayFixed},
		{contains(" during iteration"), sayFixed},
		{contains(" value is not iterable"), sayIterable},
		{ends("want iterable"), sayIterable},
		{starts("invalid call of non-function"), sayCall},
		{ends("division by zero"), sayZero},
		{ends("modulo by zero"), sayZero},
		{ends("referenced before assignment"), sayUnassigned},
		{ends("called recursively"), sayRecursion},
		{starts("unhashable"), sayUnhashable},
		{contains("format spec features not supported"), sayFormat},
		{starts("unknown conversion %"), sayFormat},
		{contains(" format requires "), as("P4216", "`%d` takes an int, `%f` a number, `%s` anything")},
		{contains("arguments for format string"), as("P4216", "each `%` of the text takes one argument: `\"%s %s\" % (a, b)`; a tuple needs `(t,)`; `%%` is a percent sign")},
		{contains("incomplete format"), as("P4216", "`%%` is a percent sign")},
		{starts("format: keyword "), sayKeyword},
		{starts("format: "), as("P4216", "`{}` takes the arguments in their order, `{name}` the keyword of that name; `{{` is a brace")},
		{starts("comparison exceeded"), as("P4218", "compare the parts, or their json.encode(...)")},
		{contains("invalid literal with base"), sayNumber},
		{contains("invalid float literal"), sayNumber},
		{starts("cannot convert "), as("P4219", "")},
		{contains("too large"), as("P4220", "")},
		{contains("excessive repeat"), as("P4220", "")},
		{ends("does not support item assignment"), sayItem},
		{starts("can't assign to ."), sayField},
		{starts("unhandled index operation"), sayIndex},
		{contains(" index: "), sayIndex},
		{starts("invalid slice operand"), sayIndex},
		{starts("argument after *"), as("P4217", "`*` spreads a list or a tuple, `**` a dict with string keys")},
		{starts("keywords must be strings"), as("P4217", "`**` spreads a dict with string keys")},
		{starts("duplicate key: "), as("P4223", "give each key once")},
		{starts("join: in list"), sayJoin},
		{starts("'in "), sayIn},
		{ends(" has no len"), sayLen},
	}
}

// sayBinary explains `x op y`.
func sayBinary(_ *Sources, d *Diagnostic, msg string) {
	d.Code = "P4201"
	words := strings.Fields(strings.TrimPrefix(msg, "unknown binary op: "))
	if len(words) < 3 {
		return
	}
	left, sign, right := words[0], strings.Join(words[1:len(words)-1], " "), words[len(words)-1]
	d.Message = "`" + sign + "` does not work on " + left + " and " + right
	is := func(kind string) bool { return left == kind || right == kind }
	switch {
	case is("NoneType"):
		d.Hint = "one side is None: a function without `return` gives None, and so does d.get(key) for a missing key"
	case is("string") && sign == "+" && is("bytes"):
		d.Hint = "write `bytes(s)` or `str(b)`"
	case is("string") && sign == "+":
		d.Hint = "write `str(x)`, or `\"{} of {}\".format(a, b)`"
	case is("string") && (sign == "-" || sign == "*" || sign == "/" || sign == "//") && (is("int") || is("float")):
		d.Hint = "the string must be made a number: `int(s)` or `float(s)`"
	case left == "string" && sign == "/":
		d.Hint = "a path starts at the workspace: `workspace / \"raw\" / name`"
	case left == "dict" && right == "dict" && sign == "+":
		d.Hint = "write `a | b`"
	case sign == "+" && is("list"):
		d.Hint = "write `xs + [x]` to add one element, `xs + list(t)` to add those of another sequence"
	}
}

func sayUnary(_ *Sources, d *Diagnostic, msg string) {
	d.Code = "P4201"
	if sign, kind, ok := strings.Cut(strings.TrimPrefix(msg, "unknown unary op: "), " "); ok {
		d.Message = "`" + sign + "` does not work on " + kind
	}
}

// sayOrder explains `x < y` of values that have no order.
func sayOrder(_ *Sources, d *Diagnostic, msg string) {
	words := strings.Fields(msg)
	d.Code = "P4202"
	if len(words) < 5 {
		return
	}
	d.Message = "`" + words[1] + "` does not order " + words[0] + " and " + words[2]
	d.Hint = "compare values of one type: int(s), str(n); for a sort, `sorted(xs, key = lambda x: ...)`"
}

// sayAttribute explains `x.name`.
func sayAttribute(s *Sources, d *Diagnostic, msg string) {
	msg = strings.TrimPrefix(msg, "getattr: ")
	kind, rest, ok := strings.Cut(msg, " has no .")
	if !ok {
		return
	}
	name, rest, _ := strings.Cut(rest, " ")
	d.Code, d.Message = "P4203", kind+" has no `."+name+"`"
	if hint := methodHint(kind, name); hint != "" {
		d.Hint = writeHint(hint)
	} else if _, guess, ok := strings.Cut(rest, "did you mean ."); ok {
		d.Hint = "did you mean `." + strings.TrimSuffix(guess, "?)") + "`?"
	} else if near := Nearest(name, methodsOf(kind)); near != "" {
		d.Hint = "did you mean `." + near + "`?"
	}
}

// runeAt is the rune of a column, 0 beyond the line.
func runeAt(line string, column int) rune {
	for _, r := range line {
		if column--; column == 0 {
			return r
		}
	}
	return 0
}

// sayKey explains `d[key]`; nearest is the key that the file uses elsewhere.
func sayKey(s *Sources, d *Diagnostic, msg string) {
	key, kind, ok := cutLast(strings.TrimPrefix(msg, "key "), " not in ")
	if !ok {
		if name, ok := strings.CutPrefix(msg, "key not found: "); ok {
			d.Code, d.Message, d.Hint = "P4216", "the format names a key that is not there: "+shorten(name, 80), "give a dict that has it"
		}
		return
	}
	d.Code, d.Message = "P4204", "key "+shorten(key, 80)+" is not in the "+kind
	d.Hint = "test `key in d`, or take `d.get(key, default)`"
	if text, ok := unquote(key); ok {
		if near := Nearest(text, s.keys(d.File)); near != "" {
			d.Hint = "did you mean `\"" + near + "\"`? Otherwise " + d.Hint
		}
	}
}

func unquote(s string) (string, bool) {
	if len(s) < 2 || s[0] != '"' || s[len(s)-1] != '"' {
		return "", false
	}
	return s[1 : len(s)-1], true
}

func cutLast(s, sep string) (string, string, bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+len(sep):], true
}

// keys are the strings that a file writes as keys: in dicts and in subscripts.
func (s *Sources) keys(file string) []string {
	tree := s.Trees[file]
	if tree == nil {
		return nil
	}
	var keys []string
	add := func(e syntax.Expr) {
		if lit, ok := e.(*syntax.Literal); ok && lit.Token == syntax.STRING {
			keys = append(keys, lit.Value.(string))
		}
	}
	syntax.Walk(tree, func(n syntax.Node) bool {
		switch n := n.(type) {
		case *syntax.DictEntry:
			add(n.Key)
		case *syntax.IndexExpr:
			add(n.Y)
		}
		return true
	})
	return keys
}

func sayRange(_ *Sources, d *Diagnostic, msg string) {
	if strings.Contains(msg, "range (want value in") || strings.Contains(msg, "code point") {
		d.Code = "P4220"
		return
	}
	d.Code, d.Hint = "P4205", "`len(x)` is the number of elements; `x[-1]` is the last one, and only of a list that is not empty"
	if head, span, ok := cutLast(msg, " out of range "); ok {
		d.Message = head + " is out of range"
		if lo, hi, ok := strings.Cut(strings.Trim(span, "[]"), ":"); ok {
			d.Wanted = lo + " to " + hi
		}
	}
}

func sayUnpack(_ *Sources, d *Diagnostic, msg string) {
	d.Code, d.Hint = "P4206", "the left side must have one name for each value of the right side"
	if kind, ok := strings.CutPrefix(msg, "got "); ok {
		kind, _, _ = strings.Cut(kind, " ")
		d.Message, d.Found, d.Wanted = "cannot be taken apart into several names", kind, "a list or a tuple"
		return
	}
	head, counts, _ := strings.Cut(msg, " (")
	d.Message = head
	if got, want, ok := strings.Cut(strings.TrimSuffix(strings.TrimPrefix(counts, "got "), ")"), ", want "); ok {
		d.Found, d.Wanted = got, want
		if got == "-1" {
			d.Found = "more"
		}
	}
}

func sayIterable(_ *Sources, d *Diagnostic, msg string) {
	d.Code = "P4209"
	kind := strings.TrimSuffix(msg, " value is not iterable")
	if i := strings.LastIndex(kind, ": "); i >= 0 {
		kind = kind[i+2:]
	}
	if k, ok := strings.CutPrefix(kind, "got "); ok {
		kind, _, _ = strings.Cut(k, ",")
	}
	d.Message = "cannot loop over " + kind
	switch kind {
	case "string":
		d.Hint = "write `s.elems()` for its characters, `s.split(\",\")` or `s.splitlines()` for its parts"
	case "bytes":
		d.Hint = "write `b.elems()`"
	case "int":
		d.Hint = "write `range(n)`"
	case "NoneType":
		d.Hint = "it is None: a function without `return` gives None"
	case "path":
		d.Hint = "write `p.lines()` for a file, `p.iterdir()` or `p.glob(\"*\")` for a folder"
	case "struct":
		d.Hint = "write `[getattr(s, n) for n in dir(s)]`"
	}
}
