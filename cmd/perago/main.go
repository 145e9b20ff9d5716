// Command perago checks, runs and serves task files.
//
// main.go holds the process: its streams, its signals and its exit code. Every
// command has a file of its own, named after it.
package main

import (
	"context"
	"errors"
	"io"
	"os"
	"os/signal"
	"syscall"

	"perago/engine/isolate"
)

func main() {
	isolate.Main(testRole())
	os.Exit(process())
}

// process is one perago process, from its signals to its exit code.
func process() int {
	signals := make(chan os.Signal, 4)
	signal.Notify(signals, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(signals)

	// With somebody listening, a write to a pipe that nobody reads is an error
	// we see, not a death without clean-up.
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
	done, ended := make(chan struct{}), make(chan struct{})
	go func() {
		defer close(ended)
		for count := 0; ; count++ {
			select {
			case <-done:
				return
			case <-a.signals:
			}
			if count == 1 {
				os.Exit(exitInterrupted)
			}
			cancel(errInterrupted)
		}
	}()
	return func() {
		close(done)
		<-ended
		cancel(nil)
	}
}
