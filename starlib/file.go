package starlib

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"sync"
	"unicode/utf8"

	"go.starlark.net/starlark"

	"perago/starlib/diag"
	"perago/workspace"
)

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
		p := c.refuse("mode", starlark.String(shorten(mode)).String(), `one of "r", "rb", "w", "wb", "a", "ab"`)
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
	p := c.problem(codeHandle, "%s", shorten(f.path.String()))
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
	if i := invalidUTF8(s); i >= 0 && !f.binary() {
		p := c.problem(codeEncoding, "%s is not UTF-8", shorten(f.path.String()))
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
	return &diag.Problem{Code: code, Message: fmt.Sprintf("close %s: %v", shorten(f.path.String()), err), Cause: err,
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
