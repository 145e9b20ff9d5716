package lakefs

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"perago/secret"
)

// TestOpenGoesOnWhereItBroke breaks the connection in the middle of an object.
func TestOpenGoesOnWhereItBroke(t *testing.T) {
	data := strings.Repeat("0123456789", 100_000)
	var ranges []string
	f := serve(t, map[string]http.HandlerFunc{"GET /repositories/songs/refs/" + id + "/objects": func(w http.ResponseWriter, r *http.Request) {
		ranges = append(ranges, r.Header.Get("Range"))
		w.Header().Set("ETag", `"one"`)
		if len(ranges) <= 3 {
			w = &breaking{w, 300_000}
		}
		http.ServeContent(w, r, "x", time.Time{}, strings.NewReader(data))
	}})
	r, err := open(t, f.URL).Open(t.Context(), "songs", id, "x")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	got, err := io.ReadAll(r)
	if err != nil || string(got) != data {
		t.Errorf("%d bytes came, %v, want all %d", len(got), err, len(data))
	}
	if len(ranges) != 4 || ranges[0] != "" || slices.Contains(ranges[1:], "") {
		t.Errorf("ranges asked for = %q, want the whole, then three times the rest", ranges)
	}
}

// breaking ends the connection after so many bytes.
type breaking struct {
	http.ResponseWriter
	left int
}

func (b *breaking) Write(p []byte) (int, error) {
	if len(p) > b.left {
		b.ResponseWriter.Write(p[:b.left])
		b.ResponseWriter.(http.Flusher).Flush()
		panic(http.ErrAbortHandler)
	}
	b.left -= len(p)
	return b.ResponseWriter.Write(p)
}

// TestOpenRefusesAnotherObject: what goes on after a break must be the same one.
func TestOpenRefusesAnotherObject(t *testing.T) {
	n := 0
	f := serve(t, map[string]http.HandlerFunc{"GET /repositories/songs/refs/" + id + "/objects": func(w http.ResponseWriter, r *http.Request) {
		n++
		w.Header().Set("ETag", fmt.Sprintf(`"%d"`, n))
		if n == 1 {
			w = &breaking{w, 10}
		}
		http.ServeContent(w, r, "x", time.Time{}, strings.NewReader(strings.Repeat("x", 1000)))
	}})
	r, err := open(t, f.URL).Open(t.Context(), "songs", id, "x")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if got, err := io.ReadAll(r); err == nil {
		t.Errorf("%d bytes of two objects came without an error", len(got))
	}
}

// TestPutChecksWhatArrived: a server that stored something else is found out.
func TestPutChecksWhatArrived(t *testing.T) {
	stored := func(checksum string, size int) http.HandlerFunc {
		return reply(201, fmt.Sprintf(`{"path": "x", "checksum": %q, "size_bytes": %d, "physical_address": "p", "path_type": "object", "mtime": 1}`, checksum, size))
	}
	const sum = "8d777f385d3dfec8815d20f7496026dc" // of "data"
	for _, c := range []struct {
		name   string
		answer http.HandlerFunc
		want   bool
	}{
		{"right", stored(sum, 4), true},
		{"a checksum that is no hash", stored("0x8D4BCC2E4835CD0", 4), true},
		{"wrong bytes, then right ones", inTurn(stored(strings.Repeat("0", 32), 4), stored(sum, 4)), true},
		{"wrong bytes", stored(strings.Repeat("0", 32), 4), false},
		{"wrong size", stored("", 3), false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			f := serve(t, map[string]http.HandlerFunc{"POST /repositories/songs/branches/main/objects": func(w http.ResponseWriter, r *http.Request) {
				if body, err := io.ReadAll(r.Body); err != nil || string(body) != "data" || r.ContentLength != 4 {
					t.Errorf("%q arrived, %v, announced as %d bytes", body, err, r.ContentLength)
				}
				c.answer(w, r)
			}})
			_, err := open(t, f.URL).Put(t.Context(), "songs", "main", "x", content("data"))
			if (err == nil) != c.want {
				t.Errorf("Put: error %v, want success: %t", err, c.want)
			}
		})
	}
	f := serve(t, nil)
	short := content("data")
	short.Size = 10
	if _, err := open(t, f.URL).Put(t.Context(), "songs", "main", "x", short); err == nil {
		t.Error("Put of less than was announced succeeded")
	}
}

func TestListTurnsPagesOnlyForward(t *testing.T) {
	object := `{"path": "a", "checksum": "", "physical_address": "p", "path_type": "object", "mtime": 1, "size_bytes": 1}`
	f := serve(t, map[string]http.HandlerFunc{"GET /repositories/songs/refs/" + id + "/objects/ls": reply(200,
		`{"pagination": {"has_more": true, "next_offset": "a", "results": 1, "max_per_page": 1000}, "results": [`+object+`]}`)})
	n := 0
	var last error
	for _, err := range open(t, f.URL).List(t.Context(), "songs", id, "") {
		if n++; n > 5 {
			t.Fatal("the same page was asked for for ever")
		}
		last = err
	}
	if !errors.Is(last, ErrNotLakeFS) {
		t.Errorf("the listing ended with %v, want %q", last, ErrNotLakeFS)
	}
}

