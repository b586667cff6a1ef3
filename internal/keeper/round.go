package keeper

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/emr-accessd/emr-accessd/internal/ipwatch"
	"github.com/emr-accessd/emr-accessd/internal/sgsync"
)

// Request says what a round is for.
type Request struct {
	// Targets are the targets to act on; nil is all of the configuration, the temporary ones, and the
	// giving back of what has left both.
	Targets []Target
	// DryRun plans and writes nothing.
	DryRun bool
	// Release gives back everything that this installation holds in the groups of the targets, except on ports
	// that another target wants there; with nil Targets, everything in every region it knows of.
	Release bool
	// Check looks at the address first, and ends there when nothing has changed and nothing is due.
	Check bool
	// Session marks what a `connect` session does by itself while it is open and at its end. It changes nothing while the
	// program is paused ([ErrPaused]), and does not bring back what a person has revoked ([ErrRevoked]). With Release it
	// gives back all the same, and is nobody's word that the rules are to stay away.
	Session bool
	// Event says that something happened: a pause after failures is cut short.
	Event bool
	// Why says for the history what made the round, in words for people, and Since when that was.
	Why   string
	Since time.Time

	news <-chan struct{} // an event has come: a look that is under way is about a network that is gone
	anew func() bool     // such a look may begin anew

	recall     *look // stands for a look at the address, as long as nothing has to be written
	known      bool  // where targets were found a moment ago may stand for looking them up
	unattended bool  // the daemon's own: none while it is paused
}

// ErrNothing is returned when there is no target at all.
var ErrNothing = errors.New("no target: name a cluster, or add one to the configuration")

// What keeps an open session from changing rules.
var (
	ErrPaused  = errors.New("emr-accessd is paused, so no rule follows your address")
	ErrRevoked = errors.New("the rule was revoked while this session was open, and is not put in place again")
)

// Round looks, plans and applies once. Failures of single targets and groups are in the report; the error
// is for what stops the whole round.
func (k *Keeper) Round(ctx context.Context, req Request) (Report, error) {
	start := k.wall()
	if req.Since.IsZero() {
		req.Since = time.Now()
	}
	unlock, err := k.lock(ctx)
	if err != nil {
		return Report{}, err
	}
	defer unlock()
	rep, err := k.round(ctx, req, start)
	if errors.Is(err, errStale) {
		req.recall = nil
		rep, err = k.round(ctx, req, start)
	}
	return rep, err
}

// errStale: what was recalled of the address does not do, it must be looked at anew.
var errStale = errors.New("the look at the own address is too old")

func (k *Keeper) round(ctx context.Context, req Request, start time.Time) (Report, error) {
	st, warning := k.Store.Load()
	if req.unattended && k.Store.Paused(k.wall()) != nil {
		return st.idle(), nil
	}
	if err := k.following(req); err != nil {
		return Report{}, err
	}
	r := &round{Keeper: k, req: req, st: st, miles: milestones{since: req.Since, began: time.Now()}, now: k.wall(), was: st.Status.NextRound, clouds: map[cloudKey]*cloudOnce{}, places: map[string]Place{},
		bare: map[string]bool{}, stuck: map[string]bool{}, families: map[familyKey]sgsync.Family{}, checked: map[string]ipwatch.Verdict{}, hosts: map[string][]netip.Addr{}}
	if warning != "" {
		r.rep.Warnings = append(r.rep.Warnings, warning)
	}
	if shows := r.now.Add(sgsync.W + sgsync.Sigma); st.Torn || st.Killed { // a call that the file told of may still act, and show
		if st.Blind = shows; st.Torn {
			st.Settled = shows
		}
		st.Torn, st.Killed = false, false
	}
	if err := r.installation(); err != nil {
		return Report{}, err
	}
	if req.Session && req.Release {
		if r.req.Targets = r.leftOf(req.Targets); len(r.req.Targets) == 0 {
			return r.rep, nil
		}
	}
	r.gather()
	r.revoked()
	if len(r.selected) == 0 && len(r.departed) == 0 && (!req.Release || req.Targets != nil || len(st.Traces) == 0) {
		return Report{}, ErrNothing
	}
	if req.Check {
		if rep, done, err := r.check(ctx); done {
			return rep, err
		}
	}
	r.run(ctx)
	if r.stale {
		return Report{}, errStale
	}
	r.explain()
	r.rep.Applied = !req.DryRun
	r.rep.Took = k.wall().Sub(start)
	r.rep.look = r.look()
	if req.DryRun {
		return r.rep, nil
	}
	err := r.finish(ctx)
	r.rep.news, r.rep.crowded = r.news, r.st.Crowded > 0
	return r.rep, err
}

