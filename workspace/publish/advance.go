package publish

// Advancing the target branch: the merge, what its answer means, and how
// attempts that came earlier are kept from merging later.

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"

	"perago/workspace/storage"
)

// advance merges S into B until the branch shows what became of it.
func (s *session) advance(ctx context.Context) (Published, error) {
	pause := pauses()
	sent := false // a merge request went out, and may yet land
	for try := 0; ; try++ {
		expect := s.expect
		done, err := s.tryMerge(ctx, try == repeats, &sent)
		if err == nil || !errors.Is(err, errRepeat) {
			return s.conclude(ctx, done, err, sent)
		}
		if s.expect != expect { // someone else got through: no try of this merge is used up
			try = -1
			pause.Reset()
		}
		if cancelled := wait(ctx, pause.NextBackOff()); cancelled != nil {
			return s.conclude(ctx, Published{}, cancelled, sent)
		}
	}
}

// errRepeat: nothing has happened; the merge may be sent again.
var errRepeat = errors.New("repeat the merge")

// tryMerge is one round: is the attempt current, the merge, and a look at the
// branch. *sent is true from the moment on that a request may land later, and
// false again when the answer says that none can.
func (s *session) tryMerge(ctx context.Context, last bool, sent *bool) (Published, error) {
	if err := s.current(ctx); err != nil {
		return Published{}, err
	}
	s.tell(Event{Kind: EventFenced, Commit: s.staged.ID})
	if !s.fenced {
		// Between this look and the merge is the window that the hook closes.
		v, err := s.look(ctx)
		switch {
		case err != nil:
			return Published{}, err
		case v.seen != unrelated:
			return s.settle(ctx, v)
		case v.head != s.Ref.Commit:
			return Published{}, s.movedTo(ctx, v)
		}
	}
	s.tell(Event{Kind: EventMerging, Commit: s.staged.ID})
	id, err := s.Store.Merge(ctx, s.Ref.Repository, s.merge())
	if err == nil {
		*sent = false
		m, lookErr := s.Store.Lookup(ctx, s.Ref.Repository, id)
		same := false
		if lookErr == nil {
			same, lookErr = s.holds(ctx, m)
		}
		switch {
		case same:
			return s.published(id), nil
		case lookErr == nil:
			return Published{}, s.raceLost(m)
		}
		err = lookErr // the branch will show it
	}
	a := readAnswer(err)
	*sent = *sent || mayStillLand(err)
	v, lookErr := s.look(ctx)
	if lookErr != nil {
		if a != unsure || last {
			return Published{}, s.explain(ctx, err)
		}
		return Published{}, errRepeat
	}
	if errors.Is(err, storage.ErrUnknownBranch) && v.seen == unrelated {
		// The target is there, so it is S that is not.
		return Published{}, fmt.Errorf("%w: its staging branch is gone, a later attempt has taken over", ErrNotCurrent)
	}
	switch decide(v.seen, a, v.head == s.expect, s.fenced && s.mayFollow(v), !last) {
	case adopt, lost:
		*sent = false
		return s.settle(ctx, v)
	case moved:
		return Published{}, s.movedTo(ctx, v)
	case rebase:
		if err := s.follow(ctx, v); err != nil {
			return Published{}, err
		}
		return Published{}, errRepeat
	case repeat:
		return Published{}, errRepeat
	}
	return Published{}, s.explain(ctx, err)
}

// holds says whether a merge is what was asked for: on the head that was expected,
// with what was staged and nothing else.
func (s *session) holds(ctx context.Context, m storage.Commit) (bool, error) {
	if !sound(m, s.staged, s.expect, s.Ref.Commit) {
		return false, nil
	}
	if s.expect == s.Ref.Commit {
		return true, nil
	}
	return s.sameChange(ctx, m, s.staged)
}

// merge is the request. It can be sent any number of times: with the fence a
// late or doubled one is refused, and one that has landed leaves nothing to merge.
func (s *session) merge() storage.Merge {
	metadata := marks(s.Task, s.Ref.Commit, s.branch)
	metadata[keyCommit] = s.staged.ID
	if s.fenced {
		metadata[keyExpect] = s.expect
	}
	return storage.Merge{Source: s.branch, Target: s.Ref.Branch, Message: s.title(), Metadata: metadata}
}

// conclude ends the publication. One that fails while a request may still be on
// its way is first made unable to land, and then the branch is looked at once
// more: a failed attempt must not be on the branch, now or later.
func (s *session) conclude(ctx context.Context, done Published, err error, sent bool) (Published, error) {
	if err == nil || !sent {
		return done, err
	}
	ctx, cancel := cleanup(ctx)
	defer cancel()
	doubt := func(look error) error {
		return &DoubtError{Branch: s.Ref.Branch, Staged: s.staged.ID, Look: look, Err: err}
	}
	if bar := s.barOthers(ctx, []string{s.branch}); bar != nil {
		return Published{}, doubt(bar)
	}
	v, lookErr := s.look(ctx)
	switch {
	case lookErr != nil:
		return Published{}, doubt(lookErr)
	case v.seen != unrelated:
		return s.settle(ctx, v)
	}
	return Published{}, err
}

// revoke makes sure that no earlier attempt of this task can publish any more.
func (s *session) revoke(ctx context.Context) error {
	var branches []string
	for branch, err := range s.Store.Branches(ctx, s.Ref.Repository, s.Task.BranchPrefix()) {
		if err != nil {
			return err
		}
		branches = append(branches, branch)
	}
	if err := s.barOthers(ctx, branches); err != nil {
		return err
	}
	s.tell(Event{Kind: EventRevoked, Drops: len(branches)})
	return nil
}

// barOthers removes branches and then makes the server give the target branch a
// new token, by a merge of a branch that does not exist: a merge of one of them
// that is already on its way at the server then has to start anew, and finds
// its source gone.
func (s *session) barOthers(ctx context.Context, branches []string) error {
	for _, branch := range branches {
		if err := s.Store.DeleteBranch(ctx, s.Ref.Repository, branch); err != nil {
			return err
		}
	}
	pause := pauses()
	for try := 0; ; try++ {
		_, err := s.Store.Merge(ctx, s.Ref.Repository, storage.Merge{
			Source:  "perago-none-" + strings.ToLower(rand.Text()),
			Target:  s.Ref.Branch,
			Message: "perago: renew the token of the branch",
		})
		a := readAnswer(err)
		switch {
		case errors.Is(err, storage.ErrUnknownBranch):
			return nil
		case a == merged, a == foreign:
			return errors.New("the server merged a branch that does not exist")
		case a == final, try == repeats:
			return s.explain(ctx, err)
		}
		if err := wait(ctx, pause.NextBackOff()); err != nil {
			return err
		}
	}
}

// explain turns the answer to a merge into the reason of a failure.
func (s *session) explain(ctx context.Context, err error) error {
	var refused *storage.RefusedError
	switch {
	case errors.As(err, &refused):
		return &HookError{Branch: s.Ref.Branch, Hook: refused.Hook}
	case errors.Is(err, storage.ErrDirty):
		dirty := &DirtyError{Branch: s.Ref.Branch}
		if paths, listErr := s.Store.Uncommitted(ctx, s.Ref.Repository, s.Ref.Branch, 1); listErr == nil && len(paths) > 0 {
			dirty.Path = paths[0]
		}
		return dirty
	}
	return err
}
