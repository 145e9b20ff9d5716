package module_test

import (
	"encoding/json"
	"testing"

	"perago/engine"
	"perago/engine/module"
	"perago/starlib"
)

// TestFloatsAsPython: floats of a loaded file, printed and in results
// are written as Python writes them.
func TestFloatsAsPython(t *testing.T) {
	writeFiles(t, map[string]string{
		"task.star": `load("lib.star", "LARGE", "text")
task(name = "a")

def run(params):
    print(1234567.5, 1000000.0, [0.0001, 0.00001], (1e15, 1e16), {"x": LARGE}, -0.0)
    return {"a": 1234567.5, "b": [1e6, 1e-4, 1e-5, LARGE, 1e16, -0.0, 0.1 + 0.2], "text": text(), "str": str(1e6)}
`,
		"lib.star": "LARGE = 123456789012345.0\n\ndef text():\n    return \"%s %r\" % (LARGE, [1e6]) + str(2.5e-5) + \" {}\".format(1e15)\n",
	})
	m, list := module.Load("task.star", nil)
	if m == nil {
		t.Fatal(list)
	}
	params, _ := m.Task.CheckParams(json.RawMessage(`{}`))
	var said []string
	out, _, err := engine.InProcess{}.Run(t.Context(), m, engine.Call{Params: params, Log: func(r starlib.Record) {
		said = append(said, r.Message)
	}})
	const want = `{"a":1234567.5,"b":[1000000.0,0.0001,1e-05,123456789012345.0,1e+16,-0.0,0.30000000000000004],` +
		`"text":"123456789012345.0 [1000000.0]2.5e-05 1000000000000000.0","str":"1000000.0"}`
	if err != nil || string(out) != want {
		t.Errorf("got  %s, %v\nwant %s", out, err, want)
	}
	const printed = `1234567.5 1000000.0 [0.0001, 1e-05] (1000000000000000.0, 1e+16) {"x": 123456789012345.0} -0.0`
	if len(said) != 1 || said[0] != printed {
		t.Errorf("got  %q\nwant %q", said, printed)
	}
}
