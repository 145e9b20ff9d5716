package starlib

import (
	"bytes"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"go.starlark.net/starlark"
	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/japanese"
	"golang.org/x/text/encoding/korean"
	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/encoding/traditionalchinese"
	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/transform"

	"perago/starlib/diag"
)

// charset is how text stands in a file.
type charset struct {
	name    string            // as the author wrote it; "" is UTF-8
	text    encoding.Encoding // nil is UTF-8
	mark    string            // bytes that may stand before the text; written ones do
	replace bool              // what is wrong becomes U+FFFD
}

// encodingParams are how a reader of text takes it; a writer takes the first.
func encodingParams() []Param {
	return []Param{
		{Name: "encoding", Type: "string", Default: `"utf-8"`, Kind: KeywordOnly,
			Doc: "of the text, by Python's names: `utf-8`, `utf-8-sig`, `utf-16` (also `-le`, `-be`), `latin-1`, `iso-8859-2` to `-16`, `windows-1250` to `-1258`, " +
				"`cp437`, `cp850`, `cp852`, `cp866`, `koi8-r`, `mac-roman`, `shift_jis`, `euc-jp`, `gbk`, `gb18030`, `big5`, `euc-kr`"},
		{Name: "errors", Type: "string", Default: `"strict"`, Kind: KeywordOnly,
			Doc: "`\"replace\"`: bytes that are no text become U+FFFD, as in Python; `\"strict\"`: they are an error with their offset"},
	}
}

// charsetOf is the encoding argument of a call, and errors where it takes that.
func (c *call) charsetOf() (charset, error) {
	name, err := c.text("encoding", "utf-8")
	if err != nil {
		return charset{}, err
	}
	cs, ok := charsetNamed(name)
	if !ok {
		p := c.refuse("encoding", starlark.String(diag.Shorten(name)).String(), anEncoding)
		p.Hint = diag.DidYouMean(name, []string{"utf-8", "utf-8-sig", "utf-16", "latin-1", "windows-1252", "iso-8859-15", "shift_jis", "gb18030", "big5"}, strconv.Quote)
		if strings.Contains(name, "ascii") {
			p.Hint = "ASCII is UTF-8: leave encoding out"
		}
		return charset{}, p
	}
	if !c.takes("errors") {
		return cs, nil
	}
	how, err := c.word("errors", "strict")
	cs.replace = how == "replace"
	return cs, err
}

const anEncoding = `the name of an encoding, such as "latin-1" or "windows-1252"`

// CheckFileArgument says whether a text can be the argument of that name of what
// reads or writes files: compression, encoding, errors, quotes, quoting, and the
// format of an archive.
func CheckFileArgument(name, text string) error {
	wanted := anEncoding
	if name == "encoding" {
		if _, ok := charsetNamed(text); ok {
			return nil
		}
	} else {
		words := argumentWords(name)
		if words == nil || slices.Contains(words, text) {
			return nil
		}
		wanted = quotedWords(words)
	}
	return &diag.Problem{Code: codeValue, Message: "argument `" + name + "`", Found: starlark.String(diag.Shorten(text)).String(), Wanted: wanted}
}

// argumentWords are what an argument of that name may be.
func argumentWords(name string) []string {
	switch name {
	case "compression":
		return []string{"gzip", "zstd", "none"}
	case "errors":
		return []string{"strict", "replace"}
	case "quotes":
		return []string{"strict", "lenient"}
	case "quoting":
		return []string{"minimal", "all", "nonnumeric", "none"}
	case "format":
		return []string{"zip", "tar", "tar.gz", "tar.zst"}
	}
	return nil
}

func quotedWords(words []string) string {
	last := len(words) - 1
	return `"` + strings.Join(words[:last], `", "`) + `" or "` + words[last] + `"`
}

// word is a string argument that has to be one of argumentWords.
func (c *call) word(name, otherwise string) (string, error) {
	s, err := c.text(name, otherwise)
	if err != nil || slices.Contains(argumentWords(name), s) {
		return s, err
	}
	p := c.refuse(name, starlark.String(diag.Shorten(s)).String(), quotedWords(argumentWords(name)))
	if s == "ignore" {
		p.Hint = `write errors = "replace", and s.replace("\uFFFD", "") for what was wrong`
	}
	return "", p
}

// takes says whether a builtin has a parameter of that name.
func (c *call) takes(name string) bool {
	for _, p := range c.builtin.Params {
		if p.Name == name {
			return true
		}
	}
	return false
}

