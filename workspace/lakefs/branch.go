package lakefs

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"iter"
	"net/http"
	"time"

	"github.com/treeverse/lakefs/pkg/api/apigen"

	"perago/workspace/storage"
)

// CreateBranch makes a branch. It is sent once.
func (s *Store) CreateBranch(ctx context.Context, repo, branch, commit string) error {
	_, err := s.call(ctx, request{what: "make branch " + branch, plain: true,
		send: func(ctx context.Context) (*http.Response, error) {
			return s.api.CreateBranch(ctx, repo, apigen.CreateBranchJSONRequestBody{Name: branch, Source: commit})
		}})
	switch status(err) {
	case http.StatusNotFound:
		return s.missing(ctx, repo, fmt.Errorf("commit %s of %s: %w", commit, repo, storage.ErrUnknownCommit))
	case http.StatusConflict:
		return fmt.Errorf("branch %s of %s: %w", branch, repo, storage.ErrBranchExists)
	}
	return s.branchError(ctx, repo, branch, err)
}

// DeleteBranch drops a branch.
func (s *Store) DeleteBranch(ctx context.Context, repo, branch string) error {
	_, err := s.call(ctx, request{what: "delete branch " + branch, repeat: true,
		send: func(ctx context.Context) (*http.Response, error) {
			return s.api.DeleteBranch(ctx, repo, branch, &apigen.DeleteBranchParams{})
		}})
	if err := s.branchError(ctx, repo, branch, err); !errors.Is(err, storage.ErrUnknownBranch) {
		return err
	}
	return nil // it does not exist, as wanted
}

// Branches yields the names that start with prefix, a page at a time.
func (s *Store) Branches(ctx context.Context, repo, prefix string) iter.Seq2[string, error] {
	return func(yield func(string, error) bool) {
		amount, pre, hidden := apigen.PaginationAmount(pageSize), apigen.PaginationPrefix(prefix), true
		for after := ""; ; {
			from := apigen.PaginationAfter(after)
			a, err := s.call(ctx, request{what: "list branches of " + repo, repeat: true,
				send: func(ctx context.Context) (*http.Response, error) {
					return s.api.ListBranches(ctx, repo, &apigen.ListBranchesParams{
						Prefix: &pre, After: &from, Amount: &amount, ShowHidden: &hidden})
				}})
			if status(err) == http.StatusNotFound {
				err = fmt.Errorf("repository %s: %w", repo, storage.ErrUnknownRepository)
			}
			var page apigen.RefList
			if err == nil {
				page, err = decode[apigen.RefList](a)
			}
			if err != nil {
				yield("", err)
				return
			}
			for _, b := range page.Results {
				if !yield(b.Id, nil) {
					return
				}
			}
			if !page.Pagination.HasMore || page.Pagination.NextOffset <= after {
				return
			}
			after = page.Pagination.NextOffset
		}
	}
}

// DefaultBranch is the branch that the repository was made with.
func (s *Store) DefaultBranch(ctx context.Context, repo string) (string, error) {
	r, err := s.repository(ctx, repo)
	return r.DefaultBranch, err
}

// Head is the commit a branch points at.
func (s *Store) Head(ctx context.Context, repo, branch string) (string, error) {
	a, err := s.call(ctx, request{what: "read branch " + branch, repeat: true,
		send: func(ctx context.Context) (*http.Response, error) { return s.api.GetBranch(ctx, repo, branch) }})
	if err := s.branchError(ctx, repo, branch, err); err != nil {
		return "", err
	}
	ref, err := decode[apigen.Ref](a)
	return ref.CommitId, err
}

// Lookup reads one commit, by its whole id.
func (s *Store) Lookup(ctx context.Context, repo, id string) (storage.Commit, error) {
	unknown := fmt.Errorf("commit %s of %s: %w", id, repo, storage.ErrUnknownCommit)
	a, err := s.call(ctx, request{what: "read commit " + id, repeat: true,
		send: func(ctx context.Context) (*http.Response, error) { return s.api.GetCommit(ctx, repo, id) }})
	switch status(err) {
	case http.StatusNotFound, http.StatusBadRequest: // 400: it is not an id
		return storage.Commit{}, s.missing(ctx, repo, unknown)
	}
	if err != nil {
		return storage.Commit{}, err
	}
	c, err := decode[apigen.Commit](a)
	if err != nil {
		return storage.Commit{}, err
	}
	if c.Id != id { // the name of a branch or a tag, or a short id
		return storage.Commit{}, unknown
	}
	return commitOf(c), nil
}

