package storetest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"perago/workspace"
	"perago/workspace/attempts"
	"perago/workspace/publish"
	"perago/workspace/storage"
)

// world is the fixture of one case: a repository whose branch main is
// at the input commit, and a workspace root.
type world struct {
	repo
	input string // A
	root  *attempts.Root
	dir   string // of the root

	rebase bool // the attempts may follow a branch that moves, and it does
}

// seedFiles are the files of every input commit.
var seedFiles = map[string]string{"in/a.txt": "alpha", "in/b.txt": "beta", "old.txt": "old"}

// outFiles are the files of the branch after one attempt of the tests has published.
var outFiles = map[string]string{"in/a.txt": "alpha", "in/b.txt": "changed", "in/copy.txt": "alpha", "out.txt": "written"}

func newWorld(t *testing.T, s Subject) world {
	t.Helper()
	w := world{repo: repo{Subject: s, t: t, name: s.NewRepository(t)}, dir: t.TempDir()}
	w.input = w.seed("main", seedFiles).ID
	var err error
	w.root, err = attempts.OpenRoot(w.dir, nil)
	w.must(err)
	t.Cleanup(func() { w.root.Close() })
	return w
}

// attempt is one attempt of one task.
type attempt struct {
	world
	task   attempts.TaskKey
	result string
	pub    *publish.Publisher
	dir    *attempts.Dir
	over   *workspace.Overlay
	// current is step 4; nil: always.
	current publish.Fence

	mu     sync.Mutex
	events []publish.Event
}

// attempt makes the attempt number retry of the task that id names. Its publisher is
// new, so it has not tested the fence yet.
func (w world) attempt(store storage.Store, id string, retry int) *attempt {
	w.t.Helper()
	a := &attempt{world: w, result: fmt.Sprintf(`{"from": %q}`, id), task: attempts.TaskKey{
		Name: "suite", WorkflowID: "wf-" + id, Reference: "ref", TaskID: fmt.Sprintf("%s-%d", id, retry), Retry: retry}}
	a.pub = &publish.Publisher{Store: store, Concurrency: 1, Events: func(e publish.Event) {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.events = append(a.events, e)
	}}
	var err error
	a.dir, err = w.root.NewAttempt(attempts.Record{Task: a.task})
	w.must(err)
	a.over = workspace.NewOverlay(store, a.ref(), workspace.OverlayOptions{Dir: a.dir.Files()})
	return a
}

func (w world) ref() workspace.Ref {
	return workspace.Ref{Repository: w.name, Branch: "main", Commit: w.input}
}

func (a *attempt) publication() publish.Publication {
	return publish.Publication{Ref: a.ref(), Task: a.task, Rebase: a.rebase, Overlay: a.over, Dir: a.dir,
		Result: json.RawMessage(a.result), Current: a.current}
}

// body writes the files of outFiles.
func (a *attempt) body(ctx context.Context) error {
	write := func(path, data string) error {
		d, err := a.over.Create(ctx, path, workspace.Replace)
		if err != nil {
			return err
		}
		if _, err := d.File.WriteString(data); err != nil {
			return err
		}
		_, err = d.Commit(ctx)
		return err
	}
	for _, step := range []func() error{
		func() error { return write("out.txt", "written") },
		func() error { return write("in/b.txt", "changed") },
		func() error { return a.over.Copy(ctx, "in/a.txt", "in/copy.txt") },
		func() error { return a.over.Remove(ctx, "old.txt") },
	} {
		// An input that a publication of the tests made has no old.txt.
		if err := step(); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("body: %w", err)
		}
	}
	return nil
}

// run is the whole attempt, as the engine runs it. Its folder is closed unless
// the process died.
func (a *attempt) run(ctx context.Context) (publish.Published, error) {
	done, err := a.steps(ctx)
	f, ok := a.pub.Store.(Link)
	if !ok || !f.Crashed() {
		err = errors.Join(err, a.over.Close(), a.dir.Close(attempts.Drop))
	}
	return done, err
}

func (a *attempt) steps(ctx context.Context) (publish.Published, error) {
	before := a.publication()
	before.Result = nil
	earlier, err := a.pub.Prepare(ctx, before)
	if err != nil {
		return publish.Published{}, err
	}
	if earlier != nil {
		return *earlier, nil
	}
	if err := a.body(ctx); err != nil {
		return publish.Published{}, err
	}
	return a.pub.Publish(ctx, a.publication())
}

