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

// Listing is immutable, sorted by the bytes of the paths. Paths are those of
// the repository.
type Listing struct {
	blocks      []block
	names       *inflater   // with the names of the block that was inflated last
	exclusions  []exclusion // sorted by path
	Hidden      int         // objects that the file API cannot name
	HiddenPaths []string    // their paths, as far as maxHiddenPaths has room
	Total       int         // objects that the store listed
	Self        bool        // there is also an object with the very name of the folder
}

// checkEvery is after how many objects a loop over them checks the context.
const checkEvery = 4096

// maxSize bounds the memory of one listing, in bytes: about ten million objects
// of ordinary names.
const maxSize = 512 << 20

// exclusion is the path of an object, or of a folder with all below it, that is not shown.
type exclusion struct {
	Path   string `json:"path"`
	Reason string `json:"reason"`
}

// Object is one object of the lower layer.
type Object struct {
	Path     string // in the repository
	Size     int64
	Checksum string // as the store gives it
	Hashed   bool   // MD5 is known, and is that of the bytes
	MD5      MD5
	Location Location
	Commit   string // that has it; "" is the one of the listing
}

// MD5 is what content is checked against after its transfer. It finds damage. It
// does not identify a content: anyone can make two contents with one MD5.
type MD5 [md5.Size]byte

// Location identifies the bytes of an object within its repository: a hash of
// where the store keeps them.
type Location [16]byte

// NewObject makes an Object of one that a store listed. For a store that gives no
// address, the location is the path and the commit.
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

// Empty says whether the listing has neither an object nor an exclusion.
func (l *Listing) Empty() bool { return l.len() == 0 && len(l.exclusions) == 0 }

// len is how many objects there are that the file API can name.
func (l *Listing) len() int {
	if len(l.blocks) == 0 {
		return 0
	}
	last := len(l.blocks) - 1
	return last*blockLen + l.blocks[last].len()
}

// Entry is one object as it is stored in a listing. Its strings share memory with
// those of its neighbours, and keep it alive: keep an Object or a clone instead.
type Entry struct {
	Path     string
	checksum string // "" where it is the MD5 as lower-case hex
	hashed   bool
	record   string
}

// Object is the object of the entry, with a path that does not share memory.
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

// Entries yields the objects from start up to end, with their indexes.
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

// Find returns the object of a path.
func (l *Listing) Find(path string) (Object, bool) {
	_, e := l.search(path)
	if e.Path != path || path == "" {
		return Object{}, false
	}
	return e.Object(path), true
}

// Index is the index of the first object that is not before path.
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
	// No path is decompressed here. before is the length of the prefix that path
	// shares with the previous object, which sorts before path. An object that
	// shares more than that with the previous one sorts before path too, and one
	// that shares less sorts after it.
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

// common is the length of the longest prefix of both, in bytes.
func common(a, b string) int {
	n := 0
	for n < min(len(a), len(b)) && a[n] == b[n] {
		n++
	}
	return n
}

// Range are the indexes of the objects below a folder of the repository, "" for all.
func (l *Listing) Range(folder string) (start, end int) {
	if folder == "" {
		return 0, l.len()
	}
	return l.Index(folder + "/"), l.Index(folder + "0") // "0" follows "/"
}

// Excluded says whether a path is not shown, because it or a folder that it is in
// is excluded, and why.
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

// The objects of a listing are stored in blocks of blockLen, in memory and on disk.
// In a block, a path is stored without the prefix that it shares with the path
// before it. Where the rest is still long, as with names that differ at the front,
// the names of the block are deflated if that halves them. A path is found by a
// binary search over the first paths, and by reading one block from its start.

// blockLen is how many objects a block has, but for the last one. With more of
// them an object takes fewer bytes, and a look-up reads more.
const blockLen = 32

// deflateFrom is the length of a block's names, in bytes, from which on deflating
// them is tried. Ordinary names take a tenth of it, and need no inflating.
const deflateFrom = blockLen * 64

// block is up to blockLen objects. data is the path of the first one, then the
// names, then a record for each.
//
// For each object the names have: how many bytes its path shares with the one
// before, how many bytes follow, twice the length of its checksum, plus 1 if the
// object has an MD5 (all as uvarints); then the bytes of the path that follow,
// then the checksum unless it is the MD5. The first object shares all of its path.
type block struct {
	data     string
	first    uint32 // bytes of the first path
	packed   uint32 // bytes of the names in data
	inflated uint32 // bytes of the names before they were deflated; 0: they are not deflated
}

// recordSize is that of a record: size (8 bytes, little-endian), MD5 (16), location (16).
const recordSize = 40

// blockCost is the memory that a block takes in addition to its data, in bytes.
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

// inflater returns the names of blocks, and keeps those that it inflated last,
// since look-ups mostly stay in one block for a while. It is safe for concurrent use.
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
		panic("workspace: a block of a listing cannot be inflated: " + err.Error()) // this process made the block, or verified its checksum
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

// unpacked are some consecutive objects of a block. Their paths are slices of
// one string, which is one allocation.
type unpacked struct {
	some  [blockLen]Entry
	ends  [blockLen]int
	n     int
	paths []byte
	path  []byte
}

// read decodes the objects of the block from start up to end.
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

