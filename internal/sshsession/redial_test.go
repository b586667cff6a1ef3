package sshsession_test

import (
	"context"
	"errors"
	"io"
	"net"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"golang.org/x/crypto/ssh"

	"github.com/emr-accessd/emr-accessd/internal/sshsession"
)

// lane is a way to a server that a test can cut, in a bubble. Each connection has a pipe of its own.
type lane struct {
	*sshsession.Link
	mu      sync.Mutex
	last    *pipeEnd // the server's end
	refused error    // what connecting fails with
	tries   int
	lost    []error
	failed  []time.Duration
	back    []time.Duration
	done    chan error
	stop    func()
}

// newLane makes a link whose server greets on each connection onwards, and runs it.
func newLane(t *testing.T, change func(*server)) *lane {
	t.Helper()
	target, srv := newTarget(t, "ed25519")
	srv.onward = func(ch ssh.NewChannel) {
		c, requests, err := ch.Accept()
		if err != nil {
			return
		}
		go ssh.DiscardRequests(requests)
		_, _ = io.WriteString(c, "hello")
		_ = c.Close()
	}
	if change != nil {
		change(srv)
	}
	mustAdd(t, target.Verifier.Store, instance, sshsession.OriginConsole, srv.keys()...)
	n := &lane{done: make(chan error, 1)}
	target.Dial = func(context.Context, string, string) (net.Conn, error) {
		here, there := newPipe()
		n.mu.Lock()
		defer n.mu.Unlock()
		n.tries++
		if n.refused != nil {
			return nil, n.refused
		}
		n.last = there
		srv.wg.Go(func() { srv.serve(there) })
		return here, nil
	}
	connect := func(ctx context.Context) (*sshsession.Client, error) { return sshsession.Dial(ctx, target) }
	first, err := connect(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	n.Link = sshsession.NewLink(first, connect)
	note := func(f func()) {
		n.mu.Lock()
		defer n.mu.Unlock()
		f()
	}
	n.Lost = func(err error) { note(func() { n.lost = append(n.lost, err) }) }
	n.Failed = func(_ error, wait time.Duration) { note(func() { n.failed = append(n.failed, wait) }) }
	n.Back = func(_ *sshsession.Client, away time.Duration) { note(func() { n.back = append(n.back, away) }) }
	ctx, cancel := context.WithCancel(t.Context())
	go func() { n.done <- n.Run(ctx) }()
	n.stop = func() {
		cancel()
		if err := <-n.done; err != nil {
			t.Errorf("the end: %v", err)
		}
		srv.close()
	}
	return n
}

func (n *lane) refuse(err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.refused = err
}

func (n *lane) end() *pipeEnd {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.last
}

func (n *lane) seen() (tries int, failed []time.Duration) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.tries, slices.Clone(n.failed)
}

func (n *lane) losses() []error {
	n.mu.Lock()
	defer n.mu.Unlock()
	return slices.Clone(n.lost)
}

// ask makes a connection onwards and reads the greeting.
func (n *lane) ask(ctx context.Context) error {
	c, err := n.Dial(ctx, "tcp", "localhost:8088")
	if err != nil {
		return err
	}
	defer c.Close()
	got, err := io.ReadAll(c)
	if string(got) != "hello" || err != nil {
		return errors.Join(errors.New(string(got)), err)
	}
	return nil
}

// took is the time since, without the moment in which the end of a connection is looked into.
func took(start time.Time) time.Duration { return time.Since(start).Round(10 * time.Millisecond) }

var errNoNetwork = errors.New("no network")

// A link that the server hangs up is there again at once, and whoever uses it does not notice.
func TestLinkComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newLane(t, nil)
		for range 3 {
			if err := n.ask(t.Context()); err != nil {
				t.Fatal(err)
			}
			time.Sleep(sshsession.Steady)
			n.end().Close()
		}
		if err := n.ask(t.Context()); err != nil {
			t.Error(err)
		}
		n.stop()
		if len(n.lost) != 3 || len(n.back) != 3 || !errors.Is(n.lost[0], sshsession.ErrLostLink) || n.back[2] != 0 {
			t.Errorf("lost %v, back %v", n.lost, n.back)
		}
	})
}

// A link that is lost as soon as it stands is not made again and again without a pause: each time asks AWS.
func TestLinkLostAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newLane(t, nil)
		lose := func() {
			if err := n.ask(t.Context()); err != nil {
				t.Fatal(err)
			}
			n.end().Close()
			synctest.Wait()
		}
		for range 5 {
			lose()
		}
		if err := n.ask(t.Context()); err != nil {
			t.Fatal(err)
		}
		time.Sleep(sshsession.Steady)
		lose()
		n.stop()
		for i, want := range []time.Duration{0, 1, 2, 4, 8, 0} {
			if want *= time.Second; n.back[i] < want*3/4 || n.back[i] > want*5/4 {
				t.Errorf("away for %v, want some %v", n.back[i], want)
			}
		}
	})
}

