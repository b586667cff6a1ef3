package ipwatch_test

import (
	"context"
	"io"
	"net"
	"testing"
	"time"

	"github.com/emr-accessd/emr-accessd/internal/ipwatch"
)

// TestAbandonedConnections: a question that was given up leaves nothing behind. A network that takes each connection and
// says nothing (a portal, a broken proxy) would else cost a socket for each question, and the daemon asks for days.
func TestAbandonedConnections(t *testing.T) {
	t.Parallel()
	mute, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer mute.Close()
	spoke, closed := make(chan struct{}, 2), make(chan error, 2)
	go func() {
		for {
			c, err := mute.Accept()
			if err != nil {
				return
			}
			go func() {
				defer c.Close()
				_ = c.SetReadDeadline(time.Now().Add(30 * time.Second))
				_, err := io.ReadFull(c, make([]byte, 1)) // of the handshake
				spoke <- struct{}{}
				if err == nil {
					_, err = io.Copy(io.Discard, c)
				}
				closed <- err
			}()
		}
	}()
	url := "https://" + mute.Addr().String() + "/"
	d := asking(t, url, url+"2")
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-spoke
		<-spoke
		cancel()
	}()
	d.Observe(ctx, ipwatch.V4)
	for range 2 {
		if err := <-closed; err != nil {
			t.Errorf("the connection of a question that is over stays open: %v", err)
		}
	}
}

// TestAbandonedDials is the same for a network that swallows the first packet already.
func TestAbandonedDials(t *testing.T) {
	t.Parallel()
	d := asking(t, "https://192.0.2.1/", "https://192.0.2.2/")
	ended, dialing := make(chan struct{}, 2), make(chan struct{}, 2)
	d.Dial = func(ctx context.Context, _, _ string) (net.Conn, error) {
		dialing <- struct{}{}
		<-ctx.Done()
		ended <- struct{}{}
		return nil, ctx.Err()
	}
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-dialing
		<-dialing
		cancel()
	}()
	d.Observe(ctx, ipwatch.V4)
	for range 2 {
		select {
		case <-ended:
		case <-time.After(30 * time.Second):
			t.Fatal("a connection goes on to be made for a question that is over")
		}
	}
}

// asking is a detector that asks these two.
func asking(t *testing.T, aws, other string) *ipwatch.Detector {
	t.Helper()
	d, err := ipwatch.NewDetector(ipwatch.Config{Policy: labPolicy(), Sources: []ipwatch.Source{{Operator: "aws", URL: aws}, {Operator: "other", URL: other}}})
	if err != nil {
		t.Fatal(err)
	}
	return d
}
