package sgsync_test

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	. "github.com/emr-accessd/emr-accessd/internal/sgsync"
)

// with is the survey of one rule after a change.
func with(r Rule, change func(*Survey)) Survey {
	s := surveyOf(r)
	if change != nil {
		change(&s)
	}
	return s
}

// member is an interface in a group.
func member(name string, addrs ...string) AuditMember {
	m := AuditMember{Name: name}
	for _, a := range addrs {
		m.Addrs = append(m.Addrs, addr(a))
	}
	return m
}

// Who is behind a source is said in words, and whether a node can be reached from there.
func TestAuditSources(t *testing.T) {
	lists := func(entries ...string) func(*Survey) {
		return func(s *Survey) { s.Lists = []PrefixList{{ID: teamList, Name: "team", Entries: pfxs(entries...)}} }
	}
	groups := func(g AuditGroup) func(*Survey) {
		g.ID = otherGroup
		return func(s *Survey) { s.Groups = append(s.Groups, g) }
	}
	six := func(s *Survey) {
		s.Nodes[0].Public4, s.Nodes[0].Private4, s.Nodes[0].V6 = netip.Addr{}, netip.Addr{}, addr("2001:db8::10")
	}
	privately := func(s *Survey) { s.Nodes[0].Public4 = netip.Addr{} }
	publicly := func(s *Survey) { s.Nodes[0].Private4 = netip.Addr{} }
	for _, tt := range []struct {
		source string // a CIDR, pl-… or sg-…; "" for none
		more   func(*Survey)
		want   string // kind, who, and whom it reaches
	}{
		{"0.0.0.0/0", nil, "public, everybody on the internet (IPv4), exposed"},
		{"0.0.0.0/0", privately, "public, everybody on the internet (IPv4), private only"},
		{"0.0.0.0/0", publicly, "public, everybody on the internet (IPv4), exposed"},
		{"0.0.0.0/0", six, "public, everybody on the internet (IPv4), nobody"},
		{"::/0", nil, "public, everybody on the internet (IPv6), nobody"},
		{"::/0", six, "public, everybody on the internet (IPv6), exposed"},
		{"::/0", func(s *Survey) { s.Nodes[0].Unclear = true }, "public, everybody on the internet (IPv6), exposed"},
		{"128.0.0.0/1", nil, "public, a large part of the internet (IPv4), exposed"},
		{"2000::/3", nil, "public, a large part of the internet (IPv6), nobody"},
		{"198.51.100.7/32", nil, "host, one address, exposed"},
		{"198.51.100.6/31", nil, "range, 2 addresses, exposed"},
		{"198.51.100.0/24", nil, "range, 256 addresses, exposed"},
		{"198.51.96.0/22", nil, "range, 1,024 addresses, exposed"},
		{"198.0.0.0/8", nil, "range, 16,777,216 addresses, exposed"},
		{"10.0.0.0/8", nil, "range, 16,777,216 addresses of a private network, exposed"},
		{"100.64.0.0/10", privately, "range, 4,194,304 addresses of a private network, private only"},
		{"172.0.0.0/8", nil, "range, 16,777,216 addresses, exposed"},
		{"2001:db8::1/128", nil, "host, one address, nobody"},
		{"2001:db8::/64", nil, "range, one IPv6 network (/64), nobody"},
		{"fc00::/7", six, "range, an IPv6 network (/7) of a private network, exposed"},
		{"fc00::/6", six, "public, a large part of the internet (IPv6), exposed"},
		{"fd00::/64", nil, "range, one IPv6 network (/64) of a private network, nobody"},
		{"2001:db8::/48", six, "range, an IPv6 network (/48), exposed"},
		{"fd00::/48", six, "range, an IPv6 network (/48) of a private network, exposed"},
		{teamList, lists(), "prefix-list, nobody now: the prefix list is empty, exposed"},
		{teamList, lists("192.0.2.0/24"), "prefix-list, 1 network of a prefix list, exposed"},
		{teamList, lists("2001:db8::/64", "192.0.2.0/24"), "prefix-list, 2 networks of a prefix list, exposed"},
		{teamList, lists("2001:db8::/64", "2001:db8:1::/64"), "prefix-list, 2 networks of a prefix list, nobody"},
		{teamList, lists("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16"), "prefix-list, 3 networks of a prefix list, exposed"},
		{teamList, lists("192.0.2.0/24", "::/0"), "public, everybody, or nearly: the prefix list has an entry that is public, exposed"},
		{teamList, lists(many("7.0.0.0/9", 3)...), "public, a large part of the internet: the prefix list has 3 networks, exposed"},
		{teamList, nil, "prefix-list, the entries of a prefix list that could not be read, exposed"},
		{teamList, func(s *Survey) { s.Lists = []PrefixList{{ID: teamList, Unread: true, Entries: pfxs("0.0.0.0/0")}} }, "prefix-list, the entries of a prefix list that could not be read, exposed"},
		{otherGroup, nil, "group, whoever is in a security group that cannot be seen here: it is of another account, or deleted, exposed"},
		{otherGroup, groups(AuditGroup{Away: true}), "group, whoever is in a security group that cannot be seen here: it is of another account, or deleted, exposed"},
		{otherGroup, groups(AuditGroup{}), "group, whoever is in another security group, exposed"},
		{otherGroup, groups(AuditGroup{Cluster: true}), "group, whoever is in a group of this cluster, exposed"},
		{otherGroup, groups(AuditGroup{Members: []AuditMember{member("i-2", "10.0.0.2")}}), "group, whoever is in another security group (1 interface now), exposed"},
		{otherGroup, groups(AuditGroup{Cluster: true, Members: []AuditMember{member("i-2", "10.0.0.2", "10.0.0.4"), member("i-3", "10.0.0.3")}}), "group, whoever is in a group of this cluster (2 interfaces now), exposed"},
		{"", nil, "unknown, unknown: the source of the rule could not be read, exposed"},
	} {
		r := Rule{}
		switch {
		case strings.HasPrefix(tt.source, "pl-"):
			r.PrefixList = tt.source
		case strings.HasPrefix(tt.source, "sg-"):
			r.SourceGroup = tt.source
		case tt.source != "":
			r.CIDR = pfx(tt.source)
		}
		got := Audit(with(r, tt.more)).Reach
		if len(got) != 1 {
			t.Fatalf("%s: %+v", tt.source, got)
		}
		e := got[0]
		reaches := map[[2]bool]string{{true, true}: "exposed", {true, false}: "private only", {false, false}: "nobody"}[[2]bool{e.Effective, e.Exposed}]
		if text := fmt.Sprintf("%s, %s, %s", e.Kind, e.Who, reaches); text != tt.want || e.Source != tt.source {
			t.Errorf("%q: %s: %s\nwant %s", tt.source, e.Source, text, tt.want)
		}
	}
}

