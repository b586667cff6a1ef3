package tunnel

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
)

// DefaultSOCKS is the port of the SOCKS proxy where none is said. `aws emr socks` uses the same.
const DefaultSOCKS = 8157

// Bind is where to listen on this computer.
type Bind struct {
	Path string // of a Unix socket; then the rest is empty
	// Host is an IP address, "localhost" for the loopback addresses of both families, or "*" for all addresses.
	Host string
	Port int // 0 takes a free one
}

// Exposed reports whether other computers can reach it.
func (b Bind) Exposed() bool {
	if b.Path != "" || b.Host == "localhost" {
		return false
	}
	a, err := netip.ParseAddr(b.Host)
	return err != nil || !a.Unmap().IsLoopback()
}

// String is how a user writes it.
func (b Bind) String() string {
	if b.Path != "" {
		return "unix:" + b.Path
	}
	return net.JoinHostPort(b.Host, strconv.Itoa(b.Port))
}

// Remote is where the server connects to.
type Remote struct {
	Network string // tcp or unix
	Addr    string // host:port, resolved by the server; or a path
}

// String is how a user writes it.
func (r Remote) String() string {
	if r.Network == "unix" {
		return "unix:" + r.Addr
	}
	return r.Addr
}

// Forward is a fixed forward. The server tries the remotes in this order until one of them answers.
type Forward struct {
	Bind  Bind
	To    []Remote
	Now   func() []Remote // in place of To, where the remotes may change; at least one
	Title string          // what it is, for messages; may be empty
}

// Remotes are those of now.
func (f Forward) Remotes() []Remote {
	if f.Now != nil {
		return f.Now()
	}
	return f.To
}

// ParseForward reads [bind:]port:host:hostport, as ssh's -L takes it. Addresses with colons are in brackets; instead of bind:port or of
// host:hostport there may be the absolute path of a Unix socket, with or without "unix:" before it.
func ParseForward(text string) (Forward, error) {
	fail := func(why string) (Forward, error) {
		return Forward{}, fmt.Errorf("%q is no forward: %s; want [bind:]port:host:hostport, such as 8088:localhost:8088", text, why)
	}
	fields, err := split(text)
	if err != nil {
		return fail(err.Error())
	}
	n := len(fields)
	var to Remote
	switch {
	case n >= 2 && strings.HasPrefix(fields[n-1], "/"):
		to, n = Remote{"unix", fields[n-1]}, n-1
		if n >= 2 && fields[n-1] == "unix" {
			n--
		}
	case n >= 3:
		host := fields[n-2]
		port, err := strconv.ParseUint(fields[n-1], 10, 16)
		if err != nil || port == 0 {
			return fail(fmt.Sprintf("%q is no port", fields[n-1]))
		}
		if host == "" || strings.ContainsFunc(host, func(r rune) bool { return r <= ' ' || r == 0x7f }) {
			return fail(fmt.Sprintf("%q is no host", host))
		}
		to, n = Remote{"tcp", net.JoinHostPort(host, strconv.Itoa(int(port)))}, n-2
	default:
		return fail("it does not say where to")
	}
	bind, err := parseBind(fields[:n])
	if err != nil {
		return fail(err.Error())
	}
	return Forward{Bind: bind, To: []Remote{to}}, nil
}

// ParseBind reads [bind:]port or unix:/path, as ssh's -D takes it.
func ParseBind(text string) (Bind, error) {
	fields, err := split(text)
	if err == nil {
		var b Bind
		if b, err = parseBind(fields); err == nil {
			return b, nil
		}
	}
	return Bind{}, fmt.Errorf("%q is no place to listen: %w; want [bind:]port or unix:/path", text, err)
}

func parseBind(fields []string) (Bind, error) {
	if n := len(fields); n == 2 && fields[0] == "unix" || n == 1 && strings.HasPrefix(fields[0], "/") {
		if path := fields[n-1]; strings.HasPrefix(path, "/") && !strings.ContainsRune(path, 0) {
			return Bind{Path: path}, nil
		}
		return Bind{}, errors.New("the path of a socket begins with /")
	}
	b := Bind{Host: "localhost"}
	switch len(fields) {
	case 1:
	case 2:
		b.Host = fields[0]
	default:
		return Bind{}, errors.New("it has too many parts, or an IPv6 address without brackets")
	}
	port, err := strconv.ParseUint(fields[len(fields)-1], 10, 16)
	if err != nil {
		return Bind{}, fmt.Errorf("%q is no port", fields[len(fields)-1])
	}
	b.Port = int(port)
	switch b.Host {
	case "localhost", "*":
	case "": // all addresses, as in ssh
		b.Host = "*"
	default:
		// Names are not looked up: what they mean may change, and with it who can use the port.
		a, err := netip.ParseAddr(b.Host)
		if err != nil {
			return Bind{}, fmt.Errorf("%q is no address of this computer", b.Host)
		}
		b.Host = a.String()
	}
	return b, nil
}

// split cuts at colons that are not in brackets, and takes the brackets away.
func split(text string) (fields []string, err error) {
	for rest := text; ; {
		if strings.HasPrefix(rest, "[") {
			inner, after, ok := strings.Cut(rest[1:], "]")
			if !ok || after != "" && after[0] != ':' {
				return nil, errors.New("a bracket has no end")
			}
			if inner == "" || strings.Contains(inner, "/") {
				return nil, errors.New("brackets are for IPv6 addresses")
			}
			fields = append(fields, inner)
			if after == "" {
				return fields, nil
			}
			rest = after[1:]
			continue
		}
		field, after, more := strings.Cut(rest, ":")
		if strings.ContainsAny(field, "[]") {
			return nil, errors.New("a bracket in the middle of a part")
		}
		fields = append(fields, field)
		if !more {
			return fields, nil
		}
		rest = after
	}
}
