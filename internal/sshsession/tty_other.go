//go:build !windows

package sshsession

// The names of the process's own terminal.
const (
	ttyIn  = "/dev/tty"
	ttyOut = ttyIn
)
