package starlib

import (
	"bufio"
	"runtime"
	"strings"
	"testing"
	"time"
)

// What datetime() takes time.parse takes, and what is no RFC 3339 datetime()
// refuses.
func TestDateTimeForms(t *testing.T) {
	for text, want := range map[string]bool{
		"2026-01-31T12:00:00Z": true, "2026-01-31t12:00:00z": true, "2026-01-31T12:00:00.123456789+05:30": true,
		"2026-01-31T12:00:00-00:00": true, "2026-12-31T23:59:60Z": true, "2027-01-01T01:59:60.5+02:00": true, "0001-01-01T00:00:00+23:59": true,
		"2026-01-31T12:00:00+2:00": false, "2026-01-31T12:00:00+02:-0Z": false, "2026-01-31T12:00:-0Z": false, "2026-01-31T12:00:00+0": false,
		"2026-01-31T12:00:00+02": false, "2026-01-31T12:00:00+0200": false, "2026-01-31T12:00:00+24:00": false, "2026-01-31T12:00:00": false,
		"2026-01-31T12:00Z": false, "2026-01-31 12:00:00Z": false, "2026-01-31T1:00:00Z": false, "2026-01-31T24:00:00Z": false,
		"2026-01-31T12:00:00.Z": false, "2026-01-31T12:00:00,5Z": false, "2026-02-30T12:00:00Z": false, "2026-01-31T12:00:60Z": false,
		"2026-01-31T12:00:+0Z": false, " 2026-01-31T12:00:00Z": false, "2026-01-31T12:00:00Z\n": false,
	} {
		took := !strings.Contains(check(paramsTask(t, `a = datetime()`), `{"a": "`+strings.ReplaceAll(text, "\n", `\n`)+`"}`), "P3108")
		if took != want {
			t.Errorf("datetime() takes %q: %t, want %t", text, took, want)
		}
		if _, err := parseISO(text, time.UTC); want && err != nil {
			t.Errorf("time.parse(%q): %v", text, err)
		}
	}
}

// TestKeptFieldOfCSV: a field that is kept does not keep the record it was in.
func TestKeptFieldOfCSV(t *testing.T) {
	const records = 500
	line := "1234567890," + strings.Repeat("x", 20_000) + "\n"
	quoted := "\"12345\"\"6789\"," + strings.Repeat("x", 20_000) + "\n"
	heap := func() int64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return int64(m.HeapAlloc)
	}
	in := strings.NewReader(strings.Repeat(line, records) + strings.Repeat(quoted, records))
	r := newCSVRecords(nil, "a.csv", bufio.NewReader(in), ",")
	before := heap()
	kept := make([]string, 0, 2*records)
	for range 2 * records {
		fields, err := r.next()
		if err != nil {
			t.Fatal(err)
		}
		kept = append(kept, fields[0])
	}
	if grown := heap() - before; grown > 2<<20 { // the records are 20 MB
		t.Errorf("%d fields of 10 bytes take %d KiB", len(kept), grown>>10)
	}
	runtime.KeepAlive(kept)
	runtime.KeepAlive(in)
}
