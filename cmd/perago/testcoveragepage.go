package main

import (
	_ "embed"
	"html/template"
	"io"
	"strings"
)

//go:embed coverage.html
var coveragePage string

// pageFile is one file of the page.
type pageFile struct {
	coverageFileSummary
	ID    int
	Below bool // something is missing
	Lines []pageLine
}

// pageLine is one line of a file. State is "hit", "part" or "miss" where a
// statement begins, else "".
type pageLine struct {
	Number int
	State  string
	Sign   string // for those who do not see colours
	Count  uint32
	Text   string
}

// writeHTML writes one page that needs nothing else.
func (c *coverage) writeHTML(w io.Writer) error {
	page := struct {
		coverageSummary
		Pages []pageFile
	}{coverageSummary: c.summary()}
	for i, f := range c.sorted() {
		p, err := f.page(page.Files[i])
		if err != nil {
			return err
		}
		p.ID = i + 1
		page.Pages = append(page.Pages, p)
	}
	t, err := template.New("coverage").Parse(coveragePage)
	if err != nil {
		return err
	}
	return t.Execute(w, page)
}

// page shows the source of a file beside its counts.
func (f *coveredFile) page(s coverageFileSummary) (pageFile, error) {
	p := pageFile{coverageFileSummary: s, Below: s.Run < s.Statements}
	text, err := readSource(f.name)
	if err != nil {
		return p, err
	}
	lines := f.lines()
	source := strings.NewReplacer("\r\n", "\n", "\r", "\n").Replace(strings.TrimSuffix(string(text), "\n"))
	for i, line := range strings.Split(source, "\n") {
		l := pageLine{Number: i + 1, Text: strings.ToValidUTF8(line, "�")}
		if at, ok := lines[i+1]; ok {
			l.Count = at.least
			switch at.ran {
			case at.statements:
				l.State, l.Sign = "hit", "✓"
			case 0:
				l.State, l.Sign = "miss", "✗"
			default:
				l.State, l.Sign = "part", "◐"
			}
		}
		p.Lines = append(p.Lines, l)
	}
	return p, nil
}
