package starlib

import (
	"math"
	"strconv"
	"strings"

	"go.starlark.net/starlark"
)

// intText writes an int in a base.
func intText(v starlark.Int, base int) string {
	if n, ok := v.Int64(); ok {
		return strconv.FormatInt(n, base)
	}
	return v.BigInt().Text(base)
}

// float writes a float under e, f, g or %, or under no verb: as many digits as
// are read back as the same float, and always as a float.
func (f *formatter) float(l *layout, x float64) error {
	verb, precision := l.verb|0x20, l.precision
	percent := l.verb == '%'
	dotZero := false
	switch {
	case l.verb == 0 && precision < 0:
		verb, dotZero = 'r', true
	case l.verb == 0:
		verb, dotZero = 'g', true
	case percent:
		verb = 'f'
		x *= 100
	case l.verb == 'n':
		verb = 'g'
	}
	if precision < 0 {
		precision = 6
	}
	if err := f.room(2 * precision); err != nil {
		return err
	}
	negative := math.Signbit(x) && !math.IsNaN(x)
	digits, rest := floatParts(math.Abs(x), verb, precision, l.alternate, dotZero)
	if negative && l.noMinus && strings.Trim(digits, "0") == "" && !strings.ContainsAny(mantissa(rest), "123456789in") {
		negative = false
	}
	if 'A' <= l.verb && l.verb <= 'Z' {
		rest = strings.ToUpper(rest)
	}
	if percent {
		rest += "%"
	}
	return f.number(l, negative, "", digits, rest)
}

// mantissa is what stands before the exponent.
func mantissa(s string) string {
	before, _, _ := strings.Cut(s, "e")
	return before
}

// floatParts writes a float that is not negative: its digits before the point,
// and what follows. Verbs are e, f, g and r (the shortest that is read back as
// the same). dotZero makes a float of what would look like an int.
func floatParts(x float64, verb byte, precision int, alternate, dotZero bool) (digits, rest string) {
	switch {
	case math.IsNaN(x):
		return "", "nan"
	case math.IsInf(x, 0):
		return "", "inf"
	}
	var all string // all digits, without leading zeros
	var point int  // where the point stands in them
	switch verb {
	case 'f':
		s := strconv.FormatFloat(x, 'f', precision, 64)
		whole, part, _ := strings.Cut(s, ".")
		if part != "" || alternate {
			part = "." + part
		}
		return whole, part
	case 'e':
		all, point = scientific(x, precision)
	case 'g':
		precision = max(precision, 1)
		all, point = scientific(x, precision-1)
		if !alternate {
			all = strings.TrimRight(all, "0")
		}
	case 'r':
		all, point = scientific(x, -1)
	}
	if all == "" {
		all = "0"
	}
	most := 16
	if verb == 'g' {
		most = precision
		if dotZero {
			most--
		}
	}
	exponent := ""
	if verb == 'e' || point <= -4 || point > most {
		exponent = exponentText(point - 1)
		point = 1
	}
	switch {
	case point <= 0:
		all = strings.Repeat("0", 1-point) + all
		point = 1
	case point > len(all):
		all += strings.Repeat("0", point-len(all))
	}
	digits, rest = all[:point], all[point:]
	switch {
	case rest == "" && dotZero && exponent == "":
		rest = ".0"
	case rest != "" || alternate:
		rest = "." + rest
	}
	return digits, rest + exponent
}

// scientific is the digits of a float, one and that many more, and where the
// point stands in them.
func scientific(x float64, more int) (digits string, point int) {
	s := strconv.FormatFloat(x, 'e', more, 64)
	mantissa, exponent, _ := strings.Cut(s, "e")
	point, _ = strconv.Atoi(exponent) // it is a number, as FormatFloat writes it
	return strings.Replace(mantissa, ".", "", 1), point + 1
}

func exponentText(n int) string {
	sign := "+"
	if n < 0 {
		sign, n = "-", -n
	}
	if n < 10 {
		sign += "0"
	}
	return "e" + sign + strconv.Itoa(n)
}
