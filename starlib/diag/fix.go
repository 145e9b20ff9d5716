package diag

import (
	"bytes"
	"cmp"
	"regexp"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"
)

// Edit replaces a part of a source: from a place up to, and without, another.
// Lines count from 1, columns from 1 in runes; a line behind the last one is
// the end of the file.
type Edit struct {
	Line      int    `json:"line"`
	Column    int    `json:"column"`
	EndLine   int    `json:"end_line"`
	EndColumn int    `json:"end_column"`
	Text      string `json:"text"`
}

// Rename is the edit that writes another word in place of one.
func Rename(line, column int, word, instead string) []Edit {
	return []Edit{{line, column, line, column + utf8.RuneCountInString(word), instead}}
}

// Certain is the candidate that a name must have been meant to be: one letter is
// wrong, missing or too much, or two are swapped, and no other candidate is as
// near. "" when there is none.
func Certain(name string, candidates []string) string {
	found := ""
	if len(name) < 3 || len(name) > longestName {
		return ""
	}
	for _, c := range candidates {
		if len(c) < 3 || len(c) > longestName || distance([]rune(name), []rune(c)) > 1 || c == found {
			continue
		}
		if found != "" {
			return ""
		}
		found = c
	}
	if found == name {
		return ""
	}
	return found
}

// Apply makes the edits of the fixes of a file, all or none of one fix, those
// that do not overlap with one before. It returns the new text and whose fixes
// were made.
func Apply(text []byte, list List) ([]byte, List) {
	text, marked := bytes.CutPrefix(text, []byte(byteOrderMark))
	starts := lineStarts(text)
	type span struct {
		from, to int
		text     string
	}
	var taken []span
	var applied List
	for _, d := range list {
		spans := make([]span, 0, len(d.Fix))
		for _, e := range d.Fix {
			from, ok := offsetOf(text, starts, e.Line, e.Column)
			to, okTo := offsetOf(text, starts, e.EndLine, e.EndColumn)
			overlaps := func(s span) bool { return from < s.to && s.from < to || from == s.from || to == s.to }
			if !ok || !okTo || to < from || slices.ContainsFunc(taken, overlaps) || slices.ContainsFunc(spans, overlaps) {
				spans = nil
				break
			}
			spans = append(spans, span{from, to, e.Text})
		}
		if len(spans) > 0 {
			taken = append(taken, spans...)
			applied = append(applied, d)
		}
	}
	slices.SortFunc(taken, func(a, b span) int { return cmp.Compare(a.from, b.from) })
	var out bytes.Buffer
	if marked {
		out.WriteString(byteOrderMark)
	}
	at := 0
	for _, s := range taken {
		out.Write(text[at:s.from])
		out.WriteString(s.text)
		at = s.to
	}
	out.Write(text[at:])
	return out.Bytes(), applied
}

const byteOrderMark = "\ufeff"

// lineStarts are the offsets of the lines, and that of the end of the text.
func lineStarts(text []byte) []int {
	starts, at := []int{0}, 0
	for _, line := range splitLines(string(text)) {
		at += len(line)
		if at < len(text) {
			at += lineEnd(string(text[at:min(len(text), at+2)]))
			starts = append(starts, at)
		}
	}
	return append(starts, len(text))
}

func offsetOf(text []byte, starts []int, line, column int) (int, bool) {
	if line < 1 || column < 1 {
		return 0, false
	}
	line = min(line, len(starts))
	at := starts[line-1]
	for range column - 1 {
		r, size := utf8.DecodeRune(text[at:])
		if size == 0 || r == '\n' || r == '\r' {
			return 0, false
		}
		at += size
	}
	return at, true
}

// between is the edit that replaces tokens, from one to another.
func between(from, to token, text string) []Edit {
	return []Edit{{from.at.line, from.at.column, to.after.line, to.after.column, text}}
}

