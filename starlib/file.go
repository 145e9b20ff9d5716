package starlib

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"

	"go.starlark.net/starlark"

	"perago/starlib/diag"
	"perago/workspace"
	"perago/workspace/glob"
	"perago/workspace/storage"
)

// Files is the workspace of one attempt as its body sees it: *workspace.Overlay
// in this process, a proxy of it in the child of engine/isolate. Paths are
// relative to the workspace, already checked by paths.Check, "" is the
// root. Errors are *fs.PathError around fs.ErrNotExist, fs.ErrExist or one of
// the workspace package's. All methods may be called from several goroutines.
type Files interface {
	// Stat of a file or a folder. fs.ErrNotExist.
	Stat(ctx context.Context, path string) (workspace.Info, error)
	// Find is Stat without the size and the checksum: whether something is there, and
	// whether it is a folder. An attempt that asks no more depends on no content.
	Find(ctx context.Context, path string) (workspace.Info, error)
	// ReadDir lists the files and folders directly in a folder, sorted by bytes.
	ReadDir(ctx context.Context, path string) ([]workspace.Info, error)
	// Glob returns the files under dir that match pattern (which is relative to
	// dir), sorted by bytes, as paths relative to the workspace.
	Glob(ctx context.Context, dir string, pattern *glob.Pattern) ([]string, error)
	// Open opens the content of a file for reading; the caller closes it. The
	// file is a plain local one: content that is elsewhere is fetched first.
	Open(ctx context.Context, path string) (*os.File, error)
	// Create starts a new content for path, parents included.
	Create(ctx context.Context, path string, mode workspace.WriteMode) (*workspace.Draft, error)
	Copy(ctx context.Context, from, to string) error
	Rename(ctx context.Context, from, to string) error
	Remove(ctx context.Context, path string) error
	RemoveTree(ctx context.Context, path string) error
	Mkdir(ctx context.Context, path string) error
}

// chunk is how much is read or written between two looks at whether the run
// was cancelled, in bytes.
const chunk = 1 << 20

// contentBuiltins are the members of a path that read or write a file.
func contentBuiltins() []Builtin {
	return []Builtin{
		{Name: "path.read_text", Phase: Act, Method: true, Returns: "string", call: pathReadText, Params: encodingParams(),
			Doc: "The whole file as text. Newlines and a byte order mark are kept as they are. A file that is not of its encoding is an error " +
				"that gives the offset of the first wrong byte.",
			Example: `settings = json.decode((workspace / "settings.json").read_text())`},
		{Name: "path.read_bytes", Phase: Act, Method: true, Returns: "bytes", call: pathReadBytes, Doc: "The whole file as bytes."},
		{Name: "path.lines", Phase: Act, Method: true, Returns: "lines", call: pathLines, Params: slices.Concat([]Param{compressionParam()}, encodingParams()),
			Doc: "The lines of a text file, to loop over, each without its `\\n` or `\\r\\n`. The file is streamed: memory does not grow " +
				"with its size, and a `break` closes it. Each loop starts at the front. A line of more than 64 MiB, one that is not of its " +
				"encoding, and data that is damaged or cut off stop the body at the `for` line.",
			Example: "for line in (workspace / \"raw/log.txt\").lines():\n    print(line)"},
		{Name: "path.write_text", Phase: Act, Method: true, Returns: "int", call: pathWriteText,
			Params: []Param{{Name: "text", Type: "string", Doc: "the whole new content"}, encodingParams()[0]},
			Doc: "Writes the whole file, its folders included, and returns its size in bytes. A text that is not UTF-8 is an error. What was there is replaced in one step. " +
				"Names that a store could not give back, with a backslash or a control character, are refused.",
			Example: `(workspace / "out/report.txt").write_text("done\n")`},
		{Name: "path.write_bytes", Phase: Act, Method: true, Returns: "int", call: pathWriteBytes,
			Params: []Param{{Name: "data", Type: "bytes", Doc: "the whole new content"}},
			Doc:    "The same as write_text, for bytes."},
		{Name: "path.open", Phase: Act, Method: true, Returns: "file", call: pathOpen,
			Params: []Param{{Name: "mode", Type: "string", Default: `"r"`, Doc: "`r` read, `w` write anew, `a` append; with `b` bytes, else text"},
				compressionParam(), encodingParams()[0], encodingParams()[1]},
			Doc: "Opens a file. A file that ends with `.gz` or `.zst` is unpacked as it is read and packed as it is written; what is appended is another " +
				"part of it. The same content gives the same packed bytes. What is written is seen by nobody before `close()`, which puts it in place in one step; a file that is " +
				"being read keeps the content it was opened with. The attempt closes, in the order of opening, what the body did not. " +
				"At most 256 files are open at once.",
			Example: "out = (workspace / \"out/ids.txt\").open(\"w\")\nfor row in csv.dict_reader(workspace / \"raw/a.csv\"):\n    out.write(row[\"id\"] + \"\\n\")\nout.close()"},
	}
}

