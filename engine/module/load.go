package module

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"path"
	"slices"
	"strings"

	"go.starlark.net/resolve"
	"go.starlark.net/starlark"
	"go.starlark.net/syntax"

	"perago/starlib"
	"perago/starlib/diag"
)

// load.go makes a Module of a task file in three passes: read and parse the
// file and all that it loads, so that the errors of all files come at once; run
// the top levels, what is loaded first; and hold the declaration against `run`.

const (
	// loadSteps bounds the top level of one file, in steps of the interpreter: a
	// fraction of a second.
	loadSteps = 10_000_000

	// maxUnknown is how many undefined names of one file are looked at.
	maxUnknown = 100

	// maxFiles bounds what one task file may load, itself included.
	maxFiles = 500
)

// Options of Load. nil is the zero value.
type Options struct {
	// Root is the folder that `//` in a load means and that no load may leave. ""
	// is the current directory when the file is inside it, else the file's folder.
	Root string
	// Host are functions that the program adds to the language (starlib.HostBuiltin).
	Host []starlib.Builtin
	// Cover counts which statements run (Module.Coverage).
	Cover bool
	// Texts stand for what files hold, by the names that positions give them; a
	// file must be there all the same.
	Texts map[string][]byte
}

// Load reads a task file and all that it loads, and runs their top levels. The
// list holds the errors of all files, the file's own first; the module is nil
// when there is one.
func Load(file string, o *Options) (*Module, diag.List) {
	if o == nil {
		o = &Options{}
	}
	d, problem := openDisk(file, o.Root)
	if problem != nil {
		return nil, diag.List{problem}
	}
	defer d.close()
	d.texts = o.Texts
	_, m, list := loadUnits(file, d, taskFile, Options{Root: d.root, Host: o.Host, Cover: o.Cover})
	return m, list
}

// Again makes the same module again from Module.File, Sources, and Root and Host as
// options, without touching a disk.
func Again(file string, sources map[string][]byte, o Options) (*Module, diag.List) {
	_, m, list := loadUnits(file, inMemory(sources), taskFile, o)
	return m, list
}

// role is what a file is loaded as.
type role int

const (
	taskFile role = iota // declares a task, and has a body
	library              // does neither
	testFile             // neither, but may load the functions of task files
)

// reader gives the text of a file by the name it has in positions.
type reader interface {
	// read returns the text of a file. asked is how a load statement names it, ""
	// for the task file itself. The Problem needs no place.
	read(name, asked string) ([]byte, *diag.Problem)
}

// unit is one file of a module.
type unit struct {
	name    string
	tree    *syntax.File // nil when it did not parse
	program *starlark.Program
	globals starlark.StringDict
	loads   map[string]*unit // by what the load statement says
	asked   []diag.Frame     // the load statements that led here, outermost first
	open    bool             // its loads are being followed
}

type loader struct {
	module  *Module
	read    reader
	as      role // of the file that is loaded first
	sources *diag.Sources
	names   starlark.StringDict // what the source can name
	bounded starlark.StringDict // the same and what the bounds need
	units   map[string]*unit
	met     []string // names of the units, in the order in which they were met
	order   []*unit  // what is loaded stands before what loads it
	found   diag.List
}

// loadUnits does the three passes.
func loadUnits(file string, r reader, as role, o Options) (main *unit, m *Module, list diag.List) {
	l := &loader{read: r, as: as, names: starlib.Predeclared(o.Host...), units: map[string]*unit{},
		sources: &diag.Sources{Text: map[string][]byte{}, Trees: map[string]*syntax.File{}, Parameters: parameters(o.Host)}}
	l.module = &Module{File: file, Root: o.Root, Sources: l.sources.Text, Host: o.Host, sources: l.sources}
	l.bounded = maps.Clone(l.names)
	if o.Cover {
		l.module.coverage = &Coverage{}
		l.bounded[countName] = l.module.coverage.builtin()
	}
	l.module.bounds.Predeclare(l.bounded)
	l.module.bounds.SetMost(loadMemory / 2)
	defer l.module.bounds.SetMost(0) // a body has a bound of its own
	l.sources.Names = append(l.names.Keys(), starlark.Universe.Keys()...)
	defer func() {
		if v := recover(); v != nil {
			m, list = nil, diag.List{{Code: "P4999", Severity: diag.Error, File: file,
				Message: fmt.Sprintf("perago itself failed on this file: %v", v), Hint: "please report it, with the file"}}
		}
	}()
	text, problem := r.read(file, "")
	if problem != nil {
		d := problem.Diagnostic()
		d.File = file
		return nil, nil, diag.List{d}
	}
	main = l.enter(file, text, nil)
	if len(l.found) > 0 {
		return nil, nil, l.sorted()
	}
	if o.Cover {
		l.module.coverage.begin()
	}
	for _, u := range l.order {
		if list := l.run(u, u == main); len(list) > 0 {
			return nil, nil, list
		}
	}
	if as != taskFile {
		return main, l.module, nil
	}
	if list := l.body(main); len(list) > 0 {
		return nil, nil, list
	}
	return main, l.module, nil
}

