package main

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/term"
)

// Bounds of what is kept of earlier sessions, and of one line.
const (
	maxHistory     = 1000     // lines
	maxHistoryLine = 1000     // bytes; a longer line is not kept
	maxLine        = 64 << 10 // bytes
	maxNames       = 100      // that Tab shows
)

// lineSource gives the lines of a session: those that a person types on a terminal,
// with an editor, or those of stdin. It reads only when it is asked to.
type lineSource struct {
	person  bool // at a terminal
	ask     chan string
	answers chan answer
	signals <-chan os.Signal

	terminal *os.File // what follows is of a person's session only
	keyboard *keyboard
	complete completer
	editor   *term.Terminal
	history  []string // oldest first
	file     string   // of the history; "" is none
	changed  bool     // the history
}

// completer gives the word before the cursor and the names that can stand there.
type completer func(before string) (word string, names []string)

type answer struct {
	line string // with its newline
	err  error
}

// openLines starts to read stdin.
func (a *app) openLines(complete completer) *lineSource {
	s := &lineSource{ask: make(chan string), answers: make(chan answer, 1), signals: a.signals}
	in, isFile := a.stdin.(*os.File)
	if env := environment(a.environ); isFile && term.IsTerminal(int(in.Fd())) && isTerminal(a.stderr) && env["TERM"] != "dumb" {
		s.person, s.terminal, s.complete = true, in, complete
		s.keyboard = &keyboard{Reader: in, Writer: a.stderr}
		s.file = historyFile(env)
		s.history = readHistory(s.file)
		s.openEditor(complete)
		go s.serve(s.edited)
		return s
	}
	lines := bufio.NewReaderSize(a.stdin, maxLine)
	go s.serve(func(string) (string, error) { return readLine(lines) })
	return s
}

// serve reads one line for each time it is asked. It is left behind where it waits
// for a line that never comes: a read of stdin cannot be ended.
func (s *lineSource) serve(read func(prompt string) (string, error)) {
	for prompt := range s.ask {
		line, err := read(prompt)
		s.answers <- answer{line, err}
	}
}

// readLine reads one line of a pipe or a file.
func readLine(from *bufio.Reader) (string, error) {
	line, err := from.ReadSlice('\n')
	switch {
	case errors.Is(err, bufio.ErrBufferFull):
		return "", environmentError("put it into a file, and name that", "a line of stdin has more than %d bytes", maxLine)
	case err == io.EOF && len(line) > 0:
		return string(line) + "\n", nil
	case err != nil:
		return "", err
	}
	return string(line), nil
}

// next is the next line, of a new statement or of one that goes on. io.EOF is the
// end, errDropped a Ctrl-C.
func (s *lineSource) next(first bool) (string, error) {
	prompt := "... "
	if first {
		prompt = ">>> "
	}
	s.ask <- prompt
	select {
	case a := <-s.answers:
		return a.line, a.err
	case <-s.signals:
		return "", errInterrupted
	}
}

// keyboard is a terminal as the editor sees it.
type keyboard struct {
	io.Reader
	io.Writer
	dropped bool // Ctrl-C came
}

const ctrlC = 3

// Read implements io.Reader. The editor ends a line at Ctrl-C as it does at Ctrl-D.
func (k *keyboard) Read(p []byte) (int, error) {
	n, err := k.Reader.Read(p)
	k.dropped = k.dropped || bytes.IndexByte(p[:n], ctrlC) >= 0
	return n, err
}

// openEditor makes a new editor, with nothing typed yet.
func (s *lineSource) openEditor(complete completer) {
	s.editor = term.NewTerminal(s.keyboard, "")
	s.editor.History = (*history)(s)
	s.editor.SetBracketedPasteMode(true)
	s.editor.AutoCompleteCallback = func(line string, pos int, key rune) (string, int, bool) {
		if key != '\t' {
			return "", 0, false
		}
		return s.tab(complete, line, pos)
	}
}

