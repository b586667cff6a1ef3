package ipwatch

import "net/netip"

// Unexported functions for the fuzz targets and tables of the external tests.
var (
	ParseText  = parseText
	ParseTrace = parseTrace
	Clean      = clean
	IsDefault  = isDefault
	RouteTo    = routeTo

	InterfaceAddrs = (*Detector).interfaceAddrs
)

// The parsers and the size of what unauthenticated servers are asked.
var (
	ParseSTUN   = parseSTUN
	STUNRequest = stunRequest
	ParseWhoami = parseWhoami
	ErrStray    = errStray
)

// Headers is the size of the headers of a packet.
func (f Family) Headers() int { return f.headers() }

// The system's look at the routes.
var LocalAddr = (*Detector).localAddr

// Anchor stands for the internet in it.
func (f Family) Anchor() netip.Addr { return f.anchor() }
