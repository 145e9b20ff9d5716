package storetest

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"

	"perago/workspace/fence"
	"perago/workspace/publish"
	"perago/workspace/storage"
)

// doubtCases are about what a publisher must check again, and what it must not
// believe without a check.
func doubtCases() []publicationCase {
	return []publicationCase{
		{"a publication whose answer was lost is found, and is its own", testFindsItsOwn},
		{"the attempt is asked for again before the merge is sent again", testCurrentAgain},
		{"an attempt whose staging branch is gone has been succeeded", testSucceeded},
		{"at the client level the branch is looked at just before the merge", testClientLook},
		{"a staged commit on something else is not merged", testStagedElsewhere},
		{"a hook that arrived changed is not trusted", testHookChanged},
		{"a merge that went out and was given up cannot land later", testGivenUp},
		{"a staging branch whose answer was lost goes at once", testDoubtfulBranch},
	}
}

// atMerge is a plan with one of the faults for each merge into main, in order; then none.
// The first merge of a new publisher is its self-test's.
func atMerge(faults ...Fault) func(int, string) Fault {
	merges := 0
	return func(_ int, name string) Fault {
		if name != "Merge" {
			return None
		}
		merges++
		if merges < 2 || merges > len(faults)+1 {
			return None
		}
		return faults[merges-2]
	}
}

func testFindsItsOwn(t *testing.T, w world) {
	a := w.attempt(&Faulty{Store: w.Store, Plan: atMerge(Lost)}, "one", 0)
	done, err := a.run(t.Context())
	w.must(err)
	w.onePublication(outcome{done, nil})
	if done.Adopted || done.Result != nil || a.saw(publish.EventMerging) != 1 {
		t.Errorf("Published = %+v after %d merges, want its own, after one", done, a.saw(publish.EventMerging))
	}
}

func testCurrentAgain(t *testing.T, w world) {
	gone := errors.New("the task is not IN_PROGRESS")
	asked := 0
	a := w.attempt(&Faulty{Store: w.Store, Plan: atMerge(Dropped)}, "one", 0)
	a.current = func(context.Context) error {
		if asked++; asked > 1 {
			return gone
		}
		return nil
	}
	_, err := a.run(t.Context())
	if !errors.Is(err, publish.ErrNotCurrent) || !errors.Is(err, gone) {
		t.Errorf("error %v, want %q", err, publish.ErrNotCurrent)
	}
	w.unpublished()
	w.noDebris()
}

// dropStaging deletes the staging branches of all attempts.
func (w world) dropStaging() {
	w.t.Helper()
	for name, err := range w.Store.Branches(w.t.Context(), w.name, "perago-") {
		w.must(err)
		if !strings.HasPrefix(name, "perago-selftest-") {
			w.must(w.Store.DeleteBranch(w.t.Context(), w.name, name))
		}
	}
}

func testSucceeded(t *testing.T, w world) {
	a := w.attempt(w.Store, "one", 0)
	a.current = func(context.Context) error {
		w.dropStaging() // a successor, between the question and the merge
		return nil
	}
	_, err := a.run(t.Context())
	if !errors.Is(err, publish.ErrNotCurrent) {
		t.Errorf("error %v, want %q", err, publish.ErrNotCurrent)
	}
}

func testClientLook(t *testing.T, w world) {
	a := w.attempt(w.Store, "one", 0)
	a.pub.Level = publish.FenceClient
	theirs := ""
	a.current = func(context.Context) error {
		if theirs == "" {
			theirs = w.foreign("theirs")
		}
		return nil
	}
	_, err := a.run(t.Context())
	w.wantsMoved(err, theirs)
	if n := len(publications(w.history())); n != 0 {
		t.Errorf("main has %d publications, want none", n)
	}
}

func testStagedElsewhere(t *testing.T, w world) {
	a := w.attempt(meddled{Store: w.Store, commit: func(branch string) {
		w.put(branch, "theirs", "x")
		w.commit(branch, nil)
		w.put(branch, "again", "x")
	}}, "one", 0)
	_, err := a.run(t.Context())
	if err == nil || !strings.Contains(err.Error(), w.input) {
		t.Errorf("error %v, want one that names the input commit", err)
	}
	w.unpublished()
}

func testHookChanged(t *testing.T, w world) {
	a := w.attempt(meddled{Store: w.Store, commit: func(branch string) {
		w.put(branch, fence.Path, fence.File+"# edited\n")
	}}, "one", 0)
	_, err := a.run(t.Context())
	if err == nil || !strings.Contains(err.Error(), fence.Path) {
		t.Errorf("error %v, want that the hook differs", err)
	}
	w.unpublished()
}

// meddled is a store on which somebody changes a staging branch before it is
// committed.
type meddled struct {
	storage.Store
	commit func(branch string)
}

func (m meddled) CommitBranch(ctx context.Context, repo, branch, message string, metadata map[string]string) (storage.Commit, error) {
	if !strings.HasPrefix(branch, "perago-selftest-") {
		m.commit(branch)
	}
	return m.Store.CommitBranch(ctx, repo, branch, message, metadata)
}

// testGivenUp delays requests, lets the attempt fail without a response to them, and
// only then lets the server do them.
func testGivenUp(t *testing.T, w world) {
	f := &Faulty{Store: w.Store, Plan: atMerge(slices.Repeat([]Fault{Late}, 6)...)}
	_, err := w.attempt(f, "one", 0).run(t.Context())
	if err == nil {
		t.Fatal("an attempt none of whose merges were answered succeeded")
	}
	f.Release()
	if w.head("main") != w.input {
		t.Error("a failed attempt was published later")
	}
	w.sweep()
	w.noDebris()
}

// testDoubtfulBranch loses the response to making the first staging branch: the
// attempt publishes from a second one, and leaves neither to the sweep.
func testDoubtfulBranch(t *testing.T, w world) {
	asked := 0
	f := &Faulty{Store: w.Store, Plan: func(_ int, name string) Fault {
		if name == "CreateBranch" {
			if asked++; asked == 1 {
				return Lost
			}
		}
		return None
	}}
	a := w.attempt(f, "one", 0)
	a.pub.Level = publish.FenceClient // no self-test, which makes branches too
	done, err := a.run(t.Context())
	w.must(err)
	w.onePublication(outcome{done, nil})
	if asked != 2 {
		t.Errorf("%d branches were asked for, want 2", asked)
	}
	for name, err := range w.Store.Branches(t.Context(), w.name, "perago-") {
		w.must(err)
		t.Errorf("branch %s is left", name)
	}
}
