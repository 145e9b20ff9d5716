package engine

import (
	"go.starlark.net/starlark"

	"perago/starlib/diag"
)

const codeNoTask diag.Code = "P1501" // the file declares no task

// LoadAny reads a file as `perago check` looks at it: as a task file, or, when it
// neither calls task nor defines run, as a library that others load. The Task of
// a library's Module is nil.
func LoadAny(file string, o *LoadOptions) (*Module, diag.List) {
	m, list := Load(file, o)
	if m != nil || len(list) != 1 || list[0].Code != codeNoTask {
		return m, list
	}
	library, globals, problems := LoadTest(file, o)
	if library == nil {
		return nil, problems
	}
	if globals.Has("run") || len(globals) == 0 {
		return nil, list // a task file that forgot its declaration, or has nothing yet
	}
	return library, nil
}

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
