package trace

import (
	"context"
	"iter"
	"maps"
	"slices"
	"strings"
)

// View answers the questions of a trace at some commit.
type View interface {
	Content(ctx context.Context, path string) (c Content, is bool, err error) // is: there is a file
	Kind(ctx context.Context, path string) (Kind, error)
	Folder(ctx context.Context, path string) (Names, error) // no names where there is no such folder
	Pattern(ctx context.Context, p Pattern) (Names, error)
	All(ctx context.Context, prefix string) (Names, error)
	Below(ctx context.Context, path string) (bool, error) // there is a file below path, whatever is at path
}

// Clash is one entry that does not hold any more, or one path that two changed.
type Clash struct {
	Path string // what differs; for Patterns the pattern with its folder
	Why  string // "was read, and is another file now"
}

func (c Clash) String() string { return c.Path + " " + c.Why }

// Holds compares a trace with a commit and returns the first entry, in the order
// of the paths of each kind of question, whose answer is another one there; nil
// when all are the same. It reads no content.
func (t *Trace) Holds(ctx context.Context, at View) (*Clash, error) {
	if t.All != nil {
		return t.holdsAll(ctx, at)
	}
	for _, path := range slices.Sorted(maps.Keys(t.Contents)) {
		c, is, err := at.Content(ctx, path)
		switch {
		case err != nil:
			return nil, err
		case !is:
			return &Clash{path, "was read, and is not there now"}, nil
		case c != t.Contents[path]:
			return &Clash{path, "was read, and has another content now"}, nil
		}
	}
	for _, path := range slices.Sorted(maps.Keys(t.Kinds)) {
		if c, err := t.holdsKind(ctx, at, path); c != nil || err != nil {
			return c, err
		}
	}
	for _, path := range slices.Sorted(maps.Keys(t.Folders)) {
		if c, err := t.holdsFolder(ctx, at, path); c != nil || err != nil {
			return c, err
		}
	}
	for _, p := range t.patterns() {
		n, err := at.Pattern(ctx, p)
		switch {
		case err != nil:
			return nil, err
		case n != t.Patterns[p]:
			return &Clash{p.String(), "was searched, and matches other files now"}, nil
		}
	}
	return nil, nil
}

func (t *Trace) holdsAll(ctx context.Context, at View) (*Clash, error) {
	n, err := at.All(ctx, t.Prefix)
	if err != nil || n == *t.All {
		return nil, err
	}
	return &Clash{t.Prefix + "/", "holds other files now, and more of it was asked for than a trace has room for"}, nil
}

func (t *Trace) holdsKind(ctx context.Context, at View, path string) (*Clash, error) {
	k, err := at.Kind(ctx, path)
	was := t.Kinds[path]
	if err != nil || was.holds(k) {
		return nil, err
	}
	return &Clash{path, "was looked for: it was " + called(was) + ", and is " + called(k) + " now"}, nil
}

func called(k Kind) string {
	switch k {
	case File:
		return "a file"
	case Folder:
		return "a folder"
	case NotFile, NotFolder:
		return string(k)
	case Unnameable:
		return "a file with others below it, or below one"
	}
	return "not there"
}

func (t *Trace) holdsFolder(ctx context.Context, at View, path string) (*Clash, error) {
	n, err := at.Folder(ctx, path)
	if err != nil || n == t.Folders[path] {
		return nil, err
	}
	return &Clash{path + "/", "was listed, and holds other names now"}, nil
}

func (t *Trace) patterns() []Pattern {
	return slices.SortedFunc(maps.Keys(t.Patterns), func(a, b Pattern) int {
		if c := strings.Compare(a.Folder, b.Folder); c != 0 {
			return c
		}
		return strings.Compare(a.Glob, b.Glob)
	})
}

func (p Pattern) String() string {
	if p.Folder == "" {
		return p.Glob
	}
	return p.Folder + "/" + p.Glob
}

// Change is one path that differs between two commits.
type Change struct {
	Path string
	Was  bool // the older commit has a file there
	Is   bool // the newer one has
}

