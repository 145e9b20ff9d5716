// Package heap measures the memory of this process from within.
package heap

import "runtime/metrics"

// Size is one look at this process's own memory, in bytes.
type Size struct {
	Held int64 // objects and goroutine stacks, garbage included
	Live int64 // the same as the last collection found it, without garbage
}

// Reader reads runtime metrics without garbage of its own. It is for one
// goroutine at a time.
type Reader []metrics.Sample

// NewReader makes a Reader.
func NewReader() Reader {
	return Reader{
		{Name: "/memory/classes/heap/objects:bytes"},
		{Name: "/memory/classes/heap/stacks:bytes"},
		{Name: "/gc/heap/live:bytes"},
	}
}

// Read looks once.
func (r Reader) Read() Size {
	metrics.Read(r)
	objects, stacks, live := r[0].Value.Uint64(), r[1].Value.Uint64(), r[2].Value.Uint64()
	return Size{Held: int64(objects + stacks), Live: int64(live + stacks)}
}
