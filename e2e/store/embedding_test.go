package store

import (
	"bytes"
	"io"
	"testing"

	"perago"
	"perago/workspace/storage"
)

// A Go program that embeds perago runs a task on a commit, and publishes.
func TestEmbedded(t *testing.T) {
	repo := newRepository(t)
	data := []byte("song\nSo What\n")
	content := storage.Content{Size: int64(len(data)), Open: func() (io.ReadSeekCloser, error) { return held{bytes.NewReader(data)}, nil }}
	if _, err := server.store.Put(t.Context(), repo, "main", "raw.csv", content); err != nil {
		t.Fatal(err)
	}
	input, err := server.store.CommitBranch(t.Context(), repo, "main", "plays", nil)
	if err != nil {
		t.Fatal(err)
	}
	lake, err := perago.NewLake(server.lakefs.URL, options("").Key.Reveal(), options("").Secret.Reveal())
	if err != nil {
		t.Fatal(err)
	}
	defer lake.Close()
	task, err := perago.Load("../../testdata/embedding/count.star", nil)
	if err != nil {
		t.Fatal(err)
	}
	res, err := task.Run(t.Context(), map[string]any{"min_rows": 1}, &perago.RunOptions{Lake: lake, Publish: true,
		Ref: perago.Ref{Repository: repo, Branch: "main", Commit: input.ID}, Dir: t.TempDir()})
	if err != nil || string(res.Value) != `{"rows":1}` {
		t.Fatalf("got %s, %v", res.Value, err)
	}
	head, err := server.store.Head(t.Context(), repo, "main")
	if err != nil || head == input.ID || res.Ref.Commit != head {
		t.Errorf("the branch is at %s (%v), and the result names %s", head, err, res.Ref.Commit)
	}
}

// held is content in memory.
type held struct{ *bytes.Reader }

func (held) Close() error { return nil }
