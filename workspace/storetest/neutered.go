package storetest

import (
	"context"
	"io"
	"strings"

	"perago/workspace/fence"
	"perago/workspace/storage"
)

// Neutered is a store on which the fence seems to be installed and does nothing: the
// hook that is uploaded to the server has no comparison, while the publisher reads
// back what it wrote, and its self-test passes. It is the control: a test of the
// protocol that finds no violation on it proves nothing.
type Neutered struct{ storage.Store }

// neuter is the comparison that is removed from the hook.
var neuter = strings.NewReplacer(
	"parents[1] ~= expect", "parents[1] == nil",
	"parents[2] ~= commit", "parents[2] == nil",
)

// Put uploads the hook without its comparison.
func (n Neutered) Put(ctx context.Context, repo, branch, path string, body storage.Content) (storage.Object, error) {
	if path == fence.Path {
		body = storage.StringContent(neuter.Replace(fence.File))
	}
	return n.Store.Put(ctx, repo, branch, path, body)
}

// Open returns the hook as the publisher expects it, if there is one.
func (n Neutered) Open(ctx context.Context, repo, commit, path string) (io.ReadCloser, error) {
	r, err := n.Store.Open(ctx, repo, commit, path)
	if err == nil && path == fence.Path {
		err = r.Close()
		r = io.NopCloser(strings.NewReader(fence.File))
	}
	return r, err
}

// Merge refuses only the merge of the self-test.
func (n Neutered) Merge(ctx context.Context, repo string, m storage.Merge) (string, error) {
	if strings.HasPrefix(m.Target, "perago-selftest-") {
		return "", &storage.RefusedError{Hook: fence.Mark + ": as if"}
	}
	return n.Store.Merge(ctx, repo, m)
}
