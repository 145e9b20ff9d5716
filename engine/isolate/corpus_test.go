package isolate

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"perago/engine"
	"perago/workspace"
	"perago/workspace/folder"
)

// The corpus is ../../testdata/hostile: task files that mean no good, and the
// data they read. The head of each says what must become of it:
//
//	# want: FAILED P4006:8        status, code, line (0: any); or COMPLETED and the result
//	# want: refused P1502:11      it cannot even be loaded
//	# modes: process              not run in thread mode, which does not promise it
//	# data: raw/x.json = "[" * 1500000 + "x"     a file of its workspace
//	# data: raw/x.bin = zeros 1000000000         a sparse one
//	# data: raw/out -> /etc/passwd               a symlink
var listOutcomes = flag.Bool("hostile", false, "print what became of every hostile task")

type hostileTask struct {
	name    string
	file    string
	want    string
	process bool // only
	data    []string
	module  *engine.Module // nil: refused
	refused string         // "refused CODE:LINE"
	runner  *engine.Runner
}

func readCorpus(t *testing.T) (tasks []*hostileTask) {
	t.Helper()
	files, err := filepath.Glob("../../testdata/hostile/*.star")
	if err != nil || len(files) < 80 {
		t.Fatalf("%d hostile tasks, %v; want at least 80", len(files), err)
	}
	for _, file := range files {
		source, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		h := &hostileTask{name: strings.TrimSuffix(filepath.Base(file), ".star"), file: file}
		for line := range strings.Lines(string(source)) {
			key, value, _ := strings.Cut(strings.TrimSpace(strings.TrimPrefix(line, "#")), ": ")
			switch {
			case !strings.HasPrefix(line, "# "):
			case key == "want":
				h.want = value
			case key == "modes":
				h.process = value == "process"
			case key == "data":
				h.data = append(h.data, value)
			}
		}
		tasks = append(tasks, h)
	}
	return tasks
}

// prepare makes the workspace of a task and loads it.
func (h *hostileTask) prepare(t *testing.T, root *workspace.Root) {
	t.Helper()
	dir := t.TempDir()
	for _, d := range h.data {
		plant(t, dir, d)
	}
	store, err := folder.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	h.runner = &engine.Runner{Store: store, Root: root, Fixed: &workspace.Ref{}}
	m, problems := engine.Load(h.file, nil)
	if len(problems) > 0 {
		h.refused = fmt.Sprintf("refused %s:%d", problems[0].Code, problems[0].Line)
	}
	h.module = m
}

// plant makes one file of a workspace as its directive says.
func plant(t *testing.T, dir, directive string) {
	t.Helper()
	name, value, ok := strings.Cut(directive, " = ")
	if link, to, isLink := strings.Cut(directive, " -> "); isLink {
		name, value, ok = link, to, true
		defer func() {
			if err := os.Symlink(to, filepath.Join(dir, link)); err != nil {
				t.Fatal(err)
			}
		}()
	}
	path := filepath.Join(dir, name)
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil || !ok {
		t.Fatalf("data %s: %v", directive, err)
	}
	if strings.Contains(directive, " -> ") {
		return
	}
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if size, zeros := strings.CutPrefix(value, "zeros "); zeros {
		n, _ := strconv.ParseInt(size, 10, 64)
		if err := f.Truncate(n); err != nil {
			t.Fatal(err)
		}
		return
	}
	for part := range strings.SplitSeq(value, " + ") {
		quoted, times, _ := strings.Cut(part, `" * `)
		if !strings.HasSuffix(quoted, `"`) {
			quoted += `"`
		}
		text, err := strconv.Unquote(quoted)
		if err != nil {
			t.Fatalf("data %s: %q: %v", directive, quoted, err)
		}
		n := 1
		if times != "" {
			n, _ = strconv.Atoi(times)
		}
		chunk := strings.Repeat(text, min(n, 1<<16))
		for left := n; left > 0; left -= 1 << 16 {
			if _, err := f.WriteString(chunk[:min(left, 1<<16)*len(text)]); err != nil {
				t.Fatal(err)
			}
		}
	}
}

