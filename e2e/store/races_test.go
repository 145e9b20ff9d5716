package store

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"perago/workspace"
	"perago/workspace/attempts"
	"perago/workspace/publish"
	"perago/workspace/storage"
	"perago/workspace/storetest"
)

const (
	raceRounds    = 50
	rebaseRounds  = 10 // in each of them every publisher gets through: they take longer
	controlRounds = 5  // enough to show what the fence prevents
	publishers    = 16
	foreigners    = 2
	retryRounds   = 30
	retriers      = 8
)

// field is a repository in which attempts and other people race.
type field struct {
	t     *testing.T
	store storage.Store // as the publishers see it
	repo  string
	root  *attempts.Root

	rebase bool // the tasks can do with a branch that moved elsewhere
}

func newField(t *testing.T, store storage.Store) *field {
	t.Helper()
	f := &field{t: t, store: store, repo: newRepository(t)}
	root, err := attempts.OpenRoot(t.TempDir(), nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { root.Close() })
	f.root = root
	return f
}

func (f *field) head() string {
	f.t.Helper()
	head, err := server.store.Head(context.WithoutCancel(f.t.Context()), f.repo, "main")
	if err != nil {
		f.t.Fatal(err)
	}
	return head
}

// attempt runs one whole attempt that writes one file of its own.
func (f *field) attempt(pub *publish.Publisher, input string, task attempts.TaskKey) (publish.Published, error) {
	ctx := f.t.Context()
	dir, err := f.root.NewAttempt(attempts.Record{Task: task})
	if err != nil {
		return publish.Published{}, err
	}
	defer dir.Close(attempts.Drop)
	p := publish.Publication{Task: task, Dir: dir, Rebase: f.rebase, Ref: workspace.Ref{Repository: f.repo, Branch: "main", Commit: input}}
	p.Overlay = workspace.NewOverlay(f.store, p.Ref, workspace.OverlayOptions{Dir: dir.Files()})
	defer p.Overlay.Close()
	earlier, err := pub.Prepare(ctx, p)
	if err != nil {
		return publish.Published{}, err
	}
	if earlier != nil {
		return *earlier, nil
	}
	d, err := p.Overlay.Create(ctx, "out/"+task.WorkflowID+".txt", workspace.Replace)
	if err != nil {
		return publish.Published{}, err
	}
	if _, err = d.File.WriteString(task.WorkflowID); err == nil {
		_, err = d.Commit(ctx)
	}
	if err != nil {
		return publish.Published{}, err
	}
	p.Result = json.RawMessage(fmt.Sprintf(`{"retry": %d}`, task.Retry))
	return pub.Publish(ctx, p)
}

// foreign commits a file to main by a branch and a merge, as people do, until
// the server takes it.
func (f *field) foreign(name string) (commit string, err error) {
	ctx := f.t.Context()
	for try := range 100 {
		branch := fmt.Sprintf("person-%s-%d", name, try)
		err = f.tryForeign(ctx, branch, name, &commit)
		if err == nil {
			return commit, nil
		}
	}
	return "", err
}

func (f *field) tryForeign(ctx context.Context, branch, name string, commit *string) error {
	head, err := server.store.Head(ctx, f.repo, "main")
	if err != nil {
		return err
	}
	if err := server.store.CreateBranch(ctx, f.repo, branch, head); err != nil {
		return err
	}
	defer server.store.DeleteBranch(ctx, f.repo, branch)
	body := storage.Content{Size: int64(len(name)), Open: func() (io.ReadSeekCloser, error) {
		return struct {
			io.ReadSeeker
			io.Closer
		}{strings.NewReader(name), io.NopCloser(nil)}, nil
	}}
	if _, err := server.store.Put(ctx, f.repo, branch, "people/"+name+".txt", body); err != nil {
		return err
	}
	if _, err := server.store.CommitBranch(ctx, f.repo, branch, "by hand: "+name, nil); err != nil {
		return err
	}
	*commit, err = server.store.Merge(ctx, f.repo, storage.Merge{Source: branch, Target: "main", Message: "by hand: " + name})
	return err
}

