// Command servers starts a Conductor and a lakeFS of one's own, to try perago on
// for real, and stays until it is interrupted:
//
//	go run ./e2e/cmd/servers -env try.env
//
// The first run on a machine builds lakeFS and fetches Conductor, which takes
// minutes. When both are ready it prints the environment that perago wants, and,
// with -env, writes it to a file. In it are a repository with the files of a
// fixture in its branch main, a workflow of one task, and TRY_INPUT, an input for
// that workflow:
//
//	. ./try.env
//	perago start tasks/features_build.star --register
//	curl -H 'Content-Type: application/json' -d "$TRY_INPUT" "$CONDUCTOR_SERVER_URL/workflow/try"
//
// Nothing is left behind, unless -dir names a folder for the servers' data: the
// same folder continues where the last run ended.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/signal"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"syscall"

	"perago/e2e/servers"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	os.Exit(run(ctx, os.Args[1:], os.Stdout, os.Stderr))
}

// options are the flags.
type options struct {
	env        string
	dir        string
	repository string
	fixture    string
	task       string
	params     string
}

func run(ctx context.Context, args []string, stdout, stderr io.Writer) int {
	var o options
	flags := flag.NewFlagSet("servers", flag.ContinueOnError)
	flags.SetOutput(stderr)
	flags.StringVar(&o.env, "env", "", "write the environment to this `FILE` too, as a shell and perago's --env-file read it")
	flags.StringVar(&o.dir, "dir", "", "keep the servers' data in this `FOLDER`; without it they are dropped at the end")
	flags.StringVar(&o.repository, "repository", "songs", "`NAME` of the repository")
	flags.StringVar(&o.fixture, "fixture", "", "upload the files of this `FOLDER` (default: the workspace of tasks/features_build.star)")
	flags.StringVar(&o.task, "task", "features.build", "`NAME` of the task that the workflow try runs")
	flags.StringVar(&o.params, "params", `{"feature_set": "listeners"}`, "params of TRY_INPUT, as `JSON`")
	switch err := flags.Parse(args); {
	case errors.Is(err, flag.ErrHelp):
		return 0
	case err != nil:
		return 2
	case flags.NArg() > 0 || !json.Valid([]byte(o.params)):
		fmt.Fprintln(stderr, "servers: want flags only, and JSON for -params")
		return 2
	}
	if o.fixture == "" {
		_, file, _, _ := runtime.Caller(0)
		o.fixture = filepath.Join(filepath.Dir(file), "..", "..", "..", "testdata", "tasks", "features_build", "workspace")
	}
	if err := serve(ctx, o, stdout, stderr); err != nil {
		fmt.Fprintln(stderr, "servers:", err)
		return 1
	}
	return 0
}

// serve runs the servers until ctx ends.
func serve(ctx context.Context, o options, stdout, stderr io.Writer) error {
	if o.dir == "" {
		dir, err := os.MkdirTemp("", "perago-servers-")
		if err != nil {
			return err
		}
		defer os.RemoveAll(dir)
		o.dir = dir
	}
	dir, err := filepath.Abs(o.dir)
	if err != nil {
		return err
	}
	fmt.Fprintln(stderr, "starting lakeFS and Conductor; the first time on a machine this takes minutes")
	both, err := start(ctx, dir)
	defer both.stop()
	if err != nil {
		return err
	}
	env, err := both.prepare(ctx, o)
	if err != nil {
		return err
	}
	if o.env != "" {
		if err := os.WriteFile(o.env, []byte(env), 0o600); err != nil {
			return err
		}
		defer os.Remove(o.env)
	}
	fmt.Fprint(stdout, env)
	fmt.Fprintf(stderr, "ready. Conductor: %s  lakeFS: %s (%s / %s)\nCtrl-C stops both\n",
		both.conductor.URL, both.lakefs.URL, servers.AccessKey, servers.SecretKey)
	<-ctx.Done()
	fmt.Fprintln(stderr, "stopping")
	return nil
}

// pair is the two servers; either may be nil.
type pair struct {
	lakefs    *servers.LakeFS
	conductor *servers.Conductor
}

func start(ctx context.Context, dir string) (pair, error) {
	var (
		p     pair
		errs  [2]error
		group sync.WaitGroup
	)
	group.Go(func() {
		l, err := servers.StartLakeFS(ctx, filepath.Join(dir, "lakefs"), nil)
		if errs[0] = err; err == nil {
			p.lakefs = l
		}
	})
	group.Go(func() {
		c, err := servers.StartConductor(ctx, filepath.Join(dir, "conductor"), nil)
		if errs[1] = err; err == nil {
			p.conductor = c
		}
	})
	group.Wait()
	return p, errors.Join(errs[:]...)
}

func (p pair) stop() {
	if p.conductor != nil {
		p.conductor.Stop()
	}
	if p.lakefs != nil {
		p.lakefs.Stop()
	}
}

// prepare makes the repository and the workflow, and returns the environment.
func (p pair) prepare(ctx context.Context, o options) (env string, err error) {
	commit := ""
	history, err := p.lakefs.FirstParents(ctx, o.repository, "main")
	if err == nil && len(history) > 1 { // of an earlier run in the same folder
		commit = history[0].ID
	} else {
		if err := p.lakefs.CreateRepository(ctx, o.repository); err != nil {
			return "", err
		}
		if commit, err = p.lakefs.Upload(ctx, o.repository, "main", o.fixture); err != nil {
			return "", err
		}
	}
	if err := p.conductor.DefineWorkflow(ctx, "try", []servers.WorkflowTask{{Name: o.task, Reference: "step", Type: "SIMPLE",
		Input: map[string]any{"workspace": "${workflow.input.workspace}", "params": "${workflow.input.params}"}}}); err != nil {
		return "", err
	}
	input, err := json.Marshal(map[string]any{"params": json.RawMessage(o.params), "workspace": map[string]string{
		"repository": o.repository, "branch": "main", "refType": "commit", "ref": commit}})
	if err != nil {
		return "", err
	}
	return exports([][2]string{
		{"CONDUCTOR_SERVER_URL", p.conductor.API()},
		{"LAKECTL_SERVER_ENDPOINT_URL", p.lakefs.URL},
		{"LAKECTL_CREDENTIALS_ACCESS_KEY_ID", servers.AccessKey},
		{"LAKECTL_CREDENTIALS_SECRET_ACCESS_KEY", servers.SecretKey},
		{"TRY_INPUT", string(input)},
	}), nil
}

// exports writes variables for a shell.
func exports(vars [][2]string) string {
	var b strings.Builder
	for _, v := range vars {
		fmt.Fprintf(&b, "export %s='%s'\n", v[0], strings.ReplaceAll(v[1], "'", `'\''`))
	}
	return b.String()
}
