//go:build linux

package netlab_test

import (
	"net/netip"
	"testing"
	"time"

	"github.com/emr-accessd/emr-accessd/internal/netlab"
)

// A laptop that knows no names by itself learns them from the name server, and from nobody when that is away; a line gets
// slower and fast again; a STUN server answers with bytes that mean nothing.
func TestFaultsOfTheSoak(t *testing.T) {
	w := newWorld(t, netlab.Options{OneWay: time.Millisecond, NameServer: true})
	if out, err := curl(t, w, w.Laptop, "https://aws.lab/"); out != "198.51.100.10" {
		t.Errorf("by the name server: %q %v", out, err)
	}
	check(t, w.Home.Drop("udp dport 53"))
	if out, err := curl(t, w, w.Laptop, "https://aws.lab/"); err == nil {
		t.Errorf("without a name server: %q", out)
	}
	check(t, w.Home.Drop())

	dial := func() time.Duration {
		begin := time.Now()
		c, err := w.Laptop.Dial(t.Context(), "tcp4", netip.AddrPortFrom(netlab.APIAddr, 443).String())
		check(t, err)
		c.Close()
		return time.Since(begin)
	}
	w.Home.Line.Take(200 * time.Millisecond)
	if took := dial(); took < 400*time.Millisecond {
		t.Errorf("over a slow line a round trip took %v", took)
	}
	w.Home.Line.Take(0)

	w.STUN[0].Noise([]byte("no STUN at all"))
	c, err := w.Laptop.ListenPacket("udp4", ":0")
	check(t, err)
	if seen, err := ask(c); err == nil || err.Error() != "not the answer" {
		t.Errorf("noise: %v %v", seen, err)
	}
	w.STUN[0].Noise(nil)
	if seen, err := ask(c); seen != netlab.HomeOuter {
		t.Errorf("afterwards: %v %v", seen, err)
	}
}
