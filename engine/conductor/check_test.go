package conductor_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"perago/engine/conductor"
	"perago/engine/queue"
	"perago/secret"
)

// What a person reads when the server is not there, is another, or does not let
// us in; the first line of each test is that of an operator's mistake.
func TestCheck(t *testing.T) {
	sizes := "GET /tasks/queue/sizes"
	tests := map[string]struct {
		set        func(f *fake)
		url        string // instead of the fake's
		key        bool
		want, hint string // parts; want "" is no error
		idle       bool
	}{
		"a Conductor": {set: func(f *fake) {
			f.on["GET /health"], f.on[sizes] = ok(`{"healthy":true}`), ok(`{"perago":0}`)
		}},
		"a Conductor with a login": {key: true, set: func(f *fake) {
			f.on["POST /token"] = ok(`{"token":"abc"}`)
			f.on["GET /health"], f.on[sizes] = ok(`{"healthy":true}`), ok(`{"perago":0}`)
		}},
		"a key, and no login": {key: true, idle: true, set: func(f *fake) {
			f.on["GET /health"], f.on[sizes] = ok(`{"healthy":true}`), ok(`{"perago":0}`)
		}},
		"nothing there":   {url: "http://127.0.0.1:1/api", want: "connection refused", hint: "is Conductor running"},
		"no such host":    {url: "http://perago.invalid/api", want: "no such host", hint: "ends in /api"},
		"a web page":      {set: func(f *fake) { f.on["GET /health"] = says(200, "text/html", "<!DOCTYPE html>") }, want: "a web page", hint: "ends in /api"},
		"a page for JSON": {set: func(f *fake) { f.on["GET /health"] = ok("<!DOCTYPE html>") }, want: "a web page", hint: "ends in /api"},
		"a page, 404":     {set: func(f *fake) { f.on["GET /health"] = says(404, "text/html", "<html>") }, want: "404: a web page", hint: "ends in /api"},
		"no /api":         {want: "404: there is no such API", hint: "ends in /api"},
		"something else with a /health": {set: func(f *fake) { f.on["GET /health"] = ok(`{"status":"UP"}`) },
			want: "there is no such API", hint: "ends in /api"},
		"text": {set: func(f *fake) { f.on["GET /health"] = says(200, "text/plain", "OK") }, want: "not an answer of Conductor", hint: "ends in /api"},
		"a redirect": {set: func(f *fake) {
			f.on["GET /health"] = func(w http.ResponseWriter, r *http.Request) {
				http.Redirect(w, r, "https://elsewhere.example/api/health", http.StatusFound)
			}
		}, want: "302: the server answers from elsewhere: https://elsewhere.example/api/health", hint: "CONDUCTOR_SERVER_URL"},
		"a wrong key": {key: true, set: func(f *fake) {
			f.on["POST /token"] = says(401, "application/json", `{"message":"Invalid access key","error":"UNAUTHORIZED"}`)
		}, want: "log in to Conductor", hint: "CONDUCTOR_AUTH_KEY and CONDUCTOR_AUTH_SECRET must be"},
		"a wrong key, as a page with %": {key: true, set: func(f *fake) {
			f.on["POST /token"] = says(403, "text/html", "<html>100%d</html>")
		}, want: "does not let us in", hint: "CONDUCTOR_AUTH_KEY and CONDUCTOR_AUTH_SECRET must be"},
		"a login without a key": {set: func(f *fake) {
			f.on["GET /health"] = says(401, "application/json", `{"message":"token required"}`)
		}, want: "401: the server does not let us in: token required", hint: "this server has a login"},
		"not allowed": {key: true, set: func(f *fake) {
			f.on["POST /token"] = ok(`{"token":"abc"}`)
			f.on["GET /health"] = ok(`{"healthy":true}`)
			f.on[sizes] = says(403, "application/json", `{"message":"no permission"}`)
		}, want: "403: the server does not let us in: no permission", hint: "may run tasks"},
		"a broken server": {set: func(f *fake) { f.on["GET /health"] = says(500, "application/json", `{"message":"database is locked"}`) },
			want: "500: database is locked"},
		"an answer cut short": {set: func(f *fake) {
			f.on["GET /health"] = func(w http.ResponseWriter, _ *http.Request) {
				w.Header().Set("Content-Length", "100")
				io.WriteString(w, `{"hea`)
			}
		}, want: "unexpected EOF"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			f := newFake(t)
			if tt.set != nil {
				tt.set(f)
			}
			if tt.url != "" {
				f.url = tt.url
			}
			c := f.client()
			if tt.key {
				c = f.loggedIn()
			}
			got, err := c.Check(t.Context())
			if tt.want == "" {
				if err != nil || got.LoginIdle != tt.idle || got.Skew != 0 {
					t.Errorf("got %+v, %v, want LoginIdle %v and no error", got, err, tt.idle)
				}
				return
			}
			e := (*conductor.Error)(nil)
			if !errors.As(err, &e) || !strings.Contains(err.Error(), tt.want) || !strings.Contains(e.Hint, tt.hint) {
				t.Fatalf("got %v (hint %q), want %q and the hint %q", err, hintOf(e), tt.want, tt.hint)
			}
			if tt.hint == "" && e.Hint != "" {
				t.Errorf("hint: got %q, want none", e.Hint)
			}
			if text := err.Error() + e.Hint; strings.Contains(text, "hush") || strings.Contains(text, "\n") || strings.Contains(text, "%!") {
				t.Errorf("the error has what it should not: %q", text)
			}
		})
	}
}

