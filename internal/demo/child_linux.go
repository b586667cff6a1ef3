package demo

import (
	"os/exec"
	"syscall"
)

// endWithParent has the kernel kill the child when the demo is killed and cannot do it any more.
func endWithParent(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