func TestHashed(t *testing.T) {
	sum := strings.Repeat("a1", 16)
	for _, c := range []struct {
		checksum, physical, namespace string
		want                          bool
	}{
		{sum, "local:///data/songs/x", "local://songs", true},
		{sum, "s3://bucket/songs/data/x", "s3://bucket/songs", true},
		{sum, "s3://other/imported/x", "s3://bucket/songs", false},
		{sum, "s3://bucket/songs-old/x", "s3://bucket/songs", false},
		{sum + "-12", "s3://bucket/songs/data/x", "s3://bucket/songs", false},
		{strings.ToUpper(sum), "s3://bucket/songs/data/x", "s3://bucket/songs", false},
		{"", "s3://bucket/songs/data/x", "s3://bucket/songs", false},
	} {
		f := serve(t, map[string]http.HandlerFunc{
			"GET /repositories/songs": reply(200, fmt.Sprintf(`{"id": "songs", "default_branch": "main", "storage_namespace": %q, "creation_date": 1}`, c.namespace)),
			"GET /repositories/songs/refs/" + id + "/objects/ls": reply(200, fmt.Sprintf(
				`{"pagination": {"has_more": false, "next_offset": "", "results": 1, "max_per_page": 1000},
				"results": [{"path": "a", "checksum": %q, "physical_address": %q, "path_type": "object", "mtime": 1, "size_bytes": 1}]}`, c.checksum, c.physical)),
		})
		for o, err := range open(t, f.URL).List(t.Context(), "songs", id, "") {
			if err != nil || o.Hashed != c.want {
				t.Errorf("%s at %s in %s: Hashed = %t, %v, want %t", c.checksum, c.physical, c.namespace, o.Hashed, err, c.want)
			}
		}
	}
}

// TestPreSigned moves objects past the server, which hands out URLs of a block
// store that must never see the access key.
func TestPreSigned(t *testing.T) {
	var blocks sync.Map
	puts := 0
	blockStore := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "" || r.URL.Query().Get("signature") != "ok" {
			t.Errorf("%s %s came with the header %q", r.Method, r.URL, r.Header.Get("Authorization"))
		}
		switch r.Method {
		case http.MethodPut:
			if puts++; puts == 1 {
				panic(http.ErrAbortHandler)
			}
			body, err := io.ReadAll(r.Body)
			if err != nil || int64(len(body)) != r.ContentLength {
				t.Errorf("%d bytes came of %d, %v", len(body), r.ContentLength, err)
			}
			blocks.Store(r.URL.Path, body)
		case http.MethodGet:
			body, ok := blocks.Load(r.URL.Path)
			if !ok {
				w.WriteHeader(http.StatusForbidden)
				return
			}
			http.ServeContent(w, r, "x", time.Time{}, bytes.NewReader(body.([]byte)))
		}
	}))
	defer blockStore.Close()
	var linked struct {
		Checksum string `json:"checksum"`
		Size     int64  `json:"size_bytes"`
		Staging  struct {
			Physical string `json:"physical_address"`
		} `json:"staging"`
	}
	f := serve(t, map[string]http.HandlerFunc{
		"GET /config": reply(200, `{"storage_config": {"blockstore_type": "s3", "pre_sign_support": true}}`),
		"GET /repositories/songs/branches/main/staging/backing": func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Query().Get("presign") != "true" {
				t.Error("no pre-signed URL was asked for")
			}
			reply(200, fmt.Sprintf(`{"physical_address": "s3://b/1", "presigned_url": "%s/1?signature=ok"}`, blockStore.URL))(w, r)
		},
		"PUT /repositories/songs/branches/main/staging/backing": func(w http.ResponseWriter, r *http.Request) {
			if err := json.NewDecoder(r.Body).Decode(&linked); err != nil {
				t.Error(err)
			}
			reply(200, `{"path": "x", "checksum": "c", "size_bytes": 4, "physical_address": "s3://b/1", "path_type": "object", "mtime": 1}`)(w, r)
		},
		"GET /repositories/songs/refs/" + id + "/objects": func(w http.ResponseWriter, r *http.Request) {
			if _, _, ok := r.BasicAuth(); !ok {
				t.Error("lakeFS was asked without the access key")
			}
			http.Redirect(w, r, blockStore.URL+"/"+r.URL.Query().Get("path")+"?signature=ok", http.StatusFound)
		},
	})
	hosts, err := ParseHosts(strings.TrimPrefix(blockStore.URL, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	s, err := New(Options{URL: f.URL, Key: secret.New(key), Secret: secret.New(secretKey), Timeout: 2 * time.Second, Stall: time.Second, Repeat: 300 * time.Millisecond, ObjectHosts: hosts})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	if _, err := s.Put(t.Context(), "songs", "main", "x", content("data")); err != nil {
		t.Fatal(err)
	}
	if linked.Checksum != "8d777f385d3dfec8815d20f7496026dc" || linked.Size != 4 || linked.Staging.Physical != "s3://b/1" {
		t.Errorf("lakeFS was told of %+v, want the hash, the size and the place of what went up", linked)
	}
	if f.count("POST /repositories/songs/branches/main/objects") != 0 {
		t.Error("the bytes went through the server")
	}
	r, err := s.Open(t.Context(), "songs", id, "1")
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if got, err := io.ReadAll(r); err != nil || string(got) != "data" {
		t.Errorf("read back %q, %v, want data", got, err)
	}
	if _, err := s.Open(t.Context(), "songs", id, "2"); err == nil || strings.Contains(err.Error(), "signature") {
		t.Errorf("a URL that is refused: error %v, want one without the URL's signature", err)
	}
}
