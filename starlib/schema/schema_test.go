package schema_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v5"
	"go.starlark.net/starlark"
	"go.starlark.net/starlarkstruct"
	"go.starlark.net/syntax"

	"perago/starlib"
	"perago/starlib/diag"
	"perago/starlib/schema"
)

// check is the diagnostics of params, or the params with defaults filled in.
func check(task *starlib.Task, raw string) string {
	p, list := task.CheckParams([]byte(raw))
	if list == nil {
		return string(p.JSON())
	}
	lines := make([]string, len(list))
	for i, d := range list {
		lines[i] = string(d.Code) + " " + d.Line1()
		if d.Hint != "" {
			lines[i] += "; " + d.Hint
		}
	}
	return strings.Join(lines, "\n")
}

func TestCheckParams(t *testing.T) {
	long := strings.Repeat("x", 100)
	for _, c := range []struct{ fields, raw, want string }{
		// Every type, right and wrong.
		{`a = str`, `{"a": "x"}`, `{"a":"x"}`},
		{`a = str`, `{"a": 1}`, `P3105 /params/a: got 1, want a string`},
		{`a = str`, `{"a": null}`, `P3105 /params/a: got null, want a string; only a field of optional(str) takes null`},
		{`a = int`, `{"a": 5}`, `{"a":5}`},
		{`a = int`, `{"a": 5.0}`, `{"a":5}`},
		{`a = int`, `{"a": -5.0e2}`, `{"a":-500}`},
		{`a = int`, `{"a": 123456789012345678901234567890}`, `{"a":123456789012345678901234567890}`},
		{`a = int`, `{"a": 9007199254740993.0}`, `{"a":9007199254740993}`},
		{`a = int`, `{"a": 5.5}`, `P3105 /params/a: got 5.5, want an int`},
		{`a = int`, `{"a": "5"}`, `P3105 /params/a: got "5", want an int; a number is written without quotes`},
		{`a = int`, `{"a": true}`, `P3105 /params/a: got true, want an int`},
		{`a = float`, `{"a": 5}`, `{"a":5.0}`},
		{`a = float`, `{"a": 1e308}`, `{"a":1e+308}`},
		{`a = float`, `{"a": 1` + strings.Repeat("0", 400) + `}`, `P3108 /params/a: got 1` + strings.Repeat("0", 79) + `…, want a number that a float can hold`},
		{`a = bool`, `{"a": false}`, `{"a":false}`},
		{`a = bool`, `{"a": "True"}`, `P3105 /params/a: got "True", want a bool; true and false are written without quotes`},
		{`a = bool`, `{"a": 0}`, `P3105 /params/a: got 0, want a bool`},
		{`a = dict`, `{"a": {"z": 1, "b": {"c": [1.5]}}}`, `{"a":{"z":1,"b":{"c":[1.5]}}}`},
		{`a = dict`, `{"a": []}`, `P3105 /params/a: got an array of 0 items, want an object`},
		{`a = list`, `{"a": [1, "x", null, {}]}`, `{"a":[1,"x",null,{}]}`},
		{`a = list`, `{"a": {"b": 1}}`, `P3105 /params/a: got an object of 1 key, want an array`},
		{`a = list_of(int)`, `{"a": [1, "2", 3.5]}`, "P3105 /params/a/1: got \"2\", want an int; a number is written without quotes\nP3105 /params/a/2: got 3.5, want an int"},
		{`a = map_of(int)`, `{"a": {"x y": 1, "b/c~": "2"}}`, `P3105 /params/a/b~1c~0: got "2", want an int; a number is written without quotes`},
		{`a = map_of(list_of(str))`, `{"a": {"k": ["v"]}}`, `{"a":{"k":["v"]}}`},
		{`a = anything()`, `{"a": null}`, `{"a":null}`},
		{`a = optional(int)`, `{"a": null}`, `{"a":null}`},
		{`a = optional(int)`, `{"a": 5.0}`, `{"a":5}`},
		{`a = optional(int)`, `{"a": "x"}`, `P3105 /params/a: got "x", want an int or null`},
		{`a = optional(int)`, `{}`, `P3106 /params/a: got nothing, want an int or null`},
		{`a = field(optional(int), ge = 1)`, `{"a": 0}`, `P3108 /params/a: got 0, want at least 1 or null`},
		{`a = optional(optional(str))`, `{"a": 1}`, `P3105 /params/a: got 1, want a string or null`},
		{`a = one_of("fast", "full")`, `{"a": "ful"}`, `P3108 /params/a: got "ful", want one of "fast", "full"; did you mean "full"?`},
		{`a = one_of("fast", "full")`, `{"a": 1}`, `P3105 /params/a: got 1, want one of "fast", "full"`},
		{`a = one_of("x")`, `{"a": "y"}`, `P3108 /params/a: got "y", want "x"`},
		{`a = one_of(1, 2)`, `{"a": 2.0}`, `{"a":2}`},
		{`a = one_of(1, True, "1")`, `{"a": true}`, `{"a":true}`},
		{`a = one_of(1, "1")`, `{"a": true}`, `P3108 /params/a: got true, want one of 1, "1"`},
		{`a = datetime()`, `{"a": "2026-01-31T12:00:00+08:00"}`, `{"a":"2026-01-31T12:00:00+08:00"}`},
		{`a = datetime()`, `{"a": "2026-01-31 12:00"}`, `P3108 /params/a: got "2026-01-31 12:00", want a date-time such as 2026-01-31T12:00:00Z`},
		{`a = date()`, `{"a": "2026-02-30"}`, `P3108 /params/a: got "2026-02-30", want a date such as 2026-01-31`},
		{`a = uuid()`, `{"a": "123E4567-e89b-12d3-a456-426614174000"}`, `{"a":"123E4567-e89b-12d3-a456-426614174000"}`},
		{`a = uuid()`, `{"a": "123"}`, `P3108 /params/a: got "123", want a UUID such as 123e4567-e89b-12d3-a456-426614174000`},

		// Constraints.
		{`a = field(int, ge = 1)`, `{"a": 0}`, `P3108 /params/a: got 0, want at least 1`},
		{`a = field(int, gt = 1)`, `{"a": 1}`, `P3108 /params/a: got 1, want more than 1`},
		{`a = field(float, le = 0.5)`, `{"a": 0.75}`, `P3108 /params/a: got 0.75, want at most 0.5`},
		{`a = field(float, lt = 1)`, `{"a": 1.0}`, `P3108 /params/a: got 1.0, want less than 1`},
		{`a = field(int, multiple_of = 5)`, `{"a": 7}`, `P3108 /params/a: got 7, want a multiple of 5`},
		{`a = field(float, multiple_of = 0.1)`, `{"a": 0.3}`, `{"a":0.3}`},
		{`a = field(str, min_length = 2)`, `{"a": "é"}`, `P3108 /params/a: got "é" of 1 character, want at least 2 characters`},
		{`a = field(str, max_length = 3)`, `{"a": "` + long + `"}`, `P3108 /params/a: got "` + long[:80] + `"… of 100 characters, want at most 3 characters`},
		{`a = field(str, pattern = "^a+$")`, `{"a": "b"}`, "P3108 /params/a: got \"b\", want a match of `^a+$`"},
		{`a = field(str, pattern = "b")`, `{"a": "abc"}`, `{"a":"abc"}`},
		{`a = field(list, min_items = 1)`, `{"a": []}`, `P3108 /params/a: got an array of 0 items, want at least 1 item`},
		{`a = field(list_of(int), max_items = 1)`, `{"a": [1, 2]}`, `P3108 /params/a: got an array of 2 items, want at most 1 item`},
		{`a = field(list, unique_items = True)`, `{"a": [{"x": 1, "y": 2}, 3, {"y": 2.0, "x": 1}]}`, `P3108 /params/a: got the same in items 0 and 2, want no item twice`},
		{`a = field(list, unique_items = True)`, `{"a": [` + nestedObjects(100) + `, 1, ` + nestedObjects(100) + `]}`, `P3108 /params/a: got the same in items 0 and 2, want no item twice`},
		{`a = list_of(field(str, min_length = 1))`, `{"a": ["x", ""]}`, `P3108 /params/a/1: got "" of 0 characters, want at least 1 character`},

		// Keys.
		{`a = str`, `{}`, `P3106 /params/a: got nothing, want a string`},
		{`feature_set = str`, `{"featureset": "x"}`, "P3106 /params/feature_set: got nothing, want a string; is it what is called `featureset`?"},
		{`a = field(int, default = 1)`, `{"b": 2, "c": {"d": 1}}`, `{"a":1}`},
		{`a = schema(b = list_of(schema(c = int)))`, `{"a": {"b": [{"c": 1, "d": 2}], "e": 3}}`, `{"a":{"b":[{"c":1}]}}`},
		{`**{"a-b": str, "": 1} if False else {"a-b": str}`, `{"a-b": "x"}`, `{"a-b":"x"}`},
		{`**{"a/b~c %": int}`, `{"a/b~c %": "x"}`, `P3105 /params/a~1b~0c %: got "x", want an int`},

		// Defaults, at every depth.
		{`a = field(schema(b = field(int, default = 1), c = field(schema(d = field(str, default = "x")), default = {})), default = {})`, `{}`, `{"a":{"b":1,"c":{"d":"x"}}}`},
		{`a = list_of(schema(b = field(float, default = 2)))`, `{"a": [{}, {"b": 1}]}`, `{"a":[{"b":2.0},{"b":1.0}]}`},
		{`a = field(optional(str), default = None)`, `{}`, `{"a":null}`},
		{`a = field(union(int, schema(b = field(int, default = 7))), default = {})`, `{}`, `{"a":{"b":7}}`},
		{`a = map_of(schema(b = field(list_of(int), default = [])))`, `{"a": {"k": {}}}`, `{"a":{"k":{"b":[]}}}`},

		// Unions.
		{`a = union(int, float)`, `{"a": 5.0}`, `{"a":5}`},
		{`a = union(int, float)`, `{"a": 5.5}`, `{"a":5.5}`},
		{`a = union(int, str)`, `{"a": []}`, `P3105 /params/a: got an array of 0 items, want an int or a string`},
		{`a = union(schema(x = int), schema(x = int, y = int))`, `{"a": {"x": 1, "y": 2}}`, `{"a":{"x":1,"y":2}}`},
		{`a = union(schema(x = int, y = field(int, default = 3)), schema(x = int))`, `{"a": {"x": 1}}`, `{"a":{"x":1,"y":3}}`},
		{`a = union(schema(x = int), dict)`, `{"a": {"x": 1, "y": 2}}`, `{"a":{"x":1,"y":2}}`},
		{`a = union(int, schema(x = int, y = int))`, `{"a": {"x": "1", "y": 2}}`, `P3105 /params/a/x: got "1", want an int; a number is written without quotes`},
		{`a = union(field(int, ge = 1), field(str, min_length = 2))`, `{"a": "x"}`, `P3108 /params/a: got "x" of 1 character, want at least 2 characters; the whole choice here is union(field(int, ge = 1), field(str, min_length = 2))`},
		{`a = union(optional(int), str)`, `{"a": true}`, `P3105 /params/a: got true, want an int or null or a string`},
		{`a = optional(union(int, str))`, `{"a": true}`, `P3105 /params/a: got true, want an int or a string or null`},

		// All at once, in order.
		{`b = int, a = list_of(int), c = field(str, max_length = 1)`, `{"c": "xx", "a": [0, "1", 2, 3, 4, 5, 6, 7, 8, 9, "10"]}`, "P3105 /params/a/1: got \"1\", want an int; a number is written without quotes\n" +
			"P3105 /params/a/10: got \"10\", want an int; a number is written without quotes\nP3106 /params/b: got nothing, want an int\nP3108 /params/c: got \"xx\" of 2 characters, want at most 1 character"},

		// What is no object at all.
		{``, `{}`, `{}`},
		{``, `[]`, `P3105 /params: got an array of 0 items, want an object`},
		{``, `null`, `P3105 /params: got null, want an object`},
		{``, ``, `P3101 /params: got unexpected end of text at byte 0, want JSON`},
		{``, `{"a": 1, "a": 2}`, `P3103 /params/a: got the same key twice at byte 9, want each key once`},
		{``, `{"x": [` + strings.Repeat("[", 10_000), `P3102 `},
		{`a = int`, `{"a": 1e999}`, `P3104 /params/a: got a number beyond the range of a float at byte 6, want what a value of the language can hold`},
		{`a = str`, "{\"a\": \"x\x01\"}", `P3101 /params/a: got unexpected '\x01' in a string at byte 8, want JSON`},
		{`a = int`, `{"a": "\u001b[31m\u202e"}`, `P3105 /params/a: got "\x1b[31m\u202e", want an int`},
	} {
		got := check(paramsTask(t, c.fields), c.raw)
		if got != c.want && !(strings.HasSuffix(c.want, " ") && strings.HasPrefix(got, c.want)) {
			t.Errorf("%s with %.80s\ngot  %s\nwant %s", c.fields, c.raw, got, c.want)
		}
	}
}

