package storetest

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"testing"

	"perago/workspace/fence"
	"perago/workspace/storage"
)

func testFirstParents(t *testing.T, r repo) {
	first := r.head("main")
	want := []string{first}
	for i := range 15 {
		side := fmt.Sprintf("side-%d", i)
		r.branch(side, r.head("main"))
		r.seed(side, map[string]string{"f": fmt.Sprint(i)})
		m, err := r.merge(side, "main", nil)
		r.must(err)
		want = append(want, m.ID)
	}
	slices.Reverse(want)
	var got []string
	for c, err := range r.Store.FirstParents(t.Context(), r.name, r.head("main")) {
		r.must(err)
		got = append(got, c.ID)
	}
	// A repository may have been made with a commit below the first of ours.
	if len(got) < len(want) || !slices.Equal(got[:len(want)], want) {
		t.Errorf("first parents = %d commits, want the %d merges and the first commit, newest first", len(got), len(want))
	}
	for _, err := range r.Store.FirstParents(t.Context(), r.name, noCommit) {
		r.wants("first parents of no commit", err, storage.ErrUnknownCommit)
	}
}

func testDiff(t *testing.T, r repo) {
	first := r.head("main")
	many := map[string]string{"a/changed": "1", "a/gone": "1", "a/same": "1"}
	for i := range 1100 { // more than a page of a server
		many[fmt.Sprintf("many/%04d", i)] = "x"
	}
	older := r.seed("main", many)
	r.branch("side", older.ID) // what a common ancestor has must not matter
	r.seed("side", map[string]string{"b": "2"})
	r.must(r.Store.Remove(t.Context(), r.name, "main", []string{"a/gone"}))
	newer := r.seed("main", map[string]string{"a/changed": "22", "a/same": "1", "z/new": "333"})
	diff := func(from, to string) (got []string) {
		for d, err := range r.Store.Diff(t.Context(), r.name, from, to) {
			r.must(err)
			got = append(got, fmt.Sprintf("%s %s %d", d.Op, d.Path, d.Size))
			if stat := r.checksum(to, d.Path); d.Checksum != stat {
				t.Errorf("%s has checksum %q, the listing says %q", d.Path, d.Checksum, stat)
			}
		}
		return got
	}
	for _, c := range []struct {
		what, from, to string
		want           []string
	}{
		{"on", older.ID, newer.ID, []string{"M a/changed 2", "D a/gone 0", "A z/new 3"}},
		{"back", newer.ID, older.ID, []string{"M a/changed 1", "A a/gone 1", "D z/new 0"}},
		{"aside", r.head("side"), newer.ID, []string{"M a/changed 2", "D a/gone 0", "D b 0", "A z/new 3"}},
		{"nowhere", newer.ID, newer.ID, nil},
	} {
		if got := diff(c.from, c.to); !slices.Equal(got, c.want) {
			t.Errorf("%s: the difference is %v, want %v", c.what, got, c.want)
		}
	}
	n := 0
	for d, err := range r.Store.Diff(t.Context(), r.name, first, older.ID) {
		r.must(err)
		if n++; d.Op != storage.Added {
			t.Errorf("%s of an empty commit's successor is %s", d.Path, d.Op)
		}
	}
	if n != len(many) {
		t.Errorf("%d paths differ, want %d", n, len(many))
	}
	for _, err := range r.Store.Diff(t.Context(), r.name, first, noCommit) {
		r.wants("difference from no commit", err, storage.ErrUnknownCommit)
	}
}

func testLastChange(t *testing.T, r repo) {
	made := r.seed("main", map[string]string{"a": "1", "b": "1", "gone": "1"})
	r.branch("side", made.ID)
	side := r.seed("side", map[string]string{"a": "2"})
	apart := r.seed("main", map[string]string{"c": "1"})
	_, err := r.merge("side", "main", nil)
	r.must(err)
	r.must(r.Store.Remove(t.Context(), r.name, "main", []string{"gone"}))
	removed := r.commit("main", nil)
	for path, want := range map[string]string{
		"a":    side.ID, // not the merge
		"b":    made.ID,
		"c":    apart.ID,
		"gone": removed.ID,
	} {
		got, err := r.Store.LastChange(t.Context(), r.name, removed.ID, path)
		r.must(err)
		if got.ID != want {
			t.Errorf("%s was last changed by %.8s, want %.8s", path, got.ID, want)
		}
	}
	got, err := r.Store.LastChange(t.Context(), r.name, apart.ID, "a")
	r.must(err)
	if got.ID != made.ID {
		t.Errorf("before the merge, a was last changed by %.8s, want %.8s", got.ID, made.ID)
	}
	_, err = r.Store.LastChange(t.Context(), r.name, removed.ID, "never")
	r.wants("history of what never was", err, fs.ErrNotExist)
	_, err = r.Store.LastChange(t.Context(), r.name, noCommit, "a")
	r.wants("history in no commit", err, storage.ErrUnknownCommit)
}

