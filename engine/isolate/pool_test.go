package isolate

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"perago/engine"
	"perago/engine/module"
	"perago/engine/queue"
	"perago/workspace/attempts"
	"perago/workspace/publish"
)

// childPIDs are the processes that this one has started.
func childPIDs(t testing.TB) (pids []int) {
	t.Helper()
	tasks, err := filepath.Glob("/proc/self/task/*/children")
	if err != nil {
		t.Fatal(err)
	}
	for _, task := range tasks {
		text, err := os.ReadFile(task)
		if err != nil {
			continue // the thread has ended meanwhile
		}
		for _, field := range strings.Fields(string(text)) {
			if pid, err := strconv.Atoi(field); err == nil {
				pids = append(pids, pid)
			}
		}
	}
	return pids
}

// Children that are killed at any moment, while they start, wait or run, cost at
// most their own attempt, and leave nothing behind.
func TestChildrenKilledAtAnyMoment(t *testing.T) {
	g := newGround(t, map[string]string{"raw/a.csv": "a\n1\n"})
	m := loaded(t, `
task(name = "t", workspace = workspace_spec())

def run(workspace, params):
    for i in range(50):
        (workspace / "out" / ("%d.txt" % i)).write_text((workspace / "raw" / "a.csv").read_text())
    left = (workspace / "out" / "open.txt").open("w")
    left.write("x")
    return {"n": len(workspace.glob("out/*"))}
`)
	p := New(Options{Spares: 2})
	r := g.runner(p)
	r.Publisher = &publish.Publisher{Store: g.store}
	before := openFiles(t)
	outcomes := map[queue.Status]int{}
	for round := range 40 {
		var killing sync.WaitGroup
		over := make(chan struct{})
		killing.Go(func() {
			select {
			case <-over:
			case <-time.After(time.Duration(rand.IntN(25_000)) * time.Microsecond):
				for _, pid := range childPIDs(t) {
					syscall.Kill(pid, []syscall.Signal{syscall.SIGKILL, syscall.SIGTERM, syscall.SIGSEGV}[round%3])
				}
			}
		})
		a := g.attempt(`{}`)
		a.TaskID = fmt.Sprint("id", round)
		a.WorkflowID = a.TaskID
		a.Input = []byte(strings.ReplaceAll(string(a.Input), g.input, head(t, g)))
		res := r.Run(t.Context(), m, a, engine.Hooks{})
		close(over)
		killing.Wait()
		outcomes[res.Status]++
		if res.Status != queue.Completed && res.Status != queue.Failed {
			t.Errorf("round %d: %s %s", round, res.Status, res.Reason)
		}
	}
	t.Logf("%v", outcomes)
	if outcomes[queue.Failed] == 0 {
		t.Error("no kill met a running body: the test shows nothing")
	}
	if res := r.Run(t.Context(), m, g.attempt(`{}`), engine.Hooks{}); res.Status != queue.Completed && !strings.Contains(res.Reason, "moved") {
		t.Errorf("after all kills: %s %s", res.Status, res.Reason)
	}
	if left, err := os.ReadDir(filepath.Join(g.root.Path, "attempts")); err != nil || len(left) > 0 {
		t.Errorf("attempt folders left: %v, %v", left, err)
	}
	for name, err := range g.store.Branches(t.Context(), "songs", "") {
		if err != nil || name != "main" {
			t.Errorf("branch %s is left, %v", name, err)
		}
	}
	if err := p.Close(); err != nil {
		t.Error(err)
	}
	if after := openFiles(t); after > before+2 { // the lock and listing of the ground
		t.Errorf("open files: got %d, want %d as before", after, before)
	}
	noChildren(t)
	g.root.Close()
	again, err := attempts.OpenRoot(g.root.Path, nil)
	if err != nil {
		t.Fatalf("somebody holds the lock: %v", err)
	}
	again.Close()
}

