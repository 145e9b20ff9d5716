package perago

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"path/filepath"
	"testing"

	"perago/workspace/memory"
)

// memoryLake is a repository "songs" whose main branch has the files of testdata/embedding/data.
func memoryLake(t *testing.T) (*memory.Store, Ref) {
	t.Helper()
	store := memory.New(nil)
	store.CreateRepository("songs")
	files := map[string]string{}
	for _, name := range []string{"monday.csv", "tuesday.csv"} {
		data, err := os.ReadFile(filepath.Join("testdata/embedding/data", name))
		if err != nil {
			t.Fatal(err)
		}
		files[name] = string(data)
	}
	commit, err := store.Seed("songs", "main", files)
	if err != nil {
		t.Fatal(err)
	}
	return store, Ref{Repository: "songs", Branch: "main", Commit: commit}
}

func loadCount(t *testing.T) *Task {
	t.Helper()
	task, err := Load("testdata/embedding/count.star", nil)
	if err != nil {
		t.Fatal(err)
	}
	return task
}

func TestRunOnACommit(t *testing.T) {
	store, ref := memoryLake(t)
	task := loadCount(t)
	o := &RunOptions{Lake: &Lake{store: store, url: "memory"}, Ref: ref, Dir: t.TempDir()}
	for _, publish := range []bool{false, true} {
		o.Publish = publish
		res, err := task.Run(t.Context(), map[string]int{"min_rows": 3}, o)
		if err != nil || res.Status != Completed || string(res.Value) != `{"rows":4}` || len(res.Changes) != 1 {
			t.Fatalf("publish %v: %+v, %v", publish, res, err)
		}
		head, err := store.Head(t.Context(), "songs", "main")
		if err != nil {
			t.Fatal(err)
		}
		if res.Ref.Commit != head || (head != ref.Commit) != publish {
			t.Errorf("publish %v: the branch is at %.8s, and the result names %.8s; the input was %.8s", publish, head, res.Ref.Commit, ref.Commit)
		}
	}
	head, err := store.Head(t.Context(), "songs", "main")
	if err != nil {
		t.Fatal(err)
	}
	r, err := store.Open(t.Context(), "songs", head, "count.json")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if got, err := io.ReadAll(r); string(got) != `{"rows":4}` || err != nil {
		t.Errorf("count.json has %q, %v", got, err)
	}
}

func TestPublishToAFolder(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "a.csv"), []byte("n\n1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	o := &RunOptions{Folder: dir, Publish: true, Dir: t.TempDir()}
	if _, err := loadCount(t).Run(t.Context(), json.RawMessage(`{}`), o); err != nil {
		t.Fatal(err)
	}
	if got, err := os.ReadFile(filepath.Join(dir, "count.json")); string(got) != `{"rows":1}` || err != nil {
		t.Errorf("count.json has %q, %v", got, err)
	}
}

// What cannot be an attempt is said before there is one; what is wrong with an
// input is told as everywhere.
func TestRefusedRuns(t *testing.T) {
	store, ref := memoryLake(t)
	lake := &Lake{store: store}
	short := ref
	short.Commit = "main"
	plain, err := Load("testdata/embedding/unread.star", nil)
	if err != nil {
		t.Fatal(err)
	}
	count := loadCount(t)
	for _, c := range []struct {
		task   *Task
		params any
		o      *RunOptions
		status Status // "": there was no attempt
		want   string
	}{
		{count, nil, nil, "", "the task rows.count works on a workspace: set Folder, or Lake and Ref"},
		{count, nil, &RunOptions{Folder: ".", Lake: lake}, "", "a workspace is in Folder or in Lake: set one of the two"},
		{plain, nil, &RunOptions{Folder: "."}, "", "the task rows.unread has no workspace: leave Folder out"},
		{plain, nil, &RunOptions{Mode: "threads"}, "", `no such Mode: "threads"`},
		{plain, func() {}, nil, "", "params of rows.unread: json: unsupported type: func()"},
		{plain, nil, nil, FailedTerminal, "/params/n: got nothing, want an int"},
		{count, nil, &RunOptions{Lake: lake, Ref: short, Dir: t.TempDir()}, FailedTerminal, `/workspace/ref: got "main", want a full commit id, 64 hex digits`},
	} {
		_, err := c.task.Run(t.Context(), c.params, c.o)
		var failed *Error
		if errors.As(err, &failed) != (c.status != "") || failed != nil && failed.Status != c.status || err.Error() != c.want {
			t.Errorf("got %v (%+v)\nwant %s %s", err, failed, c.status, c.want)
		}
	}
}