// packer makes blocks of objects that are added in order.
type packer struct {
	blocks []block
	size   int // bytes of the finished blocks

	first, last    []byte // the first path of the unfinished block, and the last one added
	names, records []byte
	deflate        *flate.Writer
	deflated       bytes.Buffer
}

// add appends the next object, and returns how many bytes its path shares with
// the one before.
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

// taken is the size of the blocks so far, in bytes, with the unfinished one.
func (p *packer) taken() int { return p.size + len(p.names) + len(p.records) }

// flush finishes the unfinished block.
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

// halves deflates the names of the unfinished block, and says whether they are at
// most half as long then.
func (p *packer) halves() bool {
	p.deflated.Reset()
	if p.deflate == nil {
		p.deflate, _ = flate.NewWriter(&p.deflated, flate.BestSpeed) // an error only for a level that does not exist
	} else {
		p.deflate.Reset(&p.deflated)
	}
	p.deflate.Write(p.names) // a bytes.Buffer takes all
	p.deflate.Close()
	return p.deflated.Len() <= len(p.names)/2
}

// A Builder makes a listing of what a store lists: it decides what is excluded,
// and bounds how large the listing may become.

// maxHiddenPaths bounds the paths of a listing that are kept only for forbid_glob, in bytes.
const maxHiddenPaths = 4 << 20

// ReasonBoth is why a path is excluded that an object has and that other objects are below.
const ReasonBoth = "is the name of a file and of a folder at once"

// Builder makes a listing of objects that are added in order.
type Builder struct {
	Root    string // the prefix of the repository that is the workspace, "a/b/"
	Commit  string
	most    int // bytes that the listing may take; 0 is maxSize
	last    string
	objects packer
	files   []int    // lengths of those paths added that the last one starts with, its own included
	both    []string // the outermost paths that are a file and a folder
	hidden  int      // bytes of l.HiddenPaths
	names   int      // bytes of l.exclusions and both
	l       Listing
}

// hide counts an object that is not shown.
func (b *Builder) hide(l *Listing, path string) {
	l.Hidden++
	if b.hidden += len(path) + 16; b.hidden <= maxHiddenPaths {
		l.HiddenPaths = append(l.HiddenPaths, strings.Clone(path))
	}
}

// Add appends the next object. It fails if the store does not list in order, or
// with a *TooLargeError.
func (b *Builder) Add(o storage.Object) error {
	name, ours := strings.CutPrefix(o.Path, b.Root)
	switch {
	case !ours:
		return fmt.Errorf("the store's listing of %s has %s", paths.Quote(b.Root), paths.Quote(o.Path))
	case o.Unusable != "": // it may be a folder, and folders are sorted otherwise
	case o.Path <= b.last && b.l.Total > 0:
		return fmt.Errorf("the store's listing is out of order: %s came after %s", paths.Quote(o.Path), paths.Quote(b.last))
	default:
		b.last = o.Path
	}
	b.l.Total++
	switch {
	case paths.Reserved(o.Path):
		return nil
	case o.Unusable != "":
		b.Exclude(o.Path, o.Unusable)
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

// take packs an object. A file that other objects are below comes before these,
// and all that come between start with its name as well.
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

// exclusionCost is the memory that an exclusion takes in addition to its path, in bytes.
const exclusionCost = 48

// Exclude counts an object that is not shown, and keeps its path if a body could
// ask for it.
func (b *Builder) Exclude(path, reason string) {
	b.hide(&b.l, path)
	if paths.Problem(path[len(b.Root):]) == "" {
		b.names += exclusionCost + len(path)
		b.l.exclusions = append(b.l.exclusions, exclusion{Path: strings.Clone(path), Reason: reason})
	}
}

// Finish makes the listing. A path that is both a file and a folder is excluded
// with all that is below it; over are such paths above the listed folder.
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

// The format of a listing on disk: a line that names the format, the counts, the
// blocks as they are in memory, the paths that are not shown, and a checksum of
// all that, since after a crash of the machine a file may have any content.
// Numbers are uvarints, a text has its length before it. It is read and written
// piece by piece, and the context is checked in between.

const magic = "perago listing 4\n"

// castagnoli is the table of the checksum; crc32 makes it on the first call.
func castagnoli() *crc32.Table { return crc32.MakeTable(crc32.Castagnoli) }

var errFormat = errors.New("is not a listing")

// checkEveryBlocks is after how many blocks the context is checked.
const checkEveryBlocks = checkEvery / blockLen

// Write writes the listing in the format that Read reads.
func (l *Listing) Write(ctx context.Context, w io.Writer) error {
	sum := crc32.New(castagnoli())
	out := bufio.NewWriterSize(io.MultiWriter(w, sum), 1<<18) // Flush returns its first error
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
		if i%checkEveryBlocks == 0 && ctx.Err() != nil {
			return context.Cause(ctx)
		}
		number(int(b.first))
		number(int(b.packed))
		number(int(b.inflated))
		text(b.data)
	}
	number(len(l.exclusions))
	for _, e := range l.exclusions {
		text(e.Path)
		text(e.Reason)
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

// Read reads what Write wrote, size bytes long; it fails with errFormat on
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
		if i%checkEveryBlocks == 0 && ctx.Err() != nil {
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

// reader reads the pieces of a listing; after its first error all of them are
// empty.
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
