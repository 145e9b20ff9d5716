package jsontext

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/big"
	"slices"
	"strconv"
	"strings"

	"perago/starlib/diag"
)

// What follows takes JSON values as nil, bool, string, json.Number, []any and
// map[string]any.

// Rational is the exact value of a JSON number. The decoder has bounded its cost.
func Rational(n json.Number) *big.Rat {
	r, _ := new(big.Rat).SetString(string(n))
	return r
}

// IsInteger says whether a number is a whole one, as 5.0 is.
func IsInteger(n json.Number) bool {
	return !strings.ContainsAny(string(n), ".eE") || Rational(n).IsInt()
}

// Canonical is the same text for equal values; 5.0 is 5.
func Canonical(value any) string {
	var b strings.Builder
	writeCanonical(&b, value)
	return b.String()
}

func writeCanonical(b *strings.Builder, value any) {
	switch value := value.(type) {
	case string:
		b.WriteString(strconv.Quote(value))
	case json.Number:
		b.WriteString(Rational(value).RatString())
	case []any:
		b.WriteByte('[')
		for _, item := range value {
			writeCanonical(b, item)
			b.WriteByte(',')
		}
		b.WriteByte(']')
	case map[string]any:
		b.WriteByte('{')
		for _, key := range slices.Sorted(maps.Keys(value)) {
			b.WriteString(strconv.Quote(key) + ":")
			writeCanonical(b, value[key])
			b.WriteByte(',')
		}
		b.WriteByte('}')
	default:
		fmt.Fprint(b, value)
	}
}

// Describe shows a value in a complaint. Of arrays and objects only the size is
// shown: what is in them may be secret, or is complained of by itself.
func Describe(value any) string {
	switch value := value.(type) {
	case nil:
		return "null"
	case string:
		return diag.Quote(value)
	case json.Number:
		return diag.Shorten(string(value))
	case []any:
		return "an array of " + diag.Plural(len(value), "item")
	case map[string]any:
		return "an object of " + diag.Plural(len(value), "key")
	}
	return fmt.Sprint(value)
}
