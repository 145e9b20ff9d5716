package store

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"sync"
	"testing"

	"perago/workspace/lakefs"
	"perago/workspace/storetest"
)

// proxy stands between a client and lakeFS and lets requests go wrong.
type proxy struct {
	*lakefs.Store // the client
	plan          func(n int, name string) storetest.Fault
	client        http.Client // towards the server

	mu    sync.Mutex
	calls []string
	late  []func()
}

func (p *proxy) Crashed() bool { return false }

func (p *proxy) Calls() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.calls)
}

func (p *proxy) Release() {
	p.mu.Lock()
	late := p.late
	p.late = nil
	p.mu.Unlock()
	for _, send := range late {
		send()
	}
}

// openProxy starts a proxy, and a client of it, for the length of the test.
func openProxy(t *testing.T, plan func(int, string) storetest.Fault) storetest.Link {
	p := &proxy{plan: plan}
	s := httptest.NewServer(p)
	t.Cleanup(s.Close)
	var err error
	if p.Store, err = lakefs.New(options(s.URL)); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Store.Close)
	return p
}

func (p *proxy) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	p.mu.Lock()
	n := len(p.calls)
	p.calls = append(p.calls, req.Method+" "+req.URL.Path)
	p.mu.Unlock()
	// What the client's connection does from here on is not to reach the server.
	ctx := context.WithoutCancel(req.Context())
	switch p.plan(n, req.URL.Path) {
	case storetest.Lost:
		p.send(ctx, req, body)
		panic(http.ErrAbortHandler)
	case storetest.Dropped:
		panic(http.ErrAbortHandler)
	case storetest.Late:
		p.mu.Lock()
		p.late = append(p.late, func() { p.send(ctx, req, body) })
		p.mu.Unlock()
		panic(http.ErrAbortHandler)
	case storetest.Doubled:
		p.send(ctx, req, body)
	}
	status, header, answer := p.send(ctx, req, body)
	for name, values := range header {
		w.Header()[name] = values
	}
	w.WriteHeader(status)
	w.Write(answer)
}

// send passes a request on and returns the whole answer.
func (p *proxy) send(ctx context.Context, req *http.Request, body []byte) (int, http.Header, []byte) {
	out := req.Clone(ctx)
	out.RequestURI = ""
	out.URL.Scheme, out.URL.Host = "http", server.lakefs.URL[len("http://"):]
	out.Body = io.NopCloser(bytes.NewReader(body))
	resp, err := p.client.Do(out)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	return resp.StatusCode, resp.Header, answer
}

// TestLostLateAndDoubledAnswers lets each request of a publication go wrong in turn.
func TestLostLateAndDoubledAnswers(t *testing.T) {
	storetest.TestLink(t, subject(server.store), openProxy)
}
