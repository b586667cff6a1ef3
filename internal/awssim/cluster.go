package awssim

import (
	"cmp"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// ClusterSpec is an EMR cluster to be seeded. Everything but the groups has a default.
type ClusterSpec struct {
	ID      string // j-…; "" makes one
	Name    string
	State   string // "" means WAITING
	Release string // "" means emr-7.5.0
	KeyName string // EC2 key pair for logging in; "" means none
	// VPC is where the cluster runs; "" means the VPC of MasterGroup.
	VPC string
	// Subnet is where the nodes are; "" makes one, public unless Private is set.
	Subnet  string
	Private bool

	MasterGroup      string   // EmrManagedMasterSecurityGroup
	CoreGroup        string   // EmrManagedSlaveSecurityGroup
	ServiceGroup     string   // ServiceAccessSecurityGroup, in private subnets
	AdditionalMaster []string // AdditionalMasterSecurityGroups
	AdditionalCore   []string // AdditionalSlaveSecurityGroups

	// MasterDNS is MasterPublicDnsName; "" means the DNS name of the first live master.
	MasterDNS string
	// Fleets makes it a cluster of instance fleets, which ListInstances asks for in another way than groups.
	Fleets  bool
	Created time.Time // zero means now
	Tags    map[string]string
	Nodes   []NodeSpec
}

// NodeSpec is an instance of a cluster to be seeded.
type NodeSpec struct {
	Role      string // "MASTER" (also for ""), "CORE" or "TASK"
	PublicIP  string // "" means none
	PrivateIP string // "" makes one in the subnet
	IPv6      string // "" means none
	// SecondPublicIP is an Elastic IP address of a secondary private address of the node; "" means that it has none.
	SecondPublicIP string
	PublicDNS      string // "" means EC2's name for PublicIP; set it to where the node can really be reached
	// State is EMR's: "PROVISIONING", "BOOTSTRAPPING", "RUNNING" (also for "") or "TERMINATED".
	State string
	// Console is what GetConsoleOutput answers (not base64). EC2 keeps the last 64 KB.
	Console string
	// ConsoleLatest is what it answers with Latest; "" means Console.
	ConsoleLatest string
}

// Node is an instance of a cluster as it is now.
type Node struct {
	NodeSpec
	InstanceID string   // i-…
	Cluster    string   // j-…
	second     string   // the secondary private address
	Subnet     string   // subnet-…
	VPC        string   // vpc-…
	Groups     []string // the security groups on its network interface
	emrID      string   // ci-…
	ifaceID    string   // eni-…
	launched   time.Time
}

type cluster struct {
	ClusterSpec
	ended time.Time // zero while it lives
	nodes []string  // instance ids, in the order of the spec
}

// live reports whether the node has an instance that runs or will.
func (n *Node) live() bool { return n.State != "TERMINATED" }

// AddCluster makes a cluster with its instances and returns its id (j- and 13 upper-case letters and
// digits). The groups must exist and be in one VPC.
func (s *Sim) AddCluster(spec ClusterSpec) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	c := &cluster{ClusterSpec: spec}
	c.ID = cmp.Or(c.ID, s.upperID("j-", 13))
	if !strings.HasPrefix(c.ID, "j-") || s.clusters[c.ID] != nil {
		panic("awssim: AddCluster: " + c.ID + " is no new cluster id")
	}
	c.State = cmp.Or(c.State, "WAITING")
	c.Release = cmp.Or(c.Release, "emr-7.5.0")
	c.Tags = maps.Clone(c.Tags)
	c.AdditionalMaster, c.AdditionalCore = slices.Clone(c.AdditionalMaster), slices.Clone(c.AdditionalCore)
	if c.Created.IsZero() {
		c.Created = s.opts.Now()
	}
	if g, ok := s.groups[c.MasterGroup]; ok {
		c.VPC = cmp.Or(c.VPC, g.vpc)
	}
	for _, id := range slices.Concat([]string{c.MasterGroup, c.CoreGroup, c.ServiceGroup}, c.AdditionalMaster, c.AdditionalCore) {
		if id == "" {
			continue
		}
		if g, ok := s.groups[id]; !ok || g.vpc != c.VPC {
			panic(fmt.Sprintf("awssim: AddCluster: no group %s in VPC %s", id, c.VPC))
		}
	}
	if c.Subnet == "" {
		c.Subnet = s.addSubnet(c.VPC, !c.Private)
	}
	sn, ok := s.subnets[c.Subnet]
	if !ok || sn.vpc != c.VPC {
		panic(fmt.Sprintf("awssim: AddCluster: no subnet %s in VPC %s", c.Subnet, c.VPC))
	}
	c.Private = !sn.public
	for _, n := range spec.Nodes {
		c.nodes = append(c.nodes, s.addNode(c, n).InstanceID)
	}
	c.Nodes = nil // from here on the nodes are in s.nodes
	if strings.HasPrefix(c.State, "TERMINATED") {
		c.ended = s.opts.Now()
	}
	s.clusters[c.ID] = c
	return c.ID
}

