package publish

// Advancing the target branch: the merge, what its response means, and how earlier
// attempts are kept from merging later.

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"

	"perago/workspace/storage"
)

// advance merges S into B, until B shows whether the merge landed.
func (s *session) advance(ctx context.Context) (Published, error) {
	pause := pauses()
	sent := false // a merge request went out, and may yet land
	for try := 0; ; try++ {
		expect := s.expect
		done, err := s.tryMerge(ctx, try == repeats, &sent)
		if err == nil || !errors.Is(err, errRepeat) {
			return s.finish(ctx, done, err, sent)
		}
		if s.expect != expect { // the branch moved: the tries are counted from there
			try = -1
			pause.Reset()
		}
		if cancelled := wait(ctx, pause.NextBackOff()); cancelled != nil {
			return s.finish(ctx, Published{}, cancelled, sent)
		}
	}
}

// errRepeat: the merge has not landed, and may be sent again.
var errRepeat = errors.New("repeat the merge")

// tryMerge is one round: it checks that the attempt is current, merges, and reads the
// branch. *sent is set while a request may land later, and cleared when the response
// or the branch rules that out.
func (s *session) tryMerge(ctx context.Context, last bool, sent *bool) (Published, error) {
	if err := s.current(ctx); err != nil {
		return Published{}, err
	}
	s.report(Event{Kind: EventFenced, Commit: s.staged.ID})
	if !s.fenced {
		// Without the hook, the branch can move unnoticed between this and the merge.
		v, err := s.readBranch(ctx)
		switch {
		case err != nil:
			return Published{}, err
		case v.found != unrelated:
			return s.settle(ctx, v)
		case v.head != s.Ref.Commit:
			return Published{}, s.movedTo(ctx, v)
		}
	}
	s.report(Event{Kind: EventMerging, Commit: s.staged.ID})
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
		err = lookErr // what is on the branch decides
	}
	a := classifyResponse(err)
	*sent = *sent || mayStillLand(err)
	v, lookErr := s.readBranch(ctx)
	if lookErr != nil {
		if a != unsure || last {
			return Published{}, s.explain(ctx, err)
		}
		return Published{}, errRepeat
	}
	if errors.Is(err, storage.ErrUnknownBranch) && v.found == unrelated {
		// readBranch found the target, so S is what is missing.
		return Published{}, fmt.Errorf("%w: its staging branch is gone, a later attempt has taken over", ErrNotCurrent)
	}
	switch decide(v.found, a, v.head == s.expect, s.fenced && s.mayFollow(v), !last) {
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

// holds says whether a merge commit is the requested one: on the expected head, with
// what was staged and nothing else.
func (s *session) holds(ctx context.Context, m storage.Commit) (bool, error) {
	if !isExpectedMerge(m, s.staged, s.expect, s.Ref.Commit) {
		return false, nil
	}
	if s.expect == s.Ref.Commit {
		return true, nil
	}
	return s.sameChange(ctx, m, s.staged)
}

// merge is the request. It can be sent any number of times: with the fence a late or
// repeated one is refused, and after one that landed there is nothing to merge.
func (s *session) merge() storage.Merge {
	metadata := sharedMetadata(s.Task, s.Ref.Commit, s.branch)
	metadata[keyCommit] = s.staged.ID
	if s.fenced {
		metadata[keyExpect] = s.expect
	}
	return storage.Merge{Source: s.branch, Target: s.Ref.Branch, Message: s.title(), Metadata: metadata}
}

// finish ends the publication. If it fails while a request may still be on its way,
// that request is first made unable to land, and then the branch is read once more:
// what a failed attempt wrote must not be on the branch, now or later.
func (s *session) finish(ctx context.Context, done Published, err error, sent bool) (Published, error) {
	if err == nil || !sent {
		return done, err
	}
	ctx, cancel := cleanup(ctx)
	defer cancel()
	doubt := func(look error) error {
		return &DoubtError{Branch: s.Ref.Branch, Staged: s.staged.ID, ReadErr: look, Err: err}
	}
	if bar := s.barOthers(ctx, []string{s.branch}); bar != nil {
		return Published{}, doubt(bar)
	}
	v, lookErr := s.readBranch(ctx)
	switch {
	case lookErr != nil:
		return Published{}, doubt(lookErr)
	case v.found != unrelated:
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
	s.report(Event{Kind: EventRevoked, Drops: len(branches)})
	return nil
}

// barOthers makes merges of the given branches impossible. It deletes the branches,
// and then makes the server give the target branch a new token, by a merge of a
// branch that does not exist. A merge that the server is already working on then has
// to start again, and finds that its source does not exist.
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
		a := classifyResponse(err)
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

// explain turns the error of a merge into the error of the publication.
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
