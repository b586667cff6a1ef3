package awsclient_test

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/emr-accessd/emr-accessd/internal/awsclient"
	"github.com/emr-accessd/emr-accessd/internal/awssim"
	"github.com/emr-accessd/emr-accessd/internal/sgsync"
)

// simWorld is a simulated region with one cluster.
type simWorld struct {
	*awssim.Sim
	cluster, master, core string
	legacy                string // the public rule
	nodes                 []awssim.Node
}

func newSimWorld() simWorld {
	w := simWorld{Sim: awssim.New(awssim.Options{Account: "111122223333", Region: "eu-west-1"})}
	vpc := w.AddVPC(false)
	w.master = w.AddGroup(vpc, "ElasticMapReduce-master", "Master group for Elastic MapReduce")
	w.core = w.AddGroup(vpc, "ElasticMapReduce-slave", "Slave group for Elastic MapReduce")
	w.AddRule(w.master, awssim.RuleSpec{FromPort: 0, ToPort: 65535, SourceGroup: w.core})
	w.legacy = w.AddRule(w.master, awssim.RuleSpec{FromPort: 22, ToPort: 22, CIDR: "0.0.0.0/0"})
	w.AddKeyPair("team", "ssh-ed25519 AAAA team")
	w.cluster = w.AddCluster(awssim.ClusterSpec{
		Name: "nightly", MasterGroup: w.master, CoreGroup: w.core, KeyName: "team", Tags: map[string]string{"team": "data"},
		Nodes: []awssim.NodeSpec{
			{PublicIP: "198.51.100.10", IPv6: "2001:db8:1::10", Console: "login:", ConsoleLatest: "later"},
			{Role: "CORE", PublicIP: "198.51.100.11"}, {Role: "CORE", State: "TERMINATED"},
		},
	})
	w.nodes = w.Nodes(w.cluster)
	return w
}

// inBubble runs f in a synctest bubble: the whole client works there, with no goroutine left over.
func inBubble(t *testing.T, f func(t *testing.T, w simWorld, c *awsclient.Client)) {
	t.Helper()
	staticKeys(t)
	synctest.Test(t, func(t *testing.T) {
		w := newSimWorld()
		c := openOn(t, w.Client())
		f(t, w, c)
		c.Close()
	})
}

