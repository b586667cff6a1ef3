package awsclient

import (
	"net/http"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
)

const (
	// providerTimeout ends a request for credentials (SSO, STS). The SDK detaches those from our context.
	providerTimeout = 15 * time.Second
	// providerIdle closes their connections soon: each Open has its own.
	providerIdle = 5 * time.Second
)

// transport returns the HTTP client for loading a configuration, and what makes the client for the calls out of it
// (and returns what closes its idle connections). In between the SDK may have put a CA bundle into it.
func transport(given Doer) (aws.HTTPClient, func(*aws.Config) (idle func())) {
	if given != nil {
		return checkedClient{given}, func(*aws.Config) func() { return func() {} }
	}
	b := awshttp.NewBuildableClient().WithTimeout(providerTimeout).WithTransportOptions(func(t *http.Transport) {
		t.IdleConnTimeout = providerIdle
	})
	return b, func(cfg *aws.Config) func() {
		withCA, ok := cfg.HTTPClient.(*awshttp.BuildableClient)
		if !ok {
			return func() {}
		}
		// One connection pool for all services, which can be closed; each call has a timeout of its own.
		t := withCA.GetTransport()
		cfg.HTTPClient = checkedClient{&http.Client{
			Transport:     t,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		}}
		return t.CloseIdleConnections
	}
}
