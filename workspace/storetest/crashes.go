package storetest

import (
	"fmt"
	"testing"

	"perago/workspace/storage"
)

// Link is a store behind a connection that breaks as planned.
type Link interface {
	storage.Store
	Calls() []string // the names of all calls so far
	Release()        // does the late calls
	Crashed() bool   // the near side's process is dead
}

var _ Link = (*Faulty)(nil)

// TestLink runs attempts over a connection that open makes, with one fault each:
// every fault except the death of the process, at every call.
func TestLink(t *testing.T, s Subject, open func(t *testing.T, plan func(n int, name string) Fault) Link) {
	for _, fault := range []Fault{Lost, Dropped, Late, Doubled} {
		t.Run(fault.String(), func(t *testing.T) {
			t.Parallel()
			eachCall(t, newWorld(t, s), faultAt{fault: fault, once: true, open: open})
		})
	}
}

// faultCases are those of TestPublication, on the store itself: there the
// process can die as well, and the connection can stay broken.
func faultCases() []publicationCase {
	open := func(_ *testing.T, s storage.Store, plan func(int, string) Fault) Link {
		return &Faulty{Store: s, Plan: plan}
	}
	var cases []publicationCase
	add := func(name string, f faultAt) {
		cases = append(cases, publicationCase{"fault at each call: " + name, func(t *testing.T, w world) {
			f.open = func(t *testing.T, plan func(int, string) Fault) Link { return open(t, w.Store, plan) }
			eachCall(t, w, f)
		}})
	}
	for _, fault := range []Fault{Lost, Dropped, Late, Doubled, CrashFirst, CrashAfter} {
		add(fault.String(), faultAt{fault: fault, once: true})
	}
	for _, fault := range []Fault{Lost, Dropped, Late} {
		add(fault.String()+" from there on", faultAt{fault: fault})
	}
	for _, fault := range []Fault{Lost, Dropped, Late, Doubled, CrashFirst, CrashAfter} {
		add(fault.String()+", on a branch that moves", faultAt{fault: fault, once: true, moving: true})
	}
	return cases
}

// eachCall runs f at each call of an attempt without a fault.
func eachCall(t *testing.T, w world, f faultAt) {
	w.rebase = f.moving
	healthy := f.open(t, w.moving(func(int, string) Fault { return None }))
	_, err := w.attempt(healthy, "count", 0).run(t.Context())
	w.must(err)
	calls := healthy.Calls()
	for f.n, f.call = range calls {
		each := newWorld(t, w.Subject)
		each.rebase = f.moving
		f.check(each)
	}
	t.Logf("%s at each of %d calls: one commit each, all reports agree", f.fault, len(calls))
}

// faultAt is one fault at one call.
type faultAt struct {
	n     int
	call  string
	fault Fault
	once  bool // that call alone; else that one and all after it

	moving bool // others commit to the branch meanwhile
	open   func(t *testing.T, plan func(n int, name string) Fault) Link
}

func (f faultAt) check(w world) {
	w.t.Helper()
	where := fmt.Sprintf("%s at call %d, %s", f.fault, f.n, f.call)
	faulty := f.open(w.t, w.moving(func(n int, _ string) Fault {
		if n == f.n || !f.once && n > f.n {
			return f.fault
		}
		return None
	}))
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
