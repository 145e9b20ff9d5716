package starlib

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"strings"
	"testing"
)

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
		_, list, err := task.CheckParamsWithin(Within{Context: ctx}, []byte(c[1]))
		if list != nil || !errors.Is(err, why) {
			t.Errorf("%s: got %v, %v, want the cause", name, list, err)
		}
	}
}

// The same where only the decoding is through: what is cancelled is the walk.
func TestWalkEndsWithItsContext(t *testing.T) {
	why := errors.New("enough")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(why)
	for name, c := range costlyValues() {
		task := paramsTask(t, c[0])
		tree, err := decodeJSON([]byte(c[1]))
		if err != nil {
			t.Fatal(err)
		}
		x := &inspection{validator: task.Params.validator(false), within: Within{Context: ctx}}
		x.check(tree, "params")
		if !errors.Is(x.err, why) {
			t.Errorf("%s: got %v, want the cause", name, x.err)
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
		tree, err := decodeJSON([]byte(c[1]))
		if err != nil {
			t.Fatal(err)
		}
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		list := (&inspection{validator: task.Params.validator(false)}).check(tree, "params").diagnostics()
		runtime.ReadMemStats(&after)
		if got := after.TotalAlloc - before.TotalAlloc; len(list) != maxComplaints+1 || got > 24<<20 {
			t.Errorf("%s: got %d diagnostics and %d bytes, want %d and at most 24 MiB", name, len(list), got, maxComplaints+1)
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
		_, _, err := task.CheckParamsWithin(Within{Memory: 16 << 20}, raw)
		runtime.ReadMemStats(&after)
		var large *TooLargeError
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

func TestCheckObject(t *testing.T) {
	for raw, want := range map[string]string{
		`{"a": [1, -2.5e3, "x", null, true, {}]}`: "",
		``: "not an object", `[]`: "not an object", `null`: "not an object", `{"a": 1`: "unexpected end of text in an object, want `,` or `}` at byte 7",
		`{} {}`: "unexpected '{' after the value at byte 3", `{"a": 1e999}`: "a number beyond the range of a float at byte 6",
		"{\"a\": \"\xff\"}": "a string that is not UTF-8 at byte 7", strings.Repeat(`{"a":`, 201) + "1" + strings.Repeat("}", 201): "arrays and objects nested deeper than 200 at byte 1000",
	} {
		got := ""
		if err := CheckObject([]byte(raw)); err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%.40s: got %q, want %q", raw, got, want)
		}
	}
}
