package workspace

import (
	"cmp"
	"fmt"
	"maps"
	"os"
	"strings"
	"sync/atomic"

	"perago/workspace/listing"
	"perago/workspace/paths"
)

// This file holds the upper layer in memory: a tree of what the attempt wrote,
// deleted and made. Only names are here; the bytes are blobs (blob.go).

// node is one name of the upper layer.
type node struct {
	children map[string]*node
	entry    *entry          // a file written here
	over     *listing.Object // the lower file of this path, known when entry is set or deleted
	deleted  bool            // over is gone
	made     bool            // a folder that the body made
	most     int32           // children that there were since the map was made: it does not shrink by itself

	// Of the node and all below it:
	live int // entries, and folders that were made
	gone int // deleted lower files
}

// entry is the content of one written file: exactly one of blob and from is set.
type entry struct {
	size int64
	blob *blob
	from *listing.Object // an unchanged object of the lower layer, or of another commit (Commit)
	same atomic.Int32    // what comparing it with the node's over said: 0 is not known yet
}

// What a comparison says.
const (
	isSame int32 = 1 + iota
	isOther
)

// blob is a file of the upper layer; it never changes once it is an entry's.
type blob struct {
	path string
	uses int
}

// release gives up one use of the content; the last one removes the file.
// Whoever has it open keeps what was there.
func (u *upper) release(e *entry) {
	if e == nil || e.blob == nil {
		return
	}
	if e.blob.uses--; e.blob.uses == 0 {
		u.stored -= e.size
		os.Remove(e.blob.path) // what cannot be removed goes with the attempt's folder
	}
}

// upper is the tree. Its owner guards it with a lock.
type upper struct {
	root   node
	memory int64 // bytes that the tree takes, by the costs below
	paths  int64 // bytes of all paths in it that say something, written out
	stored int64 // bytes of the blobs, each counted once
	most   int64 // that memory may be, and paths; 0 is maxTree
}

// Bounds of the upper layer of one attempt. The tree is in the worker's memory,
// which a body must not fill: it is bounded whatever a task declares. So are its
// paths: a folder with a long name costs little, and all that is in it is listed
// with that name before it.
const (
	defaultFiles   = 1_000_000
	defaultScratch = 10 << 30 // bytes
	maxTree        = 40 << 20 // bytes
)

// What the parts of a tree take in memory, in bytes; TestTreeBounded
// holds the sum against the heap.
const (
	nodeCost     = 96  // a node and its place in a map, without its name
	childrenCost = 272 // a map with its first place
	entryCost    = 32
	blobCost     = 32 // without its path
	contentCost  = 80 // without its texts
)

// BoundError is an attempt that would hold more than it may.
type BoundError struct {
	Bound         string // "files", "scratch"
	Found, Wanted string
	Hint          string
}

func (e *BoundError) Error() string {
	return "the attempt passes its bound of " + e.Bound + ": got " + e.Found + ", want " + e.Wanted + "; " + e.Hint
}

// Is says that it is an ErrBound.
func (e *BoundError) Is(target error) bool { return target == ErrBound }

// growth is what an operation is about to add to a tree.
type growth struct {
	files  int
	memory int64
	paths  int64
	last   string
}

// add counts one path of the tree: what it does not share with the path before
// it is made anew.
func (g *growth) add(path string, cost int64) {
	g.files++
	g.memory += cost + int64(len(path))
	g.paths += int64(len(path))
	shared := 0
	for i := 0; i < min(len(path), len(g.last)) && path[i] == g.last[i]; i++ {
		if path[i] == '/' {
			shared = i + 1
		}
	}
	g.memory += int64(1+strings.Count(path[shared:], "/")) * (nodeCost + childrenCost)
	g.last = path
}

// fits says whether there is room for what an operation adds.
func (u *upper) fits(g growth, files int) error {
	files = cmp.Or(files, defaultFiles)
	if n := u.root.live + u.root.gone + g.files; n > files {
		return &BoundError{Bound: "files", Found: plural(n, "file") + " and folders written or deleted", Wanted: fmt.Sprintf("at most %d", files),
			Hint: "raise resources(files = ...), or do less in one attempt"}
	}
	most := cmp.Or(u.most, maxTree)
	if n := max(u.memory+g.memory, u.paths+g.paths); n > most {
		return &BoundError{Bound: "memory for names", Found: fmt.Sprintf("%d bytes for %s and folders written or deleted", n, plural(u.root.live+u.root.gone+g.files, "file")),
			Wanted: fmt.Sprintf("at most %d", most), Hint: "touch fewer files in one attempt"}
	}
	return nil
}

