package sshsession

import (
	"context"
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"time"

	"golang.org/x/sys/windows"
)

// agentPipe is where the OpenSSH agent service of Windows listens.
const agentPipe = `\\.\pipe\openssh-ssh-agent`

// DefaultAgent is the agent of this login session: SSH_AUTH_SOCK, or the pipe of Windows' agent service where it runs.
func DefaultAgent() string {
	if path := os.Getenv("SSH_AUTH_SOCK"); path != "" {
		return path
	}
	if _, err := os.Stat(agentPipe); err == nil {
		return agentPipe
	}
	return ""
}

func dialAgent(ctx context.Context, path string) (io.ReadWriteCloser, error) {
	ctx, cancel := context.WithTimeout(ctx, agentWait)
	defer cancel()
	if strings.HasPrefix(path, `\\`) {
		return dialPipe(ctx, path)
	}
	return (&net.Dialer{}).DialContext(ctx, "unix", path)
}

// dialPipe opens a named pipe for overlapped I/O: the agent client reads and writes at the same time, which any other handle would
// do one after the other and so dead-lock. The pipe's server must not act as this user (SECURITY_ANONYMOUS is the zero level).
func dialPipe(ctx context.Context, path string) (io.ReadWriteCloser, error) {
	name, err := windows.UTF16PtrFromString(path)
	if err != nil {
		return nil, err
	}
	for {
		h, err := windows.CreateFile(name, windows.GENERIC_READ|windows.GENERIC_WRITE, 0, nil, windows.OPEN_EXISTING,
			windows.FILE_FLAG_OVERLAPPED|windows.SECURITY_SQOS_PRESENT, 0)
		if err == nil {
			return os.NewFile(uintptr(h), path), nil
		}
		if !errors.Is(err, windows.ERROR_PIPE_BUSY) {
			return nil, err
		}
		select {
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		case <-time.After(10 * time.Millisecond): // another client is being served
		}
	}
}
