package conductor

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"strings"
	"syscall"
)

// Error is a request that failed.
type Error struct {
	Op     string // "poll features.build"
	URL    string // of the API
	Status int    // of HTTP; 0 when there was no response
	Detail string // what went wrong, in a line
	Hint   string // what to do about it; may be ""
	cause  error
}

func (e *Error) Error() string {
	if e.Status == 0 {
		return fmt.Sprintf("%s: %s: %s", e.Op, e.URL, e.Detail)
	}
	return fmt.Sprintf("%s: %s: %d: %s", e.Op, e.URL, e.Status, e.Detail)
}

// Unwrap returns the cause: an error of the network or the context, or queue.ErrGone.
func (e *Error) Unwrap() error { return e.cause }

const (
	hintURL   = "CONDUCTOR_SERVER_URL is the address of Conductor's API and ends in /api, as in http://localhost:8080/api"
	hintLogin = "CONDUCTOR_AUTH_KEY and CONDUCTOR_AUTH_SECRET must be a key that this server knows and that may run tasks"
	hintDown  = "is Conductor running, and is CONDUCTOR_SERVER_URL right?"
)

// failed makes the error of a request. resp and body are nil when there was no
// response, and then err says why.
func (c *Client) failed(op string, resp *http.Response, body []byte, err error) error {
	if e := (*Error)(nil); errors.As(err, &e) {
		return err // the error of the login, which says more
	}
	e := &Error{Op: op, URL: c.url, cause: err}
	if resp == nil {
		e.Detail, e.Hint = describeFailure(err)
		return e
	}
	e.Status = resp.StatusCode
	e.Detail, e.Hint = describeResponse(resp, body)
	if e.Status == http.StatusUnauthorized && c.login == nil {
		e.Hint = "this server has a login: set CONDUCTOR_AUTH_KEY and CONDUCTOR_AUTH_SECRET"
	}
	return e
}

// describeResponse says what is wrong with a response.
//
//	a web page, whatever its status       not the API: wrong URL
//	a redirect                            the API is elsewhere
//	401, 403                              the login
//	404 of the web server, not of the API wrong URL
//	anything else                         what the server says
func describeResponse(resp *http.Response, body []byte) (detail, hint string) {
	text := message(body)
	switch code := resp.StatusCode; {
	case code >= 300 && code < 400:
		return "the server answers from elsewhere: " + clip(resp.Header.Get("Location")), hintURL
	case code == http.StatusUnauthorized, code == http.StatusForbidden:
		if text == "" {
			text = strings.ToLower(http.StatusText(code))
		}
		return "the server does not let us in: " + text, hintLogin
	case isPage(resp, body):
		return "a web page instead of an answer", hintURL
	case code < 300:
		return "not an answer of Conductor", hintURL
	case code == http.StatusNotFound && (text == "" || strings.HasPrefix(text, "No static resource")):
		return "there is no such API", hintURL
	case text == "":
		return strings.ToLower(http.StatusText(code)), ""
	}
	return text, ""
}

// isPage says whether a response is HTML.
func isPage(resp *http.Response, body []byte) bool {
	if strings.Contains(resp.Header.Get("Content-Type"), "html") {
		return true
	}
	return bytes.HasPrefix(bytes.TrimSpace(body), []byte("<"))
}

// message is the error message in a response, in one line.
func message(body []byte) string {
	var reply struct{ Message, Error string }
	if err := json.Unmarshal(body, &reply); err != nil {
		if bytes.HasPrefix(bytes.TrimSpace(body), []byte("<")) {
			return ""
		}
		return clip(string(body))
	}
	if reply.Message == "" {
		return clip(reply.Error)
	}
	return clip(reply.Message)
}

// clip makes a text one line of at most 200 characters.
func clip(s string) string {
	s = strings.Join(strings.Fields(s), " ")
	if r := []rune(s); len(r) > 200 {
		s = string(r[:199]) + "…"
	}
	return s
}

// describeFailure says why there was no response. It leaves out our own ports and
// addresses: the same problem must have the same text, since it is logged only once.
func describeFailure(err error) (detail, hint string) {
	var (
		asked  *url.Error
		dialed *net.OpError
		named  *net.DNSError
		long   *http.MaxBytesError
	)
	switch {
	case errors.As(err, &long):
		return fmt.Sprintf("the answer has more than %d MiB", long.Limit>>20), hintURL
	case errors.Is(err, context.DeadlineExceeded):
		return "no answer in time", hintDown
	case errors.Is(err, context.Canceled):
		return "given up", ""
	case errors.Is(err, syscall.ECONNREFUSED):
		return "connection refused", hintDown
	case errors.As(err, &named):
		return "no such host: " + named.Name, hintURL
	case errors.As(err, &dialed):
		return dialed.Op + ": " + dialed.Err.Error(), hintDown
	case errors.As(err, &asked):
		return asked.Err.Error(), hintURL
	}
	return err.Error(), ""
}
