package engine

import (
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"

	"perago/engine/queue"
	"perago/starlib/diag"
	"perago/workspace/publish"
	"perago/workspace/storage"
)

// TestStatusOf is the table of statusOf, with each error wrapped the way it arrives.
func TestStatusOf(t *testing.T) {
	list := diag.List{{Message: "m"}}
	for _, tt := range []struct {
		err  error
		want queue.Status
	}{
		{nil, queue.Completed},
		{&InputError{list}, queue.FailedTerminal},
		{fmt.Errorf("head: %w", storage.ErrUnknownRepository), queue.FailedTerminal},
		{fmt.Errorf("list: %w", storage.ErrUnknownCommit), queue.FailedTerminal},
		{&GuardError{Failures: list}, queue.FailedTerminal},
		{&GuardError{Failures: list, Post: true}, queue.Failed},
		{&BodyError{Diagnostics: list, Terminal: true}, queue.FailedTerminal},
		{&BodyError{Diagnostics: list}, queue.Failed},
		{fmt.Errorf("publish: %w", &publish.LostRaceError{}), queue.FailedTerminal},
		{fmt.Errorf("publish: %w", &publish.MovedError{}), queue.FailedTerminal},
		{&AdoptedError{Diagnostics: list}, queue.FailedTerminal},
		{&publish.DoubtError{Err: &publish.MovedError{}}, queue.Failed},
		{fmt.Errorf("%w: %w", publish.ErrNotCurrent, queue.ErrGone), queue.Failed},
		{&publish.HookError{}, queue.Failed},
		{&publish.DirtyError{}, queue.Failed},
		{storage.ErrUnknownBranch, queue.Failed},
		{queue.ErrLeaseLost, queue.Failed},
		{queue.ErrForced, queue.Failed},
		{&PanicError{Value: 1}, queue.Failed},
		{io.ErrUnexpectedEOF, queue.Failed},
	} {
		if got := statusOf(tt.err, "any"); got != tt.want {
			t.Errorf("statusOf(%v) = %s, want %s", tt.err, got, tt.want)
		}
	}
}

// With retry(on = "transient") what the same commit must give again is terminal;
// what another attempt may not meet stays FAILED.
func TestStatusOfTransient(t *testing.T) {
	body := func(code diag.Code) error { return &BodyError{Diagnostics: diag.List{{Code: code, Message: "m"}}} }
	for _, tt := range []struct {
		err     error
		repeats bool
	}{
		{body("P4112"), true}, // a broken CSV
		{body("P4104"), true}, // not UTF-8
		{body("P4101"), true}, // no such file
		{body("P4204"), true}, // a key that is not there
		{body("P3105"), true}, // the result's schema
		{body("P4001"), true}, // steps
		{body("P4003"), true}, // memory
		{body("P4009"), true}, // output
		{&GuardError{Failures: diag.List{{Message: "m"}}, Post: true}, true},
		{body("P4002"), false}, // time
		{body("P4010"), false}, // the process died
		{body("P4012"), false},
		{body("P4108"), false}, // a transfer
		{body("P4160"), false}, // fail: the author wants a retry
		{body("P4224"), false}, // stopped from outside
		{body("P4901"), false},
		{body("P4999"), false},
		{&PanicError{Value: 1}, false},
		{queue.ErrLeaseLost, false},
		{&publish.HookError{}, false},
		{&publish.DoubtError{Err: &publish.MovedError{}}, false},
		{io.ErrUnexpectedEOF, false},
	} {
		want := queue.Failed
		if tt.repeats {
			want = queue.FailedTerminal
		}
		if got := statusOf(tt.err, "transient"); got != want {
			t.Errorf("statusOf(%v, transient) = %s, want %s", tt.err, got, want)
		}
		if got := statusOf(tt.err, "any"); got != queue.Failed {
			t.Errorf("statusOf(%v, any) = %s, want FAILED", tt.err, got)
		}
	}
	long := reason(diag.List{{Message: strings.Repeat("é", 600)}}, again, 0)
	if got := []rune(long); len(got) != 500 || !strings.HasSuffix(long, "…"+again) {
		t.Errorf("got %d characters ending %q, want 500 and the note", len(got), long[len(long)-60:])
	}
}

// What a person can do about the surroundings is said where it is known.
func TestHintsOfTheSurroundings(t *testing.T) {
	for _, tt := range []struct {
		err  error
		want string // part of it; "" is none
	}{
		{fmt.Errorf("head: %w", storage.ErrUnknownRepository), "workspace.repository of the input"},
		{fmt.Errorf("list: %w", storage.ErrUnknownCommit), "workspace.ref of the input"},
		{fmt.Errorf("head: %w", storage.ErrUnknownBranch), "workspace.branch of the input"},
		{fmt.Errorf("stage: %w", storage.ErrProtected), "perago-*"},
		{&publish.MovedError{}, "the commit that the branch is at"},
		{&publish.DoubtError{ReadErr: io.ErrUnexpectedEOF, Err: &publish.MovedError{}}, "a retry adopts it"},
		{io.ErrUnexpectedEOF, ""},
	} {
		d := diagnosticsOf(tt.err)[0]
		if !strings.Contains(d.Hint, tt.want) || (d.Hint == "") != (tt.want == "") {
			t.Errorf("%v: hint %q, want %q", tt.err, d.Hint, tt.want)
		}
	}
}

func TestReasonIsCut(t *testing.T) {
	list := diag.List{{Message: strings.Repeat("é", 600)}}
	if got := []rune(reason(list, "", 0)); len(got) != 500 || got[499] != '…' {
		t.Errorf("%d characters ending in %q, want 500 ending in …", len(got), got[len(got)-1])
	}
	if got := diagnosticsOf(errors.New("x"))[0]; got.Code != "P4901" || got.Message != "x" {
		t.Errorf("a plain error became %+v", got)
	}
}
