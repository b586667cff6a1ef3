package awssim

import (
	"encoding/base64"
	"strings"
	"time"
)

// consoleLimit is how much console output EC2 keeps: "only the most recent 64 KB" (EC2 user guide, "Instance console output").
const consoleLimit = 64 << 10

type groupSetXML struct {
	items[groupIDXML]
}

func (g groupSetXML) ids() []string {
	var out []string
	for _, e := range g.Item {
		out = append(out, e.ID)
	}
	return out
}

type groupIDXML struct {
	ID   string `xml:"groupId"`
	Name string `xml:"groupName"`
}

type stateXML struct {
	Code int    `xml:"code"`
	Name string `xml:"name"`
}

type associationXML struct {
	PublicIP  string `xml:"publicIp"`
	PublicDNS string `xml:"publicDnsName"`
	OwnerID   string `xml:"ipOwnerId"`
}

type privateAddressXML struct {
	PrivateIP   string          `xml:"privateIpAddress"`
	PrivateDNS  string          `xml:"privateDnsName"`
	Primary     bool            `xml:"primary"`
	Association *associationXML `xml:"association"`
}

type attachmentXML struct {
	InstanceID  string `xml:"instanceId,omitempty"`
	DeviceIndex int    `xml:"deviceIndex"`
	Status      string `xml:"status"`
}

type ipv6AddressXML struct {
	Address string `xml:"ipv6Address"`
}

type interfaceXML struct {
	ID            string                   `xml:"networkInterfaceId"`
	SubnetID      string                   `xml:"subnetId"`
	VPCID         string                   `xml:"vpcId"`
	OwnerID       string                   `xml:"ownerId"`
	Status        string                   `xml:"status"`
	PrivateIP     string                   `xml:"privateIpAddress"`
	PrivateDNS    string                   `xml:"privateDnsName"`
	Groups        groupSetXML              `xml:"groupSet"`
	Attachment    *attachmentXML           `xml:"attachment"`
	Association   *associationXML          `xml:"association"`
	IPv6Addresses items[ipv6AddressXML]    `xml:"ipv6AddressesSet"`
	PrivateIPs    items[privateAddressXML] `xml:"privateIpAddressesSet"`
}

type instanceXML struct {
	ID         string              `xml:"instanceId"`
	State      stateXML            `xml:"instanceState"`
	PrivateDNS string              `xml:"privateDnsName"`
	PublicDNS  string              `xml:"dnsName"`
	KeyName    string              `xml:"keyName,omitempty"`
	Type       string              `xml:"instanceType"`
	Launched   string              `xml:"launchTime"`
	SubnetID   string              `xml:"subnetId,omitempty"`
	VPCID      string              `xml:"vpcId,omitempty"`
	PrivateIP  string              `xml:"privateIpAddress,omitempty"`
	PublicIP   string              `xml:"ipAddress,omitempty"`
	IPv6       string              `xml:"ipv6Address,omitempty"`
	Groups     groupSetXML         `xml:"groupSet"`
	Tags       items[tagXML]       `xml:"tagSet"`
	Interfaces items[interfaceXML] `xml:"networkInterfaceSet"`
}

type reservationXML struct {
	ID        string             `xml:"reservationId"`
	OwnerID   string             `xml:"ownerId"`
	Instances items[instanceXML] `xml:"instancesSet"`
}