// nestedObjects is an object in an object, and so on.
func nestedObjects(depth int) string {
	return strings.Repeat(`{"k": `, depth) + `"\"v\""` + strings.Repeat("}", depth)
}

// What is said of wrong keys costs no more than reading them.
func TestCheckParamsOfManyWrongKeys(t *testing.T) {
	task := mustDeclare(t, `task(name = "t", strict_params = True, params = schema(**{"field_%d" % i: int for i in range(100)}))`)
	var b strings.Builder
	b.WriteString(`{"` + strings.Repeat("f", 1<<20) + `": 0`)
	for i := range 50_000 {
		fmt.Fprintf(&b, `, "feild_%d": 0`, i)
	}
	b.WriteString("}")
	_, list := task.CheckParams([]byte(b.String()))
	if len(list) != schema.MaxComplaints+1 {
		t.Errorf("got %d diagnostics, want %d", len(list), schema.MaxComplaints+1)
	}
}

func TestCheckParamsStrict(t *testing.T) {
	task := mustDeclare(t, `task(name = "t", strict_params = True, params = schema(
		min_rows = field(int, default = 1), inner = field(schema(b = field(int, default = 1)), default = {}), free = field(dict, default = {})))`)
	for raw, want := range map[string]string{
		`{"free": {"anything": 1}}`: `{"min_rows":1,"inner":{"b":1},"free":{"anything":1}}`,
		`{"min_row": 1}`:            "P3107 /params/min_row: got a field that is not declared, want one of min_rows, inner, free; did you mean `min_rows`?",
		`{"inner": {"z": 1}}`:       "P3107 /params/inner/z: got a field that is not declared, want one of b",
	} {
		if got := check(task, raw); got != want {
			t.Errorf("%s\ngot  %s\nwant %s", raw, got, want)
		}
	}
}

