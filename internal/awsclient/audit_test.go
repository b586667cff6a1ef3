package awsclient_test

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/emr-accessd/emr-accessd/internal/awsclient"
	"github.com/emr-accessd/emr-accessd/internal/awssim"
	"github.com/emr-accessd/emr-accessd/internal/sgsync"
)

func TestSimInterfaces(t *testing.T) {
	inBubble(t, func(t *testing.T, w simWorld, c *awsclient.Client) {
		ctx := t.Context()
		found, err := c.InterfacesOf(ctx, []string{w.nodes[0].InstanceID, w.nodes[1].InstanceID, "i-00000000000000000"})
		if err != nil || len(found) != 2 {
			t.Fatalf("%+v, %v", found, err)
		}
		i := slices.IndexFunc(found, func(i awsclient.Interface) bool { return i.Instance == w.nodes[0].InstanceID })
		if n := found[i]; !slices.Equal(n.Public4, []netip.Addr{netip.MustParseAddr("198.51.100.10")}) || !slices.Equal(n.Private4, []netip.Addr{netip.MustParseAddr(w.nodes[0].PrivateIP)}) || !slices.Equal(n.V6, []netip.Addr{netip.MustParseAddr("2001:db8:1::10")}) || !slices.Equal(n.Groups, []string{w.master}) {
			t.Errorf("%+v", n)
		}
		in, err := c.InterfacesIn(ctx, w.core)
		if err != nil || len(in) != 1 || in[0].Instance != w.nodes[1].InstanceID || len(in[0].V6) != 0 {
			t.Errorf("%+v, %v", in, err)
		}
		if none, err := c.InterfacesOf(ctx, nil); err != nil || len(none) != 0 {
			t.Errorf("%+v, %v", none, err)
		}
		_, err = c.InterfacesOf(ctx, []string{"*"})
		wantKind(t, err, awsclient.BadRequest)
		_, err = c.InterfacesIn(ctx, "")
		wantKind(t, err, awsclient.BadRequest)
	})
}

// An Elastic IP address of a secondary private address makes a node reachable as any other does.
func TestSimSecondAddress(t *testing.T) {
	inBubble(t, func(t *testing.T, w simWorld, c *awsclient.Client) {
		id := w.AddCluster(awssim.ClusterSpec{Name: "second", MasterGroup: w.master, CoreGroup: w.core, Nodes: []awssim.NodeSpec{
			{PrivateIP: "10.0.0.1", SecondPublicIP: "198.51.100.20"}, {PrivateIP: "10.0.0.2", PublicIP: "198.51.100.21", SecondPublicIP: "198.51.100.22"},
		}})
		for i, want := range []string{"[198.51.100.20] [10.0.0.1 10.0.0.129]", "[198.51.100.21 198.51.100.22] [10.0.0.2 10.0.0.130]"} {
			found, err := c.InterfacesOf(t.Context(), []string{w.Nodes(id)[i].InstanceID})
			if err != nil || len(found) != 1 {
				t.Fatalf("%+v, %v", found, err)
			}
			if got := fmt.Sprint(found[0].Public4, found[0].Private4); got != want {
				t.Errorf("%s, want %s", got, want)
			}
		}
		cl, err := c.Cluster(t.Context(), id)
		if err != nil {
			t.Fatal(err)
		}
		nodes, err := c.Nodes(t.Context(), cl)
		if err != nil || len(nodes) != 2 {
			t.Fatalf("%+v, %v", nodes, err)
		}
		found, err := c.Running(t.Context(), []string{nodes[0].Instance, nodes[1].Instance})
		for _, n := range nodes {
			want := map[string]string{"10.0.0.1": "198.51.100.20", "10.0.0.2": "198.51.100.21"}[n.Private4.String()]
			if n.Public4.String() != want || err != nil || found[n.Instance].Public4 != n.Public4 {
				t.Errorf("%+v, %+v, %v, want %s", n, found, err, want)
			}
		}
	})
}

