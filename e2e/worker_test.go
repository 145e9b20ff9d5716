package e2e

import (
	"context"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"perago/e2e/servers"
	"perago/engine"
	"perago/engine/conductor"
	"perago/engine/logs"
	"perago/engine/module"
	"perago/engine/queue"
	"perago/engine/worker"
)

// site is a worker on the real Conductor, with its log in a folder of the test.
type site struct {
	*worker.Worker
	t      *testing.T
	client *conductor.Client
	logs   string
	drain  context.CancelFunc
	force  context.CancelFunc
	ended  chan error
}

// newSite makes a worker for tasks without a workspace, each given as the source
// of its file with NAME for its name. It does not run yet.
func newSite(t *testing.T, sources ...string) *site {
	t.Helper()
	s := &site{t: t, logs: t.TempDir(), ended: make(chan error, 1)}
	id := worker.NewID("e2e")
	s.client = conductor.New(conductor.Options{URL: shared.API(), WorkerID: id})
	logs, err := logs.Open(s.logs, id, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := logs.Close(); err != nil {
			t.Errorf("log: %v", err)
		}
	})
	runner := &engine.Runner{Body: engine.InProcess{}, Log: loggerOf(logs)}
	s.Worker = &worker.Worker{RunAttempt: runner.Run, Queue: s.client, Leaser: s.client, Slots: 2, Log: runner.Log}
	for _, source := range sources {
		name := fmt.Sprintf("e2e.worker.%d", rand.Uint32())
		file := filepath.Join("tasks", name+".star")
		m, problems := module.Again(file, map[string][]byte{file: []byte(strings.ReplaceAll(source, "NAME", name))}, module.Options{Root: "tasks"})
		if len(problems) > 0 {
			t.Fatal(problems)
		}
		def, err := module.TaskDef(m.Task)
		if err != nil {
			t.Fatal(err)
		}
		if err := s.client.Create(t.Context(), def); err != nil {
			t.Fatal(err)
		}
		if err := shared.DefineWorkflow(t.Context(), name, []servers.WorkflowTask{{Name: name, Reference: "step", Type: "SIMPLE",
			Input: map[string]any{"params": "${workflow.input.params}"}}}); err != nil {
			t.Fatal(err)
		}
		s.Modules = append(s.Modules, m)
	}
	return s
}

// run starts the worker; it is stopped, and waited for, at the end of the test.
func (s *site) run() {
	drain, stop := context.WithCancel(context.Background())
	force, kill := context.WithCancel(context.Background())
	s.drain, s.force = stop, kill
	go func() {
		s.ended <- s.Run(drain, force)
		close(s.ended)
	}()
	s.t.Cleanup(func() {
		kill()
		<-s.ended
	})
}

// wait returns when the worker has ended.
func (s *site) wait() {
	s.t.Helper()
	if err := <-s.ended; err != nil {
		s.t.Errorf("Run: %v", err)
	}
}

func (s *site) start(task int, params string) (workflow string) {
	s.t.Helper()
	id, err := shared.StartWorkflow(s.t.Context(), s.Modules[task].Task.Name, map[string]any{"params": json.RawMessage(params)})
	if err != nil {
		s.t.Fatal(err)
	}
	return id
}

// ends waits for a workflow and returns "STATUS" of each try.
func (s *site) ends(workflow string) (servers.Workflow, []string) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), 2*time.Minute)
	defer cancel()
	w, err := shared.Await(ctx, workflow)
	if err != nil {
		s.t.Fatal(err)
	}
	return w, statuses(w)
}

func statuses(w servers.Workflow) (out []string) {
	for _, run := range w.Tasks {
		out = append(out, run.Status)
	}
	return out
}

const echo = `
task(
    name = "NAME",
    owner_email = "e2e@example.com",
    params = schema(mode = str, secret = field(str, default = "", secret = True)),
    result = schema(mode = str),
    controls = controls(retry = retry(count = 1, delay_seconds = 0), timeout = timeout(response_seconds = 20)),
)

def run(params):
    log.info("began", mode = params.mode)
    if params.mode == "fail":
        fail("not today: " + params.secret)
    if params.mode == "terminal":
        fail_terminal("never")
    if params.mode == "broken":
        return {"mode": [][0]}
    if params.mode == "wrong":
        return {"mood": "good"}
    return {"mode": params.mode}
`

