package main

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"perago/engine/module"
	"perago/engine/queue"
	"perago/starlib"
	"perago/starlib/diag"
	"perago/starlib/jsontext"
	"perago/starlib/schema"
)

// maxInput is the size, in bytes, above which nothing is taken for an input.
const maxInput = 64 << 20

// runAttempt makes the attempt that the flags describe. The diagnostics are for
// an input that is not even JSON; the engine looks at everything else.
func (a *app) runAttempt(m *module.Module, o *runOptions) (queue.Attempt, diag.List, error) {
	// A task of its own, of no workflow: two runs must never adopt one another's publication.
	attempt := queue.Attempt{TaskID: "run-" + strings.ToLower(rand.Text())}
	if o.given["input"] {
		data, err := a.readArgument("--input", o.input)
		if err != nil {
			return attempt, nil, err
		}
		attempt.Input = data
		return attempt, notJSON("the input", `want {"workspace": {…}, "params": {…}}, as Conductor hands it out`, data), nil
	}
	data, complaints, err := a.params(m.Task, o.params, o.set)
	if err != nil || complaints != nil {
		return attempt, complaints, err
	}
	attempt.Input = slices.Concat([]byte(`{"params": `), data, []byte("}"))
	return attempt, nil, nil
}

// params are those that --params and -p describe, as JSON.
func (a *app) params(task *starlib.Task, given string, set []string) (json.RawMessage, diag.List, error) {
	data := []byte(given)
	if name, isFile := strings.CutPrefix(given, "@"); isFile {
		var err error
		if data, err = a.readArgument("--params", name); err != nil {
			return nil, nil, err
		}
	}
	if complaints := notJSON("--params", "quote it for the shell: --params '{\"name\": \"value\"}', or put it in a file: --params @FILE, or give one by one: -p name=value", data); complaints != nil {
		return nil, complaints, nil
	}
	if len(set) == 0 {
		return data, nil, nil
	}
	fields := map[string]json.RawMessage{}
	if err := json.Unmarshal(data, &fields); err != nil {
		return nil, nil, usageError("", "-p sets a field of an object, and --params is none")
	}
	for _, pair := range set {
		name, value, _ := strings.Cut(pair, "=")
		raw, err := paramValue(task, name, value)
		if err != nil {
			return nil, nil, err
		}
		fields[name] = raw
	}
	data, err := json.Marshal(fields)
	return data, nil, err
}

// paramValue is what -p NAME=VALUE says: for a parameter that is text the value as
// it is, else JSON, and what is not JSON is text.
func paramValue(task *starlib.Task, name, value string) (json.RawMessage, error) {
	var names []string
	var field *schema.Field
	if task.Params != nil {
		for _, f := range task.Params.Fields {
			names = append(names, f.Name)
			if f.Name == name {
				field = f
			}
		}
	}
	if field == nil {
		hint := "it takes none"
		if near := diag.Nearest(name, names); near != "" {
			hint = fmt.Sprintf("did you mean -p %s=...?", near)
		} else if len(names) > 0 {
			hint = "it takes " + diag.Shorten(strings.Join(names, ", "))
		}
		return nil, usageError(hint, "-p %s: the task has no such parameter", diag.Shorten(name))
	}
	t := field.Type
	if t.Kind == schema.KindOptional && value != "null" {
		t = t.Elem.Type
	}
	if t.Kind != schema.KindString && json.Valid([]byte(value)) {
		return json.RawMessage(value), nil
	}
	return json.Marshal(value)
}

// paramsFlag collects -p NAME=VALUE.
type paramsFlag []string

func (f *paramsFlag) String() string { return "" }

// Set implements flag.Value.
func (f *paramsFlag) Set(pair string) error {
	if name, _, ok := strings.Cut(pair, "="); !ok || name == "" {
		return errors.New("want NAME=VALUE, as in -p count=3")
	}
	*f = append(*f, pair)
	return nil
}

// notJSON complains about data that is no JSON value.
func notJSON(what, hint string, data []byte) diag.List {
	switch {
	case json.Valid(data):
		return nil
	case len(bytes.TrimSpace(data)) == 0:
		return diag.List{{Code: "P3101", Severity: diag.Error, Message: what, Found: "nothing", Wanted: "a JSON object", Hint: hint}}
	}
	return diag.List{jsontext.NotJSON(what, string(data), hint)}
}

// readArgument reads the file that a flag names; "-" is stdin.
func (a *app) readArgument(name, file string) ([]byte, error) {
	var from io.Reader = a.stdin
	if file != "-" {
		f, err := os.Open(file)
		if err != nil {
			return nil, environmentError("", "%s: %w", name, err)
		}
		defer f.Close()
		from = f
	}
	data, err := io.ReadAll(io.LimitReader(from, maxInput+1))
	if err != nil {
		return nil, environmentError("", "%s: %w", name, err)
	}
	if len(data) > maxInput {
		return nil, environmentError("", "%s: %s is larger than %d MiB", name, file, maxInput>>20)
	}
	return bytes.TrimPrefix(data, []byte("\ufeff")), nil
}
