package workspace

import (
	"bufio"
	"context"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"io"
)

// The form of a listing on disk: a line that names the form, the counts, the
// blocks as they are in memory, the names that are not shown, and a checksum of
// all that, since a file of a crashed machine may have any content. Numbers are
// uvarints, a text has its length before it. It is read and written piece by
// piece, as long as the context of who asked lasts.

const listingMagic = "perago listing 4\n"

// castagnoli is made when it is first asked for: a check reads no listing.
func castagnoli() *crc32.Table { return crc32.MakeTable(crc32.Castagnoli) }

var errBadListing = errors.New("is not a listing")

// blocksPerLook is after how many blocks the context is looked at.
const blocksPerLook = lookEvery / blockLen

func (l *listing) writeTo(ctx context.Context, w io.Writer) error {
	sum := crc32.New(castagnoli())
	out := bufio.NewWriterSize(io.MultiWriter(w, sum), 1<<18) // it remembers its first error
	number := func(n int) { out.Write(binary.AppendUvarint(out.AvailableBuffer(), uint64(n))) }
	text := func(s string) {
		number(len(s))
		out.WriteString(s)
	}
	self := 0
	if l.self {
		self = 1
	}
	out.WriteString(listingMagic)
	for _, n := range []int{l.total, l.hidden, self, len(l.blocks)} {
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
	number(len(l.left))
	for _, left := range l.left {
		text(left.Path)
		text(left.Reason)
	}
	number(len(l.unseen))
	for _, path := range l.unseen {
		text(path)
	}
	if err := out.Flush(); err != nil {
		return err
	}
	return binary.Write(w, binary.LittleEndian, sum.Sum32())
}

// readListing reads what writeTo wrote, of size bytes; errBadListing for
// anything else.
func readListing(ctx context.Context, file io.Reader, size int64) (*listing, error) {
	sum := crc32.New(castagnoli())
	body := io.TeeReader(io.LimitReader(file, size-crc32.Size), sum)
	r := listingReader{r: bufio.NewReaderSize(body, 1<<18), left: size}
	if r.bytes(len(listingMagic)) != listingMagic {
		return nil, r.bad()
	}
	l := &listing{total: r.number(), hidden: r.number(), self: r.number() == 1, looked: new(inflater)}
	for i := range r.number() {
		if i%blocksPerLook == 0 && ctx.Err() != nil {
			return nil, context.Cause(ctx)
		}
		b := block{first: uint32(r.number()), packed: uint32(r.number()), inflated: uint32(r.number()), data: r.text()}
		if r.err != nil {
			return nil, r.bad()
		}
		l.blocks = append(l.blocks, b)
	}
	for n := r.number(); n > 0 && r.err == nil; n-- {
		l.left = append(l.left, leftOut{Path: r.text(), Reason: r.text()})
	}
	for n := r.number(); n > 0 && r.err == nil; n-- {
		l.unseen = append(l.unseen, r.text())
	}
	var want [crc32.Size]byte
	if _, err := r.r.ReadByte(); r.err != nil || err != io.EOF {
		return nil, r.bad()
	}
	if _, err := io.ReadFull(file, want[:]); err != nil || binary.LittleEndian.Uint32(want[:]) != sum.Sum32() {
		return nil, errBadListing
	}
	return l, nil
}

// listingReader reads the pieces of a listing; after its first error all of them
// are empty.
type listingReader struct {
	r    *bufio.Reader
	left int64 // no piece is longer
	err  error
}

func (r *listingReader) number() int {
	if r.err != nil {
		return 0
	}
	n, err := binary.ReadUvarint(r.r)
	if r.err = err; err != nil {
		return 0
	}
	return int(n)
}

func (r *listingReader) text() string { return r.bytes(r.number()) }

func (r *listingReader) bytes(n int) string {
	if r.err == nil && (n < 0 || int64(n) > r.left) {
		r.err = errBadListing
	}
	if r.err != nil {
		return ""
	}
	r.left -= int64(n)
	b := make([]byte, n)
	_, r.err = io.ReadFull(r.r, b)
	return string(b)
}

// bad is why a listing could not be read: what the disk says, or else that it is
// none.
func (r *listingReader) bad() error {
	if r.err == nil || errors.Is(r.err, io.EOF) || errors.Is(r.err, io.ErrUnexpectedEOF) {
		return errBadListing
	}
	return r.err
}