func commitOf(c apigen.Commit) storage.Commit {
	out := storage.Commit{
		ID: c.Id, Parents: c.Parents, Tree: c.MetaRangeId, Message: c.Message,
		Created: time.Unix(c.CreationDate, 0).UTC(),
	}
	if c.Metadata != nil {
		out.Metadata = c.Metadata.AdditionalProperties
	}
	return out
}

// FirstParents walks back from a commit, a page at a time. The first pages are
// small, since the commit that the caller looks for is mostly near.
func (s *Store) FirstParents(ctx context.Context, repo, commit string) iter.Seq2[storage.Commit, error] {
	return func(yield func(storage.Commit, error) bool) {
		after, size, first := "", 10, true
		for {
			amount, from := apigen.PaginationAmount(size), apigen.PaginationAfter(after)
			a, err := s.call(ctx, request{what: "read the history of " + commit, repeat: true,
				send: func(ctx context.Context) (*http.Response, error) {
					p := &apigen.LogCommitsParams{Amount: &amount, FirstParent: &first}
					if after != "" {
						p.After = &from
					}
					return s.api.LogCommits(ctx, repo, commit, p)
				}})
			if status(err) == http.StatusNotFound {
				err = s.missing(ctx, repo, fmt.Errorf("commit %s of %s: %w", commit, repo, storage.ErrUnknownCommit))
			}
			var page apigen.CommitList
			if err == nil {
				page, err = decode[apigen.CommitList](a)
			}
			if err != nil {
				yield(storage.Commit{}, err)
				return
			}
			for _, c := range page.Results {
				if !yield(commitOf(c), nil) {
					return
				}
			}
			if !page.Pagination.HasMore || len(page.Results) == 0 {
				return
			}
			after, size = page.Pagination.NextOffset, min(size*10, pageSize)
		}
	}
}

// Diff yields the paths in which two commits differ, a page at a time.
func (s *Store) Diff(ctx context.Context, repo, from, to string) iter.Seq2[storage.Difference, error] {
	return func(yield func(storage.Difference, error) bool) {
		// Type three_dot, the default, would compare with the common ancestor.
		amount, kind, right := apigen.PaginationAmount(pageSize), "two_dot", true
		for after := ""; ; {
			start := apigen.PaginationAfter(after)
			a, err := s.call(ctx, request{what: fmt.Sprintf("compare %s with %s", from, to), repeat: true, long: true,
				send: func(ctx context.Context) (*http.Response, error) {
					return s.api.DiffRefs(ctx, repo, from, to, &apigen.DiffRefsParams{
						After: &start, Amount: &amount, Type: &kind, IncludeRightStats: &right})
				}})
			if status(err) == http.StatusNotFound {
				err = s.missing(ctx, repo, fmt.Errorf("commit %s or %s of %s: %w", from, to, repo, storage.ErrUnknownCommit))
			}
			var page apigen.DiffList
			if err == nil {
				page, err = decode[apigen.DiffList](a)
			}
			if err == nil && page.Pagination.HasMore && page.Pagination.NextOffset <= after {
				err = fmt.Errorf("compare %s with %s: %w (the next page is not further on)", from, to, ErrNotLakeFS)
			}
			if err != nil {
				yield(storage.Difference{}, err)
				return
			}
			for _, d := range page.Results {
				if !yield(differenceOf(d), nil) {
					return
				}
			}
			if !page.Pagination.HasMore {
				return
			}
			after = page.Pagination.NextOffset
		}
	}
}

func differenceOf(d apigen.Diff) storage.Difference {
	out := storage.Difference{Path: d.Path}
	switch d.Type {
	case "added":
		out.Op = storage.Added
	case "removed":
		out.Op = storage.Deleted
		return out
	default:
		out.Op = storage.Modified
	}
	if d.SizeBytes != nil {
		out.Size = *d.SizeBytes
	}
	if d.Right != nil {
		out.Checksum = d.Right.Checksum
	}
	return out
}

