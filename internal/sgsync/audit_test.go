package sgsync_test

import (
	"encoding/binary"
	"net/netip"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	. "github.com/emr-accessd/emr-accessd/internal/sgsync"
	"pgregory.net/rapid"
)

const (
	nodeGroup  = "sg-0000000000000000a"
	otherGroup = "sg-0000000000000000b"
	teamList   = "pl-0000000000000000c"
)

// none stands for a rule without a protocol in surveyOf, which fills it in where it is empty.
const none = "none"

// many returns networks side by side, from the first on.
func many(first string, n int) (out []string) {
	p := pfx(first)
	a := p.Addr().As4()
	from := binary.BigEndian.Uint32(a[:])
	for i := range n {
		binary.BigEndian.PutUint32(a[:], from+uint32(i)<<(32-p.Bits()))
		out = append(out, netip.PrefixFrom(netip.AddrFrom4(a), p.Bits()).String())
	}
	return out
}

func addr(s string) netip.Addr { return netip.MustParseAddr(s) }

// surveyOf is a cluster with one public node whose group has the rules.
func surveyOf(rules ...Rule) Survey {
	for i := range rules {
		rules[i].ID, rules[i].Group = "sgr-"+string(rune('a'+i)), nodeGroup
		switch rules[i].Protocol {
		case "":
			rules[i].Protocol, rules[i].FromPort, rules[i].ToPort = "tcp", 22, 22
		case none:
			rules[i].Protocol = ""
		}
	}
	return Survey{Port: 22, Now: t0, Quota: 60, QuotaFrom: "a test",
		Nodes:  []AuditNode{{Instance: "i-1", Role: "primary", Public4: addr("203.0.113.10"), Private4: addr("10.0.0.10"), Groups: []string{nodeGroup}}},
		Groups: []AuditGroup{{ID: nodeGroup, Cluster: true, Rules: rules}}}
}

func ids(r AuditResult) (out []string) {
	for _, f := range r.Findings {
		out = append(out, string(f.Severity)+" "+f.ID)
	}
	return out
}

