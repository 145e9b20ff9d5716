package engine

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"perago/starlib"
	"perago/starlib/diag"
	"perago/starlib/jsontext"
	"perago/starlib/schema"
	"perago/workspace"
)

// input is the decoded envelope of an attempt.
type input struct {
	ref    workspace.Ref // zero for a workspace-free task
	params schema.Params
}

// InputError is an input that cannot be run, with all that is wrong with it. A
// retry would get the same input, so it is terminal.
type InputError struct{ Diagnostics diag.List }

func (e *InputError) Error() string { return e.Diagnostics.Error() }

// Unwrap gives the diagnostics.
func (e *InputError) Unwrap() error { return e.Diagnostics }

// Bounds of reading and checking the input of one attempt.
const (
	inputWall   = 10 * time.Second
	inputMemory = 128 << 20 // bytes of the decoded params
	inputSmall  = 16 << 10  // bytes of an input that cannot take long
	inputLarge  = 1 << 20   // bytes of an input that is checked alone, so that many do not add up
)

// input reads and checks the input of an attempt, within its bounds. The error
// is an *InputError, or the cause of ctx.
func (r *Runner) input(ctx context.Context, task *starlib.Task, raw json.RawMessage) (input, error) {
	if len(raw) > inputLarge {
		r.large.Lock() // for inputWall at most, or until the attempts are ended
		defer r.large.Unlock()
	}
	within := schema.Limits{Context: ctx, Memory: inputMemory}
	slow := costly("more than "+inputWall.String(), "at most "+inputWall.String())
	if len(raw) > inputSmall {
		bounded, cancel := context.WithTimeoutCause(ctx, inputWall, slow)
		defer cancel()
		within.Context = bounded
	}
	in, err := decodeInput(task, raw, r.Fixed, within)
	var large *schema.TooLargeError
	if errors.As(err, &large) {
		return in, costly("more than "+diag.Size(large.Most)+" of memory", "at most "+diag.Size(large.Most))
	}
	return in, err
}

// costly is an input that passed one of its bounds.
func costly(found, wanted string) *InputError {
	return &InputError{diag.List{{Code: "P3110", Severity: diag.Error, Message: "/params: the check takes too much", Found: found, Wanted: wanted,
		Hint: "send less: put the data into a file of the workspace"}}}
}

// decodeInput reads and checks the whole input before anything is asked of a
// server. The error is an *InputError, or the bound that was passed. fixed, when not nil, stands for the `workspace` of the envelope.
func decodeInput(task *starlib.Task, raw json.RawMessage, fixed *workspace.Ref, within schema.Limits) (input, error) {
	var in input
	var found diag.List
	envelope, problem := object(raw, "")
	if problem != nil {
		return in, &InputError{diag.List{problem}}
	}
	if task.Workspace != nil && fixed == nil {
		ref, problems := decodeRef(envelope["workspace"])
		in.ref, found = ref, append(found, problems...)
	} else if fixed != nil {
		in.ref = *fixed
	}
	if envelope["params"] == nil {
		hint := `send {} when the task takes no parameters`
		if near := diag.Nearest("params", slices.Sorted(maps.Keys(envelope))); near != "" {
			hint = fmt.Sprintf("is it what is called `%s`?", diag.Shorten(near))
		}
		found = append(found, complaint("/params", "nothing", "an object", hint))
	} else {
		params, problems, err := task.CheckParamsWithin(within, envelope["params"])
		if err != nil {
			return in, err
		}
		in.params, found = params, append(found, problems...)
	}
	if len(found) > 0 {
		return in, &InputError{found}
	}
	return in, nil
}

// isCommitID says whether s is what lakeFS calls a commit, in full.
func isCommitID(s string) bool {
	return len(s) == 64 && strings.Trim(s, "0123456789abcdef") == ""
}

// refKeys are the keys of the envelope's `workspace`, in the order of the TaskDef.
var refKeys = []string{"repository", "branch", "refType", "ref"}

