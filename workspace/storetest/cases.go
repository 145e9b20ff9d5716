package storetest

import (
	"context"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	"perago/workspace"
	"perago/workspace/attempts"
	"perago/workspace/fence"
	"perago/workspace/publish"
	"perago/workspace/storage"
)

// TestPublication runs the protocol of docs/publication.md. It checks what anybody
// can see afterwards: the history of the branch, the files of its commits, and which
// branches and folders are left.
func TestPublication(t *testing.T, s Subject) {
	cases := []publicationCase{
		{"one commit with both parents, the files and the metadata", testPublishes},
		{"nothing written is the input commit", testUnchanged},
		{"a read-only task never looks at the branch", testReadOnly},
		{"a branch that moved stops the attempt before the body, and after it", testMoved},
		{"a retry adopts what was published and not reported", testAdopts},
		{"a large result is adopted too", testAdoptsLarge},
		{"another task, or another input, is not adopted", testNotOurs},
		{"what someone made to look like a publication is not adopted", testForged},
		{"an attempt that is no longer current publishes nothing", testNotCurrent},
		{"a cancelled attempt leaves nothing", testCancel},
		{"another hook's refusal is final, with its text", testForeignHook},
		{"so is one of the staging branch", testNoBranch},
		{"uncommitted objects are waited for, then named", testDirtyTarget},
		{"a protected branch is published to", testProtectedTarget},
		{"an edited or missing hook is put back", testHookPutBack},
		{"a retry revokes its predecessor's merge that is on its way", testRevokes},
		{"an attempt that woke late never publishes over its successor", testZombie},
		{"at the client level a lost race is known, named, and not undone", testClientRace},
		{"the control: with the hook's comparison taken out, a race is lost", testControl},
		{"of many publishers from one commit one wins", testManyPublishers},
		{"the hook is installed, told and removed by hand", testFenceByHand},
	}
	for _, c := range slices.Concat(cases, rebaseCases(), doubtCases(), faultCases()) {
		t.Run(c.name, func(t *testing.T) {
			if s.Bubble == nil {
				t.Parallel()
				c.run(t, newWorld(t, s))
				return
			}
			s.Bubble(t, func(t *testing.T) { c.run(t, newWorld(t, s)) })
		})
	}
}

type publicationCase struct {
	name string
	run  func(*testing.T, world)
}

func testPublishes(t *testing.T, w world) {
	a := w.attempt(w.Store, "one", 0)
	done, err := a.run(t.Context())
	w.must(err)
	m := w.onePublication(outcome{done, nil})
	if done.Adopted || done.Result != nil {
		t.Errorf("Published = %+v, want a publication of its own", done)
	}
	if got, want := metadataKeys(m), []string{"perago.attempt", "perago.commit", "perago.expect", "perago.input", "perago.staging", "perago.task"}; !slices.Equal(got, want) {
		t.Errorf("metadata of the merge = %q, want %q", got, want)
	}
	for key, want := range map[string]string{"perago.expect": w.input, "perago.input": w.input, "perago.commit": m.Parents[1], "perago.task": "wf-one/ref/0"} {
		if m.Metadata[key] != want {
			t.Errorf("%s = %q, want %q", key, m.Metadata[key], want)
		}
	}
	if want := "suite: wf-one/ref"; m.Message != want {
		t.Errorf("message = %q, want %q", m.Message, want)
	}
	c := w.lookup(m.Parents[1])
	if c.Metadata["perago.result"] != a.result {
		t.Errorf("perago.result = %q, want %q", c.Metadata["perago.result"], a.result)
	}
	if got := w.read(m.ID, fence.Path); got != fence.File {
		t.Errorf("the hook at the publication = %.60q…, want ours", got)
	}
	for _, e := range a.events {
		if e.Kind == publish.EventStaged && (e.Puts != 2 || e.Copies != 1 || e.Drops != 1 || e.Bytes != int64(len("written")+len("changed")) || e.Commit != c.ID) {
			t.Errorf("staged event = %+v, want 2 puts of 14 bytes, a copy, a deletion, and the commit", e)
		}
	}
	if n := a.saw(publish.EventStaged) + a.saw(publish.EventPublished); n != 2 {
		t.Errorf("%d events of staging and publishing, want one each", n)
	}
	w.noDebris()
}

