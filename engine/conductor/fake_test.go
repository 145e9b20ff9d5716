package conductor_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"perago/engine/conductor"
	"perago/engine/queue"
	"perago/secret"
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
		Key: secret.New("key-1"), Secret: secret.New("hush-hush")})
}

var attempt = queue.Attempt{Task: "songs.count", TaskID: "t-1", WorkflowID: "f-1", Retry: 1, ResponseTimeout: time.Minute}

const polled = `{"taskId":"t-1","workflowInstanceId":"f-1","referenceTaskName":"step","retryCount":1,"iteration":2,
	"inputData":{"params":{"id":9007199254740993}},"responseTimeoutSeconds":60,"taskDefName":"songs.count"}`
