package e2e

import (
	"encoding/json"
	"io/fs"
	"log/slog"
	"os"
	"strings"
	"testing"

	"perago/engine/logs"
)

func loggerOf(l *logs.Files) *slog.Logger { return slog.New(l.Handler()) }

// wantLogged looks for records with these messages in the files of a worker's log.
func wantLogged(t *testing.T, s *site, messages ...string) {
	t.Helper()
	seen := make(map[string]bool)
	tree := os.DirFS(s.logs)
	err := fs.WalkDir(tree, ".", func(name string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		data, err := fs.ReadFile(tree, name)
		if err != nil {
			return err
		}
		for line := range strings.Lines(string(data)) {
			var record struct{ Time, Msg string }
			if err := json.Unmarshal([]byte(line), &record); err != nil {
				t.Errorf("%s: %v in %s", name, err, line)
			}
			if !strings.HasSuffix(record.Time, "+08:00") {
				t.Errorf("%s: time %s, want one at +08:00", name, record.Time)
			}
			seen[record.Msg] = true
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range messages {
		if !seen[m] {
			t.Errorf("the log lacks %q; it has %v", m, seen)
		}
	}
}
