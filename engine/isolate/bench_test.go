package isolate

import (
	"testing"

	"perago/engine"
	"perago/engine/module"
)

// BenchmarkProcess is one attempt with a child that waits, BenchmarkBackToBack
// one that has to wait for its child, BenchmarkThread one without.
func BenchmarkProcess(b *testing.B) {
	p := New(Options{})
	defer p.Close()
	m := pure(b, "    return {\"n\": 1}\n")
	for b.Loop() {
		b.StopTimer()
		if err := p.Warm(b.Context(), m); err != nil {
			b.Fatal(err)
		}
		b.StartTimer()
		once(b, p, m)
	}
}

func BenchmarkBackToBack(b *testing.B) {
	p := New(Options{})
	defer p.Close()
	m := pure(b, "    return {\"n\": 1}\n")
	for b.Loop() {
		once(b, p, m)
	}
}

func BenchmarkThread(b *testing.B) {
	m := pure(b, "    return {\"n\": 1}\n")
	for b.Loop() {
		once(b, engine.InProcess{}, m)
	}
}

func once(b *testing.B, body engine.Body, m *module.Module) {
	if _, _, err := body.Run(b.Context(), m, silent(b, m, engine.Limits{})); err != nil {
		b.Fatal(err)
	}
}

// BenchmarkSmallFiles is a body that reads 1,000 small files, which are in the cache.
func BenchmarkSmallFiles(b *testing.B) {
	g := newGround(b, numbered(1000))
	m := loaded(b, "task(name = \"t\", workspace = workspace_spec())\n\ndef run(workspace, params):\n    return {\"n\": len([p.read_text() for p in workspace.glob(\"raw/**/*.txt\")])}\n")
	p := New(Options{})
	defer p.Close()
	for b.Loop() {
		res := g.runner(p).Run(b.Context(), m, g.attempt(`{}`), engine.Hooks{})
		if res.Files.ObjectsRead != 1000 {
			b.Fatal(res.Reason)
		}
	}
}
