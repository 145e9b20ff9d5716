package main

import (
	"fmt"
	"io"
	"log/slog"
	"strings"
	"sync"
	"time"

	"perago/engine"
)

// openLogs opens the log files of the worker, and shows what it logs: every
// line where stderr is no terminal, what needs attention above the table where it is.
func (s *service) openLogs(a *app, cfg *config, workerID string) error {
	if cfg.LogRoot == "" {
		return environmentError("set PERAGO_LOG_ROOT", "there is no folder for the logs: this user has none")
	}
	logs, err := engine.OpenLogs(cfg.LogRoot, workerID, &engine.LogOptions{MaxSize: cfg.LogFileMax, Retention: cfg.LogRetention, Level: cfg.LogLevel})
	if err != nil {
		return environmentError("name a folder that can be written with --log-root DIR", "%w", err)
	}
	s.logs = logs
	s.closers = append(s.closers, logs.Close)
	level := cfg.LogLevel
	if isTerminal(a.stderr) {
		level = max(level, slog.LevelWarn)
	}
	console := slog.NewTextHandler(a.stderr, &slog.HandlerOptions{Level: level})
	s.log = slog.New(withFaults(slog.NewMultiHandler(logs.Handler(), console)))
	for _, sentence := range cfg.Unknown {
		s.log.Warn(sentence)
	}
	return nil
}

// watcher keeps a short table of a worker on a terminal.
type watcher struct {
	w      io.Writer
	lines  int // of the table that stands there now
	done   chan struct{}
	drawer sync.WaitGroup
}

// watch starts the table; it does nothing where stderr is no terminal.
func (a *app) watch(worker *engine.Worker, s *service) *watcher {
	t := &watcher{w: a.stderr, done: make(chan struct{})}
	if !a.colorful(a.stderr) {
		return t
	}
	started := time.Now()
	t.drawer.Go(func() {
		tick := time.NewTicker(500 * time.Millisecond)
		defer tick.Stop()
		for {
			t.draw(table(worker.Snapshot(), s.modules, time.Since(started)))
			select {
			case <-t.done:
				return
			case <-tick.C:
			}
		}
	})
	return t
}

func (t *watcher) stop() {
	close(t.done)
	t.drawer.Wait()
}

// draw replaces the table that stands there.
func (t *watcher) draw(lines []string) {
	var b strings.Builder
	if t.lines > 0 {
		fmt.Fprintf(&b, "\x1b[%dA", t.lines)
	}
	b.WriteString("\x1b[J")
	for _, line := range lines {
		b.WriteString(line + "\n")
	}
	t.lines = len(lines)
	io.WriteString(t.w, b.String())
}

// table is what a worker is doing, in a few lines.
func table(s engine.Snapshot, modules []*engine.Module, up time.Duration) []string {
	state := "polling"
	if s.Draining {
		state = "draining"
	}
	c := s.Counts
	lines := []string{fmt.Sprintf("%s for %s: %d tasks, %d of %d slots busy, %d done, %d failed, %d failed for good",
		state, up.Round(time.Second), len(modules), len(s.Running), s.Slots, c.Completed, c.Failed, c.FailedTerminal)}
	if c.Undelivered > 0 {
		lines[0] += fmt.Sprintf(", %d results not delivered", c.Undelivered)
	}
	for i, r := range s.Running {
		if i == 10 {
			lines = append(lines, fmt.Sprintf("  … and %d more", len(s.Running)-i))
			break
		}
		line := fmt.Sprintf("  %-30s %s  retry %d  %s", cut(r.Attempt.Task), cut(r.Attempt.TaskID), r.Attempt.Retry, time.Since(r.Since).Round(time.Second))
		if p := r.Progress; p.Total > 0 {
			line += fmt.Sprintf("  %.0f%%", 100*p.Done/p.Total)
		}
		if r.Progress.Message != "" {
			line += "  " + cut(r.Progress.Message)
		}
		lines = append(lines, line)
	}
	return lines
}
