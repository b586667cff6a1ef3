package main

import (
	"cmp"
	"context"
	"fmt"
	"net/netip"
	"runtime"
	"slices"
	"strings"

	"github.com/emr-accessd/emr-accessd/internal/awsclient"
	"github.com/emr-accessd/emr-accessd/internal/ipwatch"
	"github.com/emr-accessd/emr-accessd/internal/netpath"
	"github.com/emr-accessd/emr-accessd/internal/sgsync"
)

// ownAddress is the address that a rule has to admit, in the family that is connected to; or why it is not known.
func (p *patient) ownAddress() (netip.Addr, string) {
	families := []ipwatch.Family{ipwatch.V4, ipwatch.V6}
	if p.host.IsValid() {
		families = []ipwatch.Family{ipwatch.FamilyOf(p.host.Addr())}
	}
	if p.det == nil || p.seen == nil {
		return netip.Addr{}, "your address is not known"
	}
	if p.target.Local && !p.host.IsValid() {
		return netip.Addr{}, "the address that counts is the one towards the node, which is not known"
	}
	why := ""
	for _, f := range families {
		v := p.det.Conclude(p.seen[f], nil)
		if p.target.Local {
			v = p.det.LocalVerdict(f, []netip.Addr{p.host.Addr()})
		}
		if v.State == ipwatch.Confirmed {
			return v.Addr, ""
		}
		why = cmp.Or(why, v.Why)
	}
	return netip.Addr{}, why
}

// lookAtRule looks for the own rule.
func (p *patient) lookAtRule(context.Context) finding {
	me, why := p.ownAddress()
	if !me.IsValid() {
		return notKnown("it cannot be told without your address. "+why, "")
	}
	p.me = me
	holder := sgsync.Holder{UserID: p.client.Identity().UserID}
	if p.store != nil {
		st, _ := p.store.Load()
		holder.Installation = cmp.Or(st.Installation, p.store.Installation())
	}
	want := netip.PrefixFrom(me, me.BitLen())
	if me.Is6() && p.cfg.Address.IPv6Prefix == 64 {
		want = netip.PrefixFrom(me, 64).Masked()
	}
	return judgeRule(p.survey.Survey, p.ownGroups(), want, holder, ruleRemedy(p.target.Label, p.which, p.lasts, p.store != nil && p.store.Running()))
}

// ruleRemedy is the command that brings the own rule in place.
func ruleRemedy(label string, which nodeChoice, lasts, daemon bool) string {
	if !lasts {
		return fmt.Sprintf("emr-accessd connect%s %s puts it in place for the session; `nodes` of the target keeps one", which.flag(), label)
	}
	remedy := "emr-accessd sync " + label
	if daemon {
		remedy += "; the daemon runs and should have done so: `emr-accessd status` says what stops it"
	}
	return remedy
}

// judgeRule tells whether a rule for the own address stands, by whose lease, or what stands in its place.
func judgeRule(s sgsync.Survey, own []string, want netip.Prefix, me sgsync.Holder, remedy string) finding {
	var elsewhere []string
	var shared *finding
	for _, g := range s.Groups {
		for _, r := range g.Rules {
			if !slices.Contains(own, g.ID) || r.Protocol != "tcp" || r.FromPort != s.Port || r.ToPort != s.Port || !r.CIDR.IsValid() {
				continue
			}
			mine, mineElse, others := false, false, 0
			end := ""
			for _, l := range r.Leases() {
				switch {
				case !l.Live(s.Now):
				case l.Key == me.Key():
					mine, end = true, l.End.Local().Format("Mon 15:04")
				case l.UserID == me.UserID:
					mineElse = true
				default:
					others++
				}
			}
			switch {
			case r.CIDR != want:
				if mine {
					elsewhere = append(elsewhere, fmt.Sprintf("%s is for %s", r.ID, r.CIDR))
				}
			case mine:
				f := ok(fmt.Sprintf("%s in %s admits %s until %s", r.ID, g.ID, r.CIDR, end))
				if others == 1 {
					f.notes = []string{"one other leases it with you"}
				} else if others > 1 {
					f.notes = []string{fmt.Sprintf("%d others lease it with you", others)}
				}
				return f
			default:
				whose := "is not yours to lease, and goes when its owner takes it away"
				if r.Managed() {
					whose = "has no lease of yours, and goes with those of others: " + remedy
				}
				if mineElse {
					whose = "has a lease of yours from another computer"
				}
				f := ok(fmt.Sprintf("%s in %s admits %s; it %s", r.ID, g.ID, r.CIDR, whose))
				shared = &f
			}
		}
	}
	if shared != nil {
		return *shared
	}
	unread := slices.ContainsFunc(s.Groups, func(g sgsync.AuditGroup) bool { return g.Unread && slices.Contains(own, g.ID) })
	where := strings.Join(own, " or ")
	switch {
	case unread:
		return notKnown("the rules of "+where+" could not be read", "ask for what `emr-accessd policy` prints")
	case len(elsewhere) > 0:
		return bad(fmt.Sprintf("there is no rule for your address %s in %s; yours: %s", want, where, strings.Join(elsewhere, ", ")), remedy)
	}
	return bad(fmt.Sprintf("there is no rule for your address %s in %s", want, where), remedy)
}

