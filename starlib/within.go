package starlib

import (
	"context"
	"fmt"
	"io"
	"regexp"
	"strings"
)

// Within bounds one check of a value, which can be made to cost far more than
// its text; the zero value is no bound.
type Within struct {
	Context context.Context // whose cause ends the check; nil is none
	Memory  int64           // bytes that the decoded value may take, as far as that can be told ahead
}

// TooLargeError is a value that would take more memory than Within allows.
type TooLargeError struct{ Most int64 }

func (e *TooLargeError) Error() string {
	return fmt.Sprintf("the decoded value takes more than %d MiB of memory", e.Most>>20)
}

// inspection is one check of one value.
type inspection struct {
	*validator
	within Within
	err    error // the bound that was passed: then nothing else counts
	looks  int
	bytes  int64 // that the decoded value takes so far
	found  int   // complaints
}

// What one value takes once it is decoded, in bytes, and what more an object
// takes with its first members.
const (
	valueBytes  = 100
	objectBytes = 350
)

// decoded counts a value whose text begins with c.
func (v *inspection) decoded(c byte) error {
	v.bytes += valueBytes
	if c == '{' {
		v.bytes += objectBytes
	}
	if most := v.within.Memory; most > 0 && v.bytes > most && v.err == nil {
		v.err = &TooLargeError{most}
	}
	return v.tick()
}

// lookEvery is how many values are gone through between two looks at the context.
const lookEvery = 256

// tick is called for every value, and for every alternative of it: its error
// ends the check.
func (v *inspection) tick() error {
	if v.looks++; v.looks%lookEvery == 0 && v.err == nil && v.within.Context != nil && v.within.Context.Err() != nil {
		v.err = context.Cause(v.within.Context)
	}
	return v.err
}

// over says that enough was found.
func (v *inspection) over() bool { return v.err != nil || v.found >= maxKept }

// shortText is how long a text is, in bytes, that a pattern is held against in
// one go.
const shortText = 1 << 10

// matches says whether there is a match in a text. A pattern may have ten
// thousands of states, and to bring a long text past them takes hours.
func (v *inspection) matches(pattern *regexp.Regexp, text string) bool {
	if len(text) <= shortText || v.within.Context == nil {
		return pattern.MatchString(text)
	}
	return pattern.MatchReader(&tickingReader{strings.NewReader(text), v.tick})
}

// tickingReader ends a text where tick says so.
type tickingReader struct {
	*strings.Reader
	tick func() error
}

// ReadRune implements io.RuneReader.
func (r *tickingReader) ReadRune() (rune, int, error) {
	if r.tick() != nil {
		return 0, 0, io.EOF
	}
	return r.Reader.ReadRune()
}
