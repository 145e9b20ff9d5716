package starlib

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"net/netip"
	"regexp"
	"strconv"
	"strings"

	"go.starlark.net/starlark"

	"perago/starlib/diag"
	"perago/starlib/jsonschema"
	"perago/starlib/jsontext"
	"perago/starlib/schema"
)

// jsonBuiltins read and write JSON (RFC 8259).
func jsonBuiltins() []Builtin {
	unique := Param{Name: "unique_keys", Type: "bool", Default: "False", Kind: KeywordOnly, Doc: "a key that an object has twice is an error; else the last one counts, as in Python"}
	indent := func(otherwise string) Param {
		return Param{Name: "indent", Type: "int or string", Default: otherwise, Doc: "how many spaces a level has, 0 to 16, or the white space itself; None: all on one line"}
	}
	const values = "An object becomes a dict in the order of its keys, an array a list, null None. A number without fraction and exponent is an " +
		"int, exact at any size, another one a float; one beyond the range of a float, such as 1e400, or of more than 1000 characters is an " +
		"error, and so is nesting deeper than 200."
	return []Builtin{
		{Name: "json.decode", Phase: Pure, Returns: "any", Params: []Param{{Name: "text", Type: "string or bytes", Doc: "one JSON value, in UTF-8"}, unique}, call: jsonDecode,
			Doc:     "The value of a JSON text. " + values + " Errors give the line and the column in the text.",
			Example: `json.decode('{"n": [1, 2.5, null]}') == {"n": [1, 2.5, None]}`},
		{Name: "json.lines", Phase: Act, Returns: "json lines", Params: []Param{{Name: "path", Type: "path or entry", Doc: "a file, or an entry of an archive, with one JSON value on each line, in UTF-8"}, unique, compressionParam()}, call: jsonLines,
			Doc: "The values of a file, to loop over. The file is streamed: memory does not grow with its size. Blank lines are skipped, and so is a " +
				"byte order mark. A line that is no JSON, or of more than 64 MiB, stops the body at the `for` line, with the file's line. " + values,
			Example: "for event in json.lines(workspace / \"raw/events.jsonl\"):\n    print(event[\"kind\"])"},
		{Name: "json.encode", Phase: Pure, Returns: "string", call: jsonEncode,
			Params: []Param{{Name: "value", Type: "any"}, indent("None"), {Name: "sort_keys", Type: "bool", Default: "False", Doc: "keys by their bytes; else in the order of the dict"}},
			Doc: "A value as JSON: None, bools, ints, finite floats, strings, lists, tuples, ranges, dicts with string keys, structs and params. " +
				"The text is JSON for every string: a byte that is not UTF-8 becomes U+FFFD. NaN, an infinity, another type, and nesting " +
				"deeper than 200 are errors that name the place in the value.",
			Example: `json.encode({"a": [1, True, None]}) == '{"a":[1,true,null]}'`},
		{Name: "json.indent", Phase: Pure, Returns: "string", Params: []Param{{Name: "text", Type: "string"}, indent("2")}, call: jsonIndent,
			Doc: "A JSON text, laid out over lines. The values are not touched."},
	}
}

// jsonOf decodes text. The error is a *diag.Problem, or the cause of a cancel.
func (c *call) jsonOf(text string) (starlark.Value, *jsontext.Error, error) {
	unique, err := c.unique()
	if err != nil {
		return nil, nil, err
	}
	m := itemCounter{call: c}
	v, bad := jsontext.Decode(text, valueBuilder{unique}, func(byte) error { return m.tick() })
	if bad != nil && bad.Cause != nil {
		return nil, nil, bad.Cause
	}
	return v, bad, nil
}

func (c *call) unique() (bool, error) {
	for _, p := range c.builtin.Params {
		if p.Name == "unique_keys" {
			return c.boolean("unique_keys", false)
		}
	}
	return false, nil
}

// badJSON is the complaint of a text; where says in what, besides the offset.
func badJSON(e *jsontext.Error, text, where string) *diag.Problem {
	line, column := diag.Position(text, e.Offset)
	p := &diag.Problem{Code: codeJSON, Message: fmt.Sprintf("%s: %s at line %d, column %d", where, e.Reason, line, column)}
	if e.Code == "P3101" {
		p.Hint = notInJSON(text[e.Offset:])
	} else {
		p.Wanted = e.Wanted()
	}
	return p
}

