package isolate

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"io"
	"path/filepath"
	"testing"

	"perago/engine"
	"perago/starlib"
	"perago/workspace"
	"perago/workspace/memory"
)

// frames is the bytes of some frames.
func frames(t testing.TB, messages ...any) []byte {
	t.Helper()
	var out []byte
	for i := 0; i < len(messages); i += 2 {
		body, plain := messages[i+1].(json.RawMessage)
		if !plain {
			var err error
			if body, err = json.Marshal(messages[i+1]); err != nil {
				t.Fatal(err)
			}
		}
		out = binary.LittleEndian.AppendUint32(out, uint32(len(body)))
		out = append(append(out, byte(messages[i].(kind))), body...)
	}
	return out
}

// starts is the frame that starts a body on params.
func starts(t testing.TB, params string) json.RawMessage {
	t.Helper()
	frame, err := runMessage{Workspace: true}.frame(json.RawMessage(params))
	if err != nil {
		t.Fatal(err)
	}
	return frame
}

// FuzzWorker: whatever a child says, the worker ends the session with an
// outcome or an error.
func FuzzWorker(f *testing.F) {
	f.Add([]byte(nil))
	f.Add(frames(f, kindRecord, recordMessage{Message: "x", Fields: []fieldMessage{{"a", "int", "1"}, {"b", "json", "[1]"}}},
		kindProgress, map[string]int{"Done": 1}, kindResult, json.RawMessage(`{"n":1}`), kindDone, json.RawMessage(aUsage)))
	f.Add(frames(f, kindCall, callMessage{ID: 1, Op: opCreate, Path: "out/a"}, kindCall, callMessage{ID: 2, Op: opCommit, Path: "out/a", Draft: 1},
		kindCall, callMessage{ID: 3, Op: opGlob, Other: "**"}, kindCall, callMessage{ID: 4, Op: opOpen, Path: "raw/a"}))
	f.Add(frames(f, kindCall, callMessage{ID: 1, Op: opCreate, Path: "out/b"}, kindCall, callMessage{ID: 1, Op: opCreate, Path: "out/b"},
		kindCall, callMessage{ID: 2, Op: opDiscard, Draft: 1}, kindCall, callMessage{ID: 3, Op: opRename, Path: "raw/a", Other: "raw/b"}))
	f.Add(frames(f, kindCall, callMessage{ID: 1, Op: opGlob, Other: "**"}, kindCall, callMessage{ID: 2, Op: opOpen, Path: "raw/a"},
		kindCall, callMessage{ID: 3, Op: opOpen, Path: "raw/b"}, kindCall, callMessage{ID: 4, Op: opMore, Used: []uint64{firstPushed, firstPushed, 1 << 62, 3}},
		kindCall, callMessage{ID: 4, Op: opMore}, kindCall, callMessage{Op: opUsed, Used: []uint64{firstPushed}}))
	f.Add(frames(f, kindPassed, engine.MemoryError(2, 1), kindDone, json.RawMessage(`{"Diagnostics":[{"code":"P4200","severity":"error","message":"x"},null]}`)))
	f.Add(frames(f, kindHost, callMessage{ID: 1, Op: opHost, Path: "price", Args: json.RawMessage(`{"song":"a"}`)},
		kindHost, callMessage{ID: 2, Op: opHost, Path: "price", Args: json.RawMessage(`{"song":1,"x":null}`)}, kindDone, json.RawMessage(aUsage)))
	price, err := starlib.HostBuiltin(starlib.Builtin{Name: "price", Params: []starlib.Param{{Name: "song", Type: "string"}}},
		func(_ context.Context, args json.RawMessage) (json.RawMessage, error) { return args, nil })
	if err != nil {
		f.Fatal(err)
	}
	store := memory.New(nil)
	store.CreateRepository("songs")
	commit, err := store.Seed("songs", "main", map[string]string{"raw/a": "a", "raw/b": "b", "raw/c": "c", "raw/d": "d"})
	if err != nil {
		f.Fatal(err)
	}
	m := pure(f, "    return {}\n")
	f.Fuzz(func(t *testing.T, said []byte) {
		worker, child := pair(t)
		overlay := workspace.NewOverlay(store, workspace.Ref{Repository: "songs", Commit: commit},
			workspace.OverlayOptions{Dir: filepath.Join(t.TempDir(), "files")})
		defer overlay.Close()
		ctx, cancel := context.WithCancel(t.Context())
		note, err := newNoteFile()
		if err != nil {
			t.Fatal(err)
		}
		defer note.Close()
		s := &session{child: &process{conn: worker, note: note, stderr: &headBuffer{}}, module: m, call: silent(t, m, engine.Limits{}),
			limit: make(chan struct{}), files: newServer(ctx, overlay, worker)}
		s.files.host = []starlib.Builtin{price}
		heard := make(chan struct{})
		go func() { // takes what is answered, so that no answer waits
			defer close(heard)
			io.Copy(io.Discard, child.sock)
		}()
		go func() {
			child.sock.Write(said)
			child.sock.CloseWrite()
		}()
		done, err := s.listen()
		cancel()
		s.files.close()
		worker.sock.Close()
		<-heard
		if err == nil {
			result, _, err := s.outcome(t.Context(), done)
			if (err == nil) != json.Valid(result) {
				t.Errorf("result %q, error %v", result, err)
			}
		} else if err = s.explain(t.Context(), err); err.Error() == "" {
			t.Error("an error without a word")
		}
	})
}

