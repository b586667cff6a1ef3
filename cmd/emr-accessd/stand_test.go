package main

import (
	"slices"
	"strconv"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/emr-accessd/emr-accessd/internal/awsclient"
	"github.com/emr-accessd/emr-accessd/internal/awssim"
	"github.com/emr-accessd/emr-accessd/internal/ipwatch"
	"github.com/emr-accessd/emr-accessd/internal/keeper"
)

// A cluster whose primary nodes run in its groups is where it was, and EMR is not asked. Anything else is a look at all.
func TestStands(t *testing.T) {
	standsEnv(t)
	const ec2, emr = "DescribeInstances", "DescribeCluster"
	pattern := func(t *keeper.Target) { t.Cluster, t.NamePattern = "", "etl*" }
	for name, tt := range map[string]struct {
		target func(*keeper.Target)
		change func(*standsWorld)
		calls  []string
		node   string // the address of the first node afterwards
		ended  bool
		looks  int
	}{
		"nothing has changed":   {calls: []string{ec2}, node: "192.0.2.10"},
		"another address":       {change: func(w *standsWorld) { w.node(func(n *awssim.NodeSpec) { n.PublicIP = "192.0.2.11" }) }, calls: []string{ec2}, node: "192.0.2.11"},
		"no address":            {change: func(w *standsWorld) { w.node(func(n *awssim.NodeSpec) { n.PublicIP = "" }) }, calls: []string{ec2}, node: "invalid IP"},
		"the cluster has ended": {change: func(w *standsWorld) { w.sim.SetClusterState(w.cluster, "TERMINATED") }, calls: []string{ec2, emr}, ended: true},
		"the node was replaced": {change: func(w *standsWorld) {
			w.node(func(n *awssim.NodeSpec) { n.State = "TERMINATED" })
			w.sim.AddNode(w.cluster, awssim.NodeSpec{PublicIP: "192.0.2.12"})
		}, calls: []string{ec2, emr, "ListInstances", ec2}, node: "192.0.2.12"},
		"it was found in another group": {change: func(w *standsWorld) {
			w.place.Groups, w.place.Uses = []string{w.other}, map[string][]string{w.other: {w.cluster}}
		}, calls: []string{ec2, emr, "ListInstances", ec2}, node: "192.0.2.10"},
		"one group of two": {change: func(w *standsWorld) {
			w.place.Groups = append(w.place.Groups, w.other)
			w.place.Uses[w.other] = []string{w.cluster}
		}, calls: []string{ec2, emr, "ListInstances", ec2}, node: "192.0.2.10"},
		"no such instance": {change: func(w *standsWorld) { w.place.Nodes[0].Instance = "*" }, calls: []string{emr, "ListInstances", ec2}, node: "192.0.2.10"},
		"a node more than there is": {change: func(w *standsWorld) {
			for _, id := range []string{"i-00000000000000000", "i-00000000000000001"} {
				w.place.Nodes = append(w.place.Nodes, keeper.Node{Cluster: w.cluster, Instance: id, State: "RUNNING"})
			}
		}, calls: []string{ec2, emr, "ListInstances", ec2}, node: "192.0.2.10"},
		"EC2 may not be asked any more": {change: func(w *standsWorld) {
			w.sim.AddPrincipal("AKIDTEST", awssim.Principal{Deny: []string{"ec2:DescribeInstances"}})
		}, calls: []string{ec2, emr, "ListInstances", ec2}, node: "192.0.2.10"},
		"a pattern": {target: pattern, calls: []string{"ListClusters", ec2}, node: "192.0.2.10"},
		"a pattern, and a new cluster": {target: pattern, change: func(w *standsWorld) { w.add("etl-2", "192.0.2.20") },
			calls: []string{"ListClusters", ec2, emr, "ListInstances", ec2}, looks: 8},
		"a pattern, and the cluster has ended": {target: pattern, change: func(w *standsWorld) { w.sim.SetClusterState(w.cluster, "TERMINATED") }, calls: []string{"ListClusters"}, node: "none"},
	} {
		t.Run(name, func(t *testing.T) {
			w := newStandsWorld(t)
			target := keeper.Target{Cluster: w.cluster, Nodes: []string{awsclient.RolePrimary}}
			if tt.target != nil {
				tt.target(&target)
			}
			first, err := w.cloud.Resolve(t.Context(), target, keeper.Before{})
			if err != nil || len(first.Nodes) != 1 {
				t.Fatalf("%+v, %v", first, err)
			}
			w.place = first
			w.place.Nodes = slices.Clone(first.Nodes)
			w.place.Looks = 7
			if tt.change != nil {
				tt.change(w)
			}
			w.sim.ResetCalls()
			got, err := w.cloud.Resolve(t.Context(), target, was(w.place))
			if err != nil {
				t.Fatal(err)
			}
			var calls []string
			for _, c := range w.sim.Calls() {
				calls = append(calls, c.Action)
			}
			if diff := cmp.Diff(tt.calls, calls); diff != "" {
				t.Error(diff)
			}
			if got.Ended != tt.ended {
				t.Errorf("ended: %v", got.Ended)
			}
			switch {
			case tt.node == "none" && len(got.Nodes) > 0:
				t.Errorf("%+v", got)
			case tt.node != "" && tt.node != "none" && (len(got.Nodes) != 1 || got.Nodes[0].Public4.String() != tt.node):
				t.Errorf("%+v, want %s", got.Nodes, tt.node)
			}
			want := tt.looks
			if !slices.Contains(calls, emr) && tt.node != "none" {
				want = 8
			}
			if got.Looks != want {
				t.Errorf("%d looks, want %d", got.Looks, want)
			}
			if !got.Ended && tt.node != "none" && !slices.Contains(got.Groups, w.group) {
				t.Errorf("groups %v", got.Groups)
			}
			if w.place.Nodes[0].Public4 != first.Nodes[0].Public4 {
				t.Error("the place of before was changed")
			}
		})
	}
}

