package main

import (
	"fmt"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"

	"github.com/emr-accessd/emr-accessd/internal/awssim"
	"github.com/rogpeppe/go-internal/testscript"
)

// otherAccount is a second AWS account, in another region, with a cluster of the same name.
type otherAccount struct {
	sim   *awssim.Sim
	group string
}

func newOtherAccount(env *testscript.Env) *otherAccount {
	o := &otherAccount{sim: awssim.New(awssim.Options{Region: "us-east-1", Account: "210987654321"})}
	o.group = o.sim.AddGroup(o.sim.AddVPC(false), "ElasticMapReduce-master", "Master group")
	id := o.sim.AddCluster(awssim.ClusterSpec{Name: "nightly-etl", MasterGroup: o.group, Nodes: []awssim.NodeSpec{{PublicIP: "127.0.0.9"}}})
	server := httptest.NewServer(o.sim)
	env.Defer(server.Close)
	env.Vars = append(env.Vars, "OTHER_ENDPOINT="+server.URL, "OTHER="+id)
	return o
}

// second VAR ADDRESS: a cluster begins in the first one's groups, whose node has a public address for its second private one alone.
func cmdSecond(ts *testscript.TestScript, _ bool, args []string) {
	w := worldOf(ts)
	ts.Setenv(args[0], w.sim.AddCluster(awssim.ClusterSpec{Name: "second", MasterGroup: w.master, CoreGroup: w.core, Nodes: []awssim.NodeSpec{{SecondPublicIP: args[1]}}}))
}

// start NAME VAR [additional] [tag=value]: a cluster begins, with groups of its own; VAR and VAR_GROUP hold the ids.
func cmdStart(ts *testscript.TestScript, _ bool, args []string) {
	w := worldOf(ts)
	vpc := w.sim.AddVPC(false)
	spec := awssim.ClusterSpec{Name: args[0], MasterGroup: w.sim.AddGroup(vpc, "primary-of-"+args[1], "x"), CoreGroup: w.sim.AddGroup(vpc, "core-of-"+args[1], "x"),
		Nodes: []awssim.NodeSpec{{PublicIP: "127.0.0.1"}, {Role: "CORE", PublicIP: "127.0.0.2"}}, Tags: map[string]string{}}
	for _, arg := range args[2:] {
		if k, v, ok := strings.Cut(arg, "="); ok {
			spec.Tags[k] = v
			continue
		}
		extra := w.sim.AddGroup(vpc, "additional-of-"+args[1], "x")
		spec.AdditionalMaster = []string{extra}
		ts.Setenv(args[1]+"_EXTRA", extra)
	}
	ts.Setenv(args[1], w.sim.AddCluster(spec))
	ts.Setenv(args[1]+"_GROUP", spec.MasterGroup)
	ts.Setenv(args[1]+"_CORE", spec.CoreGroup)
}

// end CLUSTER.
func cmdEnd(ts *testscript.TestScript, _ bool, args []string) {
	worldOf(ts).sim.SetClusterState(args[0], "TERMINATED")
}

// rules GROUP [CIDR:PORT…]: these and no other rules with our tags are in the group ("other" is the other account's).
func cmdRules(ts *testscript.TestScript, _ bool, args []string) {
	sim, group := worldOf(ts).sim, args[0]
	if group == "other" {
		o := ts.Value("other").(*otherAccount)
		sim, group = o.sim, o.group
	}
	got := []string{}
	for _, r := range sim.Rules(group) {
		if r.Tags["emr-accessd-owner"] != "" {
			got = append(got, fmt.Sprintf("%s:%d", r.CIDR, r.FromPort))
		}
	}
	want := slices.Clone(args[1:])
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		ts.Fatalf("rules in %s: %v, want %v", args[0], got, want)
	}
}

// crowd N: strangers' rules fill the master group up to N.
func cmdCrowd(ts *testscript.TestScript, _ bool, args []string) {
	w := worldOf(ts)
	n, err := strconv.Atoi(args[0])
	ts.Check(err)
	for i := len(w.sim.Rules(w.master)); i < n; i++ {
		w.sim.AddRule(w.master, awssim.RuleSpec{FromPort: 9000, ToPort: 9000, CIDR: fmt.Sprintf("192.0.2.%d/32", i)})
	}
}
