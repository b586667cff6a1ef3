package sshsession

import "golang.org/x/sys/unix"

const (
	getTermios  = unix.TCGETS
	keyDisabled = 0 // _POSIX_VDISABLE
)
