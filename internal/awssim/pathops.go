package awssim

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

type portRangeXML struct {
	From int `xml:"from"`
	To   int `xml:"to"`
}

type aclEntryXML struct {
	Number   int           `xml:"ruleNumber"`
	Protocol string        `xml:"protocol"`
	Action   string        `xml:"ruleAction"`
	Egress   bool          `xml:"egress"`
	CIDR     string        `xml:"cidrBlock,omitempty"`
	CIDRv6   string        `xml:"ipv6CidrBlock,omitempty"`
	Ports    *portRangeXML `xml:"portRange"`
}

type aclAssociationXML struct {
	ID     string `xml:"networkAclAssociationId"`
	ACLID  string `xml:"networkAclId"`
	Subnet string `xml:"subnetId"`
}

type aclXML struct {
	ID           string                   `xml:"networkAclId"`
	VPCID        string                   `xml:"vpcId"`
	OwnerID      string                   `xml:"ownerId"`
	Default      bool                     `xml:"default"`
	Entries      items[aclEntryXML]       `xml:"entrySet"`
	Associations items[aclAssociationXML] `xml:"associationSet"`
	Tags         items[tagXML]            `xml:"tagSet"`
}

// describeACLs is DescribeNetworkAcls.
func (s *Sim) describeACLs(rq *request) (func() (any, error), error) {
	q, err := readQuery(rq.form, "NetworkAclId", "association.subnet-id", "association.network-acl-id", "vpc-id", "default", "network-acl-id")
	if err != nil {
		return nil, err
	}
	for _, id := range q.ids {
		if _, ok := s.acls[id]; !ok {
			return nil, fail("InvalidNetworkAclID.NotFound", "The networkAcl ID '%s' does not exist", id)
		}
	}
	return func() (any, error) {
		var out struct {
			head
			NextToken string        `xml:"nextToken,omitempty"`
			ACLs      items[aclXML] `xml:"networkAclSet"`
		}
		for _, a := range s.acls {
			x := s.aclXML(a)
			var subnets []string
			for _, as := range x.Associations.Item {
				subnets = append(subnets, as.Subnet)
			}
			if q.wants(a.id, nil, map[string][]string{"association.subnet-id": subnets, "association.network-acl-id": {a.id},
				"vpc-id": {a.vpc}, "default": {fmt.Sprint(a.isDefault)}, "network-acl-id": {a.id}}) {
				out.ACLs.Item = append(out.ACLs.Item, x)
			}
		}
		out.ACLs.Item, out.NextToken = cut(q.page, out.ACLs.Item, func(x aclXML) string { return x.ID })
		return &out, nil
	}, nil
}

// aclXML shows an ACL with the entries that end it, which cannot be removed (VPC User Guide, "Network ACL rules").
func (s *Sim) aclXML(a *networkACL) aclXML {
	x := aclXML{ID: a.id, VPCID: a.vpc, OwnerID: s.opts.Account, Default: a.isDefault}
	entries := slices.Clone(a.entries)
	for _, egress := range []bool{false, true} {
		entries = append(entries, ACLEntry{Number: 32767, Egress: egress, Deny: true, Protocol: "-1", CIDR: "0.0.0.0/0"},
			ACLEntry{Number: 32768, Egress: egress, Deny: true, Protocol: "-1", CIDR: "::/0"})
	}
	for _, e := range entries {
		ex := aclEntryXML{Number: e.Number, Egress: e.Egress, Protocol: cmp.Or(e.Protocol, "6"), Action: "allow"}
		if e.Deny {
			ex.Action = "deny"
		}
		if strings.Contains(e.CIDR, ":") {
			ex.CIDRv6 = e.CIDR
		} else {
			ex.CIDR = e.CIDR
		}
		if ex.Protocol == "6" || ex.Protocol == "17" {
			ex.Ports = &portRangeXML{e.From, e.To}
		}
		x.Entries.Item = append(x.Entries.Item, ex)
	}
	for _, sn := range s.subnets {
		if cmp.Or(sn.acl, s.vpcs[sn.vpc].acl) == a.id {
			x.Associations.Item = append(x.Associations.Item, aclAssociationXML{ID: strings.Replace(sn.id, "subnet-", "aclassoc-", 1), ACLID: a.id, Subnet: sn.id})
		}
	}
	return x
}

