package diag

import (
	"strings"
	"sync"

	"go.starlark.net/syntax"
)

// Sources are the files that errors point into, and what was known in them.
// The zero value works: diagnostics then have places without source lines, and
// fewer hints. It is safe for concurrent use once it is filled in.
type Sources struct {
	Text  map[string][]byte       // by the name in positions
	Trees map[string]*syntax.File // of the files that parsed
	Names []string                // all names a file can use without defining them

	// Parameters gives the names of a builtin's parameters in their order, nil
	// when it has no such builtin. The name is the one in a stack frame, "task"
	// or "read_text".
	Parameters func(builtin string) []string

	mu    sync.Mutex
	lines map[string][]string // by file
	once  sync.Once
	calls map[string]map[position]*syntax.CallExpr // by file and opening parenthesis
}

// position is a line and a column, both from 1, columns in runes.
type position struct{ line, column int }

func positionOf(pos syntax.Position) position { return position{int(pos.Line), int(pos.Col)} }

// line returns a line of a file without its newline, "" when there is none.
// Lines are counted as the scanner counts them: \n, \r\n and a lone \r end one.
func (s *Sources) line(file string, n int) string {
	text, ok := s.Text[file]
	if !ok {
		return ""
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	lines, ok := s.lines[file]
	if !ok {
		if s.lines == nil {
			s.lines = map[string][]string{}
		}
		lines = splitLines(string(text))
		s.lines[file] = lines
	}
	if n < 1 || n > len(lines) {
		return ""
	}
	return lines[n-1]
}

// longestSource bounds the source line in a Diagnostic, in runes.
const longestSource = 4096

// source is the line of a place as a Diagnostic shows it: "" when the place is
// so far out that a cut line would not reach it.
func (s *Sources) source(file string, n, column int) string {
	line := s.line(file, n)
	if len(line) <= longestSource {
		return line
	}
	runes := []rune(line)
	switch {
	case len(runes) <= longestSource:
		return line
	case column >= longestSource:
		return ""
	}
	return string(runes[:longestSource-1]) + "…"
}

func splitLines(text string) []string {
	var lines []string
	for {
		i := strings.IndexAny(text, "\r\n")
		if i < 0 {
			return append(lines, text)
		}
		lines = append(lines, text[:i])
		text = text[i+lineEnd(text[i:]):]
	}
}

// at makes an error Diagnostic at a position, with its source line.
func (s *Sources) at(pos syntax.Position, code Code, message string) *Diagnostic {
	d := &Diagnostic{Code: code, Severity: Error, Message: message}
	if pos.IsValid() {
		d.File = pos.Filename()
		d.Line, d.Column = int(pos.Line), int(pos.Col)
		d.Source = s.source(d.File, d.Line, d.Column)
	}
	return d
}

// Locate fills in the source line of every diagnostic that has a place and none yet.
func (s *Sources) Locate(list List) List {
	for _, d := range list {
		if d.Source == "" && d.Line > 0 {
			d.Source = s.source(d.File, d.Line, d.Column)
		}
	}
	return list
}

// call finds a call by the position of its opening parenthesis, which is what
// the interpreter records of it.
func (s *Sources) call(pos syntax.Position) *syntax.CallExpr {
	s.once.Do(func() {
		s.calls = make(map[string]map[position]*syntax.CallExpr, len(s.Trees))
		for name, tree := range s.Trees {
			index := map[position]*syntax.CallExpr{}
			syntax.Walk(tree, func(n syntax.Node) bool {
				if call, ok := n.(*syntax.CallExpr); ok {
					index[positionOf(call.Lparen)] = call
				}
				return true
			})
			s.calls[name] = index
		}
	})
	return s.calls[pos.Filename()][positionOf(pos)]
}

// Called is the place of the name of what is called, by that of the opening
// parenthesis; any other place is returned as it is.
func (s *Sources) Called(file string, line, column int) (int, int) {
	call := s.call(syntax.MakePosition(&file, int32(line), int32(column)))
	if call == nil {
		return line, column
	}
	at := positionOf(calleePosition(call))
	return at.line, at.column
}

// argument is the position of an argument of a call: a keyword's name, or the
// start of a positional one. ok is false when the call does not show it, as
// with *args.
func (s *Sources) argument(call *syntax.CallExpr, builtin, name string) (syntax.Position, bool) {
	index := -1
	if n, numeric := number(name); numeric {
		index = n
	} else if s.Parameters != nil {
		for i, p := range s.Parameters(builtin) {
			if p == name {
				index = i
			}
		}
	}
	positional := 0
	for _, arg := range call.Args {
		switch arg := arg.(type) {
		case *syntax.UnaryExpr:
			if arg.Op == syntax.STAR || arg.Op == syntax.STARSTAR {
				positional = len(call.Args) + 1 // what follows cannot be counted
				continue
			}
		case *syntax.BinaryExpr:
			if arg.Op == syntax.EQ {
				if id, ok := arg.X.(*syntax.Ident); ok && id.Name == name {
					return id.NamePos, true
				}
				continue
			}
		}
		if positional == index {
			return syntax.Start(arg), true
		}
		positional++
	}
	return syntax.Position{}, false
}

// number reads a decimal index.
func number(s string) (int, bool) {
	n := 0
	for _, c := range s {
		if c < '0' || c > '9' || n > 1000 {
			return 0, false
		}
		n = n*10 + int(c-'0')
	}
	return n, s != ""
}
