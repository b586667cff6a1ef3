//go:build linux

package netlab_test

import (
	"context"
	"encoding/binary"
	"errors"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/emr-accessd/emr-accessd/internal/awssim"
	"github.com/emr-accessd/emr-accessd/internal/netlab"
)

func TestCloseRemovesEverything(t *testing.T) {
	need(t, netlab.Available())
	w, err := netlab.NewWorld(t.TempDir(), netlab.Options{})
	check(t, err)
	if len(mine(t)) == 0 {
		t.Fatal("no namespace is found: this test looks in the wrong place")
	}
	sleeper := w.Laptop.Command(t.Context(), "sleep", "600")
	check(t, sleeper.Start())
	if _, err := w.Cafe("home", netlab.HomeInner, netlab.HomeOuter); err == nil {
		t.Error("two hosts of the same name were made")
	}
	check(t, w.Close())
	check(t, w.Close())
	if left := mine(t); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	if err := sleeper.Wait(); err == nil {
		t.Error("the process in the laptop was not ended")
	}
}

func TestLeftoversOfDeadRuns(t *testing.T) {
	need(t, netlab.Available())
	dead := exec.Command("true")
	check(t, dead.Run())
	gone := "netlab-" + strconv.Itoa(dead.Process.Pid) + "-1-x"
	alive := "netlab-1-1-x" // of process 1
	for _, name := range []string{gone, alive} {
		check(t, exec.Command("ip", "netns", "add", name).Run())
		check(t, os.MkdirAll(filepath.Join("/etc/netns", name), 0o755))
	}
	defer func() {
		check(t, exec.Command("ip", "netns", "del", alive).Run())
		check(t, os.RemoveAll("/etc/netns/"+alive))
	}()
	lab, err := netlab.New()
	check(t, err)
	defer lab.Close()
	for _, dir := range []string{"/run/netns/", "/etc/netns/"} {
		if _, err := os.Stat(dir + gone); !os.IsNotExist(err) {
			t.Errorf("%s%s: %v", dir, gone, err)
		}
		if _, err := os.Stat(dir + alive); err != nil {
			t.Errorf("somebody else's: %v", err)
		}
	}
}

// A thread that was in a host must not stay there: other goroutines would make their sockets in it.
func TestDoComesBack(t *testing.T) {
	w := newWorld(t, netlab.Options{})
	outside, err := os.Readlink("/proc/self/ns/net")
	check(t, err)
	for range 50 {
		var inside string
		check(t, w.Laptop.Do(func() (err error) {
			inside, err = os.Readlink("/proc/thread-self/ns/net")
			return err
		}))
		if inside == outside {
			t.Fatal("Do is not in the host")
		}
	}
	tasks, err := filepath.Glob("/proc/self/task/*/ns/net")
	check(t, err)
	for _, task := range tasks {
		if ns, err := os.Readlink(task); err == nil && ns != outside {
			t.Errorf("%s is in %s", task, ns)
		}
	}
}

// ask asks a STUN server from a socket and returns the address that it saw.
func ask(c net.PacketConn) (netip.Addr, error) {
	request := append([]byte{0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42}, make([]byte, 12)...)
	to := net.UDPAddrFromAddrPort(netip.AddrPortFrom(netlab.STUNAddrs[0], 3478))
	if _, err := c.WriteTo(request, to); err != nil {
		return netip.Addr{}, err
	}
	if err := c.SetReadDeadline(time.Now().Add(2 * time.Second)); err != nil {
		return netip.Addr{}, err
	}
	buf := make([]byte, 100)
	n, _, err := c.ReadFrom(buf)
	if err != nil {
		return netip.Addr{}, err
	}
	if n != 32 {
		return netip.Addr{}, errors.New("not the answer")
	}
	v := binary.BigEndian.Uint32(buf[28:]) ^ 0x2112a442
	return netip.AddrFrom4([4]byte(binary.BigEndian.AppendUint32(nil, v))), nil
}

