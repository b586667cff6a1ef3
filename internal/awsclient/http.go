package awsclient

import (
	"net/http"
	"sync/atomic"
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

// countedClient counts requests, each attempt of a call by itself.
type countedClient struct {
	next  Doer
	count *atomic.Int64
}

// Do implements Doer.
func (c countedClient) Do(req *http.Request) (*http.Response, error) {
	c.count.Add(1)
	return c.next.Do(req)
}

// Calls is how many requests this client has sent to EC2, EMR and STS, those of other parties for credentials left out.
func (c *Client) Calls() int {
	if c.calls == nil {
		return 0
	}
	return int(c.calls.Load())
}
