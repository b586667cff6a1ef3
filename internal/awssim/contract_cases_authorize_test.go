package awssim_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

func authorizeCases() []contractCase {
	return []contractCase{
		{"authorize/with description and tags", "API_AuthorizeSecurityGroupIngress, API_SecurityGroupRule", "", func(t *testing.T, w *world) {
			g := w.group(t)
			r := w.authorize(t, g, ssh("203.0.113.7/32", "alice@laptop"), "owner", "AIDA1", "empty", "")
			if !strings.HasPrefix(*r.SecurityGroupRuleId, "sgr-") {
				t.Errorf("id is %s", *r.SecurityGroupRuleId)
			}
			for _, r := range []types.SecurityGroupRule{r, w.rule(t, r.SecurityGroupRuleId)} {
				equal(t, "group", *r.GroupId, g)
				equal(t, "egress", *r.IsEgress, false)
				equal(t, "protocol", *r.IpProtocol, "tcp")
				equal(t, "from", *r.FromPort, 22)
				equal(t, "to", *r.ToPort, 22)
				equal(t, "CIDR", aws.ToString(r.CidrIpv4), "203.0.113.7/32")
				equal(t, "IPv6 CIDR", aws.ToString(r.CidrIpv6), "")
				equal(t, "description", aws.ToString(r.Description), "alice@laptop")
				if tags := tagMap(r.Tags); len(tags) != 2 || tags["owner"] != "AIDA1" {
					t.Errorf("tags are %v", tags)
				}
			}
		}},
		{"authorize/owner and ARN", "API_SecurityGroupRule: GroupOwnerId, SecurityGroupRuleArn", "the answer lacks both", func(t *testing.T, w *world) {
			r := w.authorize(t, w.group(t), ssh("203.0.113.7/32", ""))
			equal(t, "owner", aws.ToString(r.GroupOwnerId), "123456789012")
			equal(t, "ARN", aws.ToString(r.SecurityGroupRuleArn), "arn:aws:ec2:us-east-1:123456789012:security-group-rule/"+*r.SecurityGroupRuleId)
		}},
		{"authorize/IPv6", "API_Ipv6Range", "", func(t *testing.T, w *world) {
			r := w.authorize(t, w.group(t), ssh("2001:db8::7/128", "v6"))
			r = w.rule(t, r.SecurityGroupRuleId)
			equal(t, "IPv6 CIDR", aws.ToString(r.CidrIpv6), "2001:db8::7/128")
			equal(t, "CIDR", aws.ToString(r.CidrIpv4), "")
			equal(t, "description", aws.ToString(r.Description), "v6")
		}},
		{"authorize/both families beside each other", "API_AuthorizeSecurityGroupIngress", "", func(t *testing.T, w *world) {
			g := w.group(t)
			w.authorize(t, g, ssh("0.0.0.0/0", ""))
			w.authorize(t, g, ssh("::/0", ""))
			equal(t, "rules", len(w.rules(t, g)), 2)
		}},
		{"authorize/two ranges are two rules", "API_AuthorizeSecurityGroupIngress: one set of tags for all rules of the call", "", func(t *testing.T, w *world) {
			p := ssh("203.0.113.7/32", "a")
			p.IpRanges = append(p.IpRanges, types.IpRange{CidrIp: aws.String("203.0.113.8/32"), Description: aws.String("b")})
			out, err := w.tryAuthorize(t, w.group(t), p, "k", "v")
			check(t, err)
			equal(t, "rules", len(out.SecurityGroupRules), 2)
			for _, r := range out.SecurityGroupRules {
				equal(t, "tag", tagMap(r.Tags)["k"], "v")
			}
		}},
		{"authorize/answers in the order of the request", "none: seen on moto; a client needs it to match ids", "", func(t *testing.T, w *world) {
			p := ssh("203.0.113.0/32", "")
			for i := range 11 { // beyond 9, where the numbers of a list sort otherwise as text
				p.IpRanges = append(p.IpRanges, types.IpRange{CidrIp: aws.String(fmt.Sprintf("203.0.113.%d/32", i+1))})
			}
			out, err := w.tryAuthorize(t, w.group(t), p)
			check(t, err)
			for i, r := range out.SecurityGroupRules {
				equal(t, "CIDR", *r.CidrIpv4, *p.IpRanges[i].CidrIp)
			}
			equal(t, "rules", len(out.SecurityGroupRules), 12)
		}},
		{"authorize/two permissions are two rules", "API_AuthorizeSecurityGroupIngress", "only the last permission's rules are answered", func(t *testing.T, w *world) {
			out, err := w.ec2.AuthorizeSecurityGroupIngress(t.Context(), &ec2.AuthorizeSecurityGroupIngressInput{
				GroupId: aws.String(w.group(t)), IpPermissions: []types.IpPermission{ssh("203.0.113.7/32", ""), tcp(443, "203.0.113.7/32", "")},
			})
			check(t, err)
			equal(t, "rules", len(out.SecurityGroupRules), 2)
		}},
		{"authorize/single rule parameters", "API_AuthorizeSecurityGroupIngress: CidrIp, IpProtocol, FromPort, ToPort", "", func(t *testing.T, w *world) {
			g := w.group(t)
			_, err := w.ec2.AuthorizeSecurityGroupIngress(t.Context(), &ec2.AuthorizeSecurityGroupIngressInput{
				GroupId: &g, CidrIp: aws.String("203.0.113.7/32"), IpProtocol: aws.String("tcp"), FromPort: aws.Int32(22), ToPort: aws.Int32(22),
			})
			check(t, err)
			if rules := w.rules(t, g); len(rules) != 1 || *rules[0].CidrIpv4 != "203.0.113.7/32" {
				t.Errorf("rules are %+v", rules)
			}
		}},
		{"authorize/from a group", "API_UserIdGroupPair, EMR managed security groups", "", func(t *testing.T, w *world) {
			g, other := w.group(t), w.group(t)
			for _, source := range []string{g, other} {
				r := w.authorize(t, g, fromGroup(source))
				r = w.rule(t, r.SecurityGroupRuleId)
				equal(t, "source", aws.ToString(r.ReferencedGroupInfo.GroupId), source)
				equal(t, "CIDR", aws.ToString(r.CidrIpv4), "")
			}
		}},
		{"authorize/from a prefix list", "API_PrefixListId", "", func(t *testing.T, w *world) {
			pl := w.newPrefixList(t, w, "office", "198.51.100.0/28", "office")
			r := w.authorize(t, w.group(t), types.IpPermission{
				IpProtocol: aws.String("tcp"), FromPort: aws.Int32(22), ToPort: aws.Int32(22), PrefixListIds: []types.PrefixListId{{PrefixListId: &pl}},
			})
			equal(t, "source", aws.ToString(w.rule(t, r.SecurityGroupRuleId).PrefixListId), pl)
		}},
		{"authorize/all traffic", "API_SecurityGroupRule: \"-1 to specify all protocols\"", "", func(t *testing.T, w *world) {
			r := w.authorize(t, w.group(t), types.IpPermission{IpProtocol: aws.String("-1"), IpRanges: []types.IpRange{{CidrIp: aws.String("10.0.0.0/8")}}})
			r = w.rule(t, r.SecurityGroupRuleId)
			equal(t, "protocol", *r.IpProtocol, "-1")
			equal(t, "from", *r.FromPort, -1)
			equal(t, "to", *r.ToPort, -1)
		}},
		{"authorize/ICMP", "API_IpPermission: -1 for all types and codes", "", func(t *testing.T, w *world) {
			r := w.authorize(t, w.group(t), types.IpPermission{
				IpProtocol: aws.String("icmp"), FromPort: aws.Int32(-1), ToPort: aws.Int32(-1), IpRanges: []types.IpRange{{CidrIp: aws.String("10.0.0.0/8")}},
			})
			r = w.rule(t, r.SecurityGroupRuleId)
			equal(t, "protocol", *r.IpProtocol, "icmp")
			equal(t, "type", *r.FromPort, -1)
		}},
		{"authorize/protocol numbers", "spinifex#946: 6 is described as tcp", "", func(t *testing.T, w *world) {
			p := ssh("203.0.113.7/32", "")
			p.IpProtocol = aws.String("6")
			r := w.authorize(t, w.group(t), p)
			equal(t, "protocol", *w.rule(t, r.SecurityGroupRuleId).IpProtocol, "tcp")
		}},
		{"authorize/protocol 58", "API_SecurityGroupRule: names tcp, udp, icmp, icmpv6", "58 stays 58", func(t *testing.T, w *world) {
			r := w.authorize(t, w.group(t), types.IpPermission{IpProtocol: aws.String("58"), Ipv6Ranges: []types.Ipv6Range{{CidrIpv6: aws.String("2001:db8::/32")}}})
			equal(t, "protocol", *r.IpProtocol, "icmpv6")
			equal(t, "type", *r.FromPort, -1)
		}},
		{"authorize/canonical IPv4", "SDK AuthorizeSecurityGroupIngressInput.CidrIp: 100.68.0.18/18 becomes 100.68.0.0/18", "stored as sent", func(t *testing.T, w *world) {
			g := w.group(t)
			r := w.authorize(t, g, ssh("100.68.0.18/18", ""))
			equal(t, "CIDR", *r.CidrIpv4, "100.68.0.0/18")
			_, err := w.tryAuthorize(t, g, ssh("100.68.0.99/18", ""))
			wantCode(t, err, "InvalidPermission.Duplicate")
		}},
		{"authorize/canonical IPv6", "SDK AuthorizeSecurityGroupIngressInput", "stored as sent", func(t *testing.T, w *world) {
			g := w.group(t)
			r := w.authorize(t, g, ssh("2001:0DB8:0:0::2/128", ""))
			equal(t, "CIDR", *r.CidrIpv6, "2001:db8::2/128")
			_, err := w.tryAuthorize(t, g, ssh("2001:db8::2/128", ""))
			wantCode(t, err, "InvalidPermission.Duplicate")
		}},
	}
}

