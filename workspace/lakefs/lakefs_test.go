package lakefs

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"perago/secret"
	"perago/workspace/storage"
)

const (
	key       = "AKIAKEY"
	secretKey = "s3cr3t/s3cr3t"
)

var id = strings.Repeat("a", 64)

// fake is a server that answers as it is told, and remembers what it was asked.
type fake struct {
	*httptest.Server
	mu       sync.Mutex
	requests []string
}

// serve starts a server; each pattern is one of http.ServeMux, without /api/v1.
// What is not in routes is answered with lakeFS's 404.
func serve(t *testing.T, routes map[string]http.HandlerFunc) *fake {
	t.Helper()
	f := &fake{}
	mux := http.NewServeMux()
	for pattern, handler := range map[string]http.HandlerFunc{
		"GET /config": reply(200, `{"storage_config": {"blockstore_type": "local", "pre_sign_support": false}, "version_config": {"version": "1.83.0"}}`),
		"GET /user":   reply(200, `{"user": {"id": "admin"}}`),
		"GET /repositories/songs": reply(200,
			`{"id": "songs", "default_branch": "main", "storage_namespace": "local://songs", "creation_date": 1}`),
		"/": reply(404, `{"message": "not found"}`),
	} {
		if routes[pattern] == nil {
			mux.HandleFunc(apiPattern(pattern), handler)
		}
	}
	for pattern, handler := range routes {
		mux.HandleFunc(apiPattern(pattern), handler)
	}
	f.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f.mu.Lock()
		f.requests = append(f.requests, r.Method+" "+strings.TrimPrefix(r.URL.Path, "/api/v1"))
		f.mu.Unlock()
		mux.ServeHTTP(w, r)
	}))
	t.Cleanup(f.Close)
	return f
}

func apiPattern(pattern string) string {
	method, path, ok := strings.Cut(pattern, " ")
	if !ok {
		return pattern // "/": everything else
	}
	return method + " /api/v1" + path
}

// count is how many requests of one kind came.
func (f *fake) count(request string) (n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, r := range f.requests {
		if r == request {
			n++
		}
	}
	return n
}

func reply(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(status)
		io.WriteString(w, body)
	}
}

func page(status int) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "text/html; charset=utf-8")
		w.WriteHeader(status)
		io.WriteString(w, "<html><body>Welcome</body></html>")
	}
}

func hangUp(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }

// inTurn answers each request with the next handler; the last one goes on.
func inTurn(handlers ...http.HandlerFunc) http.HandlerFunc {
	var mu sync.Mutex
	return func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		h := handlers[0]
		if len(handlers) > 1 {
			handlers = handlers[1:]
		}
		mu.Unlock()
		h(w, r)
	}
}

