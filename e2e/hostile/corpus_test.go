//go:build linux

package hostile

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"perago/engine"
	"perago/engine/isolate"
	"perago/engine/module"
	"perago/engine/queue"
	"perago/engine/worker"
	"perago/workspace/attempts"
)

// fakeQueue hands out attempts by task.
type fakeQueue struct {
	mu      sync.Mutex
	waiting map[string][]queue.Attempt
	ids     int
}

func (q *fakeQueue) add(task string, input string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.ids++
	id := fmt.Sprint("id", q.ids)
	q.waiting[task] = append(q.waiting[task], queue.Attempt{Task: task, TaskID: id, WorkflowID: id, Input: json.RawMessage(input)})
}

func (q *fakeQueue) Poll(_ context.Context, task string, most int, _ time.Duration) ([]queue.Attempt, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	got := q.waiting[task]
	got, q.waiting[task] = got[:min(len(got), most)], got[min(len(got), most):]
	return got, nil
}

func (q *fakeQueue) Waiting(context.Context, []string) (tasks []string, err error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for task, waiting := range q.waiting {
		if len(waiting) > 0 {
			tasks = append(tasks, task)
		}
	}
	return tasks, nil
}

func (q *fakeQueue) Report(context.Context, queue.Report) (*queue.Attempt, error) { return nil, nil }
func (q *fakeQueue) Extend(context.Context, queue.Attempt) error                  { return nil }
func (q *fakeQueue) Current(context.Context, queue.Attempt) error                 { return nil }
func (q *fakeQueue) Note(context.Context, queue.Attempt, []string) error          { return nil }

const (
	// goodTasks run beside hostileTasks at a time, one attempt of each at any
	// time; before the first hostile one there were alone attempts of them.
	goodTasks    = 2
	hostileTasks = 2
	alone        = 200

	// mostMemory is what a worker may have in all, in bytes: past it its process dies.
	mostMemory = 1 << 30

	goodTask = `
task(name = "good.%d", params = schema(n = int), result = schema(sum = int, text = str), workspace = workspace_spec())

def run(workspace, params):
    total = 0
    for row in csv.dict_reader(workspace / "raw" / "a.csv"):
        total += int(row["n"]) * params.n
    (workspace / "out.txt").write_text("sum " + str(total))
    return {"sum": total, "text": (workspace / "out.txt").read_text()}
`
	goodInput  = `{"params": {"n": 1}}`
	goodOutput = `{"result":{"sum":200,"text":"sum 200"}}`

	// mayGrow is what the worker's own memory may grow by, in bytes, while one
	// more hostile task is under way; mayPeak is the same with all of them, and
	// the garbage that the Go runtime has not collected yet.
	mayGrow = 50 << 20
	mayPeak = hostileTasks * mayGrow
)

// lasting is for how long the corpus is run over and over; once it is run in any case.
var lasting = flag.Duration("for", 0, "run the hostile tasks for as long as this")

// TestHostileTasks runs the corpus on one worker, with well-behaved tasks beside
// it all the time. A worker whose bodies have processes of their own lives on
// 1 GB, its tests' included.
func TestHostileTasks(t *testing.T) {
	t.Run("process", func(t *testing.T) {
		capMemory(t)
		p := isolate.New(isolate.Options{Spares: 2})
		defer p.Close()
		grown, peak := runCorpus(t, readCorpus(t), p)
		if grown > mayGrow || peak > mayPeak {
			t.Errorf("the worker's memory grew by %d MiB, by %d MiB with garbage; want at most %d and %d",
				grown>>20, peak>>20, mayGrow>>20, mayPeak>>20)
		}
	})
	t.Run("thread", func(t *testing.T) {
		tasks := slices.DeleteFunc(readCorpus(t), func(h *task) bool { return h.process })
		runCorpus(t, tasks, engine.InProcess{})
	})
}

// capMemory bounds what this process may have until the end of the test. Its
// children raise their own bound to what each may have.
func capMemory(t *testing.T) {
	t.Helper()
	var was unix.Rlimit
	err := unix.Getrlimit(unix.RLIMIT_DATA, &was)
	if err == nil {
		err = unix.Setrlimit(unix.RLIMIT_DATA, &unix.Rlimit{Cur: min(mostMemory, was.Max), Max: was.Max})
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := unix.Setrlimit(unix.RLIMIT_DATA, &was); err != nil {
			t.Error(err)
		}
	})
}

