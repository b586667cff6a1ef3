package sshsession_test

import (
	"context"
	"errors"
	"io"
	"net"
	"testing"
	"testing/synctest"
	"time"

	"github.com/emr-accessd/emr-accessd/internal/sshsession"
)

func TestProbe(t *testing.T) {
	hangs := make(chan struct{})
	c := connect(t, func(srv *server) {
		srv.command = func(r *remote, _ string) int {
			<-hangs
			return 0
		}
	})
	if err := c.Probe(t.Context(), 10*time.Second); err != nil {
		t.Errorf("a server that is there: %v", err)
	}
	ctx, cancel := context.WithCancelCause(t.Context())
	gone := errors.New("gone")
	cancel(gone)
	if err := c.Probe(ctx, time.Minute); !errors.Is(err, gone) {
		t.Errorf("canceled: %v", err)
	}
	result := make(chan error, 1)
	go func() {
		_, err := c.Exec(t.Context(), "hang", nil, io.Discard, io.Discard, nil)
		result <- err
	}()
	why := errors.New("the address has changed")
	c.Abandon(why)
	close(hangs)
	if err := <-result; !errors.Is(err, sshsession.ErrLostLink) {
		t.Errorf("the command ended with %v", err)
	}
	if err := c.Probe(t.Context(), time.Minute); !errors.Is(err, sshsession.ErrLostLink) || !errors.Is(err, why) {
		t.Errorf("abandoned: %v", err)
	}
}

// TestProbeFrozen has a link on which everything gets lost: the probe ends in time, and the connection is left as it is.
func TestProbeFrozen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c, link := connectPipe(t, func(*server) {})
		link.freeze()
		begin := time.Now()
		if err := c.Probe(t.Context(), 3*time.Second); err == nil || time.Since(begin) != 3*time.Second {
			t.Errorf("error %v after %v", err, time.Since(begin))
		}
		if c.Err() != nil {
			t.Errorf("the connection has ended: %v", c.Err())
		}
		if err := c.Probe(t.Context(), time.Second); err == nil {
			t.Error("a second probe, behind the first one's question, found life")
		}
	})
}

// TestKeepAliveSettings counts the misses that were asked for.
func TestKeepAliveSettings(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		target, srv := newTarget(t, "ed25519")
		target.KeepAlive, target.KeepAliveMisses = 2*time.Second, 1
		here, there := newPipe()
		target.Dial = func(context.Context, string, string) (net.Conn, error) { return here, nil }
		srv.wg.Go(func() { srv.serve(there) })
		defer srv.close()
		mustAdd(t, target.Verifier.Store, instance, sshsession.OriginConsole, srv.keys()...)
		c, err := sshsession.Dial(t.Context(), target)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		time.Sleep(time.Minute)
		there.freeze()
		begin := time.Now()
		<-c.Done()
		if took := time.Since(begin); took < 2*time.Second || took > 6*time.Second || !errors.Is(c.Err(), sshsession.ErrLostLink) {
			t.Errorf("noticed after %v: %v", took, c.Err())
		}
	})
}
