package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/emr-accessd/emr-accessd/internal/awsclient"
	"github.com/emr-accessd/emr-accessd/internal/iampolicy"
	"github.com/emr-accessd/emr-accessd/internal/keeper"
	"github.com/emr-accessd/emr-accessd/internal/sgsync"
)

// checkAnswer is `policy --check --json`; docs/json.md describes it.
type checkAnswer struct {
	Checks  []permission `json:"checks"`
	Missing []string     `json:"missing"` // actions
}

// permission is what was found out about one action.
type permission struct {
	Target   string `json:"target"`
	Action   string `json:"action"`
	Resource string `json:"resource"`
	Result   string `json:"result"` // allowed, missing or unknown
	Why      string `json:"why,omitempty"`
}

// The results of a permission.
const (
	allowed = "allowed"
	missing = "missing"
	unknown = "unknown"
)

func (a *app) checkPolicy(ctx context.Context, args []string, features []iampolicy.Feature) error {
	a.status = newProgress(a.Err)
	targets, err := a.policyTargets(ctx, args, false)
	if err != nil {
		return err
	}
	ans := checkAnswer{Checks: []permission{}, Missing: []string{}}
	for _, t := range targets {
		checks, err := a.permissions(ctx, t, features)
		if err != nil {
			return named(keeper.TargetReport{Target: t.Label, Err: err})
		}
		ans.Checks = append(ans.Checks, checks...)
	}
	a.status.clear()
	for _, c := range ans.Checks {
		if c.Result == missing && !slices.Contains(ans.Missing, c.Action) {
			ans.Missing = append(ans.Missing, c.Action)
		}
	}
	slices.Sort(ans.Missing)
	if err := a.print(ans, func(w io.Writer) { renderCheck(w, ans) }); err != nil {
		return err
	}
	if len(ans.Missing) > 0 {
		return exitStatus(exitFindings)
	}
	return nil
}

// permissions asks what is permitted for a target. The error is for what has nothing to do with permissions.
func (a *app) permissions(ctx context.Context, t keeper.Target, features []iampolicy.Feature) ([]permission, error) {
	a.status.say("asking for permissions on " + t.Label)
	opened, err := a.open(ctx, t.Profile, t.Region)
	if err != nil {
		return nil, err
	}
	id := opened.Identity()
	if t.Account != "" && t.Account != id.Account {
		return nil, &keeper.AccountError{Want: t.Account, Have: id.Account}
	}
	c := checker{client: a.client(t), target: t, user: id.UserID, features: features}
	err = c.run(ctx) // before the list is read: Go does not say which of two operands comes first
	return c.list, err
}

// checker asks for the permissions of one target.
type checker struct {
	client   *awsclient.Client
	target   keeper.Target
	user     string // aws:userid
	features []iampolicy.Feature
	list     []permission
}

func (c *checker) has(f iampolicy.Feature) bool { return slices.Contains(c.features, f) }

// note records an answer, and returns it when it has nothing to do with permissions.
func (c *checker) note(action, resource string, err error) error {
	p := permission{Target: c.target.Label, Action: action, Resource: resource, Result: allowed}
	kind, known := awsclient.KindOf(err)
	switch {
	case err == nil:
	case kind == awsclient.Denied:
		p.Result = missing
		if e, ok := errors.AsType[*awsclient.Error](err); ok && e.Op != "" {
			p.Action = e.Op // of several calls, the one that was refused
		}
	case !known, kind == awsclient.Credentials, kind == awsclient.Offline, kind == awsclient.Canceled, kind == awsclient.Throttled, kind == awsclient.Account:
		return err
	default:
		p.Result, p.Why = unknown, err.Error()
	}
	c.list = append(c.list, p)
	return nil
}

func (c *checker) unknown(why string, actions ...string) {
	for _, action := range actions {
		c.list = append(c.list, permission{Target: c.target.Label, Action: action, Result: unknown, Why: why})
	}
}

