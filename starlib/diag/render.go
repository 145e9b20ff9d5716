package diag

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"strings"

	"github.com/rivo/uniseg"
)

// TextOptions of WriteText.
type TextOptions struct {
	Color bool // with ANSI colours, for a terminal
}

// sourceWidth is how many columns of a source line are shown at most.
const sourceWidth = 120

// WriteText writes each Diagnostic for a person:
//
//	tasks/a.star:4:11: error P1101: there are no f-strings
//	  4 |     print(f"{n} rows")
//	    |           ^
//	  hint: write `"{} rows".format(n)`
//
// Found and wanted follow the message, further lines the source; the stack,
// outermost call first, the hint. Control characters of the source come out as
// visible ones.
func WriteText(w io.Writer, list List, o TextOptions) error {
	var b bytes.Buffer
	for _, d := range list {
		d.text(&b, paint(o.Color))
	}
	_, err := w.Write(b.Bytes())
	return err
}

// paint wraps a text in the colour of a role, or in nothing.
type paint bool

func (p paint) as(code, s string) string {
	if !p {
		return s
	}
	return "\x1b[" + code + "m" + s + "\x1b[0m"
}

const (
	bold   = "1"
	red    = "1;31"
	yellow = "1;33"
	blue   = "34"
	green  = "32"
)

func (d *Diagnostic) text(b *bytes.Buffer, p paint) {
	role := red
	if d.Severity == Warning {
		role = yellow
	}
	if where := d.where(); where != "" {
		b.WriteString(p.as(bold, where+":") + " ")
	}
	label := string(d.Severity)
	if d.Code != "" {
		label += " " + string(d.Code)
	}
	message := Problem{Message: d.Message, Found: d.Found, Wanted: d.Wanted}
	fmt.Fprintf(b, "%s %s\n", p.as(role, label+":"), indented(message.Error()))
	d.excerpt(b, p, role)
	d.detail(b, p)
	if d.Hint != "" {
		fmt.Fprintf(b, "  %s %s\n", p.as(blue, "hint:"), indented(d.Hint))
	}
	if len(d.Stack) > 1 {
		fmt.Fprintf(b, "  %s\n", p.as(blue, "calls, outermost first:"))
		for _, f := range d.Stack {
			fmt.Fprintf(b, "    %s:%d:%d in %s\n", Printable(f.File), f.Line, f.Column, Printable(f.Function))
		}
	}
}

// detail is what else there is to say, a line below the other. Lines of a diff
// have its colours.
func (d *Diagnostic) detail(b *bytes.Buffer, p paint) {
	if d.Detail == "" {
		return
	}
	for line := range strings.Lines(PrintableLines(strings.TrimRight(d.Detail, "\n"))) {
		line = strings.TrimSuffix(line, "\n")
		switch {
		case strings.HasPrefix(line, "-"):
			line = p.as(red, line)
		case strings.HasPrefix(line, "+"):
			line = p.as(green, line)
		}
		fmt.Fprintf(b, "  %s\n", line)
	}
}

// where is FILE:LINE:COLUMN as far as it is known.
func (d *Diagnostic) where() string {
	switch {
	case d.File == "":
		return ""
	case d.Line == 0:
		return Printable(d.File)
	}
	return fmt.Sprintf("%s:%d:%d", Printable(d.File), d.Line, d.Column)
}

// indented keeps the lines of a text below each other.
func indented(s string) string {
	return strings.ReplaceAll(PrintableLines(s), "\n", "\n    ")
}

// excerpt is the source line with a caret below the column.
func (d *Diagnostic) excerpt(b *bytes.Buffer, p paint, role string) {
	if d.Line == 0 || strings.TrimSpace(d.Source) == "" {
		return
	}
	line, lead := window(d.Source, d.Column)
	number := fmt.Sprint(d.Line)
	fmt.Fprintf(b, "  %s %s\n", p.as(blue, number+" |"), line)
	fmt.Fprintf(b, "  %s %s%s\n", p.as(blue, strings.Repeat(" ", len(number))+" |"), lead, p.as(role, "^"))
}

// window cuts a long line around a column. lead is what stands before the caret:
// blanks as wide as the text above them.
func window(source string, column int) (line, lead string) {
	runes := []rune(strings.TrimRight(source, " \t"))
	at := max(0, min(column-1, len(runes)))
	from, to := 0, len(runes)
	if len(runes) > sourceWidth {
		from = max(0, min(at-sourceWidth/2, len(runes)-sourceWidth))
		to = min(len(runes), from+sourceWidth)
	}
	head, tail := "", ""
	if from > 0 {
		head = "…"
	}
	if to < len(runes) {
		tail = "…"
	}
	var blanks strings.Builder
	before := head + Printable(string(runes[from:at]))
	for _, part := range strings.SplitAfter(before, "\t") {
		text, tab := strings.CutSuffix(part, "\t")
		blanks.WriteString(strings.Repeat(" ", uniseg.StringWidth(text)))
		if tab {
			blanks.WriteByte('\t')
		}
	}
	return before + Printable(string(runes[at:to])) + tail, blanks.String()
}

// MarshalJSON writes no diagnostics as [], not as null.
func (l List) MarshalJSON() ([]byte, error) {
	if l == nil {
		return []byte("[]"), nil
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	err := e.Encode([]*Diagnostic(l))
	return b.Bytes(), err
}

// WriteGitHub writes each Diagnostic as a workflow command, which GitHub shows
// beside the line it is about.
func WriteGitHub(w io.Writer, list List) error {
	var b bytes.Buffer
	for _, d := range list {
		command := "error"
		if d.Severity == Warning {
			command = "warning"
		}
		var properties []string
		add := func(key, value string) {
			if value != "" && value != "0" {
				properties = append(properties, key+"="+githubProperty(value))
			}
		}
		add("file", d.File)
		add("line", fmt.Sprint(d.Line))
		add("col", fmt.Sprint(d.Column))
		add("title", string(d.Code))
		p := Problem{Message: d.Message, Found: d.Found, Wanted: d.Wanted}
		message := p.Error()
		if d.Hint != "" {
			message += "\nhint: " + d.Hint
		}
		if d.Detail != "" {
			message += "\n" + strings.TrimRight(d.Detail, "\n")
		}
		message = PrintableLines(message)
		b.WriteString("::" + command)
		if len(properties) > 0 {
			b.WriteString(" " + strings.Join(properties, ","))
		}
		b.WriteString("::" + githubData(message) + "\n")
	}
	_, err := w.Write(b.Bytes())
	return err
}

func githubData(s string) string {
	return strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A").Replace(s)
}

func githubProperty(s string) string {
	return strings.NewReplacer("%", "%25", "\r", "%0D", "\n", "%0A", ":", "%3A", ",", "%2C").Replace(s)
}