// notInJSON says what JSON has instead of what Python writes.
func notInJSON(rest string) string {
	switch {
	case strings.HasPrefix(rest, "'"):
		return "JSON has double quotes only"
	case strings.HasPrefix(rest, "None"), strings.HasPrefix(rest, "True"), strings.HasPrefix(rest, "False"):
		return "JSON writes null, true and false"
	case strings.HasPrefix(rest, "NaN"), strings.HasPrefix(rest, "Infinity"), strings.HasPrefix(rest, "inf"):
		return "JSON has no NaN and no infinity"
	case strings.HasPrefix(rest, string(bom)):
		return "the text starts with a byte order mark: cut it off with text.removeprefix(\"\\uFEFF\")"
	case strings.HasPrefix(rest, "}"), strings.HasPrefix(rest, "]"):
		return "JSON has no comma behind the last item"
	case strings.HasPrefix(rest, "//"), strings.HasPrefix(rest, "/*"), strings.HasPrefix(rest, "#"):
		return "JSON has no comments"
	}
	return ""
}

func jsonDecode(c *call) (starlark.Value, error) {
	var text string
	switch v := c.arg("text").(type) {
	case starlark.String:
		text = string(v)
	case starlark.Bytes:
		text = string(v)
	default:
		p := c.wrongType("text", v)
		if at, isPath := v.(path); isPath {
			p.Hint = fmt.Sprintf("write json.decode(path.read_text()), or json.lines(path) for one value a line; the path is %s", diag.Shorten(at.String()))
		}
		return nil, p
	}
	v, bad, err := c.jsonOf(text)
	if bad != nil {
		p := badJSON(bad, text, c.builtin.Name)
		p.Argument = c.argument("text")
		return nil, p
	}
	return v, err
}

func jsonLines(c *call) (starlark.Value, error) {
	p, err := c.origin("path")
	if err != nil {
		return nil, err
	}
	if _, err := c.unique(); err != nil {
		return nil, err
	}
	return c.streamOf("json lines", p, func(in *opened) records {
		l := &lineReader{call: c, from: p, in: bufio.NewReaderSize(in, 1<<16)}
		return func() (starlark.Value, error) {
			for {
				line, err := l.next()
				if err != nil {
					return nil, err
				}
				if l.line == 1 {
					line = bytes.TrimPrefix(line, []byte(string(bom)))
				}
				text := string(trimNewline(line))
				if strings.TrimLeft(text, " \t\r") == "" {
					continue
				}
				v, bad, err := c.jsonOf(text)
				if bad != nil {
					at := badJSON(bad, text, "")
					at.Message = strings.Replace(at.Message, "line 1, column", "column", 1)
					at.Message = fmt.Sprintf("json.lines %s:%d%s", diag.Shorten(p.String()), l.line, at.Message)
					return nil, at
				}
				return v, err
			}
		}
	})
}

// indentOf is the indent argument as white space; none says that there is none.
func (c *call) indentOf(otherwise int) (space string, none bool, err error) {
	switch v := c.arg("indent").(type) {
	case nil:
		return strings.Repeat(" ", max(otherwise, 0)), otherwise < 0, nil
	case starlark.NoneType:
		return "", true, nil
	case starlark.String:
		if len(v) > 16 || strings.Trim(string(v), " \t") != "" {
			return "", false, c.refuse("indent", starlark.String(diag.Shorten(string(v))).String(), "at most 16 spaces and tabs")
		}
		return string(v), false, nil
	default:
		n, err := c.integer("indent", 0)
		if err == nil && (n < 0 || n > 16) {
			err = c.refuse("indent", fmt.Sprint(n), "0 to 16 spaces")
		}
		if err != nil {
			return "", false, err
		}
		return strings.Repeat(" ", n), false, nil
	}
}

