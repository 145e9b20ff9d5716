package engine

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"

	"perago/starlib/diag"
)

// notJSON explains a text that is not JSON by the place at which it stops being
// one. text must have failed to parse with err.
func notJSON(what, text string, err error) *diag.Diagnostic {
	d := &diag.Diagnostic{Code: "P3101", Severity: diag.Error, Message: what + " is not JSON", Hint: `send an object such as {"params": {}}`}
	var syntax *json.SyntaxError
	if !errors.As(err, &syntax) {
		return d
	}
	offset := min(int(syntax.Offset), len(text)) // behind the byte at fault
	if strings.HasPrefix(syntax.Error(), "unexpected end") {
		d.Found = "the end of the text at " + lineColumn(text, len(text))
		return d
	}
	at := max(0, offset-1)
	for at > 0 && !utf8.RuneStart(text[at]) {
		at--
	}
	r, _ := utf8.DecodeRuneInString(text[at:])
	d.Found = fmt.Sprintf("%q at %s", r, lineColumn(text, at))
	for _, known := range []struct{ says, wanted string }{
		{"beginning of object key", "a key in double quotes"},
		{"after object key:value", "`,` or `}`"},
		{"after object key", "`:`"},
		{"after array element", "`,` or `]`"},
		{"after top-level value", "nothing behind the value"},
		{"in string escape", `one of the escapes \" \\ \/ \b \f \n \r \t \uhhhh`},
		{"in string literal", "control characters written as escapes"},
		{"beginning of value", "a value"},
	} {
		if strings.Contains(syntax.Error(), known.says) {
			d.Wanted = known.wanted
			break
		}
	}
	if hint := jsonHabit(text, at, r); hint != "" {
		d.Hint = hint
	}
	return d
}

// jsonHabit says what is usually meant by what stands where JSON ends.
func jsonHabit(text string, at int, r rune) string {
	rest, before := text[at:], strings.TrimRight(text[:at], " \t\r\n")
	word := func(w string) bool { return strings.HasPrefix(rest, w) }
	switch {
	case r == '\'':
		return "strings and keys are written in double quotes"
	case r == '\ufeff':
		return "leave the byte order mark out"
	case (r == '}' || r == ']') && strings.HasSuffix(before, ","):
		return "JSON has no comma behind the last item"
	case word("True"), word("False"):
		return "JSON writes true and false"
	case word("None"), word("undefined"):
		return "JSON writes null"
	case word("NaN"), word("Infinity"), word("-Infinity"):
		return "JSON has no such number: send null, or leave it out"
	case word("//"), word("/*"), word("#"):
		return "JSON has no comments"
	case r >= '0' && r <= '9' && strings.HasSuffix(before, "0"):
		return "a number does not start with 0"
	}
	return ""
}

// lineColumn is the place of a byte, columns in characters.
func lineColumn(text string, offset int) string {
	before := text[:offset]
	line := strings.Count(before, "\n") + 1
	column := utf8.RuneCountInString(before[strings.LastIndexByte(before, '\n')+1:]) + 1
	return fmt.Sprintf("line %d, column %d", line, column)
}
