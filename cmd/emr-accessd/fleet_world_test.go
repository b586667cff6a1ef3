package main

import (
	"context"
	"fmt"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/emr-accessd/emr-accessd/internal/awsclient"
	"github.com/emr-accessd/emr-accessd/internal/awssim"
	"github.com/emr-accessd/emr-accessd/internal/ipwatch"
	"github.com/emr-accessd/emr-accessd/internal/keeper"
	"github.com/emr-accessd/emr-accessd/internal/sgsync"
)

const (
	// perCluster is how many people use one cluster: its group has room for 60 rules, of which EMR needs some.
	perCluster = 40
	fleetLease = 12 * time.Hour
)

// fleetEnv gives everybody one profile; the wire tells them apart.
func fleetEnv(t *testing.T) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "credentials")
	if err := os.WriteFile(file, []byte("[default]\naws_access_key_id = AKIAFLEET\naws_secret_access_key = test\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for name, value := range map[string]string{"AWS_SHARED_CREDENTIALS_FILE": file, "AWS_CONFIG_FILE": filepath.Join(filepath.Dir(file), "none"),
		"AWS_REGION": "us-east-1", "AWS_PROFILE": "", "AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "", "AWS_ENDPOINT_URL": "", "AWS_CA_BUNDLE": ""} {
		t.Setenv(name, value)
	}
}

// fleet is everybody, with the account that they share. A simulation keeps all rules of a region in one list, so each
// cluster has one of its own; the buckets are the account's.
type fleet struct {
	t       *testing.T
	sims    []*awssim.Sim
	members []*member
	wire    *fleetWire
	count   *fleetCount
	dir     string
	names   bool // targets are names
	start   time.Time
	running sync.WaitGroup

	mu     sync.Mutex
	waited []time.Duration // of those who got access since the last restart
}

// member is one installation.
type member struct {
	*fleet
	index   int
	key     string // its access key
	sim     *awssim.Sim
	cluster string
	group   string
	hints   chan ipwatch.Hint
	stop    context.CancelFunc
	client  *awsclient.Client
	rounds  int

	// Guarded by the fleet's lock.
	addr  netip.Addr
	since time.Time // it waits for access; zero = it has it, or is not awake
}

func newFleet(t *testing.T, n int) *fleet {
	t.Helper()
	f := &fleet{t: t, start: time.Now(), count: newFleetCount()}
	f.wire = newFleetWire(f.count, n)
	dir, err := os.MkdirTemp("/dev/shm", "fleet") // in memory: thousands of states are synced
	if err != nil {
		dir, err = os.MkdirTemp("", "fleet")
	}
	if err != nil {
		t.Fatal(err)
	}
	f.dir = dir
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	for i := range n {
		if i%perCluster == 0 {
			f.sims = append(f.sims, awssim.New(awssim.Options{}))
		}
		sim := f.sims[len(f.sims)-1]
		m := &member{fleet: f, index: i, key: fmt.Sprintf("AKIAMEMBER%06d", i), sim: sim, addr: homeAddr(i), hints: make(chan ipwatch.Hint, 8)}
		sim.AddPrincipal(m.key, awssim.Principal{UserID: fmt.Sprintf("AIDAMEMBER%06d", i)})
		if i%perCluster == 0 {
			m.group = sim.AddGroup(sim.AddVPC(true), "ElasticMapReduce-master", "x")
			m.cluster = sim.AddCluster(awssim.ClusterSpec{Name: "etl", MasterGroup: m.group, CoreGroup: m.group, Nodes: []awssim.NodeSpec{{PublicIP: "192.0.2.10"}}})
		} else {
			m.group, m.cluster = f.members[i-1].group, f.members[i-1].cluster
		}
		f.members = append(f.members, m)
	}
	return f
}

// wake starts the daemon.
func (m *member) wake() {
	store, err := keeper.OpenStore(filepath.Join(m.dir, fmt.Sprint(m.index)), "")
	if err != nil {
		m.t.Error(err)
		return
	}
	target := keeper.Target{Label: m.cluster, Cluster: m.cluster, Nodes: []string{"primary"}, Group: "managed", Port: 22, Lease: fleetLease}
	if m.names {
		target.Label, target.Cluster, target.NamePattern = "etl", "", "etl"
	}
	k := &keeper.Keeper{Open: m.open, Watch: fleetWatch{m}, Store: store, Who: "u@laptop", Lease: fleetLease, Prefix6: 128, Transient: transient, Crowded: crowded,
		Targets: []keeper.Target{target},
		Looked:  func(ipwatch.Observation, ipwatch.Observation) { m.rounds++ }}
	m.mu.Lock()
	m.since = time.Now()
	m.mu.Unlock()
	ctx, stop := context.WithCancel(m.t.Context())
	m.stop = stop
	m.running.Go(func() {
		defer stop()
		if err := k.Run(ctx, m.hints); err != nil {
			m.t.Error(err)
		}
	})
}

// move gives the laptop another address, which it notices.
func (m *member) move(to netip.Addr) {
	m.mu.Lock()
	m.addr = to
	if m.since = time.Now(); m.admitted() {
		m.got(m.since)
	}
	m.mu.Unlock()
	m.hints <- ipwatch.Hint{Kind: ipwatch.HintAddress, Reason: "the test", At: time.Now()}
}

// admitted tells whether a rule admits the laptop. The caller holds the lock.
func (m *member) admitted() bool {
	return slices.ContainsFunc(m.sim.Rules(m.group), func(r awssim.Rule) bool { return r.CIDR == m.addr.String()+"/32" && r.FromPort == 22 })
}

