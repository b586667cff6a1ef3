package awsclient_test

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/emr-accessd/emr-accessd/internal/awsclient"
	"github.com/emr-accessd/emr-accessd/internal/sgsync"
)

var samePrefix = cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })

// page is an answer of DescribeSecurityGroupRules.
func page(next string, items ...string) answer {
	return xmlAnswer("<DescribeSecurityGroupRulesResponse><securityGroupRuleSet>" + strings.Join(items, "") +
		"</securityGroupRuleSet><nextToken>" + next + "</nextToken></DescribeSecurityGroupRulesResponse>")
}

// item is a rule in such an answer.
func item(n int, inner string) string {
	return fmt.Sprintf("<item><securityGroupRuleId>sgr-%017x</securityGroupRuleId><groupId>%s</groupId>%s</item>", n, testGroup, inner)
}

const tcp22 = "<isEgress>false</isEgress><ipProtocol>tcp</ipProtocol><fromPort>22</fromPort><toPort>22</toPort>"

func TestRules(t *testing.T) {
	web := newCanned()
	client := open(t, web)
	web.on("DescribeSecurityGroupRules",
		page("more",
			item(1, tcp22+"<cidrIpv4>192.0.2.7/32</cidrIpv4><description>d</description><tagSet><item><key>k</key><value>v</value></item><item><key>e</key><value/></item></tagSet>"),
			item(2, "<isEgress>true</isEgress><ipProtocol>-1</ipProtocol><cidrIpv4>0.0.0.0/0</cidrIpv4>"),
			item(3, tcp22+"<cidrIpv4>192.0.2.77/24</cidrIpv4>"),
			item(4, tcp22+"<cidrIpv6>2001:0DB8:0:0::2/64</cidrIpv6>"),
			item(5, "<ipProtocol>-1</ipProtocol><fromPort>-1</fromPort><toPort>-1</toPort><referencedGroupInfo><groupId>sg-00000001</groupId></referencedGroupInfo>"),
		),
		page("",
			item(1, tcp22+"<cidrIpv4>192.0.2.8/32</cidrIpv4>"), // again: it moved while the pages were read
			item(6, "<ipProtocol>6</ipProtocol><fromPort>0</fromPort><toPort>65535</toPort><prefixListId>pl-1</prefixListId>"),
			item(7, tcp22+"<cidrIpv4>everywhere</cidrIpv4>"),
			item(8, tcp22+"<cidrIpv4>192.0.2.0/24</cidrIpv4><cidrIpv6>2001:db8::/32</cidrIpv6>"),
			item(10, "<ipProtocol>17</ipProtocol>"), item(11, "<ipProtocol>1</ipProtocol>"), item(12, "<ipProtocol>50</ipProtocol>"), item(13, "<ipProtocol>58</ipProtocol>"),
			item(9, "<ipProtocol>icmpv6</ipProtocol><cidrIpv6>::/0</cidrIpv6>"),
		))
	view, err := client.Rules(t.Context(), testGroup)
	if err != nil {
		t.Fatal(err)
	}
	rule := func(n int, proto string, from, to int, cidr string) sgsync.Rule {
		r := sgsync.Rule{ID: fmt.Sprintf("sgr-%017x", n), Group: testGroup, Protocol: proto, FromPort: from, ToPort: to, Tags: map[string]string{}}
		if cidr != "" {
			r.CIDR = netip.MustParsePrefix(cidr)
		}
		return r
	}
	want := []sgsync.Rule{
		rule(1, "tcp", 22, 22, "192.0.2.7/32"), rule(3, "tcp", 22, 22, "192.0.2.0/24"), rule(4, "tcp", 22, 22, "2001:db8::/64"),
		rule(5, "-1", -1, -1, ""), rule(6, "tcp", 0, 65535, ""), rule(7, "tcp", 22, 22, ""), rule(8, "tcp", 22, 22, ""),
		rule(10, "udp", -1, -1, ""), rule(11, "icmp", -1, -1, ""), rule(12, "50", -1, -1, ""), rule(13, "icmpv6", -1, -1, ""), rule(9, "icmpv6", -1, -1, "::/0"),
	}
	want[0].Description, want[0].Tags = "d", map[string]string{"k": "v", "e": ""}
	want[3].SourceGroup, want[4].PrefixList = "sg-00000001", "pl-1"
	if diff := cmp.Diff(want, view.Rules, samePrefix); diff != "" {
		t.Error(diff)
	}
	if view.Sent != view.Sent.Round(0) || view.AWS != view.AWS.Round(0) { // a bubble's clock has none to lose
		t.Errorf("a time of the view has a monotonic reading: %v, %v", view.Sent, view.AWS)
	}
	if view.Group != testGroup {
		t.Errorf("group %q", view.Group)
	}
	first, second := web.sent[1].form, web.sent[2].form
	if first.Get("Filter.1.Name") != "group-id" || first.Get("Filter.1.Value.1") != testGroup || first.Get("Filter.2.Name") != "" ||
		first.Get("MaxResults") != "1000" || first.Get("NextToken") != "" || second.Get("NextToken") != "more" {
		t.Errorf("sent %v, then %v", first, second)
	}
}

