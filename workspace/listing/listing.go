// Package listing keeps what a commit has under one folder: the paths of its
// objects with size, checksum and location, packed into about 50 bytes each.
package listing

import (
	"bufio"
	"bytes"
	"cmp"
	"compress/flate"
	"context"
	"crypto/md5"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"iter"
	"slices"
	"sort"
	"strings"
	"sync"

	"perago/workspace/paths"
	"perago/workspace/storage"
)

// listing is immutable, sorted by the bytes of the paths. Paths are those of
// the repository.
type Listing struct {
	blocks      []block
	names       *inflater   // the block that was looked at last, where its names are deflated
	exclusions  []exclusion // sorted by path
	Hidden      int         // objects that the file API cannot name
	HiddenPaths []string    // their paths, as many as maxUnseen bytes hold
	Total       int         // objects the store gave
	Self        bool        // there is also an object with the very name of the folder
}

// checkEvery is after how many objects a loop over them checks the context.
const checkEvery = 4096

// maxListing bounds what one listing takes, in bytes: about ten million objects
// of ordinary names.
const maxSize = 512 << 20

// leftOut is a name that is not shown, or a folder of which nothing is.
type exclusion struct {
	Path   string `json:"path"`
	Reason string `json:"reason"`
}

// content is one object of the lower layer.
type Object struct {
	Path     string // in the repository
	Size     int64
	Checksum string // as the store gives it
	Hashed   bool   // sum is the MD5 of the bytes
	MD5      MD5
	Location Location
}

// md5sum is what content is checked against on its arrival. It finds damage. It
// does not tell contents apart: anyone can make two with one MD5.
type MD5 [md5.Size]byte

// place tells the bytes of an object from all others of its repository: a hash
// of where the store keeps them.
type Location [16]byte

// contentOf makes the content of an object. commit says which, for a store that
// tells neither checksum nor address.
func NewObject(o storage.Object, commit string) Object {
	c := Object{Path: o.Path, Size: o.Size, Checksum: o.Checksum}
	if raw, err := hex.DecodeString(o.Checksum); o.Hashed && err == nil && len(raw) == md5.Size {
		c.Hashed = true
		copy(c.MD5[:], raw)
	}
	where := "address\x00" + o.Physical
	if o.Physical == "" {
		where = "path\x00" + commit + "\x00" + o.Path
	}
	hash := sha256.Sum256([]byte(where))
	copy(c.Location[:], hash[:])
	return c
}

// Empty says that there is nothing of which the listing could tell anything.
func (l *Listing) Empty() bool { return l.len() == 0 && len(l.exclusions) == 0 }

// len is how many objects there are that the file API can name.
func (l *Listing) len() int {
	if len(l.blocks) == 0 {
		return 0
	}
	last := len(l.blocks) - 1
	return last*blockLen + l.blocks[last].len()
}

// listed is one object as it lies in a listing. Its strings keep the memory of
// its neighbours alive: what is kept for longer is a content, or a clone.
type Entry struct {
	Path     string
	checksum string // "" where it is the MD5 as lower-case hex
	hashed   bool
	record   string
}

// content is the object under a path of its own memory.
func (e Entry) Object(path string) Object {
	c := Object{Path: path, Hashed: e.hashed}
	c.Size, c.MD5, c.Location = recordFields(e.record)
	if c.Hashed && e.checksum == "" {
		c.Checksum = hex.EncodeToString(c.MD5[:])
	} else {
		c.Checksum = strings.Clone(e.checksum)
	}
	return c
}

