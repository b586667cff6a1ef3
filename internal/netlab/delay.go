//go:build linux

package netlab

import (
	"errors"
	"fmt"
	"os"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

// queueLength is how many packets may be under way in one direction; more are lost, as on a real line.
const queueLength = 1024

// Line is what connects two hosts, with the time that a packet takes.
type Line struct{ oneWay atomic.Int64 }

// Take sets how long a packet takes in each direction, from now on.
func (l *Line) Take(oneWay time.Duration) { l.oneWay.Store(int64(oneWay)) }

// Delayed connects two hosts with a line that takes some time in each direction. The interfaces are up and have no
// addresses. Not every kernel has netem, and each has TUN.
func (l *Lab) Delayed(a *Host, nameA string, b *Host, nameB string, oneWay time.Duration) (*Line, error) {
	ends := make([]*os.File, 2)
	for i, end := range []struct {
		host *Host
		name string
	}{{a, nameA}, {b, nameB}} {
		if err := end.host.Do(func() (err error) {
			ends[i], err = openTUN(end.name)
			return err
		}); err != nil {
			return nil, err
		}
		l.OnClose(ends[i].Close)
		if err := end.host.IP("link", "set", end.name, "up"); err != nil {
			return nil, err
		}
	}
	line := &Line{}
	line.Take(oneWay)
	go carry(ends[0], ends[1], line)
	go carry(ends[1], ends[0], line)
	return line, nil
}

// openTUN makes an interface whose packets are read from and written to the file (kernel, networking/tuntap).
func openTUN(name string) (*os.File, error) {
	fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
	if err != nil {
		return nil, fmt.Errorf("/dev/net/tun: %w", err)
	}
	req, err := unix.NewIfreq(name)
	if err == nil {
		req.SetUint16(unix.IFF_TUN | unix.IFF_NO_PI)
		err = unix.IoctlIfreq(fd, unix.TUNSETIFF, req)
	}
	if err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("make the interface %s: %w", name, err)
	}
	return os.NewFile(uintptr(fd), "/dev/net/tun"), nil // in the poller, since it does not block
}

// carry moves packets in one direction until the files are closed.
func carry(from, to *os.File, line *Line) {
	type packet struct {
		data []byte
		due  time.Time
	}
	queue := make(chan packet, queueLength)
	go func() {
		for p := range queue {
			time.Sleep(time.Until(p.due))
			_, _ = to.Write(p.data) // the other end may be down: then it is lost
		}
	}()
	defer close(queue)
	buf := make([]byte, 65536)
	for {
		n, err := from.Read(buf)
		switch {
		case errors.Is(err, unix.EBADFD), errors.Is(err, unix.EIO): // the interface is down
			time.Sleep(10 * time.Millisecond)
			continue
		case err != nil:
			return
		}
		select {
		case queue <- packet{append([]byte(nil), buf[:n]...), time.Now().Add(time.Duration(line.oneWay.Load()))}:
		default:
		}
	}
}
