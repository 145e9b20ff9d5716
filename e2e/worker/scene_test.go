//go:build linux

package worker

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"perago/e2e/servers"
)

// scene is a repository, a workflow of tasks over its branch main, and the
// folders of the workers that serve them.
type scene struct {
	t     *testing.T
	name  string   // of the repository and the workflow
	files []string // of the tasks
	tasks []string // their names
	input string   // commit
	roots int

	branch   string   // that its workflows publish to
	branches []string // that were made of it, beside main
}

// newScene makes a workflow of the tasks, one after another, each given as the
// source of its file with NAME for its name, and a commit with in.txt.
func newScene(t *testing.T, sources ...string) *scene {
	t.Helper()
	s := &scene{t: t, name: fmt.Sprintf("scene-%d", site.scenes.Add(1)), branch: "main"}
	must(t, site.lakefs.CreateRepository(t.Context(), s.name))
	fixture := t.TempDir()
	must(t, os.WriteFile(filepath.Join(fixture, "in.txt"), []byte("in\n"), 0o600))
	var err error
	s.input, err = site.lakefs.Upload(t.Context(), s.name, "main", fixture)
	must(t, err)

	dir := t.TempDir()
	steps := make([]servers.WorkflowTask, len(sources))
	before := "workflow.input"
	for i, source := range sources {
		name, reference := fmt.Sprintf("e2e.%s.%d", s.name, i), fmt.Sprintf("step%d", i)
		file := filepath.Join(dir, name+".star")
		must(t, os.WriteFile(file, []byte(strings.ReplaceAll(source, "NAME", name)), 0o600))
		s.files, s.tasks = append(s.files, file), append(s.tasks, name)
		steps[i] = servers.WorkflowTask{Name: name, Reference: reference, Type: "SIMPLE",
			Input: map[string]any{"workspace": "${" + before + ".workspace}", "params": "${workflow.input.params}"}}
		before = reference + ".output"
	}
	launch(t, nil, append([]string{"register"}, s.files...)...).exits(0)
	must(t, site.conductor.DefineWorkflow(t.Context(), s.name, steps))
	return s
}

// on makes a branch from the input commit and returns the scene whose workflows
// publish there.
func (s *scene) on(branch string) *scene {
	s.t.Helper()
	must(s.t, site.store.CreateBranch(s.t.Context(), s.name, branch, s.input))
	s.branches = append(s.branches, branch)
	there := *s
	there.branch = branch
	return &there
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// envelope is an input, or an output.
type envelope struct {
	Workspace map[string]string `json:"workspace"`
	Params    map[string]any    `json:"params"`
	Result    json.RawMessage   `json:"result,omitempty"`
}

func (s *scene) envelope() envelope {
	return envelope{Workspace: map[string]string{"repository": s.name, "branch": s.branch, "refType": "commit", "ref": s.input},
		Params: map[string]any{}}
}

// start starts the workflow and returns its id.
//
// Until the test ends, Conductor is asked twice a second to look at it. Its
// queue in SQLite loses a workflow for minutes that was looked at between the
// first extension of a lease and its end, and the lease would not be seen to
// run out. The queues that people run it with do not.
func (s *scene) start() string {
	s.t.Helper()
	return s.startWith(s.envelope())
}

// startWith starts the workflow on an input.
func (s *scene) startWith(input envelope) string {
	s.t.Helper()
	id, err := site.conductor.StartWorkflow(s.t.Context(), s.name, input)
	must(s.t, err)
	go func() {
		tick := time.NewTicker(500 * time.Millisecond)
		defer tick.Stop()
		for {
			select {
			case <-s.t.Context().Done():
				return
			case <-tick.C:
				site.conductor.Call(s.t.Context(), "PUT /workflow/decide/"+id, nil, nil) // an error is one look less
			}
		}
	}()
	return id
}

// ends waits for a workflow.
func (s *scene) ends(id string) servers.Workflow {
	s.t.Helper()
	return s.endsWithin(patience, id)
}

func (s *scene) endsWithin(d time.Duration, id string) servers.Workflow {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), d)
	defer cancel()
	w, err := site.conductor.Await(ctx, id)
	must(s.t, err)
	return w
}

// root is a folder for the workspaces, caches and logs of one worker.
func (s *scene) root() string {
	s.roots++
	dir := filepath.Join(s.t.TempDir(), fmt.Sprint("root", s.roots))
	must(s.t, os.MkdirAll(dir, 0o700))
	return dir
}

func onRoot(root string, env ...string) []string {
	return append([]string{"PERAGO_WORKSPACE_ROOT=" + filepath.Join(root, "w"), "PERAGO_CACHE_ROOT=" + filepath.Join(root, "c"),
		"PERAGO_LOG_ROOT=" + filepath.Join(root, "l")}, env...)
}

