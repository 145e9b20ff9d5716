package starlib

import (
	"errors"
	"fmt"
	"slices"
	"unicode/utf8"

	"go.starlark.net/starlark"
	"go.starlark.net/syntax"
)

// This file has what walkingBuiltins describes.

// items are the items of the argument x, none when it was left out.
func (c *call) items() ([]starlark.Value, error) {
	if c.arg("x") == nil {
		return nil, nil
	}
	it, err := c.iterable("x")
	if err != nil {
		return nil, err
	}
	return c.collect(it)
}

func (c *call) collect(it starlark.Iterable) ([]starlark.Value, error) {
	var items []starlark.Value
	if n := starlark.Len(it); 0 < n && n <= checkEvery {
		items = make([]starlark.Value, 0, n)
	}
	err := c.each(it, func(x starlark.Value) error {
		items = append(items, x)
		return nil
	})
	return items, err
}

func universeList(c *call) (starlark.Value, error) {
	items, err := c.items()
	if err != nil {
		return nil, err
	}
	return starlark.NewList(items), nil
}

func universeTuple(c *call) (starlark.Value, error) {
	items, err := c.items()
	if err != nil {
		return nil, err
	}
	return starlark.Tuple(items), nil
}

func universeReversed(c *call) (starlark.Value, error) {
	items, err := c.items()
	if err != nil {
		return nil, err
	}
	slices.Reverse(items)
	return starlark.NewList(items), nil
}

func universeSet(c *call) (starlark.Value, error) {
	set := new(starlark.Set)
	if c.arg("x") == nil {
		return set, nil
	}
	it, err := c.iterable("x")
	if err != nil {
		return nil, err
	}
	if err := c.each(it, set.Insert); err != nil {
		return nil, err
	}
	return set, nil
}

func universeDict(c *call) (starlark.Value, error) {
	dict := new(starlark.Dict)
	var err error
	switch x := c.arg("x").(type) {
	case nil:
	case starlark.IterableMapping:
		err = c.each(x, func(k starlark.Value) error {
			v, _, err := x.Get(k)
			if err != nil {
				return err
			}
			return dict.SetKey(k, v)
		})
	case starlark.Iterable:
		i := -1
		err = c.each(x, func(pair starlark.Value) error {
			i++
			k, v, err := c.pair(pair, i)
			if err != nil {
				return err
			}
			return dict.SetKey(k, v)
		})
	default:
		err = c.wrongType("x", x)
	}
	if err != nil {
		return nil, err
	}
	for _, kw := range c.kwrest {
		if err := dict.SetKey(kw[0], kw[1]); err != nil {
			return nil, err
		}
	}
	return dict, nil
}

// pair is item i of what dict was called with.
func (c *call) pair(item starlark.Value, i int) (k, v starlark.Value, err error) {
	it, ok := item.(starlark.Iterable)
	if !ok {
		p := c.problem(codeType, "item %d", i)
		p.Found, p.Wanted = typeName(item), "a pair of key and value"
		return nil, nil, p
	}
	iter := it.Iterate()
	defer iter.Done()
	var more starlark.Value
	if !iter.Next(&k) || !iter.Next(&v) || iter.Next(&more) {
		p := c.problem(codeValue, "item %d is no pair of key and value", i)
		return nil, nil, p
	}
	return k, v, nil
}

func universeEnumerate(c *call) (starlark.Value, error) {
	start, err := c.integer("start", 0)
	if err != nil {
		return nil, err
	}
	if x := c.arg("x"); streams(x) {
		return &passing{"enumerate", func() starlark.Iterator {
			return &numbered{x.(starlark.Iterable).Iterate(), start}
		}}, nil
	}
	items, err := c.items()
	if err != nil {
		return nil, err
	}
	for i, x := range items {
		items[i] = starlark.Tuple{starlark.MakeInt(start + i), x}
	}
	return starlark.NewList(items), nil
}

func universeZip(c *call) (starlark.Value, error) {
	lazy := false
	for i, x := range c.rest {
		if _, ok := x.(starlark.Iterable); !ok {
			p := c.problem(codeType, "argument %d", i+1)
			p.Found, p.Wanted = typeName(x), "iterable"
			return nil, p
		}
		lazy = lazy || streams(x)
	}
	strict, err := c.boolean("strict", false)
	if err != nil {
		return nil, err
	}
	iterate := func() *zipped {
		z := &zipped{call: c, strict: strict}
		for _, x := range c.rest {
			z.iters = append(z.iters, x.(starlark.Iterable).Iterate())
		}
		return z
	}
	if lazy {
		return &passing{"zip", func() starlark.Iterator { return iterate() }}, nil
	}
	z := iterate()
	defer z.Done()
	var rows []starlark.Value
	m := meter{call: c}
	for {
		row, err := z.row()
		if err != nil {
			return nil, err
		}
		if row == nil {
			return starlark.NewList(rows), nil
		}
		rows = append(rows, row)
		for range row {
			if err := m.tick(); err != nil {
				return nil, err
			}
		}
	}
}