// decodeRef checks the `workspace` of an envelope.
func decodeRef(raw json.RawMessage) (workspace.Ref, diag.List) {
	if raw == nil {
		return workspace.Ref{}, diag.List{complaint("/workspace", "nothing", "an object with "+strings.Join(refKeys, ", "), "")}
	}
	fields, problem := object(raw, "/workspace")
	if problem != nil {
		return workspace.Ref{}, diag.List{problem}
	}
	var found diag.List
	values := map[string]string{}
	for _, key := range refKeys {
		value, problem := refValue(key, fields[key])
		if problem != nil {
			found = append(found, problem)
		}
		values[key] = value
	}
	for _, key := range slices.Sorted(maps.Keys(fields)) {
		if len(found) < 100 && !slices.Contains(refKeys, key) {
			found = append(found, complaint("/workspace/"+diag.Shorten(key), "an unknown key", "only "+strings.Join(refKeys, ", "),
				diag.DidYouMean(key, refKeys, diag.Backquote)))
		}
	}
	return workspace.Ref{Repository: values["repository"], Branch: values["branch"], Commit: values["ref"]}, found
}

// refValue checks one value of the envelope's `workspace`.
func refValue(key string, raw json.RawMessage) (string, *diag.Diagnostic) {
	at := "/workspace/" + key
	if raw == nil {
		return "", complaint(at, "nothing", "a string", "")
	}
	var s string
	if raw[0] != '"' || json.Unmarshal(raw, &s) != nil {
		return "", complaint(at, diag.Shorten(string(raw)), "a string", "")
	}
	quoted := diag.Shorten(fmt.Sprintf("%q", s))
	switch {
	case s == "" || strings.TrimSpace(s) != s:
		return "", complaint(at, quoted, "a name without outer spaces", "")
	case key == "refType" && s != "commit":
		return "", complaint(at, quoted, `"commit"`, "only a commit pins what the task reads")
	case key == "ref" && !isCommitID(s):
		return "", complaint(at, quoted, "a full commit id, 64 hex digits",
			"a branch name or a short id would not pin what the task reads; take the `id` of the commit")
	}
	return s, nil
}

// object decodes a JSON object one level deep.
func object(raw json.RawMessage, at string) (map[string]json.RawMessage, *diag.Diagnostic) {
	what := at
	if at == "" {
		what = "the input"
	}
	var fields map[string]json.RawMessage
	trimmed := bytes.TrimSpace(raw)
	err := json.Unmarshal(trimmed, &fields)
	switch {
	case len(trimmed) == 0:
		return nil, &diag.Diagnostic{Code: "P3101", Severity: diag.Error, Message: what, Found: "nothing", Wanted: "a JSON object"}
	case nesting(trimmed) > maxNesting:
		return nil, &diag.Diagnostic{Code: "P3102", Severity: diag.Error, Message: what + " is nested too deep",
			Found: fmt.Sprintf("%d levels", nesting(trimmed)), Wanted: fmt.Sprintf("at most %d", maxNesting)}
	case err != nil && !json.Valid(trimmed):
		return nil, jsontext.NotJSON(what, string(raw), `send an object such as {"params": {}}`)
	case err != nil || fields == nil:
		return nil, &diag.Diagnostic{Code: "P3002", Severity: diag.Error, Message: what, Found: kindOf(trimmed), Wanted: "a JSON object"}
	}
	return fields, nil
}

// kindOf names the type of a JSON value that is no object. It does not show the
// value: it may hold what the schema says is secret.
func kindOf(raw []byte) string {
	switch raw[0] {
	case '"':
		return "a string"
	case '[':
		return "an array"
	case 't', 'f':
		return "a bool"
	case 'n':
		return "null"
	}
	return "a number"
}

// maxNesting is how deep an input may be: the 200 levels of a value, and the
// envelope around it.
const maxNesting = 202

// nesting counts how deep the brackets of a JSON text go.
func nesting(raw []byte) int {
	deepest, depth, inString := 0, 0, false
	for i := 0; i < len(raw); i++ {
		switch c := raw[i]; {
		case inString && c == '\\':
			i++
		case c == '"':
			inString = !inString
		case !inString && (c == '[' || c == '{'):
			depth++
			deepest = max(deepest, depth)
		case !inString && (c == ']' || c == '}'):
			depth--
		}
	}
	return deepest
}

func complaint(at, found, wanted, hint string) *diag.Diagnostic {
	return &diag.Diagnostic{Code: "P3003", Severity: diag.Error, Message: at, Found: found, Wanted: wanted, Hint: hint}
}