func TestSimReads(t *testing.T) {
	inBubble(t, func(t *testing.T, w simWorld, c *awsclient.Client) {
		ctx := t.Context()
		if id := c.Identity(); id.Account != "111122223333" || id.UserID != "AIDASIMULATEDUSER0001" || id.Endpoint != "" || id.Unstable {
			t.Errorf("identity %+v", id)
		}
		cl, err := c.Cluster(ctx, w.cluster)
		if err != nil || cl.PrimaryGroup != w.master || cl.CoreGroup != w.core || cl.KeyName != "team" || !cl.Active() || cl.Fleet || cl.Tags["team"] != "data" {
			t.Errorf("cluster %+v, %v", cl, err)
		}
		nodes, err := c.Nodes(ctx, cl)
		if err != nil || len(nodes) != 1 {
			t.Fatalf("nodes %+v, %v", nodes, err)
		}
		n := nodes[0]
		if n.Instance != w.nodes[0].InstanceID || n.Public4 != netip.MustParseAddr("198.51.100.10") || n.V6 != netip.MustParseAddr("2001:db8:1::10") ||
			!slices.Equal(n.Groups, []string{w.master}) || n.Detail != nil || n.Private4.String() != w.nodes[0].PrivateIP {
			t.Errorf("node %+v", n)
		}
		if cores, err := c.Nodes(ctx, cl, awsclient.RoleCore); err != nil || len(cores) != 1 || cores[0].Instance != w.nodes[1].InstanceID || cores[0].V6.IsValid() {
			t.Errorf("core nodes %+v, %v", cores, err)
		}
		if g, err := c.Group(ctx, w.master); err != nil || g.Name != "ElasticMapReduce-master" || g.Owner != "111122223333" || g.VPC == "" {
			t.Errorf("group %+v, %v", g, err)
		}
		view, err := c.Rules(ctx, w.master)
		if err != nil || len(view.Rules) != 2 || !view.AWS.Equal(time.Now()) || view.Sent != time.Now().Round(0) {
			t.Errorf("view %+v, %v", view, err)
		}
		for latest, want := range map[bool]string{false: "login:", true: "later"} {
			if text, err := c.ConsoleOutput(ctx, n.Instance, latest); err != nil || text != want {
				t.Errorf("console %q, %v", text, err)
			}
		}
		if key, err := c.KeyPair(ctx, "team"); err != nil || key != "ssh-ed25519 AAAA team" {
			t.Errorf("key %q, %v", key, err)
		}
		_, err = c.KeyPair(ctx, "none")
		wantKind(t, err, awsclient.NotFound)
		_, err = c.Cluster(ctx, "j-UNKNOWNUNKNOW")
		wantKind(t, err, awsclient.NotFound)
		if view, err := c.Rules(ctx, "sg-00000000"); err != nil || len(view.Rules) != 0 { // a filter that finds nothing
			t.Errorf("rules of no group: %+v, %v", view, err)
		}
		_, err = c.Group(ctx, "sg-00000000")
		wantKind(t, err, awsclient.NotFound)

		w.SetClusterState(w.cluster, "TERMINATED")
		if cl, err = c.Cluster(ctx, w.cluster); err != nil || !cl.Ended() {
			t.Errorf("ended cluster %+v, %v", cl, err)
		}
		if list, err := c.ListClusters(ctx, false); err != nil || len(list) != 0 {
			t.Errorf("active clusters %+v, %v", list, err)
		}
		if list, err := c.ListClusters(ctx, true); err != nil || len(list) != 1 || list[0].ID != w.cluster || list[0].Name != "nightly" {
			t.Errorf("all clusters %+v, %v", list, err)
		}
	})
}

func TestSimFleetAndPaging(t *testing.T) {
	inBubble(t, func(t *testing.T, w simWorld, c *awsclient.Client) {
		ctx := t.Context()
		spec := awssim.ClusterSpec{MasterGroup: w.master, CoreGroup: w.core, Fleets: true, Private: true}
		spec.Nodes = append(spec.Nodes, awssim.NodeSpec{})
		for range 450 { // several pages of EMR and several batches of EC2
			spec.Nodes = append(spec.Nodes, awssim.NodeSpec{Role: "CORE"})
		}
		cl, err := c.Cluster(ctx, w.AddCluster(spec))
		if err != nil || !cl.Fleet {
			t.Fatalf("cluster %+v, %v", cl, err)
		}
		nodes, err := c.Nodes(ctx, cl, awsclient.RolePrimary, awsclient.RoleCore)
		if err != nil || len(nodes) != 451 || nodes[0].Role != awsclient.RolePrimary {
			t.Fatalf("%d nodes, %v", len(nodes), err)
		}
		for _, n := range nodes {
			if n.Detail != nil || len(n.Groups) == 0 || n.Public4.IsValid() || !n.Private4.IsValid() {
				t.Fatalf("node %+v", n)
			}
		}
		again, _ := c.Nodes(ctx, cl, awsclient.RolePrimary, awsclient.RoleCore)
		if !slices.EqualFunc(nodes, again, func(a, b awsclient.Node) bool { return a.Instance == b.Instance }) {
			t.Error("the order of nodes is not stable")
		}

		for i := range 60 {
			w.AddCluster(awssim.ClusterSpec{Name: fmt.Sprint(i), MasterGroup: w.master, CoreGroup: w.core})
		}
		if list, err := c.ListClusters(ctx, false); err != nil || len(list) != 62 {
			t.Errorf("%d clusters, %v", len(list), err)
		}
		for i := range 1200 {
			w.AddRule(w.core, awssim.RuleSpec{FromPort: 22, ToPort: 22, CIDR: fmt.Sprintf("10.1.%d.%d/32", i/256, i%256)})
		}
		if view, err := c.Rules(ctx, w.core); err != nil || len(view.Rules) != 1200 {
			t.Errorf("%d rules, %v", len(view.Rules), err)
		}
	})
}

