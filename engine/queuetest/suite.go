package queuetest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"perago/engine"
)

// Case is one promise of a queue.
type Case struct {
	Name string
	Run  func(t *testing.T, b Backend)
}

// Run holds a backend to every case. The cases use tasks of their own, so one
// server may serve them all, and be used again.
func Run(t *testing.T, b Backend) {
	for _, c := range Cases() {
		t.Run(c.Name, func(t *testing.T) { c.Run(t, b) })
	}
}

// Cases are the promises that engine.Worker builds on.
func Cases() []Case {
	return []Case{
		{"an empty queue gives nothing", emptyQueue},
		{"an attempt carries its ids, its lease and its input as it was written", wholeAttempt},
		{"a poll gives at most what was asked for, and nothing twice", atMost},
		{"a poll that waits is answered by what comes", waitingPoll},
		{"a poll that waits for several gives the one that is there", partBatch},
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
		{"odd text comes through whole", oddText},
		{"a call on an ended context says so", endedContext},
	}
}

// fixture is one task on a backend.
type fixture struct {
	Backend
	t    *testing.T
	task string
}

func newFixture(t *testing.T, b Backend, d Definition) fixture {
	t.Helper()
	d.Name = fmt.Sprintf("queuetest.%d", rand.Uint32())
	if d.ResponseTimeout == 0 {
		d.ResponseTimeout = time.Minute
	}
	if err := b.Server.Define(t.Context(), d); err != nil {
		t.Fatalf("Define: %v", err)
	}
	return fixture{b, t, d.Name}
}

// start starts a workflow.
func (f fixture) start(params string) (workflow string) {
	f.t.Helper()
	workflow, err := f.Server.Start(f.t.Context(), f.task, json.RawMessage(`{"params":`+params+`}`))
	if err != nil {
		f.t.Fatalf("Start: %v", err)
	}
	return workflow
}

// take polls until there is an attempt.
func (f fixture) take() engine.Attempt {
	f.t.Helper()
	var got []engine.Attempt
	f.eventually("an attempt", func() bool {
		var err error
		if got, err = f.Queue.Poll(f.t.Context(), f.task, 1, 100*time.Millisecond); err != nil {
			f.t.Fatalf("Poll: %v", err)
		}
		return len(got) > 0
	})
	if len(got) > 1 {
		f.t.Fatalf("Poll of 1: got %d attempts", len(got))
	}
	return got[0]
}

// wantEmpty polls once.
func (f fixture) wantEmpty() {
	f.t.Helper()
	got, err := f.Queue.Poll(f.t.Context(), f.task, 5, 0)
	if err != nil || len(got) != 0 {
		f.t.Errorf("Poll of an empty queue: got %v, %v, want nothing", got, err)
	}
}

// report delivers an outcome, on a last report.
func (f fixture) report(a engine.Attempt, s engine.Status, output string) {
	f.t.Helper()
	r := engine.Report{Attempt: a, Status: s, Last: true}
	if s == engine.Completed {
		r.Output = json.RawMessage(output)
	} else {
		r.Reason = output
	}
	if _, err := f.Queue.Report(f.t.Context(), r); err != nil {
		f.t.Fatalf("Report: %v", err)
	}
}

func (f fixture) tries(workflow string) []Task {
	f.t.Helper()
	tasks, err := f.Server.Tasks(f.t.Context(), workflow)
	if err != nil {
		f.t.Fatalf("Tasks: %v", err)
	}
	return tasks
}

// wantStatus waits until the tries of a workflow have these statuses.
func (f fixture) wantStatus(workflow string, want ...engine.Status) []Task {
	f.t.Helper()
	var got []engine.Status
	var tasks []Task
	ok := f.within(func() bool {
		tasks, got = f.tries(workflow), nil
		for _, t := range tasks {
			got = append(got, t.Status)
		}
		return slices.Equal(got, want)
	})
	if !ok {
		f.t.Fatalf("tries: got %v, want %v", got, want)
	}
	return tasks
}

func (f fixture) wantCurrent(a engine.Attempt) {
	f.t.Helper()
	if err := f.Leaser.Current(f.t.Context(), a); err != nil {
		f.t.Errorf("Current: got %v, want nil", err)
	}
}

func (f fixture) wantGone(a engine.Attempt) {
	f.t.Helper()
	if err := f.Leaser.Current(f.t.Context(), a); !errors.Is(err, engine.ErrGone) {
		f.t.Errorf("Current: got %v, want ErrGone", err)
	}
}

// eventually waits for ok, which a server may need a moment for.
func (f fixture) eventually(what string, ok func() bool) {
	f.t.Helper()
	if !f.within(ok) {
		f.t.Fatalf("waited in vain for %s", what)
	}
}

func (f fixture) within(ok func() bool) bool {
	deadline := time.After(time.Minute)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-deadline:
			return ok()
		}
	}
	return true
}

