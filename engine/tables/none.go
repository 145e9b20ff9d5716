//go:build !cgo

package tables

import "perago/engine/isolate"

// New makes an engine; nil where perago was built without cgo, and so without
// tables.
func New() isolate.TableEngine { return nil }

// Version is that of DuckDB, "" where there is none.
func Version() string { return "" }
