//go:build linux && faults

package faults

import (
	"context"
	"log/slog"
	"os"
	"runtime"
	"strings"
	"syscall"
	"time"
)

// A build with the tag faults is told by two variables what to do:
//
//	PERAGO_FAULT=POINT:ACTION   POINT is a message of the log, or "step NAME" (engine.Hooks.Step)
//	PERAGO_FAULT_ONCE=FILE      is made first; when it is there, nothing happens
//
// The actions: kill and stop send the process that signal, hold makes whoever
// logs wait until the file is removed, and then it may strike again, or has
// something in it.

// faulty looks for the point in what is logged, at any level.
type faulty struct {
	slog.Handler
	point, action, once string
}

// With is h with the fault that the environment asks for.
func With(h slog.Handler) slog.Handler {
	point, action, ok := strings.Cut(os.Getenv("PERAGO_FAULT"), ":")
	if !ok {
		return h
	}
	return faulty{h, point, action, os.Getenv("PERAGO_FAULT_ONCE")}
}

func (f faulty) Enabled(context.Context, slog.Level) bool { return true }

func (f faulty) WithAttrs(attrs []slog.Attr) slog.Handler {
	f.Handler = f.Handler.WithAttrs(attrs)
	return f
}

func (f faulty) WithGroup(name string) slog.Handler {
	f.Handler = f.Handler.WithGroup(name)
	return f
}

func (f faulty) Handle(ctx context.Context, r slog.Record) error {
	var err error
	if f.Handler.Enabled(ctx, r.Level) {
		err = f.Handler.Handle(ctx, r)
	}
	point := r.Message
	if point == "step" {
		r.Attrs(func(a slog.Attr) bool {
			point += " " + a.Value.String()
			return false
		})
	}
	if point == f.point {
		f.strike()
	}
	return err
}

func (f faulty) strike() {
	mark, err := os.OpenFile(f.once, os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return
	}
	mark.Close()
	switch f.action {
	case "kill":
		signalSelf(syscall.SIGKILL)
	case "stop":
		signalSelf(syscall.SIGSTOP)
	case "hold":
		for tick := time.Tick(10 * time.Millisecond); ; <-tick {
			if mark, err := os.Stat(f.once); err != nil || mark.Size() > 0 {
				return
			}
		}
	}
}

// signalSelf signals this very thread, so that nothing more is done on it.
func signalSelf(sig syscall.Signal) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	syscall.Tgkill(os.Getpid(), syscall.Gettid(), sig)
}