// charsetNamed is the encoding of that name, as Python spells it.
func charsetNamed(name string) (charset, bool) {
	if len(name) > 20 {
		return charset{}, false
	}
	var text encoding.Encoding
	plain := strings.NewReplacer("_", "", "-", "", " ", "").Replace(strings.ToLower(name))
	for _, prefix := range []string{"windows", "ibm"} {
		if rest, ok := strings.CutPrefix(plain, prefix); ok {
			plain = "cp" + rest
		}
	}
	switch plain {
	case "utf8":
		return charset{}, true
	case "utf8sig":
		return charset{mark: "\xef\xbb\xbf"}, true
	case "utf16":
		return charset{name: name, text: unicode.UTF16(unicode.LittleEndian, unicode.IgnoreBOM), mark: "\xff\xfe"}, true
	case "utf16le":
		text = unicode.UTF16(unicode.LittleEndian, unicode.IgnoreBOM)
	case "utf16be":
		text = unicode.UTF16(unicode.BigEndian, unicode.IgnoreBOM)
	case "latin1", "iso88591", "l1":
		text = charmap.ISO8859_1
	case "shiftjis", "sjis":
		text = japanese.ShiftJIS
	case "eucjp":
		text = japanese.EUCJP
	case "gbk":
		text = simplifiedchinese.GBK
	case "gb18030":
		text = simplifiedchinese.GB18030
	case "big5":
		text = traditionalchinese.Big5
	case "euckr":
		text = korean.EUCKR
	default:
		m := charmapNamed(plain)
		if m == nil {
			return charset{}, false
		}
		text = m
	}
	return charset{name: name, text: text}, true
}

func charmapNamed(plain string) *charmap.Charmap {
	switch plain {
	case "iso88592", "latin2":
		return charmap.ISO8859_2
	case "iso88593":
		return charmap.ISO8859_3
	case "iso88594":
		return charmap.ISO8859_4
	case "iso88595":
		return charmap.ISO8859_5
	case "iso88596":
		return charmap.ISO8859_6
	case "iso88597":
		return charmap.ISO8859_7
	case "iso88598":
		return charmap.ISO8859_8
	case "iso88599", "latin5":
		return charmap.ISO8859_9
	case "iso885910":
		return charmap.ISO8859_10
	case "iso885913":
		return charmap.ISO8859_13
	case "iso885914":
		return charmap.ISO8859_14
	case "iso885915", "latin9":
		return charmap.ISO8859_15
	case "iso885916":
		return charmap.ISO8859_16
	case "cp1250":
		return charmap.Windows1250
	case "cp1251":
		return charmap.Windows1251
	case "cp1252":
		return charmap.Windows1252
	case "cp1253":
		return charmap.Windows1253
	case "cp1254":
		return charmap.Windows1254
	case "cp1255":
		return charmap.Windows1255
	case "cp1256":
		return charmap.Windows1256
	case "cp1257":
		return charmap.Windows1257
	case "cp1258":
		return charmap.Windows1258
	case "cp437":
		return charmap.CodePage437
	case "cp850":
		return charmap.CodePage850
	case "cp852":
		return charmap.CodePage852
	case "cp866":
		return charmap.CodePage866
	case "koi8r":
		return charmap.KOI8R
	case "macroman", "macintosh":
		return charmap.Macintosh
	}
	return nil
}

// plain says that the bytes of a file are those of the text, so that reading and
// writing need no more than a check.
func (cs charset) plain() bool { return cs.text == nil && cs.mark == "" && !cs.replace }

// decoding reads text as UTF-8. where stands before complaints.
func (cs charset) decoding(where string, from io.Reader) io.Reader {
	return &textReader{charset: cs, where: where, from: from, in: make([]byte, 0, 1<<15)}
}

// textReader turns the bytes of an encoding into UTF-8. Errors are *diag.Problem,
// but for those of the reader below it.
type textReader struct {
	charset
	where   string
	from    io.Reader
	decoder transform.Transformer // nil before the first read
	in      []byte                // read and not decoded yet
	at      int64                 // offset of in[0]
	out     []byte                // decoded, not handed out yet
	buffer  [1 << 15]byte         // behind out
	end     error                 // of from
}

func (t *textReader) Read(p []byte) (int, error) {
	for len(t.out) == 0 {
		if err := t.fill(); err != nil {
			return 0, err
		}
	}
	n := copy(p, t.out)
	t.out = t.out[n:]
	return n, nil
}

