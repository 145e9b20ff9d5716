package storetest

import (
	"errors"
	"fmt"
	"sync"
	"testing"

	"perago/workspace/attempts"
	"perago/workspace/publish"
	"perago/workspace/storage"
)

// testRevokes lets an attempt's merge be on its way at the server while its
// retry begins: the request arrives when the retry is before, in, and after its
// own publication.
func testRevokes(t *testing.T, w world) {
	for _, arrives := range []string{"before", "between", "after"} {
		w := newWorld(t, w.Subject)
		merges := 0
		f := &Faulty{Store: w.Store, Plan: func(_ int, name string) Fault {
			if name != "Merge" {
				return None
			}
			if merges++; merges == 1 {
				return None // the self-test's
			}
			return Late
		}}
		first := outcomeOf(w.attempt(f, "one", 0).run(t.Context()))
		if first.err == nil {
			t.Fatalf("%s: an attempt none of whose merges were answered succeeded", arrives)
		}
		if arrives == "before" {
			f.Release()
		}
		retry := w.attempt(w.Store, "one", 1)
		earlier, err := retry.pub.Prepare(t.Context(), retry.publication())
		w.must(err)
		if arrives == "between" {
			f.Release()
		}
		if earlier == nil {
			w.must(retry.body(t.Context()))
			done, err := retry.pub.Publish(t.Context(), retry.publication())
			w.must(err)
			earlier = &done
		}
		w.must(retry.dir.Close(attempts.Drop))
		f.Release()
		w.onePublication(outcome{*earlier, nil})
		w.sweep()
		w.noDebris()
	}
}

// testZombie stops an attempt before each of its calls in turn, lets a retry
// run from start to end, and lets the attempt go on.
func testZombie(t *testing.T, w world) {
	healthy := &Faulty{Store: w.Store}
	_, err := w.attempt(healthy, "count", 0).run(t.Context())
	w.must(err)
	for n, call := range healthy.Calls() {
		w := newWorld(t, w.Subject)
		var retry outcome
		zombie := w.attempt(&Faulty{Store: w.Store, Plan: func(i int, _ string) Fault {
			if i == n {
				retry = outcomeOf(w.attempt(w.Store, "one", 1).run(t.Context()))
			}
			return None
		}}, "one", 0)
		woken := outcomeOf(zombie.run(t.Context()))
		if retry.err != nil {
			t.Errorf("asleep before call %d, %s: the retry failed: %v", n, call, retry.err)
			continue
		}
		w.onePublication(woken, retry)
		w.noDebris()
	}
}

// raced runs one attempt while someone commits between its last look at the
// branch and its merge.
func raced(w world, store storage.Store, level publish.FenceLevel) (*attempt, outcome) {
	w.t.Helper()
	raced := false
	f := &Faulty{Store: store}
	a := w.attempt(f, "one", 0)
	a.pub.Level = level
	f.Plan = func(_ int, name string) Fault {
		if name == "Merge" && a.saw(publish.EventMerging) == 1 && !raced {
			raced = true
			w.foreign("theirs")
		}
		return None
	}
	return a, outcomeOf(a.run(w.t.Context()))
}

func testClientRace(t *testing.T, w world) {
	a, o := raced(w, w.Store, publish.FenceClient)
	w.lostRace(o.err)
	if a.saw(publish.EventLost) != 1 {
		t.Errorf("%d events of a lost race, want 1", a.saw(publish.EventLost))
	}
	// The next attempt knows it too, and never adopts it.
	_, err := w.attempt(w.Store, "one", 1).run(t.Context())
	w.lostRace(err)
	if n := len(w.history()); n != 2 {
		t.Errorf("main has %d commits after the input, want 2: theirs and ours, nothing undone", n)
	}
}

// lostRace ends the test unless err names the merge and what it landed on.
func (w world) lostRace(err error) {
	w.t.Helper()
	history := w.history()
	ours := publications(history)
	var lost *publish.LostRaceError
	if len(ours) != 1 || !errors.As(err, &lost) {
		w.t.Fatalf("error %v with %d publications on main, want a lost race and one", err, len(ours))
	}
	if lost.Commit != ours[0].ID || lost.Onto != ours[0].Parents[0] || lost.Onto == w.input {
		w.t.Errorf("the error names %.8s on %.8s, main has %.8s on %.8s", lost.Commit, lost.Onto, ours[0].ID, ours[0].Parents[0])
	}
}

func testControl(t *testing.T, w world) {
	_, fenced := raced(w, w.Store, publish.FenceAuto)
	var moved *publish.MovedError
	if !errors.As(fenced.err, &moved) || len(publications(w.history())) != 0 {
		t.Errorf("with the fence: error %v, want that the branch moved, and nothing published", fenced.err)
	}
	control := newWorld(t, w.Subject)
	_, o := raced(control, Neutered{w.Store}, publish.FenceAuto)
	control.lostRace(o.err)
}

func testManyPublishers(t *testing.T, w world) {
	const n = 8
	outcomes := make([]outcome, n)
	var all sync.WaitGroup
	for i := range n {
		a := w.attempt(w.Store, fmt.Sprintf("task-%d", i), 0)
		all.Go(func() { outcomes[i] = outcomeOf(a.run(t.Context())) })
	}
	all.Wait()
	winners := 0
	for i, o := range outcomes {
		var moved *publish.MovedError
		switch {
		case o.err == nil:
			winners++
		case !errors.As(o.err, &moved):
			t.Errorf("publisher %d: %v, want that the branch moved", i, o.err)
		}
	}
	if winners != 1 {
		t.Errorf("%d publishers won, want 1", winners)
	}
	w.onePublication(outcomes...)
	w.noDebris()
}
