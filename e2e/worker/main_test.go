//go:build linux

// Package worker runs `perago start` as a process, between a real Conductor and
// a real lakeFS, and lets it die, sleep and be told to stop; and the other
// commands, as scripts.
package worker

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"sync/atomic"
	"testing"

	"perago/e2e/servers"
	"perago/secret"
	"perago/workspace/lakefs"
)

// shared is what all tests of this package work with.
type shared struct {
	conductor *servers.Conductor
	lakefs    *servers.LakeFS
	store     *lakefs.Store
	perago    string // the program, built with its fault points
	scenes    atomic.Int64
}

var site shared // set by TestMain, before any test

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	flag.Parse()
	if f := flag.Lookup("test.parallel"); f.Value.String() == f.DefValue {
		flag.Set("test.parallel", "6") // most of each test is waiting for a lease to run out
	}
	dir, err := os.MkdirTemp("", "perago-e2e-worker-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	defer site.stop()
	if err := site.start(context.Background(), dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return m.Run()
}

func (s *shared) start(ctx context.Context, dir string) error {
	s.perago = filepath.Join(dir, "perago")
	build := exec.CommandContext(ctx, "go", "build", "-tags", "faults", "-o", s.perago, "./cmd/perago")
	build.Dir = filepath.Join("..", "..") // its own module, with its own requirements
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("build perago: %w\n%s", err, out)
	}
	var err error
	if s.lakefs, err = servers.StartLakeFS(ctx, filepath.Join(dir, "lakefs"), nil); err != nil {
		return err
	}
	if s.conductor, err = servers.StartConductor(ctx, filepath.Join(dir, "conductor"), nil); err != nil {
		return err
	}
	s.store, err = lakefs.New(lakefs.Options{URL: s.lakefs.URL, Key: secret.New(servers.AccessKey), Secret: secret.New(servers.SecretKey)})
	return err
}

func (s *shared) stop() {
	if s.conductor != nil {
		s.conductor.Stop()
	}
	if s.lakefs != nil {
		s.lakefs.Stop()
	}
}
