package starlib

import (
	"slices"

	"go.starlark.net/starlark"
)

// This file has the functions of the language itself. Those that walk over
// their argument are written anew, since the interpreter's own do not look at a
// cancel before they are done: max(range(1 << 62)) would never end. The others
// are rows of the reference only.

func universeBuiltins() []Builtin {
	rows := []Builtin{
		{Name: "None", Property: true, Returns: "None", Doc: "No value."},
		{Name: "True", Property: true, Returns: "bool", Doc: "True."},
		{Name: "False", Property: true, Returns: "bool", Doc: "False."},
	}
	rows = append(rows, plainBuiltins()...)
	rows = append(rows, walkingBuiltins()...)
	for i := range rows {
		rows[i].Phase = Pure
	}
	return rows
}

// plainBuiltins are the interpreter's own, as they are, but for those that look
// at the members of a value: dir, getattr and hasattr.
func plainBuiltins() []Builtin {
	x := func(typ, doc string) []Param { return []Param{{Name: "x", Type: typ, Kind: Positional, Doc: doc}} }
	member := []Param{{Name: "x", Type: "any", Kind: Positional}, {Name: "name", Type: "string", Kind: Positional}}
	return []Builtin{
		{Name: "abs", Params: x("int or float", ""), Returns: "int or float", Doc: "The value without its sign."},
		{Name: "bool", Params: []Param{{Name: "x", Type: "any", Default: "False", Kind: Positional}}, Returns: "bool",
			Doc: "Whether the value is true: not None, False, zero or empty. Also the type of a field, `field(bool)`."},
		{Name: "bytes", Params: x("string, or list of int from 0 to 255", ""), Returns: "bytes", Doc: "The bytes of a string (UTF-8), or of their numbers."},
		{Name: "chr", Params: x("int", "a Unicode code point"), Returns: "string", Doc: "The character of a code point. `ord` is its inverse."},
		{Name: "dir", Params: x("any", ""), Returns: "list of string", call: universeDir, Doc: "The names of the members of a value, sorted."},
		{Name: "float", Params: []Param{{Name: "x", Type: "string, int, float or bool", Default: "0", Kind: Positional}}, Returns: "float",
			Doc: "A float: of a string such as \"1.5e3\", \"inf\" or \"nan\", or of a number. An int too large for a float is an error. " +
				"Also the type of a field, `field(float)`."},
		{Name: "getattr", Params: append(slices.Clone(member), Param{Name: "default", Type: "any", Default: "...", Kind: Positional}),
			Returns: "any", call: universeGetattr, Doc: "The member of that name; without a default, a missing one is an error."},
		{Name: "hasattr", Params: member, Returns: "bool", call: universeHasattr, Doc: "Whether a value has a member of that name."},
		{Name: "int", Params: []Param{{Name: "x", Type: "string, int, float or bool", Default: "0", Kind: Positional},
			{Name: "base", Type: "int", Default: "10", Doc: "of a string: 2 to 36, or 0 to go by its prefix"}}, Returns: "int",
			Doc:     "An int of any size: of a string, or of a float cut towards zero. Also the type of a field, `field(int)`.",
			Example: `int("ff", 16) == 255`},
		{Name: "len", Params: x("string, bytes, list, tuple, dict, set or range", ""), Returns: "int",
			Doc: "How many items there are; of a string, how many bytes: `len(\"é\")` is 2."},
		{Name: "ord", Params: x("string", "one character"), Returns: "int", Doc: "The Unicode code point of a character."},
		{Name: "type", Params: x("any", ""), Returns: "string", Doc: "The name of the type of a value: \"string\", \"int\", \"path\"."},
	}
}

