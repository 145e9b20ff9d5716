package workspace

import (
	"crypto/md5"
	"crypto/sha256"
	"encoding/hex"
	"iter"
	"sort"
	"strings"

	"perago/workspace/paths"
	"perago/workspace/storage"
)

// This file holds what a commit has under one folder: paths with size, checksum
// and place, and the questions about them. How they lie in memory, in about 50
// bytes each, is in listingblock.go; how a listing comes to be, in
// listingbuild.go; its form on disk, in listingfile.go.

// listing is immutable, sorted by the bytes of the paths. Paths are those of
// the repository.
type listing struct {
	blocks []block
	looked *inflater // the block that was looked at last, where its names are deflated
	left   []leftOut // sorted by path
	hidden int       // objects that the file API cannot name
	unseen []string  // their paths, as many as maxUnseen bytes hold
	total  int       // objects the store gave
	self   bool      // there is also an object with the very name of the folder
}

// maxListing bounds what one listing takes, in bytes: about ten million objects
// of ordinary names.
const maxListing = 512 << 20

// leftOut is a name that is not shown, or a folder of which nothing is.
type leftOut struct {
	Path   string `json:"path"`
	Reason string `json:"reason"`
}

// content is one object of the lower layer.
type content struct {
	path     string // in the repository
	size     int64
	checksum string // as the store gives it
	hashed   bool   // sum is the MD5 of the bytes
	sum      md5sum
	place    place
}

// md5sum is what content is checked against on its arrival. It finds damage. It
// does not tell contents apart: anyone can make two with one MD5.
type md5sum [md5.Size]byte

// place tells the bytes of an object from all others of its repository: a hash
// of where the store keeps them.
type place [16]byte

// contentOf makes the content of an object. commit says which, for a store that
// tells neither checksum nor address.
func contentOf(o storage.Object, commit string) content {
	c := content{path: o.Path, size: o.Size, checksum: o.Checksum}
	if raw, err := hex.DecodeString(o.Checksum); o.Hashed && err == nil && len(raw) == md5.Size {
		c.hashed = true
		copy(c.sum[:], raw)
	}
	where := "address\x00" + o.Physical
	if o.Physical == "" {
		where = "path\x00" + commit + "\x00" + o.Path
	}
	hash := sha256.Sum256([]byte(where))
	copy(c.place[:], hash[:])
	return c
}

// len is how many objects there are that the file API can name.
func (l *listing) len() int {
	if len(l.blocks) == 0 {
		return 0
	}
	last := len(l.blocks) - 1
	return last*blockLen + l.blocks[last].len()
}

// listed is one object as it lies in a listing. Its strings keep the memory of
// its neighbours alive: what is kept for longer is a content, or a clone.
type listed struct {
	path     string
	checksum string // "" where it is the MD5 as lower-case hex
	hashed   bool
	record   string
}

// content is the object under a path of its own memory.
func (e listed) content(path string) content {
	c := content{path: path, hashed: e.hashed}
	c.size, c.sum, c.place = recordFields(e.record)
	if c.hashed && e.checksum == "" {
		c.checksum = hex.EncodeToString(c.sum[:])
	} else {
		c.checksum = strings.Clone(e.checksum)
	}
	return c
}

// entries yields the objects from start up to end, with their indexes.
func (l *listing) entries(start, end int) iter.Seq2[int, listed] {
	return func(yield func(int, listed) bool) {
		var in inflater
		var some unpacked
		for i := start; i < end; {
			n := i / blockLen
			some.read(&l.blocks[n], in.names(l, n), i%blockLen, min(l.blocks[n].len(), end-n*blockLen))
			for e := range some.entries() {
				if !yield(i, e) {
					return
				}
				i++
			}
		}
	}
}

// find returns the object of a path.
func (l *listing) find(path string) (content, bool) {
	_, e := l.search(path)
	if e.path != path || path == "" {
		return content{}, false
	}
	return e.content(path), true
}

// from is the index of the first object that is not before path.
func (l *listing) from(path string) int {
	i, _ := l.search(path)
	return i
}

// search finds the first object that is not before path; exact is that
// object when it has this very path.
func (l *listing) search(path string) (i int, exact listed) {
	n := sort.Search(len(l.blocks), func(n int) bool { return l.blocks[n].firstPath() > path }) - 1
	if n < 0 {
		return 0, listed{}
	}
	// No path is put together: before is how much of path the object before has,
	// which is smaller. One that shares more with that is smaller too, one that
	// shares less is larger.
	b := &l.blocks[n]
	r := nameReader{rest: l.looked.names(l, n)}
	before := common(b.firstPath(), path)
	for k := range b.len() {
		r.next()
		follow, wanted := r.follow, path[before:]
		switch {
		case k == 0:
			follow = b.firstPath()[before:]
		case r.shared > before:
			continue
		case r.shared < before:
			return n*blockLen + k, listed{}
		}
		switch {
		case follow == wanted:
			return n*blockLen + k, listed{path: path, checksum: r.checksum, hashed: r.hashed, record: b.record(k)}
		case follow > wanted:
			return n*blockLen + k, listed{}
		}
		before += common(follow, wanted)
	}
	return n*blockLen + b.len(), listed{}
}

// common is how many bytes two texts start with alike.
func common(a, b string) int {
	n := 0
	for n < min(len(a), len(b)) && a[n] == b[n] {
		n++
	}
	return n
}

// span are the indexes of the objects below a folder of the repository, "" for all.
func (l *listing) span(folder string) (start, end int) {
	if folder == "" {
		return 0, l.len()
	}
	return l.from(folder + "/"), l.from(folder + "0") // "0" follows "/"
}

// leftOut says why a path is not shown, when it or a folder that it is in was
// left out.
func (l *listing) leftOut(path string) (reason string, is bool) {
	if len(l.left) == 0 {
		return "", false
	}
	exact := func(p string) bool {
		i, found := sort.Find(len(l.left), func(i int) int { return strings.Compare(p, l.left[i].Path) })
		if found {
			reason = l.left[i].Reason
		}
		return found
	}
	for folder := range paths.Ancestors(path) {
		if exact(folder) {
			return reason, true
		}
	}
	return reason, exact(path)
}
