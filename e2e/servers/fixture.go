package servers

import (
	"context"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
)

// Upload puts every file under dir on a branch, commits, and returns the id of
// the commit.
func (l *LakeFS) Upload(ctx context.Context, repo, branch, dir string) (commit string, err error) {
	at := "/" + url.PathEscape(repo) + "/branches/" + url.PathEscape(branch)
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
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, l.repositories()+at+"/objects?path="+url.QueryEscape(name), f)
		if err != nil {
			return err
		}
		req.Header.Set("Content-Type", "application/octet-stream")
		return login(req, nil)
	})
	if err != nil {
		return "", fmt.Errorf("upload %s: %w", dir, err)
	}
	var made struct{ ID string }
	err = l.call(ctx, "commit", http.MethodPost, at+"/commits", map[string]string{"message": "a workspace to try perago on"}, &made)
	return made.ID, err
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
	var page struct{ Results []Commit }
	path := "/" + url.PathEscape(repo) + "/refs/" + url.PathEscape(branch) + "/commits?first_parent=true&amount=100"
	err := l.call(ctx, "history of "+branch, http.MethodGet, path, nil, &page)
	return page.Results, err
}

// Branches are the names of all branches, at most 1,000.
func (l *LakeFS) Branches(ctx context.Context, repo string) ([]string, error) {
	var page struct{ Results []struct{ ID string } }
	err := l.call(ctx, "branches", http.MethodGet, "/"+url.PathEscape(repo)+"/branches?amount=1000", nil, &page)
	var names []string
	for _, b := range page.Results {
		names = append(names, b.ID)
	}
	return names, err
}

// Protect makes a rule that protects the branches that a pattern names. It
// takes the server some seconds to go by it.
func (l *LakeFS) Protect(ctx context.Context, repo, pattern string) error {
	return l.call(ctx, "protect "+pattern, http.MethodPut, "/"+url.PathEscape(repo)+"/settings/branch_protection",
		[]map[string]string{{"pattern": pattern}}, nil)
}

// repositories is the address that calls about repositories begin with.
func (l *LakeFS) repositories() string { return l.URL + "/api/v1/repositories" }

// call makes a call about repositories; what names it in an error.
func (l *LakeFS) call(ctx context.Context, what, method, path string, in, out any) error {
	req, err := request(ctx, method, l.repositories()+path, in)
	if err == nil {
		err = login(req, out)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", what, err)
	}
	return nil
}

// login is send with the key pair.
func login(req *http.Request, out any) error {
	req.SetBasicAuth(AccessKey, SecretKey)
	return send(req, out)
}
