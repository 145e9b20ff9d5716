package starlib

import (
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"strings"

	"go.starlark.net/starlark"

	"perago/starlib/diag"
	"perago/starlib/jsonschema"
	"perago/starlib/jsontext"
	"perago/starlib/schema"
)

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
