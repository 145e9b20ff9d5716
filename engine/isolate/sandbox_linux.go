package isolate

import (
	"fmt"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"time"
	"unsafe"

	seccomp "github.com/elastic/go-seccomp-bpf"
	"github.com/elastic/go-seccomp-bpf/arch"
	"github.com/landlock-lsm/go-landlock/landlock"
	landlocksys "github.com/landlock-lsm/go-landlock/landlock/syscall"
	"golang.org/x/sys/unix"
	"kernel.org/pub/linux/libs/security/libcap/psx"
)

// maxFiles is how many files the child may have open: those that a body may
// open (256), and the runtime's own.
const maxFiles = 512

// maxMainStack is how far the stack of the first thread may grow, in bytes.
const maxMainStack = 8 << 20

// confine takes from this process all that a body does not need, and says what
// of it the kernel granted; inherited is what closeInherited returned. It must
// run before anything of a task file is read. The order matters: each step still
// needs calls that the last one forbids.
func confine(inherited error) []Layer {
	return append(confineProcess(inherited, maxFiles), confineReach(reach{})...)
}

// step is a layer that err says to be missing.
func step(name, why string, err error) Layer {
	if err != nil {
		return Layer{Name: name, Why: err.Error()}
	}
	return Layer{Name: name, Active: true, Why: why}
}

// confineProcess is confine without what the process may reach; files is how
// many it may have open.
func confineProcess(inherited error, files uint64) []Layer {
	time.Local = time.UTC // the zone's file will be out of reach
	return []Layer{
		step("inherited files", "only the socket, the note and standard error are open", inherited),
		step("not dumpable", "other processes of the user cannot read its memory", unix.Prctl(unix.PR_SET_DUMPABLE, 0, 0, 0, 0)),
		step("no core file", "its memory is never written to disk", unix.Setrlimit(unix.RLIMIT_CORE, &unix.Rlimit{})),
		step("stack", fmt.Sprintf("at most %d MiB of the first thread, which its limit of memory does not count", maxMainStack>>20),
			unix.Setrlimit(unix.RLIMIT_STACK, &unix.Rlimit{Cur: maxMainStack, Max: maxMainStack})),
		step("open files", fmt.Sprintf("at most %d", files), unix.Setrlimit(unix.RLIMIT_NOFILE, &unix.Rlimit{Cur: files, Max: files})),
		step("no capabilities", "root in the child is no root", dropCapabilities()),
	}
}

// reach is what a process may reach beyond the nothing of a body.
type reach struct {
	read    []string // files
	write   []string // files
	folders []string // to make, read, write and remove files and folders in
	calls   []string // of the system
	fcntl   []uint64 // operations of that call
}

// confineReach leaves this process nothing but r.
func confineReach(r reach) []Layer {
	landlock := landlockLayers(r)
	calls := step("system calls (seccomp)", r.forbids(), filterCalls(append(calls(), r.calls...), r.fcntl))
	for i := range landlock {
		landlock[i].Covered = landlock[i].Covered && calls.Active
	}
	return append(landlock, calls)
}

func (r reach) forbids() string {
	if len(r.calls) > 0 {
		return "no sockets, no new processes, no look at other processes"
	}
	return "no sockets, no new processes, no opening of files, no look at other processes"
}

// closeInherited closes every open file but 0 to 2, the socket, the note and
// those of the Go runtime itself. It must run before this process opens any.
func closeInherited() error {
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		return err
	}
	for _, e := range entries {
		fd, err := strconv.Atoi(e.Name())
		if err != nil || fd <= noteFD {
			continue
		}
		if to, err := os.Readlink("/proc/self/fd/" + e.Name()); err == nil && !strings.HasPrefix(to, "anon_inode:[event") {
			unix.Close(fd)
		}
	}
	return nil
}

// dropCapabilities empties the capability sets of every thread.
func dropCapabilities() error {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var have, none [2]unix.CapUserData
	if err := unix.Capget(&header, &have[0]); err == nil && have == none {
		return nil // as those of every thread; to stop them all takes a while
	}
	_, _, errno := psx.Syscall3(unix.SYS_CAPSET, uintptr(unsafe.Pointer(&header)), uintptr(unsafe.Pointer(&none[0])), 0)
	if errno != 0 {
		return os.NewSyscallError("capset", errno)
	}
	return nil
}

// landlockLayers denies every file, TCP and what reaches other processes, as
// far as the kernel's version of Landlock goes. What an older version lacks is
// covered by the filter of system calls, which refuses the same.
func landlockLayers(r reach) []Layer {
	abi, err := landlocksys.LandlockGetABIVersion()
	if err == nil {
		err = landlock.V8.BestEffort().Restrict(landlock.ROFiles(r.read...), landlock.RWFiles(r.write...), landlock.RWDirs(r.folders...))
	}
	files := "no path can be opened, made, renamed or removed"
	if r.calls != nil {
		files = "no path but those of the statement can be opened, made, renamed or removed"
	}
	layer := func(name, why string, since int) Layer {
		switch {
		case err != nil:
			return Layer{Name: name, Why: err.Error()}
		case abi < since:
			return Layer{Name: name, Covered: true, Why: fmt.Sprintf("the kernel has version %d of Landlock, this needs %d; seccomp refuses the same calls", abi, since)}
		}
		return Layer{Name: name, Active: true, Why: why}
	}
	return []Layer{
		layer("no files (Landlock)", files, 1),
		layer("no TCP (Landlock)", "no port can be bound or connected to", 4),
		layer("no reach (Landlock)", "no signal and no abstract Unix socket reaches a process outside", 6),
	}
}