func jsonIndent(c *call) (starlark.Value, error) {
	text, err := c.text("text", "")
	if err != nil {
		return nil, err
	}
	indent, none, err := c.indentOf(2)
	if err != nil {
		return nil, err
	}
	if _, bad, err := c.jsonOf(text); err != nil {
		return nil, err
	} else if bad != nil {
		p := badJSON(bad, text, c.builtin.Name)
		p.Argument = c.argument("text")
		return nil, p
	}
	var b bytes.Buffer
	if none {
		err = json.Compact(&b, []byte(text))
	} else {
		err = json.Indent(&b, []byte(strings.TrimSpace(text)), "", indent)
	}
	if err != nil { // it was read just now
		return nil, c.problem(codeJSON, "%v", err)
	}
	return starlark.String(b.String()), nil
}

// valueBuilder makes of a JSON text what json.decode gives.
type valueBuilder struct {
	unique bool // a key that is there twice is refused
}

func (valueBuilder) Word(v any) starlark.Value {
	if b, ok := v.(bool); ok {
		return starlark.Bool(b)
	}
	return starlark.None
}

func (valueBuilder) Text(s string) starlark.Value { return starlark.String(s) }

func (valueBuilder) Number(literal string, whole bool) (starlark.Value, *jsontext.Error) {
	if !whole {
		f, err := strconv.ParseFloat(literal, 64)
		if err != nil {
			return nil, &jsontext.Error{Code: "P3104", Reason: "a number beyond the range of a float"}
		}
		return starlark.Float(f), nil
	}
	if i, err := strconv.ParseInt(literal, 10, 64); err == nil {
		return starlark.MakeInt64(i), nil
	}
	i, _ := new(big.Int).SetString(literal, 10)
	return starlark.MakeBigInt(i), nil
}

func (valueBuilder) Array(items []starlark.Value) starlark.Value { return starlark.NewList(items) }

func (b valueBuilder) Object() jsontext.ObjectBuilder[starlark.Value] {
	return &dictBuilder{dict: new(starlark.Dict), unique: b.unique}
}

type dictBuilder struct {
	dict   *starlark.Dict
	unique bool
}

func (b *dictBuilder) Twice(key string) bool {
	if !b.unique {
		return false
	}
	_, found, _ := b.dict.Get(starlark.String(key)) // a string can be looked up
	return found
}

func (b *dictBuilder) Set(key string, item starlark.Value) {
	if err := b.dict.SetKey(starlark.String(key), item); err != nil {
		panic("starlib: " + err.Error()) // a new dict takes every string
	}
}

func (b *dictBuilder) Done() starlark.Value { return b.dict }

func jsonEncode(c *call) (starlark.Value, error) {
	e := c.encoder("value")
	var oneLine bool
	var err error
	if e.Indent, oneLine, err = c.indentOf(-1); err != nil {
		return nil, err
	}
	e.Lines = !oneLine
	if e.SortKeys, err = c.boolean("sort_keys", false); err != nil {
		return nil, err
	}
	text, err := e.Encode(c.arg("value"))
	return starlark.String(text), err
}

// encoder writes an argument of the call as JSON, on one line.
func (c *call) encoder(argument string) *jsontext.Encoder {
	m := itemCounter{call: c}
	return &jsontext.Encoder{FixText: true, Most: maxItems, Verb: "write", Members: membersInOrder, Tick: m.tick, Refuse: func(r *jsontext.Refusal) error {
		p := c.unfit(r)
		p.Argument = c.argument(argument)
		return p
	}}
}

// membersInOrder are those of a value that becomes an object; a struct's in the
// order in which it was made.
func membersInOrder(v starlark.Value) ([]starlark.Tuple, bool) {
	s, ok := v.(*structure)
	if !ok {
		return jsontext.Members(v)
	}
	members := make([]starlark.Tuple, len(s.names))
	for i, name := range s.names {
		members[i] = starlark.Tuple{starlark.String(name), s.values[i]}
	}
	return members, true
}

// unfit is the complaint of a value that JSON cannot hold.
func (c *call) unfit(r *jsontext.Refusal) *diag.Problem {
	if r.Kind == jsontext.TooLong {
		p := c.problem(codeTooMuch, "the text is too long")
		p.Wanted, p.Hint = "at most 1 GiB", r.Hint
		return p
	}
	p := c.problem(codeEncode, "%s", jsontext.Pointer(r.Path))
	if len(r.Path) == 0 {
		p.Message = c.builtin.Name
	}
	p.Found, p.Wanted, p.Hint = r.Found, r.Wanted, r.Hint
	return p
}

