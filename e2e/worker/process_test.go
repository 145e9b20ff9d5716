//go:build linux

package worker

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"perago/e2e/servers"
)

// patience is how long anything may take, on a machine with much else to do.
const patience = 90 * time.Second

// process is one perago.
type process struct {
	t     *testing.T
	cmd   *exec.Cmd
	err   string // file of its stderr
	out   string // file of its stdout
	ended chan struct{}
}

// launch starts perago; it is killed at the end of the test, if it is still there.
func launch(t *testing.T, env []string, args ...string) *process {
	t.Helper()
	return launchAs(t, exec.Command(site.perago, args...), env)
}

// launchOn starts perago with a disk of its own of 2 MiB, at a folder. Nobody
// else sees what is there.
func launchOn(t *testing.T, folder string, env []string, args ...string) *process {
	t.Helper()
	cmd := exec.Command("sh", append([]string{"-c", `mount -t tmpfs -o size=2m tmpfs "$0" && exec "$@"`, folder, site.perago}, args...)...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNS}
	if uid := os.Geteuid(); uid != 0 { // a mount needs root, who may be the one of a namespace
		cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{HostID: uid, Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{HostID: os.Getegid(), Size: 1}}
	}
	return launchAs(t, cmd, env)
}

func launchAs(t *testing.T, cmd *exec.Cmd, env []string) *process {
	t.Helper()
	dir := t.TempDir()
	p := &process{t: t, cmd: cmd, err: filepath.Join(dir, "stderr"), out: filepath.Join(dir, "stdout"),
		ended: make(chan struct{})}
	stderr, stdout := create(t, p.err), create(t, p.out)
	defer stderr.Close()
	defer stdout.Close()
	p.cmd.Dir, p.cmd.Stderr, p.cmd.Stdout = dir, stderr, stdout
	p.cmd.Env = append([]string{
		"PATH=" + os.Getenv("PATH"), "HOME=" + dir,
		"CONDUCTOR_SERVER_URL=" + site.conductor.API(),
		"LAKECTL_SERVER_ENDPOINT_URL=" + site.lakefs.URL,
		"LAKECTL_CREDENTIALS_ACCESS_KEY_ID=" + servers.AccessKey,
		"LAKECTL_CREDENTIALS_SECRET_ACCESS_KEY=" + servers.SecretKey,
	}, env...)
	servers.WithParent(p.cmd)
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		p.cmd.Wait()
		close(p.ended)
	}()
	t.Cleanup(func() {
		p.cmd.Process.Kill() // an error means that it has ended already
		<-p.ended
		if t.Failed() {
			t.Logf("%s\n%s", strings.Join(cmd.Args, " "), p.log())
		}
	})
	return p
}

func create(t *testing.T, path string) *os.File {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func (p *process) log() string {
	data, err := os.ReadFile(p.err)
	if err != nil {
		p.t.Error(err)
	}
	return string(data)
}

func (p *process) signal(sig syscall.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(sig); err != nil {
		p.t.Fatal(err)
	}
}

// logs waits until the process has logged a text.
func (p *process) logs(text string) {
	p.t.Helper()
	eventually(p.t, "the log has "+text, func() bool { return strings.Contains(p.log(), text) })
}

// wait waits until the process has ended, and tells how.
func (p *process) wait() syscall.WaitStatus {
	p.t.Helper()
	select {
	case <-p.ended:
	case <-time.After(patience):
		p.t.Fatal("the process does not end")
	}
	return p.cmd.ProcessState.Sys().(syscall.WaitStatus)
}

// exits waits for the end of the process and compares its exit code.
func (p *process) exits(code int) {
	p.t.Helper()
	if got := p.wait(); !got.Exited() || got.ExitStatus() != code {
		p.t.Fatalf("the process ended with %v, want exit code %d", p.cmd.ProcessState, code)
	}
}

// eventually waits until something holds.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for deadline := time.Now().Add(patience); !holds(); <-tick.C {
		if time.Now().After(deadline) {
			t.Fatalf("not within %s: %s", patience, what)
		}
	}
}
