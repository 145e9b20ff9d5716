package memory

import (
	"context"
	"fmt"
	"io/fs"
	"iter"
	"maps"
	"slices"
	"strings"

	"perago/workspace/storage"
)

// CreateBranch makes a branch at a commit.
func (s *Store) CreateBranch(ctx context.Context, repo, name, id string) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	c, err := s.commit(repo, id)
	if err != nil {
		return err
	}
	r := s.repos[repo]
	if r.branches[name] != nil {
		return fmt.Errorf("branch %s: %w", name, storage.ErrBranchExists)
	}
	r.branches[name] = &branch{head: c.ID, staged: tree{}}
	return nil
}

// DeleteBranch drops a branch.
func (s *Store) DeleteBranch(ctx context.Context, repo, name string) error {
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	r, err := s.repository(repo)
	if err != nil {
		return err
	}
	if name == r.main || r.protected[name] {
		return fmt.Errorf("delete branch %s: %w", name, storage.ErrProtected)
	}
	delete(r.branches, name)
	return nil
}

// Branches yields the names that start with prefix, sorted.
func (s *Store) Branches(ctx context.Context, repo, prefix string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		s.mu.Lock()
		r, err := s.repository(repo)
		var names []string
		if err == nil {
			names = slices.Sorted(maps.Keys(r.branches))
		}
		s.mu.Unlock()
		if err != nil {
			yield("", err)
			return
		}
		for _, name := range names {
			if strings.HasPrefix(name, prefix) && !yield(name, nil) {
				return
			}
		}
	}
}

// DefaultBranch is the branch that the repository was made with.
func (s *Store) DefaultBranch(ctx context.Context, repo string) (string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r, err := s.repository(repo)
	if err != nil {
		return "", err
	}
	return r.main, nil
}

// Head is the commit a branch points at.
func (s *Store) Head(ctx context.Context, repo, name string) (string, error) {
	if ctx.Err() != nil {
		return "", context.Cause(ctx)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	_, b, err := s.branch(repo, name)
	if err != nil {
		return "", err
	}
	return b.head, nil
}

// Lookup reads one commit.
func (s *Store) Lookup(ctx context.Context, repo, id string) (storage.Commit, error) {
	if ctx.Err() != nil {
		return storage.Commit{}, context.Cause(ctx)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	c, err := s.commit(repo, id)
	if err != nil {
		return storage.Commit{}, err
	}
	return c.Commit, nil
}

// FirstParents walks back from a commit.
func (s *Store) FirstParents(ctx context.Context, repo, id string) iter.Seq2[storage.Commit, error] {
	return func(yield func(storage.Commit, error) bool) {
		for next := id; next != ""; {
			c, err := s.Lookup(ctx, repo, next)
			if !yield(c, err) || err != nil {
				return
			}
			next = ""
			if len(c.Parents) > 0 {
				next = c.Parents[0]
			}
		}
	}
}

// Uncommitted names what is uncommitted on a branch.
func (s *Store) Uncommitted(ctx context.Context, repo, name string, max int) ([]string, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	_, b, err := s.branch(repo, name)
	if err != nil {
		return nil, err
	}
	paths := slices.Sorted(maps.Keys(b.staged))
	return paths[:min(len(paths), max)], nil
}

// CommitBranch commits what is uncommitted on a branch.
func (s *Store) CommitBranch(ctx context.Context, repo, name, message string, metadata map[string]string) (storage.Commit, error) {
	if ctx.Err() != nil {
		return storage.Commit{}, context.Cause(ctx)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	r, b, err := s.branch(repo, name)
	switch {
	case err != nil:
		return storage.Commit{}, err
	case r.protected[name]:
		return storage.Commit{}, fmt.Errorf("commit to branch %s: %w", name, storage.ErrProtected)
	}
	old := r.commits[b.head]
	next := maps.Clone(old.tree)
	for path, o := range b.staged {
		if o == nil {
			delete(next, path)
		} else {
			next[path] = o
		}
	}
	if next.id() == old.Tree {
		return storage.Commit{}, fmt.Errorf("commit branch %s: %w", name, storage.ErrNoChanges)
	}
	c := s.addCommit(r, &commit{tree: next, Commit: storage.Commit{
		Parents: []string{b.head}, Message: message, Metadata: maps.Clone(metadata)}})
	b.head, b.staged = c.ID, tree{}
	b.token++
	return c.Commit, nil
}

// Diff yields the paths in which two commits differ.
func (s *Store) Diff(ctx context.Context, repo, from, to string) iter.Seq2[storage.Difference, error] {
	return func(yield func(storage.Difference, error) bool) {
		found, err := s.diff(ctx, repo, from, to)
		if err != nil {
			yield(storage.Difference{}, err)
			return
		}
		for _, d := range found {
			if !yield(d, nil) {
				return
			}
		}
	}
}

func (s *Store) diff(ctx context.Context, repo, from, to string) (found []storage.Difference, err error) {
	if ctx.Err() != nil {
		return nil, context.Cause(ctx)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	older, err := s.commit(repo, from)
	if err != nil {
		return nil, err
	}
	newer, err := s.commit(repo, to)
	if err != nil {
		return nil, err
	}
	for _, path := range slices.Sorted(maps.Keys(union(older.tree, newer.tree))) {
		was, is := older.tree[path], newer.tree[path]
		switch {
		case same(was, is):
		case is == nil:
			found = append(found, storage.Difference{Path: path, Op: storage.Deleted})
		case was == nil:
			found = append(found, storage.Difference{Path: path, Op: storage.Added, Size: is.Size, Checksum: is.Checksum})
		default:
			found = append(found, storage.Difference{Path: path, Op: storage.Modified, Size: is.Size, Checksum: is.Checksum})
		}
	}
	return found, nil
}

// LastChange is the newest commit that changed an object.
func (s *Store) LastChange(ctx context.Context, repo, id, path string) (storage.Commit, error) {
	if ctx.Err() != nil {
		return storage.Commit{}, context.Cause(ctx)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	c, err := s.commit(repo, id)
	if err != nil {
		return storage.Commit{}, err
	}
	r := s.repos[repo]
	var found *commit
	r.walk(c, func(c *commit) {
		older := &commit{}
		switch len(c.Parents) {
		case 0:
		case 1:
			older = r.commits[c.Parents[0]]
		default:
			return
		}
		if !same(c.tree[path], older.tree[path]) && (found == nil || found.generation < c.generation) {
			found = c
		}
	})
	if found == nil {
		return storage.Commit{}, fmt.Errorf("history of %s: %w", path, fs.ErrNotExist)
	}
	return found.Commit, nil
}
