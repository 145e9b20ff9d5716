package conductor_test

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"perago/engine/conductor"
	"perago/engine/queue"
	"perago/secret"
)

// everyCall is what a worker asks of a Conductor; each makes at least one request.
func everyCall(ctx context.Context, c *conductor.Client) map[string]error {
	report := queue.Report{Attempt: attempt, Status: queue.Completed, Output: json.RawMessage(`{"result":{"private":"data"}}`)}
	errs := map[string]error{}
	_, errs["poll"] = c.Poll(ctx, "songs.count", 1, time.Second)
	_, errs["report"] = c.Report(ctx, report)
	report.Last = true
	_, errs["last report"] = c.Report(ctx, report)
	errs["extend"] = c.Extend(ctx, attempt)
	errs["look up"] = c.Current(ctx, attempt)
	errs["log"] = c.Note(ctx, attempt, []string{"a line"})
	_, errs["check"] = c.Check(ctx)
	_, errs["TaskDef"] = c.Registered(ctx, "songs.count")
	errs["new TaskDef"] = c.Create(ctx, []byte(`{"name":"songs.count"}`))
	return errs
}

// Another host sees nothing of a call, least of all the token, and its answer is
// not believed.
func TestNoRedirectIsFollowed(t *testing.T) {
	var seen atomic.Int32
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		seen.Add(1)
		ok(`{"status":"IN_PROGRESS","retryCount":1,"taskId":"t-1"}`)(w, r)
	}))
	defer other.Close()
	elsewhere := strings.Replace(other.URL, "127.0.0.1", "localhost", 1)
	for _, status := range []int{301, 302, 303, 307, 308} {
		for _, login := range []bool{false, true} { // is the login redirected, or what comes after it?
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if !login && strings.HasSuffix(r.URL.Path, "/token") {
					ok(`{"token":"abc"}`)(w, r)
					return
				}
				http.Redirect(w, r, elsewhere+r.URL.Path, status)
			}))
			c := conductor.New(conductor.Options{URL: server.URL + "/api", Key: secret.New("k"), Secret: secret.New("s"), WorkerID: "w"})
			for name, err := range everyCall(t.Context(), c) {
				if err == nil || !strings.Contains(err.Error(), "answers from elsewhere") {
					t.Errorf("%d, %s: got %v, want an error that says that the server answers from elsewhere", status, name, err)
				}
			}
			server.Close()
		}
	}
	if n := seen.Load(); n != 0 {
		t.Errorf("the other host had %d requests, want none", n)
	}
}

// An answer without an end, or one that unpacks to far more than came over the
// wire, ends at its bound.
func TestEveryAnswerIsBounded(t *testing.T) {
	const size = 80 << 20
	var packed bytes.Buffer
	zip := gzip.NewWriter(&packed)
	spaces := bytes.Repeat([]byte(" "), 1<<20)
	for range size / len(spaces) {
		zip.Write(spaces)
	}
	zip.Close()
	for name, answer := range map[string]http.HandlerFunc{
		"packed": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.Header().Set("Content-Encoding", "gzip")
			w.Write(packed.Bytes())
		},
		"an error, packed": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Type", "application/json")
			w.Header().Set("Content-Encoding", "gzip")
			w.WriteHeader(http.StatusInternalServerError)
			w.Write(packed.Bytes())
		},
	} {
		var token http.HandlerFunc
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if token != nil && strings.HasSuffix(r.URL.Path, "/token") {
				token(w, r)
				return
			}
			answer(w, r)
		}))
		want := "more than 32 MiB"
		if name != "packed" {
			want = "500: "
		}
		token = ok(`{"token":"abc"}`)
		c := conductor.New(conductor.Options{URL: server.URL + "/api", Key: secret.New("k"), Secret: secret.New("s"), WorkerID: "w"})
		for call, err := range everyCall(t.Context(), c) {
			if err == nil || !strings.Contains(err.Error(), want) || len(err.Error()) > 500 {
				t.Errorf("%s, %s: got %.600v, want %q", name, call, err, want)
			}
		}
		token = nil
		c = conductor.New(conductor.Options{URL: server.URL + "/api", Key: secret.New("k"), Secret: secret.New("s"), WorkerID: "w"})
		if err := c.Current(t.Context(), attempt); err == nil || !strings.Contains(err.Error(), "more than 1 MiB") {
			t.Errorf("%s, login: got %.200v, want that the answer has more than 1 MiB", name, err)
		}
		server.Close()
	}
}
