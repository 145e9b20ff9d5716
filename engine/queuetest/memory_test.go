package queuetest_test

import (
	"testing"
	"testing/synctest"

	"perago/engine/queuetest"
)

func TestMemory(t *testing.T) {
	for _, c := range queuetest.Cases() {
		t.Run(c.Name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				m := queuetest.NewMemory()
				c.Run(t, queuetest.Backend{Queue: m, Leaser: m, Server: m})
			})
		})
	}
}