// walkingBuiltins walk over their arguments.
func walkingBuiltins() []Builtin {
	over := func(doc string) []Param {
		return []Param{{Name: "x", Type: "iterable", Kind: Positional, Doc: doc}}
	}
	maybe := func(empty string) []Param {
		return []Param{{Name: "x", Type: "iterable", Default: empty, Kind: Positional, Doc: "left out: an empty one is made"}}
	}
	key := Param{Name: "key", Type: "function", Default: "None", Doc: "called with each item; what it returns is compared"}
	extreme := []Param{{Name: "values", Type: "iterable, or the values themselves", Kind: Rest},
		{Name: "key", Type: key.Type, Default: key.Default, Doc: key.Doc, Kind: KeywordOnly},
		{Name: "default", Type: "any", Default: "...", Doc: "what it is of no items, which are an error otherwise", Kind: KeywordOnly}}
	one := []Param{{Name: "x", Type: "any", Kind: Positional}}
	return []Builtin{
		{Name: "all", Params: over(""), Returns: "bool", call: universeAll, Doc: "Whether every item is true; True for none."},
		{Name: "any", Params: over(""), Returns: "bool", call: universeAny, Doc: "Whether some item is true; False for none."},
		{Name: "dict", Params: []Param{{Name: "x", Type: "dict, or list of pairs", Default: "{}", Kind: Positional},
			{Name: "entries", Type: "any", Kind: KeywordRest}}, Returns: "dict", call: universeDict,
			Doc: "A new dict, of another one or of pairs, and of keywords. Also the type of a field, `field(dict)`."},
		{Name: "enumerate", Params: []Param{{Name: "x", Type: "iterable", Kind: Positional}, {Name: "start", Type: "int", Default: "0"}},
			Returns: "list of (int, any)", call: universeEnumerate, Doc: "The items with their numbers. Of a stream (lines, rows of a CSV, JSON lines) it is no list but a stream too, in constant memory."},
		{Name: "list", Params: maybe("[]"), Returns: "list", call: universeList,
			Doc: "A new list of the items. Also the type of a field, `field(list)`."},
		{Name: "max", Params: extreme, Returns: "any", call: universeMax, Doc: "The largest item, the first of equals. None at all is an error unless there is a default.",
			Example: `max(3, 7) == max([3, 7])`},
		{Name: "min", Params: extreme, Returns: "any", call: universeMin, Doc: "The smallest item, the first of equals. None at all is an error unless there is a default."},
		{Name: "range", Params: []Param{{Name: "start", Type: "int", Kind: Positional}, {Name: "stop", Type: "int", Default: "None", Kind: Positional},
			{Name: "step", Type: "int", Default: "1", Kind: Positional}}, Returns: "range", call: universeRange,
			Doc:     "The ints from start up to, and without, stop; `range(n)` is those from 0 up to, and without, n. Nothing is kept in memory.",
			Example: `list(range(5, 0, -2)) == [5, 3, 1]`},
		{Name: "repr", Params: one, Returns: "string", call: universeRepr, Doc: "A value as it would be written in a task file: strings are quoted."},
		{Name: "reversed", Params: over(""), Returns: "list", call: universeReversed, Doc: "A new list of the items, the last one first."},
		{Name: "set", Params: maybe("[]"), Returns: "set", call: universeSet,
			Doc: "A new set of the items, in the order in which they first come. There is no literal: `{1, 2}` is not a set."},
		{Name: "sorted", Params: []Param{{Name: "x", Type: "iterable", Kind: Positional}, key,
			{Name: "reverse", Type: "bool", Default: "False", Doc: "the largest first; equals keep their order"}},
			Returns: "list", call: universeSorted, Doc: "A new list of the items in order. Equals keep their order. Strings and paths go by their bytes.",
			Example: `sorted(rows, key = lambda row: row["id"])`},
		{Name: "str", Params: one, Returns: "string", call: universeStr,
			Doc: "A value as text. Bytes are taken as UTF-8. Also the type of a field, `field(str)`."},
		{Name: "tuple", Params: maybe("()"), Returns: "tuple", call: universeTuple, Doc: "A tuple of the items."},
		{Name: "zip", Params: []Param{{Name: "iterables", Type: "iterable", Kind: Rest},
			{Name: "strict", Type: "bool", Default: "False", Kind: KeywordOnly, Doc: "whether it is an error when one ends before another"}},
			Returns: "list of tuple", call: universeZip,
			Doc: "The first items of all, then the second ones, up to the end of the shortest. When one of them is a stream, it is no list but a stream too, in constant memory."},
	}
}

// asMembers calls the interpreter's function of the row's name, which asks x for
// its members, with ours among them.
func (c *call) asMembers(args ...starlark.Value) (starlark.Value, error) {
	bounds := new(Bounds)
	if c.run != nil && c.run.Bounds != nil {
		bounds = c.run.Bounds
	}
	args[0] = withMethods(args[0], bounds)
	return starlark.Universe[c.builtin.Name].(*starlark.Builtin).CallInternal(c.thread, args, nil)
}

func universeDir(c *call) (starlark.Value, error)     { return c.asMembers(c.arg("x")) }
func universeHasattr(c *call) (starlark.Value, error) { return c.asMembers(c.arg("x"), c.arg("name")) }

func universeGetattr(c *call) (starlark.Value, error) {
	args := []starlark.Value{c.arg("x"), c.arg("name")}
	if d := c.arg("default"); d != nil {
		args = append(args, d)
	}
	return c.asMembers(args...)
}
