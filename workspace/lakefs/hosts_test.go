package lakefs

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"perago/secret"
)

func TestHosts(t *testing.T) {
	for _, c := range []struct {
		hosts, url string
		want       bool
	}{
		{"s3.example.com", "https://s3.example.com/b/x?sig=1", true},
		{"s3.example.com", "http://S3.Example.COM:80/b/x", true},
		{"s3.example.com", "https://s3.example.com:8443/b/x", false},
		{"s3.example.com:9000", "http://s3.example.com:9000/b/x", true},
		{"s3.example.com:9000", "http://s3.example.com/b/x", false},
		{"s3.example.com:443", "https://s3.example.com/b/x", true},
		{"s3.example.com", "https://s3.example.com.evil.net/b/x", false},
		{"s3.example.com", "https://evil.net/s3.example.com", false},
		{"s3.example.com", "https://s3.example.com@evil.net/x", false},
		{"*.example.com", "https://bucket.s3.example.com/x", true},
		{"*.example.com", "https://example.com/x", false},
		{"*.example.com", "https://.example.com/x", false},
		{"*.example.com", "https://evilexample.com/x", false},
		{"[::1]:9000", "http://[::1]:9000/x", true},
		{"10.0.0.1, s3.example.com", "https://s3.example.com/x", true},
		{"s3.example.com", "http://lakefs.example.com:8000/x", true}, // the server itself
		{"s3.example.com", "http://lakefs.example.com/x", false},
		{"s3.example.com", "file:///etc/passwd", false},
		{"s3.example.com", "gopher://s3.example.com/x", false},
		{"s3.example.com", "//s3.example.com/x", false},
		{"s3.example.com", "http://169.254.169.254/latest/meta-data", false},
	} {
		hosts, err := ParseHosts(c.hosts)
		if err != nil {
			t.Fatal(err)
		}
		s, err := New(Options{URL: "http://lakefs.example.com:8000", Key: secret.New(key), Secret: secret.New(secretKey), ObjectHosts: hosts})
		if err != nil {
			t.Fatal(err)
		}
		_, err = s.allowed("download x", c.url)
		if (err == nil) != c.want || err != nil && isTransient(err) {
			t.Errorf("%s with %s: %v, want allowed: %t, and not tried again", c.url, c.hosts, err, c.want)
		}
	}
	for _, bad := range []string{"", "a,", "*", "*.", "https://s3.example.com", "s3.example.com/", "s3.example.com:", "s3.example.com:http", "a b", "*.*.com", "u@h", "::1", "[::1", "[x]:1"} {
		if got, err := ParseHosts(bad); err == nil {
			t.Errorf("ParseHosts(%q) = %v, want an error", bad, got)
		}
	}
}

// A pre-signed URL that leads to a host which nobody allowed is not followed,
// whether it is to be read from or written to.
func TestPreSignedElsewhere(t *testing.T) {
	var seen atomic.Int32
	elsewhere := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { seen.Add(1) }))
	defer elsewhere.Close()
	routes := map[string]http.HandlerFunc{
		"GET /config": reply(200, `{"storage_config": {"blockstore_type": "s3", "pre_sign_support": true}}`),
		"GET /repositories/songs/branches/main/staging/backing": reply(200,
			`{"physical_address": "s3://b/1", "presigned_url": "`+elsewhere.URL+`/1?signature=hush"}`),
		"GET /repositories/songs/refs/" + id + "/objects": func(w http.ResponseWriter, r *http.Request) {
			http.Redirect(w, r, elsewhere.URL+"/1?signature=hush", http.StatusFound)
		},
	}
	f := serve(t, routes)
	s, err := New(Options{URL: f.URL, Key: secret.New(key), Secret: secret.New(secretKey), Timeout: 2 * time.Second, ObjectHosts: Hosts{{name: "s3.example.com"}}})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	_, putErr := s.Put(t.Context(), "songs", "main", "x", content("data"))
	_, openErr := s.Open(t.Context(), "songs", id, "x")
	at, _ := url.Parse(elsewhere.URL)
	for name, err := range map[string]error{"upload x": putErr, "download x": openErr} {
		if !errors.Is(err, ErrHost) || !strings.HasPrefix(err.Error(), name+": ") || !strings.Contains(err.Error(), at.Host) || strings.Contains(err.Error(), "hush") {
			t.Errorf("%s: error %v, want %q, naming the host without the signature", name, err, ErrHost)
		}
	}
	// Where no host is allowed none is asked for, and a redirect is no answer.
	f.requests = nil
	if _, err := open(t, f.URL).Open(t.Context(), "songs", id, "x"); !errors.Is(err, ErrNotLakeFS) {
		t.Errorf("with no host allowed: error %v, want %q", err, ErrNotLakeFS)
	}
	if n := f.count("GET /repositories/songs/branches/main/staging/backing"); n != 0 {
		t.Errorf("%d pre-signed URLs were asked for, want none", n)
	}
	if n := seen.Load(); n != 0 {
		t.Errorf("the other host had %d requests, want none", n)
	}
}

// With no host of a block store allowed, objects go through the server.
func TestWithoutHostsThroughTheServer(t *testing.T) {
	presign := ""
	f := serve(t, map[string]http.HandlerFunc{
		"GET /config": reply(200, `{"storage_config": {"blockstore_type": "s3", "pre_sign_support": true}}`),
		"POST /repositories/songs/branches/main/objects": reply(201,
			`{"path": "x", "checksum": "", "physical_address": "p", "path_type": "object", "mtime": 1, "size_bytes": 4}`),
		"GET /repositories/songs/refs/" + id + "/objects": func(w http.ResponseWriter, r *http.Request) {
			presign = r.URL.Query().Get("presign")
			w.Write([]byte("data"))
		},
	})
	s := open(t, f.URL)
	if _, err := s.Put(t.Context(), "songs", "main", "x", content("data")); err != nil {
		t.Fatal(err)
	}
	r, err := s.Open(t.Context(), "songs", id, "x")
	if err != nil {
		t.Fatal(err)
	}
	r.Close()
	if presign != "" || f.count("POST /repositories/songs/branches/main/objects") != 1 {
		t.Errorf("presign = %q and %q, want both through the server", presign, f.requests)
	}
}
