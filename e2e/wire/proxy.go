// Package wire stands between a client and a server and lets requests go wrong.
package wire

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"
)

// Fate is what becomes of a request.
type Fate int

// The fates of a request.
const (
	Pass    Fate = iota
	Dropped      // it never arrives, and the client's connection breaks
	Lost         // it is done, and the client's connection breaks
	Late         // the client's connection breaks, and it is done when Release is called
	Doubled      // it is done twice, answered once: as the second time
	Slow         // it waits for Proxy.Delay, and so does its answer
	Cut          // it is done, and the connection breaks in the middle of the answer's body
)

// String names the fate.
func (f Fate) String() string {
	return [...]string{"pass", "dropped", "lost", "late", "doubled", "slow", "cut"}[f]
}

// Proxy passes HTTP requests on to a server, as Plan wills. A server that cannot
// be reached breaks the client's connection. It may be used by several
// goroutines; its fields are set before the first request.
type Proxy struct {
	Target string // http://host:port
	// Plan says what becomes of request n, counted from 0. It is called with a
	// lock, one request at a time.
	Plan  func(n int, req *http.Request) Fate
	Delay time.Duration // of a Slow one, each way

	client http.Client // towards the server
	mu     sync.Mutex
	calls  []string
	fates  map[Fate]int
	late   []func()
}

// Calls are the requests so far, as "METHOD PATH".
func (p *Proxy) Calls() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return append([]string(nil), p.calls...)
}

// Fates counts the requests of each fate.
func (p *Proxy) Fates() map[Fate]int {
	p.mu.Lock()
	defer p.mu.Unlock()
	counts := map[Fate]int{}
	for f, n := range p.fates {
		counts[f] = n
	}
	return counts
}

// Release sends the late requests, in their order, and waits for them.
func (p *Proxy) Release() {
	p.mu.Lock()
	late := p.late
	p.late = nil
	p.mu.Unlock()
	for _, send := range late {
		send()
	}
}

// ServeHTTP implements http.Handler.
func (p *Proxy) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(req.Body)
	if err != nil {
		panic(http.ErrAbortHandler)
	}
	// What the client's connection does from here on is not to reach the server.
	ctx := context.WithoutCancel(req.Context())
	fate := p.decide(req, func() { p.send(ctx, req, body) })
	switch fate {
	case Dropped, Late:
		panic(http.ErrAbortHandler)
	case Doubled:
		p.send(ctx, req, body)
	case Slow:
		<-time.After(p.Delay)
	}
	a := p.send(ctx, req, body)
	if a == nil || fate == Lost {
		panic(http.ErrAbortHandler)
	}
	if fate == Slow {
		<-time.After(p.Delay)
	}
	for name, values := range a.Header {
		w.Header()[name] = values
	}
	w.WriteHeader(a.StatusCode)
	if fate == Cut {
		w.Write(a.body[:len(a.body)/2])
		http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}
	w.Write(a.body)
}

// decide asks the plan, and keeps what it says.
func (p *Proxy) decide(req *http.Request, send func()) Fate {
	p.mu.Lock()
	defer p.mu.Unlock()
	fate := p.Plan(len(p.calls), req)
	p.calls = append(p.calls, req.Method+" "+req.URL.Path)
	if p.fates == nil {
		p.fates = map[Fate]int{}
	}
	p.fates[fate]++
	if fate == Late {
		p.late = append(p.late, send)
	}
	return fate
}

// answer is an answer with its whole body.
type answer struct {
	*http.Response
	body []byte
}

// send passes a request on and returns the whole answer; nil when there is none.
func (p *Proxy) send(ctx context.Context, req *http.Request, body []byte) *answer {
	out := req.Clone(ctx)
	out.RequestURI = ""
	out.URL.Scheme, out.URL.Host = "http", strings.TrimPrefix(p.Target, "http://")
	out.Body = io.NopCloser(bytes.NewReader(body))
	resp, err := p.client.Do(out)
	if err != nil {
		return nil
	}
	defer resp.Body.Close()
	all, err := io.ReadAll(resp.Body)
	if err != nil {
		return nil
	}
	return &answer{resp, all}
}
