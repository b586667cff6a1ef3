package awsclient

import "io"

// Names for the external tests of what parses foreign text.
var (
	Clean          = clean
	CIDR           = cidr
	WithoutEncoded = withoutEncoded
	Program        = program
	ShellWord      = shellWord
	CheckEndpoint  = checkEndpoint
	AWSAnswer      = awsAnswer
	MaxErrorText   = maxErrorText
)

// ReadBounded reads an answer that may have limit bytes.
func ReadBounded(r io.Reader, limit int64) ([]byte, error) {
	return io.ReadAll(&boundedBody{next: r, left: limit})
}
