package conductor_test

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
	"os/exec"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"perago/engine"
	"perago/engine/conductor"
)

// fake answers as a Conductor does, from a table: "METHOD path" to an answer.
type fake struct {
	t   *testing.T
	url string
	mu  sync.Mutex
	on  map[string]http.HandlerFunc
	got []call
}

// call is a request that the fake had.
type call struct {
	what  string // "METHOD path?query"
	body  string
	token string
}

func newFake(t *testing.T) *fake {
	t.Helper()
	f := &fake{t: t, on: make(map[string]http.HandlerFunc)}
	s := httptest.NewServer(f)
	t.Cleanup(s.Close)
	f.url = s.URL + "/api"
	return f
}

func (f *fake) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	path := strings.TrimPrefix(r.URL.EscapedPath(), "/api")
	what := r.Method + " " + path
	if r.URL.RawQuery != "" {
		what += "?" + r.URL.RawQuery
	}
	f.mu.Lock()
	f.got = append(f.got, call{what, string(body), r.Header.Get("X-Authorization")})
	h := f.on[r.Method+" "+path]
	f.mu.Unlock()
	if h == nil {
		h = says(http.StatusNotFound, "application/json", `{"status":404,"message":"No static resource api`+path+`."}`)
	}
	h(w, r)
}

// calls returns what was asked, and forgets it.
func (f *fake) calls() []call {
	f.mu.Lock()
	defer f.mu.Unlock()
	got := f.got
	f.got = nil
	return got
}

func (f *fake) whats() (out []string) {
	for _, c := range f.calls() {
		out = append(out, c.what)
	}
	return out
}

func says(status int, contentType, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", contentType)
		w.WriteHeader(status)
		io.WriteString(w, body)
	}
}

func ok(body string) http.HandlerFunc { return says(200, "application/json", body) }

// plain is how Conductor answers an update: with the id of the task.
func plain() http.HandlerFunc { return says(200, "text/plain;charset=UTF-8", "t-1") }

func (f *fake) client() *conductor.Client {
	return conductor.New(conductor.Options{URL: f.url, WorkerID: "w 1", Timeout: 10 * time.Second})
}

func (f *fake) loggedIn() *conductor.Client {
	return conductor.New(conductor.Options{URL: f.url, WorkerID: "w 1", Timeout: 10 * time.Second,
		Key: "key-1", Secret: engine.NewSecret("hush-hush")})
}

var attempt = engine.Attempt{Task: "songs.count", TaskID: "t-1", WorkflowID: "f-1", Retry: 1, ResponseTimeout: time.Minute}

const polled = `{"taskId":"t-1","workflowInstanceId":"f-1","referenceTaskName":"step","retryCount":1,"iteration":2,
	"inputData":{"params":{"id":9007199254740993}},"responseTimeoutSeconds":60,"taskDefName":"songs.count"}`

func TestPoll(t *testing.T) {
	f := newFake(t)
	f.on["GET /tasks/poll/batch/songs.count"] = ok("[" + polled + "]")
	got, err := f.client().Poll(t.Context(), "songs.count", 3, time.Second)
	if err != nil || len(got) != 1 {
		t.Fatalf("got %v, %v, want one attempt", got, err)
	}
	want := engine.Attempt{Task: "songs.count", TaskID: "t-1", WorkflowID: "f-1", Reference: "step", Iteration: 2, Retry: 1,
		Input: json.RawMessage(`{"params":{"id":9007199254740993}}`), ResponseTimeout: time.Minute}
	if fmt.Sprintf("%+v", got[0]) != fmt.Sprintf("%+v", want) {
		t.Errorf("got %+v\nwant %+v", got[0], want)
	}
	wantCalls(t, f, "GET /tasks/poll/batch/songs.count?count=3&timeout=0&workerid=w+1")
}