const (
	codeSchema  diag.Code = "P4118" // a schema that is none
	codeRefused diag.Code = "P4119" // a value that its schema refuses

	// mostProblems bounds what one call finds, toldProblems what of it an error says.
	mostProblems = 1000
	toldProblems = 5

	// maxSchemas bounds the compiled schemas that one run keeps.
	maxSchemas = 32
)

// jsonschemaBuiltins hold values against schemas that are data.
func jsonschemaBuiltins() []Builtin {
	params := []Param{{Name: "value", Type: "any", Doc: "what json.encode takes"},
		{Name: "schema", Type: "dict, bool or path", Doc: "a JSON Schema, or a file of the workspace that holds one, of at most 4 MiB"},
		{Name: "formats", Type: "bool", Default: "False", Kind: KeywordOnly,
			Doc: "whether `format` is held: date-time, date, uuid, ipv4, ipv6; else, and for other formats, it is a note, as the standard has it"}}
	const drafts = "JSON Schema 2020-12, or by its `$schema` 2019-09, draft 7 or 6. Nothing is fetched: a `$ref` to another document is an error. " +
		"Patterns are RE2, as those of `re`. Ints are exact, and 5.0 is an integer."
	return []Builtin{
		{Name: "jsonschema.errors", Phase: Pure, Returns: "list of struct(path, message, keyword)", Params: params, call: jsonschemaErrors,
			Doc: "What is wrong with a value: a list that is empty when it is valid, of structs with a JSON pointer into the value, what was found and wanted, and " +
				"the keyword of the schema; at most 1,000. " + drafts,
			Example: `jsonschema.errors({"n": 0}, {"properties": {"n": {"minimum": 1}}})[0].path == "/n"`},
		{Name: "jsonschema.validate", Phase: Pure, Returns: "None", Params: params, call: jsonschemaValidate,
			Doc:     "Ends with an error when a value is not what a schema wants; it says what is wrong, up to five places. " + drafts,
			Example: `jsonschema.validate({"n": 1}, {"required": ["n"]})`},
	}
}

func jsonschemaErrors(c *call) (starlark.Value, error) {
	found, err := c.againstSchema()
	if err != nil {
		return nil, err
	}
	items := make([]starlark.Value, len(found))
	for i, p := range found {
		items[i] = newStruct("path", starlark.String(wholePointer(p.Path)), "message", starlark.String("got "+p.Found+", want "+p.Wanted),
			"keyword", starlark.String(p.Keyword))
	}
	return starlark.NewList(items), nil
}

func jsonschemaValidate(c *call) (starlark.Value, error) {
	found, err := c.againstSchema()
	if err != nil || len(found) == 0 {
		return starlark.None, err
	}
	if len(found) == 1 {
		p := c.problem(codeRefused, "%s", placeInValue(found[0].Path))
		p.Found, p.Wanted, p.Argument = found[0].Found, found[0].Wanted, c.argument("value")
		return nil, p
	}
	lines := make([]string, 0, toldProblems)
	for _, p := range found[:min(len(found), toldProblems)] {
		lines = append(lines, fmt.Sprintf("%s: got %s, want %s", placeInValue(p.Path), p.Found, p.Wanted))
	}
	p := c.problem(codeRefused, "%s", strings.Join(lines, "; "))
	p.Argument = c.argument("value")
	switch more := len(found) - len(lines); {
	case len(found) == mostProblems:
		p.Hint = fmt.Sprintf("there are %d or more: jsonschema.errors(value, schema) is a list of them", mostProblems)
	case more > 0:
		p.Hint = fmt.Sprintf("there are %d more: jsonschema.errors(value, schema) is a list of them", more)
	}
	return nil, p
}

// wholePointer is a path as a JSON pointer that leads there, however long it is.
func wholePointer(path []string) string {
	var b strings.Builder
	for _, step := range path {
		b.WriteString("/" + jsontext.PointerToken(step))
	}
	return b.String()
}

