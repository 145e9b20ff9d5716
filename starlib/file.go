package starlib

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"sync"
	"unicode/utf8"

	"go.starlark.net/starlark"

	"perago/starlib/diag"
	"perago/workspace"
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
	// ReadDir lists the files and folders directly in a folder, sorted by bytes.
	ReadDir(ctx context.Context, path string) ([]workspace.Info, error)
	// Glob returns the files under dir that match pattern (which is relative to
	// dir), sorted by bytes, as paths relative to the workspace.
	Glob(ctx context.Context, dir, pattern string) ([]string, error)
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
		{Name: "path.read_text", Phase: Act, Method: true, Returns: "string", call: pathReadText,
			Doc: "The whole file as text. Newlines and a byte order mark are kept as they are. A file that is not UTF-8 is an error " +
				"that gives the offset of the first wrong byte.",
			Example: `settings = json.decode((workspace / "settings.json").read_text())`},
		{Name: "path.read_bytes", Phase: Act, Method: true, Returns: "bytes", call: pathReadBytes, Doc: "The whole file as bytes."},
		{Name: "path.lines", Phase: Act, Method: true, Returns: "lines", call: pathLines,
			Doc: "The lines of a text file, to loop over, each without its `\\n` or `\\r\\n`. The file is streamed: memory does not grow " +
				"with its size, and a `break` closes it. Each loop starts at the front. A line of more than 64 MiB, and one that is not " +
				"UTF-8, stops the body at the `for` line.",
			Example: "for line in (workspace / \"raw/log.txt\").lines():\n    print(line)"},
		{Name: "path.write_text", Phase: Act, Method: true, Returns: "int", call: pathWriteText,
			Params: []Param{{Name: "text", Type: "string", Doc: "the whole new content"}},
			Doc: "Writes the whole file, its folders included, and returns its size in bytes. A text that is not UTF-8 is an error. What was there is replaced in one step. " +
				"Names that a store could not give back, with a backslash or a control character, are refused.",
			Example: `(workspace / "out/report.txt").write_text("done\n")`},
		{Name: "path.write_bytes", Phase: Act, Method: true, Returns: "int", call: pathWriteBytes,
			Params: []Param{{Name: "data", Type: "bytes", Doc: "the whole new content"}},
			Doc:    "The same as write_text, for bytes."},
		{Name: "path.open", Phase: Act, Method: true, Returns: "file", call: pathOpen,
			Params: []Param{{Name: "mode", Type: "string", Default: `"r"`, Doc: "`r` read, `w` write anew, `a` append; with `b` bytes, else text"}},
			Doc: "Opens a file. What is written is seen by nobody before `close()`, which puts it in place in one step; a file that is " +
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
	s.run.release(s)
	return s.file.Close()
}