// fix is how a finding is mended where that is sure to keep what was meant;
// nil where it is not. line is a line of the source.
func (p *pythonFinder) fix(f finding, line func(n int) string) []Edit {
	t, before, next := p.tokens[f.token], p.peek(f.token, -1), p.peek(f.token, 1)
	switch f.code {
	case "P1101":
		return p.fixFormat(f.token)
	case "P1103":
		if n := t.at.line; t.at.column == 1 && importForm().MatchString(line(n)) {
			return []Edit{{n, 1, behindImport(n, line), 1, ""}}
		}
	case "P1108": // of None it is the same; of other values nobody knows what is meant
		word, operand := "==", next
		last := t
		if next.text == "not" {
			word, operand, last = "!=", p.peek(f.token, 2), next
		}
		if operand.text == "None" || operand.text == "True" || operand.text == "False" {
			return between(t, last, word)
		}
	case "P1122":
		return between(t, next, "elif")
	case "P1123":
		prefix := t.text[:strings.IndexAny(t.text, "\"'")]
		lower := strings.ToLower(prefix)
		if lower == "u" {
			return Rename(t.at.line, t.at.column, prefix, "")
		}
		if !strings.Contains(lower, "u") {
			return Rename(t.at.line, t.at.column, prefix, strings.Replace(lower, "br", "rb", 1))
		}
	case "P1124":
		text := strings.ReplaceAll(t.text, "_", "")
		if suffix := text[len(text)-1]; (suffix == 'L' || suffix == 'l') && !strings.Contains(t.text, "_") {
			text = text[:len(text)-1]
		}
		if strings.Trim(text, "0123456789.") == "" {
			return between(t, t, text)
		}
	case "P1127":
		word := map[string]string{"&&": "and", "||": "or", "<>": "!=", "===": "=="}[t.text]
		if t.text == "!" && (next.isOperand() || next.text == "(" || next.text == "[") && !before.isOperand() {
			return between(t, t, "not ")
		}
		if word == "" {
			return nil
		}
		if before.after == t.at {
			word = " " + word
		}
		if next.at == t.after {
			word += " "
		}
		return between(t, t, word)
	case "P1128":
		if t.first && (next.kind == newline || next.kind == end) {
			return between(t, t, "pass")
		}
	case "P1129":
		if t.text == "//" {
			return between(t, t, "#")
		}
	case "P1131":
		if before.first && before.kind == name {
			return between(t, next, " "+t.text+"= 1")
		}
	case "P1005":
		return fixForeign(t, f.hint)
	}
	return nil
}

// behindImport is the line behind an import that goes: with it goes the blank line
// behind the last import of several, when there is one before the first.
func behindImport(n int, line func(n int) string) int {
	above := n - 1
	for above > 0 && above > n-100 && importForm().MatchString(line(above)) {
		above--
	}
	if (above == 0 || line(above) == "") && line(n+1) == "" {
		return n + 2
	}
	return n + 1
}

// importForm is an import of nothing but modules that are always there.
var importForm = sync.OnceValue(func() *regexp.Regexp {
	const module = `(json|csv|re|math|base64|time|yaml|toml|jsonschema)`
	return regexp.MustCompile(`^import[ \t]+` + module + `([ \t]*,[ \t]*` + module + `)*[ \t]*$`)
})

// fixFormat writes an f-string as a call of format.
func (p *pythonFinder) fixFormat(i int) []Edit {
	t := p.tokens[i]
	quote := strings.IndexAny(t.text, "\"'")
	body := t.text[quote:]
	if !t.closed || strings.ToLower(t.text[:quote]) != "f" || strings.HasPrefix(body, `"""`) || strings.HasPrefix(body, "'''") ||
		strings.ContainsAny(body, "\r\n") || p.peek(i, -1).kind == text || p.peek(i, 1).kind == text {
		return nil
	}
	out, args, ok := splitFormat(body[1 : len(body)-1])
	switch {
	case !ok || slices.ContainsFunc(args, func(arg string) bool { return !whole(arg) }):
		return nil
	case len(args) > 0:
		return between(t, t, body[:1]+out+body[:1]+".format("+strings.Join(args, ", ")+")")
	case strings.ContainsAny(body, "{}"):
		return nil
	}
	return between(t, t, body)
}

// whole says whether a text can be one argument of a call: its brackets and
// quotes are closed, and no comma or star stands outside of brackets.
func whole(arg string) bool {
	depth := 0
	tokens := scan(arg)
	for i, t := range tokens {
		switch {
		case t.kind == text && !t.closed, t.kind == newline:
			return false
		case t.text == "(" || t.text == "[" || t.text == "{":
			depth++
		case t.text == ")" || t.text == "]" || t.text == "}":
			if depth--; depth < 0 {
				return false
			}
		case depth == 0 && (t.text == "," || t.text == "=" || t.text == ":" || t.text == "lambda" || t.text == "for" || i == 0 && strings.HasPrefix(t.text, "*")):
			return false
		}
	}
	return depth == 0 && len(tokens) > 1 && len(findPython(tokens)) == 0
}

// fixForeign replaces a rune that only looks like one of the language's.
func fixForeign(t token, hint string) []Edit {
	switch {
	case strings.HasPrefix(hint, "`") && len(hint) > 2:
		return between(t, t, hint[1:len(hint)-1])
	case hint == "replace it by a plain space":
		return between(t, t, " ")
	case hint == "delete it":
		return between(t, t, "")
	}
	if ascii := map[string]string{"（": "(", "）": ")", "，": ",", "：": ":", "；": ";", "【": "[", "】": "]", "。": "."}[t.text]; ascii != "" {
		return between(t, t, ascii)
	}
	return nil
}
