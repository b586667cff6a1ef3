package awssim

import (
	"fmt"
	"net/netip"
	"strings"
)

// ACLEntry is an entry of a network ACL to be seeded.
type ACLEntry struct {
	Number   int    // entries are looked at in this order, from 1 to 32766
	Egress   bool   // for what leaves the subnet
	Deny     bool   // else it allows
	Protocol string // a number, "6" (TCP, also for ""), or "-1" for all traffic
	From, To int    // ports of TCP and UDP
	CIDR     string // IPv4 or IPv6
}

// RouteSpec is a route to be seeded. The route to the VPC itself need not be.
type RouteSpec struct {
	CIDR      string // IPv4 or IPv6; or pl-… for a prefix list
	Via       string // igw-…, nat-…, vgw-…, tgw-…, pcx-… or eni-…
	Blackhole bool   // what it leads to is gone
}

type networkACL struct {
	id, vpc   string
	isDefault bool
	entries   []ACLEntry
}

type routeTable struct {
	id, vpc string
	main    bool
	routes  []RouteSpec
}

// SetACL gives a subnet a network ACL of its own with these entries, and after them the one that denies everything.
// Without, a subnet has its VPC's default ACL, which allows everything (VPC User Guide, "Default network ACL").
func (s *Sim) SetACL(subnetID string, entries ...ACLEntry) {
	s.mu.Lock()
	defer s.mu.Unlock()
	sn := s.seededSubnet("SetACL", subnetID)
	for _, e := range entries {
		if _, err := netip.ParsePrefix(e.CIDR); err != nil || e.Number < 1 || e.Number > 32766 {
			panic(fmt.Sprintf("awssim: SetACL: entry %+v", e))
		}
	}
	a := &networkACL{id: alike(sn.id, "acl-"), vpc: sn.vpc, entries: append([]ACLEntry(nil), entries...)}
	s.acls[a.id], sn.acl = a, a.id
}

// SetRoutes gives a subnet a route table of its own with these routes and the one to the VPC. Without, a public subnet
// has a table with an internet gateway, and others the VPC's main table, with a NAT gateway.
func (s *Sim) SetRoutes(subnetID string, routes ...RouteSpec) {
	s.mu.Lock()
	defer s.mu.Unlock()
	sn := s.seededSubnet("SetRoutes", subnetID)
	t := &routeTable{id: alike(sn.id, "rtb-"), vpc: sn.vpc, routes: append([]RouteSpec(nil), routes...)}
	s.tables[t.id], sn.table = t, t.id
}

func (s *Sim) seededSubnet(method, id string) *subnet {
	sn, ok := s.subnets[id]
	if !ok {
		panic("awssim: " + method + ": no subnet " + id)
	}
	return sn
}

// alike makes the id of something that belongs to a VPC or subnet: the same digits behind another prefix.
func alike(id, prefix string) string {
	_, digits, _ := strings.Cut(id, "-")
	return prefix + digits
}

// addNetwork makes what a new VPC has: a default ACL and a main route table.
func (s *Sim) addNetwork(v *vpc) {
	a := &networkACL{id: alike(v.id, "acl-"), vpc: v.id, isDefault: true, entries: []ACLEntry{
		{Number: 100, Protocol: "-1", CIDR: "0.0.0.0/0"}, {Number: 100, Egress: true, Protocol: "-1", CIDR: "0.0.0.0/0"},
		{Number: 101, Protocol: "-1", CIDR: "::/0"}, {Number: 101, Egress: true, Protocol: "-1", CIDR: "::/0"},
	}}
	s.acls[a.id], v.acl = a, a.id
	t := &routeTable{id: alike(v.id, "rtb-"), vpc: v.id, main: true, routes: []RouteSpec{{CIDR: "0.0.0.0/0", Via: alike(v.id, "nat-")}}}
	s.tables[t.id] = t
}

// connectSubnet gives a new public subnet the VPC's table with an internet gateway.
func (s *Sim) connectSubnet(v *vpc, sn *subnet) {
	if !sn.public {
		return
	}
	if v.public == "" {
		gateway := alike(v.id, "igw-")
		t := &routeTable{id: alike(sn.id, "rtb-"), vpc: v.id, routes: []RouteSpec{{CIDR: "0.0.0.0/0", Via: gateway}, {CIDR: "::/0", Via: gateway}}}
		s.tables[t.id], v.public = t, t.id
	}
	sn.table = v.public
}
