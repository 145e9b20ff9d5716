package publish

// Staging: what the attempt wrote, as one commit on a branch of its own.

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/cenkalti/backoff/v5"
	"golang.org/x/sync/errgroup"

	"perago/panics"
	"perago/workspace/fence"
	"perago/workspace/storage"
	"perago/workspace/trace"
)

// repeats bounds how often one request of a publication is sent again.
const repeats = 5

// removeMax is how many paths one Remove names.
const removeMax = 1000

// pauses are the times between repeats: 100 ms, doubled each time, up to 5 s.
func pauses() *backoff.ExponentialBackOff {
	b := backoff.NewExponentialBackOff()
	b.InitialInterval = 100 * time.Millisecond
	b.Multiplier = 2
	b.MaxInterval = 5 * time.Second
	return b
}

// wait pauses, or ends with the cause of a cancelled context.
func wait(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return context.Cause(ctx)
	case <-t.C:
		return nil
	}
}

// stage makes S and C. ErrNoChanges: what was written is what the input has.
func (s *session) stage(ctx context.Context, changes []storage.Staged) error {
	began := time.Now()
	if err := s.createBranch(ctx); err != nil {
		return err
	}
	s.report(Event{Kind: EventBranched})
	done, err := s.upload(ctx, changes)
	if err != nil {
		return fmt.Errorf("stage: %w", err)
	}
	if err := s.putRecord(ctx); err != nil {
		return fmt.Errorf("stage the record: %w", err)
	}
	metadata, err := s.result(ctx)
	if err != nil {
		return fmt.Errorf("stage the result: %w", err)
	}
	if err := s.commit(ctx, metadata); err != nil {
		return fmt.Errorf("stage: %w", err)
	}
	if err := s.inspect(ctx); err != nil {
		return fmt.Errorf("stage: %w", err)
	}
	done.Kind, done.Commit, done.Took = EventStaged, s.staged.ID, time.Since(began)
	s.report(done)
	return nil
}

// createBranch makes S from the input commit. A request without a response is not
// repeated: a later attempt may have deleted the branch meanwhile, and it must not
// exist again. The next request has a new name, and the old one stays on record.
func (s *session) createBranch(ctx context.Context) error {
	pause := pauses()
	for try := 0; ; try++ {
		branch := s.Task.NewBranch()
		if err := record(s.Dir, s.Ref.Repository, branch); err != nil {
			return err
		}
		err := s.Store.CreateBranch(ctx, s.Ref.Repository, branch, s.Ref.Commit)
		if err == nil {
			s.branch = branch
			return nil
		}
		var refused *storage.RefusedError
		if errors.As(err, &refused) {
			return errors.Join(&HookError{Branch: branch, Hook: refused.Hook}, forget(s.Dir, s.Ref.Repository, branch))
		}
		if errors.Is(err, storage.ErrUnknownCommit) || errors.Is(err, storage.ErrUnknownRepository) || errors.Is(err, storage.ErrProtected) {
			return errors.Join(err, forget(s.Dir, s.Ref.Repository, branch))
		}
		s.doubtful = append(s.doubtful, branch)
		if try == repeats {
			return err
		}
		if err := wait(ctx, pause.NextBackOff()); err != nil {
			return err
		}
	}
}

// upload makes all changes on S, in parallel, and counts them.
func (s *session) upload(ctx context.Context, changes []storage.Staged) (Event, error) {
	limit := s.Concurrency
	if limit < 1 {
		limit = 16
	}
	group, gctx := errgroup.WithContext(ctx)
	group.SetLimit(limit)
	var (
		done   Event
		bytes  atomic.Int64
		remove []string
	)
	for _, c := range changes {
		switch {
		case c.Op == storage.Deleted:
			done.Drops++
			remove = append(remove, c.Path)
		case c.From != "":
			done.Copies++
			group.Go(panics.ToError(func() error {
				return s.Store.Copy(gctx, s.Ref.Repository, s.branch, storage.CopyRequest{Commit: cmp.Or(c.FromCommit, s.Ref.Commit), From: c.From, To: c.Path})
			}))
		default:
			done.Puts++
			group.Go(panics.ToError(func() error {
				o, err := s.Store.Put(gctx, s.Ref.Repository, s.branch, c.Path, storage.Content{Size: c.Size, Open: c.Open})
				bytes.Add(c.Size)
				if s.Record != nil {
					s.uploaded.Store(c.Path, trace.Content{Size: o.Size, Checksum: o.Checksum})
				}
				return err
			}))
		}
	}
	for len(remove) > 0 {
		n := min(len(remove), removeMax)
		batch := remove[:n]
		remove = remove[n:]
		group.Go(panics.ToError(func() error { return s.Store.Remove(gctx, s.Ref.Repository, s.branch, batch) }))
	}
	if s.fenced {
		group.Go(panics.ToError(func() error { return s.ensureFence(gctx) }))
	}
	err := group.Wait()
	done.Bytes = bytes.Load()
	return done, err
}

