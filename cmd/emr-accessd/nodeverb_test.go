package main

import (
	"strings"

	"github.com/emr-accessd/emr-accessd/internal/awssim"
	"github.com/rogpeppe/go-internal/testscript"
)

// keypair NAME FILE: EC2 knows a key pair with the public key in that file.
func cmdKeyPair(ts *testscript.TestScript, _ bool, args []string) {
	worldOf(ts).sim.AddKeyPair(args[0], strings.TrimSpace(ts.ReadFile(args[1])))
}

// node add ROLE ADDRESS VAR: the cluster gets a node, which prints what the first one printed; its instance goes to VAR.
// node state STATE: all its nodes are in that state.
func cmdNode(ts *testscript.TestScript, _ bool, args []string) {
	w := worldOf(ts)
	nodes := w.sim.Nodes(w.cluster)
	switch args[0] {
	case "add":
		ts.Setenv(args[3], w.sim.AddNode(w.cluster, awssim.NodeSpec{Role: args[1], PublicIP: args[2], Console: nodes[0].Console}))
	case "state":
		for _, n := range nodes {
			w.sim.SetNode(n.InstanceID, func(n *awssim.NodeSpec) { n.State = args[1] })
		}
	default:
		ts.Fatalf("node %s: what is that?", args[0])
	}
}
