package starlib

import (
	"encoding/base64"
	"fmt"
	"strings"

	"go.starlark.net/starlark"
)

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
