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

// Path is where the server looks for the hook.
const Path = "_lakefs_actions/perago_fence.yaml"

// Mark starts the message of the hook when it refuses a merge.
const Mark = "perago-fence"

// File is the whole content of the file at Path. A merge without perago.expect
// passes, so merges made by people are not affected.
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

// State says what a commit has at Path.
type State string

const (
	Installed State = "installed"
	Absent    State = "absent"
	Differs   State = "differs" // of another version, or edited
)

// Status reads the state at the head of a branch. The hook need not be installed
// for a publication: each publication contains it.
func Status(ctx context.Context, store storage.Store, repo, branch string) (State, error) {
	head, err := store.Head(ctx, repo, branch)
	if err != nil {
		return "", fmt.Errorf("fence of %s/%s: %w", repo, branch, err)
	}
	return At(ctx, store, repo, head)
}

// Install adds the hook to a branch in a commit of its own, and returns that
// commit. When the hook is there already, it returns the head.
func Install(ctx context.Context, store storage.Store, repo, branch string) (string, error) {
	return apply(ctx, store, change{repo, branch, Installed, "install the perago fence"})
}

// Remove deletes the hook from a branch. The next publication adds it again.
func Remove(ctx context.Context, store storage.Store, repo, branch string) (string, error) {
	return apply(ctx, store, change{repo, branch, Absent, "remove the perago fence"})
}

// change is an installation or a removal of the hook on a branch.
type change struct {
	repo, branch string
	want         State
	message      string
}

// apply commits the change to a branch of its own and merges that: a merge is
// allowed on a protected branch too, and loses nobody's commit.
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

// cleanupTime bounds the removal of the staging branch, which is done also after
// the context is cancelled.
const cleanupTime = 30 * time.Second

// Put uploads the hook to a branch.
func Put(ctx context.Context, store storage.Store, repo, branch string) error {
	_, err := store.Put(ctx, repo, branch, Path, storage.StringContent(File))
	return err
}

// At compares what a commit has at Path with File, byte for byte.
func At(ctx context.Context, store storage.Reader, repo, commit string) (State, error) {
	r, err := store.Open(ctx, repo, commit, Path)
	if errors.Is(err, fs.ErrNotExist) {
		return Absent, nil
	}
	if err != nil {
		return "", err
	}
	defer r.Close()
	// One byte more than File has is enough to see that a file is longer.
	data, err := io.ReadAll(io.LimitReader(r, int64(len(File))+1))
	if err != nil {
		return "", fmt.Errorf("read %s: %w", Path, err)
	}
	if string(data) != File {
		return Differs, nil
	}
	return Installed, nil
}
