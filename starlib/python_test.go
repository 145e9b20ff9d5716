package starlib_test

import (
	"encoding/json"
	"math"
	"os"
	"testing"

	"go.starlark.net/starlark"
	"go.starlark.net/syntax"

	"perago/starlib"
)

// What Python and NumPy gave for the same calls is recorded in
// testdata/python, with the script that asked them. Only the edges of a
// histogram may differ in the last place: NumPy rounds them otherwise.
func TestAgreesWithPython(t *testing.T) {
	data, err := os.ReadFile("testdata/python/recorded.json")
	if err != nil {
		t.Fatal(err)
	}
	var recorded struct{ Rows [][2]string }
	if err := json.Unmarshal(data, &recorded); err != nil {
		t.Fatal(err)
	}
	if len(recorded.Rows) < 600 {
		t.Fatalf("got %d rows, want 600 or more", len(recorded.Rows))
	}
	names := starlib.Predeclared()
	eval := func(expression string) starlark.Value {
		v, err := starlark.EvalOptions(&syntax.FileOptions{Set: true}, new(starlark.Thread), "row", expression, names)
		if err != nil {
			t.Errorf("%s\ngot error %v", expression, err)
		}
		return v
	}
	for _, row := range recorded.Rows {
		got, want := eval(row[0]), eval(row[1])
		if got != nil && want != nil && !sameValue(got, want) {
			t.Errorf("%s\ngot  %v\nwant %v", row[0], got, want)
		}
	}
}

// sameValue says whether two values are equal and of one type, floats within
// one unit in the last place.
func sameValue(x, y starlark.Value) bool {
	switch x := x.(type) {
	case *starlark.List:
		y, ok := y.(*starlark.List)
		if !ok || x.Len() != y.Len() {
			return false
		}
		for i := range x.Len() {
			if !sameValue(x.Index(i), y.Index(i)) {
				return false
			}
		}
		return true
	case starlark.Float:
		y, ok := y.(starlark.Float)
		a, b := float64(x), float64(y)
		return ok && (a == b && math.Signbit(a) == math.Signbit(b) || math.Nextafter(a, b) == b)
	}
	equal, err := starlark.Equal(x, y)
	return err == nil && equal && x.Type() == y.Type()
}
