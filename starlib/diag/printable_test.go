package diag_test

import (
	"encoding/json"
	"strings"
	"testing"
	"unicode/utf8"

	"perago/starlib/diag"
)

func TestPrintable(t *testing.T) {
	for in, want := range map[string]string{
		"": "",
		"plain\ttext — ü 日本 👩‍👩‍👧 می‌خواهم": "plain\ttext — ü 日本 👩‍👩‍👧 می‌خواهم",
		"\x1b]0;owned\x07\x1b[2J":          "␛]0;owned␇␛[2J",
		"done\r\nINFO forged.star:1":       "done␍␊INFO forged.star:1",
		"\x7f\x00":                         "␡␀",
		"\u009b31m\u0085x":                 "�31m�x",
		"\x9b31m":                          "�31m", // the same as a byte that is no UTF-8
		"a\u202etxt.exe\u2066\u200f\u061c": "a�txt.exe���",
		"one\u2028two\u2029three":          "one�two�three",
		"\ufeffx\u200b":                    "�x�",
	} {
		if got := diag.Printable(in); got != want {
			t.Errorf("Printable(%q) = %q, want %q", in, got, want)
		}
	}
	if got := diag.PrintableLines("a\x1b\nb\r\nc\rd"); got != "a␛\nb\nc\nd" {
		t.Errorf("PrintableLines: got %q", got)
	}
}

// FuzzPrintable: one line, nothing that a terminal obeys, and JSON that means the same.
func FuzzPrintable(f *testing.F) {
	f.Add("\x1b]52;c;ZXZpbA==\x07\u202e\u009b\xff\r\n")
	f.Fuzz(func(t *testing.T, s string) {
		got := diag.Printable(s)
		if !utf8.ValidString(got) || strings.ContainsFunc(got, func(r rune) bool {
			return r < 0x20 && r != '\t' || r >= 0x7f && r <= 0x9f || r >= 0x2028 && r <= 0x202e || r >= 0x2066 && r <= 0x2069
		}) {
			t.Errorf("Printable(%q) = %q", s, got)
		}
		if again := diag.Printable(got); again != got {
			t.Errorf("again: %q became %q", got, again)
		}
		raw, err := json.Marshal(map[string]string{s: s})
		if err != nil {
			t.Fatal(err)
		}
		var a, b map[string]string
		safe := diag.PrintableJSON(raw)
		if json.Unmarshal(raw, &a) != nil || json.Unmarshal(safe, &b) != nil || len(b) != 1 || a[strings.ToValidUTF8(s, "�")] != b[strings.ToValidUTF8(s, "�")] {
			t.Errorf("%s became %s", raw, safe)
		}
	})
}