func testMerge(t *testing.T, r repo) {
	a := r.seed("main", map[string]string{"a": "1"})
	r.branch("s", a.ID)
	c := r.seed("s", map[string]string{"b": "2"})
	m, err := r.merge("s", "main", map[string]string{"perago.task": "t"})
	r.must(err)
	if want := []string{a.ID, c.ID}; !slices.Equal(m.Parents, want) {
		t.Errorf("parents = %.8s, want the old head and the source: %.8s", m.Parents, want)
	}
	if m.Tree != c.Tree || m.Tree == a.Tree {
		t.Errorf("tree = %.8s, want the source's %.8s", m.Tree, c.Tree)
	}
	if m.Metadata["perago.task"] != "t" || m.Message != "a merge" {
		t.Errorf("merge commit has %q and message %q, want what was sent", m.Metadata, m.Message)
	}
	if r.head("main") != m.ID {
		t.Error("the branch is not at the merge commit")
	}
	r.sameFiles(m.ID, map[string]string{"a": "1", "b": "2"})
}

func testThreeWay(t *testing.T, r repo) {
	a := r.seed("main", map[string]string{"both": "0", "ours": "0", "theirs": "0", "drop": "0"})
	r.branch("s", a.ID)
	r.must(r.Store.Remove(t.Context(), r.name, "s", []string{"drop"}))
	c := r.seed("s", map[string]string{"theirs": "2", "both": "9", "new": "2"})
	foreign := r.seed("main", map[string]string{"ours": "1", "both": "9"})
	m, err := r.merge("s", "main", nil)
	r.must(err)
	if want := []string{foreign.ID, c.ID}; !slices.Equal(m.Parents, want) {
		t.Errorf("parents = %.8s, want %.8s", m.Parents, want)
	}
	r.sameFiles(m.ID, map[string]string{"both": "9", "ours": "1", "theirs": "2", "new": "2"})
}

func testMergeErrors(t *testing.T, r repo) {
	a := r.seed("main", map[string]string{"f": "0"})
	r.branch("s", a.ID)
	_, err := r.merge("s", "main", nil)
	r.wants("merge of what has no changes", err, storage.ErrNoChanges)
	r.seed("s", map[string]string{"f": "1"})
	_, err = r.merge("s", "main", nil)
	r.must(err)
	_, err = r.merge("s", "main", nil)
	r.wants("merge once more", err, storage.ErrNoChanges)
	r.branch("t", a.ID)
	r.seed("t", map[string]string{"f": "2"})
	before := r.head("main")
	_, err = r.merge("t", "main", nil)
	r.wants("merge of another change of the same file", err, storage.ErrConflict)
	_, err = r.merge("nope", "main", nil)
	r.wants("merge of no branch", err, storage.ErrUnknownBranch)
	_, err = r.merge("s", "nope", nil)
	r.wants("merge into no branch", err, storage.ErrUnknownBranch)
	_, err = r.Store.Merge(t.Context(), "no-such-repo", storage.Merge{Source: "s", Target: "main", Message: "m"})
	r.wants("merge in no repository", err, storage.ErrUnknownRepository)
	if _, err := r.Store.Merge(testCancelled(t.Context()), r.name, storage.Merge{Source: "t", Target: "main", Message: "m"}); err == nil {
		t.Error("a merge with a cancelled context succeeded")
	}
	if r.head("main") != before {
		t.Error("a refused merge moved the branch")
	}
}

