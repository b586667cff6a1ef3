package awssim

import "strings"

// permission is one source of one IpPermission, which is one rule.
type permission struct {
	tuple
	description string
}

// descriptionCharset is what EC2 allows besides letters and digits in the description of a rule
// (API_IpRange: "a-z, A-Z, 0-9, spaces, and ._-:/()#,@[]+=&;{}!$*").
const descriptionCharset = " ._-:/()#,@[]+=&;{}!$*"

// checkDescription refuses what EC2 cannot store as the description of a rule.
func checkDescription(s string) error {
	ok := len(s) < 256
	for _, c := range []byte(s) {
		ok = ok && (c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9' || strings.IndexByte(descriptionCharset, c) >= 0)
	}
	if ok {
		return nil
	}
	return fail("InvalidParameterValue", "Invalid rule description. Valid descriptions are strings less than 256 characters "+
		"from the following set:  a-zA-Z0-9. _-:/()#,@[]+=&;{}!$*")
}

// readPermissions reads IpPermissions, or the shorthand parameters for a single rule, of a request about group g.
// EC2 documents no order of its checks.
func (s *Sim) readPermissions(f *form, g *group) ([]permission, error) {
	var out []permission
	for _, p := range f.list("IpPermissions") {
		perms, err := s.readPermission(p, g)
		if err != nil {
			return nil, err
		}
		out = append(out, perms...)
	}
	shorthand, err := s.readShorthand(f, g)
	if err != nil || shorthand == nil {
		return out, err
	}
	if len(out) > 0 {
		return nil, errCombination("The parameter ipPermissions may not be used with the parameters of a single rule")
	}
	return []permission{*shorthand}, nil
}

// readPermission reads one IpPermission with all its sources.
func (s *Sim) readPermission(p *form, g *group) ([]permission, error) {
	from, to, err := readPorts(p)
	if err != nil {
		return nil, err
	}
	protocol := p.get("IpProtocol")
	var out []permission
	add := func(src source, f *form) error {
		t, err := newTuple(protocol, from, to, src)
		if err != nil {
			return err
		}
		description := f.get("Description")
		out = append(out, permission{tuple: t, description: description})
		return checkDescription(description)
	}
	for _, list := range []string{"IpRanges", "Ipv6Ranges", "PrefixListIds", "Groups"} {
		for _, f := range p.list(list) {
			src, err := s.readSource(list, f, g)
			if err != nil {
				return nil, err
			}
			if err := add(src, f); err != nil {
				return nil, err
			}
		}
	}
	if len(out) == 0 {
		return nil, errMissing("ipPermissions: a permission has no source")
	}
	return out, nil
}

// readSource reads an element of one of the four lists of sources.
func (s *Sim) readSource(list string, f *form, g *group) (src source, err error) {
	switch list {
	case "IpRanges":
		src.cidr, err = parseCIDR(f.get("CidrIp"), false)
	case "Ipv6Ranges":
		src.cidr, err = parseCIDR(f.get("CidrIpv6"), true)
	case "PrefixListIds":
		src.prefixList, err = s.prefixListParameter(f.get("PrefixListId"))
	case "Groups":
		// What peering needs is read, and means nothing here.
		for _, name := range []string{"UserId", "VpcId", "VpcPeeringConnectionId", "PeeringStatus"} {
			f.get(name)
		}
		src.group, err = s.sourceGroup(f.get("GroupId"), f.get("GroupName"), g)
	}
	return src, err
}

func (s *Sim) sourceGroup(id, name string, g *group) (string, error) {
	if id == "" && name != "" {
		if other := s.groupByName(g.vpc, name); other != nil {
			return other.id, nil
		}
		return "", fail("InvalidGroup.NotFound", "The security group '%s' does not exist", name)
	}
	other, err := s.groupByID(id)
	if err != nil {
		return "", err
	}
	if other.vpc != g.vpc {
		return "", fail("InvalidGroup.NotFound", "You have specified two resources that belong to different networks.")
	}
	return id, nil
}

func (s *Sim) prefixListParameter(id string) (string, error) {
	if err := checkID(id, "pl-", "InvalidPrefixListId.Malformed"); err != nil {
		return "", err
	}
	if _, ok := s.prefixLists[id]; !ok {
		return "", fail("InvalidPrefixListID.NotFound", "The prefix list ID '%s' does not exist", id)
	}
	return id, nil
}

// readShorthand reads the parameters for a single rule: CidrIp with protocol and ports, or a source group by name.
func (s *Sim) readShorthand(f *form, g *group) (*permission, error) {
	from, to, err := readPorts(f)
	if err != nil {
		return nil, err
	}
	protocol, cidr, name := f.get("IpProtocol"), f.get("CidrIp"), f.get("SourceSecurityGroupName")
	f.get("SourceSecurityGroupOwnerId")
	var src source
	switch {
	case cidr != "":
		src.cidr, err = parseCIDR(cidr, strings.Contains(cidr, ":"))
	case name != "":
		// A source group alone stands for all traffic from it.
		if src.group, err = s.sourceGroup("", name, g); protocol == "" {
			protocol = "-1"
		}
	default:
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	t, err := newTuple(protocol, from, to, src)
	return &permission{tuple: t}, err
}

func readPorts(f *form) (from, to *int, err error) {
	if from, err = f.integer("FromPort"); err != nil {
		return nil, nil, err
	}
	to, err = f.integer("ToPort")
	return from, to, err
}
