package starlib

import (
	"fmt"
	"html"
	"strings"
	"unicode/utf8"

	"go.starlark.net/starlark"

	"perago/starlib/diag"
	"perago/starlib/jsontext"
)

// The module text: what Python has in html, textwrap and string.Template.

func textBuiltins() []Builtin {
	s := Param{Name: "s", Type: "string", Kind: Positional}
	return pure([]Builtin{
		{Name: "text.escape_html", Params: []Param{s}, Returns: "string", call: escapeHTML,
			Doc:     "The string as text of an HTML page or of an attribute in quotes: `&`, `<`, `>`, `\"` and `'` are replaced.",
			Example: `text.escape_html("a < b") == "a &lt; b"`},
		{Name: "text.wrap", Params: []Param{s, {Name: "width", Type: "int", Default: "70", Doc: "characters, at least 1"}},
			Returns: "list of string", call: wrapText,
			Doc: "The words of a text in lines of at most `width` characters. White space between words becomes one space; a word that is " +
				"longer than a line is cut.", Example: `text.wrap("one two three", width = 8) == ["one two", "three"]`},
		{Name: "text.template", Params: []Param{s, {Name: "values", Type: "dict or struct"}}, Returns: "string", call: fillTemplate,
			Doc: "The string with every `$name` and `${name}` replaced by the value of that name, as `str` shows it; `$$` is a dollar. " +
				"A name without a value is an error.", Example: `text.template("$n rows", {"n": 3}) == "3 rows"`},
	})
}

// allow says whether a text of that many bytes may be made.
func (c *call) allow(bytes int) error {
	if c.run == nil {
		return new(Bounds).allow("text", int64(bytes))
	}
	return c.run.allow("text", int64(bytes))
}

func escapeHTML(c *call) (starlark.Value, error) {
	s, err := c.text("s", "")
	if err != nil {
		return nil, err
	}
	size := len(s)
	for _, special := range []string{"&", "<", ">", "\"", "'"} {
		size += 4 * strings.Count(s, special)
	}
	if err := c.allow(size); err != nil {
		return nil, err
	}
	return starlark.String(html.EscapeString(s)), nil
}

func wrapText(c *call) (starlark.Value, error) {
	s, err := c.text("s", "")
	if err != nil {
		return nil, err
	}
	width, err := c.integer("width", 70)
	if err != nil {
		return nil, err
	}
	if width < 1 {
		return nil, c.refuse("width", fmt.Sprint(width), "1 or more")
	}
	var lines []starlark.Value
	var line strings.Builder
	used := 0 // characters of line
	m := itemCounter{call: c}
	flush := func() {
		lines = append(lines, starlark.String(line.String()))
		line.Reset()
		used = 0
	}
	for word := range strings.FieldsSeq(s) {
		if err := m.tick(); err != nil {
			return nil, err
		}
		size := utf8.RuneCountInString(word)
		if used > 0 && used+1+size > width && (size <= width || used+1 >= width) {
			flush()
		}
		for size > 0 {
			if err := m.tick(); err != nil {
				return nil, err
			}
			if used > 0 {
				line.WriteByte(' ')
				used++
			}
			room := min(width-used, size)
			cut := byteIndex(word, room)
			line.WriteString(word[:cut])
			word, size, used = word[cut:], size-room, used+room
			if size > 0 {
				flush()
			}
		}
	}
	if used > 0 {
		flush()
	}
	return starlark.NewList(lines), nil
}

// byteIndex is where the character n of s begins, in bytes.
func byteIndex(s string, n int) int {
	for i := range s {
		if n == 0 {
			return i
		}
		n--
	}
	return len(s)
}

func fillTemplate(c *call) (starlark.Value, error) {
	s, err := c.text("s", "")
	if err != nil {
		return nil, err
	}
	entries, ok := jsontext.Members(c.arg("values"))
	if !ok {
		return nil, c.wrongType("values", c.arg("values"))
	}
	values := make(map[string]starlark.Value, len(entries))
	names := make([]string, 0, len(entries))
	for _, entry := range entries {
		if name, ok := entry[0].(starlark.String); ok {
			values[string(name)] = entry[1]
			names = append(names, string(name))
		}
	}
	shown := make(map[string]string)
	var out strings.Builder
	for s != "" {
		dollar := strings.IndexByte(s, '$')
		if dollar < 0 {
			dollar = len(s)
		}
		part := s[:dollar]
		s = s[dollar:]
		if s != "" {
			name, length := placeholder(s)
			switch {
			case length == 0:
				p := c.problem(codeValue, "there is a `$` that begins no name")
				p.Found, p.Wanted = diag.Shorten(starlark.String(s[:min(len(s), 40)]).String()), "$name, ${name}, or $$ for a dollar"
				return nil, p
			case name == "$":
				part += "$"
			default:
				text, done := shown[name]
				if !done {
					if text, err = c.valueText(name, values[name], names); err != nil {
						return nil, err
					}
					shown[name] = text
				}
				if err := c.allow(out.Len() + len(part) + len(text)); err != nil {
					return nil, err
				}
				part += text
			}
			s = s[length:]
		}
		out.WriteString(part)
	}
	return starlark.String(out.String()), nil
}

// placeholder is the name at the beginning of s, which is a dollar, and how
// many bytes it takes; "$" for a doubled dollar, 0 bytes when there is none.
func placeholder(s string) (name string, length int) {
	rest := s[1:]
	if strings.HasPrefix(rest, "$") {
		return "$", 2
	}
	braced := strings.HasPrefix(rest, "{")
	if braced {
		rest = rest[1:]
	}
	n := 0
	for n < len(rest) && (rest[n] == '_' || 'a' <= rest[n]|0x20 && rest[n]|0x20 <= 'z' || n > 0 && '0' <= rest[n] && rest[n] <= '9') {
		n++
	}
	switch {
	case n == 0 || braced && !strings.HasPrefix(rest[n:], "}"):
		return "", 0
	case braced:
		return rest[:n], n + 3
	}
	return rest[:n], n + 1
}

func (c *call) valueText(name string, v starlark.Value, known []string) (string, error) {
	if v == nil {
		p := c.problem(codeValue, "there is no value for $%s", diag.Shorten(name))
		p.Hint = diag.DidYouMean(name, known, func(near string) string { return "`$" + near + "`" })
		return "", p
	}
	if s, ok := v.(starlark.String); ok {
		return string(s), nil
	}
	return c.display(v)
}
