//go:build !race

// What noteStuck does is a race by the letter, and says so.

package engine

import (
	"os"
	"path/filepath"
	"testing"
	"time"

	"go.starlark.net/starlark"

	"perago/engine/module"
	"perago/starlib"
)

func loadSource(t *testing.T, source string) *module.Module {
	t.Helper()
	file := filepath.Join(t.TempDir(), "t.star")
	if err := os.WriteFile(file, []byte(source), 0o600); err != nil {
		t.Fatal(err)
	}
	m, problems := module.Load(file, nil)
	if m == nil {
		t.Fatal(problems)
	}
	return m
}

// A body that is alone in its process is told of: every builtin, its peak, the
// limit that it passed, and where it was stuck.
func TestDedicatedProcessIsWatched(t *testing.T) {
	m := loadSource(t, "task(name = \"t\")\n\ndef run(params):\n    kept = []\n    for i in range(1 << 40):\n        kept.append(\"x\" * 100000 + str(i))\n    return {}\n")
	params, problems := m.Task.CheckParams([]byte(`{}`))
	if len(problems) > 0 {
		t.Fatal(problems)
	}
	var entered []string
	var peak int64
	passed := make(chan *LimitError, 2)
	dedicated := &Dedicated{Enter: func(builtin string, _ starlib.Position) { entered = append(entered, builtin) },
		Passed: func(e *LimitError) { passed <- e }, Stuck: func(starlib.Position) {}, Peak: func(n int64) { peak = max(peak, n) }}
	var warned []string
	_, usage, err := InProcess{Dedicated: dedicated}.Run(t.Context(), m, Call{Params: params, Limits: Limits{Memory: 32 << 20, Wall: time.Minute},
		Log: func(r starlib.Record) { warned = append(warned, r.Message) }})
	if err == nil {
		t.Fatal("got a result, want the limit of memory")
	}
	if e := <-passed; e.Code != "P4003" || len(passed) > 0 {
		t.Errorf("passed %v, and %d more; want memory alone", e, len(passed))
	}
	if usage.PeakBytes < 32<<20 || usage.PeakBytes != peak || peak > 128<<20 {
		t.Errorf("peak: usage says %d, told %d; want more than the limit, and not much", usage.PeakBytes, peak)
	}
	if len(entered) < 2 || entered[0] != "range" || entered[1] != "str" {
		t.Errorf("entered %.3q, want range, str", entered)
	}
	if len(warned) == 0 || warned[0] != "half of the limit of memory is used" {
		t.Errorf("warned %q, want it at half of the memory", warned)
	}
}

// A body that does not stop is noted where it is.
func TestStuckIsNoted(t *testing.T) {
	m := loadSource(t, "task(name = \"t\")\n\ndef run(params):\n    return {}\n")
	thread := &starlark.Thread{}
	at := make(chan starlib.Position, 1)
	lim, ctx, release := limit(t.Context(), thread, m, placeOf(m.Body), Call{Limits: Limits{Wall: time.Millisecond}, Log: func(starlib.Record) {}},
		&Dedicated{Enter: func(string, starlib.Position) {}, Passed: func(*LimitError) {}, Peak: func(int64) {},
			Stuck: func(p starlib.Position) { at <- p }})
	hang := starlark.NewBuiltin("hang", func(*starlark.Thread, *starlark.Builtin, starlark.Tuple, []starlark.Tuple) (starlark.Value, error) {
		<-ctx.Done()
		got := <-at
		if got.Line != 1 || got.File != "stuck.star" {
			t.Errorf("stuck at %v, want stuck.star:1", got)
		}
		return starlark.None, nil
	})
	starlark.ExecFile(thread, "stuck.star", "hang()", starlark.StringDict{"hang": hang})
	release()
	if lim.passed.Load() == nil && ctx.Err() == nil {
		t.Error("the limit was not passed")
	}
}