// The order of reach is by whom a rule lets in, then by how much it opens.
func TestAuditReachOrder(t *testing.T) {
	s := surveyOf(
		Rule{SourceGroup: otherGroup},
		Rule{CIDR: pfx("198.51.100.7/32"), Description: "mine", Tags: map[string]string{OwnerTag: "AIDAALICE00000001",
			LeasePrefix + "AIDAALICE00000001-a1": FormatLease(t0.Add(time.Hour), t0, "alice@laptop"), LeasePrefix + "AIDABOB0000000001-b1": FormatLease(t0.Add(time.Hour), t0, ""),
			LeasePrefix + "AIDACAROL00000001-c1": FormatLease(t0.Add(-time.Hour), t0, "carol@gone")}},
		Rule{CIDR: pfx("198.51.100.0/24")},
		Rule{CIDR: pfx("198.51.0.0/16")},
		Rule{CIDR: pfx("2001:db8::/48")},
		Rule{PrefixList: teamList},
		Rule{PrefixList: "pl-unknown"},
		Rule{},
		Rule{CIDR: pfx("::/0")},
		Rule{CIDR: pfx("0.0.0.0/0")},
		Rule{CIDR: pfx("0.0.0.0/0"), Protocol: "tcp", FromPort: 22, ToPort: 23},
		Rule{CIDR: pfx("0.0.0.0/0"), Protocol: "tcp", FromPort: 0, ToPort: 65535},
		Rule{CIDR: pfx("0.0.0.0/0"), Protocol: "-1", FromPort: -1, ToPort: -1},
		Rule{CIDR: pfx("0.0.0.0/0"), Protocol: "tcp", FromPort: 21, ToPort: 22},
		Rule{CIDR: pfx("0.0.0.0/0"), Protocol: none},
		Rule{CIDR: pfx("0.0.0.0/0"), Protocol: "tcp", FromPort: 22, ToPort: -1},
		Rule{PrefixList: "pl-0000000000000000b"},
		Rule{CIDR: pfx("128.0.0.0/1")},
	)
	s.Lists = []PrefixList{{ID: teamList, Name: "team", Entries: pfxs("192.0.2.7/32", "192.0.2.0/24", "2001:db8::/56", "192.0.2.6/32")}, {ID: "pl-0000000000000000b"}}
	s.Groups = append(s.Groups, AuditGroup{ID: otherGroup, Members: []AuditMember{member("i-3", "10.0.0.3"), member("i-2", "2001:db8::2", "10.0.0.2")}})
	s.Block = &PublicBlock{Block: true}
	s.Nodes = append(s.Nodes, AuditNode{Instance: "i-0", Groups: []string{nodeGroup, nodeGroup}}, AuditNode{Instance: "i-9", Groups: []string{otherGroup}})
	s.Groups[0].Name = "master"
	got := Audit(s)
	var lines []string
	for _, e := range got.Reach {
		lines = append(lines, e.Rule[4:]+" "+e.Kind+" "+e.Source+" "+e.Ports())
		if e.Group != nodeGroup || e.GroupName != "master" || !slices.Equal(e.Nodes, []string{"i-0", "i-1"}) || e.Managed != (e.Rule == "sgr-b") {
			t.Errorf("%+v", e)
		}
		switch e.Rule {
		case "sgr-a":
			if want := []string{"10.0.0.2/32", "10.0.0.3/32", "2001:db8::2/128"}; !slices.Equal(e.Sources, want) {
				t.Errorf("%+v", e)
			}
		case "sgr-b":
			if !slices.Equal(e.Holders, []string{"alice@laptop", "AIDABOB0000000001"}) || e.Description != "mine" {
				t.Errorf("%+v", e)
			}
		case "sgr-f":
			if want := []string{"192.0.2.0/24", "192.0.2.6/32", "192.0.2.7/32", "2001:db8::/56"}; !slices.Equal(e.Sources, want) || e.SourceName != "team" {
				t.Errorf("%+v", e)
			}
		}
	}
	want := []string{
		"m public 0.0.0.0/0 all traffic", "o public 0.0.0.0/0 ports that could not be read", "p public 0.0.0.0/0 ports that could not be read",
		"l public 0.0.0.0/0 tcp 0-65535", "k public 0.0.0.0/0 tcp 22-23", "n public 0.0.0.0/0 tcp 21-22", "j public 0.0.0.0/0 tcp 22", "r public 128.0.0.0/1 tcp 22", "i public ::/0 tcp 22",
		"h unknown  tcp 22", "f prefix-list pl-0000000000000000c tcp 22", "q prefix-list pl-0000000000000000b tcp 22", "g prefix-list pl-unknown tcp 22",
		"d range 198.51.0.0/16 tcp 22", "c range 198.51.100.0/24 tcp 22", "e range 2001:db8::/48 tcp 22", "b host 198.51.100.7/32 tcp 22", "a group sg-0000000000000000b tcp 22",
	}
	if strings.Join(lines, "\n") != strings.Join(want, "\n") {
		t.Errorf("%s\nwant\n%s", strings.Join(lines, "\n"), strings.Join(want, "\n"))
	}
	if got.Port != 22 || got.Block != s.Block {
		t.Errorf("%+v", got)
	}
	if text := (Reach{Protocol: "tcp"}).Ports(); text != "tcp 0" {
		t.Error(text)
	}
}

