package starlib

// Functions of a program that embeds perago, as rows of the table: what they take
// and give crosses as JSON wherever the body runs, so that they are the same in
// the process of the program and in the child of engine/isolate.

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"go.starlark.net/starlark"
	"go.starlark.net/syntax"

	"perago/panics"
	"perago/starlib/diag"
	"perago/starlib/jsontext"
	"perago/starlib/schema"
)

// MaxHostBytes bounds the arguments of one call of a HostFunc, and its result, in
// bytes of JSON each.
const MaxHostBytes = 256 << 10

const (
	codeHost     diag.Code = "P4170" // a function of the program failed
	hostTextMost           = 4 << 10 // bytes of its error
)

// HostFunc is a function of the program. args is a JSON object with every
// parameter by its name, its default where it was left out; the result is one
// JSON value. ctx ends with the attempt.
type HostFunc func(ctx context.Context, args json.RawMessage) (json.RawMessage, error)

// HostBuiltin makes a row of a function of the program. Of row, Name, Params,
// Returns and Doc count. The name is one word or module.word; neither may be of
// the language. It can be called in the body only: a top level runs once in each
// process, and is to give the same everywhere.
func HostBuiltin(row Builtin, do HostFunc) (Builtin, error) {
	b := &Builtin{Name: row.Name, Phase: Act, Params: slices.Clone(row.Params), Returns: row.Returns, Doc: row.Doc}
	if b.Returns == "" {
		b.Returns = "any"
	}
	first, last, dotted := strings.Cut(b.Name, ".")
	if !isWord(first) || dotted && !isWord(last) {
		return row, fmt.Errorf("builtin %q: want a name, as in lookup or catalog.lookup", b.Name)
	}
	for _, own := range Table() {
		if module, _, _ := strings.Cut(own.Name, "."); !own.Method && module == first {
			return row, fmt.Errorf("builtin %s: the language has a %s of its own", b.Name, first)
		}
	}
	if starlark.Universe.Has(first) {
		return row, fmt.Errorf("builtin %s: the language has a %s of its own", b.Name, first)
	}
	defaults := make([]starlark.Value, len(b.Params))
	for i, p := range b.Params {
		if !isWord(p.Name) || p.Kind != Either && p.Kind != KeywordOnly {
			return row, fmt.Errorf("builtin %s: parameter %q: want a name, given by position or by keyword", b.Name, p.Name)
		}
		if p.Default == "" {
			continue
		}
		var err error
		if defaults[i], err = starlark.EvalOptions(&syntax.FileOptions{}, new(starlark.Thread), b.Name, p.Default, nil); err == nil {
			_, err = schema.EncodeDeclared(defaults[i])
		}
		if err != nil {
			return row, fmt.Errorf("builtin %s: the default of %s: %w", b.Name, p.Name, err)
		}
		defaults[i].Freeze()
	}
	b.host = do
	b.call = func(c *call) (starlark.Value, error) { return c.callHost(defaults) }
	return *b, nil
}

// isWord says whether s can be written as a name.
func isWord(s string) bool {
	expr, err := syntax.ParseExpr("", s, 0)
	id, is := expr.(*syntax.Ident)
	return err == nil && is && id.Name == s
}

// callHost is the call of a host's function from a body.
func (c *call) callHost(defaults []starlark.Value) (starlark.Value, error) {
	args := starlark.NewDict(len(c.args))
	for i, p := range c.builtin.Params {
		value := c.args[i]
		if value == nil {
			value = defaults[i]
		}
		if err := args.SetKey(starlark.String(p.Name), value); err != nil {
			return nil, err
		}
	}
	e := jsontext.Encoder{SafeInts: true, Most: MaxHostBytes, Verb: "write", Refuse: func(r *jsontext.Refusal) error {
		if r.Kind == jsontext.TooLong {
			p := c.problem(codeTooMuch, "the arguments are too large")
			p.Wanted, p.Hint = fmt.Sprintf("at most %d KiB of JSON", MaxHostBytes>>10), "large data belongs in a file of the workspace"
			return p
		}
		return c.unfit(r)
	}}
	text, err := e.Encode(args)
	if err != nil {
		return nil, err
	}
	out, err := c.builtin.CallHost(c.run.Context, json.RawMessage(text))
	switch {
	case c.run.Context.Err() != nil:
		return nil, context.Cause(c.run.Context)
	case err != nil:
		return nil, c.problem(codeHost, "%s", validUTF8(diag.ShortenBytes(err.Error(), hostTextMost)))
	}
	m := itemCounter{call: c}
	v, bad := jsontext.Decode(string(out), valueBuilder{}, func(byte) error { return m.tick() })
	if bad != nil && bad.Cause != nil {
		return nil, bad.Cause
	}
	if bad != nil {
		return nil, c.problem(codeHost, "the result is not JSON that a body can have: %s", bad.Error())
	}
	return v, nil
}

// CallHost calls the function of a host's row. The arguments may come from a
// process that is not trusted, so they are held against the row first. A panic of
// the function is its error: it ends one body, and no worker.
func (b *Builtin) CallHost(ctx context.Context, args json.RawMessage) (json.RawMessage, error) {
	if b.host == nil {
		return nil, errors.New(b.Name + " is no function of the program")
	}
	var given map[string]json.RawMessage
	if err := jsontext.CheckObject(args); err != nil {
		return nil, err
	}
	if err := json.Unmarshal(args, &given); err != nil {
		return nil, err
	}
	if len(given) != len(b.Params) {
		return nil, fmt.Errorf("%d arguments, want %d", len(given), len(b.Params))
	}
	for _, p := range b.Params {
		value, ok := given[p.Name]
		if !ok {
			return nil, fmt.Errorf("the argument %s is missing", p.Name)
		}
		if found, fits := fitsHost(p, value); !fits {
			return nil, fmt.Errorf("%s: got %s, want %s", p.Name, found, p.Type)
		}
	}
	var out json.RawMessage
	err := panics.ToError(func() (err error) {
		out, err = b.host(ctx, args)
		return err
	})()
	var fault *panics.Error
	if errors.As(err, &fault) {
		return nil, fmt.Errorf("it panicked: %v", fault.Value)
	}
	if err == nil && len(out) > MaxHostBytes {
		return nil, fmt.Errorf("its result has %d KiB of JSON, at most %d fit", len(out)>>10, MaxHostBytes>>10)
	}
	return out, err
}

// fitsHost says whether a value is of the type of a parameter, as far as JSON
// tells types apart; None fits where it is the default. found is its own type.
func fitsHost(p Param, value json.RawMessage) (found string, fits bool) {
	text := strings.TrimSpace(string(value))
	switch text[0] {
	case '"':
		found = "string"
	case '{':
		found = "dict"
	case '[':
		found = "list"
	case 't', 'f':
		found = "bool"
	case 'n':
		found = "None"
	default:
		found = "int"
		if strings.ContainsAny(text, ".eE") {
			found = "float"
		}
	}
	switch p.Type {
	case "string", "dict", "list", "bool", "int":
		return found, found == p.Type || found == p.Default
	case "float":
		return found, found == "float" || found == "int" || found == p.Default
	}
	return found, true
}
