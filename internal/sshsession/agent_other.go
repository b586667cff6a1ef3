//go:build !windows

package sshsession

import (
	"context"
	"io"
	"net"
	"os"
)

// DefaultAgent is the agent of this login session: SSH_AUTH_SOCK, or "" for none.
func DefaultAgent() string { return os.Getenv("SSH_AUTH_SOCK") }

func dialAgent(ctx context.Context, path string) (io.ReadWriteCloser, error) {
	dialer := net.Dialer{Timeout: agentWait}
	return dialer.DialContext(ctx, "unix", path)
}
