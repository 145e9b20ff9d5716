package conductor_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"perago/engine/conductor"
)

// local is a TaskDef as `perago extract` writes it.
const local = `{"name": "songs.count", "description": "Counts.", "retryCount": 3, "timeoutSeconds": 0,
	"inputKeys": ["params"], "concurrentExecLimit": 2,
	"inputSchema": {"name": "songs.count.input", "version": 1, "type": "JSON", "data": {"type": "object",
		"properties": {"params": {"properties": {"n": {"type": "number", "minimum": 0.0, "default": 9007199254740993}},
		"required": ["n"]}}}}}`

// registered is the same at the server, which adds its own.
const registered = `{"createTime": 17, "updateTime": 0, "createdBy": "", "name": "songs.count", "description": "Counts.",
	"retryCount": 3, "timeoutSeconds": 0, "inputKeys": ["params"], "runtimeMetadata": [], "inputTemplate": {"a": 1},
	"rateLimitPerFrequency": 0, "rateLimitFrequencyInSeconds": 1, "ownerEmail": "a@b.c", "concurrentExecLimit": 2,
	"inputSchema": {"createTime": 0, "updateTime": 0, "name": "songs.count.input", "version": 1, "type": "JSON",
		"data": {"type": "object",
		"properties": {"params": {"required": ["n"], "properties": {"n": {"minimum": 0, "type": "number", "default": 9007199254740993}}}}}},
	"enforceSchema": false}`

