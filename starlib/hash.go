package starlib

import (
	"crypto/md5"
	"crypto/sha1"
	"crypto/sha256"
	"encoding/hex"
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