func TestAuditFindings(t *testing.T) {
	now := FormatLease(t0.Add(time.Hour), t0, "alice@laptop")
	ended := FormatLease(t0.Add(-time.Hour), t0.Add(-2*time.Hour), "bob@old")
	list := func(entries ...string) PrefixList {
		return PrefixList{ID: teamList, Entries: pfxs(entries...), MaxEntries: 5}
	}
	managed := func(tags ...string) Rule {
		r := Rule{CIDR: pfx("198.51.100.7/32"), Tags: map[string]string{OwnerTag: "AIDAALICE00000001"}}
		for i := 0; i < len(tags); i += 2 {
			r.Tags[tags[i]] = tags[i+1]
		}
		return r
	}
	const key = LeasePrefix + "AIDAALICE00000001-a1"
	port := func(r Rule, protocol string, from, to int) Rule {
		r.Protocol, r.FromPort, r.ToPort = protocol, from, to
		return r
	}
	world := Rule{CIDR: pfx("0.0.0.0/0")}
	for _, tt := range []struct {
		name string
		rule Rule
		more func(*Survey)
		want string // severity and id, the worst first
	}{
		{name: "a host", rule: Rule{CIDR: pfx("198.51.100.7/32")}},
		{name: "a range of /16", rule: Rule{CIDR: pfx("198.51.0.0/16")}},
		{name: "a range of /15", rule: Rule{CIDR: pfx("198.50.0.0/15")}, want: "medium wide-source"},
		{name: "a private /8", rule: Rule{CIDR: pfx("10.0.0.0/8")}, want: "low wide-source"},
		{name: "a /8 is not public", rule: Rule{CIDR: pfx("203.0.0.0/8")}, want: "medium wide-source"},
		{name: "a /7 is", rule: Rule{CIDR: pfx("202.0.0.0/7")}, want: "high public-port"},
		{name: "the world", rule: world, want: "high public-port"},
		{name: "the world by IPv6, and no node has any", rule: Rule{CIDR: pfx("::/0")}, want: "low public-port"},
		{name: "the world by IPv6", rule: Rule{CIDR: pfx("2000::/3")}, more: func(s *Survey) { s.Nodes[0].V6 = addr("2001:db8::10") }, want: "high public-port"},
		{name: "an IPv4 address that is not known, an IPv6 one that is", rule: world, more: func(s *Survey) { s.Nodes[0] = AuditNode{V6: addr("2001:db8::10"), Groups: []string{nodeGroup}} }, want: "low public-port"},
		{name: "the public address is not known", rule: world, more: func(s *Survey) { s.Nodes[0].Public4, s.Nodes[0].Unclear = netip.Addr{}, true }, want: "high public-port"},
		{name: "a public rule, a private node", rule: world, more: func(s *Survey) { s.Nodes[0].Public4 = netip.Addr{} }, want: "medium public-port"},
		{name: "by IPv6, and it is not known whether a node has any", rule: Rule{CIDR: pfx("::/0")}, more: func(s *Survey) { s.Nodes[0].Unclear = true }, want: "high public-port"},
		{name: "of nodes nothing is known", rule: world, more: func(s *Survey) { s.Nodes[0] = AuditNode{Groups: []string{nodeGroup}, Unclear: true} }, want: "high public-port"},
		{name: "a cluster without nodes, or a group that is on no interface", rule: world, more: func(s *Survey) { s.Nodes = nil }, want: "low public-port"},
		{name: "a cluster without nodes, another's group", rule: world, more: func(s *Survey) { s.Nodes, s.Groups[0].Cluster = nil, false }},
		{name: "a range of ports", rule: port(world, "tcp", 20, 25), want: "high public-port-range"},
		{name: "a range up to the port", rule: port(world, "tcp", 21, 22), want: "high public-port-range"},
		{name: "a range from the port on", rule: port(world, "tcp", 22, 23), want: "high public-port-range"},
		{name: "port 0", rule: port(world, "tcp", 0, 0)},
		{name: "a private /16 and its neighbour", rule: Rule{CIDR: pfx("192.168.0.0/15")}, want: "medium wide-source"},
		{name: "a range beside the port", rule: port(world, "tcp", 23, 25)},
		{name: "another protocol", rule: port(world, "udp", 22, 22)},
		{name: "all traffic", rule: port(world, "-1", -1, -1), want: "high public-all-traffic"},
		{name: "tcp by number", rule: port(world, "6", 22, 22), want: "high public-port-range"},
		{name: "a narrow list", rule: Rule{PrefixList: teamList}, more: func(s *Survey) { s.Lists = []PrefixList{list("192.0.2.0/24")} }},
		{name: "a list with the world in it", rule: Rule{PrefixList: teamList}, more: func(s *Survey) { s.Lists = []PrefixList{list("192.0.2.0/24", "0.0.0.0/0")} }, want: "high public-prefix-list"},
		{name: "257 networks of /16", rule: Rule{PrefixList: teamList}, more: func(s *Survey) { s.Lists = []PrefixList{list(many("3.0.0.0/16", 257)...)} }, want: "high public-prefix-list"},
		{name: "256 networks of /16, some twice", rule: Rule{PrefixList: teamList}, more: func(s *Survey) {
			s.Lists = []PrefixList{list(append(many("3.0.0.0/16", 256), "3.0.0.0/16", "3.4.5.0/24", "2a00::/16")...)}
		}, want: "medium wide-source"},
		{name: "two IPv6 networks of /16", rule: Rule{PrefixList: teamList}, more: func(s *Survey) {
			s.Lists, s.Nodes[0].V6 = []PrefixList{list("2a00::/16", "2a01::/16")}, addr("2001:db8::10")
		}, want: "high public-prefix-list"},
		{name: "the world in halves", rule: Rule{PrefixList: teamList}, more: func(s *Survey) { s.Lists = []PrefixList{list("0.0.0.0/1", "128.0.0.0/1")} }, want: "high public-prefix-list"},
		{name: "a wide list", rule: Rule{PrefixList: teamList}, more: func(s *Survey) { s.Lists = []PrefixList{list("192.0.0.0/9")} }, want: "medium wide-source"},
		{name: "a list of the private networks", rule: Rule{PrefixList: teamList}, more: func(s *Survey) { s.Lists = []PrefixList{list("10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16")} }, want: "low wide-source"},
		{name: "all private networks beside the widest that is not public", rule: Rule{PrefixList: teamList}, more: func(s *Survey) {
			s.Lists = []PrefixList{list("3.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "172.16.0.0/12", "192.168.0.0/16", "2a00::/16", "fd00::/8", "fc00::/7")}
		}, want: "medium wide-source"},
		{name: "private networks beside what is public together", rule: Rule{PrefixList: teamList}, more: func(s *Survey) { s.Lists = []PrefixList{list("10.0.0.0/8", "3.0.0.0/8", "4.0.0.0/16")} }, want: "high public-prefix-list"},
		{name: "a list with a private network and the world", rule: Rule{PrefixList: teamList}, more: func(s *Survey) { s.Lists = []PrefixList{list("10.0.0.0/8", "0.0.0.0/0")} }, want: "high public-prefix-list"},
		{name: "a list with a network around a private one", rule: Rule{PrefixList: teamList}, more: func(s *Survey) { s.Lists = []PrefixList{list("10.0.0.0/7", "10.0.0.0/8")} }, want: "high public-prefix-list"},
		{name: "a list of the private networks of IPv6", rule: Rule{PrefixList: teamList}, more: func(s *Survey) {
			s.Lists, s.Nodes[0].V6 = []PrefixList{list("fc00::/7", "fc00::/8", "fd00::/8")}, addr("2001:db8::10")
		}, want: "low wide-source"},
		{name: "the private networks of IPv6", rule: Rule{CIDR: pfx("fc00::/7")}, want: "low wide-source"},
		{name: "a network around a private one", rule: Rule{CIDR: pfx("10.0.0.0/7")}, want: "high public-port"},
		{name: "a list that was not read", rule: Rule{PrefixList: teamList}, want: "medium prefix-list-unresolved"},
		{name: "a list without entries read", rule: Rule{PrefixList: teamList}, more: func(s *Survey) { s.Lists = []PrefixList{{ID: teamList, Unread: true}} }, want: "medium prefix-list-unresolved"},
		{name: "no source at all", rule: Rule{}, want: "medium source-unreadable"},
		{name: "no protocol", rule: Rule{CIDR: world.CIDR, Protocol: none}, want: "high public-port-range"},
		{name: "no end of the ports", rule: port(world, "tcp", -1, -1), want: "high public-port-range"},
		{name: "the cluster's own group", rule: Rule{SourceGroup: nodeGroup}},
		{name: "another group", rule: Rule{SourceGroup: otherGroup}, want: "low group-reference"},
		{name: "held", rule: managed(key, now)},
		{name: "held by one who is gone, too", rule: managed(key, now, LeasePrefix+"AIDABOB-b", ended), want: "info lease-ended"},
		{name: "held by nobody", rule: managed(key, ended), want: "low rule-abandoned, info lease-ended"},
		{name: "ended a moment ago", rule: managed(key, FormatLease(t0.Add(-time.Minute), t0, "x")), want: "info lease-ended"},
		{name: "held by nobody, kept by an administrator", rule: managed(key, ended, ProvisionedTag, ""), want: "info lease-ended"},
		{name: "no lease", rule: managed(), want: "low rule-without-lease"},
		{name: "garbage", rule: managed(key, "garbage"), want: "medium lease-unreadable"},
		{name: "for years", rule: managed(key, FormatLease(t0.Add(MaxLease+D+time.Second), t0, "x")), want: "medium lease-too-long"},
		{name: "a strange owner", rule: managed(OwnerTag, "nobody knows", key, now), want: "low owner-strange"},
		{name: "a session that the SDK named", rule: managed(OwnerTag, "AROATEST00000001:aws-go-sdk-1763800000000000000", key, now), want: "low owner-strange"},
		{name: "a role session", rule: managed(OwnerTag, "AROATEST00000001:alice@example.com", key, now)},
		{name: "our tags on the world", rule: Rule{CIDR: pfx("0.0.0.0/0"), Tags: map[string]string{OwnerTag: "AIDAALICE00000001"}}, want: "high public-port, medium tags-on-foreign-rule"},
		{name: "a lease without an owner", rule: Rule{CIDR: pfx("198.51.100.7/32"), Tags: map[string]string{key: now}}, want: "medium tags-on-foreign-rule"},
		{name: "block off", more: func(s *Survey) { s.Block = &PublicBlock{} }, rule: Rule{CIDR: pfx("198.51.100.7/32")}, want: "medium block-public-access-off"},
		{name: "block excepts the port", more: func(s *Survey) { s.Block = &PublicBlock{Block: true, Except: [][2]int{{1, 2}, {22, 22}}} }, rule: Rule{CIDR: pfx("198.51.100.7/32")}, want: "info block-public-access-excepts-port"},
		{name: "block excepts a range", more: func(s *Survey) { s.Block = &PublicBlock{Block: true, Except: [][2]int{{20, 30}}} }, rule: Rule{CIDR: pfx("198.51.100.7/32")}, want: "low block-public-access-excepts-port"},
		{name: "block excepts another", more: func(s *Survey) { s.Block = &PublicBlock{Block: true, Except: [][2]int{{80, 80}}} }, rule: Rule{CIDR: pfx("198.51.100.7/32")}},
		{name: "a gap", more: func(s *Survey) { s.Unseen = []Unseen{{What: "X", Needs: "ec2:Y"}} }, rule: Rule{CIDR: pfx("198.51.100.7/32")}, want: "medium not-looked-at"},
		{name: "nearly full", more: func(s *Survey) { s.Quota = 1 }, rule: Rule{CIDR: pfx("198.51.100.7/32")}, want: "medium quota-full"},
		{name: "a list weighs what it may hold", more: func(s *Survey) { s.Quota, s.Lists = 6, []PrefixList{list("192.0.2.0/24")} }, rule: Rule{PrefixList: teamList}, want: "low quota-near"},
		{name: "a group that is nowhere", more: func(s *Survey) { s.Nodes[0].Groups = []string{otherGroup} }, rule: managed(key, now), want: "medium group-not-on-node"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			s := surveyOf(tt.rule)
			if tt.more != nil {
				tt.more(&s)
			}
			got := Audit(s)
			if text := strings.Join(ids(got), ", "); text != tt.want {
				t.Errorf("findings %q, want %q", text, tt.want)
			}
			if alarming := strings.Contains(tt.want, "high") || strings.Contains(tt.want, "medium") || strings.Contains(tt.want, "low"); got.Alarming() != alarming {
				t.Errorf("alarming %v", got.Alarming())
			}
			for _, f := range got.Findings {
				if f.Text == "" || f.Remedy == "" || f.Resources == nil {
					t.Errorf("%+v", f)
				}
			}
		})
	}
}

func TestAuditGauge(t *testing.T) {
	s := surveyOf(Rule{CIDR: pfx("198.51.100.7/32")}, Rule{CIDR: pfx("2001:db8::/64")}, Rule{SourceGroup: otherGroup}, Rule{PrefixList: teamList}, Rule{PrefixList: "pl-aws"}, Rule{PrefixList: "pl-unknown"})
	s.Lists = []PrefixList{{ID: teamList, MaxEntries: 20, IPv6: true}, {ID: "pl-aws", AWS: true, MaxEntries: 50}}
	s.Groups = append(s.Groups, AuditGroup{ID: "sg-free", Cluster: true, Rules: []Rule{{CIDR: pfx("198.51.100.7/32")}}}, AuditGroup{ID: "sg-empty"}, AuditGroup{ID: otherGroup, Cluster: true, Members: []AuditMember{member("i-2", "10.0.0.2")}})
	s.Nodes = append(s.Nodes, AuditNode{Groups: []string{"sg-empty"}})
	got := Audit(s).Quota
	// The group that is only referred to has not been read: it is not empty.
	if want := []Gauge{{Group: nodeGroup, IPv4: 4, IPv6: 24, Limit: 60, From: "a test"}, {Group: "sg-empty", Limit: 60, From: "a test"}, {Group: "sg-free", IPv4: 1, Limit: 60, From: "a test"}}; !slices.Equal(got, want) {
		t.Errorf("%+v", got)
	}
}

func TestAuditAdmission(t *testing.T) {
	s := surveyOf(Rule{CIDR: pfx("203.0.113.200/32")}, Rule{CIDR: pfx("203.0.113.0/24"), Protocol: "tcp", FromPort: 22, ToPort: 22},
		Rule{CIDR: pfx("203.0.113.0/24"), Protocol: "-1", FromPort: -1, ToPort: -1}, Rule{CIDR: pfx("0.0.0.0/0"), Protocol: "tcp", FromPort: 80, ToPort: 80},
		Rule{PrefixList: teamList}, Rule{SourceGroup: otherGroup})
	s.Lists = []PrefixList{{ID: teamList, Entries: pfxs("192.0.2.0/30", "192.0.2.0/24")}}
	s.Groups = append(s.Groups, AuditGroup{ID: otherGroup, Members: []AuditMember{{Name: "i-2", Addrs: []netip.Addr{addr("10.0.0.2")}}}})
	for from, want := range map[string]string{
		"203.0.113.200": "sgr-c sgr-b sgr-a", "203.0.113.5": "sgr-c sgr-b", "192.0.2.200": "sgr-e", "10.0.0.2": "sgr-f", "10.0.0.3": "", "::ffff:192.0.2.1": "sgr-e", "2001:db8::1": "",
	} {
		s.From = addr(from)
		got := Audit(s).From
		if text := strings.Join(got.Rules, " "); text != want || got.Admits != (want != "") || got.Why == "" {
			t.Errorf("%s: %+v, want %s", from, got, want)
		}
	}
	// What admits the address counts, not what else a list holds.
	both := surveyOf(Rule{PrefixList: teamList}, Rule{CIDR: pfx("192.0.2.0/24")})
	both.Lists, both.From = []PrefixList{{ID: teamList, Entries: pfxs("198.51.0.0/16", "192.0.2.200/32")}}, addr("192.0.2.200")
	if got := Audit(both).From.Rules; !slices.Equal(got, []string{"sgr-b", "sgr-a"}) {
		t.Errorf("%v", got)
	}
	s.From, s.Nodes[0].Public4 = addr("203.0.113.5"), netip.Addr{}
	if why := Audit(s).From.Why; !strings.Contains(why, "No node has an address") {
		t.Error(why)
	}
	s.From = addr("192.0.2.200")
	s.Lists[0] = PrefixList{ID: teamList, Unread: true}
	if got := Audit(s).From; got.Admits || !strings.Contains(got.Why, "not everything could be read") {
		t.Errorf("%+v", got)
	}
}

// An audit neither depends on the order of what it is given, nor changes it; it says that an address is
// admitted exactly when a rule of a group on a node does; and every rule that opens the port to the world is
// a finding.
func TestAuditProperties(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		d := rapidDraw(rt)
		s := randomSurvey(d)
		got := Audit(s)
		shuffled := s
		shuffled.Nodes, shuffled.Groups = reversed(s.Nodes), reversed(s.Groups)
		for i, g := range shuffled.Groups {
			shuffled.Groups[i].Rules, shuffled.Groups[i].Members = reversed(g.Rules), reversed(g.Members)
		}
		shuffled.Lists, shuffled.Unseen = reversed(s.Lists), reversed(s.Unseen)
		for i, l := range shuffled.Lists {
			shuffled.Lists[i].Entries = reversed(l.Entries)
		}
		if again := Audit(shuffled); !reflect.DeepEqual(got, again) {
			rt.Fatalf("another order, another answer:\n%+v\n%+v", got, again)
		}
		public := map[string]bool{}
		for _, f := range got.Findings {
			if strings.HasPrefix(f.ID, "public-") {
				public[f.Resources[0]] = true
			}
		}
		var by []string
		for _, g := range s.Groups {
			if !slices.ContainsFunc(s.Nodes, func(n AuditNode) bool { return slices.Contains(n.Groups, g.ID) }) && (len(s.Nodes) > 0 || !g.Cluster) {
				continue
			}
			for _, r := range g.Rules {
				opens := r.Protocol == "-1" || r.Protocol == "tcp" && r.FromPort <= s.Port && s.Port <= r.ToPort
				sources := []netip.Prefix{r.CIDR}
				for _, l := range s.Lists {
					if l.ID == r.PrefixList {
						sources = l.Entries
					}
				}
				if !opens {
					continue
				}
				if slices.ContainsFunc(sources, func(p netip.Prefix) bool { return p.IsValid() && p.Bits() == 0 }) && !public[r.ID] {
					rt.Fatalf("%+v is open to everybody, and no finding says so: %v", r, got.Findings)
				}
				if slices.ContainsFunc(sources, func(p netip.Prefix) bool { return p.IsValid() && p.Contains(s.From) }) {
					by = append(by, r.ID)
				}
			}
		}
		said := slices.Clone(got.From.Rules)
		slices.Sort(by)
		slices.Sort(said)
		if !slices.Equal(by, said) || got.From.Admits != (len(by) > 0) {
			rt.Fatalf("%s is admitted by %v, said %v", s.From, by, said)
		}
	})
}

