// Package trace holds what one attempt asked of its input commit and what it
// left there. A body has no other source of input, so two commits that give the
// same answers to these questions give the same result and the same files.
//
// Questions that the attempt's own writes answered are not part of it. All paths
// are relative to the root of the repository.
//
//	question                                         entry            holds as long as
//	the content or the size of a file                Contents         checksum and size are the same
//	is there a file, a folder, nothing at a path     Kinds            the answer is the same
//	the names directly in a folder                   Folders          the same names, each a file or a folder as before
//	the files below a folder that match a pattern    Patterns         the same names
//	more than the trace has room for                 All              nothing below the workspace's prefix changed
//	the clock, more than one thread                  Unrepeatable     never
package trace

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"hash"
	"iter"
	"maps"
	"slices"
	"strings"
	"sync"
)

// Kind is what a commit has at a path.
type Kind string

const (
	Nothing Kind = "nothing"
	File    Kind = "file"
	Folder  Kind = "folder"
	// Unnameable is a file with others below it, and what is below such a file.
	Unnameable Kind = "unnameable"
	// NotFile is Nothing or Folder: all that is asked of a folder that something is
	// written in. NotFolder is Nothing or File: all that is asked of a file that is
	// written over.
	NotFile   Kind = "not a file"
	NotFolder Kind = "not a folder"
)

// Content is one version of a file.
type Content struct {
	Size     int64  // bytes
	Checksum string // as the store gives it, never ""
}

// Names stands for a set of names: two sets with the same Names are the same set.
type Names struct {
	Count int
	Hash  string // hex SHA-256 over the sorted names, each after its length in bytes
}

// Pattern is a glob pattern that was asked for below a folder.
type Pattern struct {
	Folder string
	Glob   string // relative to Folder
}

// Trace is what an attempt asked and what it wrote. The zero value is the trace
// of an attempt that did neither.
type Trace struct {
	Prefix   string // of the workspace, without a slash at its end; "" is the whole repository
	Contents map[string]Content
	Kinds    map[string]Kind
	Folders  map[string]Names
	Patterns map[Pattern]Names
	All      *Names // of all files below Prefix, each name followed by its checksum; nil: the other entries are complete

	Wrote   map[string]Content // what the attempt left; Checksum is "" where the store gives none
	Removed map[string]bool

	Unrepeatable []string // why a second run may give something else, sorted: "time.now"
}

// Repeatable says whether the same answers give the same result.
func (t *Trace) Repeatable() bool { return len(t.Unrepeatable) == 0 }

// Entries counts the questions.
func (t *Trace) Entries() int {
	return len(t.Contents) + len(t.Kinds) + len(t.Folders) + len(t.Patterns)
}

// Digest makes Names out of names that come one by one, sorted by bytes; the name
// of a folder ends in a slash. The zero value has seen none.
type Digest struct {
	count int
	sum   hash.Hash
	frame []byte
}

// Add takes the next name.
func (d *Digest) Add(name string) {
	if d.sum == nil {
		d.sum = sha256.New()
	}
	d.count++
	d.frame = append(binary.AppendUvarint(d.frame[:0], uint64(len(name))), name...)
	d.sum.Write(d.frame)
}

// Names stands for what was added.
func (d *Digest) Names() Names {
	if d.sum == nil {
		d.sum = sha256.New()
	}
	return Names{Count: d.count, Hash: hex.EncodeToString(d.sum.Sum(nil))}
}

// NamesOf is the Names of a sequence as Digest wants it.
func NamesOf(sorted iter.Seq[string]) Names {
	var d Digest
	for name := range sorted {
		d.Add(name)
	}
	return d.Names()
}

// Bounds of one trace. What goes beyond is recorded as "everything below the
// prefix", which is one entry.
const (
	maxEntries  = 100_000
	maxPatterns = 1_000    // each of them is held against each change
	maxBytes    = 16 << 20 // that entries take in memory, about
	entryBytes  = 100      // that one takes beside its texts
)

// maxUnrepeatable bounds the reasons that are kept: any one is enough.
const maxUnrepeatable = 16

// Recorder makes a trace while an attempt runs. It is safe for concurrent use.
// One that is nil notes nothing.
type Recorder struct {
	mu    sync.Mutex
	t     Trace
	bytes int
	full  bool
}

// NewRecorder starts the trace of an attempt on the files below prefix.
func NewRecorder(prefix string) *Recorder {
	return &Recorder{t: Trace{
		Prefix:   prefix,
		Contents: map[string]Content{},
		Kinds:    map[string]Kind{},
		Folders:  map[string]Names{},
		Patterns: map[Pattern]Names{},
	}}
}

// Content notes that the content or the size of a file was asked for.
func (r *Recorder) Content(path string, c Content) {
	note(r, path, len(path)+len(c.Checksum), func(t *Trace) map[string]Content { return t.Contents }, c)
}

