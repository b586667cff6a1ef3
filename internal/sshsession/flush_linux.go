package sshsession

import "golang.org/x/sys/unix"

// flushInput drops what a terminal has read from its keyboard and handed to nobody.
func flushInput(fd int) { _ = unix.IoctlSetInt(fd, unix.TCFLSH, unix.TCIFLUSH) }