func emptyQueue(t *testing.T, b Backend) {
	f := newFixture(t, b, Definition{})
	f.wantEmpty()
	got, err := b.Queue.Poll(t.Context(), f.task, 3, 100*time.Millisecond)
	if err != nil || len(got) != 0 {
		t.Errorf("a poll that waits: got %v, %v, want nothing", got, err)
	}
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

// wantJSON compares two values; a number has to be written the same.
func wantJSON(t *testing.T, what string, got json.RawMessage, want string) {
	t.Helper()
	parse := func(s string) (v any) {
		d := json.NewDecoder(strings.NewReader(s))
		d.UseNumber()
		if err := d.Decode(&v); err != nil {
			t.Errorf("%s: %v in %s", what, err, s)
		}
		return v
	}
	if !reflect.DeepEqual(parse(string(got)), parse(want)) {
		t.Errorf("%s: got %s, want %s", what, got, want)
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
		got []engine.Attempt
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
	f.report(f.take(), engine.Completed, output)
	tries := f.wantStatus(flow, engine.Completed)
	wantJSON(t, "output", tries[0].Output, output)
	f.wantEmpty()
}

func failed(t *testing.T, b Backend) {
	f := newFixture(t, b, Definition{Retries: 2})
	flow := f.start(`{"n":1}`)
	first := f.take()
	f.report(first, engine.Failed, "tasks/x.star:1:1: no\nbecause")
	second := f.take()
	if second.TaskID == first.TaskID || second.Retry != 1 || second.WorkflowID != flow || second.Reference != first.Reference {
		t.Errorf("second try: got %+v after %+v, want a new task id, retry 1 and the same reference", second, first)
	}
	wantJSON(t, "Input of the second try", second.Input, string(first.Input))
	tries := f.wantStatus(flow, engine.Failed, InProgress)
	if tries[0].Reason != "tasks/x.star:1:1: no\nbecause" {
		t.Errorf("reason: got %q", tries[0].Reason)
	}
	f.wantGone(first)
	f.wantCurrent(second)
}

func noRetryLeft(t *testing.T, b Backend) {
	f := newFixture(t, b, Definition{Retries: 1})
	flow := f.start(`{}`)
	f.report(f.take(), engine.Failed, "one")
	f.report(f.take(), engine.Failed, "two")
	f.wantStatus(flow, engine.Failed, engine.Failed)
	f.wantEmpty()
}

func terminal(t *testing.T, b Backend) {
	f := newFixture(t, b, Definition{Retries: 5})
	flow := f.start(`{}`)
	f.report(f.take(), engine.FailedTerminal, "never")
	if tries := f.wantStatus(flow, engine.FailedTerminal); tries[0].Reason != "never" {
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
	follow, err := b.Queue.Report(t.Context(), engine.Report{Attempt: first, Status: engine.Completed, Output: json.RawMessage(`{}`)})
	if err != nil {
		t.Fatalf("Report: %v", err)
	}
	if follow == nil { // it may, and need not
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
	follow, err := b.Queue.Report(t.Context(), engine.Report{Attempt: first, Status: engine.Completed, Output: json.RawMessage(`{}`), Last: true})
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
	f.report(a, engine.Completed, `{"result":{"n":1}}`)
	for _, r := range []engine.Report{
		{Attempt: a, Status: engine.Completed, Output: json.RawMessage(`{"result":{"n":2}}`), Last: true},
		{Attempt: a, Status: engine.Failed, Reason: "late", Last: true},
		{Attempt: a, Status: engine.Failed, Reason: "late"},
	} {
		if next, err := b.Queue.Report(t.Context(), r); next != nil || err != nil && !errors.Is(err, engine.ErrGone) {
			t.Errorf("Report again: got %v, %v, want nothing, or ErrGone", next, err)
		}
	}
	tries := f.wantStatus(flow, engine.Completed)
	wantJSON(t, "output", tries[0].Output, `{"result":{"n":1}}`)
}

func unknown(t *testing.T, b Backend) {
	f := newFixture(t, b, Definition{})
	nobody := engine.Attempt{Task: f.task, TaskID: "nobody", WorkflowID: "nobody"}
	for _, isLast := range []bool{true, false} {
		_, err := b.Queue.Report(t.Context(), engine.Report{Attempt: nobody, Status: engine.Failed, Reason: "x", Last: isLast})
		if !errors.Is(err, engine.ErrGone) {
			t.Errorf("Report: got %v, want ErrGone", err)
		}
	}
	f.wantGone(nobody)
	if err := b.Leaser.Extend(t.Context(), nobody); !errors.Is(err, engine.ErrGone) {
		t.Errorf("Extend: got %v, want ErrGone", err)
	}
}

func current(t *testing.T, b Backend) {
	f := newFixture(t, b, Definition{})
	f.start(`{}`)
	a := f.take()
	f.wantCurrent(a)
	other := a
	other.Retry++
	f.wantGone(other)
	f.report(a, engine.Completed, `{}`)
	f.wantGone(a)
}

func terminated(t *testing.T, b Backend) {
	f := newFixture(t, b, Definition{Retries: 3})
	flow := f.start(`{}`)
	a := f.take()
	if err := b.Server.Terminate(t.Context(), flow); err != nil {
		t.Fatalf("Terminate: %v", err)
	}
	f.eventually("the attempt to be gone", func() bool {
		return errors.Is(b.Leaser.Current(t.Context(), a), engine.ErrGone)
	})
	_, err := b.Queue.Report(t.Context(), engine.Report{Attempt: a, Status: engine.Completed, Output: json.RawMessage(`{}`), Last: true})
	if err != nil && !errors.Is(err, engine.ErrGone) {
		t.Errorf("Report: got %v, want nil or ErrGone", err)
	}
	f.wantStatus(flow, Canceled)
}

// lease extends one attempt for as long as another one needs to run out.
func lease(t *testing.T, b Backend) {
	f := newFixture(t, b, Definition{Retries: 1, ResponseTimeout: 3 * time.Second})
	kept, dropped := f.start(`{}`), f.start(`{}`)
	attempts := map[string]engine.Attempt{}
	for range 2 {
		a := f.take()
		attempts[a.WorkflowID] = a
	}
	f.eventually("the other lease to run out", func() bool {
		if err := b.Leaser.Extend(t.Context(), attempts[kept]); err != nil {
			t.Fatalf("Extend: %v", err)
		}
		return f.tries(dropped)[0].Status == TimedOut
	})
	f.wantCurrent(attempts[kept])
	f.wantGone(attempts[dropped])
	second := f.take()
	if second.WorkflowID != dropped || second.Retry != 1 {
		t.Errorf("got %+v, want the second try of %s", second, dropped)
	}
	// The first try is over: what its worker says of it is not heard.
	_, err := b.Queue.Report(t.Context(), engine.Report{Attempt: attempts[dropped], Status: engine.Completed, Output: json.RawMessage(`{}`), Last: true})
	if err != nil && !errors.Is(err, engine.ErrGone) {
		t.Errorf("Report: got %v, want nil or ErrGone", err)
	}
	if got := f.tries(dropped)[0].Status; got != TimedOut {
		t.Errorf("first try after a late report: got %s, want %s", got, TimedOut)
	}
}

func extendTwice(t *testing.T, b Backend) {
	f := newFixture(t, b, Definition{})
	flow := f.start(`{}`)
	a := f.take()
	for range 3 {
		if err := b.Leaser.Extend(t.Context(), a); err != nil {
			t.Fatalf("Extend: %v", err)
		}
		f.wantEmpty() // it is not on the queue again
	}
	f.wantStatus(flow, InProgress)
	f.report(a, engine.Completed, `{}`)
	if err := b.Leaser.Extend(t.Context(), a); err != nil && !errors.Is(err, engine.ErrGone) {
		t.Errorf("Extend after the report: got %v, want nil or ErrGone", err)
	}
	f.wantStatus(flow, engine.Completed)
}

func note(t *testing.T, b Backend) {
	f := newFixture(t, b, Definition{})
	flow := f.start(`{}`)
	a := f.take()
	if err := b.Leaser.Note(t.Context(), a, []string{"one", `"two" <é>`}); err != nil {
		t.Fatalf("Note: %v", err)
	}
	r := engine.Report{Attempt: a, Status: engine.Failed, Reason: "x", Log: []string{"three\nfour"}, Last: true}
	if _, err := b.Queue.Report(t.Context(), r); err != nil {
		t.Fatalf("Report: %v", err)
	}
	want := "one\n\"two\" <é>\nthree\nfour"
	f.eventually("the log of the task", func() bool {
		return strings.Join(f.tries(flow)[0].Log, "\n") == want
	})
}

func oddText(t *testing.T, b Backend) {
	f := newFixture(t, b, Definition{})
	flow := f.start(`{}`)
	text := "é 漢 🙂 %s %n \\ \" ' <script> & \t end"
	a := f.take()
	f.report(a, engine.FailedTerminal, text)
	if tries := f.wantStatus(flow, engine.FailedTerminal); tries[0].Reason != text {
		t.Errorf("reason: got %q, want %q", tries[0].Reason, text)
	}
}

func endedContext(t *testing.T, b Backend) {
	f := newFixture(t, b, Definition{})
	f.start(`{}`)
	a := f.take()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, pollErr := b.Queue.Poll(ctx, f.task, 1, time.Second)
	_, reportErr := b.Queue.Report(ctx, engine.Report{Attempt: a, Status: engine.Completed, Output: json.RawMessage(`{}`)})
	for name, err := range map[string]error{"Poll": pollErr, "Report": reportErr,
		"Extend": b.Leaser.Extend(ctx, a), "Current": b.Leaser.Current(ctx, a), "Note": b.Leaser.Note(ctx, a, []string{"x"})} {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%s: got %v, want context.Canceled", name, err)
		}
	}
	f.wantCurrent(a)
}
