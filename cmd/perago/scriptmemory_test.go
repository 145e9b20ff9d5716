//go:build !race

package main

import "testing"

// The race detector takes more memory than a fenced process may have.
func TestScriptsOfMemory(t *testing.T) { runScripts(t, "../../testdata/script/memory") }
