package diag

import (
	"strconv"
	"strings"
	"unicode"

	"go.starlark.net/syntax"
)

// Errors of the interpreter in words for the author of a task file, with what to do
// about them. They are plain text, so this is the one place that parses text; a
// message that it does not know stays as it is.

const cancelled = "Starlark computation cancelled: "

// reword rewrites a message of the interpreter. builtin is the function that was
// called, "" when an operator or a statement failed. It returns the argument at
// fault, as Problem.Argument, where the message names it.
func (s *Sources) reword(d *Diagnostic, builtin string) (argument string) {
	msg := d.Message
	rest, ok := strings.CutPrefix(msg, builtin+": ")
	if !s.explainMessage(d, msg) && ok && builtin != "" {
		argument = explainBuiltin(d, builtin, rest)
	}
	d.Message = strings.ReplaceAll(d.Message, "NoneType", "None")
	d.Found = strings.ReplaceAll(d.Found, "NoneType", "None")
	return argument
}

// Reworded is a message of the interpreter in the author's words: code, message,
// found, wanted and hint. It is for the linter, which knows the error before the
// body runs.
func Reworded(msg string) *Diagnostic {
	d := &Diagnostic{Message: msg}
	new(Sources).reword(d, "")
	return d
}

// explainMessage rewrites a message of the interpreter; false when it is none of those
// that are known. The order counts: the first that fits wins.
func (s *Sources) explainMessage(d *Diagnostic, msg string) bool {
	switch {
	case strings.HasPrefix(msg, cancelled):
		d.Code, d.Message = "P4224", "stopped: "+strings.TrimPrefix(msg, cancelled)
	case strings.HasPrefix(msg, "int: invalid literal with base"), strings.HasPrefix(msg, "invalid float literal"):
		explainNumber(d, msg)
	case strings.HasPrefix(msg, "unknown binary op: "):
		explainBinary(d, msg)
	case strings.HasPrefix(msg, "unknown unary op: "):
		explainUnary(d, msg)
	case strings.HasSuffix(msg, " not implemented"):
		explainOrder(d, msg)
	case strings.Contains(msg, " field or method"):
		explainAttribute(d, msg)
	case strings.HasPrefix(msg, "key "):
		explainKey(s, d, msg)
	case strings.Contains(msg, " out of range"):
		explainRange(d, msg)
	case strings.Contains(msg, "values to unpack"), strings.HasSuffix(msg, "in sequence assignment"):
		explainUnpack(d, msg)
	case strings.Contains(msg, " frozen "), strings.Contains(msg, " during iteration"):
		explainFixed(d, msg)
	case strings.Contains(msg, " value is not iterable"), strings.HasSuffix(msg, "want iterable"):
		explainIterable(d, msg)
	case strings.HasPrefix(msg, "invalid call of non-function"):
		explainCall(d, msg)
	case strings.HasSuffix(msg, "division by zero"), strings.HasSuffix(msg, "modulo by zero"):
		explainZero(d, msg)
	case strings.HasSuffix(msg, "referenced before assignment"):
		explainUnassigned(d, msg)
	case strings.HasSuffix(msg, "called recursively"):
		explainRecursion(d, msg)
	case strings.HasPrefix(msg, "unhashable"):
		explainUnhashable(d, msg)
	case strings.HasPrefix(msg, "comparison exceeded"):
		d.Code, d.Hint = "P4218", "compare the parts, or their json.encode(...)"
	case strings.HasPrefix(msg, "cannot convert "):
		d.Code = "P4219"
	case strings.Contains(msg, "too large"), strings.Contains(msg, "excessive repeat"):
		d.Code = "P4220"
	case strings.HasSuffix(msg, "does not support item assignment"):
		explainItem(d, msg)
	case strings.HasPrefix(msg, "can't assign to ."):
		explainField(d, msg)
	case strings.HasPrefix(msg, "unhandled index operation"), strings.Contains(msg, " index: "), strings.HasPrefix(msg, "invalid slice operand"):
		explainIndex(d, msg)
	case strings.HasPrefix(msg, "argument after *"):
		d.Code, d.Hint = "P4217", "`*` spreads a list or a tuple, `**` a dict with string keys"
	case strings.HasPrefix(msg, "keywords must be strings"):
		d.Code, d.Hint = "P4217", "`**` spreads a dict with string keys"
	case strings.HasPrefix(msg, "duplicate key: "):
		d.Code, d.Hint = "P4223", "give each key once"
	case strings.HasPrefix(msg, "join: in list"):
		explainJoin(d, msg)
	case strings.HasPrefix(msg, "'in "):
		explainIn(d, msg)
	case strings.HasSuffix(msg, " has no len"):
		explainLen(d, msg)
	default:
		return false
	}
	return true
}

