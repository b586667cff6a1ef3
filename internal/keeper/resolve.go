package keeper

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/emr-accessd/emr-accessd/internal/ipwatch"
)

type cloudKey struct{ profile, region string }

func (k cloudKey) String() string { return k.profile + "|" + k.region }

func (k cloudKey) compare(o cloudKey) int {
	return cmp.Or(cmp.Compare(k.profile, o.profile), cmp.Compare(k.region, o.region))
}

// cloudOnce opens a cloud once a round, however many targets share it.
type cloudOnce struct {
	once  sync.Once
	cloud Cloud
	err   error
}

func (r *round) cloud(ctx context.Context, profile, region string) (Cloud, error) {
	key := cloudKey{profile, region}
	r.mu.Lock()
	c, ok := r.clouds[key]
	if !ok {
		c = &cloudOnce{}
		r.clouds[key] = c
	}
	r.mu.Unlock()
	c.once.Do(func() {
		r.say("signing in to AWS")
		c.cloud, c.err = r.Open(ctx, profile, region)
		if c.err == nil && c.cloud.Identity().Unstable {
			c.cloud, c.err = nil, ErrUnstable
		}
	})
	return c.cloud, c.err
}

// Errors about targets.
var (
	// ErrUnstable: the SDK invents a new session name at each sign-in, and with it a new aws:userid: leases
	// would not be found again.
	ErrUnstable = errors.New("the role session has no name of its own, so its rules would not be found again")
	// ErrPrivate: the node has no public address.
	ErrPrivate = errors.New("the node has no public address, as in a private subnet")
	// ErrEnded: the cluster is terminated.
	ErrEnded = errors.New("the cluster is terminated")
)

// AccountError says that credentials belong to another account than the target's.
type AccountError struct{ Want, Have string }

func (e *AccountError) Error() string {
	return fmt.Sprintf("the credentials belong to account %s, but the target is pinned to %s", e.Have, e.Want)
}

// resolve finds a target's place and remembers it.
func (r *round) resolve(ctx context.Context, t Target) error {
	cloud, err := r.cloud(ctx, t.Profile, t.Region)
	if err != nil {
		return err
	}
	if id := cloud.Identity(); t.Account != "" && t.Account != id.Account {
		return &AccountError{Want: t.Account, Have: id.Account}
	}
	if r.recallPlace(t) {
		return nil
	}
	r.say("looking up " + t.Label)
	was, anew := r.standing(t)
	now := was
	now.Stand = was.Stand && !anew
	place, err := cloud.Resolve(ctx, t, now)
	var refused error
	if err != nil && was.Stand && anew {
		refused = err
		place, err = cloud.Resolve(ctx, t, was)
	}
	if err != nil && (len(place.Groups) == 0 || !r.passes(err)) {
		if r.oldPlace(t, err) {
			return nil
		}
		return err
	}
	place.Host = cloud.Host()
	r.mu.Lock()
	defer r.mu.Unlock()
	old, known := r.st.Places[t.key()]
	found := Remembered{Target: t, Place: place, Seen: r.now, Whole: r.now}
	if known {
		found.Left = old.left(place, r.now)
	}
	if err != nil {
		found.Whole = old.Whole
	} else if old.Place.Groups = slices.Sorted(maps.Keys(found.Left)); len(found.Left) > 0 {
		// A pattern that matches other clusters now, a cluster with other groups: what was left is given back.
		r.departed = append(r.departed, old)
	}
	if !r.req.DryRun {
		if !t.Until.IsZero() {
			found.Target.Account = cloud.Identity().Account // a connect session's rule is given back there and nowhere else
		}
		r.st.Places[t.key()] = found
	}
	if refused != nil && !r.passes(refused) {
		place.Warnings = append(slices.Clone(place.Warnings), fmt.Sprintf("its nodes run, but EMR tells nothing of it any more: %v", refused))
	}
	r.places[t.key()] = place
	return err
}

// standing is where a target was found before. A look at its primary nodes can tell whether that still holds. anew says that EMR is
// to be asked all the same, whose limits for an account are much lower than EC2's: the daemon does it in a round that
// nobody waits for, or at last in any.
func (r *round) standing(t Target) (was Before, anew bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	rem := r.st.Places[t.key()]
	was = Before{Place: rem.Place, Keep: r.within(rem.Whole, PlaceAge)}
	others := slices.ContainsFunc(t.Nodes, func(role string) bool { return role != "primary" }) // they come and go
	was.Stand = (t.Cluster == "" || rem.Place.settled()) && len(rem.Place.Nodes) > 0 && !others
	looks := rem.Place.Looks
	if !r.req.unattended {
		return was, looks >= LooksOfCommand
	}
	quiet := r.req.recall != nil || !r.observes()
	return was, looks >= LooksOfDaemon && quiet || looks >= 2*LooksOfDaemon
}

