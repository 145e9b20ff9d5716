package servers

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
)

// Upload puts every file under dir on a branch, commits, and returns the id of
// the commit.
func (l *LakeFS) Upload(ctx context.Context, repo, branch, dir string) (commit string, err error) {
	at := "/api/v1/repositories/" + url.PathEscape(repo) + "/branches/" + url.PathEscape(branch)
	tree := os.DirFS(dir)
	err = fs.WalkDir(tree, ".", func(name string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		f, err := os.Open(filepath.Join(dir, filepath.FromSlash(name)))
		if err != nil {
			return err
		}
		defer f.Close()
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, l.URL+at+"/objects?path="+url.QueryEscape(name), f)
		if err != nil {
			return err
		}
		req.Header.Set("Content-Type", "application/octet-stream")
		return l.do(req, nil)
	})
	if err != nil {
		return "", fmt.Errorf("upload %s: %w", dir, err)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, l.URL+at+"/commits",
		strings.NewReader(`{"message": "a workspace to try perago on"}`))
	if err != nil {
		return "", fmt.Errorf("commit: %w", err)
	}
	req.Header.Set("Content-Type", "application/json")
	var made struct{ ID string }
	if err := l.do(req, &made); err != nil {
		return "", fmt.Errorf("commit: %w", err)
	}
	return made.ID, nil
}

// Commit is a commit, as the server shows it.
type Commit struct {
	ID       string            `json:"id"`
	Parents  []string          `json:"parents"`
	Message  string            `json:"message"`
	Metadata map[string]string `json:"metadata"`
}

// FirstParents are the commits of a branch along the first parents, newest first,
// at most 100.
func (l *LakeFS) FirstParents(ctx context.Context, repo, branch string) ([]Commit, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, l.URL+"/api/v1/repositories/"+url.PathEscape(repo)+
		"/refs/"+url.PathEscape(branch)+"/commits?first_parent=true&amount=100", nil)
	if err != nil {
		return nil, err
	}
	var page struct{ Results []Commit }
	if err := l.do(req, &page); err != nil {
		return nil, fmt.Errorf("history of %s: %w", branch, err)
	}
	return page.Results, nil
}

// Branches are the names of all branches, at most 1,000.
func (l *LakeFS) Branches(ctx context.Context, repo string) ([]string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet,
		l.URL+"/api/v1/repositories/"+url.PathEscape(repo)+"/branches?amount=1000", nil)
	if err != nil {
		return nil, err
	}
	var page struct{ Results []struct{ ID string } }
	if err := l.do(req, &page); err != nil {
		return nil, fmt.Errorf("branches: %w", err)
	}
	var names []string
	for _, b := range page.Results {
		names = append(names, b.ID)
	}
	return names, nil
}

// Protect makes a rule that protects the branches that a pattern names. It
// takes the server some seconds to go by it.
func (l *LakeFS) Protect(ctx context.Context, repo, pattern string) error {
	rules, err := json.Marshal([]map[string]string{{"pattern": pattern}})
	if err != nil {
		return err
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPut,
		l.URL+"/api/v1/repositories/"+url.PathEscape(repo)+"/settings/branch_protection", bytes.NewReader(rules))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	if err := l.do(req, nil); err != nil {
		return fmt.Errorf("protect %s: %w", pattern, err)
	}
	return nil
}

// do makes a call and fills out from its answer, unless out is nil.
func (l *LakeFS) do(req *http.Request, out any) error {
	req.SetBasicAuth(AccessKey, SecretKey)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode >= 300 {
		var answer strings.Builder
		resp.Write(&answer)
		return fmt.Errorf("%s %s: %s", req.Method, req.URL.Path, answer.String())
	}
	if out == nil {
		return nil
	}
	return json.NewDecoder(resp.Body).Decode(out)
}
