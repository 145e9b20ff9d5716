package starlib

import (
	"fmt"
	"slices"
	"strings"

	"go.starlark.net/starlark"

	"perago/starlib/diag"
)

// Markdown is the reference of the language's builtins, rendered from the table.
// It holds every row: what it takes and gives, when it may be called, its
// errors, and an example where it helps. host are rows of HostBuiltin.
func Markdown(host ...Builtin) string {
	var b strings.Builder
	b.WriteString("# Builtins\n\nEvery name that a task file can use without defining it. This page is made from the table that binds them.\n")
	var contents, body strings.Builder
	for _, s := range sections(Table(host...)) {
		fmt.Fprintf(&contents, "- [%s](#%s)\n", s.title, anchor(s.title))
		fmt.Fprintf(&body, "\n## %s\n", s.title)
		for _, row := range s.rows {
			row.markdown(&body)
		}
	}
	const own = "Methods of the language's own values"
	fmt.Fprintf(&contents, "- [%s](#%s)\n", own, anchor(own))
	b.WriteString("\n" + contents.String() + body.String())
	b.WriteString("\n## " + own + "\n\nThose that are not explained above are those of [Starlark](https://github.com/google/starlark-go/blob/master/doc/spec.md).\n\n| type | methods |\n| --- | --- |\n")
	for _, v := range []starlark.HasAttrs{starlark.String(""), starlark.Bytes(""), new(starlark.List), new(starlark.Dict), new(starlark.Set)} {
		fmt.Fprintf(&b, "| %s | `%s` |\n", v.Type(), strings.Join(methodNames(v), "`, `"))
	}
	return b.String()
}

// Entries are the parts of the reference about one name: "csv.write", "write_text",
// a module or a type such as "stats" or "path", with all that it has. "" when
// there is nothing of that name; near is then the nearest one, if any.
func Entries(name string) (text, near string) {
	var b strings.Builder
	var names []string
	table := Table()
	for i := range table {
		row := &table[i]
		last := row.Name[strings.LastIndexByte(row.Name, '.')+1:]
		owner := strings.TrimSuffix(strings.TrimSuffix(row.Name, last), ".")
		names = append(names, row.Name, last, owner)
		if row.Name == name || last == name || owner == name {
			row.markdown(&b)
		}
	}
	if b.Len() > 0 {
		return strings.TrimPrefix(b.String(), "\n"), ""
	}
	return "", diag.Nearest(name, names)
}

// section is what has one heading.
type section struct {
	title string
	rows  []*Builtin
}

// sections sorts the rows under headings, which come in the order of their
// first rows.
func sections(table []Builtin) []section {
	var list []section
	for i := range table {
		title := table[i].section()
		at := slices.IndexFunc(list, func(s section) bool { return s.title == title })
		if at < 0 {
			at = len(list)
			list = append(list, section{title: title})
		}
		list[at].rows = append(list[at].rows, &table[i])
	}
	return list
}

// section is the heading that a row belongs under.
func (b *Builtin) section() string {
	owner := ""
	if dot := strings.LastIndexByte(b.Name, '.'); dot >= 0 {
		owner = b.Name[:dot]
	}
	switch {
	case b.Method:
		return "Members of a " + owner
	case owner != "":
		return "Module " + owner
	case b.Phase == Declare:
		return "Declarations"
	}
	return "Functions"
}

// anchor is the fragment that a heading gets.
func anchor(title string) string {
	keep := func(r rune) rune {
		switch {
		case r == ' ':
			return '-'
		case 'a' <= r && r <= 'z', '0' <= r && r <= '9', r == '_', r == '-':
			return r
		}
		return -1
	}
	return strings.Map(keep, strings.ToLower(title))
}

// when says in words when a row may be used.
func (p Phase) when() string {
	switch p {
	case Declare:
		return "At the top level only."
	case Act:
		return "In the body only."
	}
	return "At the top level and in the body."
}

func (b *Builtin) markdown(w *strings.Builder) {
	fmt.Fprintf(w, "\n### `%s`\n\n", b.Signature())
	if b.Doc != "" {
		w.WriteString(b.Doc + "\n\n")
	}
	what := "Returns"
	if b.Property {
		what = "Is"
	}
	if b.Returns != "" {
		fmt.Fprintf(w, "%s: %s. ", what, b.Returns)
	}
	w.WriteString(b.Phase.when() + "\n")
	if len(b.Params) > 0 {
		w.WriteString("\n| parameter | type | default | |\n| --- | --- | --- | --- |\n")
		for _, p := range b.Params {
			p.markdown(w)
		}
	}
	if b.Example != "" {
		fmt.Fprintf(w, "\n```python\n%s\n```\n", b.Example)
	}
}

func (p *Param) markdown(w *strings.Builder) {
	name, otherwise := p.Name, "required"
	if p.Default != "" {
		otherwise = "`" + p.Default + "`"
	}
	switch p.Kind {
	case Rest:
		name, otherwise = "*"+name, ""
	case KeywordRest:
		name, otherwise = "**"+name, ""
	}
	doc := p.Doc
	switch p.Kind {
	case KeywordOnly:
		doc = strings.TrimPrefix(doc+"; by keyword", "; ")
	case Positional:
		doc = strings.TrimPrefix(doc+"; by position", "; ")
	}
	fmt.Fprintf(w, "| `%s` | %s | %s | %s |\n", name, cell(p.Type), cell(otherwise), cell(doc))
}

// cell is a text that does not end the cell of a table it stands in.
func cell(s string) string { return strings.ReplaceAll(s, "|", "\\|") }

// API is one line for every row, with the types of its parameters: what may not
// change by accident.
func API() string {
	var b strings.Builder
	for _, row := range Table() {
		parts := make([]string, len(row.Params))
		for i, p := range row.Params {
			star := map[Kind]string{Rest: "*", KeywordRest: "**"}[p.Kind]
			parts[i] = star + p.Name + ": " + p.Type
			if p.Default != "" {
				parts[i] += " = " + p.Default
			}
			if how := map[Kind]string{KeywordOnly: "keyword", Positional: "position"}[p.Kind]; how != "" {
				parts[i] += " [" + how + "]"
			}
		}
		call := "(" + strings.Join(parts, ", ") + ")"
		if row.Property {
			call = ""
		}
		fmt.Fprintf(&b, "%s%s -> %s [%s]\n", row.Name, call, row.Returns, row.Phase)
	}
	return b.String()
}