// passes reports whether another try may mend a failure.
func (r *round) passes(err error) bool { return r.Transient != nil && r.Transient(err) }

// within reports whether an instant is in the past, and not longer ago than d.
func (r *round) within(at time.Time, d time.Duration) bool {
	age := r.now.Sub(at)
	return age >= 0 && age <= d
}

// recallPlace takes a target to be where it was found last, where that does: a cluster keeps its groups as long as it
// lives, and each round that looks for drift sees whether it stands. It saves the calls between a new address and its rule, and
// those that a crowded account has no room for.
func (r *round) recallPlace(t Target) bool {
	rem := r.remembered(t)
	if r.st.Crowded > 1 {
		rem.Place.Unlisted = false // EMR has refused the list twice: it may come with the next look for drift
	}
	ok := r.req.known && rem.Place.settled() && r.within(rem.Seen, MaxNext)
	if ok {
		r.placed(t, rem.Place)
	}
	return ok
}

// oldPlace takes a target to be where it was found within the last hours, when AWS has no answer now: EMR may be down or
// crowded while EC2 is not, and nobody should be shut out for that. A command tells its user instead.
func (r *round) oldPlace(t Target, err error) bool {
	rem := r.remembered(t)
	ok := r.req.unattended && r.passes(err) && rem.Place.settled() && r.within(rem.Whole, PlaceAge)
	if ok {
		rem.Place.Warnings = []string{fmt.Sprintf("the cluster could not be looked up, it is taken to be where it was at %s: %v", rem.Whole.Format(time.TimeOnly), err)}
		r.placed(t, rem.Place)
	}
	return ok
}

// remembered is where a target was found last; what is about to change there must be looked at (see [Place.settled]).
func (r *round) remembered(t Target) Remembered {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.st.Places[t.key()]
}

func (r *round) placed(t Target, p Place) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.places[t.key()] = p
}

// settled reports whether nothing of a place is about to change: clusters that run, with all of their nodes.
func (p Place) settled() bool {
	runs := p.State == "RUNNING" || p.State == "WAITING" || p.Cluster == "" // of several clusters only their nodes are known
	return runs && !p.Ended && !p.Partial && !p.Unlisted && len(p.Warnings) == 0 && !p.Unclear6 && len(p.Nodes) > 0 &&
		!slices.ContainsFunc(p.Nodes, func(n Node) bool { return n.State != "RUNNING" })
}

// observe asks for the own address, once a round. IPv6 only matters to targets that have it, and IPv4 never
// waits long for it. Behind a VPN the public address does not matter at all.
func (r *round) observe(ctx context.Context, six bool) {
	if r.observed || !r.observes() {
		return
	}
	if old := r.req.recall; old != nil && !r.observed {
		r.observed, r.asked, r.obs4, r.obs6 = true, old.asked, old.v4, old.v6
		return
	}
	r.observed = true
	r.say("asking for the public address")
	for anew := true; anew; {
		anew = r.ask(ctx, six)
	}
}

// observes reports whether the public address matters to any target.
func (r *round) observes() bool {
	return slices.ContainsFunc(r.selected, func(t Target) bool { return !t.Local })
}

// ask asks once. It reports whether that was in vain, because the network has changed meanwhile, and may begin anew.
func (r *round) ask(ctx context.Context, six bool) (anew bool) {
	if r.req.news != nil {
		select {
		case <-r.req.news: // it is older than this look
		default:
		}
	}
	r.asked, r.began = r.wall(), time.Now()
	ctx4, cancel4 := context.WithCancel(ctx)
	defer cancel4()
	ctx6, cancel6 := context.WithCancel(ctx4)
	defer cancel6()
	done, interrupted := make(chan struct{}), make(chan bool)
	go func() {
		select {
		case <-r.req.news:
			if r.req.anew() {
				cancel4()
				interrupted <- true
				return
			}
			<-done
		case <-done:
		}
		interrupted <- false
	}()
	var wg sync.WaitGroup
	if six {
		wg.Go(func() { r.obs6 = r.Watch.Observe(ctx6, ipwatch.V6) })
	} else {
		r.obs6 = ipwatch.Observation{Family: ipwatch.V6}
	}
	r.obs4 = r.Watch.Observe(ctx4, ipwatch.V4)
	if !r.obs4.NoRoute && r.obs4.Setting.Mode != ipwatch.ModeOff { // else nothing waits for IPv6 but what needs it
		defer time.AfterFunc(PatienceV6, cancel6).Stop()
	}
	wg.Wait()
	close(done)
	r.miles.known = time.Now()
	return <-interrupted && ctx.Err() == nil
}

// overtaken reports whether an event has come since the look, and another look may begin: else a rule would be opened for
// an address of the network before it.
func (r *round) overtaken() bool { return len(r.req.news) > 0 && r.req.anew() }

// recalled reports whether this round rests on an earlier look at the address.
func (r *round) recalled() bool { return r.req.recall != nil && r.observed }

