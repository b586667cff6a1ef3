package main

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/emr-accessd/emr-accessd/internal/awsclient"
	"github.com/emr-accessd/emr-accessd/internal/ipwatch"
	"github.com/emr-accessd/emr-accessd/internal/keeper"
)

// patient is one target with what the looks at it found. Each field is set by one look, and read by those that
// need it or come after.
type patient struct {
	*doctor
	target keeper.Target
	lasts  bool // the target keeps a rule for nodes like the one that is looked at
	*signedIn

	cluster  awsclient.Cluster
	node     awsclient.Node
	host     netip.AddrPort // where to connect to; invalid for a name that was given by --host
	addr     string         // the same as host:port
	nic      awsclient.Interface
	survey   *surveyed
	me       netip.Addr // my address in the family of host, once it is known
	shut     bool       // it is certain that no rule admits me
	conn     net.Conn
	verified bool
	locked   bool // the key that fits needs a passphrase
	once     sync.Once
	options  sshOptions // of the user's ssh configuration, asked for once

	clusterExam, nodeExam, groupsExam *exam
}

// patients are the looks at all targets. Targets by name or pattern become the clusters that they mean now.
func (d *doctor) patients(ctx context.Context, wanted []wantedTarget) (exams []*exam) {
	for _, w := range wanted {
		s := d.signIns[placeKey(w.target)]
		if w.nothing {
			continue
		}
		targets := []keeper.Target{w.target}
		if s.identity.state == stateOK || s.identity.goOn {
			var err error
			if targets, err = d.resolved(ctx, w, s); err != nil {
				exams = append(exams, &exam{subject: subjectOf(w), id: "cluster", look: func(context.Context) finding { return failure(err) }})
				continue
			}
		} else if w.name != "" {
			exams = append(exams, &exam{subject: w.name, id: "cluster", needs: []*exam{s.identity}, look: func(context.Context) finding { return finding{} }})
			continue
		}
		for _, t := range targets {
			exams = append(exams, d.patient(t, s).exams()...)
		}
	}
	return exams
}

// patient is a target with the node that is looked at. Where the target has no rule for it, connect would make one.
func (d *doctor) patient(t keeper.Target, s *signedIn) *patient {
	p := &patient{doctor: d, target: t, signedIn: s, lasts: t.SecurityGroup != "" || slices.Contains(t.Nodes, d.which.wants())}
	if !p.lasts {
		p.target.Nodes = []string{d.which.wants()}
	}
	return p
}

func subjectOf(w wantedTarget) string {
	if w.name != "" {
		return w.name
	}
	return w.target.Label
}

// resolved finds the clusters that a target means.
func (d *doctor) resolved(ctx context.Context, w wantedTarget, s *signedIn) ([]keeper.Target, error) {
	ctx, cancel := context.WithTimeout(ctx, examLimit)
	defer cancel()
	t := w.target
	switch {
	case w.name != "":
		return d.choose(ctx, []string{w.name}, time.Hour, d.cfg.Rules.Lease)
	case t.Cluster != "" || t.SecurityGroup != "":
		return []keeper.Target{t}, nil
	}
	ids, err := cloud{s.client}.matching(ctx, t)
	if err == nil && len(ids) == 0 {
		err = hinted{fmt.Errorf("no active cluster matches %s in %s", t.Label, s.client.Identity().Region), exitUsage, "`emr-accessd clusters` shows those that are there; check name, tags, profile and region of the target"}
	}
	var out []keeper.Target
	for _, id := range ids {
		one := t
		one.Cluster, one.Label, one.NamePattern, one.ClusterTags = id, id, "", nil
		out = append(out, one)
	}
	return out, err
}

// exams are the looks at one target, in the order in which they are shown.
func (p *patient) exams() []*exam {
	t := p.target
	plain := t.SecurityGroup != ""
	add := func(id string, look func(context.Context) finding, needs ...*exam) *exam {
		return &exam{subject: t.Label, id: id, look: look, needs: needs}
	}
	permissions := p.permissionsOf(t, p.signedIn)
	p.clusterExam = add("cluster", p.lookAtCluster, p.identity)
	p.nodeExam = add("node", p.lookAtNode, p.clusterExam)
	p.groupsExam = add("groups", p.lookAtGroups, p.nodeExam)
	p.groupsExam.limit = 30 * time.Second
	if plain {
		p.clusterExam = add("group", p.lookAtGroup, p.identity)
		p.nodeExam.needs = []*exam{p.clusterExam}
		p.groupsExam.needs = []*exam{p.clusterExam}
		p.groupsExam.after = []*exam{p.nodeExam}
	}
	rule := add("rule", p.lookAtRule, p.groupsExam, p.address)
	others := add("who-else", p.lookAtOthers, p.groupsExam)
	others.after = []*exam{rule}
	acl := add("network-acl", p.lookAtACL, p.groupsExam, p.address)
	routes := add("route-table", p.lookAtRoutes, p.groupsExam, p.address)
	egress := add("egress", p.lookAtEgress, p.nodeExam, p.address)
	tcp := add("tcp", p.lookAtTCP, p.nodeExam)
	tcp.after = []*exam{others, acl, routes, egress}
	greeting := add("ssh", p.lookAtGreeting, tcp)
	hostKey := add("host-key", p.lookAtHostKey, greeting)
	loginKey := add("login-key", p.lookAtLoginKey)
	loginKey.after = []*exam{p.clusterExam}
	login := add("login", p.logIn, hostKey, loginKey)
	login.limit = 30 * time.Second
	return []*exam{permissions, p.clusterExam, p.nodeExam, p.groupsExam, rule, others, acl, routes, egress, tcp, greeting, hostKey, loginKey, login}
}

