package netpath

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// Table is a route table of a VPC: where what leaves a subnet goes.
type Table struct {
	ID     string // rtb-…
	Routes []Route
}

// Route is one of its routes. Of those that fit an address the longest prefix decides (VPC User Guide, "Route priority").
type Route struct {
	To         netip.Prefix // invalid where the destination is a prefix list
	PrefixList string       // pl-…
	Via        string       // igw-…, nat-…, "local" and so on; "" for something else
	Active     bool         // else what it leads to is gone ("blackhole")
}

// Judge tells whether answers to an address leave by the way that it came in by. private says that the address is
// one behind a VPN or Direct Connect, to which no internet gateway leads.
func (t Table) Judge(to netip.Addr, private bool) Verdict {
	best := Route{}
	for _, r := range t.Routes {
		if r.To.IsValid() && r.To.Contains(to) && (!best.To.IsValid() || r.To.Bits() > best.To.Bits()) {
			best = r
		}
	}
	// A gateway endpoint (vpce-…) leads to S3 or DynamoDB and to nobody else.
	lists := slices.ContainsFunc(t.Routes, func(r Route) bool { return r.PrefixList != "" && !strings.HasPrefix(r.Via, "vpce-") })
	kind, _, _ := strings.Cut(best.Via, "-")
	switch {
	case !best.To.IsValid() && lists:
		return Verdict{Unknown, fmt.Sprintf("Route table %s has no route to %s, unless one of its prefix lists holds it.", t.ID, to), ""}
	case !best.To.IsValid():
		return Verdict{Closed, fmt.Sprintf("Route table %s of the node's subnet has no route to %s: answers do not leave it.", t.ID, to), t.remedy(private)}
	case !best.Active:
		return Verdict{Closed, fmt.Sprintf("The route to %s in %s leads to %s, which is gone (blackhole).", best.To, t.ID, named(best.Via)), t.remedy(private)}
	case kind == "igw" && !private:
		return Verdict{Open, fmt.Sprintf("Route table %s leads to the internet by %s.", t.ID, best.Via), ""}
	case kind == "igw":
		return Verdict{Closed, fmt.Sprintf("Route table %s sends answers to %s to the internet (%s), where nobody has this address.", t.ID, to, best.Via), t.remedy(private)}
	case kind == "nat":
		return Verdict{Closed, fmt.Sprintf("Route table %s sends answers to %s through a NAT gateway (%s): the subnet is a private one, and nobody outside can connect to it.", t.ID, to, best.Via), t.remedy(private)}
	case kind == "eigw":
		return Verdict{Closed, fmt.Sprintf("Route table %s leads to %s by an egress-only gateway (%s): nobody outside can connect.", t.ID, to, best.Via), t.remedy(private)}
	case private && slices.Contains([]string{"vgw", "tgw", "pcx", "local", "eni"}, kind):
		return Verdict{Open, fmt.Sprintf("Route table %s leads to %s by %s.", t.ID, to, named(best.Via)), ""}
	}
	return Verdict{Unknown, fmt.Sprintf("Route table %s sends answers to %s to %s: whether that leads back to you cannot be seen from here.", t.ID, to, named(best.Via)), ""}
}

func (t Table) remedy(private bool) string {
	if private {
		return fmt.Sprintf("whoever administers the VPC has to add a route back to your VPN's network in %s", t.ID)
	}
	return fmt.Sprintf("whoever administers the VPC has to route 0.0.0.0/0 (or ::/0) in %s to an internet gateway; for a subnet that is meant to be private, go in by Session Manager, an EC2 Instance Connect Endpoint or a VPN", t.ID)
}

func named(via string) string {
	if via == "" {
		return "something that is not known here"
	}
	return via
}
