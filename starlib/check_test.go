package starlib

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"testing"
)

// check is the diagnostics of params, or the params with defaults filled in.
func check(task *Task, raw string) string {
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
	if len(list) != maxComplaints+1 {
		t.Errorf("got %d diagnostics, want %d", len(list), maxComplaints+1)
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
	if len(list) != maxComplaints+1 {
		t.Fatalf("got %d diagnostics, want %d", len(list), maxComplaints+1)
	}
	if got, want := list[0].Message, "/params/a/0"; got != want {
		t.Errorf("first: got %s, want %s", got, want)
	}
	if got, want := list[maxComplaints].Line1(), "/params: and at least 900 more like these"; got != want {
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
		list, _ := task.CheckResult(Within{}, []byte(raw))
		if got := list.Error(); got != want {
			t.Errorf("%s\ngot  %s\nwant %s", raw, got, want)
		}
	}
	free := mustDeclare(t, `task(name = "t")`)
	if list, _ := free.CheckResult(Within{}, []byte(`{"whatever": [1]}`)); list != nil {
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
		for piece := range pieces(secret.String()) {
			if len(piece) > 4<<10 || len(piece) < 64 {
				t.Errorf("a piece of %d bytes", len(piece))
			}
			for _, form := range forms(piece) {
				for i := 0; i+8 <= len(form); i++ {
					windows[form[i:i+8]] = true
				}
			}
		}
		for n, form := range forms(secret.String()) {
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
		if p.value != nil || len(list) != 1 || list[0].Code != "P3110" {
			t.Errorf("%s: got %v, want P3110", c.fields, list)
		}
	}
	v := &inspection{validator: paramsTask(t, `a = field(list_of(str), secret = True)`).Params.validator(false)}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	x := &inspection{validator: v.validator, within: Within{Context: ctx}}
	raw := `{"a": [` + strings.Repeat(`"",`, 2*lookEvery) + `""]}`
	tree, _ := v.read([]byte(raw), "params")
	if x.secretsOf(x.root, tree, new(secretTexts)); x.err == nil {
		t.Error("a cancel does not get through to the secrets")
	}
}
