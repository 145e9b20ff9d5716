package isolate

import (
	"errors"
	"slices"
	"testing"
	"time"

	"perago/engine"
	"perago/engine/module"
)

// A body in a process of its own sees a fixed clock, and its counts come back:
// those of a body that fails, too.
func TestCountsAndClock(t *testing.T) {
	processes := New(Options{})
	defer processes.Close()
	for _, tt := range []struct {
		body, want string
		counts     []uint32
	}{
		{"    now = time.now()\n    if now.year == 0:\n        pass\n    return {\"now\": str(now)}\n", `{"now":"2026-01-31T00:00:00Z"}`, []uint32{1, 1, 0, 1}},
		{"    for i in range(3):\n        i / (2 - i)\n    return {}\n", "", []uint32{1, 3, 0}},
	} {
		m, problems := module.Again("t.star", map[string][]byte{"t.star": []byte("task(name = \"t\")\n\ndef run(params):\n" + tt.body)}, module.Options{Root: ".", Cover: true})
		if m == nil {
			t.Fatal(problems)
		}
		call := silent(t, m, engine.Limits{Wall: time.Minute})
		call.Now = time.Date(2026, 1, 31, 0, 0, 0, 0, time.UTC)
		for name, body := range map[string]engine.Body{"in a process": processes, "in a thread": engine.InProcess{}} {
			got, _, err := body.Run(t.Context(), m, call)
			if string(got) != tt.want || (err == nil) != (tt.want != "") {
				t.Errorf("%s: got %s, %v, want %s", name, got, err, tt.want)
			}
			if counts := m.Coverage().Take(); !slices.Equal(counts, tt.counts) {
				t.Errorf("%s: got counts %v, want %v", name, counts, tt.counts)
			}
		}
	}
}

// Counts that do not fit the module end the run.
func TestCountsOfAnotherModule(t *testing.T) {
	m, problems := module.Again("t.star", map[string][]byte{"t.star": []byte("task(name = \"t\")\n\ndef run(params):\n    return {}\n")}, module.Options{Root: ".", Cover: true})
	if m == nil {
		t.Fatal(problems)
	}
	for _, payload := range []string{"", "abc", "12345678"} {
		if err := addCounts(m.Coverage(), []byte(payload)); !errors.Is(err, errProtocol) {
			t.Errorf("%q: got %v, want a broken protocol", payload, err)
		}
	}
	if err := addCounts(m.Coverage(), []byte{2, 1, 0, 0}); err != nil || !slices.Equal(m.Coverage().Take(), []uint32{258}) {
		t.Errorf("one count: %v", err)
	}
}