// A batch that waits would wait for the last of its tasks: only one may wait.
func TestPollThatWaitsAsksForOne(t *testing.T) {
	f := newFake(t)
	f.on["GET /tasks/poll/batch/songs.count"] = ok("[]")
	if got, err := f.client().Poll(t.Context(), "songs.count", 3, 250*time.Millisecond); err != nil || len(got) != 0 {
		t.Errorf("got %v, %v, want nothing", got, err)
	}
	wantCalls(t, f, "GET /tasks/poll/batch/songs.count?count=3&timeout=0&workerid=w+1",
		"GET /tasks/poll/batch/songs.count?count=1&timeout=250&workerid=w+1")
}

// The server counts on every attempt of a batch, so one that cannot be read must
// not cost the others.
func TestPollKeepsWhatItCanRead(t *testing.T) {
	f := newFake(t)
	f.on["GET /tasks/poll/batch/songs.count"] = ok(`[{"taskId":7},` + polled + `,{}]`)
	got, err := f.client().Poll(t.Context(), "songs.count", 3, 0)
	if len(got) != 1 || got[0].TaskID != "t-1" {
		t.Errorf("got %v, want t-1", got)
	}
	if err == nil || !strings.HasPrefix(err.Error(), "poll songs.count: not a task") {
		t.Errorf("error: got %v", err)
	}
}

func wantCalls(t *testing.T, f *fake, want ...string) {
	t.Helper()
	if got := f.whats(); !slices.Equal(got, want) {
		t.Errorf("calls: got %q, want %q", got, want)
	}
}

func TestReport(t *testing.T) {
	f := newFake(t)
	f.on["POST /tasks/update-v2"] = ok(strings.Replace(polled, "t-1", "t-2", 1))
	f.on["POST /tasks"] = plain()
	c := f.client()
	r := engine.Report{Attempt: attempt, Status: engine.Completed, Log: []string{"one"},
		Output: json.RawMessage(`{"result":{"id":9007199254740993,"text":"<é>"}}`)}
	next, err := c.Report(t.Context(), r)
	if err != nil || next == nil || next.TaskID != "t-2" || next.Task != "songs.count" {
		t.Errorf("got %+v, %v, want t-2", next, err)
	}
	sent := f.calls()[0]
	for _, want := range []string{`"taskId":"t-1"`, `"workflowInstanceId":"f-1"`, `"workerId":"w 1"`, `"status":"COMPLETED"`,
		`"id":9007199254740993`, `"log":"one"`} {
		if !strings.Contains(sent.body, want) {
			t.Errorf("body lacks %s: %s", want, sent.body)
		}
	}
	r.Last = true
	if next, err := c.Report(t.Context(), r); err != nil || next != nil {
		t.Errorf("last: got %v, %v, want nothing", next, err)
	}
	wantCalls(t, f, "POST /tasks")
}

func TestReportWithoutANext(t *testing.T) {
	f := newFake(t)
	f.on["POST /tasks/update-v2"] = func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) }
	next, err := f.client().Report(t.Context(), engine.Report{Attempt: attempt, Status: engine.Failed, Reason: "no"})
	if next != nil || err != nil {
		t.Errorf("got %v, %v, want nothing", next, err)
	}
}

// An older server has no update-v2; it is asked once.
func TestReportFallsBack(t *testing.T) {
	for _, status := range []int{404, 405, 501} {
		f := newFake(t)
		f.on["POST /tasks/update-v2"] = says(status, "application/json", `{"message":"no"}`)
		f.on["POST /tasks"] = plain()
		c := f.client()
		for range 2 {
			if next, err := c.Report(t.Context(), engine.Report{Attempt: attempt, Status: engine.Failed}); next != nil || err != nil {
				t.Errorf("%d: got %v, %v, want nothing", status, next, err)
			}
		}
		wantCalls(t, f, "POST /tasks/update-v2", "POST /tasks", "POST /tasks")
	}
}

