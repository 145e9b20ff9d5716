//go:build linux

package worker

import (
	"encoding/json"
	"fmt"
	"reflect"
	"strings"
	"syscall"
	"testing"
)

// link appends its name to a file and publishes that.
const link = `
task(
    name = "NAME",
    owner_email = "e2e@example.com",
    result = schema(names = list_of(str)),
    workspace = workspace_spec(),
    controls = controls(retry = retry(count = 3, delay_seconds = 0), timeout = timeout(response_seconds = 60)),
)

def run(workspace, params):
    chain = workspace / "chain.txt"
    names = chain.read_text().splitlines() if chain.exists() else []
    names = names + ["NAME"]
    chain.write_text("\n".join(names) + "\n")
    return {"names": names}
`

// A workflow of three tasks over one branch leaves one commit of each, in their
// order, which say whose they are.
func TestWorkflowOfThree(t *testing.T) {
	t.Parallel()
	s := newScene(t, link, link, link)
	root := s.root()
	p := s.worker(root)
	id := s.start()
	w := s.ends(id)
	p.signal(syscall.SIGTERM)
	p.exits(0)
	if w.Status != "COMPLETED" || len(w.Tasks) != 3 {
		t.Fatalf("got %s %s: %+v, want three tasks completed", w.Status, w.Reason, w.Tasks)
	}
	made := s.history()
	if len(made) != 3 {
		t.Fatalf("history: got %d commits, want 3: %+v", len(made), made)
	}
	from := s.input
	for i, m := range made {
		reference := fmt.Sprintf("step%d", i)
		if len(m.Parents) != 2 || m.Parents[0] != from {
			t.Fatalf("commit %d: parents %v, want the first to be %s", i, m.Parents, from)
		}
		want := map[string]string{
			"perago.task":    id + "/" + reference + "/0",
			"perago.attempt": w.Tasks[i].ID + "/0",
			"perago.input":   from,
			"perago.expect":  from,
			"perago.commit":  m.Parents[1],
		}
		got := map[string]string{}
		for key := range want {
			got[key] = m.Metadata[key]
		}
		if !reflect.DeepEqual(got, want) {
			t.Errorf("commit %d: got %v, want %v", i, m.Metadata, want)
		}
		if want := s.tasks[i] + ": " + id + "/" + reference; m.Message != want {
			t.Errorf("commit %d: message %q, want %q", i, m.Message, want)
		}
		staged, err := site.store.Lookup(t.Context(), s.name, m.Parents[1])
		must(t, err)
		if len(staged.Parents) != 1 || staged.Parents[0] != from {
			t.Errorf("commit %d: staged on %v, want %s", i, staged.Parents, from)
		}
		names, err := json.Marshal(map[string]any{"names": s.tasks[:i+1]})
		must(t, err)
		if got := staged.Metadata["perago.result"]; got != string(names) {
			t.Errorf("commit %d: result %s, want %s", i, got, names)
		}
		var out envelope
		must(t, json.Unmarshal(w.Tasks[i].Output, &out))
		if out.Workspace["ref"] != m.ID || string(out.Result) != string(names) {
			t.Errorf("task %d: output %s, want commit %s", i, w.Tasks[i].Output, m.ID)
		}
		if got, want := s.read(m.ID, "chain.txt"), strings.Join(s.tasks[:i+1], "\n")+"\n"; got != want {
			t.Errorf("commit %d: chain.txt is %q, want %q", i, got, want)
		}
		from = m.ID
	}
	s.nothingLeft(root)
}
