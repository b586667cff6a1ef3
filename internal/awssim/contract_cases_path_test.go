package awssim_test

import (
	"slices"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/ec2/types"
)

// pathCases are what is relied on to tell the way to a subnet: its network ACL and its route table.
func pathCases() []contractCase {
	acls := func(t *testing.T, w *world, filters ...types.Filter) []types.NetworkAcl {
		t.Helper()
		out, err := w.ec2.DescribeNetworkAcls(t.Context(), &ec2.DescribeNetworkAclsInput{Filters: filters})
		check(t, err)
		return out.NetworkAcls
	}
	tables := func(t *testing.T, w *world, filters ...types.Filter) []types.RouteTable {
		t.Helper()
		out, err := w.ec2.DescribeRouteTables(t.Context(), &ec2.DescribeRouteTablesInput{Filters: filters})
		check(t, err)
		return out.RouteTables
	}
	return []contractCase{
		{"acl/of a subnet", "API_DescribeNetworkAcls: association.subnet-id; every subnet has one", "", func(t *testing.T, w *world) {
			found := acls(t, w, filter("association.subnet-id", w.subnet))
			if len(found) != 1 {
				t.Fatalf("%d ACLs", len(found))
			}
			equal(t, "VPC", aws.ToString(found[0].VpcId), w.vpc)
			if !slices.ContainsFunc(found[0].Associations, func(a types.NetworkAclAssociation) bool { return aws.ToString(a.SubnetId) == w.subnet }) {
				t.Errorf("associations are %+v", found[0].Associations)
			}
		}},
		{"acl/default entries", "VPC User Guide, Default network ACL: 100 allows all, and the asterisk (32767) denies", "", func(t *testing.T, w *world) {
			for _, egress := range []bool{false, true} {
				last := map[int32]types.RuleAction{}
				for _, e := range acls(t, w, filter("association.subnet-id", w.subnet))[0].Entries {
					if aws.ToBool(e.Egress) == egress && aws.ToString(e.CidrBlock) == "0.0.0.0/0" {
						equal(t, "protocol", aws.ToString(e.Protocol), "-1")
						last[aws.ToInt32(e.RuleNumber)] = e.RuleAction
					}
				}
				equal(t, "entry 100", last[100], types.RuleActionAllow)
				equal(t, "entry 32767", last[32767], types.RuleActionDeny)
			}
		}},
		{"acl/of no subnet", "API_DescribeNetworkAcls: a filter that fits nothing", "", func(t *testing.T, w *world) {
			equal(t, "ACLs", len(acls(t, w, filter("association.subnet-id", "subnet-0123456789abcdef0"))), 0)
		}},
		{"acl/unknown id", "EC2 error codes: InvalidNetworkAclID.NotFound", "", func(t *testing.T, w *world) {
			_, err := w.ec2.DescribeNetworkAcls(t.Context(), &ec2.DescribeNetworkAclsInput{NetworkAclIds: []string{"acl-0123456789abcdef0"}})
			wantCode(t, err, "InvalidNetworkAclID.NotFound", "InvalidRouteTableID.NotFound") // moto answers with the second
		}},
		{"routes/main table", "API_DescribeRouteTables: association.main; VPC User Guide: a local route in every table", "", func(t *testing.T, w *world) {
			found := tables(t, w, filter("association.main", "true"), filter("vpc-id", w.vpc))
			if len(found) != 1 {
				t.Fatalf("%d tables", len(found))
			}
			if !slices.ContainsFunc(found[0].Associations, func(a types.RouteTableAssociation) bool { return aws.ToBool(a.Main) }) {
				t.Errorf("associations are %+v", found[0].Associations)
			}
			if !slices.ContainsFunc(found[0].Routes, func(r types.Route) bool {
				return aws.ToString(r.GatewayId) == "local" && r.State == types.RouteStateActive
			}) {
				t.Errorf("routes are %+v", found[0].Routes)
			}
		}},
		{"routes/of no subnet", "API_DescribeRouteTables: a subnet without an association of its own is not found", "", func(t *testing.T, w *world) {
			equal(t, "tables", len(tables(t, w, filter("association.subnet-id", "subnet-0123456789abcdef0"))), 0)
		}},
		{"routes/of a public subnet", "VPC User Guide, Internet gateways", "the subnet is not connected to the internet", func(t *testing.T, w *world) {
			found := tables(t, w, filter("association.subnet-id", w.subnet))
			if len(found) != 1 {
				t.Fatalf("%d tables", len(found))
			}
			if !slices.ContainsFunc(found[0].Routes, func(r types.Route) bool {
				return aws.ToString(r.DestinationCidrBlock) == "0.0.0.0/0" && aws.ToString(r.GatewayId)[:4] == "igw-"
			}) {
				t.Errorf("routes are %+v", found[0].Routes)
			}
		}},
		{"routes/unknown id", "EC2 error codes: InvalidRouteTableID.NotFound", "", func(t *testing.T, w *world) {
			_, err := w.ec2.DescribeRouteTables(t.Context(), &ec2.DescribeRouteTablesInput{RouteTableIds: []string{"rtb-0123456789abcdef0"}})
			wantCode(t, err, "InvalidRouteTableID.NotFound")
		}},
	}
}
