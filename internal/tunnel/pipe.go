package tunnel

import (
	"io"
	"net"
	"sync"
)

// bufferSize is what is copied at once, in bytes: two of the largest packets of SSH.
const bufferSize = 64 << 10

var buffers = sync.Pool{New: func() any { b := make([]byte, bufferSize); return &b }}

// pipe copies in both directions until both have ended, and closes both connections. The end of one direction is passed on as such, and
// the other goes on: a client may say all it has to say and then wait for the answer. An error in one direction ends both.
func pipe(here, there net.Conn) {
	defer here.Close()
	defer there.Close()
	up := make(chan error, 1)
	go func() { up <- flow(there, here) }()
	if flow(here, there) == nil {
		select {
		case err := <-up:
			up <- err
		case <-gone(there): // it has ended for good, and nobody would read what is still said
		}
	}
	_ = here.Close()
	_ = there.Close()
	<-up //nolint:errcheck // either side is closed by now, and that is all there is to say
}

// abort closes a connection so that its other end does not take it for the end of what there was to say: half a file is not a whole one.
func abort(c net.Conn) {
	if t, ok := c.(*net.TCPConn); ok {
		_ = t.SetLinger(0) // a reset in place of an end
	}
	_ = c.Close()
}

// gone is closed when a connection knows that its other end is closed in both directions.
func gone(c net.Conn) <-chan struct{} {
	if g, ok := c.(interface{ Gone() <-chan struct{} }); ok {
		return g.Gone()
	}
	return nil
}

// flow copies one direction and passes its end on.
func flow(to, from net.Conn) error {
	buffer := buffers.Get().(*[]byte)
	defer buffers.Put(buffer)
	// Only Read and Write are used: what else connections offer for copying brings smaller buffers of its own.
	_, err := io.CopyBuffer(struct{ io.Writer }{to}, struct{ io.Reader }{from}, *buffer)
	if err != nil {
		abort(to)
		_ = from.Close()
		return err
	}
	if c, ok := to.(interface{ CloseWrite() error }); ok {
		return c.CloseWrite()
	}
	return to.Close()
}
