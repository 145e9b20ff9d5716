package isolate

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"perago/engine"
	"perago/starlib"
	"perago/starlib/diag"
)

// hostileArgument starts the test binary as a child that was taken over: it
// speaks the protocol as far as it likes to.
const hostileArgument = "__hostile"

// intruder is the child's end of the protocol in the wrong hands.
type intruder struct {
	*conn
	note *os.File
}

// raw sends a frame that conn.send would refuse to.
func (i intruder) raw(k byte, announced uint32, body string) {
	b := make([]byte, headerSize)
	binary.LittleEndian.PutUint32(b, announced)
	b[4] = k
	i.sock.Write(append(b, body...))
}

// say sends a frame of any payload.
func (i intruder) say(k kind, body string) { i.raw(byte(k), uint32(len(body)), body) }

// obey does what a good child does until its body is to run.
func (i intruder) obey() {
	i.send(kindReady, readyMessage{Version: protocolVersion}, nil)
	i.receive(anyKind)
	i.send(kindLoaded, loadedMessage{}, nil)
	i.receive(anyKind)
}

const aUsage = `{"Usage":{"Steps":1,"PeakBytes":0}}`

// tricks are what intruders do, before their process ends, and the code of the
// failed attempt that becomes of it; "" is a child that could not be started.
func tricks() map[string]struct {
	do   func(intruder)
	code diag.Code
} {
	type trick = struct {
		do   func(intruder)
		code diag.Code
	}
	running := func(code diag.Code, do func(intruder)) trick {
		return trick{func(i intruder) { i.obey(); do(i) }, code}
	}
	saying := func(k kind, body string) trick { return running("P4012", func(i intruder) { i.say(k, body) }) }
	returning := func(result string) trick {
		return running("P4012", func(i intruder) { i.say(kindResult, result); i.say(kindDone, aUsage) })
	}
	forever := func(i intruder) { io.Copy(io.Discard, i.sock) }
	return map[string]trick{
		"nothing at all":       {func(intruder) {}, ""},
		"garbage at once":      {func(i intruder) { i.sock.Write([]byte("GET / HTTP/1.1\r\n\r\n")) }, ""},
		"another version":      {func(i intruder) { i.send(kindReady, readyMessage{Version: 99}, nil) }, ""},
		"ready twice":          {func(i intruder) { i.say(kindReady, `{"Version":1}`); i.say(kindReady, `{"Version":1}`) }, ""},
		"done before it began": {func(i intruder) { i.say(kindDone, aUsage) }, ""},
		"many layers":          {func(i intruder) { i.say(kindReady, `{"Version":1,"Layers":[`+strings.Repeat(`{},`, 200)+`{}]}`) }, ""},
		"will not load": {func(i intruder) {
			i.send(kindReady, readyMessage{Version: protocolVersion}, nil)
			i.receive(anyKind)
			i.say(kindLoaded, `{"Problems":[null]}`)
		}, ""},

		"a layer is missing": {func(i intruder) {
			i.send(kindReady, readyMessage{Version: protocolVersion, Layers: []Layer{{Name: "no files (Landlock)", Why: "no such call"}}}, nil)
			i.receive(anyKind)
			i.send(kindLoaded, loadedMessage{}, nil)
			i.receive(anyKind)
		}, "P4010"},

		"hangs up": running("P4010", func(intruder) {}),
		"killed":   running("P4010", func(intruder) { syscall.Kill(os.Getpid(), syscall.SIGKILL) }),
		"segfault": running("P4010", func(intruder) { syscall.Kill(os.Getpid(), syscall.SIGSEGV) }),
		"exit 0":   running("P4010", func(intruder) { os.Exit(0) }),
		"stack": running("P4011", func(intruder) {
			fmt.Fprintln(os.Stderr, "runtime: goroutine stack exceeds 1000-byte limit")
			os.Exit(2)
		}),
		"loud":                   running("P4010", func(intruder) { io.CopyN(os.Stderr, zeros{}, 64<<20); os.Exit(1) }),
		"dies in a header":       running("P4010", func(i intruder) { i.sock.Write([]byte{1, 0, 0}) }),
		"dies in a payload":      running("P4010", func(i intruder) { i.raw(byte(kindDone), 1000, `{"Usage":`) }),
		"announces 4 GiB":        running("P4012", func(i intruder) { i.raw(byte(kindDone), 1<<32-1, "") }),
		"a kind of the worker's": saying(kindReply, `{}`),
		"no kind":                saying(0, `{}`),
		"counts, unasked":        saying(kindCounts, "1234"),
		"the program, uncalled":  saying(kindHost, `{"ID":1,"Op":"host","Path":"=shop.price","Args":{"song":"a"}}`),
		"the program, as a file": saying(kindHost, `{"ID":1,"Op":"stat","Path":"="}`),
		"ready again":            saying(kindReady, `{"Version":1}`),
		"loaded again":           saying(kindLoaded, `{}`),
		"garbage":                saying(kindDone, "\x00\xff\x00\xff"),
		"two values":             saying(kindDone, aUsage+aUsage),
		"another shape":          saying(kindDone, `{"Usage":[1,2]}`),
		"no outcome":             saying(kindDone, `{}`),
		"null":                   saying(kindDone, `null`),
		"deep result":            returning(strings.Repeat("[", 5000) + strings.Repeat("]", 5000)),
		"no JSON":                returning(`{"n":1`),
		"large result":           saying(kindResult, `"`+strings.Repeat("a", engine.MaxResultBytes)+`"`),
		"two results":            running("P4012", func(i intruder) { i.say(kindResult, `{}`); i.say(kindResult, `{}`); i.say(kindDone, aUsage) }),
		"no diagnostic":          saying(kindDone, `{"Diagnostics":[null]}`),
		"a strange code":         saying(kindDone, `{"Diagnostics":[{"code":"<b>","severity":"error","message":"x"}]}`),
		"a strange severity":     saying(kindDone, `{"Diagnostics":[{"code":"P4001","severity":"fun","message":"x"}]}`),
		"cancelled by nobody":    saying(kindDone, `{"Cancelled":true}`),
		"many diagnostics": running("P4200", func(i intruder) {
			i.say(kindDone, `{"Diagnostics":[`+strings.Repeat(`{"code":"P4200","severity":"error","message":"x"},`, 5000)+`{"code":"P4200","severity":"error","message":"x"}]}`)
			forever(i)
		}),
		"a limit that is none": saying(kindPassed, `{"code":"nonsense"}`),
		"a limit, then silence": running("P4001", func(i intruder) {
			i.say(kindPassed, `{"code":"P4001","limit":"steps","found":"2","wanted":"1","hint":""}`)
			forever(i)
		}),
		"an unknown request":    saying(kindCall, `{"ID":1,"Op":"exec","Path":"=x"}`),
		"a request upwards":     saying(kindCall, `{"ID":1,"Op":"open","Path":"=../secret"}`),
		"an absolute request":   saying(kindCall, `{"ID":1,"Op":"open","Path":"=/etc/passwd"}`),
		"a request of no name":  saying(kindCall, `{"ID":1,"Op":"open","Path":"="}`),
		"a NUL in a name":       saying(kindCall, `{"ID":1,"Op":"create","Path":"~YQBi"}`),
		"a request for nobody":  saying(kindCall, `{"ID":1,"Op":"stat","Path":"=x"}`),
		"a record that is none": saying(kindRecord, `[]`),
		"a flood of records": running("P4012", func(i intruder) {
			for i.send(kindRecord, recordMessage{Message: "x"}, nil) == nil {
			}
		}),
		"long records": running("P4012", func(i intruder) {
			for i.send(kindRecord, recordMessage{Message: strings.Repeat("x", 1<<19)}, nil) == nil {
			}
		}),
		"a flood of progress": running("P4012", func(i intruder) {
			for i.send(kindProgress, starlib.Progress{Done: 1}, nil) == nil {
			}
		}),
		"a scribbled note": running("P4010", func(i intruder) {
			i.note.WriteAt(bytes.Repeat([]byte{0xff}, noteSize), 0)
			i.note.Truncate(0)
		}),
		"files for the worker": running("P4010", func(i intruder) {
			for range 100 {
				i.send(kindProgress, starlib.Progress{}, os.Stderr)
			}
		}),
	}
}

