package tunnel

import (
	"bytes"
	"errors"
	"io"
	"strings"
	"testing"

	"github.com/emr-accessd/emr-accessd/internal/sshsession"
)

// wire is a client that says something at once, and keeps what it is told.
type wire struct {
	in  *bytes.Reader
	out bytes.Buffer
}

func (w *wire) Read(p []byte) (int, error)  { return w.in.Read(p) }
func (w *wire) Write(p []byte) (int, error) { return w.out.Write(p) }

func says(s string) *wire { return &wire{in: bytes.NewReader([]byte(s))} }

func TestNegotiate(t *testing.T) {
	const greeting, granted = "\x05\x01\x00", "\x05\x00"
	refusal := func(code byte) string {
		return granted + string([]byte{5, code, 0, 1, 0, 0, 0, 0, 0, 0})
	}
	for _, tt := range []struct{ name, in, want, out, why string }{
		{"name", greeting + "\x05\x01\x00\x03\x09localhost\x1f\x98", "localhost:8088", granted, ""},
		{"IPv4", greeting + "\x05\x01\x00\x01\x0a\x00\x00\x05\x00\x50", "10.0.0.5:80", granted, ""},
		{"IPv6", greeting + "\x05\x01\x00\x04\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01\x01\xbb", "[2001:db8::1]:443", granted, ""},
		{"mapped", greeting + "\x05\x01\x00\x04\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\xff\xff\x0a\x00\x00\x05\x00\x50", "10.0.0.5:80", granted, ""},
		{"several methods", "\x05\x03\x02\x01\x00\x05\x01\x00\x01\x0a\x00\x00\x05\x00\x50", "10.0.0.5:80", granted, ""},
		{"data behind", greeting + "\x05\x01\x00\x01\x0a\x00\x00\x05\x00\x50GET / HTTP/1.1", "10.0.0.5:80", granted, ""},
		{"password only", "\x05\x01\x02", "", "\x05\xff", "password"},
		{"no method", "\x05\x00", "", "\x05\xff", "password"},
		{"BIND", greeting + "\x05\x02\x00\x01\x0a\x00\x00\x05\x00\x50", "", refusal(7), "BIND or UDP"},
		{"UDP", greeting + "\x05\x03\x00\x01\x0a\x00\x00\x05\x00\x50", "", refusal(7), "BIND or UDP"},
		{"unknown address", greeting + "\x05\x01\x00\x02\x0a\x00", "", refusal(8), "kind of address 2"},
		{"empty name", greeting + "\x05\x01\x00\x03\x00\x00\x50", "", refusal(4), "no host name"},
		{"bad name", greeting + "\x05\x01\x00\x03\x03a\nb\x00\x50", "", refusal(4), "no host name"},
		{"version changes", greeting + "\x04\x01\x00\x01", "", refusal(1), "another version"},
		{"SOCKS4", "\x04\x01\x00\x50\x0a\x00\x00\x05\x00", "", "\x00\x5b\x00\x00\x00\x00\x00\x00", "SOCKS4"},
		{"TLS", "\x16\x03\x01\x02\x00", "", "", "TLS"},
		{"noise", "\xff\xff", "", "", "0xff"},
	} {
		w := says(tt.in)
		addr, err := negotiate(w)
		if addr != tt.want || w.out.String() != tt.out || (err == nil) != (tt.want != "") || err != nil && !strings.Contains(err.Error(), tt.why) {
			t.Errorf("%s: %q, %v, told %q", tt.name, addr, err, w.out.String())
		}
		if strings.Contains(tt.in, "GET") {
			if rest, _ := io.ReadAll(w); string(rest) != "GET / HTTP/1.1" {
				t.Errorf("%s: the data behind the request has become %q", tt.name, rest)
			}
		}
	}
	for _, method := range []string{"GET / HTTP/1.1\r\n", "CONNECT localhost:80 HTTP/1.1\r\n", "POST "} {
		w := says(method)
		if _, err := negotiate(w); err == nil || !strings.Contains(err.Error(), "speaks HTTP") || !strings.HasPrefix(w.out.String(), "HTTP/1.1 400 ") {
			t.Errorf("%q: %v, told %q", method, err, w.out.String())
		}
	}
	whole := greeting + "\x05\x01\x00\x03\x09localhost\x1f\x98"
	for n := range len(whole) { // a client that goes in the middle
		if _, err := negotiate(says(whole[:n])); !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
			t.Errorf("after %d bytes: %v", n, err)
		}
	}
}

func TestReplies(t *testing.T) {
	for _, tt := range []struct {
		err  error
		want byte
	}{
		{nil, 0}, {&sshsession.ForwardError{Problem: sshsession.ForwardProhibited}, 2}, {&sshsession.ForwardError{Problem: sshsession.ForwardRefused}, 5},
		{&sshsession.ForwardError{Problem: sshsession.ForwardUnreachable}, 4}, {&sshsession.ForwardError{Problem: sshsession.ForwardOther}, 1},
		{sshsession.ErrLostLink, 3}, {io.EOF, 1},
	} {
		if got := replyTo(tt.err); got != tt.want {
			t.Errorf("%v: %d, want %d", tt.err, got, tt.want)
		}
	}
}

// FuzzNegotiate: no panic, no byte of the client's data eaten, and each answer is one that a client understands.
func FuzzNegotiate(f *testing.F) {
	f.Add([]byte("\x05\x01\x00\x05\x01\x00\x03\x09localhost\x1f\x98rest"))
	f.Add([]byte("\x05\x02\x00\x02\x05\x01\x00\x01\x0a\x00\x00\x05\x00\x50rest"))
	f.Add([]byte("\x05\x01\x00\x05\x03\x00\x04\x20\x01\x0d\xb8\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x01\x01\xbbrest"))
	f.Add([]byte("GET / HTTP/1.1\r\n\r\n"))
	f.Add([]byte("\x04\x01\x00\x50\x0a\x00\x00\x05\x00"))
	f.Fuzz(func(t *testing.T, in []byte) {
		w := says(string(in))
		addr, err := negotiate(w)
		out := w.out.Bytes()
		if (err == nil) != (addr != "") {
			t.Fatalf("address %q and error %v", addr, err)
		}
		if err == nil {
			if !bytes.Equal(out, []byte{5, 0}) {
				t.Fatalf("a good request was told %q", out)
			}
			request := 3 + int(in[1]) - 1 // greeting
			switch in[request+3] {
			case addrV4:
				request += 10
			case addrV6:
				request += 22
			default:
				request += 7 + int(in[request+4])
			}
			if rest, _ := io.ReadAll(w); !bytes.Equal(rest, in[request:]) {
				t.Fatalf("%d bytes are left of %d behind a request of %d", len(rest), len(in), request)
			}
			if strings.ContainsFunc(addr, func(r rune) bool { return r <= ' ' }) {
				t.Fatalf("address %q", addr)
			}
			return
		}
		switch {
		case len(out) == 0, bytes.Equal(out, []byte{5, 0}), bytes.Equal(out, []byte{5, 0xff}), bytes.HasPrefix(out, []byte("HTTP/1.1 400 ")), len(out) == 8 && out[1] == 91:
		case len(out) == 12 && out[2] == 5 && out[3] != 0:
		default:
			t.Fatalf("a bad request was told %q", out)
		}
	})
}
