package servers

import (
	"os/exec"
	"syscall"
)

// WithParent lets no server outlive the process that started it, however that
// ends, and keeps a terminal's interrupt from reaching the server directly.
func WithParent(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL, Setpgid: true}
}