func TestCheckParamsBoundsItsComplaints(t *testing.T) {
	raw := `{"a": [` + strings.Repeat(`"x", `, 20_000) + `"x"]}`
	_, list := paramsTask(t, `a = list_of(int)`).CheckParams([]byte(raw))
	if len(list) != schema.MaxComplaints+1 {
		t.Fatalf("got %d diagnostics, want %d", len(list), schema.MaxComplaints+1)
	}
	if got, want := list[0].Message, "/params/a/0"; got != want {
		t.Errorf("first: got %s, want %s", got, want)
	}
	if got, want := list[schema.MaxComplaints].Line1(), "/params: and at least 900 more like these"; got != want {
		t.Errorf("last: got %s, want %s", got, want)
	}
}

func TestCheckResult(t *testing.T) {
	task := mustDeclare(t, `task(name = "t", result = schema(rows = field(int, ge = 0), inner = field(schema(b = int), default = {"b": 1})))`)
	for raw, want := range map[string]string{
		`{"rows": 1}`:                          "",
		`{"rows": 1.0, "inner": {"b": 2}}`:     "",
		`{"rows": -1}`:                         "/result/rows: got -1, want at least 0",
		`{"rows": 1, "row": 2}`:                "/result/row: got a field that is not declared, want one of rows, inner",
		`{"rows": 1, "inner":{"b":1,"c":2}}`:   "/result/inner/c: got a field that is not declared, want one of b",
		`{"inner": {}, "rows": "1", "x\n": 0}`: "/result/inner/b: got nothing, want an int\n/result/rows: got \"1\", want an int\n/result/x\\n: got a field that is not declared, want one of rows, inner",
	} {
		list, _ := task.CheckResult(schema.Limits{}, []byte(raw))
		if got := list.Error(); got != want {
			t.Errorf("%s\ngot  %s\nwant %s", raw, got, want)
		}
	}
	free := mustDeclare(t, `task(name = "t")`)
	if list, _ := free.CheckResult(schema.Limits{}, []byte(`{"whatever": [1]}`)); list != nil {
		t.Errorf("a result that is not declared: got %v, want nothing", list)
	}
}