func authorizeRefusals() []contractCase {
	return []contractCase{
		{"authorize/duplicate", "Error codes: InvalidPermission.Duplicate", "", func(t *testing.T, w *world) {
			g := w.group(t)
			w.authorize(t, g, ssh("203.0.113.7/32", "mine"), "owner", "me")
			_, err := w.tryAuthorize(t, g, ssh("203.0.113.7/32", "mine"))
			wantCode(t, err, "InvalidPermission.Duplicate")
			equal(t, "rules", len(w.rules(t, g)), 1)
		}},
		{"authorize/description and tags make no other rule", "API_AuthorizeSecurityGroupIngress", "", func(t *testing.T, w *world) {
			g := w.group(t)
			w.authorize(t, g, ssh("203.0.113.7/32", "mine"), "owner", "me")
			_, err := w.tryAuthorize(t, g, ssh("203.0.113.7/32", "yours"), "owner", "you")
			wantCode(t, err, "InvalidPermission.Duplicate")
			r := w.rules(t, g)[0]
			equal(t, "description", aws.ToString(r.Description), "mine")
			equal(t, "owner", tagMap(r.Tags)["owner"], "me")
		}},
		{"authorize/another port or group is another rule", "API_AuthorizeSecurityGroupIngress", "", func(t *testing.T, w *world) {
			g := w.group(t)
			w.authorize(t, g, ssh("203.0.113.7/32", ""))
			w.authorize(t, g, tcp(2222, "203.0.113.7/32", ""))
			w.authorize(t, w.group(t), ssh("203.0.113.7/32", ""))
			equal(t, "rules", len(w.rules(t, g)), 2)
		}},
		{"authorize/duplicate of IPv6 and of a group", "Error codes: InvalidPermission.Duplicate", "", func(t *testing.T, w *world) {
			g := w.group(t)
			for _, p := range []types.IpPermission{ssh("2001:db8::7/128", ""), fromGroup(g)} {
				w.authorize(t, g, p)
				_, err := w.tryAuthorize(t, g, p)
				wantCode(t, err, "InvalidPermission.Duplicate")
			}
		}},
		{"authorize/all or nothing", "terraform-provider-aws#2587 and others: the call is refused wholesale", "the first rule stays", func(t *testing.T, w *world) {
			g := w.group(t)
			w.authorize(t, g, ssh("203.0.113.7/32", ""))
			_, err := w.ec2.AuthorizeSecurityGroupIngress(t.Context(), &ec2.AuthorizeSecurityGroupIngressInput{
				GroupId: &g, IpPermissions: []types.IpPermission{ssh("203.0.113.8/32", ""), ssh("203.0.113.7/32", "")},
			})
			wantCode(t, err, "InvalidPermission.Duplicate")
			equal(t, "rules", len(w.rules(t, g)), 1)
		}},
		{"authorize/the same permission twice", "terraform-provider-aws#2587: \"The same permission must not appear multiple times\"", "answers Duplicate after adding one", func(t *testing.T, w *world) {
			g := w.group(t)
			_, err := w.ec2.AuthorizeSecurityGroupIngress(t.Context(), &ec2.AuthorizeSecurityGroupIngressInput{
				GroupId: &g, IpPermissions: []types.IpPermission{ssh("203.0.113.8/32", ""), ssh("203.0.113.8/32", "")},
			})
			wantCode(t, err, "InvalidParameterValue")
			equal(t, "rules", len(w.rules(t, g)), 0)
		}},
		{"authorize/malformed CIDR", "third party: \"CIDR block 58.29.99.44 is malformed\"", "", func(t *testing.T, w *world) {
			g := w.group(t)
			for _, cidr := range []string{"300.0.0.1/32", "203.0.113.7/33", "203.0.113.7/-1", "somewhere/32", "2001:db8::g/128"} {
				_, err := w.tryAuthorize(t, g, ssh(cidr, ""))
				wantCode(t, err, "InvalidParameterValue")
			}
			equal(t, "rules", len(w.rules(t, g)), 0)
		}},
		{"authorize/CIDR of the other family", "API_IpRange", "", func(t *testing.T, w *world) {
			p := ssh("203.0.113.7/32", "")
			p.IpRanges[0].CidrIp = aws.String("2001:db8::7/128")
			_, err := w.tryAuthorize(t, w.group(t), p)
			wantCode(t, err, "InvalidParameterValue")
		}},
		{"authorize/unknown group", "Error codes: InvalidGroup.NotFound", "", func(t *testing.T, w *world) {
			_, err := w.tryAuthorize(t, "sg-0123456789abcdef0", ssh("203.0.113.7/32", ""))
			wantCode(t, err, "InvalidGroup.NotFound")
		}},
		{"authorize/from an unknown group", "Error codes: InvalidGroup.NotFound", "", func(t *testing.T, w *world) {
			_, err := w.tryAuthorize(t, w.group(t), fromGroup("sg-0123456789abcdef0"))
			wantCode(t, err, "InvalidGroup.NotFound")
		}},
		{"authorize/from an unknown prefix list", "Error codes: InvalidPrefixListID.NotFound", "accepted", func(t *testing.T, w *world) {
			_, err := w.tryAuthorize(t, w.group(t), types.IpPermission{
				IpProtocol: aws.String("tcp"), FromPort: aws.Int32(22), ToPort: aws.Int32(22),
				PrefixListIds: []types.PrefixListId{{PrefixListId: aws.String("pl-0123456789abcdef0")}},
			})
			wantCode(t, err, "InvalidPrefixListID.NotFound")
		}},
		{"authorize/longest description", "API_IpRange: up to 255 characters", "", func(t *testing.T, w *world) {
			long := strings.Repeat("a", 255)
			r := w.authorize(t, w.group(t), ssh("203.0.113.7/32", long))
			equal(t, "description", aws.ToString(w.rule(t, r.SecurityGroupRuleId).Description), long)
		}},
		{"authorize/description charset", "API_IpRange: a-z, A-Z, 0-9, spaces, and ._-:/()#,@[]+=&;{}!$*", "", func(t *testing.T, w *world) {
			all := "aZ09 ._-:/()#,@[]+=;{}!$*"
			r := w.authorize(t, w.group(t), ssh("203.0.113.7/32", all))
			equal(t, "description", aws.ToString(w.rule(t, r.SecurityGroupRuleId).Description), all)
		}},
		{"authorize/bad descriptions", "third party, many: \"Invalid rule description. Valid descriptions are strings less than 256 characters…\"", "accepted", func(t *testing.T, w *world) {
			g := w.group(t)
			for _, d := range []string{strings.Repeat("a", 256), "alice's", `"x"`, "100%", "<b>", "a|b", "what?", "~", "—", "zoë", "two\nlines", `\`} {
				_, err := w.tryAuthorize(t, g, ssh("203.0.113.7/32", d))
				wantCode(t, err, "InvalidParameterValue")
			}
		}},
		{"authorize/bad ports", "boto3#336, chef-provisioning-aws#183", "accepted, or HTTP 500", func(t *testing.T, w *world) {
			g := w.group(t)
			for _, ports := range [][2]int32{{70000, 70000}, {-1, 22}, {23, 22}} {
				p := ssh("203.0.113.7/32", "")
				p.FromPort, p.ToPort = &ports[0], &ports[1]
				_, err := w.tryAuthorize(t, g, p)
				wantCode(t, err, "InvalidParameterValue", "InvalidPermission.Malformed")
			}
			p := ssh("203.0.113.7/32", "")
			p.FromPort = nil
			_, err := w.tryAuthorize(t, g, p)
			wantCode(t, err, "InvalidParameterValue")
		}},
		{"authorize/unknown protocol", "terraform-provider-aws#1793: \"Invalid value 'all' for IP protocol. Unknown protocol.\"", "accepted", func(t *testing.T, w *world) {
			for _, protocol := range []string{"all", "256", "-2", "tpc"} {
				p := ssh("203.0.113.7/32", "")
				p.IpProtocol = &protocol
				_, err := w.tryAuthorize(t, w.group(t), p)
				wantCode(t, err, "InvalidParameterValue")
			}
		}},
		{"authorize/tags for another type", "API_TagSpecification", "accepted, the tags are dropped", func(t *testing.T, w *world) {
			_, err := w.ec2.AuthorizeSecurityGroupIngress(t.Context(), &ec2.AuthorizeSecurityGroupIngressInput{
				GroupId: aws.String(w.group(t)), IpPermissions: []types.IpPermission{ssh("203.0.113.7/32", "")},
				TagSpecifications: []types.TagSpecification{{ResourceType: types.ResourceTypeInstance, Tags: tagsOf("k", "v")}},
			})
			wantCode(t, err, "InvalidParameterValue")
		}},
	}
}
