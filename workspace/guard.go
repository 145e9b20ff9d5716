package workspace

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"perago/workspace/glob"
	"perago/workspace/paths"
	"perago/workspace/storage"
)

// GuardKind is the name of a guard in the language.
type GuardKind string

const (
	GuardFile   GuardKind = "require_file"
	GuardDir    GuardKind = "require_dir"
	GuardGlob   GuardKind = "require_glob"
	GuardForbid GuardKind = "forbid_glob"
	GuardTable  GuardKind = "require_table"
)

// Guard is one condition on the files of a workspace. It is made by
// RequireFile, RequireDir, RequireGlob and ForbidGlob.
type Guard struct {
	Kind    GuardKind
	Path    string        // of require_file and require_dir
	Pattern *glob.Pattern // of the others
	Min     int           // files that Pattern is to match at least
	Max     int           // and at most; Unbounded is no bound
	Table   *TableRule    // of require_table: further conditions, which CheckGuards does not check
}

// TableRule are the conditions of require_table on the rows of its files.
type TableRule struct {
	Columns []TableColumn
	MinRows int64
	NotNull []string // columns
	Unique  []string // columns; no two rows have the same values in all of them
	Check   []string // conditions in SQL that hold for every row
}

// TableColumn is a column that the files must have, with its type as in SQL.
type TableColumn struct{ Name, Type string }

// Unbounded is the Max of a Guard that has none.
const Unbounded = -1

// GuardFailure is a guard that does not hold.
type GuardFailure struct {
	Guard  Guard
	Index  int    // of Guard in what was checked
	Found  string // "no such file"
	Wanted string // "at least 1 file"
}

func (f GuardFailure) Error() string {
	return f.Guard.String() + ": got " + f.Found + ", want " + f.Wanted
}

// RequireFile is require_file(path). Its error is a *paths.Error.
func RequireFile(path string) (Guard, error) {
	return Guard{Kind: GuardFile, Path: path, Max: Unbounded}, checkGuardPath(path)
}

// RequireDir is require_dir(path): something is below path, or the body made
// the folder. Its error is a *paths.Error.
func RequireDir(path string) (Guard, error) {
	return Guard{Kind: GuardDir, Path: path, Max: Unbounded}, checkGuardPath(path)
}

// RequireGlob is require_glob(pattern): between atLeast and atMost files match;
// atMost may be Unbounded. Its error is a *glob.Error, or says that the
// bounds cannot hold.
func RequireGlob(pattern string, atLeast, atMost int) (Guard, error) {
	p, err := glob.Compile(pattern)
	switch {
	case err != nil:
	case atLeast < 0:
		err = fmt.Errorf("min_count %d is negative", atLeast)
	case atMost < Unbounded:
		err = fmt.Errorf("max_count %d is negative", atMost)
	case atMost != Unbounded && atMost < atLeast:
		err = fmt.Errorf("max_count %d is below min_count %d", atMost, atLeast)
	}
	return Guard{Kind: GuardGlob, Pattern: p, Min: atLeast, Max: atMost}, err
}

// RequireTable is require_table(pattern): one file matches at least, and rule
// holds. Its error is a *glob.Error.
func RequireTable(pattern string, rule TableRule) (Guard, error) {
	p, err := glob.Compile(pattern)
	return Guard{Kind: GuardTable, Pattern: p, Min: 1, Max: Unbounded, Table: &rule}, err
}

// ForbidGlob is forbid_glob(pattern): no file matches. Its error is a *glob.Error.
func ForbidGlob(pattern string) (Guard, error) {
	p, err := glob.Compile(pattern)
	return Guard{Kind: GuardForbid, Pattern: p}, err
}

func checkGuardPath(p string) error {
	if err := paths.Check(p); err != nil {
		return err
	}
	if paths.HasDrive(p) {
		return &paths.Error{Path: p, Reason: "starts with a drive: it is to be relative to the workspace"}
	}
	return nil
}

