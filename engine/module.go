package engine

import (
	"go.starlark.net/starlark"

	"perago/starlib"
	"perago/starlib/diag"
)

// Module is a task file, loaded and frozen: it is safe for any number of
// attempts at once, and none can leave anything behind in it.
type Module struct {
	File string // as it was named
	Task *starlib.Task
	Body *starlark.Function // run

	// Sources holds every file that was read, by the name it has in positions,
	// so that a child process can load the same module without touching a disk.
	Sources map[string][]byte
	Root    string // what "//" in a load means

	// Host are the functions that the program adds to the language (starlib.HostBuiltin).
	Host []starlib.Builtin

	sources *diag.Sources // for the places of what goes wrong in it
	units   []*unit       // its files, what is loaded first
	bounds  starlib.Bounds
}
