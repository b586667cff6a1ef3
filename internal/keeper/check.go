package keeper

import (
	"context"
	"log/slog"
	"slices"

	"github.com/emr-accessd/emr-accessd/internal/ipwatch"
)

// addressChanged asks for the address alone, and compares it with what the last round concluded. It costs
// no AWS call.
func (r *round) addressChanged(ctx context.Context) bool {
	r.observe(ctx, r.wants6())
	for _, t := range r.all {
		for _, f := range []ipwatch.Family{ipwatch.V4, ipwatch.V6} {
			v := r.verdict(ctx, t, r.st.Places[t.key()].Place, f)
			key := memoryKey(t, f)
			mem, known := r.st.Families[key]
			if f == ipwatch.V6 && mem.State == string(ipwatch.Confirmed) && v.State != ipwatch.Confirmed && v.State != ipwatch.Absent {
				r.late6 = true
				continue // an IPv6 answer that only came too late would change nothing; it is asked for again
			}
			if !known || mem.State != string(v.State) || v.State == ipwatch.Confirmed && mem.Address != v.Addr {
				r.log().Debug("the address may have changed", slog.String("target", t.Label), slog.String("family", f.String()), slog.String("state", string(v.State)))
				return true
			}
			r.checked[key] = v
		}
	}
	return false
}

// check looks at the address, unless something is due anyway, and reports whether that was all there is to do: the
// address is the same, or it is not known, so that nothing could be written. An event cuts the pause after a failure
// short.
func (r *round) check(ctx context.Context) (rep Report, done bool, err error) {
	if untilDue(r.st.Status.NextRound, r.now) == 0 {
		return Report{}, false, nil
	}
	changed, again := r.addressChanged(ctx), r.req.Event && r.st.Failures > 0
	if !r.away() && (again || changed && r.known(ctx)) {
		return Report{}, false, nil
	}
	if changed {
		r.noteUnknown(ctx)
	}
	rep = r.st.Status.Report
	if len(r.notes) > 0 {
		r.enter(r.st.Status.LastError, nil)
	}
	rep.Applied, rep.look, rep.late6, rep.news = false, r.look(), r.late6, r.news
	return rep, true, r.remember(changed)
}

// away reports whether there is no route at all, so that AWS cannot be reached either: a call would be tried for
// seconds, which a network that comes meanwhile must not wait for.
func (r *round) away() bool {
	return r.observed && r.obs4.NoRoute && (r.obs6.At.IsZero() || r.obs6.NoRoute) &&
		!slices.ContainsFunc(r.all, func(t Target) bool { return t.Local })
}

// known reports whether an address towards any target is known. If none is, calls to AWS are of no use, and may hang as
// those to the sources did.
func (r *round) known(ctx context.Context) bool {
	for _, t := range r.all {
		for _, f := range []ipwatch.Family{ipwatch.V4, ipwatch.V6} {
			if r.verdict(ctx, t, r.st.Places[t.key()].Place, f).State == ipwatch.Confirmed {
				return true
			}
		}
	}
	return false
}

// noteUnknown remembers that the address is not known, without asking AWS: when it is known again, that is a change.
func (r *round) noteUnknown(ctx context.Context) {
	if r.away() {
		r.log().Info("no network: nothing is changed until there is one")
	}
	for _, t := range r.all {
		for _, f := range []ipwatch.Family{ipwatch.V4, ipwatch.V6} {
			v := r.verdict(ctx, t, r.st.Places[t.key()].Place, f)
			r.judge(t, f, v)
			said := r.reportVerdict(t, v)
			r.st.Status.Report.say(t.Label, f, said)
			if !r.away() && v.State != ipwatch.Absent {
				r.log().Warn(unknownAddress, slog.String("target", t.Label), slog.String("state", said.State), slog.String("why", said.Why))
			}
		}
	}
}

// unknownAddress is logged once for each change of what is known.
const unknownAddress = "address not known: nothing is changed"

// remember keeps the time of a confirmation that changed nothing, and what is said of an address that is still
// not known: that changes as time passes.
func (r *round) remember(save bool) error {
	for key, v := range r.checked {
		if v.State == ipwatch.Confirmed {
			mem := r.st.Families[key]
			save = save || r.now.Sub(mem.Confirmed) > SaveConfirmed
			mem.Confirmed = r.now
			r.st.Families[key] = mem
		}
	}
	for _, t := range r.all {
		for _, f := range []ipwatch.Family{ipwatch.V4, ipwatch.V6} {
			v, ok := r.checked[memoryKey(t, f)]
			if ok && v.State != ipwatch.Confirmed {
				save = r.st.Status.Report.resay(t.Label, f, r.reportVerdict(t, v)) || save
			}
		}
	}
	if !save {
		return nil
	}
	return r.Store.Save(r.st)
}

// say puts a verdict into a report.
func (r *Report) say(target string, f ipwatch.Family, v Verdict) {
	for _, t := range r.Targets {
		if _, ok := t.Verdicts[f.String()]; ok && t.Target == target {
			t.Verdicts[f.String()] = v
		}
	}
}

// resay puts a verdict into a report in place of one with the same state, and reports whether it says anything new.
func (r *Report) resay(target string, f ipwatch.Family, v Verdict) bool {
	for _, t := range r.Targets {
		if old, ok := t.Verdicts[f.String()]; ok && t.Target == target && old.State == v.State && old.Why != v.Why {
			t.Verdicts[f.String()] = v
			return true
		}
	}
	return false
}
