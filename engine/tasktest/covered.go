package tasktest

import (
	"maps"
	"slices"
	"strings"

	"perago/engine/module"
)

// Covered are the counts of the statements of one file: a task file, or one that a
// task file loads, not a test file.
type Covered struct {
	File       string
	Statements []module.Statement
	Counts     []uint32 // of the same statements
}

// covered returns the counts since its last call. Each file that was loaded is
// returned at least once, also if nothing of it ran.
func (s *suite) covered() []Covered {
	if !s.o.Cover {
		return nil
	}
	var list []Covered
	for _, m := range append([]*module.Module{s.module}, slices.Collect(maps.Values(s.tasks))...) {
		counts := m.Coverage().Take()
		for _, f := range m.Coverage().Files {
			own := counts[:len(f.Statements)]
			counts = counts[len(own):]
			if strings.HasSuffix(f.Name, Suffix) {
				continue
			}
			ran := slices.ContainsFunc(own, func(n uint32) bool { return n > 0 })
			if ran || !s.known[f.Name] {
				s.known[f.Name] = true
				list = append(list, Covered{File: f.Name, Statements: f.Statements, Counts: own})
			}
		}
	}
	return list
}
