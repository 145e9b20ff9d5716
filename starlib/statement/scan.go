package statement

import "strings"

// TokenKind is what a Token is.
type TokenKind int

const (
	Word      TokenKind = iota // a keyword or a name: select, plays
	Quoted                     // "a name"
	String                     // 'text', e'text', $$text$$
	Parameter                  // $name
	Symbol                     // any other character; numbers are words
)

// Token is one token of a query.
type Token struct {
	Kind       TokenKind
	Text       string // of a Word as written, of Quoted, String and Parameter what is meant
	Start, End int    // bytes of the query
}

// Scan takes a query apart as DuckDB's own scanner does, as far as names,
// texts, parameters and comments go. It never fails: what does not end, ends
// with the query, and DuckDB says so.
func Scan(query string) []Token {
	var tokens []Token
	for at := 0; at < len(query); {
		rest := query[at:]
		c := rest[0]
		n, kind, text := 1, Symbol, ""
		switch {
		case strings.IndexByte(" \t\r\n\f\v", c) >= 0:
			at++
			continue
		case strings.HasPrefix(rest, "--"):
			at += lineComment(rest)
			continue
		case strings.HasPrefix(rest, "/*"):
			at += comment(rest)
			continue
		case c == '"':
			n, text = quotedText(rest, '"')
			kind = Quoted
		case c == '\'':
			n, text = quotedText(rest, '\'')
			kind = String
		case (c == 'e' || c == 'E') && len(rest) > 1 && rest[1] == '\'':
			n, text = escaped(rest)
			kind = String
		case c == '$':
			n, kind, text = dollar(rest)
		case isWord(c):
			n = wordLength(rest)
			for (c < '0' || c > '9') && n < len(rest) && rest[n] == '$' { // inside of a name it is a letter, behind a number not
				n += 1 + wordLength(rest[n+1:])
			}
			if c >= '0' && c <= '9' && n > 1 && n < len(rest) && rest[n] == '\'' && strings.IndexByte("eE", rest[n-1]) >= 0 {
				n-- // 1e'text' is a number and a text
			}
			kind, text = Word, rest[:n]
		default:
			text = rest[:1]
		}
		tokens = append(tokens, Token{kind, text, at, at + n})
		at += n
	}
	return tokens
}

// until is how far it is behind the next end, or to the end of s.
func until(s, end string) int {
	if i := strings.Index(s, end); i >= 0 {
		return i + len(end)
	}
	return len(s)
}

// lineComment is the length of a -- comment, which ends with its line: at either
// character.
func lineComment(s string) int {
	if i := strings.IndexAny(s, "\r\n"); i >= 0 {
		return i + 1
	}
	return len(s)
}

// comment is the length of a /* comment */; they nest.
func comment(s string) int {
	depth := 0
	for i := 0; i < len(s); i++ {
		switch {
		case strings.HasPrefix(s[i:], "/*"):
			depth++
			i++
		case strings.HasPrefix(s[i:], "*/"):
			depth--
			i++
			if depth == 0 {
				return i + 1
			}
		}
	}
	return len(s)
}

// quotedText is the length of a quoted text and what it means: a quote in it is
// written twice.
func quotedText(s string, quote byte) (n int, text string) {
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		if s[i] == quote {
			if i+1 == len(s) || s[i+1] != quote {
				return i + 1, b.String()
			}
			i++
		}
		b.WriteByte(s[i])
	}
	return len(s), b.String()
}

// escaped is the length of an e'text', in which a backslash quotes.
func escaped(s string) (n int, text string) {
	var b strings.Builder
	for i := 2; i < len(s); i++ {
		switch {
		case s[i] == '\\' && i+1 < len(s):
			i++
		case s[i] == '\'' && i+1 < len(s) && s[i+1] == '\'':
			i++
		case s[i] == '\'':
			return i + 1, b.String()
		}
		b.WriteByte(s[i])
	}
	return len(s), b.String()
}

// dollar is a parameter, $name, or a text between two $tag$.
func dollar(s string) (n int, kind TokenKind, text string) {
	n = 1 + wordLength(s[1:])
	if n < len(s) && s[n] == '$' && (n == 1 || s[1] < '0' || s[1] > '9') {
		tag := s[:n+1]
		size := until(s[len(tag):], tag)
		return len(tag) + size, String, strings.TrimSuffix(s[len(tag):len(tag)+size], tag)
	}
	if n == 1 {
		return 1, Symbol, "$"
	}
	return n, Parameter, s[1:n]
}

func isWord(c byte) bool {
	return c == '_' || c >= 0x80 || '0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}

func wordLength(s string) int {
	for i := 0; i < len(s); i++ {
		if !isWord(s[i]) {
			return i
		}
	}
	return len(s)
}

// Mentions says which of some names of tables a query may name: a word, a quoted
// name or a text of it is the same, capitals or not. It may say yes of one that
// is the name of something else, and never no of one that is a table.
func Mentions(query string, names []string) map[string]bool {
	wanted := make(map[string]string, len(names))
	for _, name := range names {
		wanted[strings.ToLower(name)] = name
	}
	found := make(map[string]bool)
	for _, token := range Scan(query) {
		if token.Kind == Symbol || token.Kind == Parameter {
			continue
		}
		if name, is := wanted[strings.ToLower(token.Text)]; is {
			found[name] = true
		}
	}
	return found
}
