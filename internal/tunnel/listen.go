package tunnel

import (
	"errors"
	"fmt"
	"net"
	"strconv"
)

// nextPorts is how many ports after the wanted one are tried where another will do.
const nextPorts = 50

// Listen opens a Bind, and returns it with the port that it has got. "localhost" opens both loopback addresses, so that nobody else
// of this computer gets the connections of those who try the other one first; one that the system does not have is left out.
func Listen(b Bind) ([]net.Listener, Bind, error) {
	if b.Path != "" {
		l, err := listenUnix(b.Path)
		if err != nil {
			return nil, b, err
		}
		return []net.Listener{l}, b, nil
	}
	if b.Host != "localhost" {
		host := b.Host
		if host == "*" {
			host = ""
		}
		l, err := net.Listen("tcp", net.JoinHostPort(host, strconv.Itoa(b.Port)))
		if err != nil {
			return nil, b, fmt.Errorf("listen on %s: %w", b, cause(err))
		}
		b.Port = portOf(l)
		return []net.Listener{l}, b, nil
	}
	for try := 0; ; try++ {
		got := b
		four, err := net.Listen("tcp4", net.JoinHostPort("127.0.0.1", strconv.Itoa(b.Port)))
		if err != nil {
			return nil, b, fmt.Errorf("listen on %s: %w", b, cause(err))
		}
		got.Port = portOf(four)
		six, err := net.Listen("tcp6", net.JoinHostPort("::1", strconv.Itoa(got.Port)))
		switch {
		case err == nil:
			return []net.Listener{four, six}, got, nil
		case !inUse(err):
			return []net.Listener{four}, got, nil // a computer without IPv6
		}
		_ = four.Close()
		if b.Port != 0 || try == nextPorts {
			return nil, b, fmt.Errorf("listen on [::1]:%d: %w", got.Port, cause(err))
		}
	}
}

// ListenNear is Listen, and takes one of the next ports where the wanted one cannot be had.
func ListenNear(b Bind) ([]net.Listener, Bind, error) {
	ls, got, first := Listen(b)
	for i := 1; first != nil && i <= nextPorts && b.Port+i <= 65535; i++ {
		next := b
		next.Port += i
		if ls, got, err := Listen(next); err == nil {
			return ls, got, nil
		}
	}
	return ls, got, first
}

func portOf(l net.Listener) int {
	if a, ok := l.Addr().(*net.TCPAddr); ok {
		return a.Port
	}
	return 0
}

// cause is a network error without the address, which the message has already.
func cause(err error) error {
	if op, ok := errors.AsType[*net.OpError](err); ok {
		return op.Err
	}
	return err
}