// What holds a secret is shown nowhere, whatever else is wrong with it.
func TestSecretsAreNotShown(t *testing.T) {
	for _, c := range []struct{ fields, raw string }{
		{`a = field(str, secret = True, min_length = 20)`, `{"a": "hunter2"}`},
		{`a = field(int, secret = True)`, `{"a": "hunter2"}`},
		{`a = field(one_of("hunter3"), secret = True)`, `{"a": "hunter2"}`},
		{`a = field(date(), secret = True)`, `{"a": "hunter2"}`},
		{`a = field(str, secret = True, pattern = "^x")`, `{"a": "hunter2"}`},
		{`a = field(optional(int), secret = True)`, `{"a": "hunter2"}`},
		{`a = field(list_of(int), secret = True)`, `{"a": [1, "hunter2"]}`},
		{`a = list_of(field(int, secret = True))`, `{"a": ["hunter2"]}`},
		{`a = map_of(field(int, secret = True))`, `{"a": {"x": "hunter2"}}`},
		{`a = field(map_of(int), secret = True)`, `{"a": {"hunter2": "x"}}`},
		{`a = field(dict, secret = True)`, `{"a": {"hunter2": 1, "hunter2": 2}}`},
		{`a = field(dict, secret = True)`, `{"a": {"hunter2": tru}}`},
		{`a = field(schema(b = int), secret = True)`, `{"a": {"b": "hunter2"}}`},
		{`a = schema(b = field(str, secret = True))`, `{"a": "hunter2"}`},
		{`a = list_of(schema(b = field(str, secret = True)))`, `{"a": "hunter2"}`},
		{`a = list_of(schema(b = field(str, secret = True)))`, `{"a": ["hunter2"]}`},
		{`a = union(int, schema(b = field(str, secret = True)))`, `{"a": "hunter2"}`},
		{`a = union(schema(b = field(str, secret = True), c = int), list)`, `{"a": {"b": "hunter2", "c": "x"}}`},
		{`a = union(field(str, secret = True, min_length = 50), int)`, `{"a": "hunter2"}`},
		{`a = optional(field(str, secret = True, min_length = 50))`, `{"a": "hunter2"}`},
		{`a = field(list, secret = True, unique_items = True)`, `{"a": ["hunter2", "hunter2"]}`},
		{`a = field(str, secret = True)`, `{"a": "hunter2\x01"}`},
		{`a = field(str, secret = True)`, `{"a": "hunter2\q"}`},
		{`a = field(dict, secret = True)`, `{"a": {"hunter2" 1}}`},
		{`a = list_of(optional(union(int, field(str, secret = True, pattern = "^x"))))`, `{"a": ["hunter2"]}`},
		{`a = map_of(optional(schema(b = field(map_of(int), secret = True))))`, `{"a": {"k": {"b": {"hunter2": "hunter2"}}}}`},
	} {
		task := paramsTask(t, c.fields)
		p, list := task.CheckParams([]byte(c.raw))
		if list == nil {
			t.Errorf("%s takes %s: %s", c.fields, c.raw, p.JSON())
		}
		for _, d := range list {
			if text := fmt.Sprint(*d); strings.Contains(text, "hunter2") {
				t.Errorf("%s with %s shows the secret: %s", c.fields, c.raw, text)
			}
			if !strings.HasPrefix(d.Message, "/params/a") {
				t.Errorf("%s with %s: got pointer %s", c.fields, c.raw, d.Message)
			}
		}
	}
}

func TestSecrets(t *testing.T) {
	for _, c := range []struct{ fields, raw, want string }{
		{`a = str`, `{"a": "x"}`, `[]`},
		{`a = field(str, secret = True)`, `{"a": "hunter2"}`, `["hunter2"]`},
		{`a = field(str, secret = True)`, `{"a": ""}`, `[]`},
		{`a = field(str, secret = True)`, `{"a": "a\"b"}`, `["a\"b" "a\\\"b" "a\\\\\\\"b"]`},
		{`a = field(str, secret = True)`, `{"a": "\u0001"}`, `["\x01" "\\x01" "\\u0001" "\\\\x01" "\\\\u0001"]`},
		{`a = field(str, secret = True)`, `{"a": "\n"}`, `["\n" "⏎" "\\n" "\\u23ce" "\\\\n" "\\\\u23ce"]`},
		{`a = field(str, secret = True)`, `{"a": "p/w~"}`, `["p/w~" "p~1w~0"]`},
		{`a = field(float, secret = True)`, `{"a": 5e3}`, `["5000" "5000.0" "5e+03" "5e3"]`},
		{`a = field(int, secret = True)`, `{"a": 98765432}`, `["9.8765432E+07" "9.8765432e+07" "98765432"]`},
		{`a = field(str, secret = True, default = "fallback")`, `{}`, `["fallback"]`},
		{`a = field(schema(b = field(str, secret = True, default = "inner")), default = {})`, `{}`, `["inner"]`},
		{`a = field(dict, secret = True)`, `{"a": {"k": ["one", {"l": "three"}], "n": null}}`, `["k" "one" "l" "three" "n"]`},
		{`a = list_of(field(str, secret = True))`, `{"a": ["one", "two"]}`, `["one" "two"]`},
		{`a = map_of(schema(b = field(str, secret = True)))`, `{"a": {"k": {"b": "one"}}}`, `["one"]`},
		{`a = optional(field(str, secret = True))`, `{"a": "one"}`, `["one"]`},
		// The value is taken for a dict, which knows all its keys; the token is secret all the same.
		{`a = union(schema(token = field(str, secret = True)), dict)`, `{"a": {"token": "one", "more": "two"}}`, `["one"]`},
	} {
		p, list := paramsTask(t, c.fields).CheckParams([]byte(c.raw))
		if got := fmt.Sprintf("%q", slices.Collect(p.Secrets())); got != c.want || list != nil {
			t.Errorf("%s with %s: got %s, want %s; %v", c.fields, c.raw, got, c.want, list)
		}
	}
}

