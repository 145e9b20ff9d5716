package servers

import (
	"net/http"
	"testing"
)

func TestLakeFSStartsStopsAndStartsAgainWithItsData(t *testing.T) {
	ctx := t.Context()
	l, err := StartLakeFS(ctx, t.TempDir(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { l.Stop() }()
	if err := l.CreateRepository(ctx, "songs"); err != nil {
		t.Fatal(err)
	}
	l.Kill()
	if err := l.Start(ctx); err != nil {
		t.Fatal(err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, l.URL+"/api/v1/repositories/songs", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.SetBasicAuth(AccessKey, SecretKey)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Errorf("after a kill and a start: GET the repository = %s, want 200", resp.Status)
	}
}