func testUnchanged(t *testing.T, w world) {
	publish := func(id string) (publish.Published, error) {
		a := w.attempt(w.Store, id, 0)
		defer a.dir.Close(attempts.Drop)
		return a.pub.Publish(t.Context(), a.publication())
	}
	done, err := publish("none")
	w.must(err)
	if done.Commit != w.input || w.head("main") != w.input {
		t.Errorf("Published = %.8s, main at %.8s, want both at the input %.8s", done.Commit, w.head("main"), w.input)
	}
	// What is written is what was there: no commit either.
	a := w.attempt(w.Store, "same", 0)
	d, err := a.over.Create(t.Context(), "in/a.txt", workspace.Replace)
	w.must(err)
	_, err = d.File.WriteString(seedFiles["in/a.txt"])
	w.must(err)
	_, err = d.Commit(t.Context())
	w.must(err)
	done, err = a.pub.Publish(t.Context(), a.publication())
	w.must(errors.Join(err, a.dir.Close(attempts.Drop)))
	if done.Commit != w.input || w.head("main") != w.input {
		t.Errorf("a rewrite with the same bytes: Published = %.8s, main at %.8s, want the input %.8s", done.Commit, w.head("main"), w.input)
	}
	moved := w.foreign("theirs")
	_, err = publish("late")
	w.wantsMoved(err, moved)
}

// wantsMoved ends the test unless err names both commits.
func (w world) wantsMoved(err error, head string) {
	w.t.Helper()
	var e *publish.MovedError
	if !errors.As(err, &e) || e.Head != head || e.Input != w.input {
		w.t.Errorf("error %v, want one that says that main moved to %.8s", err, head)
		return
	}
	if text := e.Error(); !strings.Contains(text, head) || !strings.Contains(text, w.input) {
		w.t.Errorf("error %q does not name both commits", text)
	}
}

func testReadOnly(t *testing.T, w world) {
	a := w.attempt(w.Store, "ro", 3)
	defer a.dir.Close(attempts.Drop)
	p := a.publication()
	p.ReadOnly, p.Ref.Branch = true, "no-such-branch"
	if earlier, err := a.pub.Prepare(t.Context(), p); earlier != nil || err != nil {
		t.Errorf("Prepare = %v, %v, want nothing", earlier, err)
	}
	done, err := a.pub.Publish(t.Context(), p)
	if err != nil || done.Commit != w.input {
		t.Errorf("Publish = %.8s, %v, want the input commit", done.Commit, err)
	}
}

func testMoved(t *testing.T, w world) {
	a := w.attempt(w.Store, "after", 0)
	earlier, err := a.pub.Prepare(t.Context(), a.publication())
	w.must(err)
	if earlier != nil {
		t.Fatalf("Prepare = %+v, want nothing", earlier)
	}
	w.must(a.body(t.Context()))
	moved := w.foreign("theirs")
	_, err = a.pub.Publish(t.Context(), a.publication())
	w.wantsMoved(err, moved)
	w.must(a.dir.Close(attempts.Drop))

	b := w.attempt(w.Store, "before", 0)
	_, err = b.pub.Prepare(t.Context(), b.publication())
	w.wantsMoved(err, moved)
	w.must(b.dir.Close(attempts.Drop))

	// Only an attempt that is current may end the task for good.
	late := w.attempt(w.Store, "late", 0)
	gone := errors.New("the task is not IN_PROGRESS")
	late.current = func(context.Context) error { return gone }
	_, err = late.pub.Prepare(t.Context(), late.publication())
	if !errors.Is(err, publish.ErrNotCurrent) || !errors.Is(err, gone) || errors.As(err, new(*publish.MovedError)) {
		t.Errorf("an attempt that is not current: error %v, want %q", err, publish.ErrNotCurrent)
	}
	w.must(late.dir.Close(attempts.Drop))
	if w.head("main") != moved {
		t.Error("main is not where someone left it")
	}
	w.noDebris()
}

func testAdopts(t *testing.T, w world) {
	done, err := w.attempt(w.Store, "one", 0).run(t.Context())
	w.must(err)
	later := w.foreign("theirs") // whatever came after it
	a := w.attempt(w.Store, "one", 1)
	again, err := a.run(t.Context())
	w.must(err)
	if again.Commit != done.Commit || !again.Adopted {
		t.Errorf("the retry = %+v, want the adopted %.8s", again, done.Commit)
	}
	w.sameResult(again.Result, a.result)
	if w.head("main") != later {
		t.Error("adopting moved the branch")
	}
	if a.saw(publish.EventAdopted) != 1 {
		t.Errorf("%d adopted events, want 1", a.saw(publish.EventAdopted))
	}
	w.noDebris()
}

func testAdoptsLarge(t *testing.T, w world) {
	first := w.attempt(w.Store, "big", 0)
	first.result = `"` + strings.Repeat("x", 70<<10) + `"`
	done, err := first.run(t.Context())
	w.must(err)
	if value := w.lookup(w.lookup(done.Commit).Parents[1]).Metadata["perago.result"]; value != "" {
		t.Errorf("perago.result has %d bytes, want none: the result is an object", len(value))
	}
	again, err := w.attempt(w.Store, "big", 1).run(t.Context())
	w.must(err)
	w.sameResult(again.Result, first.result)
}