// source is a file being read: every read looks first at whether the run was
// cancelled.
type source struct {
	run  *Run
	file *os.File
}

func (s *source) Read(p []byte) (int, error) {
	if err := s.run.cancelled(); err != nil {
		return 0, err
	}
	return s.file.Read(p)
}

func (s *source) closeAtEnd(context.Context) error { return s.close() }

func (s *source) close() error {
	s.run.untrack(s)
	return s.file.Close()
}

// openSource opens a file for reading; the caller closes it.
func (r *Run) openSource(p path) (*source, error) {
	f, err := r.Files.Open(r.Context, string(p))
	if err != nil {
		return nil, err
	}
	s := &source{run: r, file: f}
	if err := r.track(s); err != nil {
		f.Close()
		return nil, err
	}
	return s, nil
}

// openFile opens p for the builtin c, which closes it.
func (c *call) openFile(p path) (*source, error) {
	if c.run == nil || c.run.Files == nil {
		return nil, c.problem(codeWorkspace, "the task has no workspace")
	}
	s, err := c.run.openSource(p)
	var full *diag.Problem
	if errors.As(err, &full) {
		return nil, full
	}
	if err != nil {
		return nil, c.fileError(p, err)
	}
	return s, nil
}

// form is how the content of a file stands in it.
type form struct {
	compression string // "gzip", "zstd"; "" is none
	charset     charset
}

// formOf is what a call says of a file of that name, as far as it takes the
// arguments.
func (c *call) formOf(name string) (f form, err error) {
	if c.takes("compression") {
		f.compression, err = c.compressionOf(name)
	}
	if err == nil && c.takes("encoding") {
		f.charset, err = c.charsetOf()
	}
	return f, err
}

// opened is content being read, as UTF-8 where it is text.
type opened struct {
	io.Reader
	closers []func() error // the last one first
}

// reading unpacks and decodes what comes from a reader of size bytes; where
// stands before complaints.
func (f form) reading(where string, from io.Reader, size int64) *opened {
	o := &opened{Reader: from}
	if f.compression != "" {
		u := newUnpacker(f.compression, where, o.Reader, size)
		o.Reader = u
		o.closers = append(o.closers, func() error { u.close(); return nil })
	}
	if !f.charset.plain() {
		o.Reader = f.charset.decoding(where, o.Reader)
	}
	return o
}

func (o *opened) close() error {
	var errs []error
	for _, c := range slices.Backward(o.closers) {
		errs = append(errs, c())
	}
	return errors.Join(errs...)
}

// openAs opens p, whose content has that form, for the builtin c, which closes it.
func (c *call) openAs(p path, f form) (*opened, error) {
	src, err := c.openFile(p)
	if err != nil {
		return nil, err
	}
	var size int64
	if info, err := src.file.Stat(); err == nil {
		size = info.Size()
	}
	o := f.reading(c.builtin.Name+" "+diag.Shorten(p.String()), src, size)
	o.closers = append([]func() error{src.close}, o.closers...)
	return o, nil
}