// filterCalls leaves this process some system calls, a few of them only with
// certain arguments. Each condition is a filter of its own: the strictest
// answer of all filters counts, and within one filter of the library a failed
// condition would spoil the comparisons after it.
func filterCalls(allowed []string, fcntl []uint64) error {
	runtime.LockOSThread() // the one with no_new_privs is the one that installs
	defer runtime.UnlockOSThread()
	// glibc asks with clone3 first and takes ENOSYS for "use clone".
	const noSuchCall = seccomp.ActionErrno | seccomp.Action(unix.ENOSYS)
	if err := unix.Prctl(unix.PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0); err != nil {
		return os.NewSyscallError("no_new_privs", err)
	}
	for _, c := range conditions(fcntl) {
		err := install(seccomp.Policy{DefaultAction: seccomp.ActionAllow, Syscalls: []seccomp.SyscallGroup{
			{Action: seccomp.ActionErrno, NamesWithCondtions: []seccomp.NameWithConditions{c}}}})
		if err != nil {
			return err
		}
	}
	// Last: it forbids seccomp itself.
	return install(seccomp.Policy{DefaultAction: seccomp.ActionErrno, Syscalls: []seccomp.SyscallGroup{
		{Action: noSuchCall, Names: []string{"clone3"}},
		{Action: seccomp.ActionAllow, Names: available(allowed)},
	}})
}

// install puts a filter on every thread of this process, and with it the
// no_new_privs of this one.
func install(p seccomp.Policy) error {
	return seccomp.LoadFilter(seccomp.Filter{Flag: seccomp.FilterFlagTSync, Policy: p})
}

// calls are what the Go runtime needs to run and to collect garbage, and what
// reads and writes files that are open. Nothing here opens, makes or names
// anything outside of the process.
func calls() []string {
	return []string{
		"read", "pread64", "readv", "write", "pwrite64", "writev", "close", "fstat", "lseek", "fcntl",
		"copy_file_range", "sendfile", "recvmsg", "sendmsg", "shutdown",
		"epoll_create1", "epoll_ctl", "epoll_wait", "epoll_pwait", "eventfd2",
		"mmap", "munmap", "mprotect", "madvise", "mremap", "brk",
		"futex", "clone", "exit", "exit_group", "set_robust_list", "rseq", "restart_syscall",
		"sched_yield", "sched_getaffinity", "nanosleep", "clock_nanosleep", "clock_gettime", "gettimeofday", "getrandom",
		"rt_sigaction", "rt_sigprocmask", "rt_sigreturn", "sigaltstack", "tgkill", "gettid", "getpid", "prctl",
	}
}

// available leaves out the names that this architecture does not have.
func available(names []string) []string {
	info, err := arch.GetInfo("")
	if err != nil {
		return names // installing them reports it
	}
	return slices.DeleteFunc(names, func(name string) bool {
		_, known := info.SyscallNames[name]
		return !known
	})
}

// conditions name what of an allowed call is refused all the same; fcntl is what
// may be asked of that call beyond what a body asks.
func conditions(fcntl []uint64) []seccomp.NameWithConditions {
	refuse := func(call string, argument uint32, op seccomp.Operation, values ...uint64) seccomp.NameWithConditions {
		out := seccomp.NameWithConditions{Name: call}
		for _, v := range values {
			out.Conditions = append(out.Conditions, seccomp.Condition{Argument: argument, Operation: op, Value: v})
		}
		return out
	}
	const nameMapping = 0x53564d41 // PR_SET_VMA, with which the Go runtime labels its memory
	return []seccomp.NameWithConditions{
		refuse("clone", 0, seccomp.BitsNotSet, unix.CLONE_THREAD), // threads yes, processes no
		refuse("mmap", 2, seccomp.BitsSet, unix.PROT_EXEC),        // no new code
		// RLIMIT_DATA counts neither; and what is mapped shared of a file could be
		// written at any time.
		refuse("mmap", 3, seccomp.BitsSet, unix.MAP_SHARED|unix.MAP_GROWSDOWN),
		refuse("mprotect", 2, seccomp.BitsSet, unix.PROT_EXEC),
		refuse("tgkill", 0, seccomp.NotEqual, uint64(os.Getpid())),
		refuse("prctl", 0, seccomp.NotEqual, nameMapping),
		// No locks and no leases: they would be held on files of the cache.
		// No change of flags: drafts are for appending, and stay so.
		refuse("fcntl", 1, seccomp.NotEqual, append([]uint64{unix.F_GETFL, unix.F_GETFD, unix.F_SETFD}, fcntl...)...),
	}
}
