package starlib

import (
	"testing"

	"go.starlark.net/starlark"
)

func TestFreezable(t *testing.T) {
	nested := func(levels int, wrap func(starlark.Value) starlark.Value) starlark.Value {
		var v starlark.Value = starlark.None
		for range levels {
			v = wrap(v)
		}
		return v
	}
	once := func(v starlark.Value) starlark.Value { return starlark.NewList([]starlark.Value{v}) }
	twice := func(v starlark.Value) starlark.Value { return starlark.Tuple{v, v} }
	twiceInList := func(v starlark.Value) starlark.Value { return starlark.NewList([]starlark.Value{v, v}) }
	itself := starlark.NewList(nil)
	if err := itself.Append(itself); err != nil {
		t.Fatal(err)
	}
	for name, tt := range map[string]struct {
		value starlark.Value
		ok    bool
	}{
		"a number":                       {starlark.MakeInt(1), true},
		"a list in itself":               {itself, true},
		"lists, not too deep":            {nested(1000, once), true},
		"lists, too deep":                {nested(freezeDepth+10, once), false},
		"tuples shared, a few":           {nested(10, twice), true},
		"tuples shared, too many":        {nested(60, twice), false},
		"lists shared, each frozen once": {nested(60, twiceInList), true},
		"methods of shared tuples":       {starlark.NewBuiltin("m", nil).BindReceiver(nested(60, twice)), false},
	} {
		at, problem := CheckFreezable(starlark.StringDict{"a": starlark.None, "x": tt.value})
		switch {
		case tt.ok && problem != nil:
			t.Errorf("%s: got %v, want none", name, problem)
		case !tt.ok && (problem == nil || at != "x"):
			t.Errorf("%s: got %v at %q, want a problem at x", name, problem, at)
		}
	}
}