// lookAtOthers tells who else admits the own address: the most permissive rule decides.
func (p *patient) lookAtOthers(context.Context) finding {
	s := p.survey.Survey
	s.From = p.me
	res := sgsync.Audit(s)
	p.shut = res.From != nil && !res.From.Admits && res.Complete
	var public []string
	for _, r := range res.Reach {
		if r.Kind == sgsync.ReachPublic && r.Effective {
			public = append(public, fmt.Sprintf("%s in %s (%s)", r.Rule, r.Group, r.Source))
		}
	}
	switch {
	case len(public) > 0:
		f := ok("everybody is admitted, by " + strings.Join(public, ", "))
		f.notes = []string{"that you get in proves nothing about your rule, and nobody is kept out: emr-accessd close-public " + p.target.Label}
		return f
	case res.From == nil && !res.Complete:
		return notKnown("no rule that could be read admits everybody, but not everything could be read", "ask for what `emr-accessd policy` prints")
	case res.From == nil:
		return ok("no rule admits everybody")
	}
	return ok(res.From.Why)
}

// lookAtACL judges the network ACL of the node's subnet.
func (p *patient) lookAtACL(ctx context.Context) finding {
	f, subnet, me := p.subnet()
	if f != nil {
		return *f
	}
	acl, err := p.client.NetworkACL(ctx, subnet)
	if err != nil {
		return unseen(err)
	}
	return findingOf(acl.Judge(me, p.target.Port, runtime.GOOS))
}

// lookAtRoutes judges the route table of the node's subnet.
func (p *patient) lookAtRoutes(ctx context.Context) finding {
	f, subnet, me := p.subnet()
	if f != nil {
		return *f
	}
	table, err := p.client.RouteTable(ctx, subnet, p.nic.VPC)
	if err != nil {
		return unseen(err)
	}
	return findingOf(table.Judge(me, p.target.Local))
}

// subnet is where the node is, and the address that has to get there; or why that cannot be judged.
func (p *patient) subnet() (*finding, string, netip.Addr) {
	me, _ := p.ownAddress()
	var f finding
	switch {
	case p.node.Instance == "":
		f = finding{state: stateSkipped, seen: "needs a node"}
	case p.nic.Subnet == "":
		f = notKnown("the node's network interface could not be read: needs ec2:DescribeNetworkInterfaces", "ask for what `emr-accessd policy --with doctor` prints")
	case !me.IsValid():
		f = notKnown("it cannot be judged without your address", "")
	default:
		return nil, p.nic.Subnet, me
	}
	return &f, "", me
}

// unseen is for what is only looked at when it is permitted.
func unseen(err error) finding {
	f := failure(err)
	f.state = stateUnknown
	if e, is := awsclient.KindOf(err); is && e == awsclient.Denied {
		f.remedy = "ask for what `emr-accessd policy --with doctor` prints, or have an administrator look"
	}
	return f
}

func findingOf(v netpath.Verdict) finding {
	return finding{state: map[netpath.State]string{netpath.Open: stateOK, netpath.Closed: stateBad, netpath.Unknown: stateUnknown}[v.State], seen: v.Why, remedy: v.Remedy}
}

// lookAtEgress compares the way to the node with the one on which the address was found out.
func (p *patient) lookAtEgress(ctx context.Context) finding {
	if !p.host.IsValid() {
		return notKnown("the way to a name cannot be compared: give --host an address", "")
	}
	f := ipwatch.FamilyOf(p.host.Addr())
	if p.target.Local {
		v := p.det.LocalVerdict(f, []netip.Addr{p.host.Addr()})
		if v.State == ipwatch.Confirmed {
			return ok(v.Why)
		}
		return bad(v.Why, addressRemedy(v))
	}
	v := p.det.Conclude(p.seen[f], []netip.Addr{p.host.Addr()})
	if v.State != ipwatch.Confirmed {
		return bad(v.Why, addressRemedy(v))
	}
	for _, o := range p.outside(ctx, f) {
		if o.Error == nil && o.Address != v.Addr.String() {
			return notKnown(fmt.Sprintf("the sources see %s, but %s sees you as %s: this network sends some traffic another way, and the cluster may see either", v.Addr, o.By, o.Address),
				"`emr-accessd ip` shows all; if the cluster sees "+o.Address+", put it into trusted in the target")
		}
	}
	if !p.cfg.Address.EgressCheck {
		return ok("packets to the node were not compared (egress-check = false)")
	}
	good := ok("packets to the node leave as those to the sources do")
	good.notes = v.Warnings
	return good
}

// outside asks the servers that see us over other protocols than HTTPS.
func (p *patient) outside(ctx context.Context, f ipwatch.Family) []ipSighting {
	n := p.notice(p.det, nil, func() []ipwatch.Family { return []ipwatch.Family{f} }, nil)
	return n.lookAll(ctx)
}
