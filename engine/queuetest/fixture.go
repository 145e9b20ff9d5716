package queuetest

import (
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"perago/engine/queue"
)

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

// take polls until it gets an attempt.
func (f fixture) take() queue.Attempt {
	f.t.Helper()
	var got []queue.Attempt
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

// report reports an outcome, with Last set.
func (f fixture) report(a queue.Attempt, s queue.Status, output string) {
	f.t.Helper()
	r := queue.Report{Attempt: a, Status: s, Last: true}
	if s == queue.Completed {
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

// wantStatus waits until the attempts of a workflow have these statuses.
func (f fixture) wantStatus(workflow string, want ...queue.Status) []Task {
	f.t.Helper()
	var got []queue.Status
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

func (f fixture) wantCurrent(a queue.Attempt) {
	f.t.Helper()
	if err := f.current(a); err != nil {
		f.t.Errorf("Current: got %v, want nil", err)
	}
}

func (f fixture) wantGone(a queue.Attempt) {
	f.t.Helper()
	if err := f.current(a); !errors.Is(err, queue.ErrGone) {
		f.t.Errorf("Current: got %v, want ErrGone", err)
	}
}

// current repeats the request until it succeeds or is ErrGone: a server may be slow on a busy machine.
func (f fixture) current(a queue.Attempt) (err error) {
	f.within(func() bool {
		err = f.Leaser.Current(f.t.Context(), a)
		return err == nil || errors.Is(err, queue.ErrGone)
	})
	return err
}

// eventually waits until ok returns true, since a server may need a moment.
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

// wantJSON compares two values; numbers must be written the same.
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
