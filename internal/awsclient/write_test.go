package awsclient_test

import (
	"net/http"
	"net/netip"
	"net/url"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/emr-accessd/emr-accessd/internal/awsclient"
	"github.com/emr-accessd/emr-accessd/internal/sgsync"
)

func goodRule() sgsync.NewRule {
	return sgsync.NewRule{
		Port: 22, CIDR: netip.MustParsePrefix("192.0.2.7/32"), Description: "emr-accessd alice@laptop",
		Tags: map[string]string{"emr-accessd-owner": "AIDATEST", "a": ""},
	}
}

// hanging answers GetCallerIdentity until hang is set; then nothing but the end of the context.
type hanging struct {
	hang bool
	n    int
}

func (h *hanging) Do(req *http.Request) (*http.Response, error) {
	if !h.hang {
		return newCanned().Do(req)
	}
	h.n++
	<-req.Context().Done()
	return nil, req.Context().Err()
}

func openOn(t *testing.T, d awsclient.Doer) *awsclient.Client {
	t.Helper()
	client, err := awsclient.Open(t.Context(), awsclient.Options{HTTPClient: d})
	if err != nil {
		t.Fatal(err)
	}
	return client
}

// TestWriteRequests compares what goes over the wire: one rule a call, by id, with all its parts.
func TestWriteRequests(t *testing.T) {
	const ok = `<XResponse><return>true</return></XResponse>`
	answered := func(cidr string) answer {
		return xmlAnswer(`<AuthorizeSecurityGroupIngressResponse><return>true</return><securityGroupRuleSet><item><securityGroupRuleId>` + testRule +
			`</securityGroupRuleId><groupId>` + testGroup + `</groupId><isEgress>false</isEgress><ipProtocol>tcp</ipProtocol><fromPort>22</fromPort><toPort>22</toPort>` + cidr +
			`<description>emr-accessd alice@laptop</description><tagSet><item><key>a</key><value></value></item></tagSet></item></securityGroupRuleSet></AuthorizeSecurityGroupIngressResponse>`)
	}
	six := goodRule()
	six.CIDR, six.Description, six.Tags = netip.MustParsePrefix("2001:db8::7/128"), "", nil
	tests := []struct {
		name string
		a    answer
		call func(*awsclient.Client) error
		want url.Values
	}{
		{"authorize", answered("<cidrIpv4>192.0.2.7/32</cidrIpv4>"), func(c *awsclient.Client) error {
			got, err := c.Authorize(t.Context(), testGroup, goodRule())
			want := sgsync.Rule{
				ID: testRule, Group: testGroup, Protocol: "tcp", FromPort: 22, ToPort: 22, CIDR: goodRule().CIDR,
				Description: "emr-accessd alice@laptop", Tags: map[string]string{"a": ""},
			}
			if diff := cmp.Diff(want, got, cmp.Comparer(func(a, b netip.Prefix) bool { return a == b })); diff != "" {
				t.Error(diff)
			}
			return err
		}, url.Values{
			"Action": {"AuthorizeSecurityGroupIngress"}, "GroupId": {testGroup},
			"IpPermissions.1.IpProtocol": {"tcp"}, "IpPermissions.1.FromPort": {"22"}, "IpPermissions.1.ToPort": {"22"},
			"IpPermissions.1.IpRanges.1.CidrIp": {"192.0.2.7/32"}, "IpPermissions.1.IpRanges.1.Description": {"emr-accessd alice@laptop"},
			"TagSpecification.1.ResourceType": {"security-group-rule"},
			"TagSpecification.1.Tag.1.Key":    {"a"}, "TagSpecification.1.Tag.1.Value": {""},
			"TagSpecification.1.Tag.2.Key": {"emr-accessd-owner"}, "TagSpecification.1.Tag.2.Value": {"AIDATEST"},
		}},
		{"authorize IPv6, no tags", answered("<cidrIpv6>2001:db8::7/128</cidrIpv6>"), func(c *awsclient.Client) error {
			_, err := c.Authorize(t.Context(), testGroup, six)
			return err
		}, url.Values{
			"Action": {"AuthorizeSecurityGroupIngress"}, "GroupId": {testGroup},
			"IpPermissions.1.IpProtocol": {"tcp"}, "IpPermissions.1.FromPort": {"22"}, "IpPermissions.1.ToPort": {"22"},
			"IpPermissions.1.Ipv6Ranges.1.CidrIpv6": {"2001:db8::7/128"}, "IpPermissions.1.Ipv6Ranges.1.Description": {""},
		}},
		{"modify", xmlAnswer(ok), func(c *awsclient.Client) error { return c.Modify(t.Context(), testGroup, testRule, goodRule()) }, url.Values{
			"Action": {"ModifySecurityGroupRules"}, "GroupId": {testGroup}, "SecurityGroupRule.1.SecurityGroupRuleId": {testRule},
			"SecurityGroupRule.1.SecurityGroupRule.IpProtocol": {"tcp"}, "SecurityGroupRule.1.SecurityGroupRule.FromPort": {"22"},
			"SecurityGroupRule.1.SecurityGroupRule.ToPort": {"22"}, "SecurityGroupRule.1.SecurityGroupRule.CidrIpv4": {"192.0.2.7/32"},
			"SecurityGroupRule.1.SecurityGroupRule.Description": {"emr-accessd alice@laptop"},
		}},
		{"modify IPv6, no description", xmlAnswer(ok), func(c *awsclient.Client) error { return c.Modify(t.Context(), testGroup, testRule, six) }, url.Values{
			"Action": {"ModifySecurityGroupRules"}, "GroupId": {testGroup}, "SecurityGroupRule.1.SecurityGroupRuleId": {testRule},
			"SecurityGroupRule.1.SecurityGroupRule.IpProtocol": {"tcp"}, "SecurityGroupRule.1.SecurityGroupRule.FromPort": {"22"},
			"SecurityGroupRule.1.SecurityGroupRule.ToPort": {"22"}, "SecurityGroupRule.1.SecurityGroupRule.CidrIpv6": {"2001:db8::7/128"},
			"SecurityGroupRule.1.SecurityGroupRule.Description": {""},
		}},
		{"revoke", xmlAnswer(ok), func(c *awsclient.Client) error { return c.Revoke(t.Context(), testGroup, testRule) }, url.Values{
			"Action": {"RevokeSecurityGroupIngress"}, "GroupId": {testGroup}, "SecurityGroupRuleId.1": {testRule},
		}},
		{"tag", xmlAnswer(ok), func(c *awsclient.Client) error { return c.Tag(t.Context(), testRule, "k", "v") }, url.Values{
			"Action": {"CreateTags"}, "ResourceId.1": {testRule}, "Tag.1.Key": {"k"}, "Tag.1.Value": {"v"},
		}},
		{"untag", xmlAnswer(ok), func(c *awsclient.Client) error { return c.Untag(t.Context(), testRule, "k", "v") }, url.Values{
			"Action": {"DeleteTags"}, "ResourceId.1": {testRule}, "Tag.1.Key": {"k"}, "Tag.1.Value": {"v"},
		}},
		{"untag, empty value", xmlAnswer(ok), func(c *awsclient.Client) error { return c.Untag(t.Context(), testRule, "k", "") }, url.Values{
			"Action": {"DeleteTags"}, "ResourceId.1": {testRule}, "Tag.1.Key": {"k"}, "Tag.1.Value": {""},
		}},
	}
	web := newCanned()
	client := open(t, web)
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			web.on(tt.want.Get("Action"), tt.a)
			if err := tt.call(client); err != nil {
				t.Fatal(err)
			}
			got := web.last(t)
			got.form.Del("Version")
			if diff := cmp.Diff(tt.want, got.form); diff != "" {
				t.Error(diff)
			}
			if got.host != "ec2.eu-west-1.amazonaws.com" {
				t.Errorf("sent to %s", got.host)
			}
		})
	}
}

