package awssim_test

import (
	"sync"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/ec2"
	"github.com/aws/aws-sdk-go-v2/service/emr"
	"github.com/aws/aws-sdk-go-v2/service/sts"

	"github.com/emr-accessd/emr-accessd/internal/awssim"
)

// memory is a Sim with one group, seen through the real SDK in memory.
type memory struct {
	*world
	sim     *awssim.Sim
	groupID string
}

// newMemory makes a Sim with a group in a VPC that is not the default one. edit changes the SDK's configuration.
func newMemory(o awssim.Options, edit ...func(*aws.Config)) memory {
	sim := awssim.New(o)
	cfg := clientConfig("https://aws.example", "AKIATESTTESTTESTTEST")
	cfg.HTTPClient = sim.Client()
	for _, f := range edit {
		f(&cfg)
	}
	vpc := sim.AddVPC(false)
	return memory{
		world:   &world{vpc: vpc, ec2: ec2.NewFromConfig(cfg), emr: emr.NewFromConfig(cfg), sts: sts.NewFromConfig(cfg)},
		sim:     sim,
		groupID: sim.AddGroup(vpc, "ElasticMapReduce-master", "Master"),
	}
}

func as(accessKey string) func(*aws.Config) {
	return func(cfg *aws.Config) { cfg.Credentials = clientConfig("", accessKey).Credentials }
}

// clock is AWS's clock in a test.
type clock struct {
	mu  sync.Mutex
	now time.Time
}

func newClock() *clock { return &clock{now: time.Date(2026, 11, 22, 10, 0, 0, 0, time.UTC)} }

func (c *clock) Now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now = c.now.Add(d)
}

func TestLagHidesEachWriteForAWhile(t *testing.T) {
	c := newClock()
	m := newMemory(awssim.Options{Now: c.Now})
	m.sim.SetLag(5 * time.Second)
	r := m.authorize(t, m.groupID, ssh("203.0.113.1/32", ""), "owner", "me")
	equal(t, "rules in truth", len(m.sim.Rules(m.groupID)), 1)
	equal(t, "rules at once", len(m.rules(t, m.groupID)), 0)
	_, err := m.tryAuthorize(t, m.groupID, ssh("203.0.113.1/32", ""))
	wantCode(t, err, "InvalidPermission.Duplicate") // writes act on the truth
	check(t, m.tag(t, r.SecurityGroupRuleId, "lease", "x"))

	c.advance(4 * time.Second)
	check(t, m.tag(t, r.SecurityGroupRuleId, "late", "x"))
	c.advance(time.Second)
	rules := m.rules(t, m.groupID)
	equal(t, "rules after the lag", len(rules), 1)
	equal(t, "tags after the lag", len(tagMap(rules[0].Tags)), 2) // not the late one
	c.advance(4 * time.Second)
	equal(t, "tags later", len(m.rule(t, r.SecurityGroupRuleId).Tags), 3)

	check(t, m.modify(t, m.groupID, r.SecurityGroupRuleId, sshBody("203.0.113.2/32", "")))
	equal(t, "address before the lag", addresses(m.rules(t, m.groupID)), "1")
	c.advance(5 * time.Second)
	equal(t, "address after the lag", addresses(m.rules(t, m.groupID)), "2")

	check(t, m.revoke(t, m.groupID, *r.SecurityGroupRuleId))
	equal(t, "rules in truth", len(m.sim.Rules(m.groupID)), 0)
	equal(t, "still shown", addresses(m.rules(t, m.groupID)), "2")
	equal(t, "still shown in the group", len(describeGroup(t, m.world, m.groupID).IpPermissions), 1)
	wantCode(t, m.revoke(t, m.groupID, *r.SecurityGroupRuleId), "InvalidSecurityGroupRuleId.NotFound")
	c.advance(5 * time.Second)
	equal(t, "shown at last", len(m.rules(t, m.groupID)), 0)
}

func TestLagNeverShowsAnOlderWriteOverAYounger(t *testing.T) {
	c := newClock()
	m := newMemory(awssim.Options{Now: c.Now})
	id := m.sim.AddRule(m.groupID, awssim.RuleSpec{FromPort: 22, ToPort: 22, CIDR: "203.0.113.1/32"})
	m.sim.SetLag(time.Minute)
	check(t, m.tag(t, &id, "k", "slow"))
	m.sim.SetLag(0)
	check(t, m.tag(t, &id, "k", "quick"))
	for range 3 {
		equal(t, "tag", tagMap(m.rule(t, &id).Tags)["k"], "quick")
		c.advance(40 * time.Second)
	}
}

func TestRuleQuotaCanBeSet(t *testing.T) {
	m := newMemory(awssim.Options{RuleQuota: 2})
	m.authorize(t, m.groupID, ssh("203.0.113.1/32", ""))
	m.authorize(t, m.groupID, ssh("203.0.113.2/32", ""))
	_, err := m.tryAuthorize(t, m.groupID, ssh("203.0.113.3/32", ""))
	wantCode(t, err, "RulesPerSecurityGroupLimitExceeded")
	m.authorize(t, m.groupID, ssh("2001:db8::1/128", ""))

	// A group that was seeded beyond the quota can be changed, but not grow.
	id := m.sim.AddRule(m.groupID, awssim.RuleSpec{FromPort: 22, ToPort: 22, CIDR: "203.0.113.3/32"})
	check(t, m.modify(t, m.groupID, &id, sshBody("203.0.113.4/32", "")))
	_, err = m.tryAuthorize(t, m.groupID, ssh("203.0.113.5/32", ""))
	wantCode(t, err, "RulesPerSecurityGroupLimitExceeded")
}

