package storetest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"
	"sync"
	"testing"

	"perago/workspace"
	"perago/workspace/attempts"
	"perago/workspace/glob"
	"perago/workspace/publish"
	"perago/workspace/storage"
)

// rebaseCases are those of a task that allows a branch that moved (on_moved = "rebase").
func rebaseCases() []publicationCase {
	return []publicationCase{
		{"rebase: on top of what others did elsewhere", testRebase},
		{"rebase: what others did to what was asked for is a clash, named", testRebaseClash},
		{"rebase: nothing written is the new head", testRebaseUnchanged},
		{"rebase: a branch that left the input is not followed", testRebaseReset},
		{"rebase: without the fence a branch that moved fails", testRebaseUnfenced},
		{"rebase: an attempt that woke late publishes nothing twice", testRebaseZombie},
		{"rebase: many publishers of different files, and other writers, all get through", testRebaseMany},
		{"rebase: the control, with the hook's comparison taken out, loses races", testRebaseControl},
	}
}

// elsewhere is where others write who do not touch what the attempts ask for.
const elsewhere = "else/"

// moving lets someone commit elsewhere before the first call of an attempt, and
// again just before its first merge into main.
func (w world) moving(plan func(int, string) Fault) func(int, string) Fault {
	if !w.rebase {
		return plan
	}
	var mu sync.Mutex
	merges := 0
	return func(n int, name string) Fault {
		mu.Lock()
		if n == 0 {
			w.foreign(elsewhere + "early")
		}
		if name == "Merge" {
			if merges++; merges == 2 { // the first is of the self-test
				w.foreign(elsewhere + "late")
			}
		}
		mu.Unlock()
		return plan(n, name)
	}
}

func testRebase(t *testing.T, w world) {
	w.rebase = true
	w.foreign(elsewhere + "before")
	f := &Faulty{Store: w.Store}
	f.Plan = w.moving(func(int, string) Fault { return None })
	a := w.attempt(f, "one", 0)
	done, err := a.run(t.Context())
	w.must(err)
	m := w.onePublication(outcome{done, nil})
	if m.Metadata["perago.input"] != w.input || m.Parents[0] == w.input {
		t.Errorf("the publication of %.8s stands on %.8s", m.Metadata["perago.input"], m.Parents[0])
	}
	if got := w.list(m.ID, elsewhere); len(got) != 3 {
		t.Errorf("of three foreign files the publication has %v", got)
	}
	if a.saw(publish.EventRebased) == 0 {
		t.Error("no event tells of the rebase")
	}
	// The report was lost: a retry adopts it, from below what others did since.
	w.foreign(elsewhere + "after")
	retry := w.attempt(w.Store, "one", 1)
	again, err := retry.run(t.Context())
	w.must(err)
	if !again.Adopted || again.Commit != m.ID {
		t.Errorf("the retry has %+v, want %.8s adopted", again, m.ID)
	}
	w.sameResult(again.Result, a.result)
	w.noDebris()
}

func testRebaseClash(t *testing.T, w world) {
	for what, c := range map[string]struct {
		change func(w world)
		want   string
	}{
		"read":               {func(w world) { w.foreign("in/a.txt") }, "in/a.txt"},
		"written there too":  {func(w world) { w.foreign("out.txt") }, "out.txt"},
		"removed there too":  {func(w world) { w.remove("old.txt") }, "old.txt"},
		"below what written": {func(w world) { w.foreign("out.txt/below") }, "out.txt/below"},
		"a new match":        {func(w world) { w.foreign("in/new.txt") }, "in/new.txt"},
	} {
		w := newWorld(t, w.Subject)
		w.rebase = true
		a := w.attempt(w.Store, "one", 0)
		_, err := a.pub.Prepare(t.Context(), a.publication())
		w.must(err)
		pattern, err := glob.Compile("in/*.txt")
		w.must(err)
		_, err = a.over.Glob(t.Context(), "", pattern)
		w.must(err)
		w.must(a.body(t.Context()))
		c.change(w)
		_, err = a.pub.Publish(t.Context(), a.publication())
		var moved *publish.MovedError
		switch {
		case !errors.As(err, &moved) || len(moved.Clashes) == 0:
			t.Errorf("%s: error %v, want a branch that moved, with what clashes", what, err)
		case moved.Clashes[0].Path != c.want || !strings.Contains(err.Error(), moved.Head) || !strings.Contains(err.Error(), moved.Input):
			t.Errorf("%s: %v, want %s and both commits named", what, err, c.want)
		}
		if n := len(publications(w.history())); n != 0 {
			t.Errorf("%s: %d publications, want none", what, n)
		}
		w.must(errors.Join(a.over.Close(), a.dir.Close(attempts.Drop)))
		w.noDebris()
	}
}

