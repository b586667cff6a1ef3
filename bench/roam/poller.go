//go:build linux

package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/netip"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/emr-accessd/emr-accessd/internal/netlab"
)

// pollerVerb makes this program be a poller.
const pollerVerb = "poller"

// deskPort is where the desk listens.
const deskPort = 8099

// poller asks one source at an interval, which is what programs do that keep a DNS name up to date, and reports a
// change in a single request: less than the calls to AWS take, so it is shown faster than it would be. As they do, it
// makes a new connection each time, and stays calm when there is no answer.
func pollerMain(args []string) int {
	if len(args) != 3 {
		return 2
	}
	interval, err := time.ParseDuration(args[0])
	if err != nil {
		return 2
	}
	pem, err := os.ReadFile(args[1])
	if err != nil {
		return 2
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	client := &http.Client{Timeout: 5 * time.Second, Transport: &http.Transport{DisableKeepAlives: true, TLSClientConfig: &tls.Config{RootCAs: roots}}}
	last := ""
	for range time.Tick(interval) {
		resp, err := client.Get("https://aws.lab/")
		if err != nil {
			continue
		}
		body, err := io.ReadAll(io.LimitReader(resp.Body, 100))
		resp.Body.Close()
		now := strings.TrimSpace(string(body))
		if err != nil || now == last || now == "" {
			continue
		}
		resp, err = client.Post(args[2], "text/plain", strings.NewReader(now))
		if err != nil {
			continue
		}
		resp.Body.Close()
		last = now
	}
	return 0
}

// desk notes when a poller reports an address for the first time.
type desk struct {
	mu   sync.Mutex
	seen map[string]time.Time // by poller and address
}

// openDesk serves a desk on the internet host.
func openDesk(w *netlab.World) (*desk, error) {
	d := &desk{seen: map[string]time.Time{}}
	return d, w.Internet.ServeHTTP(netip.AddrPortFrom(netlab.ProxyAddr, deskPort).String(), d)
}

// ServeHTTP implements [http.Handler]: the path is the poller, the body the address.
func (d *desk) ServeHTTP(_ http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(io.LimitReader(r.Body, 100))
	if err != nil {
		return
	}
	key := strings.TrimPrefix(r.URL.Path, "/") + " " + string(body)
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.seen[key].IsZero() {
		d.seen[key] = time.Now()
	}
}

// when is when a poller first reported an address; the zero Time if it has not.
func (d *desk) when(poller string, a netip.Addr) time.Time {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.seen[poller+" "+a.String()]
}

// startPoller starts a poller on the laptop, whose reports go to the desk under a name. It ends with the world.
func startPoller(w *netlab.World, name string, interval time.Duration) error {
	self, err := os.Executable()
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(context.Background())
	url := fmt.Sprintf("http://%s:%d/%s", netlab.ProxyAddr, deskPort, name)
	cmd := w.Laptop.Command(ctx, self, pollerVerb, interval.String(), w.CAFile(), url)
	cmd.Env = []string{}
	if err := cmd.Start(); err != nil {
		stop()
		return err
	}
	w.OnClose(func() error {
		stop()
		if err := cmd.Wait(); err != nil && !errors.Is(err, context.Canceled) && cmd.ProcessState.Exited() {
			log.Printf("the poller %s ended early: %v", name, err)
		}
		return nil
	})
	return nil
}
