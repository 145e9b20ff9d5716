// Package perago is the face of the runtime for Go programs that embed it: load
// a task file, run one attempt of it here, or serve attempts from a queue of
// one's own.
//
//	func main() {
//		perago.Main() // first, always: bodies run in processes that are this program again
//		task, err := perago.Load("count.star", nil)
//		...
//		result, err := task.Run(ctx, map[string]any{"min_rows": 3}, &perago.RunOptions{Folder: "data"})
//	}
//
// It is thin: all that it does is done by the packages below it, the ones that
// the command perago is made of. docs/embedding.md has a whole program.
package perago

import (
	"encoding/json"
	"slices"
	"strings"

	"perago/engine/isolate"
	"perago/engine/module"
	"perago/starlib/diag"
)

// Main has to be called first in main, and in TestMain of tests that run tasks.
// A body runs in a process of its own, which is this program started again; there
// Main runs the body and does not return. In any other process it does nothing
// but note that it was called: Run and Worker.Run refuse to start such processes
// where it was not, as each of them would run the whole of main once more.
//
// With the engine of statements, perago.Main(tables.New()) of the package
// perago/engine/tables, tasks can call sql: each statement runs in such a process
// too, in every Mode. It is C++ behind cgo, and makes a program 59 MB larger.
func Main(engine ...TableEngine) {
	var roles []isolate.Role
	for _, e := range engine {
		roles = append(roles, isolate.TableRole(e)...)
	}
	isolate.Main(roles...)
}

// TableEngine is what tables.New gives.
type TableEngine = isolate.TableEngine

// Task is a task file, loaded. It is never changed, and safe for concurrent use.
type Task struct {
	// Name is what the file declares.
	Name string

	module *module.Module
}

// LoadOptions of Load; nil is the zero value.
type LoadOptions struct {
	// Root is the folder that `//` in a load means and that no load may leave; ""
	// is the current directory when the file is inside of it, else the file's folder.
	Root string
	// Builtins are functions of this program that the file may call.
	Builtins []Builtin
}

// Load reads a task file and all that it loads, and runs their top levels. What
// is wrong with any of them is in the *Error.
func Load(file string, o *LoadOptions) (*Task, error) {
	if o == nil {
		o = &LoadOptions{}
	}
	host, err := rows(o.Builtins)
	if err != nil {
		return nil, err
	}
	m, list := module.Load(file, &module.Options{Root: o.Root, Host: host})
	if m == nil || len(list) > 0 {
		return nil, &Error{Diagnostics: list}
	}
	return &Task{Name: m.Task.Name, module: m}, nil
}

// TaskDef is what Conductor is told of the task, as indented JSON.
func (t *Task) TaskDef() (json.RawMessage, error) {
	def, err := module.TaskDef(t.module.Task)
	if err != nil {
		return nil, &Error{Diagnostics: t.module.Diagnose(err)}
	}
	return def, nil
}

// Lint is what `perago check` says of a file that loads: errors are what cannot
// but fail when it runs, warnings what is most likely not meant.
func (t *Task) Lint() []*Diagnostic { return module.Lint(t.module) }

// Diagnostic is one complaint about a task file, its input or its run, with the
// place, what was found, what was wanted, and what to do.
type Diagnostic = diag.Diagnostic

// Error is a file that does not load, or an attempt that did not complete.
type Error struct {
	Status      Status // of the attempt; "" when there was none
	Diagnostics []*Diagnostic
}

// Error is one complaint a line.
func (e *Error) Error() string { return diag.List(e.Diagnostics).Error() }

// Detail is the whole story: source lines, hints and stacks included.
func (e *Error) Detail() string {
	var b strings.Builder
	diag.WriteText(&b, slices.Clone(e.Diagnostics), diag.TextOptions{})
	return b.String()
}
