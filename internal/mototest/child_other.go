//go:build !linux

package mototest

import "os/exec"

// DieWithParent: other systems have nothing of the kind; Cleanup kills the child.
func DieWithParent(*exec.Cmd) {}
