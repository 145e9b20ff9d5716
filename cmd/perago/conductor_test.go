package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
)

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
