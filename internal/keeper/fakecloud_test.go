package keeper_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/emr-accessd/emr-accessd/internal/keeper"
	"github.com/emr-accessd/emr-accessd/internal/sgsync"
)

// Failures that the fake AWS can be told to answer with.
var (
	errThrottled = errors.New("throttled")
	errLost      = errors.New("the answer was lost") // after the effect
	errBroken    = errors.New("broken for good")
)

// world is EC2 and EMR as the keeper sees them: rules act like EC2's (one rule for a tuple, ids that never
// come back, tags with a limit), in several accounts and regions.
type world struct {
	mu      sync.Mutex
	rules   map[string]sgsync.Rule
	past    []snapshot
	seq     map[string]int
	regions map[string]string                   // group → region
	places  map[string]keeper.Place             // by cluster or group id
	users   map[string]keeper.Identity          // by profile
	calls   []string                            // "authorize sg-1 192.0.2.1/32 22", in order
	times   []stamp                             // the same with their instants
	skew    time.Duration                       // AWS's clock against the laptop's
	lag     time.Duration                       // how stale a read of rules is
	fail    func(context.Context, string) error // before the effect of a call
	lose    func(string) error                  // after it
	clocks  func() time.Time                    // the laptop's wall clock
}

type stamp struct {
	call string
	at   time.Time
}

type snapshot struct {
	at    time.Time
	rules map[string]sgsync.Rule
}

func newWorld() *world {
	w := &world{rules: map[string]sgsync.Rule{}, seq: map[string]int{}, regions: map[string]string{}, places: map[string]keeper.Place{}, clocks: time.Now,
		users: map[string]keeper.Identity{"": {Account: "111122223333", UserID: "AIDAALICE", ARN: "arn:aws:iam::111122223333:user/alice"}}}
	w.cluster("j-1", "sg-1", "203.0.113.10", "")
	return w
}

