package awssim

import "cmp"

// modifyRules is ModifySecurityGroupRules: the bodies of the rules are replaced, ids and tags stay. That an omitted
// description clears the old one, and that several rules change all or none, is not documented.
func (s *Sim) modifyRules(rq *request) (func() (any, error), error) {
	if rq.form.get("GroupId") == "" {
		return nil, errMissing("groupId")
	}
	g, err := s.groupParameter(rq.form)
	if err != nil {
		return nil, err
	}
	updates := rq.form.list("SecurityGroupRule")
	if len(updates) == 0 {
		return nil, errMissing("securityGroupRules")
	}
	var writes []rule
	seen := map[string]bool{}
	for _, u := range updates {
		r, err := s.readUpdate(u, g)
		if err != nil {
			return nil, err
		}
		if seen[r.id] {
			return nil, fail("InvalidParameterValue", "The security group rule '%s' must not appear multiple times", r.id)
		}
		seen[r.id] = true
		writes = append(writes, r)
	}
	return func() (any, error) {
		if err := s.write(g, writes); err != nil {
			return nil, err
		}
		return &returned{Return: true}, nil
	}, nil
}

// readUpdate reads the new body of one rule. The messages come from moto's AWS-validated pull request 8917.
func (s *Sim) readUpdate(u *form, g *group) (rule, error) {
	id := u.get("SecurityGroupRuleId")
	body := u.child("SecurityGroupRule")
	protocol, description := body.get("IpProtocol"), body.get("Description")
	from, to, err := readPorts(body)
	if err != nil {
		return rule{}, err
	}
	src, err := s.readUpdateSource(body, g)
	if err != nil {
		return rule{}, err
	}
	if id == "" {
		return rule{}, errMissing("securityGroupRuleId")
	}
	old, err := s.anyRuleOf(g, id)
	if err != nil {
		return rule{}, err
	}
	t, err := newTuple(protocol, from, to, src)
	if err != nil {
		return rule{}, err
	}
	if old.kind() != t.kind() {
		return rule{}, fail("InvalidParameterValue",
			"Invalid rule type for security group rule '%s'. You may not specify %s for an existing %s rule.", id, t.kind(), kindName(old.kind()))
	}
	r := old
	r.tuple, r.description = t, description
	return r, checkDescription(description)
}

// anyRuleOf returns a rule of a group in either direction.
func (s *Sim) anyRuleOf(g *group, id string) (rule, error) {
	r, err := s.ruleOf(g, id, false)
	if err == nil {
		return r, nil
	}
	if egress, egressErr := s.ruleOf(g, id, true); egressErr == nil {
		return egress, nil
	}
	return rule{}, err
}

func (s *Sim) readUpdateSource(body *form, g *group) (src source, err error) {
	values := map[string]string{}
	for _, name := range []string{"CidrIpv4", "CidrIpv6", "PrefixListId", "ReferencedGroupId"} {
		if v := body.get(name); v != "" {
			values[name] = v
		}
	}
	switch {
	case len(values) > 1:
		return src, errCombination("Only one of cidrIp, cidrIpv6, prefixListId, or referencedGroupId can be specified")
	case len(values) == 0:
		return src, fail("MissingParameter", "The request must contain exactly one of: cidrIp, cidrIpv6, prefixListId, or referencedGroupId")
	case values["PrefixListId"] != "":
		src.prefixList, err = s.prefixListParameter(values["PrefixListId"])
	case values["ReferencedGroupId"] != "":
		src.group, err = s.sourceGroup(values["ReferencedGroupId"], "", g)
	default:
		cidr := cmp.Or(values["CidrIpv4"], values["CidrIpv6"])
		src.cidr, err = parseCIDR(cidr, values["CidrIpv6"] != "")
		// Unlike Authorize, Modify refuses host bits (live tests of alchemy, distilled pull request 608).
		if err == nil && !isMasked(cidr) {
			err = fail("InvalidParameterValue", "CIDR block %s is malformed", cidr)
		}
	}
	return src, err
}

func kindName(kind string) string {
	return map[string]string{
		"CidrIpv4": "IPv4 CIDR", "CidrIpv6": "IPv6 CIDR",
		"PrefixListId": "prefix list", "ReferencedGroupId": "referenced security group",
	}[kind]
}

// updateDescriptions is UpdateSecurityGroupRuleDescriptionsIngress, by permission or by rule id. No description
// removes the old one.
func (s *Sim) updateDescriptions(rq *request) (func() (any, error), error) {
	g, err := s.groupParameter(rq.form)
	if err != nil {
		return nil, err
	}
	perms, err := s.readPermissions(rq.form, g)
	if err != nil {
		return nil, err
	}
	var writes []rule
	for _, p := range perms {
		r, ok := s.duplicate(rule{group: g.id, tuple: p.tuple})
		if !ok {
			return nil, fail("InvalidPermission.NotFound", "The specified rule does not exist in this security group.")
		}
		r.description = p.description
		writes = append(writes, r)
	}
	for _, u := range rq.form.list("SecurityGroupRuleDescription") {
		r, err := s.ruleOf(g, u.get("SecurityGroupRuleId"), false)
		if err != nil {
			return nil, err
		}
		r.description = u.get("Description")
		if err := checkDescription(r.description); err != nil {
			return nil, err
		}
		writes = append(writes, r)
	}
	if len(writes) == 0 {
		return nil, errMissing("ipPermissions or securityGroupRuleDescriptions")
	}
	if len(perms) > 0 && len(perms) < len(writes) {
		return nil, errCombination("Either 'ipPermissions' or 'securityGroupRuleDescriptions' should be provided, but not both.")
	}
	return func() (any, error) {
		for _, r := range writes {
			s.put(r)
		}
		return &returned{Return: true}, nil
	}, nil
}
