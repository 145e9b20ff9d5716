package servers

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestCallsOfLakeFS holds what is sent, and what is made of the answers.
func TestCallsOfLakeFS(t *testing.T) {
	var said []string
	answer, status := "", 200
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if user, _, _ := r.BasicAuth(); user != AccessKey {
			t.Errorf("%s: no key pair", r.URL)
		}
		said = append(said, fmt.Sprintf("%s %s %s %s", r.Method, r.RequestURI, r.Header.Get("Content-Type"), body))
		w.WriteHeader(status)
		io.WriteString(w, answer)
	}))
	defer s.Close()
	l := &LakeFS{Process: Process{URL: s.URL}}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "a.txt"), []byte("one"), 0o600); err != nil {
		t.Fatal(err)
	}
	answer, status = `{"id": "c1"}`, 201
	if id, err := l.Upload(t.Context(), "r", "main", dir); err != nil || id != "c1" {
		t.Errorf("Upload = %q, %v, want c1", id, err)
	}
	answer, status = "", 204
	if err := l.Protect(t.Context(), "r", "p*"); err != nil {
		t.Errorf("Protect: %v", err)
	}
	answer, status = `{"results": [{"id": "main"}]}`, 200
	if names, err := l.Branches(t.Context(), "r"); err != nil || len(names) != 1 || names[0] != "main" {
		t.Errorf("Branches = %q, %v, want main", names, err)
	}
	answer, status = "no space", 409
	if err := l.CreateRepository(t.Context(), "r"); err == nil || err.Error() != "create repository r: 409 Conflict: no space" {
		t.Errorf("CreateRepository = %v, want what the server says", err)
	}
	want := `POST /api/v1/repositories/r/branches/main/objects?path=a.txt application/octet-stream one
POST /api/v1/repositories/r/branches/main/commits application/json {"message":"a workspace to try perago on"}
PUT /api/v1/repositories/r/settings/branch_protection application/json [{"pattern":"p*"}]
GET /api/v1/repositories/r/branches?amount=1000 application/json 
POST /api/v1/repositories application/json {"default_branch":"main","name":"r","storage_namespace":"local://r"}`
	if got := strings.Join(said, "\n"); got != want {
		t.Errorf("sent\n%s\nwant\n%s", got, want)
	}
}
