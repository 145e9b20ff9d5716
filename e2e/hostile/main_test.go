// Package hostile runs the tasks of testdata/hostile, which mean no good, on a
// worker. It needs no server.
package hostile

import (
	"os"
	"testing"

	"perago/engine/isolate"
	"perago/engine/tables"
)

// TestMain is the child as well: the tests start themselves again.
func TestMain(m *testing.M) {
	isolate.Main(isolate.TableRole(tables.New())...)
	os.Exit(m.Run())
}
