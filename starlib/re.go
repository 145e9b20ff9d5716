package starlib

import (
	"errors"
	"fmt"
	"regexp"
	"regexp/syntax"
	"slices"
	"strconv"
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
		return nil, &diag.Problem{Code: codePattern, Message: "the pattern is too long", Found: diag.Plural(len(text), "byte"), Wanted: fmt.Sprintf("at most %d", maxPattern)}
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
	p := &diag.Problem{Code: codePattern, Message: "bad pattern " + starlark.String(diag.Shorten(text)).String(), Cause: err}
	var at *syntax.Error
	if !errors.As(err, &at) {
		p.Message += ": " + err.Error()
		return p
	}
	p.Message += ": " + string(at.Code)
	if at.Expr != "" {
		p.Found = "`" + diag.Shorten(at.Expr) + "`"
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

// matching are the rows that the module and a compiled pattern share, their names
// without a module or type.
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

// match is one match of a pattern.
type match struct {
	pattern *pattern
	text    string // that was searched
	at      []int  // start and end of the match and then of each group, in bytes; -1 for one that took no part
}

var _ starlark.HasAttrs = (*match)(nil)

func (m *match) String() string {
	return fmt.Sprintf("<match span=(%d, %d), match=%s>", m.at[0], m.at[1], starlark.String(diag.Shorten(m.text[m.at[0]:m.at[1]])))
}
func (m *match) Type() string          { return "match" }
func (m *match) Freeze()               {}
func (m *match) Truth() starlark.Bool  { return true }
func (m *match) Hash() (uint32, error) { return 0, fmt.Errorf("unhashable: match") }

var matchMembers = sync.OnceValue(func() members { return membersOf(matchBuiltins()) })

func (m *match) Attr(name string) (starlark.Value, error) { return matchMembers().attr(m, name) }
func (m *match) AttrNames() []string                      { return matchMembers().names }

// group is the text of a group, otherwise when it took no part.
func (m *match) group(i int, otherwise starlark.Value) starlark.Value {
	if m.at[2*i] < 0 {
		return otherwise
	}
	return starlark.String(m.text[m.at[2*i]:m.at[2*i+1]])
}

// groups are the texts of all groups but the match itself.
func (m *match) groups(otherwise starlark.Value) starlark.Tuple {
	all := make(starlark.Tuple, len(m.at)/2-1)
	for i := range all {
		all[i] = m.group(i+1, otherwise)
	}
	return all
}

// matchBuiltins are the members of a match.
func matchBuiltins() []Builtin {
	group := Param{Name: "group", Type: "int or string", Default: "0", Kind: Positional, Doc: "the number or the name of a group; 0 is the match itself"}
	otherwise := Param{Name: "default", Type: "any", Default: "None", Doc: "for a group that took no part"}
	row := func(name, returns, doc string, params []Param, f func(*call) (starlark.Value, error)) Builtin {
		return Builtin{Name: "match." + name, Phase: Pure, Method: true, Returns: returns, Doc: doc, Params: params, call: f}
	}
	return []Builtin{
		row("group", "string, or tuple of string", "The text of a group, None when it took no part; of several groups, a tuple.",
			[]Param{{Name: "groups", Type: "int or string", Kind: Rest, Doc: "numbers or names; none at all is the match itself"}}, matchGroup),
		row("groups", "tuple of string", "The texts of all groups.", []Param{otherwise}, matchGroups),
		row("groupdict", "dict", "The texts of the named groups by their names.", []Param{otherwise}, matchGroupdict),
		row("start", "int", "Where a group starts, in bytes; -1 when it took no part.", []Param{group},
			func(c *call) (starlark.Value, error) {
				return c.groupOffsets(func(from, to int) starlark.Value { return starlark.MakeInt(from) })
			}),
		row("end", "int", "Where a group ends, in bytes; -1 when it took no part.", []Param{group},
			func(c *call) (starlark.Value, error) {
				return c.groupOffsets(func(from, to int) starlark.Value { return starlark.MakeInt(to) })
			}),
		row("span", "(int, int)", "Where a group starts and ends, in bytes.", []Param{group},
			func(c *call) (starlark.Value, error) {
				return c.groupOffsets(func(from, to int) starlark.Value {
					return starlark.Tuple{starlark.MakeInt(from), starlark.MakeInt(to)}
				})
			}),
	}
}

// groupNumber is the number of a group that was given by number or name.
func (c *call) groupNumber(m *match, v starlark.Value, argument string) (int, error) {
	switch v := v.(type) {
	case starlark.Int:
		if i, ok := v.Int64(); ok && 0 <= i && i < int64(len(m.at)/2) {
			return int(i), nil
		}
		return 0, c.refuse(argument, diag.Shorten(v.String()), fmt.Sprintf("0 to %d, the groups of the pattern", len(m.at)/2-1))
	case starlark.String:
		names := m.pattern.any.SubexpNames()
		if i := slices.Index(names, string(v)); i > 0 && v != "" {
			return i, nil
		}
		p := c.refuse(argument, v.String(), "a group of the pattern")
		p.Hint = diag.DidYouMean(string(v), slices.DeleteFunc(slices.Clone(names), func(s string) bool { return s == "" }), strconv.Quote)
		return 0, p
	}
	return 0, c.wrongType(argument, v)
}

func matchGroup(c *call) (starlark.Value, error) {
	m := c.recv.(*match)
	if len(c.rest) == 0 {
		return m.group(0, starlark.None), nil
	}
	found := make(starlark.Tuple, len(c.rest))
	for i, v := range c.rest {
		n, err := c.groupNumber(m, v, "groups")
		if err != nil {
			return nil, err
		}
		found[i] = m.group(n, starlark.None)
	}
	if len(found) == 1 {
		return found[0], nil
	}
	return found, nil
}

// otherwise is the default argument.
func (c *call) otherwise() starlark.Value {
	if v := c.arg("default"); v != nil {
		return v
	}
	return starlark.None
}

func matchGroups(c *call) (starlark.Value, error) { return c.recv.(*match).groups(c.otherwise()), nil }

func matchGroupdict(c *call) (starlark.Value, error) {
	m := c.recv.(*match)
	named := new(starlark.Dict)
	for i, name := range m.pattern.any.SubexpNames() {
		if name == "" {
			continue
		}
		if err := named.SetKey(starlark.String(name), m.group(i, c.otherwise())); err != nil {
			return nil, err
		}
	}
	return named, nil
}

func (c *call) groupOffsets(f func(from, to int) starlark.Value) (starlark.Value, error) {
	m := c.recv.(*match)
	i := 0
	if v := c.arg("group"); v != nil {
		var err error
		if i, err = c.groupNumber(m, v, "group"); err != nil {
			return nil, err
		}
	}
	return f(m.at[2*i], m.at[2*i+1]), nil
}

func reCompile(c *call) (starlark.Value, error) {
	p, err := c.regex()
	if err != nil {
		return nil, err // not a nil *pattern in an interface
	}
	return p, nil
}

func reEscape(c *call) (starlark.Value, error) {
	s, err := c.text("text", "")
	return starlark.String(regexp.QuoteMeta(s)), err
}

// regex is the receiver, or the compiled pattern argument.
func (c *call) regex() (*pattern, error) {
	if p, ok := c.recv.(*pattern); ok {
		return p, nil
	}
	flags, err := c.integer("flags", 0)
	if err != nil {
		return nil, err
	}
	if flags&^(flagI|flagM|flagS) != 0 {
		return nil, c.refuse("flags", strconv.Itoa(flags), "re.I, re.M, re.S, joined with `|`")
	}
	switch v := c.arg("pattern").(type) {
	case *pattern:
		if flags != 0 && flags != v.flags {
			return nil, c.refuse("flags", strconv.Itoa(flags), "none, since the pattern is compiled")
		}
		return v, nil
	case starlark.String:
		return c.compiled(string(v), flags)
	}
	return nil, c.wrongType("pattern", c.arg("pattern"))
}

// compiled is the compiled form of text; a run keeps it.
func (c *call) compiled(text string, flags int) (*pattern, error) {
	key := strconv.Itoa(flags) + text
	if c.run != nil {
		if p := c.run.patterns[key]; p != nil {
			return p, nil
		}
	}
	p, err := compilePattern(text, flags)
	if bad, ok := err.(*diag.Problem); ok {
		bad.Message = c.builtin.Name + ": " + bad.Message
		bad.Argument = c.argument("pattern")
		return nil, bad
	}
	if c.run != nil {
		if c.run.patterns == nil || len(c.run.patterns) >= maxPatterns {
			c.run.patterns = make(map[string]*pattern)
		}
		c.run.patterns[key] = p
	}
	return p, nil
}

// subject is the pattern and the text that a call is about.
func (c *call) subject() (*pattern, string, error) {
	p, err := c.regex()
	if err != nil {
		return nil, "", err
	}
	text, err := c.text("text", "")
	return p, text, err
}

// first is the match of one of the forms of the pattern.
func (c *call) first(form func(*pattern) (*regexp.Regexp, error)) (starlark.Value, error) {
	p, text, err := c.subject()
	if err != nil {
		return nil, err
	}
	compiled, err := form(p)
	if err != nil {
		return nil, badPattern(p.text, err)
	}
	if at := compiled.FindStringSubmatchIndex(text); at != nil {
		return &match{p, text, at}, nil
	}
	return starlark.None, nil
}

func reSearch(c *call) (starlark.Value, error) {
	return c.first(func(p *pattern) (*regexp.Regexp, error) { return p.any, nil })
}

func reMatch(c *call) (starlark.Value, error) {
	return c.first(func(p *pattern) (*regexp.Regexp, error) { return p.start() })
}

func reFullmatch(c *call) (starlark.Value, error) {
	return c.first(func(p *pattern) (*regexp.Regexp, error) { return p.whole() })
}

// all calls f for every match, at most as many as most; 0 is no bound.
func (c *call) all(p *pattern, text string, most int, f func(*match) error) error {
	limit := maxMatches + 1
	if most > 0 {
		limit = min(limit, most)
	}
	found := p.any.FindAllStringSubmatchIndex(text, limit)
	if len(found) > maxMatches {
		too := c.problem(codeTooMuch, "the pattern matches too often in one text")
		too.Wanted, too.Hint = fmt.Sprintf("at most %d matches", maxMatches), "go line by line: path.lines()"
		return too
	}
	m := itemCounter{call: c}
	for _, at := range found {
		if err := m.tick(); err != nil {
			return err
		}
		if err := f(&match{p, text, at}); err != nil {
			return err
		}
	}
	return nil
}

func reFindall(c *call) (starlark.Value, error) {
	return c.matches(func(m *match) starlark.Value {
		const empty = starlark.String("")
		switch len(m.at) / 2 {
		case 1:
			return m.group(0, empty)
		case 2:
			return m.group(1, empty)
		}
		return m.groups(empty)
	})
}

func reFinditer(c *call) (starlark.Value, error) {
	return c.matches(func(m *match) starlark.Value { return m })
}

// matches is the list of what each makes of every match.
func (c *call) matches(each func(*match) starlark.Value) (starlark.Value, error) {
	p, text, err := c.subject()
	if err != nil {
		return nil, err
	}
	var list []starlark.Value
	err = c.all(p, text, 0, func(m *match) error {
		list = append(list, each(m))
		return nil
	})
	return starlark.NewList(list), err
}

func reSplit(c *call) (starlark.Value, error) {
	p, text, err := c.subject()
	if err != nil {
		return nil, err
	}
	most, err := c.integer("maxsplit", 0)
	if err != nil {
		return nil, err
	}
	if most < 0 {
		return starlark.NewList([]starlark.Value{starlark.String(text)}), nil
	}
	var parts []starlark.Value
	end := 0
	err = c.all(p, text, most, func(m *match) error {
		parts = append(parts, starlark.String(text[end:m.at[0]]))
		parts = append(parts, m.groups(starlark.None)...)
		end = m.at[1]
		return nil
	})
	return starlark.NewList(append(parts, starlark.String(text[end:]))), err
}

func reSub(c *call) (starlark.Value, error) {
	p, text, err := c.subject()
	if err != nil {
		return nil, err
	}
	count, err := c.integer("count", 0)
	if err != nil {
		return nil, err
	}
	if count < 0 {
		return starlark.String(text), nil
	}
	replace, err := c.replacement(p)
	if err != nil {
		return nil, err
	}
	var b strings.Builder
	end := 0
	err = c.all(p, text, count, func(m *match) error {
		b.WriteString(text[end:m.at[0]])
		end = m.at[1]
		return replace(m, &b)
	})
	if err != nil {
		return nil, err
	}
	b.WriteString(text[end:])
	return starlark.String(b.String()), nil
}

// replacement is what the repl argument writes in place of a match.
func (c *call) replacement(p *pattern) (func(*match, *strings.Builder) error, error) {
	switch repl := c.arg("repl").(type) {
	case starlark.Callable:
		return func(m *match, b *strings.Builder) error {
			v, err := starlark.Call(c.thread, repl, starlark.Tuple{m}, nil)
			if err != nil {
				return err
			}
			s, ok := v.(starlark.String)
			if !ok {
				bad := c.problem(codeType, "what the function returned")
				bad.Found, bad.Wanted = diag.TypeName(v), "string"
				return bad
			}
			b.WriteString(string(s))
			return nil
		}, nil
	case starlark.String:
		parts, err := c.template(p, string(repl))
		if err != nil {
			return nil, err
		}
		return func(m *match, b *strings.Builder) error {
			for _, part := range parts {
				b.WriteString(part.text)
				if part.group >= 0 && m.at[2*part.group] >= 0 {
					b.WriteString(m.text[m.at[2*part.group]:m.at[2*part.group+1]])
				}
			}
			return nil
		}, nil
	}
	return nil, c.wrongType("repl", c.arg("repl"))
}

// templatePart is a text, and then a group when group is not -1.
type templatePart struct {
	text  string
	group int
}

// template reads a replacement: \1, \g<1>, \g<name>, \\, \n, \r, \t.
func (c *call) template(p *pattern, repl string) ([]templatePart, error) {
	var parts []templatePart
	var text strings.Builder
	for rest := repl; rest != ""; {
		plain, after, escaped := strings.Cut(rest, `\`)
		text.WriteString(plain)
		if !escaped {
			break
		}
		if after == "" {
			return nil, c.refuse("repl", "a backslash at the end", `\\ for a backslash`)
		}
		letter := after[0]
		rest = after[1:]
		switch {
		case '0' <= letter && letter <= '9' || letter == 'g':
			group, n, err := c.templateGroup(p, after)
			if err != nil {
				return nil, err
			}
			parts = append(parts, templatePart{text.String(), group})
			text.Reset()
			rest = after[n:]
		case strings.IndexByte(`\nrt`, letter) >= 0:
			text.WriteByte("\\\n\r\t"[strings.IndexByte(`\nrt`, letter)])
		default:
			return nil, c.refuse("repl", fmt.Sprintf("the escape \\%c", []rune(after)[0]), `\1, \g<name>, \n, \r, \t or \\`)
		}
	}
	return append(parts, templatePart{text.String(), -1}), nil
}

// templateGroup reads the group at the start of s, behind its backslash, and
// says how many bytes that were.
func (c *call) templateGroup(p *pattern, s string) (group, size int, err error) {
	name := s[:1]
	size = 1
	if s[0] == 'g' {
		end := strings.IndexByte(s, '>')
		if !strings.HasPrefix(s, "g<") || end < 0 {
			return 0, 0, c.refuse("repl", `\g without <...>`, `\g<1> or \g<name>`)
		}
		name, size = s[2:end], end+1
	} else if len(s) > 1 && '0' <= s[1] && s[1] <= '9' {
		name, size = s[:2], 2
	}
	if n, err := strconv.Atoi(name); err == nil {
		if 0 <= n && n <= p.any.NumSubexp() && s[0] != '0' {
			return n, size, nil
		}
		bad := c.refuse("repl", `\`+s[:size], fmt.Sprintf("a group of the pattern, which has %d", p.any.NumSubexp()))
		if s[0] == '0' {
			bad.Hint = `write \g<0> for the whole match`
		}
		return 0, 0, bad
	}
	if i := slices.Index(p.any.SubexpNames(), name); i > 0 && name != "" {
		return i, size, nil
	}
	return 0, 0, c.refuse("repl", `\`+diag.Shorten(s[:size]), "a group of the pattern")
}
