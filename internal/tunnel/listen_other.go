//go:build !unix

package tunnel

import (
	"errors"
	"net"
	"syscall"
)

// ErrUnsafeFolder says that others could put a socket of theirs in the place of ours.
var ErrUnsafeFolder = errors.New("others may write to the folder")

// listenUnix refuses: who may use a socket there is a matter of access lists, which are not looked at.
func listenUnix(string) (net.Listener, error) {
	return nil, errors.New("Unix sockets are not offered on this system: give a port")
}

// wsaAddrInUse is WSAEADDRINUSE of Winsock.
const wsaAddrInUse = syscall.Errno(10048)

func inUse(err error) bool { return errors.Is(err, wsaAddrInUse) }