// What the errors of an update mean for the worker.
func TestVerdict(t *testing.T) {
	tests := []struct {
		answer http.HandlerFunc
		want   error // nil: it may be heard later
	}{
		{says(404, "application/json", `{"status":404,"message":"No such task found by id: t-1"}`), engine.ErrGone},
		{says(404, "text/html", `<html>Not Found</html>`), nil}, // not Conductor that answers
		{says(400, "application/json", `{"message":"bad"}`), engine.ErrRejected},
		{says(413, "text/html", `<html>too large</html>`), engine.ErrRejected},
		{says(401, "application/json", `{}`), nil},
		{says(429, "application/json", `{}`), nil},
		{says(500, "application/json", `{"message":"database is locked"}`), nil},
		{says(503, "text/html", `<html>restarting</html>`), nil},
	}
	for _, tt := range tests {
		f := newFake(t)
		f.on["POST /tasks"], f.on["POST /tasks/update-v2"] = tt.answer, tt.answer
		for _, last := range []bool{true, false} {
			_, err := f.client().Report(t.Context(), engine.Report{Attempt: attempt, Status: engine.Failed, Last: last})
			gone, rejected := errors.Is(err, engine.ErrGone), errors.Is(err, engine.ErrRejected)
			if err == nil || gone != (tt.want == engine.ErrGone) || rejected != (tt.want == engine.ErrRejected) {
				t.Errorf("last %v: got %v, want %v", last, err, tt.want)
			}
		}
	}
}

// A status in the body would put the task back on the queue of a server that
// does not know extendLease.
func TestExtend(t *testing.T) {
	f := newFake(t)
	f.on["POST /tasks"] = plain()
	if err := f.client().Extend(t.Context(), attempt); err != nil {
		t.Fatal(err)
	}
	want := `{"taskId":"t-1","workflowInstanceId":"f-1","workerId":"w 1","extendLease":true}`
	if got := f.calls()[0].body; got != want {
		t.Errorf("body: got %s, want %s", got, want)
	}
}

func TestCurrent(t *testing.T) {
	tests := []struct {
		answer http.HandlerFunc
		want   string // of the error; "" is none
		gone   bool
	}{
		{ok(`{"taskId":"t-1","status":"IN_PROGRESS","retryCount":1,"workerId":"w 1"}`), "", false},
		{ok(`{"taskId":"t-1","status":"IN_PROGRESS","retryCount":1}`), "", false},
		{ok(`{"taskId":"t-1","status":"COMPLETED","retryCount":1,"workerId":"w 1"}`), "shows t-1 as COMPLETED", true},
		{ok(`{"taskId":"t-1","status":"SCHEDULED","retryCount":1}`), "shows t-1 as SCHEDULED", true},
		{ok(`{"taskId":"t-1","status":"IN_PROGRESS","retryCount":2,"workerId":"w 1"}`), "at retry 2, this is 1", true},
		{ok(`{"taskId":"t-1","status":"IN_PROGRESS","retryCount":1,"workerId":"w 2"}`), "with the worker w 2", true},
		{says(404, "application/json", `{"message":"Task not found for taskId: t-1"}`), "Task not found", true},
		{says(500, "application/json", `{"message":"database is locked"}`), "500: database is locked", false},
		{says(200, "text/html", `<html>`), "a web page", false},
		{ok(`{"taskId":`), "cannot be read", false},
	}
	for _, tt := range tests {
		f := newFake(t)
		f.on["GET /tasks/t-1"] = tt.answer
		err := f.client().Current(t.Context(), attempt)
		if tt.want == "" {
			if err != nil {
				t.Errorf("got %v, want nil", err)
			}
			continue
		}
		if err == nil || !strings.Contains(err.Error(), tt.want) || errors.Is(err, engine.ErrGone) != tt.gone {
			t.Errorf("got %v, want %q, gone %v", err, tt.want, tt.gone)
		}
	}
}

