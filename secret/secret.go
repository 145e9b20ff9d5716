// Package secret has the one type for credentials: a string that is not printed,
// marshalled or logged. What a task declares with secret = True is another thing;
// the engine hides that in the texts that it writes.
package secret

import (
	"fmt"
	"io"
	"log/slog"
)

// String is a text that cannot be printed: not by fmt, whatever the verb, nor
// as a field of a struct, not by slog, and not by an encoder. Two are not
// comparable. The zero value is empty.
type String struct {
	// A function, because fmt prints the fields of a struct inside another one
	// without asking their methods.
	reveal func() string
}

const hidden = "(secret)"

// New keeps value from being printed.
func New(value string) String {
	if value == "" {
		return String{}
	}
	return String{func() string { return value }}
}

// Reveal returns the value, for the one call that needs it.
func (s String) Reveal() string {
	if s.reveal == nil {
		return ""
	}
	return s.reveal()
}

// Empty says whether there is no value.
func (s String) Empty() bool { return s.reveal == nil }

// String implements fmt.Stringer, and hides the value.
func (s String) String() string {
	if s.Empty() {
		return ""
	}
	return hidden
}

// Format implements fmt.Formatter, and hides the value from every verb.
func (s String) Format(f fmt.State, _ rune) { io.WriteString(f, s.String()) }

// LogValue implements slog.LogValuer, and hides the value.
func (s String) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText implements encoding.TextMarshaler, and hides the value.
func (s String) MarshalText() ([]byte, error) { return []byte(s.String()), nil }
