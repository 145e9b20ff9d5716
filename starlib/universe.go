package starlib

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.starlark.net/starlark"
	"go.starlark.net/syntax"

	"perago/starlib/diag"
)

// The functions of the language itself. Those that iterate over
// their argument are implemented here, since those of the interpreter do not notice
// a cancel before they are done: max(range(1 << 62)) would never end. The others are
// rows of the reference only.

func universeBuiltins() []Builtin {
	rows := []Builtin{
		{Name: "None", Property: true, Returns: "None", Doc: "No value."},
		{Name: "True", Property: true, Returns: "bool", Doc: "True."},
		{Name: "False", Property: true, Returns: "bool", Doc: "False."},
	}
	rows = append(rows, interpreterBuiltins()...)
	rows = append(rows, iterationBuiltins()...)
	return pure(rows)
}

// interpreterBuiltins are functions of the interpreter, unchanged except for dir,
// getattr and hasattr, which know the methods of this package too.
func interpreterBuiltins() []Builtin {
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

// iterationBuiltins iterate over their arguments.
func iterationBuiltins() []Builtin {
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
		p.Found, p.Wanted = diag.TypeName(item), "a pair of key and value"
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
		return &lazySequence{"enumerate", func() starlark.Iterator {
			return &enumerateIterator{x.(starlark.Iterable).Iterate(), start}
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
			p.Found, p.Wanted = diag.TypeName(x), "iterable"
			return nil, p
		}
		lazy = lazy || streams(x)
	}
	strict, err := c.boolean("strict", false)
	if err != nil {
		return nil, err
	}
	iterate := func() *zipIterator {
		z := &zipIterator{call: c, strict: strict}
		for _, x := range c.rest {
			z.iters = append(z.iters, x.(starlark.Iterable).Iterate())
		}
		return z
	}
	if lazy {
		return &lazySequence{"zip", func() starlark.Iterator { return iterate() }}, nil
	}
	z := iterate()
	defer z.Done()
	var rows []starlark.Value
	m := itemCounter{call: c}
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
	return c.streamError()
}

func universeAll(c *call) (starlark.Value, error) {
	found, err := c.search(false)
	return !found, err
}

func universeAny(c *call) (starlark.Value, error) { return c.search(true) }

// errFound ends a search early.
var errFound = errors.New("found")

// search says whether the truth of some item is the wanted one.
func (c *call) search(wanted starlark.Bool) (starlark.Bool, error) {
	it, err := c.iterable("x")
	if err != nil {
		return false, err
	}
	found := starlark.Bool(false)
	err = c.iterate(it, func(x starlark.Value) error {
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

// extreme is the item that comes first in the order, of equals the first one.
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
			p.Found, p.Wanted = diag.TypeName(c.rest[0]), "iterable"
			return nil, p
		}
		it = only
	}
	var best, bestKey starlark.Value
	err = c.iterate(it, func(x starlark.Value) error {
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
	m := itemCounter{call: c}
	var failed error
	less := func(x, y starlark.Value) bool {
		if failed != nil {
			return false // of no effect: the sort is given up
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

// lazySequence is what enumerate and zip make of a stream: a stream too, which makes
// its items as a loop goes over it, in constant memory.
type lazySequence struct {
	kind    string // "enumerate", "zip"
	iterate func() starlark.Iterator
}

func (p *lazySequence) String() string             { return fmt.Sprintf("<%s of a stream>", p.kind) }
func (p *lazySequence) Type() string               { return "stream" }
func (p *lazySequence) Freeze()                    {}
func (p *lazySequence) Truth() starlark.Bool       { return true }
func (p *lazySequence) Hash() (uint32, error)      { return 0, fmt.Errorf("unhashable: stream") }
func (p *lazySequence) Iterate() starlark.Iterator { return p.iterate() }

// streams says whether a value is made item by item, as a loop goes over it.
func streams(v starlark.Value) bool {
	switch v.(type) {
	case *stream, *lazySequence, *archive, *relationRows:
		return true
	}
	return false
}

// enumerateIterator is the iterator of enumerate.
type enumerateIterator struct {
	starlark.Iterator
	next int
}

func (n *enumerateIterator) Next(x *starlark.Value) bool {
	var item starlark.Value
	if !n.Iterator.Next(&item) {
		return false
	}
	*x = starlark.Tuple{starlark.MakeInt(n.next), item}
	n.next++
	return true
}

// zipIterator is the iterator of zip.
type zipIterator struct {
	call   *call
	iters  []starlark.Iterator
	strict bool
	made   int
}

// row is the next row; nil after the last.
func (z *zipIterator) row() (starlark.Tuple, error) {
	if len(z.iters) == 0 {
		return nil, nil
	}
	row := make(starlark.Tuple, len(z.iters))
	for i, iter := range z.iters {
		if iter.Next(&row[i]) {
			continue
		}
		err := z.call.streamError()
		if err == nil && z.strict {
			err = z.call.allEnded(z.iters, i, z.made)
		}
		return nil, err
	}
	z.made++
	return row, nil
}

// Next cannot return an error: the run keeps it.
func (z *zipIterator) Next(x *starlark.Value) bool {
	row, err := z.row()
	if err != nil {
		z.call.run.stop(err)
	}
	if row == nil {
		return false
	}
	*x = row
	return true
}

func (z *zipIterator) Done() {
	for _, iter := range z.iters {
		iter.Done()
	}
}

// ints is the interpreter's own range.
type ints interface {
	starlark.Indexable
	starlark.Sliceable
	starlark.Comparable
	starlark.Container
	starlark.Sequence
}

// rangeValue is a range that ends early when its run is cancelled. The methods of
// lists and sets walk over their argument without a look at the cancel, and a
// range is the one thing that is long and costs nothing to make:
// set([1]).difference(range(1 << 62)).
type rangeValue struct {
	ints
	thread *starlark.Thread
}

// CompareSameType has == and != only, by the ints.
func (s rangeValue) CompareSameType(op syntax.Token, other starlark.Value, depth int) (bool, error) {
	o, ok := other.(rangeValue)
	if !ok {
		return op == syntax.NEQ, nil
	}
	return s.ints.CompareSameType(op, o.ints, depth)
}

func (s rangeValue) Slice(start, end, step int) starlark.Value {
	return rangeValue{s.ints.Slice(start, end, step).(ints), s.thread}
}

func (s rangeValue) Iterate() starlark.Iterator {
	return &rangeIterator{Iterator: s.ints.Iterate(), thread: s.thread}
}

type rangeIterator struct {
	starlark.Iterator
	thread *starlark.Thread
	taken  int
}

func (it *rangeIterator) Next(x *starlark.Value) bool {
	it.taken++
	if it.taken%checkEvery == 0 && !it.goOn() {
		return false
	}
	return it.Iterator.Next(x)
}

// goOn says whether the loop goes on. When it does not, the thread is cancelled, so
// that nothing uses a range that was cut short.
func (it *rangeIterator) goOn() bool {
	run := runOf(it.thread)
	if run == nil {
		if it.taken > 10*loadItems {
			it.thread.Cancel("more than 10,000,000 items at load time: move the work into `def run`")
			return false
		}
		return true
	}
	if err := run.cancelled(); err != nil {
		it.thread.Cancel(err.Error())
		return false
	}
	return true
}

func universeRange(c *call) (starlark.Value, error) {
	own := starlark.Universe["range"].(*starlark.Builtin)
	args := make(starlark.Tuple, 0, 3)
	for _, a := range c.args {
		if a != nil {
			args = append(args, a)
		}
	}
	v, err := own.CallInternal(c.thread, args, nil)
	if err != nil {
		return nil, c.problem(codeValue, "%s", strings.TrimPrefix(err.Error(), "range: "))
	}
	return rangeValue{v.(ints), c.thread}, nil
}

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
	return pure(rows)
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

// structure is what struct(...) makes: named values that cannot be assigned to.
// The interpreter's own struct would recurse without end when it is shown and a list
// in it holds it.
type structure struct {
	names  []string // in the order of the call
	values []starlark.Value
	frozen bool // so that what many structs share is not visited for each
}

var (
	_ starlark.HasAttrs   = (*structure)(nil)
	_ starlark.Comparable = (*structure)(nil)
)

// newStruct makes a struct of names and values in turn.
func newStruct(pairs ...any) *structure {
	s := &structure{}
	for i := 0; i < len(pairs); i += 2 {
		s.names = append(s.names, pairs[i].(string))
		s.values = append(s.values, pairs[i+1].(starlark.Value))
	}
	return s
}

func (s *structure) Type() string         { return "struct" }
func (s *structure) Truth() starlark.Bool { return true }
func (s *structure) AttrNames() []string  { return slices.Sorted(slices.Values(s.names)) }

func (s *structure) String() string {
	var w writer
	if err := w.write(s); err != nil {
		return "struct(...)"
	}
	return w.out.String()
}

func (s *structure) Freeze() {
	if s.frozen {
		return
	}
	s.frozen = true
	for _, v := range s.values {
		v.Freeze()
	}
}

// Hash does not depend on the order of the fields, since equality does not.
func (s *structure) Hash() (uint32, error) {
	sum := uint32(8731)
	for i, name := range s.names {
		key, _ := starlark.String(name).Hash()
		value, err := s.values[i].Hash()
		if err != nil {
			return 0, err
		}
		sum += (key | 1) * (value ^ 0x9e3779b9)
	}
	return sum, nil
}

func (s *structure) Attr(name string) (starlark.Value, error) {
	if v := s.field(name); v != nil {
		return v, nil
	}
	return nil, unknownMember("the struct", ".", name, s.AttrNames())
}

// field is the value of a field, nil when there is none of that name.
func (s *structure) field(name string) starlark.Value {
	if i := slices.Index(s.names, name); i >= 0 {
		return s.values[i]
	}
	return nil
}

// CompareSameType has == and != only.
func (s *structure) CompareSameType(op syntax.Token, other starlark.Value, depth int) (bool, error) {
	if op != syntax.EQL && op != syntax.NEQ {
		return false, fmt.Errorf("struct %s struct: a struct has no order", op)
	}
	o, ok := other.(*structure)
	same := ok && len(o.names) == len(s.names)
	for i := 0; same && i < len(s.names); i++ {
		v := o.field(s.names[i])
		if v == nil {
			same = false
			break
		}
		var err error
		if same, err = starlark.EqualDepth(s.values[i], v, depth-1); err != nil {
			return false, err
		}
	}
	return same == (op == syntax.EQL), nil
}

// buildingBuiltins make values of other ones.
func buildingBuiltins() []Builtin {
	return []Builtin{
		{Name: "struct", Phase: Pure, Returns: "struct", call: buildStruct,
			Params: []Param{{Name: "fields", Type: "any", Kind: KeywordRest, Doc: "the names and values"}},
			Doc:    "A value with named fields, which cannot be assigned to. Two are equal when their fields are.", Example: `point = struct(x = 1, y = 2)
print(point.x)`},
		{Name: "format_number", Phase: Pure, Returns: "string", call: formatNumber,
			Params: []Param{{Name: "x", Type: "int or float"},
				{Name: "digits", Type: "int", Default: "2", Doc: "after the point, 0 to 100"},
				{Name: "group", Type: "string", Default: `""`, Doc: "what to put between thousands"}},
			Doc:     "A number with a fixed count of digits after the point, rounded to the nearest, as `%.2f` would in Python; an int is exact at any size.",
			Example: `format_number(1234.5, digits = 1, group = ",") == "1,234.5"`},
	}
}

func buildStruct(c *call) (starlark.Value, error) {
	s := &structure{}
	for _, kw := range c.kwrest {
		s.names = append(s.names, string(kw[0].(starlark.String)))
		s.values = append(s.values, kw[1])
	}
	return s, nil
}

func formatNumber(c *call) (starlark.Value, error) {
	digits, err := c.integer("digits", 2)
	if err != nil {
		return nil, err
	}
	if digits < 0 || digits > 100 {
		return nil, c.refuse("digits", strconv.Itoa(digits), "0 to 100")
	}
	group, err := c.text("group", "")
	if err != nil {
		return nil, err
	}
	if len(group) > 8 {
		return nil, c.refuse("group", fmt.Sprintf("%d bytes", len(group)), "at most 8")
	}
	var s string
	switch x := c.arg("x").(type) {
	case starlark.Int:
		s = x.String()
		if digits > 0 {
			s += "." + strings.Repeat("0", digits)
		}
	case starlark.Float:
		s = strconv.FormatFloat(float64(x), 'f', digits, 64)
		if strings.ContainsAny(s, "IN") { // +Inf, -Inf, NaN
			return starlark.String(x.String()), nil
		}
	default:
		return nil, c.wrongType("x", x)
	}
	return starlark.String(grouped(s, group)), nil
}

// grouped puts group between the thousands of a decimal number.
func grouped(s, group string) string {
	whole, fraction, _ := strings.Cut(s, ".")
	if fraction != "" {
		fraction = "." + fraction
	}
	sign := ""
	if strings.HasPrefix(whole, "-") {
		sign, whole = "-", whole[1:]
	}
	return sign + groupDigits(whole, group, 3, 0) + fraction
}
