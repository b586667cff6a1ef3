package ipwatch

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// routeSocketBuffer holds any message of the routing socket: an rt_msghdr and eight addresses, in bytes.
const routeSocketBuffer = 4 << 10

// routeSocket is a routing socket that listens (route(4)); it needs no privilege. The system drops messages without
// a word when its buffer is full, so that is read at once, whatever the reader of the hints does.
type routeSocket struct {
	file  *os.File
	links linkTable
}

func openNetwork() (listening, error) {
	// There is no flag for close-on-exec here; the lock keeps a child from starting in between.
	syscall.ForkLock.RLock()
	fd, err := unix.Socket(unix.AF_ROUTE, unix.SOCK_RAW, unix.AF_UNSPEC)
	if err == nil {
		unix.CloseOnExec(fd)
	}
	syscall.ForkLock.RUnlock()
	if err != nil {
		return nil, fmt.Errorf("routing socket: %w", err)
	}
	if err := unix.SetNonblock(fd, true); err != nil { // before os.NewFile, which then uses the poller
		unix.Close(fd)
		return nil, fmt.Errorf("routing socket: %w", err)
	}
	return &routeSocket{os.NewFile(uintptr(fd), "routing socket"), readLinks()}, nil
}

func (r *routeSocket) listen(ctx context.Context, put func(Hint)) error {
	defer closeWith(ctx, r.file)() // ends the read
	buf := make([]byte, routeSocketBuffer)
	for {
		n, err := r.file.Read(buf)
		switch {
		case errors.Is(err, unix.ENOBUFS):
			r.links.missed()
			put(Hint{Kind: HintOverflow, Reason: "the system dropped messages: too many at once", Lost: true})
		case errors.Is(err, io.EOF): // an empty message
			return errors.New("routing socket: closed by the system")
		case err != nil:
			return fmt.Errorf("routing socket: %w", err)
		default:
			for _, h := range routeSocketHints(buf[:n], r.links) {
				put(h)
			}
		}
	}
}

// openWake: macOS tells of waking up through IOKit alone, which needs cgo.
func openWake() (listening, error) { return wallTick{}, nil }
