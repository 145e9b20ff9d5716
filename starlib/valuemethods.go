package starlib

import (
	"slices"
	"strings"
	"sync"
	"unicode"
	"unicode/utf8"

	"go.starlark.net/starlark"

	"perago/starlib/diag"
)

// The methods of strings, lists, dicts and sets that Python has and the interpreter
// does not have, or has with other results. The bounds look them up: `xs.sort` is
// compiled as `((bounds) & xs).sort` (bounds.go).

func valueMethods() []Builtin {
	width := Param{Name: "width", Type: "int", Doc: "characters"}
	fill := Param{Name: "fillchar", Type: "string", Default: `" "`, Doc: "one character"}
	padded := []Param{width, fill}
	rows := []Builtin{
		{Name: "string.center", Params: padded, Returns: "string", call: stringPadded, Doc: "The string with fill on both sides of it, up to a width.",
			Example: `"ab".center(6, "*") == "**ab**"`},
		{Name: "string.expandtabs", Params: []Param{{Name: "tabsize", Type: "int", Default: "8"}}, Returns: "string", call: stringExpandTabs,
			Doc: "The string with each tab made spaces, up to the next column that `tabsize` divides.", Example: `"a\tb".expandtabs(4) == "a   b"`},
		{Name: "string.ljust", Params: padded, Returns: "string", call: stringPadded, Doc: "The string with fill behind it, up to a width.",
			Example: `"ab".ljust(4) + "|" == "ab  |"`},
		{Name: "string.rjust", Params: padded, Returns: "string", call: stringPadded, Doc: "The string with fill before it, up to a width.",
			Example: `"7".rjust(3, "0") == "007"`},
		{Name: "string.splitlines", Params: []Param{{Name: "keepends", Type: "bool", Default: "False", Doc: "whether the lines keep their ends"}},
			Returns: "list of string", call: stringSplitLines,
			Doc: "The lines of a text. A line ends with `\\n`, `\\r`, `\\r\\n`, `\\v`, `\\f`, `\\x1c` to `\\x1e`, U+0085, U+2028 or U+2029, as in Python; " +
				"`path.lines()` knows `\\n` and `\\r\\n` only.", Example: `"a\nb\r\nc".splitlines() == ["a", "b", "c"]`},
		{Name: "string.swapcase", Returns: "string", call: stringSwapCase, Doc: "The string with lower case made upper case, and the other way round."},
		{Name: "string.zfill", Params: []Param{width}, Returns: "string", call: stringPadded,
			Doc: "The string with zeros before it, behind its sign, up to a width.", Example: `"-7".zfill(4) == "-007"`},
		{Name: "list.copy", Returns: "list", call: listCopy, Doc: "A new list of the same items."},
		{Name: "list.count", Params: []Param{{Name: "x", Type: "any", Kind: Positional}}, Returns: "int", call: listCount,
			Doc: "How many items equal x.", Example: `[1, 2, 1].count(1) == 2`},
		{Name: "list.reverse", Returns: "None", call: listReverse, Doc: "Turns the list round, in place. `reversed(xs)` makes a new one."},
		{Name: "list.sort", Params: []Param{
			{Name: "key", Type: "function", Default: "None", Kind: KeywordOnly, Doc: "called with each item; what it returns is compared"},
			{Name: "reverse", Type: "bool", Default: "False", Kind: KeywordOnly, Doc: "the largest first; equals keep their order"}},
			Returns: "None", call: listSort,
			Doc: "Sorts the list in place. Equals keep their order. `sorted(xs)` makes a new one. The key cannot change the list, and where it fails the list stays as it was."},
		{Name: "dict.copy", Returns: "dict", call: dictCopy, Doc: "A new dict of the same entries."},
		{Name: "set.copy", Returns: "set", call: setCopy, Doc: "A new set of the same elements."},
		{Name: "set.isdisjoint", Params: []Param{{Name: "x", Type: "iterable", Kind: Positional}}, Returns: "bool", call: setIsDisjoint,
			Doc: "Whether no element is in x too.", Example: `set([1, 2]).isdisjoint([3])`},
	}
	for i := range rows {
		rows[i].Phase, rows[i].Method = Pure, true
	}
	return rows
}

