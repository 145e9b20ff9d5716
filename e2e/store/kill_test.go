package store

import (
	"context"
	"encoding/json"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"perago/e2e/servers"
	"perago/workspace/attempts"
	"perago/workspace/lakefs"
	"perago/workspace/publish"
	"perago/workspace/storage"
)

const kills = 30

// TestServerKilledInTheMiddleOfAMerge kills lakeFS at moments spread over the
// time a merge takes, starts it again, and looks: one whole commit or none, and
// the attempt's report agrees, or says that it does not know and its retry does.
func TestServerKilledInTheMiddleOfAMerge(t *testing.T) {
	t.Parallel()
	ctx := t.Context()
	l, err := servers.StartLakeFS(ctx, t.TempDir(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { l.Stop() }()
	if err := l.CreateRepository(ctx, "songs"); err != nil {
		t.Fatal(err)
	}
	store, err := lakefs.New(options(l.URL))
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	root, err := attempts.OpenRoot(t.TempDir(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	f := &field{t: t, store: store, repo: "songs", root: root}
	var completed, again, failed, adopted int
	for i := range kills {
		input, err := store.Head(ctx, "songs", "main")
		if err != nil {
			t.Fatal(err)
		}
		task := attempts.TaskKey{Name: "kill", WorkflowID: fmt.Sprint(i), Reference: "r", TaskID: fmt.Sprintf("%d-0", i)}
		// Every fifth time the server stays away until the attempt has given up.
		over := make(chan struct{})
		if i%5 != 4 {
			close(over)
		}
		var killing sync.WaitGroup
		var merges atomic.Int64
		pub := &publish.Publisher{Store: store, Level: publish.FenceServer, Events: func(e publish.Event) {
			if e.Kind == publish.EventMerging && merges.Add(1) == 1 {
				killing.Go(func() { killAndRestart(t, l, time.Duration(i)*500*time.Microsecond, over) })
			}
		}}
		done, err := f.attempt(pub, input, task)
		if i%5 == 4 {
			close(over)
		}
		killing.Wait()
		landed := mergesAfter(t, store, input)
		switch {
		case err == nil:
			completed++
			if merges.Load() > 1 {
				again++
			}
			if len(landed) != 1 || landed[0].ID != done.Commit {
				t.Errorf("kill %d: COMPLETED with %.8s, main has %d commits", i, done.Commit, len(landed))
			}
			continue
		default:
			failed++
			t.Logf("kill %d: %v", i, err)
		}
		task.Retry, task.TaskID = 1, fmt.Sprintf("%d-1", i)
		done, err = f.attempt(&publish.Publisher{Store: store, Level: publish.FenceServer}, input, task)
		if err != nil {
			t.Fatalf("kill %d: the retry failed: %v", i, err)
		}
		if done.Adopted {
			adopted++
		}
		landed = mergesAfter(t, store, input)
		if len(landed) != 1 || landed[0].ID != done.Commit {
			t.Errorf("kill %d: the retry reports %.8s, main has %d commits", i, done.Commit, len(landed))
		}
	}
	swept, err := root.Sweep(ctx, attempts.SweepOptions{DropBranch: store.DeleteBranch})
	if err != nil || swept.Err != nil {
		t.Error(err, swept.Err)
	}
	for name, err := range store.Branches(ctx, "songs", "perago-") {
		t.Errorf("branch %s is left (%v)", name, err)
	}
	t.Logf("%d kills: %d attempts completed by themselves (%d after sending the merge again), %d failed and their retry completed (%d by adoption); "+
		"one whole commit each; %d branches left to the sweep", kills, completed, again, failed, adopted, swept.Branches)
}

// killAndRestart waits for a part of the time that a merge takes; the server
// comes back when over is closed.
func killAndRestart(t *testing.T, l *servers.LakeFS, after time.Duration, over <-chan struct{}) {
	<-time.After(after)
	l.Kill()
	<-over
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), time.Minute)
	defer cancel()
	if err := l.Start(ctx); err != nil {
		t.Error(err)
	}
}

// mergesAfter are the commits on main above the input; each must be whole.
func mergesAfter(t *testing.T, store *lakefs.Store, input string) (commits []storage.Commit) {
	t.Helper()
	ctx := t.Context()
	head, err := store.Head(ctx, "songs", "main")
	if err != nil {
		t.Fatal(err)
	}
	for c, err := range store.FirstParents(ctx, "songs", head) {
		if err != nil {
			t.Fatal(err)
		}
		if c.ID == input {
			return commits
		}
		commits = append(commits, c)
		staged, err := store.Lookup(ctx, "songs", c.Parents[1])
		if err != nil || staged.Tree != c.Tree || !json.Valid([]byte(staged.Metadata["perago.result"])) {
			t.Errorf("commit %.8s is not the whole of what was staged (%v)", c.ID, err)
		}
	}
	t.Fatalf("the input commit is not in the history of main")
	return nil
}
