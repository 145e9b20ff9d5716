package perago

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"perago/starlib"
)

// Builtin is a function of the host that task files can call in their body, as a
// row of the language's table: the checks of `Task.Lint` and the page of
// Task.Reference know it as they know the language's own.
type Builtin struct {
	Name    string  // lookup, or catalog.lookup; no name of the language
	Params  []Param // given by position or by keyword
	Returns string  // type, in the words of the reference: "string", "list of dict"; "" is any
	Doc     string  // one paragraph

	// Call is the function. It runs in this process, wherever the body runs: for
	// one body one call at a time, for several at once. What it is given comes from
	// a body and may be anything of the declared types: nil, bool, int64, float64,
	// string, []any, map[string]any. Its result is what JSON can hold; both are at
	// most 256 KiB of JSON. An error fails the body, unless it catches it. The
	// attempt waits for Call, so it has to end when ctx does.
	Call func(ctx context.Context, args map[string]any) (any, error)
}

// Param is one parameter of a Builtin: Name; Type, of which string, int, float,
// bool, list and dict are checked before Call; Default, written in Starlark, ""
// for a parameter that has to be given; and Doc.
type Param = starlib.Param

// row is the row of the table.
func (b Builtin) row() (starlib.Builtin, error) {
	if b.Call == nil {
		return starlib.Builtin{}, errors.New("builtin " + b.Name + ": it has no Call")
	}
	return starlib.HostBuiltin(starlib.Builtin{Name: b.Name, Params: b.Params, Returns: b.Returns, Doc: b.Doc},
		func(ctx context.Context, raw json.RawMessage) (json.RawMessage, error) {
			d := json.NewDecoder(bytes.NewReader(raw))
			d.UseNumber()
			var args map[string]any
			if err := d.Decode(&args); err != nil {
				return nil, err
			}
			value, err := b.Call(ctx, numbers(args).(map[string]any))
			if err != nil {
				return nil, err
			}
			out, err := json.Marshal(value)
			if err != nil {
				return nil, fmt.Errorf("its result: %w", err)
			}
			return out, nil
		})
}

// numbers makes int64 and float64 of the numbers in a value.
func numbers(v any) any {
	switch v := v.(type) {
	case json.Number:
		if i, err := v.Int64(); err == nil && !strings.ContainsAny(v.String(), ".eE") {
			return i
		}
		f, _ := v.Float64() // the range was checked
		return f
	case []any:
		for i := range v {
			v[i] = numbers(v[i])
		}
	case map[string]any:
		for key := range v {
			v[key] = numbers(v[key])
		}
	}
	return v
}

// rows of several builtins.
func rows(builtins []Builtin) ([]starlib.Builtin, error) {
	var rows []starlib.Builtin
	for _, b := range builtins {
		row, err := b.row()
		if err != nil {
			return nil, err
		}
		for _, other := range rows {
			if other.Name == row.Name {
				return nil, errors.New("builtin " + row.Name + ": there are two")
			}
		}
		rows = append(rows, row)
	}
	return rows, nil
}

// Reference is the reference of all that the file of a task can call, in
// Markdown: the language, and the Builtins that it was loaded with.
func (t *Task) Reference() string { return starlib.Markdown(t.module.Host...) }