// writing gives what encodes and packs content that goes to w, nil when neither
// is to do. Its Close leaves w open.
func (f form) writing(where string, w io.Writer) (io.WriteCloser, error) {
	var chain chained
	if f.compression != "" {
		packed, err := packer(f.compression, w)
		if err != nil {
			return nil, err
		}
		chain, w = append(chain, packed), packed
	}
	if !f.charset.plain() {
		chain = append(chain, f.charset.encoding(where, w))
	}
	if len(chain) == 0 {
		return nil, nil
	}
	return chain, nil
}

// chained are writers, each of which writes to the one before it.
type chained []io.WriteCloser

func (c chained) Write(p []byte) (int, error) { return c[len(c)-1].Write(p) }

// Close closes all, the last one first.
func (c chained) Close() error {
	for _, w := range slices.Backward(c) {
		if err := w.Close(); err != nil {
			return err
		}
	}
	return nil
}

// boundedText is a text that grows no further than one value may. What has no
// room in the builder is kept in parts, so that a text that turns out too large
// was never there twice.
type boundedText struct {
	strings.Builder
	run   *Run
	what  string
	parts [][]byte
	size  int // of the parts, in bytes
}

func (b *boundedText) Write(p []byte) (int, error) {
	if err := b.run.allow(b.what, int64(b.Len())+int64(b.size)+int64(len(p))); err != nil {
		return 0, err
	}
	if b.parts == nil && len(p) <= b.Cap()-b.Len() {
		return b.Builder.Write(p)
	}
	b.size += len(p)
	for left := p; len(left) > 0; {
		last := len(b.parts) - 1
		if last < 0 || len(b.parts[last]) == cap(b.parts[last]) {
			b.parts = append(b.parts, make([]byte, 0, min(chunk, max(512, len(left), b.size/2))))
			continue
		}
		part := b.parts[last]
		n := min(len(left), cap(part)-len(part))
		b.parts[last] = append(part, left[:n]...)
		left = left[n:]
	}
	return len(p), nil
}

// String is the whole text.
func (b *boundedText) String() string {
	if len(b.parts) > 0 {
		b.Grow(b.size)
		for _, part := range b.parts {
			b.Builder.Write(part)
		}
		b.parts, b.size = nil, 0
	}
	return b.Builder.String()
}

// readWhole is the whole content of the path that c was called on.
func (c *call) readWhole() (string, error) {
	p := c.recv.(path)
	f, err := c.formOf(string(p))
	if err != nil {
		return "", err
	}
	src, err := c.openFile(p)
	if err != nil {
		return "", err
	}
	defer src.close()
	b := &boundedText{run: c.run, what: "content of " + diag.Shorten(p.String())}
	var size int64
	if info, err := src.file.Stat(); err == nil && info.Mode().IsRegular() {
		size = info.Size()
		if err := c.run.allow(b.what, size); err != nil {
			return "", err
		}
		b.Grow(int(min(size, maxItems)))
	}
	in := f.reading(c.builtin.Name+" "+diag.Shorten(p.String()), src, size)
	if _, err := io.CopyBuffer(b, struct{ io.Reader }{in}, make([]byte, min(chunk, max(512, b.Cap())))); err != nil {
		return "", c.fileError(p, err)
	}
	return b.String(), nil
}

func pathReadText(c *call) (starlark.Value, error) {
	s, err := c.readWhole()
	if err != nil {
		return nil, err
	}
	return c.utf8Text(s, "read_bytes()")
}

// utf8Text is content that has to be UTF-8; bytes names what else takes it.
func (c *call) utf8Text(s, bytes string) (starlark.Value, error) {
	if i := diag.InvalidUTF8(s); i >= 0 {
		p := c.problem(codeEncoding, "%s is not UTF-8", diag.Shorten(c.recv.String()))
		p.Found = fmt.Sprintf("the byte 0x%02x at offset %d", s[i], i)
		p.Hint = bytes + " takes a file as it is"
		return nil, p
	}
	return starlark.String(s), nil
}