// remove commits the removal of a file from main, as a person would.
func (w world) remove(path string) {
	w.t.Helper()
	w.must(w.Store.Remove(w.t.Context(), w.name, "main", []string{path}))
	w.commit("main", nil)
}

func testRebaseUnchanged(t *testing.T, w world) {
	w.rebase = true
	quiet := func(id string, read bool) (publish.Published, error) {
		a := w.attempt(w.Store, id, 0)
		defer a.dir.Close(attempts.Drop)
		if read {
			f, err := a.over.Open(t.Context(), "in/a.txt")
			w.must(err)
			f.Close()
		}
		return a.pub.Publish(t.Context(), a.publication())
	}
	head := w.foreign(elsewhere + "x")
	done, err := quiet("one", true)
	w.must(err)
	if done.Commit != head {
		t.Errorf("Published = %.8s, want the head %.8s, which gives the same", done.Commit, head)
	}
	w.foreign("in/a.txt")
	if _, err := quiet("two", false); err != nil {
		t.Errorf("one that read nothing: %v", err)
	}
	var moved *publish.MovedError
	if _, err = quiet("three", true); !errors.As(err, &moved) || len(moved.Clashes) != 1 {
		t.Errorf("error %v, want that what was read changed", err)
	}
}

func testRebaseReset(t *testing.T, w world) {
	w.rebase = true
	w.branch("side", w.input)
	a := w.attempt(w.Store, "one", 0)
	w.must(a.body(t.Context()))
	p := a.publication()
	p.Ref.Branch = "side"
	// The branch is made anew from the first commit of the repository.
	var first string
	for c, err := range w.Store.FirstParents(t.Context(), w.name, w.input) {
		w.must(err)
		first = c.ID
	}
	w.must(w.Store.DeleteBranch(t.Context(), w.name, "side"))
	w.branch("side", first)
	w.seed("side", map[string]string{elsewhere + "y": "1"})
	_, err := a.pub.Publish(t.Context(), p)
	var moved *publish.MovedError
	if !errors.As(err, &moved) || len(moved.Clashes) > 0 {
		t.Errorf("error %v, want that the branch moved", err)
	}
	if got := w.list(w.head("side"), "out.txt"); len(got) > 0 {
		t.Errorf("the branch has %v", got)
	}
	w.must(errors.Join(a.over.Close(), a.dir.Close(attempts.Drop)))
	w.noDebris()
}

func testRebaseUnfenced(t *testing.T, w world) {
	w.rebase = true
	a := w.attempt(w.Store, "one", 0)
	a.pub.Level = publish.FenceClient
	w.foreign(elsewhere + "x")
	_, err := a.run(t.Context())
	var moved *publish.MovedError
	if !errors.As(err, &moved) || len(publications(w.history())) > 0 {
		t.Errorf("error %v, want that the branch moved, and nothing published", err)
	}
}

// testRebaseZombie is testZombie on a branch that moves.
func testRebaseZombie(t *testing.T, w world) {
	w.rebase = true
	healthy := &Faulty{Store: w.Store}
	healthy.Plan = w.moving(func(int, string) Fault { return None })
	_, err := w.attempt(healthy, "count", 0).run(t.Context())
	w.must(err)
	for n, call := range healthy.Calls() {
		w := newWorld(t, w.Subject)
		w.rebase = true
		var retry outcome
		f := &Faulty{Store: w.Store}
		f.Plan = w.moving(func(i int, _ string) Fault {
			if i == n {
				retry = outcomeOf(w.attempt(w.Store, "one", 1).run(t.Context()))
				w.foreign(elsewhere + "since")
			}
			return None
		})
		woken := outcomeOf(w.attempt(f, "one", 0).run(t.Context()))
		if retry.err != nil {
			t.Errorf("asleep before call %d, %s: the retry failed: %v", n, call, retry.err)
			continue
		}
		w.onePublication(woken, retry)
		w.noDebris()
	}
}

