package main

import (
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"syscall"
	"testing"

	"golang.org/x/sys/unix"
)

// terminal opens a pseudo-terminal: its user's side, and the side of the program.
func terminal(t *testing.T) (user, program *os.File) {
	t.Helper()
	user, err := os.OpenFile("/dev/ptmx", os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { user.Close() })
	if err := unix.IoctlSetPointerInt(int(user.Fd()), unix.TIOCSPTLCK, 0); err != nil {
		t.Fatal(err)
	}
	n, err := unix.IoctlGetInt(int(user.Fd()), unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	program, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|syscall.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { program.Close() })
	return user, program
}

// onTerminal runs perago with stderr on a terminal, and returns what stood there.
func onTerminal(t *testing.T, environ []string, args ...string) string {
	t.Helper()
	user, program := terminal(t)
	seen := make(chan string, 1)
	go func() {
		text, _ := io.ReadAll(user) // ends with an error when the program's side is closed
		seen <- string(text)
	}()
	s := newSession(t, environ...)
	for name, text := range map[string]string{"typo.star": "task(nam = 1)\n", "progress.star": progressTask} {
		if err := os.WriteFile(name, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	s.app.stderr = program
	s.run(context.Background(), args)
	program.Close()
	return <-seen
}

const progressTask = `task(name = "progress.example", owner_email = "a@example.com")

def run(params):
    for i in range(4):
        progress(i, total = 4, message = "half way" if i == 2 else "")
    print("said")
    return {}
`

func TestColourOnlyOnATerminal(t *testing.T) {
	const red = "\x1b[1;31m"
	if got := onTerminal(t, nil, "check", "typo.star"); !strings.Contains(got, red) {
		t.Errorf("a terminal gets colour: got %q", got)
	}
	for _, environ := range []string{"NO_COLOR=1", "TERM=dumb"} {
		if got := onTerminal(t, []string{environ}, "check", "typo.star"); strings.Contains(got, "\x1b") || !strings.Contains(got, "typo.star:1:") {
			t.Errorf("%s: got %q, want the complaint without colour", environ, got)
		}
	}
}

func TestProgressOnlyOnATerminal(t *testing.T) {
	got := onTerminal(t, nil, "run", "progress.star")
	if !strings.Contains(got, "%") || !strings.Contains(got, "said") {
		t.Errorf("got %q, want a bar and what the body said", got)
	}
	for _, quiet := range [][]string{{"run", "progress.star", "--format", "json"}, {"run", "progress.star"}} {
		environ := []string{}
		if len(quiet) == 2 {
			environ = append(environ, "NO_COLOR=1")
		}
		if got := onTerminal(t, environ, quiet...); strings.Contains(got, "%") || strings.Contains(got, "\x1b") {
			t.Errorf("perago %q %q: got %q, want no bar", environ, quiet, got)
		}
	}
}

// TestStartTable: on a terminal the worker shows what it does, and no log lines.
func TestStartTable(t *testing.T) {
	user, program := terminal(t)
	f := newFakeConductor(t)
	s := newSession(t, "CONDUCTOR_SERVER_URL="+f.url)
	s.app.stderr = program
	done := s.working(t, "plain.star -j 3")
	var seen strings.Builder
	buf := make([]byte, 4096)
	for !strings.Contains(seen.String(), "1 task, 0 of 3 slots busy") {
		n, err := user.Read(buf)
		if err != nil {
			t.Fatalf("%v after %q", err, &seen)
		}
		seen.Write(buf[:n])
	}
	s.signals <- syscall.SIGTERM
	go io.Copy(io.Discard, user)
	wantExit(t, done, exitDone, s)
	if strings.Contains(seen.String(), "level=INFO") {
		t.Errorf("got log lines under the table: %q", &seen)
	}
}
