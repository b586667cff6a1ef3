package demo

import (
	"github.com/emr-accessd/emr-accessd/internal/awssim"
)

// region is where the cluster is, in the story.
const region = "eu-west-1"

// clusterName is the cluster's name, in the story.
const clusterName = "nightly-etl"

// cloud is what of the simulated AWS the story speaks about.
type cloud struct {
	cluster, instance        string            // j-…, i-…
	master, core, additional string            // sg-…
	names                    map[string]string // of the groups
	whose                    map[string]string // of the rules that were there from the start
}

// seed makes the cluster as EMR would have made it, and the rules that people left in its groups.
func seed(sim *awssim.Sim, n *node, publicKey string) cloud {
	port := int(n.listen.Port())
	vpc := sim.AddVPC(false)
	subnet := sim.AddSubnet(vpc, true)
	c := cloud{
		master:     sim.AddGroup(vpc, "ElasticMapReduce-master", "Master group for Elastic MapReduce"),
		core:       sim.AddGroup(vpc, "ElasticMapReduce-slave", "Slave group for Elastic MapReduce"),
		additional: sim.AddGroup(vpc, "data-team", "YARN pages for the data team"),
		whose:      map[string]string{},
	}
	c.names = map[string]string{c.master: "ElasticMapReduce-master", c.core: "ElasticMapReduce-slave", c.additional: "data-team"}
	add := func(whose, group string, r awssim.RuleSpec) { c.whose[sim.AddRule(group, r)] = whose }
	// EMR's own: all ICMP, TCP and UDP between the nodes, and 8443 from Amazon's service (EMR, "Working with
	// Amazon EMR-managed security groups").
	for _, group := range []string{c.master, c.core} {
		for _, from := range []string{c.master, c.core} {
			add("EMR", group, awssim.RuleSpec{Protocol: "icmp", FromPort: -1, ToPort: -1, SourceGroup: from})
			add("EMR", group, awssim.RuleSpec{Protocol: "tcp", FromPort: 0, ToPort: 65535, SourceGroup: from})
			add("EMR", group, awssim.RuleSpec{Protocol: "udp", FromPort: 0, ToPort: 65535, SourceGroup: from})
		}
	}
	add("EMR", c.master, awssim.RuleSpec{FromPort: 8443, ToPort: 8443, CIDR: "192.0.2.0/28"})
	add("legacy, public", c.master, awssim.RuleSpec{FromPort: 22, ToPort: 22, CIDR: "0.0.0.0/0"})
	add("carol, by hand", c.master, awssim.RuleSpec{FromPort: port, ToPort: port, CIDR: "198.51.100.23/32", Description: "carol home"})
	add("the data team", c.additional, awssim.RuleSpec{FromPort: 8088, ToPort: 8088, CIDR: "198.51.100.0/28"})

	sim.AddKeyPair("data-team", publicKey)
	address := n.listen.Addr().String()
	c.cluster = sim.AddCluster(awssim.ClusterSpec{
		Name: clusterName, State: "WAITING", Release: "emr-7.5.0", KeyName: "data-team", VPC: vpc, Subnet: subnet,
		MasterGroup: c.master, CoreGroup: c.core, AdditionalMaster: []string{c.additional},
		Tags: map[string]string{"team": "data"},
		Nodes: []awssim.NodeSpec{
			// The console names the host by its private address, which the simulated subnet gives.
			{Role: "MASTER", PublicIP: address, PublicDNS: address},
			{Role: "CORE"},
		},
	})
	primary := sim.Nodes(c.cluster)[0]
	c.instance = primary.InstanceID
	sim.SetNode(c.instance, func(spec *awssim.NodeSpec) { spec.Console = console(n.keys, hostName(primary.PrivateIP)) })
	return c
}