func TestDiff(t *testing.T) {
	tests := []struct {
		name                 string
		inLocal, inRegisterd [2]string // old, new
		want                 string    // "field: registered -> local", a line each
	}{
		{"the same", [2]string{}, [2]string{}, ""},
		{"a number", [2]string{`"retryCount": 3`, `"retryCount": 5`}, [2]string{}, "retryCount: 3 -> 5"},
		{"a number that a float64 cannot tell", [2]string{}, [2]string{`9007199254740993`, `9007199254740992`},
			"inputSchema.data.properties.params.properties.n.default: 9007199254740992 -> 9007199254740993"},
		{"a text", [2]string{}, [2]string{`"Counts."`, `"Counted."`}, `description: "Counted." -> "Counts."`},
		{"a list", [2]string{}, [2]string{`"inputKeys": ["params"]`, `"inputKeys": ["workspace", "params"]`},
			`inputKeys: ["workspace","params"] -> ["params"]`},
		{"gone at the server", [2]string{}, [2]string{`"retryCount": 3,`, ``}, "retryCount:  -> 3"},
		{"a limit taken back", [2]string{`, "concurrentExecLimit": 2`, ``}, [2]string{}, "concurrentExecLimit: 2 -> "},
		{"a description taken back", [2]string{`"description": "Counts.", `, ``}, [2]string{}, `description: "Counts." -> `},
		{"a rate that the server invents", [2]string{}, [2]string{`"rateLimitFrequencyInSeconds": 1`, `"rateLimitFrequencyInSeconds": 0`}, ""},
		{"a rate set by hand", [2]string{}, [2]string{`"rateLimitPerFrequency": 0`, `"rateLimitPerFrequency": 7`}, "rateLimitPerFrequency: 7 -> "},
		{"one field of the schema", [2]string{`"type": "number"`, `"type": "integer"`}, [2]string{},
			`inputSchema.data.properties.params.properties.n.type: "number" -> "integer"`},
		{"a new field of the schema", [2]string{`"minimum": 0.0`, `"minimum": 0.0, "maximum": 9`}, [2]string{},
			`inputSchema.data.properties.params.properties.n.maximum:  -> 9`},
		{"no schema at the server", [2]string{}, [2]string{`"inputSchema"`, `"otherSchema"`},
			`inputSchema.data:`},
		{"two things, sorted", [2]string{`"retryCount": 3`, `"retryCount": 5`}, [2]string{`"Counts."`, `"?"`},
			"description: \"?\" -> \"Counts.\"\nretryCount: 3 -> 5"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			diff, err := conductor.Diff([]byte(replace(local, tt.inLocal)), []byte(replace(registered, tt.inRegisterd)))
			if err != nil {
				t.Fatal(err)
			}
			var lines []string
			for _, d := range diff {
				lines = append(lines, fmt.Sprintf("%s: %s -> %s", d.Field, d.Registered, d.Local))
			}
			got := strings.Join(lines, "\n")
			if strings.HasSuffix(tt.want, ":") { // a prefix
				if !strings.HasPrefix(got, tt.want) {
					t.Errorf("got %s\nwant it to begin with %s", got, tt.want)
				}
				return
			}
			if got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
	if _, err := conductor.Diff([]byte(local), []byte(`[]`)); err == nil {
		t.Error("a registered TaskDef that is a list: got no error")
	}
}

func replace(s string, pair [2]string) string {
	if pair[0] == "" {
		return s
	}
	return strings.Replace(s, pair[0], pair[1], 1)
}

func TestRegistered(t *testing.T) {
	f := newFake(t)
	f.on["GET /metadata/taskdefs/songs.count"] = ok(registered)
	f.on["GET /metadata/taskdefs/none"] = says(404, "application/json", `{"message":"No such taskType found by name: none"}`)
	f.on["GET /metadata/taskdefs/null"] = ok(`null`)
	f.on["GET /metadata/taskdefs/down"] = says(500, "application/json", `{"message":"down"}`)
	c := f.client()
	if got, err := c.Registered(t.Context(), "songs.count"); err != nil || string(got) != registered {
		t.Errorf("got %s, %v", got, err)
	}
	for name, want := range map[string]bool{"none": true, "null": true, "down": false, "no/api": false} {
		if _, err := c.Registered(t.Context(), name); err == nil || errors.Is(err, conductor.ErrNotRegistered) != want {
			t.Errorf("%s: got %v, want ErrNotRegistered %v", name, err, want)
		}
	}
}

func TestCreate(t *testing.T) {
	f := newFake(t)
	f.on["POST /metadata/taskdefs"] = func(http.ResponseWriter, *http.Request) {}
	if err := f.client().Create(t.Context(), []byte(local)); err != nil {
		t.Fatal(err)
	}
	var sent []json.RawMessage
	if err := json.Unmarshal([]byte(f.calls()[0].body), &sent); err != nil || len(sent) != 1 {
		t.Fatalf("sent %v, %v, want a list of one", sent, err)
	}
	if diff, err := conductor.Diff([]byte(local), sent[0]); err != nil || len(diff) != 0 {
		t.Errorf("sent %s: %v %v", sent[0], diff, err)
	}
	f.on["POST /metadata/taskdefs"] = says(400, "application/json", `{"message":"ownerEmail cannot be empty"}`)
	if err := f.client().Create(t.Context(), []byte(local)); err == nil || !strings.Contains(err.Error(), "create TaskDef songs.count: ") ||
		!strings.Contains(err.Error(), "ownerEmail cannot be empty") {
		t.Errorf("got %v, want what the server says", err)
	}
}

// What a person set at the server and perago does not write is kept; what the
// task no longer says is taken back.
func TestUpdate(t *testing.T) {
	f := newFake(t)
	f.on["PUT /metadata/taskdefs"] = func(http.ResponseWriter, *http.Request) {}
	changed := replace(replace(local, [2]string{`"retryCount": 3`, `"retryCount": 5`}), [2]string{`, "concurrentExecLimit": 2`, ``})
	if err := f.client().Update(t.Context(), []byte(changed), []byte(registered)); err != nil {
		t.Fatal(err)
	}
	sent := f.calls()[0].body
	if diff, err := conductor.Diff([]byte(changed), []byte(sent)); err != nil || len(diff) != 0 {
		t.Errorf("sent %s: %v %v", sent, diff, err)
	}
	for _, want := range []string{`"inputTemplate":{"a":1}`, `"ownerEmail":"a@b.c"`, `"retryCount":5`} {
		if !strings.Contains(strings.ReplaceAll(sent, " ", ""), want) {
			t.Errorf("sent lacks %s: %s", want, sent)
		}
	}
	if strings.Contains(sent, "concurrentExecLimit") {
		t.Errorf("the limit is still there: %s", sent)
	}
}
