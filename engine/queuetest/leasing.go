package queuetest

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"
	"time"

	"perago/engine/queue"
)

// This file has the cases about current attempts, about leases, and about what a
// worker reports besides the outcome.

func current(t *testing.T, b Backend) {
	f := newFixture(t, b, Definition{})
	f.start(`{}`)
	a := f.take()
	f.wantCurrent(a)
	other := a
	other.Retry++
	f.wantGone(other)
	f.report(a, queue.Completed, `{}`)
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
		return errors.Is(b.Leaser.Current(t.Context(), a), queue.ErrGone)
	})
	_, err := b.Queue.Report(t.Context(), queue.Report{Attempt: a, Status: queue.Completed, Output: json.RawMessage(`{}`), Last: true})
	if err != nil && !errors.Is(err, queue.ErrGone) {
		t.Errorf("Report: got %v, want nil or ErrGone", err)
	}
	f.wantStatus(flow, Canceled)
}

// lease extends one attempt until the lease of another one has expired.
func lease(t *testing.T, b Backend) {
	f := newFixture(t, b, Definition{Retries: 1, ResponseTimeout: 3 * time.Second})
	kept, dropped := f.start(`{}`), f.start(`{}`)
	attempts := map[string]queue.Attempt{}
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
	// The first attempt is over: a report of it is ignored.
	_, err := b.Queue.Report(t.Context(), queue.Report{Attempt: attempts[dropped], Status: queue.Completed, Output: json.RawMessage(`{}`), Last: true})
	if err != nil && !errors.Is(err, queue.ErrGone) {
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
	f.report(a, queue.Completed, `{}`)
	if err := b.Leaser.Extend(t.Context(), a); err != nil && !errors.Is(err, queue.ErrGone) {
		t.Errorf("Extend after the report: got %v, want nil or ErrGone", err)
	}
	f.wantStatus(flow, queue.Completed)
}

func note(t *testing.T, b Backend) {
	f := newFixture(t, b, Definition{})
	flow := f.start(`{}`)
	a := f.take()
	if err := b.Leaser.Note(t.Context(), a, []string{"one", `"two" <é>`}); err != nil {
		t.Fatalf("Note: %v", err)
	}
	r := queue.Report{Attempt: a, Status: queue.Failed, Reason: "x", Log: []string{"three\nfour"}, Last: true}
	if _, err := b.Queue.Report(t.Context(), r); err != nil {
		t.Fatalf("Report: %v", err)
	}
	want := "one\n\"two\" <é>\nthree\nfour"
	f.eventually("the log of the task", func() bool {
		return strings.Join(f.tries(flow)[0].Log, "\n") == want
	})
}

func unusualText(t *testing.T, b Backend) {
	f := newFixture(t, b, Definition{})
	flow := f.start(`{}`)
	text := "é 漢 🙂 %s %n \\ \" ' <script> & \t end"
	a := f.take()
	f.report(a, queue.FailedTerminal, text)
	if tries := f.wantStatus(flow, queue.FailedTerminal); tries[0].Reason != text {
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
	_, reportErr := b.Queue.Report(ctx, queue.Report{Attempt: a, Status: queue.Completed, Output: json.RawMessage(`{}`)})
	for name, err := range map[string]error{"Poll": pollErr, "Report": reportErr,
		"Extend": b.Leaser.Extend(ctx, a), "Current": b.Leaser.Current(ctx, a), "Note": b.Leaser.Note(ctx, a, []string{"x"})} {
		if !errors.Is(err, context.Canceled) {
			t.Errorf("%s: got %v, want context.Canceled", name, err)
		}
	}
	f.wantCurrent(a)
}