func TestRulesShowsTheTruthSortedById(t *testing.T) {
	m := newMemory(awssim.Options{})
	specs := []awssim.RuleSpec{
		{FromPort: 22, ToPort: 22, CIDR: "203.0.113.77/24", Description: "it's any text\x1b", Tags: map[string]string{"k": "v"}},
		{Protocol: "-1", SourceGroup: m.groupID},
		{Protocol: "17", FromPort: 0, ToPort: 65535, CIDR: "2001:DB8::/32"},
		{FromPort: 22, ToPort: 22, PrefixList: m.sim.AddPrefixList(awssim.PrefixListSpec{Name: "x", MaxEntries: 2})},
	}
	for _, spec := range specs {
		m.sim.AddRule(m.groupID, spec)
	}
	rules := m.sim.Rules(m.groupID)
	equal(t, "number", len(rules), 4)
	seen := map[string]awssim.Rule{}
	for i, r := range rules {
		if i > 0 && rules[i-1].ID >= r.ID {
			t.Error("the rules are not sorted")
		}
		seen[r.CIDR+r.SourceGroup+r.PrefixList] = r
	}
	first := seen["203.0.113.0/24"]
	equal(t, "protocol", first.Protocol, "tcp")
	equal(t, "description", first.Description, specs[0].Description)
	first.Tags["k"] = "changed"
	equal(t, "ports of all traffic", seen[m.groupID].FromPort, -1)
	equal(t, "protocol 17", seen["2001:db8::/32"].Protocol, "udp")
	equal(t, "number over the API", len(m.rules(t, m.groupID)), 4)
	m.sim.RemoveRule(first.ID)
	m.sim.RemoveRule(first.ID)
	equal(t, "number after removal", len(m.sim.Rules(m.groupID)), 3)
}

func TestSeedingMistakesPanic(t *testing.T) {
	sim := awssim.New(awssim.Options{})
	vpc := sim.AddVPC(true)
	group := sim.AddGroup(vpc, "g", "g")
	sim.AddRule(group, awssim.RuleSpec{FromPort: 22, ToPort: 22, CIDR: "203.0.113.1/32"})
	for name, f := range map[string]func(){
		"second default VPC": func() { sim.AddVPC(true) },
		"unknown VPC":        func() { sim.AddGroup("vpc-1", "g", "g") },
		"name twice":         func() { sim.AddGroup(vpc, "g", "g") },
		"unknown group":      func() { sim.AddRule("sg-1", awssim.RuleSpec{CIDR: "203.0.113.1/32"}) },
		"no source":          func() { sim.AddRule(group, awssim.RuleSpec{}) },
		"two sources":        func() { sim.AddRule(group, awssim.RuleSpec{CIDR: "203.0.113.1/32", SourceGroup: group}) },
		"bad CIDR":           func() { sim.AddRule(group, awssim.RuleSpec{CIDR: "203.0.113.1"}) },
		"duplicate":          func() { sim.AddRule(group, awssim.RuleSpec{FromPort: 22, ToPort: 22, CIDR: "203.0.113.1/32"}) },
		"cluster's group":    func() { sim.AddCluster(awssim.ClusterSpec{VPC: vpc, MasterGroup: "sg-1"}) },
		"cluster's id":       func() { sim.AddCluster(awssim.ClusterSpec{ID: "x", VPC: vpc}) },
		"cluster's subnet":   func() { sim.AddCluster(awssim.ClusterSpec{VPC: vpc, Subnet: "subnet-1"}) },
		"subnet's VPC":       func() { sim.AddSubnet("vpc-1", true) },
		"state of nothing":   func() { sim.SetClusterState("j-1", "WAITING") },
		"node of nothing":    func() { sim.SetNode("i-1", func(*awssim.NodeSpec) {}) },
		"bad prefix list":    func() { sim.AddPrefixList(awssim.PrefixListSpec{Entries: map[string]string{"x": ""}}) },
	} {
		t.Run(name, func(t *testing.T) {
			defer func() {
				if recover() == nil {
					t.Error("it was accepted")
				}
			}()
			f()
		})
	}
}

func TestTwoSimsAreAlikeAndTwoRegionsAreNot(t *testing.T) {
	a, b := awssim.New(awssim.Options{}), awssim.New(awssim.Options{})
	other := awssim.New(awssim.Options{Region: "eu-west-1"})
	x, y, z := a.AddVPC(false), b.AddVPC(false), other.AddVPC(false)
	equal(t, "the second's id", y, x)
	if z == x {
		t.Error("another region has the same ids")
	}
}

func TestConcurrentAuthorizesOfOneRule(t *testing.T) {
	m := newMemory(awssim.Options{})
	var wg sync.WaitGroup
	var mu sync.Mutex
	done := 0
	for range 40 {
		wg.Go(func() {
			if _, err := m.tryAuthorize(t, m.groupID, ssh("203.0.113.1/32", "")); err == nil {
				mu.Lock()
				done++
				mu.Unlock()
			}
			m.sim.Calls()
			m.sim.Rules(m.groupID)
		})
	}
	wg.Wait()
	equal(t, "successes", done, 1)
	equal(t, "rules", len(m.sim.Rules(m.groupID)), 1)
	equal(t, "calls", len(m.sim.Calls()), 40)
}
