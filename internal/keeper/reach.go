package keeper

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/emr-accessd/emr-accessd/internal/ipwatch"
	"github.com/emr-accessd/emr-accessd/internal/sgsync"
)

// Reach is what a TCP connection to a node's port showed after a rule was put in place: the last proof that the
// cluster sees the address that was authorized. Nothing is sent over the connection.
type Reach struct {
	Node  string    `json:"node"`  // address:port
	State string    `json:"state"` // one of the Reach constants
	Why   string    `json:"why"`   // a sentence
	At    time.Time `json:"at"`
}

// What a connection showed.
const (
	ReachOpen     = "open"     // it was made
	ReachUnproven = "unproven" // it was made, but another rule lets everybody in
	ReachRefused  = "refused"  // the node answers, and nothing listens
	ReachSilent   = "silent"   // no answer
	ReachNoRoute  = "no-route" // this computer has no way to it
)

const (
	// reachAttempt is the time of one connection: a lost SYN is sent again after one second, and after three.
	reachAttempt = 3500 * time.Millisecond
	// reachSettle is how long a new rule may take to act: EC2 says "a small delay might occur".
	reachSettle = 15 * time.Second
	// reachPause is the pause between attempts.
	reachPause = time.Second
)

// Prove connects to the port of a running node of each target whose own rule was put in place in this round,
// and adds what came of it to the report and the state. It does nothing when Dial is not set, and ends with ctx.
func (k *Keeper) Prove(ctx context.Context, rep Report) Report {
	if k.Dial == nil || !rep.Applied {
		return rep
	}
	rep.Targets = slices.Clone(rep.Targets)
	var wg sync.WaitGroup
	limit := make(chan struct{}, parallelCalls)
	proved := false
	for i := range rep.Targets {
		t := &rep.Targets[i]
		node, ok := t.proving()
		if !ok {
			continue
		}
		proved = true
		wg.Go(func() {
			limit <- struct{}{}
			defer func() { <-limit }()
			k.say("connecting to " + node.String())
			if r, ok := k.reach(ctx, *t, node); ok {
				t.Reach = &r
			}
		})
	}
	wg.Wait()
	if proved && ctx.Err() == nil {
		k.keepReach(ctx, rep)
	}
	return rep
}

// proving returns the node to connect to: a running one that is reached over the family of an own rule that
// has just been put in place.
func (t TargetReport) proving() (netip.AddrPort, bool) {
	for _, g := range t.Groups {
		for _, c := range g.Changes {
			put := c.Do == string(sgsync.Add) || c.Do == string(sgsync.Move) || c.Do == string(sgsync.Join)
			p, err := netip.ParsePrefix(c.CIDR)
			if !put || c.Role != string(sgsync.Self) || err != nil {
				continue
			}
			for _, n := range t.Place.Nodes {
				if n.State != "RUNNING" { // SSH is not up before that
					continue
				}
				as := addrs(Place{Nodes: []Node{n}}, ipwatch.FamilyOf(p.Addr()), t.local)
				if len(as) > 0 {
					return netip.AddrPortFrom(as[0], uint16(c.Port)), true
				}
			}
		}
	}
	return netip.AddrPort{}, false
}

// reach connects until that succeeds, is refused, or has taken as long as a new rule may take to act. ok is
// false when ctx ended first.
func (k *Keeper) reach(ctx context.Context, t TargetReport, node netip.AddrPort) (r Reach, ok bool) {
	var err error
	for end := time.Now().Add(reachSettle); ; {
		actx, cancel := context.WithTimeout(ctx, reachAttempt)
		var c net.Conn
		c, err = k.Dial(actx, "tcp", node.String())
		cancel()
		if err == nil {
			_ = c.Close()
			break
		}
		if refused(err) || ctx.Err() != nil || !time.Now().Add(reachPause).Before(end) {
			break
		}
		select {
		case <-ctx.Done():
		case <-time.After(reachPause):
		}
	}
	if ctx.Err() != nil {
		return Reach{}, false
	}
	r = t.judgeReach(node, err)
	r.At = k.wall()
	return r, true
}

// judgeReach says what the end of the attempts means.
func (t TargetReport) judgeReach(node netip.AddrPort, err error) Reach {
	r := Reach{Node: node.String()}
	var public []string
	for _, g := range t.Groups {
		public = append(public, g.Public...)
	}
	switch {
	case err == nil && len(public) > 0:
		r.State, r.Why = ReachUnproven, fmt.Sprintf("%s answers, but %s lets everybody in, so that proves nothing about your own rule.", node, strings.Join(public, " and "))
	case err == nil:
		r.State, r.Why = ReachOpen, fmt.Sprintf("%s answers.", node)
	case refused(err):
		r.State, r.Why = ReachRefused, fmt.Sprintf("%s refuses the connection: the rule works, but nothing listens on port %s there.", node, strconv.Itoa(int(node.Port())))
	case ipwatch.NoRoute(err):
		r.State, r.Why = ReachNoRoute, fmt.Sprintf("This computer has no route to %s.", node)
	default:
		own := "your address"
		if v := t.Verdicts[ipwatch.FamilyOf(node.Addr()).String()]; v.Address != "" {
			own = v.Address
		}
		r.State = ReachSilent
		r.Why = fmt.Sprintf("%s does not answer, though the rule for %s stands. Either the cluster sees you come from another address (a router or proxy that sends port %d another way than port 443), "+
			"or this network blocks port %d outwards, or a network ACL, the route of the subnet or the node itself is in the way. Trying from another network tells the first two from the rest.", node, own, node.Port(), node.Port())
	}
	return r
}

// refused reports whether the host itself answered that nothing listens.
func refused(err error) bool {
	return errors.Is(err, errConnRefused) || errors.Is(err, errConnReset)
}

// keepReach puts what was proved into the state, for `status`.
func (k *Keeper) keepReach(ctx context.Context, rep Report) {
	unlock, err := k.Store.Lock(ctx)
	if err != nil {
		return
	}
	defer unlock()
	st, _ := k.Store.Load()
	for i := range st.Status.Report.Targets {
		old := &st.Status.Report.Targets[i]
		for _, t := range rep.Targets {
			if t.Target == old.Target && t.Reach != nil {
				old.Reach = t.Reach
			}
		}
	}
	if err := k.Store.Save(st); err != nil {
		k.log().Warn("the proof could not be saved", slog.Any("error", err))
	}
}

// sameReach keeps what was proved the last time, as long as nothing was put in place since.
func (t *TargetReport) sameReach(old TargetReport) {
	if _, again := t.proving(); !again && t.Reach == nil && t.holds() {
		t.Reach = old.Reach
	}
}

// holds reports whether a rule of ours stands for the target.
func (t TargetReport) holds() bool {
	return slices.ContainsFunc(t.Groups, func(g GroupReport) bool {
		return slices.ContainsFunc(g.Rules, func(r RuleReport) bool { return r.Mine })
	})
}
