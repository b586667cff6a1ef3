package iampolicy

import (
	"strings"

	"github.com/emr-accessd/emr-accessd/internal/sgsync"
)

// The names of condition keys and variables.
const (
	userID    = "${aws:userid}" // what sts:GetCallerIdentity returns as UserId
	region    = "aws:RequestedRegion"
	tagKeys   = "aws:TagKeys"
	ownerTag  = "aws:ResourceTag/" + sgsync.OwnerTag
	newOwner  = "aws:RequestTag/" + sgsync.OwnerTag
	clusterOf = "aws:ResourceTag/aws:elasticmapreduce:job-flow-id" // EMR's tag on the instances of its clusters
)

// installation matches the id of an installation, which has sixteen characters. A star would let the session "bob"
// of a role write leases of the session "bob-by": their keys would begin alike.
const installation = "????????????????"

var (
	ownLease = sgsync.LeasePrefix + userID + "-" + installation
	anyLease = sgsync.LeasePrefix + "*"
)

// Policy writes the policy. Nothing in it is needed for sts:GetCallerIdentity, which needs no permission.
func Policy(n Need) Document {
	d := Document{Version: "2012-10-17"}
	add := func(ok bool, s Statement) {
		if ok && len(s.Action) > 0 {
			d.Statement = append(d.Statement, s)
		}
	}
	groups := n.arns("ec2", "security-group", func(p Place) []string { return p.Groups })
	rules := n.arns("ec2", "security-group-rule", every)
	keep, sweep := n.has(Rules), n.has(Sweep)

	// EC2's Describe calls know no resource; a region is all that they can be limited to.
	add(true, allow("Look", n.reads(), []string{"*"}, n.inRegions()))
	add(n.looksAtClusters() && (keep || sweep || n.has(Audit) || n.has(Clusters) || n.has(Connect) || n.has(Doctor)), allow("LookAtClusters",
		[]string{"elasticmapreduce:DescribeCluster", "elasticmapreduce:ListInstances"}, n.clusters(), nil))
	// Of these three only Modify can be limited to certain rules, see MoveOwnRules. Add and remove cannot:
	// EC2 asks IAM about the group alone.
	add(keep, allow("ChangeRulesOfGroups", []string{"ec2:AuthorizeSecurityGroupIngress", "ec2:ModifySecurityGroupRules", "ec2:RevokeSecurityGroupIngress"}, groups, nil))
	add(!keep && sweep, allow("RemoveRulesOfGroups", []string{"ec2:RevokeSecurityGroupIngress"}, groups, nil))
	// A new rule is tagged with its maker, and carries no lease but his.
	add(keep, allow("AddRulesAsOwner", []string{"ec2:AuthorizeSecurityGroupIngress"}, rules, n.newTags()))
	made := n.newTags()
	made["StringEquals"]["ec2:CreateAction"] = []string{"AuthorizeSecurityGroupIngress"}
	add(keep, allow("TagRulesAtCreation", []string{"ec2:CreateTags"}, rules, made))
	add(keep, allow("MoveOwnRules", []string{"ec2:ModifySecurityGroupRules"}, rules, Condition{"StringEquals": {ownerTag: {userID}}}))
	// The first key of Null keeps out DeleteTags without a key, which deletes all tags; the second, rules of others.
	add(keep, allow("LeaseRules", []string{"ec2:CreateTags", "ec2:DeleteTags"}, rules, leases(ownLease)))
	add(sweep, allow("PurgeLeases", []string{"ec2:DeleteTags"}, rules, leases(anyLease)))
	add(n.has(Connect), allow("ReadHostKeys", []string{"ec2:GetConsoleOutput"}, n.arns("ec2", "instance", every), Condition{"Null": {clusterOf: {"false"}}}))
	add(n.has(Audit), allow("ReadPrefixLists", []string{"ec2:GetManagedPrefixListEntries"}, n.prefixLists(), nil))
	return d
}

// reads are the calls that cannot be limited to resources.
func (n Need) reads() []string {
	var out []string
	keep, audit, doctor := n.has(Rules), n.has(Audit), n.has(Doctor)
	for _, r := range []struct {
		needed bool
		action string
	}{
		{keep || audit || doctor || n.has(Sweep), "ec2:DescribeSecurityGroupRules"},
		{n.plain() && (keep || n.has(Sweep)) || audit || doctor, "ec2:DescribeSecurityGroups"},
		{n.looksAtClusters() || audit || doctor, "ec2:DescribeInstances"},
		{n.has(Connect), "ec2:DescribeKeyPairs"},
		{audit, "ec2:DescribeManagedPrefixLists"},
		{doctor, "ec2:DescribeNetworkAcls"},
		{audit || doctor, "ec2:DescribeNetworkInterfaces"},
		{doctor, "ec2:DescribeRouteTables"},
		{audit, "elasticmapreduce:GetBlockPublicAccessConfiguration"},
		{n.listed(), "elasticmapreduce:ListClusters"},
	} {
		if r.needed {
			out = append(out, r.action)
		}
	}
	return out
}

func (n Need) plain() bool {
	for _, p := range n.Places {
		if p.Plain {
			return true
		}
	}
	return false
}

func (n Need) inRegions() Condition {
	rs := n.regions()
	if len(rs) == 0 {
		return nil
	}
	return Condition{"StringEquals": {region: rs}}
}

func (n Need) clusters() []string {
	var out []string
	for _, p := range n.Places {
		switch {
		case n.has(Clusters) || p.Listed:
			out = append(out, p.arn("elasticmapreduce", "cluster/*"))
		default:
			for _, id := range p.Clusters {
				out = append(out, p.arn("elasticmapreduce", "cluster/"+id))
			}
		}
	}
	return sorted(out)
}

// prefixLists also has the lists of AWS, whose ARNs name "aws" for the account.
func (n Need) prefixLists() []string {
	out := n.arns("ec2", "prefix-list", every)
	for _, p := range n.Places {
		p.Account = "aws"
		out = append(out, p.arn("ec2", "prefix-list/*"))
	}
	return sorted(out)
}

// literal writes what StringLike would take for a pattern or a variable (IAM, "Policy variables").
var literal = strings.NewReplacer("*", "${*}", "?", "${?}", "$", "${$}")

// newTags limits the tags of a new rule.
func (n Need) newTags() Condition {
	keys := []string{sgsync.OwnerTag, ownLease}
	for _, k := range n.TagKeys {
		keys = append(keys, literal.Replace(k))
	}
	return Condition{"StringEquals": {newOwner: {userID}}, "ForAllValues:StringLike": {tagKeys: keys}}
}

// leases limits tags to leases of a kind, on rules that this program made.
func leases(key string) Condition {
	return Condition{"ForAllValues:StringLike": {tagKeys: {key}}, "Null": {tagKeys: {"false"}, ownerTag: {"false"}}}
}
