package engine

import (
	"fmt"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"go.starlark.net/starlark"

	"perago/starlib/diag"
)

const (
	// loadMemory is what the process may grow by while the top level of one file
	// runs, in bytes.
	loadMemory = 512 << 20
	// loadWall bounds the top level of one file.
	loadWall = 10 * time.Second
	// loadWatch is how often both are looked at.
	loadWatch = 5 * time.Millisecond
)

// loadGuard ends a top level that takes too much: it only declares.
type loadGuard struct{ passed atomic.Pointer[diag.Problem] }

// watch bounds the steps, the time and the memory of a thread until stop is
// called. A file is loaded where its attempts will run, beside other work, so
// the memory is that of the whole process.
func (g *loadGuard) watch(thread *starlark.Thread) (stop func()) {
	thread.SetMaxExecutionSteps(loadSteps)
	thread.OnMaxSteps = func(thread *starlark.Thread) {
		g.end(thread, "the top level takes too long", fmt.Sprintf("at most %d steps", loadSteps))
	}
	done := make(chan struct{})
	var watching sync.WaitGroup
	watching.Go(func() {
		reader := newHeapReader()
		before := reader.read().held
		started := time.Now()
		tick := time.NewTicker(loadWatch)
		defer tick.Stop()
		for {
			select {
			case <-done:
				return
			case <-tick.C:
			}
			now := reader.read()
			if now.held-before > loadMemory {
				runtime.GC()
				now = reader.read()
			}
			switch {
			case now.live-before > loadMemory:
				g.end(thread, "the top level holds too much memory", "at most "+size(loadMemory))
				return
			case time.Since(started) > loadWall:
				g.end(thread, "the top level takes too long", "at most "+loadWall.String())
				return
			}
		}
	})
	return func() {
		close(done)
		watching.Wait()
	}
}

func (g *loadGuard) end(thread *starlark.Thread, message, wanted string) {
	g.passed.CompareAndSwap(nil, &diag.Problem{Code: "P1502", Message: message, Wanted: wanted,
		Hint: "move the work into `def run`; the top level only declares"})
	thread.Cancel(message)
}
