package starlib

import (
	"fmt"
	"io"
	"strings"

	"go.starlark.net/starlark"

	"perago/starlib/diag"
)

// YAML and TOML: texts that people write, so they are small, and read whole.

const (
	codeYAML diag.Code = "P4116" // a text that is not YAML
	codeTOML diag.Code = "P4117" // a text that is not TOML

	// maxSettings bounds the text of yaml.decode and its like, in bytes: what
	// the parsers make of it takes up to a hundred times as much memory.
	maxSettings = 4 << 20
)

// settingsBuiltins read YAML and TOML.
func settingsBuiltins() []Builtin {
	text := func(what string) []Param {
		return []Param{{Name: "text", Type: "string, bytes or path", Doc: what + " in UTF-8, or a file of it; at most 4 MiB"}}
	}
	return []Builtin{
		{Name: "yaml.decode", Phase: Pure, Returns: "any", Params: text("one YAML document"), call: yamlDecode,
			Doc: "The value of a YAML document: None, bools, ints, floats, strings, lists, and dicts in the order of their keys. Plain scalars are those of " +
				"YAML 1.2: `yes`, `on` and `1_000` are strings, `010` is 10, and a date or a time is a string, which `time.parse` takes. A key that is " +
				"there twice, a tag of another type such as `!!python/object`, nesting deeper than 200, and aliases that stand for more than 100,000 values " +
				"are errors with line and column. `<<` merges; an empty document is None.",
			Example: `yaml.decode("name: a\ntags: [x, 1.5]\n") == {"name": "a", "tags": ["x", 1.5]}`},
		{Name: "toml.decode", Phase: Pure, Returns: "dict", Params: text("a TOML document"), call: tomlDecode,
			Doc: "The tables of a TOML 1.1 document as dicts, in the order of their keys. A date or a time is a string as it stands there, with `T` and `Z`, " +
				"which `time.parse` takes when it has an offset. An int has 64 bits. A key or a table that is there twice, and nesting deeper than 200, are errors " +
				"with line and column.",
			Example: `toml.decode("[job]\nretries = 3\n") == {"job": {"retries": 3}}`},
	}
}

// settings is an argument that is a text or a file of one, without its byte
// order mark, and the words that a complaint of it starts with.
func (c *call) settings(argument string) (text, where string, err error) {
	where = c.builtin.Name
	switch v := c.arg(argument).(type) {
	case starlark.String:
		text = string(v)
	case starlark.Bytes:
		text = string(v)
	case path:
		where += " " + diag.Shorten(v.String())
		src, err := c.openFile(v)
		if err != nil {
			return "", "", err
		}
		defer src.close()
		var b strings.Builder
		if _, err := io.Copy(&b, io.LimitReader(src, maxSettings+1)); err != nil {
			return "", "", c.fileError(v, err)
		}
		text = b.String()
	default:
		return "", "", c.wrongType(argument, v)
	}
	if len(text) > maxSettings {
		return "", "", &diag.Problem{Code: codeTooMuch, Message: where + ": the text is too long", Found: "more than 4 MiB", Wanted: "at most 4 MiB",
			Hint: "tables are read from CSV and JSON lines, which stream", Argument: c.argument(argument)}
	}
	if i := diag.InvalidUTF8(text); i >= 0 {
		return "", "", &diag.Problem{Code: codeEncoding, Message: where + ": the text is not UTF-8",
			Found: fmt.Sprintf("the byte 0x%02x at offset %d", text[i], i), Argument: c.argument(argument)}
	}
	return strings.TrimPrefix(text, string(bom)), where, nil
}
