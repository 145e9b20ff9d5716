package secret_test

import (
	"bytes"
	"encoding/gob"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"perago/secret"
)

// A secret is not printed, wherever it stands and whatever prints it.
func TestIsNeverPrinted(t *testing.T) {
	const value = "hunter2"
	s := secret.New(value)
	type inner struct{ hidden secret.String }
	type config struct {
		Key     secret.String
		hidden  secret.String
		any     any
		inner   inner
		pointer *secret.String
		list    []secret.String
		table   map[string]secret.String
	}
	c := config{s, s, s, inner{s}, &s, []secret.String{s}, map[string]secret.String{"x": s}}
	var out bytes.Buffer
	for _, v := range []any{s, &s, c, &c, c.inner, c.list, c.table, []any{c, s}, map[string]any{"x": c}} {
		for _, flags := range []string{"", "+", "#", " ", "-20", "020", "# "} {
			for _, verb := range "vTtbcdoOqxXUeEfFgGspw!" {
				fmt.Fprintf(&out, "%"+flags+string(verb)+"\n", v)
			}
		}
		fmt.Fprint(&out, v)
		fmt.Fprintln(&out, v, fmt.Errorf("x: %v", v))
		for _, h := range []slog.Handler{slog.NewJSONHandler(&out, nil), slog.NewTextHandler(&out, nil)} {
			slog.New(h).With("a", v).WithGroup("g").Info("x", "v", v)
		}
		raw, _ := json.Marshal(v)
		out.Write(raw)
		raw, _ = xml.Marshal(v)
		out.Write(raw)
		gob.NewEncoder(&out).Encode(v)
	}
	text := strings.ToLower(out.String())
	for _, form := range []string{value, fmt.Sprintf("%x", value), fmt.Sprintf("% x", value), fmt.Sprint([]byte(value)), fmt.Sprintf("%U", []rune(value))} {
		if i := strings.Index(text, strings.ToLower(form)); i >= 0 {
			t.Errorf("%q is printed: %.200q", form, text[max(0, i-100):])
		}
	}
	if got := fmt.Sprintf("%v %+v %#v %s %q %d %x", s, s, s, s, s, s, s); got != strings.TrimSpace(strings.Repeat("(secret) ", 7)) {
		t.Errorf("got %s", got)
	}
	if got := s.Reveal(); got != value {
		t.Errorf("Reveal: got %q", got)
	}
	if empty := secret.New(""); !empty.Empty() || s.Empty() || empty.Reveal() != "" || empty.String() != "" {
		t.Errorf("an empty secret: got %v", empty)
	}
}