// cluster makes a running cluster with one primary node.
func (w *world) cluster(id, group, v4, v6 string) {
	n := keeper.Node{Instance: "i-" + id, Role: "primary", State: "RUNNING", Private4: netip.MustParseAddr("10.0.0.5")}
	if v4 != "" {
		n.Public4 = netip.MustParseAddr(v4)
	}
	if v6 != "" {
		n.V6 = netip.MustParseAddr(v6)
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.places[id] = keeper.Place{Cluster: id, Name: "name of " + id, State: "WAITING", Groups: []string{group}, Nodes: []keeper.Node{n}}
	if w.regions[group] == "" {
		w.regions[group] = "eu-west-1"
	}
}

// put adds a rule as somebody else would; tags are key, value, key, value.
func (w *world) put(group, cidr string, tags ...string) string {
	w.mu.Lock()
	defer w.mu.Unlock()
	r := sgsync.Rule{Group: group, Protocol: "tcp", FromPort: 22, ToPort: 22, CIDR: netip.MustParsePrefix(cidr), Tags: map[string]string{}}
	for i := 0; i+1 < len(tags); i += 2 {
		r.Tags[tags[i]] = tags[i+1]
	}
	return w.insert(r)
}

func (w *world) insert(r sgsync.Rule) string {
	w.seq[r.Group]++ // groups are worked on side by side: the numbers of one do not depend on another
	r.ID = fmt.Sprintf("sgr%s-%d", strings.TrimPrefix(r.Group, "sg"), w.seq[r.Group])
	w.rules[r.ID] = r
	w.record()
	return r.ID
}

func (w *world) record() { w.past = append(w.past, snapshot{time.Now(), maps.Clone(w.rules)}) }

// edit changes a rule behind everybody's back; a func that returns false deletes it.
func (w *world) edit(id string, change func(*sgsync.Rule) bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	r := w.rules[id]
	r.Tags = maps.Clone(r.Tags)
	if change(&r) {
		w.rules[id] = r
	} else {
		delete(w.rules, id)
	}
	w.record()
}

// failWith makes calls fail from now on, also beside a loop that runs.
func (w *world) failWith(f func(context.Context, string) error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.fail = f
}

func (w *world) taken(group string, n sgsync.NewRule, but string) bool {
	for id, r := range w.rules {
		if id != but && r.Group == group && r.Protocol == "tcp" && r.FromPort == n.Port && r.ToPort == n.Port && r.CIDR == n.CIDR {
			return true
		}
	}
	return false
}

// open is Keeper.Open.
func (w *world) open(ctx context.Context, profile, region string) (keeper.Cloud, error) {
	id, known := w.users[profile]
	id.Profile, id.Region = profile, region
	if region == "" {
		id.Region = "eu-west-1"
	}
	c := &cloud{w, id}
	return c, c.call(ctx, "open "+profile+"|"+region, func() error {
		if !known {
			return fmt.Errorf("no profile %q", profile)
		}
		return nil
	})
}

// cloud is one caller in one region.
type cloud struct {
	*world
	id keeper.Identity
}

func (c *cloud) Identity() keeper.Identity { return c.id }
func (c *cloud) Host() string              { return "ec2." + c.id.Region + ".amazonaws.com" }

// call makes a call: it is logged, may fail before its effect, and its answer may be lost after it.
func (c *cloud) call(ctx context.Context, name string, effect func() error) error {
	c.mu.Lock()
	c.calls = append(c.calls, name)
	c.times = append(c.times, stamp{name, time.Now()})
	fail, lose := c.fail, c.lose
	c.mu.Unlock()
	if fail != nil {
		if err := fail(ctx, name); err != nil {
			return err
		}
	}
	if err := ctx.Err(); err != nil {
		return err
	}
	c.mu.Lock()
	err := effect()
	c.record()
	c.mu.Unlock()
	if err == nil && lose != nil {
		err = lose(name)
	}
	return err
}

func (c *cloud) Resolve(ctx context.Context, t keeper.Target) (p keeper.Place, err error) {
	what := t.Cluster + t.SecurityGroup + t.NamePattern
	err = c.call(ctx, "resolve "+what, func() error {
		var ok bool
		if p, ok = c.places[what]; !ok {
			return fmt.Errorf("there is no %s", what)
		}
		return nil
	})
	return p, err
}

func (c *cloud) here(group string) error {
	if c.regions[group] != c.id.Region {
		return fmt.Errorf("there is no group %s in %s", group, c.id.Region)
	}
	return nil
}

func (c *cloud) Rules(ctx context.Context, group string) (v sgsync.View, err error) {
	v = sgsync.View{Group: group, Sent: c.clocks().Round(0)}
	err = c.call(ctx, "rules "+group, func() error {
		v.AWS = time.Now().Add(c.skew).UTC().Truncate(time.Second)
		for _, r := range c.visible() {
			if r.Group == group {
				v.Rules = append(v.Rules, r)
			}
		}
		return c.here(group)
	})
	return v, err
}

// visible are the rules that a read shows now.
func (w *world) visible() []sgsync.Rule {
	rules := w.rules
	if w.lag > 0 {
		rules = nil
		for _, s := range w.past {
			if !s.at.After(time.Now().Add(-w.lag)) {
				rules = s.rules
			}
		}
	}
	return slices.SortedFunc(maps.Values(rules), func(a, b sgsync.Rule) int { return strings.Compare(a.ID, b.ID) })
}

func (c *cloud) Tagged(ctx context.Context, key string) (rules []sgsync.Rule, err error) {
	err = c.call(ctx, "tagged "+c.id.Region, func() error {
		for _, r := range c.visible() {
			if _, ok := r.Tags[key]; ok && c.here(r.Group) == nil {
				rules = append(rules, r)
			}
		}
		return nil
	})
	return rules, err
}

func (c *cloud) Authorize(ctx context.Context, group string, n sgsync.NewRule) (r sgsync.Rule, err error) {
	err = c.call(ctx, fmt.Sprintf("authorize %s %s %d", group, n.CIDR, n.Port), func() error {
		if c.taken(group, n, "") {
			return sgsync.ErrDuplicate
		}
		id := c.insert(sgsync.Rule{Group: group, Protocol: "tcp", FromPort: n.Port, ToPort: n.Port, CIDR: n.CIDR.Masked(), Description: n.Description, Tags: maps.Clone(n.Tags)})
		r = c.rules[id]
		return c.here(group)
	})
	if err != nil {
		r = sgsync.Rule{}
	}
	return r, err
}

// change is a write on one rule.
func (c *cloud) change(ctx context.Context, name, id string, f func(*sgsync.Rule) error) error {
	return c.call(ctx, name, func() error {
		r, ok := c.rules[id]
		if !ok {
			return sgsync.ErrGone
		}
		r.Tags = maps.Clone(r.Tags)
		err := f(&r)
		if err == nil {
			c.rules[id] = r
		}
		return err
	})
}

func (c *cloud) Modify(ctx context.Context, group, id string, n sgsync.NewRule) error {
	return c.change(ctx, fmt.Sprintf("modify %s %s", id, n.CIDR), id, func(r *sgsync.Rule) error {
		if c.taken(group, n, id) {
			return sgsync.ErrDuplicate
		}
		r.CIDR, r.Description = n.CIDR, n.Description
		return nil
	})
}

func (c *cloud) Revoke(ctx context.Context, _, id string) error {
	return c.call(ctx, "revoke "+id, func() error {
		if _, ok := c.rules[id]; !ok {
			return sgsync.ErrGone
		}
		delete(c.rules, id)
		return nil
	})
}

func (c *cloud) Tag(ctx context.Context, id, key, value string) error {
	return c.change(ctx, "tag "+id, id, func(r *sgsync.Rule) error {
		if _, has := r.Tags[key]; !has && len(r.Tags) >= sgsync.MaxTags {
			return sgsync.ErrTagsFull
		}
		r.Tags[key] = value
		return nil
	})
}

func (c *cloud) Untag(ctx context.Context, id, key, value string) error {
	return c.change(ctx, "untag "+id, id, func(r *sgsync.Rule) error {
		if r.Tags[key] == value {
			delete(r.Tags, key)
		}
		return nil
	})
}
