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
		if n := found[i]; n.Public4.String() != "198.51.100.10" || n.Private4.String() != w.nodes[0].PrivateIP || !slices.Equal(n.V6, []netip.Addr{netip.MustParseAddr("2001:db8:1::10")}) || !slices.Equal(n.Groups, []string{w.master}) {
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
