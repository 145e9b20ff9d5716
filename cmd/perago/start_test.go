package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"perago/engine/worker"
	"perago/workspace/attempts"
)

const plainTask = `task(name = "start.example", owner_email = "a@example.com", params = schema(forever = field(bool, default = False)))

def run(params):
    log.info("running")
    for i in range(1 << 60):
        if not params.forever:
            return {"ok": True}
`

const workspaceTask = `task(name = "start.files", owner_email = "a@example.com", workspace = workspace_spec())

def run(workspace, params):
    return {}
`

// lockedBuffer is a stderr that may be read while it is written.
type lockedBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}

// session is one perago in this process, in a folder with two task files.
type session struct {
	*app
	out     bytes.Buffer
	err     lockedBuffer
	signals chan os.Signal
	caches  string
}

func newSession(t *testing.T, environ ...string) *session {
	t.Chdir(t.TempDir())
	for name, text := range map[string]string{"plain.star": plainTask, "files.star": workspaceTask, "twin.star": plainTask} {
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	s := &session{signals: make(chan os.Signal, 2), caches: t.TempDir()}
	t.Setenv("XDG_CACHE_HOME", s.caches)
	s.app = &app{stdin: strings.NewReader(""), stdout: &results{w: &s.out}, stderr: &s.err, environ: environ, signals: s.signals}
	return s
}

func (s *session) mustPrint(t *testing.T, code int, args string, says ...string) {
	t.Helper()
	s.out.Reset()
	s.err = lockedBuffer{}
	got := s.run(t.Context(), strings.Fields(args))
	text := s.out.String() + s.err.String()
	if got != code {
		t.Errorf("perago %s: exit %d, want %d\n%s", args, got, code, text)
	}
	for _, want := range says {
		if !strings.Contains(text, want) {
			t.Errorf("perago %s: got\n%s\nwithout %q", args, text, want)
		}
	}
	if strings.Contains(text, "hush") {
		t.Errorf("perago %s shows a secret:\n%s", args, text)
	}
}

func TestStartWithoutAServer(t *testing.T) {
	html := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		w.Write([]byte("<!doctype html><title>Welcome</title>"))
	}))
	defer html.Close()
	locked := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, `{"message": "not allowed"}`, http.StatusUnauthorized)
	}))
	defer locked.Close()

	newSession(t).mustPrint(t, exitEnvironment, "start plain.star", "perago: configuration: CONDUCTOR_SERVER_URL is missing", "hint: set it")
	newSession(t, "CONDUCTOR_SERVER_URL=http://127.0.0.1:1/api").mustPrint(t, exitEnvironment, "start plain.star", "127.0.0.1:1", "refused")
	newSession(t, "CONDUCTOR_SERVER_URL="+html.URL+"/api").mustPrint(t, exitEnvironment, "start plain.star", "perago: check Conductor: ", html.URL)
	newSession(t, "CONDUCTOR_SERVER_URL="+locked.URL+"/api").mustPrint(t, exitEnvironment, "start plain.star", "401")
	newSession(t, "CONDUCTOR_SERVER_URL="+locked.URL+"/api").mustPrint(t, exitEnvironment, "register plain.star", "401")
	for url, hint := range map[string]string{html.URL: "hint: LAKECTL_SERVER_ENDPOINT_URL is the address",
		locked.URL: "hint: LAKECTL_CREDENTIALS_ACCESS_KEY_ID and LAKECTL_CREDENTIALS_SECRET_ACCESS_KEY must be"} {
		newSession(t, "LAKECTL_SERVER_ENDPOINT_URL="+url, "LAKECTL_CREDENTIALS_ACCESS_KEY_ID=AKIA",
			"LAKECTL_CREDENTIALS_SECRET_ACCESS_KEY=hush").mustPrint(t, exitEnvironment, "fence status songs", url, hint)
	}
	newSession(t, "CONDUCTOR_SERVER_URL="+locked.URL+"/api").mustPrint(t, exitEnvironment, "doctor plain.star", "FAIL  Conductor", "401",
		"ok    task file       plain.star declares start.example")
}

