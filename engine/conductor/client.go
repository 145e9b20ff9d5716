// Package conductor is the adapter for a real Conductor: queue.Queue,
// queue.Leaser, and the TaskDef verbs of `perago register`. It is the only
// importer of conductor-go.
//
// conductor-go is used for its login and for the model of a result, but not for its
// requests: its client follows redirects to any host with the token, reads and
// decompresses responses of any length, and does not accept another HTTP client. So
// every request is made by the method call, which follows no redirect and bounds
// every response after decompression.
package conductor

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"
	"time"

	"perago/engine/queue"
	"perago/secret"
)

// Options have the address of a Conductor and our login.
type Options struct {
	URL      string        // of the API, "http://host:8080/api"
	Key      secret.String // with Secret; empty when the server has no login
	Secret   secret.String
	WorkerID string        // the worker that the server shows for a task
	Timeout  time.Duration // of one call, in addition to the time that the server is asked to wait; 0 is 30 s
}

// Client talks to one Conductor. It implements queue.Queue and queue.Leaser,
// and may be used by several goroutines. Its errors are *Error, or wrap
// queue.ErrGone or queue.ErrRejected beside one.
type Client struct {
	url      string // without a slash at its end
	workerID string
	timeout  time.Duration
	http     *http.Client
	login    *login // nil: no key is configured
	noV2     atomic.Bool
}

var (
	_ queue.Queue  = (*Client)(nil)
	_ queue.Leaser = (*Client)(nil)
)

// New returns a Client. It sends nothing; Check does.
func New(o Options) *Client {
	c := &Client{url: strings.TrimRight(o.URL, "/"), workerID: o.WorkerID, timeout: o.Timeout}
	if c.timeout <= 0 {
		c.timeout = 30 * time.Second
	}
	c.http = &http.Client{
		Transport: &http.Transport{
			Proxy:               http.ProxyFromEnvironment,
			DialContext:         (&net.Dialer{Timeout: 10 * time.Second, KeepAlive: 30 * time.Second}).DialContext,
			TLSHandshakeTimeout: 10 * time.Second,
			MaxIdleConnsPerHost: 64,
			IdleConnTimeout:     90 * time.Second,
			ForceAttemptHTTP2:   true,

			MaxResponseHeaderBytes: 1 << 20,
		},
		// Another host must not get the token, and its responses are not trusted.
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	if !o.Key.Empty() {
		c.login = &login{key: o.Key, secret: o.Secret, url: c.url, http: c.http}
	}
	return c
}

// request is one request to the API.
type request struct {
	op     string // for the error: "poll features.build"
	method string
	path   string // after the API's URL, escaped
	query  url.Values
	body   any           // encoded as JSON, but for plainText; nil is none
	tasks  int           // how many tasks the response may have; 0 is 1
	wait   time.Duration // what the server is asked to wait
	text   bool          // the response is text, not JSON
}

// response is a response that was read whole.
type response struct {
	status int
	body   []byte
	date   time.Time // the header Date; zero when there was none
	sent   time.Time
}

// plainText is a body that is sent as it is.
type plainText string

// Bounds of a response, in bytes after decompression.
const (
	taskMax     = 32 << 20  // for each task in it; Conductor takes inputs of 10 MiB at most
	responseMax = 256 << 20 // of all tasks of a poll
	errorMax    = 64 << 10  // of the text of an error; the rest is not read
	tokenMax    = 1 << 20   // of the response to a login
)

// most is the bound of the response to r.
func (r request) most() int64 { return min(int64(max(r.tasks, 1))*taskMax, responseMax) }

// readResponse reads the body of a response, which may have at most most bytes.
func readResponse(resp *http.Response, most int64) ([]byte, error) {
	if resp.StatusCode >= 300 {
		return io.ReadAll(io.LimitReader(resp.Body, errorMax))
	}
	return io.ReadAll(http.MaxBytesReader(nil, resp.Body, most))
}

// call makes a request and returns a successful response. If the token has expired,
// it gets a new one, once.
func (c *Client) call(ctx context.Context, r request) (response, error) {
	ctx, cancel := context.WithTimeout(ctx, c.timeout+r.wait)
	defer cancel()
	for again := true; ; again = false {
		token, err := c.login.token(ctx)
		if err != nil {
			return response{}, c.failed(r.op, nil, nil, err)
		}
		a, err := c.send(ctx, r, token)
		if again && a.status == http.StatusUnauthorized && c.login.renew(token) {
			continue
		}
		return a, err
	}
}

func (c *Client) send(ctx context.Context, r request, token string) (response, error) {
	var body io.Reader
	if text, ok := r.body.(plainText); ok {
		body = strings.NewReader(string(text))
	} else if r.body != nil {
		data, err := json.Marshal(r.body)
		if err != nil {
			return response{}, fmt.Errorf("%s: %w", r.op, err)
		}
		body = bytes.NewReader(data)
	}
	target := c.url + r.path
	if len(r.query) > 0 {
		target += "?" + r.query.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, r.method, target, body)
	if err != nil {
		return response{}, c.failed(r.op, nil, nil, err)
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	req.Header.Set("Accept", "application/json, text/plain")
	if token != "" {
		req.Header.Set("X-Authorization", token)
	}
	sent := time.Now()
	resp, err := c.http.Do(req)
	if err != nil {
		return response{}, c.failed(r.op, nil, nil, err)
	}
	defer resp.Body.Close()
	data, err := readResponse(resp, r.most())
	a := response{status: resp.StatusCode, body: data, sent: sent}
	a.date, _ = http.ParseTime(resp.Header.Get("Date"))
	if err != nil {
		return a, c.failed(r.op, nil, nil, err)
	}
	good := resp.StatusCode >= 200 && resp.StatusCode < 300
	if good && (r.text && !isPage(resp, data) || len(data) == 0 || json.Valid(data)) {
		return a, nil
	}
	return a, c.failed(r.op, resp, data, nil)
}

// Server is the result of Check.
type Server struct {
	Skew      time.Duration // the server's clock minus ours; zero when it is unknown, or less than 2 s
	LoginIdle bool          // a key is set, and the server has no login
}

// Check checks that the server is a Conductor and accepts our login.
func (c *Client) Check(ctx context.Context) (Server, error) {
	op := "check Conductor"
	if _, err := c.call(ctx, request{op: op, method: http.MethodGet, path: "/health"}); err != nil {
		return Server{}, err
	}
	// Other servers may have a /health too, but not queues of tasks.
	a, err := c.call(ctx, request{op: op, method: http.MethodGet, path: "/tasks/queue/sizes",
		query: url.Values{"taskType": {"perago"}}})
	if err != nil {
		return Server{}, err
	}
	s := Server{LoginIdle: c.login.idle()}
	// The header has whole seconds, and the request took some time.
	if skew := a.date.Sub(a.sent); !a.date.IsZero() && skew.Abs() >= 2*time.Second+time.Since(a.sent) {
		s.Skew = skew.Round(time.Second)
	}
	return s, nil
}