// What becomes of an attempt, as a person sees it at Conductor: the rows of the
// table in docs/architecture.md that need no workspace.
func TestOutcomes(t *testing.T) {
	s := newSite(t, echo)
	s.run()
	tests := []struct {
		params   string
		statuses string
		reason   string // part of it
		log      string // the same, of the log of the last try
	}{
		{`{"mode":"done"}`, "COMPLETED", "", "began mode=done"},
		{`{"mode":7}`, "FAILED_WITH_TERMINAL_ERROR", "/params/mode: got 7, want a string", "/params/mode"},
		{`{"mode":"fail","secret":"hush-hush"}`, "FAILED FAILED", "not today: ***", "began mode=fail"},
		{`{"mode":"terminal"}`, "FAILED_WITH_TERMINAL_ERROR", "never", ":15:9: "},
		{`{"mode":"broken"}`, "FAILED FAILED", "index", "[][0]"},
		{`{"mode":"wrong"}`, "FAILED FAILED", "mood", "mood"},
	}
	for _, tt := range tests {
		t.Run(tt.params, func(t *testing.T) {
			w, got := s.ends(s.start(0, tt.params))
			if strings.Join(got, " ") != tt.statuses {
				t.Errorf("tries: got %v, want %s", got, tt.statuses)
			}
			last := w.Tasks[len(w.Tasks)-1]
			atFile := strings.HasPrefix(last.Reason, s.Modules[0].File)
			if !strings.Contains(last.Reason, tt.reason) || atFile == (tt.reason == "" || strings.HasPrefix(tt.reason, "/")) {
				t.Errorf("reason: got %q, want %q, and the file when it is to blame", last.Reason, tt.reason)
			}
			lines, err := shared.TaskLog(t.Context(), last.ID)
			if err != nil {
				t.Fatal(err)
			}
			story := strings.Join(lines, "\n")
			if !strings.Contains(story, tt.log) {
				t.Errorf("log at the server: got %q, want it to have %q", story, tt.log)
			}
			if strings.Contains(last.Reason+story, "hush") {
				t.Errorf("the secret is told: %q %q", last.Reason, story)
			}
			if tt.statuses == "COMPLETED" && string(last.Output) != `{"result":{"mode":"done"}}` {
				t.Errorf("output: got %s", last.Output)
			}
		})
	}
	s.drain()
	s.wait()
	wantLogged(t, s, "task polled", "attempt started", "attempt finished")
}

// held makes the attempts of a worker wait until release is closed; started has
// an element for each that began.
func (s *site) held() (started chan struct{}, release chan struct{}) {
	started, release = make(chan struct{}, 16), make(chan struct{})
	run := s.RunAttempt
	s.RunAttempt = func(ctx context.Context, m *module.Module, a queue.Attempt, h engine.Hooks) engine.Result {
		started <- struct{}{}
		select {
		case <-release:
		case <-ctx.Done():
		}
		return run(ctx, m, a, h)
	}
	return started, release
}

// A worker that drains finishes what it has, takes nothing more, and leaves the
// rest to others.
func TestDrainOnConductor(t *testing.T) {
	s := newSite(t, echo)
	s.Slots = 1
	started, release := s.held()
	first, second := s.start(0, `{"mode":"one"}`), s.start(0, `{"mode":"two"}`)
	s.run()
	<-started
	s.drain()
	close(release)
	s.wait()
	got := map[string][]string{}
	for _, id := range []string{first, second} {
		w, err := shared.Workflow(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		got[w.Status] = statuses(w)
	}
	want := map[string][]string{"COMPLETED": {"COMPLETED"}, "RUNNING": {"SCHEDULED"}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}

func TestForceOnConductor(t *testing.T) {
	s := newSite(t, echo)
	s.Slots = 1
	started, _ := s.held()
	flow := s.start(0, `{"mode":"one"}`)
	s.run()
	<-started
	s.drain()
	s.force()
	s.wait()
	w, err := shared.Workflow(t.Context(), flow)
	if err != nil {
		t.Fatal(err)
	}
	if got := w.Tasks[0]; got.Status != "FAILED" || !strings.Contains(got.Reason, queue.ErrForced.Error()) {
		t.Errorf("got %s %q, want FAILED with the reason", got.Status, got.Reason)
	}
}

// A server that is away for a while costs a worker nothing: the attempt that ran
// is reported, and the polls go on.
func TestConductorIsRestarted(t *testing.T) {
	s := newSite(t, echo, strings.ReplaceAll(echo, "response_seconds = 20", "response_seconds = 600"))
	started, release := s.held()
	during := s.start(1, `{"mode":"during"}`)
	s.run()
	<-started
	shared.Kill()
	close(release)
	if err := shared.Start(t.Context()); err != nil {
		t.Fatal(err)
	}
	after := s.start(0, `{"mode":"after"}`)
	for _, id := range []string{during, after} {
		if _, got := s.ends(id); !reflect.DeepEqual(got, []string{"COMPLETED"}) {
			t.Errorf("tries: got %v, want COMPLETED", got)
		}
	}
	s.drain()
	s.wait()
	wantLogged(t, s, "poll failed", "poll recovered", "report retried")
	if n := s.Snapshot().Counts.Undelivered; n != 0 {
		t.Errorf("undelivered: got %d, want 0", n)
	}
}

// An attempt whose workflow is ended by a person is ended too.
func TestTerminatedWorkflowEndsItsAttempt(t *testing.T) {
	s := newSite(t, strings.ReplaceAll(echo, "response_seconds = 20", "response_seconds = 3"))
	started, _ := s.held()
	flow := s.start(0, `{"mode":"one"}`)
	s.run()
	<-started
	if err := shared.Call(t.Context(), "DELETE /workflow/"+flow, nil, nil); err != nil {
		t.Fatal(err)
	}
	for len(s.Snapshot().Running) > 0 {
		<-time.After(20 * time.Millisecond)
	}
	s.drain()
	s.wait()
	wantLogged(t, s, "lease lost", "result not delivered")
}
