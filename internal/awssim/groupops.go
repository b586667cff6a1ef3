package awssim

import (
	"maps"
	"slices"
	"strings"
)

type groupXML struct {
	OwnerID     string               `xml:"ownerId"`
	ID          string               `xml:"groupId"`
	Name        string               `xml:"groupName"`
	ARN         string               `xml:"securityGroupArn"`
	Description string               `xml:"groupDescription"`
	VPCID       string               `xml:"vpcId"`
	Ingress     items[permissionXML] `xml:"ipPermissions"`
	Egress      items[permissionXML] `xml:"ipPermissionsEgress"`
	Tags        items[tagXML]        `xml:"tagSet"`
}

// describeGroups is DescribeSecurityGroups. Its rules lag as those of DescribeSecurityGroupRules do.
func (s *Sim) describeGroups(rq *request) (func() (any, error), error) {
	f := rq.form
	filters, err := readFilters(f)
	if err != nil {
		return nil, err
	}
	if err := checkFilters(filters, "group-id", "group-name", "vpc-id", "owner-id", "description", "tag:", "tag-key"); err != nil {
		return nil, err
	}
	p, err := readPage(f, 5, 1000)
	if err != nil {
		return nil, err
	}
	ids, names := f.strings("GroupId"), f.strings("GroupName")
	for _, id := range ids {
		if _, err := s.groupByID(id); err != nil {
			return nil, err
		}
	}
	def := s.defaultVPC()
	for _, name := range names { // names work in the default VPC only
		if def == nil || s.groupByName(def.id, name) == nil {
			return nil, fail("InvalidGroup.NotFound", "The security group '%s' does not exist in default VPC", name)
		}
	}
	return func() (any, error) {
		var out struct {
			head
			NextToken string          `xml:"nextToken,omitempty"`
			Groups    items[groupXML] `xml:"securityGroupInfo"`
		}
		seen := s.view.visible(rq.at)
		for _, g := range s.groups {
			named := len(ids) == 0 && len(names) == 0 || slices.Contains(ids, g.id) ||
				def != nil && g.vpc == def.id && slices.Contains(names, g.name)
			if named && matches(filters, g.tags, map[string][]string{
				"group-id": {g.id}, "group-name": {g.name}, "vpc-id": {g.vpc}, "owner-id": {s.opts.Account}, "description": {g.description},
			}) {
				out.Groups.Item = append(out.Groups.Item, s.groupXML(g, seen))
			}
		}
		out.Groups.Item, out.NextToken = cut(p, out.Groups.Item, func(g groupXML) string { return g.ID })
		return &out, nil
	}, nil
}

func (s *Sim) groupXML(g *group, rules map[string]rule) groupXML {
	var in, eg []rule
	for _, r := range rules {
		switch {
		case r.group != g.id:
		case r.egress:
			eg = append(eg, r)
		default:
			in = append(in, r)
		}
	}
	return groupXML{
		OwnerID: s.opts.Account, ID: g.id, Name: g.name, ARN: s.arn("ec2", "security-group/"+g.id),
		Description: g.description, VPCID: g.vpc,
		Ingress: s.permissionsXML(in), Egress: s.permissionsXML(eg), Tags: tagsXML(g.tags),
	}
}

// createGroup is CreateSecurityGroup, in the default VPC where the request names none.
func (s *Sim) createGroup(rq *request) (func() (any, error), error) {
	name, description, vpcID := rq.form.get("GroupName"), rq.form.get("GroupDescription"), rq.form.get("VpcId")
	tags, err := readTagSpecification(rq, "security-group")
	if err != nil {
		return nil, err
	}
	switch {
	case name == "":
		return nil, errMissing("groupName")
	case description == "":
		return nil, errMissing("groupDescription")
	case len(name) > 255 || strings.HasPrefix(name, "sg-") || name == "default":
		return nil, fail("InvalidParameterValue", "Invalid security group name '%s'", name)
	case checkDescription(description) != nil:
		return nil, fail("InvalidParameterValue", "Value (%s) for parameter GroupDescription is invalid. Character sets beyond ASCII are not supported.", description)
	}
	if vpcID == "" {
		v := s.defaultVPC()
		if v == nil {
			return nil, fail("VPCIdNotSpecified", "No default VPC for this user")
		}
		vpcID = v.id
	}
	if _, ok := s.vpcs[vpcID]; !ok {
		return nil, errNoVPC(vpcID)
	}
	return func() (any, error) {
		if s.groupByName(vpcID, name) != nil {
			return nil, fail("InvalidGroup.Duplicate", "The security group '%s' already exists for VPC '%s'", name, vpcID)
		}
		var out struct {
			head
			GroupID string        `xml:"groupId"`
			ARN     string        `xml:"securityGroupArn"`
			Tags    items[tagXML] `xml:"tagSet"`
		}
		out.GroupID = s.addGroup(vpcID, name, description)
		maps.Copy(s.groups[out.GroupID].tags, tags)
		out.ARN, out.Tags = s.arn("ec2", "security-group/"+out.GroupID), tagsXML(tags)
		return &out, nil
	}, nil
}

// deleteGroup is DeleteSecurityGroup: not while an instance or another group's rule uses the group.
func (s *Sim) deleteGroup(rq *request) (func() (any, error), error) {
	g, err := s.groupParameter(rq.form)
	if err != nil {
		return nil, err
	}
	return func() (any, error) {
		if g.name == "default" {
			return nil, fail("CannotDelete", "the specified group: %q name: %q cannot be deleted by a user", g.id, g.name)
		}
		if s.groupInUse(g.id) {
			return nil, fail("DependencyViolation", "resource %s has a dependent object", g.id)
		}
		for id, r := range s.rules {
			if r.group == g.id {
				s.drop(id)
			}
		}
		delete(s.groups, g.id)
		var out struct {
			returned
			GroupID string `xml:"groupId"`
		}
		out.Return, out.GroupID = true, g.id
		return &out, nil
	}, nil
}

func (s *Sim) groupInUse(id string) bool {
	for _, n := range s.nodes {
		if n.live() && slices.Contains(n.Groups, id) {
			return true
		}
	}
	for _, r := range s.rules {
		if r.source.group == id && r.group != id {
			return true
		}
	}
	return false
}
