package awssim

import "strings"

// wellFormed reports whether an id is its prefix and 8 or 17 hex digits (EC2 user guide, "Resource IDs").
func wellFormed(id, prefix string) bool {
	digits, ok := strings.CutPrefix(id, prefix)
	if !ok || len(digits) != 8 && len(digits) != 17 {
		return false
	}
	return strings.Trim(digits, "0123456789abcdef") == ""
}

// checkID refuses a malformed id with the error code of its kind.
func checkID(id, prefix, code string) error {
	if wellFormed(id, prefix) {
		return nil
	}
	return fail(code, "Invalid id: %q (expecting %q)", id, prefix+"...")
}

// groupByID returns a group, or EC2's error.
func (s *Sim) groupByID(id string) (*group, error) {
	if err := checkID(id, "sg-", "InvalidGroupId.Malformed"); err != nil {
		return nil, err
	}
	g, ok := s.groups[id]
	if !ok {
		return nil, fail("InvalidGroup.NotFound", "The security group '%s' does not exist", id)
	}
	return g, nil
}

// groupParameter returns the group that a request names by GroupId, or in the default VPC by GroupName.
func (s *Sim) groupParameter(f *form) (*group, error) {
	id, name := f.get("GroupId"), f.get("GroupName")
	if id != "" {
		return s.groupByID(id)
	}
	if name == "" {
		return nil, errMissing("groupName or groupId")
	}
	v := s.defaultVPC()
	if v == nil {
		return nil, fail("VPCIdNotSpecified", "No default VPC for this user")
	}
	g := s.groupByName(v.id, name)
	if g == nil {
		return nil, fail("InvalidGroup.NotFound", "The security group '%s' does not exist in default VPC '%s'", name, v.id)
	}
	return g, nil
}

func (s *Sim) defaultVPC() *vpc {
	for _, v := range s.vpcs {
		if v.isDefault {
			return v
		}
	}
	return nil
}

// ruleOf returns a rule of a group and direction. EC2 documents no code for a rule of another group: to the
// request it does not exist.
func (s *Sim) ruleOf(g *group, id string, egress bool) (rule, error) {
	if err := checkID(id, "sgr-", "InvalidSecurityGroupRuleId.Malformed"); err != nil {
		return rule{}, err
	}
	r, ok := s.rules[id]
	if !ok || r.group != g.id || r.egress != egress {
		return rule{}, errNoRule(id)
	}
	return r, nil
}

func errNoRule(id string) error {
	return fail("InvalidSecurityGroupRuleId.NotFound", "The security group rule ID '%s' does not exist", id)
}