// TestWritesThatAreNotSent: what is not exactly one host or network, one port and one id does not reach EC2.
func TestWritesThatAreNotSent(t *testing.T) {
	with := func(edit func(*sgsync.NewRule)) sgsync.NewRule {
		r := goodRule()
		edit(&r)
		return r
	}
	bodies := map[string]sgsync.NewRule{
		"no source":      with(func(r *sgsync.NewRule) { r.CIDR = netip.Prefix{} }),
		"not canonical":  with(func(r *sgsync.NewRule) { r.CIDR = netip.MustParsePrefix("192.0.2.7/24") }),
		"mapped":         with(func(r *sgsync.NewRule) { r.CIDR = netip.MustParsePrefix("::ffff:192.0.2.7/128") }),
		"bad bits":       with(func(r *sgsync.NewRule) { r.CIDR = netip.PrefixFrom(netip.MustParseAddr("192.0.2.7"), 40) }),
		"port 0":         with(func(r *sgsync.NewRule) { r.Port = 0 }),
		"negative port":  with(func(r *sgsync.NewRule) { r.Port = -1 }),
		"port too large": with(func(r *sgsync.NewRule) { r.Port = 1<<32 + 22 }),
	}
	web := newCanned()
	client := open(t, web)
	before := len(web.actions())
	check := func(name string, err error) {
		t.Helper()
		if k, _ := awsclient.KindOf(err); k != awsclient.BadRequest {
			t.Errorf("%s: got %v, want a BadRequest", name, err)
		}
	}
	ctx := t.Context()
	for name, body := range bodies {
		_, err := client.Authorize(ctx, testGroup, body)
		check(name, err)
		check(name, client.Modify(ctx, testGroup, testRule, body))
	}
	for _, id := range []string{"", "sg-", "sg-123", "sgr-0123456789abcdef0", testGroup + "\n", " " + testGroup, "sg-0123456789ABCDEF0", "*"} {
		_, err := client.Authorize(ctx, id, goodRule())
		check("authorize in "+id, err)
		check("modify in "+id, client.Modify(ctx, id, testRule, goodRule()))
		check("revoke in "+id, client.Revoke(ctx, id, testRule))
		_, err = client.Rules(ctx, id)
		check("rules of "+id, err)
		_, err = client.Group(ctx, id)
		check("group "+id, err)
	}
	for _, id := range []string{"", "sgr-", testGroup, testRule + "\n", testRule + "," + testRule, "i-0123456789abcdef0"} {
		check("modify "+id, client.Modify(ctx, testGroup, id, goodRule()))
		check("revoke "+id, client.Revoke(ctx, testGroup, id))
		check("tag "+id, client.Tag(ctx, id, "k", "v"))
		check("untag "+id, client.Untag(ctx, id, "k", "v"))
	}
	check("tag without key", client.Tag(ctx, testRule, "", "v"))
	check("untag without key", client.Untag(ctx, testRule, "", "v"))
	for _, key := range []string{"", "*", "a?"} {
		_, err := client.RulesByTag(ctx, key)
		check("rules by tag "+key, err)
	}
	for _, id := range []string{"", "j-", "j-abc", "sg-123", "j-1ABCDEFGHIJKL; rm", "j-1ABCDEFGHIJKLMNOPQRSTUVW"} {
		_, err := client.Cluster(ctx, id)
		check("cluster "+id, err)
		_, err = client.Nodes(ctx, awsclient.Cluster{ID: id})
		check("nodes of "+id, err)
	}
	_, err := client.Nodes(ctx, awsclient.Cluster{ID: testCluster}, "manager")
	check("role", err)
	_, err = client.ConsoleOutput(ctx, "i-xyz", false)
	check("console", err)
	_, err = client.KeyPair(ctx, "")
	check("key pair", err)
	if got := web.actions()[before:]; len(got) != 0 {
		t.Errorf("sent %q", got)
	}
}

