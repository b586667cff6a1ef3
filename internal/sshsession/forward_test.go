package sshsession_test

import (
	"bytes"
	"errors"
	"io"
	"testing"
	"testing/synctest"

	"golang.org/x/crypto/ssh"

	"github.com/emr-accessd/emr-accessd/internal/sshsession"
)

// The server's reasons for not connecting are told apart.
func TestForwardErrors(t *testing.T) {
	for _, tt := range []struct {
		reason ssh.RejectionReason
		words  string
		want   sshsession.ForwardProblem
	}{
		{ssh.Prohibited, "open failed", sshsession.ForwardProhibited},
		{ssh.ConnectionFailed, "Connection refused", sshsession.ForwardRefused},
		{ssh.ConnectionFailed, "Name or service not known", sshsession.ForwardUnreachable},
		{ssh.ResourceShortage, "", sshsession.ForwardOther},
		{ssh.UnknownChannelType, "\x1b[2Jno\n", sshsession.ForwardOther},
	} {
		synctest.Test(t, func(t *testing.T) {
			n := newLane(t, func(srv *server) { srv.onward = func(ch ssh.NewChannel) { _ = ch.Reject(tt.reason, tt.words) } })
			defer n.stop()
			err := n.ask(t.Context())
			e, ok := errors.AsType[*sshsession.ForwardError](err)
			if !ok || e.Problem != tt.want {
				t.Errorf("%v %q: %v", tt.reason, tt.words, err)
			}
			for _, r := range err.Error() {
				if r < ' ' {
					t.Errorf("%q has a control character", err)
				}
			}
		})
	}
}

// A connection that the loss of the link cuts does not look like one that has come to its end.
func TestForwardCutShort(t *testing.T) {
	for _, how := range []string{"network", "frozen", "goodbye"} {
		synctest.Test(t, func(t *testing.T) {
			n := newLane(t, func(srv *server) {
				srv.onward = func(ch ssh.NewChannel) {
					c, requests, err := ch.Accept()
					if err != nil {
						return
					}
					_, _ = io.WriteString(c, "half of it")
					ssh.DiscardRequests(requests)
				}
			})
			defer n.stop()
			c, err := n.Dial(t.Context(), "tcp", "localhost:80")
			if err != nil {
				t.Fatal(err)
			}
			half := make([]byte, len("half of it"))
			if _, err := io.ReadFull(c, half); err != nil {
				t.Fatal(err)
			}
			switch how {
			case "network":
				n.end().Close()
			case "frozen":
				n.end().freeze()
				n.Nudge()
			case "goodbye":
				n.end().write.mu.Lock() // what the server says last: not SSH any more
				n.end().write.data = append(n.end().write.data, bytes.Repeat([]byte{0xff}, 64)...)
				n.end().write.change.Broadcast()
				n.end().write.mu.Unlock()
			}
			if rest, err := io.ReadAll(c); !errors.Is(err, sshsession.ErrLostLink) || len(rest) > 0 {
				t.Errorf("%s: %q, %v", how, rest, err)
			}
		})
	}
}

// What cannot be asked for is refused before the server is asked.
func TestForwardRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newLane(t, nil)
		defer n.stop()
		for _, tt := range [][2]string{{"udp", "localhost:53"}, {"tcp", "localhost"}, {"tcp", "localhost:http"}, {"tcp", "localhost:65536"}} {
			if c, err := n.Dial(t.Context(), tt[0], tt[1]); err == nil {
				t.Errorf("%v was connected", tt)
				c.Close()
			}
		}
		c, err := n.Dial(t.Context(), "unix", "/var/run/x.sock")
		if err != nil {
			t.Fatal(err)
		}
		c.Close()
	})
}