// explainBinary explains `x op y`.
func explainBinary(d *Diagnostic, msg string) {
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

func explainUnary(d *Diagnostic, msg string) {
	d.Code = "P4201"
	if sign, kind, ok := strings.Cut(strings.TrimPrefix(msg, "unknown unary op: "), " "); ok {
		d.Message = "`" + sign + "` does not work on " + kind
	}
}

// explainOrder explains `x < y` of values that have no order.
func explainOrder(d *Diagnostic, msg string) {
	words := strings.Fields(msg)
	d.Code = "P4202"
	if len(words) < 5 {
		return
	}
	d.Message = "`" + words[1] + "` does not order " + words[0] + " and " + words[2]
	d.Hint = "compare values of one type: int(s), str(n); for a sort, `sorted(xs, key = lambda x: ...)`"
}

// explainAttribute explains `x.name`.
func explainAttribute(d *Diagnostic, msg string) {
	msg = strings.TrimPrefix(msg, "getattr: ")
	kind, rest, ok := strings.Cut(msg, " has no .")
	if !ok {
		return
	}
	name, rest, _ := strings.Cut(rest, " ")
	d.Code, d.Message = "P4203", typeWord(kind)+" has no `."+name+"`"
	if hint := methodHint(kind, name); hint != "" {
		d.Hint = writeHint(hint)
	} else if _, guess, ok := strings.Cut(rest, "did you mean ."); ok {
		d.Hint = "did you mean `." + strings.TrimSuffix(guess, "?)") + "`?"
	} else {
		d.Hint = DidYouMean(name, methodsOf(kind), func(near string) string { return "`." + near + "`" })
	}
}

// typeWord is the name of a type for people.
func typeWord(kind string) string {
	if kind == "builtin_function_or_method" {
		return "function"
	}
	return kind
}

// nameBefore is the name that ends right before a column of a line.
func nameBefore(line string, column int) string {
	runes := []rune(line)
	end := min(max(column-1, 0), len(runes))
	start := end
	for start > 0 && (runes[start-1] == '_' || unicode.IsLetter(runes[start-1]) || unicode.IsDigit(runes[start-1])) {
		start--
	}
	return string(runes[start:end])
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

// explainKey explains `d[key]`; nearest is the key that the file uses elsewhere.
func explainKey(s *Sources, d *Diagnostic, msg string) {
	key, kind, ok := cutLast(strings.TrimPrefix(msg, "key "), " not in ")
	if !ok {
		return
	}
	d.Code, d.Message = "P4204", "key "+oneLine(key, 80)+" is not in the "+kind
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

func explainRange(d *Diagnostic, msg string) {
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

func explainUnpack(d *Diagnostic, msg string) {
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

func explainIterable(d *Diagnostic, msg string) {
	d.Code = "P4209"
	kind := strings.TrimSuffix(msg, " value is not iterable")
	if i := strings.LastIndex(kind, ": "); i >= 0 {
		kind = kind[i+2:]
	}
	if k, ok := strings.CutPrefix(kind, "got "); ok {
		kind, _, _ = strings.Cut(k, ",")
	}
	d.Message = "cannot loop over " + kind
	d.Hint = HintFor(kind, [][2]string{
		{"string", "write `s.elems()` for its characters, `s.split(\",\")` or `s.splitlines()` for its parts"},
		{"bytes", "write `b.elems()`"},
		{"int", "write `range(n)`"},
		{"NoneType", "it is None: a function without `return` gives None"},
		{"path", "write `p.lines()` for a file, `p.iterdir()` or `p.glob(\"*\")` for a folder"},
		{"struct", "write `[getattr(s, n) for n in dir(s)]`"},
	})
}

func explainCall(d *Diagnostic, msg string) {
	kind := strings.Trim(strings.TrimPrefix(msg, "invalid call of non-function "), "()")
	d.Code, d.Message = "P4210", kind+" cannot be called"
	d.Hint = HintFor(kind, [][2]string{
		{"string int bool path struct", "delete the parentheses: it is a value, not a function"},
		{"module", ModuleHint(nameBefore(d.Source, d.Column))},
		{"NoneType", "it is None: a function without `return` gives None"},
		{"list dict tuple", "write `x[i]` for an element"},
	})
}

func explainUnassigned(d *Diagnostic, msg string) {
	words := strings.Fields(msg) // local variable NAME referenced before assignment
	d.Code = "P4213"
	if len(words) < 3 {
		return
	}
	d.Message = "`" + words[2] + "` has no value yet"
	if words[0] == "local" {
		d.Hint = "it is assigned in this function, so it is the function's own from its first line on; give it a value before, or use another name"
	} else {
		d.Hint = "move its line above this one"
	}
}

func explainRecursion(d *Diagnostic, msg string) {
	words := strings.Fields(msg)
	d.Code, d.Message = "P4214", "`"+words[min(1, len(words)-1)]+"` calls itself"
	d.Hint = "there is no recursion: keep what is still to be done in a list, and loop over range(n) with `break`"
}

func explainUnhashable(d *Diagnostic, msg string) {
	words := strings.Fields(msg)
	kind := words[len(words)-1]
	d.Code, d.Message = "P4215", kind+" cannot be a key of a dict or an element of a set"
	d.Hint = "use a string, a number or a tuple"
	if kind == "list" {
		d.Hint = "write `tuple(xs)`"
	}
}

func explainItem(d *Diagnostic, msg string) {
	kind, _, _ := strings.Cut(msg, " ")
	d.Code, d.Message = "P4221", "an element of "+kind+" cannot be assigned"
	d.Hint = HintFor(kind, [][2]string{
		{"string", "a string is fixed: make a new one, `s.replace(a, b)`"},
		{"tuple", "a tuple is fixed: make a list, `list(t)`"},
		{"struct", "a struct is fixed: make a new one, or keep a dict"},
		{"path", "write `p.write_text(s)`"},
	})
}

func explainIndex(d *Diagnostic, msg string) {
	d.Code = "P4222"
	if kind, _, ok := strings.Cut(strings.TrimPrefix(msg, "unhandled index operation "), "["); ok {
		d.Message = kind + " has no elements"
		d.Hint = HintFor(kind, [][2]string{
			{"struct", "write `x.name`"},
			{"function builtin_function_or_method", "call it with parentheses"},
			{"NoneType", "it is None: a function without `return` gives None"},
			{"set", "a set has no order: `list(s)[0]`, or `x in s`"},
		})
		return
	}
	if kind, ok := strings.CutPrefix(msg, "invalid slice operand "); ok {
		d.Message = kind + " has no slices"
		return
	}
	if kind, rest, ok := strings.Cut(msg, " index: got "); ok {
		got, _, _ := strings.Cut(rest, ",")
		d.Message, d.Found, d.Wanted = "the index of a "+kind, got, "int"
	}
}

// explainBuiltin explains the arguments of a universal function or a method. It
// returns the one at fault.
func explainBuiltin(d *Diagnostic, builtin, rest string) (argument string) {
	d.Code, d.Message = "P4217", "`"+builtin+"`: "+rest
	if param, ok := strings.CutPrefix(rest, "for parameter "); ok {
		name, problem, _ := strings.Cut(param, ": ")
		argument = name
		if n, ok := number(name); ok && n > 0 {
			d.Message, argument = "`"+builtin+"`: argument "+name, strconv.Itoa(n-1)
		} else {
			d.Message = "`" + builtin + "`: argument `" + name + "`"
		}
		if got, want, ok := gotWant(problem); ok {
			d.Found, d.Wanted = got, want
		} else {
			d.Message += ": " + problem
		}
		return argument
	}
	switch {
	case strings.Contains(rest, "empty"), strings.Contains(rest, "not found"), strings.Contains(rest, "not in"), strings.Contains(rest, "missing key"):
		d.Code, d.Hint = "P4225", "test before that it is there"
	}
	return ""
}

// explainFixed explains a change of something that cannot change, or not now.
func explainFixed(d *Diagnostic, msg string) {
	kind := "value"
	for _, k := range [...]string{"list", "dict", "set", "hash table"} {
		if strings.Contains(msg, " "+k) {
			kind = k
		}
	}
	if kind == "hash table" {
		kind = "dict or set"
	}
	if strings.Contains(msg, " during iteration") {
		d.Code, d.Message = "P4208", "this "+kind+" cannot change while a loop goes over it"
		d.Hint = "collect the changes in a list and make them after the loop, or loop over `list(x)`"
		return
	}
	d.Code, d.Message = "P4207", "this "+kind+" cannot be changed"
	d.Hint = "what the top level made, what was loaded, and params are fixed: work on a copy, `list(x)` or `dict(x)`"
}

func explainZero(d *Diagnostic, msg string) {
	d.Code, d.Message, d.Hint = "P4212", "division by zero", "test the divisor before: `x / n if n else 0`"
	if strings.HasSuffix(msg, "modulo by zero") {
		d.Message, d.Hint = "modulo by zero", "test the divisor before: `x % n if n else 0`"
	}
}

// explainNumber explains int(text) and float(text).
func explainNumber(d *Diagnostic, msg string) {
	d.Code, d.Hint = "P4219", "the text must be a number and nothing else; `catch(float, text)` tells whether it is"
	what, text, _ := strings.Cut(strings.TrimPrefix(msg, "int: "), ": ")
	d.Message, d.Found, d.Wanted = "`float`: the text is no number", oneLine(text, 80), "a number, such as 1.5"
	if base, ok := strings.CutPrefix(what, "invalid literal with base "); ok {
		d.Message, d.Wanted = "`int`: the text is no whole number", "digits"
		d.Hint = "the text must be a whole number and nothing else; `catch(int, text)` tells whether it is"
		if base != "10" && base != "0" {
			d.Wanted = "digits of base " + base
		}
	}
}

func explainField(d *Diagnostic, msg string) {
	field, kind, _ := strings.Cut(strings.TrimPrefix(msg, "can't assign to ."), " field of ")
	d.Code, d.Message = "P4221", "`."+field+"` of "+kind+" cannot be assigned"
	d.Hint = HintFor(kind, [][2]string{
		{"struct", "a struct is fixed: make a new one, `struct(x = ...)`; a dict can be changed"},
		{"object", "params are fixed: use a variable of your own"},
		{"dict", "write `d[\"" + field + "\"] = ...`"},
	})
}

func explainJoin(d *Diagnostic, msg string) {
	d.Code, d.Message, d.Hint = "P4226", "`join`: an element of the list", "write `\", \".join([str(x) for x in xs])`"
	if _, got, ok := strings.Cut(msg, ", got "); ok {
		d.Found, d.Wanted = got, "string"
	}
}

// explainIn explains `x in y`.
func explainIn(d *Diagnostic, msg string) {
	d.Code, d.Hint = "P4201", "the left side of `in` must be of the kind that the right side holds"
	kind, rest, ok := strings.Cut(strings.TrimPrefix(msg, "'in "), "' requires ")
	want, got, found := strings.Cut(rest, " as left operand, not ")
	if ok && found {
		d.Message, d.Found, d.Wanted = "the left side of `in` on a "+strings.Trim(kind, "<>"), got, want
		d.Hint = ""
		if want == "string" {
			d.Hint = "write `str(x) in s`"
		}
	}
}

func explainLen(d *Diagnostic, msg string) {
	kind := strings.TrimSuffix(msg[strings.LastIndex(msg, "type ")+len("type "):], " has no len")
	d.Code, d.Message = "P4217", "`len`: "+kind+" has no length"
}
