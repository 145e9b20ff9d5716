package logs

import (
	"encoding/json"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"testing"

	"perago/engine/module"
	"perago/starlib/diag"
)

func TestRedactor(t *testing.T) {
	long := strings.Repeat("é1", 60)
	token := "sk_live_0123456789abcdefghijklmnop"
	r := NewRedactor(slices.Values([]string{"abc", "abcdef", "two\n\"lines\"", `two\n\"lines\"`, long, token, "7", "98765.5"}))
	for in, want := range map[string]string{
		"abcdef and abc":            "*** and ***",
		`got "two\n\"lines\""`:      `got "***"`,
		"got two\n\"lines\"":        "got ***",
		"cut: " + long[:79]:         "cut: ***",
		token[10:20]:                "***",
		"…" + token[12:20] + "…":    "…***…",
		token[12:19]:                token[12:19], // 7 of it show nothing
		token[:6] + "…":             "***…",
		`"` + token[:6] + `"…`:      `"***"…`,
		"…" + token[28:]:            "…***",
		token[:4] + " " + token[:4]: token[:4] + " " + token[:4],
		"abcde…":                    "***…",
		"ab…":                       "***…",
		"n = 7, of 17 or 7x":        "n = ***, of 17 or 7x",
		"price 98765.5€":            "price ***€",
		"nothing":                   "nothing",
		"":                          "",
		"é" + long[1:30] + "é":      "***",
	} {
		if got := r.Text(in); got != want {
			t.Errorf("text(%q) = %q, want %q", in, got, want)
		}
	}
	d := r.List(diag.List{{File: "abc.star", Message: "abc", Found: "abc", Wanted: "abc", Hint: "abc"}})[0]
	if d.File != "abc.star" || d.Message+d.Found+d.Wanted+d.Hint != strings.Repeat("***", 4) {
		t.Errorf("list: %+v", d)
	}
	for _, tt := range []struct{ in, want any }{
		{int64(7), "***"}, {int64(17), int64(17)}, {7.0, "***"}, {98765.5, "***"}, {"abc", "***"}, {true, true}, {nil, nil},
		{[]any{"abc", 1.5, map[string]any{"abc": 7.0}}, []any{"***", 1.5, map[string]any{"***": "***"}}},
	} {
		got, err := json.Marshal(r.Value(slog.AnyValue(tt.in)).Any())
		want, _ := json.Marshal(tt.want)
		if err != nil || string(got) != string(want) {
			t.Errorf("value(%v) = %s, want %s", tt.in, got, want)
		}
	}
	if none := NewRedactor(slices.Values([]string{})); none != nil || none.Text("abc") != "abc" || none.number("7") {
		t.Error("a Redactor without secrets hides something")
	}
}

// The set stays within its bound however much is secret, and still hides.
func TestRedactorOfMegabytes(t *testing.T) {
	var b strings.Builder
	for i := 0; b.Len() < 2<<20; i++ {
		b.WriteString(strconv.FormatUint(uint64(i)*0x9e3779b97f4a7c15, 36))
	}
	secret := b.String()
	r := NewRedactor(slices.Values([]string{secret}))
	if len(r.bits)*64 > mostBits {
		t.Errorf("%d bits, at most %d are allowed", len(r.bits)*64, mostBits)
	}
	if got := r.Text("at " + secret[1<<20:1<<20+8] + " of it"); got != "at *** of it" {
		t.Errorf("got %q", got)
	}
	ordinary := strings.Repeat("The quick brown fox jumps over the lazy dog. ", 100)
	if got := r.Text(ordinary); got != ordinary {
		t.Errorf("of ordinary text is hidden: %d marks", strings.Count(got, mask))
	}
}

// leaks is a part of a secret that a text shows, "" when there is none.
func leaks(text, secret string) string {
	if len(secret) < window && len(secret) > wholeWordMax {
		if strings.Contains(text, secret) && !strings.Contains(mask, secret) {
			return secret
		}
		return ""
	}
	for i := 0; i+window <= len(secret); i++ {
		if part := secret[i : i+window]; strings.Contains(text, part) {
			return part
		}
	}
	return ""
}

// shown is text of at most n characters.
func shown(text string, n int) string {
	if runes := []rune(text); len(runes) > n {
		return string(runes[:n-1]) + "…"
	}
	return text
}

// FuzzRedactor: whatever the secrets, in whatever form and place they stand, and
// wherever a text is cut, before and behind: no 8 bytes of a secret in a row.
func FuzzRedactor(f *testing.F) {
	f.Add("hush-hush", "p4ss", "said %s and %s", uint16(3), uint16(7), uint8(0))
	f.Add("sk_live_0123456789abcdef", "***", "%s%s", uint16(0), uint16(40), uint8(1))
	f.Add("häß\nlich\"\\***********", "********", "x%s…%s", uint16(1), uint16(9), uint8(2))
	f.Add("aaaa***bbbb", "ccccdddd", "aaaaccccddddbbbb %[1]s %s", uint16(0), uint16(0), uint8(3))
	f.Fuzz(func(t *testing.T, one, two, around string, from, to uint16, form uint8) {
		one, two, around = strings.ToValidUTF8(one, "?"), strings.ToValidUTF8(two, "?"), strings.ToValidUTF8(around, "?")
		params, err := json.Marshal(map[string]any{"a": one, "b": map[string]string{two: "x"}})
		if err != nil {
			t.Fatal(err)
		}
		m, list := module.Again("t.star", map[string][]byte{"t.star": []byte(`task(name = "t", params = schema(a = field(str, secret = True), b = field(dict, secret = True)))
def run(params):
    return {}
`)}, module.Options{Root: "."})
		if m == nil {
			t.Fatal(list)
		}
		p, list := m.Task.CheckParams(params)
		if list != nil {
			t.Skip()
		}
		quote := []func(string) string{
			func(s string) string { return s }, strconv.Quote, strconv.QuoteToASCII,
			func(s string) string { raw, _ := json.Marshal(s); return string(raw) },
			func(s string) string { return strconv.Quote(strconv.Quote(s)) },
		}[form%5]
		text := strings.NewReplacer("%s", quote(one), "%t", quote(two)).Replace(around) + quote(two) + quote(one)
		a, b := int(from)%(len(text)+1), int(to)%(len(text)+1)
		if a > b {
			a, b = b, a
		}
		r := NewRedactor(p.Secrets())
		for _, text := range []string{text, text[a:b], text[:b] + "…", "…" + text[a:], shown(text, a+1), diag.ShortenBytes(text, a+4)} {
			clean := r.Text(text)
			for _, secret := range []string{one, two} {
				if part := leaks(clean, secret); part != "" {
					t.Errorf("%q of %q is shown: %q became %q", part, secret, text, clean)
				}
			}
			if again := r.Text(clean); again != clean {
				t.Errorf("%q is hidden further: %q", clean, again)
			}
			for key, item := range r.any(map[string]any{text: []any{text}}).(map[string]any) {
				for _, got := range []string{key, item.([]any)[0].(string)} { // each by itself: a mark and the syntax around it may spell a short secret
					if part := leaks(got, one) + leaks(got, two); part != "" {
						t.Errorf("%q is shown in a value: %q", part, got)
					}
				}
			}
		}
	})
}

func BenchmarkRedactor(b *testing.B) {
	line := strings.Repeat("rows read from raw/2024/06/part-00017.csv ", 4)
	for name, r := range map[string]*Redactor{"none": nil, "one": NewRedactor(slices.Values([]string{"sk_live_0123456789abcdefghijklmnop"}))} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(line)))
			for b.Loop() {
				r.Text(line)
			}
		})
	}
}
