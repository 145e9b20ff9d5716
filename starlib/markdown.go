package starlib

import (
	"fmt"
	"strings"
)

// Markdown is the reference of the language: every row of the table, under the
// name that it is reached by.
func Markdown() string {
	var b strings.Builder
	section := ""
	for _, row := range Table() {
		row := &row
		if s := sectionOf(row); s != section {
			section = s
			fmt.Fprintf(&b, "\n### %s\n", section)
		}
		row.markdown(&b)
	}
	return strings.TrimPrefix(b.String(), "\n")
}

// sectionOf is where a row stands: the declarations, what needs no prefix, a
// module, or the members of a value.
func sectionOf(row *Builtin) string {
	prefix, _, qualified := strings.Cut(row.Name, ".")
	switch {
	case row.Phase == Declare:
		return "Declarations"
	case !qualified:
		return "Functions"
	case row.Method:
		return "Members of a " + prefix
	}
	return "Module " + prefix
}

// markdown writes one row.
func (b *Builtin) markdown(w *strings.Builder) {
	signature := b.Signature()
	if b.Property {
		signature = b.Name
	}
	fmt.Fprintf(w, "\n**`%s`**", signature)
	if b.Returns != "" && b.Returns != "None" {
		fmt.Fprintf(w, " → %s", b.Returns)
	}
	if b.Phase == Act {
		w.WriteString(" · only in the body")
	}
	fmt.Fprintf(w, "\n\n%s\n", strings.TrimSpace(b.Doc))
	for i, p := range b.Params {
		if i == 0 {
			w.WriteString("\n")
		}
		name := p.Name
		switch p.Kind {
		case Rest:
			name = "*" + name
		case KeywordRest:
			name = "**" + name
		}
		fmt.Fprintf(w, "- `%s`: %s", name, p.Type)
		if p.Doc != "" {
			fmt.Fprintf(w, " — %s", strings.TrimSpace(p.Doc))
		}
		w.WriteString("\n")
	}
	if b.Example != "" {
		fmt.Fprintf(w, "\n```python\n%s\n```\n", strings.TrimSpace(b.Example))
	}
}