func hintOf(e *conductor.Error) string {
	if e == nil {
		return ""
	}
	return e.Hint
}

func TestSkewOfTheClocks(t *testing.T) {
	f := newFake(t)
	f.on["GET /health"] = ok(`{"healthy":true}`)
	f.on["GET /tasks/queue/sizes"] = func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Date", time.Now().Add(-time.Hour).UTC().Format(http.TimeFormat))
		ok(`{}`)(w, r)
	}
	got, err := f.client().Check(t.Context())
	if off := got.Skew + time.Hour; err != nil || off.Abs() > 5*time.Second {
		t.Errorf("got %v, %v, want about -1h", got.Skew, err)
	}
}

func TestTokenIsFetchedOnceAndRenewed(t *testing.T) {
	f := newFake(t)
	var token int
	f.on["POST /token"] = func(w http.ResponseWriter, r *http.Request) {
		token++
		ok(fmt.Sprintf(`{"token":"token-%d"}`, token))(w, r)
	}
	f.on["GET /tasks/poll/batch/songs.count"] = ok("[]")
	f.on["POST /tasks"] = plain()
	c := f.loggedIn()
	for range 2 {
		if _, err := c.Poll(t.Context(), "songs.count", 1, 0); err != nil {
			t.Fatal(err)
		}
	}
	got := f.calls()
	if len(got) != 3 || got[0].what != "POST /token" || got[1].token != "token-1" || got[2].token != "token-1" {
		t.Errorf("got %+v, want one login, then two polls with its token", got)
	}
	if want := `{"keyId":"key-1","keySecret":"hush-hush"}`; strings.TrimSpace(got[0].body) != want {
		t.Errorf("login: got %s, want %s", got[0].body, want)
	}
	// The server forgets the token: the next call, of either way, gets another.
	expired := func(good http.HandlerFunc) http.HandlerFunc {
		return func(w http.ResponseWriter, r *http.Request) {
			if r.Header.Get("X-Authorization") != fmt.Sprintf("token-%d", token) || token%2 == 1 {
				says(401, "application/json", `{"message":"Token cannot be null or empty"}`)(w, r)
				return
			}
			good(w, r)
		}
	}
	f.on["GET /tasks/poll/batch/songs.count"] = expired(ok("[" + polled + "]"))
	if got, err := c.Poll(t.Context(), "songs.count", 1, 0); err != nil || len(got) != 1 {
		t.Errorf("after 401: got %v, %v, want an attempt", got, err)
	}
	token++
	f.on["POST /tasks"] = expired(plain())
	if _, err := c.Report(t.Context(), queue.Report{Attempt: attempt, Status: queue.Failed, Last: true}); err != nil {
		t.Errorf("after 401: %v", err)
	}
}

