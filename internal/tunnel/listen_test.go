package tunnel_test

import (
	"net"
	"strings"
	"testing"

	"github.com/emr-accessd/emr-accessd/internal/tunnel"
)

// localhost is both families, a port that is taken is an error, and ListenNear takes the next.
func TestListen(t *testing.T) {
	ls, b, err := tunnel.Listen(tunnel.Bind{Host: "localhost"})
	if err != nil || b.Port == 0 {
		t.Fatalf("%v, %v", b, err)
	}
	defer closeAll(ls)
	for _, l := range ls {
		a := l.Addr().(*net.TCPAddr)
		if !a.IP.IsLoopback() || a.Port != b.Port {
			t.Errorf("it listens on %v", a)
		}
	}
	if _, _, err := tunnel.Listen(b); err == nil || !strings.Contains(err.Error(), b.String()) || strings.Count(err.Error(), portOf(b)) != 1 {
		t.Errorf("a port that is taken: %v", err)
	}
	near, got, err := tunnel.ListenNear(b)
	if err != nil || got.Port <= b.Port || got.Port > b.Port+50 {
		t.Errorf("near %d: %d, %v", b.Port, got.Port, err)
	}
	closeAll(near)
}

// Somebody else who holds the port on [::1] alone would get a part of the connections to localhost.
func TestListenTaken6(t *testing.T) {
	six, err := net.Listen("tcp6", "[::1]:0")
	if err != nil {
		t.Skip("no IPv6 here")
	}
	defer six.Close()
	if ls, _, err := tunnel.Listen(tunnel.Bind{Host: "localhost", Port: six.Addr().(*net.TCPAddr).Port}); err == nil {
		closeAll(ls)
		t.Error("the other family is somebody else's, and it was taken all the same")
	}
}

func closeAll(ls []net.Listener) {
	for _, l := range ls {
		l.Close()
	}
}
