package starlib

import (
	"fmt"

	"go.starlark.net/starlark"
)

// passing is what enumerate and zip make of a stream: a stream too, which makes
// its items as a loop goes over it, in constant memory.
type passing struct {
	kind    string // "enumerate", "zip"
	iterate func() starlark.Iterator
}

func (p *passing) String() string             { return fmt.Sprintf("<%s of a stream>", p.kind) }
func (p *passing) Type() string               { return "stream" }
func (p *passing) Freeze()                    {}
func (p *passing) Truth() starlark.Bool       { return true }
func (p *passing) Hash() (uint32, error)      { return 0, fmt.Errorf("unhashable: stream") }
func (p *passing) Iterate() starlark.Iterator { return p.iterate() }

// streams says whether a value is made item by item, as a loop goes over it.
func streams(v starlark.Value) bool {
	switch v.(type) {
	case *stream, *passing:
		return true
	}
	return false
}

// numbered is the iterator of enumerate.
type numbered struct {
	starlark.Iterator
	next int
}

func (n *numbered) Next(x *starlark.Value) bool {
	var item starlark.Value
	if !n.Iterator.Next(&item) {
		return false
	}
	*x = starlark.Tuple{starlark.MakeInt(n.next), item}
	n.next++
	return true
}

// zipped is the iterator of zip.
type zipped struct {
	call   *call
	iters  []starlark.Iterator
	strict bool
	made   int
}

// row is the next row; nil after the last.
func (z *zipped) row() (starlark.Tuple, error) {
	if len(z.iters) == 0 {
		return nil, nil
	}
	row := make(starlark.Tuple, len(z.iters))
	for i, iter := range z.iters {
		if iter.Next(&row[i]) {
			continue
		}
		err := z.call.stopped()
		if err == nil && z.strict {
			err = z.call.allEnded(z.iters, i, z.made)
		}
		return nil, err
	}
	z.made++
	return row, nil
}

// Next cannot return an error: the run keeps it.
func (z *zipped) Next(x *starlark.Value) bool {
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

func (z *zipped) Done() {
	for _, iter := range z.iters {
		iter.Done()
	}
}