// allEnded says, after iterator `first` of zip has ended with that many rows
// made, whether the others ended there too.
func (c *call) allEnded(iters []starlark.Iterator, first, rows int) error {
	var more starlark.Value
	for i, iter := range iters {
		if i < first || i > first && iter.Next(&more) {
			p := c.problem(codeValue, "the arguments differ in length")
			p.Found = fmt.Sprintf("argument %d ends after %d items, argument %d goes on", first+1, rows, i+1)
			return p
		}
	}
	return c.stopped()
}

func universeAll(c *call) (starlark.Value, error) {
	found, err := c.search(false)
	return !found, err
}

func universeAny(c *call) (starlark.Value, error) { return c.search(true) }

// errFound ends a search early.
var errFound = errors.New("found")

// search says whether some item's truth is wanted.
func (c *call) search(wanted starlark.Bool) (starlark.Bool, error) {
	it, err := c.iterable("x")
	if err != nil {
		return false, err
	}
	found := starlark.Bool(false)
	err = c.until(it, func(x starlark.Value) error {
		if x.Truth() == wanted {
			found = true
			return errFound
		}
		return nil
	})
	if err == errFound {
		err = nil
	}
	return found, err
}

func universeMax(c *call) (starlark.Value, error) { return c.extreme(syntax.GT) }
func universeMin(c *call) (starlark.Value, error) { return c.extreme(syntax.LT) }

// extreme is the first item that beats all others.
func (c *call) extreme(beats syntax.Token) (starlark.Value, error) {
	key, err := c.function("key")
	if err != nil {
		return nil, err
	}
	var it starlark.Iterable = c.rest
	if len(c.rest) == 1 {
		only, ok := c.rest[0].(starlark.Iterable)
		if !ok {
			p := c.problem(codeType, "a single argument")
			p.Found, p.Wanted = typeName(c.rest[0]), "iterable"
			return nil, p
		}
		it = only
	}
	var best, bestKey starlark.Value
	err = c.until(it, func(x starlark.Value) error {
		k := x
		if key != nil {
			var err error
			if k, err = starlark.Call(c.thread, key, starlark.Tuple{x}, nil); err != nil {
				return err
			}
		}
		if best != nil {
			if better, err := starlark.Compare(beats, k, bestKey); err != nil || !better {
				return err
			}
		}
		best, bestKey = x, k
		return nil
	})
	if err != nil {
		return nil, err
	}
	if best == nil {
		if otherwise := c.arg("default"); otherwise != nil {
			return otherwise, nil
		}
		p := c.problem(codeValue, "there is no item")
		p.Hint = fmt.Sprintf("write %s(items, default = 0), or ask `if items:` first", c.builtin.Name)
		return nil, p
	}
	return best, nil
}

func universeSorted(c *call) (starlark.Value, error) {
	items, err := c.items()
	if err != nil {
		return nil, err
	}
	if err := c.sortItems(items); err != nil {
		return nil, err
	}
	return starlark.NewList(items), nil
}

// sortItems sorts items as the arguments key and reverse say.
func (c *call) sortItems(items []starlark.Value) error {
	key, err := c.function("key")
	if err != nil {
		return err
	}
	reverse, err := c.boolean("reverse", false)
	if err != nil {
		return err
	}
	rows := make([]keyed, len(items))
	for i, x := range items {
		rows[i] = keyed{x, x}
		if key == nil {
			continue
		}
		if rows[i].key, err = starlark.Call(c.thread, key, starlark.Tuple{x}, nil); err != nil {
			return err
		}
	}
	if err := c.sort(rows, reverse); err != nil {
		return err
	}
	for i, row := range rows {
		items[i] = row.item
	}
	return nil
}

// keyed is an item with what it is sorted by.
type keyed struct{ key, item starlark.Value }

// sort sorts rows by their keys; equals keep their order.
func (c *call) sort(rows []keyed, reverse bool) error {
	m := meter{call: c}
	var failed error
	less := func(x, y starlark.Value) bool {
		if failed != nil {
			return false // whatever: the sort ends soon
		}
		var is bool
		if failed = m.tick(); failed == nil {
			is, failed = starlark.Compare(syntax.LT, x, y)
		}
		return is
	}
	slices.SortStableFunc(rows, func(x, y keyed) int {
		if reverse {
			x, y = y, x
		}
		if less(x.key, y.key) {
			return -1
		}
		return 0 // a stable sort asks for no more
	})
	return failed
}

func universeStr(c *call) (starlark.Value, error) {
	switch x := c.arg("x").(type) {
	case starlark.String:
		return x, nil
	case starlark.Bytes:
		return starlark.String(validUTF8(string(x))), nil
	}
	return universeRepr(c)
}

func universeRepr(c *call) (starlark.Value, error) {
	s, err := c.display(c.arg("x"))
	return starlark.String(s), err
}

// validUTF8 is s with every byte that is not UTF-8 made U+FFFD.
func validUTF8(s string) string {
	if utf8.ValidString(s) {
		return s
	}
	return string([]rune(s))
}