func pathReadBytes(c *call) (starlark.Value, error) {
	s, err := c.readWhole()
	return starlark.Bytes(s), err
}

func pathWriteText(c *call) (starlark.Value, error) {
	s, err := c.text("text", "")
	if err != nil {
		return nil, asBytesHint(err, c.arg("text"), "write_bytes")
	}
	if i := diag.InvalidUTF8(s); i >= 0 {
		p := c.problem(codeEncoding, "the text for %s is not UTF-8", diag.Shorten(c.recv.String()))
		p.Found, p.Argument = fmt.Sprintf("the byte 0x%02x at offset %d", s[i], i), c.argument("text")
		p.Hint = "a slice of a string may cut through a character; write_bytes(bytes) takes anything"
		return nil, p
	}
	return c.writeWhole(s)
}

func pathWriteBytes(c *call) (starlark.Value, error) {
	b, ok := c.arg("data").(starlark.Bytes)
	if !ok {
		return nil, asBytesHint(c.wrongType("data", c.arg("data")), c.arg("data"), "write_text")
	}
	return c.writeWhole(string(b))
}

// asBytesHint adds to a complaint of a type what takes the other one of text
// and bytes.
func asBytesHint(err error, got starlark.Value, other string) error {
	var p *diag.Problem
	if !errors.As(err, &p) {
		return err
	}
	switch got.(type) {
	case starlark.String, starlark.Bytes:
		p.Hint = fmt.Sprintf("write %s(...) for %s", other, got.Type())
	default:
		p.Hint = "write str(x), or json.encode(x)"
	}
	return p
}

