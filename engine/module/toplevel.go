package module

import (
	"fmt"
	"maps"
	"runtime"
	"strings"
	"time"

	"go.starlark.net/resolve"
	"go.starlark.net/starlark"
	"go.starlark.net/syntax"

	"perago/engine/heap"
	"perago/starlib"
	"perago/starlib/diag"
)

// run runs the top level of one file and freezes what it made.
func (l *loader) run(u *unit, main bool) diag.List {
	thread := &starlark.Thread{Name: u.name, Load: func(_ *starlark.Thread, asked string) (starlark.StringDict, error) {
		return u.loads[asked].globals, nil
	}}
	task := main && l.as == taskFile
	// What a test file itself loads may be a task file, for its functions.
	declared := &starlib.Declaration{Loaded: !task && !(l.as == testFile && len(u.asked) == 1)}
	declared.Attach(thread)
	top := topLevel{thread: thread}
	var err error
	u.globals, err = top.run(func() (starlark.StringDict, error) { return u.program.Init(thread, l.bounded) })
	if err != nil {
		list := l.module.Diagnose(err)
		for _, d := range list {
			switch {
			case top.passed != nil:
				d.Code, d.Message, d.Found, d.Wanted, d.Hint = top.passed.Code, top.passed.Message, "", top.passed.Wanted, top.passed.Hint
			case d.Code == "P4224": // a builtin that had enough
				d.Code = "P1502"
			}
			if d.File == "" {
				d.File = u.name // stuck, and nothing says where
			}
			d.Stack = append(u.asked[:len(u.asked):len(u.asked)], d.Stack...)
		}
		return list
	}
	// What the bounds of operators have put aside has a name that no file can write.
	maps.DeleteFunc(u.globals, func(name string, _ starlark.Value) bool { return strings.HasPrefix(name, "(") })
	if name, problem := starlib.CheckFreezable(u.globals); problem != nil {
		problem.Code = "P1502"
		return diag.List{l.sources.At(bindingOf(u.tree, name), problem)}
	}
	u.globals.Freeze()
	l.module.units = append(l.module.units, u)
	if task && declared.Task != nil {
		at := &declared.Task.At // the interpreter knows of a call only its parenthesis
		at.Line, at.Column = l.sources.Called(at.File, at.Line, at.Column)
		l.module.Task = declared.Task
	}
	return nil
}

// bindingOf is where a file binds a global.
func bindingOf(tree *syntax.File, name string) syntax.Position {
	for _, g := range tree.Module.(*resolve.Module).Globals {
		if g.First.Name == name {
			return g.First.NamePos
		}
	}
	return syntax.Start(tree)
}

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

// run runs init on the thread and waits for it. When init is stuck in one
// operation, run gives up on it and leaves its goroutine behind: a process whose
// file cannot be loaded ends anyway.
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
	reader := heap.NewReader()
	before := reader.Read().Held
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
				t.passed = topLevelBound("takes too long", fmt.Sprintf("at most %d steps", loadSteps))
			}
			return r.globals, r.err
		case <-tick.C:
		}
		now := reader.Read()
		if now.Held-before > loadMemory {
			runtime.GC()
			now = reader.Read()
		}
		switch took := time.Since(started); {
		case t.passed == nil && now.Live-before > loadMemory:
			t.end(topLevelBound("holds too much memory", fmt.Sprintf("at most %d MiB", loadMemory>>20)))
			started = time.Now().Add(-loadWall)
		case t.passed == nil && took > loadWall:
			t.end(topLevelBound("takes too long", "at most "+loadWall.String()))
		case t.passed != nil && took > loadWall+loadGrace:
			return nil, t.passed
		}
	}
}

func (t *topLevel) end(p *diag.Problem) {
	t.passed = p
	t.thread.Cancel(p.Message)
}

func topLevelBound(what, wanted string) *diag.Problem {
	return &diag.Problem{Code: "P1502", Message: "the top level " + what, Wanted: wanted,
		Hint: "move the work into `def run`; the top level only declares"}
}