func (s *Sim) addNode(c *cluster, spec NodeSpec) *Node {
	n := &Node{
		NodeSpec: spec, InstanceID: s.newID("i-"), Cluster: c.ID, Subnet: c.Subnet, VPC: c.VPC,
		emrID: s.upperID("ci-", 13), ifaceID: s.newID("eni-"), launched: c.Created,
	}
	n.Role = cmp.Or(n.Role, "MASTER")
	n.State = cmp.Or(n.State, "RUNNING")
	if n.Role == "MASTER" {
		n.Groups = append(n.Groups, c.MasterGroup)
		n.Groups = append(n.Groups, c.AdditionalMaster...)
	} else {
		n.Groups = append(n.Groups, c.CoreGroup)
		n.Groups = append(n.Groups, c.AdditionalCore...)
	}
	n.Groups = slices.DeleteFunc(n.Groups, func(id string) bool { return id == "" })
	if n.PrivateIP == "" {
		base := netip.MustParsePrefix(s.subnets[c.Subnet].cidr).Addr().As4()
		base[3] = byte(10 + len(s.nodes)%240)
		n.PrivateIP = netip.AddrFrom4(base).String()
	}
	if n.SecondPublicIP != "" {
		base := netip.MustParseAddr(n.PrivateIP).As4()
		base[3] ^= 0x80 // no node of a small cluster is there
		n.second = netip.AddrFrom4(base).String()
	}
	s.nodes[n.InstanceID] = n
	return n
}

// SetClusterState changes a cluster's state. TERMINATED and TERMINATED_WITH_ERRORS end its instances too.
func (s *Sim) SetClusterState(id, state string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, ok := s.clusters[id]
	if !ok {
		panic("awssim: SetClusterState: no cluster " + id)
	}
	c.State = state
	if !strings.HasPrefix(state, "TERMINATED") {
		return
	}
	c.ended = s.opts.Now()
	for _, n := range c.nodes {
		s.nodes[n].State = "TERMINATED"
	}
}

// SetNode changes an instance: its addresses, its state or its console. edit must not call the Sim.
func (s *Sim) SetNode(instanceID string, edit func(*NodeSpec)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	n, ok := s.nodes[instanceID]
	if !ok {
		panic("awssim: SetNode: no instance " + instanceID)
	}
	edit(&n.NodeSpec)
}

// AddNode adds an instance to a cluster (EMR replaces a failed master in this way) and returns its id (i-…).
func (s *Sim) AddNode(cluster string, spec NodeSpec) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, ok := s.clusters[cluster]
	if !ok {
		panic("awssim: AddNode: no cluster " + cluster)
	}
	n := s.addNode(c, spec)
	n.launched = s.opts.Now()
	c.nodes = append(c.nodes, n.InstanceID)
	return n.InstanceID
}

// Nodes returns the instances of a cluster in the order in which they were added. The copies are the caller's.
func (s *Sim) Nodes(cluster string) []Node {
	s.mu.Lock()
	defer s.mu.Unlock()
	c, ok := s.clusters[cluster]
	if !ok {
		return nil
	}
	var out []Node
	for _, id := range c.nodes {
		n := *s.nodes[id]
		n.Groups = slices.Clone(n.Groups)
		out = append(out, n)
	}
	return out
}
