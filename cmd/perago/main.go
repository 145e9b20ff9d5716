// Command perago checks, runs and serves task files.
//
// main.go holds the process: its streams, its signals, its exit code and its
// version; commandline.go the tree of commands, their flags and their help.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"syscall"

	"github.com/peterbourgon/ff/v3/ffcli"

	"perago/engine/isolate"
	"perago/engine/tables"
	"perago/starlib/diag"
)

func main() {
	isolate.Main(roles()...)
	os.Exit(process())
}

// roles are what this binary starts itself for, beside bodies.
func roles() []isolate.Role { return append(isolate.TableRole(tables.New()), testRole()) }

// process is one perago process, from its signals to its exit code.
func process() int {
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(signals)

	// With SIGPIPE handled, a write to a pipe that nobody reads is an error, and
	// the process can still clean up.
	pipe := make(chan os.Signal, 1)
	signal.Notify(pipe, syscall.SIGPIPE)
	defer signal.Stop(pipe)

	a := &app{
		stdin:   os.Stdin,
		stdout:  &results{w: os.Stdout},
		stderr:  os.Stderr,
		environ: os.Environ(),
		signals: signals,
	}
	return a.run(context.Background(), os.Args[1:])
}

// app is one invocation of perago.
type app struct {
	stdin   io.Reader
	stdout  *results // results only
	stderr  io.Writer
	environ []string
	signals <-chan os.Signal // nil: none will come
}

// results is stdout: it remembers the first error, so that a result that did
// not arrive is never taken for success.
type results struct {
	w   io.Writer
	err error
}

func (r *results) Write(p []byte) (int, error) {
	if r.err != nil {
		return 0, r.err
	}
	n, err := r.w.Write(p)
	r.err = err
	return n, err
}

// run is the whole of perago: arguments in, exit code out.
func (a *app) run(ctx context.Context, args []string) int {
	err := a.dispatch(ctx, args)
	if err == nil && a.stdout.err != nil {
		err = environmentError("", "write the result to stdout: %w", a.stdout.err)
	}
	a.report(err)
	return exitCode(err)
}

// interruptible makes the body of a command end at the first signal, and the
// process at the second: whoever presses Ctrl-C twice means it.
func (a *app) interruptible(exec func(context.Context, []string) error) func(context.Context, []string) error {
	return func(ctx context.Context, args []string) error {
		ctx, cancel := context.WithCancelCause(ctx)
		defer a.cancelOnSignal(cancel)()
		err := exec(ctx, args)
		if err != nil && errors.Is(context.Cause(ctx), errInterrupted) {
			return errInterrupted
		}
		return err
	}
}

func (a *app) cancelOnSignal(cancel context.CancelCauseFunc) (stop func()) {
	release := a.onSignal(func(count int, _ os.Signal) {
		if count == 1 {
			os.Exit(exitInterrupted)
		}
		cancel(errInterrupted)
	})
	return func() {
		release()
		cancel(nil)
	}
}

// onSignal calls do for every signal until release is called; count is how many
// came before it.
func (a *app) onSignal(do func(count int, sig os.Signal)) (release func()) {
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for count := 0; ; count++ {
			select {
			case <-done:
				return
			case sig := <-a.signals:
				do(count, sig)
			}
		}
	}()
	return func() {
		close(done)
		<-ended
	}
}

// release is the version of this tree; CHANGELOG.md starts with it.
const release = "0.1.0"

// languageLevel counts the changes of docs/language.md that a task file could notice.
const languageLevel = 1

func (a *app) versionCommand() *ffcli.Command {
	return &ffcli.Command{
		Name:       "version",
		ShortUsage: "perago version",
		ShortHelp:  "Print version, commit, Go, language level and what answers sql(...).",
		FlagSet:    newFlagSet("version"),
		Exec: func(_ context.Context, args []string) error {
			if len(args) > 0 {
				return usageError("", "version takes no argument, got %s", diag.Shorten(args[0]))
			}
			return a.version()
		},
	}
}

func (a *app) version() error {
	commit := "unknown"
	if info, ok := debug.ReadBuildInfo(); ok {
		commit = commitOf(info.Settings)
	}
	fmt.Fprintf(a.stdout, "perago %s\ncommit %s\ngo %s %s/%s\nlanguage level %d\ntables %s\n",
		release, commit, runtime.Version(), runtime.GOOS, runtime.GOARCH, languageLevel, tablesVersion())
	return nil
}

// tablesVersion is what answers sql(...), or why nothing does.
func tablesVersion() string {
	if v := tables.Version(); v != "" {
		return "DuckDB " + v
	}
	return "none: built without cgo"
}

// commitOf reads what the go command noted of the checkout it built.
func commitOf(settings []debug.BuildSetting) string {
	commit, dirty := "unknown", ""
	for _, s := range settings {
		switch {
		case s.Key == "vcs.revision":
			commit = s.Value
		case s.Key == "vcs.modified" && s.Value == "true":
			dirty = " (with changes)"
		}
	}
	return commit + dirty
}
