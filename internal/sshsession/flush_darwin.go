package sshsession

import "golang.org/x/sys/unix"

// flushInput drops what a terminal has read from its keyboard and handed to nobody (tty(4): TIOCFLUSH with FREAD).
func flushInput(fd int) { _ = unix.IoctlSetPointerInt(fd, unix.TIOCFLUSH, 1) }
