package main

import (
	"flag"
	"fmt"
	"slices"
	"strings"
	"testing"

	"perago/cmd/perago/compare"
	"perago/workspace"
	"perago/workspace/storage"
)

func TestFlagsFirst(t *testing.T) {
	tests := []struct {
		name string
		args string
		want string
	}{
		{"none", "a.star", "-- a.star"},
		{"before", "--format json a.star", "--format json -- a.star"},
		{"between", "a.star --format json b.star", "--format json -- a.star b.star"},
		{"after", "a.star b.star --format=json", "--format=json -- a.star b.star"},
		{"switch takes no value", "--apply a.star", "--apply -- a.star"},
		{"switch with a value", "a.star --apply=false", "--apply=false -- a.star"},
		{"single dash", "a.star -format json", "-format json -- a.star"},
		{"ended", "--apply -- --format a.star", "--apply -- --format a.star"},
		{"stdin is a file", "- --apply", "--apply -- -"},
		{"value that looks like a flag", "--format --apply a.star", "--format --apply -- a.star"},
		{"attached number", "a.star -j4", "-j=4 -- a.star"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := flagsFirst(testFlags(), strings.Fields(tt.args))
			if err != nil {
				t.Fatal(err)
			}
			if want := strings.Fields(tt.want); !slices.Equal(got, want) {
				t.Errorf("got %q, want %q", got, want)
			}
		})
	}
}

func TestFlagsFirstRefuses(t *testing.T) {
	tests := []struct{ args, want, hint string }{
		{"a.star --fromat json", "unknown flag --fromat", "did you mean --format?"},
		{"a.star -x", "unknown flag -x", ""},
		{"a.star -jx", "unknown flag --jx", ""},
		{"a.star --format", "flag --format wants a value: text or json", ""},
		{"--format -- a.star", "flag --format wants a value: text or json", ""},
	}
	for _, tt := range tests {
		t.Run(tt.args, func(t *testing.T) {
			_, err := flagsFirst(testFlags(), strings.Fields(tt.args))
			if err == nil || err.Error() != tt.want || exitCode(err) != exitUsage {
				t.Fatalf("got %v (exit %d), want %s (exit %d)", err, exitCode(err), tt.want, exitUsage)
			}
			if got := err.(*failure).hint; got != tt.hint {
				t.Errorf("hint: got %q, want %q", got, tt.hint)
			}
		})
	}
}

func testFlags() *flag.FlagSet {
	fs := newFlagSet("test")
	choiceFlag(fs, "format", "text or json", []string{"text", "json"})
	fs.Bool("apply", false, "")
	countFlag(fs, "j", "", 1)
	return fs
}

// TestTellsOfChangesThatWereNotCompared: there is a line of each, and how many.
func TestTellsOfChangesThatWereNotCompared(t *testing.T) {
	var changes []workspace.Change
	for i := range compare.MaxFiles + 5 {
		changes = append(changes, workspace.Change{Op: storage.Deleted, Path: fmt.Sprintf("%03d.txt", i), Size: 4})
	}
	var told lockedBuffer
	(&app{stderr: &told}).tellDiffs(changes, make([]compare.File, compare.MaxFiles))
	if text := told.String(); !strings.Contains(text, "(5 files more not compared: --diff shows the first 100)\n") || !strings.HasSuffix(text, "D  4 B  104.txt\n") {
		t.Errorf("got\n%s", text)
	}
}