// Kind notes that somebody asked whether there is a file, a folder or nothing.
func (r *Recorder) Kind(path string, k Kind) { r.KindAs(path, k, k) }

// KindAs notes that k was found where only asked mattered: NotFile or NotFolder. Where
// k is not one of these, or another question was asked of the path, k is noted.
func (r *Recorder) KindAs(path string, k, asked Kind) {
	if r == nil {
		return
	}
	if !asked.holds(k) {
		asked = k
	}
	r.mu.Lock()
	if known, is := r.t.Kinds[path]; is && known != asked {
		r.t.Kinds[path] = k
	}
	r.mu.Unlock()
	note(r, path, len(path), func(t *Trace) map[string]Kind { return t.Kinds }, asked)
}

// holds says whether what was noted is still so where k is found.
func (was Kind) holds(k Kind) bool {
	return was == k || k == Nothing && (was == NotFile || was == NotFolder) || was == NotFile && k == Folder || was == NotFolder && k == File
}

// Folder notes that the names directly in a folder were asked for.
func (r *Recorder) Folder(path string, n Names) {
	note(r, path, len(path)+len(n.Hash), func(t *Trace) map[string]Names { return t.Folders }, n)
}

// Pattern notes that the files were asked for that match a pattern.
func (r *Recorder) Pattern(p Pattern, n Names) {
	note(r, p, len(p.Folder)+len(p.Glob)+len(n.Hash), func(t *Trace) map[Pattern]Names { return t.Patterns }, n)
}

// note adds one entry while there is room. The first answer stays: a commit
// gives the same one each time.
func note[K comparable, V any](r *Recorder, key K, size int, entries func(*Trace) map[K]V, answer V) {
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	m := entries(&r.t)
	if _, known := m[key]; known || r.full {
		return
	}
	r.bytes += entryBytes + size
	if r.t.Entries() >= maxEntries || r.bytes > maxBytes || len(r.t.Patterns) >= maxPatterns {
		r.fill()
		return
	}
	m[key] = answer
}

// Unrepeatable notes why the attempt's result is not a function of its input.
func (r *Recorder) Unrepeatable(why string) {
	if r == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	at, known := slices.BinarySearch(r.t.Unrepeatable, why)
	if !known && len(r.t.Unrepeatable) < maxUnrepeatable {
		r.t.Unrepeatable = slices.Insert(r.t.Unrepeatable, at, why)
	}
}

// Add notes all that another trace has asked.
func (r *Recorder) Add(t *Trace) {
	if r == nil {
		return
	}
	if t.All != nil {
		r.mu.Lock()
		r.fill()
		r.mu.Unlock()
	}
	for path, c := range t.Contents {
		r.Content(path, c)
	}
	for path, k := range t.Kinds {
		r.addKind(path, k)
	}
	for path, n := range t.Folders {
		r.Folder(path, n)
	}
	for p, n := range t.Patterns {
		r.Pattern(p, n)
	}
	for _, why := range t.Unrepeatable {
		r.Unrepeatable(why)
	}
}

// addKind notes a kind of another trace of the same commit: what says more stays.
func (r *Recorder) addKind(path string, k Kind) {
	r.mu.Lock()
	known, is := r.t.Kinds[path]
	switch {
	case !is || known == k || k.holds(known):
	case known.holds(k):
		r.t.Kinds[path] = k
	default: // NotFile and NotFolder
		r.t.Kinds[path] = Nothing
	}
	r.mu.Unlock()
	note(r, path, len(path), func(t *Trace) map[string]Kind { return t.Kinds }, k)
}

// fill makes "everything below the prefix" of what was noted. The caller holds the lock.
func (r *Recorder) fill() {
	r.full = true
	clear(r.t.Contents)
	clear(r.t.Kinds)
	clear(r.t.Folders)
	clear(r.t.Patterns)
}

// Full says that there were more questions than a trace holds: All has to be
// filled in before the trace can be compared with another commit.
func (r *Recorder) Full() bool {
	if r == nil {
		return false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.full
}

// Trace is a copy of what was noted so far. Where Full says so, all stands for
// everything below the prefix.
func (r *Recorder) Trace(all Names) *Trace {
	r.mu.Lock()
	defer r.mu.Unlock()
	t := r.t
	t.Contents = maps.Clone(r.t.Contents)
	t.Kinds = maps.Clone(r.t.Kinds)
	t.Folders = maps.Clone(r.t.Folders)
	t.Patterns = maps.Clone(r.t.Patterns)
	t.Unrepeatable = slices.Clone(r.t.Unrepeatable)
	if r.full {
		t.All = &all
	}
	return &t
}

// below says whether path is below folder; everything is below "".
func below(path, folder string) bool {
	return folder == "" || len(path) > len(folder) && path[len(folder)] == '/' && strings.HasPrefix(path, folder)
}
