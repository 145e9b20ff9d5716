package main

import (
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"syscall"

	"perago/starlib/diag"
)

// The exit codes of every command; the whole list stands in docs/operations.md.
const (
	exitDone        = 0
	exitInvalid     = 1   // the task file is invalid, or the attempt FAILED
	exitUsage       = 2   // unknown command or flag, missing argument
	exitTerminal    = 3   // the attempt failed terminally
	exitEnvironment = 4   // configuration, a server, a folder, a lock, stdout
	exitNoTest      = 5   // `perago test` found no test to run
	exitInterrupted = 130 // a signal
)

// failure is an error with its exit code and, where there is one, the next step.
type failure struct {
	code int
	err  error
	hint string // "" when there is nothing to advise
}

func (f *failure) Error() string { return f.err.Error() }
func (f *failure) Unwrap() error { return f.err }

// usageError is wrong use of the command line.
func usageError(hint, format string, args ...any) error {
	return &failure{exitUsage, fmt.Errorf(format, args...), hint}
}

// environmentError is a complaint about what surrounds perago.
func environmentError(hint, format string, args ...any) error {
	return &failure{exitEnvironment, fmt.Errorf(format, args...), hint}
}

// fileError is a file that the command line names and that cannot be used.
func fileError(op string, err error) error {
	var at *fs.PathError
	if errors.As(err, &at) {
		err = fmt.Errorf("%s %s: %w", op, at.Path, at.Err)
	}
	return &failure{exitInvalid, err, ""}
}

// told is the exit code of a command that has reported its error already.
type told int

func (t told) Error() string { return fmt.Sprintf("exit %d", int(t)) }

// errInterrupted is what a command ends with when a signal ended it.
var errInterrupted = errors.New("interrupted")

// exitCode is the one place that decides what an error means to the shell.
func exitCode(err error) int {
	var f *failure
	var done told
	var complaints diag.List
	switch {
	case err == nil:
		return exitDone
	case errors.Is(err, errInterrupted):
		return exitInterrupted
	case errors.As(err, &done):
		return int(done)
	case errors.As(err, &f):
		return f.code
	case errors.As(err, &complaints):
		return exitInvalid
	}
	return exitEnvironment
}

// report tells the user of err on stderr.
func (a *app) report(err error) {
	var done told
	if err == nil || errors.As(err, &done) || errors.Is(err, syscall.EPIPE) {
		return // told already, or nobody reads any more
	}
	var complaints diag.List
	if errors.As(err, &complaints) {
		diag.WriteText(a.stderr, complaints, a.textOptions())
		return
	}
	fmt.Fprintln(a.stderr, "perago:", indentRest(err.Error()))
	if f := (*failure)(nil); errors.As(err, &f) && f.hint != "" {
		fmt.Fprintln(a.stderr, "hint:", indentRest(f.hint))
	}
}

// indentRest sets the second and later lines of a message off from its first.
func indentRest(s string) string {
	return strings.ReplaceAll(diag.PrintableLines(strings.TrimRight(s, "\n")), "\n", "\n  ")
}