func TestRulesRefusesAnotherGroup(t *testing.T) {
	web := newCanned()
	client := open(t, web)
	web.on("DescribeSecurityGroupRules", page("", strings.Replace(item(1, tcp22), testGroup, "sg-99999999", 1)))
	_, err := client.Rules(t.Context(), testGroup)
	wantKind(t, err, awsclient.Server)
}

func TestRulesEnds(t *testing.T) {
	web := newCanned()
	client := open(t, web)
	web.on("DescribeSecurityGroupRules", page("again", item(1, tcp22)))
	_, err := client.Rules(t.Context(), testGroup)
	wantKind(t, err, awsclient.Server)
}

func TestRulesByTag(t *testing.T) {
	web := newCanned()
	client := open(t, web)
	tagged := tcp22 + "<tagSet><item><key>emr-accessd-lease-AROA:x-1</key><value>v</value></item></tagSet>"
	web.on("DescribeSecurityGroupRules", page("", item(1, tagged), item(2, tcp22), item(3, strings.Replace(tagged, "false", "true", 1))))
	view, err := client.RulesByTag(t.Context(), "emr-accessd-lease-AROA:x-1")
	if err != nil {
		t.Fatal(err)
	}
	if len(view.Rules) != 1 || view.Rules[0].ID != "sgr-00000000000000001" || view.Group != "" {
		t.Errorf("got %+v", view)
	}
	if f := web.last(t).form; f.Get("Filter.1.Name") != "tag:emr-accessd-lease-AROA:x-1" || f.Get("Filter.1.Value.1") != "*" {
		t.Errorf("sent %v", f)
	}
}

// TestViewClocks: AWS's clock is the first page's Date, the laptop's is from before the first attempt.
func TestViewClocks(t *testing.T) {
	staticKeys(t)
	synctest.Test(t, func(t *testing.T) {
		web := newCanned()
		client := openOn(t, web)
		aws := time.Date(2026, 11, 22, 10, 4, 5, 0, time.UTC)
		first, second := page("more", item(1, tcp22)), page("", item(2, tcp22))
		first.date, second.date = aws, aws.Add(time.Hour)
		web.on("DescribeSecurityGroupRules", ec2Error(503, "Unavailable", "later"), first, second)
		before := time.Now()
		view, err := client.Rules(t.Context(), testGroup)
		if err != nil {
			t.Fatal(err)
		}
		if !time.Now().After(before) {
			t.Fatal("there was no pause before the second attempt: the test proves nothing")
		}
		if !view.AWS.Equal(aws) {
			t.Errorf("AWS = %v, want %v", view.AWS, aws)
		}
		if !view.Sent.Equal(before) {
			t.Errorf("Sent = %v, want %v", view.Sent, before)
		}

		web.on("DescribeSecurityGroupRules", page(""))
		view, err = client.Rules(t.Context(), testGroup)
		if err != nil || !view.AWS.Equal(time.Now()) || len(view.Rules) != 0 {
			t.Errorf("without a Date header: %+v, %v", view, err)
		}
	})
}