// testRebaseMany lets many attempts that start from one commit publish files of
// their own at the same time, while others write. The result must be what they would
// make one after another, in the order of the commits.
func testRebaseMany(t *testing.T, w world) {
	w.rebase = true
	const n, foreigners = 8, 2
	var all sync.WaitGroup
	outcomes := make([]outcome, n)
	for i := range n {
		a := w.attempt(w.Store, fmt.Sprintf("task-%d", i), 0)
		all.Go(func() { outcomes[i] = outcomeOf(a.own(t.Context(), i)) })
	}
	var theirs sync.Map
	for i := range foreigners {
		all.Go(func() {
			for round := range 3 {
				theirs.Store(w.foreignOn(fmt.Sprintf("side-%d-%d", i, round), fmt.Sprintf("%s%d/%d", elsewhere, i, round)), true)
			}
		})
	}
	all.Wait()
	files := maps.Clone(seedFiles)
	for i, o := range outcomes {
		if o.err != nil {
			t.Errorf("publisher %d: %v", i, o.err)
		}
		files[fmt.Sprintf("out/%d", i)] = fmt.Sprintf("alpha %d", i)
	}
	history := w.history()
	if got := len(publications(history)); got != n {
		t.Errorf("%d publications, want %d", got, n)
	}
	kept := 0
	for _, c := range history {
		if _, is := theirs.Load(c.ID); is {
			kept++
		}
		if c.Metadata["perago.task"] != "" && c.Parents[0] != c.Metadata["perago.expect"] {
			t.Errorf("publication %.8s stands on %.8s, it expected %.8s", c.ID, c.Parents[0], c.Metadata["perago.expect"])
		}
	}
	if kept != 3*foreigners {
		t.Errorf("%d foreign commits are on the branch, want %d", kept, 3*foreigners)
	}
	for i := range foreigners {
		for round := range 3 {
			files[fmt.Sprintf("%s%d/%d", elsewhere, i, round)] = "someone's"
		}
	}
	w.sameFiles(w.head("main"), files)
	w.noDebris()
}

// own is an attempt that reads one file and writes one of its own.
func (a *attempt) own(ctx context.Context, i int) (publish.Published, error) {
	before := a.publication()
	before.Result = nil
	if _, err := a.pub.Prepare(ctx, before); err != nil {
		return publish.Published{}, err
	}
	f, err := a.over.Open(ctx, "in/a.txt")
	if err != nil {
		return publish.Published{}, err
	}
	f.Close()
	d, err := a.over.Create(ctx, fmt.Sprintf("out/%d", i), workspace.Replace)
	if err != nil {
		return publish.Published{}, err
	}
	if _, err := fmt.Fprintf(d.File, "alpha %d", i); err != nil {
		return publish.Published{}, err
	}
	if _, err := d.Commit(ctx); err != nil {
		return publish.Published{}, err
	}
	done, err := a.pub.Publish(ctx, a.publication())
	return done, errors.Join(err, a.over.Close(), a.dir.Close(attempts.Drop))
}

// foreignOn commits a file on a branch of its own and merges it into main, as a
// person would who gets through at last.
func (w world) foreignOn(branch, path string) string {
	w.branch(branch, w.input)
	w.seed(branch, map[string]string{path: "someone's"})
	for {
		m, err := w.merge(branch, "main", nil)
		switch {
		case err == nil:
			return m.ID
		case !errors.Is(err, storage.ErrBusy) && !errors.Is(err, storage.ErrConflict):
			w.t.Errorf("merge %s: %v", branch, err)
			return ""
		}
	}
}

func testRebaseControl(t *testing.T, w world) {
	w.rebase = true
	a, o := raced(w, Neutered{w.Store}, publish.FenceAuto)
	var lost *publish.LostRaceError
	if !errors.As(o.err, &lost) || a.saw(publish.EventLost) != 1 {
		t.Errorf("error %v, want a lost race, told once", o.err)
	}
}
