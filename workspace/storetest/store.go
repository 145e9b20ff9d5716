// Package storetest tests that every store behaves the same: TestStore tests the
// calls one by one, TestPublication tests publishing when attempts crash, race and
// lose responses. The same cases run in memory always, and on a real server where
// there is one.
package storetest

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"slices"
	"strings"
	"testing"

	"perago/workspace/storage"
)

// Subject is a store under test.
type Subject struct {
	Store storage.Store
	// NewRepository makes one with the branch main at an empty first commit.
	NewRepository func(*testing.T) string
	// Protect makes a branch refuse direct writes; it returns when that holds.
	Protect func(t *testing.T, repo, branch string)
	// Bubble runs a case under a clock of its own (testing/synctest), where the
	// store needs none; nil: the case runs in real time, beside others.
	Bubble func(*testing.T, func(*testing.T))
}

// noCommit has the form of a commit id.
var noCommit = strings.Repeat("0", 64)

// TestStore runs all cases; each has a repository of its own.
func TestStore(t *testing.T, s Subject) {
	for _, c := range []struct {
		name string
		run  func(*testing.T, repo)
	}{
		{"what was put and committed is listed and read back", testRoundTrip},
		{"a listing of more than two pages is whole and sorted", testPages},
		{"names of all kinds come back as they were put", testNames},
		{"a prefix is a plain string", testPrefix},
		{"what package workspace relies on when it reads", testReader},
		{"remove and copy", testRemoveCopy},
		{"what is not there has its own error", testUnknown},
		{"a commit is found by its whole id alone", testLookup},
		{"metadata comes back, large values too", testMetadata},
		{"a commit of nothing is no commit", testNoChanges},
		{"branches are made once, dropped any number of times", testBranches},
		{"history follows first parents", testFirstParents},
		{"what differs between two commits is named", testDiff},
		{"the commit that last changed an object is found", testLastChange},
		{"a merge onto its base has both parents and the source's tree", testMerge},
		{"a merge takes both sides' changes", testThreeWay},
		{"a merge that cannot be has its own error", testMergeErrors},
		{"uncommitted objects on the target block a merge and can be named", testDirty},
		{"the fence refuses another head, and another source", testFence},
		{"the fence is read from the source, and lets other merges pass", testFenceSource},
		{"a protected branch takes merges alone", testProtected},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.run(t, repo{Subject: s, t: t, name: s.NewRepository(t)})
		})
	}
}

func testRoundTrip(t *testing.T, r repo) {
	files := map[string]string{
		"empty":       "",
		"a/small.txt": "hello\n",
		"a/large.bin": strings.Repeat("0123456789abcdef", 1<<19), // 8 MiB
	}
	for path, data := range files {
		o := r.put("main", path, data)
		if o.Path != path || o.Size != int64(len(data)) {
			t.Errorf("Put(%s) = %s of %d bytes, want %d", path, o.Path, o.Size, len(data))
		}
	}
	c := r.commit("main", nil)
	var got []string
	for o, err := range r.Store.List(t.Context(), r.name, c.ID, "") {
		r.must(err)
		got = append(got, o.Path)
		data := files[o.Path]
		if o.Size != int64(len(data)) {
			t.Errorf("%s is listed with %d bytes, want %d", o.Path, o.Size, len(data))
		}
		if o.Hashed && o.Checksum != md5Hex(data) {
			t.Errorf("%s is listed with the hash %s, want %s", o.Path, o.Checksum, md5Hex(data))
		}
		if r.read(c.ID, o.Path) != data {
			t.Errorf("%s: other bytes came back than were put", o.Path)
		}
	}
	if want := []string{"a/large.bin", "a/small.txt", "empty"}; !slices.Equal(got, want) {
		t.Errorf("listed %q, want %q", got, want)
	}
}

func testPages(t *testing.T, r repo) {
	files := make(map[string]string)
	for i := range 2100 {
		files[fmt.Sprintf("n/%04d", i)] = "x"
	}
	c := r.seed("main", files)
	if got, want := r.list(c.ID, ""), slices.Sorted(maps.Keys(files)); !slices.Equal(got, want) {
		t.Errorf("listed %d objects, want %d, sorted", len(got), len(want))
	}
	for range r.Store.List(t.Context(), r.name, c.ID, "") {
		break // a listing that is not wanted to its end must not hang or panic
	}
}

