package tunnel

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"strconv"
	"strings"

	"github.com/emr-accessd/emr-accessd/internal/sshsession"
)

// The numbers of RFC 1928.
const (
	socksVersion = 5
	noAuth       = 0x00
	noMethod     = 0xff
	cmdConnect   = 1
	addrV4       = 1
	addrName     = 3
	addrV6       = 4

	replyDone        = 0
	replyFailed      = 1
	replyNotAllowed  = 2
	replyNetwork     = 3
	replyHost        = 4
	replyRefused     = 5
	replyNoCommand   = 7
	replyNoAddresses = 8
)

// clientError says what is wrong with a client of the SOCKS port, in a sentence for the user.
type clientError struct{ why string }

func (e *clientError) Error() string { return e.why }

// negotiate reads a SOCKS5 request and returns the address to connect to. It reads not a byte more than the request, since a client may
// send its data right behind. Where it fails it has answered the client, as far as there is an answer.
func negotiate(c io.ReadWriter) (addr string, err error) {
	var head [2]byte
	if _, err := io.ReadFull(c, head[:1]); err != nil {
		return "", err
	}
	if head[0] != socksVersion {
		return "", greetStranger(c, head[0])
	}
	if _, err := io.ReadFull(c, head[1:]); err != nil {
		return "", err
	}
	methods := make([]byte, head[1])
	if _, err := io.ReadFull(c, methods); err != nil {
		return "", err
	}
	if !bytes.Contains(methods, []byte{noAuth}) {
		_, _ = c.Write([]byte{socksVersion, noMethod})
		return "", &clientError{"a client wants to log in to the SOCKS proxy: it has no password, use it without one"}
	}
	if _, err := c.Write([]byte{socksVersion, noAuth}); err != nil {
		return "", err
	}
	return request(c)
}

// request reads what comes after the greeting.
func request(c io.ReadWriter) (string, error) {
	var head [4]byte // version, command, reserved, kind of address
	if _, err := io.ReadFull(c, head[:]); err != nil {
		return "", err
	}
	if head[0] != socksVersion {
		_ = reply(c, replyFailed)
		return "", errors.New("the request has another version than the greeting")
	}
	var host string
	switch head[3] {
	case addrV4, addrV6:
		raw := make([]byte, map[byte]int{addrV4: 4, addrV6: 16}[head[3]])
		if _, err := io.ReadFull(c, raw); err != nil {
			return "", err
		}
		a, _ := netip.AddrFromSlice(raw)
		host = a.Unmap().String()
	case addrName:
		var length [1]byte
		if _, err := io.ReadFull(c, length[:]); err != nil {
			return "", err
		}
		raw := make([]byte, length[0])
		if _, err := io.ReadFull(c, raw); err != nil {
			return "", err
		}
		host = string(raw)
		if host == "" || strings.ContainsFunc(host, func(r rune) bool { return r <= ' ' || r == 0x7f }) {
			_ = reply(c, replyHost)
			return "", fmt.Errorf("%q is no host name", host)
		}
	default:
		_ = reply(c, replyNoAddresses)
		return "", fmt.Errorf("a request with the kind of address %d, which is unknown", head[3])
	}
	var port [2]byte
	if _, err := io.ReadFull(c, port[:]); err != nil {
		return "", err
	}
	if head[1] != cmdConnect {
		_ = reply(c, replyNoCommand)
		return "", &clientError{"a client wants more of the SOCKS proxy than connections (BIND or UDP), which a tunnel over SSH cannot do"}
	}
	return net.JoinHostPort(host, strconv.Itoa(int(port[0])<<8|int(port[1]))), nil
}

// greetStranger answers a client that does not speak SOCKS5, in its own tongue where that is known.
func greetStranger(c io.Writer, first byte) error {
	switch {
	case first == 4:
		_, _ = c.Write([]byte{0, 91, 0, 0, 0, 0, 0, 0}) // rejected
		return &clientError{"a client speaks SOCKS4, which is not offered: set the proxy to SOCKS5 (socks5h://)"}
	case first >= 'A' && first <= 'Z':
		_, _ = io.WriteString(c, "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\n"+
			"This is a SOCKS5 proxy, not an HTTP one: set it as the SOCKS host of the browser, or as socks5h://.\n")
		drain(c)
		return &clientError{"a client speaks HTTP to the SOCKS port: set it as a SOCKS5 proxy (socks5h://), not as an HTTP proxy or a page"}
	case first == 0x16:
		return &clientError{"a client speaks TLS to the SOCKS port: set it as a SOCKS5 proxy (socks5h://), not as an HTTPS proxy"}
	}
	return fmt.Errorf("a client does not speak SOCKS5: its first byte is %#02x", first)
}

// drain has the answer arrive: closing a connection with unread data would throw it away.
func drain(c io.Writer) {
	conn, ok := c.(interface {
		io.Reader
		CloseWrite() error
	})
	if ok && conn.CloseWrite() == nil {
		_, _ = io.CopyN(io.Discard, conn, 64<<10) // until its end, or the end of the time for a handshake
	}
}

// reply answers a request. The address that the server connects from is not known, and no client needs it.
func reply(c io.Writer, code byte) error {
	_, err := c.Write([]byte{socksVersion, code, 0, addrV4, 0, 0, 0, 0, 0, 0})
	return err
}

// replyTo is the reply that fits what became of a connection.
func replyTo(err error) byte {
	if err == nil {
		return replyDone
	}
	if f, ok := errors.AsType[*sshsession.ForwardError](err); ok {
		switch f.Problem {
		case sshsession.ForwardProhibited:
			return replyNotAllowed
		case sshsession.ForwardRefused:
			return replyRefused
		case sshsession.ForwardUnreachable:
			return replyHost
		}
		return replyFailed
	}
	if errors.Is(err, sshsession.ErrLostLink) {
		return replyNetwork
	}
	return replyFailed
}