// putRecord puts the record of the attempt beside its files. One that is too large
// is left out: the files are as good without it.
func (s *session) putRecord(ctx context.Context) error {
	if s.Record == nil {
		return nil
	}
	t, err := s.Overlay.Trace(ctx)
	switch {
	case err != nil && ctx.Err() != nil:
		return err
	case err != nil:
		s.report(Event{Kind: EventUnrecorded, Err: err})
		return nil
	case !t.Repeatable():
		return nil // nobody would take it over, and an earlier one may be good
	}
	for path, c := range t.Wrote {
		if up, is := s.uploaded.Load(path); is && c.Checksum == "" {
			t.Wrote[path] = up.(trace.Content)
		}
	}
	r := *s.Record
	r.Trace, r.Result = t, s.Result
	data, err := r.Encode()
	if err != nil || len(data) > trace.MaxRecord {
		s.report(Event{Kind: EventUnrecorded, Err: cmp.Or(err, fmt.Errorf("the record has %d bytes, at most %d are kept", len(data), trace.MaxRecord))})
		return nil
	}
	_, err = s.Store.Put(ctx, s.Ref.Repository, s.branch, trace.Path(r.Task, r.Key), storage.StringContent(string(data)))
	return err
}

// ensureFence puts the hook on S unless the input commit has it.
func (s *session) ensureFence(ctx context.Context) error {
	state, err := fence.At(ctx, s.Store, s.Ref.Repository, s.Ref.Commit)
	if err != nil || state == fence.Installed {
		return err
	}
	return fence.Put(ctx, s.Store, s.Ref.Repository, s.branch)
}

// result is the metadata of C. A large result becomes an object.
func (s *session) result(ctx context.Context) (map[string]string, error) {
	result := string(s.Result)
	if result == "" {
		result = "null"
	}
	metadata := sharedMetadata(s.Task, s.Ref.Commit, s.branch)
	if len(result) <= resultMax {
		metadata[keyResult] = result
		return metadata, nil
	}
	path := resultPath(s.Task)
	metadata[keyObject] = path
	_, err := s.Store.Put(ctx, s.Ref.Repository, s.branch, path, storage.StringContent(result))
	return metadata, err
}

// commit makes C. After a failure, S tells whether the request made a commit, since
// nobody else commits to S. The response does not: "no changes" may also mean that a
// proxy sent the request twice, and that the first one made the commit.
func (s *session) commit(ctx context.Context, metadata map[string]string) error {
	message := "stage " + s.title()
	pause := pauses()
	for try := 0; ; try++ {
		c, err := s.Store.CommitBranch(ctx, s.Ref.Repository, s.branch, message, metadata)
		if err == nil {
			s.staged = c
			return nil
		}
		var refused *storage.RefusedError
		switch {
		case errors.As(err, &refused):
			return &HookError{Branch: s.branch, Hook: refused.Hook}
		case errors.Is(err, storage.ErrUnknownBranch), errors.Is(err, storage.ErrProtected):
			return err
		}
		head, headErr := s.Store.Head(ctx, s.Ref.Repository, s.branch)
		if headErr == nil && head != s.Ref.Commit {
			s.staged, headErr = s.Store.Lookup(ctx, s.Ref.Repository, head)
			return headErr
		}
		if errors.Is(err, storage.ErrNoChanges) && headErr == nil || errors.Is(headErr, storage.ErrUnknownBranch) || try == repeats {
			return err
		}
		if err := wait(ctx, pause.NextBackOff()); err != nil {
			return err
		}
	}
}

// inspect checks C: its parent is the input commit, and it has the hook, with
// exactly our content, where the server looks for it.
func (s *session) inspect(ctx context.Context) error {
	if len(s.staged.Parents) != 1 || s.staged.Parents[0] != s.Ref.Commit {
		return fmt.Errorf("commit %s stands on %v, not on the input %s", s.staged.ID, s.staged.Parents, s.Ref.Commit)
	}
	if !s.fenced {
		return nil
	}
	state, err := fence.At(ctx, s.Store, s.Ref.Repository, s.staged.ID)
	if err == nil && state != fence.Installed {
		err = fmt.Errorf("commit %s: %s is not what was put there (%s)", s.staged.ID, fence.Path, state)
	}
	return err
}

// title names the attempt in commit messages.
func (s *session) title() string {
	name := s.Task.Name
	if name == "" {
		name = "perago"
	}
	if s.Task.WorkflowID == "" {
		return name + ": " + s.Task.TaskID
	}
	return fmt.Sprintf("%s: %s/%s", name, s.Task.WorkflowID, s.Task.Reference)
}

// drop deletes the branches of the attempt. A branch that could not be deleted, or
// that a request may still make, stays on record for the sweep.
func (s *session) drop(ctx context.Context) {
	ctx, cancel := cleanup(ctx)
	defer cancel()
	if s.branch != "" {
		err := s.Store.DeleteBranch(ctx, s.Ref.Repository, s.branch)
		if err == nil {
			err = forget(s.Dir, s.Ref.Repository, s.branch)
		}
		if err != nil {
			s.report(Event{Kind: EventLeft, Err: err})
		}
	}
	for _, branch := range s.doubtful {
		if err := s.Store.DeleteBranch(ctx, s.Ref.Repository, branch); err != nil {
			s.report(Event{Kind: EventLeft, Branch: branch, Err: err})
		}
	}
}
