package keeper_test

import (
	"context"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/emr-accessd/emr-accessd/internal/ipwatch"
)

// network is what a Watcher finds out: the state of each family, and by which address nodes are reached.
type network struct {
	mu       sync.Mutex
	seen     map[ipwatch.Family]sight
	local    netip.Addr               // towards the nodes of a VPN
	split    map[string]ipwatch.State // nodes that are reached by another way
	asked    []time.Time              // observations of IPv4
	asked6   int
	looked   []string     // hosts whose addresses were looked up
	endpoint []netip.Addr // their addresses
	pool     []string     // what AWS and another operator see, in a conflict
	slow     map[ipwatch.Family]time.Duration
}

// sight is a state, and the address where it is confirmed.
type sight struct {
	state ipwatch.State
	addr  string
}

// away is a laptop without a route, off a family that the configuration turns off.
const away, off ipwatch.State = "away", "off"

func at(addr string) sight { return sight{ipwatch.Confirmed, addr} }

func newNetwork(v4 string) *network {
	return &network{seen: map[ipwatch.Family]sight{ipwatch.V4: at(v4), ipwatch.V6: {state: ipwatch.Absent}},
		split: map[string]ipwatch.State{}, slow: map[ipwatch.Family]time.Duration{}}
}

// be changes what is seen.
func (n *network) be(f ipwatch.Family, s sight) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.seen[f] = s
}

// delay makes the answers of a family slow.
func (n *network) delay(f ipwatch.Family, d time.Duration) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.slow[f] = d
}

func (n *network) Observe(ctx context.Context, f ipwatch.Family) ipwatch.Observation {
	n.mu.Lock()
	s, slow := n.seen[f], n.slow[f]
	if f == ipwatch.V4 {
		n.asked = append(n.asked, time.Now())
	} else {
		n.asked6++
	}
	n.mu.Unlock()
	if slow > 0 {
		select {
		case <-time.After(slow):
		case <-ctx.Done():
			s = sight{state: ipwatch.Offline}
		}
	}
	if s.state == away {
		return ipwatch.Observation{Family: f, NoRoute: true, At: time.Now()}
	}
	if s.state == off {
		return ipwatch.Observation{Family: f, Setting: ipwatch.Setting{Mode: ipwatch.ModeOff}, At: time.Now()}
	}
	a := ipwatch.Answer{Source: ipwatch.Source{Name: string(s.state)}}
	if s.state == ipwatch.Confirmed {
		a.Addr = netip.MustParseAddr(s.addr)
	}
	return ipwatch.Observation{Family: f, Answers: []ipwatch.Answer{a}, At: time.Now()}
}

// Lookup finds the endpoint that a split may be about.
func (n *network) Lookup(_ context.Context, host string) []netip.Addr {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.looked = append(n.looked, host)
	return n.endpoint
}

func (n *network) ConcludeFor(o ipwatch.Observation, nodes, standIns []netip.Addr) ipwatch.Verdict {
	n.mu.Lock()
	defer n.mu.Unlock()
	v := ipwatch.Verdict{Family: o.Family, At: o.At, Why: "because of the fake"}
	if len(o.Answers) == 0 {
		v.State = ipwatch.Offline
		return v
	}
	if v.Answers = nil; len(n.pool) > 0 {
		for i, a := range n.pool {
			v.Answers = append(v.Answers, ipwatch.Answer{Source: ipwatch.Source{Operator: []string{"aws", "other"}[i]}, Addr: netip.MustParseAddr(a)})
		}
	}
	v.State, v.Addr = ipwatch.State(o.Answers[0].Source.Name), o.Answers[0].Addr
	for _, node := range slices.Concat(nodes, standIns) {
		if s, ok := n.split[node.String()]; ok && o.Family.Has(node) {
			v.State, v.Addr = s, netip.Addr{}
		}
	}
	return v
}

func (n *network) LocalVerdict(f ipwatch.Family, nodes []netip.Addr) ipwatch.Verdict {
	n.mu.Lock()
	defer n.mu.Unlock()
	v := ipwatch.Verdict{Family: f, State: ipwatch.Offline, At: time.Now(), Why: "no route to the node"}
	if n.local.IsValid() && f.Has(n.local) && slices.ContainsFunc(nodes, f.Has) {
		v.State, v.Addr = ipwatch.Confirmed, n.local
	}
	return v
}
