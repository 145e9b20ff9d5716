//go:build linux

package worker

import (
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"perago/e2e/wire"
)

// A report that reaches Conductor while it is busy with an extension of the lease
// may be written over by it. So an attempt that ends during an extension is
// reported after the answer, and the next step gets its commit.
func TestReportWaitsForTheExtensionUnderWay(t *testing.T) {
	t.Parallel()
	patient := strings.Replace(link, "response_seconds = 60", "response_seconds = 6", 1)
	s := newScene(t, patient, patient)
	env, held := s.fault("step ran", "hold")
	var (
		busy, overtaken atomic.Bool
		reports         = make(chan struct{}, 100)
	)
	onward := &wire.Proxy{Target: site.conductor.URL, Plan: func(int, *http.Request) wire.Fate { return wire.Pass }}
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		switch req.Method + " " + req.URL.Path {
		case "POST /api/tasks": // an extension, while the worker does not drain
			if busy.CompareAndSwap(false, true) {
				os.WriteFile(held, []byte("go on"), 0o600) // an error is a body that does not end
				select {
				case <-reports:
				case <-time.After(time.Second):
				}
				defer busy.Store(false)
			}
		case "POST /api/tasks/update-v2":
			overtaken.Store(overtaken.Load() || busy.Load())
			reports <- struct{}{}
		}
		onward.ServeHTTP(w, req)
	}))
	t.Cleanup(proxy.Close)
	p := s.worker(s.root(), append(env, "CONDUCTOR_SERVER_URL="+proxy.URL+"/api")...)
	id := s.start()
	w := s.ends(id)
	p.signal(syscall.SIGTERM)
	p.exits(0)
	if s.oneCommitEach(id, w); len(w.Tasks) != 2 {
		t.Errorf("tries: got %+v, want one of each step", w.Tasks)
	}
	if overtaken.Load() {
		t.Error("reported while an extension was under way")
	}
}