// describeInstances is DescribeInstances, one instance in each reservation.
func (s *Sim) describeInstances(rq *request) (func() (any, error), error) {
	q, err := readQuery(rq.form, "InstanceId", "instance-id", "instance-state-name", "vpc-id", "subnet-id", "private-ip-address",
		"ip-address", "key-name", "instance.group-id", "group-id", "network-interface.group-id")
	if err != nil {
		return nil, err
	}
	for _, id := range q.ids {
		if _, err := s.nodeByID(id); err != nil {
			return nil, err
		}
	}
	return func() (any, error) {
		var out struct {
			head
			NextToken    string                `xml:"nextToken,omitempty"`
			Reservations items[reservationXML] `xml:"reservationSet"`
		}
		for _, n := range s.nodes {
			x := s.instanceXML(n)
			if q.wants(n.InstanceID, s.instanceTags(n), map[string][]string{
				"instance-id": {n.InstanceID}, "instance-state-name": {x.State.Name}, "vpc-id": {x.VPCID}, "subnet-id": {x.SubnetID},
				"private-ip-address": {x.PrivateIP}, "ip-address": {x.PublicIP}, "key-name": {x.KeyName},
				"instance.group-id": x.Groups.ids(), "group-id": x.Groups.ids(), "network-interface.group-id": x.Groups.ids(),
			}) {
				out.Reservations.Item = append(out.Reservations.Item, reservationXML{
					ID: "r-" + strings.TrimPrefix(n.InstanceID, "i-"), OwnerID: s.opts.Account,
					Instances: items[instanceXML]{[]instanceXML{x}},
				})
			}
		}
		out.Reservations.Item, out.NextToken = cut(q.page, out.Reservations.Item, func(r reservationXML) string { return r.ID })
		return &out, nil
	}, nil
}

// nodeByID returns an instance, or EC2's error.
func (s *Sim) nodeByID(id string) (*Node, error) {
	if err := checkID(id, "i-", "InvalidInstanceID.Malformed"); err != nil {
		return nil, err
	}
	n, ok := s.nodes[id]
	if !ok {
		return nil, fail("InvalidInstanceID.NotFound", "The instance ID '%s' does not exist", id)
	}
	return n, nil
}

// ec2State translates EMR's state of an instance (API_InstanceState of EC2).
func ec2State(emr string) stateXML {
	switch emr {
	case "AWAITING_FULFILLMENT", "PROVISIONING":
		return stateXML{0, "pending"}
	case "TERMINATED":
		return stateXML{48, "terminated"}
	}
	return stateXML{16, "running"}
}

// instanceTags are those that EMR sets on its instances.
func (s *Sim) instanceTags(n *Node) map[string]string {
	return map[string]string{
		"aws:elasticmapreduce:job-flow-id":         n.Cluster,
		"aws:elasticmapreduce:instance-group-role": n.Role,
	}
}

// publicDNS is EC2's name for a public address ("" for none), or the name that was seeded.
func (s *Sim) publicDNS(n *Node) string {
	if n.PublicDNS != "" || n.PublicIP == "" {
		return n.PublicDNS
	}
	domain := s.opts.Region + ".compute"
	if s.opts.Region == "us-east-1" {
		domain = "compute-1"
	}
	return "ec2-" + strings.ReplaceAll(n.PublicIP, ".", "-") + "." + domain + ".amazonaws.com"
}

func (s *Sim) privateDNS(n *Node) string {
	domain := s.opts.Region + ".compute.internal"
	if s.opts.Region == "us-east-1" {
		domain = "ec2.internal"
	}
	return "ip-" + strings.ReplaceAll(n.PrivateIP, ".", "-") + "." + domain
}

// instanceXML describes an instance. A terminated one has lost its network.
func (s *Sim) instanceXML(n *Node) instanceXML {
	x := instanceXML{
		ID: n.InstanceID, State: ec2State(n.State), Type: "m5.xlarge", Launched: n.launched.UTC().Format(time.RFC3339),
		KeyName: s.clusters[n.Cluster].KeyName, Tags: tagsXML(s.instanceTags(n)),
	}
	if !n.live() {
		return x
	}
	iface := s.interfaceXML(n)
	iface.Attachment.InstanceID = ""
	x.PrivateDNS, x.PublicDNS, x.PrivateIP, x.PublicIP, x.IPv6 = iface.PrivateDNS, s.publicDNS(n), n.PrivateIP, n.PublicIP, n.IPv6
	x.SubnetID, x.VPCID, x.Groups = n.Subnet, n.VPC, iface.Groups
	x.Interfaces.Item = []interfaceXML{iface}
	return x
}

