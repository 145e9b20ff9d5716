package e2e

import (
	"context"
	"fmt"
	"os"
	"testing"

	"perago/e2e/servers"
)

// shared is the Conductor of all tests of this package. A test that stops it
// starts it again before it ends.
var shared *servers.Conductor // set by TestMain, before any test

func TestMain(m *testing.M) { os.Exit(run(m)) }

func run(m *testing.M) int {
	dir, err := os.MkdirTemp("", "perago-e2e-conductor-")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer os.RemoveAll(dir)
	if shared, err = servers.StartConductor(context.Background(), dir, nil); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	defer shared.Stop()
	return m.Run()
}
