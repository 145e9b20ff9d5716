package isolate

import (
	"context"
	"encoding/json"
	"errors"
	"strings"
	"testing"

	"perago/starlib"
)

// What calls of the program a child may make is decided in the worker: functions
// that there are, one at a time, with arguments that fit.
func TestCallsOfTheProgram(t *testing.T) {
	var called []string
	begun, end := make(chan struct{}), make(chan struct{})
	row, err := starlib.HostBuiltin(starlib.Builtin{Name: "shop.price", Params: []starlib.Param{{Name: "song", Type: "string"}}},
		func(_ context.Context, args json.RawMessage) (json.RawMessage, error) {
			called = append(called, string(args))
			if strings.Contains(string(args), "wait") {
				close(begun)
				<-end
			}
			return json.RawMessage(`2.5`), nil
		})
	if err != nil {
		t.Fatal(err)
	}
	worker, child := pair(t)
	s := newServer(t.Context(), nil, worker)
	s.host = []starlib.Builtin{row}
	defer s.close()
	call := func(k kind, body string) error { return s.handle(k, []byte(body)) }
	answer := func() (r replyMessage) {
		t.Helper()
		k, payload, _, err := child.receive(anyKind)
		if err != nil || k != kindReply || json.Unmarshal(payload, &r) != nil {
			t.Fatalf("got %d %s, %v, want a reply", k, payload, err)
		}
		return r
	}

	for _, broken := range []struct {
		k    kind
		body string
	}{
		{kindHost, `{"ID":1,"Op":"host","Path":"=shop.prices","Args":{}}`},
		{kindHost, `{"ID":1,"Op":"host","Args":{}}`},
		{kindHost, `{"ID":1,"Op":"stat","Path":"=a"}`},
		{kindCall, `{"ID":1,"Op":"host","Path":"=shop.price","Args":{"song":"a"}}`},
		{kindHost, `{"ID":1,"Op":"host","Path":"=shop.price","Args":{`},
	} {
		if err := call(broken.k, broken.body); !errors.Is(err, errProtocol) {
			t.Errorf("%s in a frame of kind %d: got %v, want a broken protocol", broken.body, broken.k, err)
		}
	}
	for _, args := range []string{`null`, `[]`, `"song"`, `{}`, `{"song":1}`, `{"song":null}`, `{"song":"a","more":1}`, `{"tune":"a"}`,
		`{"song":"a","song":"b","more":1}`, `{"song":` + strings.Repeat("[", 5000) + strings.Repeat("]", 5000) + `}`} {
		if err := call(kindHost, `{"ID":1,"Op":"host","Path":"=shop.price","Args":`+args+`}`); err != nil {
			t.Fatalf("%.80s: %v", args, err)
		}
		if r := answer(); r.Error == nil {
			t.Errorf("%.80s: got %s, want an error", args, r.Value)
		}
	}
	if err := call(kindHost, `{"ID":1,"Op":"host","Path":"=shop.price"}`); err != nil {
		t.Fatal(err)
	}
	if r := answer(); r.Error == nil {
		t.Error("a call without arguments was made")
	}
	if len(called) != 0 {
		t.Errorf("the function was called with %q", called)
	}

	waiting := `{"ID":2,"Op":"host","Path":"=shop.price","Args":{"song":"wait"}}`
	if err := call(kindHost, waiting); err != nil {
		t.Fatal(err)
	}
	<-begun
	if err := call(kindHost, waiting); !errors.Is(err, errProtocol) {
		t.Errorf("a second call at once: got %v, want a broken protocol", err)
	}
	close(end)
	if r := answer(); string(r.Value) != "2.5" || r.ID != 2 {
		t.Errorf("got %+v, want 2.5 for call 2", r)
	}
	if err := call(kindHost, `{"ID":3,"Op":"host","Path":"=shop.price","Args":{"song":"a"}}`); err != nil {
		t.Errorf("the next call: %v", err)
	}
	if r := answer(); string(r.Value) != "2.5" {
		t.Errorf("got %+v", r)
	}
}