// The three routers differ in what becomes of a flow that exists when the outer address changes.
func TestNAT(t *testing.T) {
	next := netip.MustParseAddr("198.51.100.20")
	for _, tt := range []struct {
		mode netlab.NAT
		want string // that the old flow is seen as
	}{{netlab.Masquerade, "198.51.100.20"}, {netlab.StaticAlive, "198.51.100.10"}, {netlab.StaticDead, ""}} {
		t.Run(tt.mode.String(), func(t *testing.T) {
			w := newWorld(t, netlab.Options{})
			check(t, w.Home.UseNAT(tt.mode))
			old, err := w.Laptop.ListenPacket("udp4", ":0")
			check(t, err)
			if seen, err := ask(old); err != nil || seen != netlab.HomeOuter {
				t.Fatalf("before: %v %v", seen, err)
			}
			check(t, w.Home.Readdress(next))
			fresh, err := w.Laptop.ListenPacket("udp4", ":0")
			check(t, err)
			if seen, err := ask(fresh); err != nil || seen != next {
				t.Errorf("a new flow is seen as %v %v", seen, err)
			}
			seen, err := ask(old)
			if got := strings.TrimPrefix(seen.String(), "invalid IP"); got != tt.want {
				t.Errorf("the old flow is seen as %q %v, want %q", got, err, tt.want)
			}
			// And once more, back and forth.
			check(t, w.Home.Readdress(netlab.HomeOuter))
			again, err := w.Laptop.ListenPacket("udp4", ":0")
			check(t, err)
			if seen, err := ask(again); err != nil || seen != netlab.HomeOuter {
				t.Errorf("back: %v %v", seen, err)
			}
		})
	}
}

func TestDelayedLine(t *testing.T) {
	w := newWorld(t, netlab.Options{OneWay: 20 * time.Millisecond})
	var fastest time.Duration
	for range 5 {
		begin := time.Now()
		c, err := w.Laptop.Dial(t.Context(), "tcp4", netip.AddrPortFrom(netlab.APIAddr, 443).String())
		check(t, err)
		c.Close()
		if took := time.Since(begin); fastest == 0 || took < fastest {
			fastest = took
		}
	}
	if fastest < 40*time.Millisecond || fastest > 400*time.Millisecond {
		t.Errorf("one round trip takes %v, want 40 ms", fastest)
	}
}

func TestServersSayWhatTheyAreTold(t *testing.T) {
	w := newWorld(t, netlab.Options{})
	for _, tt := range []struct {
		say  func(netip.Addr) string
		want string
	}{{netlab.Honest, "198.51.100.10"}, {netlab.Fixed("198.51.100.66"), "198.51.100.66"}, {netlab.Page, "<html>"}, {netlab.Down, "curl: ("}} {
		w.Echoes["aws"].Say(tt.say)
		if out, _ := curl(t, w, w.Laptop, "https://aws.lab/"); !strings.Contains(out, tt.want) {
			t.Errorf("%q, want %q", out, tt.want)
		}
	}
	if n := len(w.Echoes["aws"].Asked()); n < 4 {
		t.Errorf("%d requests were counted, want 4", n)
	}

	// A name that only the name server knows.
	w.DNS.Set("www.lab", netlab.EchoAddrs["third"])
	check(t, w.Laptop.Resolver(netlab.DNSAddr))
	if out, err := curl(t, w, w.Laptop, "--connect-to", "third.lab:443:www.lab:443", "https://third.lab/"); out != "198.51.100.10" {
		t.Errorf("%q %v", out, err)
	}
	if asked := w.DNS.Asked(); !slices.Contains(asked, "A www.lab") {
		t.Errorf("the name server was asked for %v", asked)
	}

	// A proxy connects, and counts.
	if out, err := curl(t, w, w.Laptop, "-x", "http://proxy.lab:3128", "https://third.lab/"); out != netlab.EchoAddrs["third"].String() && out != netlab.ProxyAddr.String() {
		t.Errorf("through the proxy: %q %v", out, err)
	}
	if uses := w.Proxy.Uses(); !slices.Equal(uses, []string{"third.lab:443"}) {
		t.Errorf("the proxy was asked for %v", uses)
	}
}

