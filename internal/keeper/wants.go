package keeper

import (
	"context"
	"maps"
	"net/netip"
	"slices"
	"time"

	"github.com/emr-accessd/emr-accessd/internal/ipwatch"
	"github.com/emr-accessd/emr-accessd/internal/sgsync"
)

// soon asks for a round at the wall time t at the latest.
func (r *round) soon(t time.Time) {
	if r.next.IsZero() || t.Before(r.next) {
		r.next = t
	}
}

// groupWork is one group that a round acts on.
type groupWork struct {
	id       string
	key      cloudKey
	cloud    Cloud
	want     sgsync.Want
	lease    time.Duration
	promised time.Time  // wall clock: how long the rule was promised to somebody
	users    []string   // keys of the selected targets that use it
	departed []string   // keys of the targets that have left it
	swept    []cloudKey // where a look by tag has found what nothing leads to
	next     time.Time
	slow     bool      // the last read was too old to write on
	unsure   bool      // some rules could not be judged: a lost call may still act, or not all of their tags may show
	unshown  time.Time // wall clock: until then a rule that nothing wants is kept, for its tags may not show
	rep      GroupReport
	warnings []string
}

// nothing reports whether a port of the group is looked at only to give something back.
func (w *groupWork) nothing(port int) bool {
	return slices.ContainsFunc(w.want.Ports, func(p sgsync.Port) bool {
		return p.Port == port && p.V4.State == sgsync.Absent && p.V6.State == sgsync.Absent
	})
}

// soon asks for a look at the group at the wall time t at the latest.
func (w *groupWork) soon(t time.Time) {
	if w.next.IsZero() || t.Before(w.next) {
		w.next = t
	}
}

// groups merges what the targets want of each group: EMR's default groups are shared by all clusters of a
// VPC, and a rule may go only when no target needs it.
func (r *round) groups(ctx context.Context) {
	work := map[string]*groupWork{}
	get := func(t Target, id string) (*groupWork, error) {
		if w, ok := work[id]; ok {
			return w, nil
		}
		cloud, err := r.cloud(ctx, t.Profile, t.Region)
		if err != nil {
			return nil, err
		}
		if have := cloud.Identity().Account; t.Account != "" && have != t.Account {
			return nil, &AccountError{Want: t.Account, Have: have}
		}
		work[id] = r.newWork(cloudKey{t.Profile, t.Region}, cloud, id)
		return work[id], nil
	}
	for _, t := range r.selected {
		place, ok := r.places[t.key()]
		if !ok {
			continue
		}
		for _, id := range place.Groups {
			w, err := get(t, id)
			if err != nil {
				continue // resolve has told
			}
			w.users = append(w.users, t.key())
			if place.Ended {
				w.add(Target{Port: t.Port, Lease: t.Lease}, gone, gone)
			}
		}
	}
	for _, d := range r.departed {
		for _, id := range d.Place.Groups {
			w, err := get(d.Target, id)
			if err != nil {
				r.warn("could not give back the rules of %s in %s: %v", d.Target.Label, id, err)
				r.stuck[d.Target.key()] = true
				continue
			}
			w.departed = append(w.departed, d.Target.key())
			w.add(Target{Port: d.Target.Port, Lease: d.Target.Lease}, gone, gone)
		}
	}
	r.merge(work)
	for _, id := range slices.Sorted(maps.Keys(work)) {
		if work[id].lease == 0 {
			work[id].lease = r.Lease
		}
		r.work = append(r.work, work[id])
	}
}

func (r *round) newWork(key cloudKey, cloud Cloud, id string) *groupWork {
	return &groupWork{id: id, key: key, cloud: cloud,
		want: sgsync.Want{Group: id, Complete: true, ReportExpired: r.ReportExpired},
		rep:  GroupReport{ID: id, Region: cloud.Identity().Region, Changes: []ChangeReport{}, Public: []string{}, Rules: []RuleReport{}}}
}

// gone is the family of a target that has left: nothing is wanted any more.
var gone = sgsync.Family{State: sgsync.Absent}

