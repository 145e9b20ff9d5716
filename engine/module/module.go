// Package module makes a Module of a task file and all that it loads: parsed,
// checked, run once at the top level, and frozen. It also has what follows from a
// Module alone: its TaskDef, and the complaints of lint.
package module

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"

	"go.starlark.net/starlark"
	"go.starlark.net/syntax"

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

	sources  *diag.Sources // for the places of what goes wrong in it
	units    []*unit       // its files, what is loaded first
	bounds   starlib.Bounds
	coverage *Coverage
}

// Coverage counts the statements that ran; nil when it was not asked for.
func (m *Module) Coverage() *Coverage { return m.coverage }

// Bounds are those of the values that the code of the module makes.
func (m *Module) Bounds() *starlib.Bounds { return &m.bounds }

// Digest stands for the text of all files of the module: hex. Where the root lies
// does not matter.
func (m *Module) Digest() string {
	sum := sha256.New()
	for _, name := range slices.Sorted(maps.Keys(m.Sources)) {
		below := strings.TrimPrefix(name, m.Root)
		if name == m.File {
			below = "" // by what name it was called does not matter either
		}
		fmt.Fprintf(sum, "%d %s%d %s", len(below), below, len(m.Sources[name]), m.Sources[name])
	}
	return hex.EncodeToString(sum.Sum(nil))
}

// Doc is the docstring at the top of the file, "" when there is none.
func (m *Module) Doc() string {
	tree := m.sources.Trees[m.File]
	if tree == nil || len(tree.Stmts) == 0 {
		return ""
	}
	if stmt, ok := tree.Stmts[0].(*syntax.ExprStmt); ok {
		if lit, ok := stmt.X.(*syntax.Literal); ok {
			doc, _ := lit.Value.(string)
			return doc
		}
	}
	return ""
}

// parameters gives the order of a builtin's parameters from the table, which is
// made at the first question.
func parameters(host []starlib.Builtin) func(builtin string) []string {
	rows := sync.OnceValue(func() map[string][]string {
		index := map[string][]string{}
		for _, b := range starlib.Table(host...) {
			var names []string
			for _, p := range b.Params {
				names = append(names, p.Name)
			}
			index[b.Name] = names
			if dot := strings.LastIndexByte(b.Name, '.'); dot >= 0 {
				index[b.Name[dot+1:]] = names
			}
		}
		return index
	})
	return func(builtin string) []string { return rows()[builtin] }
}

// Diagnose turns an error of the module's body, or of loading it, into
// Diagnostics at the places where its author can mend them.
func (m *Module) Diagnose(err error) diag.List {
	list := diag.FromError(err, m.sources)
	var fail *starlib.FailError
	if errors.As(err, &fail) && len(list) == 1 {
		d := list[0]
		d.Code, d.Message, d.Hint = "P4160", fail.Message, ""
		if fail.Terminal {
			d.Code = "P4161"
		}
	}
	return list
}

// Locate fills in the source lines of diagnostics that have a place.
func (m *Module) Locate(list diag.List) diag.List {
	if m.sources == nil {
		return list // a module that no file was loaded for
	}
	return m.sources.Locate(list)
}
