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

// This file has the upper layer: a tree in memory of the files that the attempt wrote
// and deleted, and of the folders that it made. The contents are files, see blob.

// node is one name of the upper layer.
type node struct {
	children map[string]*node
	entry    *entry          // a file that was written
	over     *listing.Object // the lower file of this path, known when entry is set or deleted
	deleted  bool            // over was deleted
	made     bool            // a folder that the body made
	most     int32           // the most children since the map was made, which does not shrink by itself

	// Of the node and all below it:
	live int // entries, and folders that were made
	gone int // deleted lower files
}

// entry is the content of one written file: exactly one of blob and from is set.
type entry struct {
	size int64
	blob *blob
	from *listing.Object // an unchanged object of the lower layer, or of another commit (Commit)
	same atomic.Int32    // whether the content is that of the node's over; 0: not compared yet
}

// Values of entry.same.
const (
	isSame int32 = 1 + iota
	isOther
)

// blob is a file with a written content; it never changes once an entry has it.
type blob struct {
	path string
	uses int
}

// release ends one use of the content; the last one removes the file. Readers that
// have it open can still read it.
func (u *upper) release(e *entry) {
	if e == nil || e.blob == nil {
		return
	}
	if e.blob.uses--; e.blob.uses == 0 {
		u.stored -= e.size
		os.Remove(e.blob.path) // what cannot be removed is removed with the attempt's folder
	}
}

// upper is the tree. It is guarded by Overlay.mu.
type upper struct {
	root   node
	memory int64 // bytes that the tree takes, computed from the costs below
	paths  int64 // bytes of the paths of all changed nodes
	stored int64 // bytes of the blobs, each counted once
	most   int64 // the largest value of memory, and of paths; 0 is maxTree
}

// Bounds of the upper layer of one attempt. The tree is in the worker's memory,
// which a body must not fill, so it is bounded whatever a task declares. So is the
// length of all paths together: a folder with a long name takes little memory, but
// each file in it is listed with that name.
const (
	defaultFiles   = 1_000_000
	defaultScratch = 10 << 30 // bytes
	maxTree        = 40 << 20 // bytes
)

// What the parts of a tree take in memory, in bytes; TestTreeBounded compares the
// sum with the heap.
const (
	nodeCost     = 96  // a node and its slot in a map, without its name
	childrenCost = 272 // a map with its first slot
	entryCost    = 32
	blobCost     = 32 // without its path
	contentCost  = 80 // a listing.Object without its strings
)

// BoundError is an operation that would pass a bound of the attempt.
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

// add counts one path of the tree. Nodes are counted for those segments that it
// does not share with the path added before it.
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

// fits returns a *BoundError when there is no room for what an operation adds.
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

// fitsBytes returns a *BoundError when there is no room for another size bytes of content.
func (u *upper) fitsBytes(size, most int64) error {
	most = cmp.Or(most, defaultScratch)
	if n := u.stored + size; n > most {
		return &BoundError{Bound: "scratch", Found: fmt.Sprintf("%d bytes written", n), Wanted: fmt.Sprintf("at most %d", most),
			Hint: "raise resources(scratch = ...), or write less in one attempt"}
	}
	return nil
}

// cost is the memory of a node without its name and its children, in bytes.
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

// objectCost is the memory of an object of the lower layer that the tree refers to, in bytes.
func objectCost(c *listing.Object) int64 {
	if c == nil {
		return 0
	}
	return contentCost + int64(len(c.Path)+len(c.Checksum))
}

// find is the node of a path, nil when nothing at or below it was changed.
func (u *upper) find(path string) *node {
	n := &u.root
	for rest, more := path, path != ""; more && n != nil; {
		var name string
		name, rest, more = strings.Cut(rest, "/")
		n = n.children[name]
	}
	return n
}

// update changes the node of a path, which it makes when it is missing, and updates
// the counts of all nodes above it. It removes nodes that have no change left.
func (u *upper) update(path string, change func(n *node)) {
	u.updateBelow(&u.root, path, path != "", func(n *node) {
		u.paths -= n.listed(path)
		change(n)
		u.paths += n.listed(path)
	})
}

// listed is how many bytes the path of a node takes in a listing: 0 if it has no change.
func (n *node) listed(path string) int64 {
	if !n.changed() {
		return 0
	}
	return int64(len(path))
}

// changed says whether something was written, deleted or made at the node itself.
func (n *node) changed() bool { return n.entry != nil || n.deleted || n.made }

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
		n.children[strings.Clone(name)] = child // a slice of a path would keep the whole path in memory
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

// shrink frees the memory that the map of a node takes for children that were removed.
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
			n.entry, n.over = nil, nil // the content that was there: no change
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

// walk calls visit for every changed node at and below path, until visit returns
// false.
func (u *upper) walk(path string, visit func(path string, n *node) bool) {
	if n := u.find(path); n != nil {
		n.walk(path, visit)
	}
}

func (n *node) walk(path string, visit func(path string, n *node) bool) bool {
	if n.changed() && !visit(path, n) {
		return false
	}
	for name, child := range n.children {
		if !child.walk(paths.Join(path, name), visit) {
			return false
		}
	}
	return true
}