func open(t *testing.T, url string) *Store {
	t.Helper()
	s, err := New(Options{URL: url, Key: secret.New(key), Secret: secret.New(secretKey), Timeout: 2 * time.Second, Stall: time.Second, Repeat: 300 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func content(data string) storage.Content {
	return storage.Content{Size: int64(len(data)), Open: func() (io.ReadSeekCloser, error) {
		return nopCloser{strings.NewReader(data)}, nil
	}}
}

type nopCloser struct{ *strings.Reader }

func (nopCloser) Close() error { return nil }

func TestNewChecksWhatItIsGiven(t *testing.T) {
	for _, url := range []string{"", "lakefs.example.com", "ftp://lakefs.example.com", "http://", "http://a:b@lakefs.example.com", "http://lakefs.example.com/?token=hush", "http://lakefs.example.com/#x", "::"} {
		_, err := New(Options{URL: url, Key: secret.New(key), Secret: secret.New(secretKey)})
		if err == nil || strings.Contains(err.Error(), "hush") {
			t.Errorf("New(%q): error %v, want one without the URL's secrets", url, err)
		}
	}
	if _, err := New(Options{URL: "http://lakefs.example.com", Key: secret.New(key)}); err == nil {
		t.Error("New without a secret: want an error")
	}
	for url, want := range map[string]string{
		"http://lakefs.example.com":             "http://lakefs.example.com",
		"http://lakefs.example.com:8000/":       "http://lakefs.example.com:8000",
		"https://lakefs.example.com/api/v1/":    "https://lakefs.example.com",
		"https://example.com/lakefs/api/v1":     "https://example.com/lakefs",
		"https://example.com/lakefs/api/v1/x/y": "https://example.com/lakefs/api/v1/x/y",
	} {
		s, err := New(Options{URL: url, Key: secret.New(key), Secret: secret.New(secretKey)})
		if err != nil || s.base != want {
			t.Errorf("New(%q) talks to %q, %v, want %q", url, s.base, err, want)
		}
	}
}

func TestCredentialsAreNeverPrinted(t *testing.T) {
	o := Options{URL: "http://lakefs.example.com", Key: secret.New(key), Secret: secret.New(secretKey)}
	s, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	data, err := json.Marshal(o)
	if err != nil {
		t.Fatal(err)
	}
	text := string(data)
	for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%d", "%x", "%q"} {
		for _, v := range []any{o, s, *s.api, struct{ opts Options }{s.opts}, o.Secret} {
			text += fmt.Sprintf(verb, v)
		}
	}
	for _, value := range []string{key, secretKey, fmt.Sprintf("%x", key), fmt.Sprintf("%x", secretKey)} {
		if i := strings.Index(text, value); i >= 0 {
			t.Errorf("%q is shown: %.100s", value, text[max(0, i-50):])
		}
	}
}

// TestBadServers: each server that cannot be worked with has an error that says
// what it did, where, and holds no secret.
func TestBadServers(t *testing.T) {
	branch := "GET /repositories/songs/branches/main"
	for _, c := range []struct {
		name   string
		routes map[string]http.HandlerFunc
		is     error
		says   string
	}{
		{"the web pages of some site", map[string]http.HandlerFunc{branch: page(200)}, ErrNotLakeFS, "answered 200 with text/html"},
		{"a site without such a page", map[string]http.HandlerFunc{branch: page(404)}, ErrNotLakeFS, "answered 404 with text/html"},
		{"JSON of something else", map[string]http.HandlerFunc{branch: reply(200, `[1, 2]`)}, ErrNotLakeFS, "its JSON is not what was asked for"},
		{"half of an answer", map[string]http.HandlerFunc{branch: reply(200, `{"commit_id": "a`)}, ErrNotLakeFS, "its JSON"},
		{"a redirect", map[string]http.HandlerFunc{branch: func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, "https://elsewhere.example.com/x?signature=hush", http.StatusMovedPermanently)
		}}, ErrNotLakeFS, "redirects to https://elsewhere.example.com/x)"},
		{"a wrong key", map[string]http.HandlerFunc{branch: reply(401, `{"message": "error authenticating request"}`)}, ErrDenied, "authenticating"},
		{"no such branch", nil, storage.ErrUnknownBranch, "branch main of songs"},
		{"no such repository", map[string]http.HandlerFunc{"GET /repositories/songs": reply(404, `{"message": "repository not found"}`)}, storage.ErrUnknownRepository, "repository songs"},
		{"a repository that is being deleted", map[string]http.HandlerFunc{branch: reply(410, `{"message": "repository in deletion"}`)}, storage.ErrUnknownRepository, "songs"},
		{"always busy", map[string]http.HandlerFunc{branch: reply(503, `{"message": "slow down"}`)}, storage.ErrBusy, "slow down"},
		{"a gateway's page", map[string]http.HandlerFunc{branch: page(502)}, storage.ErrBusy, "502"},
		{"nothing", map[string]http.HandlerFunc{branch: hangUp}, io.EOF, "lakeFS at http://127.0.0.1"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			f := serve(t, c.routes)
			_, err := open(t, f.URL).Head(t.Context(), "songs", "main")
			if !errors.Is(err, c.is) || !strings.Contains(fmt.Sprint(err), c.says) {
				t.Errorf("error %v, want %q, saying %q", err, c.is, c.says)
			}
			if text := fmt.Sprint(err); strings.Contains(text, "hush") || strings.Contains(text, secretKey) || strings.Contains(text, key) {
				t.Errorf("error %v holds a secret", err)
			}
		})
	}
}

func TestNobodyListens(t *testing.T) {
	f := serve(t, nil)
	f.Close()
	_, err := open(t, f.URL).Check(t.Context())
	if !errors.Is(err, ErrUnreachable) || !strings.Contains(err.Error(), "connection refused") || !strings.Contains(err.Error(), f.URL) {
		t.Errorf("error %v, want what failed and where", err)
	}
}

// A server that is away for a moment fails no attempt: what may be repeated is,
// for about 3 s.
func TestRequestsAreRepeatedForSeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s, err := New(Options{URL: "http://lakefs.example.com", Key: secret.New(key), Secret: secret.New(secretKey)})
		if err != nil {
			t.Fatal(err)
		}
		begin, sent := time.Now(), 0
		err = s.retry(t.Context(), true, func() error {
			sent++
			return s.unreachable(t.Context(), "read branch main", io.ErrUnexpectedEOF)
		})
		if took := time.Since(begin); !errors.Is(err, storage.ErrUnreachable) || took < 2400*time.Millisecond || took > 3600*time.Millisecond || sent != tries {
			t.Errorf("got %v after %d requests in %v, want %d in about 3 s", err, sent, took, tries)
		}
	})
}

