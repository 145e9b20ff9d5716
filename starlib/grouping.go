package starlib

import (
	"go.starlark.net/starlark"
	"go.starlark.net/syntax"
)

// Grouping and counting of items, which Python has in collections and itertools.

func groupingBuiltins() []Builtin {
	key := Param{Name: "key", Type: "function", Doc: "called with each item"}
	optional := key
	optional.Default, optional.Doc = "None", "called with each item; what it returns is counted. Left out: the items are"
	items := Param{Name: "x", Type: "iterable", Kind: Positional}
	rows := []Builtin{
		{Name: "group_by", Params: []Param{items, key}, Returns: "dict", call: groupBy,
			Doc:     "A dict of what key returns to the list of the items for which it does. Groups and items keep the order in which they come.",
			Example: `group_by([1, 2, 3], key = lambda n: n % 2) == {1: [1, 3], 0: [2]}`},
		{Name: "counter", Params: []Param{items, optional}, Returns: "dict", call: counterOf,
			Doc:     "A dict of each item to how often it is there, the most frequent first, and of equals the one that came first.",
			Example: `counter(["a", "b", "b"]) == {"b": 2, "a": 1}`},
	}
	rows = append(rows, Builtin{Name: "map_values", Params: []Param{{Name: "d", Type: "dict", Kind: Positional},
		{Name: "f", Type: "function", Kind: Positional, Doc: "called with each value"}}, Returns: "dict", call: mapValues,
		Doc:     "A new dict of the same keys, with what f makes of their values.",
		Example: `map_values(group_by([1, 2, 3], key = lambda n: n % 2), len) == {1: 2, 0: 1}`})
	for i := range rows {
		rows[i].Phase = Pure
	}
	return rows
}

// eachKeyed calls f for every item with what the argument key makes of it.
func (c *call) eachKeyed(f func(key, item starlark.Value) error) error {
	keyOf, err := c.function("key")
	if err != nil {
		return err
	}
	it, err := c.iterable("x")
	if err != nil {
		return err
	}
	return c.each(it, func(item starlark.Value) error {
		key := item
		if keyOf != nil {
			if key, err = starlark.Call(c.thread, keyOf, starlark.Tuple{item}, nil); err != nil {
				return err
			}
		}
		return f(key, item)
	})
}

// unhashable says in words that a value cannot be a key.
func (c *call) unhashable(v starlark.Value) error {
	p := c.problem(codeType, "a %s cannot be a key of a dict", v.Type())
	p.Hint = "a tuple of strings and numbers can: key = lambda row: (row[\"a\"], row[\"b\"])"
	return p
}

func groupBy(c *call) (starlark.Value, error) {
	groups := new(starlark.Dict)
	err := c.eachKeyed(func(key, item starlark.Value) error {
		group, found, err := groups.Get(key)
		if err != nil {
			return c.unhashable(key)
		}
		if found {
			return group.(*starlark.List).Append(item)
		}
		return groups.SetKey(key, starlark.NewList([]starlark.Value{item}))
	})
	if err != nil {
		return nil, err
	}
	return groups, nil
}

// countOne counts one more of v.
func (c *call) countOne(counts *starlark.Dict, v starlark.Value) error {
	n, found, err := counts.Get(v)
	if err != nil {
		return c.unhashable(v)
	}
	if !found {
		n = starlark.MakeInt(0)
	}
	more, err := starlark.Binary(syntax.PLUS, n, starlark.MakeInt(1))
	if err != nil {
		return err
	}
	return counts.SetKey(v, more)
}

func counterOf(c *call) (starlark.Value, error) {
	counts := new(starlark.Dict)
	if err := c.eachKeyed(func(key, _ starlark.Value) error { return c.countOne(counts, key) }); err != nil {
		return nil, err
	}
	rows := make([]keyed, 0, counts.Len())
	for v, n := range counts.Entries() {
		rows = append(rows, keyed{key: n, item: v})
	}
	if err := c.sort(rows, true); err != nil {
		return nil, err
	}
	ordered := starlark.NewDict(len(rows))
	for _, row := range rows {
		if err := ordered.SetKey(row.item, row.key); err != nil {
			return nil, err
		}
	}
	return ordered, nil
}

func mapValues(c *call) (starlark.Value, error) {
	d, ok := c.arg("d").(*starlark.Dict)
	if !ok {
		return nil, c.wrongType("d", c.arg("d"))
	}
	f, err := c.function("f")
	if err != nil {
		return nil, err
	}
	made := starlark.NewDict(d.Len())
	err = c.each(d, func(k starlark.Value) error {
		v, _, err := d.Get(k)
		if err != nil {
			return err
		}
		if v, err = starlark.Call(c.thread, f, starlark.Tuple{v}, nil); err != nil {
			return err
		}
		return made.SetKey(k, v)
	})
	return made, err
}
