package queuetest

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"perago/engine/queue"
)

// Case is one property that a queue must have.
type Case struct {
	Name string
	Run  func(t *testing.T, b Backend)
}

// Run runs every case on a backend. Each case uses tasks of its own, so one server
// can be used for all of them, and again.
func Run(t *testing.T, b Backend) {
	for _, c := range Cases() {
		t.Run(c.Name, func(t *testing.T) { c.Run(t, b) })
	}
}

// Cases are the properties that worker.Worker relies on.
func Cases() []Case {
	return []Case{
		{"an empty queue gives nothing", emptyQueue},
		{"an attempt carries its ids, its lease and its input as it was written", wholeAttempt},
		{"a poll gives at most what was asked for, and nothing twice", atMost},
		{"a poll that waits is answered by what comes", waitingPoll},
		{"a poll that waits for several gives the one that is there", partBatch},
		{"Waiting names the tasks that have something queued", waitingTasks},
		{"a poll of one task gives nothing of another", ownTask},
		{"a completed attempt ends its workflow, its output as it was written", completed},
		{"a failed attempt is tried again under a new id", failed},
		{"a failed attempt without a retry left is the last", noRetryLeft},
		{"a terminal failure is never tried again", terminal},
		{"the answer to a report may carry the next attempt", next},
		{"the answer to a last report carries none", last},
		{"a second report changes nothing", twice},
		{"a report of nobody's attempt is refused", unknown},
		{"an attempt is current until it is reported", current},
		{"an attempt of a terminated workflow is not current", terminated},
		{"a lease that is not extended runs out; one that is, does not", lease},
		{"an extension does not change what an attempt is", extendTwice},
		{"lines reach the log of the task", note},
		{"unusual text is not changed", unusualText},
		{"a call on an ended context says so", endedContext},
	}
}

func emptyQueue(t *testing.T, b Backend) {
	f := newFixture(t, b, Definition{})
	f.wantEmpty()
	got, err := b.Queue.Poll(t.Context(), f.task, 3, 100*time.Millisecond)
	if err != nil || len(got) != 0 {
		t.Errorf("a poll that waits: got %v, %v, want nothing", got, err)
	}
}

// waitingTasks asks for more tasks than one request of any server takes.
func waitingTasks(t *testing.T, b Backend) {
	f := newFixture(t, b, Definition{})
	tasks := []string{f.task}
	for i := range 200 {
		tasks = append(tasks, fmt.Sprintf("%s.other-%060d", f.task, i))
	}
	look := func(want ...string) {
		t.Helper()
		if got, err := b.Queue.Waiting(t.Context(), tasks); err != nil || !slices.Equal(got, want) {
			t.Errorf("Waiting: got %q, %v, want %q", got, err, want)
		}
	}
	look()
	f.start(`{}`)
	f.eventually("the queue to have something", func() bool {
		got, err := b.Queue.Waiting(t.Context(), tasks)
		return err == nil && slices.Equal(got, tasks[:1])
	})
	a := f.take()
	look()
	f.report(a, queue.Completed, `{}`)
	look()
}

func wholeAttempt(t *testing.T, b Backend) {
	f := newFixture(t, b, Definition{ResponseTimeout: 45 * time.Second})
	params := `{"id":9007199254740993,"whole":1.0,"half":0.5,"text":"<é\n\u0000>","none":null,"list":[[],{}]}`
	flow := f.start(params)
	a := f.take()
	if a.Task != f.task || a.WorkflowID != flow || a.TaskID == "" || a.Reference == "" || a.Retry != 0 || a.Iteration != 0 {
		t.Errorf("got %+v, want task %s and workflow %s, with a task id and a reference", a, f.task, flow)
	}
	if a.ResponseTimeout != 45*time.Second {
		t.Errorf("ResponseTimeout: got %v, want 45s", a.ResponseTimeout)
	}
	wantJSON(t, "Input", a.Input, `{"params":`+params+`}`)
	if tries := f.tries(flow); len(tries) != 1 || tries[0].ID != a.TaskID || tries[0].Status != InProgress {
		t.Errorf("at the server: got %+v, want %s in progress", tries, a.TaskID)
	}
}

