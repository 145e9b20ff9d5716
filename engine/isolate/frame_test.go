package isolate

import (
	"bytes"
	"encoding/binary"
	"errors"
	"io"
	"io/fs"
	"os"
	"reflect"
	"strings"
	"testing"

	"perago/workspace/glob"
)

// pair is both ends of a connection: the worker's, and the child's, which takes files.
func pair(t testing.TB) (worker, child *conn) {
	t.Helper()
	a, b, err := socketPair()
	if err != nil {
		t.Fatal(err)
	}
	if worker, err = newConn(a, noFiles); err != nil {
		t.Fatal(err)
	}
	if child, err = newConn(b, takeFiles); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { worker.sock.Close(); child.sock.Close() })
	return worker, child
}

func anyKind(kind) bool { return true }

func TestFrameArrivesWithItsFile(t *testing.T) {
	worker, child := pair(t)
	file, err := os.Open("frame_test.go")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	long := string(bytes.Repeat([]byte("x"), 1<<20)) // more than the socket holds: sent in parts
	sent := make(chan error, 1)
	go func() {
		sent <- errors.Join(worker.send(kindReply, replyMessage{ID: 1, Error: &fileError{Text: long}}, file),
			worker.send(kindReply, replyMessage{ID: 2}, nil))
	}()
	_, payload, got, err := child.receive(anyKind)
	if err != nil {
		t.Fatal(err)
	}
	if got == nil {
		t.Fatal("no file came with the first frame")
	}
	defer got.Close()
	var m replyMessage
	if err := decode(payload, &m); err != nil || m.Error.Text != long {
		t.Errorf("first frame: %v, %d bytes of text", err, len(m.Error.Text))
	}
	if head, err := io.ReadAll(io.LimitReader(got, 7)); string(head) != "package" {
		t.Errorf("the file's content: got %q, %v", head, err)
	}
	if _, _, got, err := child.receive(anyKind); err != nil || got != nil {
		t.Errorf("second frame: file %v, error %v; want neither", got, err)
	}
	if err := <-sent; err != nil {
		t.Error(err)
	}
}

// The worker never takes a file from a child.
func TestWorkerDropsFiles(t *testing.T) {
	worker, child := pair(t)
	file, err := os.Open("frame_test.go")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if err := child.send(kindProgress, struct{}{}, file); err != nil {
		t.Fatal(err)
	}
	before := openFiles(t)
	if _, _, got, err := worker.receive(anyKind); err != nil || got != nil {
		t.Errorf("got file %v, error %v; want neither", got, err)
	}
	if after := openFiles(t); after != before {
		t.Errorf("open files: got %d, want %d as before", after, before)
	}
}

// openFiles counts the descriptors of this process.
func openFiles(t testing.TB) int {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}

func TestFrameRefused(t *testing.T) {
	frame := func(k kind, size uint32, body string) []byte {
		b := make([]byte, headerSize)
		binary.LittleEndian.PutUint32(b, size)
		b[4] = byte(k)
		return append(b, body...)
	}
	cases := []struct {
		name string
		sent []byte
		want error
	}{
		{"nothing", nil, io.EOF},
		{"part of a header", []byte{1, 2}, errProtocol},
		{"a kind of the other end", frame(kindLoad, 2, "{}"), errProtocol},
		{"no kind", frame(0, 2, "{}"), errProtocol},
		{"unknown kind", frame(99, 2, "{}"), errProtocol},
		{"announces too much", frame(kindCall, 1<<31, "{}"), errProtocol},
		{"one byte too much", frame(kindProgress, uint32(kindProgress.most())+1, "{}"), errProtocol},
		{"ends in the middle", frame(kindCall, 100, "{}"), errProtocol},
	}
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			worker, child := pair(t)
			if _, err := child.sock.Write(c.sent); err != nil {
				t.Fatal(err)
			}
			child.sock.Close()
			if _, _, _, err := worker.receive(kind.fromChild); !errors.Is(err, c.want) {
				t.Errorf("got %v, want %v", err, c.want)
			}
		})
	}
}

func TestDecodeRefused(t *testing.T) {
	for _, payload := range []string{"", "[", "{} {}", `[]`, `{"ID":-1}`, `{"Path":"x"}`, `{"Path":"~%"}`, "nul"} {
		var m callMessage
		if err := decode([]byte(payload), &m); !errors.Is(err, errProtocol) {
			t.Errorf("decode %q: got %v, want a broken protocol", payload, err)
		}
	}
}

func TestTextKeepsItsBytes(t *testing.T) {
	for _, s := range []text{"", "a/b", "=x", "~x", "\xff\xfe", "naïve", "a\x00b", "\u2028<&>"} {
		raw, err := s.MarshalText()
		if err != nil {
			t.Fatal(err)
		}
		var back text
		if err := back.UnmarshalText(raw); err != nil || back != s {
			t.Errorf("%q: got %q, %v", s, back, err)
		}
	}
}

func TestErrorsKeepTheirIdentity(t *testing.T) {
	path := &fs.PathError{Op: "open", Path: "raw/\xff", Err: fs.ErrNotExist}
	got := encodeError(path).err()
	var at *fs.PathError
	if !errors.As(got, &at) || at.Op != path.Op || at.Path != path.Path || !errors.Is(got, fs.ErrNotExist) {
		t.Errorf("got %#v, want %#v", got, path)
	}
	if got.Error() != path.Error() {
		t.Errorf("text: got %q, want %q", got, path)
	}
	for _, k := range errorKinds() {
		if got := encodeError(&fs.PathError{Op: "write", Path: "x", Err: k.err}).err(); !errors.Is(got, k.err) {
			t.Errorf("%s: got %v, which is not it any more", k.name, got)
		}
	}
	_, bad := glob.Compile("a[")
	var pattern *glob.Error
	if got := encodeError(bad).err(); !errors.As(got, &pattern) || got.Error() != bad.Error() {
		t.Errorf("pattern: got %v, want %v", got, bad)
	}
	if encodeError(nil).err() != nil {
		t.Error("nil did not stay nil")
	}
}

// A field that says it is JSON is a value only where it can be one.
func TestFieldsOfJSON(t *testing.T) {
	deep := strings.Repeat("[", 201) + strings.Repeat("]", 201)
	for text, want := range map[string]any{`[1,"[["]`: []any{1.0, "[["}, `{"a":[]}`: map[string]any{"a": []any{}}, `[[[`: `[[[`, deep: deep} {
		if got := (fieldMessage{Kind: "json", Text: text}).value().Any(); !reflect.DeepEqual(got, want) {
			t.Errorf("%.20s: got %v, want %v", text, got, want)
		}
	}
}
