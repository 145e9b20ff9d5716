package publish

// The fence: a hook that turns the server's merge into a compare-and-swap. The
// server runs it inside its own update of the branch, on the commit that it is
// about to write, and it takes it from the source of the merge.

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"

	"perago/workspace/attempts"
	"perago/workspace/storage"
)

// Names at the root of a repository that are never part of a workspace's view.
const (
	ActionsFolder = "_lakefs_actions/" // the server's own hooks
	ResultsFolder = "_perago/results/" // results too large for a commit's metadata
	ownFolder     = "_perago/"
)

// FencePath is where the server looks for the hook.
const FencePath = ActionsFolder + "perago_fence.yaml"

// FenceMark starts what the hook says when it refuses.
const FenceMark = "perago-fence"

// FenceFile is the whole content of FencePath. A merge without perago.expect
// passes: those of people are untouched.
const FenceFile = `name: perago fence
description: >-
  A merge that says which commit it expects its target branch to be at is
  refused when the branch is at another one. Any other merge passes.
on:
  pre-merge:
hooks:
  - id: perago_fence
    type: lua
    properties:
      script: |
        local metadata = action.commit.metadata
        local parents = action.commit.parents
        local expect = metadata["perago.expect"]
        local commit = metadata["perago.commit"]
        if expect ~= nil and parents[1] ~= expect then
          error("perago-fence: the branch is at " .. tostring(parents[1]) .. ", not at " .. expect)
        end
        if expect ~= nil and commit ~= nil and parents[2] ~= commit then
          error("perago-fence: the source is at " .. tostring(parents[2]) .. ", not at " .. commit)
        end
`

// FenceState says what a commit holds at FencePath.
type FenceState string

const (
	FenceInstalled FenceState = "installed"
	FenceAbsent    FenceState = "absent"
	FenceDiffers   FenceState = "differs" // of another version, or edited
)

// FenceStatus reads the state at the head of a branch. Publishing does not need
// the hook installed: each publication brings it along.
func FenceStatus(ctx context.Context, store storage.Store, repo, branch string) (FenceState, error) {
	head, err := store.Head(ctx, repo, branch)
	if err != nil {
		return "", fmt.Errorf("fence of %s/%s: %w", repo, branch, err)
	}
	return fenceAt(ctx, store, repo, head)
}

// InstallFence brings the hook onto a branch with a commit of its own, and
// returns that commit; the head when it was there already.
func InstallFence(ctx context.Context, store storage.Store, repo, branch string) (string, error) {
	return changeFence(ctx, store, fenceChange{repo, branch, FenceInstalled, "install the perago fence"})
}

// RemoveFence takes the hook off a branch. The next publication brings it back.
func RemoveFence(ctx context.Context, store storage.Store, repo, branch string) (string, error) {
	return changeFence(ctx, store, fenceChange{repo, branch, FenceAbsent, "remove the perago fence"})
}

// fenceChange is what becomes of the hook on a branch.
type fenceChange struct {
	repo, branch string
	want         FenceState
	message      string
}

// changeFence stages the change on a branch of its own and merges it: that
// passes on a protected branch too, and drops nobody's commit.
func changeFence(ctx context.Context, store storage.Store, c fenceChange) (commit string, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("%s on %s/%s: %w", c.message, c.repo, c.branch, err)
		}
	}()
	head, err := store.Head(ctx, c.repo, c.branch)
	if err != nil {
		return "", err
	}
	state, err := fenceAt(ctx, store, c.repo, head)
	if err != nil || state == c.want {
		return head, err
	}
	stage := "perago-fence-" + attempts.RandomName()
	if err := store.CreateBranch(ctx, c.repo, stage, head); err != nil {
		return "", err
	}
	defer func() {
		ctx, cancel := cleanup(ctx)
		defer cancel()
		err = errors.Join(err, store.DeleteBranch(ctx, c.repo, stage))
	}()
	if c.want == FenceInstalled {
		err = putFence(ctx, store, c.repo, stage)
	} else {
		err = store.Remove(ctx, c.repo, stage, []string{FencePath})
	}
	if err != nil {
		return "", err
	}
	if _, err := store.CommitBranch(ctx, c.repo, stage, c.message, nil); err != nil {
		return "", err
	}
	return store.Merge(ctx, c.repo, storage.Merge{Source: stage, Target: c.branch, Message: c.message})
}

// putFence uploads the hook to a branch.
func putFence(ctx context.Context, store storage.Store, repo, branch string) error {
	_, err := store.Put(ctx, repo, branch, FencePath, stringContent(FenceFile))
	return err
}

// fenceAt compares what a commit holds at FencePath, byte for byte.
func fenceAt(ctx context.Context, store storage.Reader, repo, commit string) (FenceState, error) {
	r, err := store.Open(ctx, repo, commit, FencePath)
	if errors.Is(err, fs.ErrNotExist) {
		return FenceAbsent, nil
	}
	if err != nil {
		return "", err
	}
	defer r.Close()
	// One byte more than wanted tells a longer file without reading it.
	data, err := io.ReadAll(io.LimitReader(r, int64(len(FenceFile))+1))
	if err != nil {
		return "", fmt.Errorf("read %s: %w", FencePath, err)
	}
	if string(data) != FenceFile {
		return FenceDiffers, nil
	}
	return FenceInstalled, nil
}

// stringContent is a small content for Put.
func stringContent(s string) storage.Content {
	return storage.Content{Size: int64(len(s)), Open: func() (io.ReadSeekCloser, error) {
		return nopCloser{bytes.NewReader([]byte(s))}, nil
	}}
}

type nopCloser struct{ *bytes.Reader }

func (nopCloser) Close() error { return nil }