func atMost(t *testing.T, b Backend) {
	f := newFixture(t, b, Definition{})
	for range 5 {
		f.start(`{}`)
	}
	seen := make(map[string]bool)
	f.eventually("five attempts", func() bool {
		got, err := b.Queue.Poll(t.Context(), f.task, 2, 0)
		if err != nil || len(got) > 2 {
			t.Fatalf("Poll of 2: got %d, %v", len(got), err)
		}
		for _, a := range got {
			if seen[a.TaskID] {
				t.Errorf("%s came twice", a.TaskID)
			}
			seen[a.TaskID] = true
		}
		return len(seen) == 5
	})
	f.wantEmpty()
}

func waitingPoll(t *testing.T, b Backend) {
	f := newFixture(t, b, Definition{})
	type answer struct {
		got []queue.Attempt
		err error
	}
	answers := make(chan answer, 1)
	go func() {
		got, err := b.Queue.Poll(t.Context(), f.task, 1, 5*time.Second)
		answers <- answer{got, err}
	}()
	flow := f.start(`{}`)
	a := <-answers
	if a.err != nil || len(a.got) != 1 || a.got[0].WorkflowID != flow {
		t.Errorf("Poll: got %v, %v, want the attempt of %s", a.got, a.err, flow)
	}
}

func partBatch(t *testing.T, b Backend) {
	f := newFixture(t, b, Definition{})
	flow := f.start(`{}`)
	f.wantStatus(flow, Scheduled)
	got, err := b.Queue.Poll(t.Context(), f.task, 4, 5*time.Second)
	if err != nil || len(got) != 1 || got[0].WorkflowID != flow {
		t.Errorf("Poll: got %v, %v, want the attempt of %s", got, err, flow)
	}
}

func ownTask(t *testing.T, b Backend) {
	f, other := newFixture(t, b, Definition{}), newFixture(t, b, Definition{})
	f.start(`{}`)
	a := f.take()
	other.wantEmpty()
	if a.Task != f.task {
		t.Errorf("Task: got %s, want %s", a.Task, f.task)
	}
}

func completed(t *testing.T, b Backend) {
	f := newFixture(t, b, Definition{Retries: 3})
	flow := f.start(`{}`)
	output := `{"result":{"id":9007199254740993,"text":"<é\n>","whole":1.0,"list":[1,null,[]]},"workspace":{"ref":"abc"}}`
	f.report(f.take(), queue.Completed, output)
	tries := f.wantStatus(flow, queue.Completed)
	wantJSON(t, "output", tries[0].Output, output)
	f.wantEmpty()
}

func failed(t *testing.T, b Backend) {
	f := newFixture(t, b, Definition{Retries: 2})
	flow := f.start(`{"n":1}`)
	first := f.take()
	f.report(first, queue.Failed, "tasks/x.star:1:1: no\nbecause")
	second := f.take()
	if second.TaskID == first.TaskID || second.Retry != 1 || second.WorkflowID != flow || second.Reference != first.Reference {
		t.Errorf("second try: got %+v after %+v, want a new task id, retry 1 and the same reference", second, first)
	}
	wantJSON(t, "Input of the second try", second.Input, string(first.Input))
	tries := f.wantStatus(flow, queue.Failed, InProgress)
	if tries[0].Reason != "tasks/x.star:1:1: no\nbecause" {
		t.Errorf("reason: got %q", tries[0].Reason)
	}
	f.wantGone(first)
	f.wantCurrent(second)
}

