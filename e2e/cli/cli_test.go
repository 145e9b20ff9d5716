// Package cli runs the scripts of testdata/script/servers: what the command line
// promises of real servers.
package cli

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"perago/e2e/servers"
)

// site is what all scripts share.
type site struct {
	conductor *servers.Conductor
	lakefs    *servers.LakeFS
	noActions *servers.LakeFS // the same with hooks switched off
	bin       string          // the folder of perago
}

// TestScripts runs each script with a repository of its own: $REPO, whose branch
// main has the fixture of tasks/features_build.star at the commit $COMMIT.
func TestScripts(t *testing.T) {
	s := start(t)
	testscript.Run(t, testscript.Params{
		Dir:                 "../../testdata/script/servers",
		RequireExplicitExec: true,
		Setup:               s.setup,
		Cmds:                map[string]func(*testscript.TestScript, bool, []string){"exits": exits},
	})
}

func start(t *testing.T) *site {
	t.Helper()
	s := &site{bin: t.TempDir()}
	build := exec.Command("go", "build", "-o", filepath.Join(s.bin, "perago"), "./cmd/perago")
	build.Dir = filepath.Join("..", "..")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build perago: %v\n%s", err, out)
	}
	ctx, dir := context.WithoutCancel(t.Context()), t.TempDir()
	var err error
	if s.lakefs, err = servers.StartLakeFS(ctx, filepath.Join(dir, "lakefs"), nil); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.lakefs.Stop)
	if s.noActions, err = servers.StartLakeFS(ctx, filepath.Join(dir, "no-actions"), &servers.LakeFSOptions{NoActions: true}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.noActions.Stop)
	if s.conductor, err = servers.StartConductor(ctx, filepath.Join(dir, "conductor"), nil); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.conductor.Stop)
	return s
}

func (s *site) setup(env *testscript.Env) error {
	tasks, err := filepath.Abs("../../tasks")
	if err != nil {
		return err
	}
	fixture, err := filepath.Abs("../../testdata/tasks/features_build/workspace")
	if err != nil {
		return err
	}
	repo := "r" + strconv.FormatInt(int64(os.Getpid()), 36) + "-" + strings.ReplaceAll(filepath.Base(env.WorkDir), "_", "-") // what lakeFS takes for a name
	commit := ""
	for _, lake := range []*servers.LakeFS{s.lakefs, s.noActions} {
		if err := lake.CreateRepository(context.Background(), repo); err != nil {
			return err
		}
		id, err := lake.Upload(context.Background(), repo, "main", fixture)
		if err != nil {
			return err
		}
		if commit == "" {
			commit = id
		}
	}
	for name, value := range map[string]string{
		"PATH":                                  s.bin + string(os.PathListSeparator) + env.Getenv("PATH"),
		"HOME":                                  filepath.Join(env.WorkDir, ".home"),
		"XDG_CACHE_HOME":                        filepath.Join(env.WorkDir, ".cache"),
		"TASKS":                                 tasks,
		"REPO":                                  repo,
		"COMMIT":                                commit,
		"CONDUCTOR_SERVER_URL":                  s.conductor.API(),
		"LAKECTL_SERVER_ENDPOINT_URL":           s.lakefs.URL,
		"LAKECTL_CREDENTIALS_ACCESS_KEY_ID":     servers.AccessKey,
		"LAKECTL_CREDENTIALS_SECRET_ACCESS_KEY": servers.SecretKey,
		"NO_ACTIONS_URL":                        s.noActions.URL,
	} {
		env.Setenv(name, value)
	}
	return nil
}

// exits runs a program and wants one exit code of it.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE program [args...]")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	got := 0
	var exit *exec.ExitError
	if err := ts.Exec(args[1], args[2:]...); errors.As(err, &exit) {
		got = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if got != want {
		ts.Fatalf("%s", fmt.Sprintf("exit: got %d, want %d", got, want))
	}
}
