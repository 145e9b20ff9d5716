package conductor_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"perago/engine/queue"
)

func TestPoll(t *testing.T) {
	f := newFake(t)
	f.on["GET /tasks/poll/batch/songs.count"] = ok("[" + polled + "]")
	got, err := f.client().Poll(t.Context(), "songs.count", 3, time.Second)
	if err != nil || len(got) != 1 {
		t.Fatalf("got %v, %v, want one attempt", got, err)
	}
	want := queue.Attempt{Task: "songs.count", TaskID: "t-1", WorkflowID: "f-1", Reference: "step", Iteration: 2, Retry: 1,
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

func TestWaiting(t *testing.T) {
	f := newFake(t)
	f.on["GET /tasks/queue/sizes"] = ok(`{"a.b":0,"c d":2}`)
	got, err := f.client().Waiting(t.Context(), []string{"a.b", "c d", "e"})
	if err != nil || !slices.Equal(got, []string{"c d"}) {
		t.Errorf("got %q, %v, want c d", got, err)
	}
	wantCalls(t, f, "GET /tasks/queue/sizes?taskType=a.b&taskType=c+d&taskType=e")
	delete(f.on, "GET /tasks/queue/sizes")
	if _, err := f.client().Waiting(t.Context(), []string{"a.b"}); !errors.Is(err, queue.ErrUnsupported) {
		t.Errorf("a server without the call: got %v, want ErrUnsupported", err)
	}
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
	r := queue.Report{Attempt: attempt, Status: queue.Completed, Log: []string{"one"},
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
	next, err := f.client().Report(t.Context(), queue.Report{Attempt: attempt, Status: queue.Failed, Reason: "no"})
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
			if next, err := c.Report(t.Context(), queue.Report{Attempt: attempt, Status: queue.Failed}); next != nil || err != nil {
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
		{says(404, "application/json", `{"status":404,"message":"No such task found by id: t-1"}`), queue.ErrGone},
		{says(404, "text/html", `<html>Not Found</html>`), nil}, // not Conductor that answers
		{says(400, "application/json", `{"message":"bad"}`), queue.ErrRejected},
		{says(413, "text/html", `<html>too large</html>`), queue.ErrRejected},
		{says(401, "application/json", `{}`), nil},
		{says(429, "application/json", `{}`), nil},
		{says(500, "application/json", `{"message":"database is locked"}`), nil},
		{says(503, "text/html", `<html>restarting</html>`), nil},
	}
	for _, tt := range tests {
		f := newFake(t)
		f.on["POST /tasks"], f.on["POST /tasks/update-v2"] = tt.answer, tt.answer
		for _, last := range []bool{true, false} {
			_, err := f.client().Report(t.Context(), queue.Report{Attempt: attempt, Status: queue.Failed, Last: last})
			gone, rejected := errors.Is(err, queue.ErrGone), errors.Is(err, queue.ErrRejected)
			if err == nil || gone != (tt.want == queue.ErrGone) || rejected != (tt.want == queue.ErrRejected) {
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
		{ok(`{"taskId":`), "not an answer of Conductor", false},
		{ok(`{"status":[]}`), "not a task", false},
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
		if err == nil || !strings.Contains(err.Error(), tt.want) || errors.Is(err, queue.ErrGone) != tt.gone {
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
