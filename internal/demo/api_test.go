package demo_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/emr-accessd/emr-accessd/internal/awssim"
	"github.com/emr-accessd/emr-accessd/internal/demo"
)

func samePrefix() cmp.Option { return cmp.Comparer(func(a, b netip.Prefix) bool { return a == b }) }

// answer wraps rules as EC2 does.
func answer(items string) string {
	return `<DescribeSecurityGroupRulesResponse xmlns="http://ec2.amazonaws.com/doc/2016-11-15/"><requestId>r</requestId>` +
		`<securityGroupRuleSet>` + items + `</securityGroupRuleSet></DescribeSecurityGroupRulesResponse>`
}

const good = `<item><securityGroupRuleId>sgr-1</securityGroupRuleId><groupId>sg-1</groupId><isEgress>false</isEgress><ipProtocol>tcp</ipProtocol>` +
	`<fromPort>22</fromPort><toPort>23</toPort><cidrIpv4>203.0.113.0/28</cidrIpv4><description>d</description>` +
	`<tagSet><item><key>k</key><value>v</value></item></tagSet></item>`

func TestParseRules(t *testing.T) {
	edit := func(from, to string) string { return answer(strings.Replace(good, from, to, 1)) }
	rule := demo.Rule{ID: "sgr-1", Group: "sg-1", Protocol: "tcp", FromPort: 22, ToPort: 23, CIDR: netip.MustParsePrefix("203.0.113.0/28"),
		Description: "d", Tags: map[string]string{"k": "v"}}
	tests := []struct {
		name, body string
		want       []demo.Rule
		err        string
	}{
		{"one", answer(good), []demo.Rule{rule}, ""},
		{"none", answer(""), nil, ""},
		{"HTML", "<html><body>sign in</body></html>", nil, "no list of rules"},
		{"empty", "", nil, "no list of rules"},
		{"cut", answer(good)[:300], nil, "no list of rules"},
		{"another answer", strings.ReplaceAll(answer(good), "DescribeSecurityGroupRules", "DescribeSecurityGroups"), nil, "no list of rules"},
		{"no direction", edit("<isEgress>false</isEgress>", ""), nil, "without id, group, protocol or direction"},
		{"no protocol", edit("tcp", ""), nil, "without id, group, protocol or direction"},
		{"no source", edit("<cidrIpv4>203.0.113.0/28</cidrIpv4>", ""), nil, "0 sources"},
		{"two sources", edit("<description>", "<prefixListId>pl-1</prefixListId><description>"), nil, "2 sources"},
		{"host bits", edit("203.0.113.0/28", "203.0.113.1/28"), nil, "has the source"},
		{"no CIDR", edit("203.0.113.0/28", "everywhere"), nil, "has the source"},
		{"other family", edit("203.0.113.0/28", "::/0"), nil, "has the source"},
		{"port no number", edit("22", "ssh"), nil, "no list of rules"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, _, err := demo.ParseRules([]byte(tt.body))
			if tt.err == "" && err != nil || tt.err != "" && (err == nil || !strings.Contains(err.Error(), tt.err)) {
				t.Fatalf("error %v, want %q", err, tt.err)
			}
			if diff := cmp.Diff(tt.want, got, samePrefix()); diff != "" {
				t.Errorf("rules (-want +got):\n%s", diff)
			}
		})
	}
}

// Whatever comes, no rule comes out that was not written in full: one source, canonical, with a direction.
func FuzzParseRules(f *testing.F) {
	f.Add([]byte(answer(good)))
	f.Add([]byte(answer(good + good)))
	f.Add([]byte("<html>"))
	f.Fuzz(func(t *testing.T, body []byte) {
		rules, _, err := demo.ParseRules(body)
		if err != nil && rules != nil {
			t.Errorf("rules together with the error %v", err)
		}
		for _, r := range rules {
			sources := 0
			for _, set := range []bool{r.CIDR.IsValid(), r.SourceGroup != "", r.PrefixList != ""} {
				if set {
					sources++
				}
			}
			if sources != 1 || r.ID == "" || r.Protocol == "" || r.CIDR != r.CIDR.Masked() {
				t.Errorf("rule %+v", r)
			}
		}
	})
}

// Every kind of rule comes through the simulated AWS as it is in truth, over as many pages as it takes.
func TestRead(t *testing.T) {
	sim := awssim.New(awssim.Options{Region: "eu-west-1", RuleQuota: 3000})
	server := httptest.NewServer(sim)
	defer server.Close()
	vpc := sim.AddVPC(false)
	a, b := sim.AddGroup(vpc, "a", "a"), sim.AddGroup(vpc, "b", "b")
	for i := range 1500 {
		sim.AddRule(a, awssim.RuleSpec{FromPort: i, ToPort: i, CIDR: "203.0.113.7/32"})
	}
	sim.AddRule(a, awssim.RuleSpec{Protocol: "-1", CIDR: "2001:db8::/64", Description: "d", Tags: map[string]string{"k": "v"}})
	sim.AddRule(a, awssim.RuleSpec{FromPort: 0, ToPort: 65535, SourceGroup: b})
	sim.AddRule(b, awssim.RuleSpec{FromPort: 22, ToPort: 22, CIDR: "0.0.0.0/0"})
	got, err := demo.Read(t.Context(), server.URL, a)
	if err != nil {
		t.Fatal(err)
	}
	ingress := map[string]demo.Rule{}
	for _, r := range got {
		if !r.Egress {
			ingress[r.ID] = r
		}
	}
	truth := sim.Rules(a)
	if len(ingress) != len(truth) || len(got) != len(truth)+1 {
		t.Fatalf("%d ingress rules of %d, %d in all; a group has one egress rule", len(ingress), len(truth), len(got))
	}
	for _, want := range truth {
		r := ingress[want.ID]
		cidr := ""
		if r.CIDR.IsValid() {
			cidr = r.CIDR.String()
		}
		spec := awssim.RuleSpec{Protocol: r.Protocol, FromPort: r.FromPort, ToPort: r.ToPort, CIDR: cidr, SourceGroup: r.SourceGroup,
			PrefixList: r.PrefixList, Description: r.Description, Tags: r.Tags}
		if diff := cmp.Diff(want.RuleSpec, spec); diff != "" {
			t.Errorf("rule %s (-want +got):\n%s", want.ID, diff)
		}
	}
}

func TestReadErrors(t *testing.T) {
	tests := []struct {
		name   string
		status int
		body   string
		err    string
	}{
		{"refused", 403, "<Response><Errors><Error><Code>UnauthorizedOperation</Code></Error></Errors></Response>", "UnauthorizedOperation"},
		{"broken", 503, "busy", "status 503"},
		{"no rules", 200, "<html>", "no list of rules"},
		{"huge", 200, strings.Repeat("x", 5<<20), "longer than"},
		{"endless", 200, strings.Replace(answer(good), "</securityGroupRuleSet>", "</securityGroupRuleSet><nextToken>n</nextToken>", 1), "pages"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				w.WriteHeader(tt.status)
				_, _ = io.WriteString(w, tt.body)
			}))
			defer server.Close()
			rules, err := demo.Read(t.Context(), server.URL, "sg-1")
			if err == nil || !strings.Contains(err.Error(), tt.err) || rules != nil {
				t.Errorf("rules %v, error %v, want %q", rules, err, tt.err)
			}
		})
	}
}