// A long secret is hidden by its pieces: no 8 bytes of any form of it are missing.
func TestPiecesOfASecret(t *testing.T) {
	for _, unit := range []string{"x", "aé\n", "\"\\", "😀", "\xff"} {
		var secret strings.Builder
		for i := 0; secret.Len() < 20_000; i++ {
			fmt.Fprint(&secret, i, unit)
		}
		windows := map[string]bool{}
		for piece := range schema.Pieces(secret.String()) {
			if len(piece) > 4<<10 || len(piece) < 64 {
				t.Errorf("a piece of %d bytes", len(piece))
			}
			for _, form := range schema.Forms(piece) {
				for i := 0; i+8 <= len(form); i++ {
					windows[form[i:i+8]] = true
				}
			}
		}
		for n, form := range schema.Forms(secret.String()) {
			for i := 0; i+8 <= len(form); i++ {
				if part := form[i : i+8]; !windows[part] {
					t.Fatalf("%q: %q of form %d is in no piece", unit, part, n)
				}
			}
		}
	}
}

// What is secret is bounded, since it costs a hundred times its size; and a
// cancel gets through while it is collected.
func TestSecretsAreBounded(t *testing.T) {
	many := `{"a": [` + strings.Repeat(`"0123456789",`, 50_000) + `""]}`
	for _, c := range []struct{ fields, raw string }{
		{`a = field(str, secret = True)`, `{"a": "` + strings.Repeat("x", 1<<20) + `"}`},
		{`a = field(list_of(str), secret = True)`, many},
		{`a = list_of(field(str, secret = True))`, many},
		{`a = field(dict, secret = True)`, `{"a": {"` + strings.Repeat("x", 1<<20) + `": 1}}`},
		{`a = list_of(union(*[field(str, secret = True, max_length = 20 + i) for i in range(1000)]))`, `{"a": [` + strings.Repeat(`"",`, 100) + `""]}`},
	} {
		p, list := paramsTask(t, c.fields).CheckParams([]byte(c.raw))
		if string(p.JSON()) != "{}" || len(list) != 1 || list[0].Code != "P3110" {
			t.Errorf("%s: got %v, want P3110", c.fields, list)
		}
	}
	task := paramsTask(t, `a = field(list_of(str), secret = True)`)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	tree, err := schema.Decode([]byte(`{"a": [` + strings.Repeat(`"",`, 2*schema.TickEvery) + `""]}`))
	if err != nil {
		t.Fatal(err)
	}
	if tree.Secrets(task.Params, schema.Limits{Context: ctx}) == nil {
		t.Error("a cancel does not get through to the secrets")
	}
}

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
func compiled(t testing.TB, s *schema.Schema, closed bool) *jsonschema.Schema {
	t.Helper()
	c := jsonschema.NewCompiler()
	c.Draft = jsonschema.Draft2020
	c.AssertFormat = true
	if err := c.AddResource("perago:schema", strings.NewReader(string(s.JSONSchema(closed)))); err != nil {
		t.Fatal(err)
	}
	made, err := c.Compile("perago:schema")
	if err != nil {
		t.Fatalf("%v\n%s", err, s.JSONSchema(closed))
	}
	return made
}

