package module

import (
	"bytes"
	"encoding/json"
	"fmt"

	"perago/starlib"
)

// taskDef is a TaskDef as Conductor knows it, in the order of its text.
type taskDef struct {
	Name                        string      `json:"name"`
	OwnerEmail                  string      `json:"ownerEmail,omitempty"`
	Description                 string      `json:"description,omitempty"`
	RetryCount                  int         `json:"retryCount"`
	RetryLogic                  string      `json:"retryLogic"`
	RetryDelaySeconds           int         `json:"retryDelaySeconds"`
	MaxRetryDelaySeconds        int         `json:"maxRetryDelaySeconds"`
	BackoffJitterMs             int         `json:"backoffJitterMs"`
	TotalTimeoutSeconds         int         `json:"totalTimeoutSeconds"`
	TimeoutPolicy               string      `json:"timeoutPolicy"`
	TimeoutSeconds              int         `json:"timeoutSeconds"`
	ResponseTimeoutSeconds      int         `json:"responseTimeoutSeconds"`
	PollTimeoutSeconds          int         `json:"pollTimeoutSeconds"`
	ConcurrentExecLimit         *int        `json:"concurrentExecLimit,omitempty"`
	RateLimitFrequencyInSeconds *int        `json:"rateLimitFrequencyInSeconds,omitempty"`
	RateLimitPerFrequency       *int        `json:"rateLimitPerFrequency,omitempty"`
	InputKeys                   []string    `json:"inputKeys"`
	OutputKeys                  []string    `json:"outputKeys"`
	InputSchema                 namedSchema `json:"inputSchema"`
	OutputSchema                namedSchema `json:"outputSchema"`
}

// namedSchema is a JSON Schema as Conductor registers it.
type namedSchema struct {
	Name    string         `json:"name"`
	Version int            `json:"version"`
	Type    string         `json:"type"`
	Data    envelopeSchema `json:"data"`
}

// envelopeSchema is the schema of an input or an output of a task.
type envelopeSchema struct {
	Type                 string             `json:"type"`
	Properties           envelopeProperties `json:"properties"`
	Required             []string           `json:"required"`
	AdditionalProperties bool               `json:"additionalProperties"`
}

type envelopeProperties struct {
	Workspace json.RawMessage `json:"workspace,omitempty"`
	Params    json.RawMessage `json:"params,omitempty"`
	Result    json.RawMessage `json:"result,omitempty"`
}

// workspaceSchema is that of the `workspace` of an envelope.
const workspaceSchema = `{"type":"object","properties":{` +
	`"repository":{"type":"string","minLength":1},"branch":{"type":"string","minLength":1},` +
	`"refType":{"type":"string","const":"commit"},"ref":{"type":"string","minLength":1}},` +
	`"required":["repository","branch","refType","ref"],"additionalProperties":false}`

// anyObject is the schema of a result that is not declared.
const anyObject = `{"type":"object","additionalProperties":true}`

// TaskDef is the definition of a task for Conductor, as indented JSON with a
// newline at the end. Nothing local is in it: no prefix, no guards, no limits of
// the body.
func TaskDef(t *starlib.Task) ([]byte, error) {
	retry, timeout, limits := t.Controls.Retry, t.Controls.Timeout, t.Controls.Limits
	def := taskDef{
		Name: t.Name, OwnerEmail: t.OwnerEmail, Description: t.Description,
		RetryCount: retry.Count, RetryLogic: retry.Logic, RetryDelaySeconds: retry.DelaySeconds,
		MaxRetryDelaySeconds: retry.MaxDelaySeconds, BackoffJitterMs: retry.JitterMS,
		TotalTimeoutSeconds: timeout.TotalSeconds, TimeoutPolicy: timeout.Policy, TimeoutSeconds: timeout.Seconds,
		ResponseTimeoutSeconds: timeout.ResponseSeconds, PollTimeoutSeconds: timeout.PollSeconds,
		ConcurrentExecLimit:         limits.ConcurrentExecLimit,
		RateLimitFrequencyInSeconds: limits.RateLimitFrequencyInSeconds, RateLimitPerFrequency: limits.RateLimitPerFrequency,
	}
	input := envelopeProperties{Params: t.Params.JSONSchema(t.StrictParams)}
	output := envelopeProperties{Result: json.RawMessage(anyObject)}
	if t.Result != nil {
		output.Result = t.Result.JSONSchema(true)
	}
	def.InputKeys, def.OutputKeys = []string{"params"}, []string{"result"}
	if t.Workspace != nil {
		def.InputKeys, def.OutputKeys = []string{"workspace", "params"}, []string{"workspace", "result"}
		input.Workspace, output.Workspace = json.RawMessage(workspaceSchema), json.RawMessage(workspaceSchema)
	}
	def.InputSchema = named(t.Name+".input", envelopeSchema{Properties: input, Required: def.InputKeys, AdditionalProperties: true})
	def.OutputSchema = named(t.Name+".output", envelopeSchema{Properties: output, Required: def.OutputKeys})

	var b bytes.Buffer
	enc := json.NewEncoder(&b)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	if err := enc.Encode(def); err != nil {
		return nil, fmt.Errorf("write the TaskDef of %s: %w", t.Name, err)
	}
	return b.Bytes(), nil
}

func named(name string, data envelopeSchema) namedSchema {
	data.Type = "object"
	return namedSchema{Name: name, Version: 1, Type: "JSON", Data: data}
}
