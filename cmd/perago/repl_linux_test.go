package main

import (
	"context"
	"io"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// typist is a person at a terminal.
type typist struct {
	t    *testing.T
	user *os.File
	seen string // what stood there since what was waited for last
	code chan int
}

// atPrompt starts `perago repl` on a terminal.
func atPrompt(t *testing.T, s *session, args ...string) *typist {
	t.Helper()
	user, program := terminal(t)
	s.app.stdin, s.app.stderr, s.app.stdout = program, program, &results{w: program}
	p := &typist{t: t, user: user, code: make(chan int, 1)}
	go func() {
		p.code <- s.run(context.Background(), append([]string{"repl"}, args...))
		program.Close()
	}()
	return p
}

// keys types something and waits for what is to be seen after it.
func (p *typist) keys(keys, want string) {
	p.t.Helper()
	if _, err := p.user.WriteString(keys); err != nil {
		p.t.Fatal(err)
	}
	buf := make([]byte, 4096)
	for {
		if _, after, ok := strings.Cut(p.seen, want); ok {
			p.seen = after
			return
		}
		n, err := p.user.Read(buf)
		p.seen += string(buf[:n])
		if err != nil {
			p.t.Fatalf("%v: typed %q, want %q, got %q", err, keys, want, p.seen)
		}
	}
}

// leave types Ctrl-D and wants the exit code.
func (p *typist) leave(want int) {
	p.t.Helper()
	p.user.WriteString("\x04")
	go io.Copy(io.Discard, p.user) // ends when the program's side is closed
	if got := <-p.code; got != want {
		p.t.Errorf("exit %d, want %d", got, want)
	}
}

func TestPromptOnATerminal(t *testing.T) {
	s := newSession(t, "TERM=xterm", "HOME="+t.TempDir(), "XDG_STATE_HOME="+t.TempDir())
	if err := os.Mkdir("data", 0o755); err != nil {
		t.Fatal(err)
	}
	p := atPrompt(t, s, "files.star", "--workspace", "data")
	p.keys("", ":help says what there is")
	p.keys("", "names: params, run, workspace")
	p.keys("", ">>> ")
	p.keys("works\t", "workspace")    // Tab completes a name...
	p.keys(".read_te\t", "read_text") // ...and a member
	p.keys("\x03", "^C")              // Ctrl-C drops what was typed
	p.keys("", ">>> ")
	p.keys("\"ab\".up\t", `.up`) // of a value that has no name, nothing
	p.keys("\x03", "^C")
	p.keys("", ">>> ")
	p.keys("text.wr\t(\"a b\", width = 1)\r", `["a", "b"]`) // a member of a module
	p.keys("", ">>> ")
	p.keys("def f(x):\r", "... ")
	p.keys("\treturn x * 21\r\r", ">>> ") // Tab indents
	p.keys("f(2)\r", "42")
	p.keys("", ">>> ")
	p.keys("for i in range(1000000000000): print(\"runs\") if i == 0 else None\r\r", "runs\r\n")
	s.signals <- syscall.SIGINT // what the terminal makes of Ctrl-C while a statement runs
	p.keys("", "interrupted")
	p.keys("", ">>> ")
	p.keys("f(3)\r", "63") // the session goes on
	p.keys("", ">>> ")
	p.leave(exitDone)

	// The history is there the next time, for its owner alone.
	file := historyFile(environment(s.app.environ))
	info, err := os.Stat(file)
	if err != nil || info.Mode().Perm() != 0o600 || !strings.HasSuffix(file, "/perago/repl_history") {
		t.Fatalf("history: %v, %v", info, err)
	}
	p = atPrompt(t, s)
	p.keys("", ">>> ")
	p.keys("\x1b[A", "f(3)") // the arrow up
	p.keys("\x03", "^C")
	p.keys("", ">>> ")
	p.leave(exitDone)
}

func TestHistoryIsBounded(t *testing.T) {
	file := filepath.Join(t.TempDir(), "state", "repl_history")
	s := &lineSource{file: file, changed: true}
	for range maxHistory + 10 {
		s.history = append(s.history, "x")
	}
	s.history = append(s.history, strings.Repeat("y", maxHistoryLine+1), "last")
	if err := replaceFile(file, []byte(strings.Join(s.history, "\n")), 0o600); err != nil {
		t.Fatal(err)
	}
	got := readHistory(file)
	if len(got) != maxHistory || got[len(got)-1] != "last" || got[len(got)-2] != "x" {
		t.Errorf("got %d lines that end with %q", len(got), got[max(0, len(got)-2):])
	}
}