// tab is what the Tab key does: at the beginning of a line it indents, behind a
// word it adds what all names have that can stand there, and shows them.
func (s *lineSource) tab(complete completer, line string, pos int) (string, int, bool) {
	before, after := line[:pos], line[pos:]
	add := "    "
	if strings.TrimSpace(before) != "" {
		word, names := complete(before)
		if len(names) == 0 {
			return "", 0, false
		}
		common := names[0]
		for _, name := range names[1:] {
			for !strings.HasPrefix(name, common) {
				common = common[:len(common)-1]
			}
		}
		if add = common[len(word):]; add == "" && len(names) > 1 {
			shown := strings.Join(names[:min(len(names), maxNames)], "  ")
			if len(names) > maxNames {
				shown += "  …"
			}
			fmt.Fprintln(s.editor, shown)
		}
	}
	return before + add + after, pos + len(add), true
}

// edited is one line that a person typed. The terminal is the editor's only as
// long as it takes: while a statement runs, Ctrl-C is a signal.
func (s *lineSource) edited(prompt string) (string, error) {
	fd := int(s.terminal.Fd())
	before, err := term.MakeRaw(fd)
	if err != nil {
		return "", environmentError("", "the terminal: %w", err)
	}
	defer term.Restore(fd, before)
	if width, height, err := term.GetSize(fd); err == nil && width > 0 {
		s.editor.SetSize(width, height)
	}
	s.editor.SetPrompt(prompt)
	line, err := s.editor.ReadLine()
	switch {
	case err == io.EOF && s.keyboard.dropped:
		s.keyboard.dropped = false
		fmt.Fprint(s.keyboard, "^C\r\n")
		s.openEditor(s.complete) // the old one has the line still
		return "", errDropped
	case err == io.EOF:
		fmt.Fprint(s.keyboard, "\r\n")
		return "", err
	case err != nil && !errors.Is(err, term.ErrPasteIndicator):
		return "", err
	}
	if len(line) > maxLine {
		return "", environmentError("put it into a file, and name that", "a line has more than %d bytes", maxLine)
	}
	return line + "\n", nil
}

// history is the lines that were typed, as the editor asks for them.
type history lineSource

// Add implements term.History.
func (h *history) Add(line string) {
	if strings.TrimSpace(line) == "" || len(line) > maxHistoryLine || len(h.history) > 0 && h.history[len(h.history)-1] == line {
		return
	}
	h.history = append(h.history, line)
	if len(h.history) > maxHistory {
		h.history = h.history[1:]
	}
	h.changed = true
}

// Len implements term.History.
func (h *history) Len() int { return len(h.history) }

// At implements term.History: 0 is the newest.
func (h *history) At(i int) string { return h.history[len(h.history)-1-i] }

// close keeps the history.
func (s *lineSource) close() error {
	if s.editor == nil {
		return nil
	}
	s.editor.SetBracketedPasteMode(false)
	if !s.changed || s.file == "" {
		return nil
	}
	if err := os.MkdirAll(filepath.Dir(s.file), 0o700); err != nil {
		return err
	}
	return replaceFile(s.file, []byte(strings.Join(s.history, "\n")+"\n"), 0o600)
}

// historyFile is where the history is kept: in the folder for the state of
// programs. "" where the user has none.
func historyFile(env map[string]string) string {
	state := env["XDG_STATE_HOME"]
	if !filepath.IsAbs(state) {
		home := env["HOME"]
		if !filepath.IsAbs(home) {
			return ""
		}
		state = filepath.Join(home, ".local", "state")
	}
	return filepath.Join(state, "perago", "repl_history")
}

// readHistory reads the last lines of the history.
func readHistory(file string) []string {
	f, err := os.Open(file)
	if err != nil {
		return nil
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxHistory*(maxHistoryLine+1)))
	if err != nil {
		return nil
	}
	var lines []string
	for line := range strings.Lines(string(text)) {
		if line = strings.TrimRight(line, "\r\n"); line != "" && len(line) <= maxHistoryLine {
			lines = append(lines, line)
		}
	}
	return lines[max(0, len(lines)-maxHistory):]
}
