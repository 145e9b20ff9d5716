package starlib

import (
	"errors"
	"fmt"
	"regexp"
	"regexp/syntax"
	"strings"
	"sync"

	"go.starlark.net/starlark"

	"perago/starlib/diag"
)

// Flags of a pattern, with the numbers that Python gives them.
const (
	flagI = 2
	flagM = 8
	flagS = 16

	// maxPattern bounds the text of a pattern, in bytes; maxPatterns how many
	// compiled ones a run keeps for re.search and its like.
	maxPattern  = 64 << 10
	maxPatterns = 256

	// maxMatches bounds what one call finds: the engine finds all before it
	// returns the first.
	maxMatches = 10_000_000
)

// pattern is a compiled regular expression.
type pattern struct {
	text  string
	flags int
	any   *regexp.Regexp                 // finds the first match from the left
	start func() (*regexp.Regexp, error) // the same at the start of the text only
	whole func() (*regexp.Regexp, error) // the same for the whole text
}

var _ starlark.HasAttrs = (*pattern)(nil)

func (p *pattern) String() string        { return "re.compile(" + starlark.String(p.text).String() + ")" }
func (p *pattern) Type() string          { return "pattern" }
func (p *pattern) Freeze()               {}
func (p *pattern) Truth() starlark.Bool  { return true }
func (p *pattern) Hash() (uint32, error) { return starlark.String(p.text).Hash() }

var patternMembers = sync.OnceValue(func() members { return membersOf(patternBuiltins()) })

func (p *pattern) Attr(name string) (starlark.Value, error) { return patternMembers().attr(p, name) }
func (p *pattern) AttrNames() []string                      { return patternMembers().names }

// CheckRegexp says what is wrong with the text of a regular expression. The
// error is a *diag.Problem.
func CheckRegexp(text string) error {
	_, err := compilePattern(text, 0)
	return err
}

// compilePattern compiles text in Go's syntax. The error is a *diag.Problem.
func compilePattern(text string, flags int) (*pattern, error) {
	if len(text) > maxPattern {
		return nil, &diag.Problem{Code: codePattern, Message: "the pattern is too long", Found: plural(len(text), "byte"), Wanted: fmt.Sprintf("at most %d", maxPattern)}
	}
	letters := ""
	for _, f := range []struct {
		bit    int
		letter string
	}{{flagI, "i"}, {flagM, "m"}, {flagS, "s"}} {
		if flags&f.bit != 0 {
			letters += f.letter
		}
	}
	group := "(?:"
	if letters != "" {
		group = "(?" + letters + ":"
	}
	// The pattern alone first: "a)(b" is to be wrong although "(?:a)(b)" is not.
	if _, err := syntax.Parse(text, syntax.Perl); err != nil {
		return nil, badPattern(text, err)
	}
	compiled, err := regexp.Compile(group + text + ")")
	if err != nil {
		return nil, badPattern(text, err)
	}
	return &pattern{text: text, flags: flags, any: compiled,
		start: sync.OnceValues(func() (*regexp.Regexp, error) { return regexp.Compile(`\A` + group + text + ")") }),
		whole: sync.OnceValues(func() (*regexp.Regexp, error) { return regexp.Compile(`\A` + group + text + `)\z`) }),
	}, nil
}

// badPattern says what is wrong with a pattern, and why what Python has is not
// there.
func badPattern(text string, err error) error {
	p := &diag.Problem{Code: codePattern, Message: "bad pattern " + starlark.String(shorten(text)).String(), Cause: err}
	var at *syntax.Error
	if !errors.As(err, &at) {
		p.Message += ": " + err.Error()
		return p
	}
	p.Message += ": " + string(at.Code)
	if at.Expr != "" {
		p.Found = "`" + shorten(at.Expr) + "`"
	}
	const linear = "the time of a match grows with the text and not with the pattern, which rules out "
	switch {
	case hasAny(text, "(?=", "(?!", "(?<=", "(?<!"):
		p.Hint = linear + "look-around: match more, and take the part with a group"
	case hasAny(text, "(?P=") || at.Code == syntax.ErrInvalidEscape && len(at.Expr) == 2 && '1' <= at.Expr[1] && at.Expr[1] <= '9':
		p.Hint = linear + "backreferences: capture both parts and compare them"
	case hasAny(text, "(?>", "*+", "++", "?+"):
		p.Hint = linear + "backtracking, so atomic groups and possessive repeats have no use: leave them out"
	case at.Code == syntax.ErrInvalidEscape && at.Expr == `\Z`:
		p.Hint = `write \z for the end of the text`
	case at.Code == syntax.ErrInvalidRepeatSize:
		p.Hint = "a repeat is at most 1000"
	case at.Code == syntax.ErrMissingParen && hasAny(text, `\Q`):
		p.Found, p.Hint = "", `close \Q with \E, or call re.escape(text)`
	case hasAny(text, "(?#"):
		p.Hint = "comments in a pattern are not supported: leave them out"
	}
	return p
}

func hasAny(s string, parts ...string) bool {
	for _, part := range parts {
		if strings.Contains(s, part) {
			return true
		}
	}
	return false
}

