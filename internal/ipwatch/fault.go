package ipwatch

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os"
)

// Fault is why a question brought no address.
type Fault string

// The faults. The first group means that nobody answered, the second that something answered in place of the
// source, the third that the source's answer is of no use, the last that there was no need or no time to wait.
const (
	FaultDNS     Fault = "dns"      // the name could not be resolved
	FaultRoute   Fault = "no-route" // no route for this family
	FaultConnect Fault = "connect"  // refused, reset, or another failure of the connection
	FaultTimeout Fault = "timeout"

	FaultCertificate Fault = "certificate" // for another name, or by an authority that is not trusted
	FaultRedirect    Fault = "redirect"
	FaultPortal      Fault = "portal" // plain HTTP on the TLS port, HTML in place of an address, or status 511

	FaultClock  Fault = "clock"  // a certificate out of its time: mostly this computer's clock
	FaultStatus Fault = "status" // not 200
	FaultBody   Fault = "body"   // too long, or not exactly one address
	FaultFamily Fault = "family" // an address of the other family
	FaultRange  Fault = "range"  // not a public address
	FaultWARP   Fault = "warp"   // traffic leaves through Cloudflare WARP or Gateway, an address shared with strangers

	FaultSkipped Fault = "skipped" // not waited for, the others had agreed
	FaultStopped Fault = "stopped" // the caller gave up
)

// EchoError is the failure of one question. Its text is escaped and short, whatever the network sent.
type EchoError struct {
	Fault  Fault
	Portal string // who answered in the source's place, when that is known; escaped
	text   string
	err    error
}

// Error returns the escaped text.
func (e *EchoError) Error() string { return e.text }

// Unwrap returns the error of the network or of the parser, whose text is not escaped; it may be nil.
func (e *EchoError) Unwrap() error { return e.err }

// ErrNoRoute says that the system positively has no route to an address (or not this family at all).
var ErrNoRoute = errors.New("no route")

// NoRoute tells whether an error says positively that there is no route.
func NoRoute(err error) bool { return errors.Is(err, ErrNoRoute) || noRouteErrno(err) }

// fault makes an EchoError. Foreign arguments need no escaping.
func fault(f Fault, format string, args ...any) *EchoError {
	return &EchoError{Fault: f, text: clean(fmt.Sprintf(format, args...), 200)}
}

// silent, captive: the groups of faults that the states Offline and Captive are made of.
func (f Fault) silent() bool {
	switch f {
	case FaultDNS, FaultRoute, FaultConnect, FaultTimeout:
		return true
	}
	return false
}

func (f Fault) captive() bool {
	switch f {
	case FaultCertificate, FaultRedirect, FaultPortal:
		return true
	}
	return false
}

// faultOf is the Fault of an answer's error; an error that is no EchoError counts as a failed connection.
func faultOf(err error) Fault {
	if e, ok := errors.AsType[*EchoError](err); ok {
		return e.Fault
	}
	return FaultConnect
}

// classify makes an EchoError of what an HTTPS request to host failed with.
// spoke tells that the TLS handshake had succeeded, so that it was the source itself that failed.
func classify(ctx context.Context, host string, err error, spoke bool) *EchoError {
	if e, ok := errors.AsType[*EchoError](err); ok {
		return e
	}
	e := &EchoError{err: err}
	e.Fault, e.Portal, e.text = classified(ctx, host, err)
	if spoke && e.Fault == FaultConnect {
		e.Fault = FaultBody
	}
	e.text = clean(e.text, 200)
	return e
}

func classified(ctx context.Context, host string, err error) (f Fault, portal, text string) {
	if errors.Is(ctx.Err(), context.Canceled) {
		return FaultStopped, "", "the check was stopped"
	}
	if dns, ok := errors.AsType[*net.DNSError](err); ok {
		return FaultDNS, "", fmt.Sprintf("the name %s cannot be resolved (%s)", host, dns.Err)
	}
	if bare, ok := errors.AsType[*net.AddrError](err); ok {
		return FaultDNS, "", fmt.Sprintf("the name %s has no address of this family (%s)", host, bare.Err)
	}
	if bad, ok := errors.AsType[*tls.CertificateVerificationError](err); ok {
		return badCertificate(host, bad)
	}
	switch record, ok := errors.AsType[tls.RecordHeaderError](err); {
	case errors.Is(err, http.ErrSchemeMismatch), ok && string(record.RecordHeader[:]) == "HTTP/":
		return FaultPortal, "", "plain HTTP came where TLS was expected"
	case ok:
		return FaultConnect, "", "what came is not TLS"
	}
	switch {
	case errors.Is(err, ErrNoRoute), noRouteErrno(err):
		return FaultRoute, "", "no route to " + host
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded), timeout(err):
		return FaultTimeout, "", "no answer in time"
	}
	if op, ok := errors.AsType[*net.OpError](err); ok {
		return FaultConnect, "", op.Op + ": " + op.Err.Error()
	}
	if outer, ok := errors.AsType[*url.Error](err); ok {
		err = outer.Err // its text would repeat the URL
	}
	return FaultConnect, "", err.Error()
}

func timeout(err error) bool {
	e, ok := errors.AsType[net.Error](err)
	return ok && e.Timeout()
}

// badCertificate tells a wrong clock from a certificate that somebody else presents. The verifiers of macOS and
// Windows give plain texts for some cases, so whatever is not clearly about time counts as somebody else.
func badCertificate(host string, bad *tls.CertificateVerificationError) (f Fault, portal, text string) {
	if len(bad.UnverifiedCertificates) == 0 {
		return FaultCertificate, "", "its certificate cannot be verified: " + bad.Err.Error()
	}
	leaf := bad.UnverifiedCertificates[0]
	if leaf.VerifyHostname(host) != nil {
		portal = subject(leaf)
		return FaultCertificate, portal, fmt.Sprintf("the certificate is for %q, not for %s", portal, host)
	}
	if invalid, ok := errors.AsType[x509.CertificateInvalidError](bad.Err); ok && invalid.Reason == x509.Expired {
		const day = "2006-01-02"
		return FaultClock, "", fmt.Sprintf("by this computer's clock its certificate is not valid now, only from %s to %s",
			leaf.NotBefore.UTC().Format(day), leaf.NotAfter.UTC().Format(day))
	}
	portal = issuer(leaf)
	return FaultCertificate, portal, fmt.Sprintf("its certificate comes from %q, which is not trusted", portal)
}

// subject is the first name that a certificate is for, issuer the authority that it says it is from; both escaped.
func subject(c *x509.Certificate) string {
	name := c.Subject.CommonName
	if len(c.DNSNames) > 0 {
		name = c.DNSNames[0]
	} else if len(c.IPAddresses) > 0 {
		name = c.IPAddresses[0].String()
	}
	return clean(name, 80)
}

func issuer(c *x509.Certificate) string {
	name := c.Issuer.CommonName
	if name == "" && len(c.Issuer.Organization) > 0 {
		name = c.Issuer.Organization[0]
	}
	return clean(name, 80)
}

// portalOf is who answered in the source's place, or "".
func portalOf(err error) string {
	if e, ok := errors.AsType[*EchoError](err); ok {
		return e.Portal
	}
	return ""
}
