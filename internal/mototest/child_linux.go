package mototest

import (
	"os/exec"
	"syscall"
)

// dieWithParent makes the kernel end the child even where the test binary is killed or times out.
func dieWithParent(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
