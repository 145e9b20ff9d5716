package workspace

import (
	"bytes"
	"compress/flate"
	"encoding/binary"
	"io"
	"iter"
	"strings"
	"sync"
)

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

func recordFields(record string) (size int64, sum md5sum, p place) {
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
func (in *inflater) names(l *listing, n int) string {
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
	some  [blockLen]listed
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
		u.some[u.n] = listed{checksum: r.checksum, hashed: r.hashed, record: b.record(k)}
		u.paths = append(u.paths, u.path...)
		u.ends[u.n] = len(u.paths)
		u.n++
	}
}

func (u *unpacked) entries() iter.Seq[listed] {
	return func(yield func(listed) bool) {
		paths, at := string(u.paths), 0
		for k := range u.n {
			u.some[k].path = paths[at:u.ends[k]]
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
func (p *packer) add(c content, checksum string) (shared int) {
	for shared < min(len(p.last), len(c.path)) && p.last[shared] == c.path[shared] {
		shared++
	}
	if len(p.records) == blockLen*recordSize {
		p.flush()
	}
	from := shared
	if len(p.records) == 0 {
		p.first = append(p.first[:0], c.path...)
		from = len(c.path)
	}
	flags := uint64(len(checksum)) << 1
	if c.hashed {
		flags |= 1
	}
	p.names = binary.AppendUvarint(p.names, uint64(from))
	p.names = binary.AppendUvarint(p.names, uint64(len(c.path)-from))
	p.names = binary.AppendUvarint(p.names, flags)
	p.names = append(append(p.names, c.path[from:]...), checksum...)
	p.records = binary.LittleEndian.AppendUint64(p.records, uint64(c.size))
	p.records = append(append(p.records, c.sum[:]...), c.place[:]...)
	p.last = append(p.last[:shared], c.path[shared:]...)
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