// corpusQueue hands out attempts by task.
type corpusQueue struct {
	mu      sync.Mutex
	waiting map[string][]engine.Attempt
	ids     int
}

func (q *corpusQueue) add(task string, input string) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.ids++
	id := fmt.Sprint("id", q.ids)
	q.waiting[task] = append(q.waiting[task], engine.Attempt{Task: task, TaskID: id, WorkflowID: id, Input: json.RawMessage(input)})
}

func (q *corpusQueue) Poll(_ context.Context, task string, most int, _ time.Duration) ([]engine.Attempt, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	got := q.waiting[task]
	got, q.waiting[task] = got[:min(len(got), most)], got[min(len(got), most):]
	return got, nil
}

func (q *corpusQueue) Report(context.Context, engine.Report) (*engine.Attempt, error) {
	return nil, nil
}
func (q *corpusQueue) Extend(context.Context, engine.Attempt) error         { return nil }
func (q *corpusQueue) Current(context.Context, engine.Attempt) error        { return nil }
func (q *corpusQueue) Note(context.Context, engine.Attempt, []string) error { return nil }

const goodTask = `
task(name = "good.%d", params = schema(n = int), result = schema(sum = int, text = str), workspace = workspace_spec())

def run(workspace, params):
    total = 0
    for row in csv.dict_reader(workspace / "raw" / "a.csv"):
        total += int(row["n"]) * params.n
    (workspace / "out.txt").write_text("sum " + str(total))
    return {"sum": total, "text": (workspace / "out.txt").read_text()}
`

// TestHostileTasks runs the corpus on one worker, with three well-behaved tasks
// beside it all the time.
func TestHostileTasks(t *testing.T) {
	for _, mode := range []string{"process", "thread"} {
		t.Run(mode, func(t *testing.T) { runCorpus(t, mode) })
	}
}

