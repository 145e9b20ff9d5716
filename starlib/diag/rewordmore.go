package diag

import (
	"strconv"
	"strings"
)

// rewordmore.go goes on with reword.go: calls, variables, formats, conversions
// and what cannot be changed.

func sayCall(_ *Sources, d *Diagnostic, msg string) {
	kind := strings.Trim(strings.TrimPrefix(msg, "invalid call of non-function "), "()")
	d.Code, d.Message = "P4210", kind+" cannot be called"
	switch kind {
	case "string", "int", "bool", "path", "struct":
		d.Hint = "delete the parentheses: it is a value, not a function"
	case "module":
		d.Hint = ModuleHint(nameBefore(d.Source, d.Column))
	case "NoneType":
		d.Hint = "it is None: a function without `return` gives None"
	case "list", "dict", "tuple":
		d.Hint = "write `x[i]` for an element"
	}
}

func sayUnassigned(_ *Sources, d *Diagnostic, msg string) {
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

func sayRecursion(_ *Sources, d *Diagnostic, msg string) {
	words := strings.Fields(msg)
	d.Code, d.Message = "P4214", "`"+words[min(1, len(words)-1)]+"` calls itself"
	d.Hint = "there is no recursion: keep what is still to be done in a list, and loop over range(n) with `break`"
}

func sayUnhashable(_ *Sources, d *Diagnostic, msg string) {
	words := strings.Fields(msg)
	kind := words[len(words)-1]
	d.Code, d.Message = "P4215", kind+" cannot be a key of a dict or an element of a set"
	d.Hint = "use a string, a number or a tuple"
	if kind == "list" {
		d.Hint = "write `tuple(xs)`"
	}
}

func sayItem(_ *Sources, d *Diagnostic, msg string) {
	kind, _, _ := strings.Cut(msg, " ")
	d.Code, d.Message = "P4221", "an element of "+kind+" cannot be assigned"
	switch kind {
	case "string":
		d.Hint = "a string is fixed: make a new one, `s.replace(a, b)`"
	case "tuple":
		d.Hint = "a tuple is fixed: make a list, `list(t)`"
	case "struct":
		d.Hint = "a struct is fixed: make a new one, or keep a dict"
	case "path":
		d.Hint = "write `p.write_text(s)`"
	}
}

func sayIndex(_ *Sources, d *Diagnostic, msg string) {
	d.Code = "P4222"
	if kind, _, ok := strings.Cut(strings.TrimPrefix(msg, "unhandled index operation "), "["); ok {
		d.Message = kind + " has no elements"
		switch kind {
		case "struct":
			d.Hint = "write `x.name`"
		case "function", "builtin_function_or_method":
			d.Hint = "call it with parentheses"
		case "NoneType":
			d.Hint = "it is None: a function without `return` gives None"
		case "set":
			d.Hint = "a set has no order: `list(s)[0]`, or `x in s`"
		}
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

// sayBuiltin explains the arguments of a universal function or a method. It
// returns the one at fault.
func sayBuiltin(d *Diagnostic, builtin, rest string) (argument string) {
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

// sayFixed explains a change of something that cannot change, or not now.
func sayFixed(_ *Sources, d *Diagnostic, msg string) {
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

func sayZero(_ *Sources, d *Diagnostic, msg string) {
	d.Code, d.Message, d.Hint = "P4212", "division by zero", "test the divisor before: `x / n if n else 0`"
	if strings.HasSuffix(msg, "modulo by zero") {
		d.Message, d.Hint = "modulo by zero", "test the divisor before: `x % n if n else 0`"
	}
}

// sayNumber explains int(text) and float(text).
func sayNumber(_ *Sources, d *Diagnostic, msg string) {
	d.Code, d.Hint = "P4219", "the text must be a number and nothing else; `catch(float, text)` tells whether it is"
	what, text, _ := strings.Cut(strings.TrimPrefix(msg, "int: "), ": ")
	d.Message, d.Found, d.Wanted = "`float`: the text is no number", shorten(text, 80), "a number, such as 1.5"
	if base, ok := strings.CutPrefix(what, "invalid literal with base "); ok {
		d.Message, d.Wanted = "`int`: the text is no whole number", "digits"
		d.Hint = "the text must be a whole number and nothing else; `catch(int, text)` tells whether it is"
		if base != "10" && base != "0" {
			d.Wanted = "digits of base " + base
		}
	}
}

func sayField(_ *Sources, d *Diagnostic, msg string) {
	field, kind, _ := strings.Cut(strings.TrimPrefix(msg, "can't assign to ."), " field of ")
	d.Code, d.Message = "P4221", "`."+field+"` of "+kind+" cannot be assigned"
	switch kind {
	case "struct":
		d.Hint = "a struct is fixed: make a new one, `struct(x = ...)`; a dict can be changed"
	case "object":
		d.Hint = "params are fixed: use a variable of your own"
	case "dict":
		d.Hint = "write `d[\"" + field + "\"] = ...`"
	}
}

func sayJoin(_ *Sources, d *Diagnostic, msg string) {
	d.Code, d.Message, d.Hint = "P4226", "`join`: an element of the list", "write `\", \".join([str(x) for x in xs])`"
	if _, got, ok := strings.Cut(msg, ", got "); ok {
		d.Found, d.Wanted = got, "string"
	}
}

// sayIn explains `x in y`.
func sayIn(_ *Sources, d *Diagnostic, msg string) {
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

func sayLen(_ *Sources, d *Diagnostic, msg string) {
	kind := strings.TrimSuffix(msg[strings.LastIndex(msg, "type ")+len("type "):], " has no len")
	d.Code, d.Message = "P4217", "`len`: "+kind+" has no length"
}