type round struct {
	*Keeper
	req Request
	now time.Time
	rep Report

	mu     sync.Mutex // guards what follows: targets and groups are worked on side by side
	st     *State
	clouds map[cloudKey]*cloudOnce
	places map[string]Place // by Target.key
	bare   map[string]bool  // ids of rules that were read without a lease
	miles  milestones
	notes  []AddressNote // what is new about the own address
	lost   []string      // ids of own rules that somebody else has removed
	news   *Record       // what this round has put into the history
	wrote  bool
	stale  bool // what was recalled of the address does not do

	intents []sgsync.Write // calls that were announced and whose answer was not noted yet

	id       string // installation
	all      []Target
	selected []Target
	chosen   map[string]bool // by Target.key: those that are selected
	departed []Remembered
	swept    []cloudKey      // where it was looked by tag
	stuck    map[string]bool // Target.key of departed ones whose rules could not be given back
	work     []*groupWork
	next     time.Time // wall clock: something is due then
	was      time.Time // when something was due before this round
	families map[familyKey]sgsync.Family
	checked  map[string]ipwatch.Verdict // by memoryKey: what a check has concluded
	late6    bool                       // a check has left open whether IPv6 is still what it was
	hosts    map[string][]netip.Addr    // of endpoints that stand in for nodes
	observed bool
	asked    time.Time // wall clock: when the own address was looked at
	began    time.Time // the same, monotonic
	obs4     ipwatch.Observation
	obs6     ipwatch.Observation
}

// key identifies a target across rounds.
func (t Target) key() string {
	return strings.Join([]string{t.Profile, t.Region, t.Cluster, t.NamePattern, fmt.Sprint(t.ClusterTags), t.SecurityGroup, t.Group, strings.Join(t.Nodes, "+"), fmt.Sprint(t.Port), fmt.Sprint(t.Local)}, "|")
}

// Same reports whether two targets are one across rounds, whatever they are called and for how long they last.
func (t Target) Same(o Target) bool { return t.key() == o.key() }

func keysOf(ts []Target) map[string]bool {
	keys := map[string]bool{}
	for _, t := range ts {
		keys[t.key()] = true
	}
	return keys
}

// installation settles the id on whose behalf is leased.
func (r *round) installation() error {
	r.id = r.st.Installation
	if r.id == "" {
		r.id = r.Store.derived
	}
	if r.id != "" {
		return nil
	}
	r.st.Installation = randomInstallation()
	r.id = r.st.Installation
	if r.req.DryRun {
		return nil
	}
	return r.Store.Save(r.st) // before any lease is written under it
}

// gather settles which targets there are and which this round is about.
func (r *round) gather() {
	r.st.Temporary = slices.DeleteFunc(r.st.Temporary, func(t Target) bool { return !t.Until.After(r.now) })
	r.all = slices.Clone(r.Targets)
	at := map[string]int{} // by Target.key
	for i, t := range r.Targets {
		at[t.key()] = i
	}
	for _, t := range slices.Concat(r.st.Temporary, r.req.Targets) {
		i, known := at[t.key()]
		switch {
		case !known:
			at[t.key()] = len(r.all)
			r.all = append(r.all, t)
		case i >= len(r.Targets):
			r.all[i] = longer(r.all[i], t) // as long as asked for now, also where a shorter one stands
		}
	}
	r.selected = slices.Clone(r.all)
	partial := r.req.Targets != nil
	if partial {
		r.selected = r.req.Targets
	}
	r.chosen = keysOf(r.selected)
	for key, rem := range r.st.Places {
		if _, known := at[key]; known {
			continue
		}
		// A round for some targets signs in nowhere else for those that have left; there may be no other
		// round for long, so it gives back what connect sessions have left.
		here := slices.ContainsFunc(r.selected, func(t Target) bool { return t.Profile == rem.Target.Profile && t.Region == rem.Target.Region })
		if !partial || here && !rem.Target.Until.IsZero() && !r.req.Release {
			rem.Place.Groups = rem.groups()
			r.departed = append(r.departed, rem)
		}
	}
	slices.SortFunc(r.departed, func(a, b Remembered) int { return strings.Compare(a.Target.key(), b.Target.key()) })
}

// temporary records a target of a command that is not in the configuration, before anything is written for
// it: the rounds of the daemon must know it, and give its rule back when its time is over.
func (r *round) temporary(t Target) {
	same := func(o Target) bool { return o.key() == t.key() }
	if r.req.DryRun || !t.Until.After(r.now) || slices.ContainsFunc(r.Targets, same) {
		return
	}
	if c := r.clouds[cloudKey{t.Profile, t.Region}]; c != nil && c.cloud != nil && t.Account == "" {
		t.Account = c.cloud.Identity().Account // later rounds may be signed in elsewhere by default
	}
	if i := slices.IndexFunc(r.st.Temporary, same); i < 0 {
		r.st.Temporary = append(r.st.Temporary, t)
	} else {
		r.st.Temporary[i] = longer(r.st.Temporary[i], t)
	}
}

