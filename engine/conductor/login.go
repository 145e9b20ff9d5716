package conductor

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"time"

	"github.com/conductor-sdk/conductor-go/sdk/authentication"
	"github.com/conductor-sdk/conductor-go/sdk/settings"

	"perago/secret"
)

// tokenAge is how long a token is used. Servers accept it for longer.
const tokenAge = 30 * time.Minute

// login keeps the token of a key. conductor-go's own token manager is not used: it
// writes its errors to stderr, and then sends requests without a token. A nil login
// has no key.
type login struct {
	key, secret secret.String
	url         string // of the API
	http        *http.Client

	mu      sync.Mutex
	current secret.String
	until   time.Time
	none    bool // the server has no login
}

// token returns the token to send, "" for none.
func (l *login) token(ctx context.Context) (string, error) {
	if l == nil {
		return "", nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.none || !l.current.Empty() && time.Now().Before(l.until) {
		return l.current.Reveal(), nil
	}
	bound := *l.http // GetToken takes no context
	bound.Transport = bounded{ctx, l.http.Transport}
	token, resp, err := authentication.GetToken(*settings.NewAuthenticationSettings(l.key.Reveal(), l.secret.Reveal()), &settings.HttpSettings{BaseUrl: l.url, Headers: map[string]string{}}, &bound)
	if resp != nil && resp.StatusCode == http.StatusNotFound {
		// A server without a login responds so. If the URL is wrong, the next request fails.
		l.none = true
		return "", nil
	}
	if err != nil {
		return "", l.failed(resp, err)
	}
	l.current, l.until = secret.New(token.Token), time.Now().Add(tokenAge)
	return token.Token, nil
}

func (l *login) failed(resp *http.Response, err error) error {
	e := &Error{Op: "log in to Conductor", URL: l.url, cause: err}
	if resp == nil || errors.As(err, new(*http.MaxBytesError)) {
		e.Detail, e.Hint = describeFailure(err)
		return e
	}
	e.Status = resp.StatusCode
	e.Detail, e.Hint = describeResponse(resp, []byte(err.Error())) // GetToken's error is the answer's body
	if e.Status >= 400 && e.Status < 500 {
		e.Hint = hintLogin
	}
	return e
}

// renew forgets a token that the server did not accept, and that it has no login. It
// returns false when there is no key to log in with.
func (l *login) renew(token string) bool {
	if l == nil {
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.none = false
	if l.current.Reveal() == token {
		l.current = secret.String{}
	}
	return true
}

// idle says whether there is a key, and the server has no login.
func (l *login) idle() bool {
	if l == nil {
		return false
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.none
}

// bounded sends requests with our context, and bounds the responses, which GetToken
// reads whole.
type bounded struct {
	ctx  context.Context
	base http.RoundTripper
}

func (b bounded) RoundTrip(r *http.Request) (*http.Response, error) {
	resp, err := b.base.RoundTrip(r.WithContext(b.ctx))
	if err == nil {
		resp.Body = http.MaxBytesReader(nil, resp.Body, tokenMax)
	}
	return resp, err
}
