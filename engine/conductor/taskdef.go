package conductor

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"net/url"
	"reflect"
	"slices"
	"strconv"
)

// ErrNotRegistered: the server has no TaskDef of this name.
var ErrNotRegistered = errors.New("not registered at Conductor")

// Difference is one field of a TaskDef that differs at the server.
type Difference struct {
	Field      string          // "retryCount", "inputSchema.data.properties.params"
	Local      json.RawMessage // nil: absent
	Registered json.RawMessage // the same
}

// Registered returns the TaskDef that the server has. ErrNotRegistered.
func (c *Client) Registered(ctx context.Context, name string) (json.RawMessage, error) {
	a, err := c.call(ctx, request{op: "read TaskDef " + name, method: http.MethodGet,
		path: "/metadata/taskdefs/" + url.PathEscape(name)})
	if e := (*Error)(nil); errors.As(err, &e) && e.Status == http.StatusNotFound && e.Hint == "" {
		return nil, fmt.Errorf("TaskDef %s: %w", name, ErrNotRegistered)
	}
	if err != nil {
		return nil, err
	}
	if len(a.body) == 0 || string(a.body) == "null" { // the response of other versions of the server
		return nil, fmt.Errorf("TaskDef %s: %w", name, ErrNotRegistered)
	}
	return a.body, nil
}

// Create registers a TaskDef that the server does not have.
func (c *Client) Create(ctx context.Context, local []byte) error {
	name, err := nameOf(local)
	if err != nil {
		return err
	}
	_, err = c.call(ctx, request{op: "create TaskDef " + name, method: http.MethodPost, path: "/metadata/taskdefs",
		body: []json.RawMessage{local}, text: true})
	return err
}

// Update replaces the registered TaskDef by the local one. Fields that perago does not
// write, such as a template for the input, are kept.
func (c *Client) Update(ctx context.Context, local, registered []byte) error {
	name, err := nameOf(local)
	if err != nil {
		return err
	}
	merged, err := merge(local, registered)
	if err != nil {
		return fmt.Errorf("update TaskDef %s: %w", name, err)
	}
	_, err = c.call(ctx, request{op: "update TaskDef " + name, method: http.MethodPut, path: "/metadata/taskdefs",
		body: merged, text: true})
	return err
}

func nameOf(def []byte) (string, error) {
	var named struct{ Name string }
	if err := json.Unmarshal(def, &named); err != nil {
		return "", fmt.Errorf("TaskDef: %w", err)
	}
	return named.Name, nil
}

// unset are the values that the server shows for a field that a TaskDef may leave out.
// The owner is not among them, since a server requires one, which is kept.
func unset() map[string][]string {
	return map[string][]string{
		"description":                 {"null", `""`},
		"concurrentExecLimit":         {"null", "0"},
		"rateLimitPerFrequency":       {"null", "0"},
		"rateLimitFrequencyInSeconds": {"null", "0", "1"},
	}
}

// merge is the registered TaskDef with the fields of the local one.
func merge(local, registered []byte) (map[string]json.RawMessage, error) {
	var ours, out map[string]json.RawMessage
	if err := errors.Join(json.Unmarshal(local, &ours), json.Unmarshal(registered, &out)); err != nil {
		return nil, err
	}
	for field := range unset() {
		delete(out, field)
	}
	maps.Copy(out, ours)
	return out, nil
}

// Diff are the fields in which the registered TaskDef differs from the local one,
// sorted. Fields that only the server has are ignored, and so is how a number is
// written.
func Diff(local, registered []byte) ([]Difference, error) {
	ours, err := decode(local)
	if err != nil {
		return nil, fmt.Errorf("TaskDef: %w", err)
	}
	theirs, err := decode(registered)
	if err != nil {
		return nil, fmt.Errorf("registered TaskDef: %w", err)
	}
	var out []Difference
	for _, field := range slices.Sorted(maps.Keys(ours)) {
		theirValue, there := theirs[field]
		if a, schema := ours[field].(map[string]any); schema {
			b, _ := theirValue.(map[string]any)
			out = append(out, diffSchema(field, a, b)...)
			continue
		}
		if !there || !equal(ours[field], theirValue) {
			out = append(out, difference("", field, ours, theirs))
		}
	}
	for field, defaults := range unset() {
		_, given := ours[field]
		value, there := theirs[field]
		if !given && there && !slices.Contains(defaults, string(encode(value))) {
			out = append(out, difference("", field, ours, theirs))
		}
	}
	slices.SortFunc(out, func(a, b Difference) int { return bytes.Compare([]byte(a.Field), []byte(b.Field)) })
	return out, nil
}

// diffSchema compares the fields of a schema that perago writes; the server adds times.
// Within the schema it names the smallest part that differs.
func diffSchema(at string, ours, theirs map[string]any) []Difference {
	var out []Difference
	for _, field := range slices.Sorted(maps.Keys(ours)) {
		if field == "data" {
			out = append(out, diffValue(at+".data", ours["data"], theirs["data"])...)
			continue
		}
		if !equal(ours[field], theirs[field]) {
			out = append(out, difference(at+".", field, ours, theirs))
		}
	}
	return out
}

// diffValue goes down to the smallest objects that differ.
func diffValue(at string, ours, theirs any) []Difference {
	if equal(ours, theirs) {
		return nil
	}
	a, isObject := ours.(map[string]any)
	b, alsoObject := theirs.(map[string]any)
	if !isObject || !alsoObject {
		return []Difference{{Field: at, Local: encode(ours), Registered: encode(theirs)}}
	}
	all := maps.Clone(a)
	maps.Copy(all, b)
	var out []Difference
	for _, field := range slices.Sorted(maps.Keys(all)) {
		x, inA := a[field]
		y, inB := b[field]
		if inA && inB {
			out = append(out, diffValue(at+"."+field, x, y)...)
			continue
		}
		out = append(out, difference(at+".", field, a, b))
	}
	return out
}

func difference(at, field string, ours, theirs map[string]any) Difference {
	d := Difference{Field: at + field}
	if v, ok := ours[field]; ok {
		d.Local = encode(v)
	}
	if v, ok := theirs[field]; ok {
		d.Registered = encode(v)
	}
	return d
}

func decode(data []byte) (map[string]any, error) {
	d := json.NewDecoder(bytes.NewReader(data))
	d.UseNumber()
	var out map[string]any
	return out, d.Decode(&out)
}

// encode encodes a value that came from decode, which cannot fail.
func encode(v any) json.RawMessage {
	data, _ := json.Marshal(v)
	return data
}

// equal compares JSON values; 1 and 1.0 are the same number.
func equal(a, b any) bool {
	switch a := a.(type) {
	case json.Number:
		b, ok := b.(json.Number)
		if !ok {
			return false
		}
		x, errX := strconv.ParseFloat(a.String(), 64)
		y, errY := strconv.ParseFloat(b.String(), 64)
		_, bigX := strconv.ParseInt(a.String(), 10, 64)
		_, bigY := strconv.ParseInt(b.String(), 10, 64)
		if bigX == nil && bigY == nil {
			return a == b // whole numbers, exactly
		}
		return errX == nil && errY == nil && x == y
	case map[string]any:
		b, ok := b.(map[string]any)
		return ok && maps.EqualFunc(a, b, equal)
	case []any:
		b, ok := b.([]any)
		return ok && slices.EqualFunc(a, b, equal)
	}
	return reflect.DeepEqual(a, b)
}
