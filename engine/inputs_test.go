package engine_test

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"perago/engine"
	"perago/engine/module"
	"perago/engine/queue"
)

// TestWrongInputs holds every wrong input of testdata/input against its golden
// diagnostics. The task is that of the first word of the file's name. Nothing
// but the input is there: no store, no root, no body.
func TestWrongInputs(t *testing.T) {
	t.Chdir("../testdata/input")
	files, err := filepath.Glob("*.json")
	if err != nil || len(files) < 60 {
		t.Fatalf("got %d wrong inputs (%v), want at least 60", len(files), err)
	}
	modules := map[string]*module.Module{}
	for _, file := range files {
		name := strings.TrimSuffix(file, ".json")
		t.Run(name, func(t *testing.T) {
			task, _, _ := strings.Cut(name, "-")
			if modules[task] == nil {
				m, list := module.Load(task+".star", nil)
				if m == nil {
					t.Fatal(list)
				}
				modules[task] = m
			}
			raw, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			runner := &engine.Runner{Body: engine.InProcess{}}
			result := runner.Run(context.Background(), modules[task], queue.Attempt{Task: task, Input: raw}, engine.Hooks{})
			if result.Status != queue.FailedTerminal {
				t.Fatalf("got %s, want %s: a retry gets the same input", result.Status, queue.FailedTerminal)
			}
			if len(result.Diagnostics) == 0 {
				t.Fatal("nothing is wrong with it")
			}
			checkShape(t, result.Diagnostics)
			for _, d := range result.Diagnostics {
				if strings.Contains(d.Line1(), "hunter2") {
					t.Errorf("a secret is told: %s", d.Line1())
				}
				if len([]rune(d.Message)) > 300 {
					t.Errorf("the message has %d characters", len([]rune(d.Message)))
				}
			}
			golden(t, name+".golden", result.Diagnostics)
		})
	}
}
