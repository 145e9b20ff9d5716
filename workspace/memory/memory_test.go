package memory_test

import (
	"fmt"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"perago/workspace/memory"
	"perago/workspace/storetest"
)

func subject(o *memory.Options) storetest.Subject {
	s := memory.New(o)
	var n atomic.Int64
	return storetest.Subject{
		Store: s,
		NewRepository: func(*testing.T) string {
			name := fmt.Sprintf("songs-%d", n.Add(1))
			s.CreateRepository(name)
			return name
		},
		Protect: func(_ *testing.T, repo, branch string) { s.Protect(repo, branch) },
		Bubble:  synctest.Test,
	}
}

func TestStore(t *testing.T) { storetest.TestStore(t, subject(nil)) }

func TestPublication(t *testing.T) { storetest.TestPublication(t, subject(nil)) }

func TestUnfenced(t *testing.T) {
	storetest.TestUnfenced(t, subject(&memory.Options{NoActions: true}))
}
