package tunnel

import (
	"context"
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/emr-accessd/emr-accessd/internal/sshsession"
)

const (
	// handshakeTime is how long a client may take to say where it wants to go: it is on this computer.
	handshakeTime = 10 * time.Second
	// dialTime bounds a connection onwards, with the time in which a lost link comes back. The server gives up on a host that does
	// not answer after two minutes; a browser's user has long gone by then.
	dialTime = 45 * time.Second
	// maxOpen is how many connections are open at once. A browser opens some dozens; a loop that opens them without an end must not
	// take all descriptors.
	maxOpen = 512
	// sayEvery is how often one and the same sentence is said.
	sayEvery = time.Minute
	// maxSaid bounds what is remembered of sentences.
	maxSaid = 200
)

// Server serves the listeners of a tunnel. Set the fields before the first call of its methods.
type Server struct {
	// Dial has the server at the far side connect. The errors of sshsession are understood.
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
	// Say is told in sentences what a user should know, from any goroutine, and Detail what few want to know. Both may be nil.
	Say, Detail func(string)

	open atomic.Int64
	mu   sync.Mutex
	said map[string]time.Time
}

// Forward serves a forward until the context ends and all its connections are closed.
func (s *Server) Forward(ctx context.Context, ls []net.Listener, f Forward) {
	var good atomic.Int64 // the index of the remote that answered last
	s.serve(ctx, ls, func(ctx context.Context, c net.Conn) {
		there, err := s.first(ctx, f.Remotes(), &good)
		if err != nil {
			if !ended(err) { // a browser shows no reason
				s.once(s.Say, f.why(err))
			}
			return
		}
		pipe(c, there)
	})
}

// why says why a connection was closed.
func (f Forward) why(err error) string {
	text := f.Bind.String() + ": " + err.Error()
	if f.Title != "" {
		text = f.Title + ", " + text
	}
	e, ok := errors.AsType[*sshsession.ForwardError](err)
	switch {
	case ok && e.Problem == sshsession.ForwardProhibited:
		text += prohibited
	case ok && e.Problem == sshsession.ForwardRefused && f.Title != "":
		text += "; is it installed on this cluster, and running?"
	}
	return text
}

// prohibited is what to do about a server that does not allow forwarding.
const prohibited = "; AllowTcpForwarding, AllowStreamLocalForwarding and PermitOpen in its sshd_config decide that"

// ended tells errors of the tunnel's own end.
func ended(err error) bool { return errors.Is(err, context.Canceled) || errors.Is(err, net.ErrClosed) }

// first connects to the first remote that answers, beginning with the one that did the last time.
func (s *Server) first(ctx context.Context, to []Remote, good *atomic.Int64) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, dialTime)
	defer cancel()
	begin, errs := int(good.Load()), []error(nil)
	for i := range to {
		at := (begin + i) % len(to)
		c, err := s.Dial(ctx, to[at].Network, to[at].Addr)
		if err == nil {
			good.Store(int64(at))
			return c, nil
		}
		errs = append(errs, err)
		if _, ok := errors.AsType[*sshsession.ForwardError](err); !ok {
			break // not this one's fault: the link is lost
		}
	}
	return nil, errs[0]
}

// SOCKS serves a SOCKS5 proxy until the context ends and all its connections are closed.
func (s *Server) SOCKS(ctx context.Context, ls []net.Listener) {
	s.serve(ctx, ls, func(ctx context.Context, c net.Conn) {
		_ = c.SetDeadline(time.Now().Add(handshakeTime))
		addr, err := negotiate(c)
		if err != nil {
			if _, ok := errors.AsType[*clientError](err); ok {
				s.once(s.Say, err.Error())
			} else if ctx.Err() == nil {
				s.detail("a SOCKS client: " + err.Error())
			}
			return
		}
		_ = c.SetDeadline(time.Time{})
		timed, cancel := context.WithTimeout(ctx, dialTime)
		there, err := s.Dial(timed, "tcp", addr)
		cancel()
		if err != nil {
			s.say(err)
		}
		if rerr := reply(c, replyTo(err)); err != nil || rerr != nil {
			if there != nil {
				_ = there.Close()
			}
			return
		}
		pipe(c, there)
	})
}

// serve accepts connections until the context ends, then closes what is open and waits for it.
func (s *Server) serve(ctx context.Context, ls []net.Listener, handle func(context.Context, net.Conn)) {
	var all sync.WaitGroup
	for _, l := range ls {
		stop := context.AfterFunc(ctx, func() { _ = l.Close() })
		all.Go(func() {
			defer stop()
			for {
				c, err := l.Accept()
				switch {
				case ctx.Err() != nil:
					if err == nil {
						_ = c.Close()
					}
					return
				case errors.Is(err, net.ErrClosed):
					return
				case err != nil: // such as too many open files
					s.once(s.Say, "no connection can be accepted: "+err.Error())
					pause(ctx, 100*time.Millisecond)
					continue
				}
				if s.open.Add(1) > maxOpen {
					s.open.Add(-1)
					s.once(s.Say, "too many connections are open at once: new ones are closed")
					_ = c.Close()
					continue
				}
				all.Go(func() {
					defer s.open.Add(-1)
					defer c.Close()
					cut := context.AfterFunc(ctx, func() { abort(c) })
					defer cut()
					handle(ctx, c)
				})
			}
		})
	}
	all.Wait()
}

func pause(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

// say tells of a connection through the proxy that did not come about. Many of them fail, and the client tells its user; what concerns
// all of them is said aloud.
func (s *Server) say(err error) {
	f, ok := errors.AsType[*sshsession.ForwardError](err)
	switch {
	case ended(err):
	case ok && f.Problem == sshsession.ForwardProhibited:
		s.once(s.Say, err.Error()+prohibited)
	default:
		s.detail(err.Error())
	}
}

func (s *Server) detail(text string) { s.once(s.Detail, text) }

// once says a sentence, unless it was said a moment ago.
func (s *Server) once(say func(string), text string) {
	if say == nil {
		return
	}
	s.mu.Lock()
	last, known := s.said[text]
	fresh := !known || time.Since(last) >= sayEvery
	if fresh {
		if len(s.said) >= maxSaid || s.said == nil {
			s.said = map[string]time.Time{}
		}
		s.said[text] = time.Now()
	}
	s.mu.Unlock()
	if fresh {
		say(text)
	}
}
