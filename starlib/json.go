package starlib

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"math"
	"math/big"
	"slices"
	"strconv"
	"strings"

	"go.starlark.net/starlark"

	"perago/starlib/diag"
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
		{Name: "json.lines", Phase: Act, Returns: "json lines", Params: []Param{{Name: "path", Type: "path", Doc: "a file with one JSON value on each line, in UTF-8"}, unique}, call: jsonLines,
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
func (c *call) jsonOf(text string) (starlark.Value, *jsonError, error) {
	unique, err := c.unique()
	if err != nil {
		return nil, nil, err
	}
	m := meter{call: c}
	d := decoder[starlark.Value]{text: text, build: valueBuilder{unique}, tick: m.tick}
	v, bad := d.whole()
	if bad != nil && bad.cause != nil {
		return nil, nil, bad.cause
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
func badJSON(e *jsonError, text, where string) *diag.Problem {
	line, column := columnOf(text, e.offset)
	p := &diag.Problem{Code: codeJSON, Message: fmt.Sprintf("%s: %s at line %d, column %d", where, e.reason, line, column)}
	switch e.code {
	case "P3101":
		p.Hint = jsonHabit(text[e.offset:])
	default:
		p.Wanted = e.wanted()
	}
	return p
}

// jsonHabit says what Python writes and JSON does not.
func jsonHabit(rest string) string {
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
			p.Hint = fmt.Sprintf("write json.decode(path.read_text()), or json.lines(path) for one value a line; the path is %s", shorten(at.String()))
		}
		return nil, p
	}
	v, bad, err := c.jsonOf(text)
	if bad != nil {
		p := badJSON(bad, text, c.builtin.Name)
		p.Argument = c.place("text")
		return nil, p
	}
	return v, err
}

func jsonLines(c *call) (starlark.Value, error) {
	p, err := c.file("path")
	if err != nil {
		return nil, err
	}
	if _, err := c.unique(); err != nil {
		return nil, err
	}
	return c.streamOf("json lines", p, func(in *bufio.Reader) records {
		l := &lineReader{call: c, path: p, in: in}
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
					at.Message = fmt.Sprintf("json.lines %s:%d%s", shorten(p.String()), l.line, at.Message)
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
			return "", false, c.refuse("indent", starlark.String(shorten(string(v))).String(), "at most 16 spaces and tabs")
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
		p.Argument = c.place("text")
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

func (valueBuilder) word(v any) starlark.Value {
	if b, ok := v.(bool); ok {
		return starlark.Bool(b)
	}
	return starlark.None
}

func (valueBuilder) text(s string) starlark.Value { return starlark.String(s) }

func (valueBuilder) number(literal string, whole bool) (starlark.Value, *jsonError) {
	if !whole {
		f, err := strconv.ParseFloat(literal, 64)
		if err != nil {
			return nil, &jsonError{code: "P3104", reason: "a number beyond the range of a float"}
		}
		return starlark.Float(f), nil
	}
	if i, err := strconv.ParseInt(literal, 10, 64); err == nil {
		return starlark.MakeInt64(i), nil
	}
	i, _ := new(big.Int).SetString(literal, 10)
	return starlark.MakeBigInt(i), nil
}

func (valueBuilder) array(items []starlark.Value) starlark.Value { return starlark.NewList(items) }

func (b valueBuilder) object() objectBuilder[starlark.Value] {
	return &dictBuilder{dict: new(starlark.Dict), unique: b.unique}
}

type dictBuilder struct {
	dict   *starlark.Dict
	unique bool
}

func (b *dictBuilder) twice(key string) bool {
	if !b.unique {
		return false
	}
	_, found, _ := b.dict.Get(starlark.String(key)) // a string can be looked up
	return found
}

func (b *dictBuilder) set(key string, item starlark.Value) {
	if err := b.dict.SetKey(starlark.String(key), item); err != nil {
		panic("starlib: " + err.Error()) // a new dict takes every string
	}
}

func (b *dictBuilder) done() starlark.Value { return b.dict }

// jsonWriter writes one value as JSON.
type jsonWriter struct {
	out     strings.Builder
	scratch []byte
	call    *call
	meter   meter
	indent  string
	oneLine bool
	sorted  bool
}

func jsonEncode(c *call) (starlark.Value, error) {
	w := jsonWriter{call: c, meter: meter{call: c}}
	var err error
	if w.indent, w.oneLine, err = c.indentOf(-1); err != nil {
		return nil, err
	}
	if w.sorted, err = c.boolean("sort_keys", false); err != nil {
		return nil, err
	}
	err = w.value(c.arg("value"), 0)
	if bad, ok := err.(*unfit); ok {
		slices.Reverse(bad.path)
		p := c.problem(codeEncode, "%s", pointer(bad.path))
		if len(bad.path) == 0 {
			p.Message = c.builtin.Name
		}
		p.Found, p.Wanted, p.Hint, p.Argument = bad.found, bad.wanted, bad.hint, c.place("value")
		return nil, p
	}
	if err != nil {
		return nil, err
	}
	return starlark.String(w.out.String()), nil
}

// unfit is a value that JSON cannot hold.
type unfit struct {
	path                []string // to the value, innermost step first
	found, wanted, hint string
}

func (e *unfit) Error() string { return e.found }

// below adds the step that err came up through.
func below(err error, step string) error {
	if e, ok := err.(*unfit); ok {
		e.path = append(e.path, step)
	}
	return err
}

func (w *jsonWriter) value(v starlark.Value, depth int) error {
	if err := w.meter.tick(); err != nil {
		return err
	}
	if w.out.Len() > maxItems {
		p := w.call.problem(codeTooMuch, "the text is too long")
		p.Wanted, p.Hint = "at most 1 GiB", "does a list or a dict hold itself?"
		return p
	}
	switch v := v.(type) {
	case starlark.NoneType:
		w.out.WriteString("null")
	case starlark.Bool:
		w.out.WriteString(strconv.FormatBool(bool(v)))
	case starlark.Int:
		w.out.WriteString(v.String())
	case starlark.Float:
		if f := float64(v); math.IsNaN(f) || math.IsInf(f, 0) {
			return &unfit{found: v.String(), wanted: "a finite number", hint: "JSON has no such number: write None in its place"}
		}
		w.scratch = appendFloat(w.scratch[:0], float64(v))
		w.out.Write(w.scratch)
	case starlark.String:
		w.text(string(v))
	case *structure:
		return w.object(v.names, depth, v.field)
	case starlark.IterableMapping:
		return w.mapping(v, depth)
	case *starlark.List, starlark.Tuple, span:
		return w.array(v.(starlark.Sequence), depth)
	default:
		return &unfit{found: typeName(v), wanted: "a value that JSON can hold", hint: jsonInstead(v)}
	}
	return nil
}

// jsonInstead says what to write for a value that JSON cannot hold.
func jsonInstead(v starlark.Value) string {
	switch v.(type) {
	case starlark.Bytes:
		return "write base64.encode(b)"
	case *starlark.Set:
		return "write sorted(s), or list(s)"
	case path, instant:
		return "write str(x)"
	case duration:
		return "write d.seconds"
	case starlark.Callable:
		return "is a call's `()` missing?"
	case starlark.Iterable:
		return "write list(x)"
	}
	return ""
}

func (w *jsonWriter) text(s string) {
	w.scratch = appendText(w.scratch[:0], validUTF8(s))
	w.out.Write(w.scratch)
}

// items writes the items of an array or an object.
func (w *jsonWriter) items(brackets string, depth int, each func(next func()) error) error {
	if depth == maxDepth {
		return &unfit{found: "a value nested too deep", wanted: fmt.Sprintf("at most %d levels", maxDepth), hint: "does a list or a dict hold itself?"}
	}
	w.out.WriteByte(brackets[0])
	n := 0
	err := each(func() {
		if n > 0 {
			w.out.WriteByte(',')
		}
		n++
		w.newline(depth + 1)
	})
	if err != nil {
		return err
	}
	if n > 0 {
		w.newline(depth)
	}
	w.out.WriteByte(brackets[1])
	return nil
}

func (w *jsonWriter) newline(depth int) {
	if w.oneLine {
		return
	}
	w.out.WriteByte('\n')
	for range depth {
		w.out.WriteString(w.indent)
	}
}

func (w *jsonWriter) array(list starlark.Sequence, depth int) error {
	return w.items("[]", depth, func(next func()) error {
		i := 0
		for x := range starlark.Elements(list) {
			next()
			if err := w.value(x, depth+1); err != nil {
				return below(err, strconv.Itoa(i))
			}
			i++
		}
		return nil
	})
}

func (w *jsonWriter) mapping(m starlark.IterableMapping, depth int) error {
	var keys []string
	for k := range starlark.Elements(m) {
		s, ok := k.(starlark.String)
		if !ok {
			return &unfit{found: "the key " + shorten(k.String()), wanted: "strings as keys", hint: "write str(key)"}
		}
		keys = append(keys, string(s))
	}
	return w.object(keys, depth, func(key string) starlark.Value {
		v, _, _ := m.Get(starlark.String(key)) // a string can be looked up
		return v
	})
}

func (w *jsonWriter) object(keys []string, depth int, value func(string) starlark.Value) error {
	if w.sorted {
		keys = slices.Sorted(slices.Values(keys))
	}
	return w.items("{}", depth, func(next func()) error {
		for _, key := range keys {
			next()
			w.text(key)
			w.out.WriteByte(':')
			if !w.oneLine {
				w.out.WriteByte(' ')
			}
			if err := w.value(value(key), depth+1); err != nil {
				return below(err, key)
			}
		}
		return nil
	})
}
