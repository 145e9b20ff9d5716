package isolate

import (
	"testing"

	"perago/engine"
)

func TestBodyReturnsItsResult(t *testing.T) {
	p := New(Options{})
	defer p.Close()
	m := pure(t, "    return {\"n\": 1}\n")
	got, usage, err := p.Run(t.Context(), m, silent(t, m, engine.Limits{}))
	if err != nil {
		t.Fatal(err)
	}
	if want := `{"n":1}`; string(got) != want {
		t.Errorf("result: got %s, want %s", got, want)
	}
	if usage.Steps == 0 {
		t.Error("steps: got 0, want some")
	}
	t.Log(usage)
}

func TestLayers(t *testing.T) {
	layers, err := Layers(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range layers {
		t.Log(l)
	}
}