func (c *call) writeWhole(s string) (starlark.Value, error) {
	f, err := c.formOf("")
	if err != nil {
		return nil, err
	}
	size, err := c.replace(c.recv.(path), f, func(w *bufio.Writer) error {
		for len(s) > 0 {
			n := min(len(s), chunk)
			if err := c.run.cancelled(); err != nil {
				return err
			}
			if _, err := w.WriteString(s[:n]); err != nil {
				return err
			}
			s = s[n:]
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return starlark.MakeInt64(size), nil
}

// replace puts what write writes under p, whole or not at all, and returns its
// size in bytes.
func (c *call) replace(p path, f form, write func(*bufio.Writer) error) (int64, error) {
	draft, err := c.create(p, workspace.Replace)
	if err != nil {
		return 0, err
	}
	out, err := c.newOutput(draft.File, p, f)
	if err == nil {
		err = write(out.Writer)
	}
	if err == nil {
		err = out.end()
	}
	if err != nil {
		draft.Discard()
		return 0, c.fileError(p, err)
	}
	size, err := draft.Commit(c.run.Context)
	if err != nil {
		return 0, c.fileError(p, err)
	}
	return size, nil
}

// output is content on its way into a file, buffered.
type output struct {
	*bufio.Writer
	packed io.Closer // what encodes and packs it; nil when nothing does
}

func (c *call) newOutput(w io.Writer, p path, f form) (*output, error) {
	packed, err := f.writing(c.builtin.Name+" "+diag.Shorten(p.String()), w)
	if err != nil {
		return nil, err
	}
	if packed == nil {
		return &output{Writer: bufio.NewWriterSize(w, 1<<16)}, nil
	}
	return &output{bufio.NewWriterSize(packed, 1<<16), packed}, nil
}

// end writes what is still buffered.
func (o *output) end() error {
	err := o.Flush()
	if err == nil && o.packed != nil {
		err = o.packed.Close()
	}
	return err
}

// create starts a new content of p.
func (c *call) create(p path, mode workspace.WriteMode) (*workspace.Draft, error) {
	if c.run == nil || c.run.Files == nil {
		return nil, c.problem(codeWorkspace, "the task has no workspace")
	}
	if p == "" {
		return nil, c.fileError(p, &fs.PathError{Op: "create", Err: storage.ErrIsFolder})
	}
	draft, err := c.run.Files.Create(c.run.Context, string(p), mode)
	if err != nil {
		return nil, c.fileError(p, err)
	}
	return draft, nil
}

// file is what path.open gives: either in or out is set while it is open.
type file struct {
	run    *Run
	path   path   // of the file; of an entry that of its archive
	name   origin // what was opened
	mode   string
	frozen bool

	from *opened
	in   *lineReader

	draft *workspace.Draft
	out   *output
}

var (
	_ starlark.HasAttrs = (*file)(nil)
	_ starlark.Iterable = (*file)(nil)
)

func (f *file) String() string        { return fmt.Sprintf("<file %s, mode %q>", f.name, f.mode) }
func (f *file) Type() string          { return "file" }
func (f *file) Freeze()               { f.frozen = true }
func (f *file) Truth() starlark.Bool  { return true }
func (f *file) Hash() (uint32, error) { return 0, fmt.Errorf("unhashable: file") }
func (f *file) binary() bool          { return strings.HasSuffix(f.mode, "b") }
func (f *file) closed() bool          { return f.in == nil && f.out == nil }

var fileMembers = sync.OnceValue(func() members { return membersOf(fileBuiltins()) })

func (f *file) Attr(name string) (starlark.Value, error) { return fileMembers().attr(f, name) }
func (f *file) AttrNames() []string                      { return fileMembers().names }

// fileBuiltins are the members of an open file.
func fileBuiltins() []Builtin {
	return []Builtin{
		{Name: "file.path", Phase: Pure, Method: true, Property: true, Returns: "path", Doc: "The path that was opened.",
			call: func(c *call) (starlark.Value, error) { return c.recv.(*file).path, nil }},
		{Name: "file.mode", Phase: Pure, Method: true, Property: true, Returns: "string", Doc: "The mode it was opened with.",
			call: func(c *call) (starlark.Value, error) { return starlark.String(c.recv.(*file).mode), nil }},
		{Name: "file.closed", Phase: Pure, Method: true, Property: true, Returns: "bool", Doc: "Whether it is closed.",
			call: func(c *call) (starlark.Value, error) { return starlark.Bool(c.recv.(*file).closed()), nil }},
		{Name: "file.read", Phase: Act, Method: true, Returns: "string or bytes", call: fileRead,
			Params: []Param{{Name: "n", Type: "int", Default: "-1", Doc: "at most how many characters, or bytes in a binary mode; below 0: all that is left"}},
			Doc: "What comes next, as a string, or as bytes in a binary mode; empty at the end. Newlines are kept as they are. Text " +
				"that is not UTF-8 is an error with the offset."},
		{Name: "file.readline", Phase: Act, Method: true, Returns: "string or bytes", call: fileReadline,
			Doc: "The next line with its newline, empty at the end, as in Python. Looping over the file gives the same lines, with " +
				"their newlines; `path.lines()` gives them without. A line is at most 64 MiB."},
		{Name: "file.write", Phase: Act, Method: true, Returns: "int", call: fileWrite,
			Params: []Param{{Name: "data", Type: "string, or bytes in a binary mode", Doc: "what to write"}},
			Doc:    "Writes at the end, and returns how many bytes that were. Nobody sees it before `close()`."},
		{Name: "file.close", Phase: Act, Method: true, Returns: "None", call: fileClose,
			Doc: "Closes the file; what was written takes the place of the old content in one step. A second close does nothing."},
	}
}

func pathOpen(c *call) (starlark.Value, error) {
	mode, err := c.text("mode", "r")
	if err != nil {
		return nil, err
	}
	f := &file{run: c.run, path: c.recv.(path), mode: mode}
	f.name = f.path
	form, err := c.formOf(string(f.path))
	if err != nil {
		return nil, err
	}
	if f.binary() && !form.charset.plain() {
		return nil, c.textMode(mode)
	}
	switch mode {
	case "r", "rb":
		return c.openToRead(f)
	case "w", "wb":
		f.draft, err = c.create(f.path, workspace.Replace)
	case "a", "ab":
		f.draft, err = c.create(f.path, workspace.Append)
	default:
		p := c.refuse("mode", starlark.String(diag.Shorten(mode)).String(), `one of "r", "rb", "w", "wb", "a", "ab"`)
		if strings.Contains(mode, "+") {
			p.Hint = "a file is either read or written: open it twice; what is being read keeps its content"
		}
		return nil, p
	}
	if err != nil {
		return nil, err
	}
	if err := c.run.track(f); err != nil {
		f.draft.Discard()
		return nil, err
	}
	if info, err := f.draft.File.Stat(); err == nil && info.Size() > 0 {
		form.charset.mark = "" // it stands at the front already
	}
	if f.out, err = c.newOutput(f.draft.File, f.path, form); err != nil {
		c.run.untrack(f)
		f.draft.Discard()
		return nil, c.fileError(f.path, err)
	}
	return f, nil
}

func (c *call) textMode(mode string) error {
	return c.refuse("mode", starlark.String(diag.Shorten(mode)).String(), "a mode of text with an encoding")
}

// openToRead opens what f is named after.
func (c *call) openToRead(f *file) (starlark.Value, error) {
	from, err := f.name.open(c)
	if err != nil {
		return nil, err
	}
	f.from = from
	f.in = &lineReader{call: c, from: f.name, in: bufio.NewReaderSize(from, 1<<16)}
	return f, nil
}

// usable complains of a file that is closed, or open for something else.
func (c *call) usable(reading bool) (*file, error) {
	f := c.recv.(*file)
	p := c.problem(codeHandle, "%s", diag.Shorten(f.name.String()))
	switch {
	case f.frozen:
		p.Message += " is frozen"
	case f.closed():
		p.Message += " is closed"
	case reading && f.in == nil:
		p.Message += " is open for writing"
		p.Hint = `open it with "r" to read`
	case !reading && f.out == nil:
		p.Message += " is open for reading"
		p.Hint = `open it with "w" or "a" to write`
	default:
		return f, nil
	}
	return nil, p
}

// content is text or bytes, as the mode says.
func (f *file) content(s string) starlark.Value {
	if f.binary() {
		return starlark.Bytes(s)
	}
	return starlark.String(s)
}

func fileRead(c *call) (starlark.Value, error) {
	n, err := c.integer("n", -1)
	if err != nil {
		return nil, err
	}
	f, err := c.usable(true)
	if err != nil {
		return nil, err
	}
	var s string
	if f.binary() || n < 0 {
		s, err = f.readBytes(n)
	} else {
		s, err = f.readRunes(n)
	}
	if err != nil {
		return nil, f.name.failed(c, err)
	}
	if i := diag.InvalidUTF8(s); i >= 0 && !f.binary() {
		p := c.problem(codeEncoding, "%s is not UTF-8", diag.Shorten(f.name.String()))
		p.Found = fmt.Sprintf("the byte 0x%02x at offset %d", s[i], f.in.at+int64(i))
		p.Hint = `open it with "rb" for bytes`
		return nil, p
	}
	f.in.at += int64(len(s))
	return f.content(s), nil
}

// readBytes is the next n bytes, all that are left when n is negative.
func (f *file) readBytes(n int) (string, error) {
	b := &boundedText{run: f.run, what: "content of " + diag.Shorten(f.name.String())}
	var from io.Reader = f.in.in
	if n >= 0 {
		from = io.LimitReader(from, int64(n))
	}
	_, err := io.Copy(b, struct{ io.Reader }{from})
	return b.String(), err
}

// readRunes is the next n characters; a byte that is not UTF-8 counts as one.
func (f *file) readRunes(n int) (string, error) {
	var b strings.Builder
	for n > 0 {
		if _, err := f.in.in.Peek(utf8.UTFMax); err != nil && err != io.EOF { // fills the buffer when little is left
			return "", err
		}
		buffered, _ := f.in.in.Peek(f.in.in.Buffered())
		if len(buffered) == 0 {
			break
		}
		size := 0
		for n > 0 && size < len(buffered) && (len(buffered)-size >= utf8.UTFMax || size == 0 || utf8.FullRune(buffered[size:])) {
			_, width := utf8.DecodeRune(buffered[size:])
			size += width
			n--
		}
		b.Write(buffered[:size])
		f.in.in.Discard(size)
	}
	return b.String(), nil
}

func fileReadline(c *call) (starlark.Value, error) {
	f, err := c.usable(true)
	if err != nil {
		return nil, err
	}
	v, err := f.nextLine(c)
	if err == io.EOF {
		return f.content(""), nil
	}
	return v, err
}

// nextLine is the next line with its newline; io.EOF after the last.
func (f *file) nextLine(c *call) (starlark.Value, error) {
	read := f.in.next
	if f.binary() {
		read = f.in.raw
	}
	line, err := read()
	var already *diag.Problem
	switch {
	case err == io.EOF, errors.As(err, &already):
		return nil, err
	case err != nil:
		return nil, f.name.failed(c, err)
	}
	return f.content(string(line)), nil
}

func fileWrite(c *call) (starlark.Value, error) {
	f, err := c.usable(false)
	if err != nil {
		return nil, err
	}
	var data string
	switch v := c.arg("data").(type) {
	case starlark.String:
		if f.binary() {
			p := c.wrongType("data", v)
			p.Wanted, p.Hint = "bytes", fmt.Sprintf("write bytes(text), or open the file with %q", strings.TrimSuffix(f.mode, "b"))
			return nil, p
		}
		data = string(v)
	case starlark.Bytes:
		if !f.binary() {
			p := c.wrongType("data", v)
			p.Wanted, p.Hint = "string", fmt.Sprintf("open the file with %q", f.mode+"b")
			return nil, p
		}
		data = string(v)
	default:
		return nil, asBytesHint(c.wrongType("data", v), v, "")
	}
	if _, err := f.out.WriteString(data); err != nil {
		return nil, f.name.failed(c, err)
	}
	return starlark.MakeInt(len(data)), nil
}

func fileClose(c *call) (starlark.Value, error) {
	f := c.recv.(*file)
	if err := f.close(c.run.Context); err != nil {
		return nil, f.name.failed(c, err)
	}
	return starlark.None, nil
}

// close ends the file, and commits what was written unless ctx is done.
func (f *file) close(ctx context.Context) error {
	if f.in != nil {
		f.in = nil
		return f.from.close()
	}
	if f.out == nil {
		return nil
	}
	out := f.out
	f.out = nil
	f.run.untrack(f)
	err := context.Cause(ctx)
	if err == nil {
		err = out.end()
	}
	if err != nil {
		f.draft.Discard()
		return err
	}
	_, err = f.draft.Commit(ctx)
	return err
}

// closeAtEnd is for a file being written; one being read is held as its source.
func (f *file) closeAtEnd(ctx context.Context) error {
	err := f.close(ctx)
	if err == nil || context.Cause(ctx) != nil {
		return err
	}
	code := codeFile
	if !workspace.Repeats(err) {
		code = codeTransfer
	}
	return &diag.Problem{Code: code, Message: fmt.Sprintf("close %s: %v", diag.Shorten(f.name.String()), err), Cause: err,
		Hint: "the body left the file open; close() it to see the error at its line"}
}

// Iterate gives the lines from where the file is, with their newlines.
func (f *file) Iterate() starlark.Iterator {
	row := fileMembers().rows["readline"]
	c := &call{thread: f.run.thread, builtin: row, recv: f, run: f.run}
	if _, err := c.usable(true); err != nil {
		f.run.stop(err)
		return &fileIterator{}
	}
	return &fileIterator{call: c, file: f}
}

type fileIterator struct {
	call *call
	file *file // nil when there is nothing left to read
}

func (it *fileIterator) Next(x *starlark.Value) bool {
	if it.file == nil || it.file.closed() {
		return false
	}
	v, err := it.file.nextLine(it.call)
	if err == nil {
		*x = v
		return true
	}
	if err != io.EOF {
		it.call.run.stop(it.file.name.failed(it.call, err))
	}
	it.file = nil
	return false
}

func (it *fileIterator) Done() {}
