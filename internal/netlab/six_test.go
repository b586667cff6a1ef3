//go:build linux

package netlab_test

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/emr-accessd/emr-accessd/internal/netlab"
)

// lan6 is the home network in IPv6.
var lan6 = netip.MustParsePrefix("2001:db8:50::1/64")

// announce starts radvd on the home router. Laptops make themselves temporary addresses.
func (tr *trial) announce() {
	t := tr.t
	t.Helper()
	path, err := exec.LookPath("radvd")
	if err != nil {
		err = fmt.Errorf("%w (apt-get install radvd)", err)
	}
	need(t, err)
	check(t, tr.Laptop.Sysctl("net.ipv6.conf.wlan0.use_tempaddr=2", "net.ipv6.conf.wlan0.max_desync_factor=0"))
	check(t, tr.Home.RouteIPv6(lan6))
	dir := t.TempDir()
	conf := filepath.Join(dir, "radvd.conf")
	// As often as it can: advertisements must cost nothing.
	check(t, os.WriteFile(conf, []byte(`interface lan {
		AdvSendAdvert on; MinRtrAdvInterval 3; MaxRtrAdvInterval 4;
		prefix 2001:db8:50::/64 { AdvPreferredLifetime 600; AdvValidLifetime 1200; };
	};`), 0o600))
	var log strings.Builder
	cmd := tr.Home.Command(t.Context(), path, "-n", "-C", conf, "-p", filepath.Join(dir, "pid"), "-m", "stderr")
	cmd.Stderr = &log
	check(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("radvd wrote:\n%s", log.String())
		}
	})
}

// follow6 notes each global IPv6 address that the laptop has, as long as the test runs.
func (tr *trial) follow6() (now func() []string) {
	var mu sync.Mutex
	stop, ended := make(chan struct{}), make(chan struct{})
	look := func() (have []string) {
		check(tr.t, tr.Laptop.Do(func() error {
			addrs, err := net.InterfaceAddrs()
			for _, a := range addrs {
				if p, err := netip.ParsePrefix(a.String()); err == nil && lan6.Masked().Contains(p.Addr()) {
					have = append(have, netip.PrefixFrom(p.Addr(), 128).String())
				}
			}
			return err
		}))
		return have
	}
	go func() {
		defer close(ended)
		for {
			select {
			case <-stop:
				return
			case <-time.After(50 * time.Millisecond):
			}
			have := look()
			mu.Lock()
			for _, a := range have {
				if !slices.Contains(tr.had, a) {
					tr.had = append(tr.had, a)
				}
			}
			mu.Unlock()
		}
	}()
	tr.t.Cleanup(func() {
		close(stop)
		<-ended
	})
	return look
}

// leaving is the address from which the laptop sends to the node over IPv6, as a CIDR.
func (tr *trial) leaving() string {
	var from string
	_ = tr.Laptop.Do(func() error {
		c, err := net.Dial("udp6", netip.AddrPortFrom(netlab.Six(netlab.NodeAddr), 22).String())
		if err == nil {
			from = netip.PrefixFrom(c.LocalAddr().(*net.UDPAddr).AddrPort().Addr(), 128).String()
			c.Close()
		}
		return err
	})
	return from
}

// rule6 waits until the rules are the IPv4 one and the one for the address that the laptop sends from, and returns
// the latter.
func (tr *trial) rule6(what string) string {
	tr.t.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		from := tr.leaving()
		want := []string{"198.51.100.10/32", from}
		slices.Sort(want)
		if slices.Equal(tr.Cloud.Own(), want) {
			return from
		}
		if time.Now().After(deadline) {
			tr.t.Fatalf("%s: the rules are %v, want %v; %s", what, tr.Cloud.Own(), want, tr.told())
		}
	}
}

// The rule follows the temporary address that is in use; router advertisements cost nothing.
func TestTemporaryAddresses(t *testing.T) {
	t.Parallel()
	tr := begin(t, netlab.Options{NodeV6: true})
	tr.announce()
	have := tr.follow6()
	tr.run(map[string]string{"interval": `"1h"`})
	first := tr.rule6("at first")
	if n := len(have()); n < 2 {
		t.Fatalf("%d addresses: there is no temporary one beside the stable one", n)
	}
	time.Sleep(6 * time.Second) // the first event after the start has been weighed
	tr.mark()
	tr.still("advertisements", 13*time.Second) // at least three
	tr.few("advertisements", 0)

	// A new temporary address takes the place of the old one as soon as that is deprecated.
	check(t, tr.Laptop.Sysctl("net.ipv6.conf.wlan0.temp_prefered_lft=15")) //nolint:misspell // the kernel spells it so
	deadline := time.Now().Add(2 * patience)
	for tr.leaving() == first {
		if time.Now().After(deadline) {
			t.Fatal("the laptop keeps its temporary address")
		}
		time.Sleep(50 * time.Millisecond)
	}
	second := tr.rule6("another temporary address")
	if second == first {
		t.Error("the rule did not follow")
	}
	tr.few("another temporary address", 6)
}

// A network without IPv4, as behind NAT64: IPv4 is not known, but never absent, so its rule stays.
func TestOnlyIPv6(t *testing.T) {
	t.Parallel()
	tr := begin(t, netlab.Options{NodeV6: true})
	tr.announce()
	tr.follow6()
	tr.run(nil)
	tr.rule6("with both")
	check(t, tr.Laptop.IP("-4", "addr", "flush", "dev", "wlan0"))
	if why := tr.verdict("ipv4", "offline"); !strings.Contains(why, "no route") {
		t.Errorf("%q", why)
	}
	for end := time.Now().Add(10 * time.Second); time.Now().Before(end); time.Sleep(500 * time.Millisecond) {
		s, err := tr.daemon.Status(t.Context())
		check(t, err)
		if state, _ := s.Verdict("ipv4"); state != "offline" {
			t.Fatalf("IPv4 is %s", state)
		}
		if !slices.Contains(tr.Cloud.Own(), "198.51.100.10/32") {
			t.Fatal("the IPv4 rule is gone")
		}
	}
	tr.rule6("without IPv4")
}
