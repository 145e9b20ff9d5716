package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path"
	"slices"
	"time"

	"perago/starlib/diag"
)

// This file holds the shape of the log: which attributes a record of an attempt
// carries, how its time is written, and which file it goes to. The files are in
// logfile.go.

// LogAttrs are what every log record of an attempt carries. The folder of the
// attempt, and its staging branch, are in the records that are about them.
func (a Attempt) LogAttrs() []any {
	return []any{"task", a.Task, "workflow_id", a.WorkflowID, "task_id", a.TaskID, "retry", a.Retry,
		"attempt", fmt.Sprintf("%s-%d", a.TaskID, a.Retry)}
}

// LogOptions are what a log may be told beside its place.
type LogOptions struct {
	MaxSize   int64         // bytes of a file before it is set aside; 0 is 100 MB, and a 16th of TotalMax at most
	TotalMax  int64         // bytes of all files under the root, of all workers; the oldest are removed; 0 is 2 GB
	Retention time.Duration // age at which Sweep removes a file; 0 is 30 days
	Level     slog.Leveler  // nil is slog.LevelInfo
	OnLoss    func(LogLoss) // told when records begin to be lost, and when that is over; nil: nobody is
}

// LogTime, as slog.HandlerOptions.ReplaceAttr, writes `time` as RFC 3339 at UTC+08:00,
// to the millisecond, and makes every text safe to be shown on a terminal.
func LogTime(groups []string, a slog.Attr) slog.Attr {
	if len(groups) == 0 && a.Key == slog.TimeKey && a.Value.Kind() == slog.KindTime {
		at := a.Value.Time().In(time.FixedZone("", 8*60*60))
		return slog.String(slog.TimeKey, at.Format("2006-01-02T15:04:05.000Z07:00"))
	}
	if a.Value.Kind() == slog.KindString { // the escapes of JSON leave C1 and marks of direction as they are
		a.Value = slog.StringValue(diag.PrintableLines(a.Value.String()))
	}
	return a
}

// Handler writes records as JSON, one a line: those with the attribute "task" to
// <root>/<task>/<worker id>.jsonl, the worker's own to <root>/<worker id>.jsonl.
func (l *Logs) Handler() slog.Handler {
	return &logHandler{logs: l, json: l.json("")}
}

// json writes to the file of a task.
func (l *Logs) json(task string) slog.Handler {
	return slog.NewJSONHandler(taskWriter{l, path.Join(task, l.worker+".jsonl")},
		&slog.HandlerOptions{Level: l.level, ReplaceAttr: LogTime})
}

// logHandler is a JSON handler that moves to another file when it is told of a
// task. To move it needs what was added to it so far.
type logHandler struct {
	logs  *Logs
	json  slog.Handler
	added []func(slog.Handler) slog.Handler
	group bool // within one, "task" is not ours
	task  string
}

func (h *logHandler) Enabled(ctx context.Context, level slog.Level) bool {
	return h.json.Enabled(ctx, level)
}

func (h *logHandler) Handle(ctx context.Context, r slog.Record) error {
	if h.task == "" && !h.group {
		for a := range r.Attrs {
			if task, ok := taskOf(a); ok {
				return h.to(task).Handle(ctx, r)
			}
		}
	}
	return h.json.Handle(ctx, r)
}

func (h *logHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	if len(attrs) == 0 {
		return h
	}
	next := h.with(func(j slog.Handler) slog.Handler { return j.WithAttrs(attrs) })
	for _, a := range attrs {
		if task, ok := taskOf(a); ok && !h.group {
			next.task = task
			next.json = next.to(task)
		}
	}
	return next
}

func (h *logHandler) WithGroup(name string) slog.Handler {
	if name == "" {
		return h
	}
	next := h.with(func(j slog.Handler) slog.Handler { return j.WithGroup(name) })
	next.group = true
	return next
}

func (h *logHandler) with(add func(slog.Handler) slog.Handler) *logHandler {
	next := *h
	next.json = add(h.json)
	next.added = append(slices.Clip(h.added), add)
	return &next
}

// to is the JSON handler of h on the file of a task.
func (h *logHandler) to(task string) slog.Handler {
	json := h.logs.json(task)
	for _, add := range h.added {
		json = add(json)
	}
	return json
}

func taskOf(a slog.Attr) (string, bool) {
	return a.Value.String(), a.Key == "task" && a.Value.Kind() == slog.KindString && a.Value.String() != ""
}

// taskWriter appends lines to one file of the log.
type taskWriter struct {
	logs *Logs
	name string // relative to the log root
}

var _ io.Writer = taskWriter{}

// Write appends a whole line.
func (w taskWriter) Write(line []byte) (int, error) { return w.logs.append(w.name, line) }

// errLogClosed is a record that came after Close.
var errLogClosed = errors.New("the log is closed")
