package sgsync

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// Survey is all that an audit looks at: what AWS told, gathered by the caller. Its texts are foreign.
type Survey struct {
	Port  int
	Nodes []AuditNode
	// Plain is a group that is looked at for itself; "" for a cluster.
	Plain  string
	Groups []AuditGroup
	Lists  []PrefixList
	// Block is EMR's block public access setting; nil when it could not be read.
	Block *PublicBlock
	// Unseen is what could not be looked at.
	Unseen []Unseen
	// Quota is how many inbound rules a group may have in each address family, and QuotaFrom where the number
	// comes from.
	Quota     int
	QuotaFrom string
	// From is an address to ask about; the zero Addr asks about none.
	From netip.Addr
	// Now is AWS's clock.
	Now time.Time
}

// AuditNode is a network host with the security groups of all its interfaces: EC2 merges their rules.
type AuditNode struct {
	Instance string     `json:"instance"` // i-…, or eni-… for an interface without an instance
	Role     string     `json:"role"`
	Public4  netip.Addr `json:"public_ipv4"` // the first of them
	Private4 netip.Addr `json:"private_ipv4"`
	V6       netip.Addr `json:"ipv6"`
	Groups   []string   `json:"groups"`
	// Unclear says that not all addresses are known: what is missing must not be taken for absent.
	Unclear bool `json:"unclear,omitempty"`
}

// AuditGroup is a security group. Groups that rules refer to are there too, with members and without rules.
type AuditGroup struct {
	ID, Name string
	// Cluster says that EMR uses the group for this very cluster, or that it is looked at for itself. While there is
	// no node at all, its rules are looked at all the same: they will hold for the first one.
	Cluster bool
	Rules   []Rule
	Members []AuditMember // who sends from this group; only of groups that rules refer to
	Unread  bool          // its rules could not be read
	// Away says that rules refer to it and EC2 does not know it here: it is of another account, or was deleted. Who is
	// in it cannot be seen.
	Away bool
}

// AuditMember is a network interface in a group that a rule refers to.
type AuditMember struct {
	Name  string // i-… or eni-…
	Addrs []netip.Addr
}

// PrefixList is a managed prefix list with its entries resolved.
type PrefixList struct {
	ID, Name string
	AWS      bool // AWS's own list: its weight in the quota is not told
	IPv6     bool
	// MaxEntries is what a list of a customer weighs in a group's quota, however many entries it has.
	MaxEntries int
	Entries    []netip.Prefix
	Unread     bool // its entries could not be read
}

// PublicBlock is EMR's block public access setting of the account and region. It only matters when a cluster
// is launched (EMR Management Guide, "Using Amazon EMR block public access").
type PublicBlock struct {
	Block  bool     `json:"block"`
	Except [][2]int `json:"exceptions"` // first and last port
}

// Unseen is something that could not be looked at.
type Unseen struct {
	What  string // "the entries of prefix list pl-…"
	Needs string // the IAM action that is missing, "ec2:DescribeNetworkInterfaces"; "" for another reason
	Why   string // that reason
	Aside bool   // it would not have told of anybody else who gets in
}

// Severity says how much a finding matters.
type Severity string

// The severities. Info is for the record: it is no reason for an exit code.
const (
	High   Severity = "high"
	Medium Severity = "medium"
	Low    Severity = "low"
	Info   Severity = "info"
)

func (s Severity) rank() int { return slices.Index([]Severity{High, Medium, Low, Info}, s) }

// Finding is something that a person should look at.
type Finding struct {
	ID        string   `json:"id"` // kebab-case, stable
	Severity  Severity `json:"severity"`
	Resources []string `json:"resources"` // ids of rules, groups, lists
	Text      string   `json:"text"`
	Remedy    string   `json:"remedy"`
}

// Gauge is how full a group is.
type Gauge struct {
	Group string `json:"group"`
	Name  string `json:"name"`
	IPv4  int    `json:"ipv4"`
	IPv6  int    `json:"ipv6"`
	Limit int    `json:"limit"`
	From  string `json:"limit_from"`
}

