package starlib

import (
	"bufio"
	"compress/flate"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"go.starlark.net/starlark"

	"perago/starlib/diag"
)

// Compressed content: gzip (RFC 1952) and zstd (RFC 8878), both as streams.

const (
	codePacked diag.Code = "P4122" // content that is not what its compression says

	// maxWindow bounds how far back a zstd stream may reach, and so the memory
	// that reading it takes, in bytes: files of `zstd --ultra` and `--long` may
	// want more, all others at most 8 MiB.
	maxWindow = 32 << 20

	// maxUnpacked, in bytes, and unpackedTimes, a multiple of the size of the file,
	// bound what is unpacked of one file: the larger of the two holds, since a zstd
	// of 10 MB can contain 300 GB.
	maxUnpacked   = 10 << 30
	unpackedTimes = 200
)

// compressionParam is how a reader or writer of files takes it.
func compressionParam() Param {
	return Param{Name: "compression", Type: "string", Default: "None", Kind: KeywordOnly,
		Doc: "`\"gzip\"`, `\"zstd\"` or `\"none\"`; None: as the suffix says, `.gz` or `.zst`"}
}

// compressionOf is the compression argument of a call about a file of that name:
// "gzip", "zstd", or "" for none.
func (c *call) compressionOf(name string) (string, error) {
	if v := c.arg("compression"); v == nil || v == starlark.None {
		return compressionBySuffix(name), nil
	}
	s, err := c.word("compression", "")
	if s == "none" {
		s = ""
	}
	return s, err
}

func compressionBySuffix(name string) string {
	switch {
	case strings.HasSuffix(name, ".gz"):
		return "gzip"
	case strings.HasSuffix(name, ".zst"):
		return "zstd"
	}
	return ""
}

// unpacker reads what packed content holds. Its errors are *diag.Problem, but
// for those of the content's own reader.
type unpacker struct {
	compression string
	where       string // "csv.reader raw/a.csv.gz", for complaints
	from        *taker
	most        int64 // bytes that may come out

	in   io.Reader // nil before the first read
	free func()
	at   int64 // bytes that came out
}

// taker notes how much was read, and an error that is not the end.
type taker struct {
	io.Reader
	n   int64
	err error
}

func (t *taker) Read(p []byte) (int, error) {
	n, err := t.Reader.Read(p)
	t.n += int64(n)
	if err != nil && err != io.EOF {
		t.err = err
	}
	return n, err
}

// newUnpacker reads packed content of that size in bytes.
func newUnpacker(compression, where string, from io.Reader, size int64) *unpacker {
	return &unpacker{compression: compression, where: where, from: &taker{Reader: from},
		most: max(maxUnpacked, min(size, 1<<50)*unpackedTimes), free: func() {}}
}

func (u *unpacker) close() { u.free() }

// start makes the library's reader. It reads the first bytes.
func (u *unpacker) start() error {
	in := bufio.NewReaderSize(u.from, 1<<16)
	first, err := in.Peek(2)
	if err != nil && err != io.EOF {
		return err
	}
	if len(first) < 2 {
		return io.ErrUnexpectedEOF // no content at all is something too, once packed
	}
	if u.compression == "gzip" {
		if string(first) != "\x1f\x8b" {
			return gzip.ErrHeader
		}
		r, err := gzip.NewReader(in)
		if err != nil {
			return noEnd(err)
		}
		u.in = r
		return nil
	}
	r, err := zstd.NewReader(in, zstd.WithDecoderConcurrency(1), zstd.WithDecoderLowmem(true), zstd.WithDecoderMaxWindow(maxWindow))
	if err != nil {
		return noEnd(err)
	}
	u.in, u.free = r, r.Close
	return nil
}

// noEnd is an error of a header that is cut off.
func noEnd(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

func (u *unpacker) Read(p []byte) (n int, err error) {
	if u.in == nil {
		err = u.start()
	}
	if err == nil {
		n, err = u.in.Read(p)
	}
	if u.at += int64(n); u.at > u.most {
		return 0, &diag.Problem{Code: codeTooMuch, Message: u.where + ": too much is packed in it", Found: "more than " + diag.Size(u.most) + " out of " + diag.Size(u.from.n),
			Wanted: fmt.Sprintf("at most %s, or %d times its size", diag.Size(maxUnpacked), unpackedTimes), Hint: "is it made to be a bomb? Otherwise cut it into several files"}
	}
	switch {
	case err == nil || err == io.EOF:
		return n, err
	case u.from.err != nil:
		return n, u.from.err
	}
	return n, u.broken(err)
}

// broken is the complaint of what the library refused.
func (u *unpacker) broken(err error) error {
	p := &diag.Problem{Code: codePacked, Cause: err}
	what := "the " + u.compression + " data is damaged"
	var corrupt flate.CorruptInputError
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF):
		what = "the " + u.compression + " data ends too early"
		p.Hint = "was it cut off when it was copied?"
	case errors.Is(err, zstd.ErrWindowSizeExceeded), errors.Is(err, zstd.ErrDecoderSizeExceeded):
		what = "the zstd data wants a larger window than reading it may take"
		p.Wanted, p.Hint = "at most "+diag.Size(maxWindow), "compress it without --long and --ultra"
	case errors.Is(err, gzip.ErrHeader), errors.Is(err, zstd.ErrMagicMismatch):
		if u.at > 0 {
			what = "something that is no " + u.compression + " follows the " + u.compression + " data"
			break
		}
		what = "the file is no " + u.compression
		p.Hint = `write compression = "none" to read it as it is`
	case errors.Is(err, gzip.ErrChecksum), errors.Is(err, zstd.ErrCRCMismatch):
		what = "the content is not what the checksum of the " + u.compression + " data says"
	case errors.As(err, &corrupt):
	}
	p.Message = fmt.Sprintf("%s: %s, after %s of content", u.where, what, diag.Plural(int(u.at), "byte"))
	return p
}

// packer writes content packed. Close ends it and leaves w open.
//
// The same content gives the same bytes: the level is fixed, a gzip header has
// neither time nor name, and one goroutine does all of it.
func packer(compression string, w io.Writer) (io.WriteCloser, error) {
	if compression == "gzip" {
		return gzip.NewWriterLevel(w, 6)
	}
	return zstd.NewWriter(w, zstd.WithEncoderConcurrency(1), zstd.WithEncoderLevel(zstd.SpeedDefault),
		zstd.WithWindowSize(1<<20), zstd.WithLowerEncoderMem(true))
}
