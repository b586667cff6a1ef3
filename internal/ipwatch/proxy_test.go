package ipwatch_test

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/emr-accessd/emr-accessd/internal/ipwatch"
)

// The environment by which TestProxyIgnored talks to the copy of this test binary that it starts.
const (
	childEcho = "IPWATCH_TEST_ECHO" // host:port of the echo server
	childCA   = "IPWATCH_TEST_CA"
)

// TestProxyIgnored starts a process with every proxy variable set, because net/http reads them once. The sources
// have ordinary names (net/http never uses a proxy for loopback ones), which the child dials at the echo's port.
func TestProxyIgnored(t *testing.T) {
	t.Parallel()
	l := newLab(t)
	echo := l.serve(says(good), l.cert(time.Now().Add(-time.Hour), time.Now().Add(time.Hour), "aws.example", "cf.example"))
	var proxied atomic.Int32
	proxy, err := net.Listen("tcp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer proxy.Close()
	go func() {
		for {
			c, err := proxy.Accept()
			if err != nil {
				return
			}
			proxied.Add(1)
			c.Close()
		}
	}()
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestProxyChild$", "-test.v")
	cmd.Env = append(os.Environ(), childEcho+"="+echo.Listener.Addr().String(), childCA+"="+l.CAFile, "NO_PROXY=", "no_proxy=")
	for _, name := range []string{"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"} {
		url := "http://" + proxy.Addr().String()
		cmd.Env = append(cmd.Env, name+"="+url, strings.ToLower(name)+"="+url)
	}
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	if want := "verdict: confirmed " + good; !strings.Contains(string(out), want) {
		t.Errorf("the child says:\n%s\nwant %q", out, want)
	}
	// The child's one control request through net/http's own transport is what shows that the variables work.
	if got := proxied.Load(); got != 1 {
		t.Errorf("%d connections to the proxy, want only the control", got)
	}
}

// TestProxyChild is the process that TestProxyIgnored starts.
func TestProxyChild(t *testing.T) {
	echo := os.Getenv(childEcho)
	if echo == "" {
		t.Skip("only for TestProxyIgnored")
	}
	if resp, err := http.Get("https://aws.example/"); err == nil {
		resp.Body.Close()
		t.Fatal("the control request through the proxy succeeded")
	}
	p := labPolicy()
	p.EgressCheck = false
	d, err := ipwatch.NewDetector(ipwatch.Config{Policy: p, Sources: []ipwatch.Source{
		{Operator: "aws", URL: "https://aws.example/", CAFile: os.Getenv(childCA)},
		{Operator: "cloudflare", URL: "https://cf.example/", CAFile: os.Getenv(childCA)},
	}})
	if err != nil {
		t.Fatal(err)
	}
	d.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
		if addr != "aws.example:443" && addr != "cf.example:443" {
			return nil, fmt.Errorf("dialed %s, which is no source", addr)
		}
		return new(net.Dialer).DialContext(ctx, network, echo)
	}
	v := d.Conclude(d.Observe(t.Context(), ipwatch.V4), nil)
	fmt.Printf("verdict: %s %v (%s)\n", v.State, v.Addr, v.Why)
}
