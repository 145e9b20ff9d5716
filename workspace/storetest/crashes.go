package storetest

import (
	"fmt"
	"testing"
)

// faultCases let one call of an attempt go wrong, every call in turn and in
// every way, and then run the task's next attempt.
func faultCases() []publicationCase {
	var cases []publicationCase
	for _, fault := range []Fault{Lost, Dropped, Late, Doubled, CrashFirst, CrashAfter} {
		for _, once := range []bool{true, false} {
			if !once && (fault == CrashFirst || fault == CrashAfter || fault == Doubled) {
				continue
			}
			name := fmt.Sprintf("fault at each call: %s", fault)
			if !once {
				name += " from there on"
			}
			cases = append(cases, publicationCase{name, func(t *testing.T, w world) {
				for n, call := range callsOf(t, w) {
					f := faultAt{n: n, call: call, fault: fault, once: once}
					f.check(newWorld(t, w.Subject))
				}
			}})
		}
	}
	return cases
}

// callsOf are the calls of an attempt without a fault.
func callsOf(t *testing.T, w world) []string {
	t.Helper()
	healthy := &Faulty{Store: w.Store}
	_, err := w.attempt(healthy, "count", 0).run(t.Context())
	w.must(err)
	return healthy.Calls()
}

// faultAt is one fault at one call.
type faultAt struct {
	n     int
	call  string
	fault Fault
	once  bool // that call alone; else that one and all after it
}

func (f faultAt) check(w world) {
	w.t.Helper()
	where := fmt.Sprintf("%s at call %d, %s", f.fault, f.n, f.call)
	faulty := &Faulty{Store: w.Store, Plan: func(n int, _ string) Fault {
		if n == f.n || !f.once && n > f.n {
			return f.fault
		}
		return None
	}}
	first := outcomeOf(w.attempt(faulty, "one", 0).run(w.t.Context()))
	if f.once && !faulty.Crashed() {
		w.agrees(first, where)
	}
	// What comes next: the sweep of a restarted worker, someone else's commit
	// when the attempt has published, and the retry.
	if faulty.Crashed() {
		w.sweep()
	}
	onMain := len(publications(w.history()))
	if onMain > 1 {
		w.t.Fatalf("%s: main has %d publications of one attempt", where, onMain)
	}
	theirs := ""
	if onMain == 1 {
		theirs = w.foreign("theirs")
	}
	retry := w.attempt(w.Store, "one", 1)
	second := outcomeOf(retry.run(w.t.Context()))
	if second.err != nil {
		w.t.Fatalf("%s: the retry failed: %v", where, second.err)
	}
	faulty.Release()
	w.onePublication(first, second)
	if got := string(resultOf(second, retry.result)); got != retry.result {
		w.t.Errorf("%s: the retry's result = %s, want %s", where, got, retry.result)
	}
	if theirs != "" && w.head("main") != theirs {
		w.t.Errorf("%s: someone's commit is no longer the head", where)
	}
	w.sweep()
	w.noDebris()
	if w.t.Failed() {
		w.t.Fatalf("%s: first attempt: %.8s, %v; second: %.8s", where, first.done.Commit, first.err, second.done.Commit)
	}
}