// entries yields the objects from start up to end, with their indexes.
func (l *Listing) Entries(start, end int) iter.Seq2[int, Entry] {
	return func(yield func(int, Entry) bool) {
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
func (l *Listing) Find(path string) (Object, bool) {
	_, e := l.search(path)
	if e.Path != path || path == "" {
		return Object{}, false
	}
	return e.Object(path), true
}

// from is the index of the first object that is not before path.
func (l *Listing) Index(path string) int {
	i, _ := l.search(path)
	return i
}

// search finds the first object that is not before path; exact is that
// object when it has this very path.
func (l *Listing) search(path string) (i int, exact Entry) {
	n := sort.Search(len(l.blocks), func(n int) bool { return l.blocks[n].firstPath() > path }) - 1
	if n < 0 {
		return 0, Entry{}
	}
	// No path is put together: before is how much of path the object before has,
	// which is smaller. One that shares more with that is smaller too, one that
	// shares less is larger.
	b := &l.blocks[n]
	r := nameReader{rest: l.names.names(l, n)}
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
			return n*blockLen + k, Entry{}
		}
		switch {
		case follow == wanted:
			return n*blockLen + k, Entry{Path: path, checksum: r.checksum, hashed: r.hashed, record: b.record(k)}
		case follow > wanted:
			return n*blockLen + k, Entry{}
		}
		before += common(follow, wanted)
	}
	return n*blockLen + b.len(), Entry{}
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
func (l *Listing) Range(folder string) (start, end int) {
	if folder == "" {
		return 0, l.len()
	}
	return l.Index(folder + "/"), l.Index(folder + "0") // "0" follows "/"
}

// leftOut says why a path is not shown, when it or a folder that it is in was
// left out.
func (l *Listing) Excluded(path string) (reason string, is bool) {
	if len(l.exclusions) == 0 {
		return "", false
	}
	exact := func(p string) bool {
		i, found := sort.Find(len(l.exclusions), func(i int) int { return strings.Compare(p, l.exclusions[i].Path) })
		if found {
			reason = l.exclusions[i].Reason
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

// This file holds how the objects of a listing lie in memory, and on disk: in
// blocks of blockLen. In a block a path is what it does not share with the path
// before it. Where that is still long, as with names that differ at the front,
// the names of the block are deflated when that halves them. To find a path
// takes a binary search over the first paths, and one block read from its start.

// blockLen is how many objects a block has, but for the last one. With more of
// them a block is smaller, and a look-up reads more.
const blockLen = 32

// deflateFrom is from how many bytes of names in a block deflating is tried.
// Ordinary names take a tenth of it, and are looked up without inflating.
const deflateFrom = blockLen * 64

// block is up to blockLen objects. data is the path of the first one, then the
// names, then a record for each.
//
// Each object has in the names: how many bytes its path shares with the one
// before, how many follow, the length of its checksum twice, plus 1 for an
// object that has an MD5 (all as uvarints); then the bytes of the path that
// follow, then the checksum when that is not the MD5. The first object shares
// all of its path.
type block struct {
	data     string
	first    uint32 // bytes of the first path
	packed   uint32 // bytes of the names as they are here
	inflated uint32 // bytes of the names before they were deflated; 0: they are not
}

// A record is: size (8 bytes, little-endian), MD5 (16), place (16).
const recordSize = 40

// blockCost is what a block takes beside its data, in bytes.
const blockCost = 32

func (b *block) firstPath() string { return b.data[:b.first] }

func (b *block) len() int { return (len(b.data) - int(b.first) - int(b.packed)) / recordSize }

func (b *block) record(k int) string {
	at := int(b.first) + int(b.packed) + k*recordSize
	return b.data[at : at+recordSize]
}

func recordFields(record string) (size int64, sum MD5, p Location) {
	var raw [recordSize]byte
	copy(raw[:], record)
	copy(sum[:], raw[8:])
	copy(p[:], raw[8+len(sum):])
	return int64(binary.LittleEndian.Uint64(raw[:])), sum, p
}

// inflater gives the names of blocks, and remembers the last that it had to
// inflate: who looks at one block mostly looks at it again. It is safe for
// concurrent use.
type inflater struct {
	mu    sync.Mutex
	from  io.ReadCloser
	of    *block
	plain string
}

// names are the names of block n as they were before they were deflated.
func (in *inflater) names(l *Listing, n int) string {
	b := &l.blocks[n]
	packed := b.data[b.first : b.first+b.packed]
	if b.inflated == 0 {
		return packed
	}
	in.mu.Lock()
	defer in.mu.Unlock()
	if in.of == b {
		return in.plain
	}
	if in.from == nil {
		in.from = flate.NewReader(strings.NewReader(packed))
	} else {
		in.from.(flate.Resetter).Reset(strings.NewReader(packed), nil)
	}
	plain := make([]byte, b.inflated)
	if _, err := io.ReadFull(in.from, plain); err != nil {
		panic("workspace: a block of a listing cannot be inflated: " + err.Error()) // this process made it, or its checksum was right
	}
	in.of, in.plain = b, string(plain)
	return in.plain
}

// nameReader reads the names of a block one after the other.
type nameReader struct {
	rest     string // not read yet
	shared   int
	follow   string
	checksum string
	hashed   bool
}

func (r *nameReader) next() {
	r.shared = r.uvarint()
	follow, flags := r.uvarint(), r.uvarint()
	end := follow + flags>>1
	r.follow, r.checksum, r.hashed = r.rest[:follow], r.rest[follow:end], flags&1 != 0
	r.rest = r.rest[end:]
}

func (r *nameReader) uvarint() int {
	v, shift := 0, 0
	for i := 0; ; i++ {
		c := r.rest[i]
		v |= int(c&0x7f) << shift
		if c < 0x80 {
			r.rest = r.rest[i+1:]
			return v
		}
		shift += 7
	}
}

// unpacked are some neighbouring objects of a block. Their paths are cut from
// one string, so that they cost one allocation.
type unpacked struct {
	some  [blockLen]Entry
	ends  [blockLen]int
	n     int
	paths []byte
	path  []byte
}

// read takes the objects from start up to end.
func (u *unpacked) read(b *block, names string, start, end int) {
	r := nameReader{rest: names}
	u.path = append(u.path[:0], b.firstPath()...)
	u.n, u.paths = 0, u.paths[:0]
	for k := range end {
		r.next()
		u.path = append(u.path[:r.shared], r.follow...)
		if k < start {
			continue
		}
		u.some[u.n] = Entry{checksum: r.checksum, hashed: r.hashed, record: b.record(k)}
		u.paths = append(u.paths, u.path...)
		u.ends[u.n] = len(u.paths)
		u.n++
	}
}

func (u *unpacked) entries() iter.Seq[Entry] {
	return func(yield func(Entry) bool) {
		paths, at := string(u.paths), 0
		for k := range u.n {
			u.some[k].Path = paths[at:u.ends[k]]
			at = u.ends[k]
			if !yield(u.some[k]) {
				return
			}
		}
	}
}

// packer makes blocks of objects that come in order.
type packer struct {
	blocks []block
	size   int // bytes that the blocks take

	first, last    []byte // the first path of the block in work, and the last that came
	names, records []byte
	deflate        *flate.Writer
	deflated       bytes.Buffer
}

// add takes the next object, and says how many bytes its path shares with the
// one before.
func (p *packer) add(c Object, checksum string) (shared int) {
	for shared < min(len(p.last), len(c.Path)) && p.last[shared] == c.Path[shared] {
		shared++
	}
	if len(p.records) == blockLen*recordSize {
		p.flush()
	}
	from := shared
	if len(p.records) == 0 {
		p.first = append(p.first[:0], c.Path...)
		from = len(c.Path)
	}
	flags := uint64(len(checksum)) << 1
	if c.Hashed {
		flags |= 1
	}
	p.names = binary.AppendUvarint(p.names, uint64(from))
	p.names = binary.AppendUvarint(p.names, uint64(len(c.Path)-from))
	p.names = binary.AppendUvarint(p.names, flags)
	p.names = append(append(p.names, c.Path[from:]...), checksum...)
	p.records = binary.LittleEndian.AppendUint64(p.records, uint64(c.Size))
	p.records = append(append(p.records, c.MD5[:]...), c.Location[:]...)
	p.last = append(p.last[:shared], c.Path[shared:]...)
	return shared
}

// taken is what the blocks take so far, in bytes, with the one in work.
func (p *packer) taken() int { return p.size + len(p.names) + len(p.records) }

// flush ends the block in work.
func (p *packer) flush() {
	if len(p.records) == 0 {
		return
	}
	b := block{first: uint32(len(p.first))}
	names := p.names
	if len(names) >= deflateFrom && p.halves() {
		b.inflated, names = uint32(len(names)), p.deflated.Bytes()
	}
	b.packed = uint32(len(names))
	var data strings.Builder
	data.Grow(len(p.first) + len(names) + len(p.records))
	data.Write(p.first)
	data.Write(names)
	data.Write(p.records)
	b.data = data.String()
	p.blocks = append(p.blocks, b)
	p.size += blockCost + len(b.data)
	p.names, p.records = p.names[:0], p.records[:0]
}

// halves deflates the names of the block in work, and says whether they are half
// as long then.
func (p *packer) halves() bool {
	p.deflated.Reset()
	if p.deflate == nil {
		p.deflate, _ = flate.NewWriter(&p.deflated, flate.BestSpeed) // its only error is another level
	} else {
		p.deflate.Reset(&p.deflated)
	}
	p.deflate.Write(p.names) // a bytes.Buffer takes all
	p.deflate.Close()
	return p.deflated.Len() <= len(p.names)/2
}

// This file holds how a listing is made of what a store gives: what is left out
// of it, and how large it may become.

// maxUnseen bounds the paths of a listing that are kept only for forbid_glob, in bytes.
const maxHiddenPaths = 4 << 20

const ReasonBoth = "is the name of a file and of a folder at once"

// listingBuilder takes objects in order and makes a listing of them.
type Builder struct {
	Root    string // the prefix of the repository that is the workspace, "a/b/"
	Commit  string
	most    int // bytes that the listing may take; 0 is maxListing
	last    string
	objects packer
	files   []int    // lengths of the paths taken that the last one starts with, itself among them
	both    []string // the outermost paths that are a file and a folder
	unseen  int      // bytes of l.unseen
	names   int      // bytes of l.left and both
	l       Listing
}

// hide counts an object that is not shown.
func (b *Builder) hide(l *Listing, path string) {
	l.Hidden++
	if b.unseen += len(path) + 16; b.unseen <= maxHiddenPaths {
		l.HiddenPaths = append(l.HiddenPaths, strings.Clone(path))
	}
}

// add takes the next object. Its error is a store that does not keep its order,
// or too many names.
func (b *Builder) Add(o storage.Object) error {
	name, ours := strings.CutPrefix(o.Path, b.Root)
	switch {
	case !ours:
		return fmt.Errorf("the store's listing of %s has %s", paths.Quote(b.Root), paths.Quote(o.Path))
	case o.Odd != "": // it may be a folder, which has a place of its own in the order
	case o.Path <= b.last && b.l.Total > 0:
		return fmt.Errorf("the store's listing is out of order: %s came after %s", paths.Quote(o.Path), paths.Quote(b.last))
	default:
		b.last = o.Path
	}
	b.l.Total++
	switch {
	case paths.Reserved(o.Path):
		return nil
	case o.Odd != "":
		b.Exclude(o.Path, o.Odd)
	case !paths.Nameable(name):
		b.Exclude(o.Path, "has a control character in its name")
	default:
		b.take(NewObject(o, b.Commit))
	}
	most := cmp.Or(b.most, maxSize)
	if n := b.objects.taken() + b.names; n > most {
		return &TooLargeError{Bytes: n, Objects: b.l.Total, Most: most}
	}
	return nil
}

// TooLargeError is a listing that would take more memory than it may.
type TooLargeError struct {
	Bytes   int // that the objects so far take
	Objects int
	Most    int // bytes
}

func (e *TooLargeError) Error() string {
	return fmt.Sprintf("the listing is too large: %d bytes for the first %d objects, want at most %d bytes", e.Bytes, e.Objects, e.Most)
}

// take packs an object. A file that others are below comes before them, and all
// that come between start with its name as well.
func (b *Builder) take(c Object) {
	shared := b.objects.add(c, checksumBeside(c))
	for n := len(b.files); n > 0 && b.files[n-1] > shared; n-- {
		b.files = b.files[:n-1]
	}
	for _, n := range b.files {
		if c.Path[n] == '/' {
			b.isBoth(c.Path[:n])
			break // the outermost
		}
	}
	b.files = append(b.files, len(c.Path))
}

func (b *Builder) isBoth(path string) {
	if n := len(b.both); n > 0 && (b.both[n-1] == path || paths.Under(path, b.both[n-1])) {
		return
	}
	b.names += exclusionCost + len(path)
	b.both = append(b.both, strings.Clone(path))
}

// checksumBeside is the checksum of an object where it is not the MD5 as hex.
func checksumBeside(c Object) string {
	if c.Hashed && c.Checksum == hex.EncodeToString(c.MD5[:]) {
		return ""
	}
	return c.Checksum
}

// leftOutCost is what a name in listing.left takes beside its bytes.
const exclusionCost = 48

// leave counts an object that is not shown, and remembers its name if a body
// could ask for it.
func (b *Builder) Exclude(path, reason string) {
	b.hide(&b.l, path)
	if paths.Problem(path[len(b.Root):]) == "" {
		b.names += exclusionCost + len(path)
		b.l.exclusions = append(b.l.exclusions, exclusion{Path: strings.Clone(path), Reason: reason})
	}
}

// finish makes the listing. Where a name is that of a file and of a folder, it
// and all below it is left out; over are such names above the listed folder.
func (b *Builder) Finish(ctx context.Context, over []string) (*Listing, error) {
	b.objects.flush()
	l := new(Listing)
	*l = b.l
	l.blocks, l.names = b.objects.blocks, new(inflater)
	if l.len() == 0 {
		over = nil
	}
	both := append(over, b.both...)
	for _, p := range both {
		l.exclusions = append(l.exclusions, exclusion{Path: p, Reason: ReasonBoth})
	}
	slices.SortFunc(l.exclusions, func(a, b exclusion) int { return strings.Compare(a.Path, b.Path) })
	if len(both) == 0 {
		return l, nil
	}
	var kept packer
	for i, e := range l.Entries(0, l.len()) {
		if i%checkEvery == 0 && ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		if _, out := l.Excluded(e.Path); out {
			b.hide(l, e.Path)
			continue
		}
		c := e.Object(e.Path)
		kept.add(c, checksumBeside(c))
	}
	kept.flush()
	l.blocks = kept.blocks
	return l, nil
}

// The form of a listing on disk: a line that names the form, the counts, the
// blocks as they are in memory, the names that are not shown, and a checksum of
// all that, since a file of a crashed machine may have any content. Numbers are
// uvarints, a text has its length before it. It is read and written piece by
// piece, as long as the context of who asked lasts.

const magic = "perago listing 4\n"

// castagnoli is made when it is first asked for: a check reads no listing.
func castagnoli() *crc32.Table { return crc32.MakeTable(crc32.Castagnoli) }

var errFormat = errors.New("is not a listing")

// blocksPerLook is after how many blocks the context is looked at.
const blocksPerLook = checkEvery / blockLen

func (l *Listing) Write(ctx context.Context, w io.Writer) error {
	sum := crc32.New(castagnoli())
	out := bufio.NewWriterSize(io.MultiWriter(w, sum), 1<<18) // it remembers its first error
	number := func(n int) { out.Write(binary.AppendUvarint(out.AvailableBuffer(), uint64(n))) }
	text := func(s string) {
		number(len(s))
		out.WriteString(s)
	}
	self := 0
	if l.Self {
		self = 1
	}
	out.WriteString(magic)
	for _, n := range []int{l.Total, l.Hidden, self, len(l.blocks)} {
		number(n)
	}
	for i, b := range l.blocks {
		if i%blocksPerLook == 0 && ctx.Err() != nil {
			return context.Cause(ctx)
		}
		number(int(b.first))
		number(int(b.packed))
		number(int(b.inflated))
		text(b.data)
	}
	number(len(l.exclusions))
	for _, left := range l.exclusions {
		text(left.Path)
		text(left.Reason)
	}
	number(len(l.HiddenPaths))
	for _, path := range l.HiddenPaths {
		text(path)
	}
	if err := out.Flush(); err != nil {
		return err
	}
	return binary.Write(w, binary.LittleEndian, sum.Sum32())
}

// readListing reads what writeTo wrote, of size bytes; errBadListing for
// anything else.
func Read(ctx context.Context, file io.Reader, size int64) (*Listing, error) {
	sum := crc32.New(castagnoli())
	body := io.TeeReader(io.LimitReader(file, size-crc32.Size), sum)
	r := reader{r: bufio.NewReaderSize(body, 1<<18), left: size}
	if r.bytes(len(magic)) != magic {
		return nil, errFormat
	}
	l := &Listing{Total: r.number(), Hidden: r.number(), Self: r.number() == 1, names: new(inflater)}
	for i := range r.number() {
		if i%blocksPerLook == 0 && ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		b := block{first: uint32(r.number()), packed: uint32(r.number()), inflated: uint32(r.number()), data: r.text()}
		if r.err != nil {
			return nil, errFormat
		}
		l.blocks = append(l.blocks, b)
	}
	for n := r.number(); n > 0 && r.err == nil; n-- {
		l.exclusions = append(l.exclusions, exclusion{Path: r.text(), Reason: r.text()})
	}
	for n := r.number(); n > 0 && r.err == nil; n-- {
		l.HiddenPaths = append(l.HiddenPaths, r.text())
	}
	var want [crc32.Size]byte
	if _, err := r.r.ReadByte(); r.err != nil || err != io.EOF {
		return nil, errFormat
	}
	if _, err := io.ReadFull(file, want[:]); err != nil || binary.LittleEndian.Uint32(want[:]) != sum.Sum32() {
		return nil, errFormat
	}
	return l, nil
}

// listingReader reads the pieces of a listing; after its first error all of them
// are empty.
type reader struct {
	r    *bufio.Reader
	left int64 // no piece is longer
	err  error
}

func (r *reader) number() int {
	if r.err != nil {
		return 0
	}
	n, err := binary.ReadUvarint(r.r)
	if r.err = err; err != nil {
		return 0
	}
	return int(n)
}

func (r *reader) text() string { return r.bytes(r.number()) }

func (r *reader) bytes(n int) string {
	if r.err == nil && (n < 0 || int64(n) > r.left) {
		r.err = errFormat
	}
	if r.err != nil {
		return ""
	}
	r.left -= int64(n)
	b := make([]byte, n)
	_, r.err = io.ReadFull(r.r, b)
	return string(b)
}
