package module_test

import (
	"testing"

	"perago/engine/module"
)

// BenchmarkLoad is what `perago check` spends on one file, beside starting.
func BenchmarkLoad(b *testing.B) {
	b.Chdir("../..")
	for b.Loop() {
		m, list := module.Load("tasks/features_build.star", nil)
		if m == nil {
			b.Fatal(list)
		}
		module.Lint(m)
	}
}
