package starlib

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v5"
)

// fuzzSchemas are declarations whose fields cover every type and constraint.
var fuzzSchemas = [...]string{
	`a = str, b = field(int, default = 1), c = field(optional(bool), default = None)`,
	`a = field(int, ge = -1, lt = 10), b = field(float, gt = 0.5, le = 2, default = 1), c = field(int, multiple_of = 3, default = 0)`,
	`a = field(str, min_length = 1, max_length = 3, pattern = "^[a-c]*$")`,
	`a = field(list_of(field(int, ge = 0)), min_items = 1, max_items = 3, unique_items = True), b = field(list, default = [])`,
	`a = map_of(schema(x = int, y = field(list_of(str), default = ["d"]))), b = field(dict, default = {})`,
	`a = union(int, float, str), b = field(union(schema(x = int), schema(x = int, y = field(int, default = 2)), dict), default = {"x": 1})`,
	`a = one_of("x", 1, True), b = field(one_of(1, 2), default = 1), c = field(one_of("only"), default = "only")`,
	`a = datetime(), b = field(date(), default = "2026-01-31"), c = field(uuid(), default = "123e4567-e89b-12d3-a456-426614174000")`,
	`a = anything(), b = field(optional(union(list_of(int), optional(map_of(bool)))), default = None)`,
	`a = field(optional(field(int, gt = 0)), le = 5, default = 1), **{"b/c~%": field(list_of(list_of(float)), default = [])}`,
	`a = schema(b = schema(c = field(schema(d = optional(int)), default = {"d": None}), e = field(str, secret = True, default = "hunter2")))`,
}

// compiled is a schema as the library's own compiler makes it of the TaskDef's text.
func compiled(t testing.TB, s *Schema, closed bool) *jsonschema.Schema {
	t.Helper()
	c := jsonschema.NewCompiler()
	c.Draft = jsonschema.Draft2020
	c.AssertFormat = true
	if err := c.AddResource("perago:schema", strings.NewReader(string(s.JSONSchema(SchemaOptions{Closed: closed})))); err != nil {
		t.Fatal(err)
	}
	made, err := c.Compile("perago:schema")
	if err != nil {
		t.Fatalf("%v\n%s", err, s.JSONSchema(SchemaOptions{Closed: closed}))
	}
	return made
}

// FuzzCheck holds what a task takes against the schema that its TaskDef shows,
// compiled by the library, and what comes of checked params against itself: the
// JSON of params, checked again, gives the same params.
func FuzzCheck(f *testing.F) {
	var tasks [len(fuzzSchemas)]*Task
	var schemas [len(fuzzSchemas)][2]*jsonschema.Schema
	for i, fields := range fuzzSchemas {
		tasks[i] = paramsTask(f, fields)
		schemas[i] = [2]*jsonschema.Schema{compiled(f, tasks[i].Params, false), compiled(f, tasks[i].Params, true)}
	}
	for i := range fuzzSchemas {
		for _, s := range []string{`{"a": 1}`, `{"a": "abc", "b": 2.0, "x": 1}`, `{"a": [1, 1.0]}`, `{"a": {"k": {"x": 1}}, "b": {"x": 1, "y": 2}}`,
			`{"a": "2026-01-31T12:00:00Z"}`, `{"a": null, "b/c~%": [[1], [2.5]]}`, `{"a": {"b": {"c": {"d": 1}, "z": 1}}, "b": [{"x": true}]}`, `{"a":1e400}`} {
			f.Add(uint8(i), s)
		}
	}
	f.Fuzz(func(t *testing.T, which uint8, text string) {
		i := int(which) % len(fuzzSchemas)
		tree, err := decodeJSON([]byte(text))
		if err != nil {
			if _, list := tasks[i].CheckParams([]byte(text)); list == nil {
				t.Fatalf("%q is no JSON and was taken: %v", text, err)
			}
			return
		}
		for closed, schema := range schemas[i] {
			task := Task{Params: tasks[i].Params, StrictParams: closed == 1}
			params, list := task.CheckParams([]byte(text))
			want := schema.Validate(tree.plain)
			if (list == nil) != (want == nil) && !strings.Contains(fmt.Sprint(list), "a float can hold") &&
				!strings.Contains(fmt.Sprint(list), "a date-time such as") { // the library takes offsets like +-0:+0

				t.Fatalf("%s with %s: got %v, want %v", fuzzSchemas[i], text, list, want)
			}
			for _, d := range list {
				if !strings.HasPrefix(d.Message, "/params") || d.Found == "" && d.Code != "P3109" {
					t.Fatalf("%s with %s: %+v", fuzzSchemas[i], text, d)
				}
			}
			if list != nil {
				continue
			}
			again, err := task.CheckedParams(params.JSON())
			if err != nil || again.Value().String() != params.Value().String() || string(again.JSON()) != string(params.JSON()) {
				t.Fatalf("%s with %s: %s became %s, %v", fuzzSchemas[i], text, params.JSON(), again.JSON(), err)
			}
		}
	})
}

