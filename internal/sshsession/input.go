package sshsession

import (
	"io"
	"sync"
)

// keyboard reads a terminal for as long as the process lives, because a read of a terminal cannot be taken back. A session that ends
// leaves what is typed afterwards to the next one, so that no key press is lost between them.
type keyboard struct {
	chunks chan []byte // closed at the end of input
}

func newKeyboard(in io.Reader) *keyboard {
	k := &keyboard{chunks: make(chan []byte)}
	go func() {
		defer close(k.chunks)
		for {
			buf := make([]byte, 4<<10)
			n, err := in.Read(buf)
			if n > 0 {
				k.chunks <- buf[:n]
			}
			if err != nil {
				return
			}
		}
	}()
	return k
}

// dropTyped drops what was typed on a terminal and not read yet. keys is what reads it; it may be nil.
func dropTyped(fd int, keys *keyboard) {
	flushInput(fd)
	for keys != nil {
		select {
		case _, ok := <-keys.chunks:
			if !ok {
				return
			}
		default:
			return
		}
	}
}

// keyReader reads a keyboard until over is closed; then what is typed is left to others.
type keyReader struct {
	keys *keyboard
	over <-chan struct{}
	rest []byte
}

func (r *keyReader) Read(p []byte) (int, error) {
	if len(r.rest) == 0 {
		select {
		case <-r.over:
			return 0, io.EOF
		case chunk, ok := <-r.keys.chunks:
			if !ok {
				return 0, io.EOF
			}
			r.rest = chunk
		}
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

// maxTyped is how many bytes may wait for the server, such as a pasted text. Beyond them the terminal is not read, and so no escape
// is seen.
const maxTyped = 1 << 20

// typed is what was typed and not yet sent. It is between the terminal and the connection, so that an escape is seen even while the
// server takes nothing.
type typed struct {
	mu     sync.Mutex
	change sync.Cond
	data   []byte
	ended  bool
}

func newTyped() *typed {
	t := &typed{}
	t.change.L = &t.mu
	return t
}

// push adds input. It waits while too much is waiting already.
func (t *typed) push(p []byte) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for len(t.data) > maxTyped && !t.ended {
		t.change.Wait()
	}
	t.data = append(t.data, p...)
	t.change.Broadcast()
}

// end makes Read return io.EOF, at once.
func (t *typed) end() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.ended = true
	t.change.Broadcast()
}

// Read waits for input.
func (t *typed) Read(p []byte) (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for len(t.data) == 0 && !t.ended {
		t.change.Wait()
	}
	if t.ended {
		return 0, io.EOF
	}
	n := copy(p, t.data)
	if t.data = t.data[n:]; len(t.data) == 0 {
		t.data = nil
	}
	t.change.Broadcast()
	return n, nil
}
