// Package fence is the hook that turns the server's merge into a compare-and-swap.
// The server runs it inside its own update of the branch, on the commit that it is
// about to write, and takes it from the source of the merge.
package fence

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"strings"
	"time"

	"perago/workspace/storage"
)

// FencePath is where the server looks for the hook.
const Path = "_lakefs_actions/perago_fence.yaml"

// FenceMark starts what the hook says when it refuses.
const Mark = "perago-fence"

// FenceFile is the whole content of FencePath. A merge without perago.expect
// passes: those of people are untouched.
const File = `name: perago fence
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
type State string

const (
	Installed State = "installed"
	Absent    State = "absent"
	Differs   State = "differs" // of another version, or edited
)

// FenceStatus reads the state at the head of a branch. Publishing does not need
// the hook installed: each publication brings it along.
func Status(ctx context.Context, store storage.Store, repo, branch string) (State, error) {
	head, err := store.Head(ctx, repo, branch)
	if err != nil {
		return "", fmt.Errorf("fence of %s/%s: %w", repo, branch, err)
	}
	return At(ctx, store, repo, head)
}

// InstallFence brings the hook onto a branch with a commit of its own, and
// returns that commit; the head when it was there already.
func Install(ctx context.Context, store storage.Store, repo, branch string) (string, error) {
	return apply(ctx, store, change{repo, branch, Installed, "install the perago fence"})
}

// RemoveFence takes the hook off a branch. The next publication brings it back.
func Remove(ctx context.Context, store storage.Store, repo, branch string) (string, error) {
	return apply(ctx, store, change{repo, branch, Absent, "remove the perago fence"})
}

// fenceChange is what becomes of the hook on a branch.
type change struct {
	repo, branch string
	want         State
	message      string
}

// changeFence stages the change on a branch of its own and merges it: that
// passes on a protected branch too, and drops nobody's commit.
func apply(ctx context.Context, store storage.Store, c change) (commit string, err error) {
	defer func() {
		if err != nil {
			err = fmt.Errorf("%s on %s/%s: %w", c.message, c.repo, c.branch, err)
		}
	}()
	head, err := store.Head(ctx, c.repo, c.branch)
	if err != nil {
		return "", err
	}
	state, err := At(ctx, store, c.repo, head)
	if err != nil || state == c.want {
		return head, err
	}
	stage := "perago-fence-" + strings.ToLower(rand.Text())
	if err := store.CreateBranch(ctx, c.repo, stage, head); err != nil {
		return "", err
	}
	defer func() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupTime)
		defer cancel()
		err = errors.Join(err, store.DeleteBranch(ctx, c.repo, stage))
	}()
	if c.want == Installed {
		err = Put(ctx, store, c.repo, stage)
	} else {
		err = store.Remove(ctx, c.repo, stage, []string{Path})
	}
	if err != nil {
		return "", err
	}
	if _, err := store.CommitBranch(ctx, c.repo, stage, c.message, nil); err != nil {
		return "", err
	}
	return store.Merge(ctx, c.repo, storage.Merge{Source: stage, Target: c.branch, Message: c.message})
}

// cleanupTime is how long the staging branch may take to be removed, also after a
// cancel.
const cleanupTime = 30 * time.Second

// putFence uploads the hook to a branch.
func Put(ctx context.Context, store storage.Store, repo, branch string) error {
	_, err := store.Put(ctx, repo, branch, Path, storage.StringContent(File))
	return err
}

// fenceAt compares what a commit holds at FencePath, byte for byte.
func At(ctx context.Context, store storage.Reader, repo, commit string) (State, error) {
	r, err := store.Open(ctx, repo, commit, Path)
	if errors.Is(err, fs.ErrNotExist) {
		return Absent, nil
	}
	if err != nil {
		return "", err
	}
	defer r.Close()
	// One byte more than wanted tells a longer file without reading it.
	data, err := io.ReadAll(io.LimitReader(r, int64(len(File))+1))
	if err != nil {
		return "", fmt.Errorf("read %s: %w", Path, err)
	}
	if string(data) != File {
		return Differs, nil
	}
	return Installed, nil
}
