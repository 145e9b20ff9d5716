package module

import (
	"bytes"
	"encoding/json"
	"fmt"
	"maps"
	"math/big"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v5"
)

// oracleDifferences are where the TaskDef of a declaration in
// testdata/oracle/taskdef is not the one that the Python reference recorded
// beside it, each with its reason.
var oracleDifferences = map[string]map[string]string{
	"many-field-types": {
		"/inputSchema/data/properties/params/properties/tags/default":      "there is no default factory: a default is a value, and shown",
		"/inputSchema/data/properties/params/properties/td":                "there is no duration type",
		"/inputSchema/data/properties/params/properties/tup":               "there is no tuple type",
		"/inputSchema/data/properties/params/properties/b/format":          "there is no binary type: it is a str",
		"/inputSchema/data/properties/params/properties/dec/anyOf/0/type":  "there is no Decimal type: it is optional(union(float, str)), which nests",
		"/inputSchema/data/properties/params/properties/dec/anyOf/0/anyOf": "the same",
		"/inputSchema/data/properties/params/properties/dec/anyOf/1/type":  "the same",
		"/inputSchema/data/properties/params/properties/dec/anyOf/2":       "the same",
	},
}

func TestTaskDefIsThatOfTheReference(t *testing.T) {
	recorded, err := filepath.Glob("testdata/oracle/taskdef/*.json")
	if err != nil || len(recorded) < 4 {
		t.Fatalf("got %d recorded TaskDefs, %v", len(recorded), err)
	}
	for _, file := range recorded {
		name := strings.TrimSuffix(filepath.Base(file), ".json")
		t.Run(name, func(t *testing.T) {
			got := decodeFile(t, taskDefOf(t, strings.TrimSuffix(file, ".json")+".star"))
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			found := make(map[string]string)
			differences("", got, decodeFile(t, text), found)
			for pointer, difference := range found {
				if _, known := oracleDifferences[name][pointer]; !known {
					t.Errorf("%s: %s", pointer, difference)
				}
			}
			for pointer, reason := range oracleDifferences[name] {
				if _, ok := found[pointer]; !ok {
					t.Errorf("%s is no difference any more (%s)", pointer, reason)
				}
			}
		})
	}
}

func taskDefOf(t *testing.T, file string) []byte {
	t.Helper()
	m, list := Load(file, nil)
	if len(list) > 0 {
		t.Fatal(list)
	}
	text, err := TaskDef(m.Task)
	if err != nil {
		t.Fatal(err)
	}
	return text
}

func decodeFile(t *testing.T, text []byte) any {
	t.Helper()
	d := json.NewDecoder(bytes.NewReader(text))
	d.UseNumber()
	var v any
	if err := d.Decode(&v); err != nil {
		t.Fatalf("%v in\n%s", err, text)
	}
	return v
}

// differences records by JSON pointer where two values differ.
func differences(pointer string, got, want any, into map[string]string) {
	if g, ok := got.(map[string]any); ok {
		if w, ok := want.(map[string]any); ok {
			keys := slices.Sorted(maps.Keys(g))
			for _, k := range slices.Sorted(maps.Keys(w)) {
				if _, ok := g[k]; !ok {
					into[pointer+"/"+k] = fmt.Sprintf("got nothing, want %v", w[k])
				}
			}
			for _, k := range keys {
				if _, ok := w[k]; !ok {
					into[pointer+"/"+k] = fmt.Sprintf("got %v, want nothing", g[k])
					continue
				}
				differences(pointer+"/"+k, g[k], w[k], into)
			}
			return
		}
	}
	if g, ok := got.([]any); ok {
		if w, ok := want.([]any); ok {
			for i := range max(len(g), len(w)) {
				here := fmt.Sprintf("%s/%d", pointer, i)
				switch {
				case i >= len(g):
					into[here] = fmt.Sprintf("got nothing, want %v", w[i])
				case i >= len(w):
					into[here] = fmt.Sprintf("got %v, want nothing", g[i])
				default:
					differences(here, g[i], w[i], into)
				}
			}
			return
		}
	}
	if !sameScalar(got, want) {
		into[pointer] = fmt.Sprintf("got %v, want %v", got, want)
	}
}

func sameScalar(got, want any) bool {
	g, gotNumber := got.(json.Number)
	w, wantNumber := want.(json.Number)
	if gotNumber && wantNumber {
		a, okA := new(big.Rat).SetString(g.String())
		b, okB := new(big.Rat).SetString(w.String())
		return okA && okB && a.Cmp(b) == 0
	}
	return fmt.Sprintf("%T %v", got, got) == fmt.Sprintf("%T %v", want, want)
}

func TestTaskDefText(t *testing.T) {
	src := `task(name = "größe.b", description = "a < b & c", result = schema(**{"a-b": str}))

def run(params):
    return {"a-b": ""}
`
	m, list := Again("t.star", map[string][]byte{"t.star": []byte(src)}, Options{Root: "."})
	if len(list) > 0 {
		t.Fatal(list)
	}
	text, err := TaskDef(m.Task)
	if err != nil {
		t.Fatal(err)
	}
	const want = `{
  "name": "größe.b",
  "description": "a < b & c",
  "retryCount": 3,
  "retryLogic": "FIXED",
  "retryDelaySeconds": 60,
  "maxRetryDelaySeconds": 0,
  "backoffJitterMs": 0,
  "totalTimeoutSeconds": 0,
  "timeoutPolicy": "TIME_OUT_WF",
  "timeoutSeconds": 0,
  "responseTimeoutSeconds": 600,
  "pollTimeoutSeconds": 0,
  "inputKeys": [
    "params"
  ],
  "outputKeys": [
    "result"
  ],
  "inputSchema": {
    "name": "größe.b.input",
    "version": 1,
    "type": "JSON",
    "data": {
      "type": "object",
      "properties": {
        "params": {
          "type": "object",
          "properties": {},
          "additionalProperties": true
        }
      },
      "required": [
        "params"
      ],
      "additionalProperties": true
    }
  },
  "outputSchema": {
    "name": "größe.b.output",
    "version": 1,
    "type": "JSON",
    "data": {
      "type": "object",
      "properties": {
        "result": {
          "type": "object",
          "properties": {
            "a-b": {
              "type": "string"
            }
          },
          "required": [
            "a-b"
          ],
          "additionalProperties": false
        }
      },
      "required": [
        "result"
      ],
      "additionalProperties": false
    }
  }
}
`
	if string(text) != want {
		t.Errorf("got\n%s\nwant\n%s", text, want)
	}
}

// The schemas of a TaskDef are ones that a compiler of JSON Schema takes.
func TestTaskDefSchemasCompile(t *testing.T) {
	files, err := filepath.Glob("testdata/oracle/taskdef/*.star")
	if err != nil || len(files) < 4 {
		t.Fatalf("got %d declarations, %v", len(files), err)
	}
	for _, file := range files {
		var def struct {
			InputSchema, OutputSchema struct{ Data json.RawMessage }
		}
		if err := json.Unmarshal(taskDefOf(t, file), &def); err != nil {
			t.Fatal(err)
		}
		for _, data := range []json.RawMessage{def.InputSchema.Data, def.OutputSchema.Data} {
			if _, err := jsonschema.CompileString("perago:schema", string(data)); err != nil {
				t.Errorf("%s: %v", file, err)
			}
		}
	}
}