// When EC2 has no room, EMR is not asked in its place: that would cost two more calls, and the same one after them.
func TestStandsThrottled(t *testing.T) {
	standsEnv(t)
	synctest.Test(t, standsThrottled)
}

func standsThrottled(t *testing.T) {
	w := newStandsWorld(t)
	target := keeper.Target{Cluster: w.cluster, Nodes: []string{awsclient.RolePrimary}}
	first, err := w.cloud.Resolve(t.Context(), target, keeper.Before{})
	if err != nil {
		t.Fatal(err)
	}
	w.sim.Inject(awssim.Fault{Action: "DescribeInstances", Code: "RequestLimitExceeded", Status: 503})
	w.sim.ResetCalls()
	_, err = w.cloud.Resolve(t.Context(), target, was(first))
	if kind, ok := awsclient.KindOf(err); !ok || kind != awsclient.Throttled {
		t.Errorf("%v", err)
	}
	for _, c := range w.sim.Calls() {
		if c.Action != "DescribeInstances" {
			t.Errorf("%s was asked", c.Action)
		}
	}
}

// What AWS refuses about one cluster does not stop the others; when it has no room, nothing more is asked. What was known stays.
func TestPatternRefused(t *testing.T) {
	standsEnv(t)
	for name, tt := range map[string]struct {
		fault             awssim.Fault
		ended             bool // the second cluster has
		before            func(*keeper.Before)
		found             []int // clusters, by their place in the list
		calls             int   // DescribeCluster
		partial, unlisted bool
	}{
		"one may not be described":     {fault: awssim.Fault{Action: "DescribeCluster", Code: "AccessDeniedException", Times: 1}, calls: 1},
		"no room":                      {fault: awssim.Fault{Action: "DescribeCluster", Code: "ThrottlingException"}, found: []int{0, 1}, calls: 3, partial: true}, // three attempts of one call
		"no room, one has ended":       {fault: awssim.Fault{Action: "DescribeCluster", Code: "ThrottlingException"}, ended: true, found: []int{0}, calls: 3, partial: true},
		"not listed":                   {fault: awssim.Fault{Action: "ListClusters", Code: "ThrottlingException"}, found: []int{0, 1}, unlisted: true},
		"not listed, one does not run": {fault: awssim.Fault{Action: "ListClusters", Code: "ThrottlingException"}, ended: true, found: []int{0, 1}, partial: true, unlisted: true},
		"the same, for long": {fault: awssim.Fault{Action: "ListClusters", Code: "ThrottlingException"}, ended: true, before: func(b *keeper.Before) { b.Keep = false },
			found: []int{0}, partial: true, unlisted: true},
		"may not be listed": {fault: awssim.Fault{Action: "ListClusters", Code: "AccessDeniedException"}},
		"nodes of an older program": {fault: awssim.Fault{Action: "ListClusters", Code: "ThrottlingException"}, before: func(b *keeper.Before) {
			for i := range b.Place.Nodes {
				b.Place.Nodes[i].Cluster = ""
			}
		}, found: []int{0, 1}, partial: true, unlisted: true},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newStandsWorld(t)
				ids := []string{w.cluster, w.add("etl-2", "192.0.2.20")}
				slices.Sort(ids)
				target := keeper.Target{NamePattern: "etl*", Nodes: []string{awsclient.RolePrimary}}
				first, err := w.cloud.Resolve(t.Context(), target, keeper.Before{})
				if err != nil || len(first.Clusters) != 2 || first.Partial {
					t.Fatalf("%+v, %v", first, err)
				}
				for _, id := range []string{"j-ZZZZZZZZZZZZ1", "j-ZZZZZZZZZZZZ2"} { // after the others in the list
					w.sim.AddCluster(awssim.ClusterSpec{ID: id, Name: "etl", MasterGroup: w.group, CoreGroup: w.group, Nodes: []awssim.NodeSpec{{PublicIP: "192.0.2.30"}}})
					ids = append(ids, id)
				}
				if tt.ended {
					w.sim.SetClusterState(ids[1], "TERMINATED")
				}
				w.sim.Inject(tt.fault)
				w.sim.ResetCalls()
				before := was(first)
				if tt.before != nil {
					tt.before(&before)
				}
				got, err := w.cloud.Resolve(t.Context(), target, before)
				if _, ok := awsclient.KindOf(err); !ok {
					t.Errorf("%v", err)
				}
				var want []string
				for _, i := range tt.found {
					want = append(want, ids[i])
				}
				if diff := cmp.Diff(want, got.Clusters); diff != "" || got.Partial != tt.partial || got.Unlisted != tt.unlisted {
					t.Errorf("%s partial %v, unlisted %v, %+v", diff, got.Partial, got.Unlisted, got.Nodes)
				}
				if whose := len(got.Nodes) == len(want); !whose && !got.Unclear6 {
					t.Errorf("%d nodes, and IPv6 seems to be known: %+v", len(got.Nodes), got)
				}
				n := 0
				for _, c := range w.sim.Calls() {
					if c.Action == "DescribeCluster" {
						n++
					}
				}
				if n != tt.calls {
					t.Errorf("%d calls of DescribeCluster, want %d", n, tt.calls)
				}
				first.Partial = true
				if got, _ = w.cloud.Resolve(t.Context(), target, was(first)); tt.unlisted && !got.Partial {
					t.Error("a list that could not be read completes nothing")
				}
			})
		})
	}
}