// The first address of the first interface counts: the groups that are looked after are on that one.
func TestNodeAddresses(t *testing.T) {
	second := `<privateIpAddressesSet><item/><item><privateIpAddress>10.0.0.2</privateIpAddress><association><publicIp>192.0.2.2</publicIp></association></item></privateIpAddressesSet>`
	for body, want := range map[string]string{
		`<ipAddress>192.0.2.1</ipAddress><networkInterfaceSet><item>` + second + `</item></networkInterfaceSet>`: "192.0.2.1",
		`<networkInterfaceSet><item>` + second + `</item></networkInterfaceSet>`:                                 "192.0.2.2",
		`<networkInterfaceSet><item><attachment><deviceIndex>1</deviceIndex></attachment><association><publicIp>192.0.2.3</publicIp></association></item><item><attachment><deviceIndex>0</deviceIndex></attachment>` +
			second + `</item></networkInterfaceSet>`: "192.0.2.2",
		`<networkInterfaceSet><item><attachment><deviceIndex>0</deviceIndex></attachment></item><item><attachment><deviceIndex>1</deviceIndex></attachment>` +
			second + `</item></networkInterfaceSet>`: "invalid IP",
		`<networkInterfaceSet><item><privateIpAddressesSet><item><association><publicIp>x</publicIp></association></item><item><association/></item></privateIpAddressesSet></item><item/></networkInterfaceSet>`: "invalid IP",
	} {
		client := open(t, newCanned().on("DescribeInstances", xmlAnswer(`<DescribeInstancesResponse><reservationSet><item><instancesSet><item><instanceId>i-000000000000000b1</instanceId>`+
			`<instanceState><code>16</code><name>running</name></instanceState>`+body+`</item></instancesSet></item></reservationSet></DescribeInstancesResponse>`)))
		found, err := client.Running(t.Context(), []string{"i-000000000000000b1"})
		if err != nil || len(found) != 1 {
			t.Fatalf("%s: %+v, %v", body, found, err)
		}
		if got := found["i-000000000000000b1"].Public4.String(); got != want {
			t.Errorf("%s: %s, want %s", body, got, want)
		}
	}
}

// What EC2 leaves out, or writes in another order, is no address and no end.
func TestInterfaceAddresses(t *testing.T) {
	for body, want := range map[string]string{
		`<privateIpAddress>10.0.0.1</privateIpAddress><association><publicIp>192.0.2.1</publicIp></association>`:                                                                                      "[192.0.2.1] [10.0.0.1]",
		`<privateIpAddressesSet><item><privateIpAddress>10.0.0.2</privateIpAddress><association><publicIp>192.0.2.2</publicIp></association></item><item/></privateIpAddressesSet>`:                   "[192.0.2.2] [10.0.0.2]",
		`<privateIpAddress>10.0.0.1</privateIpAddress><privateIpAddressesSet><item><association/></item><item><association><publicIp>x</publicIp></association></item></privateIpAddressesSet>`:       "[] [10.0.0.1]",
		`<association><publicIp>192.0.2.1</publicIp></association><privateIpAddressesSet><item><association><publicIp>192.0.2.1</publicIp></association></item></privateIpAddressesSet>`:              "[192.0.2.1] []",
		`<privateIpAddressesSet><item><association><publicIp>192.0.2.2</publicIp></association></item></privateIpAddressesSet><association><publicIp>192.0.2.1</publicIp></association>`:              "[192.0.2.1 192.0.2.2] []",
		`<privateIpAddressesSet><item><privateIpAddress>10.0.0.2</privateIpAddress></item></privateIpAddressesSet><privateIpAddress>10.0.0.1</privateIpAddress><status>in-use</status><association/>`: "[] [10.0.0.1 10.0.0.2]",
	} {
		client := open(t, newCanned().on("DescribeNetworkInterfaces", xmlAnswer(`<DescribeNetworkInterfacesResponse><networkInterfaceSet><item>`+body+`</item></networkInterfaceSet></DescribeNetworkInterfacesResponse>`)))
		found, err := client.InterfacesOf(t.Context(), []string{"i-000000000000000b1"})
		if err != nil || len(found) != 1 {
			t.Fatalf("%s: %+v, %v", body, found, err)
		}
		if got := fmt.Sprint(found[0].Public4, found[0].Private4); got != want {
			t.Errorf("%s: %s, want %s", body, got, want)
		}
	}
}