// longer is a temporary target that was asked for twice: the one that lasts longer, with the longer promise.
func longer(a, b Target) Target {
	kept := a.Kept
	if b.Kept.After(kept) {
		kept = b.Kept
	}
	if b.Until.After(a.Until) {
		a = b
	}
	a.Kept = kept
	return a
}

func (r *round) run(ctx context.Context) {
	if r.req.Release {
		r.release(ctx)
		return
	}
	var wg sync.WaitGroup
	six := r.wants6() // by the places of the last round, before this one changes them
	wg.Go(func() { r.observe(ctx, six) })
	errs := make([]error, len(r.selected))
	limit := make(chan struct{}, parallelCalls)
	for i, t := range r.selected {
		wg.Go(func() {
			limit <- struct{}{}
			defer func() { <-limit }()
			errs[i] = r.resolve(ctx, t)
		})
	}
	wg.Wait()
	if !r.observed {
		r.asked = r.wall() // local addresses are looked up below
	} else if r.recalled() {
		// Its age is judged when something is to be written: then there is a new look.
	} else if age := r.wall().Sub(r.asked); age < 0 || age > AskAgain || r.overtaken() {
		r.observed = false // signing in took long, perhaps with a password to type, or the network has changed
		r.observe(ctx, six)
	}
	for i, t := range r.selected {
		r.rep.Targets = append(r.rep.Targets, r.target(ctx, t, errs[i]))
	}
	if r.stale {
		return
	}
	r.groups(ctx)
	r.sweep(ctx)
	r.apply(ctx)
	r.assemble()
}

// apply works on the groups side by side.
func (r *round) apply(ctx context.Context) {
	var wg sync.WaitGroup
	limit := make(chan struct{}, parallelCalls)
	for _, w := range r.work {
		wg.Go(func() {
			limit <- struct{}{}
			defer func() { <-limit }()
			r.group(ctx, w)
		})
	}
	wg.Wait()
}

// parallelCalls bounds the calls under way at once: EC2 throttles each account as a whole.
const parallelCalls = 4

// assemble puts the groups' results under the targets that use them.
func (r *round) assemble() {
	clusters := r.clusters()
	for _, w := range r.work {
		w.rep.Clusters = clusters[w.id]
	}
	for i := range r.rep.Targets {
		t := &r.rep.Targets[i]
		t.Groups = []GroupReport{}
		for _, w := range r.work {
			if !slices.Contains(w.users, t.key) {
				continue
			}
			t.Groups = append(t.Groups, w.rep)
			if w.rep.Err != nil && t.Err == nil {
				t.fail(w.rep.Err)
			}
			t.Warnings = slices.Concat(t.Warnings, w.warnings)
		}
	}
	for _, w := range r.work {
		if len(w.users) == 0 && w.rep.Err != nil {
			r.warn("could not give back the rules in %s: %v", w.id, w.rep.Err)
		}
	}
}

// clusters lists for each group the clusters of all targets that use it, also of those that this round is not about.
func (r *round) clusters() map[string][]string {
	groups := map[string][]string{}
	for _, t := range r.all {
		place, _ := r.place(t)
		if place.Ended {
			continue
		}
		for id, ids := range place.Uses {
			groups[id] = append(groups[id], ids...)
		}
	}
	for id, ids := range groups {
		slices.Sort(ids)
		groups[id] = slices.Compact(ids)
	}
	return groups
}

func (r *round) warn(format string, args ...any) {
	r.rep.Warnings = append(r.rep.Warnings, fmt.Sprintf(format, args...))
}

func (t *TargetReport) fail(err error) {
	text := err.Error()
	t.Err, t.Error = err, &text
}

// explain adds to each failure what can be done about it.
func (r *round) explain() {
	for i := range r.rep.Targets {
		if t := &r.rep.Targets[i]; t.Err != nil && r.Explain != nil {
			t.Kind, t.Hint = r.Explain(t.Err)
		}
	}
}

// me is the installation as the user of a cloud.
func (r *round) me(id Identity, lease time.Duration) sgsync.Me {
	r.mu.Lock()
	defer r.mu.Unlock()
	return sgsync.Me{Holder: sgsync.Holder{UserID: id.UserID, Installation: r.id}, Who: r.Who, Lease: lease, Tags: r.Tags}
}
