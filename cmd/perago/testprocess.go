package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"perago/engine"
	"perago/engine/isolate"
	"perago/engine/tasktest"
	"perago/panics"
	"perago/starlib"
	"perago/starlib/diag"
)

const (
	testArgument = "__test"

	testMemory     = 512 << 20 // bytes that one test may hold, the bodies of its tasks not counted
	maxTestSeconds = 86400

	// testGrace is how much longer than its limit a test may take that is in one
	// operation which does not look at a cancel; then its process is killed.
	testGrace = 2 * time.Second
	// testSystemMemory is what the process of a test may take from the system, and half
	// of it again. It is far behind testMemory, which names the line: only what
	// grows faster than the heap is looked at gets there.
	testSystemMemory = 2 * testMemory
)

// testOrder is what a process is to test.
type testOrder struct {
	File, Root, Match string
	Dir               string   // for the attempts' folders; the process may be killed, so it is not its own
	Names             []string // exactly these; nil is all
	Skip, Seconds     int

	Repeat, Update, Cover bool
}

// testLine is one line of what that process says.
type testLine struct {
	Starts string           // the name of the test that begins
	At     starlib.Position // where it stands; with Stuck, where it was asked to end and does not
	Stuck  bool
	Result *tasktest.Result // of the test that ended
	Error  string           // of what surrounds the tests
	Ended  bool             // there are no more tests
}

// errTestLimit ends a process whose test passed a limit: the next one begins
// with a memory of its own.
var errTestLimit = errors.New("a test passed a limit")

// testRole is that of a process that runs the tests of one file.
func testRole() isolate.Role { return isolate.Role{Argument: testArgument, Live: testProcess} }

// testProcess is the life of a process that runs the tests of one file, and
// tells of them on stdout. It ends when its stdin does: perago has gone, on a
// system that does not end it then.
func testProcess(order string) int {
	var gone sync.WaitGroup
	panics.Go(&gone, func(error) {}, func() {
		os.Stdin.Read(make([]byte, 1))
		os.Exit(exitEnvironment)
	})
	// Ctrl-C reaches the whole group; the process that started this one ends it.
	signal.Notify(make(chan os.Signal, 1), os.Interrupt, syscall.SIGTERM)
	var mu sync.Mutex
	out := json.NewEncoder(os.Stdout)
	say := func(l testLine) {
		mu.Lock()
		defer mu.Unlock()
		if out.Encode(l) != nil {
			os.Exit(exitEnvironment)
		}
	}
	if err := obeyTestOrder(order, say); err != nil {
		say(testLine{Error: err.Error()})
	}
	return 0
}

func obeyTestOrder(text string, say func(testLine)) error {
	var order testOrder
	if err := json.Unmarshal([]byte(text), &order); err != nil {
		return err
	}
	match, err := regexp.Compile(order.Match)
	if err != nil {
		return err
	}
	if err := isolate.LimitMemory(testSystemMemory); err != nil {
		return err
	}
	bodies := isolate.New(isolate.Options{})
	defer bodies.Close()
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	o := tasktest.Options{Root: order.Root, Match: match, Dir: order.Dir, Names: order.Names, Skip: order.Skip, Repeat: order.Repeat, Update: order.Update, Cover: order.Cover, Body: bodies,
		Limits: engine.Limits{Memory: testMemory, Wall: time.Duration(order.Seconds) * time.Second},
		Dedicated: &engine.Dedicated{Enter: func(string, starlib.Position) {}, Passed: func(*engine.LimitError) {}, Peak: func(int64) {},
			Stuck: func(at starlib.Position) { say(testLine{Stuck: true, At: at}) }},
		Starts: func(name string, at starlib.Position) { say(testLine{Starts: name, At: at}) }}
	err = tasktest.Run(ctx, order.File, o, func(r tasktest.Result) {
		say(testLine{Result: &r})
		if r.Limit {
			cancel(errTestLimit)
		}
	})
	switch {
	case errors.Is(err, errTestLimit):
		return nil
	case err != nil:
		return err
	}
	say(testLine{Ended: true})
	return nil
}