// lookAtCluster finds the cluster, or where else it is.
func (p *patient) lookAtCluster(ctx context.Context) finding {
	cl, err := p.client.Cluster(ctx, p.target.Cluster)
	here := p.client.Identity()
	if kind, _ := awsclient.KindOf(err); kind == awsclient.NotFound {
		regions := awsclient.DefaultRegions()
		for _, t := range p.cfg.Targets {
			if t.Region != "" && !slices.Contains(regions, t.Region) {
				regions = append(regions, t.Region)
			}
		}
		if found := p.client.Seek(ctx, p.target.Cluster, regions); len(found) > 0 {
			return bad(fmt.Sprintf("it is in %s, and was looked for in %s", strings.Join(found, " and "), here.Region),
				fmt.Sprintf("--region %s (region = %q in the target)", found[0], found[0]))
		}
		return bad(fmt.Sprintf("account %s has no such cluster in %s, nor in the other regions that answered", here.Account, here.Region), joinHints(err, ""))
	}
	if err != nil {
		return failure(err)
	}
	p.cluster = cl
	what := strings.ToLower(cl.State)
	if cl.Name != "" {
		what = cl.Name + ", " + what
	}
	if cl.Release != "" {
		what += ", " + cl.Release
	}
	switch {
	case cl.Ended():
		if cl.StateReason != "" {
			what += ": " + cl.StateReason
		}
		return bad(what, joinHints(keeper.ErrEnded, ""))
	case cl.Starting():
		f := notKnown(what+": SSH may not be up yet", "wait until it is waiting or running; that takes some minutes")
		f.goOn = true
		return f
	}
	return ok(what)
}

func (p *patient) lookAtGroup(ctx context.Context) finding {
	g, err := p.client.Group(ctx, p.target.SecurityGroup)
	if err != nil {
		return failure(err)
	}
	return ok(g.Name + " in " + g.VPC)
}

// lookAtNode finds the node and the address to connect to.
func (p *patient) lookAtNode(ctx context.Context) finding {
	t, port := p.target, strconv.Itoa(p.target.Port)
	if h := p.doctorFlags.host; h != "" {
		if name, given, err := net.SplitHostPort(h); err == nil {
			h, port = name, given
		}
		p.addr = net.JoinHostPort(h, port)
		p.host, _ = netip.ParseAddrPort(p.addr)
	}
	if t.SecurityGroup != "" {
		if p.addr != "" {
			return ok("none is known for a security group; connecting to " + p.addr)
		}
		return finding{state: stateSkipped, seen: "a security group has no node to connect to: name a cluster, or --host"}
	}
	nodes, err := p.client.Nodes(ctx, p.cluster, p.which.wants())
	if err != nil {
		return failure(err)
	}
	chosen, err := p.which.pick(keeper.Place{Cluster: p.cluster.ID, Nodes: nodesOf(p.cluster.ID, nodes)})
	switch {
	case err != nil:
		return bad(oneLine(err), joinHints(err, ""))
	case chosen.Instance == "":
		return bad("there is no running primary node ("+strings.ToLower(p.cluster.State)+")", "wait for it; EMR needs some minutes to start or replace one")
	}
	at := slices.IndexFunc(nodes, func(n awsclient.Node) bool { return n.Instance == chosen.Instance })
	p.node = nodes[at]
	what := p.node.Instance
	if len(nodes) > 1 {
		what += fmt.Sprintf(", %s:%d of %d", p.node.Role, at, len(nodes))
	}
	if p.node.State != "RUNNING" {
		what += ", " + strings.ToLower(p.node.State)
	}
	if p.addr != "" {
		return ok(what + "; connecting to " + p.addr)
	}
	v4, v6 := p.node.Public4, p.node.V6
	if t.Local {
		v4 = p.node.Private4
	}
	if v4.IsValid() && v6.IsValid() && !p.knows(ipwatch.V4) && p.knows(ipwatch.V6) {
		v4 = netip.Addr{}
	}
	for _, a := range []netip.Addr{v4, v6} {
		if a.IsValid() {
			p.host = netip.AddrPortFrom(a, uint16(t.Port))
			p.addr = p.host.String()
			return ok(fmt.Sprintf("%s at %s", what, a))
		}
	}
	return p.privateNode(what)
}

