package awssim_test

import (
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

func describeGroup(t *testing.T, w *world, id string) types.SecurityGroup {
	t.Helper()
	out, err := w.ec2.DescribeSecurityGroups(t.Context(), &ec2.DescribeSecurityGroupsInput{GroupIds: []string{id}})
	check(t, err)
	if len(out.SecurityGroups) != 1 {
		t.Fatalf("%d groups %s", len(out.SecurityGroups), id)
	}
	return out.SecurityGroups[0]
}

func groupCases() []contractCase {
	return []contractCase{
		{"group/describe", "API_SecurityGroup; a new group has no ingress rule and one that lets all traffic out", "", func(t *testing.T, w *world) {
			g := describeGroup(t, w, w.additional)
			equal(t, "name", aws.ToString(g.GroupName), "data-team-ssh")
			equal(t, "description", aws.ToString(g.Description), "data-team-ssh of a test")
			equal(t, "VPC", aws.ToString(g.VpcId), w.vpc)
			equal(t, "ingress permissions", len(g.IpPermissions), 0)
			if len(g.IpPermissionsEgress) != 1 || *g.IpPermissionsEgress[0].IpProtocol != "-1" || *g.IpPermissionsEgress[0].IpRanges[0].CidrIp != "0.0.0.0/0" {
				t.Errorf("egress is %+v", g.IpPermissionsEgress)
			}
		}},
		{"group/describe by filters", "API_DescribeSecurityGroups: vpc-id, group-name", "", func(t *testing.T, w *world) {
			out, err := w.ec2.DescribeSecurityGroups(t.Context(), &ec2.DescribeSecurityGroupsInput{
				Filters: []types.Filter{filter("vpc-id", w.vpc), filter("group-name", "data-team-*")},
			})
			check(t, err)
			if len(out.SecurityGroups) != 1 || *out.SecurityGroups[0].GroupId != w.additional {
				t.Errorf("groups are %+v", out.SecurityGroups)
			}
		}},
		{"group/permissions", "API_IpPermission", "", func(t *testing.T, w *world) {
			id := w.group(t)
			w.authorize(t, id, ssh("203.0.113.7/32", "alice"))
			w.authorize(t, id, ssh("2001:db8::7/128", ""))
			ranges4, ranges6 := map[string]string{}, 0
			for _, p := range describeGroup(t, w, id).IpPermissions {
				equal(t, "port", *p.FromPort, 22)
				for _, r := range p.IpRanges {
					ranges4[*r.CidrIp] = aws.ToString(r.Description)
				}
				ranges6 += len(p.Ipv6Ranges)
			}
			if len(ranges4) != 1 || ranges4["203.0.113.7/32"] != "alice" || ranges6 != 1 {
				t.Errorf("ranges are %v, and %d of IPv6", ranges4, ranges6)
			}
		}},
		{"group/unknown", "Error codes: InvalidGroup.NotFound", "", func(t *testing.T, w *world) {
			_, err := w.ec2.DescribeSecurityGroups(t.Context(), &ec2.DescribeSecurityGroupsInput{GroupIds: []string{"sg-0123456789abcdef0"}})
			wantCode(t, err, "InvalidGroup.NotFound")
		}},
		{"group/malformed id", "terraform-provider-aws errors.go: InvalidGroupId.Malformed", "answers InvalidGroup.NotFound", func(t *testing.T, w *world) {
			_, err := w.ec2.DescribeSecurityGroups(t.Context(), &ec2.DescribeSecurityGroupsInput{GroupIds: []string{"sg-xyz"}})
			wantCode(t, err, "InvalidGroupId.Malformed")
		}},
		{"group/duplicate name", "Error codes: InvalidGroup.Duplicate", "", func(t *testing.T, w *world) {
			_, err := w.ec2.CreateSecurityGroup(t.Context(), &ec2.CreateSecurityGroupInput{
				GroupName: aws.String("data-team-ssh"), Description: aws.String("again"), VpcId: &w.vpc,
			})
			wantCode(t, err, "InvalidGroup.Duplicate")
		}},
		{"group/delete", "API_DeleteSecurityGroup", "", func(t *testing.T, w *world) {
			id := w.group(t)
			_, err := w.ec2.DeleteSecurityGroup(t.Context(), &ec2.DeleteSecurityGroupInput{GroupId: &id})
			check(t, err)
			_, err = w.ec2.DescribeSecurityGroups(t.Context(), &ec2.DescribeSecurityGroupsInput{GroupIds: []string{id}})
			wantCode(t, err, "InvalidGroup.NotFound")
			_, err = w.tryAuthorize(t, id, ssh("203.0.113.7/32", ""))
			wantCode(t, err, "InvalidGroup.NotFound")
			equal(t, "rules left", len(w.rules(t, id)), 0)
		}},
		{"group/delete one that names itself", "API_DeleteSecurityGroup: only other groups' references count", "", func(t *testing.T, w *world) {
			id := w.group(t)
			w.authorize(t, id, fromGroup(id))
			_, err := w.ec2.DeleteSecurityGroup(t.Context(), &ec2.DeleteSecurityGroupInput{GroupId: &id})
			check(t, err)
		}},
		{"group/delete in use by an instance", "Error codes: DependencyViolation", "it is deleted", func(t *testing.T, w *world) {
			_, err := w.ec2.DeleteSecurityGroup(t.Context(), &ec2.DeleteSecurityGroupInput{GroupId: &w.additional})
			wantCode(t, err, "DependencyViolation")
		}},
		{"group/delete in use by a rule", "Error codes: DependencyViolation", "it is deleted", func(t *testing.T, w *world) {
			user, used := w.group(t), w.group(t)
			w.authorize(t, user, fromGroup(used))
			_, err := w.ec2.DeleteSecurityGroup(t.Context(), &ec2.DeleteSecurityGroupInput{GroupId: &used})
			wantCode(t, err, "DependencyViolation")
		}},
		{"group/pages", "API_DescribeSecurityGroups: MaxResults, NextToken", "MaxResults is ignored", func(t *testing.T, w *world) {
			for range 11 {
				w.group(t)
			}
			seen := map[string]bool{}
			p := ec2.NewDescribeSecurityGroupsPaginator(w.ec2, &ec2.DescribeSecurityGroupsInput{MaxResults: aws.Int32(5)})
			pages := 0
			for ; p.HasMorePages(); pages++ {
				out, err := p.NextPage(t.Context())
				check(t, err)
				for _, g := range out.SecurityGroups {
					if seen[*g.GroupId] {
						t.Errorf("%s is on two pages", *g.GroupId)
					}
					seen[*g.GroupId] = true
				}
			}
			if len(seen) < 11 || pages < 3 {
				t.Errorf("%d groups on %d pages", len(seen), pages)
			}
		}},
		{"vpc/default", "API_Vpc: IsDefault", "", func(t *testing.T, w *world) {
			out, err := w.ec2.DescribeVpcs(t.Context(), &ec2.DescribeVpcsInput{VpcIds: []string{w.vpc, w.defaultVPC}})
			check(t, err)
			for _, v := range out.Vpcs {
				equal(t, *v.VpcId+" is the default", aws.ToBool(v.IsDefault), *v.VpcId == w.defaultVPC)
			}
			equal(t, "number", len(out.Vpcs), 2)
		}},
		{"vpc/unknown", "Error codes: InvalidVpcID.NotFound", "", func(t *testing.T, w *world) {
			_, err := w.ec2.DescribeVpcs(t.Context(), &ec2.DescribeVpcsInput{VpcIds: []string{"vpc-0123456789abcdef0"}})
			wantCode(t, err, "InvalidVpcID.NotFound")
		}},
		{"vpc/subnets", "API_DescribeSubnets: vpc-id", "", func(t *testing.T, w *world) {
			out, err := w.ec2.DescribeSubnets(t.Context(), &ec2.DescribeSubnetsInput{Filters: []types.Filter{filter("vpc-id", w.vpc)}})
			check(t, err)
			if len(out.Subnets) != 1 || *out.Subnets[0].SubnetId != w.subnet || !strings.HasSuffix(*out.Subnets[0].CidrBlock, "/24") {
				t.Errorf("subnets are %+v", out.Subnets)
			}
		}},
	}
}

// fromGroup is all tcp from a group, as in EMR's own rules.
func fromGroup(id string) types.IpPermission {
	return types.IpPermission{
		IpProtocol: aws.String("tcp"), FromPort: aws.Int32(0), ToPort: aws.Int32(65535),
		UserIdGroupPairs: []types.UserIdGroupPair{{GroupId: &id}},
	}
}
