package storetest

import (
	"crypto/md5"
	"encoding/hex"
	"errors"
	"io"
	"maps"
	"strings"
	"testing"

	"golang.org/x/sync/errgroup"

	"perago/workspace/storage"
)

// repo is a repository of one case, with calls that end the test on an error.
type repo struct {
	Subject
	t    *testing.T
	name string
}

func (r repo) must(err error) {
	r.t.Helper()
	if err != nil {
		r.t.Fatal(err)
	}
}

// wants ends the test unless err is want.
func (r repo) wants(op string, err, want error) {
	r.t.Helper()
	if !errors.Is(err, want) {
		r.t.Errorf("%s: error %v, want one that is %q", op, err, want)
	}
}

func (r repo) head(branch string) string {
	r.t.Helper()
	id, err := r.Store.Head(r.t.Context(), r.name, branch)
	r.must(err)
	return id
}

func (r repo) lookup(id string) storage.Commit {
	r.t.Helper()
	c, err := r.Store.Lookup(r.t.Context(), r.name, id)
	r.must(err)
	return c
}

func (r repo) branch(name, commit string) {
	r.t.Helper()
	r.must(r.Store.CreateBranch(r.t.Context(), r.name, name, commit))
}

func (r repo) put(branch, path, data string) storage.Object {
	r.t.Helper()
	o, err := r.Store.Put(r.t.Context(), r.name, branch, path, storage.StringContent(data))
	r.must(err)
	return o
}

// seed commits files onto a branch.
func (r repo) seed(branch string, files map[string]string) storage.Commit {
	r.t.Helper()
	var g errgroup.Group
	g.SetLimit(16)
	for path, data := range files {
		g.Go(func() error {
			_, err := r.Store.Put(r.t.Context(), r.name, branch, path, storage.StringContent(data))
			return err
		})
	}
	r.must(g.Wait())
	return r.commit(branch, nil)
}

func (r repo) commit(branch string, metadata map[string]string) storage.Commit {
	r.t.Helper()
	c, err := r.Store.CommitBranch(r.t.Context(), r.name, branch, "a commit", metadata)
	r.must(err)
	return c
}

// merge merges and returns the merge commit.
func (r repo) merge(source, target string, metadata map[string]string) (storage.Commit, error) {
	r.t.Helper()
	id, err := r.Store.Merge(r.t.Context(), r.name, storage.Merge{
		Source: source, Target: target, Message: "a merge", Metadata: metadata})
	if err != nil {
		return storage.Commit{}, err
	}
	return r.lookup(id), nil
}

// list returns the paths of a commit, in the order they came.
func (r repo) list(commit, prefix string) []string {
	r.t.Helper()
	var paths []string
	for o, err := range r.Store.List(r.t.Context(), r.name, commit, prefix) {
		r.must(err)
		paths = append(paths, o.Path)
	}
	return paths
}

// checksum is what a commit says of one object; "" when it has none there.
func (r repo) checksum(commit, path string) string {
	r.t.Helper()
	for o, err := range r.Store.List(r.t.Context(), r.name, commit, path) {
		r.must(err)
		if o.Path == path {
			return o.Checksum
		}
	}
	return ""
}

func (r repo) read(commit, path string) string {
	r.t.Helper()
	f, err := r.Store.Open(r.t.Context(), r.name, commit, path)
	r.must(err)
	defer f.Close()
	data, err := io.ReadAll(f)
	r.must(err)
	return string(data)
}

// files returns what a commit holds, without what perago and the server keep there.
func (r repo) files(commit string) map[string]string {
	r.t.Helper()
	held := make(map[string]string)
	for _, path := range r.list(commit, "") {
		if !strings.HasPrefix(path, "_") {
			held[path] = r.read(commit, path)
		}
	}
	return held
}

func (r repo) sameFiles(commit string, want map[string]string) {
	r.t.Helper()
	if got := r.files(commit); !maps.Equal(got, want) {
		r.t.Errorf("commit %.8s holds %v, want %v", commit, got, want)
	}
}

func md5Hex(data string) string {
	sum := md5.Sum([]byte(data))
	return hex.EncodeToString(sum[:])
}
