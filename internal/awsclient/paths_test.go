package awsclient_test

import (
	"net/netip"
	"testing"

	"github.com/emr-accessd/emr-accessd/internal/awsclient"
	"github.com/emr-accessd/emr-accessd/internal/awssim"
	"github.com/emr-accessd/emr-accessd/internal/netpath"
)

func TestSimPaths(t *testing.T) {
	inBubble(t, func(t *testing.T, w simWorld, c *awsclient.Client) {
		ctx := t.Context()
		me := netip.MustParseAddr("198.51.100.7")
		found, err := c.InterfacesOf(ctx, []string{w.nodes[0].InstanceID})
		if err != nil || len(found) != 1 || found[0].Subnet == "" || found[0].VPC == "" {
			t.Fatalf("%+v, %v", found, err)
		}
		subnet, vpc := found[0].Subnet, found[0].VPC
		judge := func(wantACL, wantRoute netpath.State) {
			t.Helper()
			acl, err := c.NetworkACL(ctx, subnet)
			if err != nil {
				t.Fatal(err)
			}
			table, err := c.RouteTable(ctx, subnet, vpc)
			if err != nil {
				t.Fatal(err)
			}
			if a, r := acl.Judge(me, 22, "linux"), table.Judge(me, false); a.State != wantACL || r.State != wantRoute {
				t.Errorf("%+v, %+v", a, r)
			}
		}
		judge(netpath.Open, netpath.Open)
		w.SetACL(subnet, awssim.ACLEntry{Number: 100, From: 22, To: 22, CIDR: "203.0.113.0/24"}, awssim.ACLEntry{Number: 100, Egress: true, Protocol: "-1", CIDR: "0.0.0.0/0"})
		w.SetRoutes(subnet, awssim.RouteSpec{CIDR: "0.0.0.0/0", Via: "nat-1"}, awssim.RouteSpec{CIDR: "pl-1", Via: "tgw-1"})
		judge(netpath.Closed, netpath.Closed)
		w.SetRoutes(subnet, awssim.RouteSpec{CIDR: "0.0.0.0/0", Via: "igw-1", Blackhole: true})
		judge(netpath.Closed, netpath.Closed)

		// A subnet without a table of its own has the VPC's main one.
		inner := w.AddSubnet(vpc, false)
		if table, err := c.RouteTable(ctx, inner, vpc); err != nil || table.Judge(me, false).State != netpath.Closed || len(table.Routes) != 2 {
			t.Errorf("%+v, %v", table, err)
		}
		_, err = c.NetworkACL(ctx, "subnet-*")
		wantKind(t, err, awsclient.BadRequest)
		_, err = c.RouteTable(ctx, subnet, "")
		wantKind(t, err, awsclient.BadRequest)
		_, err = c.NetworkACL(ctx, "subnet-00000000000000000")
		wantKind(t, err, awsclient.Server)

		// An entry whose network cannot be read must not look like one that fits nobody.
		w.Inject(awssim.Fault{Action: "DescribeNetworkAcls", Status: 200, RawBody: `<DescribeNetworkAclsResponse><networkAclSet><item><networkAclId>acl-1</networkAclId><entrySet><item><ruleNumber>1</ruleNumber><protocol>-1</protocol><ruleAction>deny</ruleAction><cidrBlock>everybody</cidrBlock></item></entrySet><associationSet><item><subnetId>` + subnet + `</subnetId></item></associationSet></item></networkAclSet></DescribeNetworkAclsResponse>`})
		if acl, err := c.NetworkACL(ctx, subnet); err != nil || acl.Judge(me, 22, "linux").State != netpath.Unknown {
			t.Errorf("%+v, %v", acl, err)
		}
		w.ClearFaults()
		w.Inject(awssim.Fault{Action: "DescribeRouteTables", Code: "UnauthorizedOperation"})
		_, err = c.RouteTable(ctx, subnet, vpc)
		wantKind(t, err, awsclient.Denied)
	})
}
