package engine

import (
	"context"
	"math"
	"runtime"
	"runtime/debug"
	"time"

	"perago/engine/heap"
	"perago/starlib"
	"perago/starlib/diag"
)

// Dedicated is for a process that runs one body and nothing else: the child of
// engine/isolate. Its heap is then the body's, and can be held to a limit. All
// of its functions are required.
type Dedicated struct {
	// Enter is called with every builtin just before it does its work.
	Enter func(builtin string, at starlib.Position)
	// Passed is called once, when a limit was passed and the body was asked to
	// stop.
	Passed func(*LimitError)
	// Stuck is called with the place of a body that was asked to stop and has not:
	// its process is about to be killed.
	Stuck func(at starlib.Position)
	// Peak is called with every new maximum of live memory, in bytes.
	Peak func(bytes int64)
	// Since is what the process held before the first of several calls that share
	// their limit of memory; nil: each call begins anew.
	Since *heap.Size
}

// heapWatch is how often the heap is looked at. A string that is copied grows by
// a few MiB in that time.
const heapWatch = 2 * time.Millisecond

// stuckAfter is how long a body that was asked to stop may take before Stuck.
const stuckAfter = 40 * time.Millisecond

// noteStuck says where a body is that does not stop: in one operation of the
// interpreter, or one builtin, that does not look at the cancel. It reads the
// stack of a thread that another goroutine owns, which is a data race; but that
// thread has not moved for a while, nothing else can tell where it is, and the
// process is killed next whatever comes of it.
func (l *limiter) noteStuck(ctx context.Context, done <-chan struct{}) {
	select {
	case <-done:
		return
	case <-ctx.Done():
	}
	timer := time.NewTimer(stuckAfter)
	defer timer.Stop()
	select {
	case <-done:
		return
	case <-timer.C:
	}
	defer func() { _ = recover() }()
	for depth := range l.thread.CallStackDepth() {
		if pos := l.thread.CallFrame(depth).Pos; pos.Line > 0 {
			l.dedicated.Stuck(starlib.Position{File: pos.Filename(), Line: int(pos.Line), Column: int(pos.Col)})
			return
		}
	}
}

// prepareHeap sets up what holds from the first step of the body: no single value
// can take the heap from below the limit past the hard limit of the process, and
// garbage is collected at the limit, not at twice what was live. Nothing of it is
// undone: the process ends with the body.
func (l *limiter) prepareHeap() {
	if most := l.limits.Memory; most > 0 {
		l.bounds.SetMost(most / 2)
		debug.SetMemoryLimit(most + most/4)
	}
}

// boundHeap warns at half of the memory and ends the body above all of it. Only
// live memory counts: when the heap has grown past the limit it is collected
// before it is judged. most 0 is no limit, only a watch.
func (l *limiter) boundHeap(done <-chan struct{}, most int64) {
	if most == 0 {
		most = math.MaxInt64
	}
	reader := heap.NewReader()
	base := reader.Read()
	if l.dedicated.Since != nil {
		base = *l.dedicated.Since
	}
	together := l.dedicated.Since != nil // what is used of the limit is not this call's alone
	warned, warnedValue := together, false
	tick := time.NewTicker(heapWatch)
	defer tick.Stop()
	for {
		now := reader.Read()
		if now.Held > most {
			runtime.GC()
			now = reader.Read()
		}
		live := max(0, now.Live-base.Live)
		if live > most && live <= most+most/4 {
			// What a body makes while a collection runs counts as live in it. A
			// second one tells garbage that was made fast from what stays.
			runtime.GC()
			live = min(live, max(0, reader.Read().Live-base.Live))
		}
		l.rise(live)
		if live > most/2 && !warned { // also when the limit was passed between two looks
			warned = true
			l.warn("memory", diag.Size(live), diag.Size(most))
		}
		if live > most {
			l.pass(MemoryError(live, most))
			return
		}
		if largest := l.bounds.Largest(); largest > 0 && !warnedValue {
			warnedValue = true
			l.warn("one value", diag.Size(largest), diag.Size(l.bounds.Most()))
		}
		select {
		case <-done:
			return
		case <-tick.C:
		}
	}
}

// rise notes a new maximum of live memory.
func (l *limiter) rise(live int64) {
	if live <= l.peak.Load() {
		return
	}
	l.peak.Store(live)
	l.dedicated.Peak(live)
}
