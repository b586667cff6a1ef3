package ipwatch

// Unexported functions for the fuzz targets and tables of the external tests.
var (
	ParseText  = parseText
	ParseTrace = parseTrace
	Clean      = clean
	IsDefault  = isDefault
	RouteTo    = routeTo

	InterfaceAddrs = (*Detector).interfaceAddrs
)
