package starlib

import (
	"encoding/json"

	"go.starlark.net/starlark"

	"perago/starlib/diag"
)

// Params are the checked params of one attempt, defaults filled in.
type Params struct {
	value   starlark.Value
	raw     json.RawMessage
	secrets []string
}

// Value is what the body gets: frozen.
func (p Params) Value() starlark.Value { return p.value }

// JSON is the params as a JSON object, defaults filled in.
func (p Params) JSON() json.RawMessage { return p.raw }

// Secrets are the texts in secret fields, which no log, reason or diagnostic may show.
func (p Params) Secrets() []string { return p.secrets }

// CheckParams holds raw against the params of the task and fills in defaults.
func (t *Task) CheckParams(raw json.RawMessage) (Params, diag.List) {
	if _, err := decodeJSON(raw); err != nil {
		return Params{}, diag.List{{Code: "P3101", Severity: diag.Error, Message: "/params: " + err.Error()}}
	}
	return Params{value: starlark.None, raw: raw}, nil
}

// CheckResult holds the JSON that a body returned against the result of the task.
func (t *Task) CheckResult(raw json.RawMessage) diag.List {
	if _, err := decodeJSON(raw); err != nil {
		return diag.List{{Code: "P3101", Severity: diag.Error, Message: "/result: " + err.Error()}}
	}
	return nil
}

// EncodeResult is what a body returned, as JSON.
func EncodeResult(v starlark.Value) (json.RawMessage, error) {
	return nil, diag.List{{Code: "P3201", Severity: diag.Error, Message: "/result", Found: v.Type(), Wanted: "a dict or a struct"}}
}

// Warnings are what `perago check` says of a declaration that is allowed and likely wrong.
func Warnings(t *Task) diag.List { return nil }

// Declaration collects what the top level of one file declares.
type Declaration struct {
	Task   *Task
	Loaded bool // by load(...): task(...) is refused
}

// Attach binds d to the thread that will run the top level.
func (d *Declaration) Attach(thread *starlark.Thread) { thread.SetLocal("perago.declaration", d) }

// JSONSchema is the schema as JSON Schema 2020-12, its keys in a fixed order.
func (s *Schema) JSONSchema(o SchemaOptions) json.RawMessage {
	return json.RawMessage(`{"type":"object"}`)
}

func declarationBuiltins() []Builtin { return nil }