func reversed[T any](in []T) []T {
	out := slices.Clone(in)
	slices.Reverse(out)
	return out
}

// randomSurvey is a cluster with rules of every kind, from the generator of the planner's tests and beyond.
func randomSurvey(d draw) Survey {
	s := Survey{Port: 22, Now: t0, Quota: 8, QuotaFrom: "a test", From: randomPrefix(d).Addr()}
	names := []string{nodeGroup, otherGroup}
	for i, id := range names {
		w := newWorld()
		randomRules(d, w)
		g := AuditGroup{ID: id, Cluster: i == 0}
		for _, r := range w.view().Rules {
			r.ID, r.Group = r.ID+string(rune('a'+i)), id
			switch d(6) {
			case 0:
				r.CIDR, r.PrefixList = netip.Prefix{}, teamList
			case 1:
				r.CIDR, r.SourceGroup = pfx([]string{"0.0.0.0/0", "::/0"}[d(2)]), ""
			}
			g.Rules = append(g.Rules, r)
		}
		s.Groups = append(s.Groups, g)
	}
	for i := range d(3) {
		n := AuditNode{Instance: string(rune('x' + i)), Role: []string{"primary", "core"}[d(2)], Groups: names[:1+d(2)]}
		if d(2) == 0 {
			n.Public4, n.V6 = addr("203.0.113.10"), addr("2001:db8::10")
		}
		s.Nodes = append(s.Nodes, n)
	}
	if d(2) == 0 {
		l := PrefixList{ID: teamList, MaxEntries: d(10)}
		for range d(4) {
			l.Entries = append(l.Entries, randomPrefix(d))
		}
		s.Lists = []PrefixList{l}
	}
	if d(3) == 0 {
		s.Block = &PublicBlock{Block: d(2) == 0, Except: [][2]int{{22, 22}}}
	}
	return s
}
