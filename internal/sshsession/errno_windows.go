package sshsession

import (
	"syscall"

	"golang.org/x/sys/windows"
)

// Windows' sockets have error numbers of their own, which package syscall does not map to its own ones.

func connRefused() []syscall.Errno { return []syscall.Errno{windows.WSAECONNREFUSED} }

func connReset() []syscall.Errno {
	return []syscall.Errno{windows.WSAECONNRESET, windows.WSAECONNABORTED}
}

func connUnreachable() []syscall.Errno {
	return []syscall.Errno{windows.WSAEHOSTUNREACH, windows.WSAENETUNREACH, windows.WSAENETDOWN, windows.WSAEHOSTDOWN,
		windows.WSAEADDRNOTAVAIL, windows.WSAEACCES}
}
