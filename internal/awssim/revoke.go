package awssim

import "slices"

type revokeXML struct {
	returned
	Unknown items[permissionXML] `xml:"unknownIpPermissionSet"`
	Revoked items[revokedXML]    `xml:"revokedSecurityGroupRuleSet"`
}

// revokeIngress is RevokeSecurityGroupIngress, by rule id or by permission (all values must match, the
// description does not count).
func (s *Sim) revokeIngress(rq *request) (func() (any, error), error) {
	g, err := s.groupParameter(rq.form)
	if err != nil {
		return nil, err
	}
	perms, err := s.readPermissions(rq.form, g)
	if err != nil {
		return nil, err
	}
	ids := rq.form.strings("SecurityGroupRuleId")
	if len(ids) > 0 && len(perms) > 0 || len(ids) == 0 && len(perms) == 0 {
		return nil, fail("MissingParameter", "Either 'ipPermissions' or 'securityGroupRuleIds' should be provided.")
	}
	var gone, unknown []rule
	for _, id := range ids {
		r, err := s.ruleOf(g, id, false)
		if err != nil {
			return nil, err
		}
		if !slices.ContainsFunc(gone, func(other rule) bool { return other.id == r.id }) {
			gone = append(gone, r)
		}
	}
	for _, p := range perms {
		asked := rule{group: g.id, tuple: p.tuple}
		if r, ok := s.duplicate(asked); ok {
			gone = append(gone, r)
		} else {
			unknown = append(unknown, asked)
		}
	}
	return func() (any, error) {
		// API_RevokeSecurityGroupIngress: in a default VPC what does not match is no error but listed; elsewhere
		// InvalidPermission.NotFound, "and no rules are revoked".
		if len(unknown) > 0 && !s.vpcs[g.vpc].isDefault {
			return nil, fail("InvalidPermission.NotFound", "The specified rule does not exist in this security group.")
		}
		out := revokeXML{returned: returned{Return: true}, Unknown: s.permissionsXML(unknown)}
		for _, r := range gone {
			s.drop(r.id)
			out.Revoked.Item = append(out.Revoked.Item, s.revokedXML(r))
		}
		return &out, nil
	}, nil
}
