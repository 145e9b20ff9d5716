package starlib_test

import (
	"encoding/json"
	"math"
	"os"
	"testing"

	"go.starlark.net/starlark"

	"perago/starlib"
	"perago/starlib/starlibtest"
)

// What Python, NumPy and mpmath gave for the same calls is recorded in
// testdata/python, with the scripts that asked them. Only the edges of a
// histogram may differ in the last place: NumPy rounds them otherwise.
func TestAgreesWithPython(t *testing.T) {
	names := starlib.Predeclared()
	for file, least := range map[string]int{"recorded.json": 600, "formats.json": 2000, "math.json": 2000} {
		data, err := os.ReadFile("testdata/python/" + file)
		if err != nil {
			t.Fatal(err)
		}
		var recorded struct{ Rows [][2]*string } // an expression and its value; null is an error
		if err := json.Unmarshal(data, &recorded); err != nil {
			t.Fatal(err)
		}
		if len(recorded.Rows) < least {
			t.Fatalf("%s: got %d rows, want %d or more", file, len(recorded.Rows), least)
		}
		for _, row := range recorded.Rows {
			got, err := evaluateRow(names, *row[0])
			if row[1] == nil {
				if err == nil {
					t.Errorf("%s\ngot  %v\nwant an error", *row[0], got)
				}
				continue
			}
			want, wantErr := evaluateRow(names, *row[1])
			if err != nil || wantErr != nil {
				t.Errorf("%s\ngot  error %v\nwant %s %v", *row[0], err, *row[1], wantErr)
			} else if !sameValue(got, want) {
				t.Errorf("%s\ngot  %v\nwant %v", *row[0], got, want)
			}
		}
	}
}

// evaluateRow is the value of an expression of a task file.
func evaluateRow(names starlark.StringDict, expression string) (starlark.Value, error) {
	globals, err := starlibtest.Exec(new(starlark.Thread), "row", "x = "+expression, names)
	return globals["x"], err
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
		return ok && (a != a && b != b || a == b && math.Signbit(a) == math.Signbit(b) || math.Nextafter(a, b) == b && a != b)
	}
	equal, err := starlark.Equal(x, y)
	return err == nil && equal && x.Type() == y.Type()
}