func TestCheck(t *testing.T) {
	f := serve(t, map[string]http.HandlerFunc{"GET /config": func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Date", time.Now().Add(90*time.Second).UTC().Format(http.TimeFormat))
		reply(200, `{"storage_config": {"blockstore_type": "s3", "pre_sign_support": true}, "version_config": {"version": "1.83.0"}}`)(w, r)
	}})
	got, err := open(t, f.URL).Check(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if got.Skew < 85*time.Second || got.Skew > 91*time.Second {
		t.Errorf("skew = %s, want about 90 s", got.Skew)
	}
	if got.Skew = 0; got != (Server{URL: f.URL, Version: "1.83.0", Blockstore: "s3", PreSigned: true}) {
		t.Errorf("Check = %+v", got)
	}
	denied := serve(t, map[string]http.HandlerFunc{"GET /user": reply(401, `{"message": "error authenticating request"}`)})
	if _, err := open(t, denied.URL).Check(t.Context()); !errors.Is(err, ErrDenied) {
		t.Errorf("with a wrong key: error %v, want %q", err, ErrDenied)
	}
}

// TestRepeats: what is safe to send again is, and nothing else.
func TestRepeats(t *testing.T) {
	ref := fmt.Sprintf(`{"id": "main", "commit_id": %q}`, id)
	b := "/repositories/songs/branches/main"
	twice := []http.HandlerFunc{reply(503, `{"message": "busy"}`), hangUp}
	f := serve(t, map[string]http.HandlerFunc{
		"GET " + b:                                    inTurn(append(twice, reply(200, ref))...),
		"DELETE " + b:                                 inTurn(append(twice, reply(204, ""))...),
		"POST " + b + "/objects/delete":               inTurn(append(twice, reply(200, `{"errors": []}`))...),
		"POST " + b + "/objects":                      inTurn(append(twice, reply(201, `{"path": "x", "checksum": "", "physical_address": "p", "path_type": "object", "mtime": 1}`))...),
		"POST /repositories/songs/branches":           inTurn(hangUp, reply(201, `"x"`)),
		"POST " + b + "/commits":                      inTurn(hangUp, reply(201, `{}`)),
		"POST /repositories/songs/refs/s/merge/main":  inTurn(hangUp, reply(200, `{}`)),
		"POST /repositories/songs/refs/s2/merge/main": inTurn(reply(500, `{"message": "lock"}`), reply(200, `{}`)),
	})
	s, ctx := open(t, f.URL), t.Context()
	if got, err := s.Head(ctx, "songs", "main"); err != nil || got != id {
		t.Errorf("Head = %s, %v, want it after two failures", got, err)
	}
	if err := s.DeleteBranch(ctx, "songs", "main"); err != nil {
		t.Errorf("DeleteBranch: %v, want it after two failures", err)
	}
	if err := s.Remove(ctx, "songs", "main", []string{"x"}); err != nil {
		t.Errorf("Remove: %v, want it after two failures", err)
	}
	if _, err := s.Put(ctx, "songs", "main", "x", content("data")); err != nil {
		t.Errorf("Put: %v, want it after two failures", err)
	}
	if err := s.CreateBranch(ctx, "songs", "b", id); err == nil {
		t.Error("CreateBranch without an answer succeeded: it was sent again")
	}
	if _, err := s.CommitBranch(ctx, "songs", "main", "m", nil); err == nil {
		t.Error("CommitBranch without an answer succeeded: it was sent again")
	}
	if _, err := s.Merge(ctx, "songs", storage.Merge{Source: "s", Target: "main"}); err == nil {
		t.Error("Merge without an answer succeeded: it was sent again")
	}
	if _, err := s.Merge(ctx, "songs", storage.Merge{Source: "s2", Target: "main"}); !errors.Is(err, storage.ErrBusy) {
		t.Errorf("Merge on a busy server: error %v, want %q", err, storage.ErrBusy)
	}
	for _, once := range []string{"POST /repositories/songs/branches", "POST " + b + "/commits", "POST /repositories/songs/refs/s/merge/main", "POST /repositories/songs/refs/s2/merge/main"} {
		if n := f.count(once); n != 1 {
			t.Errorf("%s was sent %d times, want once", once, n)
		}
	}
}

