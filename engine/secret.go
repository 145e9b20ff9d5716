package engine

import "log/slog"

// Secret is a value that cannot be printed: not by fmt, whatever the verb, not
// by slog, and not by encoding/json. The zero value is empty.
type Secret struct {
	// A function, because fmt prints the fields of a struct inside another one
	// without asking their methods.
	reveal func() string
}

const hidden = "(secret)"

// NewSecret keeps value from being printed.
func NewSecret(value string) Secret {
	if value == "" {
		return Secret{}
	}
	return Secret{func() string { return value }}
}

// Reveal returns the value, for the one call that needs it.
func (s Secret) Reveal() string {
	if s.reveal == nil {
		return ""
	}
	return s.reveal()
}

// Empty says whether there is no value.
func (s Secret) Empty() bool { return s.reveal == nil }

// String implements fmt.Stringer, and hides the value.
func (s Secret) String() string {
	if s.Empty() {
		return ""
	}
	return hidden
}

// GoString implements fmt.GoStringer, and hides the value.
func (s Secret) GoString() string { return s.String() }

// LogValue implements slog.LogValuer, and hides the value.
func (s Secret) LogValue() slog.Value { return slog.StringValue(s.String()) }

// MarshalText implements encoding.TextMarshaler, and hides the value.
func (s Secret) MarshalText() ([]byte, error) { return []byte(s.String()), nil }