// Matcher says whether the path of a file, relative to the pattern's folder,
// matches a pattern.
type Matcher func(glob, path string) (bool, error)

// Clashes says what of a trace, or of what its attempt wrote, changes touch: at
// most limit of them, in the order of the changes. None: on the newer commit the
// attempt would have had the same answers, and nobody else changed a path that
// it wrote, or one above or below it. newer answers what the changes alone do
// not tell (whether a folder still has something in it), older is the commit that
// the attempt ran on.
func (t *Trace) Clashes(ctx context.Context, changes iter.Seq2[Change, error], older, newer View, match Matcher, limit int) ([]Clash, error) {
	index := t.index(older, newer, match)
	var found []Clash
	for c, err := range changes {
		if err != nil {
			return nil, err
		}
		if ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		clash, err := index.touched(ctx, c)
		if err != nil {
			return nil, err
		}
		if clash != nil {
			if found = append(found, *clash); len(found) == limit {
				break
			}
		}
	}
	return found, nil
}

// index finds the entries that a change of one path concerns.
type index struct {
	*Trace
	older, newer View
	match        Matcher

	aboveWritten map[string]string // a folder that something written or removed is in -> that something
	asked        []string          // the paths of all questions, sorted
	kinds        []string          // the paths of Kinds, sorted
	folders      []string          // the paths of Folders, sorted
	held         map[string]bool   // kinds and folders that were asked of the newer commit, and hold there
	files        map[string]bool   // whether a folder of a change is a file of the older commit
}

func (t *Trace) index(older, newer View, match Matcher) *index {
	x := &index{Trace: t, older: older, newer: newer, match: match,
		aboveWritten: map[string]string{}, held: map[string]bool{}, files: map[string]bool{}}
	written := func(path string) {
		for folder := range folders(path) {
			x.aboveWritten[folder] = path
		}
	}
	for path := range t.Wrote {
		written(path)
	}
	for path := range t.Removed {
		written(path)
	}
	x.kinds = slices.Sorted(maps.Keys(t.Kinds))
	x.folders = slices.Sorted(maps.Keys(t.Folders))
	x.asked = slices.Concat(slices.Collect(maps.Keys(t.Contents)), x.kinds, x.folders)
	for p := range t.Patterns {
		x.asked = append(x.asked, p.Folder)
	}
	slices.Sort(x.asked)
	return x
}

// folders yields the folders that a path is in, the nearest first, without "".
func folders(path string) iter.Seq[string] {
	return func(yield func(string) bool) {
		for i := strings.LastIndexByte(path, '/'); i > 0; i = strings.LastIndexByte(path[:i], '/') {
			if !yield(path[:i]) {
				return
			}
		}
	}
}

// touched is the first thing that a change concerns; nil when there is none.
func (x *index) touched(ctx context.Context, c Change) (*Clash, error) {
	if clash := x.written(c); clash != nil {
		return clash, nil
	}
	if x.All != nil {
		if c.Path == x.Prefix || below(c.Path, x.Prefix) || x.Prefix != "" && below(x.Prefix, c.Path) {
			return &Clash{c.Path, "changed, and more of the workspace was asked for than a trace has room for"}, nil
		}
		return nil, nil
	}
	if _, is := x.Contents[c.Path]; is {
		return &Clash{c.Path, "was read, and changed"}, nil
	}
	if c.Was == c.Is { // the names are what they were
		return nil, nil
	}
	if clash, err := x.hidden(ctx, c); clash != nil || err != nil {
		return clash, err
	}
	if clash, err := x.looked(ctx, c); clash != nil || err != nil {
		return clash, err
	}
	if clash, err := x.listed(ctx, c); clash != nil || err != nil {
		return clash, err
	}
	return x.matched(c)
}