func testNotOurs(t *testing.T, w world) {
	done, err := w.attempt(w.Store, "one", 0).run(t.Context())
	w.must(err)
	_, err = w.attempt(w.Store, "two", 0).run(t.Context())
	w.wantsMoved(err, done.Commit)
	// The same task with another input, as when a workflow is run again.
	next := w
	next.input = w.foreign("theirs")
	a := next.attempt(w.Store, "one", 0)
	again, err := a.run(t.Context())
	w.must(err)
	if again.Adopted || again.Commit == done.Commit {
		t.Errorf("another input = %+v, want a publication of its own", again)
	}
}

// testForged lets someone who may merge put the keys of a task on merges of their own.
func testForged(t *testing.T, w world) {
	for name, mark := range map[string]bool{"the keys on the merge alone": false, "the keys on both commits": true} {
		w := newWorld(t, w.Subject)
		keys := map[string]string{"perago.task": "wf-one/ref/0", "perago.input": w.input, "perago.attempt": "one-0/0", "perago.staging": "forge"}
		staged := map[string]string{"perago.result": `"forged"`}
		if mark {
			maps.Copy(staged, keys)
		}
		w.branch("forge", w.input)
		w.put("forge", "theirs", "x")
		keys["perago.commit"] = w.commit("forge", staged).ID
		m, err := w.merge("forge", "main", keys)
		w.must(err)
		done, err := w.attempt(w.Store, "one", 1).run(t.Context())
		w.wantsMoved(err, m.ID)
		if done.Adopted || err == nil || !strings.Contains(err.Error(), "was not made by it") {
			t.Errorf("%s: %+v, %v, want that it is not adopted, and why", name, done, err)
		}
	}
	// The real one is on the branch, and below what someone made to hide it.
	real := w.attempt(w.Store, "one", 0)
	done, err := real.run(t.Context())
	w.must(err)
	staged := w.lookup(w.lookup(done.Commit).Parents[1])
	w.branch("forge", done.Commit)
	w.put("forge", "theirs", "x")
	w.commit("forge", nil)
	keys := maps.Clone(w.lookup(done.Commit).Metadata)
	delete(keys, "perago.expect")
	_, err = w.merge("forge", "main", keys)
	w.must(err)
	again, err := w.attempt(w.Store, "one", 1).run(t.Context())
	w.must(err)
	if !again.Adopted || again.Commit != done.Commit || string(again.Result) != staged.Metadata["perago.result"] {
		t.Errorf("the retry = %+v, want the adopted %.8s", again, done.Commit)
	}
}

func testNotCurrent(t *testing.T, w world) {
	gone := errors.New("the task is not IN_PROGRESS")
	a := w.attempt(w.Store, "one", 0)
	a.current = func(context.Context) error { return gone }
	_, err := a.run(t.Context())
	if !errors.Is(err, publish.ErrNotCurrent) || !errors.Is(err, gone) {
		t.Errorf("error %v, want %q around %q", err, publish.ErrNotCurrent, gone)
	}
	w.unpublished()
	w.noDebris()
}

// testCancel cancels the attempt at every call in turn.
func testCancel(t *testing.T, w world) {
	healthy := &Faulty{Store: w.Store}
	_, err := w.attempt(healthy, "count", 0).run(t.Context())
	w.must(err)
	calls := healthy.Calls()
	for n := range calls {
		w := newWorld(t, w.Subject)
		ctx, cancel := context.WithCancelCause(t.Context())
		lost := errors.New("lease lost")
		a := w.attempt(&Faulty{Store: w.Store, Finish: true, Plan: func(i int, _ string) Fault {
			if i == n {
				cancel(lost)
			}
			return None
		}}, "one", 0)
		done, err := a.run(ctx)
		cancel(nil)
		w.agrees(outcome{done, err}, calls[n])
		w.noDebris()
	}
}

// agrees checks invariant 5 for an attempt that is over: it succeeded if and
// only if its commit is on main.
func (w world) agrees(o outcome, when string) {
	w.t.Helper()
	ours := publications(w.history())
	switch {
	case o.err == nil && (len(ours) != 1 || ours[0].ID != o.done.Commit):
		w.t.Errorf("%s: the attempt reports %.8s, main has %d publications", when, o.done.Commit, len(ours))
	case o.err != nil && len(ours) != 0:
		w.t.Errorf("%s: the attempt failed (%v), main has its commit", when, o.err)
	}
}