// ask makes the calls one after the other and stops at an error that has nothing to do with permissions.
func (c *checker) ask(steps ...func() error) error {
	for _, s := range steps {
		if err := s(); err != nil {
			return err
		}
	}
	return nil
}

func (c *checker) run(ctx context.Context) error {
	var place keeper.Place
	return c.ask(
		func() (err error) {
			if c.has(iampolicy.Clusters) || c.target.Cluster == "" && c.target.SecurityGroup == "" {
				_, err = c.client.ListClusters(ctx, false)
				return c.note("elasticmapreduce:ListClusters", "*", err)
			}
			return nil
		},
		func() (err error) {
			if c.target.Cluster == "" && c.target.SecurityGroup == "" && c.target.NamePattern == "" && len(c.target.ClusterTags) == 0 {
				c.unknown("name a cluster to have it asked for", "ec2:AuthorizeSecurityGroupIngress", "ec2:RevokeSecurityGroupIngress")
				return nil
			}
			place, err = cloud{c.client}.Resolve(ctx, c.target, keeper.Before{})
			action, resource := "elasticmapreduce:DescribeCluster", c.target.Cluster
			if c.target.SecurityGroup != "" {
				action, resource = "ec2:DescribeSecurityGroups", c.target.SecurityGroup
			}
			if errors.Is(err, errNoAdditional) || errors.Is(err, errNoGroup) {
				return err
			}
			return c.note(action, resource, err)
		},
		func() error {
			for _, w := range place.Warnings { // DescribeInstances is asked, and its refusal survived, by Resolve
				if strings.Contains(w, "ec2:DescribeInstances") {
					c.list = append(c.list, permission{c.target.Label, "ec2:DescribeInstances", "*", missing, "without it IPv6 addresses are not known"})
				}
			}
			for _, g := range place.Groups {
				if err := c.group(ctx, g); err != nil {
					return err
				}
			}
			return nil
		},
		func() error { return c.connect(ctx, place) },
		func() error { return c.audit(ctx) },
	)
}

// group asks for the calls on a group and its rules. Every dry run names rules of one's own alone, and is made so that
// no harm came of it if an endpoint took it for the real call: rules are "modified" to what they are, leases "set" to
// what they are and "deleted" under a value that they do not have; what was added is taken away, and a rule
// that was removed the next round adds.
func (c *checker) group(ctx context.Context, id string) error {
	view, err := c.client.Rules(ctx, id)
	if err := c.note("ec2:DescribeSecurityGroupRules", id, err); err != nil {
		return err
	}
	own, key, others := c.sample(view)
	alone := ""
	if c.alone(own) {
		alone = own.ID
	}
	var steps []func() error
	if c.has(iampolicy.Rules) {
		steps = append(steps, func() error { return c.authorize(ctx, id) })
	}
	if c.has(iampolicy.Rules) || c.has(iampolicy.Sweep) {
		steps = append(steps, func() error { return c.revoke(ctx, id, alone) })
	}
	if c.has(iampolicy.Rules) {
		steps = append(steps, func() error { return c.own(ctx, id, own, key) })
	}
	if c.has(iampolicy.Sweep) {
		steps = append(steps, func() error {
			if others.ID == "" {
				c.unknown("asked for once somebody else has a lease in "+id, "ec2:DeleteTags")
				return nil
			}
			return c.note("ec2:DeleteTags", others.ID, c.client.TryUntag(ctx, others.ID, others.Leases()[0].Key, noValue))
		})
	}
	return c.ask(steps...)
}

// noValue is the value of no lease.
const noValue = "-"

// sample finds a rule of one's own with an own lease, and one that somebody else has leased.
func (c *checker) sample(v sgsync.View) (own sgsync.Rule, key string, others sgsync.Rule) {
	for _, r := range v.Rules {
		for _, l := range r.Leases() {
			switch {
			case !r.Managed():
			case l.UserID == c.user && r.Tags[sgsync.OwnerTag] == c.user:
				if own.ID == "" || c.alone(r) {
					own, key = r, l.Key
				}
			case l.UserID != c.user && len(r.Leases()) == 1:
				others = r
			}
		}
	}
	return own, key, others
}

