package ipwatch

import (
	"crypto/x509"
	"net/netip"
)

// Unexported functions for the tests of what is believed.
var (
	SocketGetRequest  = socketGetRequest
	ParseSocketGet    = parseSocketGet
	WindowsRouteError = windowsRouteError
	WindowsSockaddr   = windowsSockaddr
)

// The looks at this computer's interfaces and sockets.
var (
	Unshared     = unshared
	ViaInterface = Hop.viaInterface
	TunnelOf     = (*Detector).tunnelOf
	PrefixesOf   = prefixesOf
	IPOf         = ipOf
	LocalOf      = localOf
)

// MaxCAFile is in bytes.
const MaxCAFile = maxCAFile

// WindowsHop reads a MIB_IPFORWARD_ROW2 of these fields.
func WindowsHop(dst netip.Prefix, next netip.Addr, origin uint32, to netip.Addr) (Hop, error) {
	return windowsHop(windowsRow{dst, next, origin}, to)
}

// Failure is the failure of a question with a text, and with who answered instead, if that is known.
func Failure(f Fault, portal, text string) *EchoError {
	return &EchoError{Fault: f, Portal: portal, text: text}
}

// TrustAsSystem makes authorities stand for those of the system.
func TrustAsSystem(d *Detector, pool *x509.CertPool) { d.roots[""] = pool }