// A cluster that is being made, or has no additional group, takes none of the others with it.
func TestPatternWithAnOddOne(t *testing.T) {
	standsEnv(t)
	w := newStandsWorld(t)
	target := keeper.Target{NamePattern: "t*", Nodes: []string{awsclient.RolePrimary}, Group: "additional"}
	for i := range 6 {
		spec := awssim.ClusterSpec{Name: "t", MasterGroup: w.group, CoreGroup: w.group, Nodes: []awssim.NodeSpec{{PublicIP: "192.0.2.30"}}, AdditionalMaster: []string{w.other}}
		if i == 0 {
			spec.AdditionalMaster = nil
		}
		w.sim.AddCluster(spec)
	}
	first, err := w.cloud.Resolve(t.Context(), target, keeper.Before{})
	if err != nil || len(first.Clusters) != 5 || len(first.Warnings) != 1 {
		t.Fatalf("%+v, %v", first, err)
	}
	got, err := w.cloud.Resolve(t.Context(), target, was(first))
	if diff := cmp.Diff(first.Clusters, got.Clusters); diff != "" || err != nil || len(got.Warnings) != 1 {
		t.Errorf("%s, %v, %v", diff, got.Warnings, err)
	}
}

// Who takes a tag from a cluster, and with it the permission to describe it, takes the cluster out of the target.
func TestPatternTagGone(t *testing.T) {
	standsEnv(t)
	w := newStandsWorld(t)
	w.sim.SetClusterState(w.cluster, "TERMINATED")
	w.sim.AddCluster(awssim.ClusterSpec{Name: "t", MasterGroup: w.other, CoreGroup: w.other, Tags: map[string]string{"team": "x"}, Nodes: []awssim.NodeSpec{{PublicIP: "192.0.2.40"}}})
	target := keeper.Target{ClusterTags: map[string]string{"team": "x"}, Nodes: []string{awsclient.RolePrimary}}
	first, err := w.cloud.Resolve(t.Context(), target, keeper.Before{})
	if err != nil || len(first.Groups) != 1 {
		t.Fatalf("%+v, %v", first, err)
	}
	w.sim.AddPrincipal("AKIDTEST", awssim.Principal{Deny: []string{"elasticmapreduce:DescribeCluster"}})
	if got, err := w.cloud.Resolve(t.Context(), target, was(first)); len(got.Groups) > 0 || err == nil {
		t.Errorf("kept %v, %v", got.Groups, err)
	}
}