func testForeignHook(t *testing.T, w world) {
	f := &Faulty{Store: policy{w.Store}}
	a := w.attempt(f, "one", 0)
	_, err := a.run(t.Context())
	var hook *publish.HookError
	if !errors.As(err, &hook) || !strings.Contains(hook.Error(), "policy: no csv on main") {
		t.Errorf("error %v, want the hook's own text", err)
	}
	if n := a.saw(publish.EventMerging); n != 1 {
		t.Errorf("%d merges were sent, want 1: a refusal by another hook is final", n)
	}
	w.unpublished()
	w.noDebris()
}

// testNoBranch checks that a hook which refuses the staging branch is reported at once.
func testNoBranch(t *testing.T, w world) {
	f := &unbranched{Store: w.Store}
	_, err := w.attempt(f, "one", 0).run(t.Context())
	var hook *publish.HookError
	if !errors.As(err, &hook) || !strings.Contains(hook.Error(), "policy: no branches") || f.asked != 1 {
		t.Errorf("error %v after %d tries, want the hook's own text after one", err, f.asked)
	}
	w.noDebris()
}

// unbranched is a store with a hook of the repository's owner on new staging branches.
type unbranched struct {
	storage.Store
	asked int
}

func (u *unbranched) CreateBranch(ctx context.Context, repo, branch, commit string) error {
	if strings.Contains(branch, "selftest") {
		return u.Store.CreateBranch(ctx, repo, branch, commit)
	}
	u.asked++
	return &storage.RefusedError{Hook: "policy: no branches"}
}

// policy is a store with a hook of the repository's owner on main.
type policy struct{ storage.Store }

func (p policy) Merge(ctx context.Context, repo string, m storage.Merge) (string, error) {
	if m.Target == "main" {
		return "", &storage.RefusedError{Hook: "policy: no csv on main"}
	}
	return p.Store.Merge(ctx, repo, m)
}

func testDirtyTarget(t *testing.T, w world) {
	w.put("main", "left behind", "x")
	_, err := w.attempt(w.Store, "one", 0).run(t.Context())
	var dirty *publish.DirtyError
	if !errors.As(err, &dirty) || dirty.Path != "left behind" {
		t.Errorf("error %v, want one that names what is uncommitted", err)
	}
	w.noDebris()
	// It is waited for: here it goes away after the second try.
	merges := 0
	f := &Faulty{Store: w.Store, Plan: func(_ int, name string) Fault {
		if name == "Merge" {
			if merges++; merges == 3 { // the self-test's, the first try, the second
				w.must(w.Store.Remove(t.Context(), w.name, "main", []string{"left behind"}))
			}
		}
		return None
	}}
	done, err := w.attempt(f, "two", 0).run(t.Context())
	w.must(err)
	w.onePublication(outcome{done, nil})
}

func testProtectedTarget(t *testing.T, w world) {
	w.Protect(t, w.name, "main")
	done, err := w.attempt(w.Store, "one", 0).run(t.Context())
	w.must(err)
	w.onePublication(outcome{done, nil})
}

func testHookPutBack(t *testing.T, w world) {
	for what, change := range map[string]func(world){
		"edited":  func(w world) { w.put("main", fence.Path, "name: nothing\non:\n  pre-merge:\nhooks: []\n") },
		"longer":  func(w world) { w.put("main", fence.Path, fence.File+"# and more\n") },
		"removed": func(w world) { w.must(w.Store.Remove(t.Context(), w.name, "main", []string{fence.Path})) },
	} {
		w := newWorld(t, w.Subject)
		_, err := fence.Install(t.Context(), w.Store, w.name, "main")
		w.must(err)
		change(w)
		w.input = w.commit("main", nil).ID
		done, err := w.attempt(w.Store, "one", 0).run(t.Context())
		w.must(err)
		if got := w.read(done.Commit, fence.Path); got != fence.File {
			t.Errorf("%s: the hook at the publication = %.60q…, want ours", what, got)
		}
	}
}

func testFenceByHand(t *testing.T, w world) {
	ctx := t.Context()
	status := func(want fence.State) {
		t.Helper()
		got, err := fence.Status(ctx, w.Store, w.name, "main")
		if err != nil || got != want {
			t.Errorf("FenceStatus = %q, %v, want %q", got, err, want)
		}
	}
	status(fence.Absent)
	at, err := fence.Install(ctx, w.Store, w.name, "main")
	w.must(err)
	status(fence.Installed)
	again, err := fence.Install(ctx, w.Store, w.name, "main")
	w.must(err)
	if again != at || w.head("main") != at {
		t.Errorf("installed twice: %.8s, then %.8s, want one commit", at, again)
	}
	_, err = fence.Remove(ctx, w.Store, w.name, "main")
	w.must(err)
	status(fence.Absent)
	w.put("main", fence.Path, "edited")
	w.commit("main", nil)
	status(fence.Differs)
	w.sameFiles(w.head("main"), seedFiles)
	w.noDebris()
}