func TestNote(t *testing.T) {
	f := newFake(t)
	f.on["POST /tasks/t-1/log"] = func(w http.ResponseWriter, _ *http.Request) {}
	if err := f.client().Note(t.Context(), attempt, []string{"one", "two"}); err != nil {
		t.Fatal(err)
	}
	if got := f.calls()[0].body; got != "one\ntwo" {
		t.Errorf("body: got %q", got)
	}
}

// What a person reads when the server is not there, is another, or does not let
// us in; the first line of each test is that of an operator's mistake.
func TestCheck(t *testing.T) {
	sizes := "GET /tasks/queue/sizes"
	tests := map[string]struct {
		set        func(f *fake)
		url        string // instead of the fake's
		key        bool
		want, hint string // parts; want "" is no error
		idle       bool
	}{
		"a Conductor": {set: func(f *fake) {
			f.on["GET /health"], f.on[sizes] = ok(`{"healthy":true}`), ok(`{"perago":0}`)
		}},
		"a Conductor with a login": {key: true, set: func(f *fake) {
			f.on["POST /token"] = ok(`{"token":"abc"}`)
			f.on["GET /health"], f.on[sizes] = ok(`{"healthy":true}`), ok(`{"perago":0}`)
		}},
		"a key, and no login": {key: true, idle: true, set: func(f *fake) {
			f.on["GET /health"], f.on[sizes] = ok(`{"healthy":true}`), ok(`{"perago":0}`)
		}},
		"nothing there":   {url: "http://127.0.0.1:1/api", want: "connection refused", hint: "is Conductor running"},
		"no such host":    {url: "http://perago.invalid/api", want: "no such host", hint: "ends in /api"},
		"a web page":      {set: func(f *fake) { f.on["GET /health"] = says(200, "text/html", "<!DOCTYPE html>") }, want: "a web page", hint: "ends in /api"},
		"a page for JSON": {set: func(f *fake) { f.on["GET /health"] = ok("<!DOCTYPE html>") }, want: "a web page", hint: "ends in /api"},
		"a page, 404":     {set: func(f *fake) { f.on["GET /health"] = says(404, "text/html", "<html>") }, want: "404: a web page", hint: "ends in /api"},
		"no /api":         {want: "404: there is no such API", hint: "ends in /api"},
		"something else with a /health": {set: func(f *fake) { f.on["GET /health"] = ok(`{"status":"UP"}`) },
			want: "there is no such API", hint: "ends in /api"},
		"text": {set: func(f *fake) { f.on["GET /health"] = says(200, "text/plain", "OK") }, want: "not an answer of Conductor", hint: "ends in /api"},
		"a redirect": {set: func(f *fake) {
			f.on["GET /health"] = func(w http.ResponseWriter, r *http.Request) {
				http.Redirect(w, r, "https://elsewhere.example/api/health", http.StatusFound)
			}
		}, want: "302: the server answers from elsewhere: https://elsewhere.example/api/health", hint: "CONDUCTOR_SERVER_URL"},
		"a wrong key": {key: true, set: func(f *fake) {
			f.on["POST /token"] = says(401, "application/json", `{"message":"Invalid access key","error":"UNAUTHORIZED"}`)
		}, want: "log in to Conductor", hint: "CONDUCTOR_AUTH_KEY and CONDUCTOR_AUTH_SECRET must be"},
		"a wrong key, as a page with %": {key: true, set: func(f *fake) {
			f.on["POST /token"] = says(403, "text/html", "<html>100%d</html>")
		}, want: "does not let us in", hint: "CONDUCTOR_AUTH_KEY and CONDUCTOR_AUTH_SECRET must be"},
		"a login without a key": {set: func(f *fake) {
			f.on["GET /health"] = says(401, "application/json", `{"message":"token required"}`)
		}, want: "401: the server does not let us in: token required", hint: "this server has a login"},
		"not allowed": {key: true, set: func(f *fake) {
			f.on["POST /token"] = ok(`{"token":"abc"}`)
			f.on["GET /health"] = ok(`{"healthy":true}`)
			f.on[sizes] = says(403, "application/json", `{"message":"no permission"}`)
		}, want: "403: the server does not let us in: no permission", hint: "may run tasks"},
		"a broken server": {set: func(f *fake) { f.on["GET /health"] = says(500, "application/json", `{"message":"database is locked"}`) },
			want: "500: database is locked"},
		"an answer cut short": {set: func(f *fake) {
			f.on["GET /health"] = func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Length", "100")
				io.WriteString(w, `{"hea`)
			}
		}, want: "unexpected EOF"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			f := newFake(t)
			if tt.set != nil {
				tt.set(f)
			}
			if tt.url != "" {
				f.url = tt.url
			}
			c := f.client()
			if tt.key {
				c = f.loggedIn()
			}
			got, err := c.Check(t.Context())
			if tt.want == "" {
				if err != nil || got.LoginIdle != tt.idle || got.Skew != 0 {
					t.Errorf("got %+v, %v, want LoginIdle %v and no error", got, err, tt.idle)
				}
				return
			}
			e := (*conductor.Error)(nil)
			if !errors.As(err, &e) || !strings.Contains(err.Error(), tt.want) || !strings.Contains(e.Hint, tt.hint) {
				t.Fatalf("got %v (hint %q), want %q and the hint %q", err, hintOf(e), tt.want, tt.hint)
			}
			if tt.hint == "" && e.Hint != "" {
				t.Errorf("hint: got %q, want none", e.Hint)
			}
			if text := err.Error() + e.Hint; strings.Contains(text, "hush") || strings.Contains(text, "\n") || strings.Contains(text, "%!") {
				t.Errorf("the error has what it should not: %q", text)
			}
		})
	}
}

