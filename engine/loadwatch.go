package engine

import (
	"fmt"
	"runtime"
	"time"

	"go.starlark.net/starlark"

	"perago/starlib/diag"
)

const (
	// loadMemory is what the process may grow by while the top level of one file
	// runs, in bytes.
	loadMemory = 128 << 20
	// loadWall bounds the top level of one file; loadGrace is how much longer an
	// operation may take that does not look at a cancel.
	loadWall  = 10 * time.Second
	loadGrace = 2 * time.Second
	// loadWatch is how often these are looked at.
	loadWatch = 5 * time.Millisecond
)

// topLevel runs the top level of one file, which only declares: its steps, its
// time and its memory are bounded. A file is loaded where its attempts will run,
// so the memory is that of the whole process.
type topLevel struct {
	thread *starlark.Thread
	passed *diag.Problem // the bound that ended it; nil when none did
}

// ran is how a top level ended.
type ran struct {
	globals starlark.StringDict
	err     error
	panic   any
}

// run waits for init, which is to run on the thread. It gives up on one that is
// stuck in one operation: the goroutine of it is left behind, and a process
// whose file cannot be loaded ends.
func (t *topLevel) run(init func() (starlark.StringDict, error)) (starlark.StringDict, error) {
	t.thread.SetMaxExecutionSteps(loadSteps)
	t.thread.OnMaxSteps = func(thread *starlark.Thread) { thread.Cancel("too many steps") }
	over := make(chan ran, 1)
	go func() {
		var r ran
		defer func() {
			r.panic = recover()
			over <- r
		}()
		r.globals, r.err = init()
	}()
	reader := newHeapReader()
	before := reader.read().held
	started := time.Now()
	tick := time.NewTicker(loadWatch)
	defer tick.Stop()
	for {
		select {
		case r := <-over:
			if r.panic != nil {
				panic(r.panic)
			}
			if t.passed == nil && r.err != nil && t.thread.ExecutionSteps() >= loadSteps {
				t.passed = tooMuch("takes too long", fmt.Sprintf("at most %d steps", loadSteps))
			}
			return r.globals, r.err
		case <-tick.C:
		}
		now := reader.read()
		if now.held-before > loadMemory {
			runtime.GC()
			now = reader.read()
		}
		switch took := time.Since(started); {
		case t.passed == nil && now.live-before > loadMemory:
			t.end(tooMuch("holds too much memory", "at most "+size(loadMemory)))
			started = time.Now().Add(-loadWall)
		case t.passed == nil && took > loadWall:
			t.end(tooMuch("takes too long", "at most "+loadWall.String()))
		case t.passed != nil && took > loadWall+loadGrace:
			return nil, t.passed
		}
	}
}

func (t *topLevel) end(p *diag.Problem) {
	t.passed = p
	t.thread.Cancel(p.Message)
}

func tooMuch(what, wanted string) *diag.Problem {
	return &diag.Problem{Code: "P1502", Message: "the top level " + what, Wanted: wanted,
		Hint: "move the work into `def run`; the top level only declares"}
}