// runTests runs the tests of a file in processes of their own: one, and after
// a test that had to be ended, another for what is left.
func runTests(ctx context.Context, order testOrder, each func(tasktest.Result)) error {
	var err error
	if order.Dir, err = os.MkdirTemp("", "perago-test-"); err != nil {
		return environmentError("", "folder for the tests: %w", err)
	}
	defer os.RemoveAll(order.Dir)
	runtime.LockOSThread() // the processes die with this thread
	defer runtime.UnlockOSThread()
	for {
		ended, err := runTestProcess(ctx, &order, each)
		if ended || err != nil {
			return err
		}
	}
}

// runTestProcess is one of these processes; ended says that no test is left.
func runTestProcess(ctx context.Context, order *testOrder, each func(tasktest.Result)) (ended bool, err error) {
	text, err := json.Marshal(order)
	if err != nil {
		return false, err
	}
	cmd, said, err := isolate.Again(ctx, testArgument, string(text))
	if err != nil {
		return false, err
	}
	life, err := cmd.StdinPipe()
	if err != nil {
		return false, err
	}
	defer life.Close()
	out, err := cmd.StdoutPipe()
	if err != nil {
		return false, err
	}
	if err := cmd.Start(); err != nil {
		return false, environmentError("", "start the process of the tests: %w", err)
	}
	limit := time.Duration(order.Seconds) * time.Second
	var late atomic.Bool
	var running testLine
	started := time.Now()
	kill := time.AfterFunc(maxTestSeconds*time.Second, func() {
		late.Store(true)
		cmd.Process.Kill()
	})
	defer kill.Stop()
	kill.Stop()
	before := order.Skip
	for lines := json.NewDecoder(out); ; {
		var l testLine
		if lines.Decode(&l) != nil {
			cmd.Process.Kill() // it has ended, in whatever way; one that has not says nothing that can be read
			break
		}
		switch {
		case l.Starts != "":
			running, started = l, time.Now()
			kill.Reset(limit + testGrace)
		case l.Stuck:
			running.At = l.At
		case l.Result != nil:
			kill.Stop()
			running = testLine{}
			if !l.Result.Absent {
				order.Skip++
			}
			each(*l.Result)
		case l.Error != "":
			err = environmentError("", "%s: %s", order.File, l.Error)
		}
		ended = ended || l.Ended
	}
	end := cmd.Wait()
	switch {
	case ctx.Err() != nil:
		return false, context.Cause(ctx)
	case err != nil || ended:
		return ended, err
	case running.Starts != "":
		order.Skip++
		each(tasktest.Result{File: order.File, Name: running.Starts, Took: time.Since(started), Limit: true,
			Failure: endOfTest(order, running, late.Load(), said.String(), end)})
		return false, nil
	case order.Skip == before: // it did nothing: the next one would not either
		return false, environmentError("", "%s: the process of the tests ended: %v: %s", order.File, end, firstLine(said.String()))
	}
	return false, nil
}

// endOfTest says why the process of a test ended before the test.
func endOfTest(order *testOrder, running testLine, late bool, said string, end error) diag.List {
	at := diag.List{{File: running.At.File, Line: running.At.Line, Column: running.At.Column}}
	if late {
		return tasktest.Passed(running.Starts, engine.WallError(time.Duration(order.Seconds)*time.Second), at)
	}
	if isolate.OutOfMemory(said, false) {
		e := engine.MemoryError(testMemory, testMemory)
		e.Found = "more than " + e.Found
		return tasktest.Passed(running.Starts, e, at)
	}
	at[0].Code, at[0].Severity = "P4901", diag.Error
	at[0].Message = fmt.Sprintf("the process of %s ended: %v: %s", running.Starts, end, firstLine(said))
	return at
}

func firstLine(s string) string {
	line, _, _ := strings.Cut(s, "\n")
	return line
}
