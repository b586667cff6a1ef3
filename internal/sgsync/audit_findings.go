package sgsync

import (
	"fmt"
	"net/netip"
	"regexp"
	"slices"
	"strings"
)

const byHand = "Replace it by the ranges that are needed; emr-accessd does not change it."

// judge makes findings of a rule that reaches the port.
func (a *auditor) judge(e Reach, r Rule) {
	on := []string{r.ID, r.Group}
	exact := r.Protocol == "tcp" && r.FromPort == a.Port && r.ToPort == a.Port
	switch {
	case e.Kind == ReachPublic:
		id, remedy := "public-port", "`emr-accessd close-public` removes it once your own rule stands."
		switch {
		case r.PrefixList != "":
			id, on, remedy = "public-prefix-list", append(on, r.PrefixList), "Remove the wide entries from the prefix list, or the rule."
		case r.Protocol == "-1":
			id, remedy = "public-all-traffic", byHand
		case !exact:
			id, remedy = "public-port-range", byHand
		}
		severity, but := High, ""
		switch {
		case !e.Effective:
			severity, but = Low, " No node has an address that it could be used with now."
		case !e.Exposed:
			// No address of its own does not keep the internet out: what comes through a load balancer is admitted, whether
			// it shows its clients' addresses or its own (Network Load Balancers, "Client IP preservation").
			severity, but = Medium, " No node has a public address of its own now: it lets in whoever reaches the private ones, from the VPC, a VPN or a peering, and everybody where an internet-facing load balancer leads to the port, which is not looked at."
		}
		a.find(id, severity, on, fmt.Sprintf("Rule %s opens port %d to %s by %s (%s).%s", r.ID, a.Port, e.Who, e.Source, e.Ports(), but), remedy)
	case e.Kind == ReachUnknown:
		a.find("source-unreadable", Medium, on, fmt.Sprintf("Rule %s opens port %d to a source that could not be read.", r.ID, a.Port),
			"Look at the rule in the EC2 console.")
	case r.PrefixList != "" && a.unread(r.PrefixList):
		a.find("prefix-list-unresolved", Medium, append(on, r.PrefixList),
			fmt.Sprintf("Rule %s opens port %d to prefix list %s, whose entries could not be read.", r.ID, a.Port, r.PrefixList),
			"Let somebody look who may call ec2:GetManagedPrefixListEntries.")
	case e.Kind == ReachGroup && !a.groups[r.SourceGroup].Cluster:
		a.find("group-reference", Low, append(on, r.SourceGroup),
			fmt.Sprintf("Rule %s opens port %d to %s, %s.", r.ID, a.Port, a.whoIsIn(r.SourceGroup), named(r.SourceGroup, e.SourceName)),
			"Make sure that you know who may put instances into that group.")
	default:
		a.wide(e, r, on)
	}
}

// wide reports sources wider than a user of this program may trust: /16, or /32 in IPv6.
func (a *auditor) wide(e Reach, r Rule, on []string) {
	var wide []netip.Prefix
	for _, p := range e.prefixes {
		if TooWide(p) {
			wide = append(wide, p)
		}
	}
	if len(wide) == 0 {
		return
	}
	severity := Medium
	if !slices.ContainsFunc(wide, func(p netip.Prefix) bool { return !private(p) }) {
		severity = Low
	}
	if r.PrefixList != "" {
		on = append(on, r.PrefixList)
	}
	a.find("wide-source", severity, on, fmt.Sprintf("Rule %s opens port %d to %s, which is wider than /16 (IPv6 /32).", r.ID, a.Port, joinPrefixes(wide)), byHand)
}

func joinPrefixes(ps []netip.Prefix) string {
	const shown = 5
	var out []string
	for i, p := range ps {
		if i == shown {
			out = append(out, fmt.Sprintf("%d more", len(ps)-shown))
			break
		}
		out = append(out, p.String())
	}
	return strings.Join(out, ", ")
}