// String is the guard as an author would write it.
func (g Guard) String() string {
	var b strings.Builder
	b.WriteString(string(g.Kind) + "(")
	switch g.Kind {
	case GuardFile, GuardDir:
		b.WriteString(paths.Quote(g.Path))
	case GuardGlob, GuardForbid, GuardTable:
		b.WriteString(paths.Quote(g.Pattern.String()))
	}
	if g.Kind == GuardGlob && g.Min != 1 {
		fmt.Fprintf(&b, ", min_count = %d", g.Min)
	}
	if g.Kind == GuardGlob && g.Max != Unbounded {
		fmt.Fprintf(&b, ", max_count = %d", g.Max)
	}
	b.WriteString(")")
	return b.String()
}

// CheckGuards returns the guards that do not hold, in their order. An error of the
// store means that it is not known whether they hold.
func CheckGuards(ctx context.Context, o *Overlay, guards []Guard) ([]GuardFailure, error) {
	var failures []GuardFailure
	for i, g := range guards {
		found, wanted, err := g.check(ctx, o)
		if err != nil {
			return nil, fmt.Errorf("check %s: %w", g, err)
		}
		if found != "" {
			failures = append(failures, GuardFailure{Guard: g, Index: i, Found: found, Wanted: wanted})
		}
	}
	return failures, nil
}

// check returns found, "" when the guard holds, and what was wanted instead.
func (g Guard) check(ctx context.Context, o *Overlay) (found, wanted string, err error) {
	switch g.Kind {
	case GuardFile, GuardDir:
		return g.checkPath(ctx, o)
	}
	matched, all, err := o.glob(ctx, "", g.Pattern)
	n := all.found
	if err == nil && g.Kind == GuardForbid && n == 0 {
		return g.checkHidden(ctx, o)
	}
	switch {
	case errors.Is(err, storage.ErrUnnameable):
		return paths.Reason(err).Error(), g.wantedFiles(), nil
	case err != nil:
		return "", "", err
	case g.Kind == GuardForbid && n > 0:
		return someOf(matched, n), g.wantedFiles(), nil
	case g.Kind != GuardForbid && n < g.Min:
		return plural(n, "file"), g.wantedFiles(), nil
	case g.Kind == GuardGlob && g.Max != Unbounded && n > g.Max:
		return someOf(matched, n), "at most " + plural(g.Max, "file"), nil
	}
	return "", "", nil
}

// checkHidden checks forbid_glob on objects that are not shown: a guard must not
// pass because the file API cannot name an object.
func (g Guard) checkHidden(ctx context.Context, o *Overlay) (found, wanted string, err error) {
	paths, all, err := o.hidden(ctx, g.Pattern)
	switch {
	case err != nil:
		return "", "", err
	case len(paths) > 0:
		return someOf(paths, len(paths)) + ", left out of the view: the file API cannot name it", g.wantedFiles(), nil
	case !all:
		return "more objects left out of the view than can be looked at", g.wantedFiles(), nil
	}
	return "", "", nil
}

func (g Guard) wantedFiles() string {
	if g.Kind == GuardForbid {
		return "no file"
	}
	return "at least " + plural(g.Min, "file")
}

func (g Guard) checkPath(ctx context.Context, o *Overlay) (found, wanted string, err error) {
	info, err := o.Stat(ctx, g.Path)
	wanted = "a file"
	if g.Kind == GuardDir {
		wanted = "a folder with something in it"
	}
	switch {
	case errors.Is(err, fs.ErrNotExist) && g.Kind == GuardDir:
		return "no such folder", wanted, nil
	case errors.Is(err, fs.ErrNotExist):
		return "no such file", wanted, nil
	case errors.Is(err, storage.ErrUnnameable):
		return paths.Reason(err).Error(), wanted, nil
	case err != nil:
		return "", "", err
	case info.Folder && g.Kind == GuardFile:
		return "a folder", wanted, nil
	case !info.Folder && g.Kind == GuardDir:
		return "a file", wanted, nil
	}
	return "", "", nil
}

// someOf counts paths and names the first of them.
func someOf(found []string, n int) string {
	names := make([]string, 0, 3)
	for _, p := range found[:min(3, len(found))] {
		names = append(names, paths.Quote(p))
	}
	s := plural(n, "file") + ": " + strings.Join(names, ", ")
	if n > 3 {
		s += ", …"
	}
	return s
}

func plural(n int, thing string) string {
	if n == 1 {
		return "1 " + thing
	}
	return fmt.Sprintf("%d %ss", n, thing)
}
