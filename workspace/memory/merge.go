package memory

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"

	"perago/workspace/fence"
	"perago/workspace/storage"
)

// mergeTries bounds how often a merge that finds its branch changed starts again.
const mergeTries = 10

// Merge merges one branch into another. As on a server, it first gives the branch a
// new token, then works without a lock, and updates the branch only if nobody else
// did; else it starts again, and reads its source again.
func (s *Store) Merge(ctx context.Context, repo string, m storage.Merge) (string, error) {
	if ctx.Err() != nil {
		return "", context.Cause(ctx)
	}
	if err := s.touch(repo, m.Target); err != nil {
		return "", fmt.Errorf("merge into %s: %w", m.Target, err)
	}
	for range mergeTries {
		id, err := s.tryMerge(repo, m)
		if !errors.Is(err, errChanged) {
			return id, err
		}
	}
	return "", fmt.Errorf("merge into %s: %w", m.Target, storage.ErrBusy)
}

// errChanged: somebody else updated the branch.
var errChanged = errors.New("the branch was updated meanwhile")

// touch gives the target a new token.
func (s *Store) touch(repo, target string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, b, err := s.branch(repo, target)
	if err != nil {
		return err
	}
	if len(b.staged) > 0 {
		return storage.ErrDirty
	}
	b.token++
	return nil
}

func (s *Store) tryMerge(repo string, m storage.Merge) (string, error) {
	c, token, err := s.prepareMerge(repo, m)
	if err != nil {
		return "", fmt.Errorf("merge into %s: %w", m.Target, err)
	}
	if s.opts.InFlight != nil {
		s.opts.InFlight(m)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	_, b, err := s.branch(repo, m.Target)
	if err != nil {
		return "", fmt.Errorf("merge into %s: %w", m.Target, err)
	}
	if b.token != token {
		return "", errChanged
	}
	b.head = c.ID
	b.token++
	return c.ID, nil
}

// prepareMerge makes the merge commit and runs the hooks on it.
func (s *Store) prepareMerge(repo string, m storage.Merge) (c *commit, token int, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, target, err := s.branch(repo, m.Target)
	if err != nil {
		return nil, 0, err
	}
	_, source, err := s.branch(repo, m.Source)
	if err != nil {
		return nil, 0, err
	}
	ours, theirs := r.commits[target.head], r.commits[source.head]
	base := r.base(ours, theirs)
	if theirs.Tree == base.Tree {
		return nil, 0, storage.ErrNoChanges
	}
	merged, conflict := mergeTrees(base.tree, ours.tree, theirs.tree)
	if conflict != "" {
		return nil, 0, fmt.Errorf("%s: %w", conflict, storage.ErrConflict)
	}
	c = s.addCommit(r, &commit{tree: merged, Commit: storage.Commit{
		Parents: []string{ours.ID, theirs.ID}, Message: m.Message, Metadata: maps.Clone(m.Metadata)}})
	return c, target.token, s.runHooks(r, c, theirs)
}

// runHooks runs the fence, if the source of the merge has it, and the owner's hook.
func (s *Store) runHooks(r *repository, c, source *commit) error {
	if s.opts.NoActions {
		return nil
	}
	if file := source.tree[fence.Path]; file != nil && string(file.data) == fence.File {
		if err := runFence(c.Commit); err != nil {
			return err
		}
	}
	if r.hook != nil {
		if err := r.hook(c.Commit); err != nil {
			return &storage.RefusedError{Hook: err.Error()}
		}
	}
	return nil
}

// runFence is fence.File in Go.
func runFence(c storage.Commit) error {
	expect, fenced := c.Metadata["perago.expect"]
	staged, named := c.Metadata["perago.commit"]
	var found, wanted string
	switch {
	case fenced && c.Parents[0] != expect:
		found, wanted = c.Parents[0], expect
	case fenced && named && c.Parents[1] != staged:
		found, wanted = c.Parents[1], staged
	default:
		return nil
	}
	return &storage.RefusedError{Hook: strings.Join([]string{fence.Mark + ": at", found, "not at", wanted}, " ")}
}

// base is the latest common ancestor of two commits. All commits of a repository
// have its first one as an ancestor.
func (r *repository) base(a, b *commit) *commit {
	under := make(map[string]bool)
	r.walk(a, func(c *commit) { under[c.ID] = true })
	var best *commit
	r.walk(b, func(c *commit) {
		if under[c.ID] && (best == nil || c.generation > best.generation) {
			best = c
		}
	})
	return best
}

// walk visits a commit and all its ancestors, each once.
func (r *repository) walk(from *commit, visit func(*commit)) {
	seen := map[string]bool{from.ID: true}
	for queue := []*commit{from}; len(queue) > 0; queue = queue[1:] {
		visit(queue[0])
		for _, p := range queue[0].Parents {
			if !seen[p] {
				seen[p] = true
				queue = append(queue, r.commits[p])
			}
		}
	}
}

// mergeTrees is ours with what changed from base to theirs. conflict is a path that
// both sides changed in different ways.
func mergeTrees(base, ours, theirs tree) (merged tree, conflict string) {
	merged = maps.Clone(ours)
	for path := range union(base, theirs) {
		b, o, t := base[path], ours[path], theirs[path]
		switch {
		case same(b, t), same(o, t):
		case !same(b, o):
			return nil, path
		case t == nil:
			delete(merged, path)
		default:
			merged[path] = t
		}
	}
	return merged, ""
}

func union(a, b tree) map[string]bool {
	paths := make(map[string]bool, len(a)+len(b))
	for p := range a {
		paths[p] = true
	}
	for p := range b {
		paths[p] = true
	}
	return paths
}

func same(a, b *object) bool {
	if a == nil || b == nil {
		return a == b
	}
	return a.Checksum == b.Checksum && a.Size == b.Size
}
