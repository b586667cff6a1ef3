package iampolicy

import (
	"fmt"
	"slices"
	"strings"
)

// Feature is a part of the program that needs permissions of its own.
type Feature string

// The features. Rules is what `sync` and the daemon need.
const (
	Rules    Feature = "rules"    // keep one's own address authorized
	Connect  Feature = "connect"  // host keys from the console, the cluster's key pair
	Clusters Feature = "clusters" // list the clusters of the account; targets by name, `clusters` and `init`
	Audit    Feature = "audit"    // see who can reach a node
	Sweep    Feature = "sweep"    // remove rules, and leases, that have ended, also those of others
	Doctor   Feature = "doctor"   // see what else is in the way: network ACLs, route tables, interfaces
)

// Features lists all features in the order of their statements.
func Features() []Feature { return []Feature{Rules, Connect, Clusters, Audit, Sweep, Doctor} }

// ParseFeatures reads a list of names. The error names those that there are.
func ParseFeatures(names []string) ([]Feature, error) {
	var out []Feature
	for _, n := range names {
		f := Feature(strings.TrimSpace(n))
		if !slices.Contains(Features(), f) {
			return nil, fmt.Errorf("%.40q is no feature: use %s", n, list(Features()))
		}
		if !slices.Contains(out, f) {
			out = append(out, f)
		}
	}
	return out, nil
}

func list(fs []Feature) string {
	names := make([]string, len(fs))
	for i, f := range fs {
		names[i] = string(f)
	}
	return strings.Join(names, ", ")
}

// Place is an account and a region that the program works in. What is "" or nil there is not known and becomes a
// wildcard.
type Place struct {
	Account  string   // twelve digits
	Region   string   // "eu-west-1"
	Groups   []string // sg-…, whose rules are changed
	Clusters []string // j-…, that are looked at
	// Listed: clusters are found by name or tag, so that they must be listed, and any may be one of them.
	Listed bool
	// Plain: a group is a target itself, and is looked at by its id.
	Plain bool
}

// Need is what the policy is for.
type Need struct {
	Places   []Place
	Features []Feature
	TagKeys  []string // further tags that new rules get ([rules] tags in the configuration)
}

func (n Need) has(f Feature) bool { return slices.Contains(n.Features, f) }

// listed reports whether clusters are listed.
func (n Need) listed() bool {
	return n.has(Clusters) || n.has(Rules) && slices.ContainsFunc(n.Places, func(p Place) bool { return p.Listed })
}

// looksAtClusters reports whether some target is a cluster.
func (n Need) looksAtClusters() bool {
	return n.has(Clusters) || slices.ContainsFunc(n.Places, func(p Place) bool { return p.Listed || len(p.Clusters) > 0 })
}

// partitions tells the partition of a region by the beginning of its name (AWS, "AWS partitions"; botocore's
// partitions.json). Any other region is in "aws".
var partitions = []struct{ prefix, partition string }{
	{"cn-", "aws-cn"}, {"us-gov-", "aws-us-gov"}, {"us-isob-", "aws-iso-b"}, {"us-isof-", "aws-iso-f"}, {"us-iso-", "aws-iso"},
	{"eu-isoe-", "aws-iso-e"}, {"eusc-", "aws-eusc"},
}

func partition(region string) string {
	for _, p := range partitions {
		if strings.HasPrefix(region, p.prefix) {
			return p.partition
		}
	}
	return "aws"
}

// arn is the ARN of a resource of a service at a place; a wildcard for what is not known. (IAM allows none for the partition.)
func (p Place) arn(service, resource string) string {
	return fmt.Sprintf("arn:%s:%s:%s:%s:%s", partition(p.Region), service, orAny(p.Region), orAny(p.Account), resource)
}

func orAny(s string) string {
	if s == "" {
		return "*"
	}
	return s
}

// arns are the ARNs of resources of one type at all places: those that ids names, or any where it names none.
func (n Need) arns(service, kind string, ids func(Place) []string) []string {
	var out []string
	for _, p := range n.Places {
		known := ids(p)
		if len(known) == 0 {
			known = []string{"*"}
		}
		for _, id := range known {
			out = append(out, p.arn(service, kind+"/"+id))
		}
	}
	return sorted(out)
}

func every(Place) []string { return nil }

// regions are the regions of all places; nil when one of them is not known.
func (n Need) regions() []string {
	var out []string
	for _, p := range n.Places {
		if p.Region == "" {
			return nil
		}
		out = append(out, p.Region)
	}
	return sorted(out)
}

func sorted(s []string) []string {
	slices.Sort(s)
	return slices.Compact(s)
}
