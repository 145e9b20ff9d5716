package isolate

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"

	"perago/engine"
	"perago/starlib"
)

// probeArgument starts the test binary as a child whose log.info, asked to
// "probe NAME ARGUMENT", does by hand in the sandbox what a body that had taken
// over the interpreter would try. It answers on standard error.
const probeArgument = "__probe"

func probe(c *child, r starlib.Record) {
	fields := strings.Fields(r.Message)
	if len(fields) < 2 || fields[0] != "probe" {
		return
	}
	argument := strings.Join(fields[2:], " ")
	if try := excesses()[fields[1]]; try != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", fields[1], try(c.files, argument))
		return
	}
	fmt.Fprintf(os.Stderr, "%s: %v\n", fields[1], tries()[fields[1]](argument))
}

// tries are what a body has no business doing; nil is a success.
func tries() map[string]func(argument string) error {
	pid := func(s string) int { n, _ := strconv.Atoi(s); return n }
	raw := func(nr uintptr, args ...uintptr) error {
		var a [6]uintptr
		copy(a[:], args)
		if _, _, errno := syscall.RawSyscall6(nr, a[0], a[1], a[2], a[3], a[4], a[5]); errno != 0 {
			return errno
		}
		return nil
	}
	name := func(s string) uintptr { p, _ := syscall.BytePtrFromString(s); return uintptr(unsafe.Pointer(p)) }
	return map[string]func(string) error{
		"read":    func(s string) error { _, err := os.ReadFile(s); return err },
		"openat2": func(s string) error { _, err := unix.Openat2(unix.AT_FDCWD, s, &unix.OpenHow{}); return err },
		"write":   func(s string) error { return os.WriteFile(s, nil, 0o600) },
		"mkdir":   func(s string) error { return os.Mkdir(s, 0o700) },
		"unlink":  func(s string) error { return os.Remove(s) },
		"rename":  func(s string) error { return os.Rename(s, s+"x") },
		"link":    func(s string) error { return os.Symlink("/etc/passwd", s+".link") },
		"chmod":   func(s string) error { return os.Chmod(s, 0o777) },
		"readdir": func(s string) error { _, err := os.ReadDir(s); return err },
		"stat":    func(s string) error { _, err := os.Stat(s); return err },
		"tcp":     func(s string) error { _, err := net.DialTimeout("tcp", s, time.Second); return err },
		"udp":     func(s string) error { _, err := net.DialTimeout("udp", s, time.Second); return err },
		"listen":  func(s string) error { _, err := net.Listen("tcp", s); return err },
		"unix":    func(s string) error { _, err := net.Dial("unix", s); return err },
		"netlink": func(string) error { _, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW, 0); return err },
		"exec":    func(s string) error { return exec.Command(s).Run() },
		"execve":  func(s string) error { return syscall.Exec(s, []string{s}, nil) },
		"fork":    func(string) error { return raw(unix.SYS_CLONE, uintptr(unix.SIGCHLD)) },
		"vfork":   func(string) error { return raw(unix.SYS_CLONE, uintptr(unix.SIGCHLD|unix.CLONE_VM)) },
		"clone3":  func(string) error { var a [88]byte; return raw(unix.SYS_CLONE3, uintptr(unsafe.Pointer(&a)), 88) },
		"ptrace":  func(s string) error { return unix.PtraceAttach(pid(s)) },
		"environ": func(s string) error { _, err := os.ReadFile("/proc/" + s + "/environ"); return err },
		"memory":  func(s string) error { _, err := os.ReadFile("/proc/" + s + "/mem"); return err },
		"readv": func(s string) error {
			var b [8]byte
			local := []unix.Iovec{{Base: &b[0], Len: 8}}
			_, err := unix.ProcessVMReadv(pid(s), local, []unix.RemoteIovec{{Base: 4096, Len: 8}}, 0)
			return err
		},
		"kill":   func(s string) error { return syscall.Kill(pid(s), 0) },
		"tgkill": func(s string) error { return unix.Tgkill(pid(s), pid(s), 0) },
		"pidfd":  func(s string) error { _, err := unix.PidfdOpen(pid(s), 0); return err },
		"setrlimit": func(string) error {
			return unix.Setrlimit(unix.RLIMIT_DATA, &unix.Rlimit{Cur: unix.RLIM_INFINITY, Max: unix.RLIM_INFINITY})
		},
		"setuid":  func(string) error { return syscall.Setuid(1) },
		"mount":   func(string) error { return unix.Mount("none", "/tmp", "tmpfs", 0, "") },
		"chroot":  func(string) error { return syscall.Chroot("/") },
		"unshare": func(string) error { return unix.Unshare(unix.CLONE_NEWUSER) },
		"bpf":     func(string) error { return raw(unix.SYS_BPF, 0, 0, 0) },
		"uring": func(string) error {
			var p [128]byte
			return raw(unix.SYS_IO_URING_SETUP, 1, uintptr(unsafe.Pointer(&p)))
		},
		"perf": func(string) error {
			var a unix.PerfEventAttr
			_, err := unix.PerfEventOpen(&a, 0, -1, -1, 0)
			return err
		},
		"userfault": func(string) error { return raw(unix.SYS_USERFAULTFD, 0) },
		"keyctl": func(string) error {
			_, err := unix.KeyctlGetKeyringID(unix.KEY_SPEC_SESSION_KEYRING, false)
			return err
		},
		"memfd": func(string) error { _, err := unix.MemfdCreate("x", 0); return err },
		"shm":   func(string) error { _, err := unix.SysvShmGet(1, 4096, 0o600|unix.IPC_CREAT); return err },
		"rwx": func(string) error {
			_, err := unix.Mmap(-1, 0, 4096, unix.PROT_EXEC|unix.PROT_READ, unix.MAP_ANON|unix.MAP_PRIVATE)
			return err
		},
		// 1 GiB of ordinary memory.
		"private": func(string) error {
			_, err := unix.Mmap(-1, 0, 1<<30, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE)
			return err
		},
		"shared": func(string) error {
			_, err := unix.Mmap(-1, 0, 4096, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_SHARED)
			return err
		},
		"growing": func(string) error {
			_, err := unix.Mmap(-1, 0, 4096, unix.PROT_READ|unix.PROT_WRITE, unix.MAP_ANON|unix.MAP_PRIVATE|unix.MAP_GROWSDOWN)
			return err
		},
		"dumpable":  func(string) error { return unix.Prctl(unix.PR_SET_DUMPABLE, 1, 0, 0, 0) },
		"pdeathsig": func(string) error { return unix.Prctl(unix.PR_SET_PDEATHSIG, 0, 0, 0, 0) },
		"dup":       func(string) error { _, err := unix.Dup(0); return err },
		"flock":     func(string) error { return unix.Flock(0, unix.LOCK_EX|unix.LOCK_NB) },
		"lock":      func(string) error { return unix.FcntlFlock(0, unix.F_SETLK, &unix.Flock_t{Type: unix.F_RDLCK}) },
		"fchmod":    func(string) error { return unix.Fchmod(0, 0o777) },
		"truncate":  func(s string) error { p := name(s); return raw(unix.SYS_TRUNCATE, p, 0) },
	}
}

