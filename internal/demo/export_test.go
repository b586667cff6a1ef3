package demo

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"net"
	"net/netip"

	"golang.org/x/crypto/ssh"

	"github.com/emr-accessd/emr-accessd/internal/awssim"
)

// What the tests outside of the package look at.
var (
	ParseRules   = parseRules
	NewHostKeys  = newHostKeys
	Console      = console
	CommandLine  = commandLine
	Unchanged    = unchanged
	BuiltinShell = func(ch ssh.Channel, env []string, line string, terminal bool) uint32 {
		s := &session{Channel: ch, env: env}
		if terminal {
			s.term = &windowSize{80, 24}
		}
		return s.builtin(line).status
	}
)

// Read asks a simulated AWS for the rules of groups.
func Read(ctx context.Context, endpoint string, groups ...string) ([]Rule, error) {
	a := newAPI(endpoint, region, "AKIADEMOTEST")
	defer a.close()
	return a.rules(ctx, groups...)
}

// Sim is the world's AWS, to act in it as somebody else would.
func (w *World) Sim() *awssim.Sim { return w.sim }

// Instance is the node's instance id.
func (w *World) Instance() string { return w.cloud.instance }

// HostKeys are the node's.
func (w *World) HostKeys() []ssh.Signer { return w.node.hostKeys() }

// Logins says where logins came from.
func (w *World) Logins() []netip.AddrPort { return w.node.loggedIn() }

// Passed counts the gate's decisions.
func (w *World) Passed() (admitted, dropped int64) {
	return w.gate.admitted.Load(), w.gate.dropped.Load()
}

// StartEcho starts an echo with an authority of its own.
func StartEcho(source func(net.Conn, string) netip.Addr) (url string, roots *x509.CertPool, stop func(), err error) {
	ca, err := newAuthority()
	if err != nil {
		return "", nil, nil, err
	}
	var cert tls.Certificate
	if cert, err = ca.issue(2, "test"); err != nil {
		return "", nil, nil, err
	}
	e, err := startEcho("test", cert, source)
	if err != nil {
		return "", nil, nil, err
	}
	roots = x509.NewCertPool()
	roots.AppendCertsFromPEM(ca.pem)
	return e.url, roots, e.close, nil
}
