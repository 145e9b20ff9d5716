package storetest

import (
	"testing"

	"perago/workspace/publish"
)

// TestUnfenced holds the publisher to what it promises on a server that runs no
// hooks: s has them switched off.
func TestUnfenced(t *testing.T, s Subject) {
	for level, check := range map[publish.FenceLevel]func(world, *attempt, outcome){
		publish.FenceServer: func(w world, a *attempt, o outcome) {
			w.wants("publish with the fence required", o.err, publish.ErrNoFence)
			w.unpublished()
		},
		publish.FenceAuto: func(w world, a *attempt, o outcome) {
			w.must(o.err)
			m := w.onePublication(o)
			if a.saw(publish.EventUnfenced) != 1 {
				w.t.Errorf("%d unfenced events, want 1", a.saw(publish.EventUnfenced))
			}
			if _, has := m.Metadata["perago.expect"]; has {
				w.t.Error("the merge says perago.expect, want none: nobody would look at it")
			}
		},
	} {
		t.Run(string(level), func(t *testing.T) {
			w := newWorld(t, s)
			a := w.attempt(w.Store, "one", 0)
			a.pub.Level = level
			check(w, a, outcomeOf(a.run(t.Context())))
			w.noDebris()
		})
	}
}
