package sgsync

import "fmt"

// RuleQuota is how many ingress rules of each address family a group can have, unless the account's quota was raised (Amazon
// VPC, "Amazon VPC quotas": inbound or outbound rules per security group). NearQuota is when it is worth telling.
const (
	RuleQuota = 60
	NearQuota = 54
)

// Crowded says in which families a group is about to be full, before a rule is refused. A rule for a group or a prefix list
// counts in both (a customer's list with all the entries that it can have, which is not known here). A group
// with more rules than the default has a raised quota, of which nothing is known.
func Crowded(group string, rules []Rule) (warnings []string) {
	var four, six int
	for _, r := range rules {
		if !r.CIDR.IsValid() || is4(r.CIDR) {
			four++
		}
		if !r.CIDR.IsValid() || !is4(r.CIDR) {
			six++
		}
	}
	for _, f := range []struct {
		name string
		n    int
	}{{"IPv4", four}, {"IPv6", six}} {
		if f.n >= NearQuota && f.n <= RuleQuota {
			warnings = append(warnings, fmt.Sprintf("%s has %d of the %d %s rules that a group can have (unless the quota was raised): remove some that nobody needs, or have quota L-0EA8095F raised", group, f.n, RuleQuota, f.name))
		}
	}
	return warnings
}
