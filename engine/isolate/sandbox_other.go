//go:build !linux

package isolate

import (
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// maxFiles is how many files the child may have open.
const maxFiles = 512

// confine takes from this process what can be taken on this system. What only
// Linux has is named as missing.
func confine(error) []Layer {
	time.Local = time.UTC
	core := Layer{Name: "no core file", Active: true, Why: "its memory is never written to disk"}
	if err := unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{}); err != nil {
		core = Layer{Name: core.Name, Why: err.Error()}
	}
	layers := []Layer{core}
	for _, name := range []string{"inherited files", "not dumpable", "no capabilities", "no files (Landlock)",
		"no TCP (Landlock)", "no reach (Landlock)", "system calls (seccomp)"} {
		layers = append(layers, Layer{Name: name, Why: "only Linux has it"})
	}
	return layers
}

// confineProcess is confine: this system has nothing that comes later.
func confineProcess(inherited error, _ uint64) []Layer { return confine(inherited) }

// reach is what a process may reach; only Linux holds it to that.
type reach struct {
	read, write, folders, calls []string
	fcntl                       []uint64
}

func confineReach(reach) []Layer { return nil }

// closeInherited has no way to list what is open.
func closeInherited() error { return nil }

// processAttributes are those of a child. Only Linux can end a child together
// with the worker; elsewhere the child ends because its socket is closed.
func processAttributes() *os.ProcAttr { return &os.ProcAttr{Env: []string{}} }

// newNoteFile makes the file behind the note.
func newNoteFile() (*os.File, error) {
	f, err := os.CreateTemp("", "perago-note-")
	if err != nil {
		return nil, err
	}
	os.Remove(f.Name())
	if err := f.Truncate(noteSize); err != nil {
		f.Close()
		return nil, err
	}
	return f, nil
}

// executable is the binary to run as the child.
func executable() (string, error) { return os.Executable() }

// limitMemory bounds the memory that a child can ask for; only Linux has a bound that
// counts what a Go program really uses.
func limitMemory(pid int, memory int64, mode limitMode) error { return nil }

// boundFiles: here the size of a file is looked at when it is committed.
func boundFiles(int, uint64) error { return nil }

// threadsOf is not known here.
func threadsOf(int) int { return 0 }

// residentOf is not known here.
func residentOf(int, *os.ProcessState) int64 { return 0 }
