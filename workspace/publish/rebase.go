package publish

// A branch that moved without touching what the attempt looked at
// (on_moved = "rebase"): the attempt's result is what it would have been on the
// new head, so the merge may stand on that.

import (
	"context"
	"errors"
	"fmt"
	"iter"

	"perago/workspace/fence"
	"perago/workspace/glob"
	"perago/workspace/paths"
	"perago/workspace/storage"
	"perago/workspace/trace"
)

// clashesMax is how many paths a MovedError names.
const clashesMax = 5

// mayFollow says whether a branch that is elsewhere may still do: the task says
// so, and the branch went on from the input. One that was reset to something
// else does not.
func (s *session) mayFollow(v view) bool { return s.Rebase && s.Level != FenceClient && v.onLine }

// follow expects the head of v from now on. *MovedError when the attempt would
// not have been the same there. What was held against s.expect before need not
// be looked at again: no commit leaves the line of first parents.
func (s *session) follow(ctx context.Context, v view) error {
	if s.seen == nil {
		s.seen = s.Overlay.Questions()
	}
	changes := s.changes(ctx, s.expect, v.head)
	older, newer := s.Overlay.At(s.Ref.Commit), s.Overlay.At(v.head)
	clashes, err := s.seen.Clashes(ctx, changes, older, newer, matcher(), clashesMax)
	if err != nil {
		return fmt.Errorf("compare %s with %s: %w", s.expect, v.head, err)
	}
	if len(clashes) > 0 {
		// It ends the task for good, so a succeeded attempt must not say it.
		if err := s.current(ctx); err != nil {
			return err
		}
		return &MovedError{Branch: s.Ref.Branch, Input: s.Ref.Commit, Head: v.head, Clashes: clashes}
	}
	s.expect = v.head
	s.report(Event{Kind: EventRebased, Commit: v.head})
	return nil
}

// changes are the paths in which two commits differ that a workspace can show.
func (s *session) changes(ctx context.Context, from, to string) iter.Seq2[trace.Change, error] {
	return func(yield func(trace.Change, error) bool) {
		for d, err := range s.Store.Diff(ctx, s.Ref.Repository, from, to) {
			if err == nil && paths.Reserved(d.Path) {
				continue
			}
			c := trace.Change{Path: d.Path, Was: d.Op != storage.Added, Is: d.Op != storage.Deleted}
			if !yield(c, err) {
				return
			}
		}
	}
}

// matcher matches paths against patterns, each of which it compiles once.
func matcher() trace.Matcher {
	compiled := map[string]*glob.Pattern{}
	return func(pattern, path string) (bool, error) {
		p := compiled[pattern]
		if p == nil {
			var err error
			if p, err = glob.Compile(pattern); err != nil {
				return false, err
			}
			compiled[pattern] = p
		}
		return p.Match(path), nil
	}
}

// sameChange says whether a merge made of its first parent what the staged
// commit made of the input, and nothing else.
func (s *session) sameChange(ctx context.Context, m, staged storage.Commit) (bool, error) {
	if len(m.Parents) == 0 || len(staged.Parents) == 0 {
		return false, nil
	}
	made, stopMade := iter.Pull2(s.Store.Diff(ctx, s.Ref.Repository, m.Parents[0], m.ID))
	defer stopMade()
	wanted, stopWanted := iter.Pull2(s.Store.Diff(ctx, s.Ref.Repository, staged.Parents[0], staged.ID))
	defer stopWanted()
	for {
		a, errA, okA := made()
		b, errB, okB := wanted()
		for okB && errB == nil && b.Path == fence.Path && (!okA || a.Path != b.Path) {
			b, errB, okB = wanted() // the head had the hook already
		}
		switch {
		case errA != nil || errB != nil:
			return false, errors.Join(errA, errB)
		case okA != okB || a != b:
			return false, nil
		case !okA:
			return true, nil
		}
	}
}
