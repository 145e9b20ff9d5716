package isolate

import (
	"bytes"
	"fmt"
	"os"
	"strconv"
	"syscall"

	"golang.org/x/sys/unix"
)

// processAttributes of a child: nothing in its environment, and gone when the
// thread that started it is, so children are started from a thread that stays.
func processAttributes() *os.ProcAttr {
	return &os.ProcAttr{Env: []string{}, Sys: &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}}
}

// newNoteFile makes the memory behind the note. Its size is sealed: nobody can
// take the page away from under the other side.
func newNoteFile() (*os.File, error) {
	fd, err := unix.MemfdCreate("perago-note", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		return nil, os.NewSyscallError("memfd_create", err)
	}
	f := os.NewFile(uintptr(fd), "note")
	err = f.Truncate(noteSize)
	if err == nil {
		_, err = unix.FcntlInt(f.Fd(), unix.F_ADD_SEALS, unix.F_SEAL_SHRINK|unix.F_SEAL_GROW|unix.F_SEAL_SEAL)
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("note: %w", err)
	}
	return f, nil
}

// executable is the binary to run as the child: this one, also when the file
// was replaced or removed since.
func executable() (string, error) { return "/proc/self/exe", nil }

// limitMemory bounds the memory that a child can ask the kernel for: what it has
// now, its limit, and room beside it for garbage and for one large value that is
// refused a moment later. Past this limit the Go runtime gives up, with "out of
// memory", and only this child dies.
func limitMemory(pid int, memory int64, mode limitMode) error {
	var limit unix.Rlimit
	if err := unix.Prlimit(pid, unix.RLIMIT_DATA, nil, &limit); err != nil {
		return os.NewSyscallError("prlimit", err)
	}
	limit.Cur = limit.Max
	if memory > 0 {
		now, err := sizeOf(pid, "VmData:")
		if err != nil {
			return err
		}
		limit.Cur = min(limit.Max, uint64(now+memory+memory/2+64<<20))
	}
	if mode == final {
		limit.Max = limit.Cur
	}
	return os.NewSyscallError("prlimit", unix.Prlimit(pid, unix.RLIMIT_DATA, &limit, nil))
}

// boundFiles bounds the size of every file that a child writes, in bytes.
func boundFiles(pid int, most uint64) error {
	return os.NewSyscallError("prlimit", unix.Prlimit(pid, unix.RLIMIT_FSIZE, &unix.Rlimit{Cur: most, Max: most}, nil))
}

// threadsOf is how many threads a process has; 0 when it is not known.
func threadsOf(pid int) int {
	var tasks unix.Stat_t // a folder with a folder a thread, and its own two links
	if unix.Stat("/proc/"+strconv.Itoa(pid)+"/task", &tasks) != nil {
		return 0
	}
	return int(tasks.Nlink) - 2
}

// residentOf is the most memory that a process has had so far, in bytes: one
// that lives or, with state, one that ended. 0 is not known.
func residentOf(pid int, state *os.ProcessState) int64 {
	if state == nil {
		peak, _ := sizeOf(pid, "VmHWM:")
		return peak
	}
	// The system counts in what its starter had when it started it.
	own, err := sizeOf(os.Getpid(), "VmHWM:")
	if usage, ok := state.SysUsage().(*syscall.Rusage); ok && err == nil && usage.Maxrss<<10 > own {
		return usage.Maxrss << 10
	}
	return 0
}

// sizeOf is a field of the status of a process, in bytes: VmData is what
// RLIMIT_DATA counts, VmHWM the most that was in memory.
func sizeOf(pid int, field string) (int64, error) {
	status, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/status")
	if err != nil {
		return 0, err
	}
	for line := range bytes.Lines(status) {
		if rest, ok := bytes.CutPrefix(line, []byte(field)); ok {
			kb, err := strconv.ParseInt(string(bytes.TrimSpace(bytes.TrimSuffix(bytes.TrimSpace(rest), []byte("kB")))), 10, 64)
			return kb << 10, err
		}
	}
	return 0, fmt.Errorf("no %s in the status of process %d", field, pid)
}
