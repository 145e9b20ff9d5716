package workspace

import (
	"os"
	"strings"
	"sync/atomic"
)

// This file holds the upper layer in memory: a tree of what the attempt wrote,
// deleted and made. Only names are here; the bytes are blobs (blob.go).

// node is one name of the upper layer.
type node struct {
	children map[string]*node
	entry    *entry   // a file written here
	over     *content // the lower file of this path, known when entry is set or deleted
	deleted  bool     // over is gone
	made     bool     // a folder that the body made

	// Of the node and all below it:
	live int // entries, and folders that were made
	gone int // deleted lower files
}

// entry is the content of one written file: exactly one of blob and from is set.
type entry struct {
	size int64
	blob *blob
	from *content     // an unchanged object of the lower layer
	same atomic.Int32 // what comparing it with the node's over said: 0 is not known yet
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
func (e *entry) release() {
	if e == nil || e.blob == nil {
		return
	}
	if e.blob.uses--; e.blob.uses == 0 {
		os.Remove(e.blob.path) // what cannot be removed goes with the attempt's folder
	}
}

// upper is the tree. Its owner guards it with a lock.
type upper struct{ root node }

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
	update(&u.root, path, path != "", change)
}

func update(n *node, rest string, more bool, change func(n *node)) (live, gone int) {
	liveBefore, goneBefore := n.live, n.gone
	if !more {
		n.live -= n.ownLive()
		n.gone -= n.ownGone()
		change(n)
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
		}
		n.children[name] = child
	}
	live, gone = update(child, rest, more, change)
	n.live += live
	n.gone += gone
	if child.live == 0 && child.gone == 0 {
		delete(n.children, name)
	}
	return live, gone
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
func (u *upper) put(path string, e *entry, over *content) {
	u.update(path, func(n *node) {
		n.entry.release()
		n.entry, n.over, n.deleted, n.made = e, over, false, false
		if e.from != nil && over != nil && e.from.path == over.path {
			n.entry, n.over = nil, nil // back where it was: no change
		}
	})
}

// remove deletes the file at path, where the lower layer has over (nil: nothing).
func (u *upper) remove(path string, over *content) {
	u.update(path, func(n *node) {
		n.entry.release()
		n.entry, n.over, n.deleted = nil, over, over != nil
	})
}

// walk calls visit for every node at and below path that says something.
func (u *upper) walk(path string, visit func(path string, n *node)) {
	if n := u.find(path); n != nil {
		n.walk(path, visit)
	}
}

func (n *node) walk(path string, visit func(path string, n *node)) {
	if n.entry != nil || n.deleted || n.made {
		visit(path, n)
	}
	for name, child := range n.children {
		child.walk(Join(path, name), visit)
	}
}
