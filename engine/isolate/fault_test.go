package isolate

import (
	"errors"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"perago/engine"
	"perago/starlib"
	"perago/starlib/diag"
)

// A fault of perago's own in what it does for one body is that attempt's, and
// the worker goes on.
func TestFaultInTheFileServer(t *testing.T) {
	m := loaded(t, "task(name = \"t\", workspace = workspace_spec())\n\ndef run(workspace, params):\n    (workspace / \"a\").exists()\n    return {}\n")
	p := New(Options{Spares: -1})
	defer p.Close()
	call := silent(t, m, engine.Limits{})
	call.Files = &scriptedFiles{} // whose Stat panics
	_, _, err := p.Run(t.Context(), m, call)
	var fault *engine.PanicError
	if !errors.As(err, &fault) || !strings.Contains(fault.Stack, "isolate.(*server).answer") {
		t.Errorf("got %v, want the fault with its stack", err)
	}
}

// deaf is a child that never reads its parameters.
func deaf(i intruder) {
	i.send(kindReady, readyMessage{Version: protocolVersion}, nil)
	i.receive(anyKind)
	i.send(kindLoaded, loadedMessage{}, nil)
	for {
		syscall.Pause()
	}
}

// A child that does not read ends at the limit of time, also while the worker is
// still telling it the parameters.
func TestDeafChildEndsAtTheLimit(t *testing.T) {
	m := loaded(t, "task(name = \"t\", params = schema(text = str))\n\ndef run(params):\n    return {}\n")
	params, problems := m.Task.CheckParams([]byte(`{"text": "` + strings.Repeat("x", 4<<20) + `"}`))
	if problems != nil {
		t.Fatal(problems)
	}
	call := engine.Call{Params: params, Limits: engine.Limits{Wall: 10 * time.Millisecond}, Log: func(starlib.Record) {}}
	_, _, err := intruded(t, "deaf").Run(t.Context(), m, call)
	var body *engine.BodyError
	if !errors.As(err, &body) || body.Diagnostics[0].Code != "P4002" {
		t.Errorf("got %v, want the limit of seconds", err)
	}
}

// A message costs the worker what its values cost, not what a decoder would make
// of 2 MB of empty objects.
func TestManyValuesAreNotDecoded(t *testing.T) {
	for name, payload := range map[string]string{
		"diagnostics": `{"Diagnostics":[` + strings.Repeat(`{},`, 650_000) + `{}]}`,
		"frames":      `{"Diagnostics":[{"stack":[` + strings.Repeat(`{},`, 650_000) + `{}]}]}`,
	} {
		raw := []byte(payload)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		err := decode(raw, new(doneMessage))
		runtime.ReadMemStats(&after)
		if got := after.TotalAlloc - before.TotalAlloc; !errors.Is(err, errProtocol) || got > 1<<20 {
			t.Errorf("%s: got %v and %d bytes, want a broken protocol and less than 1 MiB", name, err, got)
		}
	}
}

// The most that a good child says of its body's end can be read.
func TestAllDiagnosticsCanBeRead(t *testing.T) {
	d := &diag.Diagnostic{Code: "P4200", Severity: diag.Error, Message: "x", File: "f", Line: 1, Column: 1, Source: "s", Found: "f", Wanted: "w", Hint: "h"}
	for range 3 * maxFrames {
		d.Stack = append(d.Stack, diag.Frame{File: "f", Line: 1, Column: 1, Function: "run"})
	}
	var list diag.List
	for range 2 * maxDiagnostics {
		list = append(list, d)
	}
	worker, child := pair(t)
	go child.send(kindDone, doneMessage{Diagnostics: bounded(list)}, nil)
	var done doneMessage
	if err := (&process{conn: worker}).expect(kindDone, &done); err != nil {
		t.Fatal(err)
	}
	if got := len(done.Diagnostics); got != maxDiagnostics {
		t.Errorf("got %d diagnostics, want %d", got, maxDiagnostics)
	}
}

// liar is a child that tells of lines of files that are not its module's.
func liar(i intruder) {
	i.obey()
	i.say(kindDone, `{"Diagnostics":[{"code":"P4200","severity":"error","message":"x","file":"/etc/passwd","line":1,"column":1,"source":"root:x",
		"stack":[{"file":"/etc/passwd","line":1,"column":1,"function":"run"},{"file":"/etc/shadow","line":2}]}]}`)
}

func TestDiagnosticsNameFilesOfTheModule(t *testing.T) {
	m := pure(t, "    return {}\n")
	_, _, err := intruded(t, "liar").Run(t.Context(), m, silent(t, m, engine.Limits{}))
	var body *engine.BodyError
	if !errors.As(err, &body) {
		t.Fatalf("got %v, want a failed body", err)
	}
	if d := body.Diagnostics[0]; d.File+d.Source != "" || d.Line != 0 || len(d.Stack) > 0 {
		t.Errorf("got %+v, want no place", d)
	}
	good := &session{module: m}
	d := &diag.Diagnostic{File: m.File, Line: 4, Column: 5, Source: "a line that the child made up"}
	if good.restrict(d); d.Source != "    return {}" || d.Line != 4 {
		t.Errorf("got %+v, want the module's own line", d)
	}
}
