package awsclient

import (
	"context"
	"crypto/tls"
	"errors"
	"net"
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
		unsentIsDropped(t)
		cfg.HTTPClient = checkedClient{&http.Client{
			Transport:     t,
			CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
		}}
		return t.CloseIdleConnections
	}
}

// unsentIsDropped makes an end of a call that was given up, and of this process, the end of what the system has not sent
// yet of it. Else the network may come back, and a write act long after [sgsync.AttemptTimeout]: the lease protocol counts
// on that it does not. A connection with HTTP/2 would live on, so there is none.
func unsentIsDropped(t *http.Transport) {
	t.ForceAttemptHTTP2, t.TLSNextProto, t.Protocols = false, map[string]func(string, *tls.Conn) http.RoundTripper{}, new(http.Protocols)
	t.Protocols.SetHTTP1(true)
	if t.TLSClientConfig != nil {
		t.TLSClientConfig.NextProtos = []string{"http/1.1"} // copying the transport has put h2 there
	}
	dial := t.DialContext
	t.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
		conn, err := dial(ctx, network, addr)
		if tcp, ok := conn.(*net.TCPConn); ok {
			err = errors.Join(err, tcp.SetLinger(0)) // a closed connection is reset, tcp(7) SO_LINGER
		}
		return conn, err
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
