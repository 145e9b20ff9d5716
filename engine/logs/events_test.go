package logs_test

import (
	"log/slog"
	"strings"
	"testing"

	"perago/engine/logs"
	"perago/workspace"
	"perago/workspace/publish"
)

// Who looks for a commit in the log finds where it came from.
func TestPublicationsAreLogged(t *testing.T) {
	for _, kind := range []publish.EventKind{publish.EventPublished, publish.EventAdopted, publish.EventLost} {
		var b strings.Builder
		logs.Events(slog.New(slog.NewTextHandler(&b, nil)))(publish.Event{Kind: kind, Ref: workspace.Ref{Commit: "aaa"}, Commit: "mmm"})
		if got := b.String(); !strings.Contains(got, string(kind)) || !strings.Contains(got, "from=aaa to=mmm") {
			t.Errorf("%s: got %q, want its two commits", kind, got)
		}
	}
}
