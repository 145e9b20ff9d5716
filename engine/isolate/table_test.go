package isolate

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"perago/engine"
	"perago/starlib"
	"perago/workspace"
	"perago/workspace/memory"
)

// tableProbe is an engine that tries what an engine may not, and tells of it.
type tableProbe struct{ job TableJob }

func (p *tableProbe) Open() error              { return nil }
func (p *tableProbe) Ready(job TableJob) error { p.job = job; return nil }

func (p *tableProbe) Serve(ctx context.Context, body io.ReadWriter) error {
	order, err := bufio.NewReader(body).ReadString('\n')
	if err != nil {
		return err
	}
	if order == "wait\n" {
		<-ctx.Done()
		return nil
	}
	failed := make(map[string]string)
	try := func(name string, err error) {
		failed[name] = ""
		if err != nil {
			failed[name] = err.Error()
		}
	}
	open := func(name string, flags int) error {
		f, err := os.OpenFile(name, flags, 0o600)
		if err == nil {
			f.Close()
		}
		return err
	}
	text, err := os.ReadFile(p.job.Files[0])
	if err == nil && string(text) != "one" {
		err = errors.New("it is " + string(text))
	}
	try("may read its file", err)
	try("may write its output", os.WriteFile(p.job.Output, []byte("made"), 0o600))
	try("may spill", os.WriteFile(filepath.Join(p.job.Spill, "x"), []byte("x"), 0o600))
	try("write its input", open(p.job.Files[0], os.O_WRONLY))
	try("read /etc/passwd", open("/etc/passwd", os.O_RDONLY))
	try("read another file of the attempt", open(filepath.Join(filepath.Dir(p.job.Real[0]), "..", "secret"), os.O_RDONLY))
	try("make a file elsewhere", open("/tmp/perago-probe", os.O_CREATE|os.O_WRONLY))
	try("make a file beside the spilled", open(p.job.Spill+"-beside", os.O_CREATE|os.O_WRONLY))
	_, err = os.ReadDir(filepath.Dir(p.job.Spill))
	try("list the folder of the attempt", err)
	_, err = net.Dial("tcp", "127.0.0.1:1")
	if err != nil && strings.Contains(err.Error(), "refused") {
		err = nil // it was let out
	}
	try("TCP", err)
	_, err = syscall.Socket(syscall.AF_UNIX, syscall.SOCK_DGRAM, 0)
	try("a socket", err)
	try("start a program", exec.Command("/bin/true").Run())
	try("signal its worker", syscall.Kill(os.Getppid(), 0))
	try("read the environment of its worker", open("/proc/1/environ", os.O_RDONLY))
	_, err = syscall.Mmap(-1, 0, 4096, syscall.PROT_READ|syscall.PROT_EXEC, syscall.MAP_ANON|syscall.MAP_PRIVATE)
	try("make code", err)
	return json.NewEncoder(body).Encode(failed)
}

// probed is an engine that has one file and one output.
func probed(t *testing.T, p *Processes) (starlib.TableSession, *workspace.Overlay) {
	t.Helper()
	store := memory.New(nil)
	store.CreateRepository("r")
	commit, err := store.Seed("r", "main", map[string]string{"a": "one", "secret": "two"})
	if err != nil {
		t.Fatal(err)
	}
	o := workspace.NewOverlay(store, workspace.Ref{Repository: "r", Branch: "main", Commit: commit}, workspace.OverlayOptions{Dir: filepath.Join(t.TempDir(), "written")})
	t.Cleanup(func() { o.Close() })
	session, err := p.Tables(engine.Call{Files: o}).Ready(t.Context(), starlib.TableNeed{Files: []string{"a"}, Output: "out"})
	if err != nil {
		t.Fatal(err)
	}
	return session, o
}

func TestEnginesReachTheirFilesOnly(t *testing.T) {
	p := New(Options{Spares: -1})
	defer p.Close()
	session, o := probed(t, p)
	if _, err := io.WriteString(session, "try\n"); err != nil {
		t.Fatal(err)
	}
	var failed map[string]string
	if err := json.NewDecoder(session).Decode(&failed); err != nil {
		t.Fatal(err, session.Died(t.Context()))
	}
	if len(failed) < 15 {
		t.Errorf("got %d probes, want at least 15", len(failed))
	}
	for name, err := range failed {
		if may := strings.HasPrefix(name, "may "); may != (err == "") {
			t.Errorf("%s: got %q", name, err)
		}
	}
	if _, err := session.Commit(t.Context()); err != nil {
		t.Fatal(err)
	}
	f, err := o.Open(t.Context(), "out")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if got, err := io.ReadAll(f); err != nil || string(got) != "made" {
		t.Errorf("out: got %q, %v", got, err)
	}
}

// An engine that is killed is told as such, what it wrote is dropped, and nothing
// of it is left.
func TestEnginesKilled(t *testing.T) {
	p := New(Options{Spares: -1})
	defer p.Close()
	session, o := probed(t, p)
	if _, err := io.WriteString(session, "wait\n"); err != nil {
		t.Fatal(err)
	}
	s := session.(*tableSession)
	if err := s.child.proc.Kill(); err != nil {
		t.Fatal(err)
	}
	if n, err := session.Read(make([]byte, 1)); err == nil {
		t.Errorf("read from a dead engine: got %d bytes", n)
	}
	var death *starlib.TableDeath
	if err := session.Died(t.Context()); !errors.As(err, &death) || !strings.Contains(death.How, "killed") {
		t.Errorf("got %v, want that it was killed", err)
	}
	if _, err := o.Stat(t.Context(), "out"); err == nil {
		t.Error("what a dead engine wrote is there")
	}
	if _, err := os.Stat(s.spill); err == nil {
		t.Error("the folder of a dead engine is there")
	}
}

// A cancel ends an engine that waits for nothing.
func TestEnginesEndWithTheirContext(t *testing.T) {
	p := New(Options{Spares: -1})
	defer p.Close()
	ctx, cancel := context.WithCancel(t.Context())
	session, err := p.Tables(engine.Call{}).Ready(ctx, starlib.TableNeed{})
	if err != nil {
		t.Fatal(err)
	}
	defer session.Drop()
	if _, err := io.WriteString(session, "wait\n"); err != nil {
		t.Fatal(err)
	}
	cancel()
	if n, err := session.Read(make([]byte, 1)); err == nil {
		t.Errorf("got %d bytes, want the end", n)
	}
}