// worker starts a worker for all tasks of the scene.
func (s *scene) worker(root string, env ...string) *process {
	s.t.Helper()
	return launch(s.t, onRoot(root, env...), append([]string{"start", "-j", "2"}, s.files...)...)
}

// fault makes a worker strike at a point, once; the file it returns is there
// from then on.
func (s *scene) fault(point, action string) (env []string, mark string) {
	mark = filepath.Join(s.t.TempDir(), "struck")
	return []string{"PERAGO_FAULT=" + point + ":" + action, "PERAGO_FAULT_ONCE=" + mark}, mark
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return err == nil
}

// attempts are the folders under a root.
func (s *scene) attempts(root string) (names []string) {
	s.t.Helper()
	entries, err := os.ReadDir(filepath.Join(root, "w", "attempts"))
	if err != nil && !os.IsNotExist(err) {
		s.t.Fatal(err)
	}
	for _, e := range entries {
		names = append(names, e.Name())
	}
	return names
}

// nothingLeft looks for staging branches, and attempts on these roots.
func (s *scene) nothingLeft(roots ...string) {
	s.t.Helper()
	branches, err := site.lakefs.Branches(s.t.Context(), s.name)
	must(s.t, err)
	want := append([]string{"main"}, s.branches...)
	slices.Sort(want)
	slices.Sort(branches)
	if !reflect.DeepEqual(branches, want) {
		s.t.Errorf("branches: got %q, want %q", branches, want)
	}
	for _, root := range roots {
		if left := s.attempts(root); len(left) > 0 {
			s.t.Errorf("attempts left: %q", left)
		}
	}
}

// history is the branch since the input commit along first parents, oldest first.
func (s *scene) history() []servers.Commit {
	s.t.Helper()
	all, err := site.lakefs.FirstParents(s.t.Context(), s.name, s.branch)
	must(s.t, err)
	for i, c := range all {
		if c.ID == s.input {
			made := all[:i]
			slices.Reverse(made)
			return made
		}
	}
	s.t.Fatalf("the input commit is no longer on %s: %v", s.branch, all)
	return nil
}

// read is the content of a file at a commit.
func (s *scene) read(commit, path string) string {
	s.t.Helper()
	r, err := site.store.Open(s.t.Context(), s.name, commit, path)
	must(s.t, err)
	defer r.Close()
	data, err := io.ReadAll(r)
	must(s.t, err)
	return string(data)
}

// publishedOnce: the workflow completed, and the branch holds its result exactly once.
func (s *scene) publishedOnce(id string, w servers.Workflow) (commit string) {
	s.t.Helper()
	if w.Status != "COMPLETED" {
		s.t.Fatalf("workflow: got %s %s: %+v", w.Status, w.Reason, w.Tasks)
	}
	made := s.history()
	if len(made) != 1 || !strings.HasPrefix(made[0].Metadata["perago.task"], id+"/") {
		s.t.Fatalf("history: got %+v, want one commit of workflow %s", made, id)
	}
	if got := s.read(made[0].ID, "out.txt"); got != "in\nout\n" {
		s.t.Errorf("out.txt: got %q", got)
	}
	var out envelope
	must(s.t, json.Unmarshal(w.Tasks[len(w.Tasks)-1].Output, &out))
	if out.Workspace["ref"] != made[0].ID || string(out.Result) != `{"lines":1}` {
		s.t.Errorf("output: got %s, want commit %s", w.Tasks[len(w.Tasks)-1].Output, made[0].ID)
	}
	return made[0].ID
}

// quick reads a file and writes one. Its lease is short, so that Conductor soon
// hands it out again.
const quick = `
task(
    name = "NAME",
    owner_email = "e2e@example.com",
    result = schema(lines = int),
    workspace = workspace_spec(pre = [require_file("in.txt")], post = [require_file("out.txt")]),
    controls = controls(retry = retry(count = 6, delay_seconds = 0), timeout = timeout(policy = "RETRY", response_seconds = 3)),
)

def run(workspace, params):
    text = (workspace / "in.txt").read_text()
    (workspace / "out.txt").write_text(text + "out\n")
    return {"lines": len(text.splitlines())}
`

// endless works until it is ended.
const endless = `
task(
    name = "NAME",
    owner_email = "e2e@example.com",
    workspace = workspace_spec(),
    controls = controls(retry = retry(count = 0), timeout = timeout(response_seconds = 20)),
)

def run(workspace, params):
    (workspace / "out.txt").write_text("never")
    log.info("under way")
    for _ in range(1 << 50):
        pass
    return {}
`