// TestAnswersThatAreNotBelieved: a call that "succeeded" with something else than what was asked for is no success.
func TestAnswersThatAreNotBelieved(t *testing.T) {
	rule := func(group, proto, port, cidr string) string {
		return `<item><securityGroupRuleId>` + testRule + `</securityGroupRuleId><groupId>` + group + `</groupId><ipProtocol>` + proto +
			`</ipProtocol><fromPort>` + port + `</fromPort><toPort>` + port + `</toPort><cidrIpv4>` + cidr + `</cidrIpv4></item>`
	}
	good := rule(testGroup, "tcp", "22", "192.0.2.7/32")
	web := newCanned()
	client := open(t, web)
	for name, items := range map[string]string{
		"no rule": "", "two rules": good + good, "another group": rule("sg-00000000000000000", "tcp", "22", "192.0.2.7/32"),
		"another protocol": rule(testGroup, "udp", "22", "192.0.2.7/32"), "another port": rule(testGroup, "tcp", "23", "192.0.2.7/32"),
		"another source": rule(testGroup, "tcp", "22", "0.0.0.0/0"),
	} {
		web.on("AuthorizeSecurityGroupIngress", xmlAnswer("<RResponse><return>true</return><securityGroupRuleSet>"+items+"</securityGroupRuleSet></RResponse>"))
		if _, err := client.Authorize(t.Context(), testGroup, goodRule()); err == nil {
			t.Errorf("%s: no error", name)
		} else {
			wantKind(t, err, awsclient.Server)
		}
	}
	for _, page := range []answer{{kind: "text/xml"}, {kind: "text/xml", body: "<html><body>Sign in</body></html>"}, xmlAnswer("<XResponse/>"), xmlAnswer("<XResponse></XResponse>")} {
		web.on("ModifySecurityGroupRules", page).on("RevokeSecurityGroupIngress", page)
		wantKind(t, client.Modify(t.Context(), testGroup, testRule, goodRule()), awsclient.Server)
		wantKind(t, client.Revoke(t.Context(), testGroup, testRule), awsclient.Server)
	}
	// The SDK would read all of these as an answer in which everything is missing: no rule, a tag set.
	for _, page := range []answer{{kind: "text/xml"}, {kind: "text/xml", body: " \n"}, {kind: "text/html", body: "<html><body>Sign in</body></html>"}, {kind: "text/xml", body: "<portal/>"}} {
		web.on("DescribeSecurityGroupRules", page).on("CreateTags", page).on("DeleteTags", page).on("ListInstances", page)
		_, errRules := client.Rules(t.Context(), testGroup)
		_, errNodes := client.Nodes(t.Context(), awsclient.Cluster{ID: testCluster})
		for _, err := range []error{errRules, errNodes, client.Tag(t.Context(), testRule, "k", "v"), client.Untag(t.Context(), testRule, "k", "v")} {
			wantKind(t, err, awsclient.Server)
		}
	}
	no := xmlAnswer("<RResponse><return>false</return></RResponse>")
	web.on("ModifySecurityGroupRules", no).on("RevokeSecurityGroupIngress", no)
	wantKind(t, client.Modify(t.Context(), testGroup, testRule, goodRule()), awsclient.Server)
	wantKind(t, client.Revoke(t.Context(), testGroup, testRule), awsclient.Server)

	web.on("CreateTags", ec2Error(400, "InvalidID", "The ID 'sgr-…' is not valid"))
	wantKind(t, client.Tag(t.Context(), testRule, "k", "v"), awsclient.Gone)
}
