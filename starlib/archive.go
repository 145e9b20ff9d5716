package starlib

import (
	"archive/tar"
	"archive/zip"
	"bufio"
	"compress/flate"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"sync"

	packedflate "github.com/klauspost/compress/flate"
	"github.com/klauspost/compress/gzip"
	"github.com/klauspost/compress/zstd"
	"go.starlark.net/starlark"
	"golang.org/x/text/encoding/charmap"

	"perago/starlib/diag"
	"perago/workspace/paths"
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

// Archives: zip, and tar as it is, in gzip or in zstd.

const (
	codeArchive diag.Code = "P4123" // an archive that is none, or an entry that no workspace can have

	// maxEntries bounds the entries of one archive.
	maxEntries = 1_000_000

	// maxDirectory bounds what is read of a zip before its first entry, in bytes:
	// all that is known of its entries is in memory then, at up to eight times that.
	maxDirectory = 16 << 20
)

// archiveBuiltins read and write archives.
func archiveBuiltins() []Builtin {
	format := Param{Name: "format", Type: "string", Default: "None",
		Doc: "`\"zip\"`, `\"tar\"`, `\"tar.gz\"` or `\"tar.zst\"`; None: as the suffix says, `.tgz` included"}
	return []Builtin{
		{Name: "archive.entries", Phase: Act, Returns: "archive entries, each an entry", call: archiveEntries,
			Params: []Param{{Name: "path", Type: "path", Doc: "a zip or a tar"}, format,
				{Name: "skip_links", Type: "bool", Default: "False", Kind: KeywordOnly, Doc: "whether links, devices and the like are passed over; else they are an error"}},
			Doc: "The files of an archive, to loop over, in its order; folders are passed over. Nothing is unpacked before an entry is read: memory does not grow " +
				"with the size of the archive. A name that a path of the workspace cannot be (absolute, with `..`, a backslash or a control character), an entry " +
				"that is encrypted or overlaps another one, and data that is damaged stop the body at the `for` line. An archive has at most 1,000,000 entries, a zip " +
				"16 MiB of directory, and what comes out is bounded by 10 GiB, or 200 times its size where that is more.",
			Example: "for e in archive.entries(workspace / \"raw/a.zip\"):\n    if e.name.endswith(\".csv\"):\n        for row in csv.dict_reader(e):\n            print(e.name, row)"},
		{Name: "archive.write", Phase: Act, Returns: "int", call: archiveWrite,
			Params: []Param{{Name: "path", Type: "path", Doc: "the archive to replace; its folders are made"},
				{Name: "entries", Type: "iterable of tuple, list or entry, or dict", Doc: "names and contents, which are strings, bytes, paths or entries; an entry alone keeps its name"}, format},
			Doc: "Writes an archive in one step, entry by entry in the order given, and returns their count. The same contents give the same bytes: " +
				"times, owners and modes are fixed. A name that is there twice, or that a path of the workspace cannot be, is an error.",
			Example: `archive.write(workspace / "out/a.tar.gz", {"ids.txt": "1\n2\n", "raw.csv": workspace / "raw/a.csv"})`},
		{Name: "entry.name", Phase: Pure, Method: true, Property: true, Returns: "string", Doc: "The name with its folders, such as `data/a.csv`; `workspace / e.name` is a path.",
			call: func(c *call) (starlark.Value, error) { return starlark.String(c.recv.(*entry).name), nil }},
		{Name: "entry.size", Phase: Pure, Method: true, Property: true, Returns: "int", Doc: "The size of the content in bytes, as the archive says; reading it holds it to that.",
			call: func(c *call) (starlark.Value, error) { return starlark.MakeInt64(c.recv.(*entry).size), nil }},
		{Name: "entry.read", Phase: Act, Method: true, Returns: "bytes", call: entryRead,
			Doc: "The whole content as bytes. Reading an entry later than its turn in the loop starts at the front of the archive again, which takes its time."},
		{Name: "entry.read_text", Phase: Act, Method: true, Returns: "string", call: entryReadText, Params: encodingParams(),
			Doc: "The whole content as text, as path.read_text gives it."},
		{Name: "entry.lines", Phase: Act, Method: true, Returns: "lines", call: entryLines, Params: slices.Concat([]Param{compressionParam()}, encodingParams()),
			Doc: "The lines of the content, as path.lines gives them."},
		{Name: "entry.open", Phase: Act, Method: true, Returns: "file", call: entryOpen,
			Params: []Param{{Name: "mode", Type: "string", Default: `"r"`, Doc: "`r` or `rb`"}, compressionParam(), encodingParams()[0], encodingParams()[1]},
			Doc:    "Opens the entry for reading, as path.open does. What the loop was at is closed when it goes on."},
	}
}

// archive is what archive.entries gives.
type archive struct {
	call      *call
	path      path
	format    string // "zip" or "tar"
	packed    string // compression of a tar
	skipLinks bool
	zip       *zipFile // nil before it was opened, and for a tar
}

var _ starlark.Iterable = (*archive)(nil)

func (a *archive) String() string        { return fmt.Sprintf("<entries of %s>", a.path) }
func (a *archive) Type() string          { return "archive entries" }
func (a *archive) Freeze()               {}
func (a *archive) Truth() starlark.Bool  { return true }
func (a *archive) Hash() (uint32, error) { return 0, fmt.Errorf("unhashable: archive entries") }

// entry is one file of an archive.
type entry struct {
	archive *archive
	index   int // among the entries of the archive
	name    string
	size    int64
	loop    *archiveIterator // that gave it
}

var (
	_ starlark.HasAttrs = (*entry)(nil)
	_ origin            = (*entry)(nil)
)

func (e *entry) String() string        { return e.archive.path.String() + ": " + e.name }
func (e *entry) Type() string          { return "entry" }
func (e *entry) Freeze()               {}
func (e *entry) Truth() starlark.Bool  { return true }
func (e *entry) Hash() (uint32, error) { return 0, fmt.Errorf("unhashable: entry") }

var entryMembers = sync.OnceValue(func() members {
	return membersOf(slices.DeleteFunc(archiveBuiltins(), func(b Builtin) bool { return !b.Method }))
})

func (e *entry) Attr(name string) (starlark.Value, error) { return entryMembers().attr(e, name) }
func (e *entry) AttrNames() []string                      { return entryMembers().names }

// archiveFormat is the format argument, or what a suffix says: "zip" or "tar",
// and how the tar is packed.
func (c *call) archiveFormat(p path) (format, packed string, err error) {
	given := ""
	if v := c.arg("format"); v != nil && v != starlark.None {
		if given, err = c.word("format", ""); err != nil {
			return "", "", err
		}
	} else {
		for _, suffix := range []string{"zip", "tar", "tar.gz", "tgz", "tar.zst", "tzst"} {
			if strings.HasSuffix(p.name(), "."+suffix) {
				given = suffix
			}
		}
	}
	switch given {
	case "zip", "tar":
		return given, "", nil
	case "tar.gz", "tgz":
		return "tar", "gzip", nil
	case "tar.zst", "tzst":
		return "tar", "zstd", nil
	case "":
		problem := c.problem(codeValue, "%s: the suffix does not say what archive it is", diag.Shorten(p.String()))
		problem.Wanted, problem.Hint = "one of .zip, .tar, .tar.gz, .tgz and .tar.zst", `write format = "zip"`
		return "", "", problem
	}
	return "", "", c.refuse("format", starlark.String(diag.Shorten(given)).String(), `"zip", "tar", "tar.gz" or "tar.zst"`)
}

func archiveEntries(c *call) (starlark.Value, error) {
	p, err := c.file("path")
	if err != nil {
		return nil, err
	}
	a := &archive{call: c, path: p}
	if a.format, a.packed, err = c.archiveFormat(p); err != nil {
		return nil, err
	}
	if a.skipLinks, err = c.boolean("skip_links", false); err != nil {
		return nil, err
	}
	return a, c.isFile(p)
}

// archiveReader goes over the entries of an archive.
type archiveReader interface {
	// next goes on; io.EOF after the last.
	next() (archiveHeader, error)
	// content is that of the present entry.
	content() (io.Reader, error)
	close() error
}

type archiveHeader struct {
	name   string
	size   int64
	folder bool
	odd    string // what else it is: "a symbolic link"
}

// open starts at the front of the archive.
func (a *archive) open() (archiveReader, error) {
	if a.format == "zip" {
		return a.openZip()
	}
	in, err := a.call.openAs(a.path, form{compression: a.packed})
	if err != nil {
		return nil, err
	}
	return &tarReader{opened: in, tar: tar.NewReader(bufio.NewReaderSize(in, 1<<16))}, nil
}

// Iterate opens the archive; its Done closes it.
func (a *archive) Iterate() starlark.Iterator {
	r, err := a.open()
	if err != nil {
		a.call.run.stop(a.failed("", err))
		return &archiveIterator{}
	}
	return &archiveIterator{archive: a, reader: r, at: -1}
}

// archiveIterator is a loop over an archive.
type archiveIterator struct {
	archive *archive
	reader  archiveReader // nil when there is nothing left
	at      int           // index of the present entry
	read    bool          // its content was asked for
}

func (it *archiveIterator) Next(x *starlark.Value) bool {
	if it.reader == nil {
		return false
	}
	e, err := it.next()
	if err == nil {
		e.loop = it
		*x = e
		return true
	}
	it.Done()
	if err != io.EOF {
		it.archive.call.run.stop(err)
	}
	return false
}

func (it *archiveIterator) Done() {
	if it.reader != nil {
		it.reader.close() // it was only read: there is nothing to lose
		it.reader = nil
	}
}

// next is the next file. Its errors are complaints, or io.EOF.
func (it *archiveIterator) next() (*entry, error) {
	a := it.archive
	for {
		h, err := it.reader.next()
		it.at, it.read = it.at+1, false
		switch {
		case err == io.EOF:
			return nil, err
		case err != nil:
			return nil, a.failed("", err)
		case it.at >= maxEntries:
			return nil, a.tooMuch("too many entries", "more than 1,000,000", "at most 1,000,000", "")
		case h.folder, h.odd != "" && a.skipLinks:
			continue
		}
		for strings.HasPrefix(h.name, "./") {
			h.name = h.name[2:]
		}
		if h.odd != "" {
			return nil, a.refused(h.name, h.odd, "an entry with content", "skip_links = True passes over links and devices")
		}
		if err := paths.CheckNew(h.name); err != nil {
			var bad *paths.Error
			reason := err.Error()
			if errors.As(err, &bad) {
				reason = bad.Reason
			}
			return nil, a.refused(h.name, "a name that "+reason, "a path below the workspace", "")
		}
		return &entry{archive: a, index: it.at, name: h.name, size: h.size}, nil
	}
}

// refused is the complaint of an entry.
func (a *archive) refused(name, found, wanted, hint string) error {
	return &diag.Problem{Code: codeArchive, Found: found, Wanted: wanted, Hint: hint,
		Message: fmt.Sprintf("%s %s: the entry %s", a.call.builtin.Name, diag.Shorten(a.path.String()), diag.Quote(name))}
}

func (a *archive) tooMuch(what, found, wanted, hint string) error {
	return &diag.Problem{Code: codeTooMuch, Found: found, Wanted: wanted, Hint: hint,
		Message: fmt.Sprintf("%s %s: %s", a.call.builtin.Name, diag.Shorten(a.path.String()), what)}
}

// failed is the complaint of an error of the archive, or of an entry of it.
func (a *archive) failed(name string, err error) error {
	var already *diag.Problem
	var file *fs.PathError
	if errors.As(err, &already) || errors.As(err, &file) || a.call.run.cancelled() != nil {
		return a.call.fileError(a.path, err)
	}
	what := "the " + a.format + " is damaged"
	var corrupt flate.CorruptInputError
	switch {
	case errors.Is(err, io.ErrUnexpectedEOF):
		what = "the " + a.format + " ends too early, or an entry is shorter than it says"
	case errors.Is(err, zip.ErrFormat), errors.Is(err, tar.ErrHeader):
		what = "the file is no " + a.format + ", or damaged"
	case errors.Is(err, zip.ErrAlgorithm):
		what = "it is compressed in a way that is not known"
	case errors.Is(err, zip.ErrChecksum):
		what = "the content is not what the checksum says"
	case errors.As(err, &corrupt):
	}
	where := diag.Shorten(a.path.String())
	if name != "" {
		where += ": the entry " + diag.Quote(name)
	}
	return &diag.Problem{Code: codeArchive, Cause: err, Message: fmt.Sprintf("%s %s: %s", a.call.builtin.Name, where, what)}
}

// tarReader reads a tar from front to back.
type tarReader struct {
	*opened
	tar *tar.Reader
}

func (t *tarReader) next() (archiveHeader, error) {
	h, err := t.tar.Next()
	if err != nil {
		return archiveHeader{}, err
	}
	a := archiveHeader{name: h.Name, size: h.Size}
	switch h.Typeflag {
	case tar.TypeReg:
		for key := range h.PAXRecords {
			if strings.HasPrefix(key, "GNU.sparse") {
				a.odd = "a sparse file, whose size is not that of its content"
			}
		}
	case tar.TypeDir:
		a.folder = true
	case tar.TypeXGlobalHeader:
		a.folder = true // it says something of the entries behind it
	case tar.TypeSymlink:
		a.odd = "a symbolic link"
	case tar.TypeLink:
		a.odd = "a link to another entry"
	case tar.TypeGNUSparse:
		a.odd = "a sparse file, whose size is not that of its content"
	default:
		a.odd = "a device, a pipe, or another thing that is no file"
	}
	return a, nil
}

func (t *tarReader) content() (io.Reader, error) { return t.tar, nil }

// zipReader goes over a zip, whose directory stands at its end.
type zipReader struct {
	*zipFile
	at int // index of the next entry
}

// zipFile is a zip whose directory was read. Its file is open while somebody
// uses it.
type zipFile struct {
	*source
	info  fs.FileInfo
	zip   *zip.Reader
	most  int64 // bytes that may still be read; below 0 as many as there are
	users int
}

var errDirectory = errors.New("the directory is too large")

// ReadAt looks first at whether the run was cancelled.
func (f *zipFile) ReadAt(p []byte, off int64) (int, error) {
	if err := f.run.cancelled(); err != nil {
		return 0, err
	}
	if f.most >= 0 {
		if f.most -= int64(len(p)); f.most < 0 {
			return 0, errDirectory
		}
	}
	return f.file.ReadAt(p, off)
}

func (a *archive) openZip() (archiveReader, error) {
	if a.zip != nil && a.zip.users > 0 {
		a.zip.users++
		return &zipReader{zipFile: a.zip}, nil
	}
	src, err := a.call.openFile(a.path)
	if err != nil {
		return nil, err
	}
	if err := a.readZip(src); err != nil {
		src.close()
		return nil, err
	}
	a.zip.users = 1
	return &zipReader{zipFile: a.zip}, nil
}

func (f *zipFile) close() error {
	if f.users--; f.users > 0 {
		return nil
	}
	return f.source.close()
}

// readZip reads the directory of a file, unless it is that which was read before.
func (a *archive) readZip(src *source) error {
	info, err := src.file.Stat()
	if err != nil {
		return err
	}
	if a.zip != nil && os.SameFile(a.zip.info, info) {
		a.zip.source = src
		return nil
	}
	in := &zipFile{source: src, info: info, most: maxDirectory}
	z, err := zip.NewReader(in, info.Size())
	if errors.Is(err, errDirectory) {
		return a.tooMuch("the directory of the zip is too large", "more than "+diag.Size(maxDirectory), "at most "+diag.Size(maxDirectory), "a tar has as many entries as you like, up to 1,000,000")
	}
	if err != nil {
		return err
	}
	in.most, in.zip = -1, z
	if err := a.sound(z, info.Size()); err != nil {
		return err
	}
	a.zip = in
	return nil
}

// sound says whether a zip holds no more than it may, and no byte of it is in
// two entries.
func (a *archive) sound(z *zip.Reader, size int64) error {
	type extent struct{ from, to int64 }
	var extents []extent
	var total uint64
	most := uint64(max(maxUnpacked, min(size, 1<<50)*unpackedTimes))
	for _, f := range z.File {
		from, err := f.DataOffset()
		if err != nil {
			return err
		}
		if f.UncompressedSize64 > most-total {
			return a.tooMuch("too much is packed in it", "more than "+diag.Size(int64(most))+" out of "+diag.Size(size), "at most "+diag.Size(int64(most)), "is it made to be a bomb? Otherwise cut it into several files")
		}
		total += f.UncompressedSize64
		if f.CompressedSize64 > uint64(size) || from+int64(f.CompressedSize64) > size {
			return io.ErrUnexpectedEOF
		}
		// Before the content stand 30 bytes and the name.
		extents = append(extents, extent{from - 30 - int64(len(f.Name)), from + int64(f.CompressedSize64)})
	}
	slices.SortFunc(extents, func(x, y extent) int { return int(min(max(x.from-y.from, -1), 1)) })
	for i := 1; i < len(extents); i++ {
		if extents[i].from < extents[i-1].to {
			return &diag.Problem{Code: codeArchive, Found: "bytes that are of two entries", Wanted: "entries one after the other", Hint: "is it made to be a bomb?",
				Message: fmt.Sprintf("%s %s: its entries overlap", a.call.builtin.Name, diag.Shorten(a.path.String()))}
		}
	}
	return nil
}

func (z *zipReader) next() (archiveHeader, error) {
	if z.at == len(z.zip.File) {
		return archiveHeader{}, io.EOF
	}
	f := z.zip.File[z.at]
	z.at++
	name := f.Name
	if f.NonUTF8 { // as the first programs wrote them
		if text, err := charmap.CodePage437.NewDecoder().String(name); err == nil {
			name = text
		}
	}
	h := archiveHeader{name: name, size: int64(min(f.UncompressedSize64, 1<<62)), folder: strings.HasSuffix(name, "/")}
	switch mode := f.Mode(); {
	case f.Flags&1 != 0:
		h.odd = "encrypted"
	case mode&fs.ModeSymlink != 0:
		h.odd = "a symbolic link"
	case !h.folder && mode&fs.ModeType != 0:
		h.odd = "a device, a pipe, or another thing that is no file"
	}
	return h, nil
}

func (z *zipReader) content() (io.Reader, error) { return z.zip.File[z.at-1].Open() }

func (e *entry) ready(c *call) error {
	_, err := c.formOf(e.name)
	return err
}

// open gives the content of the entry: that which the loop is at, else the
// archive is gone through again.
func (e *entry) open(c *call) (*opened, error) {
	f, err := c.formOf(e.name)
	if err != nil {
		return nil, err
	}
	from, closed, err := e.content(c)
	if err != nil {
		return nil, err
	}
	o := f.reading(c.builtin.Name+" "+diag.Shorten(e.String()), from, e.size)
	o.closers = append([]func() error{closed}, o.closers...)
	return o, nil
}

// content is the content of the entry as it stands in the archive.
func (e *entry) content(c *call) (from io.Reader, closed func() error, err error) {
	reader, live := e.loop.reader, e.loop.at == e.index && !e.loop.read
	if reader == nil || !live {
		if reader, err = e.archive.open(); err != nil {
			return nil, nil, e.failed(c, err)
		}
		for range e.index + 1 {
			if _, err := reader.next(); err != nil {
				reader.close()
				return nil, nil, e.failed(c, err)
			}
		}
		live = false
	}
	content, err := reader.content()
	if err != nil {
		if !live {
			reader.close()
		}
		return nil, nil, e.failed(c, err)
	}
	r := &entryContent{entry: e, call: c, from: content}
	if live {
		e.loop.read, r.loop = true, e.loop
		return r, func() error { return nil }, nil
	}
	return r, reader.close, nil
}

func (e *entry) failed(_ *call, err error) error { return e.archive.failed(e.name, err) }

// entryContent reads an entry. Its errors are complaints.
type entryContent struct {
	*entry
	call *call
	from io.Reader
	loop *archiveIterator // that it is read in, nil for none
}

func (r *entryContent) Read(p []byte) (int, error) {
	if r.loop != nil && (r.loop.reader == nil || r.loop.at != r.index) {
		problem := r.call.problem(codeHandle, "%s: the loop over the archive has gone on", diag.Shorten(r.String()))
		problem.Hint = "read an entry before the next one"
		return 0, problem
	}
	n, err := r.from.Read(p)
	if err != nil && err != io.EOF {
		err = r.failed(r.call, err)
	}
	return n, err
}

// whole is all of the content, decoded as the call says.
func (e *entry) whole(c *call) (string, error) {
	in, err := e.open(c)
	if err != nil {
		return "", err
	}
	defer in.close()
	b := &boundedText{run: c.run, what: "content of " + diag.Shorten(e.String())}
	if err := c.run.allow(b.what, e.size); err != nil {
		return "", err
	}
	if _, err := io.CopyBuffer(b, struct{ io.Reader }{in}, make([]byte, min(chunk, max(512, e.size)))); err != nil {
		return "", e.failed(c, err)
	}
	return b.String(), nil
}

func entryRead(c *call) (starlark.Value, error) {
	s, err := c.recv.(*entry).whole(c)
	return starlark.Bytes(s), err
}

func entryReadText(c *call) (starlark.Value, error) {
	e := c.recv.(*entry)
	s, err := e.whole(c)
	if err != nil {
		return nil, err
	}
	return c.utf8Text(s, "read()")
}

func entryLines(c *call) (starlark.Value, error) { return c.linesOf(c.recv.(*entry)) }

func entryOpen(c *call) (starlark.Value, error) {
	e := c.recv.(*entry)
	mode, err := c.text("mode", "r")
	if err != nil {
		return nil, err
	}
	if mode != "r" && mode != "rb" {
		return nil, c.refuse("mode", starlark.String(diag.Shorten(mode)).String(), `"r" or "rb"`)
	}
	f := &file{run: c.run, path: e.archive.path, name: e, mode: mode}
	if form, err := c.formOf(e.name); err != nil {
		return nil, err
	} else if f.binary() && !form.charset.plain() {
		return nil, c.textMode(mode)
	}
	return c.openToRead(f)
}

// archiveWriter writes the entries of one archive.write.
type archiveWriter struct {
	call  *call
	seen  map[string]bool
	begin func(name string, size int64) (io.Writer, error)
	known bool // the size has to be known ahead

	buffer []byte
}

func archiveWrite(c *call) (starlark.Value, error) {
	p, err := c.file("path")
	if err != nil {
		return nil, err
	}
	format, packed, err := c.archiveFormat(p)
	if err != nil {
		return nil, err
	}
	entries, err := c.iterable("entries")
	if err != nil {
		return nil, err
	}
	w := &archiveWriter{call: c, seen: map[string]bool{}, buffer: make([]byte, 64<<10)}
	_, err = c.replace(p, form{compression: packed}, func(out *bufio.Writer) error {
		end := w.zip(out)
		if format == "tar" {
			end = w.tar(out)
		}
		if err := w.all(entries); err != nil {
			return err
		}
		return end()
	})
	if err != nil {
		return nil, err
	}
	return starlark.MakeInt(len(w.seen)), nil
}

// zip makes the writer one of a zip. The entries have the first day that a zip
// knows, and are packed at a fixed level.
func (w *archiveWriter) zip(out io.Writer) (end func() error) {
	z := zip.NewWriter(out)
	var deflate *packedflate.Writer // one for all entries: it takes longer to make than to use on a small one
	z.RegisterCompressor(zip.Deflate, func(w io.Writer) (_ io.WriteCloser, err error) {
		if deflate != nil {
			deflate.Reset(w)
		} else {
			deflate, err = packedflate.NewWriter(w, 6)
		}
		return deflate, err
	})
	w.begin = func(name string, _ int64) (io.Writer, error) {
		h := &zip.FileHeader{Name: name, Method: zip.Deflate, ModifiedDate: 1<<5 | 1}
		h.SetMode(0o644)
		return z.CreateHeader(h)
	}
	return z.Close
}

func (w *archiveWriter) tar(out io.Writer) (end func() error) {
	t := tar.NewWriter(out)
	w.known = true
	w.begin = func(name string, size int64) (io.Writer, error) {
		return t, t.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: name, Size: size, Mode: 0o644})
	}
	return t.Close
}

