package main

// mutant is a fault that a test of the lease protocol must find: a rule of the protocol left out, or the shortcut
// that seems to do as well. All are compiled into one program; one is switched on at a time.
type mutant struct {
	name  string
	by    []judge // each of them must find it
	edits []edit
}

// edit replaces a piece of a file, which must be there exactly once. FAULT in the new text is the switch.
type edit struct{ file, from, to string }

// judge is a test, with the schedules that it has to find a fault: ten times what it needs on average, or more.
type judge struct {
	pkg, test string
	schedules int
}

var (
	byGroup = judge{"internal/sgsync", "TestSharedGroup", 5000}
	byTeam  = judge{"cmd/emr-accessd", "TestTeam", 800} // in each of its halves
	byPlan  = judge{"internal/sgsync", "TestPlan", 1}   // a table: it takes none
)

const (
	planFile  = "internal/sgsync/plan.go"
	applyFile = "internal/sgsync/apply.go"
	leaveFile = "internal/sgsync/leave.go"
	writeFile = "internal/awsclient/write.go"
)

var mutants = []mutant{
	{"a join is firm at once", []judge{byGroup, byTeam}, []edit{{planFile, "return !p.now.Before(mine.FirmFrom) }", "return FAULT || !p.now.Before(mine.FirmFrom) }"}}},
	{"a join is firm too early", []judge{byGroup, byTeam}, []edit{{planFile, "	c.Value = p.me.leaseValue(p.now, c.FirmFrom)\n",
		"	if FAULT { c.FirmFrom = p.now.Add(ClockGrain) }\n	c.Value = p.me.leaseValue(p.now, c.FirmFrom)\n"}}},
	// The first sketch's D. Only where everything takes as long as it may does it show that this is too short.
	{"a join is firm after W and σ", []judge{{byGroup.pkg, byGroup.test, 30000}}, []edit{{planFile, "c.FirmFrom = Join, p.me.Key(), p.now.Add(D)\n",
		"c.FirmFrom = Join, p.me.Key(), p.now.Add(D)\n	if FAULT { c.FirmFrom = p.now.Add(W + Sigma) }\n"}}},
	{"no re-read at firm-from", []judge{byTeam}, []edit{{planFile, "		p.out.lookAt(mine.FirmFrom)\n", "		if !FAULT { p.out.lookAt(mine.FirmFrom) }\n"},
		{planFile, "	p.out.lookAt(c.FirmFrom)\n", "	if !FAULT { p.out.lookAt(c.FirmFrom) }\n"}}},
	{"the SDK retries Modify", []judge{byTeam}, []edit{{writeFile, "c.ec2.ModifySecurityGroupRules(ctx, in, once)",
		"c.ec2.ModifySecurityGroupRules(ctx, in, func(o *ec2.Options) { if !FAULT { once(o) } })"}}},
	{"no 5 s limit on writes after reads", []judge{byGroup, byTeam}, []edit{{applyFile, "age < 0 || age > WriteWindow", "!FAULT && (age < 0 || age > WriteWindow)"}}},
	{"an ended lease is renewed without a join", []judge{byGroup}, []edit{{planFile, "if ok && p.holds(mine) {\n		p.keep", "if ok && (FAULT || p.holds(mine)) {\n		p.keep"}}},
	{"moving with a lease that is not firm", []judge{byGroup}, []edit{{planFile, "p.firm(mine) && rule.Managed()", "(FAULT || p.firm(mine)) && rule.Managed()"}}},
	{"revoking by CIDR", []judge{byGroup, byTeam}, []edit{
		{applyFile, "err = r.API.Revoke(ctx, r.group, c.Rule)", "if FAULT { c.Rule = c.CIDR.String() }\n		err = r.API.Revoke(ctx, r.group, c.Rule)"},
		{writeFile, "if err := checkRule(opRevoke, group, id); err != nil {", "if err := checkRule(opRevoke, group, id); err != nil && !FAULT {"},
		{writeFile, "return c.ec2.RevokeSecurityGroupIngress(ctx, in, once)", `if FAULT {
			in = &ec2.RevokeSecurityGroupIngressInput{GroupId: &group, IpPermissions: []ec2types.IpPermission{{
				IpProtocol: aws.String("tcp"), FromPort: aws.Int32(22), ToPort: aws.Int32(22), IpRanges: []ec2types.IpRange{{CidrIp: &id}}}}}
		}
		return c.ec2.RevokeSecurityGroupIngress(ctx, in, once)`}}},
	{"the laptop's clock in place of AWS's", []judge{byTeam}, []edit{{"internal/keeper/group.go", "	me := r.me(w.cloud.Identity(), w.lease)\n",
		"	me := r.me(w.cloud.Identity(), w.lease)\n	if FAULT { raw.AWS = raw.Sent }\n"}}},
	{"removal while the address is unknown", []judge{byTeam}, []edit{{leaveFile, "if f.State == Unknown { // I2", "if !FAULT && f.State == Unknown { // I2"}}},
	{"a rule without leases is trusted for ever", []judge{byGroup, byTeam}, []edit{{leaveFile, "	p.out.Bare = append(p.out.Bare, rule.ID)\n",
		"	if FAULT { return true }\n	p.out.Bare = append(p.out.Bare, rule.ID)\n"}}},
	{"a rule without leases goes at first sight", []judge{byGroup, byPlan}, []edit{{leaveFile, "	first, seen := p.have.Bare[rule.ID]\n",
		"	first, seen := p.have.Bare[rule.ID]\n	if FAULT { first, seen = p.now.Add(-Sigma), true }\n"}}},
	{"a joined rule goes before its first leases show", []judge{byGroup, byPlan}, []edit{{leaveFile, "	case p.torn(mine):\n", "	case !FAULT && p.torn(mine):\n"}}},
	{"a lost answer is believed", []judge{byGroup}, []edit{{"internal/sgsync/journal.go", "case w.Maybe && i >= 0 && w.Key", "case !FAULT && w.Maybe && i >= 0 && w.Key"}}},
	{"others' leases do not count", []judge{byGroup, byTeam}, []edit{{leaveFile, "if l.Key != p.me.Key() && l.Live(p.now.Add(-Grace)) {",
		"if !FAULT && l.Key != p.me.Key() && l.Live(p.now.Add(-Grace)) {"}}},
}