// got notes that the laptop has access. The caller holds the lock.
func (m *member) got(now time.Time) {
	m.waited = append(m.waited, now.Sub(m.since))
	m.since = time.Time{}
}

// wrote looks who has access after a call that has changed rules.
func (f *fleet) wrote(by *member) {
	f.mu.Lock()
	defer f.mu.Unlock()
	first := by.index - by.index%perCluster
	now := time.Now()
	for _, m := range f.members[first:min(first+perCluster, len(f.members))] {
		if !m.since.IsZero() && m.admitted() {
			m.got(now)
		}
	}
}

// restart counts the waiting from now.
func (f *fleet) restart() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.waited = nil
	for _, m := range f.members {
		if !m.since.IsZero() {
			m.since = time.Now()
		}
	}
}

func (f *fleet) waiting() (n int) {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, m := range f.members {
		if !m.since.IsZero() {
			n++
		}
	}
	return n
}

// settled wakes everybody, one after the other, and waits until all have access and nothing is left to do. People do not
// install a program all in one hour, so nobody is throttled for it.
func (f *fleet) settled() {
	f.wire.calm.Store(true)
	defer f.wire.calm.Store(false)
	calm := allowance(fleetWhole, 0, 3)
	for i, m := range f.members {
		time.AfterFunc(spreadOver(calm, i, len(f.members)), m.wake)
	}
	time.Sleep(calm)
	for range 60 {
		if f.waiting() == 0 {
			break
		}
		time.Sleep(time.Minute)
	}
	if n := f.waiting(); n > 0 {
		f.t.Errorf("%d wait for access although nothing has happened", n)
	}
	time.Sleep(20 * time.Minute)
	f.restart()
}

// await waits until everybody has access, and says how long it took.
func (f *fleet) await(what string, limit, least time.Duration) {
	begin := time.Now()
	time.Sleep(2 * time.Minute) // until all that happens has begun
	for f.waiting() > 0 && time.Since(begin) < limit {
		time.Sleep(10 * time.Second)
	}
	if n := f.waiting(); n > 0 {
		f.t.Errorf("%s: %d of %d still wait after %v", what, n, len(f.members), limit)
	}
	f.mu.Lock()
	waited := slices.Sorted(slices.Values(f.waited))
	f.mu.Unlock()
	if len(waited) == 0 {
		f.t.Fatalf("%s: nobody waited for it", what)
	}
	at := func(p int) time.Duration { return waited[(len(waited)-1)*p/100].Round(100 * time.Millisecond) }
	f.t.Logf("%s, %d laptops: p50 %v, p95 %v, p99 %v, the last %v; AWS's limits allow %v", what, len(waited), at(50), at(95), at(99), at(100), least)
	f.t.Logf("%s", f.count)
}

// sleep ends every daemon, as a closed lid does.
func (f *fleet) sleep() {
	for _, m := range f.members {
		m.stop()
	}
	f.running.Wait()
}

// end stops everybody and checks what must hold.
func (f *fleet) end() {
	f.sleep()
	most, rounds := 0, 0
	for i, sim := range f.sims {
		rules := sim.Rules(f.members[i*perCluster].group)
		most = max(most, len(rules))
		for _, r := range rules {
			own := f.members[i*perCluster : min((i+1)*perCluster, len(f.members))]
			if r.Tags[sgsync.OwnerTag] == "" || !slices.ContainsFunc(own, func(m *member) bool { return r.CIDR == m.addr.String()+"/32" || m.had(r.CIDR) }) {
				f.t.Errorf("%s admits %s, which nobody has", r.Group, r.CIDR)
			}
		}
	}
	for _, m := range f.members {
		if rounds += m.rounds; m.rounds == 0 {
			f.t.Errorf("laptop %d has made no round", m.index)
		}
	}
	f.t.Logf("%d laptops, %d looks; at most %d rules in a group", len(f.members), rounds, most)
}

// had: a rule for where the laptop was before.
func (m *member) had(cidr string) bool {
	return cidr == homeAddr(m.index).String()+"/32" || cidr == "203.0.113.10/32"
}

func (m *member) open(ctx context.Context, _, _ string) (keeper.Cloud, error) {
	if m.client == nil {
		c, err := awsclient.Open(ctx, awsclient.Options{HTTPClient: &http.Client{Transport: memberWire{m, m.sim.Client().Transport}}})
		if err != nil {
			return nil, err
		}
		m.client = c
	}
	return cloud{m.client}, nil
}

// fleetWatch is what a laptop finds out about its address.
type fleetWatch struct{ m *member }

func (w fleetWatch) Observe(_ context.Context, f ipwatch.Family) ipwatch.Observation {
	time.Sleep(100 * time.Millisecond)
	w.m.mu.Lock()
	defer w.m.mu.Unlock()
	return ipwatch.Observation{Family: f, Answers: []ipwatch.Answer{{Addr: w.m.addr}}, At: time.Now()}
}

func (w fleetWatch) Lookup(context.Context, string) []netip.Addr { return nil }

func (w fleetWatch) ConcludeFor(o ipwatch.Observation, _, _ []netip.Addr) ipwatch.Verdict {
	v := ipwatch.Verdict{Family: o.Family, State: ipwatch.Absent, At: o.At, Why: "no IPv6"}
	if len(o.Answers) > 0 && o.Family == ipwatch.V4 {
		v.State, v.Addr = ipwatch.Confirmed, o.Answers[0].Addr
	}
	return v
}

func (w fleetWatch) LocalVerdict(f ipwatch.Family, _ []netip.Addr) ipwatch.Verdict {
	return ipwatch.Verdict{Family: f, State: ipwatch.Offline}
}