// zeros is an endless file of zeros.
type zeros struct{}

func (zeros) Read(b []byte) (int, error) { return len(b), nil }

// hostile is the life of an intruder.
func hostile(trick string) int {
	note := os.NewFile(noteFD, "note")
	c, err := newConn(os.NewFile(socketFD, "worker"), takeFiles)
	if err != nil {
		return 3
	}
	switch i := (intruder{c, note}); trick {
	case "deaf":
		deaf(i)
	case "liar":
		liar(i)
	default:
		tricks()[trick].do(i)
	}
	return 0
}

func intruded(t testing.TB, trick string) *Processes {
	t.Helper()
	path, err := executable()
	if err != nil {
		t.Fatal(err)
	}
	p := New(Options{Spares: -1, Grace: 50 * time.Millisecond, command: &command{path, []string{"perago", hostileArgument, trick}}})
	t.Cleanup(func() { p.Close() })
	return p
}

// Whatever a child does, its attempt fails in an ordinary way, and nothing of
// the child is left.
func TestIntruders(t *testing.T) {
	m := pure(t, "    return {}\n")
	before := openFiles(t)
	t.Run("trick", func(t *testing.T) { // ends when all have
		for name, trick := range tricks() {
			t.Run(name, func(t *testing.T) {
				t.Parallel()
				p := intruded(t, name)
				_, _, err := p.Run(t.Context(), m, silent(t, m, engine.Limits{}))
				var body *engine.BodyError
				switch {
				case err == nil:
					t.Fatal("got a result, want an error")
				case trick.code == "" && errors.As(err, &body):
					t.Errorf("got %v, want an error of the start", err)
				case trick.code != "" && !errors.As(err, &body):
					t.Fatalf("got %v, want a failed body", err)
				case trick.code != "" && body.Diagnostics[0].Code != trick.code:
					t.Errorf("got %v %v, want %s", body.Diagnostics[0].Code, err, trick.code)
				}
				if raw, err := json.Marshal(err.Error()); err != nil || len(raw) > 1<<20 {
					t.Errorf("the error has %d bytes", len(raw))
				}
			})
		}
	})
	if after := openFiles(t); after > before {
		t.Errorf("open files: got %d, want %d as before", after, before)
	}
	noChildren(t)
}

// noChildren fails when this process has a child left, a zombie included.
func noChildren(t testing.TB) {
	t.Helper()
	var status syscall.WaitStatus
	pid, err := syscall.Wait4(-1, &status, syscall.WNOHANG, nil)
	if !errors.Is(err, syscall.ECHILD) {
		t.Errorf("children are left: pid %d, %v", pid, err)
	}
}

// A child that never answers ends with its context, after the grace.
func TestSilentChildEndsWithItsContext(t *testing.T) {
	m := pure(t, "    for i in range(1 << 60):\n        pass\n    return {}\n")
	p := New(Options{Spares: -1, Grace: 50 * time.Millisecond})
	for _, stop := range []time.Duration{0, time.Millisecond, 20 * time.Millisecond} {
		ctx, cancel := contextWithin(t, stop)
		start := time.Now()
		_, _, err := p.Run(ctx, m, silent(t, m, engine.Limits{}))
		cancel()
		if !errors.Is(err, errStopped) {
			t.Errorf("after %v: got %v, want the cause of the context", stop, err)
		}
		if took := time.Since(start); took > 5*time.Second {
			t.Errorf("after %v: took %v", stop, took)
		}
	}
	p.Close()
	noChildren(t)
}