func testNames(t *testing.T, r repo) {
	files := make(map[string]string)
	for i, name := range []string{
		"plain", "with space", " outer space ", "a+b", "a%2Fb", "a%b", "q?x=1", "h#1", "semi;colon", "and&amp", "é/ü", "日本",
		`back\slash`, "a//b", "x/", "./dot", "../up", "quote\"'", "tab\tname", "new\nline", "~", "*", "[a]",
	} {
		files[name] = fmt.Sprint(i)
	}
	c := r.seed("main", files)
	r.sameFiles(c.ID, files)
	if got := r.list(c.ID, ""); !slices.IsSorted(got) {
		t.Errorf("listed %q, want it sorted by bytes", got)
	}
}

func testPrefix(t *testing.T, r repo) {
	c := r.seed("main", map[string]string{"a": "", "a/b": "", "ab": "", "b": ""})
	for prefix, want := range map[string][]string{
		"":   {"a", "a/b", "ab", "b"},
		"a":  {"a", "a/b", "ab"},
		"a/": {"a/b"},
		"c":  nil,
	} {
		if got := r.list(c.ID, prefix); !slices.Equal(got, want) {
			t.Errorf("List(%q) = %q, want %q", prefix, got, want)
		}
	}
}

func testRemoveCopy(t *testing.T, r repo) {
	ctx := t.Context()
	a := r.seed("main", map[string]string{"keep": "k", "drop": "d", "from": "f"})
	r.must(r.Store.Remove(ctx, r.name, "main", []string{"drop", "never was"}))
	r.must(r.Store.Copy(ctx, r.name, "main", storage.CopyRequest{Commit: a.ID, From: "from", To: "new/to"}))
	r.wants("copy of what is not there", r.Store.Copy(ctx, r.name, "main",
		storage.CopyRequest{Commit: a.ID, From: "nope", To: "x"}), fs.ErrNotExist)
	r.wants("copy of no commit", r.Store.Copy(ctx, r.name, "main",
		storage.CopyRequest{Commit: noCommit, From: "from", To: "x"}), storage.ErrUnknownCommit)
	r.put("main", "keep", "k2")
	b := r.commit("main", nil)
	r.sameFiles(b.ID, map[string]string{"keep": "k2", "from": "f", "new/to": "f"})
	r.sameFiles(a.ID, map[string]string{"keep": "k", "drop": "d", "from": "f"})
	var many []string
	for i := range 1500 {
		many = append(many, fmt.Sprintf("none/%d", i))
	}
	r.must(r.Store.Remove(ctx, r.name, "main", append(many, "from")))
	r.sameFiles(r.commit("main", nil).ID, map[string]string{"keep": "k2", "new/to": "f"})
}

func testUnknown(t *testing.T, r repo) {
	ctx := t.Context()
	head := r.head("main")
	listing := func(repo, commit string) (err error) {
		for _, err = range r.Store.List(ctx, repo, commit, "") {
		}
		return err
	}
	open := func(repo, commit string) error {
		_, err := r.Store.Open(ctx, repo, commit, "nope")
		return err
	}
	headOf := func(repo, branch string) error { _, err := r.Store.Head(ctx, repo, branch); return err }
	putTo := func(repo, branch string) error {
		_, err := r.Store.Put(ctx, repo, branch, "x", storage.StringContent("x"))
		return err
	}
	r.wants("list, no repository", listing("no-such-repo", head), storage.ErrUnknownRepository)
	r.wants("list, no commit", listing(r.name, noCommit), storage.ErrUnknownCommit)
	r.wants("open, no repository", open("no-such-repo", head), storage.ErrUnknownRepository)
	r.wants("open, no commit", open(r.name, noCommit), storage.ErrUnknownCommit)
	r.wants("open, no object", open(r.name, head), fs.ErrNotExist)
	r.wants("head, no repository", headOf("no-such-repo", "main"), storage.ErrUnknownRepository)
	r.wants("head, no branch", headOf(r.name, "nope"), storage.ErrUnknownBranch)
	r.wants("put, no repository", putTo("no-such-repo", "main"), storage.ErrUnknownRepository)
	r.wants("put, no branch", putTo(r.name, "nope"), storage.ErrUnknownBranch)
	broken := errors.New("the disk is gone")
	_, err := r.Store.Put(ctx, r.name, "main", "x", storage.Content{Size: 1, Open: func() (io.ReadSeekCloser, error) { return nil, broken }})
	r.wants("put of what cannot be opened", err, broken)
}

