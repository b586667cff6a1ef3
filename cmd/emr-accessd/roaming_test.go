package main

import (
	"context"
	"encoding/json"
	"errors"
	"net/netip"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/emr-accessd/emr-accessd/internal/awsclient"
	"github.com/emr-accessd/emr-accessd/internal/awssim"
	"github.com/emr-accessd/emr-accessd/internal/ipwatch"
	"github.com/emr-accessd/emr-accessd/internal/keeper"
	"github.com/emr-accessd/emr-accessd/internal/sgsync"
)

// network is where the laptop is: what every echo sees. The zero Addr is no network.
type network struct {
	mu   sync.Mutex
	addr netip.Addr
}

func (n *network) set(s string) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.addr = netip.Addr{}
	if s != "" {
		n.addr = netip.MustParseAddr(s)
	}
}

func (n *network) ask(_ context.Context, _ ipwatch.Source, f ipwatch.Family) ipwatch.Answer {
	n.mu.Lock()
	defer n.mu.Unlock()
	if !n.addr.IsValid() || f == ipwatch.V6 {
		return ipwatch.Answer{Err: errors.New("network is unreachable")}
	}
	return ipwatch.Answer{Addr: n.addr}
}

// Probe is what a STUN server sees.
func (n *network) Probe(ctx context.Context, f ipwatch.Family) (ipwatch.Sighting, error) {
	a := n.ask(ctx, ipwatch.Source{}, f)
	return ipwatch.Sighting{Addr: a.Addr, By: "stun test"}, a.Err
}

// given are the events of a system.
type given chan ipwatch.Hint

func (g given) Events(context.Context) (<-chan ipwatch.Hint, error) { return g, nil }

// TestRoaming is a laptop's day: the keeper with the real SDK against the simulated AWS, in virtual time.
func TestRoaming(t *testing.T) {
	t.Setenv("AWS_ACCESS_KEY_ID", "AKIATEST")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "test")
	t.Setenv("AWS_REGION", "us-east-1")
	none := filepath.Join(t.TempDir(), "none")
	t.Setenv("AWS_CONFIG_FILE", none)
	t.Setenv("AWS_SHARED_CREDENTIALS_FILE", none)
	t.Setenv("AWS_ENDPOINT_URL", "")
	t.Setenv("AWS_CA_BUNDLE", "") // the SDK does not put it into a client that is not its own
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) { roam(t, dir) })
}

