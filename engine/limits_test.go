package engine

import (
	"log/slog"
	"strings"
	"testing"
	"unicode/utf8"

	"perago/starlib"
	"perago/starlib/diag"
)

func TestClipKeepsARecordShort(t *testing.T) {
	long := strings.Repeat("é", MaxRecordBytes)
	for name, r := range map[string]starlib.Record{
		"short":        {Message: "x", Fields: []slog.Attr{slog.Int("n", 1), slog.String("s", "é")}},
		"long message": {Message: long, Fields: []slog.Attr{slog.String("a", "b")}},
		"long field":   {Message: "x", Fields: []slog.Attr{slog.String("a", long), slog.String("b", "c")}},
		"long name":    {Message: "x", Fields: []slog.Attr{slog.String(long, "a"), slog.String("b", "c")}},
		"many fields":  {Message: "x", Fields: slicesOf(30_000, slog.Int("name", 7))},
	} {
		got, n := clip(r)
		size := len(got.Message)
		for _, f := range got.Fields {
			size += len(f.Key) + len(f.Value.String())
		}
		if size != n || n > MaxRecordBytes || n == 0 {
			t.Errorf("%s: %d bytes, said to be %d; want at most %d", name, size, n, MaxRecordBytes)
		}
		if !utf8.ValidString(got.Message) {
			t.Errorf("%s: cut through a character", name)
		}
		if name == "short" && (len(got.Fields) != 2 || got.Message != "x" || got.Fields[0].Value.Kind() != slog.KindInt64) {
			t.Errorf("a short record was changed: %v", got)
		}
	}
}

func slicesOf(n int, a slog.Attr) []slog.Attr {
	out := make([]slog.Attr, n)
	for i := range out {
		out[i] = a
	}
	return out
}

func TestSizeIsForPeople(t *testing.T) {
	for n, want := range map[int64]string{0: "0 bytes", 10<<10 - 1: "10239 bytes", 64 << 10: "64 KiB", 256 << 20: "256 MiB",
		256<<20 + 400<<10: "256.4 MiB", 20 << 30: "20 GiB"} {
		if got := diag.Size(n); got != want {
			t.Errorf("%d: got %s, want %s", n, got, want)
		}
	}
}