func TestRepeatsStopAtACancel(t *testing.T) {
	ctx, cancel := context.WithCancelCause(t.Context())
	lost := errors.New("lease lost")
	f := serve(t, map[string]http.HandlerFunc{"GET /repositories/songs/branches/main": func(w http.ResponseWriter, r *http.Request) {
		cancel(lost)
		reply(503, "{}")(w, r)
	}})
	if _, err := open(t, f.URL).Head(ctx, "songs", "main"); !errors.Is(err, lost) {
		t.Errorf("error %v, want the cause of the cancel", err)
	}
	if n := f.count("GET /repositories/songs/branches/main"); n != 1 {
		t.Errorf("%d requests, want 1", n)
	}
}

func TestTimeOut(t *testing.T) {
	release := make(chan struct{})
	hang := func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		select {
		case <-release:
		case <-r.Context().Done():
		}
	}
	f := serve(t, map[string]http.HandlerFunc{
		"POST /repositories/songs/refs/s/merge/main": hang,
		"GET /repositories/songs/refs/" + id + "/objects": func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Content-Length", "100")
			io.WriteString(w, "half")
			w.(http.Flusher).Flush()
			hang(w, r)
		},
	})
	defer close(release)
	s, err := New(Options{URL: f.URL, Key: secret.New(key), Secret: secret.New(secretKey), LongTimeout: 50 * time.Millisecond, Stall: 50 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	_, err = s.Merge(t.Context(), "songs", storage.Merge{Source: "s", Target: "main"})
	if err == nil || !strings.Contains(err.Error(), "no answer in 50ms") {
		t.Errorf("a merge that hangs: error %v, want that there was no answer in time", err)
	}
	r, err := s.Open(t.Context(), "songs", id, "x")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if _, err := io.ReadAll(r); err == nil {
		t.Error("a download that stalls came to an end without an error")
	}
}

// A person who waits for the answer is told after one time-out, not after one a try.
func TestCheckOfASilentServer(t *testing.T) {
	release := make(chan struct{})
	f := serve(t, map[string]http.HandlerFunc{"GET /user": func(http.ResponseWriter, *http.Request) { <-release }})
	defer close(release)
	s, err := New(Options{URL: f.URL, Key: secret.New(key), Secret: secret.New(secretKey), Timeout: 50 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	_, err = s.Check(t.Context())
	if want := "log in: lakeFS at " + f.URL + ": no answer in 50ms"; !errors.Is(err, ErrUnreachable) || err.Error() != want {
		t.Errorf("error %v, want %s", err, want)
	}
	if n := f.count("GET /user"); n > 1 {
		t.Errorf("it was asked %d times, want once", n)
	}
}

func TestMergeAnswers(t *testing.T) {
	for _, c := range []struct {
		name        string
		answer      http.HandlerFunc
		uncommitted string
		want        error
	}{
		{"a hook's refusal", reply(412, `{"message": "perago-fence: at X"}`), "", storage.ErrRefused},
		{"an action file that cannot be read", reply(500, `{"message": "pre-merge hook aborted, run id '4o': invalid action: perago-fence: at X"}`), "", storage.ErrRefused},
		{"a conflict", reply(409, `{"reference": ""}`), "", storage.ErrConflict},
		{"no changes", reply(400, `{"message": "no changes"}`), "", storage.ErrNoChanges},
		{"dirty", reply(400, `{"message": "uncommitted changes (dirty branch)"}`), `{"path": "x", "type": "added", "path_type": "object"}`, storage.ErrDirty},
		{"protected", reply(403, `{"message": "protected branch"}`), "", storage.ErrProtected},
		{"too many tries", reply(429, `{"message": "try again later"}`), "", storage.ErrBusy},
		{"no branch", reply(404, `{"message": "not found"}`), "", storage.ErrUnknownBranch},
		{"no right", reply(401, `{"message": "User does not have the required permissions"}`), "", ErrDenied},
	} {
		f := serve(t, map[string]http.HandlerFunc{
			"POST /repositories/songs/refs/s/merge/main": c.answer,
			"GET /repositories/songs/branches/main/diff": reply(200, `{"pagination": {}, "results": [`+c.uncommitted+`]}`),
		})
		_, err := open(t, f.URL).Merge(t.Context(), "songs", storage.Merge{Source: "s", Target: "main"})
		if !errors.Is(err, c.want) {
			t.Errorf("%s: error %v, want %q", c.name, err, c.want)
		}
		var refused *storage.RefusedError
		if c.want == storage.ErrRefused && (!errors.As(err, &refused) || !strings.HasSuffix(refused.Hook, "perago-fence: at X")) {
			t.Errorf("%s: error %v, want the hook's text", c.name, err)
		}
	}
}
