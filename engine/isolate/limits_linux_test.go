package isolate

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"runtime"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"

	"perago/engine"
	"perago/engine/queue"
	"perago/workspace"
	"perago/workspace/publish"
)

// This file holds what a body that had taken over its process would try with
// what it does have: memory, threads, and the files that it writes.

// excesses are tries that take what the child has; those with a path, a draft.
func excesses() map[string]func(files *proxy, path string) error {
	create := func(files *proxy, path string) (*os.File, uint64, error) {
		m := callMessage{Op: opCreate, Path: text(path), Mode: workspace.Replace}
		f, err := files.file(context.Background(), &m)
		return f, m.ID, err
	}
	commit := func(files *proxy, path string, id uint64) error {
		return files.call(context.Background(), callMessage{Op: opCommit, Path: text(path), Draft: id}, reply.close)
	}
	// try writes in all the ways that there are to reach bytes that are there.
	try := func(f *os.File, at int64) error {
		fd := int(f.Fd())
		_, flagErr := unix.FcntlInt(uintptr(fd), unix.F_SETFL, 0)
		unix.Pwrite(fd, []byte("XXXX"), at)
		unix.Seek(fd, at, io.SeekStart)
		unix.Write(fd, []byte("YYYY"))
		if flagErr == nil {
			return errors.New("the flags could be changed")
		}
		if unix.Ftruncate(fd, 0) == nil {
			return errors.New("it could be cut")
		}
		if _, err := unix.Mmap(fd, 0, 4096, unix.PROT_WRITE, unix.MAP_SHARED); err == nil {
			return errors.New("it could be mapped")
		}
		return nil
	}
	return map[string]func(files *proxy, path string) error{
		// Threads without end.
		"crowd": func(*proxy, string) error {
			for range 20_000 {
				go func() {
					runtime.LockOSThread()
					select {}
				}()
				runtime.Gosched()
			}
			select {}
		},
		// A file that writes on after its commit.
		"keep": func(files *proxy, path string) error {
			f, id, err := create(files, path)
			if err != nil {
				return err
			}
			unix.Write(int(f.Fd()), []byte("0123456789"))
			return errors.Join(commit(files, path, id), try(f, 0))
		},
		// A file of many TiB that takes one block.
		"sparse": func(files *proxy, path string) error {
			f, id, err := create(files, path)
			if err != nil {
				return err
			}
			return errors.Join(try(f, 17_000_000_000_000), commit(files, path, id))
		},
	}
}

// bodyOf is a body that tries, with a workspace or without.
func bodyOf(workspace bool, probes ...string) string {
	var body strings.Builder
	body.WriteString("task(name = \"t\"")
	arguments := "params"
	if workspace {
		body.WriteString(", workspace = workspace_spec()")
		arguments = "workspace, params"
	}
	fmt.Fprintf(&body, ")\n\ndef run(%s):\n", arguments)
	for _, p := range probes {
		fmt.Fprintf(&body, "    log.info(%q)\n", "probe "+p)
	}
	body.WriteString("    return {}\n")
	return body.String()
}

func probing(t *testing.T) *Processes {
	t.Helper()
	path, err := executable()
	if err != nil {
		t.Fatal(err)
	}
	p := New(Options{Spares: -1, command: &command{path, []string{"perago", probeArgument}}})
	t.Cleanup(func() { p.Close() })
	return p
}

// What is published of a file is what it was when it was committed, and a file
// has no more bytes than were written to it.
func TestDraftsAreWhatWasCommitted(t *testing.T) {
	g := newGround(t, map[string]string{"kept": "9876543210", "same": "0123456789"})
	m := loaded(t, bodyOf(true, "keep kept", "keep same", "sparse sparse"))
	runner := g.runner(probing(t))
	runner.Publisher = &publish.Publisher{Store: g.store}
	res := runner.Run(t.Context(), m, g.attempt("{}"), engine.Hooks{})
	if res.Status != queue.Completed {
		t.Fatalf("got %s: %s", res.Status, res.Reason)
	}
	head, err := g.store.Head(t.Context(), "songs", "main")
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]string{"kept": "0123456789", "same": "0123456789", "sparse": "XXXXYYYY"} {
		r, err := g.store.Open(t.Context(), "songs", head, path)
		if err != nil {
			t.Fatal(err)
		}
		got, err := io.ReadAll(r)
		r.Close()
		if err != nil || string(got) != want {
			t.Errorf("%s: got %d bytes, %.40q, %v; want %q", path, len(got), got, err, want)
		}
	}
	var changed []string
	for _, c := range res.Changes {
		changed = append(changed, c.Path+" "+strconv.FormatInt(c.Size, 10))
	}
	if got, want := strings.Join(changed, ", "), "kept 10, sparse 8"; got != want {
		t.Errorf("changes: got %s, want %s", got, want)
	}
}