// A network event finds a frozen link within three seconds, not within a minute, and leaves a sound one alone.
func TestLinkNudge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newLane(t, nil)
		defer n.stop()
		n.Nudge()
		time.Sleep(time.Minute)
		if lost := n.losses(); len(lost) != 0 {
			t.Fatalf("a sound link: %v", lost)
		}
		n.end().freeze()
		start := time.Now()
		n.Nudge()
		if err := n.ask(t.Context()); err != nil || took(start) != sshsession.ProbeWait {
			t.Errorf("error %v after %v", err, time.Since(start))
		}
	})
}

// Without an event, a request that is not answered finds it.
func TestLinkDialFindsOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newLane(t, nil)
		defer n.stop()
		n.end().freeze()
		start := time.Now()
		if err := n.ask(t.Context()); err != nil || took(start) != 2*sshsession.ProbeWait {
			t.Errorf("error %v after %v", err, time.Since(start))
		}
	})
}

// A slow server onwards is no lost link.
func TestLinkSlowAnswer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newLane(t, func(srv *server) {
			onward := srv.onward
			srv.onward = func(ch ssh.NewChannel) {
				time.Sleep(30 * time.Second)
				onward(ch)
			}
		})
		defer n.stop()
		if err := n.ask(t.Context()); err != nil || len(n.losses()) != 0 {
			t.Errorf("error %v, lost %v", err, n.losses())
		}
	})
}

// While there is no network, attempts become rare; who dials is told after its patience; an event ends the wait.
func TestLinkBacksOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		n := newLane(t, nil)
		defer n.stop()
		n.refuse(errNoNetwork)
		n.end().Close()
		start := time.Now()
		if err := n.ask(t.Context()); !errors.Is(err, sshsession.ErrLostLink) || time.Since(start) != sshsession.LinkPatience {
			t.Errorf("error %v after %v", err, time.Since(start))
		}
		time.Sleep(10 * time.Minute)
		tries, failed := n.seen()
		if tries < 15 || tries > 40 {
			t.Errorf("%d tries in ten minutes", tries)
		}
		if w := failed[0]; w < 800*time.Millisecond || w > 1200*time.Millisecond {
			t.Errorf("the first wait is %v", w)
		}
		for _, w := range failed[6:] {
			if w < 24*time.Second || w > 36*time.Second {
				t.Errorf("later waits: %v", w)
			}
		}
		n.refuse(nil)
		start = time.Now()
		n.Nudge()
		if err := n.ask(t.Context()); err != nil || took(start) > 0 {
			t.Errorf("error %v after %v", err, time.Since(start))
		}
	})
}

// What another try cannot mend ends the link, and whoever waits for it.
func TestLinkGivesUp(t *testing.T) {
	for _, final := range []error{&sshsession.MismatchError{}, &sshsession.AuthError{Tried: []sshsession.OfferedKey{{Source: "a"}}}, sshsession.ErrContradiction, sshsession.ErrInterrupted} {
		synctest.Test(t, func(t *testing.T) {
			target, srv := newTarget(t, "ed25519")
			here, there := newPipe()
			target.Dial = func(context.Context, string, string) (net.Conn, error) { return here, nil }
			srv.wg.Go(func() { srv.serve(there) })
			mustAdd(t, target.Verifier.Store, instance, sshsession.OriginConsole, srv.keys()...)
			first := mustDial(t, target)
			link := sshsession.NewLink(first, func(context.Context) (*sshsession.Client, error) { return nil, final })
			there.Close()
			if err := link.Run(t.Context()); !errors.Is(err, final) {
				t.Errorf("%v, want %v", err, final)
			}
			if _, err := link.Dial(t.Context(), "tcp", "localhost:80"); !errors.Is(err, final) {
				t.Errorf("dial: %v, want %v", err, final)
			}
			srv.close()
		})
	}
}

// A key that could not be used is no refused login: an agent may be locked for now.
func TestPermanent(t *testing.T) {
	locked := sshsession.OfferedKey{Source: "agent", Reason: "agent refused operation"}
	for _, tt := range []struct {
		err  error
		want bool
	}{
		{&sshsession.AuthError{}, false}, {&sshsession.AuthError{Tried: []sshsession.OfferedKey{locked}}, false},
		{&sshsession.AuthError{Tried: []sshsession.OfferedKey{locked, {Source: "file"}}}, true}, {&sshsession.AuthError{Methods: []string{"password"}}, true},
		{&sshsession.DialError{}, false}, {sshsession.ErrHandshake, false}, {&sshsession.UnverifiedError{}, true},
	} {
		if got := sshsession.Permanent(tt.err); got != tt.want {
			t.Errorf("%#v: %v", tt.err, got)
		}
	}
}

// The end comes at once in each state, and closes the connection.
func TestLinkEnds(t *testing.T) {
	for _, state := range []string{"up", "frozen", "lost"} {
		synctest.Test(t, func(t *testing.T) {
			n := newLane(t, nil)
			switch state {
			case "frozen":
				n.end().freeze()
			case "lost":
				n.refuse(errNoNetwork)
				n.end().Close()
			}
			synctest.Wait()
			start := time.Now()
			n.stop()
			if time.Since(start) > 0 {
				t.Errorf("%s: it took %v", state, time.Since(start))
			}
			if _, err := n.Dial(t.Context(), "tcp", "localhost:80"); !errors.Is(err, net.ErrClosed) {
				t.Errorf("%s: dial: %v", state, err)
			}
		})
	}
}