func head(t testing.TB, g *ground) string {
	t.Helper()
	id, err := g.store.Head(t.Context(), "songs", "main")
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// Every body has a process of its own, and one that waited is as good.
func TestEveryBodyHasItsOwnProcess(t *testing.T) {
	path, err := executable()
	if err != nil {
		t.Fatal(err)
	}
	a, b := pure(t, "    return {\"m\": \"a\"}\n"), pure(t, "    return {\"m\": \"b\"}\n")
	for _, spares := range []int{-1, 1, 3} {
		p := New(Options{Spares: spares, command: &command{path, []string{"perago", childArgument}}})
		if err := p.Warm(t.Context(), a); err != nil {
			t.Fatal(err)
		}
		seen := map[int]bool{}
		for round, m := range []*module.Module{a, a, b, a, b, b, b, a, a} {
			child, err := p.take(t.Context(), m)
			if err != nil {
				t.Fatal(err)
			}
			p.refill(m)
			if seen[child.proc.Pid] {
				t.Errorf("round %d: process %d a second time", round, child.proc.Pid)
			}
			seen[child.proc.Pid] = true
			if child.module != m {
				t.Errorf("round %d: the child has another module", round)
			}
			child.reap()
			child.note.Close()
			if n := len(p.waiting); n > max(spares, 0) {
				t.Errorf("round %d: %d spares wait, want at most %d", round, n, spares)
			}
		}
		p.Close()
		noChildren(t)
	}
}

// Bodies run beside each other, and Close leaves nothing.
func TestManyBodiesAtOnce(t *testing.T) {
	m := pure(t, "    return {\"n\": len([x for x in range(1000)])}\n")
	p := New(Options{Spares: 4})
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 5 {
				if got, _, err := p.Run(t.Context(), m, silent(t, m, engine.Limits{Memory: 64 << 20, Wall: time.Minute})); err != nil || string(got) != `{"n":1000}` {
					t.Errorf("got %s, %v", got, err)
				}
			}
		})
	}
	all.Wait()
	p.Close()
	if _, _, err := p.Run(t.Context(), m, silent(t, m, engine.Limits{})); !errors.Is(err, ErrClosed) {
		t.Errorf("after Close: got %v, want ErrClosed", err)
	}
	noChildren(t)
}

// A child does not outlive the worker, however the worker ends.
func TestChildDiesWithItsWorker(t *testing.T) {
	path, err := executable()
	if err != nil {
		t.Fatal(err)
	}
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	worker, err := os.StartProcess(path, []string{"perago", workerArgument}, &os.ProcAttr{Files: []*os.File{nil, w, os.Stderr}})
	w.Close()
	if err != nil {
		t.Fatal(err)
	}
	var pid int
	if _, err := fmt.Fscan(r, &pid); err != nil {
		t.Fatal(err)
	}
	worker.Kill()
	worker.Wait()
	for deadline := time.Now().Add(10 * time.Second); ; {
		status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
		if err != nil || strings.Contains(string(status), "State:\tZ") {
			return // gone, or waiting to be taken by whoever adopted it
		}
		if time.Now().After(deadline) {
			t.Fatalf("the child lives on:\n%s", status)
		}
		runtime.Gosched()
	}
}

// roleArgument starts the test binary in a role, to do one thing.
const roleArgument = "__role"

// again is the life of that role.
func again(order string) int {
	switch order {
	case "again": // it may not start another one of its kind
		if _, _, err := Again(context.Background(), roleArgument, order); err != nil {
			fmt.Println(err)
		}
	case "environment":
		fmt.Print(os.Environ())
	case "body":
		fmt.Print(Guarded())
	}
	return 0
}

// A process for a role is started only where Main was told of that role, and by
// none that has a role itself: main of a program that goes past a role would
// start the whole program once more, and so on.
func TestRoles(t *testing.T) {
	const refused = "name the role in isolate.Main"
	if _, _, err := Again(t.Context(), "__other", ""); err == nil || !strings.Contains(err.Error(), refused) {
		t.Errorf("a role that Main was not told of: got %v, want to be told to name it", err)
	}
	for order, want := range map[string]string{"again": refused, "environment": "[]", "body": "<nil>"} {
		c, said, err := Again(t.Context(), roleArgument, order)
		if err != nil {
			t.Fatal(err)
		}
		if out, err := c.Output(); err != nil || !strings.Contains(string(out), want) {
			t.Errorf("%s: got %q, %v, %s; want %q", order, out, err, said, want)
		}
	}
}

// workerArgument starts the test binary as a worker that starts a child, prints
// its pid and waits.
const workerArgument = "__worker"

func workUntilKilled() int {
	p := New(Options{Spares: -1})
	p.mu.Lock()
	s, err := p.start(nil)
	p.mu.Unlock()
	if err != nil {
		return 1
	}
	<-s.prepared
	fmt.Println(s.proc.Pid)
	select {}
}