// openSource opens a file for reading; the caller closes it.
func (r *Run) openSource(p path) (*source, error) {
	f, err := r.Files.Open(r.Context, string(p))
	if err != nil {
		return nil, err
	}
	s := &source{run: r, file: f}
	if err := r.hold(s); err != nil {
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

// readWhole is the whole content of the path that c was called on.
func (c *call) readWhole() (string, error) {
	p := c.recv.(path)
	src, err := c.openFile(p)
	if err != nil {
		return "", err
	}
	defer src.close()
	var b strings.Builder
	if info, err := src.file.Stat(); err == nil && info.Mode().IsRegular() {
		if err := c.run.allow("content of "+diag.Shorten(p.String()), info.Size()); err != nil {
			return "", err
		}
		b.Grow(int(min(info.Size(), maxItems)))
	}
	if _, err := io.CopyBuffer(&b, struct{ io.Reader }{src}, make([]byte, min(chunk, max(512, b.Cap())))); err != nil {
		return "", c.fileError(p, err)
	}
	return b.String(), nil
}

func pathReadText(c *call) (starlark.Value, error) {
	s, err := c.readWhole()
	if err != nil {
		return nil, err
	}
	if i := diag.InvalidUTF8(s); i >= 0 {
		p := c.problem(codeEncoding, "%s is not UTF-8", diag.Shorten(c.recv.String()))
		p.Found = fmt.Sprintf("the byte 0x%02x at offset %d", s[i], i)
		p.Hint = "read_bytes() takes a file as it is"
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
		p.Found, p.Argument = fmt.Sprintf("the byte 0x%02x at offset %d", s[i], i), c.place("text")
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
	size, err := c.replace(c.recv.(path), func(w *bufio.Writer) error {
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
func (c *call) replace(p path, write func(*bufio.Writer) error) (int64, error) {
	draft, err := c.create(p, workspace.Replace)
	if err != nil {
		return 0, err
	}
	w := bufio.NewWriterSize(draft.File, 1<<16)
	err = write(w)
	if err == nil {
		err = w.Flush()
	}
	if err != nil {
		draft.Discard()
		var already *diag.Problem
		if errors.As(err, &already) {
			return 0, err
		}
		return 0, c.fileError(p, err)
	}
	size, err := draft.Commit(c.run.Context)
	if err != nil {
		return 0, c.fileError(p, err)
	}
	return size, nil
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
	path   path
	mode   string
	frozen bool

	src *source
	in  *lineReader

	draft *workspace.Draft
	out   *bufio.Writer
}

var (
	_ starlark.HasAttrs = (*file)(nil)
	_ starlark.Iterable = (*file)(nil)
)

func (f *file) String() string        { return fmt.Sprintf("<file %s, mode %q>", f.path, f.mode) }
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
	switch mode {
	case "r", "rb":
		if f.src, err = c.openFile(f.path); err != nil {
			return nil, err
		}
		f.in = &lineReader{call: c, path: f.path, in: bufio.NewReaderSize(f.src, 1<<16)}
		return f, nil
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
	if err := c.run.hold(f); err != nil {
		f.draft.Discard()
		return nil, err
	}
	f.out = bufio.NewWriterSize(f.draft.File, 1<<16)
	return f, nil
}

// usable complains of a file that is closed, or open for something else.
func (c *call) usable(reading bool) (*file, error) {
	f := c.recv.(*file)
	p := c.problem(codeHandle, "%s", diag.Shorten(f.path.String()))
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
		return nil, c.fileError(f.path, err)
	}
	if i := diag.InvalidUTF8(s); i >= 0 && !f.binary() {
		p := c.problem(codeEncoding, "%s is not UTF-8", diag.Shorten(f.path.String()))
		p.Found = fmt.Sprintf("the byte 0x%02x at offset %d", s[i], f.in.at+int64(i))
		p.Hint = `open it with "rb" for bytes`
		return nil, p
	}
	f.in.at += int64(len(s))
	return f.content(s), nil
}

// readBytes is the next n bytes, all that are left when n is negative.
func (f *file) readBytes(n int) (string, error) {
	var b strings.Builder
	var from io.Reader = f.in.in
	if n >= 0 {
		from = io.LimitReader(from, int64(n))
	}
	_, err := io.Copy(&b, struct{ io.Reader }{from})
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
		return nil, c.fileError(f.path, err)
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
		return nil, c.fileError(f.path, err)
	}
	return starlark.MakeInt(len(data)), nil
}

func fileClose(c *call) (starlark.Value, error) {
	f := c.recv.(*file)
	if err := f.close(c.run.Context); err != nil {
		return nil, c.fileError(f.path, err)
	}
	return starlark.None, nil
}

// close ends the file, and commits what was written unless ctx is done.
func (f *file) close(ctx context.Context) error {
	if f.in != nil {
		f.in = nil
		return f.src.close()
	}
	if f.out == nil {
		return nil
	}
	out := f.out
	f.out = nil
	f.run.release(f)
	err := context.Cause(ctx)
	if err == nil {
		err = out.Flush()
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
	return &diag.Problem{Code: code, Message: fmt.Sprintf("close %s: %v", diag.Shorten(f.path.String()), err), Cause: err,
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
		it.call.streamFailed(it.file.path, err)
	}
	it.file = nil
	return false
}

func (it *fileIterator) Done() {}
