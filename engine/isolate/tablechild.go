package isolate

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"

	"golang.org/x/sys/unix"

	"perago/panics"
	"perago/workspace/paths"
)

// TableEngine answers one statement, in a process of its own. engine/tables has
// the one there is.
type TableEngine interface {
	// Open readies the engine before the process is confined and has seen anything
	// of a task.
	Open() error
	// Ready holds it to what its statement may take.
	Ready(job TableJob) error
	// Serve answers the statement that the body sends, in the confined process.
	// When ctx ends, it ends soon.
	Serve(ctx context.Context, body io.ReadWriter) error
}

// TableJob is what one statement may take and reach.
type TableJob struct {
	Memory  int64    // bytes
	Scratch int64    // bytes on disk, beside what it writes
	Threads int      // 0 is 1
	Spill   string   // folder for what does not fit memory
	Files   []string // what it reads, in the order of the request, as names to open
	Real    []string // the same files by their own names, which differ for people only
	Links   string   // folder in which Files have their names in the workspace, "" when they have not
	Output  string   // the file or folder that it writes, "" for none
	Paths   []string // all that may be opened, under whatever name
	Folders []string // all in which files may be made

	open []*os.File // Files and Output: as long as the engine lives
}

// tableMessage begins the work of an engine.
type tableMessage struct {
	Memory, Scratch int64
	Threads         int
	Spill           string
	Named           bool
	Folder          string // that it writes parts into
	Hands           int    // how many files follow
}

// handMessage comes with an open file.
type handMessage struct {
	What string
	Path text `json:",omitempty"` // in the workspace
}

const (
	handFile   = "file"
	handOutput = "output"
	handBody   = "body"
)

// TableRole is that of a process that answers a statement with e; without an
// engine it is none.
func TableRole(e TableEngine) []Role {
	if e == nil {
		return nil
	}
	return []Role{{Argument: tableArgument, Live: func(string) int { return liveTable(e) }}}
}

// liveTable is the life of an engine of statements.
func liveTable(e TableEngine) int {
	inherited := closeInherited()
	c, _, err := inherit()
	if err != nil {
		fmt.Fprintln(os.Stderr, "perago __table is started by perago itself:", err)
		return 2
	}
	debug.SetMaxStack(maxStack)
	if err := serveTable(c, e, confineProcess(inherited, 2*maxTableFiles+maxFiles)); err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

func serveTable(c *conn, e TableEngine, layers []Layer) error {
	if err := e.Open(); err != nil {
		return err
	}
	if err := c.send(kindReady, readyMessage{Version: protocolVersion, Layers: layers}, nil); err != nil {
		return err
	}
	var m tableMessage
	_, payload, _, err := c.receive(func(k kind) bool { return k == kindTable })
	if errors.Is(err, io.EOF) {
		return nil // it waited, and was not needed
	}
	if err != nil {
		return err
	}
	if err := decodeTrusted(payload, &m); err != nil {
		return err
	}
	job, body, err := takeHands(c, m)
	if err != nil {
		return err
	}
	defer body.Close()
	if err := e.Ready(*job); err != nil {
		return err
	}
	r := reach{read: job.Files, folders: job.Folders, calls: tableCalls(),
		fcntl: []uint64{unix.F_SETLK}} // DuckDB locks what it writes; others do not look at such locks
	if job.Output != "" && m.Folder == "" {
		r.write = []string{job.Output}
	}
	if err := c.send(kindLocked, readyMessage{Version: protocolVersion, Layers: confineReach(r)}, nil); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	var listening sync.WaitGroup
	defer listening.Wait()
	defer c.sock.Close()
	panics.Go(&listening, func(error) { cancel() }, func() {
		c.receive(func(k kind) bool { return k == kindCancel }) // asked to stop, or the worker is gone: the same
		cancel()
	})
	defer runtime.KeepAlive(job)
	return e.Serve(ctx, body)
}

// takeHands takes the files that the worker hands over, and lays out their names.
func takeHands(c *conn, m tableMessage) (*TableJob, net.Conn, error) {
	job := &TableJob{Memory: m.Memory, Scratch: m.Scratch, Threads: m.Threads, Spill: m.Spill, Folders: []string{m.Spill}, Output: m.Folder}
	if m.Named {
		job.Links = filepath.Join(m.Spill, "named")
	}
	for range m.Hands {
		_, payload, file, err := c.receive(func(k kind) bool { return k == kindHand })
		if err != nil {
			return nil, nil, err
		}
		if file == nil {
			return nil, nil, errors.New("too many open files in the engine's process")
		}
		var hand handMessage
		if err := decodeTrusted(payload, &hand); err != nil {
			return nil, nil, err
		}
		if hand.What == handBody {
			body, err := net.FileConn(file)
			file.Close()
			return job, body, err
		}
		job.open = append(job.open, file) // never closed: the engine opens it by its number
		if err := job.take(hand, int(file.Fd())); err != nil {
			return nil, nil, err
		}
	}
	return nil, nil, errors.New("no way to the body")
}

// take adds a file.
func (j *TableJob) take(hand handMessage, fd int) error {
	name := fmt.Sprintf("/proc/self/fd/%d", fd)
	real, err := os.Readlink(name)
	if err != nil {
		return err
	}
	j.Paths = append(j.Paths, name, real)
	if hand.What == handOutput {
		j.Output = name
		return nil
	}
	if j.Links != "" {
		if name, err = j.link(name, string(hand.Path)); err != nil {
			return err
		}
		j.Paths = append(j.Paths, name)
	}
	j.Files, j.Real = append(j.Files, name), append(j.Real, real)
	return nil
}

// link gives a file its name in the workspace, below a folder of its own. What a
// pattern or a URL would mean is escaped.
func (j *TableJob) link(to, path string) (string, error) {
	parts := strings.Split(path, "/")
	for i, part := range parts {
		key, value, isKey := strings.Cut(part, "=")
		parts[i] = url.PathEscape(part)
		if isKey {
			parts[i] = url.PathEscape(key) + "=" + url.PathEscape(value)
		}
	}
	name := filepath.Join(j.Links, filepath.Join(parts...))
	if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
		return "", fmt.Errorf("name a file %s: %w", path, paths.Reason(err))
	}
	err := os.Symlink(to, name)
	if errors.Is(err, os.ErrExist) { // in two tables
		err = nil
	}
	if err != nil {
		return "", fmt.Errorf("name a file %s: %w", path, paths.Reason(err))
	}
	return name, nil
}

// tableCalls are the system calls that an engine needs beyond those of a body:
// it opens its files by name, and spills.
func tableCalls() []string {
	return []string{
		"open", "openat", "stat", "lstat", "newfstatat", "statx", "access", "faccessat", "faccessat2", "readlink", "readlinkat",
		"getcwd", "getdents64", "mkdir", "mkdirat", "rmdir", "unlink", "unlinkat", "rename", "renameat", "renameat2",
		"ftruncate", "fallocate", "fsync", "fdatasync", "fadvise64", "sysinfo", "getuid", "geteuid", "sched_setaffinity", "uname",
	}
}