// A third primary node was not listed while it was made; two are never all.
func TestStandsWithTwoOfThree(t *testing.T) {
	standsEnv(t)
	w := newStandsWorld(t)
	w.sim.AddNode(w.cluster, awssim.NodeSpec{PublicIP: "192.0.2.11"})
	third := w.sim.AddNode(w.cluster, awssim.NodeSpec{PublicIP: "192.0.2.12", State: "PROVISIONING"})
	target := keeper.Target{Cluster: w.cluster, Nodes: []string{awsclient.RolePrimary}}
	place, err := w.cloud.Resolve(t.Context(), target, keeper.Before{})
	if err != nil || len(place.Nodes) != 2 {
		t.Fatalf("%+v, %v", place, err)
	}
	w.sim.SetNode(third, func(n *awssim.NodeSpec) { n.State = "RUNNING" })
	for range 2 {
		if place, err = w.cloud.Resolve(t.Context(), target, was(place)); err != nil || len(place.Nodes) != 3 {
			t.Errorf("%d nodes, %v", len(place.Nodes), err)
		}
	}
	if place.Looks != 1 {
		t.Errorf("three do not stand: %+v", place)
	}
}

// When one of several clusters is left, its name is told again.
func TestPatternOfOneThatIsLeft(t *testing.T) {
	standsEnv(t)
	w := newStandsWorld(t)
	second := w.add("etl-2", "192.0.2.20")
	target := keeper.Target{NamePattern: "etl*", Nodes: []string{awsclient.RolePrimary}}
	first, err := w.cloud.Resolve(t.Context(), target, keeper.Before{})
	if err != nil || len(first.Clusters) != 2 {
		t.Fatalf("%+v, %v", first, err)
	}
	w.sim.SetClusterState(second, "TERMINATED")
	if got, err := w.cloud.Resolve(t.Context(), target, was(first)); err != nil || got.Name != "etl-1" || got.State != "WAITING" {
		t.Errorf("%+v, %v", got, err)
	}
}

func was(p keeper.Place) keeper.Before { return keeper.Before{Place: p, Stand: true, Keep: true} }

type standsWorld struct {
	sim                   *awssim.Sim
	cloud                 cloud
	group, other, cluster string
	place                 keeper.Place
}

// standsEnv has the keys that a standsWorld knows.
func standsEnv(t *testing.T) {
	t.Helper()
	fleetEnv(t)
	t.Setenv("AWS_ACCESS_KEY_ID", "AKIDTEST")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "test")
}

