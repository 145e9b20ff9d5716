package starlib

import (
	"strings"
	"testing"

	"go.starlark.net/starlark"
	"go.starlark.net/syntax"
)

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
	var p Params
	if got := p.Value().String() + string(p.JSON()); got != "object(){}" {
		t.Errorf("got %s, want object(){}", got)
	}
}
