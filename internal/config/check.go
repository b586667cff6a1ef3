package config

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// The widest ranges that may be kept open for oneself. Wider ones are no longer an office, and from /8 (IPv6 /16)
// on the program's own audit would call them public.
const (
	widestTrusted4 = 16
	widestTrusted6 = 32
)

// The limits of a lease. Below ten minutes a sleeping laptop or a slow round loses its access; a lease that ends
// more than seven days ahead is one that the planner takes for broken and never removes.
const (
	shortestLease = 10 * time.Minute
	longestLease  = 7 * 24 * time.Hour
)

// maxOwnTags leaves most of the 50 tags of a rule to the leases, of which every laptop behind an address has one.
const maxOwnTags = 10

// Check says what is wrong with a configuration that flags have changed, as [Parse] does for a file.
func (c Config) Check() error {
	p := newProblems("", places{})
	check(&c, p)
	return p.err()
}

func check(c *Config, p *problems) {
	first := map[string]int{}
	for i, t := range c.Targets {
		path := element("target", i)
		checkSelector(p, path, t)
		checkTarget(p, path, t)
		checkTrusted(p, path, t.Trusted, c.Address.Never)
		if j, twice := first[t.identity()]; twice {
			p.add(path, fmt.Sprintf("is the same target as number %d", j+1), "put the trusted ranges of both into one")
		} else {
			first[t.identity()] = i
		}
	}
	checkAddress(p, c.Address)
	checkRules(p, c.Rules)
}

// identity is equal for two targets that would manage the same rules. Account and trusted ranges do not count.
func (t Target) identity() string {
	nodes := slices.Sorted(slices.Values(t.Nodes))
	var tags []string
	for _, k := range slices.Sorted(maps.Keys(t.Tags)) {
		tags = append(tags, k, t.Tags[k])
	}
	return fmt.Sprintf("%q", []any{t.Cluster, t.Name, tags, t.SecurityGroup, t.Profile, t.Region, nodes, t.Group, fmt.Sprint(t.Port), t.Address})
}

func checkSelector(p *problems, path string, t Target) {
	ways := 0
	for _, set := range []bool{t.Cluster != "", t.Name != "" || len(t.Tags) > 0, t.SecurityGroup != ""} {
		if set {
			ways++
		}
	}
	unreadable := slices.ContainsFunc([]string{"cluster", "name", "tags", "security-group"}, func(key string) bool {
		return p.seen[join(path, key)]
	})
	switch {
	case ways == 0 && !unreadable:
		p.add(path, "selects nothing", `set one of cluster = "j-…", name = "…", tags = { … } or security-group = "sg-…"`)
	case ways > 1:
		p.add(path, "selects in more than one way", "keep one of cluster, name and tags (these two together are one), or security-group")
	}
}

func checkTarget(p *problems, path string, t Target) {
	if t.Cluster != "" && !isID(t.Cluster, "j-", upperDigits) {
		hint := "copy it from EMR's console or from aws emr list-clusters"
		if up := "j-" + strings.ToUpper(strings.TrimPrefix(strings.ToLower(t.Cluster), "j-")); isID(up, "j-", upperDigits) {
			hint = "did you mean " + up + "?"
		}
		p.add(path+".cluster", fmt.Sprintf("%q is not a cluster id such as j-2AXXXXXXGAPLF", t.Cluster), hint)
	}
	if t.SecurityGroup != "" && !isID(t.SecurityGroup, "sg-", lowerHex) {
		p.add(path+".security-group", fmt.Sprintf("%q is not a security group id such as sg-0a1b2c3d4e5f60718", t.SecurityGroup),
			"groups are named by their id, because names are not unique")
	}
	checkText(p, path+".name", t.Name)
	checkText(p, path+".profile", t.Profile)
	checkTags(p, path+".tags", t.Tags)
	if t.Region != "" && !isLabel(t.Region) {
		p.add(path+".region", fmt.Sprintf("%q is not a region such as eu-west-1", t.Region), "")
	}
	if t.Account != "" && (len(t.Account) != 12 || strings.Trim(t.Account, "0123456789") != "") {
		p.add(path+".account", fmt.Sprintf("%q is not an account id", t.Account), "it has 12 digits, with leading zeros: aws sts get-caller-identity prints it")
	}
	if t.Port < 1 || t.Port > 65535 {
		p.add(path+".port", fmt.Sprintf("%d is not a port, 1 to 65535", t.Port), "")
	}
	if t.Address != "" && t.Address != AddressLocal {
		p.add(path+".address", fmt.Sprintf("%q is neither public nor local", t.Address), "a fixed address goes into [address], ipv4 or ipv6")
	}
	if t.SecurityGroup != "" {
		if len(t.Nodes) > 0 {
			p.add(path+".nodes", "means nothing together with security-group", "remove it")
		}
		if t.Group != "" {
			p.add(path+".group", "means nothing together with security-group", "remove it")
		}
		return
	}
	checkNodes(p, path+".nodes", t.Nodes)
	if t.Group != GroupManaged && t.Group != GroupAdditional {
		p.add(path+".group", fmt.Sprintf("%q is neither managed nor additional", t.Group), "")
	}
}

func checkNodes(p *problems, path string, nodes []string) {
	if len(nodes) == 0 {
		p.add(path, "names no node", `the primary node is nodes = ["primary"]`)
	}
	for i, n := range nodes {
		switch {
		case n != "primary" && n != "core" && n != "task":
			p.add(element(path, i), fmt.Sprintf("%q is none of primary, core and task", n), "")
		case slices.Contains(nodes[:i], n):
			p.add(element(path, i), n+" is there twice", "")
		}
	}
}

func checkTrusted(p *problems, path string, trusted, never []netip.Prefix) {
	path += ".trusted"
	checkPrefixes(p, path, trusted)
	for i, t := range trusted {
		widest := widestTrusted4
		if t.Addr().Is6() {
			widest = widestTrusted6
		}
		switch {
		case !t.IsValid():
		case t.Bits() < widest:
			p.add(element(path, i), fmt.Sprintf("%s is wider than /%d", t, widest), "name the ranges that you really use")
		case slices.ContainsFunc(never, t.Overlaps):
			p.add(element(path, i), fmt.Sprintf("%s overlaps address.never", t), "remove it from one of the two")
		}
	}
}

func checkRules(p *problems, r Rules) {
	if r.Lease < shortestLease || r.Lease > longestLease {
		p.add("rules.lease", fmt.Sprintf("%s is not between 10m and 168h", r.Lease), "")
	}
	if r.Expired != ExpiredRemove && r.Expired != ExpiredReport {
		p.add("rules.expired", fmt.Sprintf("%q is neither remove nor report", r.Expired), "")
	}
	checkTags(p, "rules.tags", r.Tags)
	if len(r.Tags) > maxOwnTags {
		p.add("rules.tags", fmt.Sprintf("%d tags are more than %d", len(r.Tags), maxOwnTags), "a rule has room for 50, and each laptop behind an address needs one for its lease")
	}
	for _, k := range slices.Sorted(maps.Keys(r.Tags)) {
		if lower := strings.ToLower(k); strings.HasPrefix(lower, "aws:") || strings.HasPrefix(lower, "emr-accessd-") {
			p.add(join("rules.tags", k), "tags that begin with aws: or emr-accessd- are not free to choose", "")
		}
	}
}
