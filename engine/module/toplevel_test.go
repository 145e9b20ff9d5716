package module

import (
	"testing"
	"testing/synctest"
	"time"

	"go.starlark.net/starlark"
)

// A top level that is stuck in one operation is given up on.
func TestTopLevelStuck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		release := make(chan struct{})
		thread := &starlark.Thread{}
		top := topLevel{thread: thread}
		start := time.Now()
		_, err := top.run(func() (starlark.StringDict, error) {
			<-release
			return nil, nil
		})
		close(release)
		if err == nil || top.passed == nil || top.passed.Code != "P1502" {
			t.Errorf("got %v, want it given up", err)
		}
		if took := time.Since(start); took < loadWall+loadGrace || took > loadWall+2*loadGrace {
			t.Errorf("took %v, want a little over %v", took, loadWall+loadGrace)
		}
	})
}

// A panic in a top level is its caller's.
func TestTopLevelPanics(t *testing.T) {
	defer func() {
		if v := recover(); v != "oh" {
			t.Errorf("recovered %v, want the panic of the top level", v)
		}
	}()
	top := topLevel{thread: &starlark.Thread{}}
	top.run(func() (starlark.StringDict, error) { panic("oh") })
	t.Error("no panic")
}
