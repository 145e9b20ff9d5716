package main

import (
	"bytes"
	"crypto/rand"
	"encoding/json"
	"io"
	"os"
	"slices"
	"strings"

	"perago/engine/queue"
	"perago/starlib/diag"
	"perago/starlib/jsontext"
)

// maxInput is the size, in bytes, above which nothing is taken for an input.
const maxInput = 64 << 20

// runAttempt makes the attempt that the flags describe. The diagnostics are for
// an input that is not even JSON; the engine looks at everything else.
func (a *app) runAttempt(o *runOptions) (queue.Attempt, diag.List, error) {
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
	data := []byte(o.params)
	if name, isFile := strings.CutPrefix(o.params, "@"); isFile {
		var err error
		if data, err = a.readArgument("--params", name); err != nil {
			return attempt, nil, err
		}
	}
	if complaints := notJSON("--params", "quote it for the shell: --params '{\"name\": \"value\"}', or put it in a file: --params @FILE", data); complaints != nil {
		return attempt, complaints, nil
	}
	attempt.Input = slices.Concat([]byte(`{"params": `), data, []byte("}"))
	return attempt, nil, nil
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