func noRetryLeft(t *testing.T, b Backend) {
	f := newFixture(t, b, Definition{Retries: 1})
	flow := f.start(`{}`)
	f.report(f.take(), queue.Failed, "one")
	f.report(f.take(), queue.Failed, "two")
	f.wantStatus(flow, queue.Failed, queue.Failed)
	f.wantEmpty()
}

func terminal(t *testing.T, b Backend) {
	f := newFixture(t, b, Definition{Retries: 5})
	flow := f.start(`{}`)
	f.report(f.take(), queue.FailedTerminal, "never")
	if tries := f.wantStatus(flow, queue.FailedTerminal); tries[0].Reason != "never" {
		t.Errorf("reason: got %q, want never", tries[0].Reason)
	}
	f.wantEmpty()
}

func next(t *testing.T, b Backend) {
	f := newFixture(t, b, Definition{})
	flows := []string{f.start(`{}`), f.start(`{}`)}
	for _, flow := range flows {
		f.wantStatus(flow, Scheduled)
	}
	first := f.take()
	follow, err := b.Queue.Report(t.Context(), queue.Report{Attempt: first, Status: queue.Completed, Output: json.RawMessage(`{}`)})
	if err != nil {
		t.Fatalf("Report: %v", err)
	}
	if follow == nil { // both are allowed
		a := f.take()
		follow = &a
	}
	if follow.TaskID == first.TaskID || follow.Task != f.task || !slices.Contains(flows, follow.WorkflowID) || follow.ResponseTimeout != time.Minute {
		t.Errorf("got %+v, want the other attempt of %s", follow, f.task)
	}
	f.wantCurrent(*follow)
	f.wantEmpty()
}

func last(t *testing.T, b Backend) {
	f := newFixture(t, b, Definition{})
	for range 2 {
		f.wantStatus(f.start(`{}`), Scheduled)
	}
	first := f.take()
	follow, err := b.Queue.Report(t.Context(), queue.Report{Attempt: first, Status: queue.Completed, Output: json.RawMessage(`{}`), Last: true})
	if err != nil || follow != nil {
		t.Fatalf("Report: got %v, %v, want nothing", follow, err)
	}
	if second := f.take(); second.TaskID == first.TaskID {
		t.Errorf("%s came again", first.TaskID)
	}
}

func twice(t *testing.T, b Backend) {
	f := newFixture(t, b, Definition{Retries: 3})
	flow := f.start(`{}`)
	a := f.take()
	f.report(a, queue.Completed, `{"result":{"n":1}}`)
	for _, r := range []queue.Report{
		{Attempt: a, Status: queue.Completed, Output: json.RawMessage(`{"result":{"n":2}}`), Last: true},
		{Attempt: a, Status: queue.Failed, Reason: "late", Last: true},
		{Attempt: a, Status: queue.Failed, Reason: "late"},
	} {
		if next, err := b.Queue.Report(t.Context(), r); next != nil || err != nil && !errors.Is(err, queue.ErrGone) {
			t.Errorf("Report again: got %v, %v, want nothing, or ErrGone", next, err)
		}
	}
	tries := f.wantStatus(flow, queue.Completed)
	wantJSON(t, "output", tries[0].Output, `{"result":{"n":1}}`)
}

func unknown(t *testing.T, b Backend) {
	f := newFixture(t, b, Definition{})
	nobody := queue.Attempt{Task: f.task, TaskID: "nobody", WorkflowID: "nobody"}
	for _, isLast := range []bool{true, false} {
		_, err := b.Queue.Report(t.Context(), queue.Report{Attempt: nobody, Status: queue.Failed, Reason: "x", Last: isLast})
		if !errors.Is(err, queue.ErrGone) {
			t.Errorf("Report: got %v, want ErrGone", err)
		}
	}
	f.wantGone(nobody)
	if err := b.Leaser.Extend(t.Context(), nobody); !errors.Is(err, queue.ErrGone) {
		t.Errorf("Extend: got %v, want ErrGone", err)
	}
}
