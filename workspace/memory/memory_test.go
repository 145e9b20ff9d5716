package memory_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"perago/workspace"
	"perago/workspace/attempts"
	"perago/workspace/memory"
	"perago/workspace/publish"
	"perago/workspace/storage"
	"perago/workspace/storetest"
)

func subject(o *memory.Options) storetest.Subject {
	s := memory.New(o)
	var n atomic.Int64
	return storetest.Subject{
		Store: s,
		NewRepository: func(*testing.T) string {
			name := fmt.Sprintf("songs-%d", n.Add(1))
			s.CreateRepository(name)
			return name
		},
		Protect: func(_ *testing.T, repo, branch string) { s.Protect(repo, branch) },
		Bubble:  synctest.Test,
	}
}

func TestStore(t *testing.T) { storetest.TestStore(t, subject(nil)) }

func TestPublication(t *testing.T) { storetest.TestPublication(t, subject(nil)) }

func TestUnfenced(t *testing.T) {
	storetest.TestUnfenced(t, subject(&memory.Options{NoActions: true}))
}

// hung is a store whose merges into main reach the server, are worked on there,
// and never answered.
type hung struct {
	*memory.Store
	arrived chan struct{} // one for each merge that is being worked on
	ended   sync.WaitGroup
}

func (h *hung) Merge(ctx context.Context, repo string, m storage.Merge) (string, error) {
	if m.Target != "main" || !strings.HasPrefix(m.Source, "perago-") || strings.HasPrefix(m.Source, "perago-none-") {
		return h.Store.Merge(ctx, repo, m)
	}
	h.ended.Go(func() { h.Store.Merge(context.WithoutCancel(ctx), repo, m) })
	<-h.arrived
	return "", storetest.ErrLost
}

// TestMergeInFlight: a merge that the server is working on, its source already
// read, cannot land once the attempt is over, or once a retry has begun.
func TestMergeInFlight(t *testing.T) {
	for _, who := range []string{"the attempt gives up", "the process dies and a retry begins"} {
		t.Run(who, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { testMergeInFlight(t, who == "the attempt gives up") })
		})
	}
}

func testMergeInFlight(t *testing.T, givesUp bool) {
	ctx := t.Context()
	arrived, release := make(chan struct{}), make(chan struct{})
	m := memory.New(&memory.Options{InFlight: func(m storage.Merge) {
		select {
		case <-release: // a second look at the branch: it goes through
		default:
			arrived <- struct{}{}
			<-release
		}
	}})
	m.CreateRepository("songs")
	input, err := m.Seed("songs", "main", map[string]string{"in": "1"})
	if err != nil {
		t.Fatal(err)
	}
	far := &hung{Store: m, arrived: arrived}
	ref := workspace.Ref{Repository: "songs", Branch: "main", Commit: input}
	over := workspace.NewOverlay(m, ref, workspace.OverlayOptions{Dir: t.TempDir()})
	defer over.Close()
	d, err := over.Create(ctx, "out", workspace.Replace)
	if err == nil {
		_, err = d.Commit(ctx)
	}
	if err != nil {
		t.Fatal(err)
	}
	// The client level: no hook stands behind the token.
	p := publish.Publication{Ref: ref, Overlay: over, Task: attempts.TaskKey{Name: "t", WorkflowID: "w", Reference: "r", TaskID: "1"}}
	var store storage.Store = far
	if !givesUp {
		merges := 0
		store = &storetest.Faulty{Store: far, Plan: func(_ int, name string) storetest.Fault {
			if name == "Merge" {
				if merges++; merges == 1 {
					return storetest.CrashAfter
				}
			}
			return storetest.None
		}}
	}
	if _, err := (&publish.Publisher{Store: store, Level: publish.FenceClient}).Publish(ctx, p); err == nil {
		t.Fatal("an attempt without an answer succeeded")
	}
	if !givesUp {
		p.Task.TaskID, p.Task.Retry = "2", 1
		if done, err := (&publish.Publisher{Store: m, Level: publish.FenceClient}).Prepare(ctx, p); done != nil || err != nil {
			t.Fatalf("Prepare = %v, %v, want nothing", done, err)
		}
	}
	close(release)
	far.ended.Wait()
	if head, err := m.Head(ctx, "songs", "main"); err != nil || head != input {
		t.Errorf("main is at %.8s, %v, want the input %.8s: the merge landed late", head, err, input)
	}
}
