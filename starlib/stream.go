package starlib

import (
	"bufio"
	"fmt"
	"io"
	"unicode/utf8"

	"go.starlark.net/starlark"

	"perago/starlib/diag"
	"perago/workspace/storage"
)

// maxRecord bounds one line, one CSV record and one JSON line, in bytes: the
// one thing that a stream holds in memory.
const maxRecord = 64 << 20

// records yields the values of one file in turn, io.EOF after the last. Another
// error ends the loop.
type records func() (starlark.Value, error)

// stream is a file to loop over: every loop opens it anew and reads it as it
// goes. It cannot return an error from within a loop, so the run keeps it
// (Run.stop).
type stream struct {
	kind  string // its type: "lines"
	call  *call  // that made it
	from  origin
	start func(*opened) records
}

// origin is where the content of a stream comes from, such as a file of the
// workspace.
type origin interface {
	String() string // its name
	// ready is what can be said ahead of an open that will fail.
	ready(c *call) error
	// open opens it for c, as c's arguments say; whoever reads it closes it.
	open(c *call) (*opened, error)
	// failed is the complaint of an error of reading it.
	failed(c *call, err error) error
}

func (p path) ready(c *call) error {
	if err := c.isFile(p); err != nil {
		return err
	}
	_, err := c.formOf(string(p))
	return err
}

func (p path) open(c *call) (*opened, error) {
	f, err := c.formOf(string(p))
	if err != nil {
		return nil, err
	}
	return c.openAs(p, f)
}

func (p path) failed(c *call, err error) error { return c.fileError(p, err) }

var _ starlark.Iterable = (*stream)(nil)

func (s *stream) String() string        { return fmt.Sprintf("<%s of %s>", s.kind, s.from) }
func (s *stream) Type() string          { return s.kind }
func (s *stream) Freeze()               {}
func (s *stream) Truth() starlark.Bool  { return true }
func (s *stream) Hash() (uint32, error) { return 0, fmt.Errorf("unhashable: %s", s.kind) }

// Iterate opens the file. Its Done closes it: at the end, at a break, a return
// or an error.
func (s *stream) Iterate() starlark.Iterator {
	in, err := s.from.open(s.call)
	if err != nil {
		s.call.run.stop(err)
		return &streamIterator{}
	}
	return &streamIterator{stream: s, in: in, next: s.start(in)}
}

type streamIterator struct {
	stream *stream
	in     *opened // nil when there is nothing left to read
	next   records
}

func (it *streamIterator) Next(x *starlark.Value) bool {
	if it.in == nil {
		return false
	}
	v, err := it.next()
	if err == nil {
		*x = v
		return true
	}
	it.Done()
	if err != io.EOF {
		it.stream.call.run.stop(it.stream.from.failed(it.stream.call, err))
	}
	return false
}

func (it *streamIterator) Done() {
	if it.in != nil {
		it.in.close() // it was only read: there is nothing to lose
		it.in = nil
	}
}

// streamOf makes the stream that c returns. A file that is not there is an
// error of the call already.
func (c *call) streamOf(kind string, from origin, start func(*opened) records) (starlark.Value, error) {
	if err := from.ready(c); err != nil {
		return nil, err
	}
	return &stream{kind: kind, call: c, from: from, start: start}, nil
}

// isFile complains of a path that is no file.
func (c *call) isFile(p path) error {
	if c.run.Files == nil {
		return c.problem(codeWorkspace, "the task has no workspace")
	}
	info, err := c.run.Files.Stat(c.run.Context, string(p))
	if err != nil {
		return c.fileError(p, err)
	}
	if info.Folder {
		return c.fileError(p, storage.ErrIsFolder)
	}
	return nil
}

// origin is an argument that is a file or an entry of an archive.
func (c *call) origin(name string) (origin, error) {
	if e, ok := c.arg(name).(*entry); ok {
		return e, nil
	}
	return c.file(name)
}

func pathLines(c *call) (starlark.Value, error) { return c.linesOf(c.recv.(path)) }

// linesOf is the stream of the lines of a file or an entry.
func (c *call) linesOf(from origin) (starlark.Value, error) {
	return c.streamOf("lines", from, func(in *opened) records {
		l := &lineReader{call: c, from: from, in: bufio.NewReaderSize(in, 1<<16)}
		return func() (starlark.Value, error) {
			line, err := l.next()
			if err != nil {
				return nil, err
			}
			return starlark.String(trimNewline(line)), nil
		}
	})
}

// lineReader reads text line by line.
type lineReader struct {
	call  *call
	from  origin
	in    *bufio.Reader
	long  []byte // a line that did not fit the buffer of in
	line  int    // of the last line, from 1
	wrong bool   // some line was not UTF-8
	at    int64  // offset behind it, in bytes
}

// next is the next line with its newline, valid until the next call; io.EOF
// after the last.
func (l *lineReader) next() ([]byte, error) {
	line, err := l.raw()
	if err != nil {
		return nil, err
	}
	if !utf8.Valid(line) {
		l.wrong = true
		i := diag.InvalidUTF8(string(line))
		p := l.problem(codeEncoding, "is not UTF-8")
		p.Found = fmt.Sprintf("the byte 0x%02x at offset %d", line[i], l.at-int64(len(line)-i))
		return nil, p
	}
	return line, nil
}

// raw is next for lines of any bytes.
func (l *lineReader) raw() ([]byte, error) {
	line, err := l.in.ReadSlice('\n')
	if err == bufio.ErrBufferFull {
		l.long = append(l.long[:0], line...)
		for err == bufio.ErrBufferFull && len(l.long) <= maxRecord {
			line, err = l.in.ReadSlice('\n')
			l.long = append(l.long, line...)
		}
		line = l.long
	}
	switch {
	case len(line) > maxRecord:
		l.line++
		p := l.problem(codeTooLong, "is too long")
		p.Found, p.Wanted = fmt.Sprintf("more than %d MiB without a newline", maxRecord>>20), "lines"
		return nil, p
	case err != nil && err != io.EOF, len(line) == 0:
		return nil, err
	}
	l.line++
	l.at += int64(len(line))
	return line, nil
}

// problem is a complaint of the line that was just read.
func (l *lineReader) problem(code diag.Code, what string) *diag.Problem {
	return &diag.Problem{Code: code, Message: fmt.Sprintf("%s %s:%d: the line %s", l.call.builtin.Name, diag.Shorten(l.from.String()), l.line, what)}
}

// trimNewline is a line without its "\n" or "\r\n".
func trimNewline(line []byte) []byte {
	if n := len(line); n > 0 && line[n-1] == '\n' {
		line = line[:n-1]
		if n > 1 && line[n-2] == '\r' {
			line = line[:n-2]
		}
	}
	return line
}
