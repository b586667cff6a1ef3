package keeper

import (
	"context"
	"log/slog"
	"net"
	"net/netip"
	"time"

	"github.com/emr-accessd/emr-accessd/internal/ipwatch"
	"github.com/emr-accessd/emr-accessd/internal/sgsync"
)

// Target is something that the user wants reachable.
type Target struct {
	Label         string // as the user wrote it
	Cluster       string // j-…
	NamePattern   string // clusters by name, with *, in place of an id
	ClusterTags   map[string]string
	SecurityGroup string // sg-…, in place of a cluster
	Profile       string
	Region        string
	Account       string   // pinned: no other account is written to
	Nodes         []string // primary, core, task
	Group         string   // managed or additional
	Port          int
	Trusted       []netip.Prefix
	Local         bool      // the address that counts is the local one towards the node (a VPN)
	Until         time.Time // a temporary target ends then; zero = for good
	Kept          time.Time // of a temporary target: until then the end of no session gives its rule back
	Lease         time.Duration
}

// Identity is who calls AWS.
type Identity struct {
	Profile  string `json:"profile"`
	Region   string `json:"region"`
	Account  string `json:"account"`
	ARN      string `json:"arn"`
	UserID   string `json:"userid"`
	Endpoint string `json:"endpoint,omitempty"` // "" = AWS's own
	Unstable bool   `json:"-"`                  // the SDK invents the session name anew each time
}

// Node is a host of a cluster.
type Node struct {
	Cluster  string     `json:"cluster,omitempty"`
	Instance string     `json:"instance"`
	Role     string     `json:"role"`
	State    string     `json:"state"`
	Public4  netip.Addr `json:"public_ipv4"`
	Private4 netip.Addr `json:"private_ipv4"`
	V6       netip.Addr `json:"ipv6"`
}

// Place is where a target is, as AWS told.
type Place struct {
	Cluster  string   `json:"cluster,omitempty"`
	Name     string   `json:"name,omitempty"`
	State    string   `json:"state,omitempty"`
	KeyName  string   `json:"key_name,omitempty"`
	Ended    bool     `json:"ended,omitempty"`    // the cluster is terminated: its rules are given back
	Clusters []string `json:"clusters,omitempty"` // those that a pattern matches
	Groups   []string `json:"groups"`
	// Uses has the clusters of the target that use a group, by the group's id.
	Uses     map[string][]string `json:"uses,omitempty"`
	Nodes    []Node              `json:"nodes,omitempty"`
	Unclear6 bool                `json:"unclear6,omitempty"` // EC2 does not tell whether the nodes have IPv6 addresses
	Host     string              `json:"host,omitempty"`     // of AWS's endpoint in the region
	Warnings []string            `json:"warnings,omitempty"`
	Partial  bool                `json:"partial,omitempty"`  // of a pattern: AWS refused to describe some clusters
	Unlisted bool                `json:"unlisted,omitempty"` // of a pattern: AWS refused to list the clusters
	// Looks is how many looks in a row have only seen that it stands, since EMR told it.
	Looks int `json:"looks,omitempty"`
}

// Before is where a target was found before, and what may be made of that.
type Before struct {
	Place Place
	// Stand: as long as its nodes run in the same groups, which costs EMR no call, the place is returned as it was, with
	// one more of Looks.
	Stand bool
	// Keep: clusters of a pattern that AWS has no answer about may be taken to be as they were.
	Keep bool
}

// Cloud is one AWS account and region, opened anew for each round.
type Cloud interface {
	sgsync.API
	Identity() Identity
	// Resolve finds a target. With an error that passes there may be a place too: what of a pattern is known all the same.
	Resolve(ctx context.Context, t Target, was Before) (Place, error)
	Rules(ctx context.Context, group string) (sgsync.View, error)
	// Tagged lists the rules of the region that carry a tag key.
	Tagged(ctx context.Context, key string) ([]sgsync.Rule, error)
	// Host is an address to route to when a target has no node yet.
	Host() string
}

// Watcher finds the own address. *ipwatch.Detector is one.
type Watcher interface {
	Observe(ctx context.Context, f ipwatch.Family) ipwatch.Observation
	ConcludeFor(o ipwatch.Observation, nodes, standIns []netip.Addr) ipwatch.Verdict
	Lookup(ctx context.Context, host string) []netip.Addr
	LocalVerdict(f ipwatch.Family, nodes []netip.Addr) ipwatch.Verdict
}

// Keeper keeps rules in step with the address. Its fields are set once, before the first round.
type Keeper struct {
	Open    func(ctx context.Context, profile, region string) (Cloud, error)
	Watch   Watcher
	Store   *Store
	Targets []Target // of the configuration
	Who     string   // user@host, for humans who read tags
	By      string   // the command, for the history
	Lease   time.Duration
	Tags    map[string]string
	// ReportExpired leaves the rules of others whose leases have ended in place.
	ReportExpired bool
	// Prefix6 is the length of an own IPv6 prefix: 128, or the opted-in 64.
	Prefix6 int
	// Transient tells failures that another try may mend (throttling, a lost answer) from lasting ones.
	Transient func(error) bool
	// Crowded tells, of those, that the account makes too many calls: others are waiting too.
	Crowded func(error) bool
	// Wall is the wall clock; nil is the real one. Laptops sleep, so monotonic time is not enough.
	Wall func() time.Time
	Log  *slog.Logger
	// Dial connects to a node's port as the last proof that a new rule works; nil is no proof (probe = false).
	Dial func(ctx context.Context, network, addr string) (net.Conn, error)
	// Looked, when set, is told of each new look at the address.
	Looked func(v4, v6 ipwatch.Observation)
	// Noticing, when set, says how changes of the address are noticed; asked at the start of the daemon and at
	// each [ipwatch.HintStatus].
	Noticing func() []string
	// Explain, when set, says of which kind an error is, in one word, and what the user can do about it.
	Explain func(error) (kind, hint string)
	// Alone, when set, is called once this is the only daemon of the installation, and before it does anything.
	Alone func()
	// Noted, when set, is told after each round of the daemon what that has put into the history; nil: nothing.
	Noted func(*Record)
	// Progress, when set, is told what a round is waiting for. It may be called from several goroutines.
	Progress func(string)
	// Pulse, when set, is called by the daemon's own loop: when it has begun, after each round, and every PulseEvery
	// while it waits, also for a command that holds the lock of a round (0: not then). A loop that hangs calls it no more.
	Pulse      func()
	PulseEvery time.Duration
}

func (k *Keeper) pulse() {
	if k.Pulse != nil {
		k.Pulse()
	}
}

// lock is [Store.Lock] for the loop, which is alive while it waits for a command: that may take long, and may even be
// stopped in its terminal.
func (k *Keeper) lock(ctx context.Context) (unlock func(), err error) {
	k.say("waiting for another emr-accessd of this user to end its round")
	for k.PulseEvery > 0 {
		wait, cancel := context.WithTimeout(ctx, k.PulseEvery)
		unlock, err := k.Store.Lock(wait)
		over := wait.Err() != nil
		cancel()
		if err == nil || !over || ctx.Err() != nil {
			return unlock, err
		}
		k.pulse()
	}
	return k.Store.Lock(ctx)
}

func (k *Keeper) wall() time.Time {
	if k.Wall != nil {
		return k.Wall().Round(0)
	}
	return time.Now().Round(0)
}

func (k *Keeper) say(what string) {
	if k.Progress != nil {
		k.Progress(what)
	}
}

func (k *Keeper) log() *slog.Logger {
	if k.Log != nil {
		return k.Log
	}
	return slog.New(slog.DiscardHandler)
}
