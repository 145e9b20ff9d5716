package tasktest

import (
	"maps"
	"slices"
	"strings"

	"perago/engine/module"
)

// Covered are the counts of the statements of one file: of functions of task
// files and of what they load, not of tests.
type Covered struct {
	File       string
	Statements []module.Statement
	Counts     []uint32 // of the same statements
}

// covered takes the counts since it was called before; a file that was loaded
// comes at least once, whether anything of it ran or not.
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
