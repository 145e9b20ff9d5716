package workspace

import (
	"cmp"
	"context"
	"encoding/hex"
	"fmt"
	"slices"
	"strings"

	"perago/workspace/paths"
	"perago/workspace/storage"
)

// This file holds how a listing is made of what a store gives: what is left out
// of it, and how large it may become.

// maxUnseen bounds the paths of a listing that are kept only for forbid_glob, in bytes.
const maxUnseen = 4 << 20

const reasonBoth = "is the name of a file and of a folder at once"

// listingBuilder takes objects in order and makes a listing of them.
type listingBuilder struct {
	workspace string // the prefix of the repository that is the workspace, "a/b/"
	commit    string
	most      int // bytes that the listing may take; 0 is maxListing
	last      string
	objects   packer
	files     []int    // lengths of the paths taken that the last one starts with, itself among them
	both      []string // the outermost paths that are a file and a folder
	unseen    int      // bytes of l.unseen
	names     int      // bytes of l.left and both
	l         listing
}

// hide counts an object that is not shown.
func (b *listingBuilder) hide(l *listing, path string) {
	l.hidden++
	if b.unseen += len(path) + 16; b.unseen <= maxUnseen {
		l.unseen = append(l.unseen, strings.Clone(path))
	}
}

// add takes the next object. Its error is a store that does not keep its order,
// or too many names.
func (b *listingBuilder) add(o storage.Object) error {
	name, ours := strings.CutPrefix(o.Path, b.workspace)
	switch {
	case !ours:
		return fmt.Errorf("the store's listing of %s has %s", paths.Quote(b.workspace), paths.Quote(o.Path))
	case o.Odd != "": // it may be a folder, which has a place of its own in the order
	case o.Path <= b.last && b.l.total > 0:
		return fmt.Errorf("the store's listing is out of order: %s came after %s", paths.Quote(o.Path), paths.Quote(b.last))
	default:
		b.last = o.Path
	}
	b.l.total++
	switch {
	case paths.Reserved(o.Path):
		return nil
	case o.Odd != "":
		b.leave(o.Path, o.Odd)
	case !paths.Nameable(name):
		b.leave(o.Path, "has a control character in its name")
	default:
		b.take(contentOf(o, b.commit))
	}
	most := cmp.Or(b.most, maxListing)
	if n := b.objects.taken() + b.names; n > most {
		return &BoundError{Bound: "memory for a listing", Found: fmt.Sprintf("%d bytes for the first %s", n, plural(b.l.total, "object")),
			Wanted: fmt.Sprintf("at most %d", most), Hint: "look at a smaller folder, or let the workspace have a prefix"}
	}
	return nil
}

// take packs an object. A file that others are below comes before them, and all
// that come between start with its name as well.
func (b *listingBuilder) take(c content) {
	shared := b.objects.add(c, checksumBeside(c))
	for n := len(b.files); n > 0 && b.files[n-1] > shared; n-- {
		b.files = b.files[:n-1]
	}
	for _, n := range b.files {
		if c.path[n] == '/' {
			b.isBoth(c.path[:n])
			break // the outermost
		}
	}
	b.files = append(b.files, len(c.path))
}

func (b *listingBuilder) isBoth(path string) {
	if n := len(b.both); n > 0 && (b.both[n-1] == path || paths.Under(path, b.both[n-1])) {
		return
	}
	b.names += leftOutCost + len(path)
	b.both = append(b.both, strings.Clone(path))
}

// checksumBeside is the checksum of an object where it is not the MD5 as hex.
func checksumBeside(c content) string {
	if c.hashed && c.checksum == hex.EncodeToString(c.sum[:]) {
		return ""
	}
	return c.checksum
}

// leftOutCost is what a name in listing.left takes beside its bytes.
const leftOutCost = 48

// leave counts an object that is not shown, and remembers its name if a body
// could ask for it.
func (b *listingBuilder) leave(path, reason string) {
	b.hide(&b.l, path)
	if paths.Problem(path[len(b.workspace):]) == "" {
		b.names += leftOutCost + len(path)
		b.l.left = append(b.l.left, leftOut{Path: strings.Clone(path), Reason: reason})
	}
}

// finish makes the listing. Where a name is that of a file and of a folder, it
// and all below it is left out; over are such names above the listed folder.
func (b *listingBuilder) finish(ctx context.Context, over []string) (*listing, error) {
	b.objects.flush()
	l := new(listing)
	*l = b.l
	l.blocks, l.looked = b.objects.blocks, new(inflater)
	if l.len() == 0 {
		over = nil
	}
	both := append(over, b.both...)
	for _, p := range both {
		l.left = append(l.left, leftOut{Path: p, Reason: reasonBoth})
	}
	slices.SortFunc(l.left, func(a, b leftOut) int { return strings.Compare(a.Path, b.Path) })
	if len(both) == 0 {
		return l, nil
	}
	var kept packer
	for i, e := range l.entries(0, l.len()) {
		if i%lookEvery == 0 && ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		if _, out := l.leftOut(e.path); out {
			b.hide(l, e.path)
			continue
		}
		c := e.content(e.path)
		kept.add(c, checksumBeside(c))
	}
	kept.flush()
	l.blocks = kept.blocks
	return l, nil
}
