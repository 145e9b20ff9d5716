package starlib

import (
	"slices"
	"strings"
	"sync"

	"go.starlark.net/starlark"
)

// Table is every builtin of the language, declarations included, in the order
// of the reference: what stands alone, then the modules, then the values, then
// what the program that embeds perago adds (HostBuiltin).
func Table(host ...Builtin) []Builtin {
	return slices.Concat(
		declarationBuiltins(),
		universeBuiltins(),
		numberBuiltins(),
		groupingBuiltins(),
		buildingBuiltins(),
		outcomeBuiltins(),
		logBuiltins(),
		jsonBuiltins(),
		csvBuiltins(),
		reBuiltins(),
		hashBuiltins(),
		base64Builtins(),
		mathBuiltins(),
		moreMathBuiltins(),
		statsBuiltins(),
		randomBuiltins(),
		textBuiltins(),
		timeBuiltins(),
		pathBuiltins(),
		fileBuiltins(),
		patternBuiltins(),
		matchBuiltins(),
		valueMethods(),
		instantBuiltins(),
		durationBuiltins(),
		generatorMethods(),
		host,
	)
}

// raiseCompareLimit lets == work on whatever json.decode gives back; the
// interpreter's own bound of 10 is below ordinary JSON. The bound is a variable
// of the interpreter, which it reads at every comparison. The one write is safe
// because every script's names come from Predeclared: it happens before any
// script of this program can compare, and Once lets it happen no second time.
var raiseCompareLimit = sync.OnceFunc(func() { starlark.CompareLimit = maxDepth + 1 })

// Predeclared is what a task file can name without defining it, beyond what the
// interpreter brings. The map and the modules in it are fresh at each call, so
// nothing is shared between two modules. host are rows of HostBuiltin.
func Predeclared(host ...Builtin) starlark.StringDict {
	raiseCompareLimit()
	names := make(starlark.StringDict)
	table := Table(host...)
	for i := range table {
		row := &table[i]
		if row.Method || row.call == nil {
			continue
		}
		dict, name := names, row.Name
		if mod, member, ok := strings.Cut(row.Name, "."); ok {
			if names[mod] == nil {
				names[mod] = &module{name: mod, members: make(starlark.StringDict)}
			}
			dict, name = names[mod].(*module).members, member
		}
		dict[name] = row.bound()
	}
	return names
}

// bound is the value of a row that is no method.
func (b *Builtin) bound() starlark.Value {
	if !b.Property {
		return b.value(nil)
	}
	v, err := b.call(&call{builtin: b})
	if err != nil { // a constant has no way to fail
		panic("starlib: " + b.Name + ": " + err.Error())
	}
	return v
}
