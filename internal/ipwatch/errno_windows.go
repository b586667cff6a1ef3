package ipwatch

import (
	"errors"

	"golang.org/x/sys/windows"
)

// noRouteErrno tells whether an error of the system says positively that there is no route.
func noRouteErrno(err error) bool {
	return errors.Is(err, windows.WSAENETUNREACH) || errors.Is(err, windows.WSAEHOSTUNREACH) ||
		errors.Is(err, windows.WSAEADDRNOTAVAIL) || errors.Is(err, windows.WSAENETDOWN) ||
		errors.Is(err, windows.WSAEAFNOSUPPORT)
}