func TestStartRefusals(t *testing.T) {
	f := newFakeConductor(t)
	s := newSession(t, "CONDUCTOR_SERVER_URL="+f.url)
	s.mustPrint(t, exitEnvironment, "start plain.star", "perago: Conductor has no TaskDef of start.example", "hint: `perago register plain.star`, or start with --register")
	s.mustPrint(t, exitInvalid, "start plain.star twin.star", "twin.star:1:", "the task start.example is declared by plain.star as well")
	s.mustPrint(t, exitInvalid, "start nowhere.star", "nowhere.star: error P1301")
	s.mustPrint(t, exitEnvironment, "start files.star", "LAKECTL_SERVER_ENDPOINT_URL is missing, and the task has a workspace")
	s.mustPrint(t, exitUsage, "start plain.star --http-addr 127.0.0.1:99999", "want HOST:PORT or :PORT")

	root, err := attempts.OpenRoot(filepath.Join(s.caches, "perago", "workspaces"), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer root.Close()
	s.mustPrint(t, exitEnvironment, "start plain.star", "perago: another worker holds this workspace root", "hint: give every worker a root of its own: --workspace-root DIR")

	down := newSession(t, "CONDUCTOR_SERVER_URL="+f.url, "LAKECTL_SERVER_ENDPOINT_URL=http://127.0.0.1:1",
		"LAKECTL_CREDENTIALS_ACCESS_KEY_ID=hush", "LAKECTL_CREDENTIALS_SECRET_ACCESS_KEY=hush")
	down.mustPrint(t, exitEnvironment, "start files.star", "127.0.0.1:1", "refused", "hint: is lakeFS running, and is LAKECTL_SERVER_ENDPOINT_URL right?")
	down.mustPrint(t, exitEnvironment, "fence status songs", "127.0.0.1:1", "refused", "hint: is lakeFS running")
	down.mustPrint(t, exitEnvironment, "doctor files.star", "FAIL  lakeFS", "FAIL  TaskDef", "repair: perago register files.star")
}

func TestRegister(t *testing.T) {
	f := newFakeConductor(t)
	s := newSession(t, "CONDUCTOR_SERVER_URL="+f.url)
	s.mustPrint(t, exitDone, "register --dry-run plain.star", "would be created: start.example  plain.star")
	if len(f.defs) != 0 {
		t.Errorf("a dry run registered %v", f.defs)
	}
	s.mustPrint(t, exitDone, "register plain.star files.star", "created: start.example  plain.star", "created: start.files  files.star")
	s.mustPrint(t, exitDone, "register plain.star", "unchanged: start.example  plain.star")
	changed := strings.Replace(plainTask, "owner_email =", "controls = controls(retry = retry(count = 7)), owner_email =", 1)
	if err := os.WriteFile("plain.star", []byte(changed), 0o644); err != nil {
		t.Fatal(err)
	}
	s.mustPrint(t, exitDone, "register plain.star --dry-run", "would be updated: start.example  plain.star", "  retryCount: 3 -> 7")
	s.mustPrint(t, exitDone, "doctor plain.star", "note  TaskDef         start.example differs from the file in [retryCount]", "repair: perago register plain.star")
	s.mustPrint(t, exitDone, "register plain.star", "updated: start.example  plain.star")
	f.defs["start.example"] = bytes.Replace(f.defs["start.example"], []byte(`"retryCount"`), []byte("\"description\": \"a\u009b2J\u202e\", \"retryCount\""), 1)
	s.mustPrint(t, exitDone, "register plain.star", "  description: \"a\ufffd2J\ufffd\" stays: Conductor has it")
	s.mustPrint(t, exitDone, "doctor plain.star", "ok    TaskDef         start.example is registered as the file says")
}

// A limit that somebody set at Conductor stays, is named, and is no difference;
// it goes when that is asked for.
func TestRegisterKeepsWhatWasSetByHand(t *testing.T) {
	f := newFakeConductor(t)
	s := newSession(t, "CONDUCTOR_SERVER_URL="+f.url)
	s.mustPrint(t, exitDone, "register plain.star", "created: start.example  plain.star")
	byHand := func() string {
		f.mu.Lock()
		defer f.mu.Unlock()
		var def map[string]any
		if err := json.Unmarshal(f.defs["start.example"], &def); err != nil {
			t.Fatal(err)
		}
		return fmt.Sprint(def["concurrentExecLimit"])
	}
	f.mu.Lock()
	f.defs["start.example"] = json.RawMessage(strings.Replace(string(f.defs["start.example"]), "{", `{"concurrentExecLimit": 5, `, 1))
	f.mu.Unlock()
	stays := "  concurrentExecLimit: 5 stays: Conductor has it and the file does not set it; --force removes it"
	s.mustPrint(t, exitDone, "register plain.star", "unchanged: start.example  plain.star", stays)
	s.mustPrint(t, exitDone, "doctor plain.star", "ok    TaskDef         start.example is registered as the file says")
	changed := strings.Replace(plainTask, "owner_email =", "controls = controls(retry = retry(count = 7)), owner_email =", 1)
	if err := os.WriteFile("plain.star", []byte(changed), 0o644); err != nil {
		t.Fatal(err)
	}
	s.mustPrint(t, exitDone, "register plain.star", "updated: start.example  plain.star", "  retryCount: 3 -> 7", stays)
	if got := byHand(); got != "5" {
		t.Errorf("concurrentExecLimit: got %s, want 5", got)
	}
	s.mustPrint(t, exitDone, "register plain.star --force", "updated: start.example  plain.star", "  concurrentExecLimit: 5 -> (not set)")
	if got := byHand(); got != "<nil>" {
		t.Errorf("concurrentExecLimit after --force: got %s, want none", got)
	}
}

// What the configuration lacks is not told as complete, and a .env with a
// credential is its owner's alone.
func TestDoctorOfTheConfiguration(t *testing.T) {
	newSession(t).mustPrint(t, exitEnvironment, "doctor plain.star", "FAIL  configuration   CONDUCTOR_SERVER_URL is missing", "repair: set it in the environment or in .env")

	f := newFakeConductor(t)
	s := newSession(t, "CONDUCTOR_SERVER_URL="+f.url)
	s.mustPrint(t, exitDone, "register plain.star")
	warning := ".env holds CONDUCTOR_AUTH_KEY and others than its owner may open it"
	for _, tt := range []struct {
		mode os.FileMode
		text string
		want bool
	}{
		{0o644, "CONDUCTOR_AUTH_KEY=hush\nCONDUCTOR_AUTH_SECRET=hush\n", true},
		{0o640, "CONDUCTOR_AUTH_KEY=hush\nCONDUCTOR_AUTH_SECRET=hush\n", true},
		{0o600, "CONDUCTOR_AUTH_KEY=hush\nCONDUCTOR_AUTH_SECRET=hush\n", false},
		{0o644, "PERAGO_LOG_LEVEL=info\n", false},
	} {
		if err := errors.Join(os.WriteFile(".env", []byte(tt.text), tt.mode), os.Chmod(".env", tt.mode)); err != nil {
			t.Fatal(err)
		}
		s.out.Reset()
		s.run(t.Context(), []string{"doctor", "plain.star"})
		if got := strings.Contains(s.out.String(), warning); got != tt.want {
			t.Errorf(".env of mode %o with %q: warned %t, want %t\n%s", tt.mode, tt.text, got, tt.want, &s.out)
		}
	}
}

// A worker that loses log records says so on stderr, once, in the zone of the
// files, and is not ready; PERAGO_WORKER_ID is the name of its files.
func TestStartTellsOfLostRecords(t *testing.T) {
	f := newFakeConductor(t)
	s := newSession(t, "CONDUCTOR_SERVER_URL="+f.url, "PERAGO_WORKER_ID=blue.1")
	blocked := filepath.Join(s.caches, "perago", "logs", "blue.1.jsonl")
	if err := os.MkdirAll(blocked, 0o700); err != nil {
		t.Fatal(err)
	}
	done := s.working(t, "plain.star --http-addr 127.0.0.1:0")
	<-f.polled
	_, rest, _ := strings.Cut(s.err.String(), `msg="status page" addr=`)
	resp, err := http.Get("http://" + strings.Fields(rest)[0] + "/readyz")
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusServiceUnavailable {
		t.Errorf("/readyz: got %s, want 503", resp.Status)
	}
	s.signals <- syscall.SIGTERM
	wantExit(t, done, exitDone, s)
	if n := strings.Count(s.err.String(), "log records are lost until the log root can be written again"); n != 1 {
		t.Errorf("told %d times, want once\n%s", n, s.err.String())
	}
	for line := range strings.Lines(s.err.String()) {
		if strings.HasPrefix(line, "time=") && !strings.Contains(strings.Fields(line)[0], "+08:00") {
			t.Errorf("not at UTC+08:00: %s", line)
		}
	}
}

// The table says since when a worker drains, not how old it is.
func TestTableOfADrainingWorker(t *testing.T) {
	s := worker.Snapshot{Slots: 2, Draining: time.Now().Add(-3 * time.Second)}
	if got := table(s, nil, time.Hour)[0]; !strings.HasPrefix(got, "draining for 3s: ") {
		t.Errorf("got %q, want draining for 3s", got)
	}
}

// working runs `perago start` until the test is done with it.
func (s *session) working(t *testing.T, args string) (code <-chan int) {
	t.Helper()
	done := make(chan int, 1)
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	t.Cleanup(cancel)
	go func() { done <- s.run(ctx, strings.Fields("start --register "+args)) }()
	return done
}

func wantExit(t *testing.T, done <-chan int, want int, s *session) {
	t.Helper()
	select {
	case got := <-done:
		if got != want {
			t.Errorf("exit: got %d, want %d\n%s", got, want, s.err.String())
		}
	case <-time.After(30 * time.Second):
		t.Fatalf("still there after 30 s\n%s", s.err.String())
	}
}

// TestStartServes: an attempt is polled, run and reported; SIGTERM ends an idle worker with 0.
func TestStartServes(t *testing.T) {
	for _, mode := range []string{"process", "thread"} {
		t.Run(mode, func(t *testing.T) {
			f := newFakeConductor(t)
			s := newSession(t, "CONDUCTOR_SERVER_URL="+f.url, "PERAGO_EXECUTION_MODE="+mode, "PERAGO_LOG_LEVL=x")
			f.queue("start.example", `{"params": {}}`)
			done := s.working(t, "plain.star -j 2")
			if got := <-f.reported; got.Status != "COMPLETED" {
				t.Errorf("got %+v, want COMPLETED", got)
			}
			s.signals <- syscall.SIGTERM
			wantExit(t, done, exitDone, s)
			for _, want := range []string{"worker started", "attempt finished", "worker stopped", "PERAGO_LOG_LEVL (environment) is not a variable"} {
				if !strings.Contains(s.err.String(), want) {
					t.Errorf("the log lacks %q:\n%s", want, s.err.String())
				}
			}
			logs, err := filepath.Glob(filepath.Join(s.caches, "perago", "logs", "start.example", "plain-*.jsonl"))
			if err != nil || len(logs) != 1 {
				t.Errorf("log files: got %q, %v, want one", logs, err)
			}
		})
	}
}

// TestStartSecondSignal: a running attempt is kept by the first signal and ended
// by the second; a second Ctrl-C is an interruption, a second SIGTERM is not.
func TestStartSecondSignal(t *testing.T) {
	for _, tt := range []struct {
		signal syscall.Signal
		want   int
	}{{syscall.SIGINT, exitInterrupted}, {syscall.SIGTERM, exitDone}} {
		t.Run(tt.signal.String(), func(t *testing.T) {
			f := newFakeConductor(t)
			s := newSession(t, "CONDUCTOR_SERVER_URL="+f.url)
			f.queue("start.example", `{"params": {"forever": true}}`)
			done := s.working(t, "plain.star -j 1")
			waitUntil(t, func() bool { return strings.Contains(s.err.String(), "msg=running") })
			s.signals <- tt.signal
			waitUntil(t, func() bool { return strings.Contains(s.err.String(), "worker draining") })
			select {
			case r := <-f.reported:
				t.Fatalf("the first signal ended the attempt: %+v", r)
			default:
			}
			s.signals <- tt.signal
			if got := <-f.reported; got.Status != "FAILED" || !strings.Contains(got.Reason, "told to stop at once") {
				t.Errorf("got %+v, want FAILED with the reason", got)
			}
			wantExit(t, done, tt.want, s)
		})
	}
}

// waitUntil asks until it is so.
func waitUntil(t *testing.T, is func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	tick := time.NewTicker(5 * time.Millisecond)
	defer tick.Stop()
	for !is() {
		select {
		case <-ctx.Done():
			t.Fatal("not so after 30 s")
		case <-tick.C:
		}
	}
}

// TestStartStatusPage: health, readiness, figures and the page.
func TestStartStatusPage(t *testing.T) {
	f := newFakeConductor(t)
	s := newSession(t, "CONDUCTOR_SERVER_URL="+f.url)
	done := s.working(t, "plain.star --http-addr 127.0.0.1:0")
	<-f.polled
	_, rest, ok := strings.Cut(s.err.String(), `msg="status page" addr=`)
	if !ok {
		t.Fatalf("the log does not say where the page is:\n%s", s.err.String())
	}
	addr := strings.Fields(rest)[0]
	for path, want := range map[string]string{
		"/healthz": "ok\n", "/readyz": "ok\n", "/metrics": "perago_running 0\n", "/": "1 task, 0 of",
	} {
		resp, err := http.Get("http://" + addr + path)
		if err != nil {
			t.Fatal(err)
		}
		var body bytes.Buffer
		body.ReadFrom(resp.Body)
		resp.Body.Close()
		if resp.StatusCode != http.StatusOK || !strings.Contains(body.String(), want) {
			t.Errorf("%s: got %s %q, want %q in it", path, resp.Status, &body, want)
		}
	}
	s.signals <- syscall.SIGINT
	wantExit(t, done, exitDone, s)
}

// TestRunInterrupted: Ctrl-C ends a run with 130.
func TestRunInterrupted(t *testing.T) {
	s := newSession(t)
	done := make(chan int, 1)
	go func() {
		done <- s.run(context.Background(), []string{"run", "plain.star", "--params", `{"forever": true}`})
	}()
	waitUntil(t, func() bool { return strings.Contains(s.err.String(), "running") })
	s.signals <- syscall.SIGINT
	wantExit(t, done, exitInterrupted, s)
	if !strings.HasSuffix(s.err.String(), "perago: interrupted\n") || s.out.Len() > 0 {
		t.Errorf("got %q on stdout and %q on stderr", &s.out, s.err.String())
	}
}

// fakeConductor is as much of a Conductor as `register`, `doctor` and `start`
// ask for: TaskDefs, one attempt to hand out, and its report.
type fakeConductor struct {
	url string

	mu       sync.Mutex
	defs     map[string]json.RawMessage
	queued   []string // bodies of tasks that a poll takes
	polled   chan struct{}
	reported chan report
}

// report is what a worker said of an attempt.
type report struct {
	Status string
	Reason string `json:"reasonForIncompletion"`
}

func newFakeConductor(t *testing.T) *fakeConductor {
	f := &fakeConductor{defs: map[string]json.RawMessage{}, polled: make(chan struct{}, 1000), reported: make(chan report, 10)}
	s := httptest.NewServer(http.HandlerFunc(f.serve))
	t.Cleanup(s.Close)
	f.url = s.URL + "/api"
	return f
}

func (f *fakeConductor) serve(w http.ResponseWriter, r *http.Request) {
	f.mu.Lock()
	defer f.mu.Unlock()
	body, _ := io.ReadAll(r.Body)
	path := strings.TrimPrefix(r.URL.Path, "/api")
	w.Header().Set("Content-Type", "application/json")
	switch {
	case path == "/health":
		fmt.Fprint(w, `{"healthy": true}`)
	case path == "/tasks/queue/sizes":
		fmt.Fprint(w, `{"perago": 0}`)
	case strings.HasPrefix(path, "/metadata/taskdefs/"):
		def, ok := f.defs[strings.TrimPrefix(path, "/metadata/taskdefs/")]
		if !ok {
			w.WriteHeader(http.StatusNotFound)
			fmt.Fprint(w, `{"status": 404, "message": "No such taskType found by name"}`)
			return
		}
		w.Write(def)
	case path == "/metadata/taskdefs":
		f.define(body)
	case strings.HasPrefix(path, "/tasks/poll/batch/"):
		select {
		case f.polled <- struct{}{}:
		default:
		}
		if len(f.queued) == 0 {
			fmt.Fprint(w, "[]")
			return
		}
		fmt.Fprintf(w, "[%s]", f.queued[0])
		f.queued = f.queued[1:]
	case path == "/tasks" || path == "/tasks/update-v2":
		var result report
		if json.Unmarshal(body, &result); result.Status != "" && result.Status != "IN_PROGRESS" {
			f.reported <- result
		}
		if path == "/tasks/update-v2" {
			w.WriteHeader(http.StatusNoContent)
		}
	default:
		fmt.Fprint(w, "{}")
	}
}

// define keeps the TaskDefs of a POST (a list) or a PUT (one).
func (f *fakeConductor) define(body []byte) {
	var list []json.RawMessage
	if json.Unmarshal(body, &list) != nil {
		list = []json.RawMessage{body}
	}
	for _, def := range list {
		var named struct{ Name string }
		if json.Unmarshal(def, &named) == nil {
			f.defs[named.Name] = def
		}
	}
}

// queue puts one attempt of a task up for a poll.
func (f *fakeConductor) queue(task, input string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.queued = append(f.queued, fmt.Sprintf(`{"taskId": "t1", "workflowInstanceId": "w1", "referenceTaskName": "step",
		"taskDefName": %q, "taskType": %q, "status": "IN_PROGRESS", "responseTimeoutSeconds": 600, "inputData": %s}`, task, task, input))
}