// Admission tells whether one address gets to the port.
type Admission struct {
	Address netip.Addr `json:"address"`
	Admits  bool       `json:"admitted"`
	// Rules are all that admit the address, the most permissive first: that one decides, the others change
	// nothing (EC2 User Guide, "Security group rules").
	Rules []string `json:"rules"`
	Why   string   `json:"why"`
}

// AuditResult is what an audit found, sorted: it does not depend on the order of what was given.
type AuditResult struct {
	Port int `json:"port"`
	// Complete says that all that may let somebody in could be read. Without it, Reach may lack the widest rule.
	Complete bool         `json:"complete"`
	Nodes    []AuditNode  `json:"nodes"`
	Reach    []Reach      `json:"reach"` // the most permissive first
	Findings []Finding    `json:"findings"`
	Quota    []Gauge      `json:"quota"`
	Block    *PublicBlock `json:"block_public_access"`
	From     *Admission   `json:"from,omitempty"`
}

// Alarming reports whether there is a finding that matters, or one may have been missed.
func (r AuditResult) Alarming() bool {
	return !r.Complete || slices.ContainsFunc(r.Findings, func(f Finding) bool { return f.Severity != Info })
}

// Audit tells who can reach the port and what a person should look at. It is pure.
func Audit(s Survey) AuditResult {
	a := auditor{Survey: s, groups: map[string]AuditGroup{}, lists: map[string]PrefixList{}, on: map[string][]AuditNode{}}
	a.index()
	a.reach()
	for _, g := range a.groups {
		a.hygiene(g)
		a.gauge(g)
	}
	a.account()
	a.out.Complete = !a.blind()
	a.admission()
	a.sort()
	return a.out
}

type auditor struct {
	Survey
	groups map[string]AuditGroup
	lists  map[string]PrefixList
	on     map[string][]AuditNode // nodes by group
	out    AuditResult
}

func (a *auditor) index() {
	a.out = AuditResult{Port: a.Port, Nodes: []AuditNode{}, Reach: []Reach{}, Findings: []Finding{}, Quota: []Gauge{}, Block: a.Block}
	for _, g := range a.Groups {
		a.groups[g.ID] = g
	}
	for _, l := range a.Lists {
		a.lists[l.ID] = l
	}
	for _, n := range a.Nodes {
		n.Groups = slices.Compact(slices.Sorted(slices.Values(n.Groups)))
		a.out.Nodes = append(a.out.Nodes, n)
		for _, id := range n.Groups {
			a.on[id] = append(a.on[id], n)
		}
	}
	for _, g := range a.Groups {
		if len(a.Nodes) == 0 && g.Cluster {
			a.on[g.ID] = nil // looked at, and on no node
		}
	}
}

func (a *auditor) find(id string, s Severity, resources []string, text, remedy string) {
	a.out.Findings = append(a.out.Findings, Finding{ID: id, Severity: s, Resources: resources, Text: text, Remedy: remedy})
}

func (a *auditor) sort() {
	slices.SortFunc(a.out.Nodes, func(x, y AuditNode) int {
		role := func(n AuditNode) int { return slices.Index([]string{"primary", "core", "task"}, n.Role) }
		return cmp.Or(cmp.Compare(role(x), role(y)), strings.Compare(x.Instance, y.Instance))
	})
	slices.SortFunc(a.out.Reach, compareReach)
	slices.SortFunc(a.out.Findings, func(x, y Finding) int {
		return cmp.Or(cmp.Compare(x.Severity.rank(), y.Severity.rank()), strings.Compare(x.ID, y.ID),
			slices.Compare(x.Resources, y.Resources), strings.Compare(x.Text, y.Text))
	})
	slices.SortFunc(a.out.Quota, func(x, y Gauge) int { return strings.Compare(x.Group, y.Group) })
}
