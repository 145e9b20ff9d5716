package publish

// The self-test of the fence, and its result for each repository.

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"

	"golang.org/x/sync/errgroup"

	"perago/panics"
	"perago/workspace"
	"perago/workspace/attempts"
	"perago/workspace/fence"
	"perago/workspace/storage"
)

// SelfTest tests whether the server runs the hook, on two temporary branches that it
// makes from commit and deletes afterwards. nil: it does. ErrNoFence: it does not, so
// merges pass unchecked. Any other error: the test could not be completed. dir records
// the branches for the sweep; it may be nil.
func (p *Publisher) SelfTest(ctx context.Context, repo, commit string, dir *attempts.Dir) (err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("fence self-test on %s: %w", repo, err)
		}
	}()
	from, into := attempts.SelfTestBranches()
	if err := record(dir, repo, from, into); err != nil {
		return err
	}
	made := inParallel(
		func() error { return p.Store.CreateBranch(ctx, repo, from, commit) },
		func() error { return p.Store.CreateBranch(ctx, repo, into, commit) },
	)
	keep := dir
	if made != nil {
		keep = nil // the server may still make them: they stay on record for the sweep
	}
	defer inParallel(
		func() error { return p.dropThrowaway(ctx, repo, from, keep) },
		func() error { return p.dropThrowaway(ctx, repo, into, keep) },
	)
	if made != nil {
		return made
	}
	err = inParallel(
		func() error { return fence.Put(ctx, p.Store, repo, from) },
		func() error { // if the commit has the hook already, there would be nothing to commit
			_, err := p.Store.Put(ctx, repo, from, ownFolder+"selftest", storage.StringContent(from))
			return err
		},
	)
	if err != nil {
		return err
	}
	c, err := p.Store.CommitBranch(ctx, repo, from, "perago fence self-test", nil)
	if err != nil {
		return err
	}
	_, err = p.Store.Merge(ctx, repo, storage.Merge{
		Source:   from,
		Target:   into,
		Message:  "perago fence self-test",
		Metadata: map[string]string{keyExpect: c.ID}, // wrong: into is at commit
	})
	var refused *storage.RefusedError
	switch {
	case err == nil:
		return ErrNoFence
	case errors.As(err, &refused) && strings.Contains(refused.Hook, fence.Mark):
		return nil
	}
	return err
}

// inParallel calls both, waits for both, and returns an error of one.
func inParallel(one, other func() error) error {
	var group errgroup.Group
	group.Go(panics.ToError(one))
	group.Go(panics.ToError(other))
	return group.Wait()
}

// dropThrowaway deletes a branch of the self-test, and its record in dir unless that
// is nil. A branch that could not be deleted is left to the sweep.
func (p *Publisher) dropThrowaway(ctx context.Context, repo, branch string, dir *attempts.Dir) error {
	ctx, cancel := cleanup(ctx)
	defer cancel()
	err := p.Store.DeleteBranch(ctx, repo, branch)
	if err == nil {
		err = forget(dir, repo, branch)
	}
	if err != nil && p.Events != nil {
		p.Events(Event{Kind: EventLeft, Ref: workspace.Ref{Repository: repo}, Branch: branch, Err: err})
	}
	return err
}

// expectFence says whether a publication has to contain the hook: whether the server
// runs it, or that is not known yet.
func (p *Publisher) expectFence(repo string) bool {
	holds, known := p.fences.of(repo).read()
	return p.Level != FenceClient && (holds || !known)
}

// startFenceTest calls fenceHolds in the background; verdict waits for its result.
func (p *Publisher) startFenceTest(ctx context.Context, pub Publication) (verdict func() (bool, error)) {
	var holds bool
	var group errgroup.Group
	group.Go(panics.ToError(func() (err error) {
		holds, err = p.fenceHolds(ctx, pub)
		return err
	}))
	return func() (bool, error) {
		err := group.Wait()
		return holds, err
	}
}

// fenceHolds says whether the server runs the hook on merges of this publication.
func (p *Publisher) fenceHolds(ctx context.Context, pub Publication) (bool, error) {
	if p.Level == FenceClient {
		return false, nil
	}
	v := p.fences.of(pub.Ref.Repository)
	select { // one test at a time: the others wait for its result
	case v.turn <- struct{}{}:
		defer func() { <-v.turn }()
	case <-ctx.Done():
		return false, context.Cause(ctx)
	}
	if holds, known := v.read(); known {
		return holds, nil
	}
	err := p.SelfTest(ctx, pub.Ref.Repository, pub.Ref.Commit, pub.Dir)
	if err != nil && (!errors.Is(err, ErrNoFence) || p.Level == FenceServer) {
		return false, err
	}
	if err != nil && p.Events != nil {
		p.Events(Event{Kind: EventUnfenced, Task: pub.Task, Ref: pub.Ref, Err: err})
	}
	v.write(err == nil)
	return err == nil, nil
}

// fenceMemory remembers which repositories' servers run the hook.
type fenceMemory struct {
	mu    sync.Mutex
	repos map[string]*fenceVerdict
}

// fenceVerdict is the result of the self-test for one repository.
type fenceVerdict struct {
	turn chan struct{} // one at a time

	mu    sync.Mutex
	known bool
	holds bool
}

func (m *fenceMemory) of(repo string) *fenceVerdict {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.repos == nil {
		m.repos = make(map[string]*fenceVerdict)
	}
	v := m.repos[repo]
	if v == nil {
		v = &fenceVerdict{turn: make(chan struct{}, 1)}
		m.repos[repo] = v
	}
	return v
}

// distrust forgets that the hook runs, so that the next publication tests it again.
// That it does not run is not forgotten.
func (m *fenceMemory) distrust(repo string) {
	v := m.of(repo)
	v.mu.Lock()
	defer v.mu.Unlock()
	v.known = v.known && !v.holds
}

func (v *fenceVerdict) read() (holds, known bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	return v.holds, v.known
}

func (v *fenceVerdict) write(holds bool) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.holds, v.known = holds, true
}

// record is dir.RecordBranch, or nothing without a folder, as in tests and in doctor.
func record(dir *attempts.Dir, repo string, branches ...string) error {
	if dir == nil {
		return nil
	}
	return dir.RecordBranch(repo, branches...)
}

func forget(dir *attempts.Dir, repo, branch string) error {
	if dir == nil {
		return nil
	}
	return dir.ForgetBranch(repo, branch)
}