func TestRouterGetsInTheWay(t *testing.T) {
	w := newWorld(t, netlab.Options{})
	c, err := w.Laptop.ListenPacket("udp4", ":0")
	check(t, err)
	check(t, w.Home.Drop("meta l4proto udp"))
	if seen, err := ask(c); err == nil {
		t.Errorf("UDP is not blocked: %v", seen)
	}
	if out, err := curl(t, w, w.Laptop, "https://aws.lab/"); out != "198.51.100.10" {
		t.Errorf("TCP is blocked: %q %v", out, err)
	}
	check(t, w.Home.Drop())
	if seen, err := ask(c); err != nil {
		t.Errorf("UDP is still blocked: %v %v", seen, err)
	}

	check(t, w.Hijack(w.Home))
	if out, err := curl(t, w, w.Laptop, "https://aws.lab/"); err == nil || !strings.Contains(out, "certificate") {
		t.Errorf("behind the portal: %q %v", out, err)
	}
	if out, err := curl(t, w, w.Laptop, "-o", "/dev/null", "-w", "%{redirect_url}", "http://aws.lab/"); out != "http://portal.lab/login" {
		t.Errorf("behind the portal: %q %v", out, err)
	}
	check(t, w.Home.Redirect())

	check(t, w.Home.Divert(w.Internet, 443, netip.MustParseAddr("192.0.2.77")))
	if out, err := curl(t, w, w.Laptop, "https://aws.lab/"); out != "192.0.2.77" {
		t.Errorf("port 443 by the second uplink: %q %v", out, err)
	}
	if seen, err := ask(c); err != nil || seen != netlab.HomeOuter {
		t.Errorf("the rest: %v %v", seen, err)
	}
}

// The gate admits what a rule admits, and drops the rest without a word.
func TestGate(t *testing.T) {
	w := newWorld(t, netlab.Options{})
	dial := func() error {
		ctx, cancel := context.WithTimeout(t.Context(), 500*time.Millisecond)
		defer cancel()
		c, err := w.Laptop.Dial(ctx, "tcp4", netip.AddrPortFrom(netlab.NodeAddr, 22).String())
		if err == nil {
			c.Close()
		}
		return err
	}
	if err := dial(); err == nil || errors.Is(err, unix.ECONNREFUSED) {
		t.Errorf("without a rule: %v", err)
	}
	w.Cloud.Sim.AddRule(w.Cloud.Group, awssim.RuleSpec{FromPort: 22, ToPort: 22, CIDR: "198.51.100.10/32"})
	deadline := time.Now().Add(patience)
	for dial() != nil {
		if time.Now().After(deadline) {
			t.Fatal("the rule does not act")
		}
	}
	if w.Cloud.Untouched() {
		t.Error("a rule that somebody made is not noticed")
	}
}

func TestRoamOfOneInterface(t *testing.T) {
	w := newWorld(t, netlab.Options{})
	cafe, err := w.Cafe("cafe", netlab.HomeInner, netip.MustParseAddr("192.0.2.10"))
	check(t, err)
	index := func() string {
		out, err := exec.Command("ip", "-n", strings.TrimPrefix(w.Laptop.Path(), "/run/netns/"), "-o", "link", "show", "wlan0").Output()
		check(t, err)
		n, _, _ := strings.Cut(string(out), ":")
		return n
	}
	was := index()
	for _, tt := range []struct {
		at   *netlab.Router
		want string
	}{{cafe, "192.0.2.10"}, {w.Home, "198.51.100.10"}, {cafe, "192.0.2.10"}} {
		check(t, w.WiFi.Plug(tt.at))
		check(t, w.WiFi.Configure(netlab.Laptop))
		if out, err := curl(t, w, w.Laptop, "https://aws.lab/"); out != tt.want {
			t.Errorf("%q %v, want %s", out, err, tt.want)
		}
	}
	if index() != was {
		t.Error("the interface is another one")
	}
}
