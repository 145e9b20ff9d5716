package logs

import (
	"context"
	"log/slog"
	"time"

	"perago/engine/queue"
	"perago/workspace/publish"
)

// Events is a Publisher's Events: it logs each step of a publication.
func Events(log *slog.Logger) func(publish.Event) {
	return func(e publish.Event) { logEvent(log, e) }
}

func logEvent(log *slog.Logger, e publish.Event) {
	level := slog.LevelInfo
	switch e.Kind {
	case publish.EventBranched, publish.EventMerging:
		level = slog.LevelDebug
	case publish.EventUnfenced, publish.EventLeft, publish.EventUnrecorded:
		level = slog.LevelWarn
	case publish.EventLost:
		level = slog.LevelError
	}
	attempt := queue.Attempt{Task: e.Task.Name, WorkflowID: e.Task.WorkflowID, TaskID: e.Task.TaskID, Retry: e.Task.Retry}
	attrs := append(attempt.LogAttrs(), "repository", e.Ref.Repository, "branch", e.Ref.Branch, "staging", e.Branch)
	if e.Kind == publish.EventStaged {
		attrs = append(attrs, "commit", e.Commit, "puts", e.Puts, "copies", e.Copies, "deletes", e.Drops, "bytes", e.Bytes)
	}
	switch e.Kind {
	case publish.EventPublished, publish.EventAdopted, publish.EventLost, publish.EventRebased:
		attrs = append(attrs, "from", e.Ref.Commit, "to", e.Commit)
	}
	if e.Took > 0 {
		attrs = append(attrs, "ms", Milliseconds(e.Took))
	}
	if e.Err != nil {
		attrs = append(attrs, "error", e.Err.Error())
	}
	log.Log(context.Background(), level, string(e.Kind), attrs...)
}

// Milliseconds is how times are written to the log, to the microsecond.
func Milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
