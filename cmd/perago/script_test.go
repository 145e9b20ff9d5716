package main

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"testing"

	"github.com/rogpeppe/go-internal/testscript"

	"perago/engine/isolate"
)

func TestMain(m *testing.M) {
	isolate.Main(roles()...) // bodies and the tests of task files run in children of this binary, too
	testscript.Main(m, map[string]func(){"perago": main, "perago-without-landlock": withoutLandlock})
}

// TestScripts runs every promise of the command line. Beside testscript's own
// commands there is `exits CODE perago ...`, which wants that very exit code.
// $TASKS and $FIXTURES are tasks/ and testdata/tasks/ of this project.
func TestScripts(t *testing.T) { runScripts(t, "../../testdata/script") }

func runScripts(t *testing.T, dir string) {
	testscript.Run(t, testscript.Params{
		Dir:                 dir,
		RequireExplicitExec: true,
		RequireUniqueNames:  true,
		Setup:               scriptEnvironment,
		Cmds:                map[string]func(*testscript.TestScript, bool, []string){"exits": exits},
		Condition: func(name string) (bool, error) {
			if name != "tables" {
				return false, fmt.Errorf("no such condition: %s", name)
			}
			return isolate.HasTables(), nil
		},
	})
}

func scriptEnvironment(env *testscript.Env) error {
	tasks, err := filepath.Abs("../../tasks")
	if err != nil {
		return err
	}
	fixtures, err := filepath.Abs("../../testdata/tasks")
	if err != nil {
		return err
	}
	env.Setenv("TASKS", tasks)
	env.Setenv("FIXTURES", fixtures)
	env.Setenv("HOME", filepath.Join(env.WorkDir, ".home"))
	env.Setenv("XDG_CACHE_HOME", filepath.Join(env.WorkDir, ".cache"))
	return nil
}

// exits runs a program and wants one exit code of it.
func exits(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: exits CODE program [args...]")
	}
	want, err := strconv.Atoi(args[0])
	ts.Check(err)
	err = ts.Exec(args[1], args[2:]...)
	if got, err := codeOf(err); err != nil || got != want {
		ts.Fatalf("exit: got %d (%v), want %d", got, err, want)
	}
}

func codeOf(err error) (int, error) {
	var exit *exec.ExitError
	switch {
	case err == nil:
		return 0, nil
	case errors.As(err, &exit) && exit.Exited():
		return exit.ExitCode(), nil
	}
	return -1, fmt.Errorf("did not exit by itself: %w", err)
}

// TestFullDisk: a result that could not be written is never taken for success.
func TestFullDisk(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer full.Close()
	cmd := exec.Command("perago", "version")
	cmd.Stdout = full
	stderr, code := runProgram(t, cmd)
	if want := "perago: write the result to stdout: write /dev/stdout: no space left on device\n"; code != exitEnvironment || stderr != want {
		t.Errorf("got exit %d, %q; want exit %d, %q", code, stderr, exitEnvironment, want)
	}
}

// TestBrokenPipe: when the reader of stdout has gone, perago ends quietly.
func TestBrokenPipe(t *testing.T) {
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	r.Close()
	cmd := exec.Command("perago", "completion", "bash")
	cmd.Stdout = w
	if stderr, code := runProgram(t, cmd); code != exitEnvironment || stderr != "" {
		t.Errorf("got exit %d, %q; want exit %d and not a word", code, stderr, exitEnvironment)
	}
}

// runProgram runs a command to its end and returns its stderr and exit code.
func runProgram(t *testing.T, cmd *exec.Cmd) (stderr string, code int) {
	t.Helper()
	file, err := os.CreateTemp(t.TempDir(), "stderr")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	cmd.Stderr = file
	code, err = codeOf(cmd.Run())
	if err != nil {
		t.Fatal(err)
	}
	text, err := os.ReadFile(file.Name())
	if err != nil {
		t.Fatal(err)
	}
	return string(text), code
}
