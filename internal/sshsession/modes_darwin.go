package sshsession

import "golang.org/x/sys/unix"

const (
	getTermios  = unix.TIOCGETA
	keyDisabled = 0xff // _POSIX_VDISABLE
)