func testDirty(t *testing.T, r repo) {
	a := r.head("main")
	r.branch("s", a)
	r.seed("s", map[string]string{"f": "1"})
	r.put("main", "left behind", "x")
	_, err := r.merge("s", "main", nil)
	r.wants("merge into a dirty branch", err, storage.ErrDirty)
	paths, err := r.Store.Uncommitted(t.Context(), r.name, "main", 5)
	r.must(err)
	if want := []string{"left behind"}; !slices.Equal(paths, want) {
		t.Errorf("Uncommitted = %q, want %q", paths, want)
	}
	r.must(r.Store.Remove(t.Context(), r.name, "main", []string{"left behind"}))
	if _, err := r.merge("s", "main", nil); err != nil {
		t.Errorf("merge into the clean branch: %v", err)
	}
}

// fenced stages one file and the hook on a branch of its own, made from a commit.
func (r repo) fenced(branch, commit, path string) storage.Commit {
	r.t.Helper()
	r.branch(branch, commit)
	return r.seed(branch, map[string]string{path: branch, fence.Path: fence.File})
}

// refusedByFence ends the test unless err is the hook's, with its mark.
func (r repo) refusedByFence(op string, err error) {
	r.t.Helper()
	var refused *storage.RefusedError
	if !errors.As(err, &refused) || !errors.Is(err, storage.ErrRefused) || !strings.Contains(refused.Hook, fence.Mark) {
		r.t.Errorf("%s: error %v, want a refusal with the mark %s", op, err, fence.Mark)
	}
}

func testFence(t *testing.T, r repo) {
	a := r.seed("main", map[string]string{"f": "0"})
	c := r.fenced("s", a.ID, "g")
	_, err := r.merge("s", "main", map[string]string{"perago.expect": c.ID})
	r.refusedByFence("merge that expects another head", err)
	_, err = r.merge("s", "main", map[string]string{"perago.expect": a.ID, "perago.commit": a.ID})
	r.refusedByFence("merge of another source than it names", err)
	if r.head("main") != a.ID {
		t.Fatal("a refused merge moved the branch")
	}
	m, err := r.merge("s", "main", map[string]string{"perago.expect": a.ID, "perago.commit": c.ID})
	r.must(err)
	if want := []string{a.ID, c.ID}; !slices.Equal(m.Parents, want) {
		t.Errorf("parents = %.8s, want %.8s", m.Parents, want)
	}
	// The loser of a race: staged from the same commit, and no conflict in the files.
	r.fenced("late", a.ID, "h")
	_, err = r.merge("late", "main", map[string]string{"perago.expect": a.ID})
	r.refusedByFence("merge onto a head that moved", err)
}

func testFenceSource(t *testing.T, r repo) {
	a := r.seed("main", map[string]string{"f": "0"})
	r.fenced("s", a.ID, "g")
	_, err := r.merge("s", "main", map[string]string{"other.key": "x"})
	r.must(err) // no perago.expect: a person's merge
	withHook := r.head("main")
	// The target has the hook, the source has not: nothing refuses.
	r.branch("bare", withHook)
	r.must(r.Store.Remove(t.Context(), r.name, "bare", []string{fence.Path}))
	r.seed("bare", map[string]string{"h": "1"})
	if _, err := r.merge("bare", "main", map[string]string{"perago.expect": noCommit}); err != nil {
		t.Errorf("merge of a source without the hook: %v; it is read from the source", err)
	}
}

func testProtected(t *testing.T, r repo) {
	ctx := context.Background()
	a := r.seed("main", map[string]string{"f": "0"})
	c := r.fenced("s", a.ID, "g")
	r.Protect(t, r.name, "main")
	_, err := r.Store.Put(ctx, r.name, "main", "x", storage.StringContent("x"))
	r.wants("put on a protected branch", err, storage.ErrProtected)
	r.wants("remove on a protected branch", r.Store.Remove(ctx, r.name, "main", []string{"f"}), storage.ErrProtected)
	_, err = r.merge("s", "main", map[string]string{"perago.expect": a.ID, "perago.commit": c.ID})
	r.must(err)
	r.fenced("late", a.ID, "h")
	_, err = r.merge("late", "main", map[string]string{"perago.expect": a.ID})
	r.refusedByFence("merge onto a protected head that moved", err)
	if err := r.Store.DeleteBranch(ctx, r.name, "main"); !errors.Is(err, storage.ErrProtected) {
		t.Errorf("delete the protected branch: error %v, want %q", err, storage.ErrProtected)
	}
}
