package perago

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// hosted is a task whose body is the line, with functions of the host.
func hosted(t *testing.T, line string, builtins ...Builtin) *Task {
	t.Helper()
	file := filepath.Join(t.TempDir(), "task.star")
	text := "task(name = \"t\", owner_email = \"a@example.com\")\n\ndef run(params):\n    " + line + "\n"
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	task, err := Load(file, &LoadOptions{Builtins: builtins})
	if err != nil {
		t.Fatal(err)
	}
	return task
}

// A function of the host is the same in a process of the body's own and in this one.
func TestBuiltinsOfTheHost(t *testing.T) {
	echo := Builtin{Name: "echo", Params: []Param{{Name: "value", Type: "any", Default: "None"}, {Name: "n", Type: "int", Default: "7"}},
		Call: func(_ context.Context, args map[string]any) (any, error) {
			if args["n"] == int64(0) {
				return strings.Repeat("x", 300<<10), nil
			}
			if args["n"] == int64(1) {
				panic("the host's own fault")
			}
			return fmt.Sprintf("%T %v", args["value"], args["n"]), nil
		}}
	for _, c := range []struct{ line, want string }{
		{`return {"x": [echo(1), echo(1.0), echo("a", 3), echo(), echo([1]), echo({"k": None}), echo(value = True, n = -1)]}`,
			`{"x":["int64 7","float64 7","string 3","<nil> 7","[]interface {} 7","map[string]interface {} 7","bool -1"]}`},
		{`return {"x": [catch(echo, [list(range(1000))] * i).ok for i in (1, 50, 100)]}`, `{"x":[true,true,false]}`},
		{`return {"x": catch(echo, n = "7").error}`, `{"x":"echo: n: got string, want int"}`},
		{`return {"x": catch(echo, n = 0).error}`, `{"x":"echo: its result has 300 KiB of JSON, at most 256 fit"}`},
		{`return {"x": catch(echo, n = 1).error}`, `{"x":"echo: it panicked: the host's own fault"}`},
		{`return {"x": catch(echo, len).error}`, `{"x":"echo: /value: got the function len, want a value that JSON can hold"}`},
		{`return {"x": echo("<" * (255 << 10))}`, `{"x":"string 7"}`},
		{`return {"x": "256 KiB" in catch(echo, "x" * (256 << 10)).error}`, `{"x":true}`},
	} {
		for _, mode := range []Mode{Process, Thread} {
			res, err := hosted(t, c.line, echo).Run(t.Context(), nil, &RunOptions{Mode: mode})
			if got := string(res.Value); err != nil || got != c.want {
				t.Errorf("%s in mode %q\ngot  %s, %v\nwant %s", c.line, mode, got, err, c.want)
			}
		}
	}
}

func TestBuiltinEndsWithItsAttempt(t *testing.T) {
	for _, mode := range []Mode{Process, Thread} {
		ctx, end := context.WithCancelCause(t.Context())
		wait := Builtin{Name: "wait", Call: func(ctx context.Context, _ map[string]any) (any, error) {
			end(errors.New("the host has had enough"))
			<-ctx.Done()
			return nil, ctx.Err()
		}}
		_, err := hosted(t, "return {\"x\": wait()}", wait).Run(ctx, nil, &RunOptions{Mode: mode})
		if err == nil || !strings.Contains(err.Error(), "the host has had enough") {
			t.Errorf("mode %q: got %v, want the cause of the cancel", mode, err)
		}
	}
}

func TestBuiltinsAreLinted(t *testing.T) {
	one := Builtin{Name: "shop.price", Params: []Param{{Name: "song", Type: "string"}}, Returns: "float",
		Call: func(context.Context, map[string]any) (any, error) { return 1, nil }}
	for _, c := range []struct{ line, want string }{
		{`return {"x": shop.price("So What") + 1}`, ""},
		{`return {"x": shop.prize("So What")}`, "P5016"},
		{`return {"x": shop.price("So What") + "EUR"}`, "P5019"},
		{`return {"x": shop.price(song = "So What", currency = "EUR")}`, "P5018"},
	} {
		var codes []string
		for _, d := range hosted(t, c.line, one).Lint() {
			codes = append(codes, string(d.Code))
		}
		if got := strings.Join(codes, " "); got != c.want {
			t.Errorf("%s: got %q, want %q", c.line, got, c.want)
		}
	}
	if _, err := Load("testdata/embedding/priced.star", &LoadOptions{}); err == nil {
		t.Error("a file was loaded that calls what nobody gave it")
	}
}

func TestRefusedBuiltins(t *testing.T) {
	call := func(context.Context, map[string]any) (any, error) { return nil, nil }
	for _, c := range []struct {
		want     string
		builtins []Builtin
	}{
		{"builtin x: it has no Call", []Builtin{{Name: "x"}}},
		{`builtin "a b": want a name, as in lookup or catalog.lookup`, []Builtin{{Name: "a b", Call: call}}},
		{`builtin "a.b.c": want a name, as in lookup or catalog.lookup`, []Builtin{{Name: "a.b.c", Call: call}}},
		{"builtin csv.extra: the language has a csv of its own", []Builtin{{Name: "csv.extra", Call: call}}},
		{"builtin len: the language has a len of its own", []Builtin{{Name: "len", Call: call}}},
		{"builtin x: there are two", []Builtin{{Name: "x", Call: call}, {Name: "x", Call: call}}},
		{`builtin x: parameter "if": want a name, given by position or by keyword`, []Builtin{{Name: "x", Call: call, Params: []Param{{Name: "if"}}}}},
		{"builtin x: the default of a: got the function len, want a value that JSON can hold", []Builtin{{Name: "x", Call: call, Params: []Param{{Name: "a", Default: "len"}}}}},
	} {
		if _, err := Load("testdata/embedding/count.star", &LoadOptions{Builtins: c.builtins}); err == nil || err.Error() != c.want {
			t.Errorf("got  %v\nwant %s", err, c.want)
		}
	}
}
