package demo

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"strconv"
	"sync"
	"time"

	"github.com/pkg/sftp"
	"golang.org/x/crypto/ssh"
)

// files serves SFTP on the session's channel until it ends (draft-ietf-secsh-filexfer-02): what `put` and `get` use.
// Relative names begin in the node's home. Who is logged in may run commands too, so nothing more is given away.
func (s *session) files() {
	defer s.Close()
	var status uint32
	server, err := sftp.NewServer(s.Channel, sftp.WithServerWorkingDirectory(s.home))
	if err == nil {
		err = server.Serve()
	}
	if err != nil && !errors.Is(err, io.EOF) {
		status = 1
	}
	_, _ = s.SendRequest("exit-status", false, ssh.Marshal(struct{ Status uint32 }{status}))
}

// isFiles tells whether a subsystem request asks for SFTP.
func isFiles(payload []byte) bool {
	var v struct{ Name string }
	return ssh.Unmarshal(payload, &v) == nil && v.Name == "sftp"
}

// forwardTime is how long a connection to this computer may take.
const forwardTime = 5 * time.Second

// forward makes the connection that a client asks for (RFC 4254, section 7.2): what `tunnel` uses. It leads to this
// computer's loopback addresses only, because nothing of the demo leaves the computer.
func forward(ctx context.Context, asked ssh.NewChannel) {
	var v struct {
		Host   string
		Port   uint32
		Origin string
		From   uint32
	}
	if ssh.Unmarshal(asked.ExtraData(), &v) != nil || v.Port > 65535 {
		_ = asked.Reject(ssh.ConnectionFailed, "malformed")
		return
	}
	if v.Host == "localhost" {
		v.Host = "127.0.0.1" // whatever the computer's hosts file says
	}
	if a, err := netip.ParseAddr(v.Host); err != nil || !a.IsLoopback() {
		_ = asked.Reject(ssh.Prohibited, "the demo's node reaches loopback addresses only")
		return
	}
	dialer := net.Dialer{Timeout: forwardTime}
	conn, err := dialer.DialContext(ctx, "tcp", net.JoinHostPort(v.Host, strconv.FormatUint(uint64(v.Port), 10)))
	if err != nil {
		_ = asked.Reject(ssh.ConnectionFailed, "connect failed")
		return
	}
	defer conn.Close()
	channel, requests, err := asked.Accept()
	if err != nil {
		return
	}
	defer context.AfterFunc(ctx, func() { conn.Close() })()
	var wg sync.WaitGroup
	defer wg.Wait()
	defer channel.Close()
	wg.Go(func() {
		ssh.DiscardRequests(requests)
		conn.Close() // the channel is closed, or the whole connection is gone: nobody waits for this computer's end
	})
	wg.Go(func() {
		_, _ = io.Copy(conn, channel)
		if tcp, ok := conn.(*net.TCPConn); ok {
			_ = tcp.CloseWrite() // the other direction may go on
		}
	})
	_, _ = io.Copy(channel, conn)
}
