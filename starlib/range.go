package starlib

import (
	"strings"

	"go.starlark.net/starlark"
	"go.starlark.net/syntax"
)

// ints is the interpreter's own range.
type ints interface {
	starlark.Indexable
	starlark.Sliceable
	starlark.Comparable
	starlark.Container
	starlark.Sequence
}

// span is a range that ends early when its run is cancelled. The methods of
// lists and sets walk over their argument without a look at the cancel, and a
// range is the one thing that is long and costs nothing to make:
// set([1]).difference(range(1 << 62)).
type span struct {
	ints
	thread *starlark.Thread
}

// CompareSameType has == and != only, by the ints.
func (s span) CompareSameType(op syntax.Token, other starlark.Value, depth int) (bool, error) {
	o, ok := other.(span)
	if !ok {
		return op == syntax.NEQ, nil
	}
	return s.ints.CompareSameType(op, o.ints, depth)
}

func (s span) Slice(start, end, step int) starlark.Value {
	return span{s.ints.Slice(start, end, step).(ints), s.thread}
}

func (s span) Iterate() starlark.Iterator {
	return &spanIterator{Iterator: s.ints.Iterate(), thread: s.thread}
}

type spanIterator struct {
	starlark.Iterator
	thread *starlark.Thread
	taken  int
}

func (it *spanIterator) Next(x *starlark.Value) bool {
	it.taken++
	if it.taken%checkEvery == 0 && !it.goOn() {
		return false
	}
	return it.Iterator.Next(x)
}

// goOn stops the thread too, so that nothing is made of a range that was cut.
func (it *spanIterator) goOn() bool {
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
	return span{v.(ints), c.thread}, nil
}