// sorted is what was found, file by file in the order in which they were met.
func (l *loader) sorted() diag.List {
	turn := map[string]int{}
	for i, name := range l.met {
		turn[name] = i
	}
	slices.SortStableFunc(l.found, func(a, b *diag.Diagnostic) int {
		return cmp.Or(turn[a.File]-turn[b.File], a.Line-b.Line, a.Column-b.Column)
	})
	return l.found
}

// dialect is the one dialect: sets are on; while, recursion, if and for at the
// top level, and a second binding of a global are off.
func dialect() *syntax.FileOptions { return &syntax.FileOptions{Set: true} }

// enter parses and resolves a file and follows its loads. Errors go to found in
// the order in which the files were met.
func (l *loader) enter(name string, text []byte, asked []diag.Frame) *unit {
	u := &unit{name: name, loads: map[string]*unit{}, asked: asked, open: true}
	l.units[name] = u
	l.met = append(l.met, name)
	l.sources.Text[name] = text
	defer func() { u.open = false; l.order = append(l.order, u) }()
	if d := l.sources.CheckSource(name); d != nil {
		l.found = append(l.found, d)
		return u
	}
	tree, err := dialect().Parse(name, text, syntax.RetainComments)
	if err != nil {
		l.found = append(l.found, diag.FromError(err, l.sources)...)
		return u
	}
	u.tree = tree
	l.sources.Trees[name] = tree
	if u.program, err = l.compile(tree, name, text); err != nil {
		var resolved resolve.ErrorList
		var problem *diag.Problem
		if !errors.As(err, &resolved) && !errors.As(err, &problem) {
			panic(err)
		}
		for _, d := range diag.FromError(err, l.sources) {
			d.File = cmp.Or(d.File, name)
			l.found = append(l.found, d)
		}
	}
	for _, stmt := range tree.Stmts {
		if stmt, ok := stmt.(*syntax.LoadStmt); ok {
			l.follow(u, stmt)
		}
	}
	return u
}

// compile resolves tree, which stays as it was written, and compiles the same
// text with the bounds of operators in it.
func (l *loader) compile(tree *syntax.File, name string, text []byte) (*starlark.Program, error) {
	if err := resolve.File(tree, l.known(), starlark.Universe.Has); err != nil {
		return nil, err
	}
	bounded, err := dialect().Parse(name, text, 0)
	if err != nil {
		return nil, err
	}
	l.module.bounds.Rewrite(bounded)
	if c := l.module.coverage; c != nil {
		if err := c.instrument(name, bounded); err != nil {
			return nil, err
		}
	}
	return starlark.FileProgram(bounded, l.bounded.Has)
}

// known tells the resolver which names exist. To suggest a spelling, the resolver
// compares each unknown name with all known ones, which takes minutes for a large
// file of nonsense. So after maxUnknown such names every name counts as known: by
// then the file has its errors, and is not run.
func (l *loader) known() func(string) bool {
	unknown := 0
	return func(name string) bool {
		if l.names.Has(name) || unknown > maxUnknown {
			return true
		}
		if !starlark.Universe.Has(name) {
			unknown++
		}
		return false
	}
}

// follow does one load statement, as far as it can be done without running it.
func (l *loader) follow(u *unit, stmt *syntax.LoadStmt) {
	asked := stmt.ModuleName()
	at := stmt.Module.TokenPos
	refuse := func(p *diag.Problem) { l.found = append(l.found, l.sources.At(at, p)) }
	name, problem := loadName(u.name, l.module.Root, asked)
	if problem != nil {
		refuse(problem)
		return
	}
	v, ok := l.units[name]
	switch {
	case ok && v.open:
		refuse(cycle(u, v, name))
		return
	case !ok && len(l.units) >= maxFiles:
		refuse(&diag.Problem{Code: "P1408", Message: "too many files are loaded", Wanted: fmt.Sprintf("at most %d", maxFiles)})
		return
	case !ok:
		text, problem := l.read.read(name, asked)
		if problem != nil {
			refuse(problem)
			return
		}
		frame := diag.Frame{File: u.name, Line: int(at.Line), Column: int(at.Col), Function: "load"}
		v = l.enter(name, text, append(u.asked[:len(u.asked):len(u.asked)], frame))
	}
	u.loads[asked] = v
	l.symbols(v, stmt)
}

// cycle is the complaint about a load cycle, with the chain of its files.
func cycle(from, to *unit, name string) *diag.Problem {
	chain := []string{}
	for _, f := range from.asked {
		if f.File == to.name || len(chain) > 0 {
			chain = append(chain, f.File)
		}
	}
	chain = append(chain, from.name, name)
	return &diag.Problem{Code: "P1407", Message: "the files load each other in a circle: " + strings.Join(chain, " -> "),
		Hint: "move what both need into a third file"}
}

