package publish_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"perago/workspace"
	"perago/workspace/attempts"
	"perago/workspace/memory"
	"perago/workspace/publish"
	"perago/workspace/storage"
	"perago/workspace/storetest"
)

// counted counts the self-tests that reach a store, and lets them fail.
type counted struct {
	storage.Store
	tests atomic.Int64
	fail  atomic.Bool
}

func (c *counted) CreateBranch(ctx context.Context, repo, branch, commit string) error {
	if strings.HasPrefix(branch, "perago-selftest-") && strings.HasSuffix(branch, "-from") {
		c.tests.Add(1)
		if c.fail.Load() {
			return errors.New("connection refused")
		}
	}
	return c.Store.CreateBranch(ctx, repo, branch, commit)
}

// publishOne publishes one file of a task of its own from the head of main.
func publishOne(t *testing.T, pub *publish.Publisher, repo, id string) error {
	t.Helper()
	ctx := t.Context()
	head, err := pub.Store.Head(ctx, repo, "main")
	if err != nil {
		t.Fatal(err)
	}
	ref := workspace.Ref{Repository: repo, Branch: "main", Commit: head}
	over := workspace.NewOverlay(pub.Store, ref, workspace.OverlayOptions{Dir: t.TempDir()})
	defer over.Close()
	d, err := over.Create(ctx, id, workspace.Replace)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := d.Commit(ctx); err != nil {
		t.Fatal(err)
	}
	_, err = pub.Publish(ctx, publish.Publication{Ref: ref, Overlay: over,
		Task: attempts.TaskKey{Name: "t", WorkflowID: id, Reference: "r", TaskID: id}})
	return err
}

func TestSelfTestIsMadeOnceForARepository(t *testing.T) {
	m := memory.New(nil)
	store := &counted{Store: m}
	pub := &publish.Publisher{Store: store}
	for _, repo := range []string{"one", "two"} {
		m.CreateRepository(repo)
	}
	// One that could not be made says nothing, and is made again.
	store.fail.Store(true)
	if err := publishOne(t, pub, "one", "x"); err == nil {
		t.Error("published though the self-test could not be made")
	}
	store.fail.Store(false)
	store.tests.Store(0)
	var all sync.WaitGroup
	for i := range 6 {
		all.Go(func() {
			err := publishOne(t, pub, "one", fmt.Sprint("first-", i))
			var moved *publish.MovedError
			if err != nil && !errors.As(err, &moved) {
				t.Errorf("publication %d: %v", i, err)
			}
		})
	}
	all.Wait()
	if n := store.tests.Load(); n != 1 {
		t.Errorf("%d self-tests for six publications at once, want 1", n)
	}
	if err := publishOne(t, pub, "two", "y"); err != nil {
		t.Error(err)
	}
	if n := store.tests.Load(); n != 2 {
		t.Errorf("%d self-tests for two repositories, want 2", n)
	}
}

func TestSelfTestThatFails(t *testing.T) {
	m := memory.New(&memory.Options{NoActions: true})
	m.CreateRepository("songs")
	store := &counted{Store: m}
	// Where the fence is required, mending the server is noticed at once.
	required := &publish.Publisher{Store: store, Level: publish.FenceServer}
	for i := range 2 {
		if err := publishOne(t, required, "songs", fmt.Sprint(i)); !errors.Is(err, publish.ErrNoFence) {
			t.Errorf("error %v, want %q", err, publish.ErrNoFence)
		}
	}
	if n := store.tests.Load(); n != 2 {
		t.Errorf("%d self-tests, want one each time", n)
	}
	// Where it is not, the warning is given once.
	warned := 0
	auto := &publish.Publisher{Store: store, Events: func(e publish.Event) {
		if e.Kind == publish.EventUnfenced {
			warned++
		}
	}}
	for i := range 3 {
		if err := publishOne(t, auto, "songs", fmt.Sprint("auto-", i)); err != nil {
			t.Error(err)
		}
	}
	if warned != 1 || store.tests.Load() != 3 {
		t.Errorf("%d warnings and %d self-tests for three publications, want one more each", warned, store.tests.Load())
	}
}

// TestSelfTestIsMadeAgainAfterALostRace: a fence that let a race pass is no
// longer trusted.
func TestSelfTestIsMadeAgainAfterALostRace(t *testing.T) {
	m := memory.New(nil)
	m.CreateRepository("songs")
	store := &counted{Store: &racing{Store: storetest.Neutered{Store: m}, memory: m}}
	pub := &publish.Publisher{Store: store}
	for i := range 2 {
		var lost *publish.LostRaceError
		if err := publishOne(t, pub, "songs", fmt.Sprint(i)); !errors.As(err, &lost) {
			t.Errorf("error %v, want a lost race", err)
		}
		if n := store.tests.Load(); n != int64(i)+1 {
			t.Errorf("%d self-tests after %d lost races, want one for each", n, i+1)
		}
	}
}

// racing lets someone commit just before each merge into main.
type racing struct {
	storage.Store
	memory *memory.Store
	n      int
}

func (r *racing) Merge(ctx context.Context, repo string, m storage.Merge) (string, error) {
	if m.Target == "main" {
		r.n++
		if _, err := r.memory.Seed(repo, "main", map[string]string{fmt.Sprint("theirs-", r.n): "x"}); err != nil {
			return "", err
		}
	}
	return r.Store.Merge(ctx, repo, m)
}

// endless is a store whose branch went on from the input commit for longer than
// anyone looks back.
type endless struct {
	storage.Store
	looked int // at commits, in the last walk
}

func (e *endless) Head(context.Context, string, string) (string, error) { return "head", nil }

func (e *endless) FirstParents(context.Context, string, string) iter.Seq2[storage.Commit, error] {
	return func(yield func(storage.Commit, error) bool) {
		for e.looked = 1; ; e.looked++ {
			c := storage.Commit{ID: fmt.Sprint("theirs-", e.looked), Parents: []string{fmt.Sprint("theirs-", e.looked+1)}}
			if !yield(c, nil) {
				return
			}
		}
	}
}

// The walk back from the head comes to an end where the input commit does not
// come up: then the branch has moved.
func TestHistoryIsWalkedSoFar(t *testing.T) {
	const most = 10_000
	m := memory.New(nil)
	m.CreateRepository("songs")
	store := &endless{Store: m}
	pub := &publish.Publisher{Store: store}
	_, err := pub.Prepare(t.Context(), publish.Publication{Ref: workspace.Ref{Repository: "songs", Branch: "main", Commit: "input"},
		Task: attempts.TaskKey{Name: "t", WorkflowID: "w", Reference: "r", TaskID: "id"}})
	var moved *publish.MovedError
	if !errors.As(err, &moved) || moved.Head != "head" {
		t.Errorf("error %v, want a branch that moved", err)
	}
	if store.looked < most || store.looked > most+1 {
		t.Errorf("looked at %d commits, want %d", store.looked, most)
	}
}