func TestThreadsAreBounded(t *testing.T) {
	m := loaded(t, bodyOf(false, "crowd"))
	_, _, err := probing(t).Run(t.Context(), m, silent(t, m, engine.Limits{}))
	var body *engine.BodyError
	if !errors.As(err, &body) || body.Diagnostics[0].Code != "P4012" || !strings.Contains(body.Diagnostics[0].Found, "threads, at most 64") {
		t.Errorf("got %v, want an end because of its threads", err)
	}
	noChildren(t)
}

// A body gets no more memory from the kernel than its fence lets through, and
// writes no file beyond its bound.
func TestMemoryAndFilesAreBounded(t *testing.T) {
	p := probing(t)
	m := loaded(t, bodyOf(false))
	child, err := p.take(t.Context(), m)
	if err != nil {
		t.Fatal(err)
	}
	defer child.note.Close()
	defer child.reap()
	if err := child.bound(engine.Limits{Memory: 64 << 20, Scratch: 1 << 20}); err != nil {
		t.Fatal(err)
	}
	for resource, want := range map[int]uint64{unix.RLIMIT_DATA: 1 << 30, unix.RLIMIT_FSIZE: 1 << 20, unix.RLIMIT_STACK: 8 << 20} {
		var limit unix.Rlimit
		if err := unix.Prlimit(child.proc.Pid, resource, nil, &limit); err != nil || limit.Max > want || limit.Cur > want {
			t.Errorf("resource %d: got %+v, %v; want at most %d", resource, limit, err, want)
		}
	}
}

// A file that grows too large is an error of its write, with what to do, and not
// the end of the process.
func TestFileTooLarge(t *testing.T) {
	g := newGround(t, nil)
	m := loaded(t, `task(name = "t", workspace = workspace_spec())

def run(workspace, params):
    error = catch(lambda: (workspace / "x").write_text("0123456789")).error
    (workspace / "y").write_text("012")
    return {"error": error}
`)
	p := New(Options{Spares: -1})
	defer p.Close()
	child, err := p.take(t.Context(), m)
	if err != nil {
		t.Fatal(err)
	}
	defer child.note.Close()
	defer child.reap()
	if err := boundFiles(child.proc.Pid, 4); err != nil {
		t.Fatal(err)
	}
	call := silent(t, m, engine.Limits{})
	files := workspace.NewOverlay(g.store, workspace.Ref{Repository: "songs", Branch: "main", Commit: g.input}, workspace.OverlayOptions{Dir: t.TempDir(), Cache: g.cache})
	defer files.Close()
	call.Files = files
	s := &session{child: child, module: m, call: call, grace: p.grace, limit: make(chan struct{})}
	done, err := s.run(t.Context())
	if err != nil || !strings.Contains(string(done.result), "write_text x: file too large") {
		t.Errorf("got %s, %v, %v; want the error in the body's hands", done.result, done.Diagnostics, err)
	}
}

// A body that fills the disk through files that it never closes is ended, though
// each of them is within the bound.
func TestOpenFilesAreBounded(t *testing.T) {
	g := newGround(t, nil)
	m := loaded(t, `task(name = "t", workspace = workspace_spec())

def run(workspace, params):
    files = [(workspace / str(i)).open("w") for i in range(3)]
    for f in files:
        f.write("x" * 600000)
    for i in range(1 << 50):
        pass
    return {}
`)
	p := New(Options{Spares: -1})
	defer p.Close()
	call := silent(t, m, engine.Limits{Scratch: 1 << 20})
	files := workspace.NewOverlay(g.store, workspace.Ref{Repository: "songs", Branch: "main", Commit: g.input}, workspace.OverlayOptions{Dir: t.TempDir(), Cache: g.cache, Scratch: 1 << 20})
	defer files.Close()
	call.Files = files
	_, _, err := p.Run(t.Context(), m, call)
	if err == nil || !strings.Contains(err.Error(), "limit of scratch") {
		t.Errorf("got %v, want the limit of scratch", err)
	}
}