func (s *Sim) interfaceXML(n *Node) interfaceXML {
	x := interfaceXML{
		ID: n.ifaceID, SubnetID: n.Subnet, VPCID: n.VPC, OwnerID: s.opts.Account, Status: "in-use",
		PrivateIP: n.PrivateIP, PrivateDNS: s.privateDNS(n),
		Attachment: &attachmentXML{InstanceID: n.InstanceID, Status: "attached"},
	}
	for _, id := range n.Groups {
		if g, ok := s.groups[id]; ok {
			x.Groups.Item = append(x.Groups.Item, groupIDXML{ID: id, Name: g.name})
		}
	}
	if n.PublicIP != "" {
		x.Association = &associationXML{PublicIP: n.PublicIP, PublicDNS: s.publicDNS(n), OwnerID: "amazon"}
	}
	x.PrivateIPs.Item = []privateAddressXML{{PrivateIP: x.PrivateIP, PrivateDNS: x.PrivateDNS, Primary: true, Association: x.Association}}
	if n.second != "" {
		second := Node{NodeSpec: NodeSpec{PublicIP: n.SecondPublicIP, PrivateIP: n.second}}
		x.PrivateIPs.Item = append(x.PrivateIPs.Item, privateAddressXML{PrivateIP: n.second, PrivateDNS: s.privateDNS(&second),
			Association: &associationXML{PublicIP: n.SecondPublicIP, PublicDNS: s.publicDNS(&second), OwnerID: s.opts.Account}})
	}
	if n.IPv6 != "" {
		x.IPv6Addresses.Item = []ipv6AddressXML{{n.IPv6}}
	}
	return x
}

// describeInterfaces is DescribeNetworkInterfaces for the instances' only interfaces.
func (s *Sim) describeInterfaces(rq *request) (func() (any, error), error) {
	q, err := readQuery(rq.form, "NetworkInterfaceId", "network-interface-id", "group-id", "vpc-id", "subnet-id", "attachment.instance-id")
	if err != nil {
		return nil, err
	}
	return func() (any, error) {
		var out struct {
			head
			NextToken  string              `xml:"nextToken,omitempty"`
			Interfaces items[interfaceXML] `xml:"networkInterfaceSet"`
		}
		for _, n := range s.nodes {
			if n.live() && q.wants(n.ifaceID, nil, map[string][]string{
				"network-interface-id": {n.ifaceID}, "group-id": n.Groups, "vpc-id": {n.VPC}, "subnet-id": {n.Subnet},
				"attachment.instance-id": {n.InstanceID},
			}) {
				out.Interfaces.Item = append(out.Interfaces.Item, s.interfaceXML(n))
			}
		}
		if len(q.ids) > len(out.Interfaces.Item) {
			return nil, fail("InvalidNetworkInterfaceID.NotFound", "The networkInterface ID does not exist")
		}
		out.Interfaces.Item, out.NextToken = cut(q.page, out.Interfaces.Item, func(x interfaceXML) string { return x.ID })
		return &out, nil
	}, nil
}

// consoleOutput is GetConsoleOutput. The output is base64 and there is none while the instance is pending.
func (s *Sim) consoleOutput(rq *request) (func() (any, error), error) {
	n, err := s.nodeByID(rq.form.get("InstanceId"))
	if err != nil {
		return nil, err
	}
	latest, err := rq.form.boolean("Latest")
	if err != nil {
		return nil, err
	}
	return func() (any, error) {
		text := n.Console
		if latest && n.ConsoleLatest != "" {
			text = n.ConsoleLatest
		}
		if ec2State(n.State).Name == "pending" {
			text = ""
		}
		if len(text) > consoleLimit {
			text = text[len(text)-consoleLimit:]
		}
		var out struct {
			head
			InstanceID string `xml:"instanceId"`
			Timestamp  string `xml:"timestamp"`
			Output     string `xml:"output,omitempty"`
		}
		out.InstanceID, out.Timestamp = n.InstanceID, n.launched.UTC().Format(time.RFC3339)
		out.Output = base64.StdEncoding.EncodeToString([]byte(text))
		return &out, nil
	}, nil
}
