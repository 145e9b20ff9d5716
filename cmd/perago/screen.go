package main

import (
	"fmt"
	"io"
	"log/slog"
	"sync"
	"time"

	"perago/cmd/perago/faults"
	"perago/engine/logs"
	"perago/engine/module"
	"perago/engine/worker"
	"perago/starlib/diag"
)

// openLogs opens the log files of the worker, and shows what it logs: every
// line where stderr is no terminal, what needs attention above the table where it is.
func (s *service) openLogs(a *app, cfg *config, workerID string) error {
	if cfg.LogRoot == "" {
		return environmentError("set PERAGO_LOG_ROOT", "there is no folder for the logs: this user has none")
	}
	level := cfg.LogLevel
	if a.colorful(a.stderr) {
		level = max(level, slog.LevelWarn)
	}
	s.screen = &screen{w: a.stderr, drawn: a.colorful(a.stderr)}
	console := slog.NewTextHandler(s.screen, &slog.HandlerOptions{Level: level, ReplaceAttr: logs.FormatTime})
	logs, err := logs.Open(cfg.LogRoot, workerID, &logs.Options{MaxSize: cfg.LogFileMax, TotalMax: cfg.LogTotalMax,
		Retention: cfg.LogRetention, Level: cfg.LogLevel, OnLoss: tellLoss(slog.New(console))})
	if err != nil {
		return environmentError("name a folder that can be written: --log-root DIR", "%w", err)
	}
	s.logs = logs
	s.closers = append(s.closers, logs.Close)
	s.log = slog.New(faults.With(slog.NewMultiHandler(logs.Handler(), console)))
	for _, sentence := range cfg.Warnings {
		s.log.Warn(sentence)
	}
	return nil
}

// tellLoss says on stderr, which is left, when log records begin to be lost, and
// when that is over.
func tellLoss(console *slog.Logger) func(logs.Loss) {
	return func(l logs.Loss) {
		if l.Err != nil {
			console.Error("log records are lost until the log root can be written again", "error", l.Err.Error())
			return
		}
		console.Warn("the log root can be written again", "records_lost", l.Records)
	}
}

// screen is stderr: log lines, and below them, on a terminal, a table that is
// drawn anew. It is safe for concurrent use.
type screen struct {
	w     io.Writer
	drawn bool // there is a terminal to draw on

	mu    sync.Mutex
	lines []string // of the table that stands there now
}

// Write puts a log line above the table.
func (s *screen) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.erase()
	n, err := s.w.Write(p)
	s.put()
	return n, err
}

// draw replaces the table.
func (s *screen) draw(lines []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.erase()
	s.lines = lines
	s.put()
}

func (s *screen) erase() {
	if len(s.lines) > 0 {
		fmt.Fprintf(s.w, "\x1b[%dA\x1b[J", len(s.lines))
	}
}

func (s *screen) put() {
	width := columns(s.w)
	for _, line := range s.lines {
		if r := []rune(line); len(r) > width { // a line that wraps would be two to erase
			line = string(r[:width-1]) + "…"
		}
		io.WriteString(s.w, line+"\n")
	}
}

// watch draws the table of a worker twice a second, until stop is called.
func (s *service) watch(worker *worker.Worker) (stop func()) {
	if !s.screen.drawn {
		return func() {}
	}
	started := time.Now()
	done := make(chan struct{})
	var drawer sync.WaitGroup
	drawer.Go(func() {
		tick := time.NewTicker(500 * time.Millisecond)
		defer tick.Stop()
		for {
			s.screen.draw(table(worker.Snapshot(), s.modules, time.Since(started)))
			select {
			case <-done:
				return
			case <-tick.C:
			}
		}
	})
	return func() {
		close(done)
		drawer.Wait()
		s.screen.draw(table(worker.Snapshot(), s.modules, time.Since(started)))
	}
}

// table is what a worker is doing, in a few lines.
func table(s worker.Snapshot, modules []*module.Module, up time.Duration) []string {
	state := "polling"
	if !s.Draining.IsZero() {
		state, up = "draining", time.Since(s.Draining)
	}
	c := s.Counts
	lines := []string{fmt.Sprintf("%s for %s: %s, %d of %d slots busy, %d done, %d failed, %d failed for good",
		state, up.Round(time.Second), counted(len(modules), "task"), len(s.Running), s.Slots, c.Completed, c.Failed, c.FailedTerminal)}
	if c.Undelivered > 0 {
		lines[0] += fmt.Sprintf(", %d results not delivered", c.Undelivered)
	}
	for i, r := range s.Running {
		if i == 10 {
			lines = append(lines, fmt.Sprintf("  … and %d more", len(s.Running)-i))
			break
		}
		line := fmt.Sprintf("  %-30s %s  retry %d  %s", diag.Shorten(r.Attempt.Task), diag.Shorten(r.Attempt.TaskID), r.Attempt.Retry, time.Since(r.Since).Round(time.Second))
		if p := r.Progress; p.Total > 0 {
			line += fmt.Sprintf("  %.0f%%", 100*p.Done/p.Total)
		}
		if r.Progress.Message != "" {
			line += "  " + diag.Shorten(r.Progress.Message)
		}
		lines = append(lines, diag.Printable(line))
	}
	return lines
}

// counted is "1 task", "2 tasks".
func counted(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}