// reBuiltins are the functions of the module.
func reBuiltins() []Builtin {
	rows := append(flagBuiltins(), []Builtin{
		{Name: "re.compile", Phase: Pure, Returns: "pattern", Params: withPattern(nil), call: reCompile,
			Doc: "A compiled pattern, with the methods below. The syntax is that of Go's regexp package, which is Python's for the most " +
				"part, and a match takes time in proportion to the text. There is no look-around and no backreference. `\\d`, `\\w` and `\\s` " +
				"are ASCII, `$` without re.M is the very end of the text (`\\z`), and an empty match just behind another match does not " +
				"count. Positions are offsets in bytes, as those of strings are.",
			Example: `track = re.compile(r"(?P<disc>\d)-(?P<track>\d\d)")`},
		{Name: "re.escape", Phase: Pure, Returns: "string", Params: []Param{{Name: "text", Type: "string"}}, call: reEscape,
			Doc: "The pattern that matches just this text."},
	}...)
	for _, row := range matching() {
		row.Name = "re." + row.Name
		row.Params = withPattern(row.Params)
		row.Doc += " A string is compiled once a run."
		rows = append(rows, row)
	}
	return rows
}

// flagBuiltins are the flags, each under its two names.
func flagBuiltins() []Builtin {
	var rows []Builtin
	for _, f := range []struct {
		short, long, letter, doc string
		bit                      int
	}{
		{"I", "IGNORECASE", "i", "letters match in either case", flagI},
		{"M", "MULTILINE", "m", "`^` and `$` match at every line", flagM},
		{"S", "DOTALL", "s", "`.` matches a newline too", flagS},
	} {
		row := Builtin{Name: "re." + f.short, Phase: Pure, Property: true, Returns: "int",
			Doc:  "A flag of a pattern: " + f.doc + ". `|` joins flags, and `(?" + f.letter + ")` at the start of a pattern does the same.",
			call: func(*call) (starlark.Value, error) { return starlark.MakeInt(f.bit), nil }}
		long := row
		long.Name, long.Doc = "re."+f.long, "The same as re."+f.short+"."
		rows = append(rows, row, long)
	}
	return rows
}

// withPattern puts a pattern before the parameters of a method, and flags behind.
func withPattern(rest []Param) []Param {
	params := append([]Param{{Name: "pattern", Type: "string or pattern", Doc: "a raw string is best: r\"\\d+\""}}, rest...)
	return append(params, Param{Name: "flags", Type: "int", Default: "0", Doc: "re.I, re.M, re.S, joined with `|`; of a string only"})
}

// patternBuiltins are the members of a compiled pattern.
func patternBuiltins() []Builtin {
	rows := []Builtin{
		{Name: "pattern.pattern", Phase: Pure, Method: true, Property: true, Returns: "string", Doc: "The text of the pattern.",
			call: func(c *call) (starlark.Value, error) { return starlark.String(c.recv.(*pattern).text), nil }},
		{Name: "pattern.flags", Phase: Pure, Method: true, Property: true, Returns: "int", Doc: "The flags it was compiled with.",
			call: func(c *call) (starlark.Value, error) { return starlark.MakeInt(c.recv.(*pattern).flags), nil }},
		{Name: "pattern.groups", Phase: Pure, Method: true, Property: true, Returns: "int", Doc: "How many groups it has.",
			call: func(c *call) (starlark.Value, error) {
				return starlark.MakeInt(c.recv.(*pattern).any.NumSubexp()), nil
			}},
	}
	for _, row := range matching() {
		row.Name, row.Method = "pattern."+row.Name, true
		rows = append(rows, row)
	}
	return rows
}

// matching are the rows that the module and a pattern share; the names are bare.
func matching() []Builtin {
	text := Param{Name: "text", Type: "string"}
	return []Builtin{
		{Name: "search", Phase: Pure, Returns: "match or None", Params: []Param{text}, call: reSearch, Doc: "The first match anywhere in the text."},
		{Name: "match", Phase: Pure, Returns: "match or None", Params: []Param{text}, call: reMatch, Doc: "The match at the start of the text."},
		{Name: "fullmatch", Phase: Pure, Returns: "match or None", Params: []Param{text}, call: reFullmatch, Doc: "The match of the whole text."},
		{Name: "findall", Phase: Pure, Returns: "list", Params: []Param{text}, call: reFindall,
			Doc:     "All matches: the texts; of a pattern with one group, its texts; with several, tuples of theirs. A group that took no part is empty.",
			Example: `re.findall(r"\d+", "1 and 22") == ["1", "22"]`},
		{Name: "finditer", Phase: Pure, Returns: "list of match", Params: []Param{text}, call: reFinditer, Doc: "All matches, as match values."},
		{Name: "sub", Phase: Pure, Returns: "string", call: reSub,
			Params: []Param{{Name: "repl", Type: "string or function", Doc: "in a string `\\1`, `\\g<1>` and `\\g<name>` are groups, `\\g<0>` the match, and `\\\\` a backslash; a function gets the match and returns a string"},
				text, {Name: "count", Type: "int", Default: "0", Doc: "at most how many; 0 is all"}},
			Doc: "The text with every match replaced.", Example: `re.sub(r"(\w+)@\w+", r"\1@example", "ann@home") == "ann@example"`},
		{Name: "split", Phase: Pure, Returns: "list of string", call: reSplit,
			Params:  []Param{text, {Name: "maxsplit", Type: "int", Default: "0", Doc: "at most how many splits; 0 is all"}},
			Doc:     "The text cut at every match. The texts of the groups stand between the parts, None for one that took no part.",
			Example: `re.split(r"\s*,\s*", "a , b,c") == ["a", "b", "c"]`},
	}
}