func testLookup(t *testing.T, r repo) {
	c := r.seed("main", map[string]string{"a": "1"})
	got := r.lookup(c.ID)
	if got.ID != c.ID || !slices.Equal(got.Parents, c.Parents) || len(got.Parents) != 1 || got.Message != "a commit" || got.Tree != c.Tree {
		t.Errorf("Lookup = %+v, want what CommitBranch said: %+v", got, c)
	}
	if r.head("main") != c.ID {
		t.Errorf("head = %s, want the new commit %s", r.head("main"), c.ID)
	}
	for _, id := range []string{"main", c.ID[:12], noCommit} {
		_, err := r.Store.Lookup(t.Context(), r.name, id)
		r.wants("Lookup("+id+")", err, storage.ErrUnknownCommit)
	}
	_, err := r.Store.Lookup(t.Context(), "no-such-repo", c.ID)
	r.wants("Lookup, no repository", err, storage.ErrUnknownRepository)
}

func testMetadata(t *testing.T, r repo) {
	want := map[string]string{
		"perago.result": `{"long": "` + strings.Repeat("é", 30<<10) + `"}`,
		"perago.task":   "a/b%2Fc/0",
	}
	r.put("main", "a", "1")
	c := r.commit("main", want)
	got := r.lookup(c.ID).Metadata
	for key, value := range want {
		if got[key] != value {
			t.Errorf("metadata %s has %d bytes, want the %d that were given", key, len(got[key]), len(value))
		}
	}
}

func testNoChanges(t *testing.T, r repo) {
	ctx := t.Context()
	_, err := r.Store.CommitBranch(ctx, r.name, "main", "m", nil)
	r.wants("commit of nothing", err, storage.ErrNoChanges)
	_, err = r.Store.CommitBranch(ctx, r.name, "nope", "m", nil)
	r.wants("commit of no branch", err, storage.ErrUnknownBranch)
}

func testBranches(t *testing.T, r repo) {
	ctx := t.Context()
	head := r.head("main")
	for _, name := range []string{"p-b", "p-a", "q"} {
		r.branch(name, head)
	}
	r.wants("make it again", r.Store.CreateBranch(ctx, r.name, "q", head), storage.ErrBranchExists)
	r.wants("make it of nothing", r.Store.CreateBranch(ctx, r.name, "z", noCommit), storage.ErrUnknownCommit)
	r.wants("make it nowhere", r.Store.CreateBranch(ctx, "no-such-repo", "z", head), storage.ErrUnknownRepository)
	names := func(prefix string) (got []string) {
		for name, err := range r.Store.Branches(ctx, r.name, prefix) {
			r.must(err)
			got = append(got, name)
		}
		slices.Sort(got)
		return got
	}
	if got, want := names("p-"), []string{"p-a", "p-b"}; !slices.Equal(got, want) {
		t.Errorf("branches p-* = %q, want %q", got, want)
	}
	for range 2 {
		r.must(r.Store.DeleteBranch(ctx, r.name, "p-a"))
	}
	if got, want := names("p-"), []string{"p-b"}; !slices.Equal(got, want) {
		t.Errorf("branches p-* after a deletion = %q, want %q", got, want)
	}
	if err := r.Store.DeleteBranch(ctx, "no-such-repo", "x"); !errors.Is(err, storage.ErrUnknownRepository) {
		t.Errorf("delete in no repository: error %v, want %q", err, storage.ErrUnknownRepository)
	}
	if got, err := r.Store.DefaultBranch(ctx, r.name); err != nil || got != "main" {
		t.Errorf("DefaultBranch = %q, %v, want main", got, err)
	}
	r.branch("other", r.seed("q", map[string]string{"a": "1"}).ID)
	if r.head("other") != r.head("q") || r.head("main") != head {
		t.Error("a branch made from a commit is not at it")
	}
}

func testCancelled(ctx context.Context) context.Context {
	ctx, cancel := context.WithCancel(ctx)
	cancel()
	return ctx
}
