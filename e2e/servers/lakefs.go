package servers

import (
	"context"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

const lakefsVersion = "1.83.0"

// The key pair of every lakeFS that this package starts.
const (
	AccessKey = "AKIAIOSFODNN7EXAMPLE"
	SecretKey = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"
)

// BuildLakeFS returns the path of the lakeFS server, which is built when this
// machine has none yet: minutes, and seconds with a warm build cache.
func BuildLakeFS(ctx context.Context) (string, error) { return buildLakeFSTool(ctx, "lakefs") }

// BuildLakectl returns the path of lakeFS's own command line.
func BuildLakectl(ctx context.Context) (string, error) { return buildLakeFSTool(ctx, "lakectl") }

func buildLakeFSTool(ctx context.Context, tool string) (string, error) {
	return Once(ctx, tool+"-"+lakefsVersion, func(ctx context.Context, tmp string) error {
		return buildTool(ctx, "github.com/treeverse/lakefs/cmd/"+tool, tmp)
	})
}

// LakeFS is a lakeFS server that runs, with all its data under Dir.
type LakeFS struct {
	Process
	port    int
	actions bool
}

// LakeFSOptions are what StartLakeFS may be told.
type LakeFSOptions struct {
	Port      int  // 0: a free one
	NoActions bool // hooks switched off on the server
}

// StartLakeFS starts a server in dir, which is made when it is missing, and
// waits until it is ready. o may be nil. The caller stops it.
func StartLakeFS(ctx context.Context, dir string, o *LakeFSOptions) (*LakeFS, error) {
	if o == nil {
		o = &LakeFSOptions{}
	}
	port := o.Port
	if port == 0 {
		var err error
		if port, err = FreePort(); err != nil {
			return nil, fmt.Errorf("start lakefs: %w", err)
		}
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("start lakefs: %w", err)
	}
	l := &LakeFS{port: port, actions: !o.NoActions}
	l.Dir, l.URL = dir, fmt.Sprintf("http://127.0.0.1:%d", port)
	l.Log = filepath.Join(dir, "lakefs.log")
	return l, l.Start(ctx)
}

// Start starts the server again after Kill or Stop, at the same port.
func (l *LakeFS) Start(ctx context.Context) error {
	program, err := BuildLakeFS(ctx)
	if err != nil {
		return fmt.Errorf("start lakefs: %w", err)
	}
	config := filepath.Join(l.Dir, "lakefs.yaml")
	if err := os.WriteFile(config, []byte(l.config()), 0o600); err != nil {
		return fmt.Errorf("start lakefs: %w", err)
	}
	ctx, cancel := context.WithTimeout(ctx, 60*time.Second)
	defer cancel()
	if err := l.Process.start(ctx, exec.Command(program, "run", "--config", config), func(ctx context.Context) error {
		return healthy(ctx, l.URL+"/_health", func([]byte) bool { return true })
	}); err != nil {
		return fmt.Errorf("start lakefs: %w", err)
	}
	return nil
}

func (l *LakeFS) config() string {
	return fmt.Sprintf(`listen_address: 127.0.0.1:%d
database: {type: local, local: {path: %q}}
blockstore: {type: local, local: {path: %q}}
logging: {level: WARN}
stats: {enabled: false}
actions: {enabled: %t}
security: {check_latest_version: false}
auth: {encrypt: {secret_key: "only for servers that tests start and stop"}}
installation: {user_name: admin, access_key_id: %s, secret_access_key: %s}
`, l.port, filepath.Join(l.Dir, "meta"), filepath.Join(l.Dir, "data"), l.actions, AccessKey, SecretKey)
}

// CreateRepository makes a repository with the branch main.
func (l *LakeFS) CreateRepository(ctx context.Context, name string) error {
	return l.call(ctx, "create repository "+name, http.MethodPost, "",
		map[string]string{"name": name, "storage_namespace": "local://" + name, "default_branch": "main"}, nil)
}
