package ipwatch

import (
	"context"
	"errors"
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// netlinkBuffer is longer than any message that the kernel multicasts, in bytes: it fills at most 8 KiB but for
// links with very many virtual functions. A longer one is cut, noticed, and means "look again".
const netlinkBuffer = 32 << 10

// netlinkGroups are the subjects that are listened to.
const netlinkGroups = unix.RTMGRP_LINK | unix.RTMGRP_IPV4_IFADDR | unix.RTMGRP_IPV6_IFADDR | unix.RTMGRP_IPV4_ROUTE | unix.RTMGRP_IPV6_ROUTE

// netlink is an rtnetlink socket that listens. It is in the runtime's poller, so it costs no thread and no wake-up.
// It is written upon x/sys and not upon a library: these need ten times its code, and one of them ends for good
// when messages are lost.
type netlink struct {
	file  *os.File
	links linkTable
}

func openNetwork() (listening, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.NETLINK_ROUTE)
	if err != nil {
		return nil, fmt.Errorf("netlink: %w", err)
	}
	if err := unix.Bind(fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK, Groups: netlinkGroups}); err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("netlink: %w", err)
	}
	// Read after the registration: what changes in between comes as a message too.
	return &netlink{os.NewFile(uintptr(fd), "netlink"), readLinks()}, nil
}

func (n *netlink) listen(ctx context.Context, put func(Hint)) error {
	defer closeWith(ctx, n.file)() // ends the read
	raw, err := n.file.SyscallConn()
	if err != nil {
		return fmt.Errorf("netlink: %w", err)
	}
	buf := make([]byte, netlinkBuffer)
	for {
		var size, flags int
		var from unix.Sockaddr
		var errno error
		err := raw.Read(func(fd uintptr) bool {
			size, _, flags, from, errno = unix.Recvmsg(int(fd), buf, nil, 0)
			return !errors.Is(errno, unix.EAGAIN)
		})
		if err == nil {
			err = errno
		}
		switch {
		case errors.Is(err, unix.EINTR):
		case errors.Is(err, unix.ENOBUFS): // the socket's buffer was full; it works on
			n.links.missed()
			put(Hint{Kind: HintOverflow, Reason: "the kernel dropped messages: too many at once", Lost: true})
		case err != nil:
			return fmt.Errorf("netlink: %w", err)
		default:
			if sender, ok := from.(*unix.SockaddrNetlink); !ok || sender.Pid != 0 {
				continue // another process; only the kernel knows
			}
			if flags&unix.MSG_TRUNC != 0 {
				n.links.missed()
				put(unreadable("kernel"))
				continue
			}
			for _, h := range netlinkHints(buf[:size], n.links) {
				put(h)
			}
		}
	}
}

// clockWatch is a timer that is set for a day far away and never meant to expire: the kernel cancels it when the
// clock is set and when the computer wakes up (timerfd_create(2), TFD_TIMER_CANCEL_ON_SET). It needs no D-Bus, no
// privilege and no wake-ups.
type clockWatch struct {
	file *os.File
}

func openWake() (listening, error) {
	fd, err := unix.TimerfdCreate(unix.CLOCK_REALTIME, unix.TFD_CLOEXEC|unix.TFD_NONBLOCK)
	if err != nil {
		return nil, fmt.Errorf("timerfd: %w", err)
	}
	if err := armClockWatch(fd); err != nil {
		unix.Close(fd)
		return nil, err
	}
	return &clockWatch{os.NewFile(uintptr(fd), "timerfd")}, nil
}

// armClockWatch sets the timer for a year from now; then it is set again.
func armClockWatch(fd int) error {
	const year = 365 * 24 * 60 * 60
	var now unix.Timespec
	if err := unix.ClockGettime(unix.CLOCK_REALTIME, &now); err != nil {
		return fmt.Errorf("clock: %w", err)
	}
	now.Sec += year
	err := unix.TimerfdSettime(fd, unix.TFD_TIMER_ABSTIME|unix.TFD_TIMER_CANCEL_ON_SET, &unix.ItimerSpec{Value: now}, nil)
	if err != nil && !errors.Is(err, unix.ECANCELED) { // it is set all the same; the clock was set once more just now
		return fmt.Errorf("timerfd: %w", err)
	}
	return nil
}

func (c *clockWatch) listen(ctx context.Context, put func(Hint)) error {
	defer closeWith(ctx, c.file)()
	raw, err := c.file.SyscallConn()
	if err != nil {
		return fmt.Errorf("timerfd: %w", err)
	}
	expirations := make([]byte, 8)
	for {
		_, err := c.file.Read(expirations)
		canceled := errors.Is(err, unix.ECANCELED)
		if err != nil && !canceled {
			return fmt.Errorf("timerfd: %w", err)
		}
		var armed error
		if err := raw.Control(func(fd uintptr) { armed = armClockWatch(int(fd)) }); err != nil {
			return fmt.Errorf("timerfd: %w", err)
		}
		if canceled {
			put(Hint{Kind: HintWake, Reason: "the computer slept, or its clock was set", Lost: true})
		}
		if armed != nil {
			return armed
		}
	}
}
