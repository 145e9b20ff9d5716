package lakefs

// One request and its answer: time-outs, repeats, and what a bad answer is called.

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

// answerMax bounds an answer that is read whole, in bytes: a page of 1,000
// objects has less than 1 MiB.
const answerMax = 64 << 20

// request is one request to the API that is answered with JSON, or with nothing.
type request struct {
	what   string // for errors: "read branch main"
	repeat bool   // it is safe to send it again
	long   bool   // it may take as long as LongTimeout
	plain  bool   // success is answered with plain text, which says nothing
	send   func(context.Context) (*http.Response, error)
}

// answer is an answer that was read whole.
type answer struct {
	what     string
	plain    bool // see request
	status   int
	header   http.Header
	body     []byte
	received time.Time
}

// StatusError is an answer other than success.
type StatusError struct {
	What    string // the request
	Status  int    // of HTTP
	Message string // the server's
}

func (e *StatusError) Error() string {
	return fmt.Sprintf("%s: the server answered %d: %s", e.What, e.Status, e.Message)
}

// Is says what callers may know of an answer that may be another one later.
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

// passing says whether an error may be gone when the request is sent again.
func passing(err error) bool {
	var local *localError
	switch code := status(err); {
	case errors.Is(err, ErrNotLakeFS), errors.Is(err, ErrDenied), errors.Is(err, ErrHost), errors.As(err, &local):
		return false
	case code == 0: // no answer, or half of one
		return true
	default:
		return code == http.StatusTooManyRequests || code >= 500 && code != http.StatusNotImplemented
	}
}

// call sends a request, again where that is safe and may help, and returns a
// successful answer.
func (s *Store) call(ctx context.Context, r request) (answer, error) {
	var got answer
	err := s.again(ctx, r.repeat, func() (err error) {
		got, err = s.once(ctx, r)
		return err
	})
	return got, err
}

// again runs op until it succeeds, fails for good, or was tried often enough.
func (s *Store) again(ctx context.Context, repeat bool, op func() error) error {
	pause := backoff.NewExponentialBackOff()
	pause.InitialInterval, pause.MaxInterval = s.opts.Repeat/30, s.opts.Repeat/2
	pause.Multiplier, pause.RandomizationFactor = 2, 0.2
	for try := 1; ; try++ {
		err := op()
		if ctx.Err() != nil && err != nil {
			return context.Cause(ctx)
		}
		if err == nil || !repeat || try == tries || !passing(err) {
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

// once sends a request and reads its answer.
func (s *Store) once(ctx context.Context, r request) (answer, error) {
	limit := s.opts.Timeout
	if r.long {
		limit = s.opts.LongTimeout
	}
	ctx, cancel := s.bounded(ctx, limit)
	defer cancel()
	resp, err := r.send(ctx)
	if err != nil {
		return answer{}, s.unreachable(ctx, r.what, err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, answerMax+1))
	if err == nil && len(body) > answerMax {
		err = fmt.Errorf("the answer has more than %d bytes", answerMax)
	}
	if err != nil {
		return answer{}, s.unreachable(ctx, r.what, err)
	}
	a := answer{what: r.what, plain: r.plain, status: resp.StatusCode, header: resp.Header, body: body, received: time.Now()}
	return a, s.judge(a)
}

// bounded is ctx with a limit of time, in words.
func (s *Store) bounded(ctx context.Context, limit time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(ctx, limit, fmt.Errorf("no answer in %s", limit))
}

// unreachableError is a request without a whole answer.
type unreachableError struct {
	what, base string
	cause      error
}

func (e *unreachableError) Error() string {
	return fmt.Sprintf("%s: lakeFS at %s: %v", e.what, e.base, e.cause)
}

func (e *unreachableError) Unwrap() error { return e.cause }

func (e *unreachableError) Is(target error) bool { return target == ErrUnreachable }

// unreachable names a request without a whole answer. The URL is in it, and no
// query: what the request was for is said already.
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

// judge turns an answer that is no success into an error.
func (s *Store) judge(a answer) error {
	switch {
	case a.status == http.StatusNoContent:
		return nil
	case a.status >= 300 && a.status < 400:
		return fmt.Errorf("%s: %s %w (it redirects to %s)", a.what, s.base, ErrNotLakeFS, place(a.header.Get("Location")))
	case a.status < 300 && (isJSON(a.header) || len(a.body) == 0 || a.plain && kind(a.header) == "text/plain"):
		return nil
	case a.status == http.StatusUnauthorized:
		return fmt.Errorf("%s: %w (%s: %s)", a.what, ErrDenied, s.base, a.message())
	case !isJSON(a.header) && a.status < 500 && a.status != http.StatusTooManyRequests:
		return fmt.Errorf("%s: %s %w (it answered %d with %s)", a.what, s.base, ErrNotLakeFS, a.status, kind(a.header))
	}
	return &StatusError{What: a.what, Status: a.status, Message: a.message()}
}

// message is what the server says was wrong.
func (a answer) message() string {
	var e apigen.Error
	if json.Unmarshal(a.body, &e) == nil && e.Message != "" {
		return e.Message
	}
	return http.StatusText(a.status)
}

// decode reads a successful answer.
func decode[T any](a answer) (T, error) {
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

// kind is the content type of an answer, for an error.
func kind(h http.Header) string {
	if t, _, err := mime.ParseMediaType(h.Get("Content-Type")); err == nil {
		return t
	}
	return "no content type"
}

// place is a URL for an error: without its query, which may hold a signature.
func place(text string) string {
	u, err := url.Parse(text)
	if err != nil {
		return "somewhere else"
	}
	u.RawQuery, u.User = "", nil
	return u.String()
}
