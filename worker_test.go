package perago

import (
	"context"
	"encoding/json"
	"sync"
	"testing"
	"time"
)

// onceQueue hands out attempts in their order, each once, and ends its worker
// when the last is reported.
type onceQueue struct {
	end context.CancelFunc

	mu      sync.Mutex
	waiting []Attempt
	reports []Report
}

func (q *onceQueue) Poll(context.Context, string, int, time.Duration) ([]Attempt, error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if len(q.waiting) == 0 {
		return nil, nil
	}
	next := q.waiting[0]
	q.waiting = q.waiting[1:]
	return []Attempt{next}, nil
}

func (q *onceQueue) Report(_ context.Context, r Report) error {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.reports = append(q.reports, r)
	if len(q.waiting) == 0 {
		q.end()
	}
	return nil
}

// goneQueue leases attempts that are no longer wanted when they publish.
type goneQueue struct{ *onceQueue }

func (goneQueue) Extend(context.Context, Attempt) error { return nil }

// Current ends the worker as well: what is gone may never be reported.
func (q goneQueue) Current(context.Context, Attempt) error {
	q.end()
	return ErrGone
}

func serve(t *testing.T, of func(*onceQueue) Queue, o RunOptions, attempts ...Attempt) []Report {
	t.Helper()
	ctx, end := context.WithCancel(t.Context())
	defer end()
	q := &onceQueue{end: end, waiting: attempts}
	o.Dir = t.TempDir()
	w := Worker{Tasks: []*Task{loadCount(t)}, Queue: of(q), Slots: 1, Options: o}
	if err := w.Run(ctx); err != nil {
		t.Fatal(err)
	}
	return q.reports
}

func TestWorkerPublishes(t *testing.T) {
	store, ref := memoryLake(t)
	raw, err := json.Marshal(map[string]any{"params": map[string]int{},
		"workspace": map[string]string{"repository": "songs", "branch": "main", "refType": "commit", "ref": ref.Commit}})
	if err != nil {
		t.Fatal(err)
	}
	var results []Result
	o := RunOptions{Lake: &Lake{store: store}, Publish: true, Mode: Thread, Metrics: func(r Result) { results = append(results, r) }}
	try := Attempt{TaskID: "one", WorkflowID: "w", Reference: "count", Input: raw, ResponseTimeout: time.Hour}

	serve(t, func(q *onceQueue) Queue { return goneQueue{q} }, o, try)
	if head, err := store.Head(t.Context(), "songs", "main"); err != nil || head != ref.Commit {
		t.Fatalf("an attempt that is gone moved the branch: %v, %v", head != ref.Commit, err)
	}

	again := try
	again.TaskID, again.Retry = "two", 1
	reports := serve(t, func(q *onceQueue) Queue { return q }, o, try, again)
	if len(reports) != 2 || reports[0].Status != Completed || string(reports[1].Output) != string(reports[0].Output) {
		t.Fatalf("got %d reports, want one of each, and the second try to adopt what the first published", len(reports))
	}
	if len(results) != 3 || results[0].Status != Failed || results[1].Adopted || !results[2].Adopted || results[2].Ref != results[1].Ref {
		t.Errorf("the metrics were told %+v", results)
	}
}

func TestWorkerThatCannotBegin(t *testing.T) {
	count := loadCount(t)
	q := &onceQueue{}
	for _, c := range []struct {
		w    Worker
		want string
	}{
		{Worker{Tasks: []*Task{count}}, "a worker needs a Queue"},
		{Worker{Queue: q}, "there is no task to serve"},
		{Worker{Tasks: []*Task{count}, Queue: q}, "the task rows.count works on a workspace: set Folder, or Lake and Ref"},
		{Worker{Tasks: []*Task{count}, Queue: q, Options: RunOptions{Ref: Ref{Commit: "c"}}}, "a worker has no Ref: the input of each attempt names its commit"},
		{Worker{Tasks: []*Task{count, count}, Queue: q, Options: RunOptions{Folder: ".", Dir: t.TempDir(), Mode: Thread}}, "task rows.count: two of the files declare it"},
	} {
		if err := c.w.Run(t.Context()); err == nil || err.Error() != c.want {
			t.Errorf("got %v, want %s", err, c.want)
		}
	}
	nameless := adapted{Queue: &onceQueue{waiting: []Attempt{{}}}}
	if _, err := nameless.Poll(t.Context(), "rows.count", 1, 0); err == nil {
		t.Error("an attempt without a TaskID was taken")
	}
}