// look is the round's look at the address; nil if it has made none.
func (r *round) look() *look {
	switch {
	case !r.observed:
		return nil
	case r.recalled():
		return r.req.recall
	}
	return &look{v4: r.obs4, v6: r.obs6, asked: r.asked, began: r.began}
}

// wants6 tells, from the last round, whether anybody may need an IPv6 address.
func (r *round) wants6() bool {
	for _, t := range r.selected {
		if !t.Local && reachable(r.st.Places[t.key()].Place, ipwatch.V6, false) {
			return true
		}
	}
	return false
}

// addrs are the addresses of a place's nodes that count for a target.
func addrs(p Place, f ipwatch.Family, local bool) (as []netip.Addr) {
	for _, n := range p.Nodes {
		a := n.Public4
		if f == ipwatch.V6 {
			a = n.V6
		} else if local && n.Private4.IsValid() {
			a = n.Private4
		}
		if a.IsValid() && !slices.Contains(as, a) {
			as = append(as, a)
		}
	}
	return as
}

// reachable reports whether a place may have a node that can be reached over a family.
func reachable(p Place, f ipwatch.Family, local bool) bool {
	return len(p.Nodes) == 0 || len(addrs(p, f, local)) > 0
}

// verdict concludes one family for a target at its place. A family that no node has is as good as absent.
func (r *round) verdict(ctx context.Context, t Target, p Place, f ipwatch.Family) ipwatch.Verdict {
	nodes := addrs(p, f, t.Local)
	switch {
	case f == ipwatch.V6 && len(nodes) == 0 && p.Unclear6:
		return ipwatch.Verdict{Family: f, State: ipwatch.Unsure, At: r.now, Why: "It is not known whether a node has an IPv6 address."}
	case !reachable(p, f, t.Local):
		return ipwatch.Verdict{Family: f, State: ipwatch.Absent, At: r.now,
			Why: fmt.Sprintf("Not needed: no node has an %s address that could be reached.", familyName(f))}
	case t.Local:
		return r.Watch.LocalVerdict(f, nodes)
	case f == ipwatch.V4:
		return r.Watch.ConcludeFor(r.obs4, nodes, r.standIns(ctx, p, nodes))
	}
	switch { // the place had no IPv6 the last time, and has it now
	case !r.obs6.At.IsZero():
	case r.recalled():
		r.stale = true // IPv4 of then and IPv6 of now would be a look of no time
		return ipwatch.Verdict{Family: f, State: ipwatch.Unsure, At: r.now, Why: "Nobody has been asked yet."}
	default:
		r.obs6 = r.Watch.Observe(ctx, ipwatch.V6)
	}
	return r.Watch.ConcludeFor(r.obs6, nodes, r.standIns(ctx, p, nodes))
}

// standIns are addresses of AWS's endpoint in the region, for a target without nodes: the way to it is compared
// in place of the way to a node. A host is looked up once a round.
func (r *round) standIns(ctx context.Context, p Place, nodes []netip.Addr) []netip.Addr {
	if len(nodes) > 0 || p.Host == "" {
		return nil
	}
	if _, ok := r.hosts[p.Host]; !ok {
		r.hosts[p.Host] = r.Watch.Lookup(ctx, p.Host)
	}
	return r.hosts[p.Host]
}

func familyName(f ipwatch.Family) string {
	if f == ipwatch.V6 {
		return "IPv6"
	}
	return "IPv4"
}

// target begins the report of a target.
func (r *round) target(ctx context.Context, t Target, err error) TargetReport {
	tr := TargetReport{Target: t.Label, Profile: t.Profile, key: t.key(), local: t.Local, Verdicts: map[string]Verdict{}}
	place, ok := r.places[t.key()]
	if !ok {
		place = r.st.Places[t.key()].Place // from the last time: good enough to judge the address
	}
	tr.Cluster, tr.Name, tr.State, tr.Place, tr.Warnings = place.Cluster, place.Name, place.State, place, place.Warnings
	if c := r.clouds[cloudKey{t.Profile, t.Region}]; c != nil && c.cloud != nil {
		id := c.cloud.Identity()
		tr.Identity = &id
	}
	for _, f := range []ipwatch.Family{ipwatch.V4, ipwatch.V6} {
		v := r.verdict(ctx, t, place, f)
		tr.Verdicts[f.String()] = r.reportVerdict(t, v)
		r.judge(t, f, v)
	}
	switch {
	case err != nil:
		tr.fail(err)
		if _, found := r.places[t.key()]; found { // in part: rules are written for it
			r.temporary(t)
		}
	case place.Ended:
		tr.fail(ErrEnded)
	case !t.Local && !reachable(place, ipwatch.V4, false) && !reachable(place, ipwatch.V6, false):
		tr.fail(ErrPrivate)
	default:
		r.temporary(t)
	}
	return tr
}
