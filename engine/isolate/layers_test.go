package isolate

import (
	"errors"
	"testing"

	"perago/engine"
)

func TestMissing(t *testing.T) {
	layers := []Layer{{Name: "holds", Active: true}, {Name: "older", Covered: true}, {Name: "gone", Why: "no such call"}}
	if got := Missing(layers); len(got) != 1 || got[0].Name != "gone" {
		t.Errorf("got %v, want only the one that nothing stands in for", got)
	}
}

// Where isolation is required, no body runs in a child that lacks a layer.
func TestRequired(t *testing.T) {
	m := pure(t, "    return {}\n")
	p := intruded(t, "a layer is missing")
	p.required = true
	_, _, err := p.Run(t.Context(), m, silent(t, m, engine.Limits{}))
	var missing *MissingError
	if !errors.As(err, &missing) || missing.Layers[0].Name != "no files (Landlock)" {
		t.Errorf("got %v, want the missing layer", err)
	}
	held := New(Options{Required: true})
	defer held.Close()
	if _, _, err := held.Run(t.Context(), m, silent(t, m, engine.Limits{})); err != nil {
		t.Errorf("with every layer: got %v, want success", err)
	}
}