// history is main, newest first.
func (f *field) history() (commits []storage.Commit, at map[string]storage.Commit) {
	f.t.Helper()
	at = make(map[string]storage.Commit)
	for c, err := range server.store.FirstParents(f.t.Context(), f.repo, f.head()) {
		if err != nil {
			f.t.Fatal(err)
		}
		commits = append(commits, c)
		at[c.ID] = c
	}
	return commits, at
}

// paths is all that main holds.
func (f *field) paths() map[string]bool {
	f.t.Helper()
	held := make(map[string]bool)
	for o, err := range server.store.List(f.t.Context(), f.repo, f.head(), "") {
		if err != nil {
			f.t.Fatal(err)
		}
		held[o.Path] = true
	}
	return held
}

func (f *field) noDebris() {
	f.t.Helper()
	for name, err := range server.store.Branches(f.t.Context(), f.repo, "perago-") {
		if err != nil {
			f.t.Fatal(err)
		}
		f.t.Errorf("branch %s is left", name)
	}
}

// figures are what a race came to.
type figures struct {
	completed, moved, lost, other int // reports of attempts
	foreign                       int // commits of people
	rounds                        int // with more than one COMPLETED
	astray                        int // publications on main that do not stand where they were to
	gone                          int // COMPLETED, or a person's, and not on main
}

// race lets publishers of different tasks start from one input commit, round
// after round, while people commit to the same branch.
func race(t *testing.T, store storage.Store, level publish.FenceLevel, rounds int, rebase bool) figures {
	f := newField(t, store)
	f.rebase = rebase
	pub := &publish.Publisher{Store: store, Level: level}
	var total figures
	reported := make(map[string]string)   // commit -> the file it brought
	publishing := make(map[string]string) // the same, of people
	var mu sync.Mutex
	for round := range rounds {
		input := f.head()
		var all sync.WaitGroup
		before := total.completed
		for i := range publishers {
			all.Go(func() {
				id := fmt.Sprintf("%d-%d", round, i)
				done, err := f.attempt(pub, input, attempts.TaskKey{Name: "race", WorkflowID: id, Reference: "r", TaskID: id})
				mu.Lock()
				defer mu.Unlock()
				var moved *publish.MovedError
				var lost *publish.LostRaceError
				switch {
				case err == nil:
					total.completed++
					reported[done.Commit] = "out/" + id + ".txt"
				case errors.As(err, &moved):
					total.moved++
				case errors.As(err, &lost):
					total.lost++
				default:
					total.other++
					t.Logf("round %d, publisher %d: %v", round, i, err)
				}
			})
		}
		for i := range foreigners {
			all.Go(func() {
				name := fmt.Sprintf("%d-%d", round, i)
				commit, err := f.foreign(name)
				mu.Lock()
				defer mu.Unlock()
				if err != nil {
					t.Errorf("round %d: a person's merge was never taken: %v", round, err)
					return
				}
				total.foreign++
				publishing[commit] = "people/" + name + ".txt"
			})
		}
		all.Wait()
		if total.completed > before+1 {
			total.rounds++
		}
	}
	commits, at := f.history()
	held := f.paths()
	for _, m := range []map[string]string{reported, publishing} {
		for commit, path := range m {
			if _, ok := at[commit]; !ok || !held[path] {
				total.gone++
			}
		}
	}
	for _, c := range commits {
		on := c.Metadata["perago.input"]
		if rebase {
			on = c.Metadata["perago.expect"]
		}
		if on != "" && c.Parents[0] != on {
			total.astray++
		}
	}
	f.noDebris()
	t.Logf("%d rounds of %d publishers and %d foreign writers: %d completed, %d refused because the branch moved, %d lost races reported, %d other failures; "+
		"%d rounds with more than one winner, %d publications not where they were to stand, %d foreign commits, %d acknowledged commits lost",
		rounds, publishers, foreigners, total.completed, total.moved, total.lost, total.other,
		total.rounds, total.astray, total.foreign, total.gone)
	return total
}