// A server that had no login, because it was another or was starting, may have one.
func TestLoginThatComesLater(t *testing.T) {
	f := newFake(t)
	f.on["GET /tasks/poll/batch/songs.count"] = ok("[]")
	c := f.loggedIn()
	if _, err := c.Poll(t.Context(), "songs.count", 1, 0); err != nil {
		t.Fatal(err)
	}
	f.on["POST /token"] = ok(`{"token":"abc"}`)
	f.on["GET /tasks/poll/batch/songs.count"] = func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("X-Authorization") != "abc" {
			says(401, "application/json", `{"message":"token required"}`)(w, r)
			return
		}
		ok("["+polled+"]")(w, r)
	}
	if got, err := c.Poll(t.Context(), "songs.count", 1, 0); err != nil || len(got) != 1 {
		t.Errorf("got %v, %v, want an attempt", got, err)
	}
}

func TestCallThatTakesTooLong(t *testing.T) {
	f := newFake(t)
	release := make(chan struct{})
	hang := func(http.ResponseWriter, *http.Request) { <-release }
	f.on["GET /tasks/poll/batch/songs.count"], f.on["GET /tasks/t-1"], f.on["POST /token"] = hang, hang, hang
	defer close(release)
	for name, o := range map[string]conductor.Options{"call": {}, "login": {Key: secret.New("k"), Secret: secret.New("s")}} {
		o.URL, o.Timeout = f.url, 20*time.Millisecond
		c := conductor.New(o)
		_, err := c.Poll(t.Context(), "songs.count", 1, 0)
		for _, err := range []error{err, c.Current(t.Context(), attempt)} {
			if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "no answer in time") {
				t.Errorf("%s: got %v, want no answer in time", name, err)
			}
		}
	}
}

// TestMain is also the program of TestNothingIsPrinted.
func TestMain(m *testing.M) {
	if url := os.Getenv("PERAGO_CONDUCTOR_SILENT"); url != "" {
		c := conductor.New(conductor.Options{URL: url, Key: secret.New("k"), Secret: secret.New("hush-hush")})
		_, err := c.Poll(context.Background(), "songs.count", 1, 0)
		cerr := c.Current(context.Background(), attempt)
		if err == nil || cerr == nil {
			os.Exit(3)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

// conductor-go has a logger of its own: nothing of it may reach a terminal, and
// none of its errors may end the process.
func TestNothingIsPrinted(t *testing.T) {
	f := newFake(t)
	notGzip := func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Encoding", "gzip")
		io.WriteString(w, "not gzip")
	}
	wrongKey := says(401, "application/json", `{"message":"no"}`)
	for name, answers := range map[string][2]http.HandlerFunc{
		"wrong key":  {wrongKey, wrongKey},
		"bad answer": {ok(`{"token":"x"}`), notGzip},
		"bad token":  {notGzip, notGzip},
	} {
		f.mu.Lock() // the other process is no order that the race detector knows of
		f.on["POST /token"] = answers[0]
		f.on["GET /tasks/poll/batch/songs.count"], f.on["GET /tasks/t-1"] = answers[1], answers[1]
		f.mu.Unlock()
		cmd := exec.CommandContext(t.Context(), os.Args[0])
		// CONDUCTOR_SERVER_URL is unset: conductor-go would end the process.
		cmd.Env = []string{"PERAGO_CONDUCTOR_SILENT=" + f.url}
		var out bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &out
		if err := cmd.Run(); err != nil || out.Len() > 0 {
			t.Errorf("%s: got %v and the output %q, want none", name, err, out.String())
		}
	}
}
