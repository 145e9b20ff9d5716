package starlib

import (
	"fmt"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"

	"go.starlark.net/starlark"

	"perago/starlib/diag"
)

// match is one match of a pattern.
type match struct {
	pattern *pattern
	text    string // that was searched
	at      []int  // start and end of the match and then of each group, in bytes; -1 for one that took no part
}

var _ starlark.HasAttrs = (*match)(nil)

func (m *match) String() string {
	return fmt.Sprintf("<match span=(%d, %d), match=%s>", m.at[0], m.at[1], starlark.String(shorten(m.text[m.at[0]:m.at[1]])))
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
				return c.edge(func(from, to int) starlark.Value { return starlark.MakeInt(from) })
			}),
		row("end", "int", "Where a group ends, in bytes; -1 when it took no part.", []Param{group},
			func(c *call) (starlark.Value, error) {
				return c.edge(func(from, to int) starlark.Value { return starlark.MakeInt(to) })
			}),
		row("span", "(int, int)", "Where a group starts and ends, in bytes.", []Param{group},
			func(c *call) (starlark.Value, error) {
				return c.edge(func(from, to int) starlark.Value {
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
		return 0, c.refuse(argument, shorten(v.String()), fmt.Sprintf("0 to %d, the groups of the pattern", len(m.at)/2-1))
	case starlark.String:
		names := m.pattern.any.SubexpNames()
		if i := slices.Index(names, string(v)); i > 0 && v != "" {
			return i, nil
		}
		p := c.refuse(argument, v.String(), "a group of the pattern")
		if near := diag.Nearest(string(v), slices.DeleteFunc(slices.Clone(names), func(s string) bool { return s == "" })); near != "" {
			p.Hint = fmt.Sprintf("did you mean %q?", near)
		}
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

func (c *call) edge(f func(from, to int) starlark.Value) (starlark.Value, error) {
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
		bad.Argument = c.place("pattern")
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

// subject is the pattern and the text of a call.
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
	m := meter{call: c}
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
