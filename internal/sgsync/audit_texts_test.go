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

// The sentences of the findings, and the resources that they are about.
func TestAuditTexts(t *testing.T) {
	world := Rule{CIDR: pfx("0.0.0.0/0")}
	host := Rule{CIDR: pfx("198.51.100.7/32")}
	named := func(name string) func(*Survey) {
		return func(s *Survey) { s.Groups = append(s.Groups, AuditGroup{ID: otherGroup, Name: name}) }
	}
	lists := func(entries ...string) func(*Survey) {
		return func(s *Survey) { s.Lists = []PrefixList{{ID: teamList, Entries: pfxs(entries...)}} }
	}
	full := func(quota int) func(*Survey) {
		return func(s *Survey) { s.Quota, s.Groups[0].Name = quota, "master" }
	}
	except := func(ranges ...[2]int) func(*Survey) {
		return func(s *Survey) { s.Block = &PublicBlock{Block: true, Except: ranges} }
	}
	const a, list = "sgr-a sg-0000000000000000a", " pl-0000000000000000c"
	const excepts = " block-public-access-excepts-port []: EMR's block public access excepts %s, so a cluster may be launched with port 22 open to everybody. (Port 22 is excepted unless somebody changes that.)"
	for _, tt := range []struct {
		rule Rule
		more func(*Survey)
		want []string
	}{
		{world, nil, []string{"high public-port [" + a + "]: Rule sgr-a opens port 22 to everybody on the internet (IPv4) by 0.0.0.0/0 (tcp 22)."}},
		{world, func(s *Survey) { s.Nodes[0].Public4 = netip.Addr{} }, []string{"medium public-port [" + a + "]: Rule sgr-a opens port 22 to everybody on the internet (IPv4) by 0.0.0.0/0 (tcp 22). No node has a public address of its own now: it lets in whoever reaches the private ones, from the VPC, a VPN or a peering, and everybody where an internet-facing load balancer leads to the port, which is not looked at."}},
		{Rule{CIDR: pfx("::/0")}, nil, []string{"low public-port [" + a + "]: Rule sgr-a opens port 22 to everybody on the internet (IPv6) by ::/0 (tcp 22). No node has an address that it could be used with now."}},
		{Rule{PrefixList: teamList}, lists("0.0.0.0/0"), []string{"high public-prefix-list [" + a + list + "]: Rule sgr-a opens port 22 to everybody, or nearly: the prefix list has an entry that is public by pl-0000000000000000c (tcp 22)."}},
		{Rule{PrefixList: teamList}, nil, []string{"medium prefix-list-unresolved [" + a + list + "]: Rule sgr-a opens port 22 to prefix list pl-0000000000000000c, whose entries could not be read."}},
		{Rule{PrefixList: teamList}, lists("192.0.0.0/9", "10.0.0.0/9"), []string{"medium wide-source [" + a + list + "]: Rule sgr-a opens port 22 to 10.0.0.0/9, 192.0.0.0/9, which is wider than /16 (IPv6 /32)."}},
		{Rule{PrefixList: teamList}, lists(many("9.0.0.0/15", 5)...), []string{"medium wide-source [" + a + list + "]: Rule sgr-a opens port 22 to 9.0.0.0/15, 9.2.0.0/15, 9.4.0.0/15, 9.6.0.0/15, 9.8.0.0/15, which is wider than /16 (IPv6 /32)."}},
		{Rule{PrefixList: teamList}, lists(many("9.0.0.0/15", 7)...), []string{"medium wide-source [" + a + list + "]: Rule sgr-a opens port 22 to 9.0.0.0/15, 9.2.0.0/15, 9.4.0.0/15, 9.6.0.0/15, 9.8.0.0/15, 2 more, which is wider than /16 (IPv6 /32)."}},
		{Rule{CIDR: pfx("9.0.0.0/15")}, nil, []string{"medium wide-source [" + a + "]: Rule sgr-a opens port 22 to 9.0.0.0/15, which is wider than /16 (IPv6 /32)."}},
		{Rule{CIDR: pfx("2001:db8::/31")}, nil, []string{"medium wide-source [" + a + "]: Rule sgr-a opens port 22 to 2001:db8::/31, which is wider than /16 (IPv6 /32)."}},
		{Rule{SourceGroup: otherGroup}, named("bastion"), []string{"low group-reference [" + a + " sg-0000000000000000b]: Rule sgr-a opens port 22 to whoever is in another security group, sg-0000000000000000b (bastion)."}},
		{Rule{SourceGroup: otherGroup}, nil, []string{"low group-reference [" + a + " sg-0000000000000000b]: Rule sgr-a opens port 22 to whoever is in a security group that cannot be seen here: it is of another account, or deleted, sg-0000000000000000b."}},
		{host, full(1), []string{"medium quota-full [sg-0000000000000000a]: Security group sg-0000000000000000a (master) is full: 1 IPv4 and 0 IPv6 rules of 1 (a test)."}},
		{Rule{PrefixList: teamList}, func(s *Survey) { full(10)(s); s.Lists = []PrefixList{{ID: teamList, MaxEntries: 8}} }, []string{"low quota-near [sg-0000000000000000a]: Security group sg-0000000000000000a (master) is nearly full: 8 IPv4 and 0 IPv6 rules of 10 (a test)."}},
		{Rule{PrefixList: teamList}, func(s *Survey) { full(10)(s); s.Lists = []PrefixList{{ID: teamList, MaxEntries: 7}} }, nil},
		{host, full(0), nil},
		{host, func(s *Survey) { full(1)(s); s.Groups[0].Unread = true }, []string{}},
		{host, except([2]int{22, 22}, [2]int{20, 30}, [2]int{30, 40}), []string{"low" + fmt.Sprintf(excepts, "ports 20-30"), "info" + fmt.Sprintf(excepts, "port 22")}},
		{host, except([2]int{22, 30}), []string{"low" + fmt.Sprintf(excepts, "ports 22-30")}},
		{host, except([2]int{10, 22}), []string{"low" + fmt.Sprintf(excepts, "ports 10-22")}},
		{host, func(s *Survey) {
			s.Unseen = []Unseen{{What: "X", Needs: "ec2:Y"}, {What: "Z", Why: "it failed", Aside: true}}
		}, []string{"medium not-looked-at []: Could not look at X: needs ec2:Y.", "low not-looked-at []: Could not look at Z: it failed."}},
	} {
		var got []string
		for _, f := range Audit(with(tt.rule, tt.more)).Findings {
			got = append(got, fmt.Sprintf("%s %s %v: %s", f.Severity, f.ID, f.Resources, f.Text))
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("%s\nwant %s", strings.Join(got, "\n"), strings.Join(tt.want, "\n"))
		}
	}
}

