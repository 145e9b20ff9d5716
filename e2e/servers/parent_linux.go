package servers

import (
	"os/exec"
	"syscall"
)

// withParent lets no server outlive the process that started it, however that
// ends, and keeps a terminal's interrupt from reaching the server directly.
func withParent(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
}