// FuzzCheck holds what a task takes against the schema that its TaskDef shows,
// compiled by the library, and what comes of checked params against itself: the
// JSON of params, checked again, gives the same params.
func FuzzCheck(f *testing.F) {
	var tasks [len(fuzzSchemas)]*starlib.Task
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
		tree, err := schema.Decode([]byte(text))
		if err != nil {
			if _, list := tasks[i].CheckParams([]byte(text)); list == nil {
				t.Fatalf("%q is no JSON and was taken: %v", text, err)
			}
			return
		}
		for closed, schema := range schemas[i] {
			task := starlib.Task{Params: tasks[i].Params, StrictParams: closed == 1}
			params, list := task.CheckParams([]byte(text))
			want := schema.Validate(tree.Plain())
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

// costlyValues are values that take minutes or gigabytes to check to the end.
func costlyValues() map[string][2]string {
	return map[string][2]string{
		"a union of many":   {`xs = list_of(union(*[one_of(i) for i in range(1000)]))`, `{"xs": [` + strings.Repeat(`"",`, 300_000) + `""]}`},
		"a pattern of many": {`xs = field(str, pattern = "^(" + "|".join(["[ab]*a[ab]{%d}c" % (900 + i) for i in range(20)]) + ")$")`, `{"xs": "` + strings.Repeat("ab", 1_000_000) + `"}`},
		"unions that nest":  {`xs = list_of(union(*[union(*[list_of(one_of(100 * i + j)) for j in range(30)]) for i in range(30)]))`, `{"xs": [` + strings.Repeat(`["", 1],`, 100_000) + `[]]}`},
		"many objects":      {`xs = list_of(schema(a = int))`, `{"xs": [` + strings.Repeat(`{"a": 1},`, 300_000) + `{}]}`},
	}
}

// A check ends with its context, wherever it is: this one is over before it begins.
func TestCheckEndsWithItsContext(t *testing.T) {
	why := errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(why)
	for name, c := range costlyValues() {
		task := paramsTask(t, c[0])
		_, list, err := task.CheckParamsWithin(schema.Limits{Context: ctx}, []byte(c[1]))
		if list != nil || !errors.Is(err, why) {
			t.Errorf("%s: got %v, %v, want the cause", name, list, err)
		}
	}
}

// The same when the decoding is done: the check itself is cancelled.
func TestWalkEndsWithItsContext(t *testing.T) {
	why := errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(why)
	for name, c := range costlyValues() {
		task := paramsTask(t, c[0])
		tree, err := schema.Decode([]byte(c[1]))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := tree.Check(task.Params, schema.Limits{Context: ctx}); !errors.Is(err, why) {
			t.Errorf("%s: got %v, want the cause", name, err)
		}
	}
}

// Wrong values cost what a thousand of them cost, however many there are.
func TestComplaintsAreBounded(t *testing.T) {
	for name, c := range map[string][2]string{
		"of a list":  {`xs = list_of(int)`, `{"xs": [` + strings.Repeat(`"",`, 900_000) + `""]}`},
		"of a union": {`xs = list_of(union(list_of(int), schema(a = int)))`, `{"xs": [` + strings.Repeat(`["",{}],`, 50_000) + `""]}`},
		"of a map":   {`xs = map_of(int)`, manyKeys(50_000)},
	} {
		task := paramsTask(t, c[0])
		tree, err := schema.Decode([]byte(c[1]))
		if err != nil {
			t.Fatal(err)
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		n, _ := tree.Check(task.Params, schema.Limits{})
		runtime.ReadMemStats(&after)
		if got := after.TotalAlloc - before.TotalAlloc; n != schema.MaxComplaints+1 || got > 24<<20 {
			t.Errorf("%s: got %d diagnostics and %d bytes, want %d and at most 24 MiB", name, n, got, schema.MaxComplaints+1)
		}
	}
}

func manyKeys(n int) string {
	var b strings.Builder
	b.WriteString(`{"xs": {"a": ""`)
	for i := range n {
		fmt.Fprintf(&b, `,"k%d":""`, i)
	}
	return b.String() + `}}`
}

// What decoding takes is known before it is taken.
func TestCheckBoundsItsMemory(t *testing.T) {
	task := paramsTask(t, `xs = anything()`)
	for _, item := range []string{`{}`, `{"":0}`, `[]`, `0`, `""`, `[0]`} {
		raw := []byte(`{"xs": [` + strings.Repeat(item+",", 1_000_000) + `0]}`)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, _, err := task.CheckParamsWithin(schema.Limits{Memory: 16 << 20}, raw)
		runtime.ReadMemStats(&after)
		var large *schema.TooLargeError
		// What is allocated: the text once, and lists that grow as they are read.
		if got := after.TotalAlloc - before.TotalAlloc; !errors.As(err, &large) || got > 64<<20 {
			t.Errorf("%s: got %v and %d MiB, want the bound and at most 64", item, err, got>>20)
		}
	}
}

func TestOneOfManyIsFoundAtOnce(t *testing.T) {
	task := paramsTask(t, `xs = list_of(one_of(*range(20000)))`)
	raw := []byte(`{"xs": [` + strings.Repeat(`19999, 19999.0,`, 5_000) + `20000]}`)
	if _, list := task.CheckParams(raw); len(list) != 1 {
		t.Errorf("got %v, want the last item alone", list)
	}
}

// in evaluates an expression with params in it.
func in(t *testing.T, fields, raw, expr string) (string, error) {
	t.Helper()
	p, list := paramsTask(t, fields).CheckParams([]byte(raw))
	if list != nil {
		t.Fatalf("%s with %s: %v", fields, raw, list)
	}
	v, err := starlark.EvalOptions(&syntax.FileOptions{Set: true}, new(starlark.Thread), "x.star", expr, starlark.StringDict{"params": p.Value()})
	if err != nil {
		return "", err
	}
	return v.String(), nil
}

const (
	objectFields = `a = int, b = field(schema(c = field(str, default = "x"), d = list_of(float)), default = {"d": []}),
		m = field(map_of(schema(e = int)), default = {}), free = field(dict, default = {}), s = field(str, default = "", secret = True), **{"a-b": field(int, default = 3)}`
	objectRaw = `{"a": 1, "b": {"d": [1, 2.5]}, "m": {"k": {"e": 5}}, "free": {"z": {"y": [1]}, "a": 2}, "s": "hunter2"}`
)

func TestParamsInABody(t *testing.T) {
	for expr, want := range map[string]string{
		`params.a`:                   `1`,
		`params.b.c`:                 `"x"`,
		`params.b.d`:                 `[1.0, 2.5]`,
		`params.m["k"].e`:            `5`,
		`params.free["z"]["y"][0]`:   `1`,
		`params["a-b"]`:              `3`,
		`params.s`:                   `"hunter2"`,
		`getattr(params, "a-b")`:     `3`,
		`getattr(params, "nope", 7)`: `7`,
		`hasattr(params, "nope")`:    `False`,
		`[k for k in params]`:        `["a", "b", "m", "free", "s", "a-b"]`,
		`dir(params.b)`:              `["c", "d"]`,
		`dict(params.b)`:             `{"c": "x", "d": [1.0, 2.5]}`,
		`params.free.keys()`:         `["z", "a"]`,
		`params.m.get("x", "no")`:    `"no"`,
		`"a" in params`:              `True`,
		`"x" in params`:              `False`,
		`1 in params`:                `False`,
		`len(params)`:                `6`,
		`bool(params)`:               `True`,
		`type(params)`:               `"object"`,
		`str(params.b)`:              `"object(c = \"x\", d = [1.0, 2.5])"`,
		`"hunter2" in str(params)`:   `False`,
		`params.b == params.b`:       `True`,
		`params.b != params.b`:       `False`,
		`params.b == params`:         `False`,
		`params.b == dict(params.b)`: `False`,
		`[params.b] == [params.b]`:   `True`,
	} {
		got, err := in(t, objectFields, objectRaw, expr)
		if err != nil || got != want {
			t.Errorf("%s: got %s, %v, want %s", expr, got, err, want)
		}
	}
}

func TestParamsInABodyErrors(t *testing.T) {
	for expr, want := range map[string]string{
		`params.aa`:                "there is no field `aa` here",
		`params.b.cc`:              "there is no field `cc` here",
		`params.b.zzz`:             "there is no field `zzz` here: want one of c, d",
		`params["a_b"]`:            "there is no field `a_b` here",
		`params[0]`:                "the fields of an object have names: got 0, want a string",
		`params < params`:          "objects have no order",
		`{params: 1}`:              "unhashable: object",
		`params.b.d.append(1)`:     "cannot append to frozen list",
		`params.free.pop("z")`:     "cannot delete from frozen hash table",
		`params.free["z"].clear()`: "cannot clear frozen hash table",
		`params.m.update({"x":1})`: "frozen",
	} {
		_, err := in(t, objectFields, objectRaw, expr)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: got %v, want %s", expr, err, want)
		}
	}
	_, err := in(t, objectFields, objectRaw, `params.fre`)
	if got, want := problemOf(t, err).Hint, "did you mean `free`?"; got != want {
		t.Errorf("hint: got %s, want %s", got, want)
	}
	_, err = in(t, objectFields, objectRaw, `params.b.items()`)
	if got := problemOf(t, err).Hint; !strings.Contains(got, "dict(...).items") {
		t.Errorf("hint: got %s, want a word on dict(...)", got)
	}
	_, err = in(t, ``, `{}`, `params.x`)
	if got, want := problemOf(t, err).Wanted, "nothing: the schema has no fields"; got != want {
		t.Errorf("wanted: got %s, want %s", got, want)
	}
}

func TestObjectsCompareByNamesAndValues(t *testing.T) {
	const fields = `a = schema(x = int, y = int), b = schema(y = int, x = int), c = schema(x = int, z = int)`
	const raw = `{"a": {"x": 1, "y": 2}, "b": {"x": 1, "y": 2}, "c": {"x": 1, "z": 2}}`
	for expr, want := range map[string]string{`params.a == params.b`: "True", `params.a == params.c`: "False", `params.a != params.c`: "True"} {
		if got, err := in(t, fields, raw, expr); got != want || err != nil {
			t.Errorf("%s: got %s, %v, want %s", expr, got, err, want)
		}
	}
}

func TestStrOfParamsHidesSecrets(t *testing.T) {
	const fields = `a = list_of(field(str, secret = True)), b = map_of(schema(c = field(str, secret = True), d = int)), e = union(int, field(str, secret = True)), f = optional(field(dict, secret = True))`
	got, err := in(t, fields, `{"a": ["hunter2"], "b": {"k": {"c": "hunter2", "d": 1}}, "e": "hunter2", "f": {"x": "hunter2"}}`, `str(params)`)
	if want := `"object(a = ***, b = {\"k\": object(c = ***, d = 1)}, e = ***, f = ***)"`; err != nil || got != want {
		t.Errorf("got %s, %v, want %s", got, err, want)
	}
}

// Two attempts see the same default, and neither can change it.
func TestDefaultsAreFrozen(t *testing.T) {
	task := paramsTask(t, `a = field(list, default = [[1]]), b = field(dict, default = {"k": {}})`)
	first, _ := task.CheckParams([]byte(`{}`))
	for _, expr := range []string{`params.a.append(1)`, `params.a[0].append(1)`, `params.b["k"].setdefault("x", 1)`} {
		_, err := starlark.EvalOptions(&syntax.FileOptions{}, new(starlark.Thread), "x.star", expr, starlark.StringDict{"params": first.Value()})
		if err == nil || !strings.Contains(err.Error(), "frozen") {
			t.Errorf("%s: got %v, want an error", expr, err)
		}
	}
	second, _ := task.CheckParams([]byte(`{}`))
	if got, want := string(second.JSON()), `{"a":[[1]],"b":{"k":{}}}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestDefaultIsNotTheListOfTheFile(t *testing.T) {
	task := mustDeclare(t, "xs = [1]\ntask(name = \"t\", params = schema(a = field(list, default = xs)))\nxs.append(2)")
	p, _ := task.CheckParams([]byte(`{}`))
	if got, want := string(p.JSON()), `{"a":[1]}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

func TestZeroParams(t *testing.T) {
	var p schema.Params
	if got := p.Value().String() + string(p.JSON()); got != "object(){}" {
		t.Errorf("got %s, want object(){}", got)
	}
}

// encode is what EncodeResult makes of an expression.
func encode(t *testing.T, expr string) string {
	t.Helper()
	p, list := paramsTask(t, objectFields).CheckParams([]byte(objectRaw))
	if list != nil {
		t.Fatal(list)
	}
	names := starlark.StringDict{"params": p.Value(), "struct": starlark.NewBuiltin("struct", starlarkstruct.Make)}
	globals, err := starlark.ExecFileOptions(&syntax.FileOptions{Set: true, TopLevelControl: true, GlobalReassign: true}, new(starlark.Thread), "x.star", expr, names)
	if err != nil {
		t.Fatalf("%s: %v", expr, err)
	}
	raw, err := schema.EncodeResult(globals["r"])
	if err != nil {
		return err.Error()
	}
	return string(raw)
}

func TestEncodeResult(t *testing.T) {
	nest := func(n int) string {
		return "x = 0\nfor i in range(" + starlark.MakeInt(n).String() + "):\n    x = [x]\nr = {'x': x}"
	}
	for _, c := range []struct{ src, want string }{
		{`r = {}`, `{}`},
		{`r = {"b": 1, "a": [None, True, 1.0, -2.5e100, "é<>&\u2028"]}`, "{\"b\":1,\"a\":[null,true,1.0,-2.5e+100,\"é<>&\u2028\"]}"},
		{`r = {"x": "a\"b\\c\n\t\r\x01\x7f"}`, `{"x":"a\"b\\c\n\t\r\u0001\u007f"}`},
		{`r = struct(b = 1, a = struct(c = (1, 2)))`, `{"a":{"c":[1,2]},"b":1}`},
		{`r = {"x": range(3)}`, `{"x":[0,1,2]}`},
		{`r = params.b`, `{"c":"x","d":[1.0,2.5]}`},
		{`r = {"m": params.m, "l": params.b.d}`, `{"m":{"k":{"e":5}},"l":[1.0,2.5]}`},
		{`r = {"x": 9007199254740992, "y": -9007199254740992}`, `{"x":9007199254740992,"y":-9007199254740992}`},
		{`r = {"x": 9007199254740993}`, `/result/x: got an int of 16 digits, want one within ±2^53`},
		{`r = {"x": -(1 << 60)}`, `/result/x: got an int of 19 digits, want one within ±2^53`},
		{`r = {"x": 1 << 500}`, `/result/x: got an int of 151 digits, want one within ±2^53`},
		{`r = {"x": 1e300}`, `{"x":1e+300}`},
		{`r = {"x": float("inf")}`, `/result/x: got +inf, want a finite number`},
		{`r = {"x": [float("nan")]}`, `/result/x/0: got nan, want a finite number`},
		{`r = {"x": {1: 2}}`, `/result/x: got the key 1, want a string as the key`},
		{`r = {"a/b": len}`, `/result/a~1b: got the function len, want a value that JSON can hold`},
		{`r = {"x": set([1])}`, `/result/x: got set, want a value that JSON can hold`},
		{`r = {"x": b"a"}`, `/result/x: got bytes, want a value that JSON can hold`},
		{`r = {"x": "é"[:1]}`, `/result/x: got a string that is not UTF-8, want text`},
		{`r = {"x": len, "y": [float("nan"), 1 << 60]}`, "/result/x: got the function len, want a value that JSON can hold\n/result/y/0: got nan, want a finite number\n/result/y/1: got an int of 19 digits, want one within ±2^53"},
		{`r = None`, `/result: got None, want a dict or a struct`},
		{`r = [1]`, `/result: got list, want a dict or a struct`},
		{`r = "x"`, `/result: got "x", want a dict or a struct`},
		{nest(199), `{"x":` + strings.Repeat("[", 199) + "0" + strings.Repeat("]", 199) + "}"},
		{nest(200), `/result: got lists and dicts nested too deep, want at most 200`},
		{"x = []\nx.append(x)\nr = {'x': x}", `/result: got lists and dicts nested too deep, want at most 200`},
		{"x = {}\nx['x'] = x\nr = x", `/result: got lists and dicts nested too deep, want at most 200`},
		{"x = []\nx.append(x)\nx.append(x)\nr = {'x': x}", `/result: got lists and dicts nested too deep, want at most 200`},
		{"x = [1]\nfor i in range(60):\n    x = [x, x]\nr = {'x': x}", `/result: got more than 16 MiB of JSON, want at most 16 MiB`},
		{"x = [len]\nfor i in range(10):\n    x = [x, x]\nr = {'x': x}", "and 924 more like these"},
		{`r = {"x": "a" * (17 << 20)}`, `/result: got more than 16 MiB of JSON, want at most 16 MiB`},
	} {
		if got := encode(t, c.src); got != c.want && !(strings.HasPrefix(c.want, "and ") && strings.HasSuffix(got, c.want)) {
			t.Errorf("%s\ngot  %.300s\nwant %.300s", c.src, got, c.want)
		}
	}
}

func TestValuesKeepTheOrderOfKeys(t *testing.T) {
	tree, err := schema.Decode([]byte(`{"z": 1, "a": {"y": 2, "b": 3}}`))
	if err != nil {
		t.Fatal(err)
	}
	if got, want := tree.Untyped().String(), `{"z": 1, "a": {"y": 2, "b": 3}}`; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
}

// FuzzEncode holds what is read and written against each other: a JSON text read
// as a value of a script is written as a text of the same value.
func FuzzEncode(f *testing.F) {
	for _, s := range []string{`{"a":[1,2.5,"x\u0000",null,true]}`, `{"b":-1.5e-300,"a":12345678901234567890}`, `{"é\n":{"":"\ud83d"}}`, `[]`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		tree, err := schema.Decode(text)
		if err != nil {
			return
		}
		out, refused := schema.Encode(tree.Untyped())
		if refused {
			t.Fatalf("%q: not all of it was written", text)
		}
		again, err := schema.Decode(out)
		if err != nil {
			t.Fatalf("%q became %q: %v", text, out, err)
		}
		if !equalValues(tree.Untyped(), again.Untyped()) {
			t.Fatalf("%q became %q", text, out)
		}
		if raw, err := schema.EncodeResult(tree.Untyped()); err == nil && string(raw) != string(out) {
			t.Fatalf("%q: result %q, value %q", text, raw, out)
		}
	})
}

func equalValues(a, b starlark.Value) bool { return a.Type() == b.Type() && a.String() == b.String() }

// paramsTask is a task that takes these fields.
func paramsTask(t testing.TB, fields string) *starlib.Task {
	t.Helper()
	return mustDeclare(t, `task(name = "t", params = schema(`+fields+`))`)
}

// mustDeclare is the task that the text of a file declares.
func mustDeclare(t testing.TB, src string) *starlib.Task {
	t.Helper()
	var d starlib.Declaration
	thread := new(starlark.Thread)
	d.Attach(thread)
	if _, err := starlark.ExecFileOptions(&syntax.FileOptions{Set: true}, thread, "t.star", src, declarations()); err != nil {
		t.Fatalf("declare: %v\n%s", err, src)
	}
	return d.Task
}

// declarations are the names that declare, beside the interpreter's own: for what
// starlib brings in their place, such as range, looks at the load's limits.
var declarations = sync.OnceValue(func() starlark.StringDict {
	all := starlib.Predeclared()
	names := make(starlark.StringDict)
	for _, name := range []string{"task", "schema", "field", "list_of", "map_of", "optional", "union", "one_of", "anything", "datetime", "date", "uuid"} {
		names[name] = all[name]
	}
	return names
})

// problemOf is the Problem that an error wraps.
func problemOf(t *testing.T, err error) *diag.Problem {
	t.Helper()
	var p *diag.Problem
	if !errors.As(err, &p) {
		t.Fatalf("error %v is no Problem", err)
	}
	return p
}