func hintOf(e *conductor.Error) string {
	if e == nil {
		return ""
	}
	return e.Hint
}

func TestSkewOfTheClocks(t *testing.T) {
	f := newFake(t)
	f.on["GET /health"] = ok(`{"healthy":true}`)
	f.on["GET /tasks/queue/sizes"] = func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Date", time.Now().Add(-time.Hour).UTC().Format(http.TimeFormat))
		ok(`{}`)(w, r)
	}
	got, err := f.client().Check(t.Context())
	if off := got.Skew + time.Hour; err != nil || off.Abs() > 5*time.Second {
		t.Errorf("got %v, %v, want about -1h", got.Skew, err)
	}
}

func TestTokenIsFetchedOnceAndRenewed(t *testing.T) {
	f := newFake(t)
	var token int
	f.on["POST /token"] = func(w http.ResponseWriter, r *http.Request) {
		token++
		ok(fmt.Sprintf(`{"token":"token-%d"}`, token))(w, r)
	}
	f.on["GET /tasks/poll/batch/songs.count"] = ok("[]")
	f.on["POST /tasks"] = plain()
	c := f.loggedIn()
	for range 2 {
		if _, err := c.Poll(t.Context(), "songs.count", 1, 0); err != nil {
			t.Fatal(err)
		}
	}
	got := f.calls()
	if len(got) != 3 || got[0].what != "POST /token" || got[1].token != "token-1" || got[2].token != "token-1" {
		t.Errorf("got %+v, want one login, then two polls with its token", got)
	}
	if want := `{"keyId":"key-1","keySecret":"hush-hush"}`; strings.TrimSpace(got[0].body) != want {
		t.Errorf("login: got %s, want %s", got[0].body, want)
	}
	// The server forgets the token: the next call, of either way, gets another.
	expired := func(good http.HandlerFunc) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("X-Authorization") != fmt.Sprintf("token-%d", token) || token%2 == 1 {
				says(401, "application/json", `{"message":"Token cannot be null or empty"}`)(w, r)
				return
			}
			good(w, r)
		}
	}
	f.on["GET /tasks/poll/batch/songs.count"] = expired(ok("[" + polled + "]"))
	if got, err := c.Poll(t.Context(), "songs.count", 1, 0); err != nil || len(got) != 1 {
		t.Errorf("after 401: got %v, %v, want an attempt", got, err)
	}
	token++
	f.on["POST /tasks"] = expired(plain())
	if _, err := c.Report(t.Context(), engine.Report{Attempt: attempt, Status: engine.Failed, Last: true}); err != nil {
		t.Errorf("after 401: %v", err)
	}
}

