package isolate

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"

	"perago/engine"
	"perago/engine/module"
	"perago/starlib"
)

// TestMain is the child as well: the tests start themselves again.
func TestMain(m *testing.M) {
	Main(append(TableRole(&tableProbe{}), Role{Argument: roleArgument, Live: again})...)
	if len(os.Args) > 1 && os.Args[1] == probeArgument {
		os.Exit(live(probe))
	}
	if len(os.Args) > 2 && os.Args[1] == hostileArgument {
		os.Exit(hostile(os.Args[2]))
	}
	if len(os.Args) > 1 && os.Args[1] == workerArgument {
		os.Exit(workUntilKilled())
	}
	os.Exit(m.Run())
}

// loaded makes a module of source.
func loaded(t testing.TB, source string) *module.Module {
	t.Helper()
	file := filepath.Join(t.TempDir(), "task.star")
	if err := os.WriteFile(file, []byte(source), 0o600); err != nil {
		t.Fatal(err)
	}
	m, problems := module.Load(file, nil)
	if len(problems) > 0 {
		t.Fatalf("load: %v", problems)
	}
	return m
}

// pure is a task without a workspace whose body is the lines of body.
func pure(t testing.TB, body string) *module.Module {
	t.Helper()
	return loaded(t, "task(name = \"t\")\n\ndef run(params):\n"+body)
}

// silent is a call with no params and nobody to tell.
func silent(t testing.TB, m *module.Module, l engine.Limits) engine.Call {
	t.Helper()
	params, problems := m.Task.CheckParams([]byte(`{}`))
	if len(problems) > 0 {
		t.Fatalf("params: %v", problems)
	}
	return engine.Call{Params: params, Limits: l, Log: func(starlib.Record) {}, Progress: func(starlib.Progress) {}}
}

var errStopped = errors.New("stopped by the test")

// contextWithin ends with errStopped.
func contextWithin(t testing.TB, d time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeoutCause(t.Context(), d, errStopped)
}
