package main

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/emr-accessd/emr-accessd/internal/keeper"
)

func TestParseNode(t *testing.T) {
	for _, tt := range []struct {
		in, suffix, wants string
		ok                bool
	}{
		{"", "", "primary", true}, {"primary", "", "primary", true}, {"master", "", "primary", true}, {"Primary:1", "-primary-1", "primary", true},
		{"core", "-core", "core", true}, {"core:0", "-core-0", "core", true}, {"slave:3", "-core-3", "core", true},
		{"task:i-0123456789abcdef0", "-i-0123456789abcdef0", "task", true}, {"i-01234567", "-i-01234567", "primary", true},
		{"core:", "", "", false}, {"core:-1", "", "", false}, {"core:+1", "", "", false}, {"core:01", "", "", false}, {"core:10000", "", "", false},
		{"core:1:2", "", "", false}, {"head", "", "", false}, {"i-xyz", "", "", false}, {"core: 1", "", "", false}, {"core:i-0123456789abcdef0\n", "", "", false},
		{"$(id)", "", "", false}, {"core:٣", "", "", false}, {":", "", "", false},
	} {
		c, err := parseNode(tt.in)
		if (err == nil) != tt.ok {
			t.Errorf("%q: error %v", tt.in, err)
			continue
		}
		if tt.ok && (c.suffix() != tt.suffix || c.wants() != tt.wants) {
			t.Errorf("%q: suffix %q of a %s node", tt.in, c.suffix(), c.wants())
		}
	}
}

// Whatever --node is given: no panic, and what is made of it can stand in a file's name and in known_hosts.
func FuzzParseNode(f *testing.F) {
	for _, s := range []string{"core:0", "task:i-0123456789abcdef0", "i-01234567", "primary", "core:%n", "../x"} {
		f.Add(s)
	}
	place := keeper.Place{Cluster: "j-2AXXXXXXGAPLF", Nodes: []keeper.Node{{Role: "primary", Instance: "i-01234567"}, {Role: "core", Instance: "i-11234567"}}}
	f.Fuzz(func(t *testing.T, s string) {
		c, err := parseNode(s)
		if err != nil {
			return
		}
		if strings.Trim(c.suffix(), "abcdefghijklmnopqrstuvwxyz0123456789-") != "" || strings.Contains(c.suffix(), "--") {
			t.Errorf("%q has the suffix %q", s, c.suffix())
		}
		if again, err := parseNode(c.String()); err != nil || again != c {
			t.Errorf("%q is %q as a flag, which is %+v, %v", s, c, again, err)
		}
		if n, err := c.pick(place); err == nil && n.Role != c.wants() && c.instance == "" {
			t.Errorf("%q is the node %+v", s, n)
		}
	})
}

func TestPickNode(t *testing.T) {
	place := keeper.Place{Cluster: "j-2AXXXXXXGAPLF"}
	for i := range 3 {
		for _, role := range []string{"primary", "core"} {
			place.Nodes = append(place.Nodes, keeper.Node{Role: role, Instance: fmt.Sprintf("i-%s%d", map[string]string{"primary": "aaaaaaa", "core": "bbbbbbb"}[role], i),
				Public4: netip.MustParseAddr(fmt.Sprintf("192.0.2.%d", i))})
		}
	}
	for _, tt := range []struct{ in, want, text string }{
		{"", "i-aaaaaaa0", ""}, {"primary", "i-aaaaaaa0", ""}, {"primary:2", "i-aaaaaaa2", ""}, {"core:1", "i-bbbbbbb1", ""},
		{"core:i-bbbbbbb2", "i-bbbbbbb2", ""}, {"i-aaaaaaa1", "i-aaaaaaa1", ""}, {"i-bbbbbbb1", "i-bbbbbbb1", ""},
		{"core", "", "has 3 core nodes"}, {"core:3", "", "no node core:3"}, {"task:0", "", "no running task node"},
		{"task:i-bbbbbbb1", "", "no running task node"}, {"core:i-aaaaaaa1", "", "no core node i-aaaaaaa1"}, {"i-cccccccc", "", "no primary node i-cccccccc"},
	} {
		c, err := parseNode(tt.in)
		if err != nil {
			t.Fatal(err)
		}
		n, err := c.pick(place)
		if n.Instance != tt.want || (err != nil) != (tt.text != "") || err != nil && (!strings.Contains(err.Error(), tt.text) || len(hints(err)) == 0) {
			t.Errorf("%q: %s, %v; want %s %s", tt.in, n.Instance, err, tt.want, tt.text)
		}
	}
	if got := listNodes(make([]keeper.Node, 100)); strings.Count(got, "(") != maxListed || !strings.HasSuffix(got, "and 92 more") {
		t.Errorf("a long list: %s", got)
	}
}

// --host takes an address with and without a port, of both families.
func TestHostFlag(t *testing.T) {
	for host, want := range map[string]string{
		"198.51.100.9": "198.51.100.9:22", "198.51.100.9:2222": "198.51.100.9:2222", "198.51.100.9:": "198.51.100.9:22", "node.lab": "node.lab:22",
		"2001:db8::9": "[2001:db8::9]:22", "[2001:db8::9]": "[2001:db8::9]:22", "[2001:db8::9]:2222": "[2001:db8::9]:2222",
	} {
		if _, got, err := nodeAddress(keeper.TargetReport{}, keeper.Target{Port: 22}, nodeChoice{}, host); got != want || err != nil {
			t.Errorf("--host %s: %s, %v, want %s", host, got, err, want)
		}
	}
}
