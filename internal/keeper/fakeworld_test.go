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
	mu       sync.Mutex
	rules    map[string]sgsync.Rule
	past     []snapshot
	seq      map[string]int
	regions  map[string]string                   // group → region
	places   map[string]keeper.Place             // by cluster or group id
	users    map[string]keeper.Identity          // by profile
	calls    []string                            // "authorize sg-1 192.0.2.1/32 22", in order
	times    []stamp                             // the same with their instants
	was      []keeper.Before                     // what the looks at clusters were told of before
	denyAnew error                               // what EMR says to those who ask it
	skew     time.Duration                       // AWS's clock against the laptop's
	lag      time.Duration                       // how stale a read of rules is
	fail     func(context.Context, string) error // before the effect of a call
	lose     func(string) error                  // after it
	halt     error                               // of every call that has had no effect yet
	clocks   func() time.Time                    // the laptop's wall clock
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