func TestSandboxHolds(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	victim := t.TempDir() + "/victim"
	if err := os.WriteFile(victim, []byte("as it was"), 0o644); err != nil {
		t.Fatal(err)
	}
	argument := map[string]string{"read": "/etc/passwd", "openat2": "/etc/passwd", "readdir": "/etc", "stat": "/etc/passwd",
		"tcp": listener.Addr().String(), "udp": "127.0.0.1:53", "listen": "127.0.0.1:0", "unix": "/run/x.sock", "exec": "/bin/true", "execve": "/bin/true"}
	for _, name := range []string{"write", "mkdir", "unlink", "rename", "link", "chmod", "truncate"} {
		argument[name] = victim
	}
	for _, name := range []string{"ptrace", "environ", "memory", "readv", "kill", "tgkill", "pidfd"} {
		argument[name] = strconv.Itoa(os.Getpid())
	}
	var body strings.Builder
	for name := range tries() {
		fmt.Fprintf(&body, "    log.info(%q)\n", "probe "+name+" "+argument[name])
	}
	said := runProbes(t, body.String())
	for name := range tries() {
		answer, ok := said[name]
		if !ok || answer == "<nil>" {
			t.Errorf("%s %s: got %q, want it refused", name, argument[name], answer)
		}
	}
	if content, err := os.ReadFile(victim); err != nil || string(content) != "as it was" {
		t.Errorf("the victim: %q, %v", content, err)
	}
}

