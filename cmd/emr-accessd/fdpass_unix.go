//go:build unix

package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"syscall"
)

// canPass reports whether descriptors can be passed on this system at all.
const canPass = true

// passable says why a connection cannot be handed to whoever reads standard output.
func passable(out *os.File) error {
	var st syscall.Stat_t
	if err := syscall.Fstat(int(out.Fd()), &st); err != nil {
		return fmt.Errorf("standard output: %w", err)
	}
	if uint32(st.Mode)&syscall.S_IFMT != syscall.S_IFSOCK {
		return errNoSocket
	}
	return nil
}

// pass hands the connection over, as ssh wants it with ProxyUseFdpass: one byte with one descriptor (SCM_RIGHTS;
// mm_receive_fd in OpenSSH's monitor_fdpass.c).
func pass(out *os.File, conn net.Conn) error {
	sc, ok := conn.(syscall.Conn)
	if !ok {
		return errors.New("the connection has no descriptor")
	}
	raw, err := sc.SyscallConn()
	if err != nil {
		return err
	}
	to := int(out.Fd())
	var sent error
	err = raw.Control(func(fd uintptr) {
		for {
			sent = syscall.Sendmsg(to, []byte{0}, syscall.UnixRights(int(fd)), nil, 0)
			if !errors.Is(sent, syscall.EINTR) {
				return
			}
		}
	})
	if err = errors.Join(err, sent); err != nil {
		return fmt.Errorf("hand the connection to ssh: %w", err)
	}
	return nil
}
