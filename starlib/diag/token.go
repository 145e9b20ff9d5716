package diag

import (
	"unicode"
	"unicode/utf8"
)

// A scanner that reads a source as the scanner of the language does, but never
// fails: it is for a text that did not parse, which may be Python, or no program at
// all.

type kind uint8

const (
	name    kind = iota // identifier or keyword
	numeral             // as far as letters, digits, _ and . go
	text                // string literal, its prefix included
	op                  // one operator or bracket, or one rune that is none
	newline             // end of a logical line
	end                 // end of the file
)

// token is one lexical element. Its text is a slice of the source.
type token struct {
	kind   kind
	text   string
	at     position // of its first rune
	after  position // of the rune behind it
	first  bool     // the first of its logical line
	open   int      // index of the innermost bracket that is open before it, -1 for none
	closed bool     // for text: it has its closing quote
}

type scanner struct {
	rest   string
	pos    position
	tokens []token
	open   []int
	first  bool
}

// scan splits a source into tokens; the last one is of kind end.
func scan(src string) []token {
	s := &scanner{rest: src, pos: position{1, 1}, first: true, tokens: make([]token, 0, len(src)/4+1)}
	for s.rest != "" {
		s.next()
	}
	s.add(end, "", s.pos)
	return s.tokens
}

// step consumes n bytes and moves the position over them.
func (s *scanner) step(n int) string {
	taken := s.rest[:n]
	for i := 0; i < n; {
		c := taken[i]
		switch {
		case c == '\r' && i+1 < len(s.rest) && s.rest[i+1] == '\n':
			i++ // the \n that follows ends the line
			if i == n {
				s.pos = position{s.pos.line + 1, 1}
			}
		case c == '\n' || c == '\r':
			s.pos = position{s.pos.line + 1, 1}
			i++
		case c < utf8.RuneSelf:
			s.pos.column++
			i++
		default:
			_, size := utf8.DecodeRuneInString(taken[i:])
			s.pos.column++
			i += size
		}
	}
	s.rest = s.rest[n:]
	return taken
}

func (s *scanner) add(k kind, t string, at position) {
	open := -1
	if len(s.open) > 0 {
		open = s.open[len(s.open)-1]
	}
	s.tokens = append(s.tokens, token{kind: k, text: t, at: at, after: s.pos, first: s.first, open: open})
	s.first = k == newline
}

func (s *scanner) next() {
	at := s.pos
	switch c := s.rest[0]; {
	case c == ' ' || c == '\t' || c == '\f':
		s.step(1)
	case c == '#':
		s.step(prefixLen(s.rest, func(r rune) bool { return r != '\n' && r != '\r' }))
	case c == '\n' || c == '\r':
		s.endLine(at)
	case c == '\\' && len(s.rest) > 1 && (s.rest[1] == '\n' || s.rest[1] == '\r'):
		s.step(1)
		s.step(lineEnd(s.rest))
	case c == '"' || c == '\'':
		s.literal(at, 0)
	case '0' <= c && c <= '9':
		s.add(numeral, s.step(prefixLen(s.rest, func(r rune) bool { return isName(r) || r == '.' })), at)
	default:
		if n := prefixLen(s.rest, isName); n > 0 {
			s.word(at, n)
			return
		}
		s.operator(at)
	}
}

func lineEnd(s string) int {
	if len(s) > 1 && s[0] == '\r' && s[1] == '\n' {
		return 2
	}
	return 1
}

// endLine ends a logical line, unless a bracket is open or the line was blank.
func (s *scanner) endLine(at position) {
	t := s.step(lineEnd(s.rest))
	if len(s.open) == 0 && !s.first {
		s.add(newline, t, at)
	}
}

// word is a name, or a string literal when the name is one of Python's prefixes.
func (s *scanner) word(at position, n int) {
	if n <= 2 && len(s.rest) > n && (s.rest[n] == '"' || s.rest[n] == '\'') && isPrefix(s.rest[:n]) {
		s.literal(at, n)
		return
	}
	fresh := len(s.tokens) > 0 && s.tokens[len(s.tokens)-1].after.line < at.line
	word := s.step(n)
	if len(s.open) > 0 && fresh && isStatement(word) {
		s.first = true // a bracket was left open above: what follows is code all the same
		s.add(name, word, at)
		s.open = nil
		return
	}
	s.add(name, word, at)
}