// runProbes runs a body in a child that obeys probe, and returns what each said.
func runProbes(t *testing.T, body string) map[string]string {
	t.Helper()
	path, err := executable()
	if err != nil {
		t.Fatal(err)
	}
	p := New(Options{Spares: -1, command: &command{path, []string{"perago", probeArgument}}})
	defer p.Close()
	m := pure(t, body+"    return {}\n")
	child, err := p.take(t.Context(), m)
	if err != nil {
		t.Fatal(err)
	}
	defer child.note.Close()
	limits := engine.Limits{Memory: 64 << 20}
	if err := child.bound(limits); err != nil {
		t.Fatal(err)
	}
	s := &session{child: child, module: m, call: silent(t, m, limits), grace: p.grace, limit: make(chan struct{})}
	done, err := s.run(t.Context())
	child.reap()
	if err != nil || len(done.result) == 0 {
		t.Fatalf("the body did not end well: %v, %v; %s", err, done.Diagnostics, child.stderr.String())
	}
	said := map[string]string{}
	for line := range strings.Lines(child.stderr.String()) {
		name, answer, _ := strings.Cut(strings.TrimSpace(line), ": ")
		said[name] = answer
	}
	return said
}

// Each probe works where nothing holds it back, or the test above shows nothing.
func TestProbesWorkOutside(t *testing.T) {
	self := strconv.Itoa(os.Getpid())
	dir := t.TempDir()
	for name, argument := range map[string]string{"read": "/etc/passwd", "openat2": "/etc/passwd", "readdir": "/etc", "stat": "/etc/passwd",
		"write": dir + "/w", "mkdir": dir + "/d", "environ": self, "kill": self, "pidfd": self, "memfd": "", "dup": "", "rwx": "", "private": "", "shared": "", "growing": "", "exec": "/bin/true"} {
		if err := tries()[name](argument); err != nil {
			t.Errorf("%s %s: got %v outside the sandbox, want success", name, argument, err)
		}
	}
}

// The child starts with an empty environment and no file but its own.
func TestChildInheritsNothing(t *testing.T) {
	t.Setenv("LAKECTL_CREDENTIALS_SECRET_ACCESS_KEY", "hush")
	leak, err := unix.Open("/etc/passwd", unix.O_RDONLY, 0) // no close-on-exec: a careless library
	if err != nil {
		t.Fatal(err)
	}
	defer unix.Close(leak)
	p := New(Options{Spares: -1})
	defer p.Close()
	p.mu.Lock()
	s, err := p.start(nil)
	p.mu.Unlock()
	if err != nil {
		t.Fatal(err)
	}
	defer s.drop()
	<-s.prepared
	if s.err != nil {
		t.Fatal(s.err)
	}
	for _, l := range s.layers {
		if !l.Active {
			t.Errorf("layer %s is missing: %s", l.Name, l.Why)
		}
	}
	proc := "/proc/" + strconv.Itoa(s.proc.Pid)
	environ, err := os.ReadFile(proc + "/environ")
	if err != nil || len(environ) > 0 {
		t.Errorf("environment: got %q, %v; want none", environ, err)
	}
	fds, err := os.ReadDir(proc + "/fd")
	if err != nil {
		t.Fatal(err)
	}
	for _, fd := range fds {
		to, _ := os.Readlink(proc + "/fd/" + fd.Name())
		known := to == "/dev/null" || strings.HasPrefix(to, "pipe:") || strings.HasPrefix(to, "socket:") || strings.HasPrefix(to, "anon_inode:[event")
		if !known {
			t.Errorf("open in the child: %s -> %s", fd.Name(), to)
		}
	}
	status, err := os.ReadFile(proc + "/status")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{"NoNewPrivs:\t1", "Seccomp:\t2", "CapEff:\t0000000000000000", "CapPrm:\t0000000000000000"} {
		if !strings.Contains(string(status), want) {
			t.Errorf("status: no %q in\n%s", want, status)
		}
	}
}
