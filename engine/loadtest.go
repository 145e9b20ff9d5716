package engine

import (
	"go.starlark.net/starlark"

	"perago/starlib/diag"
)

// LoadTest reads a test file of `perago test` and all that it loads, the way
// Load reads a task file: the same language, the same rules. It declares no
// task and has no body; the Module, nil when there is a complaint, is there to
// Diagnose the errors of what it defines.
func LoadTest(file string, o *LoadOptions) (*Module, starlark.StringDict, diag.List) {
	if o == nil {
		o = &LoadOptions{}
	}
	d, problem := openDisk(file, o.Root)
	if problem != nil {
		return nil, nil, diag.List{problem}
	}
	defer d.close()
	main, m, list := loadUnits(file, d.root, d, false)
	if m == nil {
		return nil, nil, list
	}
	return m, main.globals, nil
}
