package logs

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"iter"
	"log/slog"
	"math/bits"
	"strconv"
	"strings"
	"unicode/utf8"

	"perago/starlib/diag"
)

// redact.go keeps the values of secret parameters out of what people read.
//
// Messages quote values, and cut them, in a hundred places, most of them before
// a message gets here. So no place of a text is trusted to hold a secret whole:
// every run of 8 bytes that stands somewhere in a secret, in any form in which
// it may be printed, is hidden.

const (
	mask   = "***"
	window = 8 // bytes of a secret that are never shown in a row

	// wholeWordMax is the length up to which a secret is hidden only where no
	// letter or digit is beside it: else a secret 1 would hide every 1 in every
	// number.
	wholeWordMax = 2

	leastBits, mostBits = 1 << 12, 1 << 28 // of the set; 32 MiB at most
)

// Redactor hides secrets. nil hides nothing.
//
// It holds the windows of all secrets as a set that may have too much in it (a
// Bloom filter), never too little: its size is bounded whatever the size of the
// secrets, and at 10 MB of them one window in 2,000 of other text is hidden.
type Redactor struct {
	bits    []uint64 // a power of two of bits
	lengths [window]bool
}

// The kinds of what the set holds, beside whole windows.
const (
	whole = iota << 4 // a secret shorter than a window
	head              // the start of one, which is shown before "…"
	tail              // the end of one, which is shown behind "…"
)

// NewRedactor makes the Redactor of secrets, in all their forms.
func NewRedactor(secrets iter.Seq[string]) *Redactor {
	n := 0
	for s := range secrets {
		n += len(s) + 2*window
	}
	if n == 0 {
		return nil
	}
	size := min(max(leastBits, 1<<bits.Len64(64*uint64(n)-1)), mostBits)
	r := &Redactor{bits: make([]uint64, size/64)}
	for s := range secrets {
		r.add(s)
	}
	return r
}

func (r *Redactor) add(s string) {
	if len(s) >= window {
		for i := 0; i+window <= len(s); i++ {
			r.set(pack(s[i:]))
		}
	} else {
		r.lengths[len(s)] = true
		r.set(short(s, whole))
	}
	most := min(len(s)-1, window-1)
	for n := max(2, (most+1)/2); n <= most; n++ {
		r.set(short(s[:n], head))
		r.set(short(s[len(s)-n:], tail))
	}
}

// pack is a window as a number.
func pack(s string) uint64 { return binary.LittleEndian.Uint64([]byte(s[:window])) }

// short is a text of less than a window as a number that no other kind has.
func short(s string, kind byte) uint64 {
	var b [window]byte
	copy(b[:], s)
	b[window-1] = kind | byte(len(s))
	return binary.LittleEndian.Uint64(b[:])
}

// probes are the four bits of a key.
func (r *Redactor) probes(key uint64) [4]uint64 {
	h := key * 0x9e3779b97f4a7c15
	h ^= h >> 32
	h *= 0xd6e8feb86659fd93
	h ^= h >> 32
	step := h>>32 | 1
	last := uint64(len(r.bits))*64 - 1
	return [4]uint64{h & last, (h + step) & last, (h + 2*step) & last, (h + 3*step) & last}
}

func (r *Redactor) set(key uint64) {
	for _, at := range r.probes(key) {
		r.bits[at/64] |= 1 << (at % 64)
	}
}

func (r *Redactor) has(key uint64) bool {
	for _, at := range r.probes(key) {
		if r.bits[at/64]&(1<<(at%64)) == 0 {
			return false
		}
	}
	return true
}

// Text hides what is secret in s.
func (r *Redactor) Text(s string) string {
	if r == nil {
		return s
	}
	// What was hidden leaves marks, and a secret may have such marks in it.
	for range 4 {
		clean := r.once(s)
		if clean == s {
			return s
		}
		s = clean
	}
	return mask
}

func (r *Redactor) once(s string) string {
	var out strings.Builder
	copied, from, to := 0, -1, -1 // from and to are what is being hidden
	flush := func() {
		for from > copied && !utf8.RuneStart(s[from]) {
			from--
		}
		for to < len(s) && !utf8.RuneStart(s[to]) {
			to++
		}
		if from > copied || copied == 0 { // else it touches what was hidden before
			out.WriteString(s[copied:from])
			out.WriteString(mask)
		}
		copied = max(copied, to)
	}
	cut := ellipsis{s: s, next: -1}
	for i := range len(s) {
		n := max(r.at(s, i), r.besideCut(&cut, i))
		switch {
		case n == 0:
			continue
		case from >= 0 && i > to:
			flush()
			from = i
		case from < 0:
			from = i
		}
		to = max(to, i+n)
	}
	if from < 0 {
		return s
	}
	flush()
	out.WriteString(s[copied:])
	return out.String()
}