// alone reports whether nobody else holds the rule: only then is no harm done to anybody by a dry run that was none.
func (c *checker) alone(r sgsync.Rule) bool {
	return !slices.ContainsFunc(r.Leases(), func(l sgsync.Lease) bool { return l.UserID != c.user })
}

// testNet is an address that nobody has (RFC 5737, TEST-NET-1).
var testNet = netip.MustParsePrefix("192.0.2.1/32")

// authorize asks for a rule that would admit nobody, with a lease that has ended.
func (c *checker) authorize(ctx context.Context, group string) error {
	now := time.Now()
	holder := sgsync.Holder{UserID: c.user, Installation: strings.Repeat("0", 16)}
	r := sgsync.NewRule{Port: c.target.Port, CIDR: testNet, Description: "emr-accessd policy --check",
		Tags: map[string]string{sgsync.OwnerTag: c.user, holder.Key(): sgsync.FormatLease(now, now, "policy-check")}}
	added, err := c.client.TryAuthorize(ctx, group, r)
	if added != "" {
		err = errors.Join(err, c.client.Revoke(ctx, group, added))
	}
	return c.note("ec2:AuthorizeSecurityGroupIngress", group, err)
}

// noRule is the id of no rule.
const noRule = "sgr-00000000000000000"

// revoke asks for a rule of one's own; EC2 asks IAM about the group alone, so without one another id may do.
func (c *checker) revoke(ctx context.Context, group, own string) error {
	const action = "ec2:RevokeSecurityGroupIngress"
	err := c.client.TryRevoke(ctx, group, cmp.Or(own, noRule))
	if kind, _ := awsclient.KindOf(err); own == "" && kind == awsclient.Gone {
		c.unknown(afterSync(group), action)
		return nil
	}
	return c.note(action, group, err)
}

// afterSync says when the rest can be asked for.
func afterSync(group string) string {
	return "asked for once you have a rule in " + group + " (emr-accessd sync)"
}

// own asks for what is permitted on rules and leases of one's own.
func (c *checker) own(ctx context.Context, group string, r sgsync.Rule, key string) error {
	if r.ID == "" {
		c.unknown(afterSync(group), "ec2:ModifySecurityGroupRules", "ec2:CreateTags", "ec2:DeleteTags")
		return nil
	}
	same := sgsync.NewRule{Port: r.FromPort, CIDR: r.CIDR, Description: r.Description}
	return c.ask(
		func() error {
			return c.note("ec2:ModifySecurityGroupRules", r.ID, c.client.TryModify(ctx, group, r.ID, same))
		},
		func() error { return c.note("ec2:CreateTags", r.ID, c.client.TryTag(ctx, r.ID, key, r.Tags[key])) },
		func() error { return c.note("ec2:DeleteTags", r.ID, c.client.TryUntag(ctx, r.ID, key, noValue)) },
	)
}

func renderCheck(w io.Writer, ans checkAnswer) {
	target := ""
	for _, c := range ans.Checks {
		if c.Target != target {
			target = c.Target
			fmt.Fprintln(w, printable(target))
		}
		fmt.Fprintf(w, "  %-8s %s", c.Result, c.Action)
		if c.Resource != "" && c.Resource != "*" {
			fmt.Fprintf(w, " on %s", c.Resource)
		}
		if c.Why != "" {
			fmt.Fprintf(w, " (%s)", printable(c.Why))
		}
		fmt.Fprintln(w)
	}
	if len(ans.Missing) == 0 {
		if slices.ContainsFunc(ans.Checks, func(c permission) bool { return c.Result == unknown }) {
			fmt.Fprintln(w, "nothing is missing of what could be asked for")
		} else {
			fmt.Fprintln(w, "nothing is missing")
		}
		return
	}
	fmt.Fprintf(w, "missing: %s\n`emr-accessd policy` prints what to ask for\n", strings.Join(ans.Missing, ", "))
}
