package awssim

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
)

// RuleSpec is an ingress rule to be seeded. Exactly one of CIDR, SourceGroup and PrefixList is set.
type RuleSpec struct {
	Protocol    string // "tcp" (also for ""), "udp", "icmp", "icmpv6", a protocol number, or "-1" for all traffic
	FromPort    int    // for ICMP the type, -1 for all; ignored with protocol -1
	ToPort      int
	CIDR        string // IPv4 or IPv6; stored in canonical form
	SourceGroup string // sg-…
	PrefixList  string // pl-…
	Description string // stored as given, even if EC2 would refuse it
	Tags        map[string]string
}

// Rule is an ingress rule as it is in truth, whatever [Sim.SetLag] hides from Describe.
type Rule struct {
	ID    string // sgr-…
	Group string // sg-…
	RuleSpec
}

type vpc struct {
	id, cidr  string
	isDefault bool
	acl       string // the default network ACL
	public    string // the route table of public subnets; "" before there is one
}

type subnet struct {
	id, vpc, cidr, zone string
	public              bool
	acl, table          string // "" means those of the VPC
}

type group struct {
	id, vpc, name, description string
	tags                       map[string]string
}

type keyPair struct {
	id, name, public string
}

// AddVPC makes a VPC with its default security group and returns its id (vpc-…). Whether it is the
// default VPC decides what Revoke does with permissions that it does not find. A region has one default VPC at most.
func (s *Sim) AddVPC(isDefault bool) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, v := range s.vpcs {
		if v.isDefault && isDefault {
			panic("awssim: AddVPC: there is a default VPC already")
		}
	}
	v := &vpc{id: s.newID("vpc-"), cidr: fmt.Sprintf("10.%d.0.0/16", 20+len(s.vpcs)), isDefault: isDefault}
	if isDefault {
		v.cidr = "172.31.0.0/16"
	}
	s.vpcs[v.id] = v
	s.addNetwork(v)
	g := s.addGroup(v.id, "default", "default VPC security group")
	s.put(rule{id: s.newID("sgr-"), group: g, tuple: tuple{protocol: "-1", from: -1, to: -1, source: source{group: g}}})
	return v.id
}

// AddSubnet makes a subnet and returns its id (subnet-…). Instances in a public subnet get public addresses.
func (s *Sim) AddSubnet(vpc string, public bool) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.addSubnet(vpc, public)
}

func (s *Sim) addSubnet(vpcID string, public bool) string {
	v, ok := s.vpcs[vpcID]
	if !ok {
		panic("awssim: no VPC " + vpcID)
	}
	n := 0
	for _, other := range s.subnets {
		if other.vpc == vpcID {
			n++
		}
	}
	// All VPC blocks are a /16: the third number tells the subnets apart.
	var a, b int
	if _, err := fmt.Sscanf(v.cidr, "%d.%d.", &a, &b); err != nil {
		panic("awssim: VPC block " + v.cidr)
	}
	sn := &subnet{
		id: s.newID("subnet-"), vpc: vpcID, public: public,
		cidr: fmt.Sprintf("%d.%d.%d.0/24", a, b, n+1), zone: s.opts.Region + "a",
	}
	s.subnets[sn.id] = sn
	s.connectSubnet(v, sn)
	return sn.id
}

// AddGroup makes a security group with EC2's default egress rule and no ingress rule, and returns its id (sg-…).
func (s *Sim) AddGroup(vpc, name, description string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.vpcs[vpc]; !ok {
		panic("awssim: AddGroup: no VPC " + vpc)
	}
	if s.groupByName(vpc, name) != nil {
		panic("awssim: AddGroup: " + vpc + " has a group " + name)
	}
	return s.addGroup(vpc, name, description)
}

func (s *Sim) addGroup(vpc, name, description string) string {
	g := &group{id: s.newID("sg-"), vpc: vpc, name: name, description: description, tags: map[string]string{}}
	s.groups[g.id] = g
	s.put(rule{
		id: s.newID("sgr-"), group: g.id, egress: true,
		tuple: tuple{protocol: "-1", from: -1, to: -1, source: source{cidr: anywhereIPv4()}},
	})
	return g.id
}

// groupByName returns the group of a VPC with this name, or nil.
func (s *Sim) groupByName(vpc, name string) *group {
	for _, g := range s.groups {
		if g.vpc == vpc && g.name == name {
			return g
		}
	}
	return nil
}

// AddRule adds an ingress rule, whatever the quota says, and returns its id (sgr-…). It follows [Sim.SetLag] like
// any other write. It panics when the group is unknown, the rule is malformed or the group has its like.
func (s *Sim) AddRule(group string, spec RuleSpec) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, ok := s.groups[group]; !ok {
		panic("awssim: AddRule: no group " + group)
	}
	t, err := spec.tuple()
	if err != nil {
		panic(fmt.Sprintf("awssim: AddRule: %v", err))
	}
	r := rule{id: s.newID("sgr-"), group: group, tuple: t, description: spec.Description, tags: maps.Clone(spec.Tags)}
	if other, ok := s.duplicate(r); ok {
		panic(fmt.Sprintf("awssim: AddRule: %s has rule %s already (%s)", group, other.id, t))
	}
	s.put(r)
	return r.id
}

// RemoveRule removes a rule as somebody else would. A rule that is not there is no error.
func (s *Sim) RemoveRule(id string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.drop(id)
}

// Rules returns the ingress rules of a group as they are in truth, sorted by id. The copies are the caller's.
func (s *Sim) Rules(group string) []Rule {
	s.mu.Lock()
	defer s.mu.Unlock()
	var out []Rule
	for _, r := range s.rules {
		if r.group == group && !r.egress {
			out = append(out, r.public())
		}
	}
	slices.SortFunc(out, func(a, b Rule) int { return cmp.Compare(a.ID, b.ID) })
	return out
}

// AddKeyPair makes a key pair known and returns its id (key-…). The public key is in OpenSSH's one-line format.
func (s *Sim) AddKeyPair(name, publicKey string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	k := keyPair{id: s.newID("key-"), name: name, public: publicKey}
	s.keyPairs[name] = k
	return k.id
}