func TestSimPrefixLists(t *testing.T) {
	inBubble(t, func(t *testing.T, w simWorld, c *awsclient.Client) {
		ctx := t.Context()
		entries := map[string]string{}
		for i := range 250 { // several pages
			entries[fmt.Sprintf("2001:db8:%x::/48", i)] = ""
		}
		big := w.AddPrefixList(awssim.PrefixListSpec{Name: "big", IPv6: true, Entries: entries, MaxEntries: 300})
		small := w.AddPrefixList(awssim.PrefixListSpec{Name: "small", Entries: map[string]string{"198.51.100.0/28": "office"}})
		w.AddPrefixList(awssim.PrefixListSpec{Name: "not asked for"})
		lists, err := c.PrefixLists(ctx, []string{big, small, "pl-00000000000000000"})
		if err != nil || len(lists) != 2 {
			t.Fatalf("%+v, %v", lists, err)
		}
		for i := range lists {
			if err := c.PrefixListEntries(ctx, &lists[i]); err != nil {
				t.Fatal(err)
			}
			l := lists[i]
			switch l.ID {
			case big:
				if !l.IPv6 || l.MaxEntries != 300 || len(l.Entries) != 250 || l.AWS || l.Name != "big" {
					t.Errorf("%s: %d entries of %d", l.Name, len(l.Entries), l.MaxEntries)
				}
			case small:
				if l.IPv6 || len(l.Entries) != 1 || l.Entries[0].String() != "198.51.100.0/28" {
					t.Errorf("%+v", l)
				}
			}
		}
		wantKind(t, c.PrefixListEntries(ctx, &sgsync.PrefixList{ID: "pl-00000000000000000"}), awsclient.NotFound)
		wantKind(t, c.PrefixListEntries(ctx, &sgsync.PrefixList{ID: "x"}), awsclient.BadRequest)
		_, err = c.PrefixLists(ctx, []string{"pl-*"})
		wantKind(t, err, awsclient.BadRequest)

		// A source that is no network must not make a list look narrow.
		w.Inject(awssim.Fault{Action: "GetManagedPrefixListEntries", RawBody: `<GetManagedPrefixListEntriesResponse><entrySet><item><cidr>everybody</cidr></item></entrySet></GetManagedPrefixListEntriesResponse>`, Status: 200})
		wantKind(t, c.PrefixListEntries(ctx, &lists[0]), awsclient.Server)
	})
}

func TestSimPublicBlock(t *testing.T) {
	inBubble(t, func(t *testing.T, w simWorld, c *awsclient.Client) {
		b, err := c.PublicBlock(t.Context())
		if err != nil || !b.Block || !slices.Equal(b.Except, [][2]int{{22, 22}}) {
			t.Errorf("%+v, %v", b, err)
		}
		w.SetPublicBlock(false, [2]int{8000, 8999})
		if b, err = c.PublicBlock(t.Context()); err != nil || b.Block || !slices.Equal(b.Except, [][2]int{{8000, 8999}}) {
			t.Errorf("%+v, %v", b, err)
		}
		w.Inject(awssim.Fault{Action: "GetBlockPublicAccessConfiguration", RawBody: "{}", Status: 200})
		_, err = c.PublicBlock(t.Context())
		wantKind(t, err, awsclient.Server)
	})
}

func TestSimAuditDenied(t *testing.T) {
	staticKeys(t)
	synctest.Test(t, func(t *testing.T) {
		w := newSimWorld()
		list := w.AddPrefixList(awssim.PrefixListSpec{Name: "team", MaxEntries: 1})
		w.AddPrincipal("AKIDTEST", awssim.Principal{Deny: []string{"ec2:DescribeNetworkInterfaces", "ec2:DescribeManagedPrefixLists", "ec2:GetManagedPrefixListEntries", "elasticmapreduce:GetBlockPublicAccessConfiguration"}})
		c := openOn(t, w.Client())
		ctx := t.Context()
		_, errOf := c.InterfacesOf(ctx, []string{w.nodes[0].InstanceID})
		_, errIn := c.InterfacesIn(ctx, w.master)
		_, errLists := c.PrefixLists(ctx, []string{list})
		errEntries := c.PrefixListEntries(ctx, &sgsync.PrefixList{ID: list})
		_, errBlock := c.PublicBlock(ctx)
		for op, err := range map[string]error{"ec2:DescribeNetworkInterfaces": errOf, "ec2:DescribeNetworkInterfaces ": errIn, "ec2:DescribeManagedPrefixLists": errLists,
			"ec2:GetManagedPrefixListEntries": errEntries, "elasticmapreduce:GetBlockPublicAccessConfiguration": errBlock} {
			wantKind(t, err, awsclient.Denied)
			if e, ok := errors.AsType[*awsclient.Error](err); !ok || e.Op+" " != op && e.Op != op {
				t.Errorf("%s: %v", op, err)
			}
		}
	})
}