// isStatement says whether a word at the start of a line can only start a statement.
func isStatement(s string) bool {
	switch s {
	case "def", "class", "import", "return", "while", "with", "try", "except", "finally", "raise", "pass", "break", "continue", "elif",
		"global", "nonlocal", "del":
		return true
	}
	return false
}

func isPrefix(s string) bool {
	for _, c := range s {
		switch c {
		case 'f', 'F', 'r', 'R', 'b', 'B', 'u', 'U', 't', 'T':
		default:
			return false
		}
	}
	return true
}

// literal is a string literal whose quote stands n bytes ahead.
func (s *scanner) literal(at position, n int) {
	quote := s.rest[n]
	width := 1
	if len(s.rest) >= n+3 && s.rest[n+1] == quote && s.rest[n+2] == quote {
		width = 3
	}
	i, closed := n+width, false
	for i < len(s.rest) && !closed {
		c := s.rest[i]
		switch {
		case c == '\\' && i+1 < len(s.rest):
			i += 1 + lineEnd(s.rest[i+1:])
		case width == 1 && (c == '\n' || c == '\r'):
			s.add(text, s.step(i), at)
			return
		case c == quote && (width == 1 || len(s.rest) >= i+3 && s.rest[i+1] == quote && s.rest[i+2] == quote):
			i += width
			closed = true
		default:
			i++
		}
	}
	s.add(text, s.step(min(i, len(s.rest))), at)
	s.tokens[len(s.tokens)-1].closed = closed
}

// operator is one operator of Starlark or Python, or one foreign rune.
func (s *scanner) operator(at position) {
	n := 1
	if _, size := utf8.DecodeRuneInString(s.rest); size > 1 {
		n = size
	}
	for _, long := range [...]string{"**=", "//=", "<<=", ">>=", "===", "...", "**", "//", "<<", ">>", "<=", ">=", "==",
		"!=", "+=", "-=", "*=", "/=", "%=", "&=", "|=", "^=", ":=", "->", "&&", "||", "<>"} {
		if len(s.rest) >= len(long) && s.rest[:len(long)] == long {
			n = len(long)
			break
		}
	}
	t := s.step(n)
	s.add(op, t, at)
	switch t {
	case "(", "[", "{":
		s.open = append(s.open, len(s.tokens)-1)
	case ")", "]", "}":
		if len(s.open) > 0 {
			s.open = s.open[:len(s.open)-1]
		}
	}
}

// prefixLen is the number of bytes at the start of s whose runes all satisfy ok.
func prefixLen(s string, ok func(rune) bool) int {
	for i, r := range s {
		if !ok(r) {
			return i
		}
	}
	return len(s)
}

func isName(r rune) bool {
	return 'a' <= r && r <= 'z' || 'A' <= r && r <= 'Z' || r == '_' || '0' <= r && r <= '9' ||
		r >= utf8.RuneSelf && unicode.IsLetter(r)
}

// isOperand says whether a token can end an operand.
func (t token) isOperand() bool {
	switch t.kind {
	case name:
		return !isKeyword(t.text)
	case numeral, text:
		return true
	}
	return t.text == ")" || t.text == "]" || t.text == "}"
}

func isKeyword(s string) bool {
	switch s {
	case "and", "break", "continue", "def", "elif", "else", "for", "if", "in", "lambda", "load", "not", "or", "pass", "return", "while":
		return true
	}
	return isReserved(s)
}

// isReserved says whether a word is kept from being a name without having a meaning.
func isReserved(s string) bool {
	switch s {
	case "as", "async", "await", "class", "del", "except", "finally", "from", "global", "import", "is", "nonlocal", "raise",
		"try", "with", "yield":
		return true
	}
	return false
}