// userID is what sts:GetCallerIdentity may return as UserId: an account, an IAM id, or either with the name of a
// session (IAM User Guide, "Policy elements: variables", table of principal values).
var userID = regexp.MustCompile(`\A[A-Z0-9]{12,32}(?::[\w+=,.@-]{2,128})?\z`)

// invented are the session names that an SDK makes up anew each time: their leases are never found again.
var invented = regexp.MustCompile(`:(?:aws-go-sdk|botocore-session)-`)

// hygiene looks at the tags that this program and its like have left on a group's rules, whatever their port.
func (a *auditor) hygiene(g AuditGroup) {
	if g.Cluster && len(a.on[g.ID]) == 0 && len(a.Nodes) > 0 && slices.ContainsFunc(g.Rules, Rule.Managed) {
		a.find("group-not-on-node", Medium, []string{g.ID}, fmt.Sprintf("Security group %s holds rules for addresses, but is on no interface of the nodes that were looked at: its rules do nothing for them.", named(g.ID, g.Name)),
			"Choose the group with `group` in the configuration, or put it back on the interface.")
	}
	for _, r := range g.Rules {
		owner, leases := r.Tags[OwnerTag], r.Leases()
		on := []string{r.ID, r.Group}
		if owner == "" && len(leases) == 0 {
			continue
		}
		if !r.Managed() {
			a.find("tags-on-foreign-rule", Medium, on, fmt.Sprintf("Rule %s carries tags of emr-accessd but is not a rule that it would write; it is never changed by it.", r.ID),
				"Find out who tagged it, and take the emr-accessd tags off.")
			continue
		}
		if !userID.MatchString(owner) || invented.MatchString(owner) {
			a.find("owner-strange", Low, on, fmt.Sprintf("Rule %s has the owner %q, which no AWS identity keeps: IAM cannot tell whose it is.", r.ID, clean(owner, 80)),
				"Set role_session_name in that person's profile; the rule goes with its last lease.")
		}
		a.leases(r, leases, on)
	}
}

// leases looks at who holds a managed rule.
func (a *auditor) leases(r Rule, leases []Lease, on []string) {
	live := false
	for _, l := range leases {
		// A key that somebody else wrote may hold anything.
		key, who := clean(l.Key, 127), clean(l.Who, 120)
		switch {
		case l.Err != nil:
			a.find("lease-unreadable", Medium, on, fmt.Sprintf("Rule %s has the lease %s, which cannot be read: %v. It counts as live for ever.", r.ID, key, l.Err),
				"Delete that tag by hand when nobody claims it.")
		case l.Strange(a.Now) != "":
			a.find("lease-too-long", Medium, on, fmt.Sprintf("Rule %s has the lease %s, which ends more than 7 days ahead. No emr-accessd writes such a lease.", r.ID, key),
				"Delete that tag by hand when nobody claims it.")
		case !l.Live(a.Now):
			a.find("lease-ended", Info, on, fmt.Sprintf("Rule %s has a lease of %s that ended %s.", r.ID, who, l.End.UTC().Format("2006-01-02 15:04 UTC")),
				"The next round of anybody takes it away.")
		}
		live = live || l.Live(a.Now.Add(-Grace))
	}
	switch {
	case live || provisioned(r):
	case len(leases) > 0:
		a.find("rule-abandoned", Low, on, fmt.Sprintf("Rule %s (%s) is of an installation that is gone: all its leases have ended.", r.ID, r.CIDR),
			"`emr-accessd sweep` removes it; so does the next round of anybody.")
	default:
		a.find("rule-without-lease", Low, on, fmt.Sprintf("Rule %s (%s) has an owner and no lease at all.", r.ID, r.CIDR),
			"`emr-accessd sweep` removes it; tag it emr-accessd-provisioned when it is meant to stay.")
	}
}

func named(id, name string) string {
	if name == "" {
		return id
	}
	return fmt.Sprintf("%s (%s)", id, name)
}