// Nodes come in the order in which a cluster is thought of, each group of theirs once.
func TestAuditNodes(t *testing.T) {
	s := surveyOf()
	s.Nodes = []AuditNode{{Instance: "i-3", Role: "task"}, {Instance: "i-2", Role: "core"}, {Instance: "i-1", Role: "core", Groups: []string{"sg-2", "sg-1", "sg-2"}}, {Instance: "i-4", Role: "primary"}}
	var got []string
	for _, n := range Audit(s).Nodes {
		got = append(got, n.Instance, strings.Join(n.Groups, "+"))
	}
	if want := []string{"i-4", "", "i-1", "sg-1+sg-2", "i-2", "", "i-3", ""}; !slices.Equal(got, want) {
		t.Errorf("%v", got)
	}
}

// What could not be read may let somebody in: nothing is then told for certain, and that is a finding.
func TestAuditComplete(t *testing.T) {
	host := Rule{CIDR: pfx("198.51.100.7/32")}
	for _, tt := range []struct {
		name string
		rule Rule
		more func(*Survey)
		want bool
	}{
		{"all was read", host, nil, true},
		{"no rule", Rule{CIDR: pfx("0.0.0.0/0"), Protocol: "udp"}, nil, true},
		{"a list", Rule{PrefixList: teamList}, func(s *Survey) { s.Lists = []PrefixList{{ID: teamList}} }, true},
		{"another group", Rule{SourceGroup: otherGroup}, func(s *Survey) { s.Groups = append(s.Groups, AuditGroup{ID: otherGroup}) }, true},
		{"a name is missing", host, func(s *Survey) { s.Unseen = []Unseen{{What: "names", Why: "x", Aside: true}} }, true},
		{"a group that was not read, on no node", host, func(s *Survey) { s.Groups = append(s.Groups, AuditGroup{ID: otherGroup, Unread: true}) }, true},
		{"interfaces are missing", host, func(s *Survey) { s.Unseen = []Unseen{{What: "names", Aside: true}, {What: "interfaces"}} }, false},
		{"a group that was not read", host, func(s *Survey) { s.Groups[0].Unread = true }, false},
		{"a group that was not read, before there are nodes", host, func(s *Survey) { s.Nodes, s.Groups[0].Unread, s.Groups[0].Rules = nil, true, nil }, false},
		{"a group that is not there", host, func(s *Survey) { s.Groups = nil }, false},
		{"a list that was not read", Rule{PrefixList: teamList}, func(s *Survey) { s.Lists = []PrefixList{{ID: teamList, Unread: true}} }, false},
		{"a list that is not there", Rule{PrefixList: teamList}, nil, false},
		{"another account's group", Rule{SourceGroup: otherGroup}, func(s *Survey) { s.Groups = append(s.Groups, AuditGroup{ID: otherGroup, Away: true}) }, false},
		{"a referenced group that is not there", Rule{SourceGroup: otherGroup}, nil, false},
		{"an unknown source", Rule{}, nil, false},
	} {
		s := with(tt.rule, tt.more)
		s.From = addr("203.0.113.200")
		got := Audit(s)
		why := "No rule admits 203.0.113.200 to port 22."
		if !tt.want {
			why = "No rule that could be read admits 203.0.113.200 to port 22, but not everything could be read."
		}
		if got.Complete != tt.want || got.From.Why != why || got.From.Admits || !tt.want && !got.Alarming() {
			t.Errorf("%s: complete %v, alarming %v, %q", tt.name, got.Complete, got.Alarming(), got.From.Why)
		}
	}
}

