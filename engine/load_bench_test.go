package engine_test

import (
	"testing"

	"perago/engine"
)

// BenchmarkLoad is what `perago check` spends on one file, beside starting.
func BenchmarkLoad(b *testing.B) {
	b.Chdir("..")
	for b.Loop() {
		m, list := engine.Load("tasks/features_build.star", nil)
		if m == nil {
			b.Fatal(list)
		}
		engine.Lint(m)
	}
}