// ownMethods are the rows of valueMethods by type and name.
var ownMethods = sync.OnceValue(func() map[string]members {
	byType := map[string][]Builtin{}
	for _, row := range valueMethods() {
		kind, _, _ := strings.Cut(row.Name, ".")
		byType[kind] = append(byType[kind], row)
	}
	own := map[string]members{}
	for kind, rows := range byType {
		own[kind] = membersOf(rows)
	}
	return own
})

// isOwnMethod says whether values of some type have such a method.
func isOwnMethod(name string) bool {
	for _, m := range ownMethods() {
		if m.rows[name] != nil {
			return true
		}
	}
	return false
}

// withMethods is v with the methods of this file, where it has some.
func withMethods(v starlark.Value, b *Bounds) starlark.Value {
	switch v := v.(type) {
	case starlark.String, *starlark.List, *starlark.Dict, *starlark.Set:
		return &boundValue{HasAttrs: v.(starlark.HasAttrs), bounds: b}
	}
	return v
}

// methodNames are the names of the methods of a value of the language itself.
func methodNames(v starlark.HasAttrs) []string {
	names := slices.Concat(v.AttrNames(), ownMethods()[v.Type()].names)
	slices.Sort(names)
	return slices.Compact(names)
}

// recvText is the string that the method is of.
func (c *call) recvText() string { return string(c.recv.(starlark.String)) }

// stringPadded is center, ljust, rjust and zfill.
func stringPadded(c *call) (starlark.Value, error) {
	s := c.recvText()
	width, err := c.integer("width", 0)
	if err != nil {
		return nil, err
	}
	zeros := c.builtin.Name == "string.zfill"
	fill := "0"
	if !zeros {
		if fill, err = c.text("fillchar", " "); err != nil {
			return nil, err
		}
		if utf8.RuneCountInString(fill) != 1 {
			return nil, c.refuse("fillchar", diag.Shorten(starlark.String(fill).String()), "one character")
		}
	}
	missing := width - utf8.RuneCountInString(s)
	if width <= 0 || missing <= 0 {
		return starlark.String(s), nil
	}
	if err := c.allow(len(s) + min(missing, 1<<40)*len(fill)); err != nil {
		return nil, err
	}
	before := missing
	sign := ""
	switch c.builtin.Name {
	case "string.center":
		before = missing/2 + missing&width&1
	case "string.ljust":
		before = 0
	case "string.zfill":
		if s != "" && (s[0] == '-' || s[0] == '+') {
			sign, s = s[:1], s[1:]
		}
	}
	return starlark.String(sign + strings.Repeat(fill, before) + s + strings.Repeat(fill, missing-before)), nil
}

func stringExpandTabs(c *call) (starlark.Value, error) {
	s := c.recvText()
	tab, err := c.integer("tabsize", 8)
	if err != nil {
		return nil, err
	}
	var out strings.Builder
	column, made := 0, len(s)
	m := itemCounter{call: c}
	for i, size := 0, 0; i < len(s); i += size {
		if err := m.tick(); err != nil {
			return nil, err
		}
		_, size = utf8.DecodeRuneInString(s[i:])
		switch s[i] {
		case '\t':
			if tab <= 0 {
				continue
			}
			spaces := tab - column%tab
			column += spaces
			if made += min(spaces, 1<<40); made < 0 {
				made = 1 << 62
			}
			if err := c.allow(made); err != nil {
				return nil, err
			}
			out.WriteString(strings.Repeat(" ", spaces))
			continue
		case '\n', '\r':
			column = -1
		}
		column++
		out.WriteString(s[i : i+size])
	}
	return starlark.String(out.String()), nil
}

// lineEnd is where the first line of s ends, without and with its end.
func lineEnd(s string) (end, next int) {
	for i, r := range s {
		switch r {
		case '\r':
			if strings.HasPrefix(s[i+1:], "\n") {
				return i, i + 2
			}
			return i, i + 1
		case '\n', '\v', '\f', 0x1c, 0x1d, 0x1e, 0x85, 0x2028, 0x2029:
			return i, i + utf8.RuneLen(r)
		}
	}
	return len(s), len(s)
}

