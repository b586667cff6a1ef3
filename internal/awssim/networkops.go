package awssim

import (
	"fmt"
	"slices"
	"strings"
)

func errNoVPC(id string) error {
	return fail("InvalidVpcID.NotFound", "The vpc ID '%s' does not exist", id)
}

type vpcXML struct {
	ID        string        `xml:"vpcId"`
	OwnerID   string        `xml:"ownerId"`
	State     string        `xml:"state"`
	CIDRBlock string        `xml:"cidrBlock"`
	IsDefault bool          `xml:"isDefault"`
	Tenancy   string        `xml:"instanceTenancy"`
	Tags      items[tagXML] `xml:"tagSet"`
}

// describeVPCs is DescribeVpcs.
func (s *Sim) describeVPCs(rq *request) (func() (any, error), error) {
	q, err := readQuery(rq.form, "VpcId", "vpc-id", "is-default", "isDefault", "state", "cidr")
	if err != nil {
		return nil, err
	}
	for _, id := range q.ids {
		if _, ok := s.vpcs[id]; !ok {
			return nil, errNoVPC(id)
		}
	}
	return func() (any, error) {
		var out struct {
			head
			NextToken string        `xml:"nextToken,omitempty"`
			VPCs      items[vpcXML] `xml:"vpcSet"`
		}
		for _, v := range s.vpcs {
			isDefault := []string{fmt.Sprint(v.isDefault)}
			if q.wants(v.id, nil, map[string][]string{
				"vpc-id": {v.id}, "is-default": isDefault, "isDefault": isDefault, "state": {"available"}, "cidr": {v.cidr},
			}) {
				out.VPCs.Item = append(out.VPCs.Item, vpcXML{
					ID: v.id, OwnerID: s.opts.Account, State: "available", CIDRBlock: v.cidr, IsDefault: v.isDefault, Tenancy: "default",
				})
			}
		}
		out.VPCs.Item, out.NextToken = cut(q.page, out.VPCs.Item, func(v vpcXML) string { return v.ID })
		return &out, nil
	}, nil
}

type subnetXML struct {
	ID        string        `xml:"subnetId"`
	ARN       string        `xml:"subnetArn"`
	OwnerID   string        `xml:"ownerId"`
	State     string        `xml:"state"`
	VPCID     string        `xml:"vpcId"`
	CIDRBlock string        `xml:"cidrBlock"`
	Zone      string        `xml:"availabilityZone"`
	Public    bool          `xml:"mapPublicIpOnLaunch"`
	Tags      items[tagXML] `xml:"tagSet"`
}

// describeSubnets is DescribeSubnets.
func (s *Sim) describeSubnets(rq *request) (func() (any, error), error) {
	q, err := readQuery(rq.form, "SubnetId", "subnet-id", "vpc-id", "state", "availability-zone", "map-public-ip-on-launch")
	if err != nil {
		return nil, err
	}
	for _, id := range q.ids {
		if _, ok := s.subnets[id]; !ok {
			return nil, fail("InvalidSubnetID.NotFound", "The subnet ID '%s' does not exist", id)
		}
	}
	return func() (any, error) {
		var out struct {
			head
			NextToken string           `xml:"nextToken,omitempty"`
			Subnets   items[subnetXML] `xml:"subnetSet"`
		}
		for _, sn := range s.subnets {
			if q.wants(sn.id, nil, map[string][]string{
				"subnet-id": {sn.id}, "vpc-id": {sn.vpc}, "state": {"available"}, "availability-zone": {sn.zone},
				"map-public-ip-on-launch": {fmt.Sprint(sn.public)},
			}) {
				out.Subnets.Item = append(out.Subnets.Item, subnetXML{
					ID: sn.id, ARN: s.arn("ec2", "subnet/"+sn.id), OwnerID: s.opts.Account, State: "available",
					VPCID: sn.vpc, CIDRBlock: sn.cidr, Zone: sn.zone, Public: sn.public,
				})
			}
		}
		out.Subnets.Item, out.NextToken = cut(q.page, out.Subnets.Item, func(v subnetXML) string { return v.ID })
		return &out, nil
	}, nil
}

type keyPairXML struct {
	ID        string        `xml:"keyPairId"`
	Name      string        `xml:"keyName"`
	Type      string        `xml:"keyType"`
	PublicKey string        `xml:"publicKey,omitempty"`
	Tags      items[tagXML] `xml:"tagSet"`
}

// describeKeyPairs is DescribeKeyPairs. It shows no fingerprints: EC2 forms them in several ways.
func (s *Sim) describeKeyPairs(rq *request) (func() (any, error), error) {
	filters, err := readFilters(rq.form)
	if err != nil {
		return nil, err
	}
	if err := checkFilters(filters, "key-name", "key-pair-id", "tag:", "tag-key"); err != nil {
		return nil, err
	}
	withKey, err := rq.form.boolean("IncludePublicKey")
	if err != nil {
		return nil, err
	}
	names, ids := rq.form.strings("KeyName"), rq.form.strings("KeyPairId")
	for _, name := range names {
		if _, ok := s.keyPairs[name]; !ok {
			return nil, fail("InvalidKeyPair.NotFound", "The key pair '%s' does not exist", name)
		}
	}
	return func() (any, error) {
		var out struct {
			head
			KeyPairs items[keyPairXML] `xml:"keySet"`
		}
		for _, k := range s.keyPairs {
			named := len(names) == 0 && len(ids) == 0 || slices.Contains(names, k.name) || slices.Contains(ids, k.id)
			x := keyPairXML{ID: k.id, Name: k.name, Type: keyType(k.public)}
			if withKey {
				x.PublicKey = k.public
			}
			if named && matches(filters, nil, map[string][]string{"key-name": {k.name}, "key-pair-id": {k.id}}) {
				out.KeyPairs.Item = append(out.KeyPairs.Item, x)
			}
		}
		out.KeyPairs.Item, _ = cut(page{}, out.KeyPairs.Item, func(k keyPairXML) string { return k.Name })
		return &out, nil
	}, nil
}

// keyType returns the type that EC2 shows for an OpenSSH public key.
func keyType(public string) string {
	if strings.HasPrefix(public, "ssh-ed25519 ") {
		return "ed25519"
	}
	return "rsa"
}