func runCorpus(t *testing.T, mode string) {
	root, err := workspace.OpenRoot(t.TempDir(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	var body engine.Body = engine.InProcess{}
	if mode == "process" {
		p := New(Options{Spares: 2})
		defer p.Close()
		body = p
	}
	tasks := slices.DeleteFunc(readCorpus(t), func(h *hostileTask) bool { return h.process && mode == "thread" })
	w := &corpusWorker{queue: &corpusQueue{waiting: map[string][]engine.Attempt{}}, runners: map[*engine.Module]*engine.Runner{},
		results: make(chan engine.Result, 100)}
	var modules []*engine.Module
	for _, h := range tasks {
		h.prepare(t, root)
		if h.module != nil {
			h.runner.Body = body
			if h.module.Task.Resources.Seconds == 1 {
				h.runner.Ceiling.Wall = 300 * time.Millisecond // the operator's; the corpus is long
			}
			w.runners[h.module] = h.runner
			modules = append(modules, h.module)
		} else if h.refused != h.want {
			t.Errorf("%s: got %s, want %s", h.name, h.refused, h.want)
		}
	}
	for n := range 3 {
		good := &hostileTask{data: []string{`raw/a.csv = "id,n\n" + "x,2\n" * 100`}}
		good.file = filepath.Join(t.TempDir(), "good.star")
		if err := os.WriteFile(good.file, fmt.Appendf(nil, goodTask, n), 0o600); err != nil {
			t.Fatal(err)
		}
		good.prepare(t, root)
		good.runner.Body = body
		w.runners[good.module] = good.runner
		modules = append(modules, good.module)
	}
	w.run(t, modules, tasks, mode)
	if left, err := os.ReadDir(filepath.Join(root.Path, "attempts")); err != nil || len(left) > 0 {
		t.Errorf("attempt folders left: %v, %v", left, err)
	}
}

// alone is how many good attempts run before the first hostile one.
const alone = 200

// corpusWorker is a worker with two slots for hostile tasks and three for good ones.
type corpusWorker struct {
	queue   *corpusQueue
	runners map[*engine.Module]*engine.Runner
	results chan engine.Result
}

func (w *corpusWorker) run(t *testing.T, modules []*engine.Module, tasks []*hostileTask, mode string) {
	drain, stop := context.WithCancel(t.Context())
	worker := &engine.Worker{Queue: w.queue, Leaser: w.queue, Modules: modules, Slots: 5, PollIntervalMax: 2 * time.Millisecond,
		RunAttempt: func(ctx context.Context, m *engine.Module, a engine.Attempt, h engine.Hooks) engine.Result {
			res := w.runners[m].Run(ctx, m, a, h)
			w.results <- res
			return res
		}}
	// Little garbage: what this process holds is then what it needs.
	defer debug.SetGCPercent(debug.SetGCPercent(10))
	debug.FreeOSMemory()
	over := make(chan error, 1)
	go func() { over <- worker.Run(drain, context.Background()) }()
	for n := range 3 {
		w.queue.add(fmt.Sprintf("good.%d", n), `{"params": {"n": 1}}`)
	}
	byName := map[string]*hostileTask{}
	var queued []*hostileTask
	for _, h := range tasks {
		if h.module != nil {
			byName[h.module.Task.Name] = h
			queued = append(queued, h)
		}
	}
	next := func() {
		if len(queued) > 0 {
			w.queue.add(queued[0].module.Task.Name, `{"params": {}}`)
			queued = queued[1:]
		}
	}
	goods, before, most := 0, int64(0), int64(0)
	for left := len(byName); left > 0; {
		res := <-w.results
		most = max(most, resident(t))
		h := byName[res.Attempt.Task]
		if h == nil {
			if goods++; goods == alone {
				before = most
				next()
				next()
			}
			if want := `{"result":{"sum":200,"text":"sum 200"}}`; string(res.Output) != want {
				t.Errorf("a good task: got %s %s, want %s", res.Output, res.Reason, want)
			}
			w.queue.add(res.Attempt.Task, `{"params": {"n": 1}}`)
			continue
		}
		left--
		h.judge(t, res)
		next()
	}
	stop()
	if err := <-over; err != nil {
		t.Errorf("the worker: %v", err)
	}
	t.Logf("%d hostile tasks, %d good attempts beside them; resident memory of the worker grew by %d MiB", len(byName), goods, (most-before)>>20)
	if mode == "process" && most-before > 20<<20 && !raceEnabled {
		t.Errorf("the worker's memory grew by %d MiB, want less than 20", (most-before)>>20)
	}
	if goods -= alone; goods < len(byName) {
		t.Errorf("%d good attempts beside %d hostile ones: too few to show anything", goods, len(byName))
	}
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

// judge holds what became of a task against its head.
func (h *hostileTask) judge(t *testing.T, res engine.Result) {
	got := string(res.Status)
	var d string
	if len(res.Diagnostics) > 0 {
		d = fmt.Sprintf(" %s:%d", res.Diagnostics[0].Code, res.Diagnostics[0].Line)
		got += d
	} else {
		var out struct{ Result json.RawMessage }
		if err := json.Unmarshal(res.Output, &out); err != nil {
			t.Errorf("%s: output %.100s: %v", h.name, res.Output, err)
		}
		got += " " + string(out.Result)
	}
	if *listOutcomes {
		fmt.Printf("%s\t%s\t%v peak %d MiB\t%s\n", h.name, got, res.Phases.Body.Round(time.Millisecond), res.Body.PeakBytes>>20, res.Reason)
	}
	if h.want != got && h.want != strings.TrimSuffix(got, d)+anyLine(d) {
		t.Errorf("%s:\n got %s (%s)\nwant %s", h.name, got, res.Reason, h.want)
	}
	limits := res.Limits
	if limits.Wall > 0 && res.Phases.Body > limits.Wall+5*time.Second {
		t.Errorf("%s: took %v, its limit is %v", h.name, res.Phases.Body, limits.Wall)
	}
	if res.Body.PeakBytes > 2*limits.Memory {
		t.Errorf("%s: held %d MiB, its limit is %d MiB", h.name, res.Body.PeakBytes>>20, limits.Memory>>20)
	}
	if len([]rune(res.Reason)) > 500 {
		t.Errorf("%s: a reason of %d characters", h.name, len([]rune(res.Reason)))
	}
}

// anyLine is " CODE:0" of " CODE:LINE".
func anyLine(d string) string {
	code, _, _ := strings.Cut(d, ":")
	return code + ":0"
}
