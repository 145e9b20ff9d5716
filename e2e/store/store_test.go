// Package store runs the suites of workspace/storetest, and the races and
// crashes that only a real server can show, on real lakeFS.
package store

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"perago"
	"perago/e2e/servers"
	"perago/secret"
	"perago/workspace/lakefs"
	"perago/workspace/storage"
	"perago/workspace/storetest"
)

// shared is the server that all tests but those that kill theirs work on.
type shared struct {
	lakefs *servers.LakeFS
	store  *lakefs.Store
	repos  atomic.Int64
}

var server *shared // set by TestMain, before any test

func TestMain(m *testing.M) {
	perago.Main()
	os.Exit(run(m))
}

func run(m *testing.M) int {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "perago-e2e-lakefs-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	l, err := servers.StartLakeFS(ctx, dir, nil)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer l.Stop()
	server = &shared{lakefs: l}
	if server.store, err = lakefs.New(options(l.URL)); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

func options(url string) lakefs.Options {
	return lakefs.Options{URL: url, Key: secret.New(servers.AccessKey), Secret: secret.New(servers.SecretKey)}
}

// newRepository makes one on the shared server.
func newRepository(t *testing.T) string {
	t.Helper()
	name := fmt.Sprintf("songs-%d", server.repos.Add(1))
	if err := server.lakefs.CreateRepository(t.Context(), name); err != nil {
		t.Fatal(err)
	}
	return name
}

// protect makes lakeFS protect a branch and waits until it does: that takes seconds.
func protect(t *testing.T, repo, branch string) {
	t.Helper()
	body, err := json.Marshal([]map[string]any{{"pattern": branch}})
	if err != nil {
		t.Fatal(err)
	}
	url := fmt.Sprintf("%s/api/v1/repositories/%s/settings/branch_protection", server.lakefs.URL, repo)
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPut, url, bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	req.SetBasicAuth(servers.AccessKey, servers.SecretKey)
	req.Header.Set("Content-Type", "application/json")
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusNoContent {
		t.Fatalf("protect %s: %s", branch, resp.Status)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	for {
		// A path that is not there: a write that changes nothing.
		err := server.store.Remove(ctx, repo, branch, []string{"not there"})
		if err != nil {
			return
		}
		select {
		case <-time.After(100 * time.Millisecond):
		case <-ctx.Done():
			t.Fatalf("branch %s is still not protected", branch)
		}
	}
}

func subject(store storage.Store) storetest.Subject {
	return storetest.Subject{Store: store, NewRepository: newRepository, Protect: protect}
}

func TestStore(t *testing.T) { storetest.TestStore(t, subject(server.store)) }

// TestUnfenced runs on a server whose hooks are switched off.
func TestUnfenced(t *testing.T) {
	t.Parallel()
	l, err := servers.StartLakeFS(t.Context(), t.TempDir(), &servers.LakeFSOptions{NoActions: true})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { l.Stop() }()
	store, err := lakefs.New(options(l.URL))
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	storetest.TestUnfenced(t, storetest.Subject{Store: store, NewRepository: func(t *testing.T) string {
		name := fmt.Sprintf("unfenced-%d", server.repos.Add(1))
		if err := l.CreateRepository(t.Context(), name); err != nil {
			t.Fatal(err)
		}
		return name
	}})
}

func TestPublication(t *testing.T) { storetest.TestPublication(t, subject(server.store)) }