// runCorpus runs tasks and good ones on a worker, and returns by how many bytes
// its memory grew, without and with garbage.
func runCorpus(t *testing.T, tasks []*task, body engine.Body) (grown, peak int64) {
	root, err := attempts.OpenRoot(t.TempDir(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	w := &site{queue: &fakeQueue{waiting: map[string][]queue.Attempt{}}, hostile: map[string]*task{}, good: map[string]*task{},
		results: make(chan engine.Result, 100)}
	for _, h := range tasks {
		h.prepare(t, root, body)
		if h.module != nil {
			w.hostile[h.module.Task.Name] = h
		} else if h.refused != h.want {
			t.Errorf("%s: got %s, want %s", h.name, h.refused, h.want)
		}
	}
	for n := range goodTasks {
		good := &task{data: []string{`raw/a.csv = "id,n\n" + "x,2\n" * 100`}, file: filepath.Join(t.TempDir(), "good.star")}
		if err := os.WriteFile(good.file, fmt.Appendf(nil, goodTask, n), 0o600); err != nil {
			t.Fatal(err)
		}
		good.prepare(t, root, body)
		w.good[good.module.Task.Name] = good
	}
	grown, peak = w.work(t)
	if left, err := os.ReadDir(filepath.Join(root.Path, "attempts")); err != nil || len(left) > 0 {
		t.Errorf("attempt folders left: %v, %v", left, err)
	}
	return grown, peak
}

// site is a worker with a slot for each task that runs at a time.
type site struct {
	queue   *fakeQueue
	hostile map[string]*task // by the name of the task
	good    map[string]*task
	results chan engine.Result
}

func (w *site) run(ctx context.Context, m *module.Module, a queue.Attempt, h engine.Hooks) engine.Result {
	of := w.good[m.Task.Name]
	if of == nil {
		of = w.hostile[m.Task.Name]
		h = of.told.hooked(h)
	}
	res := of.runner.Run(ctx, m, a, h)
	w.results <- res
	return res
}

// work runs the worker until every hostile task has had its attempt.
func (w *site) work(t *testing.T) (grown, peak int64) {
	drain, stop := context.WithCancel(t.Context())
	loop := &worker.Worker{Queue: w.queue, Leaser: w.queue, Slots: goodTasks + hostileTasks, PollIntervalMax: 2 * time.Millisecond, RunAttempt: w.run}
	until := time.Now().Add(*lasting)
	var all []string
	for name, h := range w.hostile {
		loop.Modules = append(loop.Modules, h.module)
		all = append(all, name)
	}
	slices.Sort(all)
	next := all
	for name, g := range w.good {
		loop.Modules = append(loop.Modules, g.module)
		w.queue.add(name, goodInput)
	}
	debug.FreeOSMemory() // what the loading of hostile files has left
	over := make(chan error, 1)
	go func() { over <- loop.Run(drain, context.Background()) }()
	goods, done := 0, 0
	var base, basePeak int64
	for left := len(next); left > 0; {
		res := <-w.results
		peak = max(peak, resident(t))
		if h := w.hostile[res.Attempt.Task]; h != nil {
			h.judge(t, res)
			done++
			if left--; left%10 == 0 { // not at each: it would leave no garbage to be seen
				debug.FreeOSMemory()
				grown = max(grown, resident(t)-base)
			}
		} else {
			if string(res.Output) != goodOutput {
				t.Errorf("a good task: got %s %s, want %s", res.Output, res.Reason, goodOutput)
			}
			w.queue.add(res.Attempt.Task, goodInput)
			switch goods++; goods {
			case alone:
				basePeak = peak
				debug.FreeOSMemory()
				base = resident(t)
			case alone + 1: // the second of two hostile ones at a time
			default:
				continue
			}
		}
		if goods >= alone && len(next) > 0 {
			w.queue.add(next[0], w.hostile[next[0]].input())
			if next = next[1:]; len(next) == 0 && time.Now().Before(until) {
				next, left = all, left+len(all)
			}
		}
	}
	stop()
	if err := <-over; err != nil {
		t.Errorf("the worker: %v", err)
	}
	peak -= basePeak
	t.Logf("%d hostile tasks, %d good attempts beside them; the worker's memory grew from %d MiB by %d MiB, with garbage from %d MiB by %d MiB",
		done, goods-alone, base>>20, grown>>20, basePeak>>20, peak>>20)
	if goods-alone < done {
		t.Errorf("%d good attempts beside %d hostile ones: too few to show anything", goods-alone, done)
	}
	return grown, peak
}

// resident is what this process holds of the machine's memory beside files, in
// bytes.
func resident(t *testing.T) int64 {
	t.Helper()
	status, err := os.ReadFile("/proc/self/status")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, _ := strings.Cut(string(status), "RssAnon:")
	var kb int64
	if _, err := fmt.Sscan(rest, &kb); err != nil {
		t.Fatal(err)
	}
	return kb << 10
}
