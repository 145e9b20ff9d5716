package workspace

import (
	"crypto/md5"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"
	"slices"
	"sort"
	"strings"
)

// This file holds what a commit has under one folder: a table in two flat
// pieces of memory, which are also its form on disk (listingfile.go), so that
// reading it back costs one read and 100,000 objects take about 120 bytes each.

// listing is immutable, sorted by the bytes of the paths. Paths are those of
// the repository.
type listing struct {
	records string    // recordSize bytes each
	names   string    // the paths, each with its checksum behind it when that is no MD5
	left    []leftOut // sorted by path
	hidden  int       // objects that the file API cannot name
	unseen  []string  // their paths, as many as maxUnseen bytes hold
	total   int       // objects the store gave
	self    bool      // there is also an object with the very name of the folder
}

// leftOut is a name that is not shown, or a folder of which nothing is.
type leftOut struct {
	Path   string `json:"path"`
	Reason string `json:"reason"`
}

// A record is: offset in names (8 bytes), size (8), length of the path (4),
// length of the checksum (3), flags (1), MD5 (16), place (16); little-endian.
const (
	recordSize = 56
	flagHashed = 1
)

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

// maxUnseen bounds the paths of a listing that are kept only for forbid_glob, in bytes.
const maxUnseen = 4 << 20

const reasonBoth = "is the name of a file and of a folder at once"

// contentOf makes the content of an object. commit says which, for a store that
// tells neither checksum nor address.
func contentOf(o Object, commit string) content {
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

func (l *listing) len() int { return len(l.records) / recordSize }

func (l *listing) record(i int) string { return l.records[i*recordSize : (i+1)*recordSize] }

// path is the path of object i; it shares the memory of the listing.
func (l *listing) path(i int) string {
	r := []byte(l.record(i)[:20])
	at := binary.LittleEndian.Uint64(r)
	return l.names[at : at+uint64(binary.LittleEndian.Uint32(r[16:]))]
}

func (l *listing) content(i int) content {
	r := []byte(l.record(i))
	at := binary.LittleEndian.Uint64(r)
	end := at + uint64(binary.LittleEndian.Uint32(r[16:]))
	flags := binary.LittleEndian.Uint32(r[20:])
	c := content{
		path:     l.names[at:end],
		size:     int64(binary.LittleEndian.Uint64(r[8:])),
		checksum: l.names[end : end+uint64(flags>>8)],
		hashed:   flags&flagHashed != 0,
	}
	copy(c.sum[:], r[24:])
	copy(c.place[:], r[40:])
	if c.hashed && c.checksum == "" {
		c.checksum = hex.EncodeToString(c.sum[:])
	}
	return c
}

// find returns the object of a path.
func (l *listing) find(path string) (content, bool) {
	i := l.from(path)
	if i == l.len() || l.path(i) != path {
		return content{}, false
	}
	return l.content(i), true
}

// from is the index of the first object that is not before path.
func (l *listing) from(path string) int {
	return sort.Search(l.len(), func(i int) bool { return l.path(i) >= path })
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
	for folder := range ancestors(path) {
		if exact(folder) {
			return reason, true
		}
	}
	return reason, exact(path)
}

// listingBuilder takes objects in order and makes a listing of them.
type listingBuilder struct {
	workspace string // the prefix of the repository that is the workspace, "a/b/"
	commit    string
	records   []byte
	names     strings.Builder
	last      string
	unseen    int // bytes of l.unseen
	l         listing
}

// hide counts an object that is not shown.
func (b *listingBuilder) hide(l *listing, path string) {
	l.hidden++
	if b.unseen += len(path) + 16; b.unseen <= maxUnseen {
		l.unseen = append(l.unseen, strings.Clone(path))
	}
}

// add takes the next object. Its error is a store that does not keep its order.
func (b *listingBuilder) add(o Object) error {
	name, ours := strings.CutPrefix(o.Path, b.workspace)
	switch {
	case !ours:
		return fmt.Errorf("the store's listing of %s has %s", quote(b.workspace), quote(o.Path))
	case o.Odd != "": // it may be a folder, which has a place of its own in the order
	case o.Path <= b.last && b.l.total > 0:
		return fmt.Errorf("the store's listing is out of order: %s came after %s", quote(o.Path), quote(b.last))
	default:
		b.last = o.Path
	}
	b.l.total++
	switch {
	case isReserved(o.Path):
		return nil
	case o.Odd != "":
		b.leave(o.Path, o.Odd)
		return nil
	case !nameable(name):
		b.leave(o.Path, "has a control character in its name")
		return nil
	}
	c := contentOf(o, b.commit)
	at := b.names.Len()
	b.names.WriteString(c.path)
	flags := uint32(0)
	if c.hashed {
		flags = flagHashed
	}
	if !c.hashed || c.checksum != hex.EncodeToString(c.sum[:]) {
		b.names.WriteString(c.checksum)
		flags |= uint32(len(c.checksum)) << 8
	}
	b.records = binary.LittleEndian.AppendUint64(b.records, uint64(at))
	b.records = binary.LittleEndian.AppendUint64(b.records, uint64(c.size))
	b.records = binary.LittleEndian.AppendUint32(b.records, uint32(len(c.path)))
	b.records = binary.LittleEndian.AppendUint32(b.records, flags)
	b.records = append(append(b.records, c.sum[:]...), c.place[:]...)
	return nil
}

// leave counts an object that is not shown, and remembers its name if a body
// could ask for it.
func (b *listingBuilder) leave(path, reason string) {
	b.hide(&b.l, path)
	if badPath(path[len(b.workspace):]) == "" {
		b.l.left = append(b.l.left, leftOut{Path: path, Reason: reason})
	}
}

// finish makes the listing. Where a name is that of a file and of a folder, it
// and all below it is left out; over are such names above the listed folder.
func (b *listingBuilder) finish(over []string) *listing {
	l := new(listing)
	*l = b.l
	l.records, l.names = string(b.records), b.names.String()
	b.records = nil
	if l.len() == 0 {
		over = nil
	}
	both := append(over, l.filesThatAreFolders(b.workspace)...)
	for _, p := range both {
		l.left = append(l.left, leftOut{Path: p, Reason: reasonBoth})
	}
	slices.SortFunc(l.left, func(a, b leftOut) int { return strings.Compare(a.Path, b.Path) })
	if len(both) == 0 {
		return l
	}
	var kept strings.Builder
	for i := range l.len() {
		if _, out := l.leftOut(l.path(i)); out {
			b.hide(l, l.path(i))
			continue
		}
		kept.WriteString(l.record(i))
	}
	l.records = kept.String()
	return l
}

// filesThatAreFolders are the outermost paths p with an object p and another
// below p + "/".
func (l *listing) filesThatAreFolders(workspace string) []string {
	var found []string
	previous := ""
	for i := range l.len() {
		p := l.path(i)
		for folder := range ancestors(p) {
			if len(folder) <= len(workspace) || under(previous, folder) {
				continue
			}
			if _, is := l.find(folder); is && (len(found) == 0 || !under(folder, found[len(found)-1])) {
				found = append(found, folder)
			}
		}
		previous = p
	}
	return found
}