func TestRaceFenced(t *testing.T) {
	t.Parallel()
	got := race(t, server.store, publish.FenceServer, raceRounds, false)
	if got.rounds != 0 || got.astray != 0 || got.lost != 0 || got.gone != 0 {
		t.Errorf("with the fence: %+v, want no round with two winners, nothing astray, nothing lost", got)
	}
	if got.completed == 0 {
		t.Error("nobody ever won: the race shows nothing")
	}
}

func TestRaceClientLevel(t *testing.T) {
	t.Parallel()
	got := race(t, server.store, publish.FenceClient, raceRounds, false)
	// A lost race can happen; it is never reported as completed, and undoes nothing.
	if got.gone != 0 {
		t.Errorf("without the fence: %d acknowledged commits are gone, want 0", got.gone)
	}
	if got.lost != got.astray || got.rounds != 0 {
		t.Errorf("without the fence: %d publications are astray and %d were reported so; %d rounds with two winners", got.astray, got.lost, got.rounds)
	}
}

// TestRaceRebased: of attempts that start from one commit and write files of their
// own, all publish, beside other writers.
func TestRaceRebased(t *testing.T) {
	t.Parallel()
	got := race(t, server.store, publish.FenceServer, rebaseRounds, true)
	if got.completed != rebaseRounds*publishers || got.astray != 0 || got.lost != 0 || got.gone != 0 {
		t.Errorf("with rebase: %+v, want %d completed, nothing astray, nothing lost", got, rebaseRounds*publishers)
	}
}

// TestRaceControl is the client of TestRaceFenced with the hook's comparison
// taken out: it has to show what the fence prevents.
func TestRaceControl(t *testing.T) {
	t.Parallel()
	for _, rebase := range []bool{false, true} {
		got := race(t, storetest.Neutered{Store: server.store}, publish.FenceServer, controlRounds, rebase)
		if got.astray == 0 {
			t.Errorf("rebase %t: the control shows no violation: %+v", rebase, got)
		}
	}
}

// TestRetriesOfOneTask lets attempts of one task run at once, each revoking the
// others, until each has an outcome.
func TestRetriesOfOneTask(t *testing.T) {
	t.Parallel()
	f := newField(t, server.store)
	pub := &publish.Publisher{Store: server.store, Level: publish.FenceServer}
	var tries atomic.Int64
	commits := 0
	for round := range retryRounds {
		input := f.head()
		var retry atomic.Int64
		reports := make([]string, retriers)
		var all sync.WaitGroup
		for i := range retriers {
			all.Go(func() {
				// One worker after the other, so that they meet at every step.
				<-time.After(time.Duration((i*37+round*11)%160) * time.Millisecond)
				var err error
				for range 100 {
					n := int(retry.Add(1)) - 1
					tries.Add(1)
					var done publish.Published
					done, err = f.attempt(pub, input, attempts.TaskKey{Name: "retry", WorkflowID: fmt.Sprint(round), Reference: "r",
						TaskID: fmt.Sprintf("%d-%d", round, n), Retry: n})
					if err == nil {
						reports[i] = done.Commit
						return
					}
				}
				t.Errorf("round %d, worker %d never came to an outcome: %v", round, i, err)
			})
		}
		all.Wait()
		history, _ := f.history()
		for _, c := range history {
			if c.ID == input {
				break
			}
			commits++
		}
		for i, report := range reports {
			if report != history[0].ID {
				t.Errorf("round %d, worker %d reports %.8s, main is at %.8s", round, i, report, history[0].ID)
			}
		}
	}
	if commits != retryRounds {
		t.Errorf("%d rounds made %d commits, want one each", retryRounds, commits)
	}
	f.noDebris()
	t.Logf("%d rounds of %d workers at one task: %d attempts, %.2f commits a round, all reports agree",
		retryRounds, retriers, tries.Load(), float64(commits)/retryRounds)
}
