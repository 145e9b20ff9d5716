package starlib

import (
	"strings"
	"testing"

	"go.starlark.net/starlark"
	"go.starlark.net/starlarkstruct"
	"go.starlark.net/syntax"
)

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
	raw, err := EncodeResult(globals["r"])
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

// FuzzEncode holds what is read and written against each other: a JSON text read
// as a value of a script is written as a text of the same value.
func FuzzEncode(f *testing.F) {
	for _, s := range []string{`{"a":[1,2.5,"x\u0000",null,true]}`, `{"b":-1.5e-300,"a":12345678901234567890}`, `{"é\n":{"":"\ud83d"}}`, `[]`} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		tree, err := decodeJSON(text)
		if err != nil {
			return
		}
		e := encoder{unbounded: true}
		e.value(tree.free(), 0)
		if len(e.problems.list) > 0 {
			t.Fatalf("%q: %v", text, e.problems.list)
		}
		again, err := decodeJSON(e.buf)
		if err != nil {
			t.Fatalf("%q became %q: %v", text, e.buf, err)
		}
		if !equalFree(tree.free(), again.free()) {
			t.Fatalf("%q became %q", text, e.buf)
		}
		if raw, err := EncodeResult(tree.free()); err == nil && string(raw) != string(e.buf) {
			t.Fatalf("%q: result %q, value %q", text, raw, e.buf)
		}
	})
}

func equalFree(a, b starlark.Value) bool { return a.Type() == b.Type() && a.String() == b.String() }
