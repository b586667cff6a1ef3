//go:build !linux

package mototest

import "os/exec"

// dieWithParent: other systems have nothing of the kind; Cleanup kills the child.
func dieWithParent(*exec.Cmd) {}