// merge adds what every target wants, also those that this round is not about: from their last place.
func (r *round) merge(work map[string]*groupWork) {
	var lost []Target // nobody knows yet which groups they use
	for _, t := range r.all {
		place, known := r.place(t)
		if !known {
			lost = append(lost, t)
			continue
		}
		if place.Ended {
			continue
		}
		v4, v6 := r.family(t, place, ipwatch.V4), r.family(t, place, ipwatch.V6)
		t.Trusted = slices.DeleteFunc(slices.Clone(t.Trusted), func(p netip.Prefix) bool {
			return !reachable(place, ipwatch.FamilyOf(p.Addr()), t.Local)
		})
		for _, id := range place.Groups {
			if w := work[id]; w != nil {
				w.add(t, v4, v6)
			}
		}
	}
	for _, w := range work {
		w.want.Complete = len(lost) == 0
		for _, t := range lost {
			w.spare(t)
		}
	}
}

// place is where a target is, or was when it was last looked up.
func (r *round) place(t Target) (Place, bool) {
	if place, ok := r.places[t.key()]; ok {
		return place, true
	}
	rem, ok := r.st.Places[t.key()]
	return rem.Place, ok
}

// family is what is known for a target; one that was not looked at now is judged by its last place.
func (r *round) family(t Target, place Place, f ipwatch.Family) sgsync.Family {
	if known, ok := r.families[familyKey{t.key(), f}]; ok {
		return known
	}
	obs := r.obs4
	if f == ipwatch.V6 {
		obs = r.obs6
	}
	switch nodes := addrs(place, f, t.Local); {
	case !reachable(place, f, t.Local):
	case t.Local:
		r.judge(t, f, r.Watch.LocalVerdict(f, nodes))
	case !obs.At.IsZero():
		r.judge(t, f, r.Watch.ConcludeFor(obs, nodes, r.hosts[place.Host]))
	}
	if known, ok := r.families[familyKey{t.key(), f}]; ok || !reachable(place, f, t.Local) {
		return known
	}
	// Nobody has asked in this round: what the target was last reached from is not given up.
	mem := r.st.Families[memoryKey(t, f)]
	return sgsync.Family{State: sgsync.Unknown, Since: mem.Confirmed, Held: r.lastAddress(mem)}
}

// add merges one target's wants into the group's.
func (w *groupWork) add(t Target, v4, v6 sgsync.Family) {
	w.lease = max(w.lease, t.Lease)
	if t.Kept.After(w.promised) {
		w.promised = t.Kept
	}
	i := slices.IndexFunc(w.want.Ports, func(p sgsync.Port) bool { return p.Port == t.Port })
	if i < 0 {
		w.want.Ports = append(w.want.Ports, sgsync.Port{Port: t.Port, V4: v4, V6: v6, Trusted: slices.Clone(t.Trusted)})
		return
	}
	p := &w.want.Ports[i]
	p.V4, p.V6 = mergeFamily(p.V4, v4), mergeFamily(p.V6, v6)
	p.Trusted = union(p.Trusted, t.Trusted)
}

// spare holds the trusted hosts of a target that may use this group: kept where they are, and not opened.
func (w *groupWork) spare(t Target) {
	for i := range w.want.Ports {
		p := &w.want.Ports[i]
		for _, x := range t.Trusted {
			switch {
			case p.Port != t.Port || slices.Contains(p.Trusted, x):
			case x.Addr().Is4():
				p.V4.Held = union(p.V4.Held, []netip.Prefix{x})
			default:
				p.V6.Held = union(p.V6.Held, []netip.Prefix{x})
			}
		}
	}
}

// mergeFamily joins what two targets know: both addresses when both know one, and what an unknown one was
// last reached from is held; else known before unknown before absent, so that nothing is given up while one
// of them may need it.
func mergeFamily(a, b sgsync.Family) sgsync.Family {
	rank := func(f sgsync.Family) int {
		return [...]int{sgsync.Unknown: 1, sgsync.Known: 2, sgsync.Absent: 0}[f.State]
	}
	held := union(a.Held, b.Held)
	switch {
	case a.State == sgsync.Known && b.State == sgsync.Known:
		a.Self = union(a.Self, b.Self)
	case rank(b) > rank(a), rank(b) == rank(a) && b.Since.After(a.Since):
		a = b // of two alike, the later confirmation and the later absence keep longer
	}
	a.Held = held
	return a
}

func union(a, b []netip.Prefix) []netip.Prefix {
	a = slices.Clone(a)
	for _, p := range b {
		if !slices.Contains(a, p) {
			a = append(a, p)
		}
	}
	return a
}