// LastChange is the newest commit that changed an object.
func (s *Store) LastChange(ctx context.Context, repo, commit, path string) (storage.Commit, error) {
	amount, limit, objects := apigen.PaginationAmount(1), true, []string{path}
	a, err := s.call(ctx, request{what: "read the history of " + path, repeat: true, long: true,
		send: func(ctx context.Context) (*http.Response, error) {
			return s.api.LogCommits(ctx, repo, commit, &apigen.LogCommitsParams{Amount: &amount, Limit: &limit, Objects: &objects})
		}})
	if status(err) == http.StatusNotFound {
		err = s.missing(ctx, repo, fmt.Errorf("commit %s of %s: %w", commit, repo, storage.ErrUnknownCommit))
	}
	var page apigen.CommitList
	if err == nil {
		page, err = decode[apigen.CommitList](a)
	}
	switch {
	case err != nil:
		return storage.Commit{}, err
	case len(page.Results) == 0:
		return storage.Commit{}, fmt.Errorf("history of %s: %w", path, fs.ErrNotExist)
	}
	return commitOf(page.Results[0]), nil
}

// Uncommitted names what is uncommitted on a branch.
func (s *Store) Uncommitted(ctx context.Context, repo, branch string, max int) ([]string, error) {
	amount := apigen.PaginationAmount(min(max, pageSize))
	a, err := s.call(ctx, request{what: "read what is uncommitted on " + branch, repeat: true,
		send: func(ctx context.Context) (*http.Response, error) {
			return s.api.DiffBranch(ctx, repo, branch, &apigen.DiffBranchParams{Amount: &amount})
		}})
	if err := s.branchError(ctx, repo, branch, err); err != nil {
		return nil, err
	}
	list, err := decode[apigen.DiffList](a)
	var paths []string
	for _, d := range list.Results {
		paths = append(paths, d.Path)
	}
	return paths, err
}

// CommitBranch commits what is uncommitted on a branch. It is sent once.
func (s *Store) CommitBranch(ctx context.Context, repo, branch, message string, metadata map[string]string) (storage.Commit, error) {
	a, err := s.call(ctx, request{what: "commit branch " + branch, long: true,
		send: func(ctx context.Context) (*http.Response, error) {
			return s.api.Commit(ctx, repo, branch, &apigen.CommitParams{}, apigen.CommitJSONRequestBody{
				Message: message, Metadata: &apigen.CommitCreation_Metadata{AdditionalProperties: metadata}})
		}})
	if status(err) == http.StatusBadRequest {
		if paths, listErr := s.Uncommitted(ctx, repo, branch, 1); listErr == nil && len(paths) == 0 {
			return storage.Commit{}, fmt.Errorf("commit branch %s: %w", branch, storage.ErrNoChanges)
		}
	}
	if err := s.branchError(ctx, repo, branch, err); err != nil {
		return storage.Commit{}, err
	}
	c, err := decode[apigen.Commit](a)
	return commitOf(c), err
}

// Merge merges one branch into another. It is sent once.
func (s *Store) Merge(ctx context.Context, repo string, m storage.Merge) (string, error) {
	what := fmt.Sprintf("merge %s into %s", m.Source, m.Target)
	a, err := s.call(ctx, request{what: what, long: true,
		send: func(ctx context.Context) (*http.Response, error) {
			return s.api.MergeIntoBranch(ctx, repo, m.Source, m.Target, apigen.MergeIntoBranchJSONRequestBody{
				Message: &m.Message, Metadata: &apigen.Merge_Metadata{AdditionalProperties: m.Metadata}})
		}})
	if status(err) == http.StatusBadRequest {
		// Uncommitted objects and "no changes" have the same status, so the branch is read.
		paths, listErr := s.Uncommitted(ctx, repo, m.Target, 1)
		switch {
		case listErr != nil:
			return "", err
		case len(paths) > 0:
			return "", fmt.Errorf("%w: %w", storage.ErrDirty, err)
		}
		return "", fmt.Errorf("%w: %w", storage.ErrNoChanges, err)
	}
	if err := s.branchError(ctx, repo, m.Target, err); err != nil {
		return "", err
	}
	result, err := decode[apigen.MergeResult](a)
	return result.Reference, err
}
