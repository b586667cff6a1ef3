package awssim

import (
	"maps"
	"slices"
)

// describeRules is DescribeSecurityGroupRules. AWS documents the filters group-id, security-group-rule-id and
// tag:KEY; tag-key is generally known and moto has it.
func (s *Sim) describeRules(rq *request) (func() (any, error), error) {
	f := rq.form
	filters, err := readFilters(f)
	if err != nil {
		return nil, err
	}
	if err := checkFilters(filters, "group-id", "security-group-rule-id", "tag:", "tag-key"); err != nil {
		return nil, err
	}
	p, err := readPage(f, 5, 1000)
	if err != nil {
		return nil, err
	}
	ids := f.strings("SecurityGroupRuleId")
	seen := s.view.visible(rq.at)
	for _, id := range ids {
		if err := checkID(id, "sgr-", "InvalidSecurityGroupRuleId.Malformed"); err != nil {
			return nil, err
		}
		if _, ok := seen[id]; !ok {
			return nil, errNoRule(id)
		}
	}
	return func() (any, error) {
		var out struct {
			head
			Rules     items[ruleXML] `xml:"securityGroupRuleSet"`
			NextToken string         `xml:"nextToken,omitempty"`
		}
		for _, r := range seen {
			if len(ids) > 0 && !slices.Contains(ids, r.id) {
				continue
			}
			if matches(filters, r.tags, map[string][]string{"group-id": {r.group}, "security-group-rule-id": {r.id}}) {
				out.Rules.Item = append(out.Rules.Item, s.ruleXML(r))
			}
		}
		out.Rules.Item, out.NextToken = cut(p, out.Rules.Item, func(r ruleXML) string { return r.ID })
		return &out, nil
	}, nil
}

// authorizeIngress is AuthorizeSecurityGroupIngress: all rules of the call or none, all with the same tags.
func (s *Sim) authorizeIngress(rq *request) (func() (any, error), error) {
	g, err := s.groupParameter(rq.form)
	if err != nil {
		return nil, err
	}
	perms, err := s.readPermissions(rq.form, g)
	if err != nil {
		return nil, err
	}
	if len(perms) == 0 {
		return nil, errMissing("ipPermissions")
	}
	tags, err := readTagSpecification(rq, "security-group-rule")
	if err != nil {
		return nil, err
	}
	seen := map[tuple]bool{}
	for _, p := range perms {
		if seen[p.tuple] {
			return nil, fail("InvalidParameterValue", "The same permission must not appear multiple times")
		}
		seen[p.tuple] = true
	}
	return func() (any, error) {
		var out struct {
			returned
			Rules items[ruleXML] `xml:"securityGroupRuleSet"`
		}
		var writes []rule
		for _, p := range perms {
			writes = append(writes, rule{
				id: s.newID("sgr-"), group: g.id, tuple: p.tuple, description: p.description, tags: maps.Clone(tags),
			})
		}
		if err := s.write(g, writes); err != nil {
			return nil, err
		}
		for _, r := range writes {
			out.Rules.Item = append(out.Rules.Item, s.ruleXML(r))
		}
		out.Return = true
		return &out, nil
	}, nil
}

// write puts rules, new or in the place of those with their ids, into a group: all of them, or none when one would be a
// duplicate or the quota would be exceeded.
func (s *Sim) write(g *group, writes []rule) error {
	type key struct {
		egress bool
		tuple
	}
	written := map[string]bool{}
	for _, r := range writes {
		written[r.id] = true
	}
	taken := map[key]bool{}
	var before, after, kept []rule
	for _, r := range s.rules {
		if r.group != g.id {
			continue
		}
		before = append(before, r)
		if !written[r.id] {
			kept = append(kept, r)
			taken[key{r.egress, r.tuple}] = true
		}
	}
	for _, r := range writes {
		k := key{r.egress, r.tuple}
		if taken[k] {
			return fail("InvalidPermission.Duplicate", "the specified rule %q already exists", r.tuple.String())
		}
		taken[k] = true
	}
	after = slices.Concat(kept, writes)
	if s.overQuota(before, after) {
		return fail("RulesPerSecurityGroupLimitExceeded", "The maximum number of rules per security group has been reached.")
	}
	for _, r := range writes {
		s.put(r)
	}
	return nil
}

// overQuota reports whether a change makes a group weigh more in an address family than it may. A group that is over
// the quota already may still shrink.
func (s *Sim) overQuota(before, after []rule) bool {
	oldIPv4, oldIPv6 := s.weight(before)
	newIPv4, newIPv6 := s.weight(after)
	return newIPv4 > max(s.opts.RuleQuota, oldIPv4) || newIPv6 > max(s.opts.RuleQuota, oldIPv6)
}

// weight is what the ingress rules of a group count by family (Amazon VPC quotas): a source group counts in both, a
// customer-managed prefix list its maximum of entries. The page does not say in which family; here it is the list's own.
func (s *Sim) weight(rules []rule) (ipv4, ipv6 int) {
	for _, r := range rules {
		if r.egress {
			continue
		}
		switch r.kind() {
		case "CidrIpv4":
			ipv4++
		case "CidrIpv6":
			ipv6++
		case "ReferencedGroupId":
			ipv4++
			ipv6++
		case "PrefixListId":
			if p := s.prefixLists[r.prefixList]; p != nil && p.IPv6 {
				ipv6 += p.MaxEntries
			} else if p != nil {
				ipv4 += p.MaxEntries
			}
		}
	}
	return ipv4, ipv6
}