// all writes the entries.
func (w *archiveWriter) all(entries starlark.Iterable) error {
	if d, ok := entries.(starlark.IterableMapping); ok {
		return w.call.iterate(d, func(k starlark.Value) error {
			v, _, err := d.Get(k)
			if err != nil {
				return err
			}
			return w.one(k, v)
		})
	}
	return w.call.iterate(entries, func(x starlark.Value) error {
		switch x := x.(type) {
		case *entry:
			return w.one(starlark.String(x.name), x)
		case starlark.Indexable:
			if _, isText := x.(starlark.String); !isText && x.Len() == 2 {
				return w.one(x.Index(0), x.Index(1))
			}
		}
		p := w.problem("it is no entry")
		p.Found, p.Wanted = diag.TypeName(x), "a pair of name and content, or an entry of another archive"
		return p
	})
}

// problem is a complaint of the next entry.
func (w *archiveWriter) problem(what string) *diag.Problem {
	p := w.call.problem(codeArchive, "entry %d: %s", len(w.seen)+1, what)
	p.Argument = w.call.argument("entries")
	return p
}

// one writes one entry.
func (w *archiveWriter) one(k, content starlark.Value) error {
	name, ok := k.(starlark.String)
	if at, isPath := k.(path); isPath {
		name, ok = starlark.String(at), true
	}
	if !ok {
		p := w.problem("the name")
		p.Found, p.Wanted = diag.TypeName(k), "a string"
		return p
	}
	if err := paths.CheckNew(string(name)); err != nil {
		p := w.problem(err.Error())
		p.Cause = err
		return p
	}
	switch {
	case w.seen[string(name)]:
		return w.problem("the name " + diag.Quote(string(name)) + " twice")
	case len(w.seen) == maxEntries:
		return w.call.problem(codeTooMuch, "more than %d entries", maxEntries)
	}
	from, size, closed, err := w.content(content)
	if err != nil {
		return err
	}
	defer closed()
	out, err := w.begin(string(name), size)
	if err != nil {
		return err
	}
	n, err := io.CopyBuffer(struct{ io.Writer }{out}, struct{ io.Reader }{from}, w.buffer)
	if err != nil {
		return err
	}
	if w.known && n != size {
		return w.problem(fmt.Sprintf("%s is not as long as it says", diag.Quote(string(name))))
	}
	w.seen[string(name)] = true
	return nil
}

// content is what a value of archive.write stands for.
func (w *archiveWriter) content(v starlark.Value) (from io.Reader, size int64, closed func() error, err error) {
	closed = func() error { return nil }
	switch v := v.(type) {
	case starlark.String:
		return strings.NewReader(string(v)), int64(len(v)), closed, nil
	case starlark.Bytes:
		return strings.NewReader(string(v)), int64(len(v)), closed, nil
	case path:
		src, err := w.call.openFile(v)
		if err != nil {
			return nil, 0, nil, err
		}
		info, err := src.file.Stat()
		if err != nil {
			src.close()
			return nil, 0, nil, w.call.fileError(v, err)
		}
		return src, info.Size(), src.close, nil
	case *entry:
		from, closed, err := v.content(w.call)
		return from, v.size, closed, err
	}
	p := w.problem("the content")
	p.Found, p.Wanted, p.Hint = diag.TypeName(v), "a string, bytes, a path or an entry", "write str(x), or json.encode(x)"
	return nil, 0, nil, p
}