func TestSimWrites(t *testing.T) {
	inBubble(t, func(t *testing.T, w simWorld, c *awsclient.Client) {
		ctx := t.Context()
		mine := sgsync.NewRule{Port: 22, CIDR: netip.MustParsePrefix("203.0.113.5/32"), Description: "one", Tags: map[string]string{"emr-accessd-owner": "me", "k": "v"}}
		six := mine
		six.CIDR = netip.MustParsePrefix("2001:db8:2::5/128")
		added, err := c.Authorize(ctx, w.master, mine)
		if err != nil || added.CIDR != mine.CIDR || added.Tags["k"] != "v" || added.Description != "one" {
			t.Fatalf("added %+v, %v", added, err)
		}
		added6, err := c.Authorize(ctx, w.master, six)
		if err != nil || added6.CIDR != six.CIDR {
			t.Fatalf("added %+v, %v", added6, err)
		}
		_, err = c.Authorize(ctx, w.master, mine)
		if wantKind(t, err, awsclient.Duplicate); !errors.Is(err, sgsync.ErrDuplicate) {
			t.Errorf("%v", err)
		}
		moved := mine
		moved.CIDR, moved.Description = netip.MustParsePrefix("203.0.113.6/32"), ""
		if err := c.Modify(ctx, w.master, added.ID, moved); err != nil {
			t.Fatal(err)
		}
		moved6 := six
		moved6.CIDR = netip.MustParsePrefix("2001:db8:2::6/128")
		if err := c.Modify(ctx, w.master, added6.ID, moved6); err != nil {
			t.Fatal(err)
		}
		wantKind(t, c.Modify(ctx, w.master, added.ID, moved6), awsclient.BadRequest) // the family cannot change

		if err := errors.Join(c.Tag(ctx, added.ID, "k", "v2"), c.Untag(ctx, added.ID, "k", "v"), c.Tag(ctx, added.ID, "gone", "x"), c.Untag(ctx, added.ID, "gone", "x")); err != nil {
			t.Fatal(err)
		}
		view, err := c.Rules(ctx, w.master)
		if err != nil {
			t.Fatal(err)
		}
		i := slices.IndexFunc(view.Rules, func(r sgsync.Rule) bool { return r.ID == added.ID })
		if i < 0 {
			t.Fatalf("the rule is not there: %+v", view.Rules)
		}
		if r := view.Rules[i]; r.CIDR != moved.CIDR || r.Description != "" || len(r.Tags) != 2 || r.Tags["k"] != "v2" {
			t.Errorf("after moving and tagging: %+v", r)
		}
		byTag, err := c.RulesByTag(ctx, "k")
		if err != nil || len(byTag.Rules) != 2 || byTag.Rules[0].Group != w.master {
			t.Errorf("by tag: %+v, %v", byTag, err)
		}

		if err := errors.Join(c.Revoke(ctx, w.master, added.ID), c.Revoke(ctx, w.master, added6.ID)); err != nil {
			t.Fatal(err)
		}
		for name, err := range map[string]error{
			"revoke": c.Revoke(ctx, w.master, added.ID), "modify": c.Modify(ctx, w.master, added.ID, mine), "tag": c.Tag(ctx, added.ID, "k", "v"),
		} {
			if wantKind(t, err, awsclient.Gone); !errors.Is(err, sgsync.ErrGone) {
				t.Errorf("%s of a rule that is gone: %v", name, err)
			}
		}
		if left := w.Rules(w.master); len(left) != 2 {
			t.Errorf("left: %+v", left)
		}
	})
}