// Tags say who holds a rule; they are somebody else's words.
func TestAuditHygiene(t *testing.T) {
	key := LeasePrefix + "AIDAALICE00000001-a1"
	rule := func(tags ...string) Rule {
		r := Rule{CIDR: pfx("198.51.100.7/32"), Tags: map[string]string{OwnerTag: "AIDAALICE00000001"}}
		for i := 0; i < len(tags); i += 2 {
			r.Tags[tags[i]] = tags[i+1]
		}
		return r
	}
	ended := FormatLease(t0.Add(-time.Hour), t0.Add(-2*time.Hour), "alice@laptop")
	elsewhere := func(s *Survey) {
		s.Nodes[0].Groups, s.Groups = []string{otherGroup}, append(s.Groups, AuditGroup{ID: otherGroup})
	}
	for _, tt := range []struct {
		rule Rule
		more func(*Survey)
		want []string
	}{
		{rule(key, ended), nil, []string{"Rule sgr-a (198.51.100.7/32) is of an installation that is gone: all its leases have ended.", "Rule sgr-a has a lease of alice@laptop that ended 2026-11-22 09:00 UTC."}},
		{rule(), nil, []string{"Rule sgr-a (198.51.100.7/32) has an owner and no lease at all."}},
		{rule(ProvisionedTag, "x"), nil, nil},
		{rule(OwnerTag, "\x1b[31m\u202e", key, "\x1b]0;x\a"), nil, []string{"Rule sgr-a has the lease " + key + ", which cannot be read: lease value has no end and firm-from. It counts as live for ever.", `Rule sgr-a has the owner "--31m-", which no AWS identity keeps: IAM cannot tell whose it is.`}},
		{rule(key, FormatLease(t0.Add(365*24*time.Hour), t0, "x")), nil, []string{"Rule sgr-a has the lease " + key + ", which ends more than 7 days ahead. No emr-accessd writes such a lease."}},
		{Rule{CIDR: pfx("198.51.0.0/16"), FromPort: 22, ToPort: 23, Protocol: "tcp", Tags: map[string]string{OwnerTag: "AIDAALICE00000001"}}, nil, []string{"Rule sgr-a carries tags of emr-accessd but is not a rule that it would write; it is never changed by it."}},
		{rule(key, FormatLease(t0.Add(time.Hour), t0, "x")), elsewhere, []string{"Security group sg-0000000000000000a holds rules for addresses, but is on no interface of the nodes that were looked at: its rules do nothing for them."}},
		{rule(key, FormatLease(t0.Add(time.Hour), t0, "x")), func(s *Survey) { elsewhere(s); s.Groups[0].Cluster = false }, nil},
		{rule(key, FormatLease(t0.Add(time.Hour), t0, "x")), func(s *Survey) { s.Nodes = nil }, nil},
		{Rule{CIDR: pfx("198.51.100.7/32")}, elsewhere, nil},
	} {
		var got []string
		for _, f := range Audit(with(tt.rule, tt.more)).Findings {
			got = append(got, f.Text)
		}
		if !slices.Equal(got, tt.want) {
			t.Errorf("%s\nwant %s", strings.Join(got, "\n"), strings.Join(tt.want, "\n"))
		}
	}
}