func TestAuditWhy(t *testing.T) {
	s := surveyOf(Rule{CIDR: pfx("198.51.100.0/24")}, Rule{CIDR: pfx("0.0.0.0/0"), Protocol: "tcp", FromPort: 22, ToPort: 22}, Rule{CIDR: pfx("10.1.0.0/16")}, Rule{CIDR: pfx("2001:db8::/64")})
	if Audit(s).From != nil {
		t.Error("an answer without a question")
	}
	privately := func(s *Survey) { s.Nodes[0].Public4 = netip.Addr{} }
	const far = " No node has an address of its own that it could reach, though."
	for _, tt := range []struct {
		from string
		more func(*Survey)
		want string
	}{
		{"203.0.113.200", nil, "203.0.113.200 is admitted to port 22 by sgr-b (0.0.0.0/0, tcp 22): the most permissive rule applies."},
		{"198.51.100.7", nil, "198.51.100.7 is admitted to port 22 by sgr-b (0.0.0.0/0, tcp 22): the most permissive rule applies. Without it, 198.51.100.7 would still be admitted by sgr-a."},
		{"::ffff:203.0.113.200", privately, "203.0.113.200 is admitted to port 22 by sgr-b (0.0.0.0/0, tcp 22): the most permissive rule applies." + far},
		{"10.1.2.3", privately, "10.1.2.3 is admitted to port 22 by sgr-b (0.0.0.0/0, tcp 22): the most permissive rule applies. Without it, 10.1.2.3 would still be admitted by sgr-c."},
		{"10.2.2.3", func(s *Survey) { s.Nodes = nil }, "10.2.2.3 is admitted to port 22 by sgr-b (0.0.0.0/0, tcp 22): the most permissive rule applies." + far},
		{"2001:db8::1", nil, "2001:db8::1 is admitted to port 22 by sgr-d (2001:db8::/64, tcp 22): the most permissive rule applies." + far},
		{"2001:db8::1", func(s *Survey) { s.Nodes[0].V6 = addr("2001:db8::10") }, "2001:db8::1 is admitted to port 22 by sgr-d (2001:db8::/64, tcp 22): the most permissive rule applies."},
		{"10.2.2.3", func(s *Survey) { s.Nodes[0] = AuditNode{V6: addr("2001:db8::10"), Groups: []string{nodeGroup}} }, "10.2.2.3 is admitted to port 22 by sgr-b (0.0.0.0/0, tcp 22): the most permissive rule applies." + far},
		{"203.0.113.200", func(s *Survey) { s.Unseen = []Unseen{{What: "X"}} }, "203.0.113.200 is admitted to port 22 by sgr-b (0.0.0.0/0, tcp 22): the most permissive rule applies."},
		{"2001:db9::1", nil, "No rule admits 2001:db9::1 to port 22."},
	} {
		s := s
		s.Nodes = slices.Clone(s.Nodes)
		if tt.more != nil {
			tt.more(&s)
		}
		s.From = addr(tt.from)
		if got := Audit(s).From; got.Why != tt.want {
			t.Errorf("%s: %s\nwant %s", tt.from, got.Why, tt.want)
		}
	}
}
