//go:build linux

package netlab_test

import (
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/emr-accessd/emr-accessd/internal/netlab"
)

// A network that wants a sign-in answers in place of everybody.
func TestCaptivePortal(t *testing.T) {
	t.Parallel()
	tr := begin(t, netlab.Options{})
	tr.mayHave("192.0.2.10/32")
	cafe, err := tr.Cafe("cafe", netip.MustParsePrefix("192.168.7.1/24"), netip.MustParseAddr("192.0.2.10"))
	check(t, err)
	check(t, tr.Hijack(cafe))
	tr.run(nil)
	tr.rules("at home", "198.51.100.10/32")
	tr.mark()
	tr.roam(cafe, netip.MustParseAddr("192.168.7.30"))
	why := tr.verdict("ipv4", "captive")
	if !strings.Contains(why, "sign in to this network") {
		t.Errorf("%q does not say what to do", why)
	}
	tr.still("captive", 3*time.Second)
	if n := tr.looks(); n != 0 { // those that reached the real sources
		t.Errorf("the sources were reached %d times through the portal", n)
	}
	check(t, cafe.Redirect())
	tr.rules("signed in", "192.0.2.10/32")
}

// Proxies in the environment are for the AWS calls alone: a proxy's address is not the laptop's.
func TestProxiesInTheEnvironment(t *testing.T) {
	t.Parallel()
	tr := begin(t, netlab.Options{})
	var env []string
	for _, name := range []string{"HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"} {
		env = append(env, name+"=http://proxy.lab:3128")
	}
	tr.run(nil, env...)
	tr.rules("with proxies", "198.51.100.10/32")
	uses := tr.Proxy.Uses()
	if !slices.Contains(uses, "api.lab:443") {
		t.Error("the AWS calls did not use the proxy, so this test shows nothing")
	}
	for _, u := range uses {
		if u != "api.lab:443" {
			t.Errorf("the proxy was asked for %s", u)
		}
	}
}

// Sources that lie, break or dawdle, one at a time.
func TestOneBadSource(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, who string
		say       func(netip.Addr) string
		known     bool
	}{
		{"another lies", "example", netlab.Fixed("198.51.100.66"), true},
		{"another is down", "example", netlab.Down, true},
		{"another shows a page", "example", netlab.Page, true},
		{"another dawdles", "example", netlab.Slow(netlab.Honest, 10*time.Second), true},
		{"AWS lies", "aws", netlab.Fixed("198.51.100.66"), false},
		{"AWS is down", "aws", netlab.Down, false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			tr := begin(t, netlab.Options{})
			tr.Echoes[tt.who].Say(tt.say)
			tr.run(nil)
			if tt.known {
				tr.rules("two agree", "198.51.100.10/32")
				return
			}
			tr.wait("a verdict", func(s netlab.Status) bool {
				state, _ := s.Verdict("ipv4")
				return state == "conflict" || state == "unsure"
			})
			if n := tr.Cloud.Writes(); n != 0 {
				t.Errorf("%d writes", n)
			}
			tr.Echoes[tt.who].Say(netlab.Honest)
			tr.rules("all well again", "198.51.100.10/32")
		})
	}
}

// Addresses that the user has forbidden.
func TestNeverAndOnly(t *testing.T) {
	t.Parallel()
	for key, ranges := range map[string]string{"never": `["198.51.100.0/24"]`, "only": `["192.0.2.0/24"]`} {
		t.Run(key, func(t *testing.T) {
			t.Parallel()
			tr := begin(t, netlab.Options{})
			tr.had = []string{"192.0.2.10/32"}
			cafe, err := tr.Cafe("cafe", netip.MustParsePrefix("192.168.7.1/24"), netip.MustParseAddr("192.0.2.10"))
			check(t, err)
			tr.run(map[string]string{key: ranges})
			if why := tr.verdict("ipv4", "unsure"); !strings.Contains(why, key) {
				t.Errorf("%q does not name the key %s", why, key)
			}
			tr.still("forbidden", 2*time.Second)
			tr.roam(cafe, netip.MustParseAddr("192.168.7.30"))
			tr.rules("allowed", "192.0.2.10/32")
			tr.roam(tr.Home, netlab.Laptop)
			tr.verdict("ipv4", "unsure")
			tr.still("forbidden again", time.Second)
		})
	}
}
