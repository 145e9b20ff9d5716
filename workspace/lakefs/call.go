package lakefs

// One request and its response: time-outs, repeats, and the errors of bad responses.

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/treeverse/lakefs/pkg/api/apigen"

	"perago/workspace/storage"
)

// tries bounds how often a request that may be repeated is sent: 100 ms after the
// first failure, and at last 3 s after it (Options.Repeat), when each fails at once.
const tries = 6

// responseMax bounds an answer that is read whole, in bytes: a page of 1,000
// objects has less than 1 MiB.
const responseMax = 64 << 20

// request is one request to the API, whose response is JSON or empty.
type request struct {
	what   string // for errors: "read branch main"
	repeat bool   // it is safe to send it again
	long   bool   // it may take as long as LongTimeout
	plain  bool   // the response to success is plain text, which is ignored
	send   func(context.Context) (*http.Response, error)
}

// response is a response that was read whole.
type response struct {
	what     string
	plain    bool // see request
	status   int
	header   http.Header
	body     []byte
	received time.Time
}

// StatusError is a response with a status other than success.
type StatusError struct {
	What    string // the request
	Status  int    // of HTTP
	Message string // the server's
}

func (e *StatusError) Error() string {
	return fmt.Sprintf("%s: the server answered %d: %s", e.What, e.Status, e.Message)
}

// Is makes a response that may be another one later a storage.ErrBusy.
func (e *StatusError) Is(target error) bool {
	return target == storage.ErrBusy && (e.Status == http.StatusTooManyRequests || e.Status >= 500)
}

// status is the HTTP status in an error; 0 when it has none.
func status(err error) int {
	var e *StatusError
	if errors.As(err, &e) {
		return e.Status
	}
	return 0
}

// isTransient says whether repeating the request may help.
func isTransient(err error) bool {
	var local *localError
	switch code := status(err); {
	case errors.Is(err, ErrNotLakeFS), errors.Is(err, ErrDenied), errors.Is(err, ErrHost), errors.As(err, &local):
		return false
	case code == 0: // no response, or half of one
		return true
	default:
		return code == http.StatusTooManyRequests || code >= 500 && code != http.StatusNotImplemented
	}
}

// call sends a request, repeats it where that is safe and may help, and returns a
// successful response.
func (s *Store) call(ctx context.Context, r request) (response, error) {
	var got response
	err := s.retry(ctx, r.repeat, func() (err error) {
		got, err = s.sendOnce(ctx, r)
		return err
	})
	return got, err
}

// retry calls op until it succeeds, fails for good, or was called often enough.
func (s *Store) retry(ctx context.Context, repeat bool, op func() error) error {
	pause := backoff.NewExponentialBackOff()
	pause.InitialInterval, pause.MaxInterval = s.opts.Repeat/30, s.opts.Repeat/2
	pause.Multiplier, pause.RandomizationFactor = 2, 0.2
	for try := 1; ; try++ {
		err := op()
		if ctx.Err() != nil && err != nil {
			return context.Cause(ctx)
		}
		if err == nil || !repeat || try == tries || !isTransient(err) {
			return err
		}
		t := time.NewTimer(pause.NextBackOff())
		select {
		case <-ctx.Done():
			t.Stop()
			return context.Cause(ctx)
		case <-t.C:
		}
	}
}

// sendOnce sends a request and reads its response.
func (s *Store) sendOnce(ctx context.Context, r request) (response, error) {
	limit := s.opts.Timeout
	if r.long {
		limit = s.opts.LongTimeout
	}
	ctx, cancel := s.bounded(ctx, limit)
	defer cancel()
	resp, err := r.send(ctx)
	if err != nil {
		return response{}, s.unreachable(ctx, r.what, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, responseMax+1))
	if err == nil && len(body) > responseMax {
		err = fmt.Errorf("the answer has more than %d bytes", responseMax)
	}
	if err != nil {
		return response{}, s.unreachable(ctx, r.what, err)
	}
	a := response{what: r.what, plain: r.plain, status: resp.StatusCode, header: resp.Header, body: body, received: time.Now()}
	return a, s.checkResponse(a)
}

// bounded is ctx with a time limit; its cause says what the limit was.
func (s *Store) bounded(ctx context.Context, limit time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, limit, fmt.Errorf("no answer in %s", limit))
}

// unreachableError is a request without a whole response.
type unreachableError struct {
	what, base string
	cause      error
}

func (e *unreachableError) Error() string {
	return fmt.Sprintf("%s: lakeFS at %s: %v", e.what, e.base, e.cause)
}

func (e *unreachableError) Unwrap() error { return e.cause }

func (e *unreachableError) Is(target error) bool { return target == ErrUnreachable }

// unreachable is the error of a request without a whole response. It has the URL of
// the server, but not that of the request.
func (s *Store) unreachable(ctx context.Context, what string, err error) error {
	if ctx.Err() != nil {
		err = context.Cause(ctx)
	}
	var ue *url.Error
	if errors.As(err, &ue) {
		err = ue.Err
	}
	if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = fmt.Errorf("the connection broke: %w", err)
	}
	return &unreachableError{what, s.base, err}
}

// checkResponse returns the error of a response that is not a success.
func (s *Store) checkResponse(a response) error {
	switch {
	case a.status == http.StatusNoContent:
		return nil
	case a.status >= 300 && a.status < 400:
		return fmt.Errorf("%s: %s %w (it redirects to %s)", a.what, s.base, ErrNotLakeFS, redactURL(a.header.Get("Location")))
	case a.status < 300 && (isJSON(a.header) || len(a.body) == 0 || a.plain && kind(a.header) == "text/plain"):
		return nil
	case a.status == http.StatusUnauthorized:
		return fmt.Errorf("%s: %w (%s: %s)", a.what, ErrDenied, s.base, a.message())
	case !isJSON(a.header) && a.status < 500 && a.status != http.StatusTooManyRequests:
		return fmt.Errorf("%s: %s %w (it answered %d with %s)", a.what, s.base, ErrNotLakeFS, a.status, kind(a.header))
	}
	return &StatusError{What: a.what, Status: a.status, Message: a.message()}
}

// message is the error message of the server.
func (a response) message() string {
	var e apigen.Error
	if json.Unmarshal(a.body, &e) == nil && e.Message != "" {
		return e.Message
	}
	return http.StatusText(a.status)
}

// decode decodes a successful response.
func decode[T any](a response) (T, error) {
	var v T
	if err := json.Unmarshal(a.body, &v); err != nil {
		return v, fmt.Errorf("%s: %w (its JSON is not what was asked for)", a.what, ErrNotLakeFS)
	}
	return v, nil
}

func isJSON(h http.Header) bool {
	t, _, err := mime.ParseMediaType(h.Get("Content-Type"))
	return err == nil && (t == "application/json" || strings.HasSuffix(t, "+json"))
}

// kind is the content type of a response, for an error.
func kind(h http.Header) string {
	if t, _, err := mime.ParseMediaType(h.Get("Content-Type")); err == nil {
		return t
	}
	return "no content type"
}

// redactURL is a URL for an error: without its query, which may contain a signature.
func redactURL(text string) string {
	u, err := url.Parse(text)
	if err != nil {
		return "somewhere else"
	}
	u.RawQuery, u.User = "", nil
	return u.String()
}