// FuzzChild: whatever the worker's end says, the child comes to an end.
func FuzzChild(f *testing.F) {
	source := []byte("task(name = \"t\", workspace = workspace_spec())\n\ndef run(workspace, params):\n    return {\"t\": (workspace / \"a\").read_text()}\n")
	load := loadMessage{File: "t.star", Root: ".", Sources: map[string][]byte{"t.star": source}}
	start := starts(f, `{}`)
	f.Add([]byte(nil))
	f.Add(frames(f, kindLoad, load, kindRun, start, kindReply, replyMessage{ID: 1, Error: &fileError{Text: "x"}}))
	f.Add(frames(f, kindLoad, load, kindRun, start, kindReply, replyMessage{ID: 1}, kindCancel, cancelMessage{}))
	list := load
	list.Sources = map[string][]byte{"t.star": []byte("task(name = \"t\", workspace = workspace_spec())\n\n" +
		"def run(workspace, params):\n    return {\"t\": [catch(p.read_text).error for p in workspace.glob(\"*\")]}\n")}
	f.Add(frames(f, kindLoad, list, kindRun, start, kindReply, replyMessage{ID: 1, Paths: []text{"a", "b", "c", "d", "e"}},
		kindReply, replyMessage{ID: 2}, kindReply, replyMessage{ID: 3}, kindReply, replyMessage{ID: 6, Error: &fileError{Text: "x"}},
		kindReply, replyMessage{ID: 5}, kindReply, replyMessage{ID: 4}, kindReply, replyMessage{ID: 4}))
	f.Add(frames(f, kindLoad, load, kindLoad, load))
	f.Add(frames(f, kindRun, start))
	f.Add(frames(f, kindLoad, load, kindRun, runMessage{}))
	f.Add(frames(f, kindLoad, load, kindRun, starts(f, `[]`)))
	f.Add(frames(f, kindLoad, load, kindRun, starts(f, `{`)))
	f.Fuzz(func(t *testing.T, said []byte) {
		worker, conn := pair(t)
		page := make([]byte, noteSize)
		c := &child{conn: conn, note: &note{page: page}, files: newProxy(conn)}
		heard := make(chan struct{})
		go func() {
			defer close(heard)
			io.Copy(io.Discard, worker.sock)
		}()
		go func() {
			worker.sock.Write(said)
			worker.sock.CloseWrite()
		}()
		c.listen()
		if c.cancel != nil {
			c.cancel(errAsked)
		}
		c.body.Wait()
		conn.sock.Close()
		<-heard
	})
}