type routeXML struct {
	CIDR             string `xml:"destinationCidrBlock,omitempty"`
	CIDRv6           string `xml:"destinationIpv6CidrBlock,omitempty"`
	PrefixList       string `xml:"destinationPrefixListId,omitempty"`
	Gateway          string `xml:"gatewayId,omitempty"`
	NAT              string `xml:"natGatewayId,omitempty"`
	TransitGateway   string `xml:"transitGatewayId,omitempty"`
	Peering          string `xml:"vpcPeeringConnectionId,omitempty"`
	NetworkInterface string `xml:"networkInterfaceId,omitempty"`
	State            string `xml:"state"`
	Origin           string `xml:"origin"`
}

type routeAssociationXML struct {
	ID     string `xml:"routeTableAssociationId"`
	Table  string `xml:"routeTableId"`
	Subnet string `xml:"subnetId,omitempty"`
	Main   bool   `xml:"main"`
}

type routeTableXML struct {
	ID           string                     `xml:"routeTableId"`
	VPCID        string                     `xml:"vpcId"`
	OwnerID      string                     `xml:"ownerId"`
	Routes       items[routeXML]            `xml:"routeSet"`
	Associations items[routeAssociationXML] `xml:"associationSet"`
	Tags         items[tagXML]              `xml:"tagSet"`
}

// describeRouteTables is DescribeRouteTables. A subnet that is not associated with a table uses the main one, and
// the filter association.subnet-id does not find that.
func (s *Sim) describeRouteTables(rq *request) (func() (any, error), error) {
	q, err := readQuery(rq.form, "RouteTableId", "association.subnet-id", "association.main", "association.route-table-id", "vpc-id", "route-table-id")
	if err != nil {
		return nil, err
	}
	for _, id := range q.ids {
		if _, ok := s.tables[id]; !ok {
			return nil, fail("InvalidRouteTableID.NotFound", "The routeTable ID '%s' does not exist", id)
		}
	}
	return func() (any, error) {
		var out struct {
			head
			NextToken string               `xml:"nextToken,omitempty"`
			Tables    items[routeTableXML] `xml:"routeTableSet"`
		}
		for _, t := range s.tables {
			x := s.routeTableXML(t)
			var subnets, main []string
			for _, as := range x.Associations.Item {
				if as.Subnet != "" {
					subnets = append(subnets, as.Subnet)
				}
				main = append(main, fmt.Sprint(as.Main))
			}
			if q.wants(t.id, nil, map[string][]string{"association.subnet-id": subnets, "association.main": main,
				"association.route-table-id": {t.id}, "vpc-id": {t.vpc}, "route-table-id": {t.id}}) {
				out.Tables.Item = append(out.Tables.Item, x)
			}
		}
		out.Tables.Item, out.NextToken = cut(q.page, out.Tables.Item, func(x routeTableXML) string { return x.ID })
		return &out, nil
	}, nil
}

func (s *Sim) routeTableXML(t *routeTable) routeTableXML {
	x := routeTableXML{ID: t.id, VPCID: t.vpc, OwnerID: s.opts.Account}
	x.Routes.Item = append(x.Routes.Item, routeXML{CIDR: s.vpcs[t.vpc].cidr, Gateway: "local", State: "active", Origin: "CreateRouteTable"})
	for _, r := range t.routes {
		rx := routeXML{State: "active", Origin: "CreateRoute"}
		if r.Blackhole {
			rx.State = "blackhole"
		}
		switch {
		case strings.HasPrefix(r.CIDR, "pl-"):
			rx.PrefixList = r.CIDR
		case strings.Contains(r.CIDR, ":"):
			rx.CIDRv6 = r.CIDR
		default:
			rx.CIDR = r.CIDR
		}
		kind, _, _ := strings.Cut(r.Via, "-")
		to, ok := map[string]*string{"igw": &rx.Gateway, "vgw": &rx.Gateway, "nat": &rx.NAT, "tgw": &rx.TransitGateway, "pcx": &rx.Peering, "eni": &rx.NetworkInterface}[kind]
		if !ok {
			panic("awssim: a route via " + r.Via)
		}
		*to = r.Via
		x.Routes.Item = append(x.Routes.Item, rx)
	}
	if t.main {
		x.Associations.Item = append(x.Associations.Item, routeAssociationXML{ID: strings.Replace(t.id, "rtb-", "rtbassoc-", 1), Table: t.id, Main: true})
	}
	for _, sn := range s.subnets {
		if sn.table == t.id {
			x.Associations.Item = append(x.Associations.Item, routeAssociationXML{ID: strings.Replace(sn.id, "subnet-", "rtbassoc-", 1), Table: t.id, Subnet: sn.id})
		}
	}
	return x
}
