package sgsync

import "fmt"

// nearlyFull is the share of a quota, in percent, from which it is told before it fails.
const nearlyFull = 80

// gauge counts what a group's rules weigh: IPv4 and IPv6 apart, a reference to a group in both, a customer's list
// with all the entries that it may have (Amazon VPC User Guide, "Amazon VPC quotas").
func (a *auditor) gauge(g AuditGroup) {
	if g.Unread || len(g.Rules) == 0 && len(a.on[g.ID]) == 0 {
		return // it is only referred to: its rules have not been asked for
	}
	q := Gauge{Group: g.ID, Name: g.Name, Limit: a.Quota, From: a.QuotaFrom}
	for _, r := range g.Rules {
		l := a.lists[r.PrefixList]
		switch {
		case is4(r.CIDR):
			q.IPv4++
		case r.CIDR.IsValid():
			q.IPv6++
		case l.AWS || l.MaxEntries == 0: // a list whose weight is not told, or a group
			q.IPv4++
			q.IPv6++
		case l.IPv6:
			q.IPv6 += l.MaxEntries
		default:
			q.IPv4 += l.MaxEntries
		}
	}
	a.out.Quota = append(a.out.Quota, q)
	full := max(q.IPv4, q.IPv6)
	if a.Quota <= 0 || full*100 < a.Quota*nearlyFull {
		return
	}
	id, severity, word := "quota-near", Low, "nearly full"
	if full >= a.Quota {
		id, severity, word = "quota-full", Medium, "full"
	}
	a.find(id, severity, []string{g.ID}, fmt.Sprintf("Security group %s is %s: %d IPv4 and %d IPv6 rules of %d (%s).", named(g.ID, g.Name), word, q.IPv4, q.IPv6, a.Quota, a.QuotaFrom),
		"Remove rules that nobody needs, or raise the VPC quota L-0EA8095F.")
}

// account looks at the setting of the whole account, and at what could not be looked at.
func (a *auditor) account() {
	if b := a.Block; b != nil {
		if !b.Block {
			a.find("block-public-access-off", Medium, []string{}, "EMR's block public access is off: clusters may be launched with groups that are open to everybody.",
				"Turn it on (EMR console, Block public access). It does not change clusters that run.")
		} else {
			for _, r := range b.Except {
				if r[0] <= a.Port && a.Port <= r[1] {
					// The exception of port 22 alone is what every account begins with: for the record.
					severity, which := Info, fmt.Sprintf("port %d", r[0])
					if r[0] != r[1] {
						severity, which = Low, fmt.Sprintf("ports %d-%d", r[0], r[1])
					}
					a.find("block-public-access-excepts-port", severity, []string{}, fmt.Sprintf("EMR's block public access excepts %s, so a cluster may be launched with port %d open to everybody. (Port 22 is excepted unless somebody changes that.)", which, a.Port),
						"Take the port out of the exceptions; emr-accessd does not need it there.")
				}
			}
		}
	}
	for _, u := range a.Unseen {
		text, remedy := fmt.Sprintf("Could not look at %s: %s.", u.What, u.Why), "Try again."
		if u.Needs != "" {
			text, remedy = fmt.Sprintf("Could not look at %s: needs %s.", u.What, u.Needs), "Let somebody look who has the permission, or ask for it."
		}
		severity := Medium
		if u.Aside {
			severity = Low
		}
		a.find("not-looked-at", severity, []string{}, text, remedy)
	}
}