// fitsBytes says whether there is room for another blob of so many bytes.
func (u *upper) fitsBytes(size, most int64) error {
	most = cmp.Or(most, defaultScratch)
	if n := u.stored + size; n > most {
		return &BoundError{Bound: "scratch", Found: fmt.Sprintf("%d bytes written", n), Wanted: fmt.Sprintf("at most %d", most),
			Hint: "raise resources(scratch = ...), or write less in one attempt"}
	}
	return nil
}

// cost is what a node holds beside its name and its children.
func (n *node) cost() int64 {
	var c int64
	if n.entry != nil {
		c += entryCost + objectCost(n.entry.from)
		if n.entry.blob != nil {
			c += blobCost + int64(len(n.entry.blob.path))
		}
	}
	return c + objectCost(n.over)
}

// objectCost is what an object of the lower layer takes that the tree refers to.
func objectCost(c *listing.Object) int64 {
	if c == nil {
		return 0
	}
	return contentCost + int64(len(c.Path)+len(c.Checksum))
}

// find is the node of a path, nil when the upper layer says nothing of it.
func (u *upper) find(path string) *node {
	n := &u.root
	for rest, more := path, path != ""; more && n != nil; {
		var name string
		name, rest, more = strings.Cut(rest, "/")
		n = n.children[name]
	}
	return n
}

// update changes the node of a path, made when it is missing, and keeps the
// counts of all above it. Nodes that have nothing left to say go.
func (u *upper) update(path string, change func(n *node)) {
	u.updateBelow(&u.root, path, path != "", func(n *node) {
		u.paths -= n.listed(path)
		change(n)
		u.paths += n.listed(path)
	})
}

// listed is how many bytes a listing has for a node of this path.
func (n *node) listed(path string) int64 {
	if !n.says() {
		return 0
	}
	return int64(len(path))
}

// says says whether the upper layer has anything at a node itself.
func (n *node) says() bool { return n.entry != nil || n.deleted || n.made }

func (u *upper) updateBelow(n *node, rest string, more bool, change func(n *node)) (live, gone int) {
	liveBefore, goneBefore := n.live, n.gone
	if !more {
		n.live -= n.ownLive()
		n.gone -= n.ownGone()
		u.memory -= n.cost()
		change(n)
		u.memory += n.cost()
		n.live += n.ownLive()
		n.gone += n.ownGone()
		return n.live - liveBefore, n.gone - goneBefore
	}
	name, rest, more := strings.Cut(rest, "/")
	child := n.children[name]
	if child == nil {
		child = &node{}
		if n.children == nil {
			n.children = map[string]*node{}
			u.memory += childrenCost
		}
		n.children[strings.Clone(name)] = child // a part of a path would keep all of it
		n.most = max(n.most, int32(len(n.children)))
		u.memory += nodeCost + int64(len(name))
	}
	live, gone = u.updateBelow(child, rest, more, change)
	n.live += live
	n.gone += gone
	if child.live == 0 && child.gone == 0 {
		delete(n.children, name)
		u.memory -= nodeCost + int64(len(name))
		u.shrink(n)
	}
	return live, gone
}

// shrink gives back what the map of a node took for children that are gone.
func (u *upper) shrink(n *node) {
	switch left := len(n.children); {
	case left == 0:
		n.children, n.most = nil, 0
		u.memory -= childrenCost
	case n.most > 8 && left < int(n.most)/4:
		few := make(map[string]*node, left)
		maps.Copy(few, n.children)
		n.children, n.most = few, int32(left)
	}
}

func (n *node) ownLive() int {
	count := 0
	if n.entry != nil {
		count++
	}
	if n.made {
		count++
	}
	return count
}

func (n *node) ownGone() int {
	if n.deleted {
		return 1
	}
	return 0
}

// put writes e at path, where the lower layer has over (nil: nothing).
func (u *upper) put(path string, e *entry, over *listing.Object) {
	u.update(path, func(n *node) {
		u.release(n.entry)
		n.entry, n.over, n.deleted, n.made = e, over, false, false
		if e.from != nil && over != nil && e.from.Path == over.Path && e.from.Commit == "" {
			n.entry, n.over = nil, nil // back where it was: no change
		}
	})
}

// remove deletes the file at path, where the lower layer has over (nil: nothing).
func (u *upper) remove(path string, over *listing.Object) {
	u.update(path, func(n *node) {
		u.release(n.entry)
		n.entry, n.over, n.deleted = nil, over, over != nil
	})
}

// walk calls visit for every node at and below path that says something, until
// it says no.
func (u *upper) walk(path string, visit func(path string, n *node) bool) {
	if n := u.find(path); n != nil {
		n.walk(path, visit)
	}
}

func (n *node) walk(path string, visit func(path string, n *node) bool) bool {
	if n.says() && !visit(path, n) {
		return false
	}
	for name, child := range n.children {
		if !child.walk(paths.Join(path, name), visit) {
			return false
		}
	}
	return true
}