// at is how many bytes from i on are secret, as far as one window shows it.
func (r *Redactor) at(s string, i int) int {
	if i+window <= len(s) && r.has(pack(s[i:])) {
		return window
	}
	for n := min(window-1, len(s)-i); n > 0; n-- {
		if r.lengths[n] && r.has(short(s[i:i+n], whole)) && (n > wholeWordMax || wholeWord(s, i, i+n)) {
			return n
		}
	}
	return 0
}

// wholeWord says whether no letter or digit is beside s[from:to].
func wholeWord(s string, from, to int) bool {
	word := func(c byte) bool { return c >= utf8.RuneSelf || c|0x20 >= 'a' && c|0x20 <= 'z' || c >= '0' && c <= '9' }
	return (from == 0 || !word(s[from-1])) && (to == len(s) || !word(s[to]))
}

// ellipsis finds the places at which a text was cut.
type ellipsis struct {
	s    string
	next int // of the first "…" from the place that was last asked for; len(s) when there is none
	last int // behind the one before
}

const dots = "…"

// besideCut is how many bytes from i on are what is left of a secret beside a cut.
// Quotes may stand between.
func (r *Redactor) besideCut(cut *ellipsis, i int) int {
	if cut.next < i {
		if cut.next >= 0 {
			cut.last = cut.next + len(dots)
		}
		cut.next = len(cut.s)
		if at := strings.Index(cut.s[i:], dots); at >= 0 {
			cut.next = i + at
		}
	}
	const quotes = "\"'`"
	if cut.last > 0 && i >= cut.last && i <= cut.last+2 && strings.Trim(cut.s[cut.last:i], quotes) == "" {
		for n := min(window-1, len(cut.s)-i); n > 1; n-- {
			if r.has(short(cut.s[i:i+n], tail)) {
				return n
			}
		}
	}
	if cut.next == len(cut.s) || cut.next-i > window+1 {
		return 0
	}
	text := strings.TrimRight(cut.s[i:cut.next], quotes)
	if n := len(text); n > 1 && n < window && r.has(short(text, head)) {
		return n
	}
	return 0
}

// Line is text as one line that is safe on a terminal.
func (r *Redactor) Line(s string) string { return diag.Printable(r.Text(s)) }

// number says whether a number, as it is printed, is secret. A short one is when
// it is the whole secret: 15 does not show a 5.
func (r *Redactor) number(s string) bool {
	if r == nil {
		return false
	}
	if len(s) < window {
		return s != "" && r.has(short(s, whole))
	}
	for i := 0; i+window <= len(s); i++ {
		if r.has(pack(s[i:])) {
			return true
		}
	}
	return false
}

func (r *Redactor) Float(f float64) bool {
	return r.number(strconv.FormatFloat(f, 'g', -1, 64)) || r.number(strconv.FormatFloat(f, 'f', -1, 64))
}

// Value hides what is secret in a value of a log record, keys included, and makes
// each text in it a line. A number without secrets keeps its type.
func (r *Redactor) Value(v slog.Value) slog.Value {
	switch v := v.Resolve(); {
	case v.Kind() == slog.KindString:
		return slog.StringValue(r.Line(v.String()))
	case v.Kind() == slog.KindBool, r == nil && v.Kind() != slog.KindAny:
		return v
	default:
		return slog.AnyValue(r.any(v.Any()))
	}
}

func (r *Redactor) any(v any) any {
	switch v := v.(type) {
	case nil, bool:
		return v
	case string:
		return r.Line(v)
	case float64:
		if r.Float(v) {
			return mask
		}
		return v
	case int64, uint64, json.Number:
		if r.number(fmt.Sprint(v)) {
			return mask
		}
		return v
	case []any:
		list := make([]any, len(v))
		for i, item := range v {
			list[i] = r.any(item)
		}
		return list
	case map[string]any:
		object := make(map[string]any, len(v))
		for key, item := range v {
			object[r.Line(key)] = r.any(item)
		}
		return object
	}
	return r.Line(fmt.Sprint(v))
}

// List returns the diagnostics without secrets, in lines that are safe on a
// terminal. Places stay: they come from the task file, not from the input.
func (r *Redactor) List(in diag.List) diag.List {
	out := make(diag.List, len(in))
	for i, d := range in {
		clean := *d
		for _, field := range []*string{&clean.Message, &clean.Found, &clean.Wanted, &clean.Hint, &clean.Detail} {
			*field = diag.PrintableLines(r.Text(*field))
		}
		out[i] = &clean
	}
	return out
}