// written says whether the attempt changed the path too, or one above or below.
func (x *index) written(c Change) *Clash {
	changed := func(path string) bool {
		_, is := x.Wrote[path]
		return is || x.Removed[path]
	}
	if changed(c.Path) {
		return &Clash{c.Path, "was changed here, and there too"}
	}
	for folder := range folders(c.Path) {
		if changed(folder) {
			return &Clash{c.Path, "changed below " + folder + ", which was changed here"}
		}
	}
	if path, is := x.aboveWritten[c.Path]; is {
		return &Clash{c.Path, "changed above " + path + ", which was changed here"}
	}
	return nil
}

// looked asks again what is at the path, and at those above and below it, where
// the attempt had asked.
func (x *index) looked(ctx context.Context, c Change) (*Clash, error) {
	paths := []string{c.Path}
	paths = slices.AppendSeq(paths, folders(c.Path))
	paths = append(paths, inside(x.kinds, c.Path)...)
	for _, path := range paths {
		if _, asked := x.Kinds[path]; !asked || x.held["kind "+path] {
			continue
		}
		if clash, err := x.holdsKind(ctx, x.newer, path); clash != nil || err != nil {
			return clash, err
		}
		x.held["kind "+path] = true
	}
	return nil, nil
}

// inside are those of sorted paths that are below a folder.
func inside(sorted []string, folder string) []string {
	start, _ := slices.BinarySearch(sorted, folder+"/")
	end, _ := slices.BinarySearch(sorted, folder+"0") // "0" is the byte after "/"
	return sorted[start:end]
}

// listed lists the folders again that the path is in, or above, where the
// attempt had.
func (x *index) listed(ctx context.Context, c Change) (*Clash, error) {
	paths := append(slices.Collect(folders(c.Path)), "", c.Path)
	for _, folder := range append(paths, inside(x.folders, c.Path)...) {
		if _, listed := x.Folders[folder]; !listed || x.held["folder "+folder] {
			continue
		}
		if clash, err := x.holdsFolder(ctx, x.newer, folder); clash != nil || err != nil {
			return clash, err
		}
		x.held["folder "+folder] = true
	}
	return nil, nil
}

// hidden looks whether the path came or went as a file above others, or below a
// file: no workspace names either, so all at and below the upper one of the two
// comes or goes with it.
func (x *index) hidden(ctx context.Context, c Change) (*Clash, error) {
	if x.concerns(c.Path) {
		above, err := x.older.Below(ctx, c.Path)
		if err != nil {
			return nil, err
		}
		if above {
			return &Clash{c.Path, "came or went as a file above others, which were asked for"}, nil
		}
	}
	for folder := range folders(c.Path) {
		if x.Prefix != "" && !below(folder, x.Prefix) || !x.concerns(folder) {
			continue // what the prefix is in is not looked at
		}
		is, known := x.files[folder]
		if !known {
			k, err := x.older.Kind(ctx, folder)
			if err != nil {
				return nil, err
			}
			is = k == File || k == Unnameable
			x.files[folder] = is
		}
		if is {
			return &Clash{c.Path, "came or went below the file " + folder + ", which was asked for"}, nil
		}
	}
	return nil, nil
}

// concerns says whether something at or below a path was asked for, or may have
// been found by a pattern.
func (x *index) concerns(path string) bool {
	if _, exactly := slices.BinarySearch(x.asked, path); exactly || len(inside(x.asked, path)) > 0 {
		return true
	}
	for p := range x.Patterns {
		if below(path, p.Folder) {
			return true
		}
	}
	return false
}

// matched looks at the patterns that the path, which came or went, matches.
func (x *index) matched(c Change) (*Clash, error) {
	for p := range x.Patterns {
		if !below(c.Path, p.Folder) {
			continue
		}
		path := c.Path
		if p.Folder != "" {
			path = path[len(p.Folder)+1:]
		}
		is, err := x.match(p.Glob, path)
		if err != nil {
			return nil, err
		}
		if is {
			what := "is gone"
			if c.Is {
				what = "is new"
			}
			return &Clash{c.Path, what + ", and " + p.String() + " was searched"}, nil
		}
	}
	return nil, nil
}