// A server that had no login, because it was another or was starting, may have one.
func TestLoginThatComesLater(t *testing.T) {
	f := newFake(t)
	f.on["GET /tasks/poll/batch/songs.count"] = ok("[]")
	c := f.loggedIn()
	if _, err := c.Poll(t.Context(), "songs.count", 1, 0); err != nil {
		t.Fatal(err)
	}
	f.on["POST /token"] = ok(`{"token":"abc"}`)
	f.on["GET /tasks/poll/batch/songs.count"] = func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Authorization") != "abc" {
			says(401, "application/json", `{"message":"token required"}`)(w, r)
			return
		}
		ok("["+polled+"]")(w, r)
	}
	if got, err := c.Poll(t.Context(), "songs.count", 1, 0); err != nil || len(got) != 1 {
		t.Errorf("got %v, %v, want an attempt", got, err)
	}
}

func TestCallThatTakesTooLong(t *testing.T) {
	f := newFake(t)
	release := make(chan struct{})
	hang := func(http.ResponseWriter, *http.Request) { <-release }
	f.on["GET /tasks/poll/batch/songs.count"], f.on["GET /tasks/t-1"], f.on["POST /token"] = hang, hang, hang
	defer close(release)
	for name, o := range map[string]conductor.Options{"call": {}, "login": {Key: "k", Secret: engine.NewSecret("s")}} {
		o.URL, o.Timeout = f.url, 20*time.Millisecond
		c := conductor.New(o)
		_, err := c.Poll(t.Context(), "songs.count", 1, 0)
		for _, err := range []error{err, c.Current(t.Context(), attempt)} {
			if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "no answer in time") {
				t.Errorf("%s: got %v, want no answer in time", name, err)
			}
		}
	}
}

// TestMain is also the program of TestNothingIsPrinted.
func TestMain(m *testing.M) {
	if url := os.Getenv("PERAGO_CONDUCTOR_SILENT"); url != "" {
		c := conductor.New(conductor.Options{URL: url, Key: "k", Secret: engine.NewSecret("hush-hush")})
		_, err := c.Poll(context.Background(), "songs.count", 1, 0)
		cerr := c.Current(context.Background(), attempt)
		if err == nil || cerr == nil {
			os.Exit(3)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// conductor-go has a logger of its own: nothing of it may reach a terminal, and
// none of its errors may end the process.
func TestNothingIsPrinted(t *testing.T) {
	f := newFake(t)
	notGzip := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		io.WriteString(w, "not gzip")
	}
	wrongKey := says(401, "application/json", `{"message":"no"}`)
	for name, answers := range map[string][2]http.HandlerFunc{
		"wrong key":  {wrongKey, wrongKey},
		"bad answer": {ok(`{"token":"x"}`), notGzip},
		"bad token":  {notGzip, notGzip},
	} {
		f.mu.Lock() // the other process is no order that the race detector knows of
		f.on["POST /token"] = answers[0]
		f.on["GET /tasks/poll/batch/songs.count"], f.on["GET /tasks/t-1"] = answers[1], answers[1]
		f.mu.Unlock()
		cmd := exec.CommandContext(t.Context(), os.Args[0])
		// CONDUCTOR_SERVER_URL is unset: conductor-go would end the process.
		cmd.Env = []string{"PERAGO_CONDUCTOR_SILENT=" + f.url}
		var out bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &out
		if err := cmd.Run(); err != nil || out.Len() > 0 {
			t.Errorf("%s: got %v and the output %q, want none", name, err, out.String())
		}
	}
}