func newStandsWorld(t *testing.T) *standsWorld {
	t.Helper()
	w := &standsWorld{sim: awssim.New(awssim.Options{})}
	vpc := w.sim.AddVPC(true)
	w.group, w.other = w.sim.AddGroup(vpc, "ElasticMapReduce-master", "x"), w.sim.AddGroup(vpc, "other", "x")
	w.cluster = w.add("etl-1", "192.0.2.10")
	client, err := awsclient.Open(t.Context(), awsclient.Options{HTTPClient: w.sim.Client()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	w.cloud = cloud{client}
	return w
}

// add makes a cluster with one primary node.
func (w *standsWorld) add(name, addr string) string {
	return w.sim.AddCluster(awssim.ClusterSpec{Name: name, MasterGroup: w.group, CoreGroup: w.group, Nodes: []awssim.NodeSpec{{PublicIP: addr}}})
}

// node changes the first node.
func (w *standsWorld) node(change func(*awssim.NodeSpec)) {
	w.sim.SetNode(w.sim.Nodes(w.cluster)[0].InstanceID, change)
}

// A team whose pattern matches many clusters: each laptop finds them all, however slowly EMR lets an account ask. A search that
// begins anew after each refusal would hardly come to its end.
func TestPatternUnderQuota(t *testing.T) {
	fleetEnv(t)
	synctest.Test(t, func(t *testing.T) {
		const laptops, clusters = 3, 24
		sim := awssim.New(awssim.Options{})
		count := newFleetCount()
		f := &fleet{t: t, count: count, wire: newFleetWire(count, fleetWhole), dir: t.TempDir(), names: true}
		vpc := sim.AddVPC(true)
		groups := make([]string, clusters)
		for i := range groups {
			groups[i] = sim.AddGroup(vpc, "ElasticMapReduce-master-"+strconv.Itoa(i), "x")
			sim.AddCluster(awssim.ClusterSpec{Name: "etl", MasterGroup: groups[i], CoreGroup: groups[i], Nodes: []awssim.NodeSpec{{PublicIP: "192.0.2.10"}}})
		}
		begin := time.Now()
		for i := range laptops {
			m := &member{fleet: f, index: i, key: "AKIAMEMBER" + strconv.Itoa(i), sim: sim, addr: homeAddr(i), group: groups[0], hints: make(chan ipwatch.Hint, 8)}
			sim.AddPrincipal(m.key, awssim.Principal{UserID: "AIDAMEMBER" + strconv.Itoa(i)})
			f.members = append(f.members, m)
			m.wake()
		}
		rules := func() (n int) {
			for _, g := range groups {
				n += len(sim.Rules(g))
			}
			return n
		}
		for rules() < laptops*clusters && time.Since(begin) < 2*time.Hour {
			time.Sleep(10 * time.Second)
		}
		took := time.Since(begin)
		f.sleep()
		t.Logf("%d rules in %v; %s", rules(), took, count)
		if rules() != laptops*clusters || took > 20*time.Minute { // EMR's limits take two, the pauses between tries the rest
			t.Errorf("%d rules of %d after %v", rules(), laptops*clusters, took)
		}
		if n := count.done("ListInstances"); n > laptops*clusters*5/4 {
			t.Errorf("the nodes of %d clusters were listed, each of %d laptops should do it once for each of %d", n, laptops, clusters)
		}
	})
}

// Each node must be in a group of the place: a primary node that was moved out of it is not reached by its rules.
func TestStandsEachNode(t *testing.T) {
	nodes := []keeper.Node{{Instance: "i-1"}, {Instance: "i-2"}, {Instance: "i-3"}}
	running := map[string]awsclient.Node{"i-1": {Groups: []string{"sg-1"}}, "i-2": {Groups: []string{"sg-1"}}, "i-3": {Groups: []string{"sg-1", "sg-9"}}}
	if p := (keeper.Place{Groups: []string{"sg-1"}, Nodes: nodes}); !stands(&p, running) {
		t.Error("three nodes in their group do not stand")
	}
	running["i-3"] = awsclient.Node{Groups: []string{"sg-9"}}
	if p := (keeper.Place{Groups: []string{"sg-1"}, Nodes: nodes}); stands(&p, running) {
		t.Error("a node that has left the group stands")
	}
}