// symbols checks that a file defines the names that a load statement wants of it.
func (l *loader) symbols(v *unit, stmt *syntax.LoadStmt) {
	if v.tree == nil {
		return
	}
	module := v.tree.Module.(*resolve.Module)
	var names []string
	has := map[string]bool{}
	for _, g := range module.Globals {
		has[g.First.Name] = true
		if !strings.HasPrefix(g.First.Name, "_") {
			names = append(names, g.First.Name)
		}
	}
	for _, from := range stmt.From {
		if has[from.Name] || strings.HasPrefix(from.Name, "_") || from.Name == "" {
			continue
		}
		p := &diag.Problem{Code: "P1403", Message: fmt.Sprintf("%s defines no `%s`", v.name, from.Name)}
		switch {
		case loadsName(v.tree, from.Name):
			p.Hint = "it is loaded there, not defined: load it from where it is defined"
		case l.names.Has(from.Name) || starlark.Universe.Has(from.Name):
			p.Hint = "`" + from.Name + "` needs no load: it is always there"
		default:
			p.Hint = diag.DidYouMean(from.Name, names, diag.Backquote)
		}
		l.found = append(l.found, l.sources.At(from.NamePos, p))
	}
}

func loadsName(tree *syntax.File, name string) bool {
	for _, stmt := range tree.Stmts {
		if load, ok := stmt.(*syntax.LoadStmt); ok {
			for _, to := range load.To {
				if to.Name == name {
					return true
				}
			}
		}
	}
	return false
}

// loadName is the name in positions of what a load statement asks for.
func loadName(from, root, asked string) (string, *diag.Problem) {
	refuse := func(message, hint string) (string, *diag.Problem) {
		return "", &diag.Problem{Code: "P1401", Message: message, Hint: hint}
	}
	rest, rooted := strings.CutPrefix(asked, "//")
	switch {
	case asked == "" || rooted && rest == "":
		return refuse("the file to load is not named", "write `load(\"lib/names.star\", \"name\")`")
	case strings.ContainsRune(asked, '\\'):
		return refuse("a path to load has `/` between its parts, not `\\`", "write `"+strings.ReplaceAll(asked, "\\", "/")+"`")
	case strings.ContainsRune(asked, 0):
		return refuse("a path to load holds a NUL", "")
	case strings.HasPrefix(asked, "@"):
		return refuse("a file of another repository cannot be loaded", "copy it below the root, and load it by its path")
	case rooted && strings.HasPrefix(rest, "/"), !rooted && strings.HasPrefix(asked, "/"):
		return refuse("an absolute path cannot be loaded", "write a path relative to this file, or `//` for the root")
	case strings.HasSuffix(asked, "/"):
		return refuse("a folder cannot be loaded", "name a file: `"+asked+"names.star`")
	case slices.ContainsFunc(strings.Split(asked, "/"), hiddenName):
		return refuse("a name that starts with a dot cannot be loaded", "files of that kind hold settings and credentials: move what is needed to a *.star file")
	case !strings.HasSuffix(asked, ".star"):
		return refuse("only a *.star file can be loaded", "write `"+asked+".star`, or move what is needed to such a file")
	case rooted:
		return path.Join(root, rest), nil
	}
	return path.Join(path.Dir(from), asked), nil
}

// hiddenName says whether a part of a path starts with a dot and is neither . nor
// .. itself.
func hiddenName(part string) bool {
	return strings.HasPrefix(part, ".") && part != "." && part != ".."
}

const codeNoTask diag.Code = "P1501" // the file declares no task

// LoadAny reads a file as `perago check` looks at it: as a task file, or, when it
// neither calls task nor defines run, as a library that others load. The Task of
// a library's Module is nil.
func LoadAny(file string, o *Options) (*Module, diag.List) {
	m, list := Load(file, o)
	if m != nil || len(list) != 1 || list[0].Code != codeNoTask {
		return m, list
	}
	m, globals, problems := loadOther(file, library, o)
	if m == nil {
		return nil, problems
	}
	if globals.Has("run") || len(globals) == 0 {
		return nil, list // a task file that forgot its declaration, or has nothing yet
	}
	return m, nil
}

// LoadTest reads a test file of `perago test` and all that it loads, the way
// Load reads a task file: the same language, the same rules, but that it may load
// the functions of task files. It declares no task and has no body; the Module,
// nil when there is a complaint, is there to Diagnose the errors of what it
// defines.
func LoadTest(file string, o *Options) (*Module, starlark.StringDict, diag.List) {
	return loadOther(file, testFile, o)
}

// loadOther loads a file that is no task.
func loadOther(file string, as role, o *Options) (*Module, starlark.StringDict, diag.List) {
	if o == nil {
		o = &Options{}
	}
	d, problem := openDisk(file, o.Root)
	if problem != nil {
		return nil, nil, diag.List{problem}
	}
	defer d.close()
	d.texts = o.Texts
	main, m, list := loadUnits(file, d, as, Options{Root: d.root, Host: o.Host, Cover: o.Cover})
	if m == nil {
		return nil, nil, list
	}
	return m, main.globals, nil
}