func roam(t *testing.T, dir string) {
	sim := awssim.New(awssim.Options{})
	sim.SetLag(3 * time.Second)
	master := sim.AddGroup(sim.AddVPC(false), "ElasticMapReduce-master", "x")
	for _, cidr := range []string{"0.0.0.0/0", "203.0.113.200/32"} {
		sim.AddRule(master, awssim.RuleSpec{FromPort: 22, ToPort: 22, CIDR: cidr})
	}
	cluster := sim.AddCluster(awssim.ClusterSpec{Name: "etl", MasterGroup: master, CoreGroup: master, Nodes: []awssim.NodeSpec{{PublicIP: "203.0.113.1"}}})
	var where network
	policy := ipwatch.DefaultPolicy()
	policy.EgressCheck, policy.Accept = false, []netip.Prefix{netip.MustParsePrefix("198.51.100.0/24")}
	det, err := ipwatch.NewDetector(ipwatch.Config{Policy: policy})
	if err != nil {
		t.Fatal(err)
	}
	det.Ask = where.ask
	store, err := keeper.OpenStore(filepath.Join(dir, "state"), "")
	if err != nil {
		t.Fatal(err)
	}
	k := &keeper.Keeper{Watch: det, Store: store, Who: "alice@laptop", Lease: 24 * time.Hour, Transient: transient, Crowded: crowded,
		Targets: []keeper.Target{{Label: cluster, Cluster: cluster, Nodes: []string{"primary"}, Group: "managed", Port: 22, Lease: 24 * time.Hour}},
		Open: func(ctx context.Context, profile, region string) (keeper.Cloud, error) {
			c, err := awsclient.Open(ctx, awsclient.Options{Profile: profile, Region: region, HTTPClient: sim.Client()})
			if err != nil {
				return nil, err
			}
			return cloud{c}, nil
		}}
	ctx, stop := context.WithCancel(t.Context())
	events := make(chan ipwatch.Hint, 8)
	moved := "" // what an event comes with
	ended := make(chan error, 1)
	start := func() {
		tripwire := &ipwatch.Tripwire{STUN: []ipwatch.Prober{&where}, Slow: det.Glance, Routed: func(ipwatch.Family) bool { return true }}
		watcher := &ipwatch.Watcher{System: given(events), Behind: tripwire, Compare: func() string { return moved }}
		hints, err := watcher.Events(ctx)
		if err != nil {
			t.Fatal(err)
		}
		k.Looked = func(v4, _ ipwatch.Observation) { tripwire.Concluded(ipwatch.V4, det.Conclude(v4, nil).Addr) }
		go func() { ended <- k.Run(ctx, hints) }()
	}
	moved = "an address has changed"
	event := func() { events <- ipwatch.Hint{Kind: ipwatch.HintAddress, Reason: "test", At: time.Now()} }
	// own returns our rules as "cidr id" and checks that nobody else's was touched.
	own := func() (rules []string) {
		synctest.Wait()
		foreign := 0
		for _, r := range sim.Rules(master) {
			if r.Tags[sgsync.OwnerTag] == "" {
				foreign++
				continue
			}
			rules = append(rules, r.CIDR+" "+r.ID)
		}
		if foreign != 2 {
			t.Fatalf("%d rules of others, want 2", foreign)
		}
		return rules
	}
	expect := func(what, cidr string) string {
		t.Helper()
		rules := own()
		if len(rules) != 1 || !strings.HasPrefix(rules[0], cidr+" ") {
			st, _ := store.Load()
			report, _ := json.Marshal(st.Status)
			t.Fatalf("%s: our rules are %v, want one for %s; %s", what, rules, cidr, report)
		}
		return rules[0][len(cidr)+1:]
	}
	writes := func() (n int) {
		for _, c := range sim.Calls() {
			if c.Write() {
				n++
			}
		}
		sim.ResetCalls()
		return n
	}

	where.set("198.51.100.7")
	start()
	time.Sleep(time.Second)
	id := expect("home", "198.51.100.7/32")
	time.Sleep(11 * time.Second) // the look when reads have caught up
	if n := writes(); n != 1 {
		t.Errorf("%d writes at home, want 1", n)
	}
	time.Sleep(10 * time.Minute)
	if calls := len(sim.Calls()); calls != 0 {
		t.Errorf("%d AWS calls in ten quiet minutes, want none", calls)
	}

	where.set("")
	event()
	time.Sleep(20 * time.Minute)
	expect("no network", "198.51.100.7/32")
	if n := writes(); n != 0 {
		t.Errorf("%d writes without a network", n)
	}

	where.set("198.51.100.20")
	event()
	time.Sleep(2 * time.Second)
	if got := expect("office", "198.51.100.20/32"); got != id {
		t.Errorf("the rule was made anew: %s, was %s", got, id)
	}
	time.Sleep(time.Minute)
	writes()

	// Behind the router, nothing on the laptop shows the change.
	where.set("198.51.100.30")
	time.Sleep(40 * time.Second)
	if got := expect("behind the router", "198.51.100.30/32"); got != id {
		t.Errorf("the rule was made anew: %s, was %s", got, id)
	}
	time.Sleep(time.Minute)
	writes()

	// Throttled: reads by the SDK's retries, writes by new looks.
	sim.Inject(awssim.Fault{Action: "DescribeSecurityGroupRules", Code: "RequestLimitExceeded", Times: 2})
	sim.Inject(awssim.Fault{Action: "ModifySecurityGroupRules", Code: "RequestLimitExceeded", Times: 2})
	where.set("198.51.100.21")
	event()
	time.Sleep(time.Minute)
	if got := expect("throttled", "198.51.100.21/32"); got != id {
		t.Errorf("the rule was made anew: %s, was %s", got, id)
	}

	// Lost answer: the move happens, the laptop does not hear of it.
	sim.Inject(awssim.Fault{Action: "ModifySecurityGroupRules", DropAfter: true, Times: 1})
	where.set("198.51.100.22")
	event()
	time.Sleep(time.Minute)
	expect("answer lost", "198.51.100.22/32")

	// Asleep for ten hours: timers of a sleeping laptop stand still, so the daemon is simply not there.
	stop()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	time.Sleep(10 * time.Hour)
	ctx, stop = context.WithCancel(t.Context())
	defer stop()
	where.set("198.51.100.23")
	start()
	time.Sleep(time.Second)
	expect("awake elsewhere", "198.51.100.23/32")

	// The lease is renewed by half its time although nothing happens.
	time.Sleep(26 * time.Hour)
	expect("a day later", "198.51.100.23/32")
	for _, r := range sim.Rules(master) {
		for key, value := range r.Tags {
			if l, ok := sgsync.ParseLease(key, value); ok && (l.Err != nil || l.End.Before(time.Now().Add(11*time.Hour))) {
				t.Errorf("the lease was not renewed: %s", value)
			}
		}
	}
	stop()
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	if rep, err := k.Round(t.Context(), keeper.Request{Release: true}); err != nil || rep.Failed() != nil || len(own()) != 0 {
		t.Errorf("release: %v, %v, rules %v", err, rep.Failed(), own())
	}
}