func stringSplitLines(c *call) (starlark.Value, error) {
	s := c.recvText()
	keep, err := c.boolean("keepends", false)
	if err != nil {
		return nil, err
	}
	var lines []starlark.Value
	m := itemCounter{call: c}
	for s != "" {
		if err := m.tick(); err != nil {
			return nil, err
		}
		end, next := lineEnd(s)
		if keep {
			end = next
		}
		lines = append(lines, starlark.String(s[:end]))
		s = s[next:]
		const each = 32 // two words of the string, two in the list
		if err := c.allow(each * len(lines)); err != nil {
			return nil, err
		}
	}
	return starlark.NewList(lines), nil
}

func stringSwapCase(c *call) (starlark.Value, error) {
	s := c.recvText()
	if err := c.allow(len(s)); err != nil {
		return nil, err
	}
	return starlark.String(strings.Map(func(r rune) rune {
		switch {
		case unicode.IsUpper(r):
			return unicode.ToLower(r)
		case unicode.IsLower(r):
			return unicode.ToUpper(r)
		}
		return r
	}, s)), nil
}

func listCopy(c *call) (starlark.Value, error) {
	items, err := c.collect(c.recv.(*starlark.List))
	if err != nil {
		return nil, err
	}
	return starlark.NewList(items), nil
}

func listCount(c *call) (starlark.Value, error) {
	wanted, found := c.arg("x"), 0
	err := c.each(c.recv.(*starlark.List), func(x starlark.Value) error {
		equal, err := starlark.Equal(x, wanted)
		if equal {
			found++
		}
		return err
	})
	return starlark.MakeInt(found), err
}

// changeable says whether a list may be changed: it is not frozen, and no loop is
// iterating over it.
func changeable(l *starlark.List) error {
	if l.Len() == 0 {
		return l.Clear()
	}
	return l.SetIndex(0, l.Index(0))
}

// setItems puts items in the place of those of a list, which are as many.
func setItems(l *starlark.List, items []starlark.Value) (starlark.Value, error) {
	for i, x := range items {
		if err := l.SetIndex(i, x); err != nil {
			return nil, err
		}
	}
	return starlark.None, nil
}

func listReverse(c *call) (starlark.Value, error) {
	l := c.recv.(*starlark.List)
	if err := changeable(l); err != nil {
		return nil, err
	}
	items, err := c.collect(l)
	if err != nil {
		return nil, err
	}
	slices.Reverse(items)
	return setItems(l, items)
}

func listSort(c *call) (starlark.Value, error) {
	l := c.recv.(*starlark.List)
	if err := changeable(l); err != nil {
		return nil, err
	}
	items, err := c.collect(l)
	if err != nil {
		return nil, err
	}
	held := l.Iterate() // the key cannot change the list meanwhile
	err = c.sortItems(items)
	held.Done()
	if err != nil {
		return nil, err
	}
	return setItems(l, items)
}

func dictCopy(c *call) (starlark.Value, error) {
	d := c.recv.(*starlark.Dict)
	made := new(starlark.Dict)
	err := c.each(d, func(k starlark.Value) error {
		v, _, err := d.Get(k)
		if err != nil {
			return err
		}
		return made.SetKey(k, v)
	})
	return made, err
}

func setCopy(c *call) (starlark.Value, error) {
	made := new(starlark.Set)
	return made, c.each(c.recv.(*starlark.Set), made.Insert)
}

func setIsDisjoint(c *call) (starlark.Value, error) {
	it, err := c.iterable("x")
	if err != nil {
		return nil, err
	}
	set, apart := c.recv.(*starlark.Set), true
	err = c.iterate(it, func(x starlark.Value) error {
		found, err := set.Has(x)
		if err == nil && found {
			apart, err = false, errFound
		}
		return err
	})
	if err == errFound {
		err = nil
	}
	return starlark.Bool(apart), err
}