// saw counts the events of one kind.
func (a *attempt) saw(kind publish.EventKind) (n int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, e := range a.events {
		if e.Kind == kind {
			n++
		}
	}
	return n
}

// foreign commits a file to main, as a person would, and returns the commit.
func (w world) foreign(path string) string {
	w.t.Helper()
	return w.seed("main", map[string]string{path: "someone's"}).ID
}

// sweep removes what dead processes left. The attempts of processes that a test
// declared dead are still locked by this process, so it works on a copy of the root.
func (w world) sweep() {
	w.t.Helper()
	copied := w.t.TempDir()
	w.must(os.CopyFS(copied, os.DirFS(w.dir)))
	root, err := attempts.OpenRoot(copied, nil)
	w.must(err)
	defer root.Close()
	swept, err := root.Sweep(w.t.Context(), attempts.SweepOptions{DropBranch: w.Store.DeleteBranch})
	w.must(errors.Join(err, swept.Err))
	left, err := os.ReadDir(filepath.Join(copied, "attempts"))
	w.must(err)
	if len(left) > 0 {
		w.t.Errorf("%d attempt folders are left after a sweep", len(left))
	}
}

// history are the commits of main along first parents, newest first, down to the
// input commit, which must be among them.
func (w world) history() []storage.Commit {
	w.t.Helper()
	var commits []storage.Commit
	for c, err := range w.Store.FirstParents(w.t.Context(), w.name, w.head("main")) {
		w.must(err)
		if c.ID == w.input {
			return commits
		}
		commits = append(commits, c)
	}
	w.t.Fatalf("the input commit is no longer in the history of main")
	return nil
}

// publications are the commits of a history that tasks made.
func publications(history []storage.Commit) (ours []storage.Commit) {
	for _, c := range history {
		if c.Metadata["perago.task"] != "" {
			ours = append(ours, c)
		}
	}
	return ours
}

// unpublished checks that the branch is where it was.
func (w world) unpublished() {
	w.t.Helper()
	if w.head("main") != w.input {
		w.t.Error("it was published all the same")
	}
}

// noDebris ends the test if a branch that perago made is left.
func (w world) noDebris() {
	w.t.Helper()
	for name, err := range w.Store.Branches(w.t.Context(), w.name, "perago-") {
		w.must(err)
		w.t.Errorf("branch %s is left", name)
	}
}

// onePublication checks the outcome of one task: one commit on main, on its
// input, with all of its files, and every attempt that succeeded names it.
func (w world) onePublication(outcomes ...outcome) storage.Commit {
	w.t.Helper()
	ours := publications(w.history())
	if len(ours) != 1 {
		w.t.Fatalf("main has %d commits of the task, want 1", len(ours))
	}
	m := ours[0]
	on, files := w.input, maps.Clone(outFiles)
	if w.rebase {
		on = m.Metadata["perago.expect"]
		for _, path := range w.list(on, elsewhere) {
			files[path] = "someone's"
		}
	}
	if m.Parents[0] != on {
		w.t.Errorf("the publication stands on %.8s, want %.8s", m.Parents[0], on)
	}
	w.sameFiles(m.ID, files)
	for i, o := range outcomes {
		if o.err == nil && o.done.Commit != m.ID {
			w.t.Errorf("attempt %d reports commit %.8s, main has %.8s", i, o.done.Commit, m.ID)
		}
	}
	return m
}

// outcome is the result of an attempt.
type outcome struct {
	done publish.Published
	err  error
}

func outcomeOf(done publish.Published, err error) outcome { return outcome{done, err} }

// sameResult checks that an adopted publication comes with its result.
func (w world) sameResult(got json.RawMessage, want string) {
	w.t.Helper()
	if string(got) != want {
		w.t.Errorf("adopted result = %.100s, want %.100s", got, want)
	}
}

// metadataKeys are those of perago on a commit, sorted.
func metadataKeys(c storage.Commit) []string {
	var keys []string
	for key := range maps.Keys(c.Metadata) {
		if strings.HasPrefix(key, "perago.") {
			keys = append(keys, key)
		}
	}
	slices.Sort(keys)
	return keys
}

// resultOf is the result in the outcome of an attempt.
func resultOf(o outcome, own string) json.RawMessage {
	if o.done.Adopted {
		return o.done.Result
	}
	return json.RawMessage(own)
}