// What plainly takes, the validator takes.
func TestPlainlyIsSureOfItself(t *testing.T) {
	values := []string{`null`, `true`, `0`, `-1`, `9`, `10`, `10.0`, `1e1`, `0.5`, `2`, `"x"`, `""`, `"abc"`, `"abcd"`, `"only"`, `"éé"`, `[]`, `[1]`, `[1,1]`, `[1,2,3,4]`, `["a"]`,
		`{}`, `{"x":1}`, `{"x":"1"}`, `{"k":{"x":1}}`, `123456789012345678`, `1234567890123456789`, `-123456789012345678901234567890`, `"2026-01-31"`}
	types := []string{`str`, `int`, `float`, `bool`, `list`, `dict`, `anything()`, `date()`, `field(int, ge = 0)`, `field(int, gt = 9)`, `field(int, le = 9)`, `field(int, lt = 10)`,
		`field(int, ge = 0.5)`, `field(int, ge = -(1 << 62), le = 1 << 61)`, `field(float, ge = 0)`, `field(str, min_length = 1)`, `field(str, max_length = 3)`, `field(list, min_items = 1, max_items = 2)`,
		`field(list, unique_items = True)`, `list_of(int)`, `map_of(int)`, `map_of(schema(x = int))`, `schema(x = int)`, `schema(x = field(int, default = 1))`, `optional(int)`,
		`one_of("x", 10)`, `one_of("only", True)`, `union(int, str)`, `field(int, multiple_of = 2)`}
	sure := 0
	for _, declared := range types {
		task := paramsTask(t, "a = "+declared)
		f := task.Params.Fields[0]
		for _, closed := range []bool{false, true} {
			v := &inspection{validator: newValidator(f, closed)}
			for _, text := range values {
				tree, err := decodeJSON([]byte(text))
				if err != nil {
					t.Fatal(err)
				}
				if !v.plainly(f, tree.plain) {
					continue
				}
				sure++
				if wrong := v.fault(f, tree.plain, &place{}); wrong != nil {
					t.Errorf("%s plainly takes %s: %s", declared, text, wrong.word)
				}
			}
		}
	}
	if sure < 200 {
		t.Errorf("got %d sure answers, want most of the valid ones", sure)
	}
}

func TestSchemaIsSafeForConcurrentUse(t *testing.T) {
	task := paramsTask(t, `a = union(int, str), b = field(date(), default = "2026-01-31")`)
	done := make(chan string)
	for range 8 {
		go func() {
			got := ""
			for range 50 {
				p, _ := task.CheckParams([]byte(`{"a": 1}`))
				_, list := task.CheckParams([]byte(`{"a": []}`))
				got = string(p.JSON()) + list.Error()
			}
			done <- got
		}()
	}
	for range 8 {
		if got, want := <-done, `{"a":1,"b":"2026-01-31"}/params/a: got an array of 0 items, want an int or a string`; got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
}

func BenchmarkCheckParams(b *testing.B) {
	task := paramsTask(b, `feature_set = field(str, min_length = 1), min_rows = field(int, ge = 1, default = 1)`)
	raw := json.RawMessage(`{"feature_set": "x", "min_rows": 3}`)
	b.ReportAllocs()
	for b.Loop() {
		if _, list := task.CheckParams(raw); list != nil {
			b.Fatal(list)
		}
	}
}

func BenchmarkDeclare(b *testing.B) {
	for b.Loop() {
		mustDeclare(b, `task(name = "t", params = schema(feature_set = field(str, min_length = 1), min_rows = field(int, ge = 1, default = 1)), result = schema(rows = field(int, ge = 0)))`)
	}
}
