//go:build !windows

package sshsession

import "syscall"

func connRefused() []syscall.Errno { return []syscall.Errno{syscall.ECONNREFUSED} }

func connReset() []syscall.Errno {
	return []syscall.Errno{syscall.ECONNRESET, syscall.ECONNABORTED, syscall.EPIPE}
}

// connUnreachable includes EACCES and EPERM, which local firewalls answer with.
func connUnreachable() []syscall.Errno {
	return []syscall.Errno{syscall.EHOSTUNREACH, syscall.ENETUNREACH, syscall.ENETDOWN, syscall.EHOSTDOWN, syscall.EADDRNOTAVAIL,
		syscall.EACCES, syscall.EPERM}
}
