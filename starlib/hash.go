package starlib

import (
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"hash"
	"hash/crc32"
	"io"
	"strings"

	"go.starlark.net/starlark"
)

// hashBuiltins make checksums.
func hashBuiltins() []Builtin {
	var rows []Builtin
	for _, h := range []struct {
		name, doc string
		start     func() hash.Hash
	}{
		{"sha256", "The SHA-256 of the data, as 64 hex digits.", sha256.New},
		{"sha1", "The SHA-1 of the data, as 40 hex digits. To compare with what others made; not against forgery.", sha1.New},
		{"md5", "The MD5 of the data, as 32 hex digits. To compare with what others made; not against forgery.", md5.New},
		{"crc32", "The CRC-32 (IEEE) of the data, as 8 hex digits: `int(hash.crc32(x), 16)` is its number.", func() hash.Hash { return crc32.NewIEEE() }},
	} {
		rows = append(rows, Builtin{Name: "hash." + h.name, Phase: Pure, Returns: "string",
			Params:  []Param{{Name: "data", Type: "string, bytes or path", Doc: "a string is taken as UTF-8; the file of a path is streamed, in the body only"}},
			Doc:     h.doc,
			Example: "hash." + h.name + `(workspace / "raw/a.csv")`,
			call:    func(c *call) (starlark.Value, error) { return hashOf(c, h.start()) }})
	}
	return rows
}

func hashOf(c *call, h hash.Hash) (starlark.Value, error) {
	var from io.Reader
	var at path
	switch data := c.arg("data").(type) {
	case starlark.String:
		from = strings.NewReader(string(data))
	case starlark.Bytes:
		from = strings.NewReader(string(data))
	case path:
		src, err := c.openFile(data)
		if err != nil {
			return nil, err
		}
		defer src.close()
		from, at = src, data
	default:
		return nil, c.wrongType("data", data)
	}
	buf := make([]byte, 64<<10)
	for m := (itemCounter{call: c}); ; {
		n, err := from.Read(buf)
		h.Write(buf[:n])
		if err == io.EOF {
			return starlark.String(hex.EncodeToString(h.Sum(nil))), nil
		}
		if err != nil {
			return nil, c.fileError(at, err)
		}
		if err := m.check(); err != nil {
			return nil, err
		}
	}
}

// base64Builtins turn bytes into text and back.
func base64Builtins() []Builtin {
	url := Param{Name: "url", Type: "bool", Default: "False", Kind: KeywordOnly, Doc: "the alphabet for URLs and file names, `-` and `_` in place of `+` and `/`"}
	return []Builtin{
		{Name: "base64.encode", Phase: Pure, Returns: "string", Params: []Param{{Name: "data", Type: "string or bytes"}, url}, call: base64Encode,
			Doc: "The data in base64 (RFC 4648), with padding."},
		{Name: "base64.decode", Phase: Pure, Returns: "bytes", Params: []Param{{Name: "text", Type: "string"}, url}, call: base64Decode,
			Doc:     "The bytes that a base64 text stands for. The padding may be missing; newlines are skipped; anything else is an error with the offset.",
			Example: `str(base64.decode("aGk=")) == "hi"`},
	}
}

func (c *call) alphabet() (*base64.Encoding, error) {
	url, err := c.boolean("url", false)
	if url {
		return base64.URLEncoding, err
	}
	return base64.StdEncoding, err
}

func base64Encode(c *call) (starlark.Value, error) {
	enc, err := c.alphabet()
	if err != nil {
		return nil, err
	}
	switch data := c.arg("data").(type) {
	case starlark.String:
		return starlark.String(enc.EncodeToString([]byte(data))), nil
	case starlark.Bytes:
		return starlark.String(enc.EncodeToString([]byte(data))), nil
	}
	return nil, c.wrongType("data", c.arg("data"))
}

func base64Decode(c *call) (starlark.Value, error) {
	enc, err := c.alphabet()
	if err != nil {
		return nil, err
	}
	text, err := c.text("text", "")
	if err != nil {
		return nil, err
	}
	trimmed := strings.TrimRight(text, "\r\n")
	if !strings.HasSuffix(trimmed, "=") {
		enc = enc.WithPadding(base64.NoPadding)
	}
	data, err := enc.DecodeString(trimmed)
	if err != nil {
		p := c.problem(codeValue, "the text is not base64")
		p.Cause, p.Argument = err, c.argument("text")
		if at, ok := err.(base64.CorruptInputError); ok {
			p.Found = fmt.Sprintf("a text that goes wrong at offset %d", int64(at))
		}
		if strings.ContainsAny(text, "-_") && !strings.ContainsAny(text, "+/") {
			p.Hint = "write base64.decode(text, url = True) for the alphabet of URLs"
		}
		return nil, p
	}
	return starlark.Bytes(data), nil
}