// knows reports whether the own address of a family is known. It waits for the look at the address.
func (d *doctor) knows(f ipwatch.Family) bool {
	<-d.address.done
	if d.det == nil || d.seen == nil {
		return false
	}
	return d.det.Conclude(d.seen[f], nil).State == ipwatch.Confirmed
}

// privateNode is a node that the internet does not reach. Whether the laptop does, a look at its routes tells.
func (p *patient) privateNode(what string) finding {
	id := p.client.Identity()
	at := " --region " + id.Region
	if id.Profile != "" && id.Profile != "default" {
		at += " --profile " + shellQuote(id.Profile)
	}
	seen := fmt.Sprintf("%s has the private address %s alone: the internet does not reach it", what, p.node.Private4)
	if p.det != nil && p.node.Private4.IsValid() {
		if v := p.det.LocalVerdict(ipwatch.V4, []netip.Addr{p.node.Private4}); v.State == ipwatch.Confirmed {
			return bad(fmt.Sprintf("%s, but this computer has a route to it, from %s", seen, v.Addr),
				`--address local (address = "local" in the target): then the rule is for the address that you have in that network`)
		}
	}
	return bad(seen, fmt.Sprintf("join the VPN that leads there and use --address local; or without any rule: aws ssm start-session --target %s%s; or: ssh -o ProxyCommand='aws ec2-instance-connect open-tunnel --instance-id %s%s' hadoop@%s",
		p.node.Instance, at, p.node.Instance, at, p.node.Instance))
}

// lookAtGroups reads which groups the node's interface has, and their rules.
func (p *patient) lookAtGroups(ctx context.Context) finding {
	found, err := p.app.survey(ctx, p.target, []string{p.which.wants()})
	if ctx.Err() != nil {
		return finding{}
	}
	if err != nil {
		return failure(err)
	}
	p.survey = &found[0]
	if p.survey.Now.IsZero() {
		p.survey.Now = time.Now()
	}
	if id := p.node.Instance; id != "" {
		if nics, err := p.client.InterfacesOf(ctx, []string{id}); err == nil && len(nics) > 0 {
			p.nic = nics[0]
			for _, n := range nics { // the one that is connected to
				if slices.Contains(slices.Concat(n.Public4, n.Private4, n.V6), p.host.Addr()) {
					p.nic = n
				}
			}
		}
	}
	return judgeGroups(*p.survey, p.node.Instance, p.ownGroups())
}

// ownGroups are the groups in which the own rule for this node belongs.
func (p *patient) ownGroups() []string {
	if p.target.SecurityGroup != "" {
		return []string{p.target.SecurityGroup}
	}
	t := p.target
	t.Nodes = []string{p.which.wants()}
	ids, err := groupsOf(p.cluster, t)
	if err != nil {
		return nil
	}
	return ids
}

// judgeGroups compares the groups on the node's interface with those in which the own rule belongs.
func judgeGroups(s surveyed, instance string, own []string) finding {
	var on, names []string
	for _, n := range s.Nodes {
		if n.Instance == instance || s.Plain != "" {
			on = append(on, n.Groups...)
		}
	}
	slices.Sort(on)
	on = slices.Compact(on)
	for _, g := range s.Groups {
		if slices.Contains(on, g.ID) {
			names = append(names, strings.TrimSpace(g.ID+" "+g.Name))
		}
	}
	seen := "on the node's interface: " + strings.Join(names, ", ")
	if s.Plain != "" {
		seen = counted(len(s.Nodes), "interface") + " in it"
	}
	for _, u := range s.Unseen {
		if u.Needs == "ec2:DescribeNetworkInterfaces" || u.Needs == "ec2:DescribeInstances" || u.Needs == "ec2:DescribeSecurityGroupRules" {
			f := notKnown(seen+"; not everything could be read: needs "+u.Needs, "ask for what `emr-accessd policy --with doctor` prints")
			f.goOn = true
			return f
		}
	}
	for _, id := range own {
		if s.Plain == "" && !slices.Contains(on, id) {
			f := bad(fmt.Sprintf("%s; EMR says %s, which is not there: a rule in it does not help", seen, id), "put "+id+" back on the node's network interface (EC2 console: Networking, Change security groups)")
			f.goOn = true
			return f
		}
	}
	if len(own) == 0 {
		f := bad(seen+"; the cluster has no group in which your rule would belong", joinHints(errNoAdditional, ""))
		f.goOn = true
		return f
	}
	return ok(seen)
}