// placeInValue names the part of a value that a path leads to.
func placeInValue(path []string) string {
	if len(path) == 0 {
		return "the value"
	}
	return diag.Shorten(jsontext.Pointer(path))
}

// againstSchema is what is wrong with the value of a call.
func (c *call) againstSchema() ([]jsonschema.Problem, error) {
	against, err := c.schemaOf()
	if err != nil {
		return nil, err
	}
	text, err := c.encoder("value").Encode(c.arg("value"))
	if err != nil {
		return nil, err
	}
	value, err := c.treeOf(text, c.builtin.Name, "value")
	if err != nil {
		return nil, err
	}
	m := itemCounter{call: c}
	found, err := against.Validate(value, mostProblems, m.tick)
	if errors.Is(err, jsonschema.ErrEndless) {
		p := c.problem(codeSchema, "%s", err)
		p.Argument = c.argument("schema")
		return nil, p
	}
	return found, err
}

// treeOf is a JSON text as the validator wants it.
func (c *call) treeOf(text, where, argument string) (any, error) {
	m := itemCounter{call: c}
	tree, bad := jsonschema.Decode(text, m.tick)
	switch {
	case bad == nil:
		return tree, nil
	case bad.Cause != nil:
		return nil, bad.Cause
	}
	p := badJSON(bad, text, where)
	p.Argument = c.argument(argument)
	return nil, p
}

// schemaOf is the schema of a call, compiled; a run keeps those it has seen.
func (c *call) schemaOf() (*jsonschema.Schema, error) {
	formats, err := c.boolean("formats", false)
	if err != nil {
		return nil, err
	}
	text, where := "", c.builtin.Name
	switch v := c.arg("schema").(type) {
	case path:
		text, where, err = c.settings("schema")
	case starlark.String, starlark.Bytes:
		p := c.wrongType("schema", v)
		p.Hint = "json.decode(text) makes a dict of a text, and workspace / \"schema.json\" is a file"
		return nil, p
	default:
		text, err = c.encoder("schema").Encode(v)
	}
	if err != nil {
		return nil, err
	}
	key := fmt.Sprint(formats, text)
	if c.run != nil {
		if s := c.run.schemas[key]; s != nil {
			return s, nil
		}
	}
	tree, err := c.treeOf(text, where, "schema")
	if err != nil {
		return nil, err
	}
	o := jsonschema.Options{Pattern: func(text string) (*regexp.Regexp, error) {
		p, err := compilePattern(text, 0)
		if err != nil {
			return nil, err
		}
		return p.any, nil
	}}
	if formats {
		o.Formats = schemaFormats()
	}
	s, err := jsonschema.Compile(tree, o)
	if err != nil {
		return nil, c.badSchema(err, where)
	}
	if c.run != nil {
		if c.run.schemas == nil || len(c.run.schemas) >= maxSchemas {
			c.run.schemas = make(map[string]*jsonschema.Schema)
		}
		c.run.schemas[key] = s
	}
	return s, nil
}

// schemaFormats are the formats that are held.
func schemaFormats() map[string]func(string) bool {
	return map[string]func(string) bool{
		"date-time": schema.IsDateTime,
		"date":      schema.IsDate,
		"uuid":      schema.IsUUID,
		"ipv4":      func(s string) bool { a, err := netip.ParseAddr(s); return err == nil && a.Is4() },
		"ipv6":      func(s string) bool { a, err := netip.ParseAddr(s); return err == nil && a.Is6() && a.Zone() == "" },
	}
}

func (c *call) badSchema(err error, where string) error {
	p := &diag.Problem{Code: codeSchema, Message: where + ": the schema is none", Cause: err, Argument: c.argument("schema")}
	var bad *jsonschema.Error
	if errors.As(err, &bad) && len(bad.Path) == 0 {
		p.Message = fmt.Sprintf("%s: the schema: %s", where, bad.Reason)
	} else if bad != nil {
		p.Message = fmt.Sprintf("%s: the schema at %s: %s", where, diag.Shorten(jsontext.Pointer(bad.Path)), bad.Reason)
	}
	var pattern *diag.Problem
	if errors.As(err, &pattern) {
		p.Hint = pattern.Hint
	}
	return p
}