// TestSimLostResponse: the write took effect, its answer was lost. It is not sent again and is no success.
func TestSimLostResponse(t *testing.T) {
	inBubble(t, func(t *testing.T, w simWorld, c *awsclient.Client) {
		w.Inject(awssim.Fault{Action: "AuthorizeSecurityGroupIngress", DropAfter: true})
		w.ResetCalls()
		_, err := c.Authorize(t.Context(), w.master, goodRule())
		wantKind(t, err, awsclient.Offline)
		if n := len(w.Calls()); n != 1 {
			t.Errorf("sent %d times", n)
		}
		if n := len(w.Rules(w.master)); n != 3 {
			t.Errorf("%d rules: the fault does not do what this test is for", n)
		}

		w.Inject(awssim.Fault{Action: "RevokeSecurityGroupIngress", Latency: time.Minute})
		start := time.Now()
		wantKind(t, c.Revoke(t.Context(), w.master, w.legacy), awsclient.Offline)
		if took := time.Since(start); took != sgsync.AttemptTimeout {
			t.Errorf("ended after %v", took)
		}
	})
}

// TestSimReadsRecover: reads survive a throttle, a lost answer and a page of a proxy with 503.
func TestSimReadsRecover(t *testing.T) {
	inBubble(t, func(t *testing.T, w simWorld, c *awsclient.Client) {
		for _, f := range []awssim.Fault{
			{Action: "DescribeSecurityGroupRules", Code: "RequestLimitExceeded", Times: 2},
			{Action: "DescribeSecurityGroupRules", DropAfter: true, Times: 2},
			{Action: "DescribeSecurityGroupRules", RawBody: "<html>busy</html>", Times: 2},
		} {
			w.Inject(f)
			if view, err := c.Rules(t.Context(), w.master); err != nil || len(view.Rules) != 2 {
				t.Errorf("%+v: %v", f, err)
			}
		}
	})
}

func TestSimPrincipals(t *testing.T) {
	staticKeys(t)
	synctest.Test(t, func(t *testing.T) {
		w := newSimWorld()
		w.AddPrincipal("AKIDTEST", awssim.Principal{Deny: []string{"ec2:DescribeInstances", "ec2:CreateTags", "ec2:RevokeSecurityGroupIngress", "elasticmapreduce:ListClusters"}})
		c := openOn(t, w.Client())
		ctx := t.Context()
		nodes, err := c.Nodes(ctx, awsclient.Cluster{ID: w.cluster})
		if err != nil || len(nodes) != 1 || nodes[0].Public4 != netip.MustParseAddr("198.51.100.10") || nodes[0].V6.IsValid() {
			t.Errorf("nodes %+v, %v", nodes, err)
		} else {
			wantKind(t, nodes[0].Detail, awsclient.Denied)
		}
		_, err = c.Authorize(ctx, w.master, goodRule()) // tagging at creation is refused
		_, errList := c.ListClusters(ctx, false)
		for _, err := range []error{err, c.Revoke(ctx, w.master, w.legacy), c.Tag(ctx, w.legacy, "k", "v"), errList} {
			if e := wantKind(t, err, awsclient.Denied); !errors.Is(err, sgsync.ErrDenied) || e.Hint == "" {
				t.Errorf("%v — %s", err, e.Hint)
			}
		}

		w.AddPrincipal("AKIDTEST", awssim.Principal{Expired: true})
		_, errGroup := c.Group(ctx, w.master)
		_, errCluster := c.Cluster(ctx, w.cluster)
		_, errOpen := awsclient.Open(ctx, awsclient.Options{HTTPClient: w.Client()})
		for _, err := range []error{errGroup, errCluster, errOpen} {
			wantKind(t, err, awsclient.Credentials)
		}
	})
}

// TestSimRegion: an endpoint of another region refuses; that is no "cluster not found".
func TestSimRegion(t *testing.T) {
	staticKeys(t)
	t.Setenv("AWS_REGION", "eu-central-1")
	synctest.Test(t, func(t *testing.T) {
		w := newSimWorld()
		c, err := awsclient.Open(t.Context(), awsclient.Options{HTTPClient: w.Client()})
		if err == nil {
			_, err = c.Cluster(t.Context(), w.cluster)
		}
		wantKind(t, err, awsclient.Credentials)
	})
}
