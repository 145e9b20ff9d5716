package servers

import (
	"os/exec"
	"syscall"
)

// WithParent lets no server outlive the process that started it, however that
// ends, and keeps a terminal's interrupt from reaching the server directly.
func WithParent(cmd *exec.Cmd) {
	if cmd.SysProcAttr == nil {
		cmd.SysProcAttr = &syscall.SysProcAttr{}
	}
	cmd.SysProcAttr.Pdeathsig, cmd.SysProcAttr.Setpgid = syscall.SIGKILL, true
}
