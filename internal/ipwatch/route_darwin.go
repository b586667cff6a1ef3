package ipwatch

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// routeSeq tells the questions of this process apart.
var routeSeq atomic.Int32

// routeTo asks the kernel for the entry of the routing table that an address matches, as `route -n get` does
// (route(4), RTM_GET). It needs no privilege and sends nothing to the network.
func routeTo(to netip.Addr) (Hop, error) {
	fd, err := unix.Socket(unix.AF_ROUTE, unix.SOCK_RAW, unix.AF_UNSPEC)
	if err != nil {
		return Hop{}, fmt.Errorf("routing table: %w", err)
	}
	defer unix.Close(fd)
	unix.CloseOnExec(fd)
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &unix.Timeval{Sec: 1}); err != nil {
		return Hop{}, fmt.Errorf("routing table: %w", err)
	}
	pid, seq := int32(os.Getpid()), routeSeq.Add(1)
	if _, err := unix.Write(fd, socketGetRequest(to, pid, seq)); err != nil {
		if errors.Is(err, unix.ESRCH) {
			return Hop{}, fmt.Errorf("%w to %s", ErrNoRoute, to)
		}
		return Hop{}, fmt.Errorf("routing table: %w", err)
	}
	buf := make([]byte, 2<<10)
	for until := time.Now().Add(time.Second); time.Now().Before(until); {
		n, err := unix.Read(fd, buf)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if err != nil {
			return Hop{}, fmt.Errorf("routing table: %w", err)
		}
		if h, index, answered, err := parseSocketGet(buf[:n], to, pid, seq); answered {
			if err != nil {
				return Hop{}, err
			}
			return h.viaInterface(index), nil
		}
	}
	return Hop{}, errors.New("routing table: no answer")
}
