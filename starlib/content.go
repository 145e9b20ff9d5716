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
	"unicode/utf8"

	"go.starlark.net/starlark"

	"perago/starlib/diag"
	"perago/workspace"
)

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
		if err := c.run.allow("content of "+shorten(p.String()), info.Size()); err != nil {
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
	if i := invalidUTF8(s); i >= 0 {
		p := c.problem(codeEncoding, "%s is not UTF-8", shorten(c.recv.String()))
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

// invalidUTF8 is the offset of the first byte that is not UTF-8, -1 when all is.
func invalidUTF8(s string) int {
	if utf8.ValidString(s) {
		return -1
	}
	for i := 0; i < len(s); {
		r, size := utf8.DecodeRuneInString(s[i:])
		if r == utf8.RuneError && size == 1 {
			return i
		}
		i += size
	}
	return -1
}

func pathWriteText(c *call) (starlark.Value, error) {
	s, err := c.text("text", "")
	if err != nil {
		return nil, asBytesHint(err, c.arg("text"), "write_bytes")
	}
	if i := invalidUTF8(s); i >= 0 {
		p := c.problem(codeEncoding, "the text for %s is not UTF-8", shorten(c.recv.String()))
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
		return nil, c.fileError(p, &fs.PathError{Op: "create", Err: workspace.ErrIsFolder})
	}
	draft, err := c.run.Files.Create(c.run.Context, string(p), mode)
	if err != nil {
		return nil, c.fileError(p, err)
	}
	return draft, nil
}
