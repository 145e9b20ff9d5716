package main

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"unsafe"

	"golang.org/x/sys/unix"
)

// withoutLandlock is perago in a container whose profile does not know the calls
// of Landlock, as many do not.
func withoutLandlock() {
	runtime.LockOSThread()
	err := refuseCalls(unix.SYS_LANDLOCK_CREATE_RULESET, unix.SYS_LANDLOCK_ADD_RULE, unix.SYS_LANDLOCK_RESTRICT_SELF)
	if err == nil {
		var path string
		if path, err = exec.LookPath("perago"); err == nil {
			err = syscall.Exec(path, append([]string{"perago"}, os.Args[1:]...), os.Environ())
		}
	}
	fmt.Fprintln(os.Stderr, err)
	os.Exit(99)
}

// refuseCalls makes the kernel answer these calls of this thread, and of what
// it executes, with ENOSYS.
func refuseCalls(calls ...uint32) error {
	program := []unix.SockFilter{{Code: unix.BPF_LD | unix.BPF_W | unix.BPF_ABS}} // the number of the call
	for _, nr := range calls {
		program = append(program, unix.SockFilter{Code: unix.BPF_JMP | unix.BPF_JEQ | unix.BPF_K, Jf: 1, K: nr},
			unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ERRNO | uint32(unix.ENOSYS)})
	}
	program = append(program, unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K, K: unix.SECCOMP_RET_ALLOW})
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return err
	}
	return unix.Prctl(unix.PR_SET_SECCOMP, unix.SECCOMP_MODE_FILTER,
		uintptr(unsafe.Pointer(&unix.SockFprog{Len: uint16(len(program)), Filter: &program[0]})), 0, 0)
}

// unconfined is a command in a folder of its own, with a task that Conductor knows.
func unconfined(t *testing.T, f *fakeConductor, args ...string) *exec.Cmd {
	newSession(t, "CONDUCTOR_SERVER_URL="+f.url).mustPrint(t, 0, "register plain.star")
	cmd := exec.Command("perago-without-landlock", args...)
	cmd.Env = append(os.Environ(), "CONDUCTOR_SERVER_URL="+f.url, "HOME="+t.TempDir())
	return cmd
}

// Where a layer is missing a worker does not start, and doctor says that it
// would not.
func TestIsolationIsRequired(t *testing.T) {
	f := newFakeConductor(t)
	stderr, code := runProgram(t, unconfined(t, f, "start", "plain.star"))
	for _, want := range []string{"isolation is required", "no files (Landlock): ", "no TCP (Landlock): ", "PERAGO_ISOLATION=best-effort"} {
		if !strings.Contains(stderr, want) {
			t.Errorf("start: got %q, want it to say %q", stderr, want)
		}
	}
	if code != exitEnvironment || strings.Contains(stderr, "seccomp): ") {
		t.Errorf("start: got exit %d, %q; want exit %d, and not a word of layers that are there", code, stderr, exitEnvironment)
	}
	cmd := unconfined(t, f, "doctor", "plain.star")
	said, err := cmd.Output()
	if code, _ := codeOf(err); code != exitEnvironment || !strings.Contains(string(said), "FAIL  isolation       no files (Landlock) is missing") {
		t.Errorf("doctor: got exit %d, want %d and the missing layer\n%s", code, exitEnvironment, said)
	}
}

// Who says best-effort gets a worker that says what is missing.
func TestIsolationByBestEffort(t *testing.T) {
	f := newFakeConductor(t)
	cmd := unconfined(t, f, "doctor", "plain.star", "--isolation", "best-effort")
	said, err := cmd.Output()
	if code, _ := codeOf(err); code != 0 || !strings.Contains(string(said), "note  isolation       no files (Landlock) is missing") ||
		!strings.Contains(string(said), "PERAGO_ISOLATION is best-effort") {
		t.Errorf("doctor: got exit %d, want 0 and notes\n%s", code, said)
	}

	cmd = unconfined(t, f, "start", "plain.star", "--isolation", "best-effort", "--http-addr", "127.0.0.1:0")
	stderr, err := cmd.StderrPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	address := regexp.MustCompile(`msg="status page" addr=(\S+)`)
	warned := false
	lines := bufio.NewScanner(stderr)
	for lines.Scan() {
		warned = warned || strings.Contains(lines.Text(), "level=WARN") && strings.Contains(lines.Text(), "no files (Landlock): ")
		if at := address.FindStringSubmatch(lines.Text()); at != nil {
			figures := get(t, "http://"+at[1]+"/metrics")
			for _, want := range []string{`perago_isolation_layer{layer="no files (Landlock)"} 0`, `perago_isolation_layer{layer="system calls (seccomp)"} 1`} {
				if !strings.Contains(figures, want) {
					t.Errorf("metrics: no %s in\n%s", want, figures)
				}
			}
			cmd.Process.Signal(syscall.SIGTERM)
		}
	}
	if code, err := codeOf(cmd.Wait()); code != 0 || !warned {
		t.Errorf("start: got exit %d (%v), warned %v; want exit 0 and a warning", code, err, warned)
	}
}

// Thread mode holds nothing in, so it and an explicit `required` exclude each other.
func TestIsolationInThreadMode(t *testing.T) {
	f := newFakeConductor(t)
	newSession(t, "CONDUCTOR_SERVER_URL="+f.url).mustPrint(t, exitEnvironment, "start plain.star --execution-mode thread --isolation required",
		"isolation is required", "own process: PERAGO_EXECUTION_MODE=thread")
	newSession(t, "CONDUCTOR_SERVER_URL="+f.url).mustPrint(t, exitEnvironment, "doctor --execution-mode thread --isolation required", "FAIL  isolation       own process is missing")
	newSession(t, "CONDUCTOR_SERVER_URL="+f.url).mustPrint(t, 0, "doctor --execution-mode thread", "note  isolation       own process is missing")
}

func get(t *testing.T, url string) string {
	t.Helper()
	answer, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer answer.Body.Close()
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

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
