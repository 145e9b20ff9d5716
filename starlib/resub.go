package starlib

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"go.starlark.net/starlark"
)

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
				bad.Found, bad.Wanted = typeName(v), "string"
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
	return 0, 0, c.refuse("repl", `\`+shorten(s[:size]), "a group of the pattern")
}
