package ipwatch_test

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
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

// TestSilentResolver: a name server that does not answer is named as what fails, and not the way to the sources.
func TestSilentResolver(t *testing.T) {
	t.Parallel()
	mute, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer mute.Close()
	d := detectorFor(t, ipwatch.DefaultPolicy(), nil)
	begun := make(chan struct{}, 100)
	d.Dial = (&net.Dialer{Resolver: &net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		begun <- struct{}{}
		return new(net.Dialer).DialContext(ctx, "udp4", mute.LocalAddr().String())
	}}}).DialContext
	v := d.Conclude(d.Observe(t.Context(), ipwatch.V4), nil)
	// It "was not resolved in time", or the system's own resolver gives up before that (`options timeout` in resolv.conf).
	if v.State != ipwatch.Offline || !strings.Contains(v.Why, "name resolution (DNS) fails: AWS: the name checkip.amazonaws.com ") {
		t.Errorf("%s: %s", v.State, v.Why)
	}
	for len(begun) > 0 {
		<-begun
	}
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-begun
		cancel()
	}()
	for _, a := range d.Observe(ctx, ipwatch.V4).Answers {
		if e, ok := errors.AsType[*ipwatch.EchoError](a.Err); !ok || e.Fault != ipwatch.FaultStopped {
			t.Errorf("given up: %v", a.Err)
		}
	}
}

// TestSilentServer: with the name resolved it is the source that does not answer.
func TestSilentServer(t *testing.T) {
	t.Parallel()
	mute, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer mute.Close()
	_, port, _ := net.SplitHostPort(mute.Addr().String())
	url := "https://localhost:" + port + "/"
	for _, a := range asking(t, url, url+"2").Observe(t.Context(), ipwatch.V4).Answers {
		if e, ok := errors.AsType[*ipwatch.EchoError](a.Err); !ok || e.Fault != ipwatch.FaultTimeout || !a.Local.IsValid() {
			t.Errorf("%v from %s, want a timeout", a.Err, a.Local)
		}
	}
}
