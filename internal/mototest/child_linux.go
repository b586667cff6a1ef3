package mototest

import (
	"os/exec"
	"syscall"
)

// DieWithParent makes the kernel end the child even where the test binary is killed or times out.
func DieWithParent(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