// fill reads and decodes some more.
func (t *textReader) fill() error {
	if t.end == nil && len(t.in) < cap(t.in)/2 {
		n, err := io.ReadAtLeast(t.from, t.in[len(t.in):cap(t.in)], 1)
		t.in, t.end = t.in[:len(t.in)+n], err
	}
	if t.end != nil && t.end != io.EOF {
		return t.end
	}
	if t.decoder == nil {
		if len(t.in) < len(t.mark) && t.end == nil {
			return nil
		}
		t.begin()
	}
	if len(t.in) == 0 {
		return t.end
	}
	n, taken, err := t.decoder.Transform(t.buffer[:], t.in, t.end != nil)
	if err != nil && err != transform.ErrShortDst && err != transform.ErrShortSrc {
		return &diag.Problem{Code: codeEncoding, Message: t.where + ": the text is not " + t.called(), Cause: err}
	}
	if !t.replace {
		if at := t.wrong(t.buffer[:n], t.in[:taken]); at >= 0 {
			return &diag.Problem{Code: codeEncoding, Message: t.where + ": the text is not " + t.called(),
				Found: fmt.Sprintf("the byte 0x%02x at offset %d", t.in[at], t.at+int64(at)), Hint: `errors = "replace" puts U+FFFD in place of what is wrong`}
		}
	}
	t.out = t.buffer[:n]
	t.at += int64(taken)
	t.in = t.in[:copy(t.in, t.in[taken:])]
	return nil
}

// called is the name of the encoding for people.
func (cs charset) called() string {
	if cs.text == nil {
		return "UTF-8"
	}
	return cs.name
}

// begin takes the mark off, which says of UTF-16 in what order its bytes are.
func (t *textReader) begin() {
	text := t.text
	if text == nil {
		text = unicode.UTF8
	}
	skip := 0
	switch {
	case t.mark == "":
	case strings.HasPrefix(string(t.in), t.mark):
		skip = len(t.mark)
	case t.text != nil && strings.HasPrefix(string(t.in), "\xfe\xff"):
		skip, text = 2, unicode.UTF16(unicode.BigEndian, unicode.IgnoreBOM)
	}
	t.text = text
	t.decoder = text.NewDecoder()
	t.at += int64(skip)
	t.in = t.in[:copy(t.in, t.in[skip:])]
}

// wrong is the offset in `in` of what is no text, -1 when all is. The decoders
// put U+FFFD in its place, which may also stand in the text.
func (t *textReader) wrong(out, in []byte) int {
	const bad = "\uFFFD"
	own, err := t.text.NewEncoder().Bytes([]byte(bad)) // how the encoding writes it, if it can
	if err != nil {
		own = nil
	}
	for before := 0; ; {
		i := bytes.Index(out, []byte(bad))
		if i < 0 {
			return -1
		}
		// A decoder that has room up to there says where in the text it stopped.
		_, taken, _ := t.text.NewDecoder().Transform(make([]byte, i), in, true)
		if own == nil || !bytes.HasPrefix(in[taken:], own) {
			return min(before+taken, before+len(in)-1)
		}
		before += taken + len(own)
		in, out = in[taken+len(own):], out[i+len(bad):]
	}
}

// encodingWriter writes text in an encoding.
type encodingWriter struct {
	charset
	where   string
	w       io.Writer
	encoder transform.Transformer
	part    []byte // the first bytes of a character
	at      int64  // bytes of text that were written
	started bool
}

func (cs charset) encoding(where string, w io.Writer) *encodingWriter {
	text := cs.text
	if text == nil {
		text = encoding.Nop
	}
	return &encodingWriter{charset: cs, where: where, w: w, encoder: text.NewEncoder()}
}

func (e *encodingWriter) Write(p []byte) (int, error) {
	if err := e.begin(); err != nil {
		return 0, err
	}
	in := append(e.part, p...)
	whole := len(in)
	for i := max(0, len(in)-utf8.UTFMax+1); i < len(in); i++ {
		if utf8.RuneStart(in[i]) && !utf8.FullRune(in[i:]) {
			whole = i
		}
	}
	if err := e.encode(in[:whole]); err != nil {
		return 0, err
	}
	e.part = append(e.part[:0], in[whole:]...)
	return len(p), nil
}

// begin writes the mark.
func (e *encodingWriter) begin() error {
	if e.started {
		return nil
	}
	e.started = true
	_, err := io.WriteString(e.w, e.mark)
	return err
}

// Close writes what is left. It leaves the writer below open.
func (e *encodingWriter) Close() error {
	if err := e.begin(); err != nil {
		return err
	}
	return e.encode(e.part)
}

func (e *encodingWriter) encode(in []byte) error {
	var out [1 << 14]byte
	for len(in) > 0 {
		n, taken, err := e.encoder.Transform(out[:], in, true)
		if _, failed := e.w.Write(out[:n]); failed != nil {
			return failed
		}
		e.at += int64(taken)
		in = in[taken:]
		if err != nil && err != transform.ErrShortDst {
			r, _ := utf8.DecodeRune(in)
			p := &diag.Problem{Code: codeEncoding, Message: fmt.Sprintf("%s: %s has no such character", e.where, e.called()),
				Found: fmt.Sprintf("U+%04X at byte %d of the text", r, e.at), Hint: `encoding = "utf-8" has all of them`}
			return p
		}
	}
	return nil
}
